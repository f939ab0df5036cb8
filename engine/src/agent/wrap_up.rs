//! What a call's end does with its agent: a wrap-up, which ends by itself, may be made longer once, and leaves no call without
//! a disposition where its campaign wants one.

use std::time::Duration;

use kraliki_time::Time;

use super::Activity;
use super::live::WrapUp;
use crate::event::CallView;
use crate::limits::WRAP_UP_MOST;
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::{AgentId, AgentState, CampaignId, CommandError, Engine};

impl Engine {
    /// The call is over; its record is to be finished.
    pub(crate) fn wrap_up(&mut self, now: Time, id: AgentId, campaign: CampaignId, call: CallView) {
        let settings = self.campaigns.get(&campaign).map(|live| &live.campaign.settings);
        let nothing_to_choose = settings.is_none_or(|settings| settings.dispositions.is_empty());
        let disposed = call.disposition.is_some() || nothing_to_choose;
        let lasts = settings.map_or(0, |settings| settings.wrap_up_s);
        let ends = (lasts > 0).then(|| now + Duration::from_secs(u64::from(lasts)));
        let longer = settings.map_or(0, |settings| settings.wrap_up_extension_s);
        let extension_s = if ends.is_some() { longer } else { 0 };
        let wrap = WrapUp { campaign, call, disposed, writing: 0, over: false, ends, extension_s };
        self.enter(now, id, Activity::WrapUp(Box::new(wrap)));
        self.timers.set(Timer::WrapUp(id), ends.unwrap_or(now + WRAP_UP_MOST));
        if disposed && self.agents.get(&id).is_some_and(|agent| agent.next.is_some()) {
            self.wrap_up_over(now, id);
        }
    }

    /// The agent needs more time for the record; granted once.
    pub(crate) fn extend_wrap_up(&mut self, _now: Time, id: AgentId) -> Result<(), CommandError> {
        let conflict = |text: &str| Err(CommandError::Conflict(text.into()));
        let agent = self.signed_in(id)?;
        let Activity::WrapUp(wrap) = &mut agent.activity else { return conflict("there is no wrap-up now") };
        let longer = std::mem::take(&mut wrap.extension_s);
        let Some(ends) = wrap.ends.filter(|_| longer > 0) else {
            return conflict("this wrap-up cannot be made longer");
        };
        let ends = ends + Duration::from_secs(u64::from(longer));
        wrap.ends = Some(ends);
        self.timers.set(Timer::WrapUp(id), ends);
        self.show_agent(id);
        Ok(())
    }

    /// The record is finished, or its time is over.
    pub(crate) fn wrap_up_over(&mut self, now: Time, id: AgentId) {
        self.timers.clear(Timer::WrapUp(id));
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let Activity::WrapUp(wrap) = &mut agent.activity else { return };
        if wrap.writing > 0 {
            wrap.over = true;
            return;
        }
        let (campaign, since) = (wrap.campaign, agent.since);
        if !wrap.disposed {
            let call = wrap.call.id;
            // Which ends the wrap-up when something was to follow.
            self.dispose_automatically(now, campaign, call);
        }
        let wraps = |agent: &super::AgentLive| agent.since == since && agent.state() == AgentState::WrapUp;
        if self.agents.get(&id).is_some_and(wraps) {
            self.observe(now, campaign, Observation::WrapEnded { lasted: now.since(since) });
            self.free(now, id);
        }
    }
}
