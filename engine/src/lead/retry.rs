//! What becomes of a lead after an attempt: dialed again, and when, or done.

use serde::{Deserialize, Serialize};

use super::hours::Zones;
use super::phones::{NextPhone, has_another, next_phone};
use crate::{Callback, CampaignSettings, FollowUp, Lead, LeadChange, LeadId, LeadStatus, Outcome, RetryRule};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const NO_LIMIT: u32 = u32::MAX;

/// The rule that holds when a campaign sets none; none means that the lead is done.
const fn default_rule(outcome: Outcome) -> Option<RetryRule> {
    let (delay_s, most) = match outcome {
        Outcome::Connected | Outcome::Rejected | Outcome::Blocked => (24 * HOUR, NO_LIMIT),
        // The strictest lock-out that a profile knows (UK), until profiles say which holds.
        Outcome::Abandoned => (72 * HOUR, NO_LIMIT),
        Outcome::CallerHangup | Outcome::Machine | Outcome::Screened => (4 * HOUR, NO_LIMIT),
        Outcome::NoMedia | Outcome::FalseAnswer | Outcome::TrunkFault => (HOUR, NO_LIMIT),
        Outcome::Busy => (15 * MINUTE, 3),
        Outcome::NoAnswer | Outcome::UnknownCrash => (3 * HOUR, NO_LIMIT),
        Outcome::Congestion => (5 * MINUTE, NO_LIMIT),
        Outcome::Cancelled => (30 * MINUTE, NO_LIMIT),
        Outcome::NotSent => (0, NO_LIMIT),
        Outcome::Invalid | Outcome::Unwanted | Outcome::PromptPlayed | Outcome::OptedOut | Outcome::Fax => {
            return None;
        }
    };
    // Who was not reached in the morning is more likely there in the evening, or at another phone.
    let other_daypart = matches!(outcome, Outcome::NoAnswer | Outcome::Machine | Outcome::Screened);
    let next_phone = other_daypart || matches!(outcome, Outcome::Busy);
    Some(RetryRule { delay_s, most, other_daypart, next_phone })
}

/// Whether a campaign may set a rule for this outcome: not where a retry would be wrong or is not a matter of time.
pub(crate) const fn may_override(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Invalid | Outcome::Unwanted | Outcome::OptedOut | Outcome::NotSent)
}

fn rule(settings: &CampaignSettings, outcome: Outcome) -> Option<RetryRule> {
    match settings.retry.get(&outcome) {
        Some(rule) if may_override(outcome) => Some(*rule),
        _ => default_rule(outcome),
    }
}

/// Until when a lead must not be dialed should we crash now.
pub(crate) fn crash_retry_unix_ms(settings: &CampaignSettings, unix_ms: i64) -> i64 {
    let delay = |outcome| rule(settings, outcome).map_or(0, |rule| rule.delay_s);
    // Any of these may have been the outcome; the longer of the two common ones holds.
    after(unix_ms, delay(Outcome::UnknownCrash).max(delay(Outcome::NoAnswer)))
}

fn after(unix_ms: i64, delay_s: u32) -> i64 {
    unix_ms.saturating_add(i64::from(delay_s).saturating_mul(1_000))
}

/// The lead's attempts so far, as far as its next one depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) lead: LeadId,
    pub(crate) attempts: u32,
    pub(crate) last_outcome: Option<Outcome>,
    pub(crate) repeats: u32,
    /// What the person was promised and has not got yet.
    pub(crate) callback: Option<Callback>,
}

impl Tally {
    pub(crate) fn of(lead: &Lead) -> Tally {
        Tally {
            lead: lead.id,
            attempts: lead.attempts,
            last_outcome: lead.last_outcome,
            repeats: lead.repeats,
            callback: lead.callback,
        }
    }

