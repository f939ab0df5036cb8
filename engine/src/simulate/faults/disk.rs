//! The simulated store: what is on disk, what is on its way there, and what a crash leaves of it. It mirrors
//! `store/writer.rs` (group commit in order; what fails and what is kept), `store/apply.rs` (what each write does) and
//! `store/refill.rs` (which leads come next).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kraliki_time::Time;

use crate::check::{Books, Entry};
use crate::{
    AgentId, AttemptId, Campaign, CampaignId, Input, Lead, LeadAnswer, LeadChange, LeadId, LeadStatus,
    NewTry, Outcome, StoredTrunk, Trunk, TrunkId, TryId, Write,
};

/// Jobs in one transaction, as in the real store.
const BATCH_MOST: usize = 512;
/// When a refill could not be read, the engine is told to come again after this, in ms.
const REFILL_AGAIN_MS: i64 = 1_000;

/// One thing for the store.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Write(Option<u64>, Box<Write>),
    Refill(CampaignId, u32),
    /// One lead, for a command.
    Lead(u64, CampaignId, LeadId),
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) lead: Lead,
    pub(super) status: LeadStatus,
    pub(super) next_unix_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) struct AttemptRow {
    pub(super) campaign: CampaignId,
    pub(super) lead: LeadId,
    pub(super) agent: Option<AgentId>,
    pub(super) disposed: bool,
    pub(super) crash_retry_unix_ms: i64,
    pub(super) answered_unix_ms: i64,
    /// When a start closed it.
    pub(super) closed_unix_ms: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct TryRow {
    pub(super) trunk: TrunkId,
    pub(super) dialog: Option<Vec<u8>>,
    /// When it ended.
    pub(super) ended_unix_ms: Option<i64>,
}

/// What is kept of a trunk that was made by API.
pub(super) fn stored(trunk: &Trunk) -> StoredTrunk {
    let profile = serde_json::to_string(trunk).unwrap_or_default();
    StoredTrunk { id: trunk.id, name: trunk.name.clone(), profile, sealed: None }
}

/// The tables, and the queue before them.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) books: Books,
    pub(super) leads: BTreeMap<LeadId, Row>,
    pub(super) attempts: BTreeMap<AttemptId, AttemptRow>,
    pub(super) tries: BTreeMap<TryId, TryRow>,
    pub(super) campaigns: BTreeMap<CampaignId, Campaign>,
    /// Made by API; the profile is the engine's [`crate::Trunk`] as JSON.
    pub(super) trunks: BTreeMap<TrunkId, StoredTrunk>,
    pub(super) next_trunk: i64,
    /// Leads that may be dialed at some time, in the order of refills.
    ready: BTreeSet<(CampaignId, Reverse<i32>, i64, LeadId)>,
    phones: BTreeMap<String, Vec<LeadId>>,
    suppressed: BTreeSet<String>,
    jobs: VecDeque<Job>,
    /// Written and not synced.
    flying: Vec<Job>,
    working: bool,
    pub(super) bad_until: Time,
    pub(super) hung_until: Time,
}

impl Disk {
    /// A trunk as if it had been made by API.
    pub(super) fn put_trunk(&mut self, trunk: &Trunk) {
        self.next_trunk = self.next_trunk.max(trunk.id.0 + 1);
        self.trunks.insert(trunk.id, stored(trunk));
    }

    pub(super) fn put_lead(&mut self, lead: Lead) {
        self.phones.entry(lead.phone.0.clone()).or_default().push(lead.id);
        self.ready.insert((lead.campaign, Reverse(lead.priority), 0, lead.id));
        self.leads.insert(lead.id, Row { lead, status: LeadStatus::New, next_unix_ms: 0 });
    }

    /// Takes a job; true when the writer must be woken.
    pub(super) fn job(&mut self, job: Job) -> bool {
        self.jobs.push_back(job);
        !std::mem::replace(&mut self.working, true)
    }

    /// When work that takes `lasts` is done.
    pub(super) fn done(&self, now: Time, lasts: Duration) -> Time {
        (now + lasts).max(self.hung_until)
    }

    /// A transaction is written. Gives answers, when the disk takes nothing.
    pub(super) fn write(&mut self, now: Time, unix_ms: i64) -> Vec<Input> {
        let some = BATCH_MOST.min(self.jobs.len());
        self.flying = self.jobs.drain(..some).collect();
        if now < self.bad_until { self.fail(unix_ms) } else { Vec::new() }
    }

    /// It is synced: on disk, and answered. The second says whether there is more to do.
    pub(super) fn sync(&mut self, now: Time, unix_ms: i64) -> (Vec<Input>, bool) {
        let answers = if now < self.bad_until { self.fail(unix_ms) } else { self.commit(unix_ms) };
        self.working = !self.jobs.is_empty();
        (answers, self.working)
    }

