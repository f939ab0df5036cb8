//! Who had the fewest calls since signing in.

use kraliki_time::Time;

use super::{Idle, Router, Standing};
use crate::AgentId;

pub(super) struct FewestCalls;

impl Router for FewestCalls {
    fn rank(&self, agent: &Standing) -> u32 {
        agent.calls
    }

    fn choose(&self, _: Time, idle: &Idle, _: Option<AgentId>) -> Option<AgentId> {
        idle.first()
    }
}
