//! Shocks: a floor that changes all at once, what it costs, and how long until agents are as busy as the new floor
//! allows.

use std::time::Duration;

use serde::Serialize;

use super::{Change, Floor, SimConfig, Slice, run};

/// Two hours to learn the floor as it was, then the shock.
const AT: Duration = Duration::from_secs(7200);
/// How long before it a planned one is known.
const AHEAD: Duration = Duration::from_secs(1800);
/// Watched from the shock on: longer than the half hour whose abandoned calls count.
const WATCHED: Duration = Duration::from_secs(2400);
/// Simulated apart, to know what the new floor gives in the long run; its first two hours are left out.
const LONG_RUN: Duration = Duration::from_secs(6 * 3600);
/// How long "within a minute" takes, in parts of ten seconds.
const MINUTE: u32 = 6;
/// How far below the long run counts as recovered.
const NEAR: f64 = 0.03;
/// Slices of a minute, of the ten minutes after the shock, of half an hour.
const ONE: usize = 6;
const TEN: usize = 10 * ONE;
const THIRTY: usize = 30 * ONE;

/// A floor, what happens to it, and what it is afterwards.
#[derive(Clone, Debug)]
pub struct Shock {
    /// One of [`Shock::NAMES`].
    pub name: &'static str,
    floor: Floor,
    agents: u32,
    /// What changes, and how long after the shock's begin.
    changes: Vec<(Duration, Change)>,
    /// What is known half an hour before.
    ahead: Option<Change>,
    after: Floor,
    agents_after: u32,
    cps_after: u32,
}

impl Shock {
    /// All there are.
    pub const NAMES: [&'static str; 12] = [
        "answers_halve",
        "answers_double",
        "agents_leave",
        "agents_double",
        "detection_errs",
        "carrier_slows",
        "cps_capped",
        "talk_doubles",
        "talk_halves",
        "sockets_drop",
        "shift_ends",
        "shift_ends_unplanned",
    ];

    /// The shock of that name on a floor with so many agents; none when there is no such shock.
    pub fn named(name: &str, agents: u32) -> Option<Shock> {
        let name = Shock::NAMES.into_iter().find(|n| *n == name)?;
        let floor = Floor::named(if name == "cps_capped" { "f3" } else { "f1" })?;
        let shock = Shock {
            name,
            changes: Vec::new(),
            ahead: None,
            after: floor.clone(),
            agents,
            agents_after: agents,
            cps_after: 0,
            floor,
        };
        let (talk, wrap_up) = (shock.floor.talk, shock.floor.wrap_up);
        let longer = |factor: f64| super::Lasting { mean_s: talk.mean_s * factor, sd_s: talk.sd_s * factor };
        Some(match name {
            "answers_halve" => shock.answers(0.5),
            "answers_double" => shock.answers(2.0),
            // Back after five minutes: what is watched is their going and their coming.
            "agents_leave" => {
                shock.then(0, Change::Agents((agents / 2).max(1))).then(300, Change::Agents(agents))
            }
            // Half of the agents go home at once and stay there: at a planned time, and the same without the plan.
            "shift_ends" => {
                let stay = (agents / 2).max(1);
                let shock = shock.then(0, Change::Gone(stay)).ahead(Change::ShiftEnd(stay, AT));
                Shock { agents_after: stay, ..shock }
            }
            "shift_ends_unplanned" => {
                let stay = (agents / 2).max(1);
                Shock { agents_after: stay, ..shock }.then(0, Change::Agents(stay))
            }
            "agents_double" => {
                Shock { agents_after: agents * 2, ..shock }.then(0, Change::Agents(agents * 2))
            }
            "detection_errs" => {
                shock.turns(|floor| Floor { machine_missed: 0.2, person_missed: 0.1, ..floor })
            }
            "carrier_slows" => shock.turns(|floor| Floor { post_dial_delay_s: 6.0, ..floor }),
            "cps_capped" => {
                let calls = f64::from(agents) * 0.85 / (talk.mean_s + wrap_up.mean_s);
                // Whole calls a second is what a carrier sets; `as` saturates.
                let cps = (calls / shock.floor.person * 0.7).max(1.0) as u32;
                Shock { cps_after: cps, ..shock }.then(0, Change::Cps(cps))
            }
            "talk_doubles" => shock.turns(|floor| Floor { talk: longer(2.0), ..floor }),
            "talk_halves" => shock.turns(|floor| Floor { talk: longer(0.5), ..floor }),
            _ => shock.then(0, Change::Legs(false)).then(20, Change::Legs(true)),
        })
    }

