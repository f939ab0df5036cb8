//! Pacing decisions: for every running campaign in one pass. Campaigns that share agents make one group: each sees the
//! lines of the others in its outlook, those begun a moment ago included, so that no agent is counted twice.

use std::cmp::Reverse;
use std::time::Duration;

use kraliki_time::Time;

use super::dial::Begun;
use crate::agent::Activity;
use crate::compliance::unfit;
use crate::limits::{ASIDE_MOST, COMMITTING_MOST, NO_AGENT_FOR};
use crate::pacing::{AgentPhase, LineView, Outlook, View};
use crate::{AgentId, AttemptId, CampaignId, CampaignSettings, CancelReason, Engine, Mode};

/// An agent who takes calls, or will after the present one.
struct Seat {
    agent: AgentId,
    phase: AgentPhase,
    /// Whose call it is that the agent is in or wraps up.
    campaign: Option<CampaignId>,
    /// When the agent's shift ends.
    leaves: Option<Time>,
}

/// What a campaign asks of its agents at this moment.
struct Demand {
    id: CampaignId,
    running: bool,
    lines: Vec<LineView>,
    /// Whose they are, in the same order.
    attempts: Vec<AttemptId>,
    waiting: Vec<Time>,
    /// Since when they are answered.
    detecting: Vec<Time>,
    /// Whether an agent is kept for each of its lines.
    certain: bool,
    /// Its agents, by place among those who are there.
    seats: Vec<usize>,
}

impl Engine {
    /// Decides for each campaign: those with the higher priority first, of equal ones who was granted lines longest ago.
    pub(crate) fn pace(&mut self, now: Time) {
        let running = self.campaigns.values().any(|live| live.is_running()) && !self.is_draining();
        self.paced(now, running);
        if !running || !self.clock.known() {
            return;
        }
        self.roll_days(now);
        self.forget_recent(now);
        self.offer_previews(now);
        let seats = self.seats();
        let mut demands = self.demands(&seats);
        for demand in &demands {
            self.learn(now, demand, &seats);
        }
        for turn in 0..demands.len() {
            let Some(demand) = demands.get(turn).filter(|demand| demand.running) else { continue };
            let (id, nobody) = (demand.id, !self.has_supply(demand.id));
            let chances = self.decide(now, turn, &demands, &seats);
            if nobody {
                self.take_back(now, id);
            }
            let Some(live) = self.campaigns.get_mut(&id) else { continue };
            if !nobody {
                live.no_agent_since = None;
            }
            if !chances.is_empty() {
                live.granted = now;
            }
            if let Some(demand) = demands.get_mut(turn) {
                let line = |answers| LineView { dialed: now, ringing: None, answers };
                demand.lines.extend(chances.into_iter().map(line));
            }
            self.keep_filled(now, id);
        }
    }

    /// Everybody who takes calls that are dialed for them, or will after the present one.
    fn seats(&self) -> Vec<Seat> {
        let elsewhere = self.prefer_previews();
        let there = self.agents.iter().filter(|(id, agent)| agent.is_supply() && !elsewhere.contains(id));
        there
            .map(|(id, agent)| {
                let since = agent.since;
                let call = agent.in_call().and_then(|call| self.calls.get(&call));
                let (phase, campaign) = match &agent.activity {
                    Activity::Ready => (AgentPhase::Idle, None),
                    Activity::WrapUp(wrap) => (AgentPhase::WrapUp { since }, Some(wrap.campaign)),
                    _ => {
                        let talk = call.and_then(|call| call.stage.talk());
                        let since = talk.map_or(since, |talk| talk.bridged);
                        (AgentPhase::Talking { since }, call.map(|call| call.campaign))
                    }
                };
                Seat { agent: *id, phase, campaign, leaves: agent.shift_ends }
            })
            .collect()
    }

    /// In the order in which they are decided.
    fn demands(&mut self, seats: &[Seat]) -> Vec<Demand> {
        let mut demands: Vec<Demand> = Vec::new();
        for (id, live) in &mut self.campaigns {
            if !live.is_running() && live.calls == 0 {
                continue;
            }
            let serving = seats.iter().enumerate().filter(|(_, seat)| live.serves(seat.agent));
            demands.push(Demand {
                id: *id,
                running: live.is_running(),
                seats: serving.map(|(place, _)| place).collect(),
                lines: live.lines.values().copied().collect(),
                attempts: live.lines.keys().copied().collect(),
                waiting: live.waiting.iter().map(|(since, _)| *since).collect(),
                detecting: live.detecting.values().copied().collect(),
                certain: live.policy.pacer().keeps_an_agent(),
            });
        }
        let turn = |id: &CampaignId| {
            self.campaigns.get(id).map(|live| (Reverse(live.campaign.settings.priority), live.granted))
        };
        demands.sort_by_key(|demand| (turn(&demand.id), demand.id));
        demands
    }

