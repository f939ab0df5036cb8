//! The tree of teams: who is below whom.

use std::collections::BTreeSet;

use super::People;
use crate::limits::TEAM_DEPTH;
use crate::{AgentId, CampaignSettings, TeamId};

impl People {
    /// The team, and those above it up to the top. Ends after the deepest tree there may be.
    pub(crate) fn upwards(&self, team: TeamId) -> impl Iterator<Item = TeamId> + '_ {
        let parent = |id: &TeamId| self.teams.get(id).and_then(|team| team.settings.parent);
        std::iter::successors(Some(team), parent).take(TEAM_DEPTH + 1)
    }

    /// The team and all below it.
    pub fn subtree(&self, team: TeamId) -> BTreeSet<TeamId> {
        self.teams.keys().copied().filter(|id| self.upwards(*id).any(|above| above == team)).collect()
    }

    /// How many steps the lowest team below this one is away.
    pub(crate) fn height(&self, team: TeamId) -> usize {
        self.teams
            .keys()
            .filter_map(|id| self.upwards(*id).position(|above| above == team))
            .max()
            .unwrap_or(0)
    }

    /// Agents of these teams and all below them.
    pub fn members(&self, teams: &BTreeSet<TeamId>) -> BTreeSet<AgentId> {
        let all: BTreeSet<TeamId> = teams.iter().flat_map(|team| self.subtree(*team)).collect();
        let teams = all.iter().filter_map(|id| self.teams.get(id));
        teams.flat_map(|team| team.settings.members.iter().copied()).collect()
    }

    /// The teams that a user supervises, and all below them; none: no team names this user as its supervisor.
    pub fn supervised(&self, user: AgentId) -> Option<BTreeSet<TeamId>> {
        let own: Vec<TeamId> = self
            .teams
            .values()
            .filter(|team| team.settings.supervisors.contains(&user))
            .map(|team| team.id)
            .collect();
        (!own.is_empty()).then(|| own.into_iter().flat_map(|team| self.subtree(team)).collect())
    }

    /// Who serves a campaign, sorted; none: everybody.
    pub fn crew(&self, settings: &CampaignSettings) -> Option<Vec<AgentId>> {
        if settings.agents.is_empty() && settings.teams.is_empty() {
            return None;
        }
        let mut crew = self.members(&settings.teams.iter().copied().collect());
        crew.extend(&settings.agents);
        Some(crew.into_iter().collect())
    }

    /// The time zone in which an agent's days begin: that of the first of their teams.
    pub(crate) fn zone(&self, agent: AgentId) -> &str {
        let first = self.teams.values().find(|team| team.settings.members.contains(&agent));
        first.map_or("UTC", |team| &team.settings.time_zone)
    }
}
