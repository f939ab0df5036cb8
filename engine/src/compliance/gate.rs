//! The gate: whether a lead may be called now, and if not by which rule, and when it may be.
//!
//! It runs at thousands a second: a lead that may be called allocates nothing.

use std::collections::BTreeMap;

use super::NationalCopy;
use super::law::{Ready, There};
use super::profile::RecordingConsent;
use super::recent::{Past, union};
use crate::lead::hours::{Door, Zones};
use crate::lead::place::{Place, of_lead, zones_beside};
use crate::{ConsentKind, Lead, Mode};

/// Why a lead is not dialed now, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) rule: &'static str,
    /// Not before this time; none: not at all.
    pub(crate) next_unix_ms: Option<i64>,
}

const DAY_MS: i64 = 24 * 3_600_000;
/// What only a person can mend (a place, a consent, a list that is too old) is looked at again after this.
const AGAIN_MS: i64 = DAY_MS;
/// A list may be imported at any time.
const LIST_AGAIN_MS: i64 = 3_600_000;

/// What is looked at beside the lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) unix_ms: i64,
    pub(crate) mode: Mode,
    /// Attempts to its number since it was read.
    pub(crate) since: &'a [Past],
    /// Copies of national lists, by country.
    pub(crate) national: &'a BTreeMap<String, NationalCopy>,
}

/// The first rule that forbids the call, and when it could pass; none: the call may be made.
pub(crate) fn look(law: &Ready, zones: &mut Zones, lead: &Lead, look: Look<'_>) -> Option<Refusal> {
    let places = of_lead(lead);
    if places.first.is_none() || places.iter().any(|place| !is_covered(law, place)) {
        return Some(Refusal { rule: "place", next_unix_ms: Some(look.unix_ms + AGAIN_MS) });
    }
    for place in places.iter() {
        let there = law.there(place.state);
        if let Some(refusal) = agreed(there, place, lead, &look) {
            return Some(refusal);
        }
    }
    if let Some(refusal) = hours(law, zones, lead, look.unix_ms) {
        return Some(refusal);
    }
    for place in places.iter() {
        if let Some(refusal) = redial(law.there(place.state), lead, &look) {
            return Some(refusal);
        }
    }
    None
}

/// Whether the law's hours are open for a lead.
pub(crate) fn is_open(law: &Ready, zones: &mut Zones, lead: &Lead, unix_ms: i64) -> bool {
    hours(law, zones, lead, unix_ms).is_none()
}

/// Who must know of a recording of a call with that lead.
pub(crate) fn recording(law: &Ready, lead: &Lead) -> RecordingConsent {
    of_lead(lead)
        .iter()
        .map(|place| law.there(place.state).recording)
        .max()
        .unwrap_or(RecordingConsent::AllParties)
}

/// Under which rules an attempt is made, for its record: `us 2026-11-01 US-GA US-FL America/New_York written`. With the day
/// of the national list's copy (`national:1798761600000`) where that had to be asked.
pub(crate) fn evidence(law: &Ready, lead: &Lead, national: &BTreeMap<String, NationalCopy>) -> String {
    let mut text = format!("{} {}", law.profile.name, law.profile.reviewed);
    for Place { country, state } in of_lead(lead).iter() {
        text.push(' ');
        text.push_str(country);
        if !state.is_empty() {
            text.push('-');
            text.push_str(state);
        }
        let copy = national.get(country).filter(|_| asks_list(law.there(state), lead));
        if let Some(copy) = copy {
            text.push_str(&format!(" national:{}", copy.as_of_unix_ms));
        }
    }
    text.push(' ');
    text.push_str(&lead.time_zone);
    text.push(' ');
    text.push_str(lead.consent.kind.as_str());
    text
}

fn is_covered(law: &Ready, place: Place<'_>) -> bool {
    law.covers(place.country) && (!law.profile.states_needed || !place.state.is_empty())
}

