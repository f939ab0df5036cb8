//! The highest level times idle time: the skilled get calls sooner, and nobody is left out.

use std::cmp::Reverse;

use kraliki_time::Time;

use super::{Idle, Router, Standing};
use crate::AgentId;

/// The highest level.
const HIGHEST: u32 = 10;

pub(super) struct Skill;

impl Router for Skill {
    /// The higher the level, the lower the rank.
    fn rank(&self, agent: &Standing) -> u32 {
        HIGHEST.saturating_sub(u32::from(agent.level))
    }

    /// Within a level it is who is idle longest, so that ten agents are compared at most.
    fn choose(&self, now: Time, idle: &Idle, _: Option<AgentId>) -> Option<AgentId> {
        let weighed = (0..HIGHEST).filter_map(|rank| {
            let (since, agent) = idle.first_of(rank)?;
            let weight = now.since(since).as_nanos().saturating_mul(u128::from(HIGHEST - rank));
            Some((weight, Reverse(rank), agent))
        });
        weighed.max().map(|(.., agent)| agent)
    }
}
