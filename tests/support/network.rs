//! A network that loses, delays, swaps and repeats packets, by a seed: a UDP relay between two parties.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Packets under way; more are lost, as at a router.
const UNDER_WAY: usize = 10_000;
/// How long the relay sleeps when nothing is due: well under what a jitter buffer notices.
const NAP: Duration = Duration::from_millis(1);
/// How much later than the others a packet comes that is overtaken.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// What becomes of packets, each way. Shares are between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Impairment {
    pub(crate) loss: f64,
    /// Each packet comes later by up to this, evenly spread.
    pub(crate) jitter: Duration,
    pub(crate) reorder: f64,
    pub(crate) duplicate: f64,
    /// By so many millionths each packet comes later than the one before: a receiver's clock that runs fast.
    pub(crate) drift_ppm: u32,
}

/// The relay at work; gone when dropped.
pub(crate) struct Network {
    /// Where the one party sends to; what it is sent comes from here.
    pub(crate) port: u16,
    on: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Between whoever sends to [`Network::port`] and `far`. It is perfect until [`Network::impair`].
    pub(crate) fn start(far: SocketAddr, impairment: Impairment, seed: u64) -> Network {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = near.local_addr().unwrap().port();
        let outward = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (on, stop) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (passed, lost) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let relay = Relay {
            sockets: [near, outward],
            to: [None, Some(far)],
            impairment,
            random: Random(seed),
            queue: BinaryHeap::new(),
            number: 0,
            began: Instant::now(),
            on: on.clone(),
            stop: stop.clone(),
            passed: passed.clone(),
            lost: lost.clone(),
        };
        let thread = Some(std::thread::spawn(move || relay.run()));
        Network { port, on, stop, passed, lost, thread }
    }

    /// From now on it is as bad as was said.
    pub(crate) fn impair(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// The share of packets that were lost.
    pub(crate) fn loss(&self) -> f64 {
        let (passed, lost) = (self.passed.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        lost as f64 / (passed + lost).max(1) as f64
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A packet under way: when it is due, its number, by which socket it leaves, and its bytes.
type UnderWay = Reverse<(Instant, u64, usize, Vec<u8>)>;

struct Relay {
    sockets: [UdpSocket; 2],
    /// Whom each socket sends to.
    to: [Option<SocketAddr>; 2],
    impairment: Impairment,
    random: Random,
    queue: BinaryHeap<UnderWay>,
    number: u64,
    began: Instant,
    on: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl Relay {
    fn run(mut self) {
        for socket in &self.sockets {
            socket.set_nonblocking(true).unwrap();
        }
        let mut packet = [0; 2048];
        while !self.stop.load(Ordering::Relaxed) {
            for side in 0..2 {
                while let Ok((len, from)) = self.sockets[side].recv_from(&mut packet) {
                    if side == 0 {
                        self.to[0] = Some(from);
                    }
                    self.take(1 - side, packet[..len].to_vec());
                }
            }
            while let Some(Reverse((due, ..))) = self.queue.peek()
                && *due <= Instant::now()
            {
                let Some(Reverse((_, _, side, bytes))) = self.queue.pop() else { break };
                if let Some(to) = self.to[side] {
                    let _ = self.sockets[side].send_to(&bytes, to);
                }
            }
            std::thread::sleep(NAP);
        }
    }

    fn take(&mut self, side: usize, bytes: Vec<u8>) {
        let now = Instant::now();
        if !self.on.load(Ordering::Relaxed) {
            self.began = now;
            return self.put(now, side, bytes);
        }
        let Impairment { loss, jitter, reorder, duplicate, drift_ppm } = self.impairment;
        if self.random.share() < loss || self.queue.len() >= UNDER_WAY {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
        let drift = now.duration_since(self.began) * drift_ppm / 1_000_000;
        let mut due = now + drift + jitter.mul_f64(self.random.share());
        if self.random.share() < reorder {
            due += OVERTAKEN;
        }
        if self.random.share() < duplicate {
            self.put(due, side, bytes.clone());
        }
        self.put(due, side, bytes);
    }

    fn put(&mut self, due: Instant, side: usize, bytes: Vec<u8>) {
        self.number += 1;
        self.queue.push(Reverse((due, self.number, side, bytes)));
    }
}

/// Chance by a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn it_is_as_bad_as_it_says() {
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let impairment = Impairment { loss: 0.2, duplicate: 0.1, reorder: 0.1, ..Impairment::default() };
    let network = Network::start(far.local_addr().unwrap(), impairment, 1);
    network.impair();
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    near.connect(("127.0.0.1", network.port)).unwrap();
    // Few enough for a socket's buffer: they are read afterwards.
    for n in 0..200_u16 {
        near.send(&n.to_be_bytes()).unwrap();
        if n % 50 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let mut packet = [0; 8];
    let mut came = Vec::new();
    while let Ok((_, from)) = far.recv_from(&mut packet) {
        came.push(u16::from_be_bytes([packet[0], packet[1]]));
        // And back, to whoever sent.
        far.send_to(&packet[..2], from).unwrap();
    }
    let swapped = came.windows(2).filter(|pair| pair[0] > pair[1]).count();
    let mut once = came.clone();
    once.sort_unstable();
    once.dedup();
    assert!((130..185).contains(&once.len()), "{}", once.len());
    assert!((4..40).contains(&(came.len() - once.len())), "{}", came.len() - once.len());
    assert!(swapped > 0, "{swapped}");
    assert!((0.1..0.35).contains(&network.loss()));
    near.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    near.recv(&mut packet).unwrap();
}
