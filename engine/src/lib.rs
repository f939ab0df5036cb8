//! The dialer: campaigns, leads, pacing, agents, calls, storage.
//!
//! One [`Engine`] owns all dialing state on a node and changes it in one place, input by input. It is a state machine
//! without sockets, clocks or threads: call `handle_input(now, input)` or `handle_timeout(now)`, then drain
//! `poll_output()` until it gives [`Output::Timeout`]. The driver around it lives in `runtime/`.

mod agent;
mod call;
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
#[cfg(test)]
mod testing;
mod timer;
mod trunk;

pub use agent::AgentState;
pub use campaign::{
    CallingWindow, Campaign, CampaignSettings, CampaignStatus, Disposition, FollowUp, MachineDetection, Mode,
    RecordingPolicy, RetryRule,
};
pub use counters::{Counters, Gauges, Spread};
pub use engine::{Engine, NotACheckpoint};
pub use event::{
    AgentView, BreakerState, CallState, CallView, CampaignView, Event, LeadView, PhoneProblem, PhoneState,
    PhoneView, PreviewView, RecordingState, Snapshot, TrunkView,
};
pub use id::{AgentId, AttemptId, CampaignId, LeadId, ListId, TrunkId, TryId};
pub use input::{
    AgentEvent, Command, EndedBy, Failure, Input, LeadAnswer, LineEvent, Restore, RestoredCampaign,
    Undisposed, Verdict,
};
pub use lead::import::{ImportError, ImportReport};
pub use lead::{Consent, ConsentKind, Lead, LeadStatus};
pub use ledger::LedgerMinute;
pub use outcome::Outcome;
pub use output::{CancelReason, CommandError, Dial, LeadChange, Message, NewTry, Output, Reply, Write};
pub use pacing::{AgentPhase, Alone, Decision, LineView, Observation, Outlook, Pacer, Traits, Truth, View};
pub use pii::Pii;
pub use quality::{CallQuality, Grade, LegFigures, LegRecord, Side, Unheard, UnheardView};
pub use trunk::{StoredTrunk, Trunk};
