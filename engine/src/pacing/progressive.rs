//! One line for each idle agent: nobody is abandoned, and agents wait a whole ring for each call.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{Decision, Pacer, View};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Progressive;

impl Pacer for Progressive {
    fn name(&self) -> &'static str {
        "progressive"
    }

    fn keeps_an_agent(&self) -> bool {
        true
    }

    fn decide(&mut self, _now: Time, view: &View<'_>) -> Decision {
        let (idle, open) = (view.idle(), view.open());
        let dial = u32::try_from(idle.saturating_sub(open)).unwrap_or(u32::MAX).min(view.most);
        Decision {
            dial,
            reason: format!("one line for each of {idle} idle agents, {open} open"),
            ..Decision::default()
        }
    }
}
