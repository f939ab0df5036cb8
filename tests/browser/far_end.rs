//! The called person's audio: a socket that sends a tone as RTP, and keeps what it receives.

use std::f64::consts::TAU;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const RATE_HZ: f64 = 8000.0;
/// Samples in a packet of 20 ms.
const PACKET: usize = 160;
const PACKET_EVERY: Duration = Duration::from_millis(20);
const RTP_HEADER: usize = 12;
/// Samples in an analysed window: a whole number of periods of any multiple of 10 Hz.
const WINDOW: usize = 800;
/// Below this mean square a window counts as silence (about -60 dB of full scale).
const SILENCE: f64 = 1000.0;

/// The far end at work.
pub(crate) struct FarEnd {
    pub(crate) port: u16,
    stop: Arc<AtomicBool>,
    received: Arc<AtomicUsize>,
    thread: JoinHandle<Heard>,
}

/// What the far end received.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) packets: u64,
    pub(crate) not_pcmu: u64,
    /// Packets whose sequence number does not follow the one before.
    pub(crate) jumps: u64,
    samples: Vec<f64>,
}

impl FarEnd {
    /// Listens, and once it knows where to send, sends a tone.
    pub(crate) fn start(hz: f64) -> FarEnd {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::<AtomicUsize>::default();
        let (stopped, counter) = (stop.clone(), received.clone());
        let thread = std::thread::spawn(move || run(&socket, hz, &stopped, &counter));
        FarEnd { port, stop, received, thread }
    }

    /// Samples received so far: a place in what it heard.
    pub(crate) fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn finish(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Heard {
    /// Audio that somebody else recorded, 8 kHz.
    pub(crate) fn of(samples: Vec<f64>) -> Heard {
        Heard { samples, ..Heard::default() }
    }

    /// What was heard between two places.
    pub(crate) fn between(&self, from: usize, to: usize) -> Heard {
        Heard::of(self.samples[from..to].to_vec())
    }

    /// For each window that is not silent: the share of its energy that lies at one frequency.
    pub(crate) fn tone_shares(&self, hz: f64) -> Vec<f64> {
        let loud = |w: &&[f64]| w.iter().map(|x| x * x).sum::<f64>() / w.len() as f64 > SILENCE;
        self.samples.chunks_exact(WINDOW).filter(loud).map(|window| goertzel(window, hz)).collect()
    }

    /// Seconds of audio.
    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / RATE_HZ
    }
}

fn run(socket: &UdpSocket, hz: f64, stop: &AtomicBool, received: &AtomicUsize) -> Heard {
    let mut heard = Heard::default();
    let tone = tone(hz);
    let mut last = None;
    let mut to: Option<SocketAddr> = None;
    let mut sent: u32 = 0;
    let mut next = Instant::now();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // The dialer's address is that of its first packet: SIPp, not we, has its SDP.
            if let Some(to) = to {
                socket.send_to(&tone_packet(&tone, sent), to).unwrap();
                sent += 1;
            }
            next += PACKET_EVERY;
            continue;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                to = Some(from);
                heard.take(&buffer[..len], &mut last);
                received.store(heard.samples.len(), Ordering::Relaxed);
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => panic!("the far end's socket: {e}"),
        }
    }
    heard
}

impl Heard {
    fn take(&mut self, packet: &[u8], last: &mut Option<u16>) {
        assert!(packet.len() >= RTP_HEADER && packet[0] == 0x80, "not a plain RTP packet: {packet:02x?}");
        self.packets += 1;
        if packet[1] & 0x7f != 0 {
            self.not_pcmu += 1;
            return;
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        if last.is_some_and(|last| sequence != last.wrapping_add(1)) {
            self.jumps += 1;
        }
        *last = Some(sequence);
        self.samples.extend(packet[RTP_HEADER..].iter().map(|&byte| f64::from(decode(byte))));
    }
}

/// A window of a tone, half of full scale; the next one goes on where it ends. Made once: the encoder is slow.
fn tone(hz: f64) -> Vec<u8> {
    let sample = |i: usize| 16_000.0 * (TAU * hz * i as f64 / RATE_HZ).sin();
    (0..WINDOW).map(|i| encode(sample(i) as i16)).collect()
}

/// A packet of the tone.
fn tone_packet(tone: &[u8], number: u32) -> Vec<u8> {
    let first = number.wrapping_mul(PACKET as u32);
    // Marker on the first packet; payload type 0.
    let mut packet = vec![0x80, if number == 0 { 0x80 } else { 0 }];
    packet.extend((number as u16).to_be_bytes());
    packet.extend(first.to_be_bytes());
    packet.extend(0x7e57_u32.to_be_bytes());
    packet.extend(tone.iter().cycle().skip(first as usize % WINDOW).take(PACKET));
    packet
}

/// G.711 mu-law, straight from its definition: eight segments of sixteen steps over a bias of 33 (of 14 bits).
fn decode(byte: u8) -> i16 {
    let value = !byte;
    let magnitude = (((i16::from(value & 0x0f) << 3) + 0x84) << ((value >> 4) & 7)) - 0x84;
    if value & 0x80 == 0 { magnitude } else { -magnitude }
}

/// The code whose value is nearest. Slow, but it cannot disagree with `decode`.
fn encode(sample: i16) -> u8 {
    let distance = |byte: &u8| (i32::from(decode(*byte)) - i32::from(sample)).abs();
    (0..=u8::MAX).min_by_key(distance).unwrap()
}

/// The share of a window's energy that lies at one frequency, 0 to 1.
fn goertzel(window: &[f64], hz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hz / RATE_HZ).cos();
    let (mut s1, mut s2, mut energy) = (0.0, 0.0, 0.0);
    for x in window {
        (s1, s2) = (x + coefficient * s1 - s2, s1);
        energy += x * x;
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    2.0 * power / (window.len() as f64 * energy)
}

#[test]
fn a_tone_is_told_from_another() {
    let mut heard = Heard::default();
    let mut last = None;
    let tone = tone(700.0);
    for number in 0..50 {
        heard.take(&tone_packet(&tone, number), &mut last);
    }
    assert_eq!((heard.packets, heard.jumps, heard.not_pcmu), (50, 0, 0));
    assert!(heard.tone_shares(700.0).iter().all(|share| *share > 0.99));
    assert!(heard.tone_shares(1000.0).iter().all(|share| *share < 0.01));
}
