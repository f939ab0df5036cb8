//! All legs of one shard and the bridges between them: datagrams, commands and time in; datagrams and events out.
//! It has no socket, clock or thread.

mod addresses;
mod room;
mod warm;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use kraliki_time::Time;

use crate::audio::Audio;
use crate::bridge;
use crate::event::{BridgeQuality, LegId, MediaEvent};
use crate::leg::{AddressChange, Channel, Datagram, FRAME, Inbound, Kind, Leg, Polled, Role, Sending};
use crate::limits::WATCHERS;
use crate::webrtc::{LegTag, TransportAddress, leg_tag_of};
use addresses::Addresses;
use room::{Member, Part, Place, Room};

pub(crate) use room::Across;
pub use room::Supervision;
pub(crate) use warm::Heard;

/// A datagram to be sent; its bytes lie in the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transmit {
    /// The slot of the leg it belongs to.
    pub(crate) slot: usize,
    pub(crate) channel: Channel,
    pub(crate) to: SocketAddr,
    pub(crate) len: usize,
}

/// A slot that is empty now, and the leg that was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) slot: usize,
    pub(crate) id: LegId,
    /// The shards that know where it went, one bit each.
    pub(crate) visited: u64,
}

/// A datagram on the browsers' port belongs to no leg.
#[derive(Debug)]
pub(crate) struct Stranger;

struct Entry {
    leg: Leg,
    /// The earliest wake-up in the queue; later ones are not put there.
    scheduled: Time,
}

/// The legs of a shard. After each input drain [`Relay::poll_transmit`], [`Relay::poll_event`] and
/// [`Relay::poll_closed`]; call [`Relay::handle_timeout`] when [`Relay::timeout`] is reached.
pub(crate) struct Relay {
    /// Which shard it is.
    home: usize,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// Looked up, never walked: its order decides nothing.
    slots: HashMap<LegId, usize>,
    wakeups: BinaryHeap<Reverse<(Time, usize, LegId)>>,
    /// By the slot of the agent; outposts by that of the supervisor.
    rooms: HashMap<usize, Room>,
    room_wakeups: BinaryHeap<Reverse<(Time, usize)>>,
    /// For legs of other shards.
    across: VecDeque<(LegId, Across)>,
    /// Slots that may have something to send.
    ready: VecDeque<usize>,
    events: VecDeque<MediaEvent>,
    closed: VecDeque<Closed>,
    /// Browsers by the addresses that they were heard from, and by their name in STUN.
    addresses: Addresses,
    tags: HashMap<LegTag, usize>,
    beep: Arc<Audio>,
    /// Slots that are brought into the cache; kept for its room.
    warming: Vec<usize>,
}

impl Relay {
    pub(crate) fn new(home: usize) -> Relay {
        Relay {
            home,
            entries: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            wakeups: BinaryHeap::new(),
            rooms: HashMap::new(),
            room_wakeups: BinaryHeap::new(),
            across: VecDeque::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            closed: VecDeque::new(),
            addresses: Addresses::default(),
            tags: HashMap::new(),
            beep: Arc::new(Audio::beep()),
            warming: Vec::new(),
        }
    }

    pub(crate) fn slot_of(&self, id: LegId) -> Option<usize> {
        self.slots.get(&id).copied()
    }

    pub(crate) fn leg_count(&self) -> usize {
        self.slots.len()
    }

    /// Takes a leg in, and gives its slot. Who opens legs keeps to the shard's limit; a leg that is carried here from
    /// another shard is a call in progress, and never refused.
    pub(crate) fn insert(&mut self, leg: Leg) -> usize {
        let slot = self.free.pop().unwrap_or(self.entries.len());
        self.slots.insert(leg.id(), slot);
        if let Some(tag) = leg.tag() {
            self.tags.insert(tag, slot);
        }
        let entry = Some(Entry { leg, scheduled: Time::MAX });
        match self.entries.get_mut(slot) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.ready.push_back(slot);
        slot
    }

