//! A room: legs that are decoded, mixed and encoded again, 20 ms at a time. There is one where packets cannot just pass: the
//! codecs of a call and its agent differ by more than a table, or a supervisor listens, whispers or barges in.
//!
//! A room is an agent's: its call comes and goes, its supervisors stay. A supervisor's leg may be on another shard; frames
//! then go across, and on that shard stands an outpost, a room of one.

use std::collections::VecDeque;

use kraliki_time::Time;

use super::Entry;
use crate::codec::{FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::event::{LegId, MediaEvent};
use crate::jitter::Heard;
use crate::leg::{FRAME, LATE, Role};
use crate::limits::SAID_FRAMES;
use crate::mix::{Mixed, Mixer, PartyId, Role as MixRole};

/// Samples a second of a room for more than telephone sound.
const WIDE_HZ: u32 = 16_000;
/// The longest frame of a room: 20 ms at [`WIDE_HZ`].
const MAX_FRAME: usize = FRAME_SAMPLES * 2;

/// What a supervisor does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supervision {
    /// Hears both sides, and is heard by nobody.
    Listen,
    /// Is heard by the agent too.
    Whisper,
    /// Is heard by both sides: a call of three.
    Barge,
}

/// Between the shard of a supervisor's leg and that of the agent's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Across {
    /// To the agent's leg: who supervises it, and how; `None` when not any more.
    Supervised { by: LegId, how: Option<Supervision> },
    /// To the agent's leg: what a supervisor says.
    Heard { from: LegId, frame: Box<[i16]> },
    /// To the supervisor's leg: what it hears.
    Say(Box<[i16]>),
    /// To the supervisor's leg: the agent's is gone.
    Ended { agent: LegId },
}

/// Where a party's leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this slot.
    Here(usize),
    /// On another shard.
    There(LegId),
}

/// Whose part it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Agent,
    Caller,
    Supervisor(Supervision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) place: Place,
    pub(super) part: Part,
}

struct Party {
    member: Member,
    id: PartyId,
    /// What came from another shard.
    heard: VecDeque<Box<[i16]>>,
}

pub(super) struct Room {
    mixer: Mixer,
    rate_hz: u32,
    parties: Vec<Party>,
    /// The agent of whom this is an outpost.
    outpost_of: Option<LegId>,
    /// When its next frame is due.
    pub(super) next: Time,
}

impl Room {
    /// A room whose first frame is due at `next`. Members beyond sixteen are left out; there are bounds before that.
    pub(super) fn new(members: &[Member], wide: bool, next: Time) -> Room {
        let rate_hz = if wide { WIDE_HZ } else { SAMPLE_RATE_HZ };
        let mut mixer = Mixer::new(rate_hz);
        let mut agent = None;
        let mut parties = Vec::with_capacity(members.len());
        for member in members {
            let role = match (member.part, agent) {
                (Part::Supervisor(Supervision::Whisper), Some(agent)) => MixRole::Whisper(agent),
                (Part::Supervisor(Supervision::Listen | Supervision::Whisper), _) => MixRole::Listen,
                (Part::Agent | Part::Caller | Part::Supervisor(Supervision::Barge), _) => MixRole::Talk,
            };
            let Some(id) = mixer.add(role) else { break };
            if member.part == Part::Agent {
                agent = Some(id);
            }
            parties.push(Party { member: *member, id, heard: VecDeque::new() });
        }
        Room { mixer, rate_hz, parties, outpost_of: None, next }
    }

    /// The outpost on a supervisor's shard.
    pub(super) fn outpost(slot: usize, agent: LegId, next: Time) -> Room {
        let supervisor = Member { place: Place::Here(slot), part: Part::Supervisor(Supervision::Listen) };
        Room { outpost_of: Some(agent), ..Room::new(&[supervisor], false, next) }
    }

