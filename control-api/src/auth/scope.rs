//! Whom a user sees and steers: everybody, or, for a supervisor of teams, the people of these teams and of all below.

use std::collections::BTreeSet;

use kraliki_engine::{AgentId, People, TeamId};

use super::role::{Role, User};
use crate::error::Problem;

/// Whom a user sees. A supervisor whom no team names is not bound to any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(Option<Teams>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Teams {
    teams: BTreeSet<TeamId>,
    people: BTreeSet<AgentId>,
}

impl Scope {
    pub(crate) fn of(people: &People, user: &User) -> Scope {
        if user.role != Role::Supervisor {
            return Scope(None);
        }
        let teams = people.supervised(user.agent());
        Scope(teams.map(|teams| Teams { people: people.members(&teams), teams }))
    }

    /// Whether it is everybody.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The agents, where it is not everybody.
    pub(crate) fn agents(&self) -> Option<&BTreeSet<AgentId>> {
        self.0.as_ref().map(|teams| &teams.people)
    }

    pub(crate) fn sees(&self, agent: AgentId) -> bool {
        self.0.as_ref().is_none_or(|teams| teams.people.contains(&agent))
    }

    /// A call is its agent's; one that no agent has is nobody's.
    pub(crate) fn sees_call_of(&self, agent: Option<AgentId>) -> bool {
        self.is_all() || agent.is_some_and(|agent| self.sees(agent))
    }

    pub(crate) fn has_team(&self, team: TeamId) -> bool {
        self.0.as_ref().is_none_or(|teams| teams.teams.contains(&team))
    }

    /// Whoever is not seen does not exist.
    pub(crate) fn check(&self, agent: AgentId) -> Result<(), Problem> {
        if self.sees(agent) { Ok(()) } else { Err(Problem::not_found(format!("There is no agent {agent}."))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraliki_engine::{Team, TeamSettings};

    #[test]
    fn a_supervisor_sees_the_own_teams_and_those_below() {
        let team = |id: i64, parent: Option<i64>, member: i64, supervisor: i64| {
            let settings = TeamSettings {
                name: format!("{id}"),
                parent: parent.map(TeamId),
                members: vec![AgentId(member)],
                supervisors: vec![AgentId(supervisor)],
                ..TeamSettings::default()
            };
            (TeamId(id), Team { id: TeamId(id), settings })
        };
        let teams = [
            team(1, None, 11, 90),
            team(2, Some(1), 12, 91),
            team(3, Some(2), 13, 92),
            team(4, Some(1), 14, 92),
        ];
        let people = People { teams: teams.into(), ..People::default() };
        let scope = |id: i64, role: Role| Scope::of(&people, &User { id, name: String::new(), role });
        let seen = |scope: &Scope| (11..=15).filter(|id| scope.sees(AgentId(*id))).collect::<Vec<i64>>();
        assert_eq!(seen(&scope(90, Role::Supervisor)), [11, 12, 13, 14]);
        assert_eq!(seen(&scope(91, Role::Supervisor)), [12, 13]);
        assert_eq!(seen(&scope(92, Role::Supervisor)), [13, 14]);
        assert!(!scope(92, Role::Supervisor).has_team(TeamId(2)));
        assert!(scope(92, Role::Supervisor).check(AgentId(11)).is_err());
        assert!(!scope(92, Role::Supervisor).sees_call_of(None));
        for everybody in [scope(93, Role::Supervisor), scope(92, Role::Manager), scope(92, Role::Analyst)] {
            assert!(everybody.is_all() && everybody.sees(AgentId(15)) && everybody.sees_call_of(None));
        }
    }
}
