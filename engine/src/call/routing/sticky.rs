//! Who talked with this lead last, when idle; else who is idle longest.

use kraliki_time::Time;

use super::{Idle, Router, Standing};
use crate::AgentId;

pub(super) struct Sticky;

impl Router for Sticky {
    fn rank(&self, _: &Standing) -> u32 {
        0
    }

    fn choose(&self, _: Time, idle: &Idle, last: Option<AgentId>) -> Option<AgentId> {
        last.filter(|agent| idle.contains(*agent)).or_else(|| idle.first())
    }
}