    /// Takes a leg out, to be carried to another shard. It is parted from its peer first.
    pub(crate) fn remove(&mut self, now: Time, id: LegId) -> Option<(usize, Leg)> {
        let slot = self.slot_of(id)?;
        self.part(now, slot);
        self.slots.remove(&id);
        let entry = self.entries.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some((slot, entry.leg))
    }

    /// Changes a leg by a command; gives `None` when there is no such leg.
    pub(crate) fn with_leg<T>(&mut self, id: LegId, change: impl FnOnce(&mut Leg) -> T) -> Option<T> {
        let slot = self.slot_of(id)?;
        let result = change(self.leg_mut(slot)?);
        self.ready.push_back(slot);
        Some(result)
    }

    /// Changes a leg by a command after which it may have another codec.
    pub(crate) fn with_format<T>(
        &mut self,
        now: Time,
        id: LegId,
        change: impl FnOnce(&mut Leg) -> T,
    ) -> Option<T> {
        let result = self.with_leg(id, change);
        self.settle(now, self.slot_of(id)?);
        result
    }

    /// Bridges a call to an agent, both on this shard. Whoever they were bridged to before is parted.
    pub(crate) fn bridge(&mut self, now: Time, trunk: LegId, agent: LegId, beep: bool) -> bool {
        let (Some(a), Some(b)) = (self.slot_of(trunk), self.slot_of(agent)) else { return false };
        if a == b {
            return false;
        }
        self.part(now, a);
        self.part(now, b);
        let beep = beep.then(|| Arc::clone(&self.beep));
        if let Some(leg) = self.leg_mut(a) {
            leg.join(now, b, None);
        }
        if let Some(leg) = self.leg_mut(b) {
            leg.join(now, a, beep);
        }
        self.ready.extend([a, b]);
        self.settle(now, b);
        true
    }

    /// Has a supervisor follow an agent, whatever call it has; whom it followed before it leaves.
    pub(crate) fn supervise(&mut self, now: Time, supervisor: LegId, agent: LegId, how: Supervision) {
        if supervisor == agent {
            return;
        }
        let Some(leg) = self.slot_of(supervisor).and_then(|slot| self.leg_mut(slot)) else { return };
        if leg.supervises.is_some_and(|before| before != agent) {
            self.stop_supervising(now, supervisor);
        }
        let Some(slot) = self.slot_of(supervisor) else { return };
        if let Some(leg) = self.leg_mut(slot) {
            leg.supervises = Some(agent);
        }
        if agent.home() != self.home && !self.rooms.get(&slot).is_some_and(|room| room.is_outpost_of(agent)) {
            self.open_room(now, slot, Room::outpost(slot, agent, now + FRAME));
        }
        self.tell(now, agent, Across::Supervised { by: supervisor, how: Some(how) });
    }

    /// Has a supervisor follow nobody any more.
    pub(crate) fn stop_supervising(&mut self, now: Time, supervisor: LegId) {
        let Some(slot) = self.slot_of(supervisor) else { return };
        let Some(agent) = self.leg_mut(slot).and_then(|leg| leg.supervises.take()) else { return };
        if self.rooms.get(&slot).is_some_and(|room| room.is_outpost_of(agent)) {
            self.close_room(now, slot);
        }
        self.tell(now, agent, Across::Supervised { by: supervisor, how: None });
    }

    /// Takes what another shard tells a leg of this one.
    pub(crate) fn handle_across(&mut self, now: Time, to: LegId, across: Across) {
        let slot = self.slot_of(to);
        match across {
            Across::Supervised { by, how } => {
                let Some(leg) = slot.and_then(|slot| self.leg_mut(slot)) else {
                    return self.tell(now, by, Across::Ended { agent: to });
                };
                leg.supervisors.retain(|(other, _)| *other != by);
                if let Some(how) = how {
                    if leg.supervisors.len() >= WATCHERS {
                        return self.tell(now, by, Across::Ended { agent: to });
                    }
                    leg.supervisors.push((by, how));
                }
                slot.into_iter().for_each(|slot| self.settle(now, slot));
            }
            Across::Heard { from, frame } => {
                if let Some(room) = slot.and_then(|slot| self.rooms.get_mut(&slot)) {
                    room.put(from, frame);
                }
            }
            Across::Say(frame) => {
                // What is on its way while the supervisor leaves is not heard any more.
                let _ = self.with_leg(to, |leg| leg.supervises.is_some().then(|| leg.say(&frame)));
            }
            Across::Ended { agent } => {
                let follows = slot.and_then(|slot| self.leg_mut(slot)).and_then(|leg| leg.supervises);
                if follows == Some(agent) {
                    self.stop_supervising(now, to);
                }
            }
        }
    }

