//! Manual and preview: agents dial, the dialer does not.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{Decision, Pacer, View};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ByHand;

impl Pacer for ByHand {
    fn name(&self) -> &'static str {
        "by_hand"
    }

    fn decide(&mut self, _now: Time, _view: &View<'_>) -> Decision {
        Decision { reason: "agents dial by hand".into(), ..Decision::default() }
    }
}
