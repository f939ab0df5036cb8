//! One thread: it moves bytes between sockets and the relay, and wakes it. Nothing is decided here.
//!
//! While packets come it wakes by the clock, every 1–2 ms, and takes all there is; after a while without it sleeps
//! until something comes or a leg wants to be woken.
//!
//! A batch goes through three steps: all of it is received, all of it is relayed, all of it is sent. The kernel's code and
//! ours together are more than the processor's nearest cache holds, and would push each other out with every packet.

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::Receiver;
use kraliki_time::{Clock, Time};
use kraliki_udp::{Batch, Poller, Sender, Token};
use rand::rngs::StdRng;

use super::command::{Command, Inbox, ToLeg};
use super::handle::Tell;
use super::ports::{Direct, Pair, PortPool};
use super::stats::ShardStats;
use super::sys::{prefer_this_thread, thread_cpu_time};
use super::tcp::{Frame, LISTENER, Streams, Taken, stream_of};
use crate::error::MediaError;
use crate::event::{LegId, MediaEvent};
use crate::leg::{Channel, Leg};
use crate::limits::{
    BATCH_DATAGRAMS, COMMANDS, COMMANDS_AT_ONCE, DATAGRAM_BYTES, EVENT_BACKLOG, LEG_READ_DATAGRAMS,
    LEG_READS, SHARD_LINGER, SHARED_READS, STREAM_READS,
};
use crate::relay::{Across, Closed, Heard, Relay, Transmit};
use crate::webrtc::{StreamId, TransportAddress};

/// The token of the browsers' socket; those of a leg's are four times its slot, and more by what it is for.
const SHARED: u64 = u64::MAX - 1;
const RTP: u64 = 0;
const RTCP: u64 = 1;
const DIRECT: u64 = 2;
/// What a datagram of a leg may fill, and one byte by which a longer one is known.
const LEG_ROOM: usize = DATAGRAM_BYTES - crate::srtp::MAX_OVERHEAD + 1;
/// How often the thread's CPU time is shown.
const CPU_EVERY: Duration = Duration::from_millis(100);

/// A datagram that was received: the token of its socket, its place in the batch, where it came from and its length.
struct Incoming {
    token: u64,
    slot: usize,
    from: SocketAddr,
    len: usize,
}

/// What a shard is made of.
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) clock: Clock,
    pub(super) batch: Duration,
    pub(super) inboxes: Arc<[Inbox]>,
    pub(super) commands: Receiver<Command>,
    pub(super) tell: Tell,
    pub(super) pool: Arc<PortPool>,
    pub(super) shared: Option<UdpSocket>,
    pub(super) streams: Option<Streams>,
    pub(super) poller: Poller,
    pub(super) rng: StdRng,
}

pub(super) struct Shard {
    parts: Parts,
    relay: Relay,
    /// The sockets of the leg in each slot.
    sockets: Vec<Option<Box<Pair>>>,
    /// Legs that were carried to other shards, and where.
    moved: HashMap<LegId, usize>,
    /// Commands for shards whose queue was full: in order. Our own queue is read
    /// only while there is room.
    outbox: VecDeque<(usize, Command)>,
    /// State events for a reader whose queue was full.
    backlog: VecDeque<MediaEvent>,
    batch: Batch,
    sender: Sender,
    /// What was received and is still to be relayed.
    incoming: Vec<Incoming>,
    /// What leaves by the shared socket: slot, length, destination.
    outgoing: Vec<(usize, usize, SocketAddr)>,
    /// What leaves by a socket of its own or a connection, with its slot.
    direct: Vec<(usize, Transmit)>,
    /// The next free slot of the batch; those before it wait to be relayed or sent.
    cursor: usize,
    /// Sockets that had more than was taken at once.
    more: Vec<u64>,
    stats: ShardStats,
    last_datagram: Time,
    last_cpu: Time,
    shared_is_v6: bool,
    stopping: bool,
}

