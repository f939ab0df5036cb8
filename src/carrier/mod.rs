//! The simulated carrier: a SIP server whose called people answer, talk, are busy or away, by a floor's distributions.
//! It is the demo's other end and the load peer of tests and benchmarks.

mod calls;
mod profile;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kraliki_media::{Interface, Learn, Media, MediaConfig, MediaHandle, TrunkOptions};
use kraliki_sip::net::{Listen, NetConfig};
use kraliki_sip::{AcceptFrom, EndpointConfig};
use kraliki_time::Clock;

pub(crate) use profile::{Profile, Sound, floor};

use crate::Failed;
use crate::node::seed;

/// Calls that the carrier holds at once. A held call costs it some kB.
const MAX_CALLS: usize = 50_000;

#[derive(Args)]
pub(crate) struct Options {
    /// UDP address to listen on
    #[arg(long, default_value = "127.0.0.1:5070")]
    listen: SocketAddr,
    /// Behaviour as a TOML file; configs/carrier.toml explains each key
    #[arg(long)]
    profile: Option<PathBuf>,
    /// UDP ports for audio
    #[arg(long, default_value = "20000-23999")]
    ports: String,
}

pub(crate) fn run(options: &Options) -> Result<(), Failed> {
    let profile = options.profile.as_deref().map(Profile::load).transpose()?.unwrap_or_default();
    let clock = Clock::start();
    let ports = options
        .ports
        .split_once('-')
        .and_then(|(a, b)| Some(a.parse().ok()?..=b.parse().ok()?))
        .with_context(|| format!("--ports {:?} is not a range such as 20000-23999", options.ports))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let media = if profile.audio == Sound::None {
            None
        } else {
            let ip = options.listen.ip();
            let interface = Interface { listen: ip, advertise: ip };
            let config = MediaConfig { interfaces: vec![interface], ..media_config(ports, clock, seed()?) };
            Some(Media::start(config).context("the carrier's media")?)
        };
        let (media, media_events) = media.unzip();
        // Nothing is done with what comes in; the queue is emptied so that it does not fill.
        if let Some(events) = media_events {
            std::thread::spawn(move || while events.recv().is_ok() {});
        }
        let address = start(options.listen, profile, media, clock)?;
        eprintln!("the simulated carrier takes calls on {address} (UDP); Ctrl-C ends it");
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
    })?;
    Ok(())
}

/// Legs of the world outside: no browsers; who calls is heard wherever it sends from.
pub(crate) const OUTSIDE_LEG: TrunkOptions =
    TrunkOptions { interface: 0, learn: Learn::Anywhere, rtp_timeout: Duration::ZERO };

/// Media of the world outside.
pub(crate) fn media_config(ports: RangeInclusive<u16>, clock: Clock, seed: [u8; 32]) -> MediaConfig {
    MediaConfig { browsers: None, ..MediaConfig::local(clock, ports, seed) }
}

/// Starts a carrier within the current runtime; gives the address on which it takes calls.
pub(crate) fn start(
    listen: SocketAddr,
    profile: Profile,
    media: Option<MediaHandle>,
    clock: Clock,
) -> anyhow::Result<SocketAddr> {
    let net = NetConfig { listen: vec![Listen::udp(listen)], ..NetConfig::default() };
    let endpoint = EndpointConfig {
        accept_from: AcceptFrom::Any,
        user_agent: "Kraliki simulated carrier".into(),
        max_calls: MAX_CALLS,
        trace: false,
        ..EndpointConfig::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&profile.seed.to_le_bytes());
    let (sip, events) = kraliki_sip::net::start(net, endpoint, clock, seed)?;
    let address = *sip.local_addresses().first().context("the carrier has no socket")?;
    let floor = floor(&profile.floor)?;
    tokio::spawn(calls::Carrier::new(sip, media, profile, floor, address, clock).run(events));
    Ok(address)
}
