//! What the engine wants done. Drained after each input until a `Timeout` comes.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::{
    AgentId, AttemptId, Callback, CallerIdDay, CallerIdPool, CallerIdPoolId, Campaign, CampaignId, LeadId,
    LeadStatus, LegRecord, Outcome, PeopleChange, PhoneChange, Pii, Quarantine, StoredTrunk, TeamId,
    TrunkGroup, TrunkGroupId, TrunkId, TryId, Why,
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// Send the INVITE of a committed try. Answered by `LineEvent`s.
    Dial(Dial),
    /// Take a line back that has not been answered.
    Cancel {
        /// Which.
        id: TryId,
        /// For the Reason header.
        reason: CancelReason,
    },
    /// End an answered call.
    Hangup {
        /// Which.
        id: TryId,
    },
    /// Connect an answered call with an agent's leg.
    Bridge {
        /// Which call.
        id: TryId,
        /// Whose leg.
        agent: AgentId,
    },
    /// Part them; both legs stay.
    Unbridge {
        /// Which call.
        id: TryId,
    },
    /// Hold or resume a bridged call.
    Hold {
        /// Which call.
        id: TryId,
        /// Whether to hold.
        on: bool,
    },
    /// Record an answered call from now on, both sides; it was just bridged. Further bridges of it are recorded too.
    Record {
        /// Which call.
        id: TryId,
        /// Whose leg it is bridged to.
        agent: AgentId,
        /// Both sides hear a beep so many seconds apart; 0: never.
        beep_s: u32,
    },
    /// Leave silence in a call's recording, or go on.
    PauseRecording {
        /// Which call.
        id: TryId,
        /// Whether to pause.
        on: bool,
    },
    /// A call's recording is over.
    StopRecording {
        /// Which call.
        id: TryId,
    },
    /// Send keys to the far end.
    Dtmf {
        /// Which call.
        id: TryId,
        /// The keys.
        digits: String,
    },
    /// Play a message of the campaign's to the far end; answered by `LineEvent::PlayDone`.
    Play {
        /// Which call.
        id: TryId,
        /// Whose message.
        campaign: CampaignId,
        /// Which message.
        what: Message,
    },
    /// Stop what is played; no `PlayDone` follows.
    StopPlay {
        /// Which call.
        id: TryId,
    },
    /// Ask a trunk by OPTIONS whether it works again; answered by `Input::TrunkAsked`.
    AskTrunk {
        /// Which.
        id: TrunkId,
    },
    /// Put this on disk, after everything given before. With a token it is answered by `Committed` or `CommitFailed`.
    Store {
        /// Present when the engine waits for it.
        token: Option<u64>,
        /// What.
        write: Write,
    },
    /// Read leads that may be dialed now, in the store's order with the writes. Answered by `Input::Leads`.
    Refill {
        /// Whose.
        campaign: CampaignId,
        /// How many at most.
        limit: u32,
    },
    /// Read one lead, in the store's order with the writes. Answered by `Input::Lead`.
    ReadLead {
        /// The command that wants it; comes back with the answer.
        reply: u64,
        /// Whose.
        campaign: CampaignId,
        /// Which.
        lead: LeadId,
    },
    /// The answer to a command.
    Reply {
        /// As given with the command.
        reply: u64,
        /// What came of it.
        result: Result<Reply, CommandError>,
    },
    /// Something people may want to see.
    Event(Event),
    /// A drain is over: nothing is in progress any more.
    Drained,
    /// Nothing more to do now; call `handle_timeout` at this time, if any.
    Timeout(Option<Time>),
}

/// A message that a campaign plays to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// For a person whom nobody can take.
    Abandoned,
    /// What an agentless campaign has to say.
    Prompt,
    /// What machines are left.
    Voicemail,
    /// For people who call back.
    Callback,
}

/// An INVITE to send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dial {
    /// The try; the Call-ID is made from it.
    pub id: TryId,
    /// Over which trunk.
    pub trunk: TrunkId,
    /// The number to call, E.164.
    pub phone: Pii<String>,
    /// The number to show, E.164.
    pub caller_id: String,
    /// Whether to listen who answers.
    pub detect: bool,
    /// Whether another trunk can take the call when this one says nothing.
    pub others: bool,
    /// Whether to listen on until the call is bridged or over: a machine's greeting is to be heard out.
    pub hear_out: bool,
}