impl Shard {
    pub(super) fn new(parts: Parts) -> Shard {
        let shared_is_v6 =
            parts.shared.as_ref().and_then(|s| s.local_addr().ok()).is_some_and(|a| a.is_ipv6());
        Shard {
            relay: Relay::new(parts.index),
            parts,
            sockets: Vec::new(),
            moved: HashMap::new(),
            outbox: VecDeque::new(),
            backlog: VecDeque::new(),
            batch: Batch::new(BATCH_DATAGRAMS, DATAGRAM_BYTES, DATAGRAM_BYTES - crate::srtp::MAX_OVERHEAD),
            sender: Sender::default(),
            incoming: Vec::with_capacity(BATCH_DATAGRAMS),
            outgoing: Vec::with_capacity(BATCH_DATAGRAMS),
            direct: Vec::with_capacity(BATCH_DATAGRAMS),
            cursor: 0,
            more: Vec::new(),
            stats: ShardStats::default(),
            last_datagram: Time::ZERO,
            last_cpu: Time::ZERO,
            shared_is_v6,
            stopping: false,
        }
    }

    /// Runs until it is told to end and its last leg is closed.
    pub(super) fn run(mut self) {
        prefer_this_thread();
        if let Some(shared) = &self.parts.shared
            && let Err(error) = self.parts.poller.add(shared.as_fd(), SHARED)
        {
            tracing::error!(%error, "the browsers' socket cannot be watched");
        }
        if let Some(streams) = &self.parts.streams
            && let Err(error) = self.parts.poller.add(streams.listener(), LISTENER)
        {
            tracing::error!(%error, "the browsers' listener cannot be watched");
        }
        let mut tick = self.parts.clock.now();
        loop {
            let now = self.parts.clock.now();
            self.take_commands(now);
            self.relay.handle_timeout(now);
            if let Some(streams) = &mut self.parts.streams {
                streams.handle_timeout(now, |source| self.relay.is_known(source));
            }
            self.drain(now);
            self.flush();
            self.tell();
            self.show(now);
            if self.stopping && self.relay.leg_count() == 0 && self.outbox.is_empty() {
                return;
            }
            tick = self.sleep(tick);
            self.stats.wakeups += 1;
            self.read();
        }
    }

    /// Sleeps to the next tick while packets come, otherwise until there is something to do. Gives the tick.
    fn sleep(&mut self, tick: Time) -> Time {
        let now = self.parts.clock.now();
        let busy = !self.more.is_empty() || !self.outbox.is_empty() || !self.backlog.is_empty();
        if busy || now.since(self.last_datagram) < SHARD_LINGER {
            let next = (tick + self.parts.batch).max(now);
            std::thread::sleep(next.since(now));
            self.parts.poller.wait(Some(Duration::ZERO));
            return next;
        }
        let inbox = self.parts.inboxes.get(self.parts.index);
        inbox.inspect(|inbox| inbox.falls_asleep());
        let timeout = if self.parts.commands.is_empty() {
            let streams = self.parts.streams.as_ref().map_or(Time::MAX, Streams::timeout);
            let at = self.relay.timeout().min(streams);
            (at != Time::MAX).then(|| at.since(now))
        } else {
            Some(Duration::ZERO)
        };
        self.parts.poller.wait(timeout);
        inbox.inspect(|inbox| inbox.is_awake());
        self.parts.clock.now()
    }

    /// Takes what has come to the sockets.
    fn read(&mut self) {
        let now = self.parts.clock.now();
        for token in std::mem::take(&mut self.more) {
            self.read_socket(now, token);
        }
        let tokens = (0..).map_while(|n| self.parts.poller.token(n));
        let direct = tokens.filter_map(|token| match token {
            Token::Socket(token) if is_direct(token) => Some(leg_of(token)),
            _ => None,
        });
        warm_up(&self.sockets, direct);
        let mut n = 0;
        while let Some(token) = self.parts.poller.token(n) {
            if let Token::Socket(token) = token {
                self.read_socket(now, token);
            }
            n += 1;
        }
        self.finish(now);
    }

