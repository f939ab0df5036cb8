//! What an agent does at the desk: sign in and out, ready, pause; and what a call's end does with the agent.

use std::time::Duration;

use kraliki_time::Time;

use super::live::WrapUp;
use super::{Activity, AgentLive, Next};
use crate::event::CallView;
use crate::limits::{AGENTS_MOST, LEG_AWAY, NAME_MOST, WRAP_UP_MOST};
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::{AgentId, AttemptId, CampaignId, CommandError, Engine, Write};

/// The reason shown when audio, not the agent, ended the Ready state.
const NO_AUDIO: &str = "no audio";

impl Engine {
    pub(crate) fn sign_in(&mut self, now: Time, id: AgentId, name: String) -> Result<(), CommandError> {
        if name.len() > NAME_MOST {
            return Err(invalid("name", "must have at most 200 characters"));
        }
        if !self.agents.contains_key(&id) && self.agents.len() >= AGENTS_MOST {
            return Err(CommandError::Conflict("too many agents are signed in".into()));
        }
        let agent = self.agents.entry(id).or_insert_with(|| AgentLive::new(now));
        agent.name = name;
        if agent.next == Some(Next::Offline) {
            agent.next = None; // back before the sign-out took effect
        }
        if matches!(agent.activity, Activity::Offline) {
            (agent.calls, agent.busy, agent.available) = (0, Default::default(), Default::default());
            self.enter(now, id, Activity::Paused(String::new()));
        } else {
            self.show_agent(id);
        }
        Ok(())
    }

    pub(crate) fn sign_out(&mut self, now: Time, id: AgentId) -> Result<(), CommandError> {
        self.leave(now, id, Next::Offline)
    }

    pub(crate) fn pause(&mut self, now: Time, id: AgentId, reason: String) -> Result<(), CommandError> {
        if reason.len() > NAME_MOST {
            return Err(invalid("reason", "must have at most 200 characters"));
        }
        self.leave(now, id, Next::Paused(reason))
    }

    /// Pauses or signs out: at once, or after the call and its wrap-up.
    fn leave(&mut self, now: Time, id: AgentId, next: Next) -> Result<(), CommandError> {
        let agent = self.signed_in(id)?;
        match &agent.activity {
            Activity::Dialing(_) | Activity::Reserved(_) | Activity::Talking(_) | Activity::Hold(_) => {
                agent.next = Some(next);
            }
            Activity::WrapUp(wrap) => {
                let disposed = wrap.disposed;
                agent.next = Some(next);
                if disposed {
                    self.wrap_up_over(now, id);
                    return Ok(());
                }
            }
            Activity::Paused(old) if next == Next::Paused(old.clone()) => {}
            Activity::Preview(_) => {
                self.give_preview_back(now, id);
                self.enter(now, id, next.activity());
                return Ok(());
            }
            Activity::Offline | Activity::Paused(_) | Activity::Ready => {
                self.enter(now, id, next.activity());
                return Ok(());
            }
        }
        self.pace_wanted = true;
        self.show_agent(id);
        Ok(())
    }

    pub(crate) fn ready(&mut self, now: Time, id: AgentId) -> Result<(), CommandError> {
        let agent = self.signed_in(id)?;
        match &agent.activity {
            Activity::Ready | Activity::Preview(_) => {}
            Activity::Dialing(_) | Activity::Reserved(_) | Activity::Talking(_) | Activity::Hold(_) => {
                agent.next = None;
                self.pace_wanted = true;
                self.show_agent(id);
            }
            Activity::WrapUp(wrap) if !wrap.disposed => {
                return Err(CommandError::Conflict("choose a disposition for the last call first".into()));
            }
            Activity::WrapUp(_) => {
                agent.next = None;
                self.wrap_up_over(now, id);
            }
            Activity::Paused(_) | Activity::Offline => {
                if !agent.leg_up {
                    let text = "there is no audio; connect the headset before going ready";
                    return Err(CommandError::Conflict(text.into()));
                }
                self.become_ready(now, id);
            }
        }
        Ok(())
    }

    pub(crate) fn signed_in(&mut self, id: AgentId) -> Result<&mut AgentLive, CommandError> {
        match self.agents.get_mut(&id) {
            Some(agent) if !matches!(agent.activity, Activity::Offline) => Ok(agent),
            _ => Err(CommandError::NotFound { what: "agent".into(), id: id.0 }),
        }
    }

    /// The caller is heard.
    pub(crate) fn agent_talks(&mut self, now: Time, id: AgentId, call: AttemptId) {
        self.enter(now, id, Activity::Talking(call));
    }

