//! What trunks spend, summed up apart from the dialer: a part of [`super::cut`].

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::{Found, TrunkChanges};
use crate::{Input, LineEvent, Output, OverCap, Trunk, TrunkId, TryId, Write};

const MINUTE_MS: u128 = 60_000;
const QUARTERS_A_DAY: i64 = 96;

/// A trunk with a limit, and what it has spent of it.
#[derive(Debug)]
struct Purse {
    trunk: Trunk,
    /// Of calls that are over, in millionths times milliseconds of a minute.
    spent: u128,
    /// Whether only one more minute of what runs was left, at some time.
    reached: bool,
    /// How far a limit that was lowered, or a crash, may let it pass the limit.
    spare: u128,
}

/// The sums of the first day, which begins at midnight UTC; a later one spends less than the sum of both.
#[derive(Debug, Default)]
pub(super) struct Money {
    changes: TrunkChanges,
    purses: BTreeMap<TrunkId, Purse>,
    prices: BTreeMap<TryId, (TrunkId, u128)>,
    running: BTreeMap<TryId, (TrunkId, u128, Time)>,
    unix_ms: Option<i64>,
    /// Whether that day is over.
    later: bool,
}

/// By a rule of our own: that of the longest prefix that fits.
fn price(trunk: &Trunk, number: &str) -> u128 {
    let mut best = (0, 0);
    for (prefix, price) in &trunk.prices {
        if number.starts_with(prefix.as_str()) && prefix.len() > best.0 {
            best = (prefix.len(), *price);
        }
    }
    u128::from(best.1)
}

impl Money {
    /// Whether a trunk that ends its calls then has come to its last minute.
    pub(super) fn may_end(&self, id: TryId) -> bool {
        let trunk = self.prices.get(&id).map(|(trunk, _)| trunk);
        let purse = trunk.and_then(|trunk| self.purses.get(trunk));
        purse.is_some_and(|purse| purse.reached && purse.trunk.over_cap == OverCap::End)
    }

    pub(super) fn input(&mut self, now: Time, input: &Input, found: &mut Found) {
        self.look(now, found);
        self.changes.input(input);
        match input {
            Input::Clock { unix_ms } => {
                let day = |ms: i64| ms.div_euclid(86_400_000);
                let first = *self.unix_ms.get_or_insert(*unix_ms);
                self.later |= day(first) != day(*unix_ms);
            }
            Input::Restore(restore) => {
                for trunk in &restore.trunks {
                    self.trunk(trunk.clone());
                }
                let today = self.unix_ms.unwrap_or_default().div_euclid(86_400_000);
                let of_today = |quarter: i64| quarter.div_euclid(QUARTERS_A_DAY) == today;
                for used in restore.usage.iter().filter(|used| of_today(used.quarter)) {
                    if let Some(purse) = self.purses.get_mut(&used.trunk) {
                        purse.spent += u128::from(used.spent) * MINUTE_MS;
                    }
                }
                for purse in self.purses.values_mut() {
                    purse.spare = purse.spent; // calls that a crash cut short
                }
            }
            Input::Line { id, event: LineEvent::Answered { .. } } => {
                let Some((trunk, price)) = self.prices.get(id).copied() else { return };
                if self.purses.contains_key(&trunk) {
                    self.running.entry(*id).or_insert((trunk, price, now));
                }
            }
            _ => {}
        }
    }

