//! Every attempt that is on disk gets one outcome, exactly once, and keeps it; also across a crash.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::{Books, Check, End, Found};
use crate::{AttemptId, Input, Outcome, Output, Write};

#[derive(Debug, Default)]
pub(super) struct Once {
    attempts: BTreeMap<AttemptId, Attempt>,
    tries: BTreeMap<u64, AttemptId>,
    endings: BTreeMap<u64, AttemptId>,
}

#[derive(Debug, Default)]
struct Attempt {
    committed: bool,
    dialed: bool,
    outcome: Option<Outcome>,
    /// The outcome is on disk for sure.
    sure: bool,
}

impl Once {
    fn ended(&mut self, now: Time, id: AttemptId, outcome: Outcome, found: &mut Found) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return found.add(now, format!("attempt {id} ends and was never written"));
        };
        if !attempt.committed {
            found.add(now, format!("attempt {id} ends and is not on disk"));
        }
        if attempt.outcome.replace(outcome).is_some() {
            found.add(now, format!("attempt {id} ends twice"));
        }
        if !attempt.dialed && outcome != Outcome::NotSent {
            found.add(now, format!("attempt {id} was not sent and ends {}", outcome.as_str()));
        }
    }

    fn compare(&self, now: Time, books: &Books, found: &mut Found) {
        for (id, attempt) in &self.attempts {
            match (books.attempts.get(id).map(|entry| entry.outcome), attempt.outcome) {
                (None, _) if !attempt.committed => {}
                (None, _) => found.add(now, format!("attempt {id} was acknowledged and is lost")),
                (Some(None), _) => found.add(now, format!("attempt {id} has no outcome on disk")),
                (Some(on_disk), ours) if attempt.sure && on_disk != ours => {
                    found.add(now, format!("attempt {id} ended {ours:?} and is {on_disk:?} on disk"));
                }
                (Some(Some(Outcome::UnknownCrash)), _) => {}
                (Some(on_disk), ours) if on_disk != ours => {
                    found.add(now, format!("attempt {id} ended {ours:?} and is {on_disk:?} on disk"));
                }
                _ => {}
            }
        }
        if let Some(id) = books.attempts.keys().find(|id| !self.attempts.contains_key(id)) {
            found.add(now, format!("attempt {id} is on disk and was never written"));
        }
    }
}