    fn commit(&mut self, unix_ms: i64) -> Vec<Input> {
        let mut answers = Vec::new();
        for job in std::mem::take(&mut self.flying) {
            match job {
                Job::Write(token, write) => {
                    let may_fail = matches!(
                        *write,
                        Write::Try(_) | Write::Campaign(_) | Write::Trunk(_) | Write::Disposed { .. }
                    );
                    let applied = self.apply(*write);
                    answers.extend(token.map(|token| match applied || !may_fail {
                        true => Input::Committed { token },
                        false => Input::CommitFailed { token },
                    }));
                }
                Job::Refill(campaign, limit) => answers.push(self.due(campaign, limit, unix_ms)),
                Job::Lead(reply, campaign, lead) => {
                    answers.push(Input::Lead { reply, answer: self.one(campaign, lead) });
                }
            }
        }
        answers
    }

    /// The disk is full: who waits is told, the rest is kept in order.
    fn fail(&mut self, unix_ms: i64) -> Vec<Input> {
        let mut answers = Vec::new();
        let all: Vec<Job> = std::mem::take(&mut self.flying).into_iter().chain(self.jobs.drain(..)).collect();
        for job in all {
            match job {
                Job::Write(Some(token), _) => answers.push(Input::CommitFailed { token }),
                Job::Write(None, _) => self.jobs.push_back(job),
                Job::Refill(campaign, _) => answers.push(Input::Leads {
                    campaign,
                    leads: Vec::new(),
                    next_due_unix_ms: Some(unix_ms + REFILL_AGAIN_MS),
                }),
                Job::Lead(reply, ..) => answers.push(Input::Lead { reply, answer: LeadAnswer::Failed }),
            }
        }
        answers
    }

    fn due(&self, campaign: CampaignId, limit: u32, now_unix_ms: i64) -> Input {
        let mut leads = Vec::new();
        let mut next_due_unix_ms = None;
        let from = (campaign, Reverse(i32::MAX), i64::MIN, LeadId(i64::MIN));
        for (of, _, next, id) in self.ready.range(from..) {
            if *of != campaign || leads.len() >= limit as usize {
                break;
            }
            let Some(row) = self.leads.get(id) else { continue };
            if *next > now_unix_ms {
                next_due_unix_ms = Some(next_due_unix_ms.map_or(*next, |due: i64| due.min(*next)));
            } else if !self.suppressed.contains(&row.lead.phone.0) {
                leads.push(row.lead.clone());
            }
        }
        if !leads.is_empty() {
            next_due_unix_ms = None;
        }
        Input::Leads { campaign, leads, next_due_unix_ms }
    }

    fn one(&self, campaign: CampaignId, id: LeadId) -> LeadAnswer {
        match self.leads.get(&id).filter(|row| row.lead.campaign == campaign) {
            None => LeadAnswer::NotFound,
            Some(row) => LeadAnswer::Found {
                lead: Box::new(row.lead.clone()),
                status: if self.suppressed.contains(&row.lead.phone.0) {
                    LeadStatus::Suppressed
                } else {
                    row.status
                },
                next_unix_ms: row.next_unix_ms,
            },
        }
    }

    /// What a crash leaves: the process's queue is gone. What was written and not synced is there after a crash of the
    /// process (the kernel has it) and perhaps not after a power loss.
    pub(super) fn crash(&mut self, synced: bool) {
        self.jobs.clear();
        self.working = false;
        let flying = std::mem::take(&mut self.flying);
        if synced {
            for job in flying {
                if let Job::Write(_, write) = job {
                    self.apply(*write);
                }
            }
        }
    }

    /// Whether a transaction is written and not synced.
    pub(super) fn is_flying(&self) -> bool {
        !self.flying.is_empty()
    }

