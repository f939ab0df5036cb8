//! One connection from its handshake to its end: what comes in goes to the driver, what the driver sends goes out,
//! and a peer that is gone, stuck or silent is found out.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::wire::{Came, Wire};
use super::{Common, Report, Times, Who, sent_by};
use crate::event::AcceptFrom;
use crate::frame::Frame;
use crate::limits;
use crate::message::Message;
use crate::receive::check;

const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// The driver's end of a connection. When it is dropped, what waits is still written, then the connection ends.
pub(super) struct Line {
    messages: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
}

/// The connection's end of a [`Line`].
pub(super) struct Outgoing {
    messages: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Bytes that wait.
    bytes: AtomicUsize,
    /// Ends the connection at once.
    cut: Notify,
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The peer takes too little.
    Full,
    /// The connection has ended.
    Ended,
}

pub(super) fn line() -> (Line, Outgoing) {
    let shared = Arc::<Shared>::default();
    let (messages, queue) = mpsc::channel(limits::SEND_QUEUE_MESSAGES);
    (Line { messages, shared: shared.clone() }, Outgoing { messages: queue, shared })
}

impl Line {
    pub(super) fn send(&self, bytes: Bytes) -> Result<(), Unsent> {
        let length = bytes.len();
        let waiting = self.shared.bytes.fetch_add(length, Ordering::Relaxed);
        if waiting + length > limits::SEND_QUEUE_BYTES {
            return Err(Unsent::Full);
        }
        self.messages.try_send(bytes).map_err(|error| match error {
            TrySendError::Full(_) => Unsent::Full,
            TrySendError::Closed(_) => Unsent::Ended,
        })
    }

    /// Ends the connection at once; what waits is lost.
    pub(super) fn cut(&self) {
        self.shared.cut.notify_one();
    }
}

impl Outgoing {
    fn took(&self, bytes: Bytes) -> Bytes {
        self.shared.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        bytes
    }
}

/// Serves a connection until it ends. An error is for whoever looks for the reason.
pub(super) async fn serve(common: &Common, who: Who, wire: Wire, queue: Outgoing) -> io::Result<()> {
    let mut session = Session {
        who,
        flow: Flow { wire, queue, owes_ping: false, owes_pong: false, blocked: None, used: Instant::now() },
        timers: Timers::new(common.times, who.made),
        first: First { who, accept_from: &common.accept_from, proven: who.made, done: who.made },
        report: None,
        broken: false,
    };
    let end = session.run(common).await;
    if (end.is_err() || session.broken) && !session.first.proven {
        common.stats.connections_failed.add(1);
    }
    if end? == End::Dismissed {
        // A peer that does not take part in a goodbye is not waited for.
        let _ = timeout(common.times.linger, poll_fn(|cx| session.flow.wire.poll_close(cx))).await;
    }
    Ok(())
}

struct Session<'a> {
    who: Who,
    flow: Flow,
    timers: Timers,
    first: First<'a>,
    /// What the driver is told next. While it waits, nothing is read.
    report: Option<Report>,
    /// A message broke the stream: nothing more is read, and the driver ends the connection.
    broken: bool,
}

/// How a connection ends in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The peer has ended it.
    Peer,
    /// We have no more use for it; all is written.
    Dismissed,
}

impl Session<'_> {
    async fn run(&mut self, common: &Common) -> io::Result<End> {
        let shared = self.flow.queue.shared.clone();
        let mut sleep = pin!(sleep_until(self.timers.next(&self.flow)));
        loop {
            let next = self.timers.next(&self.flow);
            // Only what comes sooner: when the sleep ends, all that is due is looked at anyhow.
            if next < sleep.deadline() {
                sleep.as_mut().reset(next);
            }
            let reading = self.report.is_none() && !self.broken;
            let step = tokio::select! {
                step = poll_fn(|cx| self.flow.poll(cx, reading)) => step?,
                room = common.reports.reserve(), if self.report.is_some() => match (room, self.report.take()) {
                    (Ok(room), Some(report)) => {
                        room.send(report);
                        continue;
                    }
                    // The driver has stopped.
                    _ => Step::End(End::Dismissed),
                },
                () = sleep.as_mut() => Step::Time,
                () = shared.cut.notified() => return Err(io::Error::other("the peer takes too little")),
            };
            match step {
                Step::Came(Came::Frame(frame)) => self.take(frame),
                Step::Came(Came::Broken(head, error)) => {
                    self.broken = true;
                    self.report = Some(Report::Broken { who: self.who, head, error });
                }
                Step::Blocked => {}
                Step::Time => {
                    if self.timers.act(&mut self.flow, reading)? {
                        self.report.get_or_insert(Report::Idle(self.who.id));
                    }
                    sleep.as_mut().reset(self.timers.next(&self.flow));
                }
                Step::End(end) => return Ok(end),
            }
        }
    }

    fn take(&mut self, frame: Frame) {
        self.timers.pong = None;
        // Who keeps a connection to us alive uses it.
        if !self.who.made || matches!(frame, Frame::Message(_)) {
            self.flow.used = Instant::now();
        }
        match frame {
            Frame::Message(bytes) => {
                let also = self.first.look(&bytes);
                if self.first.proven {
                    self.timers.first = None;
                }
                self.report = Some(Report::Message { who: self.who, bytes, also });
            }
            Frame::Ping => self.flow.owes_pong = true,
            Frame::Pong => self.timers.ponged(),
        }
    }
}

