//! What goes into the engine. A journal of these, with their times, replays a day.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::compliance::{NationalCopy, Profile};
use crate::ledger::LedgerMinute;
use crate::{
    AgentId, AttemptId, CallerIdDay, CallerIdPool, CallerIdPoolId, Campaign, CampaignId, CampaignSettings,
    Lead, LeadId, LeadStatus, Outcome, PauseReason, People, Pii, Quarantine, Skill, StoredTrunk, TeamId,
    TeamSettings, Trunk, TrunkGroup, TrunkGroupId, TrunkId, Truth, TryId,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// The wall clock: at start, then at least once a minute and whenever it steps.
    Clock {
        /// Milliseconds since 1970-01-01 UTC.
        unix_ms: i64,
    },
    /// What the store and the configuration knew at start; the first input after the clock.
    Restore(Box<Restore>),
    /// Somebody wants something; answered by one `Output::Reply` with the same number.
    Command {
        /// Chosen by the caller.
        reply: u64,
        /// What is wanted.
        command: Command,
    },
    /// Something happened on a line.
    Line {
        /// Which.
        id: TryId,
        /// What.
        event: LineEvent,
    },
    /// Something happened to an agent's leg.
    Agent {
        /// Whose.
        id: AgentId,
        /// What.
        event: AgentEvent,
    },
    /// The keep-alive of a trunk changed its mind.
    Trunk {
        /// Which.
        id: TrunkId,
        /// Whether it takes calls.
        up: bool,
    },
    /// The answer to `Output::AskTrunk`.
    TrunkAsked {
        /// Which.
        id: TrunkId,
        /// Whether it answered, and not with a failure of its own.
        answered: bool,
    },
    /// The writes up to this token are on disk.
    Committed {
        /// As given with `Output::Store`.
        token: u64,
    },
    /// The write with this token failed; nothing of it is on disk.
    CommitFailed {
        /// As given with `Output::Store`.
        token: u64,
    },
    /// The answer to `Output::Refill`.
    Leads {
        /// Whose.
        campaign: CampaignId,
        /// In the order in which they are to be dialed.
        leads: Vec<Lead>,
        /// When nothing is eligible now: the time (ms since 1970) at which the next lead is due; none when no lead is left at all.
        next_due_unix_ms: Option<i64>,
    },
    /// The answer to `Output::ReadLead`.
    Lead {
        /// As given.
        reply: u64,
        /// What the store has of it.
        answer: LeadAnswer,
    },
}

/// What the store has of one lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LeadAnswer {
    /// It is there.
    Found {
        /// The lead.
        lead: Box<Lead>,
        /// Where it stands.
        status: LeadStatus,
        /// Not to be dialed before this time, in ms since 1970.
        next_unix_ms: i64,
    },
    /// There is no such lead in the campaign.
    NotFound,
    /// It could not be read.
    Failed,
}

/// What happened on a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LineEvent {
    /// 100: the far end has it.
    Trying,
    /// 180 to 183.
    Ringing {
        /// Whether early media comes with it.
        early_media: bool,
    },
    /// 200 to our INVITE, already acknowledged.
    Answered {
        /// What is needed to end the call after a crash; opaque to the engine.
        dialog: Vec<u8>,
        /// Whether a verdict (person or machine) will follow. If not, a person is taken to be there.
        detecting: bool,
    },
    /// Who answered, or that it turned out to be somebody else.
    Verdict(Verdict),
    /// The beep behind a machine's greeting is over.
    Beep,
    /// Who answered spoke, and has been quiet for some seconds. Told of calls that are heard out alone.
    Quiet,
    /// The first RTP packet of the far end came in.
    FirstRtp,
    /// The first of the caller's packets went out to the agent.
    FirstPacket {
        /// When it was sent.
        at: Time,
    },
    /// The INVITE is refused by somebody who blocks calls, and says where that can be contested; its failure follows.
    Redress(String),
    /// The INVITE failed, or our CANCEL was confirmed.
    Failed(Failure),
    /// An answered call ended.
    Ended {
        /// Who ended it.
        by: EndedBy,
        /// Q.850 cause of the Reason header.
        q850: Option<u16>,
    },
    /// The message that was to be played is over.
    PlayDone,
    /// The message that was to be played cannot be: its sound is not there.
    PlayFailed,
    /// A key was pressed (0-9 * # A-D).
    Digit(char),
    /// Its recording could not be begun, or broke off; the call goes on.
    RecordingLost,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// A person.
    Person,
    /// An answering machine.
    Machine,
    /// The network: an announcement behind special information tones, busy. No message can be left there.
    Network,
    /// A service that asks who calls and waits for the answer.
    Screening,
    /// A fax or modem.
    Fax,
}

