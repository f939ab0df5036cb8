//! `kraliki demo`: the whole product with a temporary store, the simulated carrier and simulated agents, and a free
//! seat for a person.

mod agents;
mod leads;
mod summary;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use kraliki_control_api::{ApiConfig, Role, TlsFiles};
use kraliki_engine::runtime::{EngineHandle, JournalConfig, RecordingsConfig, RuntimeConfig, TrunkConfig};
use kraliki_engine::simulate::Floor;
use kraliki_engine::store::Store;
use kraliki_engine::{
    CallingWindow, CampaignId, CampaignSettings, Command, Outcome, Reply, RetryRule, Trunk, TrunkId,
};
use kraliki_media::sdp::AudioCodec;
use kraliki_media::{BrowserPorts, Media, MediaConfig};
use kraliki_sip::net::{Listen, NetConfig};
use kraliki_time::Clock;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failed;
use crate::carrier::{self, Profile, floor};
use crate::manage::{NewUser, add_user_to};
use crate::node::{Node, local_addresses, log_to_stderr};
use crate::simulate::mode;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Ports for the legs of the dialer, and as many for the simulated carrier and the simulated agents.
const PORTS: u16 = 2_000;
/// The journal may have so many bytes; beyond, its oldest files are deleted.
const JOURNAL_KEEP: u64 = 4_096_000_000;
/// When told to end without `--for`, calls may go on for this long.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Options {
    /// Port of the console and the API; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Simulated agents
    #[arg(long, default_value_t = 5)]
    agents: u32,
    /// Leads on the campaign's list
    #[arg(long, default_value_t = 5000)]
    leads: u32,
    /// demo, f1, f2, f3, f1mixed, or the path of a floor's TOML file
    #[arg(long, default_value = "demo")]
    floor: String,
    /// progressive, power or predictive
    #[arg(long, default_value = "predictive")]
    pacer: String,
    /// Seed of everything that happens by chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End by itself after this long (30s, 15m, 1h) and print a summary
    #[arg(long = "for", value_parser = duration)]
    lasts: Option<Duration>,
    /// Print the summary as one line of JSON on standard output
    #[arg(long)]
    json: bool,
    /// Serve https with a certificate made for this run, on every address: for a browser on another machine
    #[arg(long)]
    tls: bool,
    /// Record every input of the engine in this file, with .000001 and on after its name
    #[arg(long)]
    journal: Option<std::path::PathBuf>,
    /// Length of one file of the journal, in MB
    #[arg(long, default_value_t = 256.0, requires = "journal")]
    journal_segment_mb: f64,
    /// Log level
    #[arg(long, default_value = "warn")]
    log: String,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration such as 60s, 15m or 1h");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    Ok(Duration::from_secs(number.checked_mul(factor).ok_or_else(bad)?))
}

