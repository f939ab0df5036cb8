//! Where a call stands: each stage owns what belongs to it.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::event::CallState;
use crate::{AgentId, CancelReason};

/// The life of a call, from the decision to the last confirmation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Given to the store; nothing was sent.
    Committing,
    /// Committed; waits for its turn under the trunk's calls per second.
    Queued,
    /// The INVITE is out.
    Dialing,
    /// It rings.
    Ringing { since: Time },
    /// We take it back.
    Cancelling { reason: CancelReason, ringing: Option<Time> },
    /// Answered; who it is is not known yet.
    Detecting { answered: Time },
    /// A person waits for an agent.
    Waiting { answered: Time, since: Time },
    /// Given to an agent; the first packet is on its way.
    Reserved(Talk),
    /// With an agent.
    Talking(Talk),
    /// With an agent, on hold.
    Held(Talk),
    /// The agent's leg is lost; the call is held for the agent to return.
    AgentLost(Talk),
    /// Hears the message of an abandoned call.
    Message { answered: Time },
    /// Hears the prompt of an agentless call, and may press a key.
    Prompt { answered: Time },
    /// A machine's greeting is heard out.
    Greeting { answered: Time },
    /// A machine is left its message.
    Voicemail { answered: Time },
    /// The outcome is written; the end is not confirmed yet.
    Clearing,
}

/// A call with an agent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Talk {
    pub(crate) answered: Time,
    pub(crate) agent: AgentId,
    pub(crate) bridged: Time,
    /// Whether the agent heard something yet.
    pub(crate) heard: bool,
}

impl Stage {
    /// As people see it.
    pub(crate) fn state(&self) -> Option<CallState> {
        Some(match self {
            Stage::Committing | Stage::Queued | Stage::Dialing => CallState::Dialing,
            Stage::Ringing { .. } | Stage::Cancelling { ringing: Some(_), .. } => CallState::Ringing,
            Stage::Cancelling { ringing: None, .. } => CallState::Dialing,
            Stage::Detecting { .. } => CallState::Detecting,
            Stage::Waiting { .. } => CallState::Waiting,
            Stage::Reserved(_) | Stage::Talking(_) | Stage::AgentLost(_) => CallState::Talking,
            Stage::Held(_) => CallState::Hold,
            Stage::Message { .. } | Stage::Prompt { .. } => CallState::Message,
            Stage::Greeting { .. } | Stage::Voicemail { .. } => CallState::Voicemail,
            Stage::Clearing => return None,
        })
    }

    /// A line that may still be answered.
    pub(crate) fn is_line(&self) -> bool {
        matches!(self, Stage::Committing | Stage::Queued | Stage::Dialing | Stage::Ringing { .. })
    }

    /// Since when it rings, if it does.
    pub(crate) fn ringing(&self) -> Option<Time> {
        match self {
            Stage::Ringing { since } => Some(*since),
            Stage::Cancelling { ringing, .. } => *ringing,
            _ => None,
        }
    }

    /// When it was answered, if it was.
    pub(crate) fn answered(&self) -> Option<Time> {
        match self {
            Stage::Detecting { answered }
            | Stage::Waiting { answered, .. }
            | Stage::Message { answered }
            | Stage::Prompt { answered }
            | Stage::Greeting { answered }
            | Stage::Voicemail { answered } => Some(*answered),
            _ => self.talk().map(|talk| talk.answered),
        }
    }

    /// With whom it is, if it is with an agent.
    pub(crate) fn talk(&self) -> Option<Talk> {
        match self {
            Stage::Reserved(talk) | Stage::Talking(talk) | Stage::Held(talk) | Stage::AgentLost(talk) => {
                Some(*talk)
            }
            _ => None,
        }
    }
}