    /// The tally after an attempt with this outcome.
    pub(crate) fn and(self, outcome: Outcome) -> Tally {
        if outcome == Outcome::NotSent {
            return self; // it never happened
        }
        let repeats = if self.last_outcome == Some(outcome) { self.repeats.saturating_add(1) } else { 1 };
        let attempts = self.attempts.saturating_add(u32::from(outcome.counts()));
        // Who was reached got what was promised.
        let callback = if outcome == Outcome::Connected { None } else { self.callback };
        Tally { attempts, last_outcome: Some(outcome), repeats, callback, ..self }
    }

    pub(crate) fn change(self, status: LeadStatus, next_unix_ms: i64) -> LeadChange {
        LeadChange {
            lead: self.lead,
            status,
            next_unix_ms,
            attempts: self.attempts,
            last_outcome: self.last_outcome,
            repeats: self.repeats,
            callback: self.callback.filter(|_| status == LeadStatus::Retry),
            phone: None,
        }
    }

    /// As it was, dialable from then on.
    pub(crate) fn again(self, next_unix_ms: i64) -> LeadChange {
        let status = if self.last_outcome.is_none() { LeadStatus::New } else { LeadStatus::Retry };
        self.change(status, next_unix_ms)
    }
}

/// What an attempt's outcome does with its lead; `lead` is as it was before it.
pub(crate) fn after_outcome(
    settings: &CampaignSettings,
    zones: &mut Zones,
    lead: &Lead,
    outcome: Outcome,
    unix_ms: i64,
) -> LeadChange {
    let tally = Tally::of(lead).and(outcome);
    if outcome == Outcome::NotSent {
        return tally.again(unix_ms);
    }
    if matches!(outcome, Outcome::Unwanted | Outcome::OptedOut) {
        return tally.change(LeadStatus::Suppressed, unix_ms);
    }
    // A connected call waits for its disposition, which may come later; nobody calls a served person on a guess.
    let rule = if outcome == Outcome::Connected { None } else { rule(settings, outcome) };
    let next = next_phone(lead, outcome, rule.is_some_and(|rule| rule.next_phone));
    let (phone, soon_ms) = next.map_or((None, None), |NextPhone { change, soon_ms }| (Some(change), soon_ms));
    let change = match (rule, soon_ms) {
        _ if tally.attempts >= settings.max_attempts => tally.change(LeadStatus::Done, unix_ms),
        (_, Some(soon_ms)) => tally.change(LeadStatus::Retry, unix_ms.saturating_add(soon_ms)),
        (Some(rule), None) if tally.repeats < most(&rule, lead) => {
            let next = after(unix_ms, rule.delay_s);
            let other =
                rule.other_daypart.then(|| zones.other_daypart(&lead.time_zone, unix_ms, next)).flatten();
            tally.change(LeadStatus::Retry, other.unwrap_or(next))
        }
        _ => tally.change(LeadStatus::Done, unix_ms),
    };
    LeadChange { phone, ..change }
}

/// How many attempts in a row may end alike: at each of its phones, where the rule tries them all.
fn most(rule: &RetryRule, lead: &Lead) -> u32 {
    if !rule.next_phone || !has_another(lead) {
        return rule.most;
    }
    rule.most.saturating_mul(u32::try_from(lead.phones.len()).unwrap_or(1))
}