    fn then(mut self, after_s: u64, change: Change) -> Shock {
        self.changes.push((Duration::from_secs(after_s), change));
        self
    }

    /// Something is made known half an hour before.
    fn ahead(mut self, change: Change) -> Shock {
        self.ahead = Some(change);
        self
    }

    /// The floor is another one at once.
    fn turns(mut self, how: impl Fn(Floor) -> Floor) -> Shock {
        self.after = how(self.after);
        let floor = Box::new(self.after.clone());
        self.then(0, Change::Floor(floor))
    }

    /// The share of persons is multiplied, step by step within a minute.
    fn answers(mut self, factor: f64) -> Shock {
        for step in 1..=MINUTE {
            let share = self.floor.person * factor.powf(f64::from(step) / f64::from(MINUTE));
            self.after.person = share;
            let after_s = u64::from(step - 1) * Slice::LASTS.as_secs();
            let floor = Box::new(self.after.clone());
            self = self.then(after_s, Change::Floor(floor));
        }
        self
    }

    /// Lives through it once.
    pub fn run(&self, cap: f64, pacer: &str, seed: u64) -> ShockRun {
        let config = SimConfig::new(self.floor.clone(), self.agents, AT + WATCHED, cap, pacer, seed);
        let ahead = self.ahead.iter().map(|change| (AT - AHEAD, change.clone()));
        let changes = self.changes.iter().map(|(after, change)| (AT + *after, change.clone()));
        let changes = ahead.chain(changes).collect();
        let lived = run(&SimConfig { changes, ..config });
        let config = SimConfig::new(self.after.clone(), self.agents_after, LONG_RUN, cap, pacer, seed);
        let long_run = run(&SimConfig { max_cps: self.cps_after, warm_up: AT, ..config });
        ShockRun { slices: lived.slices, long_run: long_run.occupancy }
    }

    /// From the shock's begin until nothing changes any more, in slices.
    fn lasts(&self) -> usize {
        let last = self.changes.iter().map(|(after, _)| *after).max().unwrap_or_default();
        slices(last)
    }

    /// What came of it, from the runs of some seeds.
    pub fn report(&self, cap: f64, runs: &[ShockRun]) -> ShockReport {
        let at = slices(AT);
        let after = runs.iter().map(|run| run.count(at, TEN));
        let bound = |answered: u64| (3.0 * cap * answered as f64).max(3.0);
        let worst = runs
            .iter()
            .flat_map(|run| (at - THIRTY..at + TEN).map(|from| run.count(from, THIRTY)))
            .max_by_key(|(answered, abandoned)| (*abandoned, std::cmp::Reverse(*answered)))
            .unwrap_or_default();
        let n = runs.len().max(1) as f64;
        let occupancy =
            |from: usize, len: usize| runs.iter().map(|run| run.occupancy(from, len)).sum::<f64>() / n;
        let long_run = runs.iter().map(|run| run.long_run).sum::<f64>() / n;
        let settled = at + self.lasts();
        let minutes: Vec<f64> = (0..TEN).map(|i| occupancy(settled + i, ONE)).collect();
        ShockReport {
            shock: self.name,
            agents: self.agents,
            seeds: runs.len(),
            answered: after.clone().map(|(answered, _)| answered as f64).sum::<f64>() / n,
            abandoned: after.clone().map(|(_, abandoned)| abandoned as f64).sum::<f64>() / n,
            over_bound: after.filter(|(answered, abandoned)| *abandoned as f64 > bound(*answered)).count(),
            worst_30min_answered: worst.0,
            worst_30min_abandoned: worst.1,
            occupancy_before: occupancy(at - THIRTY, THIRTY),
            occupancy_after: occupancy(settled, 2 * ONE),
            occupancy_long_run: long_run,
            recovery_s: recovery(&minutes, long_run - NEAR),
        }
    }
}

/// A shock as one seed lived through it.
#[derive(Clone, Debug)]
pub struct ShockRun {
    slices: Vec<Slice>,
    long_run: f64,
}

impl ShockRun {
    fn part(&self, from: usize, len: usize) -> impl Iterator<Item = &Slice> {
        self.slices.iter().skip(from).take(len)
    }

