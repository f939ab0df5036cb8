//! The driver: sockets and a clock around an [`Endpoint`], on a thread of its own.
//!
//! It moves bytes and wakes the endpoint, nothing else. Commands come in by a bounded queue that says when it is
//! full; events go out by a bounded queue, and while the owner is behind with it the sockets are not read.
//!
//! UDP sockets belong to the driver. Connections (TCP, TLS, WS, WSS) have a second thread, which is there when a
//! socket of theirs is: they hand over whole messages, and only the driver touches the endpoint. A connection is
//! made when a message has no other way, and kept:
//!
//! - one that we made, for 5 minutes after its last message and as long as an answered call goes by it; it is asked
//!   every 90 to 120 s whether it lives (RFC 5626 §3.5.1);
//! - one that we accepted, for 15 minutes after its last message or keep-alive and as long as a call goes by it.
//!   Requests to the address that its peer names in Via go back by it (RFC 5923), when it is the same host; over TLS
//!   not those to an address that we dial, since only a connection of ours has looked at the certificate. From an
//!   address that may not start calls it is kept for 10 s only.
//!
//! There may be several endpoints, each with a driver on a thread of its own ([`NetConfig::shards`]): the first has
//! the connections, phones and registrations, calls by UDP are spread over all.
//!
//! When a connection ends, the requests that wait for an answer by it fail at once.
#![allow(clippy::disallowed_methods)] // a driver owns sockets and threads

mod certificates;
mod demux;
mod driver;
mod handle;
mod hep;
mod kernel;
#[cfg(test)]
mod register_tests;
mod resolver;
#[cfg(test)]
mod shard_tests;
mod stream;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use kraliki_time::{Clock, Time};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

pub use certificates::{CallVerifier, CertificateFetcher, FetchConfig, FetchError, FetcherError};
pub use handle::{QueueFull, SipHandle};
pub use hep::{Captured, HepConfig, HepCounts, HepExporter};
pub use resolver::{DnsResolver, DnsSetupError};
pub use stream::FailedConnection;
pub use tls::{ClientFiles, TlsConfig, TlsError, TlsFiles};

use self::demux::{Demux, Rule};
use self::driver::Udp;
use self::handle::{Lane, Spread};
use self::stream::{Failures, Setup, StreamSocket, Streams, Times};
use crate::endpoint::{Endpoint, SocketId};
use crate::event::{EndpointConfig, Event};
use crate::limits;
use crate::overload::Overload;
use crate::shard::{CallIds, Shard};
use crate::stats::Stats;
use crate::transport::{LocalSocket, Transport};

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub transport: Transport,
    /// The local address. Port 0 takes a free one. Connections that we make begin at this address too.
    pub bind: SocketAddr,
    /// What Via and Contact say, when it differs. Port 0 stands for the bound port.
    pub advertise: Option<SocketAddr>,
    /// TCP and TLS: connections that we make begin at the listening port too, not at a free one, for peers whose
    /// firewall wants it. Then there can be only one connection to a peer, whoever makes it.
    pub fixed_source_port: bool,
    /// WS and WSS: the pages that may connect, by their Origin (`https://desk.example.com`). None here: all.
    pub origins: Vec<String>,
}

impl Listen {
    /// An address, as it is.
    pub fn new(transport: Transport, bind: SocketAddr) -> Listen {
        Listen { transport, bind, advertise: None, fixed_source_port: false, origins: Vec::new() }
    }

    /// For UDP.
    pub fn udp(bind: SocketAddr) -> Listen {
        Listen::new(Transport::Udp, bind)
    }

    /// With the ports of a shard.
    fn of_shard(&self, shard: u16) -> Option<Listen> {
        let moved = |mut address: SocketAddr| {
            if address.port() != 0 {
                address.set_port(address.port().checked_add(shard)?);
            }
            Some(address)
        };
        let advertise = match self.advertise {
            Some(address) => Some(moved(address)?),
            None => None,
        };
        Some(Listen { bind: moved(self.bind)?, advertise, ..self.clone() })
    }

