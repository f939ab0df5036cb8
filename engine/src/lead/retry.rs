//! What becomes of a lead after an attempt: dialed again, and when, or done.

use serde::{Deserialize, Serialize};

use crate::{CampaignSettings, FollowUp, Lead, LeadChange, LeadId, LeadStatus, Outcome, RetryRule};

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
    Some(RetryRule { delay_s, most })
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
}

impl Tally {
    pub(crate) fn of(lead: &Lead) -> Tally {
        Tally {
            lead: lead.id,
            attempts: lead.attempts,
            last_outcome: lead.last_outcome,
            repeats: lead.repeats,
        }
    }

    /// The tally after an attempt with this outcome.
    pub(crate) fn and(self, outcome: Outcome) -> Tally {
        if outcome == Outcome::NotSent {
            return self; // it never happened
        }
        let repeats = if self.last_outcome == Some(outcome) { self.repeats.saturating_add(1) } else { 1 };
        let attempts = self.attempts.saturating_add(u32::from(outcome.counts()));
        Tally { attempts, last_outcome: Some(outcome), repeats, ..self }
    }

    pub(crate) fn change(self, status: LeadStatus, next_unix_ms: i64) -> LeadChange {
        LeadChange {
            lead: self.lead,
            status,
            next_unix_ms,
            attempts: self.attempts,
            last_outcome: self.last_outcome,
            repeats: self.repeats,
        }
    }

    /// As it was, dialable from then on.
    pub(crate) fn again(self, next_unix_ms: i64) -> LeadChange {
        let status = if self.last_outcome.is_none() { LeadStatus::New } else { LeadStatus::Retry };
        self.change(status, next_unix_ms)
    }
}

/// What an attempt's outcome does with its lead; `lead` is the tally before it.
pub(crate) fn after_outcome(
    settings: &CampaignSettings,
    lead: Tally,
    outcome: Outcome,
    unix_ms: i64,
) -> LeadChange {
    let tally = lead.and(outcome);
    if outcome == Outcome::NotSent {
        return tally.again(unix_ms);
    }
    if matches!(outcome, Outcome::Unwanted | Outcome::OptedOut) {
        return tally.change(LeadStatus::Suppressed, unix_ms);
    }
    // A connected call waits for its disposition, which may come later; nobody calls a served person on a guess.
    let rule = if outcome == Outcome::Connected { None } else { rule(settings, outcome) };
    match rule {
        Some(rule) if tally.attempts < settings.max_attempts && tally.repeats < rule.most => {
            tally.change(LeadStatus::Retry, after(unix_ms, rule.delay_s))
        }
        _ => tally.change(LeadStatus::Done, unix_ms),
    }
}

/// What a disposition does with its lead; `tally` includes the attempt.
pub(crate) fn after_disposition(
    settings: &CampaignSettings,
    tally: Tally,
    follow_up: FollowUp,
    callback_unix_ms: Option<i64>,
    unix_ms: i64,
) -> LeadChange {
    match follow_up {
        FollowUp::Done => tally.change(LeadStatus::Done, unix_ms),
        FollowUp::Suppress => tally.change(LeadStatus::Suppressed, unix_ms),
        FollowUp::Retry => {
            let rule = rule(settings, Outcome::Connected);
            let most = if callback_unix_ms.is_some() { NO_LIMIT } else { rule.map_or(0, |rule| rule.most) };
            if tally.attempts >= settings.max_attempts || tally.repeats >= most {
                return tally.change(LeadStatus::Done, unix_ms);
            }
            let delay = after(unix_ms, rule.map_or(24 * HOUR, |rule| rule.delay_s));
            tally.change(LeadStatus::Retry, callback_unix_ms.unwrap_or(delay))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Tally = Tally { lead: LeadId(1), attempts: 0, last_outcome: None, repeats: 0 };

    #[test]
    fn the_defaults_of_the_table() {
        let settings = CampaignSettings::default();
        let rows = [
            (Outcome::Busy, LeadStatus::Retry, 900, 1),
            (Outcome::NoAnswer, LeadStatus::Retry, 10_800, 1),
            (Outcome::Machine, LeadStatus::Retry, 14_400, 1),
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
            let change = after_outcome(&settings, FRESH, outcome, 1_000);
            assert_eq!((change.status, change.attempts), (status, attempts), "{outcome:?}");
            assert_eq!(change.next_unix_ms, 1_000 + delay_s * 1_000, "{outcome:?}");
        }
    }

    #[test]
    fn busy_three_times_and_never_more_than_the_attempts() {
        let settings = CampaignSettings { max_attempts: 5, ..CampaignSettings::default() };
        let mut tally = FRESH;
        for (turn, status) in [LeadStatus::Retry, LeadStatus::Retry, LeadStatus::Done].into_iter().enumerate()
        {
            let change = after_outcome(&settings, tally, Outcome::Busy, 0);
            assert_eq!(change.status, status, "turn {turn}");
            tally = tally.and(Outcome::Busy);
        }
        let tally = tally.and(Outcome::NoAnswer);
        assert_eq!((tally.attempts, tally.repeats), (4, 1));
        assert_eq!(after_outcome(&settings, tally, Outcome::Congestion, 0).status, LeadStatus::Retry);
        assert_eq!(after_outcome(&settings, tally, Outcome::NoAnswer, 0).status, LeadStatus::Done);
    }

    #[test]
    fn a_campaign_s_rule_and_a_callback_win() {
        let mut settings = CampaignSettings::default();
        settings.retry.insert(Outcome::NoAnswer, RetryRule { delay_s: 60, most: 9 });
        assert_eq!(after_outcome(&settings, FRESH, Outcome::NoAnswer, 0).next_unix_ms, 60_000);
        let tally = FRESH.and(Outcome::Connected);
        let retry = |callback| after_disposition(&settings, tally, FollowUp::Retry, callback, 0);
        assert_eq!((retry(None).next_unix_ms, retry(None).status), (86_400_000, LeadStatus::Retry));
        assert_eq!(retry(Some(5_000)).next_unix_ms, 5_000);
        assert_eq!(crash_retry_unix_ms(&settings, 0), 10_800_000);
    }
}
