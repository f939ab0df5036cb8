//! `kraliki serve`: the dialer from a configuration file.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kraliki_control_api::{ApiConfig, IceConfig, IceServer, TlsFiles as HttpTlsFiles};
use kraliki_engine::TrunkId;
use kraliki_engine::compliance::{self, Profile};
use kraliki_engine::runtime::{
    CallbackConfig, JournalConfig, RuntimeConfig, SpeechConfig, TrunkConfig, TrunkProfile,
};
use kraliki_media::detect::Rules;
use kraliki_media::sdp::AudioCodec;
use kraliki_media::{Audio, BrowserPorts, Interface, MediaConfig};
use kraliki_sip::net::{
    CallVerifier, CertificateFetcher, FetchConfig, HepConfig, Listen, NetConfig, TlsFiles,
};
use kraliki_sip::stir::Verifier;
use kraliki_time::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failed;
use crate::config::trunk::idle;
use crate::config::{Config, Engine as EngineKeys, IcePolicy, LogFormat};
use crate::node::{Node, local_addresses, log_to_stderr, route_to, seed};

/// Calls may go on for this long after SIGTERM when the configuration does not say.
const DRAIN_S: u32 = 60;

/// What `config check` does beyond reading: names are looked up, addresses are worked out.
pub(crate) fn check(config: &Config) -> Result<(), Failed> {
    runtime_config(config, Clock::start())?;
    for warning in idle(&config.trunk) {
        eprintln!("{warning}");
    }
    Ok(())
}

pub(crate) fn run(config: &Config) -> Result<(), Failed> {
    log_to_stderr(&config.log.level, config.log.format == LogFormat::Json)?;
    let clock = Clock::start();
    let runtime_config = runtime_config(config, clock)?;
    for warning in idle(&config.trunk) {
        tracing::warn!("{warning}");
    }
    let api = api_config(config);
    let drain = Duration::from_secs(config.engine.drain_s.unwrap_or(DRAIN_S).into());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let node = Node::start(&config.store.path, runtime_config, api, clock).await?;
        let scheme = if config.http.tls_cert.is_some() { "https" } else { "http" };
        for address in &node.http {
            eprintln!("console and API: {scheme}://{address}");
        }
        for (at, address) in config.sip.listen.iter().zip(&node.sip) {
            eprintln!("SIP ({}): {address}", at.transport.via());
        }
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    node.reload();
                    if let Err(error) = node.handle.reload_sip_tls().await {
                        tracing::error!(error, "the certificates of SIP cannot be used; the old ones stay");
                    }
                }
            }
        }
        eprintln!("no new calls; running ones may go on for {} s (again: end at once)", drain.as_secs());
        let again = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        node.drain(drain, again).await;
        anyhow::Ok(())
    })?;
    Ok(())
}

fn api_config(config: &Config) -> ApiConfig {
    let http = &config.http;
    let tls = http.tls_cert.as_ref().zip(http.tls_key.as_ref());
    ApiConfig {
        listen: http.listen.clone(),
        metrics_listen: http.metrics_listen,
        tls: tls.map(|(cert, key)| HttpTlsFiles { cert: cert.get_ref().clone(), key: key.get_ref().clone() }),
        trusted_proxies: http.trusted_proxies.iter().map(|network| network.0).collect(),
        allowed_origins: http.allowed_origins.clone(),
        ice: ice_config(config),
    }
}

/// What browsers are told of STUN and TURN.
fn ice_config(config: &Config) -> IceConfig {
    // Servers that ask for nonsense are refused when the file is read.
    let servers =
        config.media.ice_servers.iter().filter_map(|server| {
            Some(IceServer { urls: server.urls.clone(), access: server.access().ok()? })
        });
    IceConfig {
        servers: servers.collect(),
        relay_only: config.media.ice_transport_policy == IcePolicy::Relay,
    }
}

