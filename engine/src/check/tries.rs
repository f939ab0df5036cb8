//! An attempt is on one trunk at a time, and goes on over another one only where that dials nobody twice: each try with a
//! number of its own, after the one before it failed for its trunk's sake and that is written; never after anything beyond
//! 100, an answer, a word on the called person, or our own taking back. Its outcome is that of its last try that was sent.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::{Books, Check, Found, TrunkChanges};
use crate::{
    AttemptId, Command, Failure, Input, LineEvent, NewTry, Outcome, Output, Reply, Trunk, TrunkGroup,
    TrunkGroupId, TrunkId, TryId, Write,
};

/// Statuses that speak of the called person (RFC 3261, 8197, 8688).
const OF_THE_PERSON: [u16; 5] = [486, 600, 603, 607, 608];
/// Q.850 causes that speak of the number or of the called person.
const OF_THE_CALLED: [u16; 8] = [1, 17, 18, 19, 20, 21, 22, 28];

#[derive(Debug, Default)]
pub(super) struct Tries {
    trunks: BTreeMap<TrunkId, Trunk>,
    changes: TrunkChanges,
    groups: BTreeMap<TrunkGroupId, TrunkGroup>,
    /// Groups that are being made or changed.
    coming: BTreeMap<u64, TrunkGroup>,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Tries that wait for their commit.
    waiting: BTreeMap<u64, TryId>,
}

#[derive(Debug)]
struct Attempt {
    /// Its last try.
    number: u32,
    /// Every trunk that was tried, the last one last.
    trunks: Vec<TrunkId>,
    stand: Stand,
    /// Its end is written, with this status and cause.
    written: Option<(Option<u16>, Option<u16>)>,
    rang: bool,
    answered: bool,
    taken_back: bool,
    /// How its last try that was sent ended, as far as that is certain.
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Stand {
    Written,
    Dialed,
    Failed(Failure),
}

impl Attempt {
    fn of(new: &NewTry) -> Attempt {
        Attempt {
            number: new.id.number,
            trunks: vec![new.trunk],
            stand: Stand::Written,
            written: None,
            rang: false,
            answered: false,
            taken_back: false,
            outcome: None,
        }
    }

    /// What speaks against a further try after the last one.
    fn against(&self, trunks: &BTreeMap<TrunkId, Trunk>) -> Option<String> {
        let Stand::Failed(failure) = &self.stand else { return Some("is not over".into()) };
        if self.rang || self.answered {
            return Some("reached somebody".into());
        }
        if self.taken_back {
            return Some("was taken back by us".into());
        }
        let (status, q850) = match failure {
            Failure::Status { rang: true, .. } | Failure::Timeout { rang: true } => {
                return Some("reached somebody".into());
            }
            Failure::Status { status, q850, .. } => (Some(*status), *q850),
            Failure::Timeout { .. } => (None, None),
            Failure::Cancelled | Failure::NotSent { .. } => return Some("did not fail at its trunk".into()),
        };
        if self.written != Some((status, q850)) {
            return Some(format!("has not its end, {status:?}, in the books"));
        }
        let of_the_person = status.is_some_and(|status| OF_THE_PERSON.contains(&status))
            || q850.is_some_and(|cause| OF_THE_CALLED.contains(&cause));
        let last = self.trunks.last().and_then(|id| trunks.get(id));
        let listed = last.is_some_and(|trunk| trunk.fail_over_on.contains(&status.unwrap_or(408)));
        (of_the_person || !listed).then(|| format!("failed with {status:?}, {q850:?}"))
    }
}

impl Tries {
    fn further(&mut self, now: Time, new: &NewTry, found: &mut Found) {
        let id = new.id;
        let Some(attempt) = self.attempts.get_mut(&id.attempt) else {
            return found.add(now, format!("{id} is begun and its attempt is not there, or over"));
        };
        if id.number != attempt.number + 1 {
            found.add(now, format!("{id} is begun after try {}", attempt.number));
        }
        if let Some(why) = attempt.against(&self.trunks) {
            found.add(now, format!("{id} is begun and the try before it {why}"));
        }
        let first = attempt.trunks.first().and_then(|id| self.trunks.get(id));
        let name = |id: &TrunkId| self.trunks.get(id).map(|trunk| trunk.name.as_str()).unwrap_or_default();
        let (one, other) = (attempt.trunks.first().map(name).unwrap_or_default(), name(&new.trunk));
        let has = |group: &TrunkGroup, trunk: &str| group.members.iter().any(|member| member.trunk == trunk);
        let grouped = self.groups.values().any(|group| has(group, one) && has(group, other));
        let listed = first.is_some_and(|t| t.fail_over.contains(&new.trunk));
        if attempt.trunks.contains(&new.trunk) || !(listed || grouped) {
            found.add(now, format!("{id} is begun over trunk {}, tried or not in the list", new.trunk));
        }
        attempt.number = id.number;
        attempt.trunks.push(new.trunk);
        (attempt.stand, attempt.written) = (Stand::Written, None);
    }

