//! `kraliki serve`: the dialer from a configuration file.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kraliki_control_api::{ApiConfig, TlsFiles};
use kraliki_engine::runtime::{
    CallbackConfig, JournalConfig, NumberFormat, Numbers, RuntimeConfig, Signing, TrunkConfig,
};
use kraliki_engine::{Trunk, TrunkId};
use kraliki_media::sdp::AudioCodec;
use kraliki_media::{Audio, BrowserPorts, Interface, Learn, MediaConfig, TrunkOptions};
use kraliki_sip::net::{self as sip_net, ClientFiles, HepConfig, Listen, NetConfig, TlsConfig};
use kraliki_sip::resolve::Target;
use kraliki_sip::stir::{Attestation, Signer};
use kraliki_sip::{Credentials, IdentityHeader, Reliable, SessionTimer, SocketId, Transport};
use kraliki_time::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failed;
use crate::config::{
    AttestationKey, CodecKey, Config, Engine as EngineKeys, IdentityKey, LogFormat, NumberFormatKey,
    ReliableKey, TransportKey, Trunk as TrunkKeys, host_and_port,
};
use crate::node::{Node, local_addresses, log_to_stderr, route_to, seed};

/// Calls may go on for this long after SIGTERM when the configuration does not say.
const DRAIN_S: u32 = 60;

/// What `config check` does beyond reading: names are looked up, addresses are worked out.
pub(crate) fn check(config: &Config) -> Result<(), Failed> {
    runtime_config(config, Clock::start())?;
    Ok(())
}

pub(crate) fn run(config: &Config) -> Result<(), Failed> {
    log_to_stderr(&config.log.level, config.log.format == LogFormat::Json)?;
    let clock = Clock::start();
    let runtime_config = runtime_config(config, clock)?;
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
                    reload_sip_tls(config, &node);
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

/// Reads the certificates of SIP again.
fn reload_sip_tls(config: &Config, node: &Node) {
    match tls_config(config) {
        Ok(Some(tls)) => node.handle.set_sip_tls(tls),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the certificates of SIP cannot be used; the old ones stay"),
    }
}

fn api_config(config: &Config) -> ApiConfig {
    let http = &config.http;
    let tls = http.tls_cert.as_ref().zip(http.tls_key.as_ref());
    ApiConfig {
        listen: http.listen.clone(),
        metrics_listen: http.metrics_listen,
        tls: tls.map(|(cert, key)| TlsFiles { cert: cert.get_ref().clone(), key: key.get_ref().clone() }),
        trusted_proxies: http.trusted_proxies.iter().map(|network| network.0).collect(),
        allowed_origins: http.allowed_origins.clone(),
    }
}

fn runtime_config(config: &Config, clock: Clock) -> anyhow::Result<RuntimeConfig> {
    let mut trunks: Vec<TrunkConfig> = config
        .trunk
        .iter()
        .zip(1..)
        .map(|(trunk, id)| trunk_config(config, trunk.get_ref(), TrunkId(id)))
        .collect::<anyhow::Result<_>>()?;
    let first_trunk = trunks.first().and_then(first_address);
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
    for (trunk, keys) in trunks.iter_mut().zip(&config.trunk) {
        trunk.media.interface = interface_for(&interfaces, trunk, keys.get_ref())?;
        trunk.media.rtp_timeout = Duration::from_secs(config.media.rtp_timeout_s.into());
    }
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
        browsers: Some(BrowserPorts { listen: browsers_listen, port: config.media.browser_port, candidates }),
        shards: config.media.shards,
        ..MediaConfig::local(clock, config.media.ports.clone(), seed()?)
    };
    Ok(RuntimeConfig {
        sip: NetConfig {
            listen,
            tls: tls_config(config)?,
            hep: hep_config(config),
            shards: config.sip.shards,
            shared_port: config.sip.shared_port,
            ..NetConfig::default()
        },
        name_servers: config.sip.name_servers.clone(),
        phones: config.sip.phones.clone(),
        phones_sha256: config.sip.phones_sha256,
        callback: callback_config(config)?,
        media,
        trunks,
        journal: journal_config(&config.engine),
        plain_agents: config.media.plain_agents,
        pacer: String::new(),
        seed: None,
    })
}