    /// What the endpoint is told of the bound socket.
    fn local(&self, bound: SocketAddr) -> Result<LocalSocket, StartError> {
        let mut advertise = self.advertise.unwrap_or(bound);
        if advertise.ip().is_unspecified() {
            return Err(StartError::NeedsAdvertise(self.bind));
        }
        if advertise.port() == 0 {
            advertise.set_port(bound.port());
        }
        Ok(LocalSocket { transport: self.transport, bound, advertise })
    }
}

/// What the driver is given.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The sockets. A destination is reached by the first of its transport and family.
    pub listen: Vec<Listen>,
    /// What TLS and WSS sockets need.
    pub tls: Option<TlsConfig>,
    /// Where copies of messages go.
    pub hep: Option<HepConfig>,
    /// The receive buffer to ask for; the kernel's `net.core.rmem_max` caps it.
    pub receive_buffer_bytes: usize,
    /// Endpoints that share the calls by UDP, each on a thread of its own; at most [`limits::SHARDS`]. Each has a port
    /// of its own for every UDP socket: the next ones after the given port. Via and Contact name it, so that what
    /// belongs to a call finds its shard. [`EndpointConfig::max_calls`] is divided among them.
    ///
    /// The first shard, on the given port, has the connections, phones, registrations at trunks and OPTIONS, and calls
    /// to a destination that names its socket.
    pub shards: usize,
    /// The shards share each UDP port instead: a further thread reads it and finds a message's shard by its Call-ID.
    /// Then a call stays with its transport: UDP does not follow TCP or TCP UDP, and an INVITE that takes the place of
    /// another call ([`Event::Incoming`] with `replaces`) is refused with 481 when that call is in another shard. With
    /// phones, messages from an address that may not start calls are the first shard's.
    pub shared_port: bool,
    /// How long a driver may be behind with its work before it refuses new calls; calls in progress go on.
    pub overload_after: Duration,
    /// Commands that may wait, for each shard.
    pub command_queue: usize,
    /// Events that may wait.
    pub event_queue: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        NetConfig {
            listen: Vec::new(),
            tls: None,
            hep: None,
            shards: 1,
            shared_port: false,
            overload_after: limits::OVERLOAD_AFTER,
            receive_buffer_bytes: limits::RECEIVE_BUFFER_BYTES,
            command_queue: limits::COMMAND_QUEUE,
            event_queue: limits::EVENT_QUEUE,
        }
    }
}

/// Why the driver could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be had: in use, not ours, or not allowed.
    #[error("cannot listen on {address} for SIP over {transport}: {source}")]
    Bind {
        /// What was to be spoken there.
        transport: Transport,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Via and Contact cannot say "every address".
    #[error("listening on {0} for SIP needs an address to advertise")]
    NeedsAdvertise(SocketAddr),
    /// TLS and WSS cannot do without a certificate.
    #[error("listening on {0} for SIP over TLS needs a certificate and its key")]
    NeedsCertificate(SocketAddr),
    /// The collector of copies cannot be reached from here.
    #[error("cannot send copies of SIP messages to the collector: {0}")]
    Hep(io::Error),
    /// No thread or runtime could be made.
    #[error("cannot start the SIP thread: {0}")]
    Thread(io::Error),
}

/// The events of the endpoint, each with its moment. It ends when the driver has stopped and its sockets are closed.
#[derive(Debug)]
pub struct EventReceiver(mpsc::Receiver<(Time, Event)>);

impl EventReceiver {
    /// The next event; None at the end.
    pub async fn recv(&mut self) -> Option<(Time, Event)> {
        self.0.recv().await
    }

    /// The next event, for a thread without a runtime; None at the end.
    pub fn blocking_recv(&mut self) -> Option<(Time, Event)> {
        self.0.blocking_recv()
    }

    /// The next event if there is one.
    pub fn try_recv(&mut self) -> Option<(Time, Event)> {
        self.0.try_recv().ok()
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }
}

