//! An end of a call whose every packet is known: what was in it, and when it was sent.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Samples in a packet of 20 ms.
pub(super) const FRAME: usize = 160;
/// Packets until a voice says the same again: longer than any recording of the test.
pub(super) const PERIOD: usize = 1_000;

/// The value of an octet of µ-law (ITU-T G.711, table 2a).
pub(super) fn mu_law(octet: u8) -> i16 {
    let code = !octet;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn to_mu_law(sample: i16) -> u8 {
    (0..=255u8).min_by_key(|octet| (i32::from(mu_law(*octet)) - i32::from(sample)).abs()).unwrap()
}

/// A tone that glides over the period from one frequency to another, so that no two packets are alike.
pub(super) struct Glide {
    from_hz: f64,
    to_hz: f64,
}

impl Glide {
    pub(super) const CALLED: Glide = Glide { from_hz: 400.0, to_hz: 1_400.0 };
    pub(super) const AGENT: Glide = Glide { from_hz: 3_000.0, to_hz: 2_000.0 };

    fn packets(&self) -> Vec<[u8; FRAME]> {
        let levels: Vec<u8> = (-90..=90).map(|level| to_mu_law(level * 100)).collect();
        let (total, mut phase) = ((PERIOD * FRAME) as f64, 0.0f64);
        let mut samples = (0..PERIOD * FRAME).map(|n| {
            phase += (self.from_hz + (self.to_hz - self.from_hz) * n as f64 / total) / 8_000.0;
            levels[((phase * std::f64::consts::TAU).sin() * 90.0 + 90.0).round() as usize]
        });
        (0..PERIOD).map(|_| std::array::from_fn(|_| samples.next().unwrap())).collect()
    }
}

/// A packet that was sent: its place in the period, and when, in ms since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) place: usize,
    pub(super) unix_ms: f64,
}

/// Packets with the moment at which each came.
type Heard = Vec<(f64, Vec<u8>)>;

/// Plain RTP on a thread of its own; gone when dropped.
pub(super) struct Voice {
    pub(super) port: u16,
    packets: Arc<Vec<[u8; FRAME]>>,
    sent: Arc<Mutex<Vec<Sent>>>,
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1_000.0
}

impl Voice {
    /// Speaks to `to`, or to whoever speaks to it.
    pub(super) fn start(socket: UdpSocket, mut to: Option<SocketAddr>, glide: &Glide) -> Voice {
        let port = socket.local_addr().unwrap().port();
        let packets = Arc::new(glide.packets());
        let (sent, heard, stop) = <(Arc<Mutex<Vec<Sent>>>, Arc<Mutex<Heard>>, Arc<AtomicBool>)>::default();
        let (says, told, hears, stopped) = (packets.clone(), sent.clone(), heard.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let (mut next, mut buffer, fixed) = (Instant::now(), [0; 2048], to.is_some());
            for count in 0u32.. {
                next += Duration::from_millis(20);
                loop {
                    let left = next.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    socket.set_read_timeout(Some(left)).unwrap();
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                    if !fixed {
                        to = Some(from);
                    }
                    hears.lock().unwrap().push((unix_ms(), buffer[12.min(length)..length].to_vec()));
                }
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Some(to) = to else { continue };
                let place = count as usize % PERIOD;
                let mut packet = vec![0x80, 0];
                packet.extend((count as u16).to_be_bytes());
                packet.extend(count.wrapping_mul(FRAME as u32).to_be_bytes());
                packet.extend(((u32::from(port) << 8) | 1).to_be_bytes());
                packet.extend(says[place]);
                let _ = socket.send_to(&packet, to);
                told.lock().unwrap().push(Sent { place, unix_ms: unix_ms() });
            }
        });
        Voice { port, packets, sent, heard, stop, thread: Some(thread) }
    }

    /// What a packet of the period sounds like.
    pub(super) fn sound(&self, place: usize) -> [i16; FRAME] {
        self.packets[place % PERIOD].map(mu_law)
    }

    /// When the packet of that place was sent last before that moment.
    pub(super) fn sent(&self, place: usize, before_unix_ms: f64) -> Option<Sent> {
        let sent = self.sent.lock().unwrap();
        sent.iter().rev().find(|sent| sent.place == place && sent.unix_ms <= before_unix_ms).copied()
    }

    /// Packets of 20 ms that came within that time and are none of `other`'s, nor silence.
    pub(super) fn foreign(&self, other: &Voice, from_unix_ms: f64, to_unix_ms: f64) -> usize {
        let heard = self.heard.lock().unwrap();
        let within = heard.iter().filter(|(at, _)| (from_unix_ms..to_unix_ms).contains(at));
        within
            .filter(|(_, sound)| {
                sound.len() == FRAME
                    && !sound.iter().all(|octet| *octet == 0xff)
                    && !other.packets.iter().any(|packet| packet[..] == sound[..])
            })
            .count()
    }

    /// Packets that came so far, 50 for each second of a call.
    pub(super) fn packets(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    pub(super) fn hears_something(&self) -> bool {
        !self.heard.lock().unwrap().is_empty()
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