    /// What is to be told to a leg of another shard.
    pub(crate) fn poll_across(&mut self) -> Option<(LegId, Across)> {
        self.across.pop_front()
    }

    fn tell(&mut self, now: Time, to: LegId, across: Across) {
        match to.home() == self.home {
            true => self.handle_across(now, to, across),
            false => self.across.push_back((to, across)),
        }
    }

    /// The slot whose room a leg would be in.
    fn anchor(&self, slot: usize) -> usize {
        let role = |slot: usize| self.entries.get(slot)?.as_ref().map(|entry| entry.leg.role());
        let peer = self.entries.get(slot).and_then(Option::as_ref).and_then(|entry| entry.leg.peer());
        match (role(slot), peer) {
            (Some(Role::Trunk), Some(peer)) if role(peer) == Some(Role::Agent) => peer,
            (Some(Role::Trunk), Some(peer)) => slot.min(peer),
            _ => slot,
        }
    }

    /// Opens, changes or closes the room that a leg is in, as its codec, call and supervisors want it.
    fn settle(&mut self, now: Time, slot: usize) {
        let anchor = self.anchor(slot);
        // An outpost stands by who is followed alone; what is sent to its leg may have any codec.
        if self.rooms.get(&anchor).is_some_and(Room::is_outpost) {
            return;
        }
        let Some(agent) = self.leg_mut(anchor) else { return self.close_room(now, anchor) };
        let (peer, supervisors) = (agent.peer(), agent.supervisors.clone());
        let peer_format = peer.and_then(|peer| self.leg_mut(peer)).and_then(|leg| leg.format());
        let is_wide = |format: Option<crate::leg::Format>| format.is_some_and(|f| f.codec.is_wide());
        let Some(agent) = self.leg_mut(anchor) else { return };
        agent.set_wide(now, is_wide(peer_format));
        agent.take_format_change();
        let format = agent.format();
        let passes = match (format, peer_format) {
            (Some(a), Some(b)) => a.codec.relays_to(b.codec),
            _ => true,
        };
        if passes && supervisors.is_empty() {
            return self.close_room(now, anchor);
        }
        let mut members = vec![Member { place: Place::Here(anchor), part: Part::Agent }];
        members.extend(peer.map(|peer| Member { place: Place::Here(peer), part: Part::Caller }));
        members.extend(supervisors.into_iter().map(|(id, how)| Member {
            place: self.slot_of(id).map_or(Place::There(id), Place::Here),
            part: Part::Supervisor(how),
        }));
        let here = members.iter().all(|member| matches!(member.place, Place::Here(_)));
        let wide = here && is_wide(format) && is_wide(peer_format);
        if self
            .rooms
            .get(&anchor)
            .is_some_and(|room| room.is_wide() == wide && room.members().eq(members.iter().copied()))
        {
            return;
        }
        let next = self.rooms.get(&anchor).map_or(now + FRAME, |room| room.next);
        self.open_room(now, anchor, Room::new(&members, wide, next));
    }

    /// Puts a room in its place; who was in the one before and is not in this leaves.
    fn open_room(&mut self, now: Time, anchor: usize, room: Room) {
        let rate_hz = room.rate_hz();
        let stays: Vec<usize> = room.slots().collect();
        self.room_wakeups.push(Reverse((room.next, anchor)));
        let before = self.rooms.insert(anchor, room);
        for slot in before.iter().flat_map(Room::slots).filter(|slot| !stays.contains(slot)) {
            self.with_slot(slot, |leg| leg.leave_room(now));
        }
        for slot in stays {
            self.with_slot(slot, |leg| leg.enter_room(rate_hz));
        }
    }