    /// A campaign looks at how long its lines ring and its calls last.
    fn learn(&mut self, now: Time, demand: &Demand, seats: &[Seat]) {
        let Some(live) = self.campaigns.get_mut(&demand.id) else { return };
        let own = seats.iter().filter(|seat| seat.campaign == Some(demand.id));
        let phases: Vec<AgentPhase> = own.map(|seat| seat.phase).collect();
        live.learned.refresh(now, &demand.lines, &phases);
    }

    /// One campaign's decision. Gives the answer chances of the attempts that were begun.
    fn decide(&mut self, now: Time, turn: usize, demands: &[Demand], seats: &[Seat]) -> Vec<f64> {
        let Some(mine) = demands.get(turn) else { return Vec::new() };
        let (lines, waiting, detecting) = seen(mine, demands);
        let (way, most) = self.way(now, mine);
        let Some(live) = self.campaigns.get(&mine.id) else { return Vec::new() };
        let ring_timeout = Duration::from_secs(u64::from(live.campaign.settings.ring_timeout_s));
        // Who is gone before a line that is dialed now has rung out is nobody to dial it for.
        let stays = |seat: &&Seat| seat.leaves.is_none_or(|leaves| leaves > now + ring_timeout);
        let agents: Vec<AgentPhase> = mine
            .seats
            .iter()
            .filter_map(|place| seats.get(*place))
            .filter(stays)
            .map(|seat| seat.phase)
            .collect();
        let most = most.min(self.within_cap(mine, &agents, lines.len() + waiting.len() + detecting));
        let Some(live) = self.campaigns.get_mut(&mine.id) else { return Vec::new() };
        let settings = &live.campaign.settings;
        let (cap, grace, ring_least) = (live.terms.cap, live.terms.grace, live.terms.ring_least);
        let lines_per_agent = settings.lines_per_agent;
        let leads: Vec<f64> = live.hopper.answers().take(most as usize).collect();
        let allowance = live.budget.allowance(now, cap, live.ledger.answered(), live.ledger.abandoned());
        let (answered, abandoned) = (live.ledger.answered(), live.ledger.abandoned());
        let cancellable = if settings.cancel_ringing { mine.attempts.len() } else { 0 };
        let (max_lines, calls) = (settings.max_lines, live.in_progress());
        let looks_ahead = live.policy.pacer().looks_ahead();
        // The policy steps out while the others' tables are read.
        let mut policy = std::mem::take(&mut live.policy);
        let outlook = if looks_ahead { self.outlook(now, turn, demands, seats, grace) } else { None };
        let view = View {
            agents: &agents,
            lines: &lines,
            cancellable,
            waiting: &waiting,
            detecting,
            leads: &leads,
            outlook: outlook.as_ref(),
            risk: allowance.risk,
            spare: allowance.spare,
            cap,
            grace,
            ring_timeout,
            lines_per_agent,
            max_lines,
            calls,
            answered,
            abandoned,
            most,
        };
        let decision = policy.pacer().decide(now, &view);
        self.counters.decisions += 1;
        let Some(live) = self.campaigns.get_mut(&mine.id) else { return Vec::new() };
        live.policy = policy;
        let (reason, way) = match way {
            Ok(()) => (decision.reason, Some(())),
            Err(reason) => (reason, None),
        };
        if live.decision != reason {
            live.decision = reason;
            live.dirty = true;
        }
        let long_enough = |place: &&usize| {
            let ringing = mine.lines.get(**place).and_then(|line| line.ringing);
            ringing.is_none_or(|since| now.since(since) >= ring_least)
        };
        let back = decision.take_back.iter().filter(long_enough);
        let back = back.filter_map(|place| mine.attempts.get(*place)).copied();
        self.cancel_lines(now, back.collect());
        if way.is_none() {
            return Vec::new();
        }
        let (mut begun, mut aside) = (Vec::new(), Vec::new());
        while (begun.len() as u32) < decision.dial.min(most) && aside.len() < ASIDE_MOST {
            match self.begin(now, mine.id) {
                Begun::Dialed(answers) => begun.push(answers),
                Begun::Waits(ready) => aside.push(ready),
                Begun::Nobody => break,
            }
        }
        if let Some(live) = self.campaigns.get_mut(&mine.id) {
            aside.into_iter().rev().for_each(|ready| live.hopper.put_back(now, *ready));
        }
        begun
    }

