//! Campaigns: create, change, start, pause, delete.

use kraliki_time::Time;

use super::Then;
use crate::campaign::CampaignLive;
use crate::compliance::{Governed, tightens, unfit};
use crate::event::CampaignView;
use crate::limits::CAMPAIGNS_MOST;
use crate::timer::Timer;
use crate::{
    Campaign, CampaignId, CampaignSettings, CampaignStatus, CommandError, Engine, Event, Message, Output,
    Reply, Write,
};

impl Engine {
    pub(crate) fn create_campaign(&mut self, now: Time, reply: u64, settings: CampaignSettings) {
        if let Err(error) = self.check(None, &settings) {
            return self.reply(reply, Err(error));
        }
        if self.campaigns.len() >= CAMPAIGNS_MOST {
            let text = "there are too many campaigns; delete old ones first".into();
            return self.reply(reply, Err(CommandError::Conflict(text)));
        }
        let id = CampaignId(self.next_campaign);
        self.next_campaign += 1;
        let campaign = Campaign { id, status: CampaignStatus::Draft, settings };
        let write = Write::Campaign(Box::new(campaign.clone()));
        self.store(now, write, Then::Create(reply, Box::new(campaign)));
    }

    pub(crate) fn update_campaign(
        &mut self,
        now: Time,
        reply: u64,
        id: CampaignId,
        settings: CampaignSettings,
    ) {
        if let Err(error) = self.changeable(id).map(|_| ()).and_then(|()| self.check(Some(id), &settings)) {
            return self.reply(reply, Err(error));
        }
        let Some(live) = self.campaigns.get_mut(&id) else { return };
        live.saving = true;
        let campaign = Campaign { settings: settings.clone(), ..live.campaign.clone() };
        let then = Then::Update(reply, id, Box::new(settings));
        self.store(now, Write::Campaign(Box::new(campaign)), then);
    }

    pub(crate) fn start_campaign(&mut self, now: Time, reply: u64, id: CampaignId) {
        if self.is_draining() {
            let text = "the dialer is shutting down".into();
            return self.reply(reply, Err(CommandError::Conflict(text)));
        }
        let fit = self.campaigns.get(&id).map(|live| self.fit(&live.campaign.settings));
        if let Some(Err(error)) = fit {
            return self.reply(reply, Err(error));
        }
        self.switch(now, reply, id, CampaignStatus::Running);
    }

    pub(crate) fn pause_campaign(&mut self, now: Time, reply: u64, id: CampaignId) {
        match self.campaigns.get_mut(&id) {
            Some(live) if live.campaign.status == CampaignStatus::Draft => {
                let text = "a draft is not running; start it first".into();
                return self.reply(reply, Err(CommandError::Conflict(text)));
            }
            // At once, whatever becomes of the write; the reply waits for it.
            Some(live) if live.is_running() && !live.saving => {
                live.campaign.status = CampaignStatus::Paused;
                live.dirty = true;
                self.check_screens(now, id);
            }
            _ => {}
        }
        self.switch(now, reply, id, CampaignStatus::Paused);
    }

    /// Asked twice it is written twice: the first write may have failed.
    fn switch(&mut self, now: Time, reply: u64, id: CampaignId, status: CampaignStatus) {
        match self.changeable(id) {
            Err(error) => self.reply(reply, Err(error)),
            Ok(live) => {
                live.saving = true;
                let campaign = Campaign { status, ..live.campaign.clone() };
                self.store(now, Write::Campaign(Box::new(campaign)), Then::Status(reply, id, status));
            }
        }
    }

    pub(crate) fn delete_campaign(&mut self, now: Time, reply: u64, id: CampaignId) {
        let refusal = match self.changeable(id) {
            Err(error) => Some(error),
            Ok(live) if live.is_running() => {
                Some(CommandError::Conflict("the campaign is running; pause it first".into()))
            }
            Ok(live) if live.calls > 0 => {
                Some(CommandError::Conflict("the campaign has calls in progress; wait for their end".into()))
            }
            Ok(live) => {
                live.saving = true;
                None
            }
        };
        match refusal {
            Some(error) => self.reply(reply, Err(error)),
            None => self.store(now, Write::CampaignDeleted(id), Then::Delete(reply, id)),
        }
    }