/// Why a line was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReason {
    /// It rang long enough.
    RingTimeout,
    /// The pacer sees no agent for it.
    Pacing,
    /// The dialer stops.
    Drain,
    /// Its trunk has spent what it may today.
    Spend,
    /// A person asked for it.
    Command,
}

/// A change for the store. Applied in order, many to a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Write {
    /// A try is about to be sent: the attempt is created with its first try, the lead becomes `dialing`. A further try is
    /// refused when the attempt is over, or its lead not `dialing` any more.
    Try(NewTry),
    /// A try ended without ending the attempt, or with it.
    TryEnded {
        /// Which.
        id: TryId,
        /// Its final status; none when nothing came.
        status: Option<u16>,
        /// The raw Q.850 cause.
        q850: Option<u16>,
        /// Milliseconds since 1970.
        at_unix_ms: i64,
    },
    /// A try was answered: what is needed to end it after a crash.
    Answered {
        /// Which.
        id: TryId,
        /// Opaque.
        dialog: Vec<u8>,
        /// Milliseconds since 1970.
        at_unix_ms: i64,
    },
    /// An answered call was given to an agent.
    Connected {
        /// Which.
        attempt: AttemptId,
        /// To whom.
        agent: AgentId,
        /// Milliseconds since 1970.
        at_unix_ms: i64,
        /// How long the person waited, in ms.
        wait_ms: u32,
        /// Later than the grace: counted as abandoned in the ledger.
        late: bool,
    },
    /// A call that an agent had goes on with another one: the call is this one's from now on.
    HandedOver {
        /// Which.
        attempt: AttemptId,
        /// Whose it is now.
        agent: AgentId,
    },
    /// An agent's part of a call that more than one agent had, when it is over.
    Part {
        /// Of which call.
        attempt: AttemptId,
        /// Whose.
        agent: AgentId,
        /// When it began, in ms since 1970.
        from_unix_ms: i64,
        /// How long they talked, in ms.
        lasted_ms: u64,
    },
    /// Teams, levels, reasons for a pause or shifts were changed.
    People(Box<PeopleChange>),
    /// An attempt is over. Written once; a second one for the same attempt is refused.
    AttemptEnded {
        /// Which.
        attempt: AttemptId,
        /// How.
        outcome: Outcome,
        /// Milliseconds since 1970.
        at_unix_ms: i64,
        /// With an agent, in ms: from the bridge to the end, the time between two agents left out.
        talk_ms: u64,
        /// What becomes of the lead.
        lead: LeadChange,
    },
    /// What is known of who answered, beside the outcome.
    Marked {
        /// Which.
        attempt: AttemptId,
        /// What.
        mark: Mark,
    },
    /// What an agent said of a call; a later one replaces it, both stay in the history.
    Disposed {
        /// Which.
        attempt: AttemptId,
        /// A code of the campaign.
        code: String,
        /// The agent's words.
        note: String,
        /// Milliseconds since 1970.
        at_unix_ms: i64,
        /// What becomes of the lead; nothing when it has been dialed again since.
        lead: Option<LeadChange>,
    },
    /// A lead is not to be dialed before this time (outside its hours), or not at all.
    Lead(LeadChange),
    /// A number that must not be called.
    Suppress {
        /// E.164.
        phone: Pii<String>,
        /// Why.
        reason: String,
        /// Only by this campaign; none: by none.
        campaign: Option<CampaignId>,
        /// Milliseconds since 1970.
        at_unix_ms: i64,
    },
    /// A campaign was created or changed.
    Campaign(Box<Campaign>),
    /// A campaign was deleted: its leads and settings go, its attempts stay.
    CampaignDeleted(CampaignId),
    /// A trunk was made by API, or changed.
    Trunk(StoredTrunk),
    /// A trunk was deleted: its profile and its password go.
    TrunkDeleted(TrunkId),
    /// A trunk group was made by API, or changed.
    TrunkGroup {
        /// Which.
        id: TrunkGroupId,
        /// What.
        group: Box<TrunkGroup>,
    },
    /// A trunk group was deleted.
    TrunkGroupDeleted(TrunkGroupId),
    /// A pool of caller ids was made, or changed.
    CallerIdPool {
        /// Which.
        id: CallerIdPoolId,
        /// What.
        pool: Box<CallerIdPool>,
    },
    /// A pool was deleted.
    CallerIdPoolDeleted(CallerIdPoolId),
    /// What caller ids did on a day, so far: it replaces what was written of that day.
    CallerIdDays(Vec<CallerIdDay>),
    /// A caller id is in quarantine.
    Quarantine(Box<Quarantine>),
    /// A caller id is so no longer: a person said so.
    CallerIdLifted {
        /// E.164.
        number: String,
    },
    /// Nothing: it shows whether the disk takes writes again.
    Probe,
    /// An agent's state ended, for reports: how long it lasted.
    AgentTime {
        /// Who.
        agent: AgentId,
        /// Which state.
        state: crate::AgentState,
        /// The pause's reason, or why a supervisor set the state; else empty.
        reason: String,
        /// The supervisor who set it; none: the agent did, or it came of itself. An agent who is put offline has a row for
        /// that alone, which lasted no time.
        forced_by: Option<AgentId>,
        /// When it began, in ms since 1970.
        from_unix_ms: i64,
        /// How long it lasted, in ms.
        lasted_ms: u64,
    },
    /// How a side of a call was heard. The driver writes it.
    Leg {
        /// Of which call.
        attempt: AttemptId,
        /// How.
        leg: Box<LegRecord>,
    },
}

