//! What the media is told at its start, and per trunk.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use kraliki_time::Clock;

use crate::leg::Learn;
use crate::sdp::AudioCodec;

/// An address on which calls' RTP is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The local address to bind.
    pub listen: IpAddr,
    /// The address that far ends are told.
    pub advertise: IpAddr,
}

/// The ports for browsers: one per shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserPorts {
    /// The local address to bind; unspecified is every one.
    pub listen: IpAddr,
    /// The first shard's port, the others follow; 0 takes any that are free.
    pub port: u16,
    /// The addresses that browsers are told, the preferred one first. The shard's port is added.
    pub candidates: Vec<IpAddr>,
    /// What is agreed with browsers, where they have it: they send the first, and are sent the first as a rule. Opus among
    /// the others is sent to a browser with a poor network, or when its call has more than telephone sound. Opus as the
    /// first makes every call be decoded.
    pub codecs: Vec<AudioCodec>,
    /// Whether the same ports are offered over TCP too, for browsers whose network lets no UDP out.
    pub tcp: bool,
}

/// The configuration of the media.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Where calls' RTP is received; [`TrunkOptions::interface`] counts in this list.
    pub interfaces: Vec<Interface>,
    /// The ports for RTP and RTCP, on each interface. All of them are opened at the start.
    pub ports: RangeInclusive<u16>,
    /// The ports for browsers; without them there are no browsers' legs.
    pub browsers: Option<BrowserPorts>,
    /// Threads that carry audio. One per core is enough; a core carries about a thousand bridged calls.
    pub shards: usize,
    /// How long a shard collects packets before it passes them on: 1–2 ms.
    pub batch: Duration,
    /// The clock by which events are told.
    pub clock: Clock,
    /// The seed of SSRCs, sequence numbers and the browsers' ICE credentials: take it from the system's source of
    /// chance, except in tests.
    pub seed: [u8; 32],
}

impl MediaConfig {
    /// Everything on one local address, one shard, browsers on any free port.
    pub fn local(clock: Clock, ports: RangeInclusive<u16>, seed: [u8; 32]) -> MediaConfig {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        MediaConfig {
            interfaces: vec![Interface { listen: ip, advertise: ip }],
            ports,
            browsers: Some(BrowserPorts {
                listen: ip,
                port: 0,
                candidates: vec![ip],
                codecs: AudioCodec::BROWSER.to_vec(),
                tcp: true,
            }),
            shards: 1,
            batch: Duration::from_millis(2),
            clock,
            seed,
        }
    }
}

/// How a plain RTP leg is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkOptions {
    /// Which of the [`MediaConfig::interfaces`].
    pub interface: usize,
    /// Which addresses are heard.
    pub learn: Learn,
    /// An answered call without a sign of life for so long is told as timed out; zero never.
    pub rtp_timeout: Duration,
}

impl Default for TrunkOptions {
    fn default() -> Self {
        TrunkOptions { interface: 0, learn: Learn::SameHost, rtp_timeout: Duration::from_secs(20) }
    }
}

impl BrowserPorts {
    pub(super) fn address(&self, shard: usize) -> SocketAddr {
        let offset = u16::try_from(shard).unwrap_or(u16::MAX);
        let port = if self.port == 0 { 0 } else { self.port.saturating_add(offset) };
        SocketAddr::new(self.listen, port)
    }
}
