//! Connections: TCP, TLS, WS and WSS.
//!
//! They live on a thread of their own, so that no handshake and no stuck peer ever holds up a call. Each is a task
//! that gives whole messages to the driver by one bounded queue ([`Report`]) and takes messages from it by a bounded
//! queue of its own ([`connection::Line`]). The table of connections belongs to the driver ([`Streams`]).

mod accept;
mod connect;
mod connection;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kraliki_time::{Clock, Time};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use self::connection::{Line, Unsent};
#[cfg(test)]
pub(super) use self::wire::Io;
use super::tls::TlsConfig;
use crate::endpoint::{Endpoint, SocketId};
use crate::error::FrameError;
use crate::event::{AcceptFrom, Transmit};
use crate::limits;
use crate::message::{Headers, Message};
use crate::stats::Stats;
use crate::transport::{Destination, Transport};

/// How long things may take. Tests have less patience than service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) connect: Duration,
    pub(super) handshake: Duration,
    pub(super) first_message: Duration,
    pub(super) idle_made: Duration,
    pub(super) idle_accepted: Duration,
    pub(super) ping_after: Duration,
    pub(super) ping_spread: Duration,
    pub(super) pong: Duration,
    pub(super) write: Duration,
    pub(super) linger: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            connect: limits::CONNECT_TIME,
            handshake: limits::HANDSHAKE_TIME,
            first_message: limits::FIRST_MESSAGE_TIME,
            idle_made: limits::IDLE_MADE,
            idle_accepted: limits::IDLE_ACCEPTED,
            ping_after: limits::PING_AFTER,
            ping_spread: limits::PING_SPREAD,
            pong: limits::PONG_TIME,
            write: limits::WRITE_TIME,
            linger: limits::LINGER_TIME,
        }
    }
}

/// A stream socket of ours.
pub(super) struct StreamSocket {
    pub(super) transport: Transport,
    pub(super) bound: SocketAddr,
    pub(super) origins: Vec<String>,
    pub(super) fixed_source_port: bool,
}

/// A connection that we made or tried to make and that ended in an error. The last few are kept to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedConnection {
    /// When.
    pub at: Time,
    /// By which socket.
    pub socket: SocketId,
    /// Where to.
    pub peer: SocketAddr,
    /// What went wrong, in words: refused, silent, a certificate that is not the peer's.
    pub error: String,
}

/// The last connections that failed.
pub(super) type Failures = Arc<Mutex<VecDeque<FailedConnection>>>;

/// Which connection, never used twice.
type ConnectionId = u64;

/// Which connection, and between whom.
#[derive(Clone, Copy)]
pub(super) struct Who {
    id: ConnectionId,
    pub(super) socket: SocketId,
    pub(super) peer: SocketAddr,
    /// We made it.
    made: bool,
}

/// What a connection tells the driver.
pub(super) enum Report {
    /// A peer has connected.
    Opened(Opened),
    /// A message came. `also`: the address at which the peer says it is reached, of the same host.
    Message { who: Who, bytes: Bytes, also: Option<SocketAddr> },
    /// A message broke the stream: its header block, and what is wrong.
    Broken { who: Who, head: Bytes, error: FrameError },
    /// It was of no use for a while.
    Idle(ConnectionId),
    /// It has ended.
    Closed(ConnectionId),
}

pub(super) struct Opened {
    who: Who,
    line: Line,
}

/// What all connections share.
struct Common {
    /// By [`SocketId`]; none: UDP.
    sockets: Vec<Option<StreamSocket>>,
    reports: mpsc::Sender<Report>,
    stats: Arc<Stats>,
    tls: watch::Receiver<Option<TlsConfig>>,
    times: Times,
    clock: Clock,
    failures: Failures,
    /// Who may start calls.
    accept_from: watch::Receiver<AcceptFrom>,
    accepted: Arc<Semaphore>,
    made: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    last_id: AtomicU64,
}

impl Common {
    fn new(setup: Setup, reports: mpsc::Sender<Report>, accept_from: watch::Receiver<AcceptFrom>) -> Common {
        Common {
            sockets: setup.sockets,
            reports,
            stats: setup.stats,
            tls: setup.tls,
            times: setup.times,
            clock: setup.clock,
            failures: setup.failures,
            accept_from,
            accepted: Arc::new(Semaphore::new(limits::CONNECTIONS_ACCEPTED)),
            made: Arc::new(Semaphore::new(limits::CONNECTIONS_MADE)),
            by_address: Mutex::default(),
            last_id: AtomicU64::new(0),
        }
    }

    fn socket(&self, id: SocketId) -> Option<&StreamSocket> {
        self.sockets.get(usize::from(id.0))?.as_ref()
    }