pub(crate) fn run(options: Options) -> Result<(), Failed> {
    log_to_stderr(&options.log, false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(demo(options))?;
    Ok(())
}

async fn demo(options: Options) -> anyhow::Result<()> {
    ensure!(options.agents <= 500, "--agents {}: give at most 500", options.agents);
    ensure!(
        (1..=leads::MOST).contains(&options.leads),
        "--leads {}: give 1 to {}, the numbers there are in 555-01xx",
        options.leads,
        leads::MOST
    );
    let segment_mb = options.journal_segment_mb;
    ensure!(segment_mb > 0.0, "--journal-segment-mb {segment_mb}: give more than 0");
    let floor = floor(&options.floor)?;
    let campaign = campaign_settings(&options, &floor)?;
    let clock = Clock::start();
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);

    let base = free_ports()?;
    let outside_ports = base + PORTS..=base + 2 * PORTS - 1;
    let (outside, outside_events) = Media::start(carrier::media_config(outside_ports, clock, rng.random()))?;
    std::thread::spawn(move || while outside_events.recv().is_ok() {});
    let profile = Profile { floor: options.floor.clone(), seed: rng.random(), ..Profile::default() };
    let carrier = carrier::start(SocketAddr::new(LOOPBACK, 0), profile, Some(outside.clone()), clock)?;

    let store = dir.path().join("demo.db");
    let api = api_config(&options, dir.path())?;
    let config = RuntimeConfig {
        recording: Some(RecordingsConfig::in_directory(dir.path().join("recordings"))),
        ..runtime_config(&options, carrier, base..=base + PORTS - 1, clock, rng.random())
    };
    let node = Node::start(&store, config, api, clock).await?;
    let seat = set_up(&node.handle, &options, campaign, &mut rng).await?;
    let url = console_url(&options, &node)?;
    eprintln!(
        "Kraliki Voice demo: {} simulated agents, floor {}, {} pacing\n\n  open     {url}\n  agent    {} / {}   (sign in, press Ready, and the next call is yours)\n  manager  {} / {}   (campaigns and live numbers)\n",
        options.agents, floor.name, options.pacer, seat.agent.0, seat.agent.1, seat.manager.0, seat.manager.1
    );
    let floor = Arc::new(floor);
    for (place, agent) in seat.simulated.iter().enumerate() {
        let seed = options.seed.wrapping_mul(1000).wrapping_add(place as u64);
        agents::start(node.handle.clone(), outside.clone(), *agent, floor.clone(), seed);
    }
    match node.handle.command(Command::StartCampaign(seat.campaign)).await {
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let over = async {
        match options.lasts {
            Some(lasts) => tokio::time::sleep(lasts).await,
            None => std::future::pending().await,
        }
    };
    let by_itself = tokio::select! {
        () = over => true,
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    };
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let handle = node.handle.clone();
    // A run of a given length ends its calls then: what was going on is counted.
    node.drain(if by_itself { Duration::ZERO } else { DRAIN }, again).await;
    summary::print(&handle, options.json)
}

/// The sign-ins of a demo.
struct Seats {
    agent: (&'static str, String),
    manager: (&'static str, String),
    simulated: Vec<kraliki_engine::AgentId>,
    campaign: CampaignId,
}

async fn set_up(
    handle: &EngineHandle,
    options: &Options,
    settings: CampaignSettings,
    rng: &mut ChaCha8Rng,
) -> anyhow::Result<Seats> {
    let store: &Store = handle.store();
    let seats = [("agent", "You", Role::Agent), ("manager", "Manager", Role::Manager)];
    let mut passwords = Vec::new();
    for (username, name, role) in seats {
        let password = password(rng);
        let user = NewUser { username: username.into(), name: name.into(), role, password: password.clone() };
        add_user_to(store, user).await?;
        passwords.push((username, password));
    }
    let mut simulated = Vec::new();
    for number in 1..=options.agents {
        let user = kraliki_engine::store::NewUser {
            username: format!("simulated-{number}"),
            name: format!("Simulated {number}"),
            role: Role::Agent.as_str().into(),
            // No password has this hash: nobody signs in as a simulated agent.
            password_hash: "!".to_owned().into(),
        };
        simulated.push(store.create_user(user).await?.id);
    }
    let country = settings.country.clone();
    let reply = handle.command(Command::CreateCampaign(Box::new(settings))).await?;
    let Reply::Campaign(campaign) = reply else { return Err(anyhow!("the campaign was not made")) };
    let mut importer = store.importer(campaign.id, "Demo list", &country).await?;
    importer.feed(leads::csv(options.leads).as_bytes()).await?;
    importer.finish().await?;
    let mut passwords = passwords.into_iter();
    let mut next = || passwords.next().ok_or_else(|| anyhow!("a seat is missing"));
    Ok(Seats { agent: next()?, manager: next()?, simulated, campaign: campaign.id })
}

/// The first of enough UDP ports that nobody uses: another demo may run.
fn free_ports() -> anyhow::Result<u16> {
    let taken = |port| UdpSocket::bind((LOOPBACK, port)).is_err();
    (16_000..55_000)
        .step_by(usize::from(2 * PORTS))
        .find(|base| ![*base, base + PORTS, base + 2 * PORTS - 1].into_iter().any(taken))
        .context("no free block of UDP ports for audio; end another demo first")
}

/// Easy to type, too many to guess in a demo's life.
fn password(rng: &mut impl Rng) -> String {
    let syllables =
        ["ka", "lo", "mi", "re", "tu", "vo", "sa", "ne", "pi", "du", "fe", "gi", "ho", "ju", "be", "zo"];
    let pick =
        |rng: &mut dyn FnMut() -> usize| syllables.get(rng() % syllables.len()).copied().unwrap_or("ka");
    let mut next = || usize::from(rng.random::<u16>());
    let word: String = (0..5).map(|_| pick(&mut next)).collect();
    format!("{word}-{:02}", next() % 100)
}

fn campaign_settings(options: &Options, floor: &Floor) -> anyhow::Result<CampaignSettings> {
    let soon = RetryRule::after(60, 100);
    Ok(CampaignSettings {
        name: "Demo".into(),
        description: "Calls people who do not exist, over a carrier that is simulated.".into(),
        mode: mode(&options.pacer)?,
        ring_timeout_s: floor.ring_timeout_s,
        grace_ms: floor.grace_ms,
        calling_hours: vec![CallingWindow {
            days: (1..=7).collect(),
            from: "00:00".into(),
            to: "24:00".into(),
        }],
        // The numbers of people who do not exist lie in every area, those without a place too.
        compliance: kraliki_engine::compliance::NO_PROFILE.into(),
        max_attempts: 100,
        retry: [Outcome::NoAnswer, Outcome::Busy, Outcome::Connected, Outcome::Machine, Outcome::Abandoned]
            .into_iter()
            .map(|outcome| (outcome, soon))
            .collect(),
        ..CampaignSettings::default()
    })
}

fn runtime_config(
    options: &Options,
    carrier: SocketAddr,
    ports: std::ops::RangeInclusive<u16>,
    clock: Clock,
    seed: [u8; 32],
) -> RuntimeConfig {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let trunk = Trunk {
        max_cps: 20.max(options.agents * 2),
        max_channels: 50.max(options.agents * 12),
        options_keepalive: true,
        watched: true,
        ..Trunk::new(TrunkId(1), "simulated", "+12015550100")
    };
    let sip = NetConfig { listen: vec![Listen::udp(SocketAddr::new(LOOPBACK, 0))], ..NetConfig::default() };
    let media = MediaConfig {
        // Each local address is a candidate, so that a browser on another machine hears too.
        browsers: Some(BrowserPorts {
            listen: any,
            port: 0,
            candidates: local_addresses(),
            codecs: AudioCodec::BROWSER.to_vec(),
            tcp: true,
        }),
        ..MediaConfig::local(clock, ports, seed)
    };
    RuntimeConfig {
        trunks: vec![TrunkConfig { simulated: true, ..TrunkConfig::new(trunk, carrier) }],
        journal: options.journal.clone().map(|path| {
            // `as` saturates.
            let segment_bytes = (options.journal_segment_mb * 1e6) as u64;
            JournalConfig {
                path,
                segment_bytes,
                keep_bytes: segment_bytes.saturating_mul(2).max(JOURNAL_KEEP),
            }
        }),
        plain_agents: true,
        seed: Some(options.seed),
        ..RuntimeConfig::new(sip, media)
    }
}

fn api_config(options: &Options, dir: &std::path::Path) -> anyhow::Result<ApiConfig> {
    let ip = if options.tls { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { LOOPBACK };
    let mut config = ApiConfig { listen: vec![SocketAddr::new(ip, options.port)], ..ApiConfig::default() };
    if options.tls {
        let mut names: Vec<String> = local_addresses().iter().map(ToString::to_string).collect();
        names.push("localhost".into());
        let made = rcgen::generate_simple_self_signed(names).context("no certificate could be made")?;
        let files = TlsFiles { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
        std::fs::write(&files.cert, made.cert.pem())?;
        std::fs::write(&files.key, made.signing_key.serialize_pem())?;
        config.tls = Some(files);
    }
    Ok(config)
}

fn console_url(options: &Options, node: &Node) -> anyhow::Result<String> {
    let port = node.http.first().context("the API has no address")?.port();
    if !options.tls {
        return Ok(format!("http://localhost:{port}"));
    }
    let others: Vec<String> = local_addresses()
        .into_iter()
        .filter(|ip| ip.is_ipv4() && !ip.is_loopback())
        .map(|ip| format!(" or {}", SocketAddr::new(ip, port)))
        .collect();
    Ok(format!(
        "https://localhost:{port}{}  (the browser will warn of the certificate made for this run)",
        others.concat()
    ))
}