    fn read_socket(&mut self, now: Time, token: u64) {
        if token == LISTENER {
            let Some(streams) = &mut self.parts.streams else { return };
            if streams.accept(now, &self.parts.poller, |source| self.relay.is_known(source)) {
                self.more.push(token);
            }
            return;
        }
        if let Some(stream) = stream_of(token) {
            return self.read_stream(now, token, stream);
        }
        let is_direct = is_direct(token);
        if is_direct && !self.read_direct(now, token) {
            return;
        }
        let reads = if token == SHARED { SHARED_READS } else { LEG_READS };
        for _ in 0..reads {
            let wanted = if token == SHARED { BATCH_DATAGRAMS / 2 } else { LEG_READ_DATAGRAMS };
            if self.cursor + wanted > BATCH_DATAGRAMS {
                self.finish(now);
            }
            let first = self.cursor;
            let Some(socket) = socket_of(&self.parts, &self.sockets, token) else { return };
            let count = self.batch.receive(socket.as_fd(), first..first + wanted);
            if count > 0 {
                self.last_datagram = now;
                self.stats.received += count as u64;
            }
            self.cursor = first + count;
            for slot in first..first + count {
                if let Some((from, len)) = self.batch.received(slot) {
                    self.incoming.push(Incoming { token, slot, from, len });
                }
            }
            if count < wanted {
                return;
            }
        }
        // A direct socket that has more is told again.
        if !is_direct {
            self.more.push(token);
        }
    }

    /// Takes one datagram of a leg's direct socket: a call sends one in 20 ms and the shard wakes ten times as often, so that
    /// a second system call would find nothing. True when it had one at the last wake-up as well: it is a burst.
    fn read_direct(&mut self, now: Time, token: u64) -> bool {
        if self.cursor >= BATCH_DATAGRAMS {
            self.finish(now);
        }
        let (slot, leg) = (self.cursor, leg_of(token));
        let Some(pair) = self.sockets.get_mut(leg).and_then(Option::as_mut) else { return false };
        let Some(direct) = &mut pair.direct else { return false };
        let before = std::mem::replace(&mut direct.read_at, self.stats.wakeups);
        if before + 1 == self.stats.wakeups {
            return true;
        }
        let room = self.batch.slot_mut(slot).get_mut(..LEG_ROOM).unwrap_or_default();
        let Ok((len, from)) = direct.socket.recv_from(room) else { return false };
        self.last_datagram = now;
        self.stats.received += 1;
        if len < LEG_ROOM {
            self.cursor += 1;
            self.incoming.push(Incoming { token, slot, from, len });
        }
        false
    }

    /// Takes what has come by a connection, and ends it when it is over or was never a browser's.
    fn read_stream(&mut self, now: Time, token: u64, id: StreamId) {
        for _ in 0..STREAM_READS {
            let Some(streams) = &mut self.parts.streams else { return };
            match streams.read(now, id) {
                Taken::Some => {}
                Taken::Nothing => return,
                Taken::Closed => return streams.close(id),
            }
            self.last_datagram = now;
            if !self.take_frames(now, id) {
                if let Some(streams) = &mut self.parts.streams {
                    streams.close(id);
                }
                return;
            }
        }
        self.more.push(token);
    }

    /// Gives a connection's datagrams to the relay. False when it is no browser's.
    fn take_frames(&mut self, now: Time, id: StreamId) -> bool {
        loop {
            if self.cursor >= BATCH_DATAGRAMS {
                self.finish(now);
            }
            let slot = self.cursor;
            let Some(streams) = &mut self.parts.streams else { return true };
            let Some(source) = streams.source(id) else { return true };
            let room = self.batch.slot_mut(slot);
            let room = room.get_mut(..DATAGRAM_BYTES - crate::srtp::MAX_OVERHEAD).unwrap_or_default();
            match streams.next_frame(id, room) {
                Frame::Datagram(len) => {
                    self.stats.received += 1;
                    if !self.handle_browsers(now, source, slot, len) && !self.relay.is_known(source) {
                        return false;
                    }
                }
                Frame::Incomplete => return true,
                Frame::Broken => return false,
            }
        }
    }

