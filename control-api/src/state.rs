//! What every request shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use kraliki_engine::AgentId;
use kraliki_engine::runtime::EngineHandle;
use tokio::sync::{Semaphore, watch};

use crate::api::ice::IceConfig;
use crate::api::imports::Imports;
use crate::auth::{Guard, Keys, Verifier};
use crate::error::ApiError;
use crate::limits;
use crate::metrics::Metrics;
use crate::server::ApiConfig;

/// The name of the key that signs tokens in the store.
const SIGNING_KEY: &str = "api_signing_key";

/// A handle that every request gets; cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    engine: EngineHandle,
    keys: Keys,
    verifier: Verifier,
    guard: Mutex<Guard>,
    /// The audio session that each agent opened last, so that signing out can end it.
    legs: Mutex<BTreeMap<AgentId, String>>,
    /// A place for each live socket, taken before anybody knows whose it is.
    live_places: Arc<Semaphore>,
    /// Live sockets by user.
    sockets: Mutex<BTreeMap<i64, usize>>,
    /// Imports in progress.
    imports: Mutex<Imports>,
    metrics: Metrics,
    trusted_proxies: Vec<IpNet>,
    allowed_origins: Vec<String>,
    ice: IceConfig,
    stopped: watch::Receiver<bool>,
    started: Instant,
}

impl Api {
    pub(crate) async fn new(
        engine: EngineHandle,
        config: &ApiConfig,
        stopped: watch::Receiver<bool>,
    ) -> Result<Api, ApiError> {
        // A key that could not be made is an empty one, which is refused below.
        let document = engine
            .store()
            .secret(SIGNING_KEY, || Keys::generate().unwrap_or_default())
            .await
            .map_err(|error| ApiError::Key(error.to_string()))?;
        let start = |error: &dyn std::error::Error| ApiError::Key(error.to_string());
        Ok(Api(Arc::new(Inner {
            engine,
            keys: Keys::from_pkcs8(&document).map_err(|e| start(&e))?,
            verifier: Verifier::new().map_err(|e| start(&e))?,
            guard: Mutex::default(),
            legs: Mutex::default(),
            live_places: Arc::new(Semaphore::new(limits::LIVE_SOCKETS)),
            sockets: Mutex::default(),
            imports: Mutex::default(),
            metrics: Metrics::new().map_err(|e| start(&e))?,
            trusted_proxies: config.trusted_proxies.clone(),
            allowed_origins: config.allowed_origins.clone(),
            ice: config.ice.clone(),
            stopped,
            started: Instant::now(),
        })))
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.0.engine
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    pub(crate) fn guard(&self) -> MutexGuard<'_, Guard> {
        lock(&self.0.guard)
    }

    pub(crate) fn legs(&self) -> MutexGuard<'_, BTreeMap<AgentId, String>> {
        lock(&self.0.legs)
    }

    pub(crate) fn live_places(&self) -> &Arc<Semaphore> {
        &self.0.live_places
    }

    pub(crate) fn sockets(&self) -> MutexGuard<'_, BTreeMap<i64, usize>> {
        lock(&self.0.sockets)
    }

    pub(crate) fn imports(&self) -> MutexGuard<'_, Imports> {
        lock(&self.0.imports)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn trusted_proxies(&self) -> &[IpNet] {
        &self.0.trusted_proxies
    }

    pub(crate) fn allowed_origins(&self) -> &[String] {
        &self.0.allowed_origins
    }

    pub(crate) fn ice(&self) -> &IceConfig {
        &self.0.ice
    }

    /// Turns true when the server stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.0.stopped.clone()
    }

    /// Time since the server started; never steps.
    pub(crate) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }
}

/// Nothing in here is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