    pub(super) fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        self.look(now, found);
        if let Some(trunk) = self.changes.output(output) {
            self.trunk(trunk);
        }
        match output {
            Output::Store { write: Write::Try(new), .. } => {
                let price = self.purses.get(&new.trunk).map_or(0, |purse| price(&purse.trunk, &new.phone.0));
                self.prices.insert(new.id, (new.trunk, price));
            }
            Output::Store { write: Write::TryEnded { id, .. }, .. } => {
                if let Some((trunk, price, since)) = self.running.remove(id)
                    && let Some(purse) = self.purses.get_mut(&trunk)
                {
                    purse.spent += price * now.since(since).as_millis();
                }
                // Whoever says after its end that it was answered is not believed, and costs nothing.
                if let Some((_, price)) = self.prices.get_mut(id) {
                    *price = 0;
                }
            }
            _ => {}
        }
    }

    fn trunk(&mut self, trunk: Trunk) {
        let old = self.purses.remove(&trunk.id);
        let spent = old.map(|old| old.spent).unwrap_or_default();
        // A limit may be lowered below what is spent and runs.
        let running: u128 = self
            .running
            .values()
            .filter(|(of, ..)| *of == trunk.id)
            .map(|(_, price, _)| price * MINUTE_MS)
            .sum();
        self.purses.insert(trunk.id, Purse { spent, reached: false, spare: spent + running, trunk });
    }

    /// What runs now, at every step: the last minute is not missed.
    fn look(&mut self, now: Time, found: &mut Found) {
        for (id, purse) in &mut self.purses {
            let limit = u128::from(purse.trunk.spend_per_day) * MINUTE_MS;
            if limit == 0 || self.later {
                continue;
            }
            let on = self.running.values().filter(|(trunk, ..)| trunk == id);
            let (mut spent, mut minute) = (purse.spent, 0);
            for (_, price, since) in on {
                spent += price * now.since(*since).as_millis();
                minute += price * MINUTE_MS;
            }
            purse.reached |= minute > 0 && spent + minute >= limit;
            // A timer comes with the millisecond after it was due.
            let late = minute / MINUTE_MS * 2;
            if purse.trunk.over_cap == OverCap::End && spent > limit + purse.spare + late {
                found.add(now, format!("trunk {} has spent {spent} of {limit}", purse.trunk.name));
                purse.spare = spent; // once
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cut::Cut;
    use super::super::testing::*;
    use crate::{AgentId, Input, Output, OverCap, Restore, Trunk, TrunkId, Write};

    /// A trunk that may spend two minutes, and a call of agent 1 that was just answered.
    fn hand(over_cap: OverCap) -> Hand<Cut> {
        let trunk = Trunk {
            prices: [("+".into(), 1_000_000), ("+1".into(), 60_000)].into(),
            spend_per_day: 120_000,
            over_cap,
            ..Trunk::new(TrunkId(1), "carrier", "+12025550100")
        };
        let mut hand = Hand::new(all_day());
        hand.input(&Input::Restore(Box::new(Restore { trunks: vec![trunk], ..Restore::default() })));
        hand.call(1, 1);
        hand.answer(1);
        hand.output(&Output::Bridge { id: id(1), agent: AgentId(1) });
        hand
    }

    fn end(hand: &mut Hand<Cut>) {
        hand.output(&Output::Hangup { id: id(1) });
        hand.store(0, Write::TryEnded { id: id(1), status: Some(200), q850: None, at_unix_ms: NOON });
    }

    #[test]
    fn a_call_may_end_with_the_money_and_not_before_its_last_minute() {
        let mut early = hand(OverCap::End);
        early.wait_ms(59_000);
        end(&mut early);
        early.caught("of agent 1 is cut");
        let mut right = hand(OverCap::End);
        right.wait_ms(60_000);
        end(&mut right);
        right.clean();
        let mut finishes = hand(OverCap::Finish);
        finishes.wait_ms(100_000);
        end(&mut finishes);
        finishes.caught("of agent 1 is cut");
    }

    #[test]
    fn sees_a_trunk_that_spends_more_than_it_may() {
        let mut late = hand(OverCap::End);
        late.wait_ms(120_100);
        end(&mut late);
        late.caught("trunk carrier has spent");
        let mut finishes = hand(OverCap::Finish);
        finishes.wait_ms(500_000);
        finishes.far_end(1);
        finishes.clean();
    }
}
