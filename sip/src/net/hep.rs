//! Sends copies of SIP messages to a HEP collector, on a thread and a socket of its own. SIP never waits for it: what
//! the queue has no room for is dropped and counted.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ipnet::IpNet;
use kraliki_time::{Clock, Time};

use crate::endpoint::SocketId;
use crate::hep::{HepPacket, call_id, redact, sampled};
use crate::limits;
use crate::trace::Direction;
use crate::transport::Transport;

/// Where copies go, and of what. They go by UDP in clear, those of calls over TLS too: the way to the collector has to
/// be one that nobody else reads.
#[derive(Clone)]
pub struct HepConfig {
    /// The collector's address; its usual port is 9060.
    pub collector: SocketAddr,
    /// This node's number at the collector.
    pub agent_id: u32,
    /// The key that the collector asks for, if it does.
    pub auth_key: Option<String>,
    /// How many calls of a hundred are copied: all messages of a call, or none.
    pub percent: u8,
    /// Hides who calls whom: user parts of URIs, display names, signed numbers, bodies other than SDP. Credentials and
    /// SRTP keys are always hidden.
    pub hide_users: bool,
    /// Messages that may wait.
    pub queue: usize,
}

impl HepConfig {
    /// Copies of all calls to a collector.
    pub fn new(collector: SocketAddr) -> HepConfig {
        HepConfig {
            collector,
            agent_id: 0,
            auth_key: None,
            percent: 100,
            hide_users: false,
            queue: limits::HEP_QUEUE,
        }
    }
}

impl std::fmt::Debug for HepConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HepConfig")
            .field("collector", &self.collector)
            .field("agent_id", &self.agent_id)
            .field("percent", &self.percent)
            .field("hide_users", &self.hide_users)
            .finish_non_exhaustive()
    }
}

/// A message as a driver sent or received it.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When.
    pub at: Time,
    /// Our side.
    pub local: SocketAddr,
    /// The other side.
    pub remote: SocketAddr,
    /// How it went.
    pub transport: Transport,
    /// Which way it went.
    pub direction: Direction,
    /// The message as it was on the wire.
    pub message: Bytes,
}

/// What an exporter did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HepCounts {
    /// Sent to the collector.
    pub sent: u64,
    /// Dropped: the queue was full.
    pub dropped_full: u64,
    /// Dropped: larger than a datagram.
    pub dropped_large: u64,
    /// Dropped: the kernel would not take it, or the collector is not there.
    pub dropped_send: u64,
}

#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    dropped_full: AtomicU64,
    dropped_large: AtomicU64,
    dropped_send: AtomicU64,
}