    /// The call is over; its record is to be finished.
    pub(crate) fn wrap_up(&mut self, now: Time, id: AgentId, campaign: CampaignId, call: CallView) {
        let settings = self.campaigns.get(&campaign).map(|live| &live.campaign.settings);
        let nothing_to_choose = settings.is_none_or(|settings| settings.dispositions.is_empty());
        let disposed = call.disposition.is_some() || nothing_to_choose;
        let lasts = settings.map_or(0, |settings| settings.wrap_up_s);
        let lasts = if lasts > 0 { Duration::from_secs(u64::from(lasts)) } else { WRAP_UP_MOST };
        self.enter(now, id, Activity::WrapUp(Box::new(WrapUp { campaign, call, disposed })));
        self.timers.set(Timer::WrapUp(id), now + lasts);
        if disposed && self.agents.get(&id).is_some_and(|agent| agent.next.is_some()) {
            self.wrap_up_over(now, id);
        }
    }

    /// The record is finished, or its time is over.
    pub(crate) fn wrap_up_over(&mut self, now: Time, id: AgentId) {
        self.timers.clear(Timer::WrapUp(id));
        let Some(agent) = self.agents.get(&id) else { return };
        let Activity::WrapUp(wrap) = &agent.activity else { return };
        let (campaign, lasted) = (wrap.campaign, now.since(agent.since));
        self.observe(now, campaign, Observation::WrapEnded { lasted });
        self.free(now, id);
    }

    /// Nothing holds the agent any more.
    pub(crate) fn free(&mut self, now: Time, id: AgentId) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let leg_up = agent.leg_up;
        match agent.next.take() {
            Some(next) => self.enter(now, id, next.activity()),
            None if leg_up => self.become_ready(now, id),
            None => self.enter(now, id, Activity::Paused(NO_AUDIO.into())),
        }
    }

    pub(crate) fn become_ready(&mut self, now: Time, id: AgentId) {
        self.enter(now, id, Activity::Ready);
        self.serve(now, id);
    }

    /// A Ready agent, or one with a lead on the screen, whose leg does not come back.
    pub(crate) fn leg_stays_away(&mut self, now: Time, id: AgentId) {
        let away = self.agents.get(&id).is_some_and(|a| a.is_waiting() && !a.leg_up);
        if away {
            self.give_preview_back(now, id);
            self.enter(now, id, Activity::Paused(NO_AUDIO.into()));
        }
    }

    /// Changes what an agent is doing; each state's time is written when it ends.
    pub(crate) fn enter(&mut self, now: Time, id: AgentId, activity: Activity) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        self.idle.remove(&(agent.since, id));
        let (from, lasted) = (agent.since, now.since(agent.since));
        let (was, busy, available) = (agent.state(), agent.is_busy(), agent.is_available());
        let old = std::mem::replace(&mut agent.activity, activity);
        agent.since = now;
        if busy {
            agent.busy += lasted;
            self.counters.busy += lasted;
            if was != crate::AgentState::WrapUp {
                self.counters.talk += lasted;
            }
        }
        if available {
            agent.available += lasted;
            self.counters.available += lasted;
        }
        if matches!(agent.activity, Activity::Ready) && agent.audio() {
            self.idle.insert((now, id));
        }
        if agent.is_waiting() && !agent.leg_up {
            self.timers.set(Timer::LegAway(id), now + LEG_AWAY);
        } else {
            self.timers.clear(Timer::LegAway(id));
        }
        let mut reason = String::new();
        match old {
            Activity::Paused(why) => reason = why,
            Activity::Preview(preview) => {
                self.timers.clear(Timer::Preview(id));
                self.unhold(&preview.lead);
                reason = preview.skipped;
            }
            _ => {}
        }
        let Some(agent) = self.agents.get_mut(&id) else { return };
        if matches!(agent.activity, Activity::Offline) {
            agent.next = None;
        }
        let gone = matches!(agent.activity, Activity::Offline) && !agent.leg_up;
        self.show_agent(id);
        if gone {
            self.agents.remove(&id);
        }
        if was != crate::AgentState::Offline {
            self.agent_time(id, was, reason, from, lasted);
        }
        self.agents_changed();
    }

    pub(crate) fn agent_time(
        &mut self,
        agent: AgentId,
        state: crate::AgentState,
        reason: String,
        from: Time,
        lasted: Duration,
    ) {
        let from_unix_ms = self.clock.unix_ms(from);
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        self.note(Write::AgentTime { agent, state, reason, from_unix_ms, lasted_ms });
    }

    /// Who can take calls changed.
    pub(crate) fn agents_changed(&mut self) {
        self.pace_wanted = true;
        for live in self.campaigns.values_mut() {
            live.dirty = true;
        }
    }
}

impl Next {
    fn activity(self) -> Activity {
        match self {
            Next::Paused(reason) => Activity::Paused(reason),
            Next::Offline => Activity::Offline,
        }
    }
}

fn invalid(field: &str, message: &str) -> CommandError {
    CommandError::Invalid { field: field.into(), message: message.into() }
}
