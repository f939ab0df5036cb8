//! Attempts to a number, of all campaigns: what the store said when a lead was read, and what happened since.
//!
//! The store has them all, and a lead is read from it in order with the writes. What is begun or abandoned after that is
//! kept here until every lead in memory was read later: some seconds of dialing.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::RECENT_MOST;
use crate::{AttemptId, Lead};

/// An attempt to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Which.
    pub attempt: AttemptId,
    /// When it was begun, in ms since 1970.
    pub at_unix_ms: i64,
    /// When it was abandoned, in ms since 1970; none: it was not.
    pub abandoned_unix_ms: Option<i64>,
}

/// What happened since the store was read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recent {
    numbers: BTreeMap<String, Since>,
    /// Numbers in the order of their last marks; one that has a later mark by now stands again further on.
    order: VecDeque<(u64, String)>,
    mark: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Since {
    mark: u64,
    attempts: Vec<Past>,
}

impl Recent {
    /// Where we are: what is asked of the store now has everything up to here.
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    pub(crate) fn of(&self, phone: &str) -> &[Past] {
        self.numbers.get(phone).map_or(&[], |since| since.attempts.as_slice())
    }

    /// Puts what happened since into a lead that is taken out.
    pub(crate) fn add_to(&self, lead: &mut Lead) {
        let since = self.of(&lead.phone.0);
        if !since.is_empty() {
            lead.recent = union(&lead.recent, since).copied().collect();
        }
    }

    /// An attempt is begun.
    pub(crate) fn begin(&mut self, phone: &str, attempt: AttemptId, at_unix_ms: i64) {
        self.put(phone, Past { attempt, at_unix_ms, abandoned_unix_ms: None });
    }

    /// A person was left without an agent.
    pub(crate) fn abandoned(&mut self, phone: &str, attempt: AttemptId, began: i64, at_unix_ms: i64) {
        self.put(phone, Past { attempt, at_unix_ms: began, abandoned_unix_ms: Some(at_unix_ms) });
    }

    /// The attempt never was: nothing was sent.
    pub(crate) fn never_was(&mut self, phone: &str, attempt: AttemptId) {
        if let Some(since) = self.numbers.get_mut(phone) {
            since.attempts.retain(|past| past.attempt != attempt);
        }
    }

    fn put(&mut self, phone: &str, past: Past) {
        self.mark += 1;
        let since = match self.numbers.get_mut(phone) {
            Some(since) => since,
            None => self.numbers.entry(phone.to_owned()).or_default(),
        };
        since.mark = self.mark;
        match since.attempts.iter_mut().find(|known| known.attempt == past.attempt) {
            Some(known) => *known = past,
            None => since.attempts.push(past),
        }
        self.order.push_back((self.mark, phone.to_owned()));
    }

    /// Every lead in memory was read after this mark: what was before it the store has said.
    pub(crate) fn forget(&mut self, mark: u64) {
        while self.order.front().is_some_and(|(at, _)| *at <= mark) {
            let Some((at, phone)) = self.order.pop_front() else { break };
            if self.numbers.get(&phone).is_some_and(|since| since.mark == at) {
                self.numbers.remove(&phone);
            }
        }
    }

    /// Whether there is more than should be: leads must be read anew before more is dialed.
    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= RECENT_MOST
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.order.len()
    }
}

/// The attempts of both, each once; what was seen here is newer.
pub(crate) fn union<'a>(read: &'a [Past], since: &'a [Past]) -> impl Iterator<Item = &'a Past> {
    let only_read = move |past: &&Past| !since.iter().any(|newer| newer.attempt == past.attempt);
    read.iter().filter(only_read).chain(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_until_everything_was_read_again() {
        let mut recent = Recent::default();
        recent.begin("+1", AttemptId(1), 10);
        let read = recent.mark();
        recent.begin("+2", AttemptId(2), 20);
        recent.abandoned("+1", AttemptId(1), 10, 30);
        recent.begin("+3", AttemptId(3), 40);
        recent.never_was("+3", AttemptId(3));
        assert_eq!(recent.of("+3"), []);
        recent.forget(read);
        // The abandoning came after the read.
        assert_eq!(
            recent.of("+1"),
            [Past { attempt: AttemptId(1), at_unix_ms: 10, abandoned_unix_ms: Some(30) }]
        );
        assert_eq!(recent.of("+2").len(), 1);
        recent.forget(recent.mark());
        assert_eq!((recent.of("+1"), recent.of("+2"), recent.len()), (&[][..], &[][..], 0));
    }

    #[test]
    fn an_attempt_that_both_know_counts_once() {
        let past =
            |id, abandoned| Past { attempt: AttemptId(id), at_unix_ms: id, abandoned_unix_ms: abandoned };
        let (read, since) = ([past(1, None), past(2, None)], [past(2, Some(9)), past(3, None)]);
        let all: Vec<_> = union(&read, &since).copied().collect();
        assert_eq!(all, [past(1, None), past(2, Some(9)), past(3, None)]);
    }
}