/// What the person agreed to, and what the national list says of them.
fn agreed(there: &There, place: Place<'_>, lead: &Lead, look: &Look<'_>) -> Option<Refusal> {
    if lead.consent.kind < there.consent(look.mode) {
        return Some(Refusal { rule: "consent", next_unix_ms: Some(look.unix_ms + AGAIN_MS) });
    }
    let rule = there.national.as_ref().filter(|_| asks_list(there, lead))?;
    let age = look.national.get(place.country).map(|copy| look.unix_ms.saturating_sub(copy.as_of_unix_ms));
    if age.is_none_or(|age| age > i64::from(rule.most_age_days) * DAY_MS) {
        return Some(Refusal { rule: "national_list_age", next_unix_ms: Some(look.unix_ms + LIST_AGAIN_MS) });
    }
    lead.on_national_list
        .then_some(Refusal { rule: "national_list", next_unix_ms: Some(look.unix_ms + AGAIN_MS) })
}

/// Whether the national list must be asked of a lead: there is one, and no consent that goes before it.
fn asks_list(there: &There, lead: &Lead) -> bool {
    there
        .national
        .as_ref()
        .is_some_and(|rule| rule.exempt == ConsentKind::None || lead.consent.kind < rule.exempt)
}

/// The hours of every place the lead may live in, in every zone it may live in.
fn hours(law: &Ready, zones: &mut Zones, lead: &Lead, unix_ms: i64) -> Option<Refusal> {
    let places = of_lead(lead);
    let mut check = |zone: &str| {
        places.iter().find_map(|place| {
            let there = law.there(place.state);
            let closed = |date| there.closed_on_holidays && law.is_holiday(date, place.state);
            let (rule, next_unix_ms) = match zones.door_of(&there.hours, closed, zone, unix_ms) {
                Door::Open => return None,
                Door::OpensAt(next) => ("legal_hours", Some(next)),
                Door::NeverOpens => ("legal_hours", Some(unix_ms + AGAIN_MS)),
                Door::UnknownZone => ("time_zone", None),
            };
            Some(Refusal { rule, next_unix_ms })
        })
    };
    check(&lead.time_zone).or_else(|| zones_beside(lead).find_map(check))
}

/// How often the number was called, and whether somebody was abandoned there.
fn redial(there: &There, lead: &Lead, look: &Look<'_>) -> Option<Refusal> {
    if lead.recent.is_empty() && look.since.is_empty() {
        return None;
    }
    let all = || union(&lead.recent, look.since);
    if let Some((most, window_ms)) = there.attempts {
        let within = |past: &&Past| past.at_unix_ms > look.unix_ms.saturating_sub(window_ms);
        let mut times: Vec<i64> = all().filter(within).map(|past| past.at_unix_ms).collect();
        let over = times.len().saturating_add(1).saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
        if over > 0 {
            times.sort_unstable();
            // Once so many of the oldest have left the window.
            let next = times.get(over - 1).map(|at| at.saturating_add(window_ms));
            return Some(Refusal { rule: "number_attempts", next_unix_ms: next });
        }
    }
    let (lock_ms, unless_agent) = there.lock_out?;
    if unless_agent && matches!(look.mode, Mode::Manual | Mode::Preview) {
        return None;
    }
    let until = all().filter_map(|past| past.abandoned_unix_ms).max()?.saturating_add(lock_ms);
    (look.unix_ms < until).then_some(Refusal { rule: "abandoned", next_unix_ms: Some(until) })
}

#[cfg(test)]
mod tests {
    use super::super::law::Law;
    use super::*;
    use crate::{AttemptId, Consent, Pii};

    const HOUR_MS: i64 = 3_600_000;

    fn unix(zoned: &str) -> i64 {
        zoned.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond()
    }

    fn lead(phone: &str, zone: &str, kind: ConsentKind) -> Lead {
        Lead {
            phone: Pii(phone.into()),
            time_zone: zone.into(),
            consent: Consent { kind, ..Consent::default() },
            ..crate::testing::lead(1)
        }
    }

