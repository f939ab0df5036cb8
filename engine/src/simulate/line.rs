//! The simulated carrier: what becomes of each INVITE.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kraliki_time::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::floor::{Callee, Floor};
use super::world::{Agenda, Happening};
use crate::{EndedBy, Failure, Input, LineEvent, TryId, Verdict};

/// From a CANCEL or BYE to its confirmation.
const ROUND_TRIP: Duration = Duration::from_millis(30);
/// From the answer to the far end's first packet.
const FIRST_RTP: Duration = Duration::from_millis(20);
/// From the bridge to the first of the caller's packets at the agent.
const BRIDGE: Duration = Duration::from_millis(20);
/// The message of an abandoned call.
const MESSAGE: Duration = Duration::from_secs(5);
/// A carrier gives up by itself after this.
const RINGS_OUT: Duration = Duration::from_secs(120);

pub(super) struct Lines {
    pub(super) floor: Floor,
    open: BTreeMap<TryId, State>,
    /// Machines that are taken for persons.
    unnoticed: BTreeSet<TryId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Answered,
    Ending,
}

impl Lines {
    pub(super) fn new(floor: Floor) -> Self {
        Lines { floor, open: BTreeMap::new(), unnoticed: BTreeSet::new() }
    }

    /// An INVITE to a lead whom a person answers with this chance.
    pub(super) fn dial(
        &mut self,
        now: Time,
        id: TryId,
        person: f64,
        rng: &mut ChaCha8Rng,
        agenda: &mut Agenda,
    ) {
        self.open.insert(id, State::Calling);
        let mut then = |after: Duration, event| {
            agenda.add(now + after, Happening::Input(Input::Line { id, event }));
        };
        let answered = || LineEvent::Answered { dialog: Vec::new(), detecting: true };
        let failed = |status, rang| {
            LineEvent::Failed(Failure::Status {
                status,
                q850: None,
                reason: String::new(),
                retry_after: None,
                rang,
            })
        };
        let callee = self.floor.callee_of(person, rng);
        if !matches!(callee, Callee::Busy { .. }) {
            then(self.floor.post_dial_delay(), LineEvent::Ringing { early_media: false });
        }
        match callee {
            Callee::Person { answers } => {
                then(answers, answered());
                then(answers + FIRST_RTP, LineEvent::FirstRtp);
                if rng.random::<f64>() < self.floor.person_missed {
                    let known = answers + Duration::from_secs_f64(self.floor.machine_verdict_s);
                    then(known, LineEvent::Verdict(Verdict::Machine));
                } else {
                    then(answers, LineEvent::Verdict(Verdict::Person));
                }
            }
            Callee::Machine { answers, known } => {
                then(answers, answered());
                then(answers + FIRST_RTP, LineEvent::FirstRtp);
                let missed = rng.random::<f64>() < self.floor.machine_missed;
                let verdict = if missed { Verdict::Person } else { Verdict::Machine };
                then(known, LineEvent::Verdict(verdict));
                if missed {
                    self.unnoticed.insert(id);
                }
            }
            Callee::Busy { fails } => then(fails, failed(486, false)),
            Callee::NoAnswer => then(RINGS_OUT, failed(480, true)),
        }
    }

    /// Whether an event that was planned still happens: not on a line that is over, or that we are ending.
    pub(super) fn happens(&mut self, id: TryId, event: &LineEvent) -> bool {
        let Some(state) = self.open.get_mut(&id).filter(|s| **s != State::Ending) else { return false };
        match event {
            LineEvent::Answered { .. } => *state = State::Answered,
            LineEvent::Failed(_) | LineEvent::Ended { .. } => {
                self.open.remove(&id);
                self.unnoticed.remove(&id);
            }
            _ => {}
        }
        true
    }

    pub(super) fn cancel(&mut self, now: Time, id: TryId, agenda: &mut Agenda) {
        if self.open.get(&id) == Some(&State::Calling) {
            self.end(now, id, LineEvent::Failed(Failure::Cancelled), agenda);
        }
    }

    pub(super) fn hang_up(&mut self, now: Time, id: TryId, agenda: &mut Agenda) {
        if self.open.get(&id) == Some(&State::Answered) {
            self.end(now, id, LineEvent::Ended { by: EndedBy::Near, q850: Some(16) }, agenda);
        }
    }

    /// We ended it: only the confirmation still comes.
    fn end(&mut self, now: Time, id: TryId, event: LineEvent, agenda: &mut Agenda) {
        self.open.insert(id, State::Ending);
        agenda.add(now + ROUND_TRIP, Happening::Confirmed(id, event));
    }

    /// The confirmation came: whether the line was still there.
    pub(super) fn confirmed(&mut self, id: TryId) -> bool {
        self.unnoticed.remove(&id);
        self.open.remove(&id).is_some()
    }

    /// The person talks with the agent, then hangs up; or the agent notices that nobody is there.
    pub(super) fn bridged(&mut self, now: Time, id: TryId, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let first = now + BRIDGE;
        agenda.add(first, Happening::Input(Input::Line { id, event: LineEvent::FirstPacket { at: first } }));
        let ended = LineEvent::Ended { by: EndedBy::Far, q850: Some(16) };
        let talk = if self.unnoticed.contains(&id) { self.floor.missed_talk } else { self.floor.talk };
        agenda.add(now + talk.draw(rng), Happening::Input(Input::Line { id, event: ended }));
    }

    pub(super) fn message(&mut self, now: Time, id: TryId, agenda: &mut Agenda) {
        agenda.add(now + MESSAGE, Happening::Input(Input::Line { id, event: LineEvent::PlayDone }));
    }
}