    /// False when it makes no sense in the present state.
    fn apply(&mut self, write: Write) -> bool {
        match write {
            Write::Try(new) => return self.new_try(new),
            Write::TryEnded { id, at_unix_ms, .. } => {
                let Some(row) = self.tries.get_mut(&id) else { return false };
                (row.ended_unix_ms, row.dialog) = (Some(at_unix_ms), None);
            }
            Write::Answered { id, dialog, at_unix_ms } => {
                let Some(row) = self.tries.get_mut(&id) else { return false };
                row.dialog = Some(dialog);
                if let Some(row) = self.attempts.get_mut(&id.attempt) {
                    row.answered_unix_ms = at_unix_ms;
                }
                self.entry(id.attempt).answered = true;
            }
            Write::Connected { attempt, agent, late, .. } => {
                let Some(row) = self.attempts.get_mut(&attempt) else { return false };
                row.agent = Some(agent);
                let entry = self.entry(attempt);
                (entry.connected, entry.late) = (true, late);
            }
            Write::AttemptEnded { attempt, outcome, lead, .. } => {
                if !self.attempts.contains_key(&attempt) || self.entry(attempt).outcome.is_some() {
                    return false; // exactly once: the first outcome stands
                }
                self.entry(attempt).outcome = Some(outcome);
                self.change_lead(&lead);
            }
            Write::Disposed { attempt, code, lead, .. } => {
                let Some(row) = self.attempts.get_mut(&attempt) else { return false };
                row.disposed = true;
                self.books.dispositions.insert((attempt, code));
                if let Some(change) = lead {
                    self.change_lead(&change);
                }
            }
            Write::Lead(change) => self.change_lead(&change),
            Write::Suppress { phone, .. } => self.suppress(phone.0),
            Write::Campaign(campaign) => drop(self.campaigns.insert(campaign.id, *campaign)),
            Write::CampaignDeleted(id) => drop(self.campaigns.remove(&id)),
            Write::Trunk(trunk) => {
                self.next_trunk = self.next_trunk.max(trunk.id.0 + 1);
                self.trunks.insert(trunk.id, trunk);
            }
            Write::TrunkDeleted(id) => drop(self.trunks.remove(&id)),
            Write::HandedOver { attempt, agent } => {
                let Some(row) = self.attempts.get_mut(&attempt) else { return false };
                row.agent = Some(agent);
            }
            Write::AgentTime { .. }
            | Write::Leg { .. }
            | Write::Part { .. }
            | Write::People(_)
            | Write::Probe => {}
            // What caller ids did and who may be shown is not of a call: a start of the run has them from its setting.
            Write::TrunkGroup { .. }
            | Write::TrunkGroupDeleted(_)
            | Write::CallerIdPool { .. }
            | Write::CallerIdPoolDeleted(_)
            | Write::CallerIdDays(_)
            | Write::Quarantine(_)
            | Write::CallerIdLifted { .. } => {}
            Write::Marked { attempt, .. } => return self.attempts.contains_key(&attempt),
        }
        true
    }

    pub(super) fn entry(&mut self, id: AttemptId) -> &mut Entry {
        self.books.attempts.entry(id).or_default()
    }

    fn new_try(&mut self, new: NewTry) -> bool {
        let Some(row) = self.leads.get(&new.lead) else { return false };
        let (status, next) = (row.status, row.next_unix_ms);
        if new.id.number == 1 {
            // The last check that nobody is dialed twice.
            if !matches!(status, LeadStatus::New | LeadStatus::Retry) {
                return false;
            }
            self.set_lead(new.lead, LeadStatus::Dialing, next);
            self.entry(new.id.attempt);
            self.attempts.insert(
                new.id.attempt,
                AttemptRow {
                    campaign: new.campaign,
                    lead: new.lead,
                    agent: None,
                    disposed: false,
                    crash_retry_unix_ms: new.crash_retry_unix_ms,
                    answered_unix_ms: 0,
                    closed_unix_ms: None,
                },
            );
        } else {
            let over = self.books.attempts.get(&new.id.attempt).is_none_or(|entry| entry.outcome.is_some());
            let Some(row) = self.attempts.get_mut(&new.id.attempt) else { return false };
            if over || status != LeadStatus::Dialing {
                return false;
            }
            row.crash_retry_unix_ms = new.crash_retry_unix_ms;
        }
        self.tries.insert(new.id, TryRow { trunk: new.trunk, dialog: None, ended_unix_ms: None });
        true
    }

    /// Suppressed is final.
    fn change_lead(&mut self, change: &LeadChange) {
        let Some(row) = self.leads.get_mut(&change.lead).filter(|row| row.status != LeadStatus::Suppressed)
        else {
            return;
        };
        row.lead.attempts = change.attempts;
        row.lead.last_outcome = change.last_outcome;
        row.lead.repeats = change.repeats;
        self.set_lead(change.lead, change.status, change.next_unix_ms);
    }

    pub(super) fn set_lead(&mut self, id: LeadId, status: LeadStatus, next_unix_ms: i64) {
        let Some(row) = self.leads.get_mut(&id) else { return };
        let key = |next| (row.lead.campaign, Reverse(row.lead.priority), next, id);
        self.ready.remove(&key(row.next_unix_ms));
        if matches!(status, LeadStatus::New | LeadStatus::Retry) {
            self.ready.insert(key(next_unix_ms));
        }
        (row.status, row.next_unix_ms) = (status, next_unix_ms);
    }

    fn suppress(&mut self, phone: String) {
        for id in self.phones.get(&phone).cloned().unwrap_or_default() {
            let next = self.leads.get(&id).map_or(0, |row| row.next_unix_ms);
            self.set_lead(id, LeadStatus::Suppressed, next);
        }
        self.suppressed.insert(phone);
    }

    /// Attempts that have no outcome.
    pub(super) fn open_attempts(&self) -> Vec<AttemptId> {
        let open = self.books.attempts.iter().filter(|(_, entry)| entry.outcome.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// Attempts by outcome.
    pub(super) fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for outcome in self.books.attempts.values().filter_map(|entry| entry.outcome) {
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }
}
