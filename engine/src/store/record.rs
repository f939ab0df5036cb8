//! Rows as readers get them.

use std::collections::BTreeMap;

use kraliki_media::record::{RecordingKey, Written};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::RestoredCampaign;
use crate::compliance::{NationalCopy, Profile};
use crate::{
    AgentId, AttemptId, Callback, CallerIdDay, CallerIdPool, CallerIdPoolId, CampaignId, Consent, LeadId,
    LeadPhone, LeadStatus, LegRecord, ListId, ListSettings, Outcome, PausedBefore, People, Pii, Quarantine,
    Restore, StoredTrunk, Trunk, TrunkGroup, TrunkGroupId, TrunkId, TrunkUse, TryId, Undisposed,
};

/// A lead as it stands in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeadRecord {
    /// Its id.
    pub id: LeadId,
    /// The campaign that dials it.
    pub campaign: CampaignId,
    /// The list it came with.
    pub list: ListId,
    /// Its first phone: E.164, with the plus sign.
    #[schema(value_type = String)]
    pub phone: Pii<String>,
    /// All its phones in their order, when it has several; else none.
    pub phones: Vec<LeadPhone>,
    /// The phone to dial next; none: its first one.
    #[schema(value_type = Option<String>)]
    pub dial: Option<Pii<String>>,
    /// First name.
    #[schema(value_type = String)]
    pub first_name: Pii<String>,
    /// Last name.
    #[schema(value_type = String)]
    pub last_name: Pii<String>,
    /// IANA name.
    pub time_zone: String,
    /// Where its address says that it lives, as ISO 3166; empty: not said, and taken from the number.
    pub country: String,
    /// Part of the country: two letters in the US; empty: not said, and in North America taken from the number.
    pub state: String,
    /// What the person agreed to.
    pub consent: Consent,
    /// Higher is dialed earlier.
    pub priority: i32,
    /// Where it stands.
    pub status: LeadStatus,
    /// Not dialed before this time, in ms since 1970; 0: at once.
    pub next_unix_ms: i64,
    /// Attempts that counted so far.
    pub attempts: u32,
    /// How the last attempt ended.
    pub last_outcome: Option<Outcome>,
    /// How many in a row ended like that.
    pub repeats: u32,
    /// What was promised to the person.
    pub callback: Option<Callback>,
    /// Whether its list's filter leaves it out.
    pub left_out: bool,
    /// Further columns of the list.
    #[schema(value_type = BTreeMap<String, String>)]
    pub custom: Pii<BTreeMap<String, String>>,
}

/// A list as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListRecord {
    /// Its id.
    pub id: ListId,
    /// The campaign that dials it.
    pub campaign: CampaignId,
    /// What a manager set.
    pub settings: ListSettings,
    /// Whether its leads are being arranged anew or reset.
    pub working: bool,
}

/// What a user's SIP phone signs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneSecret {
    /// Whose.
    pub user: AgentId,
    /// The user name: the phone signs in by it too.
    pub username: String,
    /// H(user:realm:password) by MD5.
    pub md5: Pii<[u8; 16]>,
    /// The same by SHA-256.
    pub sha256: Pii<[u8; 32]>,
}

/// A lead to be added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NewLead {
    /// As people write it; made E.164 with the campaign's country.
    pub phone: Pii<String>,
    /// Further phones in their order, each with its kind (`mobile`), written alike.
    pub phones: Vec<(String, Pii<String>)>,
    /// First name.
    pub first_name: Pii<String>,
    /// Last name.
    pub last_name: Pii<String>,
    /// IANA name; empty: taken from the number.
    pub time_zone: String,
    /// ISO 3166; empty: taken from the number.
    pub country: String,
    /// Part of the country; empty: in North America taken from the number.
    pub state: String,
    /// What the person agreed to.
    pub consent: Consent,
    /// Higher is dialed earlier.
    pub priority: i32,
    /// Shown to the agent.
    pub custom: Pii<BTreeMap<String, String>>,
}

/// Which leads to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeadFilter {
    /// Only these.
    pub status: Option<LeadStatus>,
    /// Only of this list.
    pub list: Option<ListId>,
    /// The `next` of the page before.
    pub after: Option<LeadId>,
    /// At most so many (1 to 1000).
    pub limit: u32,
}

/// Which calls to read, newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// The `next` of the page before.
    pub before: Option<AttemptId>,
    /// At most so many (1 to 1000).
    pub limit: u32,
}

