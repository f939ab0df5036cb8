//! An agent's audio leg comes, goes, falls silent.

use kraliki_time::Time;

use super::{Activity, AgentLive};
use crate::call::Stage;
use crate::limits::{AGENT_BACK, AGENTS_MOST, LEG_AWAY};
use crate::timer::Timer;
use crate::{AgentEvent, AgentId, AttemptId, Engine, Output};

impl Engine {
    pub(crate) fn agent_leg(&mut self, now: Time, id: AgentId, event: AgentEvent) {
        if !self.agents.contains_key(&id) {
            if event != AgentEvent::LegUp || self.agents.len() >= AGENTS_MOST {
                return;
            }
            self.agents.insert(id, AgentLive::new(now));
        }
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let call = agent.in_call();
        match event {
            AgentEvent::LegUp => (agent.leg_up, agent.silent) = (true, false),
            AgentEvent::LegDown => agent.leg_up = false,
            AgentEvent::Silent => agent.silent = true,
            AgentEvent::Alive => agent.silent = false,
        }
        let (audio, since, ready) = (agent.audio(), agent.since, matches!(agent.activity, Activity::Ready));
        let offline = matches!(agent.activity, Activity::Offline);
        let waiting = agent.is_waiting();
        let dials = match agent.activity {
            Activity::Dialing(call) => Some(call),
            _ => None,
        };
        if offline && event == AgentEvent::LegDown {
            self.agents.remove(&id);
            return;
        }
        if ready {
            // The place among the idle is kept: a blink of the network does not cost it.
            if audio {
                self.idle_from(since, id);
            } else {
                self.not_idle(since, id);
            }
        }
        if waiting {
            match event {
                AgentEvent::LegUp => self.timers.clear(Timer::LegAway(id)),
                AgentEvent::LegDown => self.timers.set(Timer::LegAway(id), now + LEG_AWAY),
                AgentEvent::Silent | AgentEvent::Alive => {}
            }
        }
        if !offline {
            self.show_agent(id);
        }
        self.agents_changed();
        if let (Some(call), AgentEvent::LegDown) = (dials, event) {
            self.dialer_lost(now, call);
        }
        match (call, event) {
            (Some(call), AgentEvent::LegUp) => self.agent_back(now, call),
            (Some(call), AgentEvent::LegDown) => self.agent_lost(now, call),
            _ => self.serve(now, id),
        }
    }

    /// The call is held for the agent to return.
    fn agent_lost(&mut self, now: Time, id: AttemptId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if let Some(talk) = call.stage.talk()
            && !matches!(call.stage, Stage::AgentLost(_))
        {
            self.counters.agents_lost += 1;
            self.out.push_back(Output::Unbridge { id: call.id });
            self.shift(now, &mut call, Stage::AgentLost(talk));
            self.timers.set(Timer::Stage(id), now + AGENT_BACK);
        }
        self.calls.insert(id, call);
    }

    /// A new leg, in time or in place of the old one: the call goes on there.
    fn agent_back(&mut self, now: Time, id: AttemptId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if let Some(talk) = call.stage.talk() {
            self.out.push_back(Output::Bridge { id: call.id, agent: talk.agent });
            match call.stage {
                Stage::AgentLost(_) => {
                    self.shift(now, &mut call, Stage::Talking(talk));
                    self.enter(now, talk.agent, Activity::Talking(id));
                }
                Stage::Held(_) => self.out.push_back(Output::Hold { id: call.id, on: true }),
                _ => {}
            }
        }
        self.calls.insert(id, call);
    }
}