    /// What the line of an open try said.
    fn told(&mut self, id: TryId, event: &LineEvent) {
        let Some(attempt) = self.attempts.get_mut(&id.attempt) else { return };
        if attempt.number != id.number || !matches!(attempt.stand, Stand::Dialed) {
            return;
        }
        match event {
            LineEvent::Ringing { .. } => attempt.rang = true,
            LineEvent::Answered { .. } => (attempt.answered, attempt.outcome) = (true, None),
            LineEvent::Failed(failure) if !attempt.answered => {
                let outcome = match failure {
                    Failure::Status { status, q850, reason, rang, .. } => {
                        Some(Outcome::of_failure(Some(*status), *q850, reason, *rang || attempt.rang))
                    }
                    Failure::Timeout { rang } => {
                        Some(Outcome::of_failure(None, None, "", *rang || attempt.rang))
                    }
                    Failure::Cancelled => Some(Outcome::Cancelled),
                    // As if there had been no such try.
                    Failure::NotSent { .. } => attempt.outcome.or(Some(Outcome::NotSent)),
                };
                attempt.outcome = outcome.filter(|_| !attempt.taken_back);
                attempt.stand = Stand::Failed(failure.clone());
            }
            LineEvent::Ended { .. } => attempt.outcome = None,
            _ => {}
        }
    }

