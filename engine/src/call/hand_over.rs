//! An agent's browser is gone and does not come back: the call is ended, or goes on with somebody else.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{Call, Stage, Talk};
use crate::limits::HAND_OVERS_MOST;
use crate::timer::Timer;
use crate::{AgentId, AgentLost, Engine, Outcome, Write};

/// What an agent had of a call that went on with another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) agent: AgentId,
    pub(crate) lasted: Duration,
}

impl Engine {
    /// The time to come back is over.
    pub(super) fn agent_stays_away(&mut self, now: Time, mut call: Call, talk: Talk) -> Call {
        let live = self.campaigns.get(&call.campaign);
        let offers = live.is_some_and(|live| live.campaign.settings.agent_lost == AgentLost::Offer);
        if !offers || self.is_draining() || call.parts.len() >= HAND_OVERS_MOST {
            return self.hang_up(now, call, Outcome::Connected);
        }
        // Nobody heard them since their leg was lost.
        let until = call.since;
        self.part_ends(now, &mut call, talk, until);
        let (grace, answered) = (self.grace(&call), talk.answered);
        self.shift(now, &mut call, Stage::Waiting { answered, since: now });
        self.free(now, talk.agent);
        match self.free_agent(now, &call) {
            Some(agent) => self.bridge(now, call, agent, answered, Duration::ZERO),
            None if grace.is_zero() => self.abandon(now, call),
            None => {
                self.timers.set(Timer::Stage(call.attempt()), now + grace);
                call
            }
        }
    }

    /// Writes what the agent had of a call that more than one agent has.
    pub(super) fn part_ends(&mut self, now: Time, call: &mut Call, talk: Talk, until: Time) {
        let lasted = until.since(talk.bridged);
        let (attempt, agent) = (call.attempt(), talk.agent);
        let from_unix_ms = self.clock.unix_ms(talk.bridged);
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        self.fact(now, Write::Part { attempt, agent, from_unix_ms, lasted_ms });
        call.parts.push(Part { agent, lasted });
    }

    /// Another agent has it now. It was connected before, and counts as that: no second wait, no second entry.
    pub(super) fn bridge_on(&mut self, now: Time, call: Call, agent: AgentId, answered: Time) -> Call {
        self.counters.handed_over += 1;
        self.fact(now, Write::HandedOver { attempt: call.attempt(), agent });
        self.reserve(now, call, agent, answered)
    }
}
