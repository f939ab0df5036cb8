//! No live call is cut: a call with an agent ends by its people, a lost leg that stays away, a person's command, the length
//! or the money that its trunk lets calls have, or the deadline of a drain; never for want of room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kraliki_time::Time;

use super::money::Money;
use super::{Books, Check, Found, TrunkChanges};
use crate::{
    AgentEvent, AgentId, AttemptId, Command, Input, LineEvent, Output, Trunk, TrunkId, TryId, Write,
};

/// A lost agent's call is held this long.
const HELD: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Cut {
    talks: BTreeMap<TryId, AgentId>,
    /// Since when an agent's leg is away.
    away: BTreeMap<AgentId, Time>,
    /// Calls that somebody asked to end.
    asked: BTreeSet<AttemptId>,
    deadline: Option<Time>,
    /// How long a trunk lets calls be; none: as long as they like.
    longest: BTreeMap<TrunkId, Option<Duration>>,
    changes: TrunkChanges,
    /// Over which trunk each try goes, and when it was answered.
    tries: BTreeMap<TryId, (TrunkId, Option<Time>)>,
    /// What trunks may spend: one may say that calls end with it.
    money: Money,
}

impl Cut {
    fn trunk(&mut self, trunk: &Trunk) {
        let longest = Duration::from_secs(trunk.longest_call_s.into());
        self.longest.insert(trunk.id, (!longest.is_zero()).then_some(longest));
    }

    /// Whether the try is as long as its trunk lets calls be.
    fn too_long(&self, id: TryId, now: Time) -> bool {
        let Some((trunk, Some(answered))) = self.tries.get(&id) else { return false };
        self.longest.get(trunk).copied().flatten().is_some_and(|longest| now.since(*answered) >= longest)
    }
}

impl Check for Cut {
    fn input(&mut self, now: Time, input: &Input, found: &mut Found) {
        self.money.input(now, input, found);
        self.changes.input(input);
        match input {
            Input::Restore(restore) => {
                for trunk in &restore.trunks {
                    self.trunk(trunk);
                }
            }
            Input::Line { id, event: LineEvent::Answered { .. } } => {
                if let Some((_, answered)) = self.tries.get_mut(id) {
                    *answered = Some(now);
                }
            }
            Input::Line { id, event: LineEvent::Failed(_) | LineEvent::Ended { .. } } => {
                self.tries.remove(id);
                if self.talks.remove(id).is_some() {
                    self.asked.remove(&id.attempt);
                }
            }
            Input::Agent { id, event: AgentEvent::LegUp } => drop(self.away.remove(id)),
            Input::Agent { id, event: AgentEvent::LegDown } => drop(self.away.entry(*id).or_insert(now)),
            Input::Command {
                command: Command::Hangup(call) | Command::MachineCheck { call, machine: true },
                ..
            } if self.talks.keys().any(|id| id.attempt == *call) => {
                self.asked.insert(*call);
            }
            Input::Command { command: Command::Drain { deadline }, .. } => {
                self.deadline = Some(now + *deadline);
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        self.money.output(now, output, found);
        if let Some(trunk) = self.changes.output(output) {
            self.trunk(&trunk);
        }
        match output {
            Output::Dial(dial) => drop(self.tries.insert(dial.id, (dial.trunk, None))),
            Output::Bridge { id, agent } => drop(self.talks.insert(*id, *agent)),
            // The one who had it is lost for good, and it waits for another one.
            Output::Store { write: Write::Part { attempt, .. }, .. } => {
                self.talks.retain(|id, _| id.attempt != *attempt);
            }
            Output::Hangup { id } => {
                let Some(agent) = self.talks.remove(id) else { return };
                let asked = self.asked.remove(&id.attempt);
                let lost = self.away.get(&agent).is_some_and(|since| now.since(*since) >= HELD);
                let of_its_trunk = self.too_long(*id, now) || self.money.may_end(*id);
                if !asked && !lost && !of_its_trunk && self.deadline.is_none_or(|at| now < at) {
                    found.add(now, format!("the call {id} of agent {agent} is cut"));
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        *self = Cut::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn sees_a_call_that_nobody_asked_to_end() {
        let mut hand: Hand<Cut> = Hand::new(all_day());
        for n in 1..=5 {
            hand.bridge(n, n);
        }
        hand.command(1, Command::Hangup(AttemptId(1)));
        hand.output(&Output::Hangup { id: id(1) });
        hand.leg(2, AgentEvent::LegDown);
        hand.wait_ms(10_000);
        hand.output(&Output::Hangup { id: id(2) });
        hand.clean();
        hand.output(&Output::Hangup { id: id(3) });
        hand.caught("of agent 3 is cut");
        hand.output(&Output::Bridge { id: second_of(6), agent: AgentId(6) });
        hand.fail(6, 503); // of the try before
        hand.output(&Output::Hangup { id: second_of(6) });
        hand.caught("6/2 of agent 6 is cut");
        hand.command(2, Command::Drain { deadline: Duration::from_secs(5) });
        hand.output(&Output::Hangup { id: id(4) });
        hand.caught("of agent 4 is cut");
        hand.wait_ms(5_000);
        hand.output(&Output::Hangup { id: id(5) });
        hand.clean();
    }
}
