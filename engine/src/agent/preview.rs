//! Preview: the next lead on an agent's screen, with time to read it; then it is dialed or skipped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kraliki_time::Time;

use super::{Activity, Preview};
use crate::engine::{in_words, ready};
use crate::event::{LeadView, PreviewView};
use crate::lead::hopper::Ready;
use crate::lead::retry::Tally;
use crate::limits::{CALLBACK_WAITS, NAME_MOST, SKIP_MOST_S, SKIPPED_FOR_S};
use crate::timer::Timer;
use crate::{AgentId, CampaignId, CommandError, Engine, Lead, LeadId, Mode, Write};

impl Engine {
    /// Puts a lead on the screen of every agent who is free for one.
    pub(crate) fn offer_previews(&mut self, now: Time) {
        self.offer_callbacks(now);
        let order = self.first_served();
        if !order.iter().any(|(_, mode)| *mode == Mode::Preview) {
            return;
        }
        let mut spare = self.spare();
        let idle: Vec<AgentId> = self.idle.iter().map(|(_, agent)| *agent).collect();
        for agent in idle {
            let Some(campaign) = self.previews_for(agent, &order) else { continue };
            // Lines that were dialed for agents before, in another mode or for another campaign, come first.
            let serves = |id: &CampaignId| self.campaigns.get(id).is_some_and(|live| live.serves(agent));
            if spare.iter().any(|(id, left)| *left <= 0 && serves(id)) {
                continue;
            }
            for (_, left) in spare.iter_mut().filter(|(id, _)| serves(id)) {
                *left -= 1;
            }
            if let Some(Ready { lead, .. }) = self.next_lead(now, campaign) {
                self.offer(now, agent, campaign, lead);
            }
        }
    }

    /// Puts callbacks on the screens of the agents who promised them, in every mode: the person is called when the agent
    /// has read what was said, and the agent is there from the first ring on. The pacer has not counted on them since it
    /// was due; lines that were dialed with them in mind before that are answered or given up first.
    fn offer_callbacks(&mut self, now: Time) {
        if !self.campaigns.values().any(|live| live.hopper.waits_for_agents()) {
            return;
        }
        let idle: Vec<AgentId> = self.idle.iter().map(|(_, agent)| *agent).collect();
        for agent in idle {
            let Some((campaign, since)) = self.own_callback(agent) else { continue };
            let serves = |id: &CampaignId| self.campaigns.get(id).is_some_and(|live| live.serves(agent));
            let needed = self.spare().iter().any(|(id, left)| *left <= 0 && serves(id));
            if needed && now.since(since) < CALLBACK_WAITS {
                continue;
            }
            while let Some(ready) =
                self.campaigns.get_mut(&campaign).and_then(|live| live.hopper.take_own(agent))
            {
                match self.gate(now, campaign, &ready.lead) {
                    Ok(()) => {
                        self.offer(now, agent, campaign, ready.lead);
                        break;
                    }
                    Err(refusal) => self.refuse(now, &ready.lead, &refusal),
                }
            }
        }
    }

    /// The campaign in which a callback waits for that agent, and since when; of several, who is served first.
    fn own_callback(&self, agent: AgentId) -> Option<(CampaignId, Time)> {
        let waits = self.campaigns.iter().filter(|(_, live)| live.is_running() && live.serves(agent));
        let own = waits.filter_map(|(id, live)| {
            let since = live.hopper.own_since(agent)?;
            Some((std::cmp::Reverse(live.campaign.settings.priority), *id, since))
        });
        own.min().map(|(_, id, since)| (id, since))
    }

    /// The agents who get previews rather than calls that are dialed for them: the first of their campaigns with leads is
    /// one of previews. Paced campaigns dial nothing for them.
    /// Nor for those whose callback is due.
    pub(crate) fn prefer_previews(&self) -> BTreeSet<AgentId> {
        let order = self.first_served();
        let previews = order.iter().any(|(_, mode)| *mode == Mode::Preview);
        let callbacks = self.campaigns.values().any(|live| live.hopper.waits_for_agents());
        let prefers = |agent: &AgentId| {
            (previews && self.previews_for(*agent, &order).is_some())
                || (callbacks && self.own_callback(*agent).is_some())
        };
        if !previews && !callbacks {
            return BTreeSet::new();
        }
        self.agents.keys().copied().filter(prefers).collect()
    }

