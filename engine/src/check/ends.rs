//! Nothing is left: after a drain there is no call, no channel in use, and nothing that waits.

use kraliki_time::Time;

use super::{Books, Check, End, Found};
use crate::{CallState, Command, Input, Output};

#[derive(Debug, Default)]
pub(super) struct Ends {
    draining: bool,
    drained: bool,
}

impl Check for Ends {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        self.draining |= matches!(input, Input::Command { command: Command::Drain { .. }, .. });
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        if *output == Output::Drained && (!self.draining || std::mem::replace(&mut self.drained, true)) {
            found.add(now, "drained twice or without being asked".into());
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        *self = Ends::default();
    }

    fn finish(&mut self, now: Time, end: &End<'_>, found: &mut Found) {
        if !end.drained {
            return;
        }
        if !self.drained {
            found.add(now, "the drain is not over".into());
        }
        for call in end.snapshot.calls.iter().filter(|call| call.state != CallState::Ended) {
            found.add(now, format!("call {} is stuck: {}", call.id, call.state.as_str()));
        }
        for trunk in end.snapshot.trunks.iter().filter(|trunk| trunk.channels > 0) {
            found.add(now, format!("trunk {} still has {} channels in use", trunk.name, trunk.channels));
        }
        let waits = [
            ("writes wait for their commit", end.gauges.committing),
            ("facts wait", end.gauges.facts_waiting),
            ("calls are being cleared", end.gauges.clearing),
        ];
        for (what, n) in waits.into_iter().filter(|(_, n)| *n > 0) {
            found.add(now, format!("{n} {what}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{BreakerState, Snapshot, TrunkId, TrunkView};
    use std::time::Duration;

    #[test]
    fn sees_what_is_left_and_a_drain_without_end() {
        let mut hand: Hand<Ends> = Hand::new(all_day());
        hand.output(&Output::Drained);
        hand.caught("without being asked");
        hand.command(1, Command::Drain { deadline: Duration::ZERO });
        hand.finish(&Snapshot::default(), None);
        hand.caught("the drain is not over");
        hand.output(&Output::Drained);
        hand.finish(&Snapshot::default(), None);
        hand.clean();
        let trunk = TrunkView {
            id: TrunkId(1),
            name: "carrier".into(),
            up: true,
            channels: 2,
            max_channels: 3,
            cps: 0,
            max_cps: 2,
            breaker: BreakerState::Closed,
            resting_s: 0,
            failures: 0,
            calls_today: 0,
            calls_per_day: 0,
            spent_today: 0.0,
            spend_per_day: 0.0,
            limit: None,
        };
        hand.finish(&Snapshot { trunks: vec![trunk], ..Snapshot::default() }, None);
        hand.caught("2 channels in use");
    }
}
