//! The far ends of relayed calls: two sockets that send and hear what all callers and all agents would.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context;
use kraliki_media::srtp::{MasterKey, Profile, Protector};
use socket2::SockRef;

/// A packet of a leg every 20 ms; the legs are spread over that time.
const PACKET: Duration = Duration::from_millis(20);
const SLOTS: usize = 20;
/// RTP header, and 20 ms of G.711.
const PACKET_BYTES: usize = 12 + 160;
/// The longest master key and salt of the suites that are measured, of what the far ends send.
const KEY: [u8; 30] = [0x4b; 30];

/// One side.
pub(super) struct FarEnds {
    socket: UdpSocket,
    /// Where the relay hears each leg.
    legs: Vec<SocketAddr>,
    /// All legs of an encrypted side share one key: a packet is encrypted once for all.
    srtp: Option<(Profile, Protector)>,
}

/// What an encrypted far end sends under.
pub(super) fn master_key(profile: Profile) -> anyhow::Result<MasterKey> {
    Ok(MasterKey::from_octets(profile, key_octets(profile)).context("a key of the wrong length")?)
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
    /// Encrypted with a profile, if there is one.
    pub(super) fn new(srtp: Option<Profile>) -> anyhow::Result<FarEnds> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        // What comes in while the other side is served.
        SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
        let protector = |profile| Ok::<_, anyhow::Error>((profile, Protector::of(&master_key(profile)?)?));
        Ok(FarEnds { socket, legs: Vec::new(), srtp: srtp.map(protector).transpose()? })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    pub(super) fn add(&mut self, leg: SocketAddr) {
        self.legs.push(leg);
    }

    /// A packet as it goes over the wire.
    fn sealed(&mut self, packet: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut wire = packet.to_vec();
        if let Some((profile, protector)) = &mut self.srtp {
            wire.resize(packet.len() + profile.rtp_overhead(), 0);
            protector.protect_rtp(&mut wire, packet.len())?;
        }
        Ok(wire)
    }

    fn say(&self, slot: usize, packet: &[u8]) -> u64 {
        let legs = self.legs.iter().skip(slot).step_by(SLOTS);
        legs.map(|leg| u64::from(self.socket.send_to(packet, leg).is_ok())).sum()
    }

    fn hear(&self) -> u64 {
        let mut packet = [0; 2_000];
        let mut heard = 0;
        let relayed = PACKET_BYTES + self.srtp.as_ref().map_or(0, |(profile, _)| profile.rtp_overhead());
        while let Ok(bytes) = self.socket.recv(&mut packet) {
            // RTCP comes to the same socket and is no relayed packet.
            heard += u64::from(bytes == relayed);
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
            let [s0, s1] = self.sequence.to_be_bytes();
            let [t0, t1, t2, t3] = (u32::from(self.sequence) * 160).to_be_bytes();
            let mut packet = vec![0x80, 0, s0, s1, t0, t1, t2, t3, 0, 0, 0, 7];
            packet.resize(PACKET_BYTES, 0x55);
            let (of_callers, of_agents) = (self.callers.sealed(&packet)?, self.agents.sealed(&packet)?);
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
