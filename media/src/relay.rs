//! All legs of one shard and the bridges between them: datagrams, commands and time in; datagrams and events out.
//! It has no socket, clock or thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use kraliki_time::Time;

use crate::audio::Audio;
use crate::bridge;
use crate::event::{LegId, MediaEvent};
use crate::leg::{Channel, Leg, Role, Sending};
use crate::limits::SHARD_LEGS;

/// A datagram to be sent; its bytes lie in the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transmit {
    /// The slot of the leg it belongs to.
    pub(crate) slot: usize,
    pub(crate) channel: Channel,
    pub(crate) to: SocketAddr,
    pub(crate) len: usize,
}

struct Entry {
    leg: Leg,
    /// The earliest wake-up in the queue; later ones are not put there.
    scheduled: Time,
}

/// The legs of a shard. After each input drain [`Relay::poll_transmit`], [`Relay::poll_event`] and
/// [`Relay::poll_closed`]; call [`Relay::handle_timeout`] when [`Relay::timeout`] is reached.
pub(crate) struct Relay {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// Looked up, never walked: its order decides nothing.
    slots: HashMap<LegId, usize>,
    wakeups: BinaryHeap<Reverse<(Time, usize, LegId)>>,
    /// Slots that may have something to send.
    ready: VecDeque<usize>,
    events: VecDeque<MediaEvent>,
    closed: VecDeque<usize>,
    beep: Arc<Audio>,
}

impl Relay {
    pub(crate) fn new() -> Relay {
        Relay {
            entries: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            wakeups: BinaryHeap::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            closed: VecDeque::new(),
            beep: Arc::new(Audio::beep()),
        }
    }

    pub(crate) fn slot_of(&self, id: LegId) -> Option<usize> {
        self.slots.get(&id).copied()
    }

    pub(crate) fn leg_count(&self) -> usize {
        self.slots.len()
    }

    /// The slot that the next leg gets; `None` when the shard is full.
    pub(crate) fn vacancy(&self) -> Option<usize> {
        if self.slots.len() >= SHARD_LEGS {
            None
        } else {
            Some(self.free.last().copied().unwrap_or(self.entries.len()))
        }
    }

    /// Takes a leg in; gives it back when the shard is full.
    pub(crate) fn insert(&mut self, leg: Leg) -> Result<usize, Box<Leg>> {
        let Some(slot) = self.vacancy() else { return Err(Box::new(leg)) };
        self.slots.insert(leg.id(), slot);
        let entry = Some(Entry { leg, scheduled: Time::MAX });
        match self.entries.get_mut(slot) {
            Some(place) => {
                self.free.pop();
                *place = entry;
            }
            None => self.entries.push(entry),
        }
        self.ready.push_back(slot);
        Ok(slot)
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
        true
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
        if let Some(leg) = self.leg_mut(slot) {
            leg.close();
        }
        self.ready.push_back(slot);
    }

    pub(crate) fn push_event(&mut self, event: MediaEvent) {
        self.events.push_back(event);
    }

    pub(crate) fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// A slot that is empty now; its sockets may go.
    pub(crate) fn poll_closed(&mut self) -> Option<usize> {
        self.closed.pop_front()
    }

    /// Takes an RTP datagram that came to a leg's socket. What is to be sent for it lies in the same buffer.
    pub(crate) fn handle_rtp(
        &mut self,
        now: Time,
        slot: usize,
        from: SocketAddr,
        packet: &mut [u8],
    ) -> Option<Transmit> {
        let entry = self.entries.get_mut(slot)?.as_mut()?;
        let inbound = entry.leg.handle_rtp(now, from, packet, &mut self.events)?;
        self.pass(now, slot, &inbound, packet)
    }

    /// Takes an RTCP datagram that came to a leg's socket.
    pub(crate) fn handle_rtcp(&mut self, now: Time, slot: usize, from: SocketAddr, packet: &[u8]) {
        if let Some(Some(entry)) = self.entries.get_mut(slot) {
            entry.leg.handle_rtcp(now, from, packet, &mut self.events);
        }
        self.reschedule(slot);
    }

    fn pass(
        &mut self,
        now: Time,
        slot: usize,
        inbound: &crate::leg::Inbound,
        packet: &mut [u8],
    ) -> Option<Transmit> {
        let leg = self.leg_mut(slot)?;
        let (id, role) = (leg.id(), leg.role());
        let peer = leg.peer().filter(|_| leg.is_passed_on());
        self.reschedule(slot);
        let peer = peer?;
        let to = &mut self.entries.get_mut(peer)?.as_mut()?.leg;
        let agent = to.id();
        let Sending { channel, to, len } = bridge::pass(now, inbound, to, packet)?;
        if role == Role::Trunk && self.leg_mut(slot).is_some_and(Leg::take_announce) {
            self.events.push_back(MediaEvent::FirstPacket { trunk: id, agent, at: now });
        }
        Some(Transmit { slot: peer, channel, to, len })
    }

    /// Writes the next datagram that is due into `out`.
    pub(crate) fn poll_transmit(&mut self, now: Time, out: &mut [u8]) -> Option<Transmit> {
        while let Some(slot) = self.ready.front().copied() {
            if let Some(Some(entry)) = self.entries.get_mut(slot) {
                if let Some(Sending { channel, to, len }) = entry.leg.poll(now, out, &mut self.events) {
                    return Some(Transmit { slot, channel, to, len });
                }
                if entry.leg.is_closing() {
                    self.end(slot);
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
        self.wakeups.peek().map_or(Time::MAX, |Reverse((at, ..))| *at)
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

    fn part(&mut self, now: Time, slot: usize) {
        let Some(peer) = self.leg_mut(slot).and_then(|leg| leg.peer()) else { return };
        for slot in [slot, peer] {
            if let Some(leg) = self.leg_mut(slot) {
                leg.part(now);
            }
            self.ready.push_back(slot);
        }
    }

    fn end(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::take) else { return };
        self.slots.remove(&entry.leg.id());
        self.free.push(slot);
        self.closed.push_back(slot);
        self.events.push_back(MediaEvent::LegEnded { leg: entry.leg.id(), counters: entry.leg.counters() });
    }
}

#[cfg(test)]
mod tests;
