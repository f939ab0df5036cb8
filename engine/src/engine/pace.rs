//! Pacing decisions: for every running campaign in one pass, so that no agent is counted twice.

use std::time::Duration;

use kraliki_time::Time;

use crate::agent::Activity;
use crate::limits::{COMMITTING_MOST, NO_AGENT_FOR, RING_LEAST};
use crate::pacing::{AgentPhase, LineView, View};
use crate::trunk::TrunkLive;
use crate::{AgentId, AttemptId, CampaignId, CancelReason, Engine, TrunkId};

/// What a campaign asks of its agents at this moment.
struct Demand {
    id: CampaignId,
    running: bool,
    lines: Vec<LineView>,
    waiting: Vec<Time>,
    detecting: usize,
    /// Its agents, by place among those who are there.
    agents: Vec<usize>,
}

impl Engine {
    /// Decides for each campaign, those with the higher priority first.
    pub(crate) fn pace(&mut self, now: Time) {
        let running = self.campaigns.values().any(|live| live.is_running()) && !self.is_draining();
        self.paced(now, running);
        if !running || !self.clock.known() {
            return;
        }
        self.offer_previews(now);
        let supply = self.supply();
        let mut demands = self.demands(&supply);
        for turn in 0..demands.len() {
            let Some(demand) = demands.get(turn) else { break };
            if !demand.running {
                continue;
            }
            let id = demand.id;
            let begun = self.decide(now, turn, &demands, &supply);
            if let Some(demand) = demands.get_mut(turn) {
                demand.lines.extend((0..begun).map(|_| LineView { dialed: now, ringing: None }));
                if demand.agents.is_empty() {
                    self.take_back(now, id);
                } else if let Some(live) = self.campaigns.get_mut(&id) {
                    live.no_agent_since = None;
                }
            }
            self.keep_filled(now, id);
        }
    }

    /// Everybody who takes calls, or will after the present one.
    fn supply(&self) -> Vec<(AgentId, AgentPhase)> {
        let there = self.agents.iter().filter(|(_, agent)| agent.is_supply());
        there
            .map(|(id, agent)| {
                let since = agent.since;
                let phase = match &agent.activity {
                    Activity::Ready => AgentPhase::Idle,
                    Activity::WrapUp(_) => AgentPhase::WrapUp { since },
                    _ => AgentPhase::Talking { since: self.bridged_at(agent.in_call()).unwrap_or(since) },
                };
                (*id, phase)
            })
            .collect()
    }

    fn bridged_at(&self, call: Option<AttemptId>) -> Option<Time> {
        self.calls.get(&call?)?.stage.talk().map(|talk| talk.bridged)
    }

    fn demands(&self, supply: &[(AgentId, AgentPhase)]) -> Vec<Demand> {
        let mut demands: Vec<Demand> = Vec::new();
        for (id, live) in &self.campaigns {
            if !live.is_running() && live.calls == 0 {
                continue;
            }
            let serving = supply.iter().enumerate().filter(|(_, (agent, _))| live.serves(*agent));
            demands.push(Demand {
                id: *id,
                running: live.is_running(),
                lines: live.lines.values().copied().collect(),
                waiting: Vec::new(),
                detecting: live.detecting,
                agents: serving.map(|(place, _)| place).collect(),
            });
        }
        let priority =
            |id: &CampaignId| self.campaigns.get(id).map_or(0, |live| live.campaign.settings.priority);
        demands.sort_by_key(|demand| (std::cmp::Reverse(priority(&demand.id)), demand.id));
        for (since, call) in &self.waiting {
            let campaign = self.calls.get(call).map(|call| call.campaign);
            if let Some(demand) = demands.iter_mut().find(|demand| Some(demand.id) == campaign) {
                demand.waiting.push(*since);
            }
        }
        demands
    }

