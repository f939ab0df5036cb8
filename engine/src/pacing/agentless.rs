//! Agentless: as many calls at once as the manager allows; nobody waits for an agent unless they ask for one.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{Decision, Pacer, View};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Agentless;

impl Pacer for Agentless {
    fn name(&self) -> &'static str {
        "agentless"
    }

    fn decide(&mut self, _now: Time, view: &View<'_>) -> Decision {
        let dial = view.max_lines.saturating_sub(view.calls).min(view.most);
        Decision {
            dial,
            reason: format!("{} of {} calls at once", view.calls, view.max_lines),
            ..Decision::default()
        }
    }
}
