//! What people see: live events and the snapshot that they change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AgentId, AgentState, AttemptId, CallQuality, Callback, CampaignId, CampaignStatus, ConsentKind, LeadId,
    Mode, NoCallerId, Outcome, Pii, TrunkId, UnheardView,
};

/// A change, sent to every live listener who may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// An agent changed state.
    Agent(AgentView),
    /// A call changed state.
    Call(CallView),
    /// A campaign changed, or its numbers did (at most twice a second).
    Campaign(CampaignView),
    /// A campaign was deleted.
    CampaignDeleted {
        /// Which.
        id: CampaignId,
    },
    /// A trunk changed.
    Trunk(TrunkView),
    /// A trunk was deleted, and its last call has ended.
    TrunkDeleted {
        /// Which.
        id: TrunkId,
    },
    /// An agent's SIP phone changed.
    Phone(PhoneView),
    /// How calls with agents are heard, every few seconds. The driver tells it.
    Quality {
        /// Some of them, each with its figures of the last seconds.
        calls: Vec<CallQuality>,
    },
    /// A side of a call is not heard, or is heard again. The driver tells it.
    Unheard(UnheardView),
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// When, in ms since 1970.
    pub at_unix_ms: i64,
    /// Every campaign.
    pub campaigns: Vec<CampaignView>,
    /// Agents who are signed in.
    pub agents: Vec<AgentView>,
    /// Calls in progress, from the INVITE to the end, and those that their agents still wrap up (as ended).
    pub calls: Vec<CallView>,
    /// Every trunk.
    pub trunks: Vec<TrunkView>,
    /// SIP phones of agents who may use one. The driver fills this in.
    #[serde(default)]
    pub phones: Vec<PhoneView>,
    /// Whether the dialer is shutting down.
    pub draining: bool,
    /// Whether the store took its last write; while false nothing is dialed.
    pub store_ok: bool,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Who.
    pub id: AgentId,
    /// For screens.
    pub name: String,
    /// What they do.
    pub state: AgentState,
    /// Since when, in ms since 1970.
    pub since_unix_ms: i64,
    /// The reason of a pause.
    pub reason: String,
    /// The call they dial by hand, are in or wrap up.
    pub call: Option<AttemptId>,
    /// Whether the audio leg is up and not silent.
    pub audio: bool,
    /// A state that was asked for during a call and takes effect after wrap-up: `paused` or `offline`.
    pub next: Option<AgentState>,
    /// Calls since sign-in.
    pub calls: u32,
    /// When the limits of this pause are used up, in ms since 1970; none: it has none, or this is no pause.
    pub pause_ends_unix_ms: Option<i64>,
    /// When this wrap-up ends by itself, in ms since 1970; none: with a disposition only, or this is no wrap-up.
    pub wrap_up_ends_unix_ms: Option<i64>,
    /// How much longer the agent may make this wrap-up, in seconds; 0: no longer.
    pub wrap_up_extension_s: u32,
    /// When the shift ends, in ms since 1970; none: no end is planned.
    pub shift_ends_unix_ms: Option<i64>,
    /// Whether the agent goes offline after the next call.
    pub last_call: bool,
    /// The state that a supervisor set, now or after this call.
    pub forced: Option<ForcedView>,
    /// The lead that they look at before it is dialed.
    pub preview: Option<Box<PreviewView>>,
}

/// A state that a supervisor set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForcedView {
    /// Which.
    pub state: AgentState,
    /// Who did it.
    pub by: AgentId,
    /// Their name.
    pub by_name: String,
    /// Their words.
    pub reason: String,
}

/// A lead on an agent's screen that is not dialed yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewView {
    /// Whose.
    pub campaign: CampaignId,
    /// Whom.
    pub lead: LeadView,
    /// When it is dialed or skipped by itself, in ms since 1970; none: the agent has all the time.
    pub ends_unix_ms: Option<i64>,
    /// Whether it is dialed then, or skipped.
    pub auto_dial: bool,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Being written, or sent and without a sign of ringing.
    Dialing,
    /// Ringing.
    Ringing,
    /// Answered; who it is is not known yet.
    Detecting,
    /// A person waits for an agent.
    Waiting,
    /// With an agent.
    Talking,
    /// With an agent, on hold.
    Hold,
    /// Hears a message: of an abandoned call, or the prompt of an agentless one.
    Message,
    /// A machine answered: its greeting is heard out, then it is left a message.
    Voicemail,
    /// Over.
    Ended,
}