    /// One campaign's decision. Gives how many attempts were begun.
    fn decide(
        &mut self,
        now: Time,
        turn: usize,
        demands: &[Demand],
        supply: &[(AgentId, AgentPhase)],
    ) -> u32 {
        let Some(mine) = demands.get(turn) else { return 0 };
        let (mut lines, mut waiting, mut detecting) =
            (mine.lines.clone(), mine.waiting.clone(), mine.detecting);
        for (place, other) in demands.iter().enumerate() {
            if place == turn || (other.lines.is_empty() && other.waiting.is_empty() && other.detecting == 0) {
                continue;
            }
            let share = share(mine, other);
            // Lines of campaigns that come later count when nobody else could take them; those of earlier ones
            // by the share of their agents who are also ours.
            if place < turn || share >= 1.0 {
                lines.extend(sample(&other.lines, share));
                waiting.extend(sample(&other.waiting, share));
                detecting += (other.detecting as f64 * share).ceil() as usize;
            }
        }
        let previewing = self.prefer_previews(&mine.agents, supply);
        let agents: Vec<AgentPhase> = mine
            .agents
            .iter()
            .filter_map(|place| supply.get(*place))
            .filter(|(agent, _)| !previewing.contains(agent))
            .map(|(_, phase)| *phase)
            .collect();
        let (way, most) = self.way(now, mine.id);
        let Some(live) = self.campaigns.get_mut(&mine.id) else { return 0 };
        let settings = &live.campaign.settings;
        let view = View {
            agents: &agents,
            lines: &lines,
            waiting: &waiting,
            detecting,
            cap: settings.abandonment_cap,
            grace: Duration::from_millis(u64::from(settings.grace_ms)),
            ring_timeout: Duration::from_secs(u64::from(settings.ring_timeout_s)),
            lines_per_agent: settings.lines_per_agent,
            max_lines: settings.max_lines,
            calls: live.in_progress(),
            answered: live.ledger.answered(),
            abandoned: live.ledger.abandoned(),
            most,
        };
        self.counters.decisions += 1;
        let decision = live.pacer().decide(now, &view);
        let (reason, way) = match way {
            Ok(way) => (decision.reason, Some(way)),
            Err(reason) => (reason, None),
        };
        if live.decision != reason {
            live.decision = reason;
            live.dirty = true;
        }
        let Some((trunk, caller_id)) = way else { return 0 };
        let mut begun = 0;
        while begun < decision.dial.min(most) && self.begin(now, mine.id, trunk, &caller_id) {
            begun += 1;
        }
        begun
    }

    /// Over which trunk and with which number a campaign dials, and how many now; or why it does not, in words.
    fn way(&self, now: Time, id: CampaignId) -> (Result<(TrunkId, String), String>, u32) {
        let no = |reason: &str| (Err(reason.to_owned()), 0);
        let Some(live) = self.campaigns.get(&id) else { return no("no campaign") };
        let settings = &live.campaign.settings;
        let Some(line) = self.trunk_named(&settings.trunk) else { return no("holding: no such trunk") };
        let caller_id =
            if settings.caller_id.is_empty() { &line.trunk.caller_id } else { &settings.caller_id };
        if caller_id.is_empty() {
            return no("holding: neither the campaign nor its trunk has a caller id");
        }
        if !self.storing.is_ok(now) {
            return no("holding: the store takes no writes");
        }
        if !line.up {
            return (Err(format!("holding: trunk {} is down", line.trunk.name)), 0);
        }
        if live.hours.never() {
            return no("holding: the campaign has no calling hours");
        }
        if live.hopper.is_empty() {
            return no(match live.next_due_unix_ms {
                Some(_) => "holding: no lead is due now",
                None => "holding: no lead at hand",
            });
        }
        let committing = self.trunks.values().map(|line| line.committing).sum::<u32>();
        let most = line.room().min(live.hopper.len()).min(COMMITTING_MOST.saturating_sub(committing));
        (Ok((line.trunk.id, caller_id.clone())), most)
    }

    /// The trunk of that name; the first one for an empty name.
    pub(crate) fn trunk_named(&self, name: &str) -> Option<&TrunkLive> {
        self.trunks.values().find(|line| name.is_empty() || line.trunk.name == name)
    }

    /// Nobody is there for a campaign's lines: they are taken back, unless they ring and have not rung long enough.
    fn take_back(&mut self, now: Time, id: CampaignId) {
        let Some(live) = self.campaigns.get_mut(&id) else { return };
        let since = *live.no_agent_since.get_or_insert(now);
        if now.since(since) < NO_AGENT_FOR {
            return;
        }
        let may = |line: &LineView| line.ringing.is_none_or(|since| now.since(since) >= RING_LEAST);
        let lines: Vec<AttemptId> =
            live.lines.iter().filter(|(_, line)| may(line)).map(|(id, _)| *id).collect();
        for attempt in lines {
            let Some(mut call) = self.calls.remove(&attempt) else { continue };
            // What was not sent yet is looked at again in its turn, and finds nobody.
            if !matches!(call.stage, crate::call::Stage::Committing | crate::call::Stage::Queued) {
                self.counters.taken_back += 1;
                self.cancel(now, &mut call, CancelReason::Pacing);
            }
            self.calls.insert(attempt, call);
        }
    }
}

/// Which part of the other campaign's agents are also mine.
fn share(mine: &Demand, other: &Demand) -> f64 {
    if other.agents.is_empty() {
        return 0.0;
    }
    let both = other.agents.iter().filter(|agent| mine.agents.binary_search(agent).is_ok()).count();
    both as f64 / other.agents.len() as f64
}

/// That part of the items, evenly spread.
fn sample<T: Copy>(items: &[T], share: f64) -> impl Iterator<Item = T> + '_ {
    let upto = move |n: usize| (n as f64 * share).ceil() as usize;
    items.iter().enumerate().filter(move |(n, _)| upto(n + 1) > upto(*n)).map(|(_, item)| *item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_even_and_rounded_up() {
        let items: Vec<u32> = (0..10).collect();
        assert_eq!(sample(&items, 1.0).count(), 10);
        assert_eq!(sample(&items, 0.0).count(), 0);
        assert_eq!(sample(&items, 0.25).collect::<Vec<_>>(), [0, 4, 8]);
    }
}
