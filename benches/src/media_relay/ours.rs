//! Our relay as a process of its own.

use std::net::SocketAddr;

use clap::Args;
use kraliki_media::sdp::{AudioCodec, Direction, Negotiated};
use kraliki_media::{Media, MediaConfig, TrunkOptions};
use kraliki_time::Clock;
use serde::{Deserialize, Serialize};

use super::{PORT_MAX, PORT_MIN};
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
}

/// Where the legs are heard.
#[derive(Serialize, Deserialize)]
pub(super) struct Legs {
    pub(super) callers: Vec<SocketAddr>,
    pub(super) agents: Vec<SocketAddr>,
}

impl Relay {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let local = MediaConfig::local(Clock::start(), PORT_MIN..=PORT_MAX, [1; 32]);
        let (media, events) = Media::start(MediaConfig { browsers: None, ..local })?;
        std::thread::spawn(move || while events.recv().is_ok() {});
        let mut legs = Legs { callers: Vec::new(), agents: Vec::new() };
        for _ in 0..self.pairs {
            let trunk = media.open_trunk_leg(&TrunkOptions::default())?;
            let agent = media.open_rtp_leg(&TrunkOptions::default())?;
            media.set_remote(trunk.id, agreed(self.callers))?;
            media.set_remote(agent.id, agreed(self.agents))?;
            media.bridge(trunk.id, agent.id, false)?;
            legs.callers.push(trunk.rtp);
            legs.agents.push(agent.rtp);
        }
        tell(&legs)?;
        until_told();
        media.shutdown();
        Ok(())
    }
}

fn agreed(remote: SocketAddr) -> Negotiated {
    Negotiated {
        remote,
        remote_rtcp: remote,
        codec: AudioCodec::Pcmu,
        payload_type: 0,
        receive_payload_type: 0,
        dtmf: None,
        receive_dtmf: None,
        opus: None,
        direction: Direction::SendRecv,
        ptime_ms: 20,
        xr: Default::default(),
        srtp: None,
    }
}
