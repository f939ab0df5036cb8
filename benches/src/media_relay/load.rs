//! The far ends of relayed calls: two sockets that send and hear what all callers and all agents would.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context;
use kraliki_media::codec::{OpusPolicy, OpusRate, encoder};
use kraliki_media::sdp::AudioCodec;
use kraliki_media::srtp::{MasterKey, Profile, Protector};
use socket2::SockRef;

use super::browser::Browsers;
use super::floor::Sockets;
#[cfg(feature = "peers")]
use super::peers::Peers;

/// A packet of a leg every 20 ms; the legs are spread over that time.
pub(super) const PACKET: Duration = Duration::from_millis(20);
pub(super) const SLOTS: usize = 20;
/// RTP header, and samples of 20 ms at 8 kHz, which are the bytes of G.711.
pub(super) const HEADER_BYTES: usize = 12;
pub(super) const SAMPLES: usize = 160;
/// What stands in front of the time in a payload that has one.
const STAMP: [u8; 2] = [0x7e, 0x57];
const STAMP_BYTES: usize = 8;
/// The steps in which delays are counted, and the longest that is told apart.
const DELAY_STEP: Duration = Duration::from_micros(100);
const DELAY_STEPS: usize = 1_000;
/// The payload type of Opus, on both sides of the relay.
pub(super) const OPUS: u8 = 96;
/// Frames of Opus that are said in turns.
const OPUS_FRAMES: usize = 50;
/// The longest master key and salt of the suites that are measured, of what the far ends send.
const KEY: [u8; 30] = [0x4b; 30];

/// One side.
pub(super) struct FarEnds {
    socket: UdpSocket,
    /// Where the relay hears each leg.
    legs: Vec<SocketAddr>,
    /// Said in turns.
    payloads: Vec<Vec<u8>>,
    payload_type: u8,
    /// Timestamp units of a packet.
    duration: u32,
    /// All legs of an encrypted side share one key: a packet is encrypted once for all.
    srtp: Option<(Profile, Protector)>,
    /// What is said at present.
    packet: Vec<u8>,
    /// So much more comes behind each packet.
    pub(super) padding: usize,
    /// How many packets were under way for so many steps.
    delays: Vec<u64>,
}

/// Who the agents are.
pub(super) enum Agents {
    Legs(FarEnds),
    /// And what they say, before it is encrypted.
    Browsers(Browsers, FarEnds),
    /// The same, of somebody else.
    #[cfg(feature = "peers")]
    Peers(Peers, FarEnds),
    /// Plain sockets, and what they say.
    Sockets(Sockets, FarEnds),
}

/// Nanoseconds since the first packet that was stamped.
fn nanos() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A packet in clear whose payload begins with the time.
pub(super) fn stamped(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if let Some(place) = packet.get_mut(HEADER_BYTES..HEADER_BYTES + STAMP_BYTES) {
        place.copy_from_slice(&nanos().to_be_bytes());
        place.iter_mut().zip(STAMP).for_each(|(byte, stamp)| *byte = stamp);
    }
    packet
}

/// How long a packet was under way, if it says when it was sent.
fn under_way(packet: &[u8]) -> Option<Duration> {
    let stamp: [u8; STAMP_BYTES] = packet.get(HEADER_BYTES..)?.first_chunk().copied()?;
    let [s0, s1, rest @ ..] = stamp;
    let sent = rest.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    ([s0, s1] == STAMP).then(|| Duration::from_nanos((nanos() & ((1 << 48) - 1)).saturating_sub(sent)))
}

/// What an encrypted far end sends under.
pub(super) fn master_key(profile: Profile) -> anyhow::Result<MasterKey> {
    MasterKey::from_octets(profile, key_octets(profile)).context("a key of the wrong length")
}

/// The same, key and salt in one.
pub(super) fn key_octets(profile: Profile) -> &'static [u8] {
    KEY.get(..profile.key_len() + profile.salt_len()).unwrap_or_default()
}

/// Both sides of some calls.
pub(super) struct Load {
    callers: FarEnds,
    agents: Agents,
    sequence: u16,
    /// Packets sent and heard so far.
    pub(super) sent: u64,
    pub(super) heard: u64,
}