    /// Running campaigns that have leads for agents, the first served in front.
    fn first_served(&self) -> Vec<(CampaignId, Mode)> {
        let has_leads = self.campaigns.iter().filter(|(_, live)| {
            live.is_running()
                && (live.mode() == Mode::Preview || live.mode().is_paced())
                && !live.hopper.is_empty()
        });
        let mut order: Vec<_> = has_leads
            .map(|(id, live)| (Reverse(live.campaign.settings.priority), *id, live.mode()))
            .collect();
        order.sort_by_key(|(priority, id, _)| (*priority, *id));
        order.into_iter().map(|(_, id, mode)| (id, mode)).collect()
    }

    /// The campaign whose leads the agent looks at next, unless one that dials by itself comes first.
    fn previews_for(&self, agent: AgentId, order: &[(CampaignId, Mode)]) -> Option<CampaignId> {
        let serves = |id: &CampaignId| self.campaigns.get(id).is_some_and(|live| live.serves(agent));
        // What the agent puts first comes first; among equals the order of the campaigns holds.
        let served = order.iter().filter(|(id, _)| serves(id));
        let (id, mode) = served.min_by_key(|(id, _)| Reverse(self.people.priority(agent, *id)))?;
        (*mode == Mode::Preview).then_some(*id)
    }

    /// For each campaign with lines that may need agents: how many of its idle agents they leave.
    fn spare(&self) -> BTreeMap<CampaignId, i64> {
        let mut spare = BTreeMap::new();
        for (id, live) in &self.campaigns {
            let open = live.lines.len() + live.detecting.len();
            if open > 0 {
                let idle = self.idle.iter().filter(|(_, agent)| live.serves(*agent)).count();
                spare.insert(*id, idle as i64 - open as i64);
            }
        }
        spare
    }

    fn offer(&mut self, now: Time, agent: AgentId, campaign: CampaignId, lead: Lead) {
        let lasts = self.campaigns.get(&campaign).map_or(0, |live| live.campaign.settings.preview_s);
        let ends = (lasts > 0).then(|| now + Duration::from_secs(u64::from(lasts)));
        self.in_flight.insert(lead.id);
        self.numbers.insert(lead.phone.0.clone());
        let preview = Preview { campaign, lead, ends, skipped: String::new() };
        self.enter(now, agent, Activity::Preview(Box::new(preview)));
        if let Some(ends) = ends {
            self.timers.set(Timer::Preview(agent), ends);
        }
    }

    /// The lead is on nobody's screen any more.
    pub(crate) fn unhold(&mut self, lead: &Lead) {
        self.in_flight.remove(&lead.id);
        self.numbers.remove(&lead.phone.0);
    }

    /// The agent dials what they see.
    pub(crate) fn dial_preview(
        &mut self,
        now: Time,
        reply: Option<u64>,
        agent: AgentId,
        lead: LeadId,
    ) -> Result<(), CommandError> {
        if self.dials_already(agent, lead) {
            if let Some(reply) = reply {
                self.reply(reply, Ok(crate::Reply::Done));
            }
            return Ok(());
        }
        let (campaign, lead) = self.previewed(agent, lead)?;
        if self.agents.get(&agent).is_none_or(|live| !live.audio()) {
            let text = "there is no audio; connect the headset before dialing";
            return Err(CommandError::Conflict(text.into()));
        }
        let way = self.way_by_hand(now, campaign, &lead)?;
        self.unhold(&lead);
        if let Err(refusal) = self.gate(now, campaign, &lead) {
            self.refuse(now, &lead, &refusal);
            self.become_ready(now, agent);
            return Err(in_words(&refusal, &lead));
        }
        self.bind(now, reply, agent, way, lead);
        Ok(())
    }

    /// The agent passes it over: it comes back later.
    pub(crate) fn skip_preview(
        &mut self,
        now: Time,
        agent: AgentId,
        lead: LeadId,
        delay_s: u32,
        reason: String,
    ) -> Result<(), CommandError> {
        let invalid = |field: &str, message: &str| {
            Err(CommandError::Invalid { field: field.into(), message: message.into() })
        };
        if !(60..=SKIP_MOST_S).contains(&delay_s) {
            return invalid("delay_s", "must be from 60 (a minute) to 604800 (a week)");
        }
        if reason.len() > NAME_MOST {
            return invalid("reason", "must have at most 200 characters");
        }
        let (campaign, lead) = self.previewed(agent, lead)?;
        let next = self.clock.unix_ms(now).saturating_add(i64::from(delay_s) * 1_000);
        self.fact(now, Write::Lead(Tally::of(&lead).again(next)));
        if let Some(live) = self.campaigns.get_mut(&campaign) {
            live.hopper.remove(lead.id);
        }
        if let Some(Activity::Preview(preview)) = self.agents.get_mut(&agent).map(|live| &mut live.activity) {
            preview.skipped = if reason.is_empty() { "skipped".into() } else { reason };
        }
        self.become_ready(now, agent);
        Ok(())
    }