/// A part of a longer list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Give this to get the next page; none at the end.
    pub next: Option<i64>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallRecord {
    /// Its id.
    pub id: AttemptId,
    /// Whose.
    pub campaign: CampaignId,
    /// Whom.
    pub lead: LeadId,
    /// E.164.
    #[schema(value_type = String)]
    pub phone: Pii<String>,
    /// The number that was shown.
    pub caller_id: String,
    /// Who took it.
    pub agent: Option<AgentId>,
    /// When it was dialed, in ms since 1970.
    pub started_unix_ms: i64,
    /// When it was answered.
    pub answered_unix_ms: Option<i64>,
    /// When it was given to the agent.
    pub connected_unix_ms: Option<i64>,
    /// When it ended.
    pub ended_unix_ms: Option<i64>,
    /// How long the person waited for an agent, in ms.
    pub wait_ms: Option<u32>,
    /// With an agent, in ms: from the bridge to the end, the time between two agents left out.
    pub talk_ms: u64,
    /// Bridged later than the grace.
    pub late: bool,
    /// How it ended; none while it lasts.
    pub outcome: Option<Outcome>,
    /// What the agent chose last.
    pub disposition: Option<String>,
    /// What the agent wrote last.
    #[schema(value_type = String)]
    pub note: Pii<String>,
    /// Whether a machine was left the campaign's message, to its end.
    pub message_left: bool,
    /// It was taken for a machine's, and given to an agent to be checked: what they said.
    pub machine_check: Option<MachineCheck>,
    /// Whether there is a recording of it.
    pub recorded: bool,
}

/// What the agent said of a call that was taken for a machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineCheck {
    /// Nothing yet.
    Asked,
    /// It is a machine.
    Machine,
    /// It is a person.
    Person,
}

/// An attempt with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallDetail {
    /// The attempt.
    #[serde(flatten)]
    pub call: CallRecord,
    /// Its INVITEs.
    pub tries: Vec<TryRecord>,
    /// What agents said of it, oldest first.
    pub dispositions: Vec<DispositionRecord>,
    /// Under which rules it was made: profile and its date, places, the national list's copy, time zone, consent; empty: under
    /// none.
    pub evidence: String,
    /// Its recording.
    pub recording: Option<RecordingRecord>,
    /// What each agent had of it, where more than one agent had it; else empty.
    pub parts: Vec<CallPart>,
    /// How each side was heard, in the order in which they ended. None while the call lasts, or when nobody answered.
    pub legs: Vec<LegRecord>,
}

/// What an agent had of a call that more than one agent had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallPart {
    /// Who.
    pub agent: AgentId,
    /// From when on, in ms since 1970.
    pub from_unix_ms: i64,
    /// How long, in ms.
    pub lasted_ms: u64,
}

/// What a recording's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingFormat {
    /// Opus in Ogg, two channels of their own.
    Opus,
    /// WAV, 16 bits, two channels.
    Wav,
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingPhase {
    /// The call goes on.
    Recording,
    /// It is there as far as the call went, or until the dialer was killed.
    Ended,
    /// It broke off, and `error` says why; what was written until then is there.
    Failed,
}

/// Where a recording lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingPlace {
    /// On the dialer's disk.
    Disk,
    /// In the object store.
    Store,
}

/// A part of a recording that is silence because somebody paused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PausedSpan {
    /// From here on, in ms from the recording's start.
    pub from_ms: u64,
    /// Until here; none: until its end.
    pub to_ms: Option<u64>,
}

/// A recording of a call: the called person left, the agent right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordingRecord {
    /// The call; a call has one recording at most.
    pub call: AttemptId,
    /// The call's campaign.
    pub campaign: CampaignId,
    /// The call's agent.
    pub agent: Option<AgentId>,
    /// How far it is.
    pub state: RecordingPhase,
    /// Where it lies.
    pub place: RecordingPlace,
    /// What it is.
    pub format: RecordingFormat,
    /// Whether it lies there encrypted, with a key of its own.
    pub encrypted: bool,
    /// When it began, in ms since 1970.
    pub started_unix_ms: i64,
    /// How long it is, in ms; 0 while it lasts.
    pub lasted_ms: u64,
    /// Octets where it lies; 0 while it lasts.
    pub bytes: u64,
    /// Where it is silent because somebody paused it.
    pub paused: Vec<PausedSpan>,
    /// Why it broke off.
    pub error: String,
}

/// A recording with what it is read with.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecording {
    /// What people see.
    pub record: RecordingRecord,
    /// Below the directory, or below the object store's prefix.
    pub file: String,
    /// Its key, sealed.
    pub sealed_key: Option<Vec<u8>>,
    /// Octets of the sound file, decrypted.
    pub audio_bytes: u64,
}

/// A recording that begins.
#[derive(Clone, Debug)]
pub struct NewRecording {
    /// The call.
    pub call: AttemptId,
    /// Below the directory.
    pub file: String,
    /// What it is.
    pub format: RecordingFormat,
    /// Its key, if it is encrypted.
    pub key: Option<RecordingKey>,
    /// When, in ms since 1970.
    pub started_unix_ms: i64,
}

/// A recording that is over.
#[derive(Clone, Debug)]
pub struct EndedRecording {
    /// The call.
    pub call: AttemptId,
    /// What its file holds.
    pub written: Written,
    /// Why it broke off; empty: it did not.
    pub error: String,
}

