//! The two ends of a call as the tests play them, over plain RTP: an agent with a phone, and a called person.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Client;

/// Bytes of G.711 in a packet of 20 ms.
const FRAME: usize = 160;
/// What an agent's microphone gives, and what a called person says: not silence, and easy to tell apart.
const AGENT_SOUND: u8 = 0x37;
const PERSON_SOUND: u8 = 0x2a;
/// Silence in PCMU.
const SILENCE: u8 = 0xff;
/// An audio leg comes up with its first packet; this is for a machine that is busy.
const LEG_UP: Duration = Duration::from_secs(10);

/// One end of plain RTP on a thread of its own; gone when dropped.
struct Rtp {
    socket: UdpSocket,
    heard: Arc<AtomicU64>,
    foreign: Arc<AtomicU64>,
    packets: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Rtp {
    /// Sends `says` every 20 ms to `to`, or to whoever sent last; counts packets that are made of `hears`, and those that
    /// are neither that nor silence.
    fn start(socket: UdpSocket, mut to: Option<SocketAddr>, says: u8, hears: u8) -> Rtp {
        let port = socket.local_addr().unwrap().port();
        let shared = socket.try_clone().unwrap();
        let (heard, packets, foreign) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let stop = Arc::<AtomicBool>::default();
        let fixed = to.is_some();
        let (counter, all, stopped) = (heard.clone(), packets.clone(), stop.clone());
        let others = foreign.clone();
        let thread = std::thread::spawn(move || {
            let ssrc = u32::from(port) << 8 | u32::from(says);
            let mut next = Instant::now();
            let mut packet = [0; 2048];
            for count in 0u32.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                next += Duration::from_millis(20);
                loop {
                    let left = next.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    socket.set_read_timeout(Some(left)).unwrap();
                    let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                    if !fixed {
                        to = Some(from);
                    }
                    all.fetch_add(1, Ordering::Relaxed);
                    let sound = packet.get(12..length).unwrap_or_default();
                    let is_of = |wanted: u8| sound.iter().all(|byte| *byte == wanted);
                    if sound.len() == FRAME && is_of(hears) {
                        counter.fetch_add(1, Ordering::Relaxed);
                    } else if !is_of(SILENCE) {
                        others.fetch_add(1, Ordering::Relaxed);
                    }
                }
                let Some(to) = to else { continue };
                let mut frame = vec![0x80, 0];
                frame.extend((count as u16).to_be_bytes());
                frame.extend(count.wrapping_mul(FRAME as u32).to_be_bytes());
                frame.extend(ssrc.to_be_bytes());
                frame.resize(12 + FRAME, says);
                let _ = socket.send_to(&frame, to);
            }
        });
        Rtp { socket: shared, heard, foreign, packets, stop, thread: Some(thread) }
    }
}

impl Drop for Rtp {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A called person: speaks to whoever speaks to them.
pub(crate) struct FarEnd(Rtp);

impl FarEnd {
    pub(crate) fn start() -> FarEnd {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        FarEnd(Rtp::start(socket, None, PERSON_SOUND, AGENT_SOUND))
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.socket.local_addr().unwrap().port()
    }

    /// Its socket, for those who speak from its address.
    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.0.socket
    }

    /// Packets of sound that is not the agent's.
    pub(crate) fn foreign(&self) -> u64 {
        self.0.foreign.load(Ordering::Relaxed)
    }

    /// Packets of the agent's own sound.
    pub(crate) fn heard(&self) -> u64 {
        self.0.heard.load(Ordering::Relaxed)
    }
}

/// An agent who is signed in, with an audio leg.
pub(crate) struct Desk {
    client: Client,
    rtp: Rtp,
}

impl Desk {
    /// Opens the audio leg and goes Ready. An error: the dialer is gone.
    pub(crate) fn open(client: Client) -> Result<Desk, ureq::Error> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let port = socket.local_addr()?.port();
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        );
        let reply = client.try_send("/api/agent/session", "application/sdp", &*offer)?;
        assert_eq!(reply.status, 201, "{reply:?}");
        let line = reply.text.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
        let theirs: u16 = line.split(' ').next().unwrap().parse().unwrap();
        let rtp = Rtp::start(socket, Some(([127, 0, 0, 1], theirs).into()), AGENT_SOUND, PERSON_SOUND);
        let desk = Desk { client, rtp };
        desk.ready()?;
        Ok(desk)
    }

    /// Goes Ready, as soon as the leg is up.
    pub(crate) fn ready(&self) -> Result<(), ureq::Error> {
        let until = Instant::now() + LEG_UP;
        loop {
            let reply = self.client.try_post("/api/agent/state", &json!({"state": "ready"}))?;
            match reply.status {
                200 => return Ok(()),
                409 if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                _ => panic!("cannot go ready: {reply:?}"),
            }
        }
    }

    /// What the agent's page would show.
    pub(crate) fn state(&self) -> Result<Value, ureq::Error> {
        Ok(self.client.try_get("/api/agent/state")?.ok(200))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Packets of the called person's own sound.
    pub(crate) fn heard(&self) -> u64 {
        self.rtp.heard.load(Ordering::Relaxed)
    }

    /// Packets of sound that is not the called person's; the beep is such.
    pub(crate) fn foreign(&self) -> u64 {
        self.rtp.foreign.load(Ordering::Relaxed)
    }

    /// Packets of any sound.
    pub(crate) fn packets(&self) -> u64 {
        self.rtp.packets.load(Ordering::Relaxed)
    }
}
