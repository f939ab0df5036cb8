//! The dialer as a process of its own: engine, store, SIP and media as they run in earnest, and agents who hang up at
//! once and write down a disposition.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use kraliki_engine::runtime::{EngineHandle, RuntimeConfig, TrunkConfig, start};
use kraliki_engine::store::{NewUser, Store};
use kraliki_engine::{
    AgentId, AgentState, AgentView, CallState, CallingWindow, Campaign, CampaignSettings, Command, Event,
    Mode, Outcome, Reply, Trunk, TrunkId,
};
use kraliki_media::MediaConfig;
use kraliki_media::sdp::{AudioCodec, TrunkSession};
use kraliki_sip::net::{Listen, NetConfig};
use kraliki_time::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep_until, timeout};

use crate::cpu;
use crate::process::tell;

/// Attempts and caches settle in this time; it is not measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long agents may take to sign in, and calls to end.
const SETTLE: Duration = Duration::from_secs(20);

/// Dials a list; reports [`Desks`], then [`Dialed`].
#[derive(Args)]
pub(crate) struct Dialer {
    /// The carrier
    #[arg(long)]
    carrier: SocketAddr,
    /// The agents' far end, which sends signs of life
    #[arg(long)]
    far_end: SocketAddr,
    /// The media's ports, FIRST-LAST
    #[arg(long)]
    ports: String,
    #[arg(long)]
    agents: u32,
    #[arg(long)]
    leads: u32,
    /// INVITEs a second
    #[arg(long)]
    cps: u32,
    /// Seconds that are measured
    #[arg(long)]
    seconds: u64,
}

/// Where the agents' legs are heard.
#[derive(Serialize, Deserialize)]
pub(super) struct Desks(pub(super) Vec<SocketAddr>);

/// What was dialed while it was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Dialed {
    pub(super) seconds: f64,
    pub(super) cpu: Duration,
    /// What the same process was charged in a second with everybody ready and nothing dialed.
    pub(super) idle_cpu: Duration,
    /// Ended attempts by outcome.
    pub(super) outcomes: BTreeMap<Outcome, u64>,
    /// Ended attempts without a disposition at the end of the run; there should be none.
    pub(super) undisposed: u64,
}