    /// What a campaign may expect: its agents as they come free, the group's lines as they are answered.
    fn outlook<'a>(
        &'a self,
        now: Time,
        turn: usize,
        demands: &[Demand],
        seats: &[Seat],
        grace: Duration,
    ) -> Option<Outlook<'a>> {
        let mine = demands.get(turn)?;
        let own = &self.campaigns.get(&mine.id)?.learned;
        let mut outlook = Outlook::new(own, mine.seats.len(), grace)?;
        for seat in mine.seats.iter().filter_map(|place| seats.get(*place)) {
            let learned =
                seat.campaign.and_then(|id| self.campaigns.get(&id)).map_or(own, |live| &live.learned);
            outlook.agent(learned, now, &seat.phase, seat.leaves.map(|leaves| leaves.since(now)));
        }
        for demand in demands {
            let (share, Some(live)) = (share(mine, demand), self.campaigns.get(&demand.id)) else { continue };
            if share == 0.0 {
                continue;
            }
            for line in &demand.lines {
                outlook.line(&live.learned, now, line, share, demand.certain && demand.id != mine.id);
            }
            for answered in &demand.detecting {
                outlook.detecting(&live.learned, now.since(*answered), share);
            }
            for _ in &demand.waiting {
                outlook.person(share);
            }
        }
        Some(outlook)
    }

    /// Whether a campaign dials, and how many now; or why it does not, in words.
    fn way(&self, now: Time, demand: &Demand) -> (Result<(), String>, u32) {
        let no = |reason: &str| (Err(format!("holding: {reason}")), 0);
        let Some(live) = self.campaigns.get(&demand.id) else { return no("no campaign") };
        let settings = &live.campaign.settings;
        if let Some(reason) = self.unlawful(settings) {
            return no(&reason);
        }
        if !self.storing.is_ok(now) {
            return no("the store takes no writes");
        }
        let room = match self.trunk_room(now, settings) {
            Ok(room) => room,
            Err(reason) => return no(&reason),
        };
        if let Some(hold) = self.no_caller_id(now, settings) {
            return no(&hold.in_words());
        }
        if live.hours.never() {
            return no("the campaign has no calling hours");
        }
        if live.hopper.is_empty() {
            return no(match live.next_due_unix_ms {
                Some(_) => "no lead is due now",
                None => "no lead at hand",
            });
        }
        let own = live.room(demand.seats.len()).min(live.hopper.len());
        (Ok(()), room.min(own).min(COMMITTING_MOST.saturating_sub(self.committing())))
    }

    /// Where a profile sets a cap and it is used up, a policy that does not look at it gets one line for each idle agent.
    fn within_cap(&self, mine: &Demand, agents: &[AgentPhase], open: usize) -> u32 {
        let Some(live) = self.campaigns.get(&mine.id) else { return 0 };
        let used_up = live.ledger.abandoned() as f64 > live.terms.cap * live.ledger.answered() as f64;
        if live.mode() != Mode::Power || live.terms.profile.is_none() || !used_up {
            return u32::MAX;
        }
        let idle = agents.iter().filter(|phase| matches!(phase, AgentPhase::Idle)).count();
        u32::try_from(idle.saturating_sub(open)).unwrap_or(u32::MAX)
    }

    /// Why a campaign must not dial as it is set up, in words: what to do.
    pub(crate) fn unlawful(&self, settings: &CampaignSettings) -> Option<String> {
        unfit(&self.law, settings).map(|(field, text)| format!("{field} {text}"))
    }

    /// Nobody is there for a campaign's lines: they are taken back, unless they ring and have not rung long enough.
    fn take_back(&mut self, now: Time, id: CampaignId) {
        let Some(live) = self.campaigns.get_mut(&id) else { return };
        let since = *live.no_agent_since.get_or_insert(now);
        if now.since(since) < NO_AGENT_FOR {
            return;
        }
        let least = live.terms.ring_least;
        let may = |line: &LineView| line.ringing.is_none_or(|since| now.since(since) >= least);
        let lines: Vec<AttemptId> =
            live.lines.iter().filter(|(_, line)| may(line)).map(|(id, _)| *id).collect();
        self.cancel_lines(now, lines);
    }

    fn cancel_lines(&mut self, now: Time, lines: Vec<AttemptId>) {
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

/// What a campaign sees of the group: the others' lines, the people who wait and the calls being detected, by the share
/// of their agents who are its own.
fn seen(mine: &Demand, demands: &[Demand]) -> (Vec<LineView>, Vec<Time>, usize) {
    let (mut lines, mut waiting, mut detecting) =
        (mine.lines.clone(), mine.waiting.clone(), mine.detecting.len());
    for other in demands.iter().filter(|other| other.id != mine.id) {
        let share = share(mine, other);
        lines.extend(sample(&other.lines, share));
        waiting.extend(sample(&other.waiting, share));
        detecting += sample(&other.detecting, share).count();
    }
    (lines, waiting, detecting)
}

/// Which part of the other campaign's agents are also mine.
fn share(mine: &Demand, other: &Demand) -> f64 {
    if mine.id == other.id {
        return 1.0;
    }
    let both = other.seats.iter().filter(|seat| mine.seats.binary_search(seat).is_ok()).count();
    both as f64 / other.seats.len().max(1) as f64
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
