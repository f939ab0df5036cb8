//! Which of a campaign's idle agents a call goes to: one trait, one file for each policy.

mod fewest_calls;
mod longest_idle;
mod skill;
mod sticky;

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;

use crate::{AgentId, Routing};

/// What a policy may know of an agent besides since when they are idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Since sign-in.
    pub(crate) calls: u32,
    /// For the campaign, 1 to 10.
    pub(crate) level: u8,
}

/// A policy: a pure choice among idle agents, the same for the same agents.
pub(crate) trait Router: Sync {
    /// Where an agent stands among the idle from now on; [`Idle`] is kept in order of it.
    fn rank(&self, agent: &Standing) -> u32;

    /// The agent for a call. `last`: who talked with this lead last.
    fn choose(&self, now: Time, idle: &Idle, last: Option<AgentId>) -> Option<AgentId>;
}

/// The policy of that name.
pub(crate) fn router(routing: Routing) -> &'static dyn Router {
    match routing {
        Routing::LongestIdle => &longest_idle::LongestIdle,
        Routing::FewestCalls => &fewest_calls::FewestCalls,
        Routing::Skill => &skill::Skill,
        Routing::Sticky => &sticky::Sticky,
    }
}

/// The idle agents of a campaign: lower ranks first, within one rank who is idle longest. A choice looks at a few of them
/// however many there are.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    order: BTreeSet<(u32, Time, AgentId)>,
    places: BTreeMap<AgentId, (u32, Time)>,
}

impl Idle {
    pub(crate) fn insert(&mut self, agent: AgentId, rank: u32, since: Time) {
        self.remove(agent);
        self.order.insert((rank, since, agent));
        self.places.insert(agent, (rank, since));
    }

    pub(crate) fn remove(&mut self, agent: AgentId) {
        if let Some((rank, since)) = self.places.remove(&agent) {
            self.order.remove(&(rank, since, agent));
        }
    }

    /// Of all.
    fn first(&self) -> Option<AgentId> {
        self.order.first().map(|(.., agent)| *agent)
    }

    /// Who is idle longest in that rank, and since when.
    fn first_of(&self, rank: u32) -> Option<(Time, AgentId)> {
        let from = (rank, Time::ZERO, AgentId(i64::MIN));
        let first = self.order.range(from..).next();
        first.filter(|(found, ..)| *found == rank).map(|(_, since, agent)| (*since, *agent))
    }

    fn contains(&self, agent: AgentId) -> bool {
        self.places.contains_key(&agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agent, calls, level, idle since this second.
    fn floor(routing: Routing, agents: &[(i64, u32, u8, u64)]) -> Idle {
        let mut idle = Idle::default();
        for (agent, calls, level, since_s) in agents {
            let rank = router(routing).rank(&Standing { calls: *calls, level: *level });
            idle.insert(AgentId(*agent), rank, Time::from_millis(since_s * 1_000));
        }
        idle
    }

    fn chosen(routing: Routing, agents: &[(i64, u32, u8, u64)], last: Option<i64>) -> Option<i64> {
        let idle = floor(routing, agents);
        router(routing).choose(Time::from_millis(100_000), &idle, last.map(AgentId)).map(|agent| agent.0)
    }

    #[test]
    fn each_policy_chooses_by_its_rule_and_then_who_is_idle_longest() {
        let agents = [(1, 5, 5, 60), (2, 3, 5, 90), (3, 3, 10, 80), (4, 9, 1, 10)];
        assert_eq!(chosen(Routing::LongestIdle, &agents, None), Some(4));
        assert_eq!(chosen(Routing::FewestCalls, &agents, None), Some(3), "of two with 3 calls, idle longer");
        // 40 s × 5, 10 s × 5, 20 s × 10, 90 s × 1: of two that are even the higher level.
        assert_eq!(chosen(Routing::Skill, &agents, None), Some(3));
        assert_eq!(
            chosen(Routing::Skill, &[(1, 0, 10, 99), (4, 0, 1, 10)], None),
            Some(4),
            "90 × 1 over 1 × 10"
        );
        assert_eq!(chosen(Routing::Sticky, &agents, Some(2)), Some(2));
        assert_eq!(chosen(Routing::Sticky, &agents, Some(77)), Some(4), "not there");
        assert_eq!(chosen(Routing::Sticky, &agents, None), Some(4));
        for routing in [Routing::LongestIdle, Routing::FewestCalls, Routing::Skill, Routing::Sticky] {
            assert_eq!(chosen(routing, &[], Some(1)), None);
            assert_eq!(chosen(routing, &[(8, 0, 5, 7), (3, 0, 5, 7)], None), Some(3), "even: the lower id");
        }
    }

    #[test]
    fn who_leaves_is_not_chosen_and_who_comes_again_has_one_place() {
        let mut idle = floor(Routing::LongestIdle, &[(1, 0, 5, 10), (2, 0, 5, 20)]);
        let router = router(Routing::LongestIdle);
        idle.insert(AgentId(1), 0, Time::from_millis(50_000));
        assert_eq!(router.choose(Time::from_millis(60_000), &idle, None), Some(AgentId(2)));
        idle.remove(AgentId(2));
        idle.remove(AgentId(1));
        assert_eq!(router.choose(Time::from_millis(60_000), &idle, None), None);
        assert!(idle.order.is_empty() && idle.places.is_empty());
    }
}
