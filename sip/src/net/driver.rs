//! The loop: bytes in, bytes out, a wake-up in time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use kraliki_time::{Clock, Time};
use kraliki_udp::{Batch, Sender};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::demux::Datagram;
use super::handle::Command;
use super::hep::Hep;
use super::stream::{Report, Streams};
use crate::endpoint::{CallKey, Endpoint, Output, SocketId};
use crate::error::ApiMisuse;
use crate::event::{Event, Failure};
use crate::limits;
use crate::overload::Overload;
use crate::register::RegistrationState;
use crate::stats::Stats;
use crate::trace::Direction;

struct Driver {
    endpoint: Endpoint,
    /// By [`SocketId`]; none: a stream socket, whose connections are in `streams`.
    sockets: Vec<Option<Socket>>,
    /// None: no stream sockets.
    streams: Option<Streams>,
    clock: Clock,
    /// What comes in by a port that the shards share.
    inbox: Option<mpsc::Receiver<Datagram>>,
    events: mpsc::Sender<(Time, Event)>,
    /// Events that were not told yet.
    held: VecDeque<(Time, Event)>,
    /// The queue had no room for them: the sockets are not read until it has.
    stalled: bool,
    stats: Arc<Stats>,
    batch: Batch,
    sender: Sender,
    hep: Option<Hep>,
    overload: Overload,
    /// The endpoint was told so.
    overloaded: bool,
    wake_at: Option<Time>,
}

/// A UDP socket and what is to be sent by it when all that is there has been dealt with.
struct Socket {
    io: Io,
    out: Vec<(Bytes, SocketAddr)>,
}

enum Io {
    Own(UdpSocket),
    Shared(Arc<std::net::UdpSocket>),
}

/// A UDP socket as the driver is given it.
pub(super) enum Udp {
    /// It is read and written here.
    Own(std::net::UdpSocket),
    /// All shards write to it; what it receives comes by the inbox.
    Shared(Arc<std::net::UdpSocket>),
}

/// What the driver is made of.
pub(super) struct Parts {
    pub(super) endpoint: Endpoint,
    pub(super) sockets: Vec<Option<Udp>>,
    pub(super) inbox: Option<mpsc::Receiver<Datagram>>,
    pub(super) streams: Option<Streams>,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Sender<(Time, Event)>,
    pub(super) hep: Option<Hep>,
    pub(super) overload: Overload,
}

pub(super) async fn run(parts: Parts, mut commands: mpsc::Receiver<Command>) {
    let register = |socket: Option<Udp>| {
        let io = match socket {
            Some(Udp::Own(socket)) => Some(Io::Own(UdpSocket::from_std(socket)?)),
            Some(Udp::Shared(socket)) => Some(Io::Shared(socket)),
            None => None,
        };
        Ok(io.map(|io| Socket { io, out: Vec::new() }))
    };
    let sockets: io::Result<Vec<_>> = parts.sockets.into_iter().map(register).collect();
    // Registering with a fresh poller fails only when the process has no descriptors left; the owner sees the
    // events end.
    let Ok(sockets) = sockets else { return };
    let clock = parts.clock;
    let mut driver = Driver {
        stats: parts.endpoint.stats(),
        endpoint: parts.endpoint,
        sockets,
        streams: parts.streams,
        clock,
        inbox: parts.inbox,
        events: parts.events,
        held: VecDeque::new(),
        stalled: false,
        batch: Batch::new(limits::DATAGRAMS_AT_ONCE, limits::MESSAGE_BYTES, limits::MESSAGE_BYTES),
        sender: Sender::default(),
        hep: parts.hep,
        overload: parts.overload,
        overloaded: false,
        wake_at: None,
    };
    let mut sleep = pin!(tokio::time::sleep(std::time::Duration::ZERO));
    let mut sleeping_until = None;
    let mut woke_at = Time::ZERO;
    // Whether there is more to do than the last wake-up did. Connections do not count: TCP holds back who sends too
    // much, and one peer that does must not keep all others from calling.
    let mut more = false;
    loop {
        let awake = clock.now().since(woke_at);
        if !more && awake < limits::WAKE_GAP {
            // This thread has nothing else to run (connections have their own), so it may simply sleep: one system
            // call for the whole batch.
            std::thread::sleep(limits::WAKE_GAP - awake);
        }
        if driver.wake_at != sleeping_until {
            sleeping_until = driver.wake_at;
            if let Some(at) = driver.wake_at {
                sleep.as_mut().reset(clock.instant(at).into());
            }
        }
        let stalled = driver.stalled;
        let wake = tokio::select! {
            room = driver.events.reserve(), if stalled => Wake::Room(room.is_ok()),
            () = sleep.as_mut(), if sleeping_until.is_some() => Wake::Timer,
            command = commands.recv() => Wake::Command(command),
            () = readable(&driver.sockets), if !stalled => Wake::Socket,
            report = reported(&mut driver.streams), if !stalled => Wake::Report(report),
            datagram = handed(&mut driver.inbox), if !stalled => Wake::Handed(datagram),
        };
        woke_at = clock.now();
        driver.heed(woke_at);
        more = false;
        let mut command = None;
        let told = matches!(wake, Wake::Socket);
        match wake {
            Wake::Room(true) => driver.release(),
            // Nobody listens any more: the events have no use.
            Wake::Room(false) => {
                driver.held.clear();
                driver.stalled = false;
            }
            Wake::Timer => sleeping_until = None,
            Wake::Command(None) => return driver.flush(),
            Wake::Command(first) => command = first,
            Wake::Socket => {}
            Wake::Report(report) => driver.hear(report),
            Wake::Handed(datagram) => driver.take(datagram),
        }
        // Whatever woke it, everything that is there is dealt with: commands, messages and timers get their turn each
        // time, and what comes of them leaves together.
        for taken in 1..=limits::COMMANDS_PER_WAKE {
            match command.take().or_else(|| commands.try_recv().ok()) {
                None => break,
                Some(Command::Stop) => return driver.flush(),
                Some(command) => driver.obey(command),
            }
            more |= taken == limits::COMMANDS_PER_WAKE;
        }
        if !driver.stalled {
            more |= driver.read(told);
            if let Some(report) = driver.streams.as_mut().and_then(Streams::try_report) {
                driver.hear(report);
            }
        }
        let now = clock.now();
        if driver.wake_at.is_some_and(|at| at <= now) {
            driver.endpoint.handle_timeout(now);
            driver.drain(now);
        }
        driver.flush();
        let now = clock.now();
        let behind = more || driver.stalled || now.since(woke_at) >= limits::OVERLOAD_WORK;
        driver.overload.note(now, behind);
    }
}

