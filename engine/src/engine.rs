//! The single writer: one place that owns all dialing state and changes it input by input.

mod campaigns;
mod checkpoint;
mod choice;
mod command;
mod dial;
mod drain;
mod groups;
mod hand;
mod pace;
mod pools;
mod publish;
mod refill;
mod restore;
mod storing;
#[cfg(test)]
mod tests;
mod trunks;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::agent::{AgentLive, Pauses};
use crate::call::{Call, Disposables};
use crate::caller_id::{IdLive, PoolLive};
use crate::campaign::CampaignLive;
use crate::clock::WallClock;
use crate::compliance::{Law, NationalCopy, Recent};
use crate::counters::Counters;
use crate::lead::hours::Zones;
use crate::lead::suppressed::Suppressed;
use crate::limits::{CLOCK_JITTER_MS, PACE_LATEST, PACE_SOONEST, PUBLISH_EVERY};
use crate::pacing::Forced;
use crate::timer::{Timer, Timers};
use crate::trunk::{GroupLive, TrunkLive};
use crate::{
    AgentId, AttemptId, CallerIdPoolId, CampaignId, Input, LeadId, Output, People, TrunkGroupId, TrunkId,
};

pub use checkpoint::NotACheckpoint;
use drain::Drain;
use hand::Wanted;
pub(crate) use hand::in_words;
pub(crate) use publish::trunk_view;
pub(crate) use refill::{keeper, ready};
use storing::Storing;
pub(crate) use storing::Then;
pub use why::{Prospect, Reason, Why};