    fn rule(profile: &str, lead: &Lead, at: &str) -> Option<(&'static str, Option<i64>)> {
        rule_of(profile, lead, unix(at), Mode::Predictive, &[])
    }

    fn rule_of(
        profile: &str,
        lead: &Lead,
        unix_ms: i64,
        mode: Mode,
        since: &[Past],
    ) -> Option<(&'static str, Option<i64>)> {
        let law = Law::default();
        let look_ = Look { unix_ms, mode, since, national: &BTreeMap::new() };
        let found = look(law.named(profile).unwrap(), &mut Zones::default(), lead, look_);
        found.map(|refusal| (refusal.rule, refusal.next_unix_ms))
    }

    #[test]
    fn florida_closes_at_eight_and_georgia_at_nine() {
        let florida = lead("+13055550100", "America/New_York", ConsentKind::Written);
        let georgia = lead("+14045550100", "America/New_York", ConsentKind::Written);
        let evening = "2026-11-18T20:00:00[America/New_York]";
        let morning = Some(unix("2026-11-19T08:00:00[America/New_York]"));
        assert_eq!(rule("us", &florida, evening), Some(("legal_hours", morning)));
        assert_eq!(rule("us", &georgia, evening), None);
        assert_eq!(rule("us", &florida, "2026-11-18T19:59:59[America/New_York]"), None);
        // An address in Georgia and a number of Florida: both hold, in the zones of both.
        let moved = Lead { country: "US".into(), state: "GA".into(), ..florida.clone() };
        assert_eq!(rule("us", &moved, evening).unwrap().0, "legal_hours");
        let west = Lead { country: "US".into(), state: "CA".into(), ..georgia };
        assert_eq!(rule("us", &west, "2026-11-18T10:00:00[America/New_York]").unwrap().0, "legal_hours");
        assert_eq!(rule("us", &west, "2026-11-18T11:00:00[America/New_York]"), None);
    }

    #[test]
    fn a_place_that_is_not_known_or_not_covered() {
        let at = "2026-11-18T12:00:00[America/New_York]";
        for phone in ["+18005550100", "+14165550100", "+420777123456"] {
            let lead = lead(phone, "America/New_York", ConsentKind::Written);
            assert_eq!(rule("us", &lead, at).unwrap().0, "place", "{phone}");
        }
        let mut toll_free = lead("+18005550100", "America/New_York", ConsentKind::Written);
        toll_free.country = "US".into();
        assert_eq!(rule("us", &toll_free, at).unwrap().0, "place", "the state is not known");
        toll_free.state = "GA".into();
        assert_eq!(rule("us", &toll_free, at), None);
    }

    #[test]
    fn holidays_and_sundays() {
        let louisiana = lead("+15045550100", "America/Chicago", ConsentKind::Written);
        let next = Some(unix("2026-11-27T08:00:00[America/Chicago]"));
        assert_eq!(
            rule("us", &louisiana, "2026-11-26T12:00:00[America/Chicago]"),
            Some(("legal_hours", next))
        );
        let monday = Some(unix("2026-11-23T08:00:00[America/Chicago]"));
        assert_eq!(
            rule("us", &louisiana, "2026-11-21T20:30:00[America/Chicago]"),
            Some(("legal_hours", monday))
        );
        // Good Friday to Easter Monday: the region is not known, and some have that Monday too.
        let spain = lead("+34911234567", "Europe/Madrid", ConsentKind::Express);
        let tuesday = Some(unix("2026-04-07T09:00:00[Europe/Madrid]"));
        assert_eq!(rule("es", &spain, "2026-04-02T12:00:00[Europe/Madrid]"), Some(("legal_hours", tuesday)));
        let madrid = Lead { country: "ES".into(), state: "MD".into(), ..spain };
        assert_eq!(rule("es", &madrid, "2026-04-06T12:00:00[Europe/Madrid]"), None);
    }

