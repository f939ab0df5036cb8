//! Relays calls between plain RTP legs under a steady load, and prints what a relayed packet costs.
//!
//! `cargo run --release -p kraliki-media --example relay -- [pairs] [seconds] [batch_us]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use kraliki_media::sdp::{AudioCodec, Direction, Negotiated};
use kraliki_media::{Media, MediaConfig, MediaHandle, RtpLeg, ShardStats, TrunkOptions};
use kraliki_time::Clock;
use socket2::SockRef;

const PORTS: RangeInclusive<u16> = 20_000..=29_999;
/// Sends are spread over the 20 ms of a packet.
const SLOTS: usize = 20;

/// One side's far ends: one socket that plays them all, and the legs' ports.
struct FarEnds {
    socket: UdpSocket,
    ports: Vec<SocketAddr>,
    received: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut argument = |default| arguments.next().unwrap_or(Ok(default));
    let (pairs, seconds, batch_us) = (argument(200)?, argument(10)?, argument(2_000)?);

    let config = MediaConfig {
        browsers: None,
        batch: Duration::from_micros(batch_us),
        ..MediaConfig::local(Clock::start(), PORTS, [1; 32])
    };
    let (media, events) = Media::start(config)?;
    let mut callers = FarEnds::new()?;
    let mut agents = FarEnds::new()?;
    for _ in 0..pairs {
        let trunk = media.open_trunk_leg(&TrunkOptions::default())?;
        let agent = media.open_rtp_leg(&TrunkOptions::default())?;
        callers.add(&media, trunk)?;
        agents.add(&media, agent)?;
        media.bridge(trunk.id, agent.id, false)?;
    }

    let mut sequence = 0;
    load(&mut callers, &mut agents, &mut sequence, Duration::from_secs(2));
    let before = shard(&media);
    let heard_before = callers.received + agents.received;
    let began = Instant::now();
    let sent = load(&mut callers, &mut agents, &mut sequence, Duration::from_secs(seconds));
    let elapsed = began.elapsed();
    let after = shard(&media);
    let heard = callers.received + agents.received - heard_before;
    drop(events);

    let relayed = after.relayed - before.relayed;
    let cpu = after.cpu.saturating_sub(before.cpu);
    println!("pairs {pairs}, batches of {batch_us} us, {:.1} s", elapsed.as_secs_f64());
    println!(
        "sent {sent}, relayed {relayed}, heard {heard}, refused {}",
        after.send_errors - before.send_errors
    );
    println!(
        "{:.2} us of CPU per relayed packet, {:.1}% of a core, {:.0} wake-ups/s",
        cpu.as_secs_f64() * 1e6 / relayed.max(1) as f64,
        cpu.as_secs_f64() * 100.0 / elapsed.as_secs_f64(),
        (after.wakeups - before.wakeups) as f64 / elapsed.as_secs_f64(),
    );
    media.shutdown();
    Ok(())
}

impl FarEnds {
    fn new() -> Result<FarEnds, Box<dyn Error>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
        Ok(FarEnds { socket, ports: Vec::new(), received: 0 })
    }

    fn add(&mut self, media: &MediaHandle, leg: RtpLeg) -> Result<(), Box<dyn Error>> {
        let remote = self.socket.local_addr()?;
        let agreed = Negotiated {
            remote,
            remote_rtcp: remote,
            codec: AudioCodec::Pcmu,
            payload_type: 0,
            receive_payload_type: 0,
            dtmf: None,
            receive_dtmf: None,
            comfort_noise: false,
            opus: None,
            direction: Direction::SendRecv,
            ptime_ms: 20,
            xr: Default::default(),
            srtp: None,
        };
        media.set_remote(leg.id, agreed)?;
        self.ports.push(leg.rtp);
        Ok(())
    }

    /// Sends a packet to each leg of a slot.
    fn say(&self, slot: usize, packet: &[u8]) -> u64 {
        let ports = self.ports.iter().skip(slot).step_by(SLOTS);
        ports.map(|port| u64::from(self.socket.send_to(packet, port).is_ok())).sum()
    }

    fn listen(&mut self) {
        let mut buf = [0; 2_000];
        while self.socket.recv_from(&mut buf).is_ok() {
            self.received += 1;
        }
    }
}

/// Sends 50 packets a second to each leg; gives how many.
fn load(callers: &mut FarEnds, agents: &mut FarEnds, sequence: &mut u16, time: Duration) -> u64 {
    let mut sent = 0;
    let began = Instant::now();
    let mut next = began;
    while began.elapsed() < time {
        *sequence = sequence.wrapping_add(1);
        let [s0, s1] = sequence.to_be_bytes();
        let [t0, t1, t2, t3] = (u32::from(*sequence) * 160).to_be_bytes();
        let mut packet = vec![0x80, 0, s0, s1, t0, t1, t2, t3, 0, 0, 0, 7];
        packet.resize(172, 0x55);
        for slot in 0..SLOTS {
            sent += callers.say(slot, &packet) + agents.say(slot, &packet);
            callers.listen();
            agents.listen();
            next += Duration::from_micros(20_000 / SLOTS as u64);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    sent
}

fn shard(media: &MediaHandle) -> ShardStats {
    // The CPU time is shown every 100 ms: let the last of it be.
    std::thread::sleep(Duration::from_millis(200));
    media.stats().shards.first().copied().unwrap_or_default()
}
