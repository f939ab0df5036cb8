//! Listens, speaks TLS, and gives each connection a task.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use kraliki_engine::runtime::EngineHandle;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::api::ice::IceConfig;
use crate::error::ApiError;
use crate::limits;
use crate::peer::Connection;
use crate::router;
use crate::state::Api;

/// Where the API listens and whom it believes.
#[derive(Clone, Debug, Default)]
pub struct ApiConfig {
    /// Where the API and the console listen.
    pub listen: Vec<SocketAddr>,
    /// Where `/metrics` listens; none: with the API.
    pub metrics_listen: Option<SocketAddr>,
    /// Certificate and key; none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of other hosts' pages that may open live sockets and renew sessions, e.g. `https://console.example`.
    pub allowed_origins: Vec<String>,
    /// STUN and TURN servers for browsers.
    pub ice: IceConfig,
}

/// Where certificate and key lie, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The API, listening. Dropped, it ends at once; see [`Serving::finished`].
#[derive(Debug)]
pub struct Serving {
    /// Where, with the ports that the system chose.
    pub addrs: Vec<SocketAddr>,
    /// Where `/metrics` is, if it has a listener of its own.
    pub metrics_addr: Option<SocketAddr>,
    tls: Option<Arc<Tls>>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Reads certificate and key again, for new connections. When they cannot be used the old ones stay.
    pub fn reload(&self) -> Result<(), ApiError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }

    /// Returns when the shutdown came and every request is over, or had its time.
    pub async fn finished(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Starts to listen; returns as soon as requests are taken. Ends when `shutdown` does.
pub async fn serve(
    config: ApiConfig,
    engine: EngineHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Serving, ApiError> {
    let tls = config.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
    let mut listeners = Vec::new();
    for addr in &config.listen {
        listeners.push(bind(*addr).await?);
    }
    let metrics = match config.metrics_listen {
        Some(addr) => Some(bind(addr).await?),
        None => None,
    };
    let metrics_addr = metrics.as_ref().map(|(_, addr)| *addr);
    let addrs = listeners.iter().map(|(_, addr)| *addr).collect();

    let (stop, stopped) = watch::channel(false);
    let api = Api::new(engine, &config, stopped).await?;
    let mut tasks = JoinSet::new();
    let places = Arc::clone(api.live_places());
    tasks.spawn(async move {
        shutdown.await;
        let _ = stop.send(true);
        // Live sockets left their connections' tasks long ago; each has its place back when it has said good-bye.
        let _ =
            tokio::time::timeout(limits::SHUTDOWN, places.acquire_many(limits::LIVE_SOCKETS as u32)).await;
    });
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let with_metrics = metrics.is_none();
    let routes = router::router(api.clone(), with_metrics);
    for (listener, _) in listeners {
        tasks.spawn(accept(listener, routes.clone(), tls.clone(), api.clone(), Arc::clone(&slots)));
    }
    if let Some((listener, _)) = metrics {
        tasks.spawn(accept(listener, router::metrics_router(api.clone()), None, api, slots));
    }
    Ok(Serving { addrs, metrics_addr, tls, tasks })
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ApiError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AddrInUse => ApiError::PortInUse(addr),
        _ => ApiError::Listen { addr, source },
    };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn accept(
    listener: TcpListener,
    routes: Router,
    tls: Option<Arc<Tls>>,
    api: Api,
    slots: Arc<Semaphore>,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stopped = api.stopped();
    let mut stopping = pin!(stopped.wait_for(|stop| *stop));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopping => break,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The connection is gone already, or the process has no file descriptor left: others may close one.
                tracing::warn!(%error, "http: a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            api.metrics().connections_refused.inc();
            continue;
        };
        let (routes, tls, api, watcher) = (routes.clone(), tls.clone(), api.clone(), graceful.watcher());
        connections.spawn(async move {
            let _slot = slot;
            let _open = Open::new(api);
            let _ = stream.set_nodelay(true);
            match tls {
                None => drive(stream, routes, Connection { peer, tls: false }, watcher).await,
                Some(tls) => {
                    if let Some(stream) = tls.handshake(stream).await {
                        drive(stream, routes, Connection { peer, tls: true }, watcher).await;
                    }
                }
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits::SHUTDOWN, graceful.shutdown()).await;
    connections.shutdown().await;
}

/// Counts a connection while it is open.
struct Open(Api);

impl Open {
    fn new(api: Api) -> Open {
        api.metrics().connections.inc();
        Open(api)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics().connections.dec();
    }
}

async fn drive<S>(
    stream: S,
    routes: Router,
    connection: Connection,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(routes.map_request(move |request: axum::http::Request<_>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(connection);
        request
    }));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits::HEADER_READ);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .keep_alive_interval(limits::HEADER_READ);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "http: a connection broke off");
    }
}

/// The certificate in use.
#[derive(Debug)]
struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<rustls::ServerConfig>>,
}

impl Tls {
    fn new(files: TlsFiles) -> Result<Tls, ApiError> {
        let config = RwLock::new(load(&files)?);
        Ok(Tls { files, config })
    }

    fn reload(&self) -> Result<(), ApiError> {
        let fresh = load(&self.files)?;
        *self.config.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = fresh;
        Ok(())
    }

    async fn handshake(&self, stream: TcpStream) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let handshake = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(limits::TLS_HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "https: a handshake failed");
                None
            }
            Err(_) => None,
        }
    }
}

fn load(files: &TlsFiles) -> Result<Arc<rustls::ServerConfig>, ApiError> {
    let fault = |path: &PathBuf, problem: String| ApiError::Tls { path: path.clone(), problem };
    let certs = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| fault(&files.cert, format!("cannot be read as PEM: {e}")))?;
    if certs.is_empty() {
        return Err(fault(
            &files.cert,
            "holds no certificate; put the PEM of certificate and chain there".into(),
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| fault(&files.key, format!("cannot be read as a PEM private key: {e}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fault(&files.cert, e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|e| fault(&files.cert, format!("does not fit its key: {e}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
