//! Trunks' limits: never more calls in any second nor at once than the carrier allows, and none over a trunk that is down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kraliki_time::Time;

use super::{Books, Check, Found, TrunkChanges};
use crate::{AttemptId, Command, Input, LineEvent, Output, TrunkId, TryId, Write};

/// An end that is not confirmed counts as one after this, for the engine as for us.
const UNCONFIRMED: Duration = Duration::from_secs(40);
/// Calls of before a crash count this long.
const ORPHANED: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Trunks {
    trunks: BTreeMap<TrunkId, Line>,
    changes: TrunkChanges,
    /// Deleted: not dialed over any more.
    deleted: BTreeMap<u64, TrunkId>,
    ended: BTreeSet<AttemptId>,
    /// The world's clock.
    clock: (Time, i64),
}

#[derive(Debug, Default)]
struct Line {
    up: bool,
    max_cps: u32,
    max_channels: u32,
    /// INVITEs of the last second.
    dials: VecDeque<Time>,
    /// Calls, with the time at which their end was asked for.
    open: BTreeMap<TryId, Option<Time>>,
    /// Calls of before a crash: since when, and what the wall clock read then.
    orphans: BTreeMap<TryId, (Time, i64)>,
}

impl Line {
    fn dialed(&mut self, now: Time, id: TryId, found: &mut Found) {
        if !self.up {
            found.add(now, format!("{id} is dialed over a trunk that is down"));
        }
        self.dials.push_back(now);
        while self.dials.front().is_some_and(|at| now.since(*at) > SECOND) {
            self.dials.pop_front();
        }
        if self.dials.len() > self.max_cps as usize {
            found.add(now, format!("{id} is dialed above the calls per second"));
        }
        self.orphans.retain(|_, (since, _)| now.since(*since) < ORPHANED);
        self.open.retain(|_, ending| ending.is_none_or(|at| now.since(at) < UNCONFIRMED));
        self.open.insert(id, None);
        if self.open.len() + self.orphans.len() > self.max_channels as usize {
            let (open, orphans) = (self.open.len(), self.orphans.len());
            found.add(now, format!("{id} is dialed above the channels: {open} and {orphans} of before"));
        }
    }
}

impl Trunks {
    fn unix_ms(&self, now: Time) -> i64 {
        self.clock.1 + i64::try_from(now.since(self.clock.0).as_millis()).unwrap_or(0)
    }
}

impl Check for Trunks {
    fn clock(&mut self, now: Time, unix_ms: i64) {
        self.clock = (now, unix_ms);
    }

