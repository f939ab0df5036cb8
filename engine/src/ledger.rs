//! The abandonment ledger of a campaign: calls that a person answered, and those of them that were abandoned (or
//! bridged later than the grace), over the regulator's period.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::RestoredCampaign;
use crate::event::MachineChecks;
use crate::limits::CHECKS_LEAST;

/// Hours in the period: 30 days (16 CFR 310.4(b)(4)(i)).
const PERIOD_H: i64 = 30 * 24;
const HOUR_MS: i64 = 3_600_000;

/// Counts by hour; an hour leaves the sum 30 days after it began.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    hours: VecDeque<Hour>,
    answered: u64,
    abandoned: u64,
    machines: Machines,
}

/// Calls that were taken for machines.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Machines {
    /// No agent had them.
    ended: u64,
    /// An agent said who it was.
    checked: u64,
    /// It was a person.
    persons: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Hour {
    hour: i64,
    answered: u64,
    abandoned: u64,
    machines: Machines,
}

/// What was entered for a call, so that it can be taken out again should it turn out to be nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    hour: i64,
    pub(crate) abandoned: bool,
}

impl Ledger {
    /// The sums of the period that the store knew at start; they count from now.
    pub(crate) fn restored(unix_ms: i64, known: &RestoredCampaign) -> Ledger {
        let mut ledger = Ledger::default();
        let hour = unix_ms.div_euclid(HOUR_MS);
        ledger.add(hour, known.answered, known.abandoned.min(known.answered));
        let persons = known.persons.min(known.checked);
        ledger.add_machines(hour, Machines { ended: known.machines, checked: known.checked, persons });
        ledger
    }

    /// People who answered, those included who were taken for machines by estimate.
    pub(crate) fn answered(&self) -> u64 {
        self.answered + self.machines.estimated()
    }

    /// Of these, abandoned: so were those who were taken for machines.
    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned + self.machines.estimated()
    }

    /// What is known of verdicts "machine".
    pub(crate) fn machines(&self) -> MachineChecks {
        self.machines.view()
    }

    /// A call was taken for a machine's, and no agent had it.
    pub(crate) fn machine_ended(&mut self, unix_ms: i64) {
        self.machine(unix_ms, Machines { ended: 1, ..Machines::default() });
    }

    /// An agent said who answered a call that was taken for a machine's.
    pub(crate) fn checked(&mut self, unix_ms: i64, person: bool) {
        self.machine(unix_ms, Machines { checked: 1, persons: u64::from(person), ..Machines::default() });
    }

    fn machine(&mut self, unix_ms: i64, more: Machines) {
        let hour = unix_ms.div_euclid(HOUR_MS);
        self.add_machines(hour, more);
        self.expire(hour);
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
        if let Some(found) = self.hour(hour) {
            found.answered += answered;
            found.abandoned += abandoned;
        }
    }

    fn add_machines(&mut self, hour: i64, more: Machines) {
        self.machines = self.machines.plus(more);
        if let Some(found) = self.hour(hour) {
            found.machines = found.machines.plus(more);
        }
    }

    fn hour(&mut self, hour: i64) -> Option<&mut Hour> {
        // In order even when the wall clock steps back, so that the oldest stays in front.
        let at = self.hours.partition_point(|h| h.hour < hour);
        if self.hours.get(at).is_none_or(|found| found.hour != hour) {
            self.hours.insert(at, Hour { hour, answered: 0, abandoned: 0, machines: Machines::default() });
        }
        self.hours.get_mut(at)
    }

    fn expire(&mut self, hour: i64) {
        while self.hours.front().is_some_and(|first| first.hour <= hour - PERIOD_H) {
            if let Some(gone) = self.hours.pop_front() {
                self.answered = self.answered.saturating_sub(gone.answered);
                self.abandoned = self.abandoned.saturating_sub(gone.abandoned);
                self.machines = self.machines.minus(gone.machines);
            }
        }
    }
}

impl Machines {
    fn plus(self, more: Machines) -> Machines {
        Machines {
            ended: self.ended + more.ended,
            checked: self.checked + more.checked,
            persons: self.persons + more.persons,
        }
    }

    fn minus(self, less: Machines) -> Machines {
        Machines {
            ended: self.ended.saturating_sub(less.ended),
            checked: self.checked.saturating_sub(less.checked),
            persons: self.persons.saturating_sub(less.persons),
        }
    }

    /// People among the calls that ended as machines, by the share that agents found; rounded up. Nothing is estimated
    /// from a handful of checks.
    fn estimated(self) -> u64 {
        if self.checked < CHECKS_LEAST { 0 } else { (self.ended * self.persons).div_ceil(self.checked) }
    }

    fn view(self) -> MachineChecks {
        let known = self.checked > 0;
        let (least, most) = interval(self.persons, self.checked);
        MachineChecks {
            ended: self.ended,
            checked: self.checked,
            persons: self.persons,
            share: known.then(|| self.persons as f64 / self.checked as f64),
            share_least: known.then_some(least),
            share_most: known.then_some(most),
            estimated: self.estimated(),
        }
    }
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
    use crate::{Campaign, CampaignId, CampaignSettings, CampaignStatus};

    fn known(answered: u64, abandoned: u64) -> RestoredCampaign {
        let settings = CampaignSettings::default();
        let campaign = Campaign { id: CampaignId(1), status: CampaignStatus::Running, settings };
        RestoredCampaign { campaign, answered, abandoned, machines: 0, checked: 0, persons: 0 }
    }

    #[test]
    fn people_taken_for_machines_are_estimated_from_checks() {
        let mut ledger = Ledger::restored(0, &known(100, 2));
        (0..900).for_each(|_| ledger.machine_ended(HOUR_MS));
        (1..CHECKS_LEAST).for_each(|n| ledger.checked(HOUR_MS, n == 5));
        assert_eq!((ledger.answered(), ledger.abandoned()), (100, 2), "too few checks");
        ledger.checked(HOUR_MS, false);
        // One of 20: 45 of 900.
        assert_eq!((ledger.answered(), ledger.abandoned()), (145, 47));
        let view = ledger.machines();
        assert_eq!((view.ended, view.checked, view.persons, view.estimated), (900, 20, 1, 45));
        let (least, most) = (view.share_least.unwrap(), view.share_most.unwrap());
        assert!((0.008..0.010).contains(&least) && (0.23..0.25).contains(&most), "{least} {most}");
        ledger.roll((PERIOD_H + 1) * HOUR_MS);
        assert_eq!((ledger.answered(), ledger.machines()), (0, MachineChecks::default()));
    }

    #[test]
    fn rolls_over_thirty_days_and_strikes_out() {
        let mut ledger = Ledger::restored(0, &known(100, 2));
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