    /// The lead on the agent's screen, if it is that one.
    fn previewed(&self, agent: AgentId, lead: LeadId) -> Result<(CampaignId, Lead), CommandError> {
        match self.agents.get(&agent).map(|live| &live.activity) {
            None | Some(Activity::Offline) => {
                Err(CommandError::NotFound { what: "agent".into(), id: agent.0 })
            }
            Some(Activity::Preview(preview)) if preview.lead.id == lead => {
                Ok((preview.campaign, preview.lead.clone()))
            }
            _ => Err(CommandError::Conflict("this lead is not on your screen any more".into())),
        }
    }

    /// Whether a lead of that campaign is on somebody's screen.
    pub(crate) fn is_previewed(&self, campaign: CampaignId) -> bool {
        let mut shown = self.agents.values().filter_map(|agent| match &agent.activity {
            Activity::Preview(preview) => Some(preview.campaign),
            _ => None,
        });
        shown.any(|id| id == campaign)
    }

    /// The time to look at it is over.
    pub(crate) fn preview_over(&mut self, now: Time, agent: AgentId) {
        let Some(live) = self.agents.get(&agent) else { return };
        let Activity::Preview(preview) = &live.activity else { return };
        let (lead, campaign, audio) = (preview.lead.id, preview.campaign, live.audio());
        if !audio {
            // Nobody looks at it: it was not skipped.
            self.give_preview_back(now, agent);
            return self.become_ready(now, agent);
        }
        let auto = self.campaigns.get(&campaign).is_some_and(|live| live.campaign.settings.preview_auto_dial);
        if auto && self.dial_preview(now, None, agent, lead).is_ok() {
            return;
        }
        // When the gate refused it just now there is nothing to skip any more.
        let _ = self.skip_preview(now, agent, lead, SKIPPED_FOR_S, "time over".into());
    }

    /// The lead on the agent's screen goes back as it was: the next one again. The agent's state is the caller's to change.
    pub(crate) fn give_preview_back(&mut self, now: Time, agent: AgentId) {
        let Some(Activity::Preview(preview)) = self.agents.get(&agent).map(|live| &live.activity) else {
            return;
        };
        if self.suppressed.contains(&preview.lead.phone.0, preview.campaign) {
            return;
        }
        if let Some(live) = self.campaigns.get_mut(&preview.campaign)
            && live.is_running()
        {
            let unix_ms = self.clock.unix_ms(now);
            let ready = ready(live, &mut self.zones, unix_ms, preview.lead.clone());
            live.hopper.put_back(now, ready);
        }
    }

    /// A campaign stopped, or changed its mode or its agents: leads that are on the wrong screens go back.
    pub(crate) fn check_screens(&mut self, now: Time, id: CampaignId) {
        let live = self.campaigns.get(&id);
        let stays = |agent: AgentId, lead: &Lead| {
            let own = lead.callback.is_some_and(|callback| callback.agent == Some(agent));
            live.is_some_and(|live| {
                live.is_running() && live.serves(agent) && (live.mode() == Mode::Preview || own)
            })
        };
        let wrong = self.agents.iter().filter(|(agent, live)| {
            matches!(&live.activity, Activity::Preview(p) if p.campaign == id && !stays(**agent, &p.lead))
        });
        for agent in wrong.map(|(agent, _)| *agent).collect::<Vec<_>>() {
            self.give_preview_back(now, agent);
            self.become_ready(now, agent);
        }
    }

    /// Leads that must not be dialed any more, or are not what they were, leave the screens. They do not go back.
    pub(crate) fn take_from_screens(&mut self, now: Time, gone: impl Fn(&Lead) -> bool) {
        let shown = self
            .agents
            .iter()
            .filter(|(_, live)| matches!(&live.activity, Activity::Preview(preview) if gone(&preview.lead)));
        for agent in shown.map(|(agent, _)| *agent).collect::<Vec<_>>() {
            self.become_ready(now, agent);
        }
    }

    pub(crate) fn preview_view(&self, preview: &Preview) -> PreviewView {
        let live = self.campaigns.get(&preview.campaign);
        PreviewView {
            campaign: preview.campaign,
            lead: LeadView::of(&preview.lead),
            ends_unix_ms: preview.ends.map(|at| self.clock.unix_ms(at)),
            auto_dial: live.is_some_and(|live| live.campaign.settings.preview_auto_dial),
        }
    }
}