/// The dialer's core. After each input, drain [`Engine::poll_output`] until it gives [`Output::Timeout`]; call
/// [`Engine::handle_timeout`] at that time unless an input comes first.
///
/// What it expects of its driver: the first inputs are `Clock` and `Restore`; every `Refill` is answered by exactly one
/// `Leads` (an empty one with a time when the read failed), every `ReadLead` by one `Lead`, every token by `Committed` or
/// `CommitFailed`, in order.
#[derive(Serialize, Deserialize)]
pub struct Engine {
    pub(crate) clock: WallClock,
    pub(crate) timers: Timers,
    /// Drained after each input: there is nothing to write down between two.
    #[serde(skip)]
    pub(crate) out: VecDeque<Output>,
    pub(crate) storing: Storing,
    pub(crate) counters: Counters,
    pub(crate) campaigns: BTreeMap<CampaignId, CampaignLive>,
    pub(crate) agents: BTreeMap<AgentId, AgentLive>,
    pub(crate) people: People,
    /// What agents have used up of their limits today.
    pub(crate) pauses: Pauses,
    pub(crate) trunks: BTreeMap<TrunkId, TrunkLive>,
    pub(crate) groups: BTreeMap<TrunkGroupId, GroupLive>,
    pub(crate) pools: BTreeMap<CallerIdPoolId, PoolLive>,
    /// What is known of each caller id that is, or was, in a pool.
    pub(crate) caller_ids: BTreeMap<String, IdLive>,
    pub(crate) calls: BTreeMap<AttemptId, Call>,
    /// Agents who can take a call now, the longest idle first.
    pub(crate) idle: BTreeSet<(Time, AgentId)>,
    /// Leads that are on a line or on an agent's screen, with their numbers: none is dialed twice at once.
    pub(crate) in_flight: BTreeSet<LeadId>,
    pub(crate) numbers: BTreeSet<String>,
    pub(crate) suppressed: Suppressed,
    pub(crate) law: Law,
    /// Copies of national do-not-call lists, by country.
    pub(crate) national: BTreeMap<String, NationalCopy>,
    pub(crate) recent: Recent,
    pub(crate) disposables: Disposables,
    /// Only saves look-ups.
    #[serde(skip)]
    pub(crate) zones: Zones,
    /// Leads that agents want to dial, while the store is asked for them: by the command's reply, one for each agent.
    wanted: BTreeMap<u64, Wanted>,
    drain: Option<Drain>,
    /// A pacing policy by name for every campaign; empty: by mode.
    pacer: Forced,
    /// Of every choice by chance.
    pub(crate) seed: u64,
    next_campaign: i64,
    next_trunk: i64,
    pub(crate) next_team: i64,
    /// A change of the tree of teams waits for its commit.
    pub(crate) teams_saving: bool,
    pub(crate) people_version: u64,
    next_group: i64,
    next_pool: i64,
    next_attempt: i64,
    /// The quarter of an hour in which days were looked at; a day begins with one in every zone.
    quarter: i64,
    restored: bool,
    /// Something happened that a pacing decision may depend on.
    pub(crate) pace_wanted: bool,
    last_pace: Option<Time>,
    last_publish: Option<Time>,
    now: Time,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new()
    }
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new() -> Self {
        Engine {
            clock: WallClock::default(),
            timers: Timers::default(),
            out: VecDeque::new(),
            storing: Storing::default(),
            counters: Counters::default(),
            campaigns: BTreeMap::new(),
            agents: BTreeMap::new(),
            people: People::default(),
            pauses: Pauses::default(),
            trunks: BTreeMap::new(),
            groups: BTreeMap::new(),
            pools: BTreeMap::new(),
            caller_ids: BTreeMap::new(),
            calls: BTreeMap::new(),
            idle: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            numbers: BTreeSet::new(),
            suppressed: Suppressed::default(),
            law: Law::default(),
            national: BTreeMap::new(),
            recent: Recent::default(),
            disposables: Disposables::default(),
            zones: Zones::default(),
            wanted: BTreeMap::new(),
            drain: None,
            pacer: Forced::default(),
            seed: 0,
            next_campaign: 1,
            next_trunk: TrunkId::FIRST_STORED.0,
            next_team: 1,
            teams_saving: false,
            people_version: 0,
            next_group: TrunkGroupId::FIRST_STORED.0,
            next_pool: 1,
            next_attempt: 1,
            quarter: i64::MIN,
            restored: false,
            pace_wanted: false,
            last_pace: None,
            last_publish: None,
            now: Time::ZERO,
        }
    }

    /// Takes in one thing that happened.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        let now = self.advance(now);
        self.counters.inputs += 1;
        match input {
            Input::Clock { unix_ms } => self.clock_told(now, unix_ms),
            Input::Restore(restore) => self.restore(now, *restore),
            Input::Command { reply, command } => self.command(now, reply, command),
            Input::Line { id, event } => self.line(now, id, event),
            Input::Agent { id, event } => self.agent_leg(now, id, event),
            Input::Trunk { id, up } => self.trunk(now, id, up),
            Input::TrunkAsked { id, answered } => self.trunk_asked(now, id, answered),
            Input::Committed { token } => self.committed(now, token),
            Input::CommitFailed { token } => self.commit_failed(now, token),
            Input::Leads { campaign, leads, next_due_unix_ms } => {
                self.leads(now, campaign, leads, next_due_unix_ms);
            }
            Input::Lead { reply, answer } => self.lead_read(now, reply, answer),
        }
        self.settle(now);
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Time) {
        let now = self.advance(now);
        let mut changed = false;
        while let Some(timer) = self.timers.pop(now) {
            changed |= timer != Timer::Publish;
            match timer {
                Timer::Stage(call) => self.stage_timeout(now, call),
                Timer::WrapUp(agent) => self.wrap_up_over(now, agent),
                Timer::Preview(agent) => self.preview_over(now, agent),
                Timer::LegAway(agent) => self.leg_stays_away(now, agent),
                Timer::ShiftEnd(agent) => self.shift_over(now, agent),
                Timer::Send(trunk) => self.pump(now, trunk),
                Timer::Ask(trunk) => self.ask_trunk(now, trunk),
                Timer::Longest(call) => self.longest(now, call),
                Timer::Spend(trunk) => self.spend_used_up(now, trunk),
                Timer::Orphans => self.orphans_over(now),
                Timer::Refill(campaign) => self.refill_if_due(now, campaign),
                Timer::Probe => self.probe_store(now),
                Timer::Publish => self.publish(now),
                Timer::Pace => self.pace(now),
                Timer::Deadline => self.deadline(now),
            }
        }
        if changed {
            self.settle(now);
        }
    }

    /// The next thing to do; a `Timeout` comes last.
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.timers.next()))
    }

    /// What was counted since start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Time never runs backwards in here, whatever the driver says.
    fn advance(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    /// What follows from any change: a pacing decision soon, numbers to be shown soon, perhaps the end of a drain.
    fn settle(&mut self, now: Time) {
        if self.pace_wanted {
            let soonest = self.last_pace.map_or(now, |last| last + PACE_SOONEST);
            if soonest <= now {
                self.pace(now);
            } else {
                self.timers.set_earlier(Timer::Pace, soonest);
            }
        }
        self.finish_drain(now);
        let publish = self.last_publish.map_or(now, |last| last + PUBLISH_EVERY);
        if publish <= now {
            self.publish(now);
        } else {
            self.timers.set_earlier(Timer::Publish, publish);
        }
    }

    fn paced(&mut self, now: Time, running: bool) {
        self.last_pace = Some(now);
        self.pace_wanted = false;
        if running {
            self.timers.set(Timer::Pace, now + PACE_LATEST);
        } else {
            self.timers.clear(Timer::Pace);
        }
    }

    fn clock_told(&mut self, now: Time, unix_ms: i64) {
        let back = self.clock.known() && unix_ms.saturating_add(CLOCK_JITTER_MS) < self.clock.unix_ms(now);
        self.clock.set(now, unix_ms);
        if back {
            // What was due by the old reading may not be by the new one: the store is asked again.
            self.void_leads(now);
        }
        for live in self.campaigns.values_mut() {
            live.ledger.roll(unix_ms);
        }
        self.plan_shifts(now);
        // A step may open or close hours, or make leads due.
        self.pace_wanted = true;
        self.refill_all(now);
    }

    fn trunk(&mut self, now: Time, id: TrunkId, up: bool) {
        let Some(trunk) = self.trunks.get_mut(&id) else { return };
        trunk.up = up;
        trunk.dirty = false;
        let view = trunk_view(trunk, now);
        self.out.push_back(Output::Event(crate::Event::Trunk(view)));
        self.pump(now, id);
        self.pace_wanted = true;
    }
}
