//! The abandonment ledger of a campaign: calls that a person answered, and those of them that were abandoned (or
//! bridged later than the grace), over the regulator's period, rolling, to the minute of the answer.
//!
//! Thirty days are kept whatever the period is, so that another profile's period can be looked at at once. A start reads
//! the same minutes from the store that were counted here: a restart changes no sum.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Minutes that are kept: the longest period, 30 days (16 CFR 310.4(b)(4)(i)).
pub(crate) const KEPT_MIN: i64 = 30 * 24 * 60;
const MINUTE_MS: i64 = 60_000;

/// The calls of a minute that a person answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMinute {
    /// Minutes since 1970.
    pub minute: i64,
    /// Calls that a person answered in it.
    pub answered: u32,
    /// Of these, abandoned.
    pub abandoned: u32,
}

/// Counts by minute; a minute leaves the sums once all of it is older than the period.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    minutes: VecDeque<LedgerMinute>,
    period_min: i64,
    /// The newest minute that was seen: what is in the sums depends on it.
    now_min: i64,
    answered: u64,
    abandoned: u64,
}

/// What was entered for a call, so that it can be taken out again should it turn out to be nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    minute: i64,
    pub(crate) abandoned: bool,
}

impl Ledger {
    pub(crate) fn new(period_min: i64) -> Ledger {
        Ledger { minutes: VecDeque::new(), period_min, now_min: i64::MIN, answered: 0, abandoned: 0 }
    }

    /// What the store knew at start.
    pub(crate) fn restored(period_min: i64, unix_ms: i64, mut minutes: Vec<LedgerMinute>) -> Ledger {
        minutes.sort_unstable_by_key(|minute| minute.minute);
        let mut ledger = Ledger { minutes: minutes.into(), ..Ledger::new(period_min) };
        ledger.now_min = minute_of(unix_ms);
        ledger.recount();
        ledger
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// The campaign goes by another profile.
    pub(crate) fn set_period(&mut self, period_min: i64) {
        if period_min != self.period_min {
            self.period_min = period_min;
            self.recount();
        }
    }

    /// A person answered at that time.
    pub(crate) fn enter(&mut self, unix_ms: i64, abandoned: bool) -> Entry {
        let minute = minute_of(unix_ms);
        let place = self.minutes.partition_point(|known| known.minute < minute);
        if self.minutes.get(place).is_none_or(|known| known.minute != minute) {
            // In order even when the wall clock steps back.
            self.minutes.insert(place, LedgerMinute { minute, ..LedgerMinute::default() });
        }
        if let Some(known) = self.minutes.get_mut(place) {
            known.answered = known.answered.saturating_add(1);
            known.abandoned = known.abandoned.saturating_add(u32::from(abandoned));
        }
        if self.counts(minute) {
            self.answered += 1;
            self.abandoned += u64::from(abandoned);
        }
        Entry { minute, abandoned }
    }

    /// It was nobody after all (no audio at all, or gone within a second).
    pub(crate) fn strike(&mut self, entry: Entry) {
        let counts = self.counts(entry.minute);
        // A minute that was forgotten is out of the sums too.
        let Some(known) = self.minutes.iter_mut().rev().find(|known| known.minute == entry.minute) else {
            return;
        };
        let (answered, abandoned) = (known.answered.min(1), known.abandoned.min(u32::from(entry.abandoned)));
        known.answered -= answered;
        known.abandoned -= abandoned;
        if counts {
            self.answered = self.answered.saturating_sub(u64::from(answered));
            self.abandoned = self.abandoned.saturating_sub(u64::from(abandoned));
        }
    }

    /// Minutes that have left the period leave the sums. A clock that was put back brings them in again.
    pub(crate) fn roll(&mut self, unix_ms: i64) {
        let now_min = minute_of(unix_ms);
        if now_min == self.now_min {
            return;
        }
        self.now_min = now_min;
        let oldest = now_min.saturating_sub(KEPT_MIN);
        while self.minutes.front().is_some_and(|first| first.minute < oldest) {
            self.minutes.pop_front();
        }
        self.recount();
    }

    /// Whether a minute is in the period: some of it is no older than that.
    fn counts(&self, minute: i64) -> bool {
        minute >= self.now_min.saturating_sub(self.period_min)
    }

    fn recount(&mut self) {
        let first = self.now_min.saturating_sub(self.period_min);
        let from = self.minutes.partition_point(|known| known.minute < first);
        (self.answered, self.abandoned) = (0, 0);
        for known in self.minutes.range(from..) {
            self.answered += u64::from(known.answered);
            self.abandoned += u64::from(known.abandoned);
        }
    }
}

fn minute_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MIN: i64 = 24 * 60;

    fn minute(minute: i64, answered: u32, abandoned: u32) -> LedgerMinute {
        LedgerMinute { minute, answered, abandoned }
    }

    #[test]
    fn rolls_over_its_period_and_strikes_out() {
        let mut ledger = Ledger::restored(DAY_MIN, MINUTE_MS, vec![minute(1, 100, 2)]);
        let first = ledger.enter(2 * MINUTE_MS, true);
        ledger.enter(3 * MINUTE_MS + 1, false);
        assert_eq!((ledger.answered(), ledger.abandoned()), (102, 3));
        ledger.roll((1 + DAY_MIN) * MINUTE_MS + 59_999);
        assert_eq!(ledger.answered(), 102, "some of the minute is not a day old");
        ledger.roll((2 + DAY_MIN) * MINUTE_MS);
        assert_eq!((ledger.answered(), ledger.abandoned()), (2, 1));
        ledger.strike(first);
        assert_eq!((ledger.answered(), ledger.abandoned()), (1, 0));
        ledger.set_period(30 * DAY_MIN);
        assert_eq!((ledger.answered(), ledger.abandoned()), (101, 2));
        ledger.roll((KEPT_MIN + 9) * MINUTE_MS);
        ledger.strike(first); // gone already: no change, no underflow
        assert_eq!((ledger.answered(), ledger.abandoned()), (0, 0));
    }

    #[test]
    fn a_restart_changes_no_sum() {
        let mut running = Ledger::new(DAY_MIN);
        let mut stored: Vec<LedgerMinute> = Vec::new();
        for call in 0..500_i64 {
            let at = call * 7 * MINUTE_MS + call * 331;
            running.roll(at);
            let abandoned = call % 9 == 0;
            running.enter(at, abandoned);
            match stored.last_mut().filter(|last| last.minute == at / MINUTE_MS) {
                Some(last) => last.answered += 1,
                None => stored.push(minute(at / MINUTE_MS, 1, u32::from(abandoned))),
            }
            let again = Ledger::restored(DAY_MIN, at, stored.clone());
            assert_eq!((again.answered(), again.abandoned()), (running.answered(), running.abandoned()));
        }
    }

    #[test]
    fn a_clock_that_steps_back_keeps_the_sums() {
        let mut ledger = Ledger::new(DAY_MIN);
        for minute in [100, 99, 100] {
            ledger.roll(minute * MINUTE_MS);
            ledger.enter(minute * MINUTE_MS, minute == 99);
        }
        assert_eq!((ledger.answered(), ledger.abandoned()), (3, 1));
        ledger.roll((100 + DAY_MIN) * MINUTE_MS);
        assert_eq!((ledger.answered(), ledger.abandoned()), (2, 0));
        ledger.roll(100 * MINUTE_MS);
        assert_eq!((ledger.answered(), ledger.abandoned()), (3, 1));
    }
}
