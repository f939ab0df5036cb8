//! Dials ahead of agents by a forecast of supply and demand.

use kraliki_time::Time;

use super::{Decision, Observation, Pacer, View, progressive::Progressive};

pub(super) struct Predictive {
    cautious: Progressive,
}

impl Predictive {
    pub(super) fn new() -> Self {
        Predictive { cautious: Progressive }
    }
}

impl Pacer for Predictive {
    fn name(&self) -> &'static str {
        "predictive"
    }

    fn observe(&mut self, _now: Time, _seen: Observation) {}

    fn decide(&mut self, now: Time, view: &View<'_>) -> Decision {
        self.cautious.decide(now, view)
    }
}
