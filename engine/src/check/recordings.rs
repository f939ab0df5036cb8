//! A recording begins with a bridge, once in a call, and ends with the call; what is paused is resumed or ends.

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{AttemptId, Input, LineEvent, Output, TryId, Write};

#[derive(Debug, Default)]
pub(super) struct Recordings {
    bridged: BTreeSet<TryId>,
    /// Those in progress, and whether they are paused.
    open: BTreeMap<AttemptId, bool>,
}

impl Check for Recordings {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        if let Input::Line { id, event: LineEvent::RecordingLost } = input {
            self.open.remove(&id.attempt);
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        match output {
            Output::Bridge { id, .. } => drop(self.bridged.insert(*id)),
            Output::Record { id, .. } => {
                if !self.bridged.contains(id) {
                    found.add(now, format!("the call {id} is recorded without an agent"));
                }
                if self.open.insert(id.attempt, false).is_some() {
                    found.add(now, format!("the call {id} is recorded twice"));
                }
            }
            Output::PauseRecording { id, on } => match self.open.get_mut(&id.attempt) {
                Some(paused) if *paused != *on => *paused = *on,
                Some(_) => found.add(now, format!("the recording of {id} is paused or resumed twice")),
                None => found.add(now, format!("the call {id} is not recorded, and its recording paused")),
            },
            Output::StopRecording { id } if self.open.remove(&id.attempt).is_none() => {
                found.add(now, format!("the call {id} is not recorded, and its recording stopped"));
            }
            Output::Store { write: Write::AttemptEnded { attempt, .. }, .. } => {
                self.bridged.retain(|id| id.attempt != *attempt);
                if self.open.remove(attempt).is_some() {
                    found.add(now, format!("the call {attempt} is over, and its recording goes on"));
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        *self = Recordings::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::AgentId;

    #[test]
    fn sees_recordings_that_begin_or_end_wrongly() {
        let mut hand: Hand<Recordings> = Hand::new(all_day());
        let id = TryId { attempt: AttemptId(1), number: 1 };
        hand.output(&Output::Record { id, agent: AgentId(1), beep_s: 0 });
        hand.caught("without an agent");
        hand.output(&Output::Bridge { id, agent: AgentId(1) });
        hand.output(&Output::Record { id, agent: AgentId(1), beep_s: 0 });
        hand.caught("recorded twice");
        hand.output(&Output::PauseRecording { id, on: true });
        hand.clean();
        hand.output(&Output::PauseRecording { id, on: true });
        hand.caught("twice");
        hand.output(&Output::PauseRecording { id, on: false });
        hand.output(&Output::StopRecording { id });
        hand.clean();
        hand.output(&Output::StopRecording { id });
        hand.caught("recording stopped");
        hand.output(&Output::PauseRecording { id, on: true });
        hand.caught("recording paused");
    }
}