impl Dialer {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        // Two threads: the agents are not to wait for each other.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(self.dial())
    }

    async fn dial(&self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(&folder.path().join("bench.db")).await?;
        let clock = Clock::start();
        let mut running = start(self.config(clock)?, store, clock).await?;
        let handle = running.handle.clone();
        let campaign = self.prepare(&handle).await?;
        let events = handle.subscribe();
        let desks = self.sign_in(&handle).await?;
        tell(&desks)?;
        let (ended, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(work(handle.clone(), events, ended));
        self.everybody_ready(&handle).await?;

        let before_idle = cpu::own()?;
        sleep_until((Instant::now() + Duration::from_secs(1)).into()).await;
        let idle_cpu = cpu::own()? - before_idle;

        handle.command(Command::StartCampaign(campaign.id)).await?;
        sleep_until((Instant::now() + WARM_UP).into()).await;
        while outcomes.try_recv().is_ok() {}
        let (began, before) = (Instant::now(), cpu::own()?);
        sleep_until((began + Duration::from_secs(self.seconds)).into()).await;
        let mut dialed = Dialed {
            seconds: began.elapsed().as_secs_f64(),
            cpu: cpu::own()? - before,
            idle_cpu,
            ..Dialed::default()
        };
        while let Ok(outcome) = outcomes.try_recv() {
            *dialed.outcomes.entry(outcome).or_default() += 1;
        }

        handle.command(Command::PauseCampaign(campaign.id)).await?;
        let idle = async {
            while handle
                .snapshot()
                .calls
                .iter()
                .any(|call| call.outcome.is_none() || call.disposition.is_none())
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if timeout(SETTLE, idle).await.is_err() {
            dialed.undisposed = handle.snapshot().calls.len() as u64;
        }
        handle.stop().await;
        running.stopped().await;
        tell(&dialed)
    }

    fn config(&self, clock: Clock) -> anyhow::Result<RuntimeConfig> {
        let (first, last) = self.ports.split_once('-').context("--ports FIRST-LAST")?;
        let ports = first.parse()?..=last.parse()?;
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sip = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
        let media = MediaConfig { browsers: None, ..MediaConfig::local(clock, ports, [3; 32]) };
        let trunk = Trunk {
            max_cps: self.cps,
            max_channels: 2_000,
            breaker_failures: 0,
            ..Trunk::new(TrunkId(1), "bench", "+12015550100")
        };
        Ok(RuntimeConfig {
            trunks: vec![TrunkConfig { simulated: true, ..TrunkConfig::new(trunk, self.carrier) }],
            plain_agents: true,
            seed: Some(1),
            ..RuntimeConfig::new(sip, media)
        })
    }

    /// A campaign with its leads, not started.
    async fn prepare(&self, handle: &EngineHandle) -> anyhow::Result<Campaign> {
        let always = CallingWindow { days: (1..=7).collect(), from: "00:00".into(), to: "24:00".into() };
        let settings = CampaignSettings {
            name: "Bench".into(),
            mode: Mode::Progressive,
            calling_hours: vec![always],
            compliance: "none".into(),
            ..CampaignSettings::default()
        };
        let reply = handle.command(Command::CreateCampaign(Box::new(settings))).await?;
        let Reply::Campaign(campaign) = reply else { bail!("the campaign was not made") };
        let mut importer = handle.store().importer(campaign.id, "Bench", "US").await?;
        importer.feed(list(self.leads).as_bytes()).await.map_err(|error| anyhow!("the list: {error}"))?;
        let report = importer.finish().await.map_err(|error| anyhow!("the list: {error}"))?;
        ensure!(report.imported == u64::from(self.leads), "not every lead was taken: {report:?}");
        Ok(*campaign)
    }

    async fn sign_in(&self, handle: &EngineHandle) -> anyhow::Result<Desks> {
        let mut legs = Vec::new();
        for number in 0..self.agents {
            let name = format!("Agent {number}");
            let user = NewUser {
                username: format!("agent-{number}"),
                name: name.clone(),
                role: "agent".into(),
                password_hash: "!".to_owned().into(),
            };
            let agent: AgentId = handle.store().create_user(user).await?.id;
            handle.command(Command::SignIn { agent, name }).await?;
            let mut session = TrunkSession::new(u64::from(number), self.far_end, &[AudioCodec::Pcmu]);
            let offer = String::from_utf8(session.offer().to_vec())?;
            let opened = handle.open_session(agent, offer).await?;
            let agreed = session.apply_answer(opened.answer.as_bytes());
            legs.push(agreed.map_err(|mismatch| anyhow!("an agent's leg: {mismatch}"))?.remote);
        }
        Ok(Desks(legs))
    }

    async fn everybody_ready(&self, handle: &EngineHandle) -> anyhow::Result<()> {
        let ready = async {
            while handle.snapshot().agents.iter().filter(|a| a.state == AgentState::Ready).count()
                < self.agents as usize
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(SETTLE, ready).await.context("not every agent is ready")
    }
}

/// Numbers that nobody has: 555-0100 to 555-0199 of each area. 900 is for premium rates, which are never dialed.
fn list(leads: u32) -> String {
    let areas = (201..=989).filter(|area| area % 100 != 11 && *area != 900);
    let numbers = (0..100).flat_map(|line| areas.clone().map(move |area| (area, line)));
    let lines = numbers.take(leads as usize);
    lines.fold("phone,time_zone\n".into(), |text, (area, line)| {
        format!("{text}+1{area}55501{line:02},America/New_York\n")
    })
}

/// All agents: each hangs up at once, chooses a disposition and is ready again. Tells how calls ended.
async fn work(
    handle: EngineHandle,
    mut events: tokio::sync::broadcast::Receiver<std::sync::Arc<Event>>,
    ended: tokio::sync::mpsc::UnboundedSender<Outcome>,
) {
    for agent in &handle.snapshot().agents {
        act(&handle, agent);
    }
    loop {
        match events.recv().await.as_deref() {
            Ok(Event::Agent(agent)) => act(&handle, agent),
            Ok(Event::Call(call)) if call.state == CallState::Ended && call.disposition.is_none() => {
                if let Some(outcome) = call.outcome {
                    let _ = ended.send(outcome);
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(events)) => eprintln!("the bench's agents missed {events} events"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn act(handle: &EngineHandle, agent: &AgentView) {
    let id = agent.id;
    let commands = match (agent.state, agent.call) {
        (AgentState::Paused, _) if agent.audio => vec![Command::Ready(id)],
        (AgentState::Talking, Some(call)) => vec![Command::Hangup(call)],
        (AgentState::WrapUp, Some(call)) => {
            let dispose = Command::Dispose {
                call,
                code: "sale".into(),
                note: String::new(),
                callback_unix_ms: None,
                personal: false,
            };
            vec![dispose, Command::Ready(id)]
        }
        _ => return,
    };
    let handle = handle.clone();
    tokio::spawn(async move {
        for command in commands {
            if let Err(error) = handle.command(command).await {
                eprintln!("agent {id}: {error}");
            }
        }
    });
}
