//! The abandonment ledger of a campaign: calls that a person answered, and those of them that were abandoned (or
//! bridged later than the grace), over the regulator's period, rolling, to the minute of the answer. Calls that were taken
//! for machines count by an estimate of how many were people's.
//!
//! Thirty days are kept whatever the period is, so that another profile's period can be looked at at once. A start reads
//! the same minutes from the store that were counted here: a restart changes no sum.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::MachineChecks;
use crate::limits::CHECKS_LEAST;

/// Minutes that are kept: the longest period, 30 days (16 CFR 310.4(b)(4)(i)).
pub(crate) const KEPT_MIN: i64 = 30 * 24 * 60;
const MINUTE_MS: i64 = 60_000;

/// The calls of a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMinute {
    /// Minutes since 1970.
    pub minute: i64,
    /// How many were answered in it.
    pub counts: LedgerCounts,
}

/// Answered calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCounts {
    /// A person answered.
    pub answered: u32,
    /// Of these, abandoned.
    pub abandoned: u32,
    /// Taken for machines, and no agent had them.
    pub machines: u32,
    /// Taken for machines, and an agent said who it was.
    pub checked: u32,
    /// Of these, people.
    pub persons: u32,
}

/// Counts by minute; a minute leaves the sums once all of it is older than the period.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    minutes: VecDeque<LedgerMinute>,
    period_min: i64,
    /// The newest minute that was seen: what is in the sums depends on it.
    now_min: i64,
    sums: LedgerCounts,
}

/// What was entered for a call, so that it can be taken out again should it turn out to be nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    minute: i64,
    pub(crate) abandoned: bool,
}

impl Ledger {
    pub(crate) fn new(period_min: i64) -> Ledger {
        Ledger { minutes: VecDeque::new(), period_min, now_min: i64::MIN, sums: LedgerCounts::default() }
    }

    /// What the store knew at start.
    pub(crate) fn restored(period_min: i64, unix_ms: i64, mut minutes: Vec<LedgerMinute>) -> Ledger {
        minutes.sort_unstable_by_key(|minute| minute.minute);
        let mut ledger = Ledger { minutes: minutes.into(), ..Ledger::new(period_min) };
        ledger.now_min = minute_of(unix_ms);
        ledger.recount();
        ledger
    }

    /// People who answered, those included who were taken for machines by estimate.
    pub(crate) fn answered(&self) -> u64 {
        u64::from(self.sums.answered) + self.sums.estimated()
    }

    /// Of these, abandoned: so were those who were taken for machines.
    pub(crate) fn abandoned(&self) -> u64 {
        u64::from(self.sums.abandoned) + self.sums.estimated()
    }

    /// What is known of verdicts "machine".
    pub(crate) fn machines(&self) -> MachineChecks {
        self.sums.machines()
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
        let counts = LedgerCounts { answered: 1, abandoned: u32::from(abandoned), ..LedgerCounts::default() };
        Entry { minute: self.add(unix_ms, counts), abandoned }
    }

    /// A call that was answered at that time was taken for a machine's, and no agent had it.
    pub(crate) fn machine_ended(&mut self, unix_ms: i64) {
        self.add(unix_ms, LedgerCounts { machines: 1, ..LedgerCounts::default() });
    }

    /// An agent said who answered a call at that time that was taken for a machine's.
    pub(crate) fn checked(&mut self, unix_ms: i64, person: bool) {
        let counts = LedgerCounts { checked: 1, persons: u32::from(person), ..LedgerCounts::default() };
        self.add(unix_ms, counts);
    }

    fn add(&mut self, unix_ms: i64, more: LedgerCounts) -> i64 {
        let minute = minute_of(unix_ms);
        let place = self.minutes.partition_point(|known| known.minute < minute);
        if self.minutes.get(place).is_none_or(|known| known.minute != minute) {
            // In order even when the wall clock steps back.
            self.minutes.insert(place, LedgerMinute { minute, ..LedgerMinute::default() });
        }
        if let Some(known) = self.minutes.get_mut(place) {
            known.counts = known.counts.plus(more);
        }
        if self.counts(minute) {
            self.sums = self.sums.plus(more);
        }
        minute
    }

