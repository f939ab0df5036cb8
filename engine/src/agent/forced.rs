//! A supervisor sets an agent's state, and the agent sees who did it.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::desk::invalid;
use super::{Activity, AgentLive, Next};
use crate::event::ForcedView;
use crate::limits::NAME_MOST;
use crate::{AgentId, AgentState, CommandError, Engine, Force};

/// Who set a state, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct By {
    pub(crate) by: AgentId,
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Engine {
    pub(crate) fn force(&mut self, now: Time, id: AgentId, state: Force, by: By) -> Result<(), CommandError> {
        if by.reason.len() > NAME_MOST {
            return Err(invalid("reason", "must have at most 200 characters"));
        }
        let reason = by.reason.clone();
        match state {
            Force::Ready => self.force_ready(now, id, by)?,
            Force::Paused => self.leave(now, id, Next::Paused(reason), Some(by))?,
            Force::Offline => self.leave(now, id, Next::Offline, Some(by))?,
        }
        self.counters.forced += 1;
        Ok(())
    }

    /// Out of a pause at once. In a call or its wrap-up: whatever was to follow does not.
    fn force_ready(&mut self, now: Time, id: AgentId, by: By) -> Result<(), CommandError> {
        let agent = self.signed_in(id)?;
        match &agent.activity {
            Activity::Ready | Activity::Preview(_) => {}
            Activity::Paused(_) | Activity::Offline => {
                if !agent.leg_up {
                    let text = "this agent has no audio, and cannot be made ready";
                    return Err(CommandError::Conflict(text.into()));
                }
                agent.last_call = false;
                self.enter_by(now, id, Activity::Ready, Some(by));
                self.serve(now, id);
            }
            _ => {
                (agent.next, agent.next_by, agent.last_call) = (None, Some(by), false);
                self.pace_wanted = true;
                self.show_agent(id);
            }
        }
        Ok(())
    }
}

impl AgentLive {
    /// The state that a supervisor set: what is to come, else what is.
    pub(crate) fn forced_view(&self) -> Option<ForcedView> {
        let coming = self.next_by.as_ref().map(|by| {
            let state = match self.next {
                Some(Next::Offline) => AgentState::Offline,
                Some(Next::Paused(_)) => AgentState::Paused,
                None => AgentState::Ready,
            };
            (state, by)
        });
        let (state, by) = coming.or(self.by.as_ref().map(|by| (self.state(), by)))?;
        Some(ForcedView { state, by: by.by, by_name: by.name.clone(), reason: by.reason.clone() })
    }
}