fn runtime_config(config: &Config, clock: Clock) -> anyhow::Result<RuntimeConfig> {
    let first_trunk = config.trunk.first().and_then(|trunk| trunk.get_ref().first_address());
    let listen = config
        .sip
        .listen
        .iter()
        .enumerate()
        .map(|(place, at)| {
            let given = config.sip.advertise.get(place).copied();
            let advertise = given.map_or_else(|| seen_by("sip", at.address.ip(), first_trunk), Ok)?;
            Ok(Listen {
                advertise: Some(SocketAddr::new(advertise, at.address.port())),
                fixed_source_port: config.sip.fixed_source_port,
                origins: config.sip.ws_origins.clone(),
                ..Listen::new(at.transport, at.address)
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let interfaces: Vec<Interface> = config
        .media
        .listen
        .iter()
        .enumerate()
        .map(|(place, listen)| {
            let given = config.media.advertise.get(place).copied();
            let advertise = given.map_or_else(|| seen_by("media", *listen, first_trunk), Ok)?;
            Ok(Interface { listen: *listen, advertise })
        })
        .collect::<anyhow::Result<_>>()?;
    // Browsers are told what carriers are told, and every local address where we listen on all.
    let mut candidates: Vec<IpAddr> = interfaces.iter().map(|i| i.advertise).collect();
    let everywhere = config.media.listen.iter().any(IpAddr::is_unspecified);
    if everywhere && config.media.advertise.is_empty() {
        candidates.extend(local_addresses());
    }
    let mut seen = std::collections::BTreeSet::new();
    candidates.retain(|ip| seen.insert(*ip));
    let browsers_listen = if everywhere || interfaces.len() > 1 {
        IpAddr::from([0, 0, 0, 0])
    } else {
        first_listen(&interfaces)?
    };
    let media = MediaConfig {
        interfaces,
        ports: config.media.ports.clone(),
        browsers: Some(BrowserPorts {
            listen: browsers_listen,
            port: config.media.browser_port,
            candidates,
            codecs: config.media.browser_codecs.iter().map(|codec| AudioCodec::from(*codec)).collect(),
            tcp: config.media.browser_tcp,
        }),
        shards: config.media.shards,
        ..MediaConfig::local(clock, config.media.ports.clone(), seed()?)
    };
    let mut runtime = RuntimeConfig {
        sip: NetConfig {
            listen,
            hep: hep_config(config),
            shards: config.sip.shards,
            shared_port: config.sip.shared_port,
            ..NetConfig::default()
        },
        tls: tls_files(config),
        name_servers: config.sip.name_servers.clone(),
        phones: config.sip.phones.clone(),
        phones_sha256: config.sip.phones_sha256,
        callback: callback_config(config)?,
        stir: call_verifier(config, clock)?,
        recording: Some(config.recording.recordings()),
        detection: Arc::new(detection_rules(config)?),
        speech: speech(config),
        hold_music: hold_music(config)?,
        profiles: profiles(config)?,
        media,
        trunks: Vec::new(),
        groups: config.trunk_group.iter().map(|group| group.get_ref().clone()).collect(),
        rtp_timeout: Duration::from_secs(config.media.rtp_timeout_s.into()),
        hep_percent: config.sip.hep_percent,
        journal: journal_config(&config.engine),
        plain_agents: config.media.plain_agents,
        pacer: String::new(),
        seed: None,
    };
    runtime.trunks = trunks(config, &runtime)?;
    if let Some(bucket) = runtime.recording.as_ref().and_then(|recording| recording.bucket.as_ref()) {
        bucket.open().context("[recording] s3")?;
    }
    if let Some(files) = &runtime.tls {
        let mut files = files.clone();
        files.clients.extend(runtime.trunks.iter().flat_map(|trunk| trunk.tls.iter().cloned()));
        files.load().context("[sip] TLS")?;
    }
    Ok(runtime)
}

/// The trunks of the file; each has the number of its place.
fn trunks(config: &Config, runtime: &RuntimeConfig) -> anyhow::Result<Vec<TrunkConfig>> {
    let basis = runtime.basis();
    let place = |name: &str| config.trunk.iter().position(|trunk| trunk.get_ref().name == name);
    let id_of = |name: &str| Some(TrunkId(i64::try_from(place(name)? + 1).ok()?));
    let build = |(trunk, id): (&toml::Spanned<TrunkProfile>, i64)| {
        let profile = trunk.get_ref();
        let built = profile.build(TrunkId(id), &basis, id_of);
        built.with_context(|| format!("trunk {:?}", profile.name))
    };
    config.trunk.iter().zip(1..).map(build).collect()
}

/// The operator's compliance profiles: every TOML file of the directory, by name.
fn profiles(config: &Config) -> anyhow::Result<Vec<Profile>> {
    let Some(directory) = &config.compliance.directory else { return Ok(Vec::new()) };
    let directory = directory.get_ref();
    let context = || format!("[compliance] directory {}", directory.display());
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .with_context(context)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(context)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let built_in = compliance::built_in();
    let mut profiles: Vec<Profile> = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let profile = Profile::parse(&path.display().to_string(), &text)?;
        if let Some(other) = profiles.iter().find(|other| other.name == profile.name) {
            return Err(anyhow!(
                "{}: two files of {} have the name {:?}",
                context(),
                path.display(),
                other.name
            ));
        }
        // Whoever loosens a rule is to find it in the log.
        if built_in.iter().any(|known| known.name == profile.name) {
            tracing::warn!(profile = profile.name, file = %path.display(), "this file takes the place of a shipped profile");
        }
        profiles.push(profile);
    }
    Ok(profiles)
}

/// By which it is told who answered.
fn detection_rules(config: &Config) -> anyhow::Result<Rules> {
    let Some(path) = &config.media.detection_rules else { return Ok(Rules::standard()) };
    let context = || format!("[media] detection_rules {}", path.get_ref().display());
    let text = std::fs::read_to_string(path.get_ref()).with_context(context)?;
    Rules::parse(&text).with_context(context)
}

/// How text is said. What was said is kept beside the store, unless the configuration says where.
fn speech(config: &Config) -> Option<SpeechConfig> {
    let command = config.media.speech_command.clone();
    let beside = || {
        let mut name = config.store.path.clone().into_os_string();
        name.push("-speech");
        name.into()
    };
    let cache = Some(config.media.speech_cache.clone().unwrap_or_else(beside));
    (!command.is_empty()).then_some(SpeechConfig { command, cache })
}

/// What the called person hears on hold.
fn hold_music(config: &Config) -> anyhow::Result<Option<Arc<Audio>>> {
    let Some(path) = &config.media.hold_music else { return Ok(None) };
    let context =
        || format!("[media] hold_music {}: give a WAV file of ten minutes at most", path.get_ref().display());
    let file = std::fs::read(path.get_ref()).with_context(context)?;
    Ok(Some(Arc::new(Audio::from_wav(&file).with_context(context)?)))
}

/// What callers hear; without a prompt they hear that nobody is there.
fn callback_config(config: &Config) -> anyhow::Result<Option<CallbackConfig>> {
    let keys = &config.callback;
    let read = |path: &std::path::Path| {
        let context = || format!("[callback] {}: give a WAV file of ten minutes at most", path.display());
        Audio::from_wav(&std::fs::read(path).with_context(context)?).with_context(context).map(Arc::new)
    };
    let Some(prompt) = &keys.prompt else { return Ok(None) };
    Ok(Some(CallbackConfig {
        prompt: read(prompt.get_ref())?,
        confirm: match &keys.confirm {
            Some(confirm) => read(confirm.get_ref())?,
            None => Arc::new(Audio::beep()),
        },
        opt_out_key: keys.opt_out_key.as_deref().and_then(|key| key.chars().next()).unwrap_or('9'),
        look_back: Duration::from_secs(u64::from(keys.look_back_days) * 86_400),
    }))
}

/// Verifies callers, when somebody's signatures count.
fn call_verifier(config: &Config, clock: Clock) -> anyhow::Result<Option<Arc<CallVerifier>>> {
    let keys = &config.stir;
    let Some(roots) = &keys.trusted_roots else { return Ok(None) };
    let read = |key: &str, path: &std::path::Path| {
        std::fs::read_to_string(path).with_context(|| format!("[stir] {key} {}", path.display()))
    };
    let verifier = Verifier::new(&read("trusted_roots", roots.get_ref())?).context("[stir] trusted_roots")?;
    let fetcher = CertificateFetcher::new(FetchConfig {
        extra_roots_pem: match &keys.https_ca {
            Some(path) => read("https_ca", path.get_ref())?,
            None => String::new(),
        },
        allow_private: keys.allow_private,
        hosts: keys.hosts.clone(),
        timeout: Duration::from_secs(keys.timeout_s.into()),
    })
    .context("[stir] https_ca")?;
    Ok(Some(Arc::new(CallVerifier::new(verifier, fetcher, clock))))
}

fn hep_config(config: &Config) -> Option<HepConfig> {
    let mut hep = HepConfig::new(config.sip.hep?);
    (hep.percent, hep.hide_users) = (config.sip.hep_percent as u8, config.sip.hep_hide_numbers);
    Some(hep)
}

fn journal_config(keys: &EngineKeys) -> Option<JournalConfig> {
    Some(JournalConfig {
        path: keys.journal.clone()?,
        segment_bytes: u64::from(keys.journal_segment_mb) * 1_000_000,
        keep_bytes: u64::from(keys.journal_keep_mb) * 1_000_000,
    })
}

/// The address that others see of one that we listen on: itself, or for every address the one that leads to the trunk.
fn seen_by(section: &str, listen: IpAddr, trunk: Option<SocketAddr>) -> anyhow::Result<IpAddr> {
    if !listen.is_unspecified() {
        return Ok(listen);
    }
    if let Some(trunk) = trunk.filter(|t| t.is_ipv4() == listen.is_ipv4()) {
        return route_to(trunk);
    }
    local_addresses().into_iter().find(|ip| ip.is_ipv4() == listen.is_ipv4()).ok_or_else(|| {
        anyhow!("[{section}] listen {listen}: this machine has no such address; set [{section}] advertise")
    })
}

fn first_listen(interfaces: &[Interface]) -> anyhow::Result<IpAddr> {
    Ok(interfaces.first().context("[media] listen is empty")?.listen)
}

/// The certificates of TLS and WSS. Those that trunks want join them when the dialer starts.
fn tls_files(config: &Config) -> Option<TlsFiles> {
    let keys = &config.sip;
    let path = |path: &Option<toml::Spanned<std::path::PathBuf>>| path.as_ref().map(|p| p.get_ref().clone());
    let (certificate, key) = path(&keys.tls_cert).zip(path(&keys.tls_key))?;
    Some(TlsFiles { certificate, key, client_ca: path(&keys.tls_client_ca), clients: Vec::new() })
}