    /// It was nobody after all (no audio at all, or gone within a second).
    pub(crate) fn strike(&mut self, entry: Entry) {
        let counts = self.counts(entry.minute);
        // A minute that was forgotten is out of the sums too.
        let Some(known) = self.minutes.iter_mut().rev().find(|known| known.minute == entry.minute) else {
            return;
        };
        let less = (known.counts.answered.min(1), known.counts.abandoned.min(u32::from(entry.abandoned)));
        known.counts = known.counts.less(less);
        if counts {
            self.sums = self.sums.less(less);
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
        self.sums =
            self.minutes.range(from..).fold(LedgerCounts::default(), |sums, known| sums.plus(known.counts));
    }
}

impl LedgerCounts {
    fn plus(self, more: LedgerCounts) -> LedgerCounts {
        LedgerCounts {
            answered: self.answered.saturating_add(more.answered),
            abandoned: self.abandoned.saturating_add(more.abandoned),
            machines: self.machines.saturating_add(more.machines),
            checked: self.checked.saturating_add(more.checked),
            persons: self.persons.saturating_add(more.persons),
        }
    }

    fn less(self, (answered, abandoned): (u32, u32)) -> LedgerCounts {
        LedgerCounts {
            answered: self.answered.saturating_sub(answered),
            abandoned: self.abandoned.saturating_sub(abandoned),
            ..self
        }
    }

    /// People among the calls that ended as machines, by the share that agents found; rounded up. Nothing is estimated
    /// from a handful of checks.
    fn estimated(self) -> u64 {
        let (machines, persons) = (u64::from(self.machines), u64::from(self.persons));
        if u64::from(self.checked) < CHECKS_LEAST {
            0
        } else {
            (machines * persons).div_ceil(u64::from(self.checked))
        }
    }

    fn machines(self) -> MachineChecks {
        let known = self.checked > 0;
        let (checked, persons) = (u64::from(self.checked), u64::from(self.persons));
        let (least, most) = interval(persons, checked);
        MachineChecks {
            ended: self.machines.into(),
            checked,
            persons,
            share: known.then(|| persons as f64 / checked as f64),
            share_least: known.then_some(least),
            share_most: known.then_some(most),
            estimated: self.estimated(),
        }
    }
}

fn minute_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(MINUTE_MS)
}

/// Wilson's interval of a share, with 95 % certainty: it holds for few checks and for shares near 0, too.
fn interval(found: u64, of: u64) -> (f64, f64) {
    const Z: f64 = 1.96;
    let n = of.max(1) as f64;
    let share = found as f64 / n;
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MIN: i64 = 24 * 60;

    fn minute(minute: i64, answered: u32, abandoned: u32) -> LedgerMinute {
        LedgerMinute { minute, counts: LedgerCounts { answered, abandoned, ..LedgerCounts::default() } }
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
    fn people_taken_for_machines_are_estimated_from_checks() {
        let mut ledger = Ledger::restored(KEPT_MIN, 0, vec![minute(0, 100, 2)]);
        (0..900).for_each(|_| ledger.machine_ended(MINUTE_MS));
        (1..CHECKS_LEAST).for_each(|n| ledger.checked(MINUTE_MS, n == 5));
        assert_eq!((ledger.answered(), ledger.abandoned()), (100, 2), "too few checks");
        ledger.checked(MINUTE_MS, false);
        // One of 20: 45 of 900.
        assert_eq!((ledger.answered(), ledger.abandoned()), (145, 47));
        let view = ledger.machines();
        assert_eq!((view.ended, view.checked, view.persons, view.estimated), (900, 20, 1, 45));
        let (least, most) = (view.share_least.unwrap(), view.share_most.unwrap());
        assert!((0.008..0.010).contains(&least) && (0.23..0.25).contains(&most), "{least} {most}");
        ledger.roll((KEPT_MIN + 2) * MINUTE_MS);
        assert_eq!((ledger.answered(), ledger.machines()), (0, MachineChecks::default()));
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
                Some(last) => last.counts.answered += 1,
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
