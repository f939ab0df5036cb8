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
//! When a connection ends, the requests that wait for an answer by it fail at once.
#![allow(clippy::disallowed_methods)] // a driver owns sockets and threads

mod certificates;
mod driver;
mod handle;
mod hep;
mod kernel;
#[cfg(test)]
mod register_tests;
mod resolver;
mod stream;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use kraliki_time::{Clock, Time};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

pub use certificates::{CallVerifier, CertificateFetcher, FetchConfig, FetchError, FetcherError};
pub use handle::{QueueFull, SipHandle};
pub use hep::{Captured, HepConfig, HepCounts, HepExporter};
pub use resolver::{DnsResolver, DnsSetupError};
pub use stream::FailedConnection;
pub use tls::{ClientFiles, TlsConfig, TlsError, TlsFiles};

use self::stream::{Failures, Setup, StreamSocket, Streams, Times};
use crate::endpoint::{Endpoint, SocketId};
use crate::event::{EndpointConfig, Event};
use crate::limits;
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
    /// Commands that may wait.
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

/// Opens the sockets and starts the threads. `config.sockets` is filled in here.
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
    let (mut sockets, mut streams, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
    config.sockets.clear();
    for (listen, id) in net.listen.into_iter().zip(0..) {
        let transport = listen.transport;
        let fail = |source| StartError::Bind { transport, address: listen.bind, source };
        if transport.is_secure() && net.tls.is_none() {
            return Err(StartError::NeedsCertificate(listen.bind));
        }
        let bound = if transport == Transport::Udp {
            let socket = open(listen.bind, net.receive_buffer_bytes).map_err(fail)?;
            let bound = socket.local_addr().map_err(fail)?;
            sockets.push(Some(socket));
            streams.push(None);
            bound
        } else {
            let listener = open_listener(&listen).map_err(fail)?;
            let bound = listener.local_addr().map_err(fail)?;
            listeners.push((SocketId(id), listener));
            sockets.push(None);
            let Listen { fixed_source_port, origins, .. } = listen;
            streams.push(Some(StreamSocket { transport, bound, origins, fixed_source_port }));
            bound
        };
        let mut advertise = listen.advertise.unwrap_or(bound);
        if advertise.ip().is_unspecified() {
            return Err(StartError::NeedsAdvertise(listen.bind));
        }
        if advertise.port() == 0 {
            advertise.set_port(bound.port());
        }
        config.sockets.push(LocalSocket { transport, bound, advertise });
    }
    let bound = config.sockets.iter().map(|socket| socket.bound).collect();
    let local = config.sockets.iter().map(|socket| (socket.bound, socket.transport)).collect();
    let is_udp = |socket: &&LocalSocket| socket.transport == Transport::Udp;
    let udp = config.sockets.iter().filter(is_udp).map(|socket| socket.bound).collect();
    let (tls, tls_now) = watch::channel(net.tls);
    let failures = Failures::default();
    let accept_from = config.accept_from.clone();
    let endpoint = Endpoint::new(config, seed);
    let (commands, command_queue) = mpsc::channel(net.command_queue.max(1));
    let (event_queue, events) = mpsc::channel(net.event_queue.max(1));
    let stats = endpoint.stats();
    let streams = match listeners.is_empty() {
        true => None,
        false => {
            let (failures, stats) = (failures.clone(), stats.clone());
            let setup = Setup {
                sockets: streams,
                listeners,
                tls: tls_now,
                accept_from,
                times,
                clock,
                failures,
                stats,
            };
            Some(Streams::start(setup).map_err(StartError::Thread)?)
        }
    };
    let hep = net.hep.map(|hep| HepExporter::start(hep, clock)).transpose().map_err(StartError::Hep)?;
    let hep = hep.map(Arc::new);
    let shared = handle::Shared { bound, udp, tls, failures, hep: hep.clone() };
    let handle = SipHandle::new(commands, endpoint.keys(), stats, shared);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let hep = hep.map(|exporter| hep::Hep { exporter, sockets: local, shares: Vec::new() });
    let parts = driver::Parts { endpoint, sockets, streams, clock, events: event_queue, hep };
    let run = move || runtime.block_on(driver::run(parts, command_queue));
    std::thread::Builder::new().name("sip".into()).spawn(run).map_err(StartError::Thread)?;
    Ok((handle, EventReceiver(events)))
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
    use crate::event::{AcceptFrom, Body, EndedBy, InviteRequest};

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
