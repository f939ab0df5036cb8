//! `kraliki serve`: the dialer from a configuration file.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kraliki_control_api::{ApiConfig, TlsFiles};
use kraliki_engine::runtime::{JournalConfig, RuntimeConfig, TrunkConfig};
use kraliki_engine::{Trunk, TrunkId};
use kraliki_media::{BrowserPorts, Interface, Learn, MediaConfig, TrunkOptions};
use kraliki_sip::Credentials;
use kraliki_sip::net::{Listen, NetConfig};
use kraliki_time::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failed;
use crate::config::{
    Config, Engine as EngineKeys, LogFormat, NumberFormat, Trunk as TrunkKeys, host_and_port,
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
        for address in &node.sip {
            eprintln!("SIP (UDP): {address}");
        }
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => node.reload(),
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
        tls: tls.map(|(cert, key)| TlsFiles { cert: cert.get_ref().clone(), key: key.get_ref().clone() }),
        trusted_proxies: http.trusted_proxies.clone(),
        allowed_origins: http.allowed_origins.clone(),
    }
}

fn runtime_config(config: &Config, clock: Clock) -> anyhow::Result<RuntimeConfig> {
    let mut trunks: Vec<TrunkConfig> = config
        .trunk
        .iter()
        .zip(1..)
        .map(|(trunk, id)| trunk_config(trunk.get_ref(), TrunkId(id)))
        .collect::<anyhow::Result<_>>()?;
    let first_trunk = trunks.first().map(|t| t.address);
    let listen = config
        .sip
        .listen
        .iter()
        .enumerate()
        .map(|(place, bind)| {
            let given = config.sip.advertise.get(place).copied();
            let advertise = given.map_or_else(|| seen_by("sip", bind.ip(), first_trunk), Ok)?;
            let advertise = Some(SocketAddr::new(advertise, bind.port()));
            Ok(Listen { advertise, ..Listen::udp(*bind) })
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
        sip: NetConfig { listen, ..NetConfig::default() },
        media,
        trunks,
        journal: journal_config(&config.engine),
        plain_agents: config.media.plain_agents,
        pacer: String::new(),
        seed: None,
    })
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
        None => interfaces.iter().position(|i| i.listen.is_ipv4() == trunk.address.is_ipv4()),
    };
    found.ok_or_else(|| {
        anyhow!(
            "trunk {:?}: [media] listen has no address for it; add one of its family, or the one it names",
            keys.name
        )
    })
}

fn first_listen(interfaces: &[Interface]) -> anyhow::Result<IpAddr> {
    Ok(interfaces.first().context("[media] listen is empty")?.listen)
}

fn trunk_config(keys: &TrunkKeys, id: TrunkId) -> anyhow::Result<TrunkConfig> {
    let name = &keys.name;
    let (host, port) = host_and_port(&keys.address).ok_or_else(|| anyhow!("trunk {name:?}: bad address"))?;
    let address = (host.as_str(), port)
        .to_socket_addrs()
        .with_context(|| {
            format!("trunk {name:?}: {host:?} cannot be looked up; check the name or give an IP address")
        })?
        .next()
        .ok_or_else(|| anyhow!("trunk {name:?}: {host:?} has no address"))?;
    let credentials = keys.username.clone().zip(keys.password.clone());
    let in_uri = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(TrunkConfig {
        trunk: Trunk {
            id,
            name: name.clone(),
            caller_id: keys.caller_id.clone(),
            max_cps: keys.max_cps,
            max_channels: keys.max_channels,
            options_keepalive: keys.options_keepalive,
            breaker_failures: keys.breaker_failures,
            breaker_pause_s: keys.breaker_pause_s,
        },
        address,
        host: if port == 5060 { in_uri } else { format!("{in_uri}:{port}") },
        credentials: credentials.map(|(username, password)| Arc::new(Credentials { username, password })),
        bare_digits: keys.number_format == NumberFormat::Digits,
        media: TrunkOptions {
            learn: if keys.rtp_from_anywhere { Learn::Anywhere } else { Learn::SameHost },
            ..TrunkOptions::default()
        },
        simulated: false,
    })
}
