//! Write before INVITE: a try is on disk before it is dialed, once, and not long after its decision.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{Input, Output, TryId, Write};

/// A commit that comes later than this after the decision is not sent.
const HOLDS: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Commit {
    /// Tries that were written and not dialed yet.
    tries: BTreeMap<TryId, Try>,
    /// The highest attempt that was dialed: ids never come back.
    dialed: BTreeMap<TryId, ()>,
    waiting: BTreeMap<u64, TryId>,
}

#[derive(Debug)]
struct Try {
    written: Time,
    committed: bool,
}

impl Check for Commit {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Committed { token } => {
                let later = self.waiting.split_off(&token.saturating_add(1));
                for id in std::mem::replace(&mut self.waiting, later).into_values() {
                    if let Some(tried) = self.tries.get_mut(&id) {
                        tried.committed = true;
                    }
                }
            }
            Input::CommitFailed { token } => {
                if let Some(id) = self.waiting.remove(token) {
                    self.tries.remove(&id);
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        match output {
            Output::Store { token, write: Write::Try(new) } => {
                let id = new.id;
                match token {
                    Some(token) => drop(self.waiting.insert(*token, id)),
                    None => found.add(now, format!("{id} does not wait for its commit")),
                }
                let again = self.tries.insert(id, Try { written: now, committed: false }).is_some();
                if again || self.dialed.contains_key(&id) {
                    found.add(now, format!("{id} was written twice"));
                }
            }
            Output::Store { write: Write::AttemptEnded { attempt, .. }, .. } => {
                self.tries.retain(|id, _| id.attempt != *attempt);
            }
            Output::Dial(dial) => {
                let id = dial.id;
                if self.dialed.insert(id, ()).is_some() {
                    found.add(now, format!("{id} is dialed twice"));
                }
                match self.tries.remove(&id) {
                    Some(Try { committed: false, .. }) => {
                        found.add(now, format!("{id} is dialed before its commit"));
                    }
                    Some(tried) if now.since(tried.written) > HOLDS => {
                        found.add(now, format!("{id} is dialed more than a second after its decision"));
                    }
                    Some(_) => {}
                    None => found.add(now, format!("{id} is dialed and was not written, or is over")),
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        (self.tries, self.waiting) = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::Outcome;

    #[test]
    fn sees_an_invite_without_its_commit_and_a_late_one() {
        let mut hand: Hand<Commit> = Hand::new(all_day());
        hand.call(1, 1);
        hand.clean();
        hand.dial(1, 1);
        assert_eq!(hand.found().len(), 2, "twice, and not written again");
        hand.write_try(2, 2, 20);
        hand.dial(2, 2);
        hand.caught("before its commit");
        hand.write_try(3, 3, 30);
        hand.input(&Input::CommitFailed { token: 30 });
        hand.dial(3, 3);
        hand.caught("was not written");
        hand.write_try(4, 4, 40);
        hand.committed(40);
        hand.wait_ms(1_001);
        hand.dial(4, 4);
        hand.caught("more than a second");
        hand.write_try(5, 5, 50);
        hand.committed(50);
        hand.ended(5, Outcome::NotSent, 51);
        hand.dial(5, 5);
        hand.caught("is over");
        hand.write_try(1, 1, 60);
        hand.caught("written twice");
        // The commit of the first try is not the second one's.
        hand.call(7, 7);
        hand.write_further(second_of(7), 7, 2, 75);
        hand.dial_over(second_of(7), 7, 2);
        hand.caught("7/2 is dialed before its commit");
        hand.call(8, 8);
        hand.dial_over(second_of(8), 8, 2);
        hand.caught("8/2 is dialed and was not written");
        hand.call_on(9, 9);
        hand.clean();
    }
}
