//! The dialer: campaigns, leads, pacing, agents, calls, storage.
//!
//! One [`Engine`] owns all dialing state on a node and changes it in one place, input by input. It is a state machine
//! without sockets, clocks or threads: call `handle_input(now, input)` or `handle_timeout(now)`, then drain
//! `poll_output()` until it gives [`Output::Timeout`]. The driver around it lives in `runtime/`.

mod agent;
mod call;
mod caller_id;
mod campaign;
pub mod check;
mod clock;
pub mod compliance;
mod counters;
mod engine;
mod event;
mod id;
mod input;
pub mod journal;
mod lead;
mod ledger;
mod limits;
mod outcome;
mod output;
mod pacing;
mod pii;
mod quality;
pub mod runtime;
pub mod simulate;
pub mod store;
mod team;
#[cfg(test)]
mod testing;
mod timer;
mod trunk;

pub use agent::AgentState;
pub use caller_id::{
    CallerIdDay, CallerIdPool, CallerIdPoolView, CallerIdState, CallerIdUse, CallerIdView, NoCallerId,
    Quarantine, QuarantineReason, Rotation,
};
pub use campaign::{
    AgentLost, CallingWindow, Campaign, CampaignSettings, CampaignStatus, Disposition, FollowUp,
    MachineDetection, Mix, Mode, RecordingPolicy, RetryRule, Routing,
};
pub use counters::{Counters, Gauges, Spread};
pub use engine::{Engine, NotACheckpoint, Prospect, Reason, Why};
pub use event::{
    AgentView, BreakerState, CallState, CallView, CampaignView, Event, ForcedView, LeadView, MachineChecks,
    MachineSign, PhoneProblem, PhoneState, PhoneView, PreviewView, RecordingState, Snapshot, TrunkLimit,
    TrunkView,
};
pub use id::{
    AgentId, AttemptId, CallerIdPoolId, CampaignId, LeadId, ListId, TeamId, TrunkGroupId, TrunkId, TryId,
};
pub use input::{
    AgentEvent, Command, EndedBy, Failure, Force, Input, LeadAnswer, LineEvent, PausedBefore, Restore,
    RestoredCampaign, TrunkUse, Undisposed, Verdict,
};
pub use lead::import::{Dedupe, ImportError, ImportOptions, ImportReport};
pub use lead::list::{Comparison, LeadPick, ListOrder, ListSettings};
pub use lead::phones::{LeadPhone, PhoneChange, PhoneStatus};
pub use lead::{Callback, Consent, ConsentKind, Lead, LeadStatus};
pub use ledger::{LedgerCounts, LedgerMinute};
pub use outcome::Outcome;
pub use output::{CancelReason, CommandError, Dial, LeadChange, Mark, Message, NewTry, Output, Reply, Write};
pub use pacing::{AgentPhase, Alone, Decision, LineView, Observation, Outlook, Pacer, Traits, Truth, View};
pub use pii::Pii;
pub use quality::{CallQuality, Grade, LegFigures, LegRecord, Side, Unheard, UnheardView};
pub use team::{
    Labels, PauseReason, People, PeopleChange, SKILL_DEFAULT, ShiftWindow, Skill, Team, TeamSettings,
};
pub use trunk::{GroupMember, OverCap, StoredTrunk, Trunk, TrunkGroup};
