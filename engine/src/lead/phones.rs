//! A lead with several phones: which one is dialed next.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Lead;
use crate::limits::NEXT_PHONE_MS;
use crate::{Outcome, Pii};

/// How a phone of a lead is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhoneStatus {
    /// It may be dialed.
    #[default]
    Ok,
    /// The network says that there is no such number.
    Invalid,
    /// A fax or a modem answers.
    Fax,
    /// The number is on a suppression list.
    Suppressed,
}

impl PhoneStatus {
    const ALL: [PhoneStatus; 4] =
        [PhoneStatus::Ok, PhoneStatus::Invalid, PhoneStatus::Fax, PhoneStatus::Suppressed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            PhoneStatus::Ok => "ok",
            PhoneStatus::Invalid => "invalid",
            PhoneStatus::Fax => "fax",
            PhoneStatus::Suppressed => "suppressed",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<PhoneStatus> {
        PhoneStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// What an outcome says of the phone that was dialed.
    pub(crate) const fn after(outcome: Outcome) -> Option<PhoneStatus> {
        match outcome {
            Outcome::Invalid => Some(PhoneStatus::Invalid),
            Outcome::Fax => Some(PhoneStatus::Fax),
            _ => None,
        }
    }
}

/// A phone of a lead that has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeadPhone {
    /// E.164, with the plus sign.
    #[schema(value_type = String)]
    pub phone: Pii<String>,
    /// What it is, e.g. `mobile`; from the name of its column.
    pub kind: String,
    /// Attempts at it that counted so far.
    pub attempts: u32,
    /// Whether it may be dialed.
    pub status: PhoneStatus,
}

/// What an attempt did to the phones of a lead that has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneChange {
    /// The phone that was dialed.
    pub tried: Pii<String>,
    /// Whether the attempt counts.
    pub counted: bool,
    /// What the phone turned out to be.
    pub status: Option<PhoneStatus>,
    /// The phone to dial next.
    pub next: Pii<String>,
}

/// What follows for a lead with several phones.
pub(crate) struct NextPhone {
    pub(crate) change: PhoneChange,
    /// Not the retry rule says when: another phone is tried soon, in ms.
    pub(crate) soon_ms: Option<i64>,
}

/// What an outcome does to the phones of a lead; none when it has one only. The next phone is tried when this one is none,
/// or when the outcome's rule says so; after the last one the first is next, at its time.
pub(crate) fn next_phone(lead: &Lead, outcome: Outcome, by_rule: bool) -> Option<NextPhone> {
    let at = lead.phones.iter().position(|phone| phone.phone == lead.phone)?;
    let status = PhoneStatus::after(outcome);
    let good = |n: &usize| {
        lead.phones.get(*n).is_some_and(|phone| phone.status == PhoneStatus::Ok)
            && (*n != at || status.is_none())
    };
    let (later, first) = ((at + 1..lead.phones.len()).find(good), (0..lead.phones.len()).find(good));
    let stay = good(&at).then_some(at);
    let (next, soon) = match (status.is_some() || by_rule, later) {
        (true, Some(later)) => (Some(later), true),
        // A phone that is none says nothing of the others: these wait for their time only after a try of all.
        (true, None) => (first, status.is_some() && first.is_some()),
        (false, _) => (stay.or(first), false),
    };
    let next = next.and_then(|n| lead.phones.get(n)).map_or_else(|| lead.phone.clone(), |p| p.phone.clone());
    let change = PhoneChange { tried: lead.phone.clone(), counted: outcome.counts(), status, next };
    Some(NextPhone { change, soon_ms: soon.then_some(NEXT_PHONE_MS) })
}

/// The phone to dial next must not be called: another one is next, if there is one.
pub(crate) fn without_suppressed(lead: &Lead) -> Option<PhoneChange> {
    let good = |phone: &&LeadPhone| phone.phone != lead.phone && phone.status == PhoneStatus::Ok;
    let next = lead.phones.iter().find(good)?.phone.clone();
    let (tried, status) = (lead.phone.clone(), Some(PhoneStatus::Suppressed));
    Some(PhoneChange { tried, counted: false, status, next })
}

/// Whether any phone but the one that was just found to be none may be dialed.
pub(crate) fn has_another(lead: &Lead) -> bool {
    lead.phones.iter().any(|phone| phone.phone != lead.phone && phone.status == PhoneStatus::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(statuses: &[PhoneStatus], at: usize) -> Lead {
        let mut lead = crate::testing::lead(1);
        let phone = |(n, status): (usize, &PhoneStatus)| LeadPhone {
            phone: Pii(format!("+1202555010{n}")),
            kind: "mobile".into(),
            attempts: 0,
            status: *status,
        };
        lead.phones = statuses.iter().enumerate().map(phone).collect();
        lead.phone = lead.phones[at].phone.clone();
        lead
    }

    fn next(lead: &Lead, outcome: Outcome, by_rule: bool) -> (char, bool) {
        let next = next_phone(lead, outcome, by_rule).unwrap();
        (next.change.next.0.chars().last().unwrap(), next.soon_ms.is_some())
    }

    #[test]
    fn phones_are_tried_in_their_order_by_rule_and_when_one_is_none() {
        use PhoneStatus::{Invalid, Ok, Suppressed};
        assert!(next_phone(&crate::testing::lead(1), Outcome::NoAnswer, true).is_none(), "it has one");
        let three = [Ok, Ok, Ok];
        assert_eq!(next(&lead(&three, 0), Outcome::NoAnswer, true), ('1', true));
        assert_eq!(
            next(&lead(&three, 0), Outcome::NoAnswer, false),
            ('0', false),
            "the rule says when again"
        );
        assert_eq!(next(&lead(&three, 2), Outcome::NoAnswer, true), ('0', false), "all were tried");
        assert_eq!(next(&lead(&three, 0), Outcome::Invalid, false), ('1', true));
        assert_eq!(next(&lead(&three, 2), Outcome::Fax, false), ('0', true));
        assert_eq!(next(&lead(&[Ok, Suppressed, Ok], 0), Outcome::Busy, true), ('2', true));
        assert_eq!(next(&lead(&[Invalid, Ok], 1), Outcome::Busy, true), ('1', false));
        let last = lead(&[Invalid, Ok], 1);
        assert!(!has_another(&last) && has_another(&lead(&three, 1)));
        assert_eq!(next(&last, Outcome::Invalid, true), ('1', false), "nothing is left");
    }
}
