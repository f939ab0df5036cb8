//! The simulated agents: ready all day, each call disposed at once, each record finished in its time.

use std::collections::{BTreeMap, BTreeSet};

use super::tally::Tally;
use crate::{AgentEvent, AgentId, Command, Input, LineEvent, TryId};

pub(super) struct Desks {
    /// Who is in which call.
    calls: BTreeMap<TryId, AgentId>,
    /// Who finishes a record.
    wrapping: BTreeSet<AgentId>,
    at_work: u32,
    hired: u32,
}

impl Desks {
    pub(super) fn new(agents: u32) -> Self {
        Desks { calls: BTreeMap::new(), wrapping: BTreeSet::new(), at_work: agents, hired: 0 }
    }

    /// Everybody comes to work.
    pub(super) fn open(&mut self) -> Vec<Input> {
        let agents = std::mem::take(&mut self.at_work);
        self.come(agents)
    }

    fn come(&mut self, agents: u32) -> Vec<Input> {
        let mut inputs = Vec::new();
        let command = |command| Input::Command { reply: 0, command };
        for n in self.at_work + 1..=agents {
            let agent = AgentId(i64::from(n));
            inputs.push(command(Command::SignIn { agent, name: format!("Agent {n}") }));
            if n > self.hired {
                inputs.push(Input::Agent { id: agent, event: AgentEvent::LegUp });
                self.hired = n;
            }
            inputs.push(command(Command::Ready(agent)));
        }
        self.at_work = agents;
        inputs
    }

    /// So many are at work from now on. Who goes in a call goes after its wrap-up.
    pub(super) fn staff(&mut self, agents: u32, tally: &mut Tally) -> Vec<Input> {
        tally.staffed(agents);
        if agents >= self.at_work {
            return self.come(agents);
        }
        let gone = (agents + 1..=self.at_work).map(|n| AgentId(i64::from(n)));
        self.at_work = agents;
        gone.map(|agent| Input::Command {
            reply: 0,
            command: Command::Pause { agent, reason: "break".into() },
        })
        .collect()
    }

    /// Every agent's connection is lost, or there again. Who was thrown out of the Ready state for it goes back.
    pub(super) fn legs(&self, up: bool) -> Vec<Input> {
        let mut inputs = Vec::new();
        for agent in (1..=self.hired).map(|n| AgentId(i64::from(n))) {
            let event = if up { AgentEvent::LegUp } else { AgentEvent::LegDown };
            inputs.push(Input::Agent { id: agent, event });
            let busy = self.wrapping.contains(&agent) || self.calls.values().any(|in_call| *in_call == agent);
            if up && !busy && agent.0 <= i64::from(self.at_work) {
                inputs.push(Input::Command { reply: 0, command: Command::Ready(agent) });
            }
        }
        inputs
    }

    /// Whether a call begins with it: not when an agent comes back into one.
    pub(super) fn bridged(&mut self, id: TryId, agent: AgentId, tally: &mut Tally) -> bool {
        let begins = self.calls.insert(id, agent).is_none();
        if begins {
            tally.talk_begins();
        }
        begins
    }

    /// If the event ends the call of an agent: the agent, who wraps up now, and what was chosen for the call.
    pub(super) fn ended(
        &mut self,
        id: TryId,
        event: &LineEvent,
        tally: &mut Tally,
    ) -> Option<(AgentId, Command)> {
        if !matches!(event, LineEvent::Ended { .. }) {
            return None;
        }
        let agent = self.calls.remove(&id)?;
        self.wrapping.insert(agent);
        tally.talk_ends();
        let disposition = Command::Dispose {
            call: id.attempt,
            code: "not_interested".into(),
            note: String::new(),
            callback_unix_ms: None,
            personal: false,
        };
        Some((agent, disposition))
    }

    pub(super) fn wrapped_up(&mut self, agent: AgentId, tally: &mut Tally) -> Command {
        self.wrapping.remove(&agent);
        tally.wrap_up_ends();
        if agent.0 <= i64::from(self.at_work) {
            Command::Ready(agent)
        } else {
            Command::Pause { agent, reason: "break".into() }
        }
    }
}
