//! Leads from the store: when to ask, what to do with the answer, and when a campaign is completed.

use std::time::Duration;

use kraliki_time::Time;

use crate::campaign::CampaignLive;
use crate::lead::hopper::Ready;
use crate::lead::hours::Zones;
use crate::limits::{HOPPER_STALE, REFILL_LATEST, REFILL_PAUSE};
use crate::pacing::Traits;
use crate::timer::Timer;
use crate::{AgentId, CampaignId, CampaignStatus, CommandError, Engine, Lead, Mode, Output};

impl Engine {
    /// Leads were added or changed in the store.
    pub(crate) fn leads_changed(&mut self, now: Time, id: CampaignId) -> Result<(), CommandError> {
        let Some(live) = self.campaigns.get(&id) else {
            return Err(CommandError::NotFound { what: "campaign".into(), id: id.0 });
        };
        if live.campaign.status == CampaignStatus::Completed && !self.is_draining() {
            self.switch_by_itself(now, id, CampaignStatus::Running);
        }
        self.refill_soon(now, id);
        Ok(())
    }

    /// Asks for leads as soon as may be; an import tells of many small batches.
    pub(crate) fn refill_soon(&mut self, now: Time, id: CampaignId) {
        let Some(live) = self.campaigns.get_mut(&id) else { return };
        if !live.is_running() {
            return;
        }
        if live.hopper.is_asked() {
            live.hopper.again = true;
            return;
        }
        let at = now.max(live.hopper.read_at() + REFILL_PAUSE);
        if at <= now {
            self.refill(now, id);
        } else {
            self.timers.set_earlier(Timer::Refill(id), at);
        }
    }

    pub(crate) fn refill_all(&mut self, now: Time) {
        let ids: Vec<CampaignId> = self.campaigns.keys().copied().collect();
        for id in ids {
            self.refill_soon(now, id);
        }
    }

    pub(crate) fn refill_if_due(&mut self, now: Time, id: CampaignId) {
        if self.campaigns.get(&id).is_some_and(|live| live.is_running() && !live.hopper.is_asked()) {
            self.refill(now, id);
        }
    }

    /// After a decision: a hopper that runs low or is old is read again.
    pub(crate) fn keep_filled(&mut self, now: Time, id: CampaignId) {
        let Some(live) = self.campaigns.get(&id) else { return };
        let hopper = &live.hopper;
        // An empty one waits for what the store said is due next; see `leads`.
        let worth = !hopper.is_empty() || !self.timers.is_set(Timer::Refill(id));
        let old = now.since(hopper.read_at());
        if !hopper.is_asked() && worth && (old >= HOPPER_STALE || (hopper.is_low() && old >= REFILL_PAUSE)) {
            self.refill(now, id);
        }
    }

    fn refill(&mut self, now: Time, id: CampaignId) {
        self.timers.clear(Timer::Refill(id));
        if self.is_draining() || !self.clock.known() {
            return;
        }
        let mark = self.read_mark();
        if let Some(live) = self.campaigns.get_mut(&id) {
            let limit = live.hopper.ask(now, mark);
            self.out.push_back(Output::Refill { campaign: id, limit });
        }
    }

    /// A campaign stops: what it held is the store's again.
    pub(crate) fn stop_filling(&mut self, id: CampaignId) {
        self.timers.clear(Timer::Refill(id));
        if let Some(live) = self.campaigns.get_mut(&id) {
            live.hopper.clear();
            live.hopper.again = false;
        }
    }

