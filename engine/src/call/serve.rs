//! Who gets whom: the person who waits longest, the agent who is idle longest.

use kraliki_time::Time;

use super::Stage;
use crate::{AgentId, CampaignId, Engine};

impl Engine {
    /// The longest idle agent who may take the campaign's calls.
    pub(crate) fn free_agent(&self, campaign: CampaignId) -> Option<AgentId> {
        let live = self.campaigns.get(&campaign)?;
        self.idle.iter().map(|(_, agent)| *agent).find(|agent| live.serves(*agent))
    }

    /// An agent became free: the person who waits longest among those the agent may serve.
    pub(crate) fn serve(&mut self, now: Time, agent: AgentId) {
        if !self.agents.get(&agent).is_some_and(|live| self.idle.contains(&(live.since, agent))) {
            return;
        }
        let found = self.waiting.iter().map(|(_, call)| *call).find(|call| {
            let campaign = self.calls.get(call).map(|call| call.campaign);
            campaign.and_then(|id| self.campaigns.get(&id)).is_some_and(|live| live.serves(agent))
        });
        let Some(call) = found.and_then(|call| self.calls.remove(&call)) else { return };
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
