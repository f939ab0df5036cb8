//! What a relayed packet costs: calls between plain RTP legs, both sides talking, the same far ends for ours and for
//! rtpengine in user space.

mod load;
pub(crate) mod ours;
mod rtpengine;

use std::time::Duration;

use anyhow::Context;

use self::load::{FarEnds, Load};
use self::rtpengine::Rtpengine;
use crate::cpu::us_each;
use crate::process::{Process, installed};
use crate::results::{Better, Row};

const PAIRS: usize = 200;
/// The relays take turns, so that what else the machine does falls on each alike.
const ROUNDS: usize = 2;
const WARM_UP: Duration = Duration::from_secs(2);
const ROUND: Duration = Duration::from_secs(6);
/// The relay's ports, below those that the system gives to others.
const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 21_999;
/// Of rtpengine's cost in the same run.
const TARGET_SHARE: f64 = 0.5;

/// The sum of some runs.
#[derive(Default)]
struct Sum {
    sent: u64,
    heard: u64,
    cpu: Duration,
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let peer = installed(rtpengine::PROGRAM);
    let (mut ours, mut theirs) = (Sum::default(), Sum::default());
    for _ in 0..ROUNDS {
        if peer {
            theirs.add_theirs().context("rtpengine")?;
        }
        ours.add_ours()?;
    }
    let cost = |sum: &Sum| us_each(sum.cpu, sum.heard);
    let row = Row::new("media_relay", "plain", "us", cost(&ours), Better::Lower);
    let detail = format!("a packet, {} legs; ours: {ours}", 2 * PAIRS);
    Ok(vec![if peer {
        // A relay that loses packets has less to do.
        row.beside("rtpengine", cost(&theirs))
            .target(cost(&theirs) * TARGET_SHARE)
            .only_if(ours.lost_share() <= 0.001)
            .note(format!("{detail}; rtpengine: {theirs}"))
    } else {
        row.note(format!("{detail}; rtpengine is not installed"))
    }])
}

impl Sum {
    fn add_ours(&mut self) -> anyhow::Result<()> {
        let (mut callers, mut agents) = (FarEnds::new()?, FarEnds::new()?);
        let [pairs, to_callers, to_agents] =
            [PAIRS.to_string(), callers.address()?.to_string(), agents.address()?.to_string()];
        let arguments = ["relay", "--pairs", &pairs, "--callers", &to_callers, "--agents", &to_agents];
        let mut relay = Process::part(&arguments.map(String::from))?;
        let legs: ours::Legs = relay.report()?;
        legs.callers.into_iter().for_each(|leg| callers.add(leg));
        legs.agents.into_iter().for_each(|leg| agents.add(leg));
        self.measure(Load::new(callers, agents), &relay)
    }

    fn add_theirs(&mut self) -> anyhow::Result<()> {
        let (mut callers, mut agents) = (FarEnds::new()?, FarEnds::new()?);
        let mut relay = Rtpengine::start()?;
        for number in 0..PAIRS {
            let (caller, agent) = relay.call(number, callers.address()?, agents.address()?)?;
            callers.add(caller);
            agents.add(agent);
        }
        self.measure(Load::new(callers, agents), &relay.process)
    }

    fn measure(&mut self, mut load: Load, relay: &Process) -> anyhow::Result<()> {
        load.run(WARM_UP);
        let (sent, heard, cpu) = (load.sent, load.heard, relay.cpu()?);
        load.run(ROUND);
        self.cpu += relay.cpu()? - cpu;
        self.sent += load.sent - sent;
        self.heard += load.heard - heard;
        Ok(())
    }

    fn lost_share(&self) -> f64 {
        self.sent.saturating_sub(self.heard) as f64 / self.sent.max(1) as f64
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packets, {:.2}% lost", self.sent, self.lost_share() * 100.0)
    }
}