    fn input(&mut self, now: Time, input: &Input, _found: &mut Found) {
        self.changes.input(input);
        match input {
            Input::Command { reply, command: Command::DeleteTrunk(id) } => {
                self.deleted.insert(*reply, *id);
            }
            Input::Restore(restore) => {
                let (first, unix_ms) = (self.trunks.is_empty(), self.unix_ms(now));
                for trunk in &restore.trunks {
                    let line = self.trunks.entry(trunk.id).or_default();
                    line.up = !trunk.watched;
                    (line.max_cps, line.max_channels) = (trunk.max_cps, trunk.max_channels);
                }
                // Later ones are known here better than on disk: some of them were ended since.
                for (id, trunk) in restore.orphans.iter().filter(|_| first) {
                    if let Some(line) = self.trunks.get_mut(trunk) {
                        line.orphans.insert(*id, (now, unix_ms));
                    }
                }
            }
            Input::Trunk { id, up } => {
                if let Some(line) = self.trunks.get_mut(id) {
                    line.up = *up;
                }
            }
            Input::Line { id, event: LineEvent::Failed(_) | LineEvent::Ended { .. } } => {
                for line in self.trunks.values_mut() {
                    line.open.remove(id);
                    line.orphans.remove(id);
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        if let Some(trunk) = self.changes.output(output) {
            let known = self.trunks.contains_key(&trunk.id);
            let line = self.trunks.entry(trunk.id).or_default();
            line.up = if known { line.up } else { !trunk.watched };
            (line.max_cps, line.max_channels) = (trunk.max_cps, trunk.max_channels);
        }
        match output {
            Output::Reply { reply, result } => {
                if let Some(id) = self.deleted.remove(reply).filter(|_| result.is_ok())
                    && let Some(line) = self.trunks.get_mut(&id)
                {
                    (line.up, line.max_channels) = (false, 0);
                }
            }
            Output::Dial(dial) => {
                if let Some(line) = self.trunks.get_mut(&dial.trunk) {
                    line.dialed(now, dial.id, found);
                }
            }
            Output::Cancel { id, .. } | Output::Hangup { id } => {
                for ending in self.trunks.values_mut().filter_map(|line| line.open.get_mut(id)) {
                    ending.get_or_insert(now);
                }
            }
            Output::Store { write: Write::AttemptEnded { attempt, .. }, .. } => {
                self.ended.insert(*attempt);
            }
            _ => {}
        }
    }

    fn restarted(&mut self, now: Time, _books: &Books, _found: &mut Found) {
        (self.changes, self.deleted) = Default::default();
        let ended = std::mem::take(&mut self.ended);
        let unix_ms = self.unix_ms(now);
        for line in self.trunks.values_mut() {
            // Calls without an outcome may still be up at the carrier. The others were ended by us or by the far end.
            let open = std::mem::take(&mut line.open).into_keys();
            // A start knows the time between two crashes by the wall clock only.
            line.orphans.retain(|_, (_, then)| unix_ms - *then < ORPHANED.as_millis() as i64);
            let left = open.filter(|id| !ended.contains(&id.attempt));
            line.orphans.extend(left.map(|id| (id, (now, unix_ms))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn hand() -> Hand<Trunks> {
        Hand::new(all_day())
    }

    #[test]
    fn sees_a_third_call_in_a_second() {
        let mut hand = hand();
        hand.dial(1, 1);
        hand.wait_ms(500);
        hand.dial(2, 2);
        hand.wait_ms(501);
        hand.dial(3, 3);
        hand.clean();
        hand.fail(1, 486);
        hand.wait_ms(499);
        hand.dial(4, 4);
        hand.caught("above the calls per second");
        hand.restarted(&Books::default());
        hand.fail(2, 486);
        hand.fail(3, 486);
        hand.dial(5, 5);
        hand.caught("above the calls per second");
    }

    #[test]
    fn sees_a_fourth_channel_also_after_a_restart_and_a_trunk_that_is_down() {
        let mut hand = hand();
        for n in 1..=3 {
            hand.wait_ms(1_001);
            hand.dial(n, n);
        }
        hand.cancel(1);
        hand.clean();
        hand.wait_ms(39_000);
        hand.dial(4, 4);
        hand.caught("above the channels");
        hand.wait_ms(1_001);
        hand.restarted(&Books::default());
        hand.wait_ms(1_001);
        hand.dial(5, 5);
        hand.caught("above the channels");
        hand.wait_ms(60_000);
        hand.dial(6, 6);
        hand.clean();
        // The other trunk has a limit of its own: one call a second, and one at once.
        hand.fail(6, 503);
        hand.dial_over(second_of(6), 6, 2);
        hand.clean();
        hand.wait_ms(1_001);
        hand.dial(7, 7);
        hand.fail(7, 503);
        hand.dial_over(second_of(7), 7, 2);
        hand.caught("7/2 is dialed above the channels");
        hand.input(&Input::Line { id: second_of(6), event: LineEvent::Failed(status(486)) });
        hand.input(&Input::Line { id: second_of(7), event: LineEvent::Failed(status(486)) });
        hand.dial_over(second_of(8), 8, 2);
        hand.caught("8/2 is dialed above the calls per second");
        hand.input(&Input::Trunk { id: TrunkId(1), up: false });
        hand.wait_ms(1_001);
        hand.dial(9, 9);
        hand.caught("that is down");
    }
}