impl CallState {
    /// Every state of a call in progress.
    pub const IN_PROGRESS: [CallState; 8] = [
        CallState::Dialing,
        CallState::Ringing,
        CallState::Detecting,
        CallState::Waiting,
        CallState::Talking,
        CallState::Hold,
        CallState::Message,
        CallState::Voicemail,
    ];

    /// The name used in the API and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallState::Dialing => "dialing",
            CallState::Ringing => "ringing",
            CallState::Detecting => "detecting",
            CallState::Waiting => "waiting",
            CallState::Talking => "talking",
            CallState::Hold => "hold",
            CallState::Message => "message",
            CallState::Voicemail => "voicemail",
            CallState::Ended => "ended",
        }
    }
}

/// Whether a call is recorded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// What both sides say is kept.
    On,
    /// Silence is kept instead, until somebody resumes.
    Paused,
}

/// Why the agent of a call may think that a machine answered it. They can say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineSign {
    /// It was taken for a person, and sounds like a machine since.
    Sounds,
    /// It was taken for a machine, and is one of those that agents check.
    Sampled,
}

/// How good the campaign's verdicts "machine" are, by those that agents checked. All of the last 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MachineChecks {
    /// Calls taken for machines that no agent had.
    pub ended: u64,
    /// Calls taken for machines of which an agent said who it was.
    pub checked: u64,
    /// Of these, people.
    pub persons: u64,
    /// The share of people among calls taken for machines (0 to 1); none while nothing is checked.
    pub share: Option<f64>,
    /// Where that share is, with 95 % certainty: at least.
    pub share_least: Option<f64>,
    /// At most.
    pub share_most: Option<f64>,
    /// People among `ended` by that share; the ledger counts them as answered and abandoned. 0 while too few are checked.
    pub estimated: u64,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// The attempt.
    pub id: AttemptId,
    /// Whose.
    pub campaign: CampaignId,
    /// Where it stands.
    pub state: CallState,
    /// Since when, in ms since 1970.
    pub since_unix_ms: i64,
    /// When it was dialed, in ms since 1970.
    pub dialed_unix_ms: i64,
    /// When it was given to the agent, in ms since 1970.
    pub connected_unix_ms: Option<i64>,
    /// Over which trunk.
    pub trunk: TrunkId,
    /// The agent: from the bridge on, or from the dial on of a call by hand.
    pub agent: Option<AgentId>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What the agent chose.
    pub disposition: Option<String>,
    /// Whether it is recorded now; none: it is not.
    pub recording: Option<RecordingState>,
    /// Why its agent may think that a machine answered; none: nothing says so.
    pub machine: Option<MachineSign>,
    /// The number that is shown to the called person.
    pub caller_id: String,
    /// When the dialer ends it because it is as long as its trunk lets calls be, in ms since 1970; none: not in the next minute.
    pub ends_unix_ms: Option<i64>,
    /// Whom.
    pub lead: LeadView,
}

/// What an agent sees of a lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeadView {
    /// Its id.
    pub id: LeadId,
    /// E.164.
    #[schema(value_type = String)]
    pub phone: Pii<String>,
    /// First name.
    #[schema(value_type = String)]
    pub first_name: Pii<String>,
    /// Last name.
    #[schema(value_type = String)]
    pub last_name: Pii<String>,
    /// IANA name.
    pub time_zone: String,
    /// Where its address says that it lives, as ISO 3166; may be empty.
    pub country: String,
    /// Part of the country; may be empty.
    pub state: String,
    /// What the person agreed to.
    pub consent: ConsentKind,
    /// Attempts before this one.
    pub attempts: u32,
    /// What was promised to the person.
    pub callback: Option<Callback>,
    /// Further columns of the list.
    #[schema(value_type = BTreeMap<String, String>)]
    pub custom: Pii<BTreeMap<String, String>>,
}