    /// Gives a datagram from the browsers' port to the relay, and sends what comes of it. False when it belongs to no leg.
    fn handle_browsers(&mut self, now: Time, from: TransportAddress, slot: usize, len: usize) -> bool {
        let Ok(transmit) = self.relay.handle_shared(now, from, self.batch.slot_mut(slot), len) else {
            self.stats.strangers += 1;
            return false;
        };
        if let Some(transmit) = transmit {
            self.stats.relayed += 1;
            self.send(slot, &transmit);
        }
        true
    }

    /// Relays what was received, and sends what comes of it.
    fn finish(&mut self, now: Time) {
        let mut incoming = std::mem::take(&mut self.incoming);
        for datagram in &mut incoming {
            if datagram.token == SHARED {
                datagram.from = SocketAddr::new(datagram.from.ip().to_canonical(), datagram.from.port());
            }
        }
        self.relay.warm_up(incoming.iter().map(|datagram| match datagram.token {
            SHARED => Heard::Browser(datagram.from.into()),
            token => Heard::Leg(leg_of(token)),
        }));
        for Incoming { token, slot, from, len } in incoming.drain(..) {
            if token == SHARED {
                self.handle_browsers(now, from.into(), slot, len);
            } else {
                self.handle_leg(now, token, from, slot, len);
            }
        }
        self.incoming = incoming;
        self.flush();
    }

    /// Gives a datagram of a leg's own socket to the relay, and sends what comes of it.
    fn handle_leg(&mut self, now: Time, token: u64, from: SocketAddr, slot: usize, len: usize) {
        let (buf, leg) = (self.batch.slot_mut(slot), leg_of(token));
        if token % 4 == RTCP {
            return self.relay.handle_rtcp(now, leg, from, buf.get_mut(..len).unwrap_or_default());
        }
        if let Some(transmit) = self.relay.handle_rtp(now, leg, from, buf, len) {
            self.stats.relayed += 1;
            self.send(slot, &transmit);
        }
    }

    /// Has the datagram in a slot sent with the batch.
    fn send(&mut self, slot: usize, transmit: &Transmit) {
        if transmit.channel == Channel::Shared {
            let to = if self.shared_is_v6 { mapped(transmit.to) } else { transmit.to };
            self.outgoing.push((slot, transmit.len, to));
        } else {
            self.direct.push((slot, *transmit));
        }
        self.cursor = self.cursor.max(slot + 1);
    }

    /// Sends a datagram by a socket of its own or by a connection.
    fn send_direct(&mut self, slot: usize, transmit: &Transmit) {
        let pair = self.sockets.get_mut(transmit.slot).and_then(Option::as_mut);
        let bytes = self.batch.slot(slot, transmit.len);
        let sent = match transmit.channel {
            Channel::Rtp => pair.is_some_and(|pair| pair.send_rtp(bytes, transmit.to)),
            Channel::Rtcp => pair.is_some_and(|pair| {
                // With each report is often enough to see that the far end is known, and most calls end before.
                if let Some(far_end) = self.relay.only_far_end(transmit.slot)
                    && let Some(direct) = self.parts.pool.connect(pair, far_end)
                {
                    watch_direct(&self.parts.poller, transmit.slot, direct);
                }
                pair.rtcp.send_to(bytes, transmit.to).is_ok()
            }),
            Channel::Shared => return,
            Channel::Stream(id) => self.parts.streams.as_mut().is_some_and(|streams| streams.send(id, bytes)),
        };
        if sent {
            self.stats.sent += 1;
        } else {
            self.stats.send_errors += 1;
            self.relay.count_send_error(transmit.slot);
        }
    }

