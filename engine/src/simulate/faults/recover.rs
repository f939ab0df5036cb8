//! What a start finds on the simulated disk. It mirrors `store/recover.rs`, step by step in the same order, and gives the
//! same type; how that becomes the engine's `Restore` is the code of the real start (`Recovered::restore`).

use std::collections::BTreeMap;

use super::disk::{Disk, TryRow};
use crate::limits::ORPHAN_HOLDS;
use crate::store::{Orphan, Recovered};
use crate::{
    AttemptId, CampaignId, LeadStatus, LedgerCounts, LedgerMinute, Outcome, RestoredCampaign, TryId,
    Undisposed,
};

impl Disk {
    /// Closes what a crash left open and gives the engine what it must know.
    pub(super) fn recover(&mut self, now_unix_ms: i64) -> Recovered {
        let orphans = self.orphans(now_unix_ms);
        let closed = self.close_attempts(now_unix_ms);
        let ledger = self.ledger();
        let campaigns = self.campaigns.values().map(|campaign| {
            let ledger = ledger.get(&campaign.id).cloned().unwrap_or_default();
            RestoredCampaign { campaign: campaign.clone(), ledger }
        });
        Recovered {
            campaigns: campaigns.collect(),
            next_campaign: self.campaigns.keys().next_back().map_or(1, |id| id.0 + 1),
            next_attempt: self.attempts.keys().next_back().map_or(1, |id| id.0 + 1),
            trunks: self.trunks.values().cloned().collect(),
            next_trunk: self.next_trunk,
            orphans,
            undisposed: self.undisposed(),
            closed,
            ..Recovered::default()
        }
    }

    /// Tries without an end, of attempts without an outcome, and those that the start before this one closed a moment ago.
    fn orphans(&self, now_unix_ms: i64) -> Vec<Orphan> {
        let held_ms = i64::try_from(ORPHAN_HOLDS.as_millis()).unwrap_or(i64::MAX);
        let open = |id: &AttemptId| self.books.attempts.get(id).is_some_and(|e| e.outcome.is_none());
        let closed = |id: &AttemptId| self.attempts.get(id).and_then(|row| row.closed_unix_ms);
        let tries = self.tries.iter().filter(|(id, row)| match row.ended_unix_ms {
            None => open(&id.attempt),
            Some(at) => {
                at > now_unix_ms.saturating_sub(held_ms)
                    && closed(&id.attempt).is_some_and(|closed| closed == at)
            }
        });
        tries.map(|(id, row)| Orphan { id: *id, trunk: row.trunk, dialog: row.dialog.clone() }).collect()
    }

    fn close_attempts(&mut self, now_unix_ms: i64) -> u64 {
        let open = self.open_attempts();
        for id in &open {
            if let Some(attempt) = self.attempts.get(id).cloned()
                && let Some(row) = self.leads.get_mut(&attempt.lead)
                && row.status == LeadStatus::Dialing
            {
                // Only a lead that is still on the line: a disposition given during the call stands.
                let crash = Some(Outcome::UnknownCrash);
                row.lead.attempts += 1;
                row.lead.repeats = if row.lead.last_outcome == crash { row.lead.repeats + 1 } else { 1 };
                row.lead.last_outcome = crash;
                let next = row.next_unix_ms.max(attempt.crash_retry_unix_ms);
                self.set_lead(attempt.lead, LeadStatus::Retry, next);
            }
            self.entry(*id).outcome = Some(Outcome::UnknownCrash);
            if let Some(attempt) = self.attempts.get_mut(id) {
                attempt.closed_unix_ms = Some(now_unix_ms);
            }
        }
        let left =
            |(id, row): &(&TryId, &mut TryRow)| row.ended_unix_ms.is_none() && open.contains(&id.attempt);
        for (_, row) in self.tries.iter_mut().filter(left) {
            (row.ended_unix_ms, row.dialog) = (Some(now_unix_ms), None);
        }
        open.len() as u64
    }

    /// Calls that a person answered, and those of them that were abandoned. A call that was answered when we crashed counts
    /// as a person's, and as abandoned unless an agent had it.
    fn ledger(&self) -> BTreeMap<CampaignId, Vec<LedgerMinute>> {
        let mut sums: BTreeMap<CampaignId, Vec<LedgerMinute>> = BTreeMap::new();
        for (id, entry) in self.books.attempts.iter().filter(|(_, entry)| entry.answered) {
            let (Some(row), Some(outcome)) = (self.attempts.get(id), entry.outcome) else { continue };
            let crashed = outcome == Outcome::UnknownCrash;
            if outcome.is_person() || crashed {
                let bad = outcome == Outcome::Abandoned || entry.late || (crashed && !entry.connected);
                let minute = row.answered_unix_ms.div_euclid(60_000);
                let minutes = sums.entry(row.campaign).or_default();
                match minutes.iter_mut().find(|known| known.minute == minute) {
                    Some(known) => {
                        known.counts.answered += 1;
                        known.counts.abandoned += u32::from(bad);
                    }
                    None => {
                        let (answered, abandoned) = (1, u32::from(bad));
                        let counts = LedgerCounts { answered, abandoned, ..LedgerCounts::default() };
                        minutes.push(LedgerMinute { minute, counts });
                    }
                }
            }
        }
        sums
    }

    fn undisposed(&self) -> Vec<Undisposed> {
        let waiting = self.attempts.iter().rev().filter(|(_, row)| !row.disposed);
        let calls = waiting.filter_map(|(id, row)| {
            let lead = &self.leads.get(&row.lead)?.lead;
            let in_a_row = lead.last_outcome == Some(Outcome::Connected);
            Some(Undisposed {
                attempt: *id,
                campaign: row.campaign,
                lead: row.lead,
                phone: lead.phone.clone(),
                agent: row.agent?,
                attempts: lead.attempts,
                repeats: if in_a_row { lead.repeats } else { 1 },
            })
        });
        calls.collect()
    }
}
