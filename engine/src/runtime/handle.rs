//! What the API holds of the engine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kraliki_media::Supervision;
use kraliki_sip::Secrets;
use kraliki_time::Clock;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::supervise::SupervisionRequest;
use crate::compliance::Profile;
use crate::store::{PhoneSecret, Store, StoreError, User};
use crate::{
    AgentId, AttemptId, CallerIdPoolView, CampaignId, Command, CommandError, Counters, Event, Gauges,
    Message, People, Pii, Reply, Snapshot, StoredTrunk, TrunkGroup, TrunkGroupId, TrunkId, TryId, Verdict,
};

/// The engine as others on this node see it: commands go in, snapshots and events come out. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(super) shared: Arc<Shared>,
}

/// What the handles share with the runtime's loop.
pub(super) struct Shared {
    /// Bounded: a full queue answers `Overloaded`.
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) snapshot: ArcSwap<Snapshot>,
    pub(super) people: ArcSwap<People>,
    pub(super) choices: ArcSwap<Choices>,
    /// Bounded: a listener that lags is told so and takes a new snapshot.
    pub(super) events: broadcast::Sender<Arc<Event>>,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) metrics: super::metrics::Metrics,
    pub(super) phones: PhonesAt,
    pub(super) changing: super::trunk::Changing,
    /// Every compliance profile, by name.
    pub(super) profiles: Vec<Profile>,
    /// Where recordings lie; none: nothing is recorded.
    pub(super) places: Option<super::recording::Places>,
    pub(super) keeping: Option<Arc<super::recording::Keeping>>,
    /// The runtime of whoever started us, for work that takes longer than the loop should wait.
    pub(super) beside: tokio::runtime::Handle,
}

/// What a campaign may name beside trunks.
#[derive(Debug, Default)]
pub(super) struct Choices {
    pub(super) groups: Vec<(TrunkGroupId, TrunkGroup)>,
    pub(super) pools: Vec<CallerIdPoolView>,
}

/// Where agents' SIP phones register.
pub(super) struct PhonesAt {
    realm: Option<String>,
    servers: Vec<PhoneServer>,
    /// Held while passwords are read and handed over, so that an older list never follows a newer one.
    handing_over: tokio::sync::Mutex<()>,
}

/// An address at which phones register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneServer {
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: String,
    /// As others see it.
    pub address: SocketAddr,
}

impl PhonesAt {
    pub(super) fn new(config: &super::RuntimeConfig, bound: &[SocketAddr]) -> PhonesAt {
        let server = |(listen, bound): (&kraliki_sip::net::Listen, &SocketAddr)| {
            let mut address = listen.advertise.unwrap_or(*bound);
            if address.port() == 0 {
                address.set_port(bound.port());
            }
            PhoneServer { transport: listen.transport.via().to_ascii_lowercase(), address }
        };
        PhonesAt {
            realm: config.phones.clone(),
            servers: config.sip.listen.iter().zip(bound).map(server).collect(),
            handing_over: tokio::sync::Mutex::default(),
        }
    }
}

/// What a handle asks of the runtime's loop.
pub(super) enum Request {
    Command {
        command: Command,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    },
    /// A trunk that was made by API, or another profile for one.
    PutTrunk {
        id: Option<TrunkId>,
        config: Box<super::TrunkConfig>,
        stored: Box<StoredTrunk>,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    },
    DeleteTrunk {
        id: TrunkId,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    },
    OpenSession {
        agent: AgentId,
        offer: String,
        reply: oneshot::Sender<Result<OpenedSession, SessionError>>,
    },
    OpenPhone {
        agent: AgentId,
        reply: oneshot::Sender<Result<String, SessionError>>,
    },
    /// Where the registrar knows an agent's phone.
    PhoneFound {
        agent: AgentId,
        session: String,
        binding: Option<kraliki_sip::Binding>,
    },
    /// Who may register a phone.
    Phones(Vec<PhoneSecret>),
    PatchSession {
        agent: AgentId,
        id: String,
        body: String,
        reply: oneshot::Sender<Result<Option<String>, SessionError>>,
    },
    CloseSession {
        agent: AgentId,
        id: String,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
    Supervision(SupervisionRequest),
    SipTrace {
        call: AttemptId,
        hide_numbers: bool,
        reply: oneshot::Sender<Option<String>>,
    },
    /// Where a trunk was found.
    Places {
        trunk: TrunkId,
        /// Which look-up says so.
        number: u64,
        places: Vec<kraliki_sip::Destination>,
    },
    /// A campaign's sound file.
    PromptRead {
        campaign: CampaignId,
        what: Message,
        path: String,
        audio: Arc<kraliki_media::Audio>,
    },
    /// What a simulated carrier's detection found.
    Verdict {
        id: TryId,
        verdict: Verdict,
    },
    /// Who calls us.
    CallerVerified {
        call: kraliki_sip::CallKey,
        verdict: kraliki_sip::stir::Verdict,
    },
    /// Whose attempt showed a caller the number last; none: no campaign's.
    CallerPlaced {
        call: kraliki_sip::CallKey,
        shown_by: Option<CampaignId>,
    },
    /// A call's recording could not be begun, or broke off.
    RecordingLost {
        call: AttemptId,
    },
    Stop,
}

/// An agent's audio session that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// Names it in later requests.
    pub id: String,
    /// The SDP answer.
    pub answer: String,
}

