//! Who is idle longest.

use kraliki_time::Time;

use super::{Idle, Router, Standing};
use crate::AgentId;

pub(super) struct LongestIdle;

impl Router for LongestIdle {
    fn rank(&self, _: &Standing) -> u32 {
        0
    }

    fn choose(&self, _: Time, idle: &Idle, _: Option<AgentId>) -> Option<AgentId> {
        idle.first()
    }
}
