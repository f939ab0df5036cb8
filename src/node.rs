//! One running dialer: store, engine, API and control socket, as `serve` and `demo` both need it.

use std::future::Future;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use kraliki_control_api::{ApiConfig, Serving};
use kraliki_engine::Command;
use kraliki_engine::runtime::{self, EngineHandle, Running, RuntimeConfig};
use kraliki_engine::store::Store;
use kraliki_time::Clock;
use tokio::sync::watch;

use crate::control;

/// The API may finish its requests for this long after the calls have ended.
const API_SHUTDOWN: Duration = Duration::from_secs(5);

/// A dialer with its API.
pub(crate) struct Node {
    pub(crate) handle: EngineHandle,
    pub(crate) sip: Vec<SocketAddr>,
    pub(crate) http: Vec<SocketAddr>,
    running: Running,
    serving: Serving,
    stop_api: watch::Sender<bool>,
    control: PathBuf,
}

impl Node {
    /// Opens everything. What cannot be had is named in the error.
    pub(crate) async fn start(
        store_path: &Path,
        runtime_config: RuntimeConfig,
        api: ApiConfig,
        clock: Clock,
    ) -> anyhow::Result<Node> {
        let store = Store::open(store_path).await?;
        let running = runtime::start(runtime_config, store.clone(), clock).await?;
        let handle = running.handle.clone();
        let (stop_api, mut stopped) = watch::channel(false);
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let serving = match kraliki_control_api::serve(api, handle.clone(), shutdown).await {
            Ok(serving) => serving,
            Err(error) => {
                handle.stop().await;
                return Err(error.into());
            }
        };
        let control = control::socket_path(store_path);
        control::listen(&control, handle.clone())?;
        let sip = running.sip.clone();
        let http = serving.addrs.clone();
        Ok(Node { handle, sip, http, running, serving, stop_api, control })
    }

    /// Reads the TLS files again.
    pub(crate) fn reload(&self) {
        match self.serving.reload() {
            Ok(()) => tracing::info!("certificate and key were read again"),
            Err(error) => tracing::error!(%error, "certificate and key cannot be used; the old ones stay"),
        }
    }

    /// Ends gently: no new calls, lines that ring are taken back, calls end or reach the deadline. `hurry` ends it at once.
    pub(crate) async fn drain(mut self, deadline: Duration, hurry: impl Future<Output = ()>) {
        let handle = self.handle.clone();
        let drain = async {
            let _ = handle.command(Command::Drain { deadline }).await;
            self.running.stopped().await;
        };
        tokio::select! {
            () = drain => {}
            () = hurry => {
                tracing::warn!("told twice: ending now, calls in progress are cut");
                self.handle.stop().await;
                self.running.stopped().await;
            }
        }
        let _ = self.stop_api.send(true);
        let _ = tokio::time::timeout(API_SHUTDOWN, self.serving.finished()).await;
        let _ = std::fs::remove_file(&self.control);
        // Folds the write-ahead log into the database, so that one file is all there is.
        let _ = tokio::time::timeout(API_SHUTDOWN, self.handle.store().clone().close()).await;
    }
}

/// The local address from which packets to `destination` leave. Nothing is sent to find it out.
pub(crate) fn route_to(destination: SocketAddr) -> anyhow::Result<IpAddr> {
    let any: SocketAddr =
        if destination.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(destination).with_context(|| format!("no route to {destination}"))?;
    Ok(socket.local_addr()?.ip())
}

/// Addresses of this machine that others may reach, by the interfaces that are up; loopback last.
pub(crate) fn local_addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    // Documentation addresses (RFC 5737, RFC 3849): only the route is looked up.
    for probe in ["192.0.2.1:9", "[2001:db8::1]:9"] {
        if let Some(ip) = probe.parse().ok().and_then(|p| route_to(p).ok()) {
            found.push(ip);
        }
    }
    found.push(IpAddr::from([127, 0, 0, 1]));
    found.dedup();
    found
}

/// Sends logs to standard error.
pub(crate) fn log_to_stderr(level: &str, json: bool) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(level)
        .with_context(|| format!("log level {level:?}: use error, warn, info, debug or trace"))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Set once per process; a second setting is a test's.
    let _ = if json { subscriber.json().try_init() } else { subscriber.try_init() };
    Ok(())
}

/// Directory-relative defaults stay where the store is.
pub(crate) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Bytes from the system's source of chance.
pub(crate) fn seed() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}
