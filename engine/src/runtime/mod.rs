//! The driver around the engine: wires SIP, media and the store to it, and gives the API its handle. It moves inputs
//! and outputs; what to do is the engine's to say.
#![allow(clippy::disallowed_methods)] // sockets, threads and the clock belong here

mod callback;
mod called_back;
mod desk;
mod drive;
mod handle;
mod identity;
mod journal;
pub mod keys;
mod line;
mod metrics;
mod phone;
mod prompts;
mod quality;
mod recording;
mod redress;
mod speech;
mod supervise;
mod trunk;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kraliki_media::detect::Rules;
use kraliki_media::{Audio, Media, MediaConfig};
use kraliki_sip::net::{CallVerifier, DnsResolver, DnsSetupError, NetConfig, SipHandle, TlsFiles};
use kraliki_sip::resolve::{Family, ResolveConfig};
use kraliki_sip::{AcceptFrom, CallIdKey, DialogSnapshot, EndpointConfig, Reason, RegistrarConfig};
use kraliki_time::Clock;
use tokio::sync::{broadcast, mpsc, oneshot};

pub use callback::CallbackConfig;
pub use handle::{EngineHandle, OpenedSession, PhoneServer, SessionError};
pub use journal::{JournalConfig, SegmentFile, segments};
pub use kraliki_media::Supervision;
pub use line::VERDICT_ATTRIBUTE;
pub use prompts::PromptError;
pub use recording::{BucketConfig, RecordingAudio, RecordingError, RecordingsConfig};
pub use speech::SpeechConfig;
pub use trunk::{
    AttestationKey, CodecKey, IdentityKey, InboundStir, NumberFormat, Numbers, ProfileError, ReliableKey,
    Signing, SrtpKey, TransportKey, TrunkBasis, TrunkConfig, TrunkDetail, TrunkFailure, TrunkPlace,
    TrunkProfile, UnknownCountry,
};

use crate::compliance::{self, Profile};
use crate::store::{Recovered, Store, StoreError};
use crate::{Engine, Input, Snapshot, TrunkGroup};

/// Requests of the API that may wait. More is refused with `Overloaded`: a person's click waits no longer than this.
const REQUESTS: usize = 4_096;
/// Live events that a listener may lag behind; beyond it takes a new snapshot.
const EVENTS: usize = 8_192;
/// Jobs that may wait for the store's writer: some seconds of the fastest dialing.
const STORE_JOBS: usize = 16_384;
/// Media events that may wait between their thread and the loop.
const MEDIA_EVENTS: usize = 65_536;

/// What a runtime is made of.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// The SIP sockets.
    pub sip: NetConfig,
    /// The media sockets.
    pub media: MediaConfig,
    /// The certificates of SIP; those that trunks want join them.
    pub tls: Option<TlsFiles>,
    /// Carriers of the configuration, in order.
    pub trunks: Vec<TrunkConfig>,
    /// Trunk groups of the configuration, in order.
    pub groups: Vec<TrunkGroup>,
    /// For trunks that are made by API: a call without audio ends after this.
    pub rtp_timeout: Duration,
    /// For trunks that are made by API: the share of calls that the collector gets, when they do not say, in per cent.
    pub hep_percent: u32,
    /// Where inputs are recorded, if anywhere.
    pub journal: Option<JournalConfig>,
    /// Agents may use plain RTP instead of WebRTC: for load tests on a closed network.
    pub plain_agents: bool,
    /// A pacing policy for every campaign, by name, instead of its mode's own; empty: none. For comparisons.
    pub pacer: String,
    /// Seed of the engine's choices; none takes one from the system.
    pub seed: Option<u64>,
    /// The name servers that trunks' names are looked up by; empty: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// Lets agents register SIP phones, with this realm; none: no phones.
    pub phones: Option<String>,
    /// Offers phones SHA-256 beside MD5, and first. Many give up on a challenge that they do not know instead of taking
    /// the next one, as RFC 8760 §2.4 has it.
    pub phones_sha256: bool,
    /// By which the dialer tells who answered.
    pub detection: Arc<Rules>,
    /// What people hear who call a shown number back; none: that nobody is there.
    pub callback: Option<CallbackConfig>,
    /// Verifies callers where a trunk wants it; none: no trunk may.
    pub stir: Option<Arc<CallVerifier>>,
    /// How calls are recorded; none: they are not, whatever a campaign wants.
    pub recording: Option<RecordingsConfig>,
    /// How messages that are text are said; none: they are not, and a tone stands in for them.
    pub speech: Option<SpeechConfig>,
    /// What the called person hears on hold; none: silence.
    pub hold_music: Option<Arc<Audio>>,
    /// Compliance profiles of the operator; one of the same name takes the place of the one that comes with the dialer.
    pub profiles: Vec<Profile>,
}