/// What callers hear; without a prompt they hear that nobody is there.
fn callback_config(config: &Config) -> anyhow::Result<Option<CallbackConfig>> {
    let keys = &config.callback;
    let read = |path: &std::path::Path| {
        let context = || format!("[callback] {}: give a WAV file, 8 kHz or more, mono", path.display());
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
    }))
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

/// Where a trunk's audio comes in: the address it names, else the first of its family.
fn interface_for(interfaces: &[Interface], trunk: &TrunkConfig, keys: &TrunkKeys) -> anyhow::Result<usize> {
    let found = match keys.media_listen {
        Some(ip) => interfaces.iter().position(|i| i.listen == ip),
        None => {
            let ipv4 = first_address(trunk).is_none_or(|address| address.is_ipv4());
            interfaces.iter().position(|i| i.listen.is_ipv4() == ipv4)
        }
    };
    found.ok_or_else(|| {
        anyhow!(
            "trunk {:?}: [media] listen has no address for it; add one of its family, or the one it names",
            keys.name
        )
    })
}

/// Where a trunk is, when that needs no look-up, or one look-up of today tells.
fn first_address(trunk: &TrunkConfig) -> Option<SocketAddr> {
    let target = trunk.targets.first()?;
    let port = target.port.unwrap_or(5060);
    (target.host.as_str(), port).to_socket_addrs().ok()?.next()
}

fn first_listen(interfaces: &[Interface]) -> anyhow::Result<IpAddr> {
    Ok(interfaces.first().context("[media] listen is empty")?.listen)
}

/// A trunk's target: a host that is looked up, or an address.
fn target(address: &str, transport: Option<TransportKey>) -> Option<Target> {
    let (host, port) = host_and_port(address)?;
    let transport = transport.map(|key| match key {
        TransportKey::Udp => Transport::Udp,
        TransportKey::Tcp => Transport::Tcp,
        TransportKey::Tls => Transport::Tls,
    });
    Some(Target { port, transport, ..Target::host(&host) })
}

fn trunk_config(config: &Config, keys: &TrunkKeys, id: TrunkId) -> anyhow::Result<TrunkConfig> {
    let name = &keys.name;
    let found = |address: &str| {
        target(address, keys.transport).ok_or_else(|| anyhow!("trunk {name:?}: bad address {address:?}"))
    };
    let targets = match keys.proxies.as_slice() {
        [] => vec![found(&keys.address)?],
        proxies => proxies.iter().map(|proxy| found(proxy)).collect::<anyhow::Result<_>>()?,
    };
    let (host, port) =
        host_and_port(&keys.address).with_context(|| format!("trunk {name:?}: bad address"))?;
    let in_uri = if host.contains(':') { format!("[{host}]") } else { host };
    let numeric = targets.iter().all(Target::is_numeric);
    let place = |name: &String| config.trunk.iter().position(|t| t.get_ref().name == *name);
    let fail_over = keys.fail_over.iter().filter_map(place).filter_map(|at| i64::try_from(at + 1).ok());
    let credentials = keys.username.clone().zip(keys.password.clone());
    Ok(TrunkConfig {
        trunk: Trunk {
            id,
            name: name.clone(),
            caller_id: keys.caller_id.clone(),
            max_cps: keys.max_cps,
            max_channels: keys.max_channels,
            options_keepalive: keys.options_keepalive,
            watched: keys.options_keepalive || keys.register || !numeric,
            breaker_failures: keys.breaker_failures,
            breaker_pause_s: keys.breaker_pause_s,
            fail_over: fail_over.map(TrunkId).collect(),
            fail_over_on: keys.fail_over_on.clone(),
        },
        targets,
        socket: match keys.listen {
            Some(listen) => {
                let at = config.sip.listen.iter().position(|l| *l == listen);
                at.and_then(|at| u16::try_from(at).ok()).map(SocketId)
            }
            None => None,
        },
        host: match port {
            None | Some(5060) => in_uri,
            Some(port) => format!("{in_uri}:{port}"),
        },
        from_host: keys.from_host.clone(),
        credentials: credentials.map(|(username, password)| Arc::new(Credentials { username, password })),
        register_s: keys.register.then_some(keys.register_s),
        numbers: Numbers::new(
            number_format(keys.number_format),
            number_format(keys.caller_id_format.unwrap_or(keys.number_format)),
            &keys.number_prefix,
            &keys.country,
        )
        .with_context(|| format!("trunk {name:?}: country"))?,
        identity: match keys.identity {
            IdentityKey::None => IdentityHeader::None,
            IdentityKey::Asserted => IdentityHeader::Asserted,
            IdentityKey::Preferred => IdentityHeader::Preferred,
            IdentityKey::RemoteParty => IdentityHeader::RemoteParty,
        },
        private: keys.private,
        reliable: match keys.reliable {
            ReliableKey::No => Reliable::No,
            ReliableKey::Supported => Reliable::Supported,
            ReliableKey::Required => Reliable::Required,
        },
        session_timer: (keys.session_timer_s > 0)
            .then_some(SessionTimer { expires_s: keys.session_timer_s, ..SessionTimer::default() }),
        max_redirects: u8::try_from(keys.redirects).unwrap_or(0),
        large_by_tcp: keys.large_by_tcp,
        codecs: keys
            .codecs
            .iter()
            .map(|codec| match codec {
                CodecKey::Pcmu => AudioCodec::Pcmu,
                CodecKey::Pcma => AudioCodec::Pcma,
            })
            .collect(),
        accept_from: keys.accept_from.iter().map(|network| network.0).collect(),
        signing: signing(keys)?,
        hep_percent: keys.hep_percent.unwrap_or(config.sip.hep_percent),
        media: TrunkOptions {
            learn: if keys.rtp_from_anywhere { Learn::Anywhere } else { Learn::SameHost },
            ..TrunkOptions::default()
        },
        simulated: false,
    })
}