impl Check for Once {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Committed { token } => {
                let next = token.saturating_add(1);
                let later = self.tries.split_off(&next);
                for id in std::mem::replace(&mut self.tries, later).into_values() {
                    self.attempts.entry(id).or_default().committed = true;
                }
                let later = self.endings.split_off(&next);
                for id in std::mem::replace(&mut self.endings, later).into_values() {
                    self.attempts.entry(id).or_default().sure = true;
                }
            }
            Input::CommitFailed { token } => {
                if let Some(id) = self.tries.remove(token) {
                    self.attempts.remove(&id);
                }
                // It is not on disk: it must be written again.
                if let Some(id) = self.endings.remove(token) {
                    self.attempts.entry(id).or_default().outcome = None;
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        match output {
            // A further try makes no attempt, and unmakes none when it fails.
            Output::Store { token, write: Write::Try(new) } if new.id.number == 1 => {
                self.attempts.entry(new.id.attempt).or_default();
                if let Some(token) = token {
                    self.tries.insert(*token, new.id.attempt);
                }
            }
            Output::Store { token, write: Write::AttemptEnded { attempt, outcome, .. } } => {
                self.ended(now, *attempt, *outcome, found);
                match token {
                    Some(token) => drop(self.endings.insert(*token, *attempt)),
                    None => {
                        found.add(now, format!("the outcome of {attempt} does not wait for its commit"));
                    }
                }
            }
            Output::Dial(dial) => {
                if let Some(attempt) = self.attempts.get_mut(&dial.id.attempt) {
                    attempt.dialed = true;
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, now: Time, books: &Books, found: &mut Found) {
        self.compare(now, books, found);
        (self.tries, self.endings) = Default::default();
        self.attempts.retain(|id, attempt| {
            let entry = books.attempts.get(id);
            attempt.outcome = entry.and_then(|entry| entry.outcome);
            (attempt.committed, attempt.sure) = (true, true);
            entry.is_some()
        });
    }

    fn finish(&mut self, now: Time, end: &End<'_>, found: &mut Found) {
        if !end.drained {
            return;
        }
        for (id, _) in self.attempts.iter().filter(|(_, a)| a.committed && a.outcome.is_none()) {
            found.add(now, format!("attempt {id} has no outcome"));
        }
        if let Some(books) = end.books {
            self.compare(now, books, found);
        }
    }
}

/// Attempts by outcome, for reports.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<AttemptId, Outcome>);

impl Tally {
    pub(super) fn output(&mut self, output: &Output) {
        if let Output::Store { write: Write::AttemptEnded { attempt, outcome, .. }, .. } = output {
            self.0.insert(*attempt, *outcome);
        }
    }

    pub(super) fn restarted(&mut self, books: &Books) {
        self.0 = books.attempts.iter().filter_map(|(id, entry)| Some((*id, entry.outcome?))).collect();
    }

    pub(super) fn counts(&self) -> BTreeMap<Outcome, u64> {
        let mut counts = BTreeMap::new();
        for outcome in self.0.values() {
            *counts.entry(*outcome).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::super::testing::*;
    use super::*;
    use crate::Snapshot;

    fn books(outcomes: &[(i64, Option<Outcome>)]) -> Books {
        let entry = |outcome| Entry { outcome, ..Entry::default() };
        let attempts = outcomes.iter().map(|(id, outcome)| (AttemptId(*id), entry(*outcome))).collect();
        Books { attempts, ..Books::default() }
    }

    #[test]
    fn sees_none_two_and_the_wrong_one() {
        let mut hand: Hand<Once> = Hand::new(all_day());
        hand.call(1, 1);
        hand.finish(&Snapshot::default(), None);
        hand.caught("has no outcome");
        hand.ended(1, Outcome::Busy, 11);
        hand.clean();
        hand.ended(1, Outcome::Busy, 12);
        hand.caught("ends twice");
        hand.ended(2, Outcome::Busy, 21);
        hand.caught("never written");
        hand.write_try(3, 3, 30);
        hand.ended(3, Outcome::NotSent, 31);
        hand.caught("is not on disk");
        hand.write_try(4, 4, 40);
        hand.committed(40);
        hand.ended(4, Outcome::Busy, 41);
        hand.caught("was not sent and ends busy");
        hand.call(5, 5);
        hand.fail(5, 503);
        hand.write_further(second_of(5), 5, 2, 55);
        hand.input(&Input::CommitFailed { token: 55 });
        hand.finish(&Snapshot::default(), None);
        hand.caught("attempt 5 has no outcome");
        hand.ended(5, Outcome::Congestion, 56);
        hand.clean();
    }

    #[test]
    fn sees_what_a_crash_may_not_do() {
        let fresh = || {
            let mut hand: Hand<Once> = Hand::new(all_day());
            hand.call(1, 1);
            hand.ended(1, Outcome::Busy, 11);
            hand.committed(11);
            hand.call(2, 2);
            hand.call(3, 3);
            hand.ended(2, Outcome::NoAnswer, 31); // not known to be on disk
            hand.clean();
            hand
        };
        let (busy, crash) = (Some(Outcome::Busy), Some(Outcome::UnknownCrash));
        let mut good = fresh();
        good.restarted(&books(&[(1, busy), (2, crash), (3, crash)]));
        good.clean();
        good.ended(3, Outcome::Busy, 41);
        good.caught("ends twice");
        let cases = [
            (vec![(1, busy), (2, crash), (3, None)], "has no outcome on disk"),
            (vec![(1, busy), (2, crash)], "is lost"),
            (vec![(1, crash), (2, crash), (3, crash)], "ended Some(Busy) and is Some(UnknownCrash)"),
            (vec![(1, busy), (2, busy), (3, crash)], "ended Some(NoAnswer) and is Some(Busy)"),
            (vec![(1, busy), (2, crash), (3, crash), (9, crash)], "was never written"),
        ];
        for (on_disk, what) in cases {
            let mut hand = fresh();
            hand.restarted(&books(&on_disk));
            hand.caught(what);
        }
    }
}
