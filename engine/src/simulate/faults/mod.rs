//! Truth under faults: the engine with its store, carriers and agents in virtual time, while things go wrong by a seed.
//! Every run is judged by all of [`crate::check`]; a seed repeats it exactly.

mod carrier;
mod crew;
mod disk;
mod nonsense;
mod recover;
mod schedule;
mod setting;
#[cfg(test)]
mod tests;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::Outcome;

/// A family of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The process is killed at any point and starts again.
    Kill,
    /// As `Kill`, and what was not synced to the disk is gone.
    PowerLoss,
    /// The disk is full, fails or hangs.
    Disk,
    /// A carrier answers 503, or nothing, or is down.
    Trunk,
    /// Every agent's audio is gone at once.
    Agents,
    /// Events of lines come late, in another order, twice, or not at all.
    Lines,
    /// The wall clock steps, and daylight saving begins or ends.
    Clock,
    /// The far end vanishes in a call.
    Vanish,
    /// More than trunks, channels and agents can take, and a flood of commands.
    Overload,
    /// Inputs and commands that make no sense.
    Nonsense,
    /// Agents hold, pause, leave and lose their audio.
    Restless,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 11] = [
        Family::Kill,
        Family::PowerLoss,
        Family::Disk,
        Family::Trunk,
        Family::Agents,
        Family::Lines,
        Family::Clock,
        Family::Vanish,
        Family::Overload,
        Family::Nonsense,
        Family::Restless,
    ];

    /// The name on the command line: the number of docs/reliability.md where there is one.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Kill => "r1",
            Family::PowerLoss => "r2",
            Family::Disk => "r3",
            Family::Trunk => "r10",
            Family::Agents => "r11",
            Family::Lines => "r12",
            Family::Clock => "r13",
            Family::Vanish => "r14",
            Family::Overload => "r15",
            Family::Nonsense => "nonsense",
            Family::Restless => "restless",
        }
    }

    /// Families from a list like `r1,r3`, or `all`. The error names the word that is not one.
    pub fn parse(list: &str) -> Result<BTreeSet<Family>, String> {
        if list == "all" {
            return Ok(Family::ALL.into());
        }
        let named = |word: &str| Family::ALL.into_iter().find(|family| family.name() == word);
        list.split(',').map(|word| named(word.trim()).ok_or_else(|| word.trim().to_owned())).collect()
    }
}

/// A run with faults.
#[derive(Clone, Debug)]
pub struct FaultConfig {
    /// Which.
    pub families: BTreeSet<Family>,
    /// Of everything that happens by chance.
    pub seed: u64,
    /// How long the dialer dials, in virtual time; its last calls may take some minutes more.
    pub lasts: Duration,
    /// Agents; none: drawn from the seed.
    pub agents: Option<u32>,
    /// Kill the process at this step besides: after so many inputs and outputs.
    pub kill_at: Option<u64>,
    /// Whether a journal and the outputs are kept.
    pub record: bool,
}

impl FaultConfig {
    /// Fifteen minutes of these families.
    pub fn new(families: impl IntoIterator<Item = Family>, seed: u64) -> Self {
        FaultConfig {
            families: families.into_iter().collect(),
            seed,
            lasts: Duration::from_secs(900),
            agents: None,
            kill_at: None,
            record: false,
        }
    }

    /// The command that repeats this run.
    pub fn command(&self) -> String {
        let families = setting::names(&self.families);
        let mut command = "kraliki simulate".to_owned();
        if !families.is_empty() {
            command += &format!(" --faults {families}");
        }
        command += &format!(" --seed {} --for {}s", self.seed, self.lasts.as_secs());
        if let Some(agents) = self.agents {
            command += &format!(" --agents {agents}");
        }
        if let Some(step) = self.kill_at {
            command += &format!(" --kill-at {step}");
        }
        command
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FaultReport {
    /// Inputs that the engine, or one engine after the other, handled.
    pub inputs: u64,
    /// Inputs and outputs: where a kill may come.
    pub steps: u64,
    /// Times that the dialer started again.
    pub restarts: u64,
    /// INVITEs.
    pub dials: u64,
    /// Of these, further tries over another trunk.
    pub fail_overs: u64,
    /// Faults that happened, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Attempts by outcome, as on disk at the end.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// What was violated, the first ones in words.
    pub violations: Vec<String>,
    /// The journal of the last engine.
    #[serde(skip)]
    pub journal: Vec<u8>,
    /// The outputs of the last engine, as JSON.
    #[serde(skip)]
    pub outputs: Vec<u8>,
}

/// One of them, each as likely as the others.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, first: T, others: &[T]) -> T {
    others.get(rng.random_range(0..=others.len())).copied().unwrap_or(first)
}

/// Runs it.
pub fn run(config: &FaultConfig) -> FaultReport {
    world::World::new(config).run()
}