fn number_format(key: NumberFormatKey) -> NumberFormat {
    match key {
        NumberFormatKey::E164 => NumberFormat::E164,
        NumberFormatKey::Digits => NumberFormat::Digits,
        NumberFormatKey::International => NumberFormat::International,
        NumberFormatKey::National => NumberFormat::National,
    }
}

fn signing(keys: &TrunkKeys) -> anyhow::Result<Option<Signing>> {
    let Some(path) = &keys.stir_key else { return Ok(None) };
    let path = path.get_ref();
    let context = || format!("trunk {:?}: stir_key {}", keys.name, path.display());
    let pem = std::fs::read_to_string(path).with_context(context)?;
    let signer = Signer::new(&pem, &keys.stir_certificate_url).with_context(context)?;
    let attestation = |key: AttestationKey| match key {
        AttestationKey::A => Attestation::A,
        AttestationKey::B => Attestation::B,
        AttestationKey::C => Attestation::C,
    };
    Ok(Some(Signing {
        signer: Arc::new(signer),
        attestation: attestation(keys.stir_attestation),
        by_number: keys.stir_numbers.iter().map(|(n, key)| (n.clone(), attestation(*key))).collect(),
    }))
}

/// The certificates of TLS and WSS.
fn tls_config(config: &Config) -> anyhow::Result<Option<TlsConfig>> {
    let keys = &config.sip;
    let path = |path: &Option<toml::Spanned<std::path::PathBuf>>| path.as_ref().map(|p| p.get_ref().clone());
    let Some((certificate, key)) = path(&keys.tls_cert).zip(path(&keys.tls_key)) else { return Ok(None) };
    let mut clients = Vec::new();
    for trunk in config.trunk.iter().map(toml::Spanned::get_ref) {
        let (ca, own) = (path(&trunk.tls_ca), path(&trunk.tls_cert).zip(path(&trunk.tls_key)));
        if ca.is_none() && own.is_none() {
            continue;
        }
        for address in std::iter::once(&trunk.address).chain(&trunk.proxies) {
            let Some((server, _)) = host_and_port(address) else { continue };
            clients.push(ClientFiles { server, ca: ca.clone(), certificate: own.clone() });
        }
    }
    let files = sip_net::TlsFiles { certificate, key, client_ca: path(&keys.tls_client_ca), clients };
    Ok(Some(files.load().context("[sip] TLS")?))
}