/// Why an audio session could not be opened or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The browser's offer does not fit; says what is missing.
    #[error("{0}")]
    BadOffer(String),
    /// No such session of this agent.
    #[error("this audio session has ended; open a new one")]
    NotFound,
    /// It cannot be as things are (a phone that cannot be called, an agent without audio); says why.
    #[error("{0}")]
    Conflict(String),
    /// The dialer cannot take it now; says why.
    #[error("{0}")]
    Unavailable(String),
}

impl EngineHandle {
    /// Does what `command` says; returns when it is done and, where it must be, on disk.
    pub async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        self.ask(|reply| Request::Command { command, reply }).await
    }

    /// Asks for something that the engine answers.
    pub(super) async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<Reply, CommandError>>) -> Request,
    ) -> Result<Reply, CommandError> {
        const RETRY: Duration = Duration::from_millis(500);
        let overloaded = || CommandError::Overloaded(RETRY);
        let (reply, answer) = oneshot::channel();
        self.shared.requests.try_send(request(reply)).map_err(|_| overloaded())?;
        answer.await.map_err(|_| overloaded())?
    }

    /// Everything as of at most half a second ago.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Teams, levels, reasons for a pause and shifts. Whoever changed one sees the change once the command is answered.
    pub fn people(&self) -> Arc<People> {
        self.shared.people.load_full()
    }

    /// Every trunk group, as of at most half a second ago.
    pub fn trunk_groups(&self) -> Vec<(TrunkGroupId, TrunkGroup)> {
        self.shared.choices.load().groups.clone()
    }

    /// Every pool of caller ids and how they do, as of at most half a second ago.
    pub fn caller_id_pools(&self) -> Vec<CallerIdPoolView> {
        self.shared.choices.load().pools.clone()
    }

    /// Changes from now on. Take a snapshot after subscribing, and again when told that some were missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.shared.events.subscribe()
    }

    /// The store, for reading, for imports and for users.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Every compliance profile that holds, by name.
    pub fn profiles(&self) -> &[Profile] {
        &self.shared.profiles
    }

    /// The wall clock, in ms since 1970.
    pub fn wall_unix_ms(&self) -> i64 {
        self.shared.clock.unix_ms()
    }

    /// Opens an agent's audio leg from a browser's SDP offer; an earlier leg of that agent is replaced.
    pub async fn open_session(&self, agent: AgentId, offer: String) -> Result<OpenedSession, SessionError> {
        self.session(|reply| Request::OpenSession { agent, offer, reply }).await?
    }

    /// Calls the agent's SIP phone, which is their audio once it is picked up; gives the name of the session. An earlier
    /// session of that agent is replaced.
    pub async fn open_phone(&self, agent: AgentId) -> Result<String, SessionError> {
        self.session(|reply| Request::OpenPhone { agent, reply }).await?
    }

    /// The realm of agents' SIP phones; none: phones are not switched on.
    pub fn phone_realm(&self) -> Option<&str> {
        self.shared.phones.realm.as_deref()
    }

    /// Where phones register.
    pub fn phone_servers(&self) -> &[PhoneServer] {
        &self.shared.phones.servers
    }

    /// Gives an agent's phone a password. A phone that is registered with another one is not any more.
    pub async fn set_phone_password(&self, user: &User, password: &str) -> Result<(), StoreError> {
        let Some(realm) = self.phone_realm() else {
            return Err(StoreError::Invalid {
                field: "password",
                message: "phones are not switched on".into(),
            });
        };
        if user.username.chars().any(char::is_control) {
            let message = "this user's name has characters that no phone can send".into();
            return Err(StoreError::Invalid { field: "username", message });
        }
        let secrets = Secrets::of(&user.username, realm, password);
        let (Some(md5), Some(sha256)) = (secrets.md5, secrets.sha256) else {
            return Err(StoreError::Invalid { field: "password", message: "could not be hashed".into() });
        };
        let username = user.username.clone();
        let secret = PhoneSecret { user: user.id, username, md5: Pii(md5), sha256: Pii(sha256) };
        self.store().set_phone(&secret, realm).await?;
        self.hand_phones_over(realm).await
    }

    /// Takes an agent's phone its password; it is hung up and not registered any more. Whether there was one.
    pub async fn remove_phone(&self, user: AgentId) -> Result<bool, StoreError> {
        let removed = self.store().remove_phone(user).await?;
        if let Some(realm) = self.phone_realm() {
            self.hand_phones_over(realm).await?;
        }
        Ok(removed)
    }

    async fn hand_phones_over(&self, realm: &str) -> Result<(), StoreError> {
        let _alone = self.shared.phones.handing_over.lock().await;
        let phones = self.store().phones(realm).await?;
        // A loop that has stopped has no use for them.
        let _ = self.shared.requests.send(Request::Phones(phones)).await;
        Ok(())
    }

    /// An ICE restart, or trickled candidates (which need no answer).
    pub async fn patch_session(
        &self,
        agent: AgentId,
        id: &str,
        body: String,
    ) -> Result<Option<String>, SessionError> {
        let id = id.to_owned();
        self.session(|reply| Request::PatchSession { agent, id, body, reply }).await?
    }

    /// Ends an agent's audio leg.
    pub async fn close_session(&self, agent: AgentId, id: &str) -> Result<(), SessionError> {
        let id = id.to_owned();
        self.session(|reply| Request::CloseSession { agent, id, reply }).await?
    }

    /// Opens a supervisor's audio session from a browser's SDP offer; an earlier one of that supervisor is replaced.
    pub async fn open_supervision(&self, by: AgentId, offer: String) -> Result<OpenedSession, SessionError> {
        self.supervision(|reply| SupervisionRequest::Open { by, offer, reply }).await?
    }

    /// Has a supervisor follow an agent, from call to call, and be heard as `how` says.
    pub async fn supervise(
        &self,
        by: AgentId,
        id: &str,
        agent: AgentId,
        how: Supervision,
    ) -> Result<(), SessionError> {
        let id = id.to_owned();
        self.supervision(|reply| SupervisionRequest::Follow { by, id, agent, how, reply }).await?
    }

    /// As [`EngineHandle::patch_session`], for a supervisor's.
    pub async fn patch_supervision(
        &self,
        by: AgentId,
        id: &str,
        body: String,
    ) -> Result<Option<String>, SessionError> {
        let id = id.to_owned();
        self.supervision(|reply| SupervisionRequest::Patch { by, id, body, reply }).await?
    }

    /// Ends a supervisor's audio session.
    pub async fn close_supervision(&self, by: AgentId, id: &str) -> Result<(), SessionError> {
        let id = id.to_owned();
        self.supervision(|reply| SupervisionRequest::Close { by, id, reply }).await?
    }

    async fn supervision<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> SupervisionRequest,
    ) -> Result<T, SessionError> {
        self.session(|reply| Request::Supervision(request(reply))).await
    }

    /// The recent SIP messages of a call as a readable ladder, each try by itself, without credentials and, when asked,
    /// without numbers; none when nothing is kept of it.
    pub async fn sip_trace(&self, call: AttemptId, hide_numbers: bool) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        self.shared.requests.try_send(Request::SipTrace { call, hide_numbers, reply }).ok()?;
        answer.await.ok().flatten()
    }

    /// A trunk's profile, where it was found and how it does.
    pub fn trunk(&self, id: TrunkId) -> Option<super::TrunkDetail> {
        self.shared.metrics.trunk(id)
    }

    /// Ends everything at once; calls in progress are not ended at the carrier. `Command::Drain` is the gentle way.
    pub async fn stop(&self) {
        let _ = self.shared.requests.send(Request::Stop).await;
    }

    /// How things stand in figures, for a summary.
    pub fn figures(&self) -> (Counters, Gauges) {
        self.shared.metrics.figures()
    }

    /// Metrics of everything below the API, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.shared.metrics.render(&self.snapshot())
    }

    /// Whether calls can be taken and made; says why not.
    pub fn ready(&self) -> Result<(), String> {
        let snapshot = self.snapshot();
        if snapshot.draining {
            return Err("shutting down".into());
        }
        if !snapshot.store_ok {
            return Err("the store does not take writes".into());
        }
        Ok(())
    }

    async fn session<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, SessionError> {
        let unavailable = || SessionError::Unavailable("the dialer is overloaded; try again".into());
        let (reply, answer) = oneshot::channel();
        self.shared.requests.try_send(request(reply)).map_err(|_| unavailable())?;
        answer.await.map_err(|_| unavailable())
    }
}
