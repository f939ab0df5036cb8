//! The engine itself in virtual time, on a simulated floor: callees, carrier, store and agents. Not a second model of
//! the dialer: every decision is taken by the code that dials in earnest. Hours run in seconds, and a seed repeats them.

mod agenda;
pub mod day;
mod desk;
pub mod faults;
mod floor;
mod lead;
mod line;
mod shock;
mod tally;
mod world;
pub mod year;

pub use floor::{Callee, Floor, FloorError, Lasting};
pub use shock::{Shock, ShockReport, ShockRun};

use std::time::Duration;

use kraliki_time::Time;
use serde::Serialize;

use crate::pacing::{Forced, Policy};
use crate::{Input, Truth};

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// How callees, carrier and agents behave.
    pub floor: Floor,
    /// Agents, all at work from start to end.
    pub agents: u32,
    /// How long.
    pub lasts: Duration,
    /// Left out of the report's figures, from the start: the time in which an empty floor fills and the pacer learns.
    pub warm_up: Duration,
    /// Abandoned calls allowed among the calls that a person answered.
    pub cap: f64,
    /// The policy, by a name that [`check_pacer`] knows.
    pub pacer: String,
    /// INVITEs a second that the campaign may send; 0: no limit.
    pub max_cps: u32,
    /// Of everything that happens by chance.
    pub seed: u64,
    /// What changes while it runs.
    pub changes: Vec<(Duration, Change)>,
}

/// A shock.
#[derive(Clone, Debug)]
pub enum Change {
    /// From now on the floor behaves like this; calls in progress are not changed.
    Floor(Box<Floor>),
    /// So many agents are at work from now on; those who go finish their call.
    Agents(u32),
    /// The shift of all but so many agents ends at this time from the start; nothing changes before. Those who stay are at
    /// work from then on.
    ShiftEnd(u32, Duration),
    /// So many agents are at work from now on: the shift of the others has just ended.
    Gone(u32),
    /// The connections of all agents are lost, or there again.
    Legs(bool),
    /// The campaign may send so many INVITEs a second from now on.
    Cps(u32),
}

/// A policy that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("no pacer is named {name:?}; there are {}", Policy::NAMES.join(", "))]
pub struct UnknownPacer {
    name: String,
}

/// Whether there is a policy of that name.
pub fn check_pacer(name: &str) -> Result<(), UnknownPacer> {
    let truth = Floor::named("f1").map(|floor| floor.truth());
    policy(name, truth).map(|_| ())
}

fn policy(name: &str, truth: Option<Truth>) -> Result<Policy, UnknownPacer> {
    let forced = Forced { name: name.into(), truth };
    Policy::named(&forced).ok_or(UnknownPacer { name: forced.name })
}

impl SimConfig {
    /// A run with the benchmark's warm-up (two hours, or a tenth of a run shorter than 20 hours) and no changes.
    pub fn new(floor: Floor, agents: u32, lasts: Duration, cap: f64, pacer: &str, seed: u64) -> Self {
        SimConfig {
            floor,
            agents,
            lasts,
            warm_up: Duration::from_secs(7200).min(lasts / 10),
            cap,
            pacer: pacer.into(),
            max_cps: 0,
            seed,
            changes: Vec::new(),
        }
    }
}

/// What came of it. Figures are of the time after the warm-up, but for the worst half hour, `bursts` and the worst week.
/// A machine that was taken for a person counts as an answer, as in the engine's own ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SimReport {
    /// (talk + wrap-up) / agents' time, 0 to 1.
    pub occupancy: f64,
    /// Minutes of talk in an agent's hour.
    pub talk_min_per_hour: f64,
    /// Abandoned / answered.
    pub abandonment: f64,
    /// Calls that a person answered and no agent took within the grace.
    pub abandoned: u64,
    /// Calls that a person answered.
    pub answered: u64,
    /// Share of these who waited for an agent at all, those who waited in vain included.
    pub waited: f64,
    /// The most calls abandoned in any 30 minutes, the warm-up included.
    pub worst_30min_abandoned: u64,
    /// The calls that a person answered in those 30 minutes.
    pub worst_30min_answered: u64,
    /// Half hours with more than max(3, 3 × cap of their answers) abandoned calls, the warm-up included.
    pub bursts: u64,
    /// Abandoned / answered in the worst of the run's whole weeks, counted from its start; none in a shorter run.
    pub worst_week_abandonment: Option<f64>,
    /// INVITEs sent for each call that an agent took.
    pub dials_per_connect: f64,
    /// Pacing decisions in a simulated second.
    pub decisions_per_second: f64,
    /// INVITEs sent.
    pub dials: u64,
    /// Inputs that the engine handled, all in all.
    pub inputs: u64,
    /// The whole run in parts, for shocks.
    #[serde(skip)]
    pub slices: Vec<Slice>,
}

/// Ten seconds of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slice {
    /// (talk + wrap-up) / agents' time, 0 to 1.
    pub occupancy: f64,
    /// Calls that a person answered.
    pub answered: u32,
    /// Of these, abandoned.
    pub abandoned: u32,
}

impl Slice {
    /// How long it is.
    pub const LASTS: Duration = Duration::from_secs(10);
}

/// Runs it.
pub fn run(config: &SimConfig) -> SimReport {
    world::World::new(config).run()
}

/// What goes into an engine, in order: inputs, and times at which it is called by itself (none).
pub type Tape = Vec<(Time, Option<Input>)>;