    fn close_room(&mut self, now: Time, anchor: usize) {
        let Some(room) = self.rooms.remove(&anchor) else { return };
        for slot in room.slots() {
            self.with_slot(slot, |leg| leg.leave_room(now));
        }
    }

    fn with_slot(&mut self, slot: usize, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.leg_mut(slot) {
            change(leg);
            self.ready.push_back(slot);
        }
    }

    /// A frame of each room whose time has come.
    fn tick_rooms(&mut self, now: Time) {
        while let Some(Reverse((at, anchor))) = self.room_wakeups.peek().copied() {
            if at > now {
                break;
            }
            self.room_wakeups.pop();
            // A room that was closed, or has another time since.
            let Some(room) = self.rooms.get_mut(&anchor).filter(|room| room.next == at) else { continue };
            room.tick(now, &mut self.entries, &mut self.events, &mut self.across);
            self.ready.extend(room.slots());
            self.room_wakeups.push(Reverse((room.next, anchor)));
        }
    }

    /// Ends the bridge of a leg, if it has one.
    pub(crate) fn unbridge(&mut self, now: Time, id: LegId) {
        if let Some(slot) = self.slot_of(id) {
            self.part(now, slot);
        }
    }

    /// Closes a leg. Its slot comes from [`Relay::poll_closed`] once its last datagram was polled.
    pub(crate) fn close(&mut self, now: Time, id: LegId) {
        let Some(slot) = self.slot_of(id) else { return };
        self.part(now, slot);
        self.stop_supervising(now, id);
        let supervisors = self.leg_mut(slot).map(|leg| std::mem::take(&mut leg.supervisors));
        self.close_room(now, slot);
        for (supervisor, _) in supervisors.into_iter().flatten() {
            self.tell(now, supervisor, Across::Ended { agent: id });
        }
        if let Some(leg) = self.leg_mut(slot) {
            leg.close();
        }
        self.ready.push_back(slot);
    }

    /// Closes every leg.
    pub(crate) fn close_all(&mut self, now: Time) {
        for slot in 0..self.entries.len() {
            if let Some(id) = self.leg_mut(slot).map(|leg| leg.id()) {
                self.close(now, id);
            }
        }
    }

    /// The one address from which a plain leg's RTP is heard, once there is but one.
    pub(crate) fn only_far_end(&self, slot: usize) -> Option<SocketAddr> {
        self.entries.get(slot)?.as_ref()?.leg.only_far_end()
    }

