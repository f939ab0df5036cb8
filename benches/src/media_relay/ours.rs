//! Our relay as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use kraliki_media::sdp::{AudioCodec, Direction, Negotiated, OpusFormat, SrtpKeys};
use kraliki_media::srtp::Profile;
use kraliki_media::{Media, MediaConfig, TrunkOptions};
use kraliki_time::Clock;
use serde::{Deserialize, Serialize};

use super::load::{OPUS, master_key};
use super::{PORT_MAX, PORT_MIN, Srtp};
use crate::cpu::resident;
use crate::process::{tell, until_told};

/// Bridges calls between two far ends; reports [`Legs`].
#[derive(Args)]
pub(crate) struct Relay {
    #[arg(long)]
    pairs: usize,
    #[arg(long)]
    callers: SocketAddr,
    #[arg(long)]
    agents: SocketAddr,
    /// How the agents' side is encrypted
    #[arg(long)]
    srtp: Option<Srtp>,
    /// The agents are browsers, whose offers are in this file, an array in JSON
    #[arg(long)]
    offers: Option<PathBuf>,
    /// The callers speak Opus at 8 kHz, the agents G.711
    #[arg(long)]
    opus: bool,
}

/// Where the legs are heard.
#[derive(Serialize, Deserialize)]
pub(super) struct Legs {
    pub(super) callers: Vec<SocketAddr>,
    pub(super) agents: Vec<SocketAddr>,
    /// The answers to browsers instead.
    pub(super) answers: Vec<String>,
    /// Resident memory before they were opened.
    pub(super) empty: u64,
}

impl Relay {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let local = MediaConfig::local(Clock::start(), PORT_MIN..=PORT_MAX, [1; 32]);
        let offers = self.offers.as_ref().map(std::fs::read).transpose()?;
        let offers: Option<Vec<String>> = offers.map(|text| serde_json::from_slice(&text)).transpose()?;
        let browsers = local.browsers.clone().filter(|_| offers.is_some());
        let (media, events) = Media::start(MediaConfig { browsers, ..local })?;
        std::thread::spawn(move || while events.recv().is_ok() {});
        let empty = resident(std::process::id())?;
        let mut legs = Legs { callers: Vec::new(), agents: Vec::new(), answers: Vec::new(), empty };
        let keys = self.srtp.map(|srtp| keys(srtp.profile())).transpose()?;
        let callers = agreed(self.callers, None);
        let callers = if self.opus { opus(callers) } else { callers };
        for pair in 0..self.pairs {
            let trunk = media.open_trunk_leg(&TrunkOptions::default())?;
            media.set_remote(trunk.id, callers)?;
            legs.callers.push(trunk.rtp);
            let agent = match &offers {
                Some(offers) => {
                    let offer = offers.get(pair).context("more pairs than offers")?;
                    let (agent, answer) = media.open_browser_leg(offer)?;
                    legs.answers.push(answer);
                    agent
                }
                None => {
                    let agent = media.open_rtp_leg(&TrunkOptions::default())?;
                    media.set_remote(agent.id, agreed(self.agents, keys))?;
                    legs.agents.push(agent.rtp);
                    agent.id
                }
            };
            media.bridge(trunk.id, agent, false)?;
        }
        tell(&legs)?;
        until_told();
        media.shutdown();
        Ok(())
    }
}

/// Every far end sends under one key, and so do we.
fn keys(profile: Profile) -> anyhow::Result<SrtpKeys> {
    let key = master_key(profile)?;
    Ok(SrtpKeys { send: key, receive: key })
}

fn opus(agreed: Negotiated) -> Negotiated {
    Negotiated {
        codec: AudioCodec::Opus,
        payload_type: OPUS,
        receive_payload_type: OPUS,
        opus: Some(OpusFormat { max_playback_rate_hz: 8_000, ..OpusFormat::default() }),
        ..agreed
    }
}

fn agreed(remote: SocketAddr, srtp: Option<SrtpKeys>) -> Negotiated {
    Negotiated {
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
        srtp,
    }
}