/// Sends copies until it is dropped; what waits then is still sent.
pub struct HepExporter {
    /// None only while it is being dropped.
    queue: Option<SyncSender<Captured>>,
    thread: Option<JoinHandle<()>>,
    percent: u8,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for HepExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HepExporter").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl HepExporter {
    /// Starts the thread. `clock` is the one that gives the drivers their `now`.
    pub fn start(config: HepConfig, clock: Clock) -> io::Result<HepExporter> {
        let any = match config.collector {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(config.collector)?;
        // A full send buffer costs the copy, not time.
        socket.set_nonblocking(true)?;
        let (queue, captured) = sync_channel(config.queue.max(1));
        let counters = Arc::new(Counters::default());
        let percent = config.percent;
        let shared = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("sip-hep".to_owned())
            .spawn(move || run(&config, &socket, &captured, clock, &shared))?;
        Ok(HepExporter { queue: Some(queue), thread: Some(thread), percent, counters })
    }

    /// Takes a message, when its call is among those to copy. Never blocks.
    ///
    /// What has no Call-ID belongs to no call, and is copied only when everything is.
    pub fn capture(&self, captured: Captured) {
        if self.wants(self.percent, &captured.message) {
            self.push(captured);
        }
    }

    fn wants(&self, percent: u8, message: &[u8]) -> bool {
        percent >= 100 || (percent > 0 && call_id(message).is_some_and(|id| sampled(id, percent)))
    }

    fn push(&self, captured: Captured) {
        if let Some(queue) = &self.queue
            && queue.try_send(captured).is_err()
        {
            self.counters.dropped_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What it did so far.
    pub fn counts(&self) -> HepCounts {
        let Counters { sent, dropped_full, dropped_large, dropped_send } = &*self.counters;
        HepCounts {
            sent: sent.load(Ordering::Relaxed),
            dropped_full: dropped_full.load(Ordering::Relaxed),
            dropped_large: dropped_large.load(Ordering::Relaxed),
            dropped_send: dropped_send.load(Ordering::Relaxed),
        }
    }
}

impl Drop for HepExporter {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread panicked, which the panic itself has told.
            let _ = thread.join();
        }
    }
}

/// The exporter of a driver: it knows its sockets, and of which trunk how much is copied.
pub(super) struct Hep {
    pub(super) exporter: Arc<HepExporter>,
    /// By [`SocketId`].
    pub(super) sockets: Vec<(SocketAddr, Transport)>,
    /// Addresses with a share of their own, in per cent.
    pub(super) shares: Vec<(IpNet, u8)>,
}

impl Hep {
    pub(super) fn capture(
        &self,
        at: Time,
        socket: SocketId,
        remote: SocketAddr,
        direction: Direction,
        message: &Bytes,
    ) {
        let ip = remote.ip().to_canonical();
        let share = self.shares.iter().find(|(net, _)| net.contains(&ip)).map(|(_, percent)| *percent);
        let Some((local, transport)) = self.sockets.get(usize::from(socket.0)).copied() else { return };
        if self.exporter.wants(share.unwrap_or(self.exporter.percent), message) {
            let message = message.clone();
            self.exporter.push(Captured { at, local, remote, transport, direction, message });
        }
    }
}

fn run(
    config: &HepConfig,
    socket: &UdpSocket,
    captured: &Receiver<Captured>,
    clock: Clock,
    counters: &Counters,
) {
    let mut wall = Wall { clock, ahead_ns: 0 };
    let mut packet = Vec::new();
    for captured in captured {
        let mut message = captured.message.to_vec();
        redact(&mut message, config.hide_users);
        let (source, destination) = match captured.direction {
            Direction::In => (captured.remote, captured.local),
            Direction::Out => (captured.local, captured.remote),
        };
        let encoded = HepPacket {
            source,
            destination,
            transport: captured.transport,
            unix_us: wall.unix_us(captured.at),
            agent_id: config.agent_id,
            auth_key: config.auth_key.as_deref(),
            correlation_id: call_id(&message),
            payload: &message,
        }
        .encode(&mut packet);
        let counter = match encoded {
            Err(_) => &counters.dropped_large,
            Ok(()) if socket.send(&packet).is_ok() => &counters.sent,
            Ok(()) => &counters.dropped_send,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The wall clock's time of a moment. Two messages keep their distance to the microsecond, and a step of the wall
/// clock is followed.
struct Wall {
    clock: Clock,
    /// How far 1970 is ahead of the clock's start.
    ahead_ns: u64,
}

impl Wall {
    /// Less than this is the time between the two readings, or the wall clock being trimmed.
    const STEP_NS: u64 = 10_000_000;

    fn unix_us(&mut self, at: Time) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let ahead_ns = unix_ns.saturating_sub(self.clock.now().as_nanos());
        if ahead_ns.abs_diff(self.ahead_ns) > Self::STEP_NS {
            self.ahead_ns = ahead_ns;
        }
        self.ahead_ns.saturating_add(at.as_nanos()) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hep::tests::decode;
    use std::time::Duration;

    fn collector() -> (UdpSocket, HepConfig) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let config = HepConfig::new(socket.local_addr().unwrap());
        (socket, config)
    }

    fn captured(at: Time, direction: Direction, message: String) -> Captured {
        Captured {
            at,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "198.51.100.1:5070".parse().unwrap(),
            transport: Transport::Tcp,
            direction,
            message: message.into(),
        }
    }

    fn bye(call: usize) -> String {
        format!(
            "BYE sip:+1555@h SIP/2.0\r\nCall-ID: {call}\r\nAuthorization: Digest response=\"s3cret\"\r\n\r\n"
        )
    }

    #[test]
    fn a_collector_gets_what_went_by() {
        let (socket, mut config) = collector();
        (config.agent_id, config.auth_key) = (7, Some("key".into()));
        let clock = Clock::start();
        let exporter = HepExporter::start(config, clock).unwrap();
        let at = clock.now();
        let earliest = u64::try_from(clock.unix_ms()).unwrap().saturating_sub(1_000);
        exporter.capture(captured(at, Direction::Out, bye(1)));
        exporter.capture(captured(at + Duration::from_micros(1_500), Direction::In, bye(1)));
        let mut times = Vec::new();
        for (source, destination) in
            [([192, 0, 2, 1], [198, 51, 100, 1]), ([198, 51, 100, 1], [192, 0, 2, 1])]
        {
            let mut buffer = [0; 65_536];
            let length = socket.recv(&mut buffer).unwrap();
            let chunks = decode(&buffer[..length]);
            assert_eq!((&chunks[&3][..], &chunks[&4][..]), (&source[..], &destination[..]));
            assert_eq!((chunks[&2][0], chunks[&11][0], &chunks[&12][..]), (6, 1, &7u32.to_be_bytes()[..]));
            assert_eq!((&chunks[&14][..], &chunks[&17][..]), (&b"key"[..], &b"1"[..]));
            assert_eq!(chunks[&15], bye(1).replace("s3cret", "xxxxxx").as_bytes());
            let number = |kind: u16| u64::from(u32::from_be_bytes(chunks[&kind][..].try_into().unwrap()));
            times.push(number(9) * 1_000_000 + number(10));
        }
        assert_eq!(times[1] - times[0], 1_500);
        assert!(times[0] / 1_000 >= earliest, "{times:?} are moments of the wall clock");
        let counters = Arc::clone(&exporter.counters);
        drop(exporter);
        assert_eq!(counters.sent.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn whole_calls_are_sampled() {
        let (socket, mut config) = collector();
        config.percent = 30;
        config.hide_users = true;
        let exporter = HepExporter::start(config, Clock::start()).unwrap();
        let expected: Vec<usize> = (0..20).filter(|i| sampled(i.to_string().as_bytes(), 30)).collect();
        assert!(!expected.is_empty() && expected.len() < 20);
        for call in 0..20 {
            for direction in [Direction::Out, Direction::In] {
                exporter.capture(captured(Time::ZERO, direction, bye(call)));
            }
        }
        exporter.capture(captured(Time::ZERO, Direction::In, "no call".into()));
        let counters = Arc::clone(&exporter.counters);
        drop(exporter);
        assert_eq!(counters.sent.load(Ordering::Relaxed), 2 * expected.len() as u64);
        for call in expected.iter().flat_map(|call| [call, call]) {
            let mut buffer = [0; 65_536];
            let length = socket.recv(&mut buffer).unwrap();
            let chunks = decode(&buffer[..length]);
            assert_eq!(chunks[&17], call.to_string().as_bytes());
            assert!(chunks[&15].starts_with(b"BYE sip:xxxxx@h"));
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (_socket, mut config) = collector();
        config.queue = 1;
        let exporter = HepExporter::start(config.clone(), Clock::start()).unwrap();
        // One without a thread: nobody empties its queue.
        let (queue, waiting) = sync_channel(1);
        let stuck = HepExporter {
            queue: Some(queue),
            thread: None,
            percent: 100,
            counters: Arc::new(Counters::default()),
        };
        for _ in 0..3 {
            stuck.capture(captured(Time::ZERO, Direction::In, bye(1)));
        }
        assert_eq!(stuck.counts(), HepCounts { dropped_full: 2, ..HepCounts::default() });
        drop(waiting);
        // Too large for a datagram.
        exporter.capture(captured(Time::ZERO, Direction::In, "x".repeat(65_535)));
        let counters = Arc::clone(&exporter.counters);
        drop(exporter);
        assert_eq!(counters.dropped_large.load(Ordering::Relaxed), 1);
        assert!(!format!("{config:?}").contains("auth_key"));
    }
}