/// Opens the sockets and starts the threads. `config.sockets` and `config.shard` are filled in here.
pub fn start(
    net: NetConfig,
    config: EndpointConfig,
    clock: Clock,
    seed: [u8; 32],
) -> Result<(SipHandle, EventReceiver), StartError> {
    start_with(net, config, clock, seed, Times::default())
}

fn start_with(
    net: NetConfig,
    mut config: EndpointConfig,
    clock: Clock,
    seed: [u8; 32],
    times: Times,
) -> Result<(SipHandle, EventReceiver), StartError> {
    let shards = net.shards.clamp(1, limits::SHARDS) as u16;
    let (seeds, secret) = seeds(seed, shards);
    let by_call_id = (net.shared_port && shards > 1).then(|| CallIds::new(secret, shards));
    let mut parts: Vec<Sockets> = (0..shards).map(|_| Sockets::default()).collect();
    let (mut streams, mut listeners, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for (listen, id) in net.listen.into_iter().zip(0..).map(|(listen, id)| (listen, SocketId(id))) {
        let transport = listen.transport;
        let fail = |source| StartError::Bind { transport, address: listen.bind, source };
        if transport.is_secure() && net.tls.is_none() {
            return Err(StartError::NeedsCertificate(listen.bind));
        }
        if transport == Transport::Udp {
            streams.push(None);
            let mut shared: Option<(SocketAddr, Arc<UdpSocket>)> = None;
            for (part, shard) in parts.iter_mut().zip(0..) {
                if let Some((bound, socket)) = &shared {
                    part.add(listen.local(*bound)?, Some(Udp::Shared(socket.clone())));
                    continue;
                }
                let own = listen.of_shard(shard).ok_or_else(|| fail(no_port()))?;
                let fail = |source| StartError::Bind { transport, address: own.bind, source };
                let socket = open(own.bind, net.receive_buffer_bytes).map_err(fail)?;
                let bound = socket.local_addr().map_err(fail)?;
                let udp = match by_call_id {
                    None => Udp::Own(socket),
                    Some(_) => {
                        read.push((id, socket.try_clone().map_err(fail)?));
                        let socket = Arc::new(socket);
                        shared = Some((bound, socket.clone()));
                        Udp::Shared(socket)
                    }
                };
                part.add(own.local(bound)?, Some(udp));
            }
        } else {
            let listener = open_listener(&listen).map_err(fail)?;
            let bound = listener.local_addr().map_err(fail)?;
            listeners.push((id, listener));
            for part in &mut parts {
                part.add(listen.local(bound)?, None);
            }
            let Listen { fixed_source_port, origins, .. } = listen;
            streams.push(Some(StreamSocket { transport, bound, origins, fixed_source_port }));
        }
    }
    let mut udp: Vec<_> = parts.iter().flat_map(Sockets::udp).collect();
    udp.sort_unstable();
    udp.dedup();
    let has_tcp = streams.iter().flatten().any(|socket| socket.transport == Transport::Tcp);
    let (tls, tls_now) = watch::channel(net.tls);
    let (accept_from, accept_now) = watch::channel(config.accept_from.clone());
    let failures = Failures::default();
    let (event_queue, events) = mpsc::channel(net.event_queue.max(1));
    let hep = net.hep.map(|hep| HepExporter::start(hep, clock)).transpose().map_err(StartError::Hep)?;
    let hep = hep.map(Arc::new);
    config.max_calls = config.max_calls.div_ceil(shards.into());

    let has_phones = config.registrar.is_some();
    let (mut lanes, mut all_stats, mut queues, mut drivers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The first shard's.
    let mut listeners = Some(listeners).filter(|listeners| !listeners.is_empty());
    for ((part, seed), number) in parts.into_iter().zip(seeds).zip(0..) {
        let mut config = EndpointConfig { shard: Shard::new(number, shards, by_call_id), ..config.clone() };
        if number != 0 {
            config.registrar = None;
        }
        config.sockets = part.locals;
        let bound = config.sockets.iter().map(|socket| socket.bound).collect();
        let local = config.sockets.iter().map(|socket| (socket.bound, socket.transport)).collect();
        let accept_from = config.accept_from.clone();
        let endpoint = Endpoint::new(config, seed);
        let (commands, command_queue) = mpsc::channel(net.command_queue.max(1));
        let stats = endpoint.stats();
        lanes.push(Lane { commands, keys: endpoint.keys(), bound });
        all_stats.push(stats.clone());
        let streams = match listeners.take() {
            None => None,
            Some(listeners) => {
                let (failures, sockets, tls) =
                    (failures.clone(), std::mem::take(&mut streams), tls_now.clone());
                let setup = Setup { sockets, listeners, tls, accept_from, times, clock, failures, stats };
                Some(Streams::start(setup).map_err(StartError::Thread)?)
            }
        };
        let inbox = by_call_id.map(|_| {
            let (queue, inbox) = mpsc::channel(limits::SHARD_QUEUE);
            queues.push(queue);
            inbox
        });
        let hep = hep.clone().map(|exporter| hep::Hep { exporter, sockets: local, shares: Vec::new() });
        let (sockets, events) = (part.sockets, event_queue.clone());
        let overload = Overload::new(net.overload_after);
        let parts = driver::Parts { endpoint, sockets, inbox, streams, clock, events, hep, overload };
        drivers.push((parts, command_queue));
    }
    // No driver runs before all is there; one whose handle is gone ends by itself.
    let spawn = |name: String, run: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name).spawn(run).map(drop).map_err(StartError::Thread)
    };
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread);
    if let Some(ids) = by_call_id {
        let stats = Arc::new(Stats::default());
        all_stats.push(stats.clone());
        let rule = Rule { ids, trunks: has_phones.then_some(accept_now) };
        let demux = Demux { sockets: read, rule, queues, clock, stats, events: event_queue };
        let runtime = runtime()?;
        spawn("sip-read".into(), Box::new(move || runtime.block_on(demux::run(demux))))?;
    }
    for ((parts, commands), number) in drivers.into_iter().zip(0..) {
        let runtime = runtime()?;
        let name = if number == 0 { "sip".into() } else { format!("sip-{number}") };
        spawn(name, Box::new(move || runtime.block_on(driver::run(parts, commands))))?;
    }
    let (stats, summed) = match &all_stats[..] {
        [only] => (only.clone(), Vec::new()),
        _ => (Arc::default(), all_stats),
    };
    let spread = by_call_id.map_or_else(|| Spread::InTurn(AtomicUsize::new(0)), Spread::ByCallId);
    let shared = handle::Shared { spread, has_tcp, udp, stats, summed, accept_from, tls, failures, hep };
    Ok((SipHandle::new(lanes, shared), EventReceiver(events)))
}

