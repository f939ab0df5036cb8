//! What the engine published: agents' states by their events, calls by theirs, campaigns and counters as they ended.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    AgentId, AgentState, AgentView, AttemptId, CallState, CallView, CampaignId, Counters, Gauges, Outcome,
    Snapshot, TryId,
};

/// What the engine published of a day. Times are in ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DayReport {
    /// By agent.
    pub agents: BTreeMap<AgentId, AgentBook>,
    /// By campaign.
    pub campaigns: BTreeMap<CampaignId, CampaignBook>,
    /// Time that agents were in calls.
    pub talk_ms: u64,
    /// Time that agents were signed in and not paused.
    pub available_ms: u64,
    /// (talk + hold + wrap-up) / time signed in and not paused.
    pub occupancy: f64,
    /// INVITEs sent.
    pub dials: u64,
    /// Pauses that were longer than their limits.
    pub pauses_over: u64,
    /// Calls whose agent was lost.
    pub agents_lost: u64,
    /// Calls that went on with another agent.
    pub handed_over: u64,
    /// States that a supervisor set.
    pub forced: u64,
    /// Dispositions that were given automatically.
    pub disposed_automatically: u64,
    /// Writes that the store's queue had no room for; 0, or nothing of this can be compared.
    pub writes_lost: u64,
}

/// What was published of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AgentBook {
    /// Time in each state, in ms.
    pub states_ms: BTreeMap<&'static str, i64>,
    /// Calls that the agent was given.
    pub calls: u64,
    /// Times signed in.
    pub sessions: u64,
}

/// What was published of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CampaignBook {
    /// Attempts begun.
    pub attempts: u64,
    /// Ended attempts by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Calls that a person answered.
    pub answered: u64,
    /// Of these, abandoned.
    pub abandoned: u64,
    /// Calls by the disposition that stands.
    pub dispositions: BTreeMap<String, u64>,
}

#[derive(Default)]
pub(super) struct Books {
    agents: BTreeMap<AgentId, (AgentView, AgentBook)>,
    dispositions: BTreeMap<AttemptId, (CampaignId, String)>,
    talked: BTreeSet<TryId>,
    pub(super) lost: u64,
}

impl Books {
    /// As it was shown last.
    pub(super) fn agent(&self, id: AgentId) -> Option<&AgentView> {
        self.agents.get(&id).map(|(view, _)| view)
    }

    /// An agent is shown. Gives the agent when a wrap-up begins.
    pub(super) fn agent_shown(&mut self, view: &AgentView) -> Option<AgentId> {
        let (last, book) = self.agents.entry(view.id).or_insert_with(|| {
            let nothing = AgentView { state: AgentState::Offline, calls: 0, ..view.clone() };
            (nothing, AgentBook::default())
        });
        if last.state != AgentState::Offline {
            let lasted = view.since_unix_ms - last.since_unix_ms;
            *book.states_ms.entry(last.state.as_str()).or_default() += lasted;
        } else if view.state != AgentState::Offline {
            book.sessions += 1;
        }
        book.calls += u64::from(view.calls.saturating_sub(last.calls));
        let wraps_up = view.state == AgentState::WrapUp && last.state != AgentState::WrapUp;
        *last = view.clone();
        wraps_up.then_some(view.id)
    }

    pub(super) fn call_shown(&mut self, view: &CallView) {
        if let (CallState::Ended, Some(code)) = (view.state, &view.disposition) {
            self.dispositions.insert(view.id, (view.campaign, code.clone()));
        }
    }

    /// Whether the call is bridged for the first time.
    pub(super) fn begins(&mut self, id: TryId) -> bool {
        self.talked.insert(id)
    }

    pub(super) fn report(&self, snapshot: &Snapshot, gauges: &Gauges, counters: &Counters) -> DayReport {
        let mut campaigns: BTreeMap<CampaignId, CampaignBook> = BTreeMap::new();
        for view in &snapshot.campaigns {
            let book = CampaignBook {
                attempts: view.attempts,
                outcomes: view.outcomes.clone(),
                answered: view.answered,
                abandoned: view.abandoned,
                dispositions: BTreeMap::new(),
            };
            campaigns.insert(view.id, book);
        }
        for (campaign, code) in self.dispositions.values() {
            *campaigns.entry(*campaign).or_default().dispositions.entry(code.clone()).or_default() += 1;
        }
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        DayReport {
            agents: self.agents.iter().map(|(id, (_, book))| (*id, book.clone())).collect(),
            campaigns,
            talk_ms: ms(gauges.talk),
            available_ms: ms(gauges.available),
            occupancy: gauges.occupancy,
            dials: counters.dials,
            pauses_over: counters.pauses_over,
            agents_lost: counters.agents_lost,
            handed_over: counters.handed_over,
            forced: counters.forced,
            disposed_automatically: counters.disposed_automatically,
            writes_lost: self.lost,
        }
    }
}
