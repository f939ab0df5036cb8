//! An agent's state, as people see it.

mod desk;
mod forced;
mod leg;
mod live;
mod pauses;
mod preview;
mod shift;
mod wrap_up;

pub(crate) use forced::By;
pub(crate) use live::{Activity, AgentLive, Next, Preview, WrapUp};
pub(crate) use pauses::Pauses;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an agent is doing. Each change has a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Not signed in.
    Offline,
    /// Waiting for a call.
    Ready,
    /// Looking at a lead, to dial or to skip it.
    Preview,
    /// Chosen for an answered call whose first packet is on its way, or dialing by hand: takes no other call.
    Reserved,
    /// In a call.
    Talking,
    /// In a call that is on hold.
    Hold,
    /// The call is over, the record is being finished.
    WrapUp,
    /// Not available, with a reason.
    Paused,
}

impl AgentState {
    /// Every state.
    pub const ALL: [AgentState; 8] = [
        AgentState::Offline,
        AgentState::Ready,
        AgentState::Preview,
        AgentState::Reserved,
        AgentState::Talking,
        AgentState::Hold,
        AgentState::WrapUp,
        AgentState::Paused,
    ];

    /// The name used in the API and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            AgentState::Offline => "offline",
            AgentState::Ready => "ready",
            AgentState::Preview => "preview",
            AgentState::Reserved => "reserved",
            AgentState::Talking => "talking",
            AgentState::Hold => "hold",
            AgentState::WrapUp => "wrap_up",
            AgentState::Paused => "paused",
        }
    }
}
