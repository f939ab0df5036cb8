//! How many lines to dial now. One policy is one file behind one trait, so that they swap and compare.
//!
//! A pacer is a state machine like everything that decides: it is told what happened ([`Pacer::observe`]) and asked how
//! many lines to dial ([`Pacer::decide`]). It knows one campaign and the agents who may serve it. Limits that are not
//! pacing (hours, suppression, calls per second, channels, leads in the hopper) belong to the engine, which may dial fewer.

mod agentless;
mod budget;
mod by_hand;
mod forecast;
mod learned;
mod power;
mod predictive;
mod progressive;

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::Mode;

/// A dialing policy.
pub trait Pacer: Send {
    /// Its name in the configuration, the API and the benchmark.
    fn name(&self) -> &'static str;

    /// Something happened on the campaign's lines or to an agent who served one of its calls.
    fn observe(&mut self, now: Time, seen: Observation);

    /// How many lines to dial now, and why. Asked after events (at most 10 times a second) and at least twice a second.
    fn decide(&mut self, now: Time, view: &View<'_>) -> Decision;
}

/// What an agent who may serve the campaign is doing. Agents who are paused, offline or silent are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentPhase {
    /// Free for a call.
    Idle,
    /// In a call (reserved, talking or on hold).
    Talking {
        /// From the bridge on.
        since: Time,
    },
    /// Finishing the record of a call.
    WrapUp {
        /// From the end of the call on.
        since: Time,
    },
}

/// A try in flight: decided (it may still wait for its commit) and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineView {
    /// When it was decided.
    pub dialed: Time,
    /// When it began to ring.
    pub ringing: Option<Time>,
}

/// What the pacer sees at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The agents who may serve this campaign.
    pub agents: &'a [AgentPhase],
    /// Its tries in flight.
    pub lines: &'a [LineView],
    /// People who answered and have no agent yet: since when they wait.
    pub waiting: &'a [Time],
    /// Answered calls of which it is not known yet whether a person is there.
    pub detecting: usize,
    /// Abandoned calls allowed among the calls that a person answered, e.g. 0.03.
    pub cap: f64,
    /// How long a person may wait for an agent before the call counts as abandoned.
    pub grace: Duration,
    /// How long a line may ring, from the dial.
    pub ring_timeout: Duration,
    /// Lines for each idle agent in power mode.
    pub lines_per_agent: f64,
    /// Calls at once in agentless mode.
    pub max_lines: u32,
    /// Calls in progress, those with an agent and those by hand included.
    pub calls: u32,
    /// The ledger: calls that a person answered in the regulator's period, before and after start.
    pub answered: u64,
    /// Of these, abandoned.
    pub abandoned: u64,
    /// The most lines that may be dialed now (leads, channels, calls per second); the decision is cut to it.
    pub most: u32,
}

/// Something that happened on the campaign's lines or to an agent who served one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A line was dialed.
    Dialed,
    /// A line began to ring.
    Ringing {
        /// Since the dial.
        after: Duration,
    },
    /// A line was answered and it is known by whom.
    Answered {
        /// From the dial to the answer.
        after: Duration,
        /// A person; else a machine.
        person: bool,
    },
    /// A line ended unanswered.
    Failed {
        /// Since the dial.
        after: Duration,
        /// Whether it had rung.
        rang: bool,
    },
    /// A person who answered got no agent within the grace.
    Abandoned,
    /// A person who answered was given an agent.
    Served {
        /// How long they waited.
        waited: Duration,
    },
    /// A call with an agent ended.
    TalkEnded {
        /// Since the bridge.
        lasted: Duration,
    },
    /// An agent is free again after a call.
    WrapEnded {
        /// Since the end of the call.
        lasted: Duration,
    },
}

/// What a pacer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Lines to dial now.
    pub dial: u32,
    /// Why, in words for a manager.
    pub reason: String,
}

/// Every policy there is, as a campaign holds it: plain data, so that a dialer can be written down and go on elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Policy {
    ByHand(by_hand::ByHand),
    Agentless(agentless::Agentless),
    Progressive(progressive::Progressive),
    Power(power::Power),
    Predictive(Box<predictive::Predictive>),
}

impl Policy {
    /// A new one for a campaign's mode.
    pub(crate) fn of(mode: Mode) -> Policy {
        match mode {
            Mode::Manual | Mode::Preview => Policy::ByHand(by_hand::ByHand),
            Mode::Agentless => Policy::Agentless(agentless::Agentless),
            Mode::Progressive => Policy::Progressive(progressive::Progressive),
            Mode::Power => Policy::Power(power::Power),
            Mode::Predictive => Policy::Predictive(Box::new(predictive::Predictive::new())),
        }
    }

    /// A new one by its name; none when there is no such policy.
    pub(crate) fn named(name: &str) -> Option<Policy> {
        match name {
            "progressive" => Some(Policy::of(Mode::Progressive)),
            "power" => Some(Policy::of(Mode::Power)),
            "predictive" => Some(Policy::of(Mode::Predictive)),
            _ => None,
        }
    }

    pub(crate) fn pacer(&mut self) -> &mut dyn Pacer {
        match self {
            Policy::ByHand(pacer) => pacer,
            Policy::Agentless(pacer) => pacer,
            Policy::Progressive(pacer) => pacer,
            Policy::Power(pacer) => pacer,
            Policy::Predictive(pacer) => &mut **pacer,
        }
    }
}

impl View<'_> {
    /// Agents who are free for a call.
    pub(crate) fn idle(&self) -> usize {
        self.agents.iter().filter(|a| matches!(a, AgentPhase::Idle)).count()
    }

    /// Lines that may still need an agent: in flight, being detected, or with a person who waits.
    pub(crate) fn open(&self) -> usize {
        self.lines.len() + self.detecting + self.waiting.len()
    }
}
