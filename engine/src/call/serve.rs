//! Who gets whom: which agent a call goes to, and whom an agent takes of those who wait.

use std::cmp::Reverse;

use kraliki_time::Time;

use super::routing::{Idle, Standing, router};
use super::{Call, Stage};
use crate::{AgentId, Engine};

impl Engine {
    /// The idle agent to whom the campaign's routing gives the call.
    pub(crate) fn free_agent(&mut self, now: Time, call: &Call) -> Option<AgentId> {
        let live = self.campaigns.get_mut(&call.campaign)?;
        let router = router(live.campaign.settings.routing);
        if live.idle.is_none() {
            let mut idle = Idle::default();
            for (since, agent) in self.idle.iter().filter(|(_, agent)| live.serves(*agent)) {
                let calls = self.agents.get(agent).map_or(0, |agent| agent.calls);
                let level = self.people.level(*agent, call.campaign);
                idle.insert(*agent, router.rank(&Standing { calls, level }), *since);
            }
            live.idle = Some(idle);
        }
        router.choose(now, live.idle.as_ref()?, call.lead.last_agent)
    }

    /// An agent may be given calls.
    pub(crate) fn idle_from(&mut self, since: Time, agent: AgentId) {
        self.idle.insert((since, agent));
        let calls = self.agents.get(&agent).map_or(0, |agent| agent.calls);
        for (id, live) in &mut self.campaigns {
            if !live.is_running() && live.calls == 0 {
                live.idle = None;
            }
            let serves = live.idle.is_some() && live.serves(agent);
            let (routing, level) = (live.campaign.settings.routing, self.people.level(agent, *id));
            if let Some(idle) = live.idle.as_mut().filter(|_| serves) {
                idle.insert(agent, router(routing).rank(&Standing { calls, level }), since);
            }
        }
    }

    /// An agent may not be given calls any more.
    pub(crate) fn not_idle(&mut self, since: Time, agent: AgentId) {
        if !self.idle.remove(&(since, agent)) {
            return;
        }
        for idle in self.campaigns.values_mut().filter_map(|live| live.idle.as_mut()) {
            idle.remove(agent);
        }
    }

    /// An agent became free: of the people whom the agent may serve, first those of the campaign that the agent puts first,
    /// then who waits longest.
    pub(crate) fn serve(&mut self, now: Time, agent: AgentId) {
        if !self.agents.get(&agent).is_some_and(|live| self.idle.contains(&(live.since, agent))) {
            return;
        }
        let served = self.campaigns.iter().filter(|(_, live)| !live.waiting.is_empty() && live.serves(agent));
        let first = served.filter_map(|(id, live)| {
            let (since, call) = live.waiting.first()?;
            Some((Reverse(self.people.priority(agent, *id)), *since, *call))
        });
        let Some(call) = first.min().and_then(|(.., call)| self.calls.remove(&call)) else { return };
        let Stage::Waiting { answered, since } = call.stage else {
            self.calls.insert(call.attempt(), call);
            return;
        };
        let call = self.bridge(now, call, agent, answered, now.since(since));
        self.calls.insert(call.attempt(), call);
    }

    /// Who serves whom changed: everybody who is free is looked at again.
    pub(crate) fn serve_all(&mut self, now: Time) {
        let idle: Vec<AgentId> = self.idle.iter().map(|(_, agent)| *agent).collect();
        for agent in idle {
            self.serve(now, agent);
        }
    }
}