    pub(super) fn is_outpost(&self) -> bool {
        self.outpost_of.is_some()
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub(super) fn is_wide(&self) -> bool {
        self.rate_hz == WIDE_HZ
    }

    pub(super) fn is_outpost_of(&self, agent: LegId) -> bool {
        self.outpost_of == Some(agent)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.parties.iter().map(|party| party.member)
    }

    /// The slots of its legs that are here.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.members().filter_map(|member| match member.place {
            Place::Here(slot) => Some(slot),
            Place::There(_) => None,
        })
    }

    /// Takes what a party on another shard says.
    pub(super) fn put(&mut self, from: LegId, frame: Box<[i16]>) {
        let party = self.parties.iter_mut().find(|party| party.member.place == Place::There(from));
        let Some(party) = party else { return };
        // Threads wake at different times, and clocks are one: what is beyond a few comes from a thread that stood still.
        if party.heard.len() >= SAID_FRAMES {
            party.heard.pop_front();
        }
        party.heard.push_back(frame);
    }

    /// One frame from and to everybody.
    pub(super) fn tick(
        &mut self,
        now: Time,
        legs: &mut [Option<Entry>],
        events: &mut impl Extend<MediaEvent>,
        across: &mut impl Extend<(LegId, Across)>,
    ) {
        self.next += FRAME;
        if self.next + LATE < now {
            self.next = now + FRAME;
        }
        let mut caller_heard = None;
        for party in &mut self.parties {
            match party.member.place {
                Place::Here(slot) => {
                    let Some(Some(entry)) = legs.get_mut(slot) else { continue };
                    let id = entry.leg.id();
                    let Some((frame, heard)) = entry.leg.take_frame(now, events) else { continue };
                    if party.member.part == Part::Caller && heard == Heard::Sound {
                        caller_heard = Some(slot);
                    }
                    match self.outpost_of {
                        Some(agent) => {
                            across.extend([(agent, Across::Heard { from: id, frame: frame.into() })]);
                        }
                        None => self.mixer.input(party.id, frame),
                    }
                }
                Place::There(_) => {
                    if let Some(frame) = party.heard.pop_front() {
                        self.mixer.input(party.id, &frame);
                    }
                }
            }
        }
        if self.outpost_of.is_none() {
            self.speak(legs, across);
            self.announce(now, caller_heard, legs, events);
        }
    }

    fn speak(&mut self, legs: &mut [Option<Entry>], across: &mut impl Extend<(LegId, Across)>) {
        let mut sum = [0; MAX_FRAME];
        let sum = sum.get_mut(..self.mixer.frame_samples()).unwrap_or_default();
        for party in &self.parties {
            let frame = match self.mixer.output(party.id, sum) {
                Mixed::Silence => continue,
                Mixed::Only(other) => self.mixer.frame(other).unwrap_or_default(),
                Mixed::Sum => &*sum,
            };
            match party.member.place {
                Place::Here(slot) => {
                    if let Some(Some(entry)) = legs.get_mut(slot) {
                        entry.leg.say(frame);
                    }
                }
                Place::There(id) => across.extend([(id, Across::Say(frame.into()))]),
            }
        }
        self.mixer.end_tick();
    }

    /// Tells of the caller's first sound to the agent.
    fn announce(
        &self,
        now: Time,
        caller: Option<usize>,
        legs: &mut [Option<Entry>],
        events: &mut impl Extend<MediaEvent>,
    ) {
        let Some(Some(caller)) = caller.and_then(|slot| legs.get_mut(slot)) else { return };
        if caller.leg.role() != Role::Trunk || !caller.leg.take_announce() {
            return;
        }
        let trunk = caller.leg.id();
        let agent = self.parties.iter().find(|party| party.member.part == Part::Agent);
        if let Some(Party { member: Member { place: Place::Here(slot), .. }, .. }) = agent
            && let Some(Some(agent)) = legs.get(*slot)
        {
            events.extend([MediaEvent::FirstPacket { trunk, agent: agent.leg.id(), at: now }]);
        }
    }
}
