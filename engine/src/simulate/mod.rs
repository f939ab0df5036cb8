//! The engine itself in virtual time, on a simulated floor: callees, carrier, store and agents. Not a second model of
//! the dialer: every decision is taken by the code that dials in earnest. Hours run in seconds, and a seed repeats them.

mod desk;
mod floor;
mod line;
mod tally;
mod world;

pub use floor::{Callee, Floor, FloorError, Lasting};

use std::time::Duration;

use serde::Serialize;

use crate::Mode;

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
    /// The policy.
    pub pacer: Mode,
    /// Lines for each idle agent in power mode.
    pub lines_per_agent: f64,
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
}

impl SimConfig {
    /// A run with the benchmark's warm-up (two hours, or a tenth of a run shorter than 20 hours) and no changes.
    pub fn new(floor: Floor, agents: u32, lasts: Duration, cap: f64, pacer: Mode, seed: u64) -> Self {
        SimConfig {
            floor,
            agents,
            lasts,
            warm_up: Duration::from_secs(7200).min(lasts / 10),
            cap,
            pacer,
            lines_per_agent: 1.0,
            seed,
            changes: Vec::new(),
        }
    }
}

/// What came of it. Figures are of the time after the warm-up, but for `worst_30min_abandoned` and `bursts`.
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
    /// The most calls abandoned in any 30 minutes, the warm-up included.
    pub worst_30min_abandoned: u64,
    /// Half hours with more than max(3, 3 × cap of their answers) abandoned calls, the warm-up included.
    pub bursts: u64,
    /// INVITEs sent for each call that an agent took.
    pub dials_per_connect: f64,
    /// Pacing decisions in a simulated second.
    pub decisions_per_second: f64,
    /// INVITEs sent.
    pub dials: u64,
    /// Inputs that the engine handled, all in all.
    pub inputs: u64,
    /// Each minute of the run, for shocks.
    #[serde(skip)]
    pub minutes: Vec<Minute>,
}

/// One minute of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minute {
    /// (talk + wrap-up) / agents' time, 0 to 1.
    pub occupancy: f64,
    /// Calls that a person answered.
    pub answered: u32,
    /// Of these, abandoned.
    pub abandoned: u32,
}

/// Runs it.
pub fn run(config: &SimConfig) -> SimReport {
    world::World::new(config).run()
}