    fn next_id(&self) -> ConnectionId {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A place for one more connection, if there is one. `from`: who wants it, when it is not us.
    fn enter(self: &Arc<Common>, from: Option<IpAddr>) -> Option<Slot> {
        let slots = if from.is_some() { &self.accepted } else { &self.made };
        let permit = slots.clone().try_acquire_owned().ok()?;
        let from = from.map(network);
        if let Some(from) = from {
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(from).or_default();
            if *count >= limits::CONNECTIONS_PER_ADDRESS {
                return None;
            }
            *count += 1;
        }
        Some(Slot { common: self.clone(), from, _permit: permit })
    }

    fn remember(&self, who: Who, error: &io::Error) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= limits::FAILED_CONNECTIONS {
            failures.pop_front();
        }
        let (at, error) = (self.clock.now(), error.to_string());
        failures.push_back(FailedConnection { at, socket: who.socket, peer: who.peer, error });
    }
}

/// The address in the topmost Via, if it is one.
fn sent_by(headers: &Headers) -> Option<SocketAddr> {
    let via = headers.via()?;
    let ip: IpAddr = std::str::from_utf8(via.host).ok()?.parse().ok()?;
    let transport = std::str::from_utf8(via.transport).ok().and_then(Transport::of);
    let port = via.port.unwrap_or(transport.unwrap_or_default().default_port());
    Some(SocketAddr::new(ip, port)).filter(|_| port != 0)
}

/// Whom an address stands for: one host has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// A connection's place among all.
struct Slot {
    common: Arc<Common>,
    from: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(from) = self.from else { return };
        let mut by_address = self.common.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&from);
            }
        }
    }
}

/// One connection, as the driver sees it.
struct Connection {
    who: Who,
    line: Line,
    /// The other address that it is found by.
    also: Option<SocketAddr>,
    /// A request went out by it: something may wait for its answer.
    asked: bool,
}