    #[test]
    fn consent_by_what_calls() {
        let at = unix("2026-11-18T12:00:00[Europe/Prague]");
        let nobody = lead("+420777123456", "Europe/Prague", ConsentKind::None);
        let customer = lead("+420777123456", "Europe/Prague", ConsentKind::ExistingCustomer);
        let of = |lead: &Lead, mode| rule_of("cz", lead, at, mode, &[]).map(|found| found.0);
        assert_eq!(of(&nobody, Mode::Preview), Some("consent"));
        assert_eq!(of(&customer, Mode::Predictive), None);
        assert_eq!(of(&customer, Mode::Agentless), Some("consent"));
    }

    #[test]
    fn the_national_list_must_be_fresh_and_silent() {
        let law = Law::default();
        let us = law.named("us").unwrap();
        let at = unix("2026-11-18T12:00:00[America/New_York]");
        let mut national = BTreeMap::new();
        let mut of = |lead: &Lead, days: Option<i64>| {
            national.clear();
            if let Some(days) = days {
                let as_of_unix_ms = at - days * DAY_MS;
                let copy = NationalCopy {
                    country: "US".into(),
                    name: "x".into(),
                    as_of_unix_ms,
                    imported_unix_ms: 0,
                    numbers: 1,
                };
                national.insert("US".to_owned(), copy);
            }
            let look_ = Look { unix_ms: at, mode: Mode::Predictive, since: &[], national: &national };
            look(us, &mut Zones::default(), lead, look_).map(|refusal| refusal.rule)
        };
        let mut nobody = lead("+14045550100", "America/New_York", ConsentKind::None);
        assert_eq!(of(&nobody, None), Some("national_list_age"));
        assert_eq!(of(&nobody, Some(31)), None);
        assert_eq!(of(&nobody, Some(32)), Some("national_list_age"));
        nobody.on_national_list = true;
        assert_eq!(of(&nobody, Some(1)), Some("national_list"));
        nobody.consent.kind = ConsentKind::ExistingCustomer;
        assert_eq!(of(&nobody, None), None);
    }

    #[test]
    fn three_a_day_counted_over_what_was_read_and_what_came_since() {
        let at = unix("2026-11-18T12:00:00[America/New_York]");
        let past = |id, hours_ago: i64| Past {
            attempt: AttemptId(id),
            at_unix_ms: at - hours_ago * HOUR_MS,
            abandoned_unix_ms: None,
        };
        let mut florida = lead("+13055550100", "America/New_York", ConsentKind::Written);
        florida.recent = vec![past(1, 30), past(2, 20), past(3, 10)];
        let of = |lead: &Lead, since: &[Past]| rule_of("us", lead, at, Mode::Predictive, since);
        assert_eq!(of(&florida, &[past(3, 10)]), None, "the same attempt");
        let next = at - 20 * HOUR_MS + 24 * HOUR_MS;
        assert_eq!(of(&florida, &[past(4, 1)]), Some(("number_attempts", Some(next))));
        let next = at - 10 * HOUR_MS + 24 * HOUR_MS;
        assert_eq!(of(&florida, &[past(4, 1), past(5, 0)]), Some(("number_attempts", Some(next))));
        let georgia = Lead { phone: Pii("+14045550100".into()), ..florida };
        assert_eq!(of(&georgia, &[past(4, 1), past(5, 0)]), None);
    }

    #[test]
    fn an_abandoned_number_rests_for_seventy_two_hours() {
        let at = unix("2026-11-18T12:00:00[Europe/London]");
        let mut lead = lead("+442079460123", "Europe/London", ConsentKind::Express);
        let abandoned = at - 71 * HOUR_MS;
        lead.recent =
            vec![Past { attempt: AttemptId(1), at_unix_ms: abandoned, abandoned_unix_ms: Some(abandoned) }];
        let of = |mode, at| rule_of("uk", &lead, at, mode, &[]);
        let until = abandoned + 72 * HOUR_MS;
        assert_eq!(of(Mode::Predictive, at), Some(("abandoned", Some(until))));
        assert_eq!(of(Mode::Preview, at), None, "an agent is there");
        assert_eq!(of(Mode::Predictive, until), None);
    }
}
