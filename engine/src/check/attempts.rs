//! Attempt caps: a lead gets no more attempts than its campaign allows, by a count of our own, restarts included.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::{Books, Check, Found};
use crate::{AttemptId, CampaignId, Input, LeadId, Outcome, Output, Write};

#[derive(Debug, Default)]
pub(super) struct Attempts {
    most: BTreeMap<CampaignId, u32>,
    /// Attempts that count, by lead.
    had: BTreeMap<LeadId, u32>,
    open: BTreeMap<AttemptId, Open>,
}

#[derive(Debug)]
struct Open {
    lead: LeadId,
    token: Option<u64>,
}

impl Attempts {
    fn settle(&mut self, id: AttemptId, outcome: Outcome) {
        if let Some(open) = self.open.remove(&id)
            && outcome.counts()
        {
            *self.had.entry(open.lead).or_default() += 1;
        }
    }
}

impl Check for Attempts {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Restore(restore) => {
                for restored in &restore.campaigns {
                    self.most.insert(restored.campaign.id, restored.campaign.settings.max_attempts);
                }
            }
            // The attempt never was.
            Input::CommitFailed { token } => self.open.retain(|_, open| open.token != Some(*token)),
            _ => {}
        }
    }

    fn output(&mut self, now: Time, output: &Output, found: &mut Found) {
        let Output::Store { token, write } = output else { return };
        match write {
            Write::Campaign(campaign) => {
                self.most.insert(campaign.id, campaign.settings.max_attempts);
            }
            // A further try is of the same attempt.
            Write::Try(new) if new.id.number == 1 => {
                let had = self.had.get(&new.lead).copied().unwrap_or(0);
                let most = self.most.get(&new.campaign).copied().unwrap_or(0);
                if had >= most {
                    found.add(now, format!("lead {} has had its {most} attempts: {}", new.lead, new.id));
                }
                let open = Open { lead: new.lead, token: *token };
                self.open.insert(new.id.attempt, open);
            }
            Write::AttemptEnded { attempt, outcome, .. } => self.settle(*attempt, *outcome),
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, books: &Books, _found: &mut Found) {
        // What was open at the crash is what the books say now, if they know of it at all.
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            match books.attempts.get(&id).and_then(|entry| entry.outcome) {
                Some(outcome) => self.settle(id, outcome),
                None => drop(self.open.remove(&id)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::CampaignSettings;

    #[test]
    fn sees_one_attempt_too_many() {
        let mut hand: Hand<Attempts> = Hand::new(CampaignSettings { max_attempts: 2, ..all_day() });
        hand.call(1, 1);
        hand.ended(1, Outcome::NoAnswer, 11);
        hand.call(2, 1);
        hand.ended(2, Outcome::NotSent, 21);
        let mut other: Hand<Attempts> = Hand::new(CampaignSettings { max_attempts: 1, ..all_day() });
        other.call(1, 1);
        other.fail(1, 503);
        other.write_further(second_of(1), 1, 2, 15);
        other.input(&Input::CommitFailed { token: 15 });
        other.clean();
        other.ended(1, Outcome::NoAnswer, 16);
        other.call(2, 1);
        other.caught("has had its 1 attempts");
        hand.call(3, 1);
        hand.clean();
        // A crash: the books have it as such, and it counts.
        let mut books = Books::default();
        let entry = super::super::Entry { outcome: Some(Outcome::UnknownCrash), ..Default::default() };
        books.attempts.insert(AttemptId(3), entry);
        hand.restarted(&books);
        hand.call(4, 1);
        hand.caught("has had its 2 attempts");
    }
}