    /// Sends what the relay makes by itself, and frees what has ended.
    fn drain(&mut self, now: Time) {
        loop {
            if self.cursor >= BATCH_DATAGRAMS {
                self.flush();
            }
            let slot = self.cursor;
            let Some(transmit) = self.relay.poll_transmit(now, self.batch.slot_mut(slot)) else { break };
            self.send(slot, &transmit);
        }
        while let Some((to, across)) = self.relay.poll_across() {
            let shard = to.home();
            // A frame that would have to wait is left out.
            let is_frame = matches!(across, Across::Say(_) | Across::Heard { .. });
            let command = Command::Leg(to, ToLeg::Across(across));
            if !is_frame {
                self.push(shard, command);
            } else if self.outbox.is_empty() {
                drop(self.try_push(shard, command));
            }
        }
        while let Some(Closed { slot, id, visited }) = self.relay.poll_closed() {
            if let Some(pair) = self.take_sockets(slot) {
                self.parts.pool.give(now, *pair);
            }
            self.count_legs(-1);
            for shard in (0..self.parts.inboxes.len()).filter(|shard| visited >> shard & 1 == 1) {
                self.push(shard, Command::Forget(id));
            }
        }
    }

    /// Sends what waits to be sent. Nothing waits to be relayed.
    fn flush(&mut self) {
        self.cursor = 0;
        let mut direct = std::mem::take(&mut self.direct);
        warm_up(&self.sockets, direct.iter().map(|(_, transmit)| transmit.slot));
        for (slot, transmit) in direct.drain(..) {
            self.send_direct(slot, &transmit);
        }
        self.direct = direct;
        if self.outgoing.is_empty() {
            return;
        }
        let count = self.outgoing.len();
        let refused = match &self.parts.shared {
            Some(shared) => {
                let datagrams =
                    self.outgoing.iter().map(|(slot, len, to)| (self.batch.slot(*slot, *len), *to));
                self.sender.send(shared.as_fd(), datagrams)
            }
            None => count,
        };
        self.outgoing.clear();
        self.stats.sent += (count - refused.min(count)) as u64;
        self.stats.send_errors += refused as u64;
    }

    fn take_commands(&mut self, now: Time) {
        while let Some((shard, command)) = self.outbox.pop_front() {
            if let Some(command) = self.try_push(shard, command) {
                self.outbox.push_front((shard, command));
                break;
            }
        }
        for _ in 0..COMMANDS_AT_ONCE {
            if self.outbox.len() >= COMMANDS {
                return;
            }
            let Ok(command) = self.parts.commands.try_recv() else { return };
            self.command(now, command);
        }
    }

    fn command(&mut self, now: Time, command: Command) {
        match command {
            Command::Open { leg, pair } => {
                self.insert(*leg, pair);
            }
            Command::Leg(id, command) => match self.moved.get(&id) {
                Some(shard) => self.push(*shard, Command::Leg(id, command)),
                None => self.leg_command(now, id, command),
            },
            Command::Adopt { leg, pair, agent, beep } => {
                let trunk = leg.id();
                self.moved.remove(&trunk);
                self.insert(*leg, pair);
                self.count_legs(1);
                self.relay.bridge(now, trunk, agent, beep);
            }
            Command::Bridges => {
                let bridges = self.relay.bridges(now);
                if !bridges.is_empty() {
                    self.event(MediaEvent::Bridges { bridges });
                }
            }
            Command::Forget(id) => {
                self.moved.remove(&id);
            }
            Command::Shutdown => {
                self.stopping = true;
                self.relay.close_all(now);
            }
        }
    }