/// What is known of who answered an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// A message was played to a machine, to its end.
    MessageLeft,
    /// It was taken for a machine, and given to an agent to be checked.
    Sampled,
    /// The agent of a sampled call said who it was.
    Checked {
        /// Whether it is a machine.
        machine: bool,
    },
}

/// An attempt's first or further try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTry {
    /// Which.
    pub id: TryId,
    /// Whose.
    pub campaign: CampaignId,
    /// Whom.
    pub lead: LeadId,
    /// Over which trunk.
    pub trunk: TrunkId,
    /// E.164.
    pub phone: Pii<String>,
    /// E.164.
    pub caller_id: String,
    /// What a minute of it costs once it is answered, in millionths.
    pub price: u64,
    /// Milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Until when the lead must not be dialed again should we crash, in ms since 1970.
    pub crash_retry_unix_ms: i64,
    /// Under which rules it is made: profile, places, time zone, consent. Empty for a further try, and without a profile.
    pub evidence: String,
}

/// What becomes of a lead. The store applies it only while the lead is not suppressed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadChange {
    /// Which.
    pub lead: LeadId,
    /// New status.
    pub status: LeadStatus,
    /// Not before this time, in ms since 1970.
    pub next_unix_ms: i64,
    /// Attempts that counted so far.
    pub attempts: u32,
    /// How the last attempt ended.
    pub last_outcome: Option<Outcome>,
    /// How many in a row ended like that.
    pub repeats: u32,
    /// What was promised to the person; none: nothing, or not any more.
    pub callback: Option<Callback>,
    /// What became of its phones; none when it has one only, or none was dialed.
    pub phone: Option<PhoneChange>,
}

/// A command that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done, and on disk where it must be.
    Done,
    /// A campaign, as it now is.
    Campaign(Box<Campaign>),
    /// A team that was made or changed.
    Team(TeamId),
    /// A trunk that was made or changed. Calls go by it from now on.
    Trunk(TrunkId),
    /// What holds a lead.
    Why(Box<Why>),
    /// A trunk group that was made or changed.
    Group(TrunkGroupId),
    /// A pool of caller ids that was made or changed.
    Pool(CallerIdPoolId),
}

/// A command that was not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum CommandError {
    /// There is no such campaign, call, agent, lead, team, trunk, trunk group or pool.
    #[error("{what} {id} does not exist")]
    NotFound {
        /// `campaign`, `call`, `agent`, `lead`, `team`, `trunk`, `trunk group` or `caller id pool`.
        what: String,
        /// As given.
        id: i64,
    },
    /// Not possible in the present state; the text says what to do.
    #[error("{0}")]
    Conflict(String),
    /// A value is out of range.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// It could not be put on disk; try again.
    #[error("the store did not take it; try again")]
    Store,
    /// Too many commands wait; try again.
    #[error("the dialer is overloaded; try again in {} ms", .0.as_millis())]
    Overloaded(Duration),
}