/// A campaign and its numbers since the dialer started; the ledger's numbers are of the regulator's period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CampaignView {
    /// Which.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: CampaignStatus,
    /// How it dials.
    pub mode: Mode,
    /// Leads ready in memory.
    pub hopper: u32,
    /// Lines in progress that are not with an agent.
    pub lines: u32,
    /// Calls with agents.
    pub talking: u32,
    /// People who wait for an agent.
    pub waiting: u32,
    /// Agents who may take its calls, signed in and not paused.
    pub agents: u32,
    /// Of these, ready.
    pub ready: u32,
    /// Ended attempts by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Attempts begun.
    pub attempts: u64,
    /// Calls that a person answered, in the regulator's period.
    pub answered: u64,
    /// Of these, abandoned (or bridged later than the grace).
    pub abandoned: u64,
    /// How good its verdicts "machine" are.
    pub machines: MachineChecks,
    /// (talk + hold + wrap-up) / time signed in and not paused, of the agents who serve it; 0 to 1.
    pub occupancy: f64,
    /// What the pacer decided last, in words.
    pub decision: String,
    /// The compliance profile by which it goes; empty: none.
    pub profile: String,
    /// The regulator's period, rolling, in hours.
    pub period_h: u32,
    /// The most abandoned calls, as a share of the answered ones: its own or the profile's.
    pub abandonment_cap: f64,
    /// How often a lead was not dialed, since start, by the rule that forbade it.
    pub refused: BTreeMap<String, u64>,
    /// What keeps leads from being dialed and can be mended, in words; empty: nothing.
    pub notice: String,
    /// Why none of its caller ids may be shown now, and so nobody is dialed; none: one may.
    pub no_caller_id: Option<NoCallerId>,
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrunkView {
    /// Which.
    pub id: TrunkId,
    /// Its name.
    pub name: String,
    /// Whether calls may go there.
    pub up: bool,
    /// Calls on it now.
    pub channels: u32,
    /// Most at once.
    pub max_channels: u32,
    /// INVITEs in the last second.
    pub cps: u32,
    /// Most in any second.
    pub max_cps: u32,
    /// Whether calls are held back because it failed too often.
    pub breaker: BreakerState,
    /// For how long no call goes there, in seconds; 0 unless the breaker is open.
    pub resting_s: u32,
    /// Calls in a row that failed for the trunk's sake.
    pub failures: u32,
    /// Calls (INVITEs) of today, in the trunk's `day_zone`.
    pub calls_today: u32,
    /// Most in a day; 0: no limit.
    pub calls_per_day: u32,
    /// What its calls of today cost so far, those in progress included, in the carrier's currency.
    pub spent_today: f64,
    /// Most in a day; 0: no limit.
    pub spend_per_day: f64,
    /// Which limit of its own keeps it from calling anybody now; none: none does.
    pub limit: Option<TrunkLimit>,
}

/// A limit of a trunk against fraud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrunkLimit {
    /// It has no `allowed_prefixes`, and may call no number.
    NoPrefixes,
    /// It has had its calls of today.
    CallsPerDay,
    /// Its calls of today cost as much as they may.
    SpendPerDay,
}

impl TrunkLimit {
    /// The name used in the API and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            TrunkLimit::NoPrefixes => "no_prefixes",
            TrunkLimit::CallsPerDay => "calls_per_day",
            TrunkLimit::SpendPerDay => "spend_per_day",
        }
    }
}

/// A trunk's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go there.
    #[default]
    Closed,
    /// It failed too often: no call for a while.
    Open,
    /// One call tries whether it works again.
    HalfOpen,
}

impl BreakerState {
    /// Every state.
    pub const ALL: [BreakerState; 3] = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];

    /// The name used in the API and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// How an agent's SIP phone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhoneState {
    /// It has no password: the agent may not use one.
    None,
    /// No phone is registered.
    Unregistered,
    /// It can be called.
    Registered,
    /// It is being called.
    Ringing,
    /// It is the agent's audio.
    Connected,
}

/// Why a phone is not, or not any more, its agent's audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhoneProblem {
    /// It was busy, or the call was declined.
    Declined,
    /// Nobody answered.
    NoAnswer,
    /// It did not react at all.
    Unreachable,
    /// What it can send and hear does not fit.
    Incompatible,
    /// It hung up.
    HungUp,
    /// Its connection, its registration or its audio was lost.
    Lost,
}

/// An agent's SIP phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhoneView {
    /// Whose.
    pub agent: AgentId,
    /// How it stands.
    pub state: PhoneState,
    /// What it calls itself; empty when it does not say, or when none is registered.
    pub user_agent: String,
    /// The audio session that it is called for, or that runs over it.
    pub session: Option<String>,
    /// Why the last session came to nothing or ended; none once there is another.
    pub problem: Option<PhoneProblem>,
    /// Somebody gave wrong passwords for it too often, and is not listened to until then, in ms since 1970.
    pub locked_until_unix_ms: Option<i64>,
}