/// What a disposition does with its lead; `tally` includes the attempt.
pub(crate) fn after_disposition(
    settings: &CampaignSettings,
    tally: Tally,
    follow_up: FollowUp,
    callback: Option<Callback>,
    unix_ms: i64,
) -> LeadChange {
    match follow_up {
        FollowUp::Done => tally.change(LeadStatus::Done, unix_ms),
        FollowUp::Suppress => tally.change(LeadStatus::Suppressed, unix_ms),
        FollowUp::Retry => {
            let rule = rule(settings, Outcome::Connected);
            let most = if callback.is_some() { NO_LIMIT } else { rule.map_or(0, |rule| rule.most) };
            if tally.attempts >= settings.max_attempts || tally.repeats >= most {
                return tally.change(LeadStatus::Done, unix_ms);
            }
            let delay = after(unix_ms, rule.map_or(24 * HOUR, |rule| rule.delay_s));
            let tally = Tally { callback, ..tally };
            tally.change(LeadStatus::Retry, callback.map_or(delay, |callback| callback.due_unix_ms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{lead, phone};

    fn ended(settings: &CampaignSettings, lead: &Lead, outcome: Outcome, unix_ms: i64) -> LeadChange {
        after_outcome(settings, &mut Zones::default(), lead, outcome, unix_ms)
    }

    /// The lead after that outcome.
    fn and(lead: &Lead, outcome: Outcome) -> Lead {
        let tally = Tally::of(lead).and(outcome);
        let mut lead = lead.clone();
        (lead.attempts, lead.last_outcome, lead.repeats) =
            (tally.attempts, tally.last_outcome, tally.repeats);
        lead
    }

    /// A Wednesday, 12:00 in New York.
    const NOON: i64 = 1_795_021_200_000;

    #[test]
    fn the_defaults_of_the_table() {
        let settings = CampaignSettings::default();
        let rows = [
            (Outcome::Busy, LeadStatus::Retry, 900, 1),
            (Outcome::NoAnswer, LeadStatus::Retry, 43_199, 1), // not before noon
            (Outcome::Machine, LeadStatus::Retry, 43_199, 1),
            (Outcome::Abandoned, LeadStatus::Retry, 259_200, 1),
            (Outcome::CallerHangup, LeadStatus::Retry, 14_400, 1),
            (Outcome::NoMedia, LeadStatus::Retry, 3_600, 1),
            (Outcome::FalseAnswer, LeadStatus::Retry, 3_600, 1),
            (Outcome::Congestion, LeadStatus::Retry, 300, 0),
            (Outcome::Cancelled, LeadStatus::Retry, 1_800, 1),
            (Outcome::NotSent, LeadStatus::New, 0, 0),
            (Outcome::Invalid, LeadStatus::Done, 0, 1),
            (Outcome::Rejected, LeadStatus::Retry, 86_400, 1),
            (Outcome::Blocked, LeadStatus::Retry, 86_400, 0),
            (Outcome::Unwanted, LeadStatus::Suppressed, 0, 1),
            (Outcome::PromptPlayed, LeadStatus::Done, 0, 1),
            (Outcome::OptedOut, LeadStatus::Suppressed, 0, 1),
            (Outcome::TrunkFault, LeadStatus::Retry, 3_600, 0),
            (Outcome::Connected, LeadStatus::Done, 0, 1),
        ];
        for (outcome, status, delay_s, attempts) in rows {
            // In the night: in the morning it is another part of the day anyhow.
            let mut lead = lead(1);
            lead.time_zone = "UTC".into();
            let change = ended(&settings, &lead, outcome, 1_000);
            assert_eq!((change.status, change.attempts), (status, attempts), "{outcome:?}");
            assert_eq!(change.next_unix_ms, 1_000 + delay_s * 1_000, "{outcome:?}");
        }
    }

    #[test]
    fn busy_three_times_and_never_more_than_the_attempts() {
        let settings = CampaignSettings { max_attempts: 5, ..CampaignSettings::default() };
        let mut lead = lead(1);
        for (turn, status) in [LeadStatus::Retry, LeadStatus::Retry, LeadStatus::Done].into_iter().enumerate()
        {
            assert_eq!(ended(&settings, &lead, Outcome::Busy, 0).status, status, "turn {turn}");
            lead = and(&lead, Outcome::Busy);
        }
        let lead = and(&lead, Outcome::NoAnswer);
        assert_eq!((lead.attempts, lead.repeats), (4, 1));
        assert_eq!(ended(&settings, &lead, Outcome::Congestion, 0).status, LeadStatus::Retry);
        assert_eq!(ended(&settings, &lead, Outcome::NoAnswer, 0).status, LeadStatus::Done);
    }

    #[test]
    fn a_campaign_s_rule_and_a_callback_win() {
        let mut settings = CampaignSettings::default();
        settings.retry.insert(Outcome::NoAnswer, RetryRule::after(60, 9));
        assert_eq!(ended(&settings, &lead(1), Outcome::NoAnswer, 0).next_unix_ms, 60_000);
        let tally = Tally::of(&lead(1)).and(Outcome::Connected);
        let retry = |callback| after_disposition(&settings, tally, FollowUp::Retry, callback, 0);
        assert_eq!((retry(None).next_unix_ms, retry(None).status), (86_400_000, LeadStatus::Retry));
        let callback = Callback { agent: Some(crate::AgentId(7)), due_unix_ms: 5_000 };
        let change = retry(Some(callback));
        assert_eq!((change.next_unix_ms, change.callback), (5_000, Some(callback)));
        assert_eq!(crash_retry_unix_ms(&settings, 0), 10_800_000);

        // Not reached: the promise stands until it is kept, or the attempts are used up.
        let mut promised = and(&lead(1), Outcome::Connected);
        promised.callback = Some(callback);
        assert_eq!(ended(&settings, &promised, Outcome::NoAnswer, 0).callback, Some(callback));
        assert_eq!(ended(&settings, &promised, Outcome::Connected, 0).callback, None);
        promised.attempts = 5;
        assert_eq!(ended(&settings, &promised, Outcome::NoAnswer, 0).callback, None);
    }

    #[test]
    fn another_part_of_the_lead_s_day() {
        let settings = CampaignSettings::default();
        let at = |unix_ms| ended(&settings, &lead(1), Outcome::NoAnswer, unix_ms).next_unix_ms;
        let hour = 3_600_000;
        assert_eq!(
            at(NOON - 2 * hour),
            NOON + hour,
            "from the morning into the afternoon by the delay alone"
        );
        assert_eq!(at(NOON), NOON + 5 * hour, "from the afternoon to 17:00");
        assert_eq!(at(NOON + 6 * hour), NOON + 12 * hour, "from the evening to the next day");
        let mut nowhere = lead(1);
        nowhere.time_zone = "Mars/Base".into();
        assert_eq!(ended(&settings, &nowhere, Outcome::NoAnswer, NOON).next_unix_ms, NOON + 3 * hour);
    }

    #[test]
    fn a_lead_of_two_phones_is_done_when_both_are() {
        let settings = CampaignSettings::default();
        let mut two = lead(1);
        two.phones = vec![phone(&two.phone), phone("+12025550999")];
        let change = ended(&settings, &two, Outcome::Invalid, NOON);
        assert_eq!((change.status, change.next_unix_ms), (LeadStatus::Retry, NOON + 60_000));
        assert_eq!(change.phone.as_ref().unwrap().next.as_str(), "+12025550999");
        assert_eq!(change.phone.unwrap().status, Some(crate::PhoneStatus::Invalid));
        two.phones[0].status = crate::PhoneStatus::Invalid;
        two.phone = two.phones[1].phone.clone();
        assert_eq!(ended(&settings, &two, Outcome::Invalid, NOON).status, LeadStatus::Done);

        // Three times busy at each, in turns.
        two.phones[0].status = crate::PhoneStatus::Ok;
        two.phone = two.phones[0].phone.clone();
        let mut dialed = 0;
        loop {
            dialed += 1;
            let change =
                ended(&CampaignSettings { max_attempts: 50, ..settings.clone() }, &two, Outcome::Busy, NOON);
            two = and(&two, Outcome::Busy);
            two.phone = change.phone.unwrap().next;
            if change.status == LeadStatus::Done {
                break;
            }
        }
        assert_eq!(dialed, 6);
    }
}