    /// The campaign, unless a change of it waits for its commit.
    fn changeable(&mut self, id: CampaignId) -> Result<&mut CampaignLive, CommandError> {
        match self.campaigns.get_mut(&id) {
            None => Err(CommandError::NotFound { what: "campaign".into(), id: id.0 }),
            Some(live) if live.saving => Err(CommandError::Conflict(
                "another change of this campaign is being saved; try again".into(),
            )),
            Some(live) => Ok(live),
        }
    }

    fn check(&self, id: Option<CampaignId>, settings: &CampaignSettings) -> Result<(), CommandError> {
        settings.validate()?;
        tightens(&self.law, settings)?;
        if id.and_then(|id| self.campaigns.get(&id)).is_some_and(CampaignLive::is_running) {
            self.fit(settings)?;
        }
        let name = settings.name.as_str();
        let standing = self.campaigns.iter().map(|(id, live)| (*id, live.campaign.settings.name.as_str()));
        let coming = self.storing.creating().map(|campaign| (campaign.id, campaign.settings.name.as_str()));
        let mut others = standing.chain(coming).chain(self.storing.renaming());
        if others.any(|(other, taken)| Some(other) != id && taken == name) {
            let message = format!("there is a campaign named {name} already; choose another name");
            return Err(CommandError::Invalid { field: "name".into(), message });
        }
        let known =
            self.trunk_named(&settings.trunk).is_some() || self.group_named(&settings.trunk).is_some();
        if !settings.trunk.is_empty() && !known {
            let there = self.trunks.values().filter(|line| !line.leaving);
            let names = there.map(|line| line.trunk.name.as_str());
            let groups = self.groups.values().map(|live| live.group.name.as_str());
            let names: Vec<&str> = names.chain(groups).collect();
            let message = format!("must be empty, a trunk or a trunk group: {}", names.join(", "));
            return Err(CommandError::Invalid { field: "trunk".into(), message });
        }
        if let Some(team) = settings.teams.iter().find(|team| !self.people.teams.contains_key(team)) {
            let message = format!("there is no team {team}; make it first");
            return Err(CommandError::Invalid { field: "teams".into(), message });
        }
        let pool = &settings.caller_id_pool;
        if !pool.is_empty() && self.pool_named(pool).is_none() {
            let names: Vec<&str> = self.pools.values().map(|live| live.pool.name.as_str()).collect();
            let message = format!("must be empty or a pool of caller ids: {}", names.join(", "));
            return Err(CommandError::Invalid { field: "caller_id_pool".into(), message });
        }
        Ok(())
    }

    /// Whether a campaign may dial with these settings.
    fn fit(&self, settings: &CampaignSettings) -> Result<(), CommandError> {
        unfit(&self.law, settings)
            .map_or(Ok(()), |(field, message)| Err(CommandError::Invalid { field: field.into(), message }))
    }

    pub(crate) fn campaign_created(&mut self, now: Time, reply: u64, campaign: Campaign) {
        let id = campaign.id;
        let live = CampaignLive::new(campaign, &self.pacer, &self.people, &self.law);
        self.campaigns.insert(id, live);
        self.campaign_replied(now, reply, id);
    }

    pub(crate) fn campaign_updated(
        &mut self,
        now: Time,
        reply: u64,
        id: CampaignId,
        settings: CampaignSettings,
    ) {
        if let Some(live) = self.campaigns.get_mut(&id) {
            live.saving = false;
            live.change(settings, &self.people, &self.law);
        }
        self.check_screens(now, id);
        self.refill_soon(now, id);
        self.serve_all(now);
        self.campaign_replied(now, reply, id);
    }

    pub(crate) fn campaign_switched(
        &mut self,
        now: Time,
        reply: u64,
        id: CampaignId,
        status: CampaignStatus,
    ) {
        if let Some(live) = self.campaigns.get_mut(&id) {
            live.saving = false;
            live.campaign.status = status;
            live.decision.clear();
        }
        if status == CampaignStatus::Running {
            self.refill_soon(now, id);
        } else {
            self.check_screens(now, id);
            self.stop_filling(id);
        }
        self.campaign_replied(now, reply, id);
    }

