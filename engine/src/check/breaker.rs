//! No retry storm: a trunk that fails call after call rests, and then gets one call at a time until one succeeds.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;

use super::{Books, Check, Found, TrunkChanges};
use crate::{CancelReason, Failure, Input, LineEvent, Outcome, Output, Trunk, TrunkId, TryId};

#[derive(Debug, Default)]
pub(super) struct Resting {
    trunks: BTreeMap<TrunkId, Line>,
    calls: BTreeMap<TryId, Call>,
    changes: TrunkChanges,
}

#[derive(Debug)]
struct Line {
    trunk: Trunk,
    /// Failures in a row.
    failures: u32,
    /// When the last of them came, once there were enough.
    opened: Option<Time>,
    /// Whether it answered when it was asked since.
    answered: bool,
    /// The calls that went out since.
    probes: Vec<TryId>,
}

impl Line {
    fn new(trunk: &Trunk) -> Line {
        Line { trunk: trunk.clone(), failures: 0, opened: None, answered: false, probes: Vec::new() }
    }
}

#[derive(Debug)]
struct Call {
    trunk: TrunkId,
    rang: bool,
    taken_back: bool,
    /// For its ring time.
    rang_out: bool,
}

impl Resting {
    /// Whether the failure is the trunk's: counted by the table of outcomes, as the engine is told to.
    fn is_the_trunk_s(call: &Call, failure: &Failure) -> Option<bool> {
        let outcome = match failure {
            // Taken back for its ring time, without one word from the far side.
            Failure::Cancelled if call.rang_out && !call.rang => return Some(true),
            Failure::Status { status: 200 | 487, .. } if call.taken_back => return None,
            Failure::Cancelled | Failure::NotSent { .. } => return None,
            Failure::Status { status, q850, reason, rang, .. } => {
                Outcome::of_failure(Some(*status), *q850, reason, *rang || call.rang)
            }
            Failure::Timeout { rang } => Outcome::of_failure(None, None, "", *rang || call.rang),
        };
        Some(matches!(outcome, Outcome::Congestion | Outcome::TrunkFault))
    }

    fn sign(&mut self, now: Time, id: TryId, trunk: TrunkId, bad: bool) {
        let Some(line) = self.trunks.get_mut(&trunk) else { return };
        let probe = line.probes.contains(&id);
        match line.opened {
            None if bad => {
                line.failures += 1;
                if line.trunk.breaker_failures > 0 && line.failures >= line.trunk.breaker_failures {
                    (line.opened, line.answered) = (Some(now), false);
                    line.probes.clear();
                }
            }
            None => line.failures = 0,
            Some(_) if probe && bad => {
                (line.opened, line.answered) = (Some(now), false);
                line.probes.clear();
            }
            Some(_) if probe => (line.opened, line.failures) = (None, 0),
            Some(_) => {}
        }
    }
}

impl Check for Resting {
    fn input(&mut self, now: Time, input: &Input, _found: &mut Found) {
        self.changes.input(input);
        match input {
            Input::Restore(restore) if self.trunks.is_empty() => {
                for trunk in &restore.trunks {
                    self.trunks.insert(trunk.id, Line::new(trunk));
                }
            }
            Input::TrunkAsked { id, answered } => {
                if let Some(line) = self.trunks.get_mut(id) {
                    line.answered = *answered;
                }
            }
            Input::Line { id, event } => {
                let Some(call) = self.calls.get_mut(id) else { return };
                let trunk = call.trunk;
                let bad = match event {
                    LineEvent::Ringing { .. } => {
                        call.rang = true;
                        Some(false)
                    }
                    LineEvent::Answered { .. } => Some(false),
                    LineEvent::Failed(failure) => Self::is_the_trunk_s(call, failure),
                    _ => None,
                };
                if matches!(
                    event,
                    LineEvent::Failed(_) | LineEvent::Ended { .. } | LineEvent::Answered { .. }
                ) {
                    self.calls.remove(id);
                }
                match bad {
                    Some(bad) => self.sign(now, *id, trunk, bad),
                    // It said nothing: another may try.
                    None if matches!(event, LineEvent::Failed(_)) => {
                        if let Some(line) = self.trunks.get_mut(&trunk) {
                            line.probes.retain(|probe| probe != id);
                        }
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        // Somebody looked after it: it begins anew.
        if let Some(trunk) = self.changes.output(output) {
            self.trunks.insert(trunk.id, Line::new(&trunk));
        }
        match output {
            Output::Cancel { id, reason } => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.taken_back = true;
                    call.rang_out = *reason == CancelReason::RingTimeout;
                }
            }
            Output::Dial(dial) => {
                let call = Call { trunk: dial.trunk, rang: false, taken_back: false, rang_out: false };
                self.calls.insert(dial.id, call);
                let Some(line) = self.trunks.get_mut(&dial.trunk) else { return };
                let Some(opened) = line.opened else { return };
                let pause = Duration::from_secs(line.trunk.breaker_pause_s.into());
                let name = &line.trunk.name;
                if now.since(opened) < pause {
                    found.add(now, format!("{} is dialed while trunk {name} rests", dial.id));
                }
                if line.trunk.options_keepalive && !line.answered {
                    found.add(now, format!("{} is dialed and trunk {name} has not answered since", dial.id));
                }
                // A probe that nobody confirms is over after a while, for the engine as for us.
                let calls = &self.calls;
                line.probes.retain(|probe| calls.get(probe).is_some_and(|call| !call.taken_back));
                line.probes.push(dial.id);
                if line.probes.len() > 1 {
                    found.add(now, format!("{} is a second call that tries trunk {name}", dial.id));
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        *self = Resting::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn sees_a_call_into_the_pause_and_a_second_probe() {
        let mut hand: Hand<Resting> = Hand::new(all_day());
        for n in 1..=4 {
            hand.dial(n, n);
        }
        hand.fail(1, 503);
        hand.fail(2, 486);
        hand.fail(3, 503);
        hand.dial(5, 5);
        hand.clean();
        hand.fail(4, 500);
        hand.wait_ms(9_000);
        hand.dial(6, 6);
        hand.caught("while trunk carrier rests");
        hand.fail(6, 503);
        hand.wait_ms(10_000);
        hand.dial(7, 7);
        hand.clean();
        hand.dial(8, 8);
        hand.caught("a second call that tries");
        hand.line(7, LineEvent::Ringing { early_media: false });
        hand.dial(9, 9);
        hand.clean();
    }
}
