//! The ledger equals a recount: people who answered, and those of them who were abandoned, by campaign.

use std::collections::BTreeMap;

use kraliki_time::Time;

use super::{Books, Check, End, Entry, Found};
use crate::{AttemptId, CampaignId, Input, Outcome, Output, Write};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Outcomes that are not acknowledged: one that fails is written again.
    waiting: BTreeMap<u64, AttemptId>,
    /// What was counted before the first start that we saw.
    before: BTreeMap<CampaignId, (u64, u64)>,
    started: bool,
}

#[derive(Debug)]
struct Attempt {
    campaign: CampaignId,
    late: bool,
    outcome: Option<Outcome>,
}

impl Ledger {
    fn recount(&self, campaign: CampaignId) -> (u64, u64) {
        let mut sums = self.before.get(&campaign).copied().unwrap_or_default();
        for attempt in self.attempts.values().filter(|attempt| attempt.campaign == campaign) {
            let person = match attempt.outcome {
                Some(outcome) if outcome.is_person() => Some(outcome == Outcome::Abandoned || attempt.late),
                // Answered when we crashed: the doubt is ours to bear.
                Some(Outcome::UnknownCrash) => Some(attempt.late),
                _ => None,
            };
            if let Some(abandoned) = person {
                sums.0 += 1;
                sums.1 += u64::from(abandoned);
            }
        }
        sums
    }
}

impl Check for Ledger {
    fn input(&mut self, _now: Time, input: &Input, _found: &mut Found) {
        match input {
            Input::Restore(restore) if !std::mem::replace(&mut self.started, true) => {
                for restored in &restore.campaigns {
                    let sums = restored.ledger.iter().fold((0, 0), |(all, bad), minute| {
                        (all + u64::from(minute.counts.answered), bad + u64::from(minute.counts.abandoned))
                    });
                    self.before.insert(restored.campaign.id, sums);
                }
            }
            Input::Committed { token } => {
                self.waiting = self.waiting.split_off(&token.saturating_add(1));
            }
            Input::CommitFailed { token } => {
                if let Some(id) = self.waiting.remove(token)
                    && let Some(attempt) = self.attempts.get_mut(&id)
                {
                    attempt.outcome = None;
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, _now: Time, output: &Output, _found: &mut Found) {
        let Output::Store { token, write } = output else { return };
        match write {
            Write::Try(new) if new.id.number == 1 => {
                let attempt = Attempt { campaign: new.campaign, late: false, outcome: None };
                self.attempts.insert(new.id.attempt, attempt);
            }
            Write::Connected { attempt, late, .. } => {
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.late |= late;
                }
            }
            Write::AttemptEnded { attempt, outcome, .. } => {
                if let Some(token) = token {
                    self.waiting.insert(*token, *attempt);
                }
                if let Some(attempt) = self.attempts.get_mut(attempt) {
                    attempt.outcome = Some(*outcome);
                }
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _now: Time, books: &Books, _found: &mut Found) {
        self.waiting.clear();
        self.attempts.retain(|id, attempt| match books.attempts.get(id) {
            None => false,
            Some(Entry { outcome: Some(Outcome::UnknownCrash), answered, connected, late }) => {
                attempt.outcome = answered.then_some(Outcome::UnknownCrash);
                attempt.late = *late || !connected;
                true
            }
            Some(_) => true,
        });
    }

    fn finish(&mut self, now: Time, end: &End<'_>, found: &mut Found) {
        for view in &end.snapshot.campaigns {
            let recount = self.recount(view.id);
            // What is estimated of machines is on top.
            let estimated = view.machines.estimated;
            let shown = (view.answered - estimated, view.abandoned - estimated);
            if recount != shown {
                found.add(now, format!("the ledger of {} says {shown:?}, a recount {recount:?}", view.id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::{AgentId, CampaignStatus, CampaignView, Mode, Snapshot};

    fn snapshot(answered: u64, abandoned: u64) -> Snapshot {
        let campaign = CampaignView {
            id: CampaignId(1),
            name: String::new(),
            status: CampaignStatus::Running,
            mode: Mode::Predictive,
            hopper: 0,
            lines: 0,
            talking: 0,
            waiting: 0,
            agents: 0,
            ready: 0,
            outcomes: BTreeMap::new(),
            attempts: 0,
            answered,
            abandoned,
            machines: crate::MachineChecks::default(),
            occupancy: 0.0,
            decision: String::new(),
            profile: String::new(),
            period_h: 720,
            abandonment_cap: 0.03,
            refused: BTreeMap::new(),
            notice: String::new(),
            no_caller_id: None,
        };
        Snapshot { campaigns: vec![campaign], ..Snapshot::default() }
    }

    #[test]
    fn sees_a_ledger_that_is_wrong_also_after_a_restart() {
        let mut hand: Hand<Ledger> = Hand::new(all_day());
        let endings = [Outcome::Connected, Outcome::Abandoned, Outcome::Busy, Outcome::Connected];
        for (n, outcome) in (1..).zip(endings) {
            hand.call(n, n);
            let (attempt, agent) = (AttemptId(n), AgentId(1));
            if n == 4 {
                hand.store(41, Write::Connected { attempt, agent, at_unix_ms: 0, wait_ms: 9, late: true });
            }
            hand.ended(n, outcome, n.unsigned_abs() * 10 + 2);
        }
        hand.finish(&snapshot(3, 2), None);
        hand.clean();
        hand.finish(&snapshot(3, 1), None);
        hand.caught("says (3, 1), a recount (3, 2)");
        hand.input(&Input::CommitFailed { token: 42 });
        hand.finish(&snapshot(2, 1), None);
        hand.clean();
        // The third was answered when we crashed, and no agent had it.
        let mut books = Books::default();
        for n in 1..=4 {
            books
                .attempts
                .insert(AttemptId(n), Entry { outcome: Some(Outcome::Connected), ..Entry::default() });
        }
        let crashed = Entry { outcome: Some(Outcome::UnknownCrash), answered: true, ..Entry::default() };
        books.attempts.insert(AttemptId(3), crashed);
        hand.restarted(&books);
        hand.finish(&snapshot(3, 2), None);
        hand.clean();
        hand.finish(&snapshot(2, 1), None);
        hand.caught("a recount (3, 2)");
    }
}
