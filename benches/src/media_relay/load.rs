//! The far ends of relayed calls: two sockets that send and hear what all callers and all agents would.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context;
use kraliki_media::codec::{OpusPolicy, OpusRate, encoder};
use kraliki_media::sdp::AudioCodec;
use kraliki_media::srtp::{MasterKey, Profile, Protector};
use socket2::SockRef;

/// A packet of a leg every 20 ms; the legs are spread over that time.
pub(super) const PACKET: Duration = Duration::from_millis(20);
const SLOTS: usize = 20;
/// RTP header, and samples of 20 ms at 8 kHz, which are the bytes of G.711.
const HEADER_BYTES: usize = 12;
const SAMPLES: usize = 160;
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
    agents: FarEnds,
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

    /// A packet as it goes over the wire.
    fn packet(&mut self, sequence: u16) -> anyhow::Result<Vec<u8>> {
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
        Ok(packet)
    }

    fn say(&self, slot: usize, packet: &[u8]) -> u64 {
        let legs = self.legs.iter().skip(slot).step_by(SLOTS);
        legs.map(|leg| u64::from(self.socket.send_to(packet, leg).is_ok())).sum()
    }

    fn hear(&self) -> u64 {
        let mut packet = [0; 2_000];
        let mut heard = 0;
        let g711 =
            HEADER_BYTES + SAMPLES + self.srtp.as_ref().map_or(0, |(profile, _)| profile.rtp_overhead());
        while let Ok(bytes) = self.socket.recv(&mut packet) {
            // RTCP comes to the same socket and is no relayed packet (RFC 5761 §4); nor is audio in clear where it should
            // not be.
            let is_audio = packet.get(1).is_some_and(|byte| byte & 0x7f == self.payload_type);
            heard += u64::from(is_audio && (bytes == g711 || self.payload_type == OPUS));
        }
        heard
    }
}

impl Load {
    pub(super) fn new(callers: FarEnds, agents: FarEnds) -> Load {
        Load { callers, agents, sequence: 0, sent: 0, heard: 0 }
    }

    /// Both sides talk for so long.
    pub(super) fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut next = began;
        while began.elapsed() < time {
            self.sequence = self.sequence.wrapping_add(1);
            let of_callers = self.callers.packet(self.sequence)?;
            let of_agents = self.agents.packet(self.sequence)?;
            for slot in 0..SLOTS {
                self.sent += self.callers.say(slot, &of_callers) + self.agents.say(slot, &of_agents);
                self.heard += self.callers.hear() + self.agents.hear();
                next += PACKET / SLOTS as u32;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
        // What is still under way.
        std::thread::sleep(PACKET);
        self.heard += self.callers.hear() + self.agents.hear();
        Ok(())
    }
}