    /// Calls that a person answered, and of these, abandoned.
    fn count(&self, from: usize, len: usize) -> (u64, u64) {
        self.part(from, len).fold((0, 0), |(answered, abandoned), slice| {
            (answered + u64::from(slice.answered), abandoned + u64::from(slice.abandoned))
        })
    }

    fn occupancy(&self, from: usize, len: usize) -> f64 {
        self.part(from, len).map(|slice| slice.occupancy).sum::<f64>() / len as f64
    }
}

/// What a shock did. With one seed chance decides much of it; the mean of 40 or more shows the pacer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShockReport {
    /// Which.
    pub shock: &'static str,
    /// Agents before it.
    pub agents: u32,
    /// Of how many seeds the figures are the mean.
    pub seeds: usize,
    /// Calls that a person answered in the ten minutes from its begin.
    pub answered: f64,
    /// Of these, abandoned.
    pub abandoned: f64,
    /// Seeds in which more than max(3, 3 × cap × answered) of them were abandoned.
    pub over_bound: usize,
    /// The calls that a person answered in the worst half hour around it, of all seeds.
    pub worst_30min_answered: u64,
    /// Of these, abandoned.
    pub worst_30min_abandoned: u64,
    /// Occupancy in the half hour before.
    pub occupancy_before: f64,
    /// In the two minutes after its last change.
    pub occupancy_after: f64,
    /// What the floor as it is afterwards gives in the long run.
    pub occupancy_long_run: f64,
    /// From its last change until, past the lowest of the ten minutes that follow, a minute's occupancy is within 3
    /// points of the long run or above it; none: not in these ten minutes.
    pub recovery_s: Option<u64>,
}

/// When the lowest minute is over and the first one reaches `enough`.
fn recovery(minutes: &[f64], enough: f64) -> Option<u64> {
    let lowest = minutes.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?.0;
    if minutes.iter().all(|occupancy| *occupancy >= enough) {
        return Some(0);
    }
    let back = minutes.iter().skip(lowest).position(|occupancy| *occupancy >= enough)?;
    Some((lowest + back) as u64 * Slice::LASTS.as_secs())
}

fn slices(time: Duration) -> usize {
    // Hours in parts of ten seconds: far inside any integer.
    (time.as_secs() / Slice::LASTS.as_secs()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shock_has_a_name_and_changes_something() {
        for name in Shock::NAMES {
            let shock = Shock::named(name, 20).unwrap();
            assert!(!shock.changes.is_empty(), "{name}");
            assert!(shock.lasts() < TEN, "{name}");
        }
        assert!(Shock::named("earthquake", 20).is_none());
        let halved = Shock::named("answers_halve", 20).unwrap();
        assert!((halved.after.person - 0.085).abs() < 1e-9 && halved.changes.len() == 6);
    }

    #[test]
    fn recovery_counts_from_the_lowest_minute() {
        assert_eq!(recovery(&[0.9, 0.8, 0.6, 0.7, 0.86, 0.9], 0.85), Some(40));
        assert_eq!(recovery(&[0.9, 0.88], 0.85), Some(0));
        assert_eq!(recovery(&[0.9, 0.8, 0.6], 0.85), None);
    }

    #[test]
    fn the_ten_minutes_after_it_are_counted_and_compared_with_the_long_run() {
        let shock = Shock::named("talk_doubles", 5).unwrap();
        let quiet = Slice { occupancy: 0.8, answered: 2, abandoned: 0 };
        let mut slices = vec![quiet; slices(AT + WATCHED)];
        for slice in &mut slices[720..726] {
            *slice = Slice { occupancy: 0.5, answered: 2, abandoned: 1 };
        }
        let run = ShockRun { slices, long_run: 0.82 };
        let report = shock.report(0.03, &[run.clone(), run]);
        assert_eq!((report.answered, report.abandoned, report.over_bound), (120.0, 6.0, 0));
        assert_eq!((report.worst_30min_abandoned, report.worst_30min_answered), (6, 360));
        assert!((report.occupancy_after - 0.65).abs() < 1e-9 && report.recovery_s == Some(60), "{report:?}");
    }

    #[test]
    fn a_seed_repeats_a_shock() {
        let shock = Shock::named("agents_leave", 4).unwrap();
        let report = |seed| shock.report(0.03, &[shock.run(0.03, "progressive", seed)]);
        assert_eq!(report(1), report(1));
        assert_eq!(report(1).abandoned, 0.0);
    }
}