impl Verdict {
    /// The outcome of a call that such a one answered; none for a person, who gets an agent.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        match self {
            Verdict::Person => None,
            Verdict::Machine | Verdict::Network => Some(Outcome::Machine),
            Verdict::Screening => Some(Outcome::Screened),
            Verdict::Fax => Some(Outcome::Fax),
        }
    }
}

/// Who ended an answered call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// The called person or the carrier.
    Far,
    /// We did; this confirms it.
    Near,
    /// No RTP came for too long.
    MediaTimeout,
}

/// Why an INVITE did not become a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// A final response of 300 or above.
    Status {
        /// The status code.
        status: u16,
        /// Q.850 cause of the Reason header, which outranks the status.
        q850: Option<u16>,
        /// The text of the Reason header or of the status line.
        reason: String,
        /// Retry-After.
        retry_after: Option<Duration>,
        /// Whether anything beyond 100 had come.
        rang: bool,
    },
    /// Nothing came back in time (Timer B), or the transport failed.
    Timeout {
        /// Whether anything beyond 100 had come.
        rang: bool,
    },
    /// It ended because we took it back.
    Cancelled,
    /// It could not be sent: no port, a full queue.
    NotSent {
        /// In words.
        reason: String,
    },
}

/// What happened to an agent's leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentEvent {
    /// Audio runs both ways.
    LegUp,
    /// The leg is gone.
    LegDown,
    /// Nothing (no RTP, no STUN) came for a second.
    Silent,
    /// It came back.
    Alive,
}