    fn dialed(&mut self, now: Time, id: TryId, trunk: TrunkId, found: &mut Found) {
        let Some(attempt) = self.attempts.get_mut(&id.attempt) else {
            return found.add(now, format!("{id} is dialed and its attempt is not there, or over"));
        };
        let begun = matches!(attempt.stand, Stand::Written) && attempt.number == id.number;
        if !begun || attempt.trunks.last() != Some(&trunk) {
            found.add(now, format!("{id} is dialed over trunk {trunk} beside try {}", attempt.number));
        }
        attempt.stand = Stand::Dialed;
    }
}

impl Check for Tries {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        self.changes.input(input);
        match input {
            Input::Restore(restore) => {
                self.trunks.extend(restore.trunks.iter().map(|trunk| (trunk.id, trunk.clone())));
                self.groups.extend(restore.groups.iter().cloned());
            }
            Input::Command { reply, command: Command::PutGroup { group, .. } } => {
                self.coming.insert(*reply, (**group).clone());
            }
            Input::Line { id, event } => self.told(*id, event),
            Input::Committed { token } => self.waiting = self.waiting.split_off(&token.saturating_add(1)),
            Input::CommitFailed { token } => {
                // It never was; the attempt stands as its try before left it, and is not tried again.
                if let Some(id) = self.waiting.remove(token).filter(|id| id.number == 1) {
                    self.attempts.remove(&id.attempt);
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
            Output::Reply { reply, result: Ok(Reply::Group(id)) } => {
                self.groups.extend(self.coming.remove(reply).map(|group| (*id, group)));
            }
            Output::Store { token, write: Write::Try(new) } => {
                self.waiting.extend(token.map(|token| (token, new.id)));
                if new.id.number == 1 {
                    self.attempts.insert(new.id.attempt, Attempt::of(new));
                } else {
                    self.further(now, new, found);
                }
            }
            Output::Store { write: Write::TryEnded { id, status, q850, .. }, .. } => {
                if let Some(attempt) = self.attempts.get_mut(&id.attempt).filter(|a| a.number == id.number) {
                    attempt.written = Some((*status, *q850));
                }
            }
            Output::Store { write: Write::AttemptEnded { attempt: id, outcome, .. }, .. } => {
                let expected = self.attempts.remove(id).and_then(|attempt| attempt.outcome);
                if let Some(expected) = expected.filter(|expected| expected != outcome) {
                    let (outcome, expected) = (outcome.as_str(), expected.as_str());
                    found.add(now, format!("attempt {id} ends {outcome} and its last try {expected}"));
                }
            }
            Output::Dial(dial) => self.dialed(now, dial.id, dial.trunk, found),
            Output::Cancel { id, .. } => {
                if let Some(attempt) = self.attempts.get_mut(&id.attempt) {
                    (attempt.taken_back, attempt.outcome) = (true, None);
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        (self.attempts, self.waiting, self.changes, self.coming) = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::CancelReason;

    /// Attempt 1 is dialed over trunk 1.
    fn hand() -> Hand<Tries> {
        let mut hand = Hand::new(all_day());
        hand.call(1, 1);
        hand
    }

    fn rang(mut failure: Failure) -> Failure {
        if let Failure::Status { rang, .. } | Failure::Timeout { rang } = &mut failure {
            *rang = true;
        }
        failure
    }

    fn caused(status: u16, cause: u16) -> Failure {
        Failure::Status { status, q850: Some(cause), reason: String::new(), retry_after: None, rang: false }
    }

    #[test]
    fn an_attempt_that_goes_on_is_sound() {
        for failure in [status(503), status(408), Failure::Timeout { rang: false }, caused(502, 34)] {
            let mut hand = hand();
            hand.try_over(id(1), failure);
            hand.call_on(1, 1);
            hand.try_over(second_of(1), status(486));
            hand.ended(1, Outcome::Busy, 16);
            hand.clean();
        }
    }

    #[test]
    fn sees_a_person_dialed_twice() {
        let wrong = [
            (status(486), "failed with Some(486)"),
            (status(600), "failed with Some(600)"),
            (status(603), "failed with Some(603)"),
            (status(607), "failed with Some(607)"),
            (status(608), "failed with Some(608)"),
            (status(404), "failed with Some(404)"),
            (caused(503, 17), "failed with Some(503), Some(17)"),
            (caused(500, 19), "failed with Some(500), Some(19)"),
            (rang(status(503)), "reached somebody"),
            (rang(Failure::Timeout { rang: false }), "reached somebody"),
            (Failure::Cancelled, "did not fail at its trunk"),
            (Failure::NotSent { reason: String::new() }, "did not fail at its trunk"),
        ];
        for (failure, what) in wrong {
            let mut hand = hand();
            hand.try_over(id(1), failure);
            hand.call_on(1, 1);
            hand.caught(what);
        }
        let mut ringing = hand();
        ringing.line(1, LineEvent::Ringing { early_media: false });
        ringing.try_over(id(1), status(503));
        ringing.call_on(1, 1);
        ringing.caught("reached somebody");
        let mut back = hand();
        back.output(&Output::Cancel { id: id(1), reason: CancelReason::RingTimeout });
        back.try_over(id(1), status(503));
        back.call_on(1, 1);
        back.caught("was taken back by us");
    }

    #[test]
    fn sees_two_trunks_at_once_and_what_is_out_of_turn() {
        let mut both = hand();
        both.call_on(1, 1);
        both.caught("1/2 is begun and the try before it is not over");
        let mut unwritten = hand();
        unwritten.fail(1, 503);
        unwritten.call_on(1, 1);
        unwritten.caught("has not its end, Some(503), in the books");
        let mut again = hand();
        again.try_over(id(1), status(503));
        again.write_further(second_of(1), 1, 1, 15);
        again.caught("1/2 is begun over trunk 1, tried or not in the list");
        let mut third = hand();
        third.try_over(id(1), status(503));
        third.write_further(TryId { number: 3, ..id(1) }, 1, 2, 15);
        third.caught("1/3 is begun after try 1");
        let mut over = hand();
        over.try_over(id(1), status(503));
        over.ended(1, Outcome::Congestion, 11);
        over.write_further(second_of(1), 1, 2, 15);
        over.caught("is not there, or over");
        let mut old = hand();
        old.try_over(id(1), status(503));
        old.write_further(second_of(1), 1, 2, 15);
        old.dial(1, 1);
        old.caught("1/1 is dialed over trunk 1 beside try 2");
    }

    #[test]
    fn sees_an_outcome_that_is_not_the_last_try_s() {
        let mut hand = hand();
        hand.try_over(id(1), status(503));
        hand.write_further(second_of(1), 1, 2, 15);
        hand.input(&Input::CommitFailed { token: 15 });
        hand.ended(1, Outcome::NotSent, 16);
        hand.caught("attempt 1 ends not_sent and its last try congestion");
        hand.call(2, 2);
        hand.try_over(id(2), status(503));
        hand.call_on(2, 2);
        hand.try_over(second_of(2), status(404));
        hand.ended(2, Outcome::Congestion, 26);
        hand.caught("attempt 2 ends congestion and its last try invalid");
    }
}