/// The sockets of one shard, in the order of the configuration.
#[derive(Default)]
struct Sockets {
    sockets: Vec<Option<Udp>>,
    locals: Vec<LocalSocket>,
}

impl Sockets {
    fn add(&mut self, local: LocalSocket, socket: Option<Udp>) {
        self.locals.push(local);
        self.sockets.push(socket);
    }

    fn udp(&self) -> impl Iterator<Item = SocketAddr> {
        let udp = self.locals.iter().filter(|local| local.transport == Transport::Udp);
        udp.map(|local| local.bound)
    }
}

/// Each shard's seed, and what keys that which they share. The only shard has the seed as it is.
fn seeds(seed: [u8; 32], shards: u16) -> (Vec<[u8; 32]>, u64) {
    if shards == 1 {
        return (vec![seed], 0);
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    let mut next = || {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        seed
    };
    let seeds = (0..shards).map(|_| next()).collect();
    (seeds, rng.next_u64())
}

fn no_port() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there are not as many ports after it as shards")
}

fn open(bind: SocketAddr, receive_buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
    if bind.is_ipv6() {
        // An IPv4 socket beside it has its own address and its own Via.
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(receive_buffer_bytes)?;
    socket.set_send_buffer_size(receive_buffer_bytes)?;
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    Ok(socket.into())
}

fn open_listener(listen: &Listen) -> io::Result<TcpListener> {
    let bind = listen.bind;
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    if bind.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A start soon after a stop: old connections still rest in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(listen.fixed_source_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    socket.listen(limits::ACCEPT_BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod stream_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiMisuse;
    use crate::event::{AcceptFrom, Body, EndedBy, Failure, InviteRequest};

    fn start_local() -> (SipHandle, EventReceiver) {
        let bind = "127.0.0.1:0".parse().unwrap();
        let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
        let config = EndpointConfig { accept_from: AcceptFrom::Any, ..EndpointConfig::default() };
        start(net, config, Clock::start(), [1; 32]).unwrap()
    }

    #[test]
    fn a_call_over_real_sockets_and_a_clean_stop() {
        let (us, mut our_events) = start_local();
        let (them, mut their_events) = start_local();
        let call = us.invite(InviteRequest::new(them.local_addresses()[0], "sip:1@h", "id-1")).unwrap();
        let Some((_, Event::Incoming { call: theirs, .. })) = their_events.blocking_recv() else { panic!() };
        them.answer(theirs, Some(Body::sdp("v=0\r\n"))).unwrap();
        loop {
            match our_events.blocking_recv().unwrap().1 {
                Event::Answered { body, .. } => {
                    assert_eq!(&body.unwrap().data[..], b"v=0\r\n");
                    us.bye(call, None).unwrap();
                }
                Event::Ended { by, .. } => break assert_eq!(by, EndedBy::Local),
                _ => {}
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let trace = runtime.block_on(us.trace(call)).unwrap();
        // INVITE 100 200 ACK BYE 200, and more on a machine so slow that something is sent again.
        assert!(trace.entries.len() >= 6);
        assert_eq!(us.stats().calls_out.get(), 1);
        let address = us.local_addresses()[0];
        us.stop();
        while our_events.blocking_recv().is_some() {}
        UdpSocket::bind(address).expect("the port is free again");
    }

    /// The owner takes no events: soon nothing new is dialed. When it takes them again, it is.
    #[test]
    fn a_driver_that_is_behind_places_no_calls() {
        let bind = "127.0.0.1:0".parse().unwrap();
        let overload_after = Duration::from_millis(20);
        let net = NetConfig {
            listen: vec![Listen::udp(bind)],
            event_queue: 1,
            overload_after,
            ..NetConfig::default()
        };
        let config = EndpointConfig { accept_from: AcceptFrom::Any, ..EndpointConfig::default() };
        let (us, mut events) = start(net, config, Clock::start(), [1; 32]).unwrap();
        let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // A destination that no socket reaches fails at once. An answer of the driver is a wake-up of its own.
        let place = |us: &SipHandle| {
            let nowhere: SocketAddr = "[::1]:5060".parse().unwrap();
            let call = us.invite(InviteRequest::new(nowhere, "sip:1@h", "id")).unwrap();
            assert!(here.block_on(us.trace_by_call_id("none")).is_none());
            call
        };
        let refused = loop {
            let call = place(&us);
            if us.stats().refused_overload.get() > 0 {
                break call;
            }
        };
        let failure = |event| match event {
            Some((_, Event::Failed { call, failure, .. })) => (call, failure),
            other => panic!("{other:?}"),
        };
        loop {
            let (call, failure) = failure(events.blocking_recv());
            if call == refused {
                break assert_eq!(failure, Failure::Refused(ApiMisuse::Overloaded));
            }
        }
        loop {
            let call = place(&us);
            let (told, why) = failure(events.blocking_recv());
            assert_eq!(told, call);
            if why == Failure::Refused(ApiMisuse::NoSocket) {
                break;
            }
        }
    }

    #[test]
    fn errors_name_the_address() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let bind = taken.local_addr().unwrap();
        let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
        let error = start(net, EndpointConfig::default(), Clock::start(), [0; 32]).unwrap_err();
        assert!(error.to_string().contains(&bind.to_string()), "{error}");
        let bind = "0.0.0.0:0".parse().unwrap();
        let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
        let error = start(net, EndpointConfig::default(), Clock::start(), [0; 32]).unwrap_err();
        assert!(matches!(error, StartError::NeedsAdvertise(_)));
    }
}