/// What somebody wants. Who may want it is checked before it gets here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Answers with `Reply::Campaign`.
    CreateCampaign(Box<CampaignSettings>),
    /// New settings; take effect from the next decision on.
    UpdateCampaign {
        /// Which.
        id: CampaignId,
        /// What.
        settings: Box<CampaignSettings>,
    },
    /// Only a draft, paused or completed one without calls.
    DeleteCampaign(CampaignId),
    /// Draft, paused or completed to running.
    StartCampaign(CampaignId),
    /// Running to paused.
    PauseCampaign(CampaignId),
    /// A trunk is added, or one that was made by API gets another profile, which holds for new calls. Answers with
    /// `Reply::Trunk`.
    PutTrunk {
        /// Which; none: a new one.
        id: Option<TrunkId>,
        /// What; its id is given by the engine.
        trunk: Box<Trunk>,
        /// What the store keeps of it.
        stored: Box<StoredTrunk>,
    },
    /// A trunk that was made by API takes no new call, and is gone when its last one has ended. Not one that a campaign or
    /// another trunk names.
    DeleteTrunk(TrunkId),
    /// A trunk group is added or changed. Answers with `Reply::Group`.
    PutGroup {
        /// Which; none: a new one.
        id: Option<TrunkGroupId>,
        /// What.
        group: Box<TrunkGroup>,
    },
    /// A trunk group that was made by API goes. Not one that a campaign names.
    DeleteGroup(TrunkGroupId),
    /// A pool of caller ids is added or changed. Answers with `Reply::Pool`.
    PutPool {
        /// Which; none: a new one.
        id: Option<CallerIdPoolId>,
        /// What.
        pool: Box<CallerIdPool>,
    },
    /// A pool goes. Not one that a campaign names.
    DeletePool(CallerIdPoolId),
    /// A caller id is taken out of quarantine.
    LiftCallerId {
        /// E.164.
        number: String,
    },
    /// Leads of this campaign were added or changed in the store.
    LeadsChanged(CampaignId),
    /// What holds a lead? Answers with `Reply::Why`.
    Why {
        /// The lead as the store has it.
        lead: Box<Lead>,
        /// Where it stands.
        status: LeadStatus,
        /// Not to be dialed before this time, in ms since 1970.
        next_unix_ms: i64,
    },
    /// The number must not be called any more; removed from all hoppers at once.
    Suppress {
        /// E.164.
        phone: Pii<String>,
        /// Why, for the record.
        reason: String,
        /// Only by this campaign; none: by none.
        campaign: Option<CampaignId>,
    },
    /// Suppression lists changed in the store by an import: leads that were read before are read again. With the copy of a
    /// national list, if it was one.
    ListsChanged(Option<Box<NationalCopy>>),
    /// An agent signs in (paused until Ready).
    SignIn {
        /// Who.
        agent: AgentId,
        /// For screens.
        name: String,
    },
    /// Offline; during a call it takes effect after wrap-up.
    SignOut(AgentId),
    /// Ready for calls; needs a leg that is up. In wrap-up it ends the wrap-up, if a disposition is set.
    Ready(AgentId),
    /// Paused; during a call it takes effect after wrap-up.
    Pause {
        /// Who.
        agent: AgentId,
        /// Why.
        reason: String,
    },
    /// One more call, then offline; for who is in a call it is this one. Taken back by `Ready`.
    LastCall(AgentId),
    /// A supervisor sets an agent's state; in a call and its wrap-up it takes effect afterwards. The agent sees who did it.
    Force {
        /// Whose.
        agent: AgentId,
        /// What to be.
        state: Force,
        /// The supervisor.
        by: AgentId,
        /// The supervisor's name, for the agent's screen.
        by_name: String,
        /// The supervisor's words; of a pause, its reason.
        reason: String,
    },
    /// An agent makes the wrap-up that they are in longer, once, as their campaign allows.
    ExtendWrapUp(AgentId),
    /// A team is made, or all of one is set anew. Answers with `Reply::Team`.
    PutTeam {
        /// Which; none: a new one.
        id: Option<TeamId>,
        /// What.
        settings: Box<TeamSettings>,
    },
    /// Only a team without members and teams below it, that no campaign names.
    DeleteTeam(TeamId),
    /// Levels and priorities of agents for campaigns; those that are not named stay.
    SetSkills(Vec<Skill>),
    /// The whole list of reasons for a pause. Pauses that run keep the limits that they began with.
    SetPauseReasons(Vec<PauseReason>),
    /// When an agent's shift ends: no call is planned for them beyond it, and they go offline after the call that runs then.
    SetShift {
        /// Whose.
        agent: AgentId,
        /// In ms since 1970; none: as their teams' windows say.
        ends_unix_ms: Option<i64>,
    },
    /// Ends a call.
    Hangup(AttemptId),
    /// Puts a call on hold or takes it back.
    Hold {
        /// Which.
        call: AttemptId,
        /// Whether to hold.
        on: bool,
    },
    /// Leaves silence in a call's recording from now on (a card number is being said), or goes on recording. Done twice it
    /// is done once.
    PauseRecording {
        /// Which.
        call: AttemptId,
        /// Whether to pause.
        on: bool,
    },
    /// An agent says who answered the call that they have. A machine is hung up on, with outcome `machine`.
    MachineCheck {
        /// Which.
        call: AttemptId,
        /// Whether it is a machine.
        machine: bool,
    },
    /// Sends keys into a call.
    Dtmf {
        /// Which.
        call: AttemptId,
        /// 0-9 * # A-D, at most 32.
        digits: String,
    },
    /// An agent's result for a call, during it or after it; may be corrected. Answered when it is on disk.
    Dispose {
        /// Which.
        call: AttemptId,
        /// A code of the campaign.
        code: String,
        /// The agent's words.
        note: String,
        /// For a follow-up of `retry`: when, in ms since 1970.
        callback_unix_ms: Option<i64>,
        /// Whether the call's agent keeps that promise, if there in time; else whoever is free.
        personal: bool,
    },
    /// An agent dials a lead of a manual campaign, Ready or Paused, and is bound to that call from then on. Answered
    /// when the attempt is on disk, or at once with the rule that forbids it.
    DialLead {
        /// Who.
        agent: AgentId,
        /// Of which campaign.
        campaign: CampaignId,
        /// Whom.
        lead: LeadId,
    },
    /// An agent dials the lead on their screen.
    DialPreview {
        /// Who.
        agent: AgentId,
        /// The lead they see: another one is not dialed by mistake.
        lead: LeadId,
    },
    /// An agent passes the lead on their screen over; it is dialed later.
    SkipPreview {
        /// Who.
        agent: AgentId,
        /// The lead they see.
        lead: LeadId,
        /// Not before this long from now, in seconds (60 to 604800).
        delay_s: u32,
        /// The agent's words, kept with their time; may be empty.
        reason: String,
    },
    /// No new calls from now on; lines that ring are taken back, calls end or reach the deadline.
    Drain {
        /// After this long, calls are ended.
        deadline: Duration,
    },
}

