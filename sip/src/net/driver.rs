//! The loop: bytes in, bytes out, a wake-up in time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use kraliki_time::{Clock, Time};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::handle::Command;
use super::stream::{Report, Streams};
use crate::endpoint::{CallKey, Endpoint, Output, SocketId};
use crate::error::ApiMisuse;
use crate::event::{Event, Failure};
use crate::limits;
use crate::register::RegistrationState;
use crate::stats::Stats;

struct Driver {
    endpoint: Endpoint,
    /// By [`SocketId`]; none: a stream socket, whose connections are in `streams`.
    sockets: Vec<Option<UdpSocket>>,
    /// None: no stream sockets.
    streams: Option<Streams>,
    clock: Clock,
    events: mpsc::Sender<(Time, Event)>,
    /// Events that the queue had no room for; while there are any, the sockets are not read.
    held: VecDeque<(Time, Event)>,
    stats: Arc<Stats>,
    buffer: Vec<u8>,
    wake_at: Option<Time>,
}

pub(super) async fn run(
    endpoint: Endpoint,
    sockets: Vec<Option<std::net::UdpSocket>>,
    streams: Option<Streams>,
    clock: Clock,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<(Time, Event)>,
) {
    let register = |socket: Option<std::net::UdpSocket>| socket.map(UdpSocket::from_std).transpose();
    let sockets: io::Result<Vec<_>> = sockets.into_iter().map(register).collect();
    // Registering with a fresh poller fails only when the process has no descriptors left; the owner sees the
    // events end.
    let Ok(sockets) = sockets else { return };
    let stats = endpoint.stats();
    let mut driver = Driver {
        endpoint,
        sockets,
        streams,
        clock,
        events,
        held: VecDeque::new(),
        stats,
        buffer: vec![0; limits::MESSAGE_BYTES + 1],
        wake_at: None,
    };
    let mut sleep = pin!(tokio::time::sleep(std::time::Duration::ZERO));
    let mut sleeping_until = None;
    let mut woke_at = Time::ZERO;
    loop {
        let awake = clock.now().since(woke_at);
        if awake < limits::WAKE_GAP {
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
        let stalled = !driver.held.is_empty();
        // Not biased: commands, timers and datagrams take turns when all are ready.
        let wake = tokio::select! {
            room = driver.events.reserve(), if stalled => Wake::Room(room.is_ok()),
            () = sleep.as_mut(), if sleeping_until.is_some() => Wake::Timer,
            command = commands.recv() => Wake::Command(command),
            socket = readable(&driver.sockets), if !stalled => Wake::Socket(socket),
            report = reported(&mut driver.streams), if !stalled => Wake::Report(report),
        };
        woke_at = clock.now();
        match wake {
            Wake::Room(true) => driver.release(),
            // Nobody listens any more: the events have no use.
            Wake::Room(false) => driver.held.clear(),
            Wake::Timer => {
                sleeping_until = None;
                let now = clock.now();
                driver.endpoint.handle_timeout(now);
                driver.drain(now);
            }
            Wake::Command(first) => {
                let mut next = first;
                let mut taken = 1;
                loop {
                    match next {
                        None | Some(Command::Stop) => return,
                        Some(command) => driver.obey(command),
                    }
                    if taken == limits::COMMANDS_PER_WAKE {
                        break;
                    }
                    let Ok(command) = commands.try_recv() else { break };
                    next = Some(command);
                    taken += 1;
                }
            }
            Wake::Socket(socket) => driver.read(socket),
            Wake::Report(report) => driver.hear(report),
        }
    }
}

enum Wake {
    Room(bool),
    Timer,
    Command(Option<Command>),
    Socket(usize),
    Report(Report),
}

/// Waits until a socket can be read, and says which.
async fn readable(sockets: &[Option<UdpSocket>]) -> usize {
    poll_fn(|cx| {
        for (i, socket) in sockets.iter().enumerate() {
            if socket.as_ref().is_some_and(|socket| socket.poll_recv_ready(cx).is_ready()) {
                return Poll::Ready(i);
            }
        }
        Poll::Pending
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

impl Driver {
    fn read(&mut self, first: usize) {
        // Every socket gets its turn, beginning with the one that is ready.
        let count = self.sockets.len();
        for i in (0..count).map(|i| (first + i) % count.max(1)) {
            for _ in 0..limits::READS_PER_WAKE {
                let Some(Some(socket)) = self.sockets.get(i) else { break };
                // Any error is passed over: on UDP it tells of an earlier datagram, if of any.
                let Ok((length, from)) = socket.try_recv_from(&mut self.buffer) else { break };
                let datagram = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                let now = self.clock.now();
                self.endpoint.handle_datagram(now, SocketId(i as u16), from, datagram);
                self.drain(now);
            }
        }
    }

    /// Takes what connections tell, as many reports as datagrams of one socket.
    fn hear(&mut self, first: Report) {
        let mut report = first;
        let mut taken = 1;
        while let Some(streams) = &mut self.streams {
            let now = self.clock.now();
            streams.hear(report, &mut self.endpoint, now);
            self.drain(now);
            if taken == limits::READS_PER_WAKE {
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
                    match (self.sockets.get(usize::from(transmit.socket.0)), &mut self.streams) {
                        // What the kernel does not take is lost like any datagram: retransmission heals it.
                        (Some(Some(socket)), _) => {
                            if socket.try_send_to(&transmit.bytes, transmit.to).is_err() {
                                self.stats.dropped_send.add(1);
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

    fn tell(&mut self, now: Time, event: Event) {
        if !self.held.is_empty() {
            return self.held.push_back((now, event));
        }
        if let Err(TrySendError::Full(event)) = self.events.try_send((now, event)) {
            self.stats.event_stalls.add(1);
            self.held.push_back(event);
        }
    }

    /// Passes held events on as far as there is room.
    fn release(&mut self) {
        while let Some(event) = self.held.pop_front() {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                return self.held.push_front(event);
            }
        }
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
            Command::RespondModify(call, answer) => endpoint.respond_modify(now, call, answer),
            Command::Modify(call, body) => endpoint.modify(now, call, body),
            Command::Acknowledge(call, body) => endpoint.acknowledge(now, call, body),
            Command::Info(call, body) => endpoint.info(now, call, body),
            Command::Refer(call, to, replaces) => endpoint.refer(now, call, &to, replaces),
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
            Command::Stop => Ok(()),
        };
        // The call has ended or moved on meanwhile: its own event says so.
        let _: Result<(), ApiMisuse> = result;
        self.drain(now);
    }
}
