//! No lead is dialed twice inside its retry time, and no number is on two lines at once; also across a restart, where
//! whatever may have been lost with the memory is taken to be lost.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::tokens::Tokens;
use super::{Books, Check, Found};
use crate::{AttemptId, Input, LeadChange, LeadId, LeadStatus, NewTry, Output, Pii, Write};

#[derive(Debug, Default)]
pub(super) struct Redial {
    tokens: Tokens,
    leads: BTreeMap<LeadId, Lead>,
    numbers: BTreeMap<Pii<String>, AttemptId>,
    tries: BTreeMap<u64, NewTry>,
}

#[derive(Debug, Default)]
struct Lead {
    /// An attempt that is written and not over.
    open: Option<(AttemptId, Pii<String>)>,
    /// What holds, the last one now; after a crash perhaps an earlier one that is not acknowledged as replaced.
    bounds: Vec<Bound>,
}

/// Not before this time.
#[derive(Clone, Copy, Debug)]
struct Bound {
    write: u64,
    /// Ms since 1970; none: never again.
    next_unix_ms: Option<i64>,
}

impl Redial {
    fn bound(&mut self, lead: LeadId, write: u64, next_unix_ms: Option<i64>) {
        let tokens = &self.tokens;
        let bounds = &mut self.leads.entry(lead).or_default().bounds;
        // All before the last acknowledged one is history.
        if let Some(sure) = bounds.iter().rposition(|bound| tokens.is_durable(bound.write)) {
            bounds.drain(..sure);
        }
        bounds.push(Bound { write, next_unix_ms });
    }

    fn change(&mut self, write: u64, change: &LeadChange) {
        let next = match change.status {
            LeadStatus::New => Some(i64::MIN),
            LeadStatus::Retry => Some(change.next_unix_ms),
            LeadStatus::Dialing | LeadStatus::Done | LeadStatus::Suppressed => None,
        };
        self.bound(change.lead, write, next);
    }

    fn new_try(&mut self, now: Time, write: u64, new: &NewTry, found: &mut Found) {
        let lead = self.leads.entry(new.lead).or_default();
        if new.id.number > 1 {
            // The same line, dialed anew.
            let open = lead.open.as_ref().map(|(attempt, phone)| (*attempt, phone));
            if open != Some((new.id.attempt, &new.phone)) {
                found.add(now, format!("lead {} is not on that line: {}", new.lead, new.id));
            }
            return self.bound(new.lead, write, Some(new.crash_retry_unix_ms));
        }
        if lead.open.replace((new.id.attempt, new.phone.clone())).is_some() {
            found.add(now, format!("lead {} is dialed twice at once ({})", new.lead, new.id));
        }
        match lead.bounds.last() {
            Some(Bound { next_unix_ms: None, .. }) => {
                found.add(now, format!("lead {} is done: {}", new.lead, new.id));
            }
            Some(Bound { next_unix_ms: Some(next), .. }) if new.at_unix_ms < *next => {
                let early = next - new.at_unix_ms;
                found.add(now, format!("lead {} is dialed {early} ms too early: {}", new.lead, new.id));
            }
            _ => {}
        }
        if self.numbers.insert(new.phone.clone(), new.id.attempt).is_some() {
            found.add(now, format!("the number of lead {} is on two lines ({})", new.lead, new.id));
        }
        self.bound(new.lead, write, Some(new.crash_retry_unix_ms));
    }

    fn over(&mut self, lead: LeadId) {
        if let Some((_, phone)) = self.leads.get_mut(&lead).and_then(|lead| lead.open.take()) {
            self.numbers.remove(&phone);
        }
    }
}