/// All connections, and the thread that they live on.
pub(super) struct Streams {
    connections: HashMap<ConnectionId, Connection>,
    /// By socket and peer: those that we made by where they go, accepted ones by where they came from and by where
    /// their peer says it is reached.
    by_hop: HashMap<(SocketId, SocketAddr), ConnectionId>,
    /// Where we call over TLS, and the name that is expected there.
    dialed: HashMap<SocketAddr, Option<Arc<str>>>,
    /// What has ended and the endpoint has not been told.
    gone: Vec<(SocketId, SocketAddr)>,
    /// Whose stream broke; they end when the answer to that is on its way.
    broken: Vec<ConnectionId>,
    common: Arc<Common>,
    reports: mpsc::Receiver<Report>,
    accept_from: watch::Sender<AcceptFrom>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What [`Streams::start`] needs.
pub(super) struct Setup {
    pub(super) sockets: Vec<Option<StreamSocket>>,
    pub(super) listeners: Vec<(SocketId, std::net::TcpListener)>,
    pub(super) tls: watch::Receiver<Option<TlsConfig>>,
    pub(super) accept_from: AcceptFrom,
    pub(super) times: Times,
    pub(super) clock: Clock,
    pub(super) failures: Failures,
    pub(super) stats: Arc<Stats>,
}

impl Streams {
    /// Starts the thread; peers can connect.
    pub(super) fn start(mut setup: Setup) -> io::Result<Streams> {
        let (sender, reports) = mpsc::channel(limits::STREAM_REPORTS);
        let (accept_from, accept_from_now) = watch::channel(std::mem::take(&mut setup.accept_from));
        let listeners = std::mem::take(&mut setup.listeners);
        let common = Arc::new(Common::new(setup, sender, accept_from_now));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let mut listening = Vec::new();
        {
            let _inside = runtime.enter();
            for (socket, listener) in listeners {
                listening.push((socket, TcpListener::from_std(listener)?));
            }
        }
        let (stop, stopped) = oneshot::channel();
        let shared = common.clone();
        let run = move || runtime.block_on(live(shared, listening, stopped));
        let thread = std::thread::Builder::new().name("sip-streams".into()).spawn(run)?;
        Ok(Streams {
            connections: HashMap::new(),
            by_hop: HashMap::new(),
            dialed: HashMap::new(),
            broken: Vec::new(),
            gone: Vec::new(),
            common,
            reports,
            accept_from,
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The next report.
    pub(super) async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// The next report, if there is one.
    pub(super) fn try_report(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// What has ended: the endpoint has to be told.
    pub(super) fn pop_gone(&mut self) -> Option<(SocketId, SocketAddr)> {
        self.gone.pop()
    }

    /// Changes who may start calls.
    pub(super) fn set_accept_from(&self, accept_from: AcceptFrom) {
        self.accept_from.send_replace(accept_from);
    }

    /// Learns who is expected at an address, before the first message to it.
    pub(super) fn learn(&mut self, destination: &Destination) {
        let Destination { address, transport, server_name, .. } = destination;
        // Nobody is connected to over WSS.
        if *transport != Transport::Tls || self.dialed.get(address).is_some_and(|known| known == server_name)
        {
            return;
        }
        if self.dialed.len() >= limits::SERVER_NAMES {
            self.dialed.clear();
        }
        self.dialed.insert(*address, server_name.clone());
    }

    /// Sends a message by the connection to its destination, which is made when there is none.
    pub(super) fn send(&mut self, transmit: Transmit) {
        let mut hop = (transmit.socket, transmit.to);
        let is_request = !transmit.bytes.starts_with(b"SIP/2.0 ");
        let mut known = self.known(hop);
        if known.is_none() && !is_request {
            // RFC 3261 §18.2.2: the connection of the request is gone, so its answer goes where its sender says it
            // is reached. Only that host is believed.
            let sender = match Message::parse(transmit.bytes.clone()) {
                Ok(Message::Response(response)) => sent_by(&response),
                _ => None,
            };
            let Some(to) = sender.filter(|to| to.ip() == transmit.to.ip()) else {
                return self.common.stats.dropped_send.add(1);
            };
            hop.1 = to;
            known = self.known(hop);
        }
        let Some(id) = known.or_else(|| self.connect(hop)) else {
            self.common.stats.dropped_send.add(1);
            if is_request {
                self.gone.push(hop);
            }
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.asked |= is_request;
        let Err(why) = connection.line.send(transmit.bytes) else { return };
        self.common.stats.dropped_send.add(1);
        // Ended: its report is on the way and tells more.
        if why == Unsent::Full {
            self.common.stats.connections_overrun.add(1);
            connection.line.cut();
            self.forget(id);
        }
    }

    fn known(&self, hop: (SocketId, SocketAddr)) -> Option<ConnectionId> {
        self.by_hop.get(&hop).copied().filter(|id| self.may_carry(*id, hop))
    }

    /// Whom we call over TLS must have shown its certificate: a connection that somebody made to us has not, even
    /// when it comes from there.
    fn may_carry(&self, id: ConnectionId, (socket, to): (SocketId, SocketAddr)) -> bool {
        let tls = self.common.socket(socket).is_some_and(|socket| socket.transport == Transport::Tls);
        let made = self.connections.get(&id).is_some_and(|connection| connection.who.made);
        made || !tls || !self.dialed.contains_key(&to)
    }

    fn connect(&mut self, (socket, peer): (SocketId, SocketAddr)) -> Option<ConnectionId> {
        let transport = self.common.socket(socket)?.transport;
        if matches!(transport, Transport::Ws | Transport::Wss) {
            // A browser cannot be called at an address (RFC 7118 §5).
            return None;
        }
        let (line, queue) = connection::line();
        let who = Who { id: self.common.next_id(), socket, peer, made: true };
        let name = self.dialed.get(&peer).cloned().flatten();
        self.runtime.spawn(connect::run(self.common.clone(), who, name, queue));
        self.insert(Connection { who, line, also: None, asked: false });
        Some(who.id)
    }

    fn insert(&mut self, connection: Connection) {
        let who = connection.who;
        self.by_hop.insert((who.socket, who.peer), who.id);
        self.connections.insert(who.id, connection);
        self.common.stats.connections.set(self.connections.len() as u64);
    }

    fn forget(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.common.stats.connections.set(self.connections.len() as u64);
        for address in [Some(connection.who.peer), connection.also].into_iter().flatten() {
            let hop = (connection.who.socket, address);
            if self.by_hop.get(&hop) == Some(&id) {
                self.by_hop.remove(&hop);
                if connection.asked {
                    self.gone.push(hop);
                }
            }
        }
    }

    /// Notes another address of an accepted connection. One that we made, or that came from there, is not pushed
    /// aside; of two that say the same the newer is alive.
    fn note(&mut self, id: ConnectionId, also: SocketAddr) {
        let Some(connection) = self.connections.get(&id) else { return };
        let hop = (connection.who.socket, also);
        let holder = self.by_hop.get(&hop).and_then(|holder| self.connections.get(holder));
        if holder.is_some_and(|holder| holder.who.peer == also) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.also = Some(also);
            self.by_hop.insert(hop, id);
        }
    }

    /// Ends the connections whose stream broke, once what the endpoint says to that is on its way.
    pub(super) fn end_broken(&mut self) {
        for id in std::mem::take(&mut self.broken) {
            self.forget(id);
        }
    }

    /// Acts on a report. A message goes to the endpoint, which is to be drained after each.
    pub(super) fn hear(&mut self, report: Report, endpoint: &mut Endpoint, now: Time) {
        match report {
            Report::Opened(Opened { who, line }) => {
                self.insert(Connection { who, line, also: None, asked: false });
            }
            Report::Message { who, bytes, also } => {
                // What a connection brought before we ended it does not count: its answer has no way back.
                if !self.connections.contains_key(&who.id) {
                    return;
                }
                if let Some(also) = also {
                    self.note(who.id, also);
                }
                endpoint.handle_datagram(now, who.socket, who.peer, bytes);
            }
            Report::Broken { who, head, error } => {
                if self.connections.contains_key(&who.id) {
                    endpoint.handle_broken_head(now, who.socket, who.peer, head, error);
                    self.broken.push(who.id);
                }
            }
            Report::Idle(id) => {
                let Some(connection) = self.connections.get(&id) else { return };
                let Who { socket, peer, .. } = connection.who;
                let addresses = [Some(peer), connection.also];
                if !addresses.into_iter().flatten().any(|address| endpoint.needs(socket, address)) {
                    self.forget(id);
                }
            }
            Report::Closed(id) => self.forget(id),
        }
    }
}

impl Drop for Streams {
    /// Connections write what waits and end; then the thread does.
    fn drop(&mut self) {
        self.connections.clear();
        self.reports.close();
        while self.reports.try_recv().is_ok() {}
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's life: it accepts until it is told to stop, and gives the connections a moment to end.
async fn live(common: Arc<Common>, listening: Vec<(SocketId, TcpListener)>, stopped: oneshot::Receiver<()>) {
    let accepting: Vec<_> = listening
        .into_iter()
        .map(|(socket, listener)| tokio::spawn(accept::run(common.clone(), socket, listener)))
        .collect();
    // It is dropped rather than told.
    let _ = stopped.await;
    for task in accepting {
        task.abort();
    }
    let ended = async {
        let _accepted = common.accepted.acquire_many(limits::CONNECTIONS_ACCEPTED as u32).await;
        let _made = common.made.acquire_many(limits::CONNECTIONS_MADE as u32).await;
    };
    let _ = timeout(common.times.linger, ended).await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn common() -> Arc<Common> {
        let (reports, _) = mpsc::channel(1);
        let setup = Setup {
            sockets: Vec::new(),
            listeners: Vec::new(),
            tls: watch::channel(None).1,
            accept_from: AcceptFrom::Any,
            times: Times::default(),
            clock: Clock::start(),
            failures: Failures::default(),
            stats: Arc::default(),
        };
        Arc::new(Common::new(setup, reports, watch::channel(AcceptFrom::Any).1))
    }

    #[test]
    fn so_many_from_one_address_and_so_many_in_all() {
        let common = common();
        let one = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 7, 7, 7, last]);
        let mut slots: Vec<_> = (0..600).filter_map(|i| common.enter(Some(one(i)))).collect();
        assert_eq!(slots.len(), limits::CONNECTIONS_PER_ADDRESS, "a /64 is one host");
        slots.pop();
        assert!(common.enter(Some(one(1))).is_some(), "and gone again at once");
        slots.extend((0..5_000u32).filter_map(|i| common.enter(Some(Ipv4Addr::from_bits(i).into()))));
        assert_eq!(slots.len(), limits::CONNECTIONS_ACCEPTED);
        slots.extend((0..2_000).filter_map(|_| common.enter(None)));
        assert_eq!(slots.len(), limits::CONNECTIONS_ACCEPTED + limits::CONNECTIONS_MADE);
        drop(slots);
        assert!(common.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn a_line_holds_so_many_messages_and_so_many_bytes() {
        let (line, _queue) = connection::line();
        let large = Bytes::from(vec![b'x'; limits::MESSAGE_BYTES]);
        let sent = (0..100).take_while(|_| line.send(large.clone()).is_ok()).count();
        assert_eq!(sent, limits::SEND_QUEUE_BYTES / limits::MESSAGE_BYTES);
        let (line, _queue) = connection::line();
        let sent = (0..9_999).take_while(|_| line.send(Bytes::from_static(b"x")).is_ok()).count();
        assert_eq!(sent, limits::SEND_QUEUE_MESSAGES);
        assert_eq!(line.send(Bytes::new()), Err(Unsent::Full));
        let (line, queue) = connection::line();
        drop(queue);
        assert_eq!(line.send(large), Err(Unsent::Ended));
    }
}