enum Wake {
    Room(bool),
    Timer,
    Command(Option<Command>),
    Socket,
    Report(Report),
    Handed(Datagram),
}

/// Waits until a socket can be read.
async fn readable(sockets: &[Option<Socket>]) {
    poll_fn(|cx| {
        let ready = |socket: &Socket| match &socket.io {
            Io::Own(io) => io.poll_recv_ready(cx).is_ready(),
            Io::Shared(_) => false,
        };
        match sockets.iter().flatten().any(ready) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await
}

/// Waits until a connection has something to tell.
async fn reported(streams: &mut Option<Streams>) -> Report {
    if let Some(streams) = streams
        && let Some(report) = streams.report().await
    {
        return report;
    }
    std::future::pending().await
}

/// Waits until another thread has read something for this shard.
async fn handed(inbox: &mut Option<mpsc::Receiver<Datagram>>) -> Datagram {
    if let Some(inbox) = inbox
        && let Some(datagram) = inbox.recv().await
    {
        return datagram;
    }
    std::future::pending().await
}

/// What the kernel does not take is lost like any datagram: retransmission heals it.
fn flush(socket: &mut Socket, sender: &mut Sender, stats: &Stats) {
    if !socket.out.is_empty() {
        let fd = match &socket.io {
            Io::Own(io) => io.as_fd(),
            Io::Shared(io) => io.as_fd(),
        };
        let refused = sender.send(fd, socket.out.iter().map(|(bytes, to)| (&bytes[..], *to)));
        stats.dropped_send.add(refused as u64);
        socket.out.clear();
    }
}

impl Driver {
    /// Tells the endpoint when it is to refuse new calls, and when no more.
    fn heed(&mut self, now: Time) {
        let overloaded = self.overload.is_on(now);
        if std::mem::replace(&mut self.overloaded, overloaded) != overloaded {
            self.endpoint.set_overloaded(overloaded);
        }
    }

    /// Takes what is there of each socket, some batches; `told`: the reactor says that there is something. Whether there
    /// may be more.
    fn read(&mut self, told: bool) -> bool {
        if let Some(inbox) = &mut self.inbox {
            let waiting = inbox.len();
            let count = waiting.min(limits::BATCHES_PER_WAKE * limits::DATAGRAMS_AT_ONCE);
            for _ in 0..count {
                let Some(Ok(datagram)) = self.inbox.as_mut().map(mpsc::Receiver::try_recv) else { break };
                self.take(datagram);
            }
            return count < waiting;
        }
        (0..limits::BATCHES_PER_WAKE).all(|_| self.read_batches(told))
    }

    /// A batch of each socket. Whether one was full, so that there may be more.
    fn read_batches(&mut self, told: bool) -> bool {
        let mut more = false;
        for (i, id) in (0..self.sockets.len()).zip(0..) {
            let Some(Some(Socket { io: Io::Own(io), .. })) = self.sockets.get(i) else { continue };
            let batch = &mut self.batch;
            // Any error is passed over: on UDP it tells of an earlier datagram, if of any.
            let mut receive = || batch.receive(io.as_fd(), 0..limits::DATAGRAMS_AT_ONCE);
            let received = match told {
                true => io.try_io(Interest::READABLE, || match receive() {
                    0 => Err(io::ErrorKind::WouldBlock.into()),
                    count => Ok(count),
                }),
                // The reactor has not looked: while commands come without a pause it never does, and a socket that is
                // read only when it says so would wait for a break.
                false => Ok(receive()),
            };
            let received = received.unwrap_or(0);
            more |= received == limits::DATAGRAMS_AT_ONCE;
            for slot in 0..received {
                let Some((from, length)) = self.batch.received(slot) else { continue };
                let bytes = Bytes::copy_from_slice(self.batch.slot(slot, length));
                self.take(Datagram { socket: SocketId(id), from, bytes });
            }
        }
        more
    }

    fn take(&mut self, datagram: Datagram) {
        let Datagram { socket, from, bytes } = datagram;
        let now = self.clock.now();
        if let Some(hep) = &self.hep {
            hep.capture(now, socket, from, Direction::In, &bytes);
        }
        self.endpoint.handle_datagram(now, socket, from, bytes);
        self.drain(now);
    }

    /// Sends and tells what has gathered.
    fn flush(&mut self) {
        self.release();
        for socket in self.sockets.iter_mut().flatten() {
            flush(socket, &mut self.sender, &self.stats);
        }
    }

    /// Takes what connections tell, as many reports as datagrams of one socket.
    fn hear(&mut self, first: Report) {
        let mut report = first;
        let mut taken = 1;
        while let Some(streams) = &mut self.streams {
            let now = self.clock.now();
            if let (Some(hep), Report::Message { who, bytes, .. }) = (&self.hep, &report) {
                hep.capture(now, who.socket, who.peer, Direction::In, bytes);
            }
            streams.hear(report, &mut self.endpoint, now);
            self.drain(now);
            if let Some(streams) = &mut self.streams {
                streams.end_broken();
            }
            if taken == limits::REPORTS_PER_WAKE {
                break;
            }
            let Some(next) = self.streams.as_mut().and_then(Streams::try_report) else { break };
            report = next;
            taken += 1;
        }
    }

    /// Carries out what the endpoint wants, until it wants to be woken.
    fn drain(&mut self, now: Time) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => {
                    if let Some(hep) = &self.hep {
                        hep.capture(now, transmit.socket, transmit.to, Direction::Out, &transmit.bytes);
                    }
                    match (self.sockets.get_mut(usize::from(transmit.socket.0)), &mut self.streams) {
                        (Some(Some(socket)), _) => {
                            socket.out.push((transmit.bytes, transmit.to));
                            if socket.out.len() >= limits::DATAGRAMS_AT_ONCE {
                                flush(socket, &mut self.sender, &self.stats);
                            }
                        }
                        (Some(None), Some(streams)) => streams.send(transmit),
                        _ => self.stats.dropped_send.add(1),
                    }
                }
                Output::Event(event) => self.tell(now, event),
                Output::Timeout(at) => match self.streams.as_mut().and_then(Streams::pop_gone) {
                    Some((socket, peer)) => self.endpoint.handle_closed(now, socket, peer),
                    None => {
                        self.wake_at = at;
                        return;
                    }
                },
            }
        }
    }

    /// Events are told all together, so that the owner wakes once for them.
    fn tell(&mut self, now: Time, event: Event) {
        self.held.push_back((now, event));
    }

    /// Passes events on as far as there is room.
    fn release(&mut self) {
        while let Some(event) = self.held.pop_front() {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                self.held.push_front(event);
                if !std::mem::replace(&mut self.stalled, true) {
                    self.stats.event_stalls.add(1);
                }
                return;
            }
        }
        self.stalled = false;
    }

    /// Says so when a call could not be placed.
    fn placed(&mut self, now: Time, call: CallKey, placed: Result<(), ApiMisuse>) {
        if let Err(misuse) = placed {
            let event = Event::Failed {
                call,
                failure: Failure::Refused(misuse),
                reasons: Vec::new(),
                retry_after_s: None,
                progressed: false,
                contacts: Vec::new(),
                call_info: None,
                retransmitted: 0,
            };
            self.tell(now, event);
        }
        self.drain(now);
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.now();
        let endpoint = &mut self.endpoint;
        let result = match command {
            Command::Invite(call, request) => {
                if let Some(streams) = &mut self.streams {
                    streams.learn(&request.destination);
                    request.alternatives.iter().for_each(|destination| streams.learn(destination));
                }
                let placed = endpoint.invite_as(now, call, *request);
                return self.placed(now, call, placed);
            }
            Command::InviteUser(call, user, request) => {
                let placed = endpoint.invite_user(now, call, &user, *request);
                return self.placed(now, call, placed);
            }
            Command::Register(key, registration) => {
                if let Some(streams) = &mut self.streams {
                    streams.learn(&registration.destination);
                }
                if endpoint.register_as(now, key, *registration).is_err() {
                    let state = RegistrationState::Failed { status: None, retry_after_s: None };
                    self.tell(now, Event::Registration { key, state });
                }
                return self.drain(now);
            }
            Command::Unregister(key) => endpoint.unregister(now, key),
            Command::Users(users) => endpoint.set_users(users),
            Command::Lookup(user, answer) => {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(endpoint.lookup(&user));
                Ok(())
            }
            Command::Options(key, destination) => {
                if let Some(streams) = &mut self.streams {
                    streams.learn(&destination);
                }
                if endpoint.options_as(now, key, &destination).is_err() {
                    let rtt = std::time::Duration::ZERO;
                    self.tell(now, Event::OptionsResult { key, status: None, rtt });
                }
                return self.drain(now);
            }
            Command::ByeDialog(key, dialog, reason) => {
                if endpoint.bye_dialog_as(now, key, &dialog, reason).is_err() {
                    self.tell(now, Event::DialogCleared { key, status: None });
                }
                return self.drain(now);
            }
            Command::Cancel(call, reason) => endpoint.cancel(now, call, reason),
            Command::End(call, reason) => endpoint.bye(now, call, reason),
            Command::Ring(call, status, body) => endpoint.ring(now, call, status, body),
            Command::Answer(call, body) => endpoint.answer(now, call, body),
            Command::Reject(call, status, headers) => endpoint.reject(now, call, status, &headers),
            Command::RejectSaying(call, status, phrase) => {
                endpoint.reject_saying(now, call, status, phrase, &[])
            }
            Command::RespondModify(call, answer) => endpoint.respond_modify(now, call, answer),
            Command::Modify(call, body) => endpoint.modify(now, call, body),
            Command::Acknowledge(call, body) => endpoint.acknowledge(now, call, body),
            Command::Info(call, body) => endpoint.info(now, call, body),
            Command::Refer(call, to, replaces) => endpoint.refer(now, call, &to, replaces),
            Command::ReferReplacing(call, to, replaces) => endpoint.refer_as(now, call, &to, Some(&replaces)),
            Command::LendReplaces(other, call, to, lane) => {
                let lent = endpoint.replaces(other).ok();
                let command = lent.map(|replaces| Command::ReferReplacing(call, to, replaces));
                if command.is_none_or(|command| lane.try_send(command).is_err()) {
                    self.tell(now, Event::ReferProgress { call, status: 503, done: true });
                }
                return self.drain(now);
            }
            Command::RespondRefer(call, status) => endpoint.respond_refer(now, call, status),
            Command::NotifyRefer(call, status) => endpoint.notify_refer(now, call, status),
            Command::AcceptFrom(accept_from) => {
                if let Some(streams) = &self.streams {
                    streams.set_accept_from(accept_from.clone());
                }
                endpoint.set_accept_from(accept_from);
                Ok(())
            }
            Command::Trace(call, answer) => {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(endpoint.trace(call));
                Ok(())
            }
            Command::TraceByCallId(call_id, answer) => {
                let _ = answer.send(endpoint.trace_by_call_id(&call_id));
                Ok(())
            }
            Command::HepShares(shares) => {
                if let Some(hep) = &mut self.hep {
                    hep.shares = shares;
                }
                Ok(())
            }
            Command::Stop => Ok(()),
        };
        // The call has ended or moved on meanwhile: its own event says so.
        let _: Result<(), ApiMisuse> = result;
        self.drain(now);
    }
}
