//! A campaign as it runs.

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::call::Idle;
use crate::compliance::{Law, Terms};
use crate::event::{CallState, CampaignView};
use crate::lead::hopper::Hopper;
use crate::lead::hours::Hours;
use crate::ledger::Ledger;
use crate::pacing::{Budget, Forced, Learned, LineView, Observation, Policy};
use crate::trunk::Cps;
use crate::{AgentId, AttemptId, Campaign, CampaignSettings, CampaignStatus, Mode, Outcome, People};

/// A campaign with its leads, lines and numbers.
#[derive(Serialize, Deserialize)]
pub(crate) struct CampaignLive {
    pub(crate) campaign: Campaign,
    pub(crate) hours: Hours,
    /// Sorted, those of its teams included; none: everybody.
    crew: Option<Vec<AgentId>>,
    /// Its idle agents as its routing ranks them; none: to be made when a call needs one. Only saves look-ups.
    #[serde(skip)]
    pub(crate) idle: Option<Idle>,
    /// Its people who wait for an agent, the longest waiting first.
    pub(crate) waiting: BTreeSet<(Time, AttemptId)>,
    /// What its profile makes of its settings.
    pub(crate) terms: Terms,
    pub(crate) hopper: Hopper,
    /// When the store said that the next lead is due; none: no lead is left.
    pub(crate) next_due_unix_ms: Option<i64>,
    pub(crate) policy: Policy,
    /// What its floor taught, whatever its mode.
    pub(crate) learned: Learned,
    pub(crate) budget: Budget,
    /// Its own INVITEs per second.
    pub(crate) cps: Option<Cps>,
    /// Tries that were begun and not sent yet.
    pub(crate) unsent: u32,
    /// When it was last granted lines; of campaigns with one priority, who waited longest goes first.
    pub(crate) granted: Time,
    /// A policy by name that holds instead of the mode's.
    forced: bool,
    pub(crate) ledger: Ledger,
    /// Tries in flight that nobody answered yet and that may need an agent, those that wait for their commit included.
    /// Calls by hand have theirs, and agentless ones need none.
    pub(crate) lines: BTreeMap<AttemptId, LineView>,
    /// Answered calls of which it is not known yet who is there, and that may need an agent: since when.
    pub(crate) detecting: BTreeMap<AttemptId, Time>,
    /// Calls by state, those that are being cleared left out.
    states: [u32; 9],
    /// Calls that still hold something, those that are being cleared included.
    pub(crate) calls: u32,
    /// Since when nobody could serve it.
    pub(crate) no_agent_since: Option<Time>,
    pub(crate) attempts: u64,
    pub(crate) outcomes: BTreeMap<Outcome, u64>,
    /// Leads that were not dialed, by the rule that forbade it.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) decision: String,
    /// A command changes it and waits for its commit.
    pub(crate) saving: bool,
    /// Whether its numbers changed since they were shown.
    pub(crate) dirty: bool,
}

impl CampaignLive {
    pub(crate) fn new(campaign: Campaign, pacer: &Forced, people: &People, law: &Law) -> Self {
        let named = Policy::named(pacer).filter(|_| campaign.settings.mode.is_paced());
        let forced = named.is_some();
        let mut live = CampaignLive {
            policy: named.unwrap_or_else(|| Policy::of(campaign.settings.mode)),
            forced,
            learned: Learned::new(),
            budget: Budget::new(),
            cps: None,
            unsent: 0,
            granted: Time::ZERO,
            hours: Hours::default(),
            crew: None,
            idle: None,
            waiting: BTreeSet::new(),
            hopper: Hopper::default(),
            next_due_unix_ms: None,
            ledger: Ledger::new(Terms::PERIOD_MIN),
            terms: Terms::of(law, &campaign.settings),
            refused: BTreeMap::new(),
            lines: BTreeMap::new(),
            detecting: BTreeMap::new(),
            states: [0; 9],
            calls: 0,
            no_agent_since: None,
            attempts: 0,
            outcomes: BTreeMap::new(),
            decision: String::new(),
            saving: false,
            dirty: true,
            campaign,
        };
        live.derive(people, law);
        live
    }