/// A state that a supervisor sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Force {
    /// Takes calls; needs audio.
    Ready,
    /// Takes none.
    Paused,
    /// Signed out.
    Offline,
}

/// What the store and the configuration knew at start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Restore {
    /// Seed of every choice by chance.
    pub seed: u64,
    /// A pacing policy by name that every campaign uses instead of its mode's; empty: none. For demo and simulation.
    pub pacer: String,
    /// What a policy that is given the truth of the floor knows; for simulation.
    pub truth: Option<Truth>,
    /// From the configuration, and those that were made by API.
    pub trunks: Vec<Trunk>,
    /// The next trunk's id, for one that is made by API.
    pub next_trunk: i64,
    /// What trunks were used for of late.
    pub usage: Vec<TrunkUse>,
    /// From the configuration, and those that were made by API.
    pub groups: Vec<(TrunkGroupId, TrunkGroup)>,
    /// The next group's id, for one that is made by API.
    pub next_group: i64,
    /// Pools of caller ids.
    pub pools: Vec<(CallerIdPoolId, CallerIdPool)>,
    /// The next pool's id.
    pub next_pool: i64,
    /// What caller ids did, by day.
    pub caller_id_days: Vec<CallerIdDay>,
    /// Caller ids in quarantine.
    pub quarantined: Vec<Quarantine>,
    /// From the store.
    pub campaigns: Vec<RestoredCampaign>,
    /// The next campaign's id.
    pub next_campaign: i64,
    /// The next attempt's id.
    pub next_attempt: i64,
    /// Answered calls and tries that were alive at a crash: they count against the trunk until cleared, or 60 s.
    pub orphans: Vec<(TryId, TrunkId)>,
    /// Teams, levels, reasons for a pause, shifts.
    pub people: People,
    /// The next team's id.
    pub next_team: i64,
    /// Pauses of the last day, for limits that count by the day.
    pub paused: Vec<PausedBefore>,
    /// Calls without a disposition yet that agents may still give one to.
    pub undisposed: Vec<Undisposed>,
    /// Compliance profiles beside those that come with the dialer; one of the same name takes the place of theirs.
    pub profiles: Vec<Profile>,
    /// Copies of national do-not-call lists.
    pub national: Vec<NationalCopy>,
}

/// What a trunk was used for in a quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkUse {
    /// Which.
    pub trunk: TrunkId,
    /// The quarter of an hour in which the calls began, counted from 1970.
    pub quarter: i64,
    /// Calls.
    pub calls: u64,
    /// What they cost, in millionths.
    pub spent: u64,
}

/// A campaign with what it did so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestoredCampaign {
    /// The campaign.
    pub campaign: Campaign,
    /// What its ledger counts, of the last 30 days, by minute.
    pub ledger: Vec<LedgerMinute>,
}

/// A pause of the time before the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedBefore {
    /// Whose.
    pub agent: AgentId,
    /// Why.
    pub code: String,
    /// When it ended, in ms since 1970.
    pub until_unix_ms: i64,
    /// How long it was.
    pub lasted_ms: u64,
}

/// A connected call whose agent has not said what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undisposed {
    /// The call.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its lead.
    pub lead: LeadId,
    /// The number, for a disposition that suppresses it.
    pub phone: Pii<String>,
    /// Its agent.
    pub agent: AgentId,
    /// The lead's attempts that counted, this one included.
    pub attempts: u32,
    /// How many of the lead's attempts in a row ended connected, this one included.
    pub repeats: u32,
}
