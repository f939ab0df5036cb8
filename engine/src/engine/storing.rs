//! Writes and their acknowledgements: what waits for the disk, and what happens when it takes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::call::Given;
use crate::limits::{COMMANDS_MOST, COMMIT_STALL, FACTS_MOST, PROBE_FIRST, PROBE_SLOWEST};
use crate::timer::Timer;
use crate::{
    AttemptId, CallerIdPool, CallerIdPoolId, Campaign, CampaignId, CampaignSettings, CampaignStatus,
    CommandError, Engine, LeadId, Output, PeopleChange, Reply, Trunk, TrunkGroup, TrunkGroupId, TrunkId,
    Write,
};

/// Facts that are written again at once when the store is back.
const FLUSH: usize = 500;

/// The engine's side of the store.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Storing {
    last_token: u64,
    /// What waits for its commit, by token.
    pending: BTreeMap<u64, Pending>,
    /// Facts that failed, or came while others had failed, in the order in which they happened.
    facts: BTreeMap<u64, Write>,
    /// A write failed and none was taken since.
    failing: bool,
    /// The probe that is on its way.
    probe: Option<u64>,
    pause: Duration,
    /// Commands among the pending.
    commands: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    at: Time,
    then: Then,
}

/// What follows when a write is on disk, or is not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Then {
    /// The try may be sent.
    Try(AttemptId),
    /// Nothing; but it must get there: it is written again, before facts with a higher number.
    Fact(u64, Write),
    /// The command is done.
    Reply(u64),
    /// The campaign exists.
    Create(u64, Box<Campaign>),
    /// The settings hold.
    Update(u64, CampaignId, Box<CampaignSettings>),
    /// The status holds.
    Status(u64, CampaignId, CampaignStatus),
    /// The campaign is gone.
    Delete(u64, CampaignId),
    /// The trunk takes calls, or takes them so.
    PutTrunk(u64, Box<Trunk>),
    /// The trunk is deleted.
    DeleteTrunk(u64, TrunkId),
    /// Teams, levels, reasons for a pause or a shift are so.
    People(u64, Box<PeopleChange>),
    /// The trunk group holds.
    PutGroup(u64, TrunkGroupId, Box<TrunkGroup>),
    /// The trunk group is gone.
    DeleteGroup(u64, TrunkGroupId),
    /// The pool holds.
    PutPool(u64, CallerIdPoolId, Box<CallerIdPool>),
    /// The pool is gone.
    DeletePool(u64, CallerIdPoolId),
    /// The disposition stands; else the one before it does.
    Dispose(u64, AttemptId, Option<Given>),
}

impl Then {
    fn is_command(&self) -> bool {
        !matches!(self, Then::Try(_) | Then::Fact(..))
    }
}

impl Storing {
    /// Whether the store takes writes, as far as is known.
    pub(crate) fn is_ok(&self, now: Time) -> bool {
        let stalled = self.pending.values().next().is_some_and(|first| now.since(first.at) > COMMIT_STALL);
        !self.failing && self.facts.is_empty() && !stalled
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn facts_waiting(&self) -> usize {
        self.facts.len()
    }

    /// Leads of which something is not on disk yet: what the store says of them is old.
    pub(crate) fn leads_waiting(&self) -> BTreeSet<LeadId> {
        let pending = self.pending.values().filter_map(|pending| match &pending.then {
            Then::Fact(_, write) => Some(write),
            _ => None,
        });
        let lead = |write: &Write| match write {
            Write::AttemptEnded { lead, .. }
            | Write::Disposed { lead: Some(lead), .. }
            | Write::Lead(lead) => Some(lead.lead),
            _ => None,
        };
        pending.chain(self.facts.values()).filter_map(lead).collect()
    }

    /// Whether a command must be turned away.
    pub(crate) fn is_full(&self) -> bool {
        self.commands >= COMMANDS_MOST
    }

    /// Whether everything is on disk.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_empty() && self.facts.is_empty()
    }

    /// Campaigns that are being created.
    pub(crate) fn creating(&self) -> impl Iterator<Item = &Campaign> {
        self.pending.values().filter_map(|pending| match &pending.then {
            Then::Create(_, campaign) => Some(&**campaign),
            _ => None,
        })
    }

