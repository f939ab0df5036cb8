//! Nobody makes the dialer call what it may not: a number is dialed over a trunk that may call it, never one that is sold by
//! the minute, never more calls of a trunk in a day than it may make, and never with a caller id that is in quarantine.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::{Books, Check, Found, TrunkChanges};
use crate::{Input, Output, Trunk, TrunkId, Write};

const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Default)]
pub(super) struct Prefixes {
    trunks: BTreeMap<TrunkId, Trunk>,
    changes: TrunkChanges,
    /// Tries by trunk and day (UTC), those that were never written left out again.
    calls: BTreeMap<(TrunkId, i64), u32>,
    /// Tries that wait for their commit.
    waiting: BTreeMap<u64, (TrunkId, i64)>,
    /// Until when; none: until a person lifts it.
    quarantined: BTreeMap<String, Option<i64>>,
    /// The engine's clock.
    clock: (Time, i64),
}

impl Prefixes {
    fn unix_ms(&self, now: Time) -> i64 {
        self.clock.1 + i64::try_from(now.since(self.clock.0).as_millis()).unwrap_or(0)
    }
}

/// By a rule of our own: of all prefixes that fit, the longest one's list, and the list of the refused for one in both.
fn may_call(trunk: &Trunk, number: &str) -> bool {
    let mut best = (0, false);
    for (prefixes, allowed) in [(&trunk.allowed_prefixes, true), (&trunk.refused_prefixes, false)] {
        for prefix in prefixes {
            let longer = prefix.len() > best.0 || (prefix.len() == best.0 && !allowed);
            if number.starts_with(prefix.as_str()) && longer {
                best = (prefix.len(), allowed);
            }
        }
    }
    best.1
}

impl Check for Prefixes {
    fn input(&mut self, now: Time, input: &Input, _found: &mut Found) {
        self.changes.input(input);
        match input {
            Input::Clock { unix_ms } => self.clock = (now, *unix_ms),
            Input::Restore(restore) => {
                self.trunks.extend(restore.trunks.iter().map(|trunk| (trunk.id, trunk.clone())));
                let held = restore.quarantined.iter();
                self.quarantined = held.map(|q| (q.number.clone(), q.until_unix_ms)).collect();
            }
            Input::Committed { token } => self.waiting = self.waiting.split_off(&token.saturating_add(1)),
            Input::CommitFailed { token } => {
                if let Some(count) = self.waiting.remove(token).and_then(|of| self.calls.get_mut(&of)) {
                    *count = count.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        if let Some(trunk) = self.changes.output(output) {
            self.trunks.insert(trunk.id, trunk);
        }
        match output {
            Output::Store { token, write: Write::Try(new) } => {
                let Some(trunk) = self.trunks.get(&new.trunk) else { return };
                let of = (new.trunk, new.at_unix_ms.div_euclid(DAY_MS));
                let count = self.calls.entry(of).or_default();
                *count += 1;
                if trunk.calls_per_day > 0 && trunk.day_zone == "UTC" && *count > trunk.calls_per_day {
                    found.add(now, format!("{} is begun above the calls per day", new.id));
                }
                self.waiting.extend(token.map(|token| (token, of)));
            }
            Output::Store { write: Write::Quarantine(quarantine), .. } => {
                self.quarantined.insert(quarantine.number.clone(), quarantine.until_unix_ms);
            }
            Output::Store { write: Write::CallerIdLifted { number }, .. } => {
                self.quarantined.remove(number);
            }
            Output::Dial(dial) => {
                let number = dial.phone.0.as_str();
                if let Some(trunk) = self.trunks.get(&dial.trunk)
                    && !may_call(trunk, number)
                {
                    found.add(
                        now,
                        format!("{} is dialed over trunk {}, which may not call it", dial.id, trunk.name),
                    );
                }
                if ["+1900", "+979", "+881"].iter().any(|prefix| number.starts_with(prefix)) {
                    found.add(now, format!("{} is a number that is sold by the minute", dial.id));
                }
                let until = self.quarantined.get(&dial.caller_id);
                if until.is_some_and(|until| until.is_none_or(|until| self.unix_ms(now) < until)) {
                    found.add(now, format!("{} shows a caller id in quarantine", dial.id));
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        (self.changes, self.waiting) = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{Quarantine, QuarantineReason, Restore};

    fn hand(change: impl FnOnce(&mut Trunk)) -> Hand<Prefixes> {
        let mut hand: Hand<Prefixes> = Hand::new(all_day());
        let mut trunk = Trunk::new(TrunkId(1), "carrier", "+12025550100");
        change(&mut trunk);
        hand.input(&Input::Restore(Box::new(Restore { trunks: vec![trunk], ..Restore::default() })));
        hand
    }

    #[test]
    fn sees_a_number_that_the_trunk_may_not_call() {
        let mut every = hand(|_| {});
        every.dial(1, 1);
        every.clean();
        let mut none = hand(|trunk| trunk.allowed_prefixes.clear());
        none.dial(1, 1);
        none.caught("which may not call it");
        let mut refused = hand(|trunk| trunk.refused_prefixes = vec!["+1202".into()]);
        refused.dial(1, 1);
        refused.caught("which may not call it");
        let mut both = hand(|trunk| {
            trunk.refused_prefixes = vec!["+1202".into()];
            trunk.allowed_prefixes.push("+1202555".into());
        });
        both.dial(1, 1);
        both.clean();
    }

    #[test]
    fn sees_one_call_too_many_of_a_day_and_a_caller_id_in_quarantine() {
        let mut hand = hand(|trunk| trunk.calls_per_day = 1);
        hand.write_try(1, 1, 10);
        hand.input(&Input::CommitFailed { token: 10 });
        hand.write_try(2, 2, 20);
        hand.clean();
        hand.write_try(3, 3, 30);
        hand.caught("above the calls per day");
        let quarantine = Quarantine {
            number: "+12025550100".into(),
            reason: QuarantineReason::Blocked,
            status: Some(608),
            redress: String::new(),
            since_unix_ms: NOON,
            until_unix_ms: None,
        };
        hand.store(0, Write::Quarantine(Box::new(quarantine)));
        hand.dial(2, 2);
        hand.caught("in quarantine");
        hand.store(0, Write::CallerIdLifted { number: "+12025550100".into() });
        hand.dial(3, 3);
        hand.clean();
    }
}
