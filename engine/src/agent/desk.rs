//! What an agent does at the desk: sign in and out, ready, pause.

use std::time::Duration;

use kraliki_time::Time;

use super::{Activity, AgentLive, By, Next};
use crate::limits::{AGENTS_MOST, LEG_AWAY, NAME_MOST};
use crate::timer::Timer;
use crate::{AgentId, AttemptId, CommandError, Engine, Write};

/// The reason shown when audio, not the agent, ended the Ready state.
const NO_AUDIO: &str = "no audio";

/// Reasons that the desk itself gives, whatever the list says: before the first call, and after a restart of the dialer.
const OF_THE_DESK: [&str; 2] = ["sound_check", "reconnected"];

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
            // Back before the sign-out took effect.
            (agent.next, agent.next_by) = (None, None);
        }
        if matches!(agent.activity, Activity::Offline) {
            (agent.calls, agent.busy, agent.available) = (0, Default::default(), Default::default());
            agent.last_call = false;
            self.enter(now, id, Activity::Paused(String::new()));
            self.plan_shift(now, id);
        } else {
            self.show_agent(id);
        }
        Ok(())
    }

    pub(crate) fn sign_out(&mut self, now: Time, id: AgentId) -> Result<(), CommandError> {
        self.leave(now, id, Next::Offline, None)
    }

    pub(crate) fn pause(&mut self, now: Time, id: AgentId, reason: String) -> Result<(), CommandError> {
        if reason.len() > NAME_MOST {
            return Err(invalid("reason", "must have at most 200 characters"));
        }
        let still = matches!(&self.signed_in(id)?.activity, Activity::Paused(old) if *old == reason);
        let given = self.people.pause_reason(&reason).is_some() || OF_THE_DESK.contains(&reason.as_str());
        if !still && !given && !self.people.pause_reasons.is_empty() {
            let codes: Vec<&str> = self.people.pause_reasons.iter().map(|r| r.code.as_str()).collect();
            return Err(invalid("reason", &format!("must be one of {}", codes.join(", "))));
        }
        self.leave(now, id, Next::Paused(reason), None)
    }

    /// Pauses or signs out: at once, or after the call and its wrap-up. `by`: the supervisor who wants it so.
    pub(super) fn leave(
        &mut self,
        now: Time,
        id: AgentId,
        next: Next,
        by: Option<By>,
    ) -> Result<(), CommandError> {
        let agent = self.signed_in(id)?;
        agent.next_by = by;
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
            Activity::Paused(old) if next == Next::Paused(old.clone()) && agent.next_by.is_none() => {}
            Activity::Preview(_) => {
                self.give_preview_back(now, id);
                self.enter_next(now, id, next.activity());
                return Ok(());
            }
            Activity::Offline | Activity::Paused(_) | Activity::Ready => {
                self.enter_next(now, id, next.activity());
                return Ok(());
            }
        }
        self.pace_wanted = true;
        self.show_agent(id);
        Ok(())
    }

    pub(crate) fn ready(&mut self, now: Time, id: AgentId) -> Result<(), CommandError> {
        let agent = self.signed_in(id)?;
        (agent.last_call, agent.next_by) = (false, None);
        match &agent.activity {
            Activity::Ready | Activity::Preview(_) => self.show_agent(id),
            Activity::Dialing(_) | Activity::Reserved(_) | Activity::Talking(_) | Activity::Hold(_) => {
                agent.next = None;
                self.pace_wanted = true;
                self.show_agent(id);
            }
            Activity::WrapUp(wrap) if !wrap.disposed => {
                return Err(CommandError::Conflict("choose a disposition for the last call first".into()));
            }
            Activity::WrapUp(wrap) if wrap.writing > 0 => {
                let text = "what came of the last call is being written down; try again in a moment";
                return Err(CommandError::Conflict(text.into()));
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

    /// Nothing holds the agent any more.
    pub(crate) fn free(&mut self, now: Time, id: AgentId) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let leg_up = agent.leg_up;
        match agent.next.take() {
            Some(next) => self.enter_next(now, id, next.activity()),
            None if leg_up => self.become_ready(now, id),
            None => self.enter(now, id, Activity::Paused(NO_AUDIO.into())),
        }
    }

    pub(crate) fn become_ready(&mut self, now: Time, id: AgentId) {
        self.enter_next(now, id, Activity::Ready);
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

    /// What was asked for takes effect, and with it who wanted it so.
    fn enter_next(&mut self, now: Time, id: AgentId, activity: Activity) {
        let by = self.agents.get_mut(&id).and_then(|agent| agent.next_by.take());
        self.enter_by(now, id, activity, by);
    }

    /// Changes what an agent is doing; each state's time is written when it ends.
    pub(crate) fn enter(&mut self, now: Time, id: AgentId, activity: Activity) {
        self.enter_by(now, id, activity, None);
    }

    /// As [`Engine::enter`]; `by`: the supervisor who wants it so.
    pub(super) fn enter_by(&mut self, now: Time, id: AgentId, activity: Activity, by: Option<By>) {
        let Some(agent) = self.agents.get(&id) else { return };
        let since = agent.since;
        if let Activity::Paused(why) = &agent.activity {
            let (code, lasted) = (why.clone(), now.since(since));
            let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            self.count_pause(id, &code, self.clock.unix_ms(now), lasted_ms);
        }
        self.not_idle(since, id);
        let pause_ends = self.pause_ends(now, id, &activity);
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let was_by = std::mem::replace(&mut agent.by, by);
        let overran = agent.pause_ends.is_some_and(|ends| ends < now);
        agent.pause_ends = pause_ends;
        self.counters.pauses_over += u64::from(overran);
        let (from, was) = (agent.since, agent.state());
        self.count_time(now, id);
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let old = std::mem::replace(&mut agent.activity, activity);
        let idle = matches!(agent.activity, Activity::Ready) && agent.audio();
        if agent.is_waiting() && !agent.leg_up {
            self.timers.set(Timer::LegAway(id), now + LEG_AWAY);
        } else {
            self.timers.clear(Timer::LegAway(id));
        }
        if idle {
            self.idle_from(now, id);
        }
        let mut reason = was_by.as_ref().map(|by| by.reason.clone()).unwrap_or_default();
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
        let offline = matches!(agent.activity, Activity::Offline);
        let (gone, put_offline) = (offline && !agent.leg_up, agent.by.clone().filter(|_| offline));
        if offline {
            (agent.last_call, agent.shift_ends) = (false, None);
            self.timers.clear(Timer::ShiftEnd(id));
        }
        self.show_agent(id);
        if gone {
            self.agents.remove(&id);
        }
        if was != crate::AgentState::Offline {
            self.agent_time(id, was, reason, (from, now), was_by.map(|by| by.by));
        }
        if let Some(by) = put_offline {
            self.agent_time(id, crate::AgentState::Offline, by.reason, (now, now), Some(by.by));
        }
        self.agents_changed();
    }

    /// Counts the time that an agent's present state lasted, and begins it anew.
    pub(crate) fn count_time(&mut self, now: Time, id: AgentId) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let lasted = now.since(agent.since);
        (agent.busy, agent.available) = agent.times(now);
        self.counters.busy += if agent.is_busy() { lasted } else { Duration::ZERO };
        self.counters.talk += if agent.in_call().is_some() { lasted } else { Duration::ZERO };
        self.counters.available += if agent.is_available() { lasted } else { Duration::ZERO };
        agent.since = now;
    }

    pub(crate) fn agent_time(
        &mut self,
        agent: AgentId,
        state: crate::AgentState,
        reason: String,
        (from, until): (Time, Time),
        forced_by: Option<AgentId>,
    ) {
        let from_unix_ms = self.clock.unix_ms(from);
        // Of the same clock: one state ends where the next begins, to the millisecond.
        let lasted_ms = self.clock.unix_ms(until).saturating_sub(from_unix_ms);
        let lasted_ms = u64::try_from(lasted_ms).unwrap_or_default();
        self.note(Write::AgentTime { agent, state, reason, forced_by, from_unix_ms, lasted_ms });
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
    pub(super) fn activity(self) -> Activity {
        match self {
            Next::Paused(reason) => Activity::Paused(reason),
            Next::Offline => Activity::Offline,
        }
    }
}

pub(super) fn invalid(field: &str, message: &str) -> CommandError {
    CommandError::Invalid { field: field.into(), message: message.into() }
}