/// Which recordings to read, newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingFilter {
    /// Only of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// The `next` of the page before.
    pub before: Option<AttemptId>,
    /// At most so many (1 to 1000).
    pub limit: u32,
}

/// One INVITE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TryRecord {
    /// 1 for the first.
    pub number: u32,
    /// Over which trunk.
    pub trunk: TrunkId,
    /// The number that was shown.
    pub caller_id: String,
    /// When it was committed, in ms since 1970.
    pub started_unix_ms: i64,
    /// When it was answered.
    pub answered_unix_ms: Option<i64>,
    /// When it ended.
    pub ended_unix_ms: Option<i64>,
    /// Its final status.
    pub status: Option<u16>,
    /// The raw Q.850 cause.
    pub q850: Option<u16>,
}

/// What an agent said of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DispositionRecord {
    /// A code of the campaign.
    pub code: String,
    /// The agent's words.
    #[schema(value_type = String)]
    pub note: Pii<String>,
    /// When, in ms since 1970.
    pub at_unix_ms: i64,
}

/// A number that must not be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suppression {
    /// Its place in the list.
    pub id: i64,
    /// E.164.
    #[schema(value_type = String)]
    pub phone: Pii<String>,
    /// Why.
    pub reason: String,
    /// Since when, in ms since 1970.
    pub at_unix_ms: i64,
}

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The same number as the agent's.
    pub id: AgentId,
    /// What is typed at sign-in; lower case.
    pub username: String,
    /// For screens.
    pub name: String,
    /// What they may do; the control API knows the roles.
    pub role: String,
    /// A PHC string; never leaves the server.
    pub password_hash: Pii<String>,
}

/// Somebody to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What is typed at sign-in; stored in lower case.
    pub username: String,
    /// For screens.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// A PHC string.
    pub password_hash: Pii<String>,
}

/// What came of changing a refresh token for a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The new token is stored; the old one is used up.
    Rotated(User),
    /// Unknown, expired or revoked: sign in again.
    Unknown,
    /// It had been used before: somebody copied it. The whole family is revoked.
    Reused(AgentId),
}

/// A try that was alive at a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Which.
    pub id: TryId,
    /// Over which trunk.
    pub trunk: TrunkId,
    /// What is needed to end it, if it had been answered.
    pub dialog: Option<Vec<u8>>,
}

/// What the store knows at start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Every campaign with its ledger of the last 30 days.
    pub campaigns: Vec<RestoredCampaign>,
    /// The next campaign's id.
    pub next_campaign: i64,
    /// The next attempt's id.
    pub next_attempt: i64,
    /// Trunks that were made by API.
    pub trunks: Vec<StoredTrunk>,
    /// The next trunk's id.
    pub next_trunk: i64,
    /// Teams, levels, reasons for a pause, shifts.
    pub people: People,
    /// The next team's id.
    pub next_team: i64,
    /// Pauses of the last day.
    pub paused: Vec<PausedBefore>,
    /// What trunks were used for in the last days.
    pub usage: Vec<TrunkUse>,
    /// Trunk groups that were made by API.
    pub groups: Vec<(TrunkGroupId, TrunkGroup)>,
    /// The next group's id.
    pub next_group: i64,
    /// Pools of caller ids.
    pub pools: Vec<(CallerIdPoolId, CallerIdPool)>,
    /// The next pool's id.
    pub next_pool: i64,
    /// What caller ids did, by day.
    pub caller_id_days: Vec<CallerIdDay>,
    /// Caller ids in quarantine.
    pub quarantined: Vec<Quarantine>,
    /// Tries that were alive at the crash.
    pub orphans: Vec<Orphan>,
    /// Connected calls of the last day that wait for a disposition.
    pub undisposed: Vec<Undisposed>,
    /// Attempts that had no outcome and got `unknown_crash`.
    pub closed: u64,
    /// Copies of national do-not-call lists.
    pub national: Vec<NationalCopy>,
}

impl Recovered {
    /// What the engine is told at start. `trunks`: those of the configuration and `self.trunks`, as the driver reads them;
    /// `profiles`: of the operator, beside those that come with the dialer. Groups of the configuration come beside it.
    pub fn restore(self, seed: u64, pacer: String, trunks: Vec<Trunk>, profiles: Vec<Profile>) -> Restore {
        Restore {
            seed,
            pacer,
            trunks,
            next_trunk: self.next_trunk,
            people: self.people,
            next_team: self.next_team,
            paused: self.paused,
            usage: self.usage,
            groups: self.groups,
            next_group: self.next_group,
            pools: self.pools,
            next_pool: self.next_pool,
            caller_id_days: self.caller_id_days,
            quarantined: self.quarantined,
            campaigns: self.campaigns,
            next_campaign: self.next_campaign,
            next_attempt: self.next_attempt,
            orphans: self.orphans.iter().map(|orphan| (orphan.id, orphan.trunk)).collect(),
            undisposed: self.undisposed,
            truth: None,
            profiles,
            national: self.national,
        }
    }
}