impl RuntimeConfig {
    /// Without trunks, journal, phones and all that is not asked for.
    pub fn new(sip: NetConfig, media: MediaConfig) -> RuntimeConfig {
        RuntimeConfig {
            sip,
            media,
            tls: None,
            trunks: Vec::new(),
            groups: Vec::new(),
            rtp_timeout: kraliki_media::TrunkOptions::default().rtp_timeout,
            hep_percent: 100,
            journal: None,
            plain_agents: false,
            pacer: String::new(),
            seed: None,
            name_servers: Vec::new(),
            phones: None,
            phones_sha256: false,
            detection: Arc::new(Rules::standard()),
            callback: None,
            stir: None,
            recording: None,
            speech: None,
            hold_music: None,
            profiles: Vec::new(),
        }
    }
}

/// Why the dialer could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// SIP.
    #[error(transparent)]
    Sip(#[from] kraliki_sip::net::StartError),
    /// Media.
    #[error(transparent)]
    Media(#[from] kraliki_media::StartError),
    /// DNS.
    #[error(transparent)]
    Dns(#[from] DnsSetupError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificates of SIP or of a trunk.
    #[error(transparent)]
    Tls(#[from] kraliki_sip::net::TlsError),
    /// A trunk that was made by API and one of the configuration have the same name.
    #[error(
        "trunk {0} stands in the configuration file, and one of that name was made by API: give the one in the file another name"
    )]
    TwoTrunks(String),
    /// A trunk group cannot be as it stands in the configuration.
    #[error("trunk group {0}: {1}")]
    Group(String, String),
    /// The journal.
    #[error("cannot write the journal {path}: {source}")]
    Journal {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store of recordings.
    #[error("[recording] the object store cannot be used: {0}")]
    Bucket(#[from] object_store::Error),
    /// A thread.
    #[error("cannot start the engine's thread: {0}")]
    Thread(std::io::Error),
}

/// A running dialer.
pub struct Running {
    /// For the API.
    pub handle: EngineHandle,
    /// Where SIP is bound, in the order of the configuration.
    pub sip: Vec<SocketAddr>,
    done: oneshot::Receiver<()>,
}

impl Running {
    /// Returns when the dialer has stopped: after `Command::Drain` is over, or after [`EngineHandle::stop`].
    pub async fn stopped(&mut self) {
        let _ = (&mut self.done).await;
    }
}

/// Opens everything, closes what a crash left open, and starts to take inputs.
pub async fn start(config: RuntimeConfig, store: Store, clock: Clock) -> Result<Running, StartError> {
    let call_id_secret = store.secret("call_id_key", random_bytes).await?;
    let key: [u8; 32] = call_id_secret.0.as_slice().try_into().unwrap_or_else(|_| {
        // The secret is ours and 32 bytes long; a damaged one only means that calls of before are not recognised.
        random_array()
    });
    let call_ids = CallIdKey::new(&key);
    let recovered = store.recover(clock.unix_ms()).await?;
    if recovered.closed > 0 {
        tracing::warn!(attempts = recovered.closed, "closed as unknown_crash what the last run left open");
    }

    let phones = match &config.phones {
        Some(realm) => store.phones(realm).await?,
        None => Vec::new(),
    };
    let endpoint = EndpointConfig {
        accept_from: AcceptFrom::Nobody, // trunks are let in once they are found,
        user_agent: concat!("Kraliki/", env!("CARGO_PKG_VERSION")).into(),
        call_id_key: Some(call_ids.clone()),
        registrar: config.phones.as_deref().map(RegistrarConfig::new),
        ..EndpointConfig::default()
    };
    let mut config = config;
    let known = trunk::known(&config, &store, &recovered.trunks)?;
    if let Some(files) = &config.tls {
        let mut files = files.clone();
        files
            .clients
            .extend(known.iter().flat_map(|known| &known.config).flat_map(|t| t.tls.iter().cloned()));
        config.sip.tls = Some(files.load()?);
    }
    let (sip, sip_events) = kraliki_sip::net::start(config.sip.clone(), endpoint, clock, random_array())?;
    let (tell_media, media_events) = mpsc::channel(MEDIA_EVENTS);
    let tell = move |event| match tell_media.try_send(event) {
        Err(mpsc::error::TrySendError::Full(event)) => Some(event),
        // The loop has ended, and the media is about to.
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
    };
    let media = Media::start_telling(config.media.clone(), Arc::new(tell))?;
    let engine = Engine::new();
    let journal = config.journal.clone().map(|c| journal::Journal::create(c, &engine)).transpose()?;

    let (requests, request_queue) = mpsc::channel(REQUESTS);
    let (recording, keeper) = start_recording(&config, &store, &requests, clock).await?.unzip();
    let (store_sender, store_events) = mpsc::channel(STORE_JOBS * 4);
    let (writer, writer_task) = store.writer(STORE_JOBS, move |event| {
        // Room for four times the jobs that can wait, and the loop takes events before it gives jobs: full is a bug.
        if store_sender.try_send(event).is_err() {
            tracing::error!("an answer of the store was lost");
        }
    });
    let shared = Arc::new(handle::Shared {
        requests,
        snapshot: ArcSwap::from_pointee(Snapshot::default()),
        people: ArcSwap::default(),
        choices: ArcSwap::from_pointee(handle::Choices::default()),
        events: broadcast::channel(EVENTS).0,
        clock,
        phones: handle::PhonesAt::new(&config, sip.local_addresses()),
        changing: trunk::Changing::new(&config),
        profiles: compliance::with(&config.profiles),
        beside: tokio::runtime::Handle::current(),
        places: keeper.as_ref().map(|(task, _)| task.places.clone()),
        keeping: keeper.as_ref().map(|(task, _)| Arc::clone(&task.keeping)),
        metrics: metrics::Metrics::new(
            sip.clone(),
            media.clone(),
            store.stats().clone(),
            journal.as_ref().map(|journal| journal.stats().clone()),
            known.iter().map(|known| known.figures.clone()).collect(),
            recording.as_ref().zip(keeper.as_ref()).map(|(started, (task, _))| {
                recording::Figures::new(started.recorder.clone(), Arc::clone(&task.keeping))
            }),
        ),
        store,
    });
    let handle = EngineHandle { shared: shared.clone() };
    let bound = sip.local_addresses().to_vec();

    let orphans = end_orphans(&sip, &recovered);
    let seed = config.seed.unwrap_or_else(|| u64::from_le_bytes(random_array()));
    let trunks = known.iter().map(|known| known.trunk.clone()).collect();
    let groups = trunk::groups(&config, &known, &recovered.groups)?;
    let mut restore = recovered.restore(seed, config.pacer.clone(), trunks, config.profiles.clone());
    restore.groups = groups;
    let resolver = Arc::new(resolver(&config, clock)?);
    let driver = drive::Driver::new(drive::Parts {
        shared,
        sip,
        media,
        writer,
        engine,
        journal,
        call_ids,
        config,
        orphans,
        trunks: known,
        resolver,
        restore: Input::Restore(Box::new(restore)),
        phones,
        recording,
    });
    let keeper = keeper.map(|(task, words)| tokio::spawn(task.run(words)));
    let events =
        drive::Events { sip: sip_events, media: media_events, store: store_events, requests: request_queue };
    let (stopped, done) = oneshot::channel();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(move || {
            runtime.block_on(async move {
                let writer = tokio::spawn(writer_task.run());
                let journal = driver.run(events).await;
                // The driver and its writer handle are gone: the task writes what waits, then ends.
                let _ = writer.await;
                // All recordings have ended, and nobody has a word for their keeper any more.
                if let Some(keeper) = keeper {
                    let _ = keeper.await;
                }
                if let Some(journal) = journal {
                    journal.wait();
                }
            });
            let _ = stopped.send(());
        })
        .map_err(StartError::Thread)?;
    Ok(Running { handle, sip: bound, done })
}

/// The keeper of recordings, and where its words come from.
type Keeper = (recording::KeeperTask, mpsc::Receiver<recording::Keep>);

/// What records calls, and what keeps their files; after what a crash left was written down.
async fn start_recording(
    config: &RuntimeConfig,
    store: &Store,
    requests: &mpsc::Sender<handle::Request>,
    clock: Clock,
) -> Result<Option<(recording::Started, Keeper)>, StartError> {
    let Some(recordings) = &config.recording else { return Ok(None) };
    recording::recover(store, recordings).await?;
    let places = recording::Places::new(recordings)?;
    let (started, words) =
        recording::Started::new(recordings.clone(), clock, requests.clone()).map_err(StartError::Thread)?;
    let keeper = recording::KeeperTask {
        store: store.clone(),
        places,
        keep_for: recordings.keep_for,
        clock,
        keeping: Arc::default(),
        requests: requests.clone(),
    };
    Ok(Some((started, (keeper, words))))
}

/// Looks trunks' names up, for the transports and families that there are sockets for.
fn resolver(config: &RuntimeConfig, clock: Clock) -> Result<DnsResolver, DnsSetupError> {
    let mut wanted = ResolveConfig { transports: Vec::new(), families: Vec::new() };
    for listen in &config.sip.listen {
        if !wanted.transports.contains(&listen.transport) {
            wanted.transports.push(listen.transport);
        }
        let family = Family::of(listen.bind.ip());
        if !wanted.families.contains(&family) {
            wanted.families.push(family);
        }
    }
    match config.name_servers.as_slice() {
        [] => DnsResolver::system(wanted, clock),
        servers => DnsResolver::with_servers(servers, wanted, clock),
    }
}

/// Sends a BYE for each dialog that was alive at the crash.
fn end_orphans(sip: &SipHandle, recovered: &Recovered) -> Vec<(kraliki_sip::CallKey, crate::TryId)> {
    let mut ended = Vec::new();
    for orphan in &recovered.orphans {
        let Some(text) = orphan.dialog.as_deref().and_then(|d| std::str::from_utf8(d).ok()) else { continue };
        let Ok(dialog) = text.parse::<DialogSnapshot>() else {
            tracing::warn!(attempt = %orphan.id, "the stored dialog cannot be read; its call cannot be ended");
            continue;
        };
        // 41: temporary failure (Q.850).
        match sip.bye_dialog(dialog, Some(Reason::q850(41, "restarted"))) {
            Ok(key) => ended.push((key, orphan.id)),
            Err(error) => {
                tracing::warn!(%error, attempt = %orphan.id, "cannot end a call of before the restart")
            }
        }
    }
    ended
}

fn random_bytes() -> Vec<u8> {
    random_array::<32>().to_vec()
}

#[allow(clippy::expect_used)] // without chance from the system no secret can be made and nothing may start
fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
