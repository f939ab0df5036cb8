//! How many lines to dial now. One policy is one file behind one trait, so that they swap and compare.
//!
//! A pacer is a state machine like everything that decides: it is told what happened ([`Pacer::observe`]) and asked how
//! many lines to dial ([`Pacer::decide`]). It knows one campaign and the agents who may serve it. Limits that are not
//! pacing (hours, suppression, calls per second, channels, leads in the hopper) belong to the engine, which may dial fewer.

mod agentless;
mod alone;
mod budget;
mod by_hand;
mod drift;
mod forecast;
mod learned;
mod lifetimes;
mod look_ahead;
mod normal;
mod odds;
mod outlook;
mod per_agent;
mod policy;
mod power;
mod predictive;
mod progressive;
mod shortfall;
mod vicidial;

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

pub use alone::Alone;
pub(crate) use budget::Budget;
pub(crate) use learned::Learned;
pub use look_ahead::Truth;
pub use odds::Traits;
pub use outlook::Outlook;
pub(crate) use policy::{Forced, Policy};

/// A dialing policy.
pub trait Pacer: Send {
    /// Its name in the configuration, the API and the benchmark.
    fn name(&self) -> &'static str;

    /// Something happened on the campaign's lines or to an agent who served one of its calls. What the floor teaches is
    /// learned beside the policy and comes with the [`View`]; this is for policies with a memory of their own.
    fn observe(&mut self, _now: Time, _seen: Observation) {}

    /// Whether it needs an [`Outlook`].
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Whether each of its lines has an agent kept for it.
    fn keeps_an_agent(&self) -> bool {
        false
    }

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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineView {
    /// When it was decided.
    pub dialed: Time,
    /// When it began to ring.
    pub ringing: Option<Time>,
    /// The chance that a person answers it, as it was when it was decided (0 to 1).
    pub answers: f64,
}

/// What the pacer sees at one moment. Where campaigns share agents, the others' lines are in it by the share of their
/// agents who are this campaign's too.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The agents who may serve this campaign.
    pub agents: &'a [AgentPhase],
    /// Tries in flight that may need one of them, the campaign's own in front.
    pub lines: &'a [LineView],
    /// How many of these are its own and may be taken back once they have rung as long as the law demands; 0 when the
    /// campaign does not want that.
    pub cancellable: usize,
    /// People who answered and have no agent yet: since when they wait.
    pub waiting: &'a [Time],
    /// Answered calls of which it is not known yet whether a person is there.
    pub detecting: usize,
    /// The chance that a person answers, of the leads that would be dialed next, in their order.
    pub leads: &'a [f64],
    /// Supply and demand of the next half minute; for a policy that looks ahead.
    pub outlook: Option<&'a Outlook<'a>>,
    /// The chance that may be taken that the person of one more line finds nobody, from the ledger.
    pub risk: f64,
    /// Calls that may be abandoned before the last half hour holds as many as it may.
    pub spare: usize,
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
        /// From the answer to knowing that.
        known_after: Duration,
        /// What was known of the lead.
        lead: Traits,
    },
    /// A line ended unanswered.
    Failed {
        /// Since the dial.
        after: Duration,
        /// Whether it had rung.
        rang: bool,
        /// What was known of the lead.
        lead: Traits,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Lines to dial now.
    pub dial: u32,
    /// Lines to take back, by their places in [`View::lines`].
    pub take_back: Vec<usize>,
    /// Why, in words for a manager.
    pub reason: String,
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

#[cfg(test)]
mod testing {
    use super::*;

    /// These agents, nothing in flight, as on a new campaign.
    pub(super) fn view(agents: &[AgentPhase]) -> View<'_> {
        View {
            agents,
            lines: &[],
            cancellable: 0,
            waiting: &[],
            detecting: 0,
            leads: &[],
            outlook: None,
            risk: 0.03,
            spare: 3,
            cap: 0.03,
            grace: Duration::from_secs(2),
            ring_timeout: Duration::from_secs(25),
            lines_per_agent: 1.0,
            max_lines: 10,
            calls: 0,
            answered: 0,
            abandoned: 0,
            most: 10_000,
        }
    }
}
