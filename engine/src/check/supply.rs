//! Nobody is called when no agent is there: pacing is at zero within a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{AgentEvent, AgentId, AgentState, Event, Input, Output};

const WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Supply {
    legs: BTreeSet<AgentId>,
    silent: BTreeSet<AgentId>,
    /// Agents who are signed in and not paused, as screens show it.
    available: BTreeMap<AgentId, bool>,
    nobody_since: Option<Time>,
}

impl Supply {
    fn look(&mut self, now: Time) {
        let there = |id: &AgentId| self.legs.contains(id) && !self.silent.contains(id);
        if self.available.iter().any(|(id, available)| *available && there(id)) {
            self.nobody_since = None;
        } else {
            self.nobody_since.get_or_insert(now);
        }
    }
}

impl Check for Supply {
    fn input(&mut self, now: Time, input: &Input, _found: &mut Found) {
        let Input::Agent { id, event } = input else { return };
        match event {
            AgentEvent::LegUp => {
                self.legs.insert(*id);
                self.silent.remove(id);
            }
            AgentEvent::LegDown => drop(self.legs.remove(id)),
            AgentEvent::Silent => drop(self.silent.insert(*id)),
            AgentEvent::Alive => drop(self.silent.remove(id)),
        }
        self.look(now);
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        match output {
            Output::Event(Event::Agent(view)) => {
                let available = !matches!(view.state, AgentState::Offline | AgentState::Paused);
                self.available.insert(view.id, available);
                self.look(now);
            }
            Output::Dial(dial) => {
                if let Some(since) = self.nobody_since.filter(|since| now.since(*since) > WITHIN) {
                    let gone = now.since(since).as_millis();
                    found.add(now, format!("{} is dialed and nobody is there for {gone} ms", dial.id));
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, now: Time, _books: &Books, _found: &mut Found) {
        *self = Supply { nobody_since: Some(now), ..Supply::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::AgentView;

    #[test]
    fn sees_a_call_for_nobody() {
        let mut hand: Hand<Supply> = Hand::new(all_day());
        let view = AgentView {
            id: AgentId(1),
            name: String::new(),
            state: AgentState::Ready,
            since_unix_ms: 0,
            reason: String::new(),
            call: None,
            audio: true,
            next: None,
            preview: None,
            pause_ends_unix_ms: None,
            wrap_up_ends_unix_ms: None,
            wrap_up_extension_s: 0,
            shift_ends_unix_ms: None,
            last_call: false,
            forced: None,
            calls: 0,
        };
        hand.leg(1, AgentEvent::LegUp);
        hand.output(&Output::Event(Event::Agent(view)));
        hand.wait_ms(5_000);
        hand.dial(1, 1);
        hand.leg(1, AgentEvent::Silent);
        hand.wait_ms(1_000);
        hand.dial(2, 2);
        hand.clean();
        hand.wait_ms(1);
        hand.dial(3, 3);
        hand.caught("nobody is there for 1001 ms");
        hand.leg(1, AgentEvent::Alive);
        hand.dial(4, 4);
        hand.clean();
    }
}