    fn leg_command(&mut self, now: Time, id: LegId, command: ToLeg) {
        let relay = &mut self.relay;
        match command {
            ToLeg::SetRemote(agreed) => {
                let _ = relay.with_format(now, id, |leg| leg.set_remote(now, &agreed));
            }
            ToLeg::Answered => drop(relay.with_leg(id, |leg| leg.watch(now))),
            ToLeg::Listen(detector) => drop(relay.with_leg(id, |leg| leg.listen(*detector))),
            ToLeg::Record(tap) => drop(relay.with_leg(id, |leg| leg.record(*tap))),
            ToLeg::Beep(beep) => drop(relay.with_leg(id, |leg| leg.overlay(beep))),
            ToLeg::StopRecording => drop(relay.with_leg(id, Leg::stop_recording)),
            ToLeg::Bridge { agent, beep } if agent.home() == self.parts.index => {
                relay.bridge(now, id, agent, beep);
            }
            ToLeg::Bridge { agent, beep } => self.carry(now, id, agent, beep),
            ToLeg::Unbridge => relay.unbridge(now, id),
            ToLeg::Play { audio, looped } => drop(relay.with_leg(id, |leg| leg.play(now, audio, looped))),
            ToLeg::Stop => drop(relay.with_leg(id, |leg| leg.stop(now))),
            ToLeg::SendDigits(digits) => drop(relay.with_leg(id, |leg| leg.send_digits(now, &digits))),
            ToLeg::Hold(held) => drop(relay.with_leg(id, |leg| leg.set_held(now, held))),
            ToLeg::Mute(muted) => drop(relay.with_leg(id, |leg| leg.set_muted(muted))),
            ToLeg::Supervise { agent, how } => relay.supervise(now, id, agent, how),
            ToLeg::StopSupervising => relay.stop_supervising(now, id),
            ToLeg::Across(across) => relay.handle_across(now, id, across),
            ToLeg::Restart { body, reply } => {
                let rng = &mut self.parts.rng;
                if let Some(answer) = relay.with_format(now, id, |leg| leg.restart(now, &body, rng)) {
                    // Who asked may have given up.
                    let _ = reply.try_send(answer);
                }
            }
            ToLeg::Counters => {
                if let Some(counters) = relay.with_leg(id, |leg| leg.counters()) {
                    self.event(MediaEvent::Counters { leg: id, counters });
                }
            }
            ToLeg::Close => relay.close(now, id),
        }
    }

    /// Carries a call to the shard of an agent: its state and its sockets, in one message.
    fn carry(&mut self, now: Time, id: LegId, agent: LegId, beep: bool) {
        let Some((slot, mut leg)) = self.relay.remove(now, id) else { return };
        let pair = self.take_sockets(slot);
        self.count_legs(-1);
        leg.leaves(self.parts.index);
        self.moved.insert(id, agent.home());
        self.push(agent.home(), Command::Adopt { leg: Box::new(leg), pair, agent, beep });
    }

    fn insert(&mut self, leg: Leg, pair: Option<Box<Pair>>) {
        let id = leg.id();
        let slot = self.relay.insert(leg);
        if self.stopping {
            self.relay.close(self.parts.clock.now(), id);
        }
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        if let Some(pair) = &pair {
            let token = slot as u64 * 4;
            let poller = &self.parts.poller;
            let added =
                poller.add(pair.rtp.as_fd(), token + RTP).and(poller.add(pair.rtcp.as_fd(), token + RTCP));
            if let Err(error) = added {
                tracing::error!(%error, "a leg's sockets cannot be watched");
            }
            pair.direct.iter().for_each(|direct| watch_direct(poller, slot, direct));
        }
        if let Some(place) = self.sockets.get_mut(slot) {
            *place = pair;
        }
    }

    fn take_sockets(&mut self, slot: usize) -> Option<Box<Pair>> {
        // Last words go by them.
        self.flush();
        let pair = self.sockets.get_mut(slot)?.take()?;
        self.parts.poller.remove(pair.rtp.as_fd());
        self.parts.poller.remove(pair.rtcp.as_fd());
        pair.direct.iter().for_each(|direct| self.parts.poller.remove(direct.socket.as_fd()));
        Some(pair)
    }

