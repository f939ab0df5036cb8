//! The abandonment ledger of a campaign: calls that a person answered, and those of them that were abandoned (or
//! bridged later than the grace), over the regulator's period.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Hours in the period: 30 days (16 CFR 310.4(b)(4)(i)).
const PERIOD_H: i64 = 30 * 24;
const HOUR_MS: i64 = 3_600_000;

/// Counts by hour; an hour leaves the sum 30 days after it began.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    hours: VecDeque<Hour>,
    answered: u64,
    abandoned: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Hour {
    hour: i64,
    answered: u64,
    abandoned: u64,
}

/// What was entered for a call, so that it can be taken out again should it turn out to be nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    hour: i64,
    pub(crate) abandoned: bool,
}

impl Ledger {
    /// The sums of the period that the store knew at start; they count from now.
    pub(crate) fn restored(unix_ms: i64, answered: u64, abandoned: u64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.add(unix_ms.div_euclid(HOUR_MS), answered, abandoned.min(answered));
        ledger
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// A person answered.
    pub(crate) fn enter(&mut self, unix_ms: i64, abandoned: bool) -> Entry {
        let hour = unix_ms.div_euclid(HOUR_MS);
        self.add(hour, 1, u64::from(abandoned));
        self.expire(hour);
        Entry { hour, abandoned }
    }

    /// It was nobody after all (no audio at all, or gone within a second).
    pub(crate) fn strike(&mut self, entry: Entry) {
        // An hour that is out of the period is out of the sums too.
        if let Some(hour) = self.hours.iter_mut().rev().find(|h| h.hour == entry.hour) {
            let abandoned = u64::from(entry.abandoned).min(hour.abandoned);
            let answered = hour.answered.min(1);
            hour.answered -= answered;
            hour.abandoned -= abandoned;
            self.answered = self.answered.saturating_sub(answered);
            self.abandoned = self.abandoned.saturating_sub(abandoned);
        }
    }

    /// Hours that have left the period are forgotten.
    pub(crate) fn roll(&mut self, unix_ms: i64) {
        self.expire(unix_ms.div_euclid(HOUR_MS));
    }

    fn add(&mut self, hour: i64, answered: u64, abandoned: u64) {
        self.answered += answered;
        self.abandoned += abandoned;
        match self.hours.iter_mut().rev().find(|h| h.hour == hour) {
            Some(found) => {
                found.answered += answered;
                found.abandoned += abandoned;
            }
            None => {
                // In order even when the wall clock steps back, so that the oldest stays in front.
                let at = self.hours.partition_point(|h| h.hour < hour);
                self.hours.insert(at, Hour { hour, answered, abandoned });
            }
        }
    }

    fn expire(&mut self, hour: i64) {
        while self.hours.front().is_some_and(|first| first.hour <= hour - PERIOD_H) {
            if let Some(gone) = self.hours.pop_front() {
                self.answered = self.answered.saturating_sub(gone.answered);
                self.abandoned = self.abandoned.saturating_sub(gone.abandoned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolls_over_thirty_days_and_strikes_out() {
        let mut ledger = Ledger::restored(0, 100, 2);
        let first = ledger.enter(HOUR_MS, true);
        ledger.enter(2 * HOUR_MS, false);
        assert_eq!((ledger.answered(), ledger.abandoned()), (102, 3));
        ledger.roll(PERIOD_H * HOUR_MS - 1);
        assert_eq!(ledger.answered(), 102);
        ledger.roll(PERIOD_H * HOUR_MS);
        assert_eq!((ledger.answered(), ledger.abandoned()), (2, 1));
        ledger.strike(first);
        assert_eq!((ledger.answered(), ledger.abandoned()), (1, 0));
        ledger.roll((PERIOD_H + 3) * HOUR_MS);
        ledger.strike(first); // gone already: no change, no underflow
        assert_eq!((ledger.answered(), ledger.abandoned()), (0, 0));
    }

    #[test]
    fn a_clock_that_steps_back_keeps_the_sums() {
        let mut ledger = Ledger::default();
        ledger.enter(100 * HOUR_MS, false);
        ledger.enter(99 * HOUR_MS, true);
        ledger.enter(100 * HOUR_MS, false);
        ledger.roll((99 + PERIOD_H) * HOUR_MS);
        assert_eq!((ledger.answered(), ledger.abandoned()), (2, 0));
    }
}