    /// The store's answer.
    pub(crate) fn leads(
        &mut self,
        now: Time,
        id: CampaignId,
        mut leads: Vec<Lead>,
        next_due_unix_ms: Option<i64>,
    ) {
        if self.campaigns.get_mut(&id).is_some_and(|live| live.hopper.take_void()) {
            leads.clear();
        }
        let read = leads.len();
        let mine = self.let_in(now, id, leads);
        let refused = mine.len() < read;
        let unix_ms = self.clock.unix_ms(now);
        let Some(live) = self.campaigns.get_mut(&id) else { return };
        let in_flight = &self.in_flight;
        let ready = mine.into_iter().map(|lead| ready(live, &mut self.zones, unix_ms, lead)).collect();
        let skipped = live.hopper.fill(now, ready, |lead| in_flight.contains(&lead));
        live.next_due_unix_ms = next_due_unix_ms;
        live.dirty = true;
        self.pace_wanted = true;
        if !live.is_running() {
            live.hopper.clear();
            return;
        }
        let again = live.hopper.again || ((refused || skipped > 0) && live.hopper.is_empty());
        let (empty, own) = (live.hopper.is_empty(), live.hopper.waits_for_agents());
        let busy = live.calls > 0 || self.is_previewed(id);
        if again {
            self.timers.set(Timer::Refill(id), now + REFILL_PAUSE);
        } else if empty && read == 0 {
            self.nothing_due(now, id, next_due_unix_ms, busy);
        } else if empty && own {
            // Nothing else is due; other leads may be soon, and somebody else may keep these callbacks.
            self.timers.set(Timer::Refill(id), now + HOPPER_STALE);
        }
    }

    /// Leads that may be dialed now. The others go back with the time at which they may, so that the hopper holds
    /// what it seems to hold.
    fn let_in(&mut self, now: Time, id: CampaignId, leads: Vec<Lead>) -> Vec<Lead> {
        let running = self.campaigns.get(&id).is_some_and(|live| live.is_running());
        let mut kept = Vec::with_capacity(leads.len());
        let waiting = self.storing.leads_waiting();
        for lead in leads {
            if !running || lead.campaign != id || waiting.contains(&lead.id) {
                continue;
            }
            // On the line, or changed since it was read: the hopper knows.
            if self.in_flight.contains(&lead.id) {
                kept.push(lead);
                continue;
            }
            match self.gate(now, id, &lead) {
                Ok(()) => kept.push(lead),
                Err(refusal) => {
                    let stale = self.campaigns.get(&id).is_some_and(|live| live.hopper.is_touched(lead.id));
                    if !stale {
                        self.refuse(now, &lead, &refusal);
                    }
                }
            }
        }
        kept
    }

    fn nothing_due(&mut self, now: Time, id: CampaignId, next_due_unix_ms: Option<i64>, busy: bool) {
        match next_due_unix_ms {
            Some(due) => {
                let at = self.clock.time_of(now, due).clamp(now + REFILL_PAUSE, now + REFILL_LATEST);
                self.timers.set(Timer::Refill(id), at);
            }
            // Calls in progress may bring their leads back; the last one's end asks again.
            None if busy => self.timers.set(Timer::Refill(id), now + REFILL_LATEST),
            // Without a lead agents still dial numbers by hand.
            None if self.campaigns.get(&id).is_some_and(|live| live.mode() == Mode::Manual) => {
                self.timers.set(Timer::Refill(id), now + REFILL_LATEST);
            }
            None => {
                self.switch_by_itself(now, id, CampaignStatus::Completed);
                if self.campaigns.get(&id).is_some_and(|live| live.is_running()) {
                    // A command is being saved; look again after it.
                    self.timers.set(Timer::Refill(id), now + Duration::from_secs(1));
                }
            }
        }
    }
}

/// A lead with the chance that a person answers it at this hour.
pub(crate) fn ready(live: &CampaignLive, zones: &mut Zones, unix_ms: i64, lead: Lead) -> Ready {
    let traits = Traits::of(&lead, zones.hour(&lead.time_zone, unix_ms));
    Ready { answers: live.learned.chance(&traits), traits, keeper: keeper(live, unix_ms, &lead), lead }
}

/// The agent who promised a callback and is waited for: until the campaign's wait is over, and where calls get agents.
pub(crate) fn keeper(live: &CampaignLive, unix_ms: i64, lead: &Lead) -> Option<AgentId> {
    let callback = lead.callback?;
    let waits = i64::from(live.campaign.settings.callback_wait_min) * 60_000;
    let waited_for = unix_ms < callback.due_unix_ms.saturating_add(waits) && live.mode() != Mode::Agentless;
    callback.agent.filter(|_| waited_for)
}