    pub(crate) fn campaign_deleted(&mut self, reply: u64, id: CampaignId) {
        self.campaigns.remove(&id);
        self.people.skills.retain(|(_, campaign), _| *campaign != id);
        self.people_version += 1;
        self.timers.clear(Timer::Refill(id));
        self.out.push_back(Output::Event(Event::CampaignDeleted { id }));
        self.reply(reply, Ok(Reply::Done));
    }

    /// The engine itself changes a status; a command that is being saved goes first.
    pub(crate) fn switch_by_itself(&mut self, now: Time, id: CampaignId, status: CampaignStatus) {
        let Some(live) = self.campaigns.get_mut(&id) else { return };
        if live.saving || live.campaign.status == status {
            return;
        }
        live.campaign.status = status;
        let campaign = live.campaign.clone();
        self.fact(now, Write::Campaign(Box::new(campaign)));
        self.show_campaign(now, id);
        self.pace_wanted = true;
    }

    fn campaign_replied(&mut self, now: Time, reply: u64, id: CampaignId) {
        self.pace_wanted = true;
        self.show_campaign(now, id);
        let campaign = self.campaigns.get(&id).map(|live| Box::new(live.campaign.clone()));
        let result = campaign.map(Reply::Campaign);
        self.reply(reply, result.ok_or(CommandError::NotFound { what: "campaign".into(), id: id.0 }));
    }

    fn show_campaign(&mut self, now: Time, id: CampaignId) {
        if let Some(view) = self.campaign_view(now, id) {
            self.out.push_back(Output::Event(Event::Campaign(view)));
        }
    }

    /// The sound file of a campaign's message; none when it has the built-in one.
    pub fn message(&self, id: CampaignId, what: Message) -> Option<&str> {
        let settings = &self.campaigns.get(&id)?.campaign.settings;
        let file = match what {
            Message::Abandoned => settings.abandon_message.as_str(),
            Message::Prompt => settings.prompt.as_str(),
            Message::Voicemail => settings.voicemail_message.as_str(),
            Message::Callback => settings.callback_message.as_str(),
        };
        (!file.is_empty()).then_some(file)
    }

    /// What a manager can mend: a national list that was never imported, or is too old.
    fn notice(&self, now: Time, settings: &CampaignSettings) -> String {
        const DAY_MS: i64 = 24 * 3_600_000;
        let Governed::By(ready) = self.law.of(settings) else { return String::new() };
        let Some(rule) = &ready.profile.rules.national else { return String::new() };
        let Some(country) = ready.profile.countries.first() else { return String::new() };
        let (list, most) = (&rule.list, rule.most_age_days);
        let age = self.national.get(country).map(|copy| self.clock.unix_ms(now) - copy.as_of_unix_ms);
        match age {
            None => format!(
                "The national list of {country} ({list}) was never imported: leads without consent are not called. \
                 Import a copy no older than {most} days."
            ),
            Some(age) if age > i64::from(most) * DAY_MS => format!(
                "The copy of the national list of {country} ({list}) is {} days old: leads without consent are not \
                 called. Import one no older than {most} days.",
                age / DAY_MS
            ),
            Some(_) => String::new(),
        }
    }

    /// A campaign with its agents.
    pub(crate) fn campaign_view(&self, now: Time, id: CampaignId) -> Option<CampaignView> {
        let live = self.campaigns.get(&id)?;
        let mut view = live.view();
        view.notice = self.notice(now, &live.campaign.settings);
        view.no_caller_id = self.no_caller_id(now, &live.campaign.settings);
        let (mut busy, mut available) = (0.0, 0.0);
        for (_, agent) in self.agents.iter().filter(|(agent, _)| live.serves(**agent)) {
            view.agents += u32::from(agent.is_available());
            view.ready += u32::from(matches!(agent.activity, crate::agent::Activity::Ready));
            let times = agent.times(now);
            busy += times.0.as_secs_f64();
            available += times.1.as_secs_f64();
        }
        view.occupancy = if available > 0.0 { busy / available } else { 0.0 };
        Some(view)
    }
}