impl Check for Redial {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        if let Some(failed) = self.tokens.input(input) {
            if let Some(new) = self.tries.remove(&failed).filter(|new| new.id.number == 1) {
                self.over(new.lead); // it never was
            }
            for lead in self.leads.values_mut() {
                lead.bounds.retain(|bound| bound.write != failed);
            }
        }
        if matches!(input, Input::Committed { .. }) {
            self.tries.retain(|write, _| !self.tokens.is_durable(*write));
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        let write = self.tokens.output(output);
        let Output::Store { write: what, .. } = output else { return };
        match what {
            Write::Try(new) => {
                self.new_try(now, write, new, found);
                self.tries.insert(write, new.clone());
            }
            Write::AttemptEnded { lead, .. } => {
                self.over(lead.lead);
                self.change(write, lead);
            }
            Write::Disposed { lead: Some(lead), .. } | Write::Lead(lead) => self.change(write, lead),
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, _books: &Books, _found: &mut Found) {
        self.numbers.clear();
        self.tries.clear();
        for lead in self.leads.values_mut() {
            lead.open = None;
            let tokens = &self.tokens;
            let sure = lead.bounds.iter().rposition(|bound| tokens.is_durable(bound.write));
            let may_hold = lead.bounds.get(sure.unwrap_or(0)..).unwrap_or_default();
            // Before the first write nothing bound the lead.
            let least = match sure {
                None => Some(Bound { write: 0, next_unix_ms: Some(i64::MIN) }),
                Some(_) => may_hold.iter().copied().min_by_key(|b| b.next_unix_ms.unwrap_or(i64::MAX)),
            };
            lead.bounds = least.into_iter().collect();
        }
        self.tokens.restarted();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::Outcome;

    #[test]
    fn sees_a_second_line_and_a_call_before_its_time() {
        let mut hand: Hand<Redial> = Hand::new(all_day());
        hand.call(1, 1);
        hand.clean();
        hand.write_try(2, 1, 20);
        assert_eq!(hand.found().len(), 3, "twice at once, on two lines, too early");
        hand.ended(1, Outcome::NoAnswer, 21);
        hand.wait_ms(3_500_000);
        hand.call(3, 1);
        hand.caught("too early");
        hand.ended(1, Outcome::NoAnswer, 31);
        hand.wait_ms(3_700_000);
        hand.call(4, 1);
        hand.clean();
        hand.store(
            50,
            Write::Lead(LeadChange {
                lead: LeadId(5),
                status: LeadStatus::Done,
                next_unix_ms: 0,
                attempts: 1,
                last_outcome: None,
                repeats: 0,
                callback: None,
                phone: None,
            }),
        );
        hand.call(5, 5);
        hand.caught("is done");
    }

    #[test]
    fn sees_a_further_try_that_is_not_of_the_line() {
        let mut hand: Hand<Redial> = Hand::new(all_day());
        hand.call(1, 1);
        hand.fail(1, 503);
        hand.wait_ms(60_000);
        hand.write_further(second_of(1), 1, 2, 15);
        hand.input(&Input::CommitFailed { token: 15 });
        hand.clean();
        hand.write_try(2, 1, 20);
        assert_eq!(hand.found().len(), 3, "the line is still there");
        let mut hand: Hand<Redial> = Hand::new(all_day());
        hand.call(1, 1);
        hand.ended(1, Outcome::Congestion, 11);
        hand.call_on(1, 1);
        hand.caught("lead 1 is not on that line: 1/2");
        let mut hand: Hand<Redial> = Hand::new(all_day());
        hand.call(1, 1);
        hand.call(2, 2);
        hand.wait_ms(60_000);
        hand.call_on(1, 1);
        hand.write_further(second_of(2), 2, 2, 25); // may never have been
        hand.clean();
        hand.restarted(&Books::default());
        hand.wait_ms(10_800_000 - 30_000);
        hand.write_try(3, 2, 30);
        hand.clean();
        hand.write_try(4, 1, 40);
        hand.caught("too early");
    }

    #[test]
    fn sees_a_call_too_early_after_a_restart_and_takes_what_was_not_acknowledged_for_lost() {
        let mut hand: Hand<Redial> = Hand::new(all_day());
        hand.call(1, 1); // open at the crash
        hand.call(2, 2);
        hand.ended(2, Outcome::NotSent, 21); // may be lost, or not
        hand.write_try(3, 3, 30); // may never have been
        hand.restarted(&Books::default());
        hand.wait_ms(4_000_000);
        hand.write_try(10, 3, 100);
        hand.write_try(11, 2, 110);
        hand.clean();
        hand.write_try(12, 1, 120);
        hand.caught("too early");
    }
}
