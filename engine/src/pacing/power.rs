//! A fixed number of lines for each idle agent, as the manager set it.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{Decision, Pacer, View};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Power {
    /// Instead of the campaign's own number; for simulations.
    pub(super) lines: Option<f64>,
}

impl Pacer for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn decide(&mut self, _now: Time, view: &View<'_>) -> Decision {
        let (idle, open) = (view.idle(), view.open());
        // A campaign's agents are few thousands and lines_per_agent is at most 10: far inside u32, and `as` saturates.
        let lines = self.lines.unwrap_or(view.lines_per_agent);
        let wanted = (idle as f64 * lines).round() as u32;
        let dial = wanted.saturating_sub(u32::try_from(open).unwrap_or(u32::MAX)).min(view.most);
        Decision {
            dial,
            reason: format!("{lines} lines for each of {idle} idle agents, {open} open"),
            ..Decision::default()
        }
    }
}
