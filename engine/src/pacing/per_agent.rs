//! A fixed number of lines for each agent who is there, calls in progress included: what a "dial level" was before
//! dialers adapted it. A row to beat, not a mode of a campaign.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{Decision, Pacer, View};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PerAgent {
    pub(super) lines: f64,
}

impl Pacer for PerAgent {
    fn name(&self) -> &'static str {
        "per_agent"
    }

    fn decide(&mut self, _now: Time, view: &View<'_>) -> Decision {
        let agents = view.agents.len();
        let busy = agents - view.idle();
        // Agents are few thousands, and `as` saturates.
        let wanted = (agents as f64 * self.lines).round() as usize;
        let dial = wanted.saturating_sub(view.open() + busy);
        Decision {
            dial: u32::try_from(dial).unwrap_or(u32::MAX).min(view.most),
            reason: format!(
                "{} lines for each of {agents} agents, {} open, {busy} busy",
                self.lines,
                view.open()
            ),
            ..Decision::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::{AgentPhase, testing::view};

    #[test]
    fn calls_in_progress_count_as_lines() {
        let mut agents = [AgentPhase::Idle; 10];
        let mut pacer = PerAgent { lines: 1.35 };
        assert_eq!(pacer.decide(Time::ZERO, &view(&agents)).dial, 14);
        agents[..6].fill(AgentPhase::Talking { since: Time::ZERO });
        assert_eq!(pacer.decide(Time::ZERO, &view(&agents)).dial, 8);
    }
}