    /// The kernel refused a datagram of a leg.
    pub(crate) fn count_send_error(&mut self, slot: usize) {
        if let Some(leg) = self.leg_mut(slot) {
            leg.count_send_error();
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// A leg that is gone; its sockets may go too.
    pub(crate) fn poll_closed(&mut self) -> Option<Closed> {
        self.closed.pop_front()
    }

    /// Takes an RTP datagram of `buf[..len]` that came to a leg's socket. What is to be sent for it lies in the same
    /// buffer.
    pub(crate) fn handle_rtp(
        &mut self,
        now: Time,
        slot: usize,
        from: SocketAddr,
        buf: &mut [u8],
        len: usize,
    ) -> Option<Transmit> {
        let entry = self.entries.get_mut(slot)?.as_mut()?;
        let inbound = entry.leg.handle_rtp(now, from, buf.get_mut(..len)?, &mut self.events)?;
        self.pass(now, slot, &inbound, buf)
    }

    /// Takes a datagram of `buf[..len]` that came to the port that browsers share.
    pub(crate) fn handle_shared(
        &mut self,
        now: Time,
        from: impl Into<TransportAddress>,
        buf: &mut [u8],
        len: usize,
    ) -> Result<Option<Transmit>, Stranger> {
        let from = from.into();
        let slot = self.browser_of(from, buf.get(..len).unwrap_or_default()).ok_or(Stranger)?;
        let entry = self.entries.get_mut(slot).and_then(Option::as_mut).ok_or(Stranger)?;
        Ok(match entry.leg.handle_datagram(now, from, buf, len, &mut self.events) {
            Datagram::Heard(inbound) => self.pass(now, slot, &inbound, buf),
            Datagram::Handled => {
                self.ready.push_back(slot);
                None
            }
            Datagram::Done => {
                self.reschedule(slot);
                self.follow_format(now, slot);
                None
            }
        })
    }

    /// Whether an authentic check of a browser came from there.
    pub(crate) fn is_known(&self, from: TransportAddress) -> bool {
        self.addresses.contains_key(&from)
    }

    fn browser_of(&self, from: TransportAddress, datagram: &[u8]) -> Option<usize> {
        // STUN says whom it is for; a browser that was reloaded may speak from the address of the leg before.
        match datagram.first() {
            Some(0..=3) => self.tags.get(&leg_tag_of(datagram)?).copied(),
            _ => self.addresses.get(&from).copied(),
        }
    }

    /// Takes an RTCP datagram that came to a leg's socket.
    pub(crate) fn handle_rtcp(&mut self, now: Time, slot: usize, from: SocketAddr, packet: &mut [u8]) {
        if let Some(Some(entry)) = self.entries.get_mut(slot) {
            entry.leg.handle_rtcp(now, from, packet, &mut self.events);
        }
        self.reschedule(slot);
    }

    fn pass(&mut self, now: Time, slot: usize, inbound: &Inbound, buf: &mut [u8]) -> Option<Transmit> {
        let leg = self.leg_mut(slot)?;
        let (id, role) = (leg.id(), leg.role());
        let peer = leg.peer().filter(|_| leg.is_passed_on());
        let is_in_room = leg.is_in_room();
        self.reschedule(slot);
        let peer = peer?;
        if is_in_room {
            // Its sound is in its ear. A key is pressed again for the other side.
            if let Some(digit) = inbound.digit {
                self.with_slot(peer, |leg| {
                    leg.send_digits(now, &[digit]);
                });
            }
            return None;
        }
        let to = &mut self.entries.get_mut(peer)?.as_mut()?.leg;
        let agent = to.id();
        let passed = bridge::pass(now, inbound, to, buf);
        if inbound.kind == Kind::Noise {
            // It goes on by itself.
            self.reschedule(peer);
        }
        let Sending { channel, to, len } = passed?;
        if role == Role::Trunk && self.leg_mut(slot).is_some_and(Leg::take_announce) {
            self.events.push_back(MediaEvent::FirstPacket { trunk: id, agent, at: now });
        }
        Some(Transmit { slot: peer, channel, to, len })
    }

    /// Writes the next datagram that is due into `out`.
    pub(crate) fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<Transmit> {
        while let Some(slot) = self.ready.front().copied() {
            if let Some(Some(entry)) = self.entries.get_mut(slot) {
                match entry.leg.poll(now, out, &mut self.events) {
                    Some(Polled::Send(Sending { channel, to, len })) => {
                        return Some(Transmit { slot, channel, to, len });
                    }
                    Some(Polled::Address(change)) => {
                        self.change_address(slot, change);
                        continue;
                    }
                    None => {}
                }
                if entry.leg.is_ending() {
                    self.end(now, slot);
                } else {
                    self.reschedule(slot);
                }
            }
            self.ready.pop_front();
        }
        None
    }

    /// When [`Relay::handle_timeout`] is due.
    pub(crate) fn timeout(&self) -> Time {
        if !self.ready.is_empty() {
            return Time::ZERO;
        }
        let leg = self.wakeups.peek().map_or(Time::MAX, |Reverse((at, ..))| *at);
        let room = self.room_wakeups.peek().map_or(Time::MAX, |Reverse((at, _))| *at);
        leg.min(room)
    }

    /// Wakes the legs whose time has come.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some(Reverse((at, slot, id))) = self.wakeups.peek().copied() {
            if at > now {
                break;
            }
            self.wakeups.pop();
            let Some(Some(entry)) = self.entries.get_mut(slot) else { continue };
            // A slot's next leg has nothing to do with the wake-ups of the one before.
            if entry.leg.id() != id {
                continue;
            }
            if entry.scheduled == at {
                entry.scheduled = Time::MAX;
            }
            entry.leg.handle_timeout(now, &mut self.events);
            self.ready.push_back(slot);
        }
        self.tick_rooms(now);
    }

