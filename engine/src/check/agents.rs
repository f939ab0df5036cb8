//! One agent, one call: who gets a call has audio and no other call, and the call is a person's and not over.

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{AgentEvent, AgentId, AttemptId, Input, LineEvent, Mark, Output, TryId, Verdict, Write};

#[derive(Debug, Default)]
pub(super) struct OneCall {
    calls: BTreeMap<TryId, Call>,
    /// Agents with an audio leg.
    legs: BTreeSet<AgentId>,
    /// Which call an agent is in.
    agents: BTreeMap<AgentId, AttemptId>,
}

#[derive(Debug, Default)]
struct Call {
    answered: bool,
    machine: bool,
    agent: Option<AgentId>,
}

impl OneCall {
    fn over(&mut self, call: AttemptId) {
        self.calls.retain(|id, _| id.attempt != call);
        self.agents.retain(|_, in_call| *in_call != call);
    }

    fn bridge(&mut self, now: Time, id: TryId, agent: AgentId, found: &mut Found) {
        let fault = match self.calls.get(&id) {
            Some(call) if !call.answered => Some("that was not answered"),
            Some(call) if call.machine => Some("with a machine"),
            Some(call) if call.agent.is_some_and(|other| other != agent) => Some("of another agent"),
            Some(_) => None,
            None => Some("that is over"),
        };
        if let Some(fault) = fault {
            found.add(now, format!("agent {agent} gets a call {fault}: {id}"));
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.agent = Some(agent);
        }
        if !self.legs.contains(&agent) {
            found.add(now, format!("agent {agent} without audio gets {id}"));
        }
        if self.agents.insert(agent, id.attempt).is_some_and(|other| other != id.attempt) {
            found.add(now, format!("agent {agent} gets a second call: {id}"));
        }
    }
}

impl Check for OneCall {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Line { id, event } => {
                let Some(call) = self.calls.get_mut(id) else { return };
                match event {
                    LineEvent::Answered { .. } => call.answered = true,
                    LineEvent::Verdict(verdict) if *verdict != Verdict::Person => {
                        call.machine |= call.answered && call.agent.is_none();
                    }
                    LineEvent::Failed(_) | LineEvent::Ended { .. } => self.over(id.attempt),
                    _ => {}
                }
            }
            Input::Agent { id, event: AgentEvent::LegUp } => drop(self.legs.insert(*id)),
            Input::Agent { id, event: AgentEvent::LegDown } => drop(self.legs.remove(id)),
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        match output {
            Output::Dial(dial) => drop(self.calls.insert(dial.id, Call::default())),
            Output::Hangup { id } => self.over(id.attempt),
            // It is the agent who is to say whether it is one.
            Output::Store { write: Write::Marked { attempt, mark: Mark::Sampled }, .. } => {
                let calls = self.calls.iter_mut().filter(|(id, _)| id.attempt == *attempt);
                calls.for_each(|(_, call)| call.machine = false);
            }
            Output::Store { write: Write::AttemptEnded { attempt, .. }, .. } => self.over(*attempt),
            // Its agent is lost for good: it may go on with another one.
            Output::Store { write: Write::Part { attempt, .. }, .. } => {
                self.calls
                    .iter_mut()
                    .filter(|(id, _)| id.attempt == *attempt)
                    .for_each(|(_, c)| c.agent = None);
                self.agents.retain(|_, in_call| in_call != attempt);
            }
            Output::Bridge { id, agent } => self.bridge(now, *id, *agent, found),
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        *self = OneCall::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn hand() -> Hand<OneCall> {
        let mut hand = Hand::new(all_day());
        for n in 1..=3 {
            hand.call(n, n);
        }
        hand.leg(1, AgentEvent::LegUp);
        hand.leg(2, AgentEvent::LegUp);
        hand.answer(1);
        hand.answer(2);
        hand.bridge(1, 1);
        hand.clean();
        hand
    }

    #[test]
    fn sees_a_second_call_a_dead_call_and_a_deaf_agent() {
        hand().bridge(1, 1);
        let mut second = hand();
        second.bridge(2, 1);
        second.caught("a second call");
        let mut shared = hand();
        shared.bridge(1, 2);
        shared.caught("of another agent");
        let mut early = hand();
        early.bridge(3, 2);
        early.caught("not answered");
        let mut over = hand();
        over.far_end(2);
        over.bridge(2, 2);
        over.caught("that is over");
        let mut machine = hand();
        machine.line(2, LineEvent::Verdict(Verdict::Machine));
        machine.bridge(2, 2);
        machine.caught("with a machine");
        let mut old = hand();
        old.fail(3, 503);
        old.call_on(3, 3);
        old.input(&Input::Line {
            id: second_of(3),
            event: LineEvent::Answered { dialog: vec![], detecting: false },
        });
        old.line(3, LineEvent::Failed(status(503))); // once more, of the try that is over
        old.bridge(3, 2);
        old.caught("that is over");
        old.output(&Output::Bridge { id: second_of(3), agent: AgentId(2) });
        old.clean();
        let mut deaf = hand();
        deaf.leg(2, AgentEvent::LegDown);
        deaf.bridge(2, 2);
        deaf.caught("without audio");
    }
}