impl FarEnds {
    /// They speak G.711, encrypted with a profile, if there is one.
    pub(super) fn new(srtp: Option<Profile>) -> anyhow::Result<FarEnds> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        // What comes in while the other side is served.
        SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
        let protector = |profile| Ok::<_, anyhow::Error>((profile, Protector::of(&master_key(profile)?)?));
        Ok(FarEnds {
            socket,
            legs: Vec::new(),
            payloads: vec![vec![0x55; SAMPLES]],
            payload_type: 0,
            duration: SAMPLES as u32,
            srtp: srtp.map(protector).transpose()?,
            packet: Vec::new(),
            padding: 0,
            delays: vec![0; DELAY_STEPS],
        })
    }

    /// They speak Opus: noise, which costs at least what speech does.
    pub(super) fn opus() -> anyhow::Result<FarEnds> {
        let policy = OpusPolicy { rate: OpusRate::Narrow, ..OpusPolicy::default() };
        let mut encoder = encoder(AudioCodec::Opus, &policy)?;
        let mut noise = 1u32;
        let mut payload = |_| {
            let samples = [(); SAMPLES].map(|()| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((noise >> 16) as i16) / 8
            });
            let mut payload = vec![0; 1_275];
            let bytes = encoder.encode(&samples, &mut payload)?;
            payload.truncate(bytes);
            Ok::<_, anyhow::Error>(payload)
        };
        let payloads = (0..OPUS_FRAMES).map(&mut payload).collect::<anyhow::Result<_>>()?;
        // RFC 7587 §4.1: 48 kHz, whatever is encoded.
        Ok(FarEnds { payloads, payload_type: OPUS, duration: 960, ..FarEnds::new(None)? })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    pub(super) fn add(&mut self, leg: SocketAddr) {
        self.legs.push(leg);
    }

    /// From now on this packet is said, as it goes over the wire.
    fn begin(&mut self, sequence: u16) -> anyhow::Result<()> {
        let payload = self.payloads.get(usize::from(sequence) % self.payloads.len().max(1));
        let [s0, s1] = sequence.to_be_bytes();
        let [t0, t1, t2, t3] = u32::from(sequence).wrapping_mul(self.duration).to_be_bytes();
        let mut packet = vec![0x80, self.payload_type, s0, s1, t0, t1, t2, t3, 0, 0, 0, 7];
        packet.extend(payload.into_iter().flatten());
        if let Some((profile, protector)) = &mut self.srtp {
            let bytes = packet.len();
            packet.resize(bytes + profile.rtp_overhead(), 0);
            protector.protect_rtp(&mut packet, bytes)?;
        }
        self.packet = packet;
        Ok(())
    }

    fn say(&self, slot: usize) -> u64 {
        let legs = self.legs.iter().skip(slot).step_by(SLOTS);
        let said = if self.is_plain() { stamped(&self.packet) } else { self.packet.clone() };
        legs.map(|leg| u64::from(self.socket.send_to(&said, leg).is_ok())).sum()
    }

    /// Whether G.711 goes in clear, whose octets come out as they went in.
    fn is_plain(&self) -> bool {
        self.srtp.is_none() && self.payload_type != OPUS
    }

    fn hear(&mut self) -> u64 {
        let mut packet = [0; 2_000];
        let mut heard = 0;
        let g711 =
            HEADER_BYTES + SAMPLES + self.srtp.as_ref().map_or(0, |(profile, _)| profile.rtp_overhead());
        while let Ok(bytes) = self.socket.recv(&mut packet) {
            // RTCP comes to the same socket and is no relayed packet (RFC 5761 §4); nor is audio in clear where it should
            // not be.
            let is_audio = packet.get(1).is_some_and(|byte| byte & 0x7f == self.payload_type);
            let is_whole = bytes == g711 + self.padding || self.payload_type == OPUS;
            heard += u64::from(is_audio && is_whole);
            let delay =
                if self.is_plain() { under_way(packet.get(..bytes).unwrap_or_default()) } else { None };
            if let Some(delay) = delay {
                let step = (delay.as_nanos() / DELAY_STEP.as_nanos()) as usize;
                self.delays.get_mut(step.min(DELAY_STEPS - 1)).into_iter().for_each(|count| *count += 1);
            }
        }
        heard
    }
}

impl Agents {
    fn begin(&mut self, sequence: u16) -> anyhow::Result<()> {
        match self {
            Agents::Legs(legs) => legs.begin(sequence),
            Agents::Browsers(browsers, voice) => {
                browsers.begin(sequence);
                voice.begin(sequence)
            }
            #[cfg(feature = "peers")]
            Agents::Peers(_, voice) => voice.begin(sequence),
            Agents::Sockets(_, voice) => voice.begin(sequence),
        }
    }

    fn say(&mut self, slot: usize) -> anyhow::Result<u64> {
        match self {
            Agents::Legs(legs) => Ok(legs.say(slot)),
            Agents::Browsers(browsers, voice) => browsers.say(slot, &voice.packet),
            #[cfg(feature = "peers")]
            Agents::Peers(peers, voice) => peers.say(slot, &voice.packet),
            Agents::Sockets(sockets, voice) => Ok(sockets.say(slot, &voice.packet)),
        }
    }

    fn hear(&mut self, slot: usize) -> u64 {
        match self {
            Agents::Legs(legs) => legs.hear(),
            Agents::Browsers(browsers, _) => browsers.hear(slot),
            #[cfg(feature = "peers")]
            Agents::Peers(peers, _) => peers.hear(slot),
            Agents::Sockets(sockets, _) => sockets.hear(slot),
        }
    }
}

impl Load {
    pub(super) fn new(callers: FarEnds, agents: Agents) -> Load {
        Load { callers, agents, sequence: 0, sent: 0, heard: 0 }
    }

    /// Both sides talk for so long.
    pub(super) fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut next = began;
        while began.elapsed() < time {
            self.sequence = self.sequence.wrapping_add(1);
            self.callers.begin(self.sequence)?;
            self.agents.begin(self.sequence)?;
            for slot in 0..SLOTS {
                self.sent += self.callers.say(slot) + self.agents.say(slot)?;
                self.heard += self.callers.hear() + self.agents.hear(slot);
                next += PACKET / SLOTS as u32;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
        // What is still under way.
        std::thread::sleep(PACKET);
        self.heard += self.callers.hear();
        self.heard += (0..SLOTS).map(|slot| self.agents.hear(slot)).sum::<u64>();
        Ok(())
    }

    /// How long 99 of 100 packets to the callers took at most since this was asked for last, the far ends' own look each
    /// millisecond included; none where they cannot tell.
    pub(super) fn take_delay_p99(&mut self) -> Option<Duration> {
        let delays = std::mem::replace(&mut self.callers.delays, vec![0; DELAY_STEPS]);
        let all: u64 = delays.iter().sum();
        let mut sum = 0;
        let within = delays.iter().position(|count| {
            sum += count;
            sum * 100 >= all * 99
        });
        within.filter(|_| all > 0).map(|step| DELAY_STEP * (step as u32 + 1))
    }
}