    fn push(&mut self, shard: usize, command: Command) {
        // What waits already goes first.
        let rest = if self.outbox.is_empty() { self.try_push(shard, command) } else { Some(command) };
        if let Some(command) = rest {
            self.outbox.push_back((shard, command));
        }
    }

    /// Gives the command back when the shard's queue is full.
    fn try_push(&self, shard: usize, command: Command) -> Option<Command> {
        match self.parts.inboxes.get(shard)?.send(command) {
            Err((MediaError::Busy, command)) => Some(command),
            // A shard that has ended takes nothing more: the media is shutting down.
            _ => None,
        }
    }

    fn event(&mut self, event: MediaEvent) {
        if !self.backlog.is_empty() {
            return self.defer(event);
        }
        if let Some(event) = (self.parts.tell)(event) {
            self.defer(event);
        }
    }

    fn defer(&mut self, event: MediaEvent) {
        if event.is_statistic() {
            self.stats.statistics_dropped += 1;
        } else if self.backlog.len() < EVENT_BACKLOG {
            self.backlog.push_back(event);
        } else {
            self.stats.events_lost += 1;
        }
    }

    /// Tells what happened, what waited first.
    fn tell(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            if let Some(event) = (self.parts.tell)(event) {
                self.backlog.push_front(event);
                break;
            }
        }
        while let Some(mut event) = self.relay.poll_event() {
            // By now the packet is with the kernel.
            if let MediaEvent::FirstPacket { at, .. } = &mut event {
                *at = self.parts.clock.now();
            }
            self.event(event);
        }
    }

    fn show(&mut self, now: Time) {
        let Some(inbox) = self.parts.inboxes.get(self.parts.index) else { return };
        self.stats.backlog = self.backlog.len() as u64;
        self.stats.streams = self.parts.streams.as_ref().map_or(0, |streams| streams.len() as u64);
        inbox.stats.publish(&self.stats);
        if now.since(self.last_cpu) >= CPU_EVERY {
            self.last_cpu = now;
            inbox.stats.publish_cpu(thread_cpu_time());
        }
    }

    fn count_legs(&self, change: i8) {
        if let Some(inbox) = self.parts.inboxes.get(self.parts.index) {
            inbox.stats.count_legs(change);
        }
    }
}

fn socket_of<'a>(parts: &'a Parts, sockets: &'a [Option<Box<Pair>>], token: u64) -> Option<&'a UdpSocket> {
    if token == SHARED {
        return parts.shared.as_ref();
    }
    let pair = sockets.get(leg_of(token))?.as_ref()?;
    match token % 4 {
        RTCP => Some(&pair.rtcp),
        DIRECT => pair.direct.as_ref().map(|direct| &direct.socket),
        _ => Some(&pair.rtp),
    }
}

/// Whether a token is that of a leg's direct socket.
fn is_direct(token: u64) -> bool {
    token != SHARED && token != LISTENER && stream_of(token).is_none() && token % 4 == DIRECT
}

/// Brings the sockets of legs into the cache, all at a time: see [`Relay::warm_up`].
fn warm_up(sockets: &[Option<Box<Pair>>], slots: impl Iterator<Item = usize>) {
    for pair in slots.filter_map(|slot| sockets.get(slot)?.as_ref()) {
        black_box(pair.touch());
    }
}

/// The slot of the leg whose socket has this token.
fn leg_of(token: u64) -> usize {
    usize::try_from(token / 4).unwrap_or(usize::MAX)
}

fn watch_direct(poller: &Poller, slot: usize, direct: &Direct) {
    if let Err(error) = poller.add_direct(direct.socket.as_fd(), slot as u64 * 4 + DIRECT) {
        tracing::error!(%error, "a leg's direct socket cannot be watched");
    }
}

/// An IPv4 address as a socket of IPv6 takes it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}