    /// Names that campaigns are being given.
    pub(crate) fn renaming(&self) -> impl Iterator<Item = (CampaignId, &str)> {
        self.pending.values().filter_map(|pending| match &pending.then {
            Then::Update(_, id, settings) => Some((*id, settings.name.as_str())),
            _ => None,
        })
    }

    /// Settings that campaigns are being given.
    pub(crate) fn coming_settings(&self) -> impl Iterator<Item = &CampaignSettings> {
        self.pending.values().filter_map(|pending| match &pending.then {
            Then::Create(_, campaign) => Some(&campaign.settings),
            Then::Update(_, _, settings) => Some(&**settings),
            _ => None,
        })
    }

    /// Trunks that are being made or changed, as they will be.
    pub(crate) fn coming_trunks(&self) -> impl Iterator<Item = &Trunk> {
        self.pending.values().filter_map(|pending| match &pending.then {
            Then::PutTrunk(_, trunk) => Some(&**trunk),
            _ => None,
        })
    }

    /// Trunk groups that are being made or changed, as they will be.
    pub(crate) fn coming_groups(&self) -> impl Iterator<Item = &TrunkGroup> {
        self.pending.values().filter_map(|pending| match &pending.then {
            Then::PutGroup(_, _, group) => Some(&**group),
            _ => None,
        })
    }

    /// Pools that are being made or changed, as they will be.
    pub(crate) fn coming_pools(&self) -> impl Iterator<Item = (CallerIdPoolId, &CallerIdPool)> {
        self.pending.values().filter_map(|pending| match &pending.then {
            Then::PutPool(_, id, pool) => Some((*id, &**pool)),
            _ => None,
        })
    }

    fn add(&mut self, at: Time, then: Then) -> u64 {
        self.last_token += 1;
        self.commands += usize::from(then.is_command());
        self.pending.insert(self.last_token, Pending { at, then });
        self.last_token
    }

    fn remove(&mut self, token: u64) -> Option<Then> {
        let pending = self.pending.remove(&token)?;
        self.commands = self.commands.saturating_sub(usize::from(pending.then.is_command()));
        Some(pending.then)
    }
}

impl Engine {
    /// Writes something that nobody waits for and that may be lost with the store.
    pub(crate) fn note(&mut self, write: Write) {
        self.out.push_back(Output::Store { token: None, write });
    }

    /// Writes something that happened. It gets to the disk, and in order, if only later.
    pub(crate) fn fact(&mut self, now: Time, write: Write) {
        // Its token, or the one that it would have had, is its place in the order of facts.
        let place = self.storing.last_token + 1;
        if self.storing.facts.is_empty() {
            self.store(now, write.clone(), Then::Fact(place, write));
            return;
        }
        if self.storing.facts.len() >= FACTS_MOST {
            self.storing.facts.pop_first();
            self.counters.facts_lost += 1;
        }
        self.storing.last_token = place;
        self.storing.facts.insert(place, write);
    }

    /// Writes something that something waits for.
    pub(crate) fn store(&mut self, now: Time, write: Write, then: Then) {
        let token = self.storing.add(now, then);
        self.out.push_back(Output::Store { token: Some(token), write });
    }

    /// Everything up to this token is on disk.
    pub(crate) fn committed(&mut self, now: Time, token: u64) {
        let mut any = false;
        while let Some((first, _)) = self.storing.pending.first_key_value() {
            let first = *first;
            if first > token {
                break;
            }
            let Some(then) = self.storing.remove(first) else { break };
            any = true;
            self.written(now, then);
        }
        if any {
            self.storing.failing = false;
            self.storing.pause = Duration::ZERO;
            if self.storing.probe.is_some_and(|probe| probe <= token) {
                self.storing.probe = None;
            }
            self.flush(now);
            self.pace_wanted = true;
        }
    }