/// Runs it and gives all that went into the engine, with the times: played to another engine, it shows what the engine
/// alone costs.
pub fn record(config: &SimConfig) -> Tape {
    let mut tape = Tape::new();
    world::World::new(config).onto(&mut tape).run();
    tape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(floor: &str, agents: u32, hours: f64, pacer: &str) -> SimConfig {
        let floor = Floor::named(floor).unwrap();
        SimConfig::new(floor, agents, Duration::from_secs_f64(hours * 3600.0), 0.03, pacer, 7)
    }

    #[test]
    fn a_seed_repeats_a_run() {
        let config = hours("f1", 5, 1.0, "predictive");
        let first = run(&config);
        assert!(first.answered > 50, "{first:?}");
        assert_eq!(run(&config), first);
        assert_ne!(run(&SimConfig { seed: 8, ..config }), first);
    }

    #[test]
    fn a_tape_holds_every_input() {
        let config = hours("f1", 3, 0.2, "predictive");
        let mut engine = crate::Engine::new();
        for (now, input) in record(&config) {
            match input {
                Some(input) => engine.handle_input(now, input),
                None => engine.handle_timeout(now),
            }
            while !matches!(engine.poll_output(), crate::Output::Timeout(_)) {}
        }
        assert_eq!(engine.counters().inputs, run(&config).inputs);
    }

    #[test]
    fn progressive_abandons_nobody_and_waits_a_whole_ring() {
        let report = run(&hours("f1", 10, 4.0, "progressive"));
        assert_eq!(report.abandoned, 0);
        // The benchmark's figure is .53 to .54.
        assert!((0.51..0.56).contains(&report.occupancy), "{report:?}");
        assert!((5.4..6.8).contains(&report.dials_per_connect), "{report:?}");
    }

    #[test]
    fn predictive_keeps_agents_busy_within_the_cap() {
        let mut config = hours("f1", 10, 8.0, "predictive");
        config.warm_up = Duration::from_secs(7200);
        let report = run(&config);
        assert!(report.occupancy > 0.78, "{report:?}");
        assert!(report.abandonment < 0.035, "{report:?}");
        assert!(report.waited > report.abandonment && report.waited < 0.08, "{report:?}");
        assert_eq!(report.bursts, 0, "{report:?}");
    }

    #[test]
    fn a_minute_of_the_demo_stays_under_the_cap() {
        for seed in 0..5 {
            let mut config = hours("demo", 20, 1.0 / 60.0, "predictive");
            (config.seed, config.warm_up) = (seed, Duration::ZERO);
            let report = run(&config);
            assert!(report.abandonment <= 0.03, "{report:?}");
            assert!(report.answered > 80, "{report:?}");
        }
    }

    #[test]
    fn agents_leave_and_come_back() {
        let mut config = hours("f1", 20, 3.0, "predictive");
        config.warm_up = Duration::ZERO;
        config.changes = vec![
            (Duration::from_secs(3600), Change::Agents(10)),
            (Duration::from_secs(7200), Change::Agents(20)),
        ];
        let report = run(&config);
        assert_eq!(report.slices.len(), 1080);
        assert_eq!(report.bursts, 0, "{report:?}");
        let mean = |minute: usize| {
            report.slices[6 * minute..][..240].iter().map(|s| s.occupancy).sum::<f64>() / 240.0
        };
        assert!(mean(75) > 0.65 && mean(140) > 0.75, "{} {}", mean(75), mean(140));
    }

    #[test]
    fn machines_taken_for_persons_cost_agents_their_time_and_persons_taken_for_machines_are_lost() {
        let plain = run(&hours("f1", 10, 3.0, "progressive"));
        let mut config = hours("f1", 10, 3.0, "progressive");
        config.floor.machine_missed = 0.5;
        let missed = run(&config);
        // Of a dial: .17 persons and .12 machines, less those that would ring too long.
        assert!(missed.dials_per_connect < plain.dials_per_connect * 0.75, "{missed:?}");
        assert!(missed.talk_min_per_hour < plain.talk_min_per_hour * 0.95, "{missed:?}");
        (config.floor.machine_missed, config.floor.person_missed) = (0.0, 0.5);
        let lost = run(&config);
        assert!(lost.dials_per_connect > plain.dials_per_connect * 1.7, "{lost:?}");
    }

    #[test]
    fn agents_whose_connections_are_lost_come_back_into_their_calls() {
        let mut config = hours("f1", 20, 1.5, "predictive");
        config.warm_up = Duration::ZERO;
        config.changes = vec![
            (Duration::from_secs(3600), Change::Legs(false)),
            (Duration::from_secs(3620), Change::Legs(true)),
        ];
        let report = run(&config);
        let late = &report.slices[400..540];
        let mean = late.iter().map(|s| s.occupancy).sum::<f64>() / late.len() as f64;
        assert!(mean > 0.7 && late.iter().all(|s| s.occupancy <= 1.0 + 1e-9), "{mean}");
    }

    #[test]
    fn a_pacer_that_nobody_knows_is_named_with_those_that_are_there() {
        let error = check_pacer("telepathy").unwrap_err().to_string();
        assert!(error.contains("telepathy") && error.contains("predictive"), "{error}");
        for name in Policy::NAMES {
            check_pacer(name).unwrap();
        }
        assert!(check_pacer("power:0").is_err() && check_pacer("power:many").is_err());
    }
}
