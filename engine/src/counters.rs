//! What the engine counts since start: for metrics, the demo's summary and the simulation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AgentState, CallState, Outcome};

/// Counts since start. Every drop, refusal and retry is among them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Attempts that were begun (written).
    pub attempts: u64,
    /// Ended attempts by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// INVITEs that were sent.
    pub dials: u64,
    /// Further tries: attempts that went on over another trunk when theirs could not take them.
    pub fail_overs: u64,
    /// Calls that were given to an agent later than the grace.
    pub late: u64,
    /// Messages that machines were left.
    pub messages_left: u64,
    /// Calls with agents that sounded like machines after the bridge.
    pub machine_signs: u64,
    /// Calls taken for machines that were given to agents to be checked.
    pub sampled: u64,
    /// Of these, those that agents said were machines.
    pub sampled_machines: u64,
    /// And those that they said were people.
    pub sampled_persons: u64,
    /// From the later of (200 handled, verdict "person", an agent free) to the first of the caller's packets sent to
    /// that agent, in µs.
    pub bridge_us: Spread,
    /// How long people who were given an agent queued for one, in ms.
    pub wait_ms: Spread,
    /// Pacing decisions.
    pub decisions: u64,
    /// Leads refused by the gate, by rule.
    pub refused: BTreeMap<Cow<'static, str>, u64>,
    /// Inputs handled.
    pub inputs: u64,
    /// Writes that failed.
    pub commit_failures: u64,
    /// Facts that were lost because the store took no writes for too long.
    pub facts_lost: u64,
    /// Lines taken back because nobody could have served them.
    pub taken_back: u64,
    /// Calls ended because they were as long as their trunk lets calls be.
    pub too_long: u64,
    /// Calls ended because their trunk had spent what it may in a day.
    pub over_cap: u64,
    /// CANCELs and BYEs that were never confirmed.
    pub unconfirmed: u64,
    /// Pauses that lasted longer than their limits.
    pub pauses_over: u64,
    /// Calls whose agent was lost.
    pub agents_lost: u64,
    /// Calls that were given to another agent then.
    pub handed_over: u64,
    /// States that a supervisor set.
    pub forced: u64,
    /// Dispositions given automatically at the end of a wrap-up.
    pub disposed_automatically: u64,
    /// Events about lines that are not there any more, or that do not fit what is known of them.
    pub stray: u64,
    /// Time in calls and wrap-up, agents' states that ended.
    pub(crate) busy: Duration,
    /// Time signed in and not paused, agents' states that ended.
    pub(crate) available: Duration,
    /// Time in calls, agents' states that ended.
    pub(crate) talk: Duration,
}

/// A distribution with two significant digits.
#[derive(Clone, Debug)]
pub struct Spread(Histogram<u64>);

impl Default for Spread {
    #[allow(clippy::expect_used)] // a constant number of digits in the allowed range 0 to 5
    fn default() -> Self {
        Spread(Histogram::new(2).expect("two digits are allowed"))
    }
}

/// As pairs of a value and how often it (or one that the digits do not tell from it) was recorded.
impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let recorded = self.0.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value()));
        serializer.collect_seq(recorded.collect::<Vec<_>>())
    }
}

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut spread = Spread::default();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            spread.0.record_n(value, count).map_err(D::Error::custom)?;
        }
        Ok(spread)
    }
}

impl Spread {
    pub(crate) fn record(&mut self, value: u64) {
        // Longer than an hour is an hour here: the buckets stay bounded. In that range recording cannot fail.
        let _ = self.0.record(value.min(3_600_000_000));
    }

    /// The value that the share `quantile` (0 to 1) of all stay at or under; 0 when there are none.
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of all, as far as the digits go.
    pub fn sum(&self) -> f64 {
        self.0.mean() * self.0.len() as f64
    }

    /// How many are at or under `value`.
    pub fn at_most(&self, value: u64) -> u64 {
        self.0.count_between(0, value)
    }
}

/// How things stand at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Agents by state.
    pub agents: BTreeMap<AgentState, u32>,
    /// Agents whose pause is longer than its limits.
    pub pause_over: u32,
    /// Calls in progress by state.
    pub calls: BTreeMap<CallState, u32>,
    /// Calls whose end is decided and not confirmed.
    pub clearing: u32,
    /// Leads held ready.
    pub hopper: u32,
    /// Writes that wait for their commit.
    pub committing: u32,
    /// Facts that wait for the store to take writes again.
    pub facts_waiting: u32,
    /// Ended calls that may still get or change their disposition.
    pub disposables: u32,
    /// Suppressed numbers remembered beside the store.
    pub suppressed: u32,
    /// Timers that are set.
    pub timers: u32,
    /// (talk + hold + wrap-up) / time signed in and not paused, of all agents since start; 0 to 1.
    pub occupancy: f64,
    /// Time that agents were in calls since start.
    pub talk: Duration,
    /// Time that agents were signed in and not paused since start.
    pub available: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_that_is_written_down_says_the_same() {
        let mut spread = Spread::default();
        for value in [0, 1, 3, 77, 1_234, 1_235, 98_765, 3_600_000_000, u64::MAX] {
            spread.record(value);
            spread.record(value / 3);
        }
        let bytes = postcard::to_allocvec(&spread).unwrap();
        let read: Spread = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read.0, spread.0);
        assert_eq!((read.len(), read.sum().to_bits()), (spread.len(), spread.sum().to_bits()));
        assert_eq!(postcard::to_allocvec(&read).unwrap(), bytes);
    }
}