/// The bytes of a connection, both ways.
struct Flow {
    wire: Wire,
    queue: Outgoing,
    owes_ping: bool,
    /// One pong is enough: a peer that asks faster than it reads hears less often.
    owes_pong: bool,
    /// Since when the peer takes nothing.
    blocked: Option<Instant>,
    /// When it was last of use.
    used: Instant,
}

enum Step {
    Came(Came),
    /// Writing has to wait from now on.
    Blocked,
    Time,
    End(End),
}

impl Flow {
    fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<io::Result<Step>> {
        loop {
            if self.wire.poll_flush(cx)?.is_pending() {
                if self.blocked.is_none() {
                    self.blocked = Some(Instant::now());
                    return Poll::Ready(Ok(Step::Blocked));
                }
                break;
            }
            self.blocked = None;
            if std::mem::take(&mut self.owes_pong) {
                self.wire.start_send(Bytes::from_static(PONG))?;
                continue;
            }
            if std::mem::take(&mut self.owes_ping) {
                self.wire.start_send(Bytes::from_static(PING))?;
                continue;
            }
            match self.queue.messages.poll_recv(cx) {
                Poll::Ready(Some(bytes)) => {
                    self.used = Instant::now();
                    self.wire.start_send(self.queue.took(bytes))?;
                    while self.wire.has_room()
                        && let Ok(bytes) = self.queue.messages.try_recv()
                    {
                        self.wire.start_send(self.queue.took(bytes))?;
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Ok(Step::End(End::Dismissed))),
                Poll::Pending => break,
            }
        }
        if !reading {
            return Poll::Pending;
        }
        let came = ready!(self.wire.poll_frame(cx))?;
        Poll::Ready(Ok(came.map_or(Step::End(End::Peer), Step::Came)))
    }
}

/// What is due when.
struct Timers {
    times: Times,
    /// When the first message must have come.
    first: Option<Instant>,
    /// When we ask whether the peer is there.
    ping: Option<Instant>,
    /// When we last asked.
    pinged: Option<Instant>,
    /// When it must have answered.
    pong: Option<Instant>,
    /// It has answered a ping before. Not every peer over TCP knows RFC 5626: silence of one that never answered
    /// says nothing. That such a one is gone TCP finds out, since it has to acknowledge the ping.
    answers_pings: bool,
    idle: Duration,
}

impl Timers {
    fn new(times: Times, made: bool) -> Timers {
        let now = Instant::now();
        let mut timers = Timers {
            times,
            first: (!made).then_some(now + times.first_message),
            ping: None,
            pinged: None,
            pong: None,
            answers_pings: false,
            idle: if made { times.idle_made } else { times.idle_accepted },
        };
        timers.ping = made.then(|| now + timers.ping_after());
        timers
    }

    fn ping_after(&self) -> Duration {
        // The hasher's keys are chance.
        let chance = RandomState::new().hash_one(0u8) % 1024;
        self.times.ping_after + self.times.ping_spread.mul_f64(chance as f64 / 1024.0)
    }

    fn next(&self, flow: &Flow) -> Instant {
        let blocked = flow.blocked.map(|since| since + self.times.write);
        let others = [self.first, self.ping, self.pong, blocked].into_iter().flatten().min();
        let idle = flow.used + self.idle;
        others.map_or(idle, |other| other.min(idle))
    }

    /// A pong has come, or a stray line break, which is as good as one.
    fn ponged(&mut self) {
        self.answers_pings |= self.pinged.is_some_and(|at| at.elapsed() <= self.times.pong);
    }

    /// Does what is due. True: the connection is of no use, unless a call knows better.
    fn act(&mut self, flow: &mut Flow, reading: bool) -> io::Result<bool> {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let late = |what: &str| Err(io::Error::new(io::ErrorKind::TimedOut, what));
        if due(self.first) {
            return late("no message came from one that may start calls");
        }
        if due(self.pong) && !reading {
            // It may have come: we are behind, not the peer.
            self.pong = Some(now + self.times.pong);
        }
        if due(self.pong) {
            return late("no pong came");
        }
        if due(flow.blocked.map(|since| since + self.times.write)) {
            return late("the peer takes nothing");
        }
        if due(self.ping) {
            flow.owes_ping = true;
            self.pinged = Some(now);
            self.ping = Some(now + self.ping_after());
            if self.answers_pings {
                self.pong.get_or_insert(now + self.times.pong);
            }
        }
        let idle = due(Some(flow.used + self.idle));
        if idle {
            flow.used = now;
        }
        Ok(idle)
    }
}

/// Looks at the first messages of a connection that we accepted.
struct First<'a> {
    who: Who,
    accept_from: &'a watch::Receiver<AcceptFrom>,
    /// A message that makes sense has come, from an address that may start calls.
    proven: bool,
    /// Nothing more to learn.
    done: bool,
}

impl First<'_> {
    /// Gives the address that the peer calls its own in Via, when it is another port of the one it connected from
    /// (RFC 5923): requests to there can go by this connection. The word of another address is not taken.
    fn look(&mut self, bytes: &Bytes) -> Option<SocketAddr> {
        if self.done || !self.accept_from.borrow().allows(self.who.peer) {
            return None;
        }
        match Message::parse(bytes.clone()).ok()? {
            Message::Request(request) if check(&request).is_ok() => {
                (self.proven, self.done) = (true, true);
                sent_by(&request).filter(|also| also.ip() == self.who.peer.ip() && *also != self.who.peer)
            }
            Message::Response(response) if response.check().is_ok() => {
                self.proven = true;
                None
            }
            _ => None,
        }
    }
}
