//! The called person: says speech over RTP again and again, and hears through a jitter buffer, as a phone does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kraliki_media::codec::{OpusPolicy, decoder, encoder};
use kraliki_media::jitter::{Arrival, Content, JitterPolicy, Playout};
use kraliki_media::sdp::AudioCodec;
use kraliki_time::Clock;

const PACKET_EVERY: Duration = Duration::from_millis(20);
const RTP_HEADER: usize = 12;
/// Longer than any payload of 20 ms.
const PAYLOAD: usize = 1_500;

/// One end of a call.
pub(super) struct Person {
    pub(super) port: u16,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Heard>,
}

/// What was said and heard, by the wall clock.
pub(super) struct Heard {
    /// When each saying of the speech began, in ms since 1970.
    pub(super) said_unix_ms: Vec<f64>,
    /// When the recording begins.
    pub(super) from_unix_ms: f64,
    /// At [`Heard::rate_hz`].
    pub(super) samples: Vec<i16>,
    pub(super) rate_hz: u32,
    pub(super) packets: u64,
}

impl Person {
    /// `speech` is at the codec's rate. It is said as soon as somebody sends something.
    pub(super) fn start(codec: AudioCodec, payload_type: u8, speech: Vec<i16>) -> Person {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || talk(&socket, codec, payload_type, &speech, &stopped));
        Person { port, stop, thread }
    }

    pub(super) fn finish(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn talk(socket: &UdpSocket, codec: AudioCodec, payload_type: u8, speech: &[i16], stop: &AtomicBool) -> Heard {
    let clock = Clock::start();
    let mut encoder = encoder(codec, &OpusPolicy::default()).unwrap();
    let decoder = decoder(codec, &OpusPolicy::default()).unwrap();
    let rate_hz = decoder.rate_hz();
    let mut playout = Playout::new(decoder, JitterPolicy::default(), 7);
    let mut frame = vec![0; playout.frame_samples()];
    let frames: Vec<&[i16]> = speech.chunks_exact(encoder.rate_hz() as usize / 50).collect();
    let ticks = codec.clock_hz() / 50;
    let mut heard =
        Heard { said_unix_ms: Vec::new(), from_unix_ms: 0.0, samples: Vec::new(), rate_hz, packets: 0 };
    let mut to: Option<SocketAddr> = None;
    let mut sent: u32 = 0;
    let mut next = Instant::now();
    let mut packet = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            next += PACKET_EVERY;
            let Some(to) = to else { continue };
            let unix_ms = clock.unix_ms() as f64;
            playout.tick(clock.now(), &mut frame);
            if heard.samples.is_empty() {
                heard.from_unix_ms = unix_ms;
            }
            heard.samples.extend(&frame);
            let at = sent as usize % frames.len();
            if at == 0 {
                heard.said_unix_ms.push(unix_ms);
            }
            let mut out = vec![0x80, payload_type | if sent == 0 { 0x80 } else { 0 }];
            out.extend((sent as u16).to_be_bytes());
            out.extend(sent.wrapping_mul(ticks).to_be_bytes());
            out.extend(0x7e57_u32.to_be_bytes());
            let mut payload = [0; PAYLOAD];
            let len = encoder.encode(frames[at], &mut payload).unwrap();
            out.extend(&payload[..len]);
            // A network that is gone at the end of a call is no fault.
            let _ = socket.send_to(&out, to);
            sent += 1;
            continue;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        let Ok((len, from)) = socket.recv_from(&mut packet) else { continue };
        to = Some(from);
        if len < RTP_HEADER || packet[1] & 0x7f != payload_type {
            continue;
        }
        heard.packets += 1;
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        playout.put(
            clock.now(),
            Arrival {
                sequence: number(0) as u16,
                timestamp: number(4),
                ssrc: number(8),
                marker: packet[1] & 0x80 != 0,
                content: Content::Audio,
                duration: 0,
                payload: &packet[RTP_HEADER..len],
            },
        );
    }
    heard
}