    /// New settings; another mode gets a policy of its own, and what was learned stays.
    pub(crate) fn change(&mut self, settings: CampaignSettings, people: &People, law: &Law) {
        if settings.mode != self.campaign.settings.mode && !(self.forced && settings.mode.is_paced()) {
            self.policy = Policy::of(settings.mode);
            self.forced = false;
        }
        self.campaign.settings = settings;
        self.derive(people, law);
    }

    fn derive(&mut self, people: &People, law: &Law) {
        self.terms = Terms::of(law, &self.campaign.settings);
        self.ledger.set_period(self.terms.period_min);
        self.hours = Hours::new(&self.campaign.settings.calling_hours);
        self.set_crew(people);
        let max_cps = self.campaign.settings.max_cps;
        self.cps = (max_cps > 0).then(|| Cps::relimited(self.cps.take(), max_cps));
        self.dirty = true;
    }

    /// Teams or levels may have changed.
    pub(crate) fn set_crew(&mut self, people: &People) {
        self.crew = people.crew(&self.campaign.settings);
        self.idle = None;
    }

    pub(crate) fn mode(&self) -> Mode {
        self.campaign.settings.mode
    }

    pub(crate) fn is_running(&self) -> bool {
        self.campaign.status == CampaignStatus::Running
    }

    /// Whether the agent may take its calls.
    pub(crate) fn serves(&self, agent: AgentId) -> bool {
        self.crew.as_ref().is_none_or(|agents| agents.binary_search(&agent).is_ok())
    }

    /// Who serves it; none: everybody.
    pub(crate) fn crew(&self) -> Option<&[AgentId]> {
        self.crew.as_deref()
    }

    pub(crate) fn observe(&mut self, now: Time, seen: Observation) {
        self.learned.observe(now, seen);
        self.budget.observe(now, &seen, self.terms.cap);
        self.policy.pacer().observe(now, seen);
    }

    /// How many tries its own limits let begin now, with so many agents there.
    pub(crate) fn room(&self, agents: usize) -> u32 {
        let settings = &self.campaign.settings;
        // At most 10,000 agents and 50 lines each: far inside u32, and `as` saturates.
        let lines = (settings.max_lines_per_agent * agents as f64) as u32;
        let open = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        // Agentless calls need nobody; how many there may be is the policy's to say.
        let by_lines = if self.mode() == Mode::Agentless { u32::MAX } else { lines.saturating_sub(open) };
        self.cps.as_ref().map_or(by_lines, |cps| by_lines.min(cps.ahead().saturating_sub(self.unsent)))
    }

    /// A call moved from one state to another; none: it was or is not there.
    pub(crate) fn moved(&mut self, from: Option<CallState>, to: Option<CallState>) {
        for (state, joins) in [(from, false), (to, true)] {
            let Some(count) = state.and_then(|state| self.states.get_mut(state as usize)) else { continue };
            *count = if joins { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
        self.dirty = true;
    }

    pub(crate) fn count(&self, state: CallState) -> u32 {
        self.states.get(state as usize).copied().unwrap_or(0)
    }

    /// Calls that are not over.
    pub(crate) fn in_progress(&self) -> u32 {
        CallState::IN_PROGRESS.iter().map(|state| self.count(*state)).sum()
    }

    /// What people see of it; agents and occupancy are the engine's to fill in.
    pub(crate) fn view(&self) -> CampaignView {
        let talking = self.count(CallState::Talking) + self.count(CallState::Hold);
        CampaignView {
            id: self.campaign.id,
            name: self.campaign.settings.name.clone(),
            status: self.campaign.status,
            mode: self.campaign.settings.mode,
            hopper: self.hopper.len(),
            lines: self.in_progress() - talking,
            talking,
            waiting: self.count(CallState::Waiting),
            agents: 0,
            ready: 0,
            outcomes: self.outcomes.clone(),
            attempts: self.attempts,
            answered: self.ledger.answered(),
            abandoned: self.ledger.abandoned(),
            machines: self.ledger.machines(),
            occupancy: 0.0,
            decision: self.decision.clone(),
            profile: self.terms.profile.clone().unwrap_or_default(),
            period_h: u32::try_from(self.terms.period_min / 60).unwrap_or_default(),
            abandonment_cap: self.terms.cap,
            refused: self.refused.clone(),
            notice: String::new(),
            no_caller_id: None,
        }
    }
}