    /// Where the codec that a leg is sent has changed, its bridge may have to.
    fn follow_format(&mut self, now: Time, slot: usize) {
        let Some(leg) = self.leg_mut(slot) else { return };
        if leg.take_format_change() {
            self.settle(now, slot);
        }
    }

    fn change_address(&mut self, slot: usize, change: AddressChange) {
        match change {
            AddressChange::Learned(address) => {
                self.addresses.insert(address, slot);
            }
            // Another leg may have learned it since.
            AddressChange::Forgotten(address) => {
                if self.addresses.get(&address) == Some(&slot) {
                    self.addresses.remove(&address);
                }
            }
        }
    }

    fn leg_mut(&mut self, slot: usize) -> Option<&mut Leg> {
        self.entries.get_mut(slot)?.as_mut().map(|entry| &mut entry.leg)
    }

    fn reschedule(&mut self, slot: usize) {
        let Some(Some(entry)) = self.entries.get_mut(slot) else { return };
        let at = entry.leg.timeout();
        if at < entry.scheduled {
            entry.scheduled = at;
            self.wakeups.push(Reverse((at, slot, entry.leg.id())));
        }
    }

    /// How the bridges were heard since this was asked for last.
    pub(crate) fn bridges(&mut self, now: Time) -> Vec<BridgeQuality> {
        let mut bridges = Vec::new();
        for slot in 0..self.entries.len() {
            let Some(trunk) = self.leg_mut(slot).filter(|leg| leg.role() == Role::Trunk) else { continue };
            let Some(peer) = trunk.peer() else { continue };
            let (trunk, of_trunk) = (trunk.id(), trunk.recent_quality(now));
            let Some(agent) = self.leg_mut(peer) else { continue };
            let (agent, of_agent) = (agent.id(), agent.recent_quality(now));
            if let (Some(of_trunk), Some(of_agent)) = (of_trunk, of_agent) {
                bridges.push(BridgeQuality { trunk, agent, of_trunk, of_agent });
            }
        }
        bridges
    }

    fn part(&mut self, now: Time, slot: usize) {
        let Some(peer) = self.leg_mut(slot).and_then(|leg| leg.peer()) else { return };
        let anchor = self.anchor(slot);
        for (slot, other) in [(slot, peer), (peer, slot)] {
            let trunk = self.leg_mut(other).map(|leg| leg.id());
            if let Some(leg) = self.leg_mut(slot)
                && let (Some(quality), Some(trunk)) = (leg.part(now), trunk)
            {
                let (leg, quality) = (leg.id(), Box::new(quality));
                self.events.push_back(MediaEvent::Parted { leg, trunk, quality });
            }
            self.ready.push_back(slot);
        }
        self.settle(now, anchor);
    }

    fn end(&mut self, now: Time, slot: usize) {
        let Some(Entry { leg, .. }) = self.entries.get_mut(slot).and_then(Option::take) else { return };
        let id = leg.id();
        self.slots.remove(&id);
        if let Some(tag) = leg.tag() {
            self.tags.remove(&tag);
            self.addresses.retain(|_, of| *of != slot);
        }
        self.free.push(slot);
        self.closed.push_back(Closed { slot, id, visited: leg.visited() });
        let quality = leg.quality(now).map(Box::new);
        self.events.push_back(MediaEvent::LegEnded { leg: id, counters: leg.counters(), quality });
    }
}

#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