    /// Nothing of this write is on disk.
    pub(crate) fn commit_failed(&mut self, now: Time, token: u64) {
        let Some(then) = self.storing.remove(token) else { return };
        self.counters.commit_failures += 1;
        self.storing.failing = true;
        if self.storing.probe == Some(token) {
            self.storing.probe = None;
        }
        match then {
            Then::Try(attempt) => self.try_failed(now, attempt),
            Then::Fact(place, write) => drop(self.storing.facts.insert(place, write)),
            other => self.not_written(now, other),
        }
        if self.storing.probe.is_none() && !self.timers.is_set(Timer::Probe) {
            let pause = self.storing.pause;
            self.storing.pause = if pause.is_zero() { PROBE_FIRST } else { (pause * 2).min(PROBE_SLOWEST) };
            self.timers.set(Timer::Probe, now + self.storing.pause);
        }
        self.pace_wanted = true;
    }

    /// Is the store back? The oldest fact is tried, else a write that changes nothing.
    pub(crate) fn probe_store(&mut self, now: Time) {
        let nothing = (self.storing.last_token + 1, Write::Probe);
        let (place, write) = self.storing.facts.pop_first().unwrap_or(nothing);
        self.store(now, write.clone(), Then::Fact(place, write));
        self.storing.probe = Some(self.storing.last_token);
    }

    fn flush(&mut self, now: Time) {
        if self.storing.pending.len() >= FLUSH {
            return;
        }
        for _ in 0..FLUSH {
            let Some((place, write)) = self.storing.facts.pop_first() else { break };
            self.store(now, write.clone(), Then::Fact(place, write));
        }
    }

    fn written(&mut self, now: Time, then: Then) {
        match then {
            Then::Try(attempt) => self.try_committed(now, attempt),
            Then::Fact(..) => {}
            Then::Reply(reply) => self.reply(reply, Ok(Reply::Done)),
            Then::Create(reply, campaign) => self.campaign_created(now, reply, *campaign),
            Then::Update(reply, id, settings) => self.campaign_updated(now, reply, id, *settings),
            Then::Status(reply, id, status) => self.campaign_switched(now, reply, id, status),
            Then::Delete(reply, id) => self.campaign_deleted(reply, id),
            Then::PutTrunk(reply, trunk) => self.trunk_put(now, reply, *trunk),
            Then::DeleteTrunk(reply, id) => self.trunk_deleted(reply, id),
            Then::People(reply, change) => self.people_written(now, reply, *change),
            Then::PutGroup(reply, id, group) => self.group_put(reply, id, *group),
            Then::DeleteGroup(reply, id) => self.group_deleted(reply, id),
            Then::PutPool(reply, id, pool) => self.pool_put(reply, id, *pool),
            Then::DeletePool(reply, id) => self.pool_deleted(reply, id),
            Then::Dispose(reply, attempt, _) => {
                self.disposed(now, attempt);
                self.reply(reply, Ok(Reply::Done));
            }
        }
    }

    fn not_written(&mut self, now: Time, then: Then) {
        let reply = match then {
            Then::Try(_) | Then::Fact(..) => return,
            Then::Reply(reply) | Then::Create(reply, _) => reply,
            Then::Update(reply, id, _) | Then::Status(reply, id, _) | Then::Delete(reply, id) => {
                if let Some(live) = self.campaigns.get_mut(&id) {
                    live.saving = false;
                }
                reply
            }
            Then::PutTrunk(reply, trunk) => {
                self.trunk_kept(trunk.id);
                reply
            }
            Then::DeleteTrunk(reply, id) => {
                self.trunk_kept(id);
                reply
            }
            Then::People(reply, change) => {
                self.people_not_written(&change);
                reply
            }
            Then::PutGroup(reply, id, _) | Then::DeleteGroup(reply, id) => {
                self.group_kept(id);
                reply
            }
            Then::PutPool(reply, id, _) | Then::DeletePool(reply, id) => {
                self.pool_kept(id);
                reply
            }
            Then::Dispose(reply, attempt, before) => {
                self.not_disposed(now, attempt, before);
                reply
            }
        };
        self.reply(reply, Err(CommandError::Store));
    }

    pub(crate) fn reply(&mut self, reply: u64, result: Result<Reply, CommandError>) {
        self.out.push_back(Output::Reply { reply, result });
    }
}
