//! What people see: events as things change, numbers at most twice a second, and everything at one moment.

use kraliki_time::Time;

use crate::agent::{Activity, AgentLive, Next};
use crate::counters::Gauges;
use crate::event::{AgentView, BreakerState, Event, Snapshot, TrunkView};
use crate::trunk::{Standing, TrunkLive};
use crate::{AgentId, AgentState, CallState, CampaignId, Engine, Output};

impl Engine {
    /// Everything at this moment. Calls that their agents still wrap up are among the calls, as ended.
    pub fn snapshot(&self, now: Time) -> Snapshot {
        let wrapped = self.agents.values().filter_map(|agent| match &agent.activity {
            Activity::WrapUp(wrap) => Some(wrap.call.clone()),
            _ => None,
        });
        let shown = self.calls.values().filter(|call| call.is_shown());
        let signed_in = self.agents.iter().filter(|(_, a)| !matches!(a.activity, Activity::Offline));
        Snapshot {
            at_unix_ms: self.clock.unix_ms(now),
            campaigns: self.campaigns.keys().filter_map(|id| self.campaign_view(now, *id)).collect(),
            agents: signed_in.map(|(id, agent)| self.agent_view(*id, agent)).collect(),
            calls: shown.map(|call| self.call_view(call)).chain(wrapped).collect(),
            trunks: self.trunks.values().map(|line| trunk_view(line, now)).collect(),
            phones: Vec::new(),
            draining: self.is_draining(),
            store_ok: self.storing.is_ok(now),
        }
    }

    /// How things stand, in numbers.
    pub fn gauges(&self, now: Time) -> Gauges {
        let mut gauges = Gauges {
            hopper: self.campaigns.values().map(|live| live.hopper.len()).sum(),
            committing: u32::try_from(self.storing.pending()).unwrap_or(u32::MAX),
            facts_waiting: u32::try_from(self.storing.facts_waiting()).unwrap_or(u32::MAX),
            disposables: u32::try_from(self.disposables.len()).unwrap_or(u32::MAX),
            suppressed: u32::try_from(self.suppressed.len()).unwrap_or(u32::MAX),
            timers: u32::try_from(self.timers.len()).unwrap_or(u32::MAX),
            agents: AgentState::ALL.into_iter().map(|state| (state, 0)).collect(),
            calls: CallState::IN_PROGRESS.into_iter().map(|state| (state, 0)).collect(),
            ..Gauges::default()
        };
        let mut busy = self.counters.busy;
        (gauges.talk, gauges.available) = (self.counters.talk, self.counters.available);
        for agent in self.agents.values() {
            *gauges.agents.entry(agent.state()).or_default() += 1;
            let lasted = now.since(agent.since);
            gauges.pause_over += u32::from(agent.pause_ends.is_some_and(|ends| ends < now));
            if agent.is_busy() {
                busy += lasted;
            }
            if agent.in_call().is_some() {
                gauges.talk += lasted;
            }
            if agent.is_available() {
                gauges.available += lasted;
            }
        }
        for call in self.calls.values() {
            match call.stage.state() {
                Some(state) => *gauges.calls.entry(state).or_default() += 1,
                None => gauges.clearing += 1,
            }
        }
        if !gauges.available.is_zero() {
            gauges.occupancy = busy.as_secs_f64() / gauges.available.as_secs_f64();
        }
        gauges
    }

    /// The numbers of campaigns and trunks go out, where they changed.
    pub(crate) fn publish(&mut self, now: Time) {
        self.last_publish = Some(now);
        let changed =
            self.campaigns.iter_mut().filter_map(|(id, live)| std::mem::take(&mut live.dirty).then_some(*id));
        let changed: Vec<CampaignId> = changed.collect();
        for id in changed {
            if let Some(view) = self.campaign_view(now, id) {
                self.out.push_back(Output::Event(Event::Campaign(view)));
            }
        }
        for line in self.trunks.values_mut() {
            // While INVITEs of the last second are counted, the count changes by itself.
            let counting = line.cps.count(now) > 0;
            if std::mem::replace(&mut line.dirty, counting) {
                self.out.push_back(Output::Event(Event::Trunk(trunk_view(line, now))));
            }
        }
    }

    pub(crate) fn show_agent(&mut self, id: AgentId) {
        let Some(agent) = self.agents.get(&id) else { return };
        let view = self.agent_view(id, agent);
        self.out.push_back(Output::Event(Event::Agent(view)));
    }

    fn agent_view(&self, id: AgentId, agent: &AgentLive) -> AgentView {
        AgentView {
            id,
            name: agent.name.clone(),
            state: agent.state(),
            since_unix_ms: self.clock.unix_ms(agent.since),
            reason: match &agent.activity {
                Activity::Paused(reason) => reason.clone(),
                _ => String::new(),
            },
            call: agent.call(),
            audio: agent.audio(),
            next: agent.next.as_ref().map(|next| match next {
                Next::Paused(_) => AgentState::Paused,
                Next::Offline => AgentState::Offline,
            }),
            calls: agent.calls,
            pause_ends_unix_ms: agent.pause_ends.map(|at| self.clock.unix_ms(at)),
            wrap_up_ends_unix_ms: match &agent.activity {
                Activity::WrapUp(wrap) => wrap.ends.map(|at| self.clock.unix_ms(at)),
                _ => None,
            },
            wrap_up_extension_s: match &agent.activity {
                Activity::WrapUp(wrap) => wrap.extension_s,
                _ => 0,
            },
            shift_ends_unix_ms: agent.shift_ends.map(|at| self.clock.unix_ms(at)),
            last_call: agent.last_call,
            forced: agent.forced_view(),
            preview: match &agent.activity {
                Activity::Preview(preview) => Some(Box::new(self.preview_view(preview))),
                _ => None,
            },
        }
    }
}

pub(crate) fn trunk_view(line: &TrunkLive, now: Time) -> TrunkView {
    let (breaker, resting_s) = match line.breaker.standing(now) {
        Standing::Closed => (BreakerState::Closed, 0),
        Standing::Resting(rest) => {
            (BreakerState::Open, u32::try_from(rest.as_secs() + 1).unwrap_or(u32::MAX))
        }
        Standing::Trying => (BreakerState::HalfOpen, 0),
    };
    TrunkView {
        id: line.trunk.id,
        name: line.trunk.name.clone(),
        up: line.up,
        channels: line.in_use(),
        max_channels: line.trunk.max_channels,
        cps: line.cps.count(now),
        max_cps: line.trunk.max_cps,
        breaker,
        resting_s,
        failures: line.breaker.failures(),
    }
}
