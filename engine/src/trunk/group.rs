//! Groups of trunks: which of several takes a call.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::prefix::is_prefix;
use crate::TrunkId;
use crate::limits::GROUP_MOST;

/// Trunks that stand in for each other. A campaign names it as it names a trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkGroup {
    /// Its name: letters, digits, `-` and `_`. It never changes, and no trunk has it.
    pub name: String,
    /// Of members with one priority the cheapest one for the number goes first.
    #[serde(default)]
    pub least_cost: bool,
    /// Which trunks.
    pub members: Vec<GroupMember>,
}

/// A trunk of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupMember {
    /// Its name.
    pub trunk: String,
    /// The lowest one goes first, as long as its trunks take calls.
    #[serde(default)]
    pub priority: u32,
    /// Its share of the calls among members of one priority (0 to 1000); 0: only when the others take none.
    #[serde(default = "one")]
    pub weight: u32,
    /// The numbers that it is for; empty: all that its trunk may call. A member with a longer prefix of the number goes
    /// before every other one.
    #[serde(default)]
    pub prefixes: Vec<String>,
}

fn one() -> u32 {
    1
}

impl TrunkGroup {
    /// What a type alone cannot say; the field, and what is wrong and what would be right. `trunks`: the names there are.
    pub fn check(&self, trunks: &[&str]) -> Result<(), (&'static str, String)> {
        let name_fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(name_fits) {
            return Err(("name", "name: use letters, digits, - and _, at most 64".into()));
        }
        if trunks.iter().any(|trunk| trunk.eq_ignore_ascii_case(&self.name)) {
            return Err(("name", format!("name: {} is the name of a trunk; choose another one", self.name)));
        }
        if self.members.is_empty() || self.members.len() > GROUP_MOST {
            return Err(("members", format!("members: name 1 to {GROUP_MOST} trunks")));
        }
        let mut seen = BTreeSet::new();
        for member in &self.members {
            let name = &member.trunk;
            if !trunks.contains(&name.as_str()) {
                return Err(("members", format!("members: there is no trunk {name:?}")));
            }
            if !seen.insert(name) {
                return Err(("members", format!("members: {name} is there twice")));
            }
            if member.weight > 1_000 {
                return Err(("members", format!("members: the weight of {name} must be from 0 to 1000")));
            }
            if let Some(wrong) = member.prefixes.iter().find(|prefix| !is_prefix(prefix)) {
                return Err(("members", format!("members: {wrong:?} is no prefix; write it as +34")));
            }
        }
        Ok(())
    }
}

/// A group with whose turn it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GroupLive {
    pub(crate) group: TrunkGroup,
    /// A change of it waits for its commit.
    pub(crate) saving: bool,
    /// How much each member is owed.
    owed: BTreeMap<TrunkId, i64>,
}

impl GroupLive {
    pub(crate) fn new(group: TrunkGroup) -> GroupLive {
        GroupLive { group, saving: false, owed: BTreeMap::new() }
    }

    /// Whose turn it is of these, by weight. It is smooth: of weights 3 and 1 the second one has every fourth call, not one
    /// in four by chance (RFC 2782 leaves that to chance).
    pub(crate) fn turn(&mut self, of: &[(TrunkId, u32)]) -> Option<TrunkId> {
        let any = of.iter().any(|(_, weight)| *weight > 0);
        let share = |weight: u32| if any { i64::from(weight) } else { 1 };
        let total: i64 = of.iter().map(|(_, weight)| share(*weight)).sum();
        for (id, weight) in of {
            *self.owed.entry(*id).or_default() += share(*weight);
        }
        let owed = |id: &TrunkId| self.owed.get(id).copied().unwrap_or(0);
        let able = of.iter().filter(|(_, weight)| share(*weight) > 0);
        let (next, _) = able.max_by_key(|(id, _)| (owed(id), std::cmp::Reverse(*id)))?;
        *self.owed.entry(*next).or_default() -= total;
        Some(*next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(trunk: &str) -> GroupMember {
        GroupMember { trunk: trunk.into(), priority: 0, weight: 1, prefixes: Vec::new() }
    }

    #[test]
    fn turns_go_by_weight() {
        let mut live = GroupLive::new(TrunkGroup::default());
        let of = [(TrunkId(1), 3), (TrunkId(2), 1), (TrunkId(3), 0)];
        let turns: Vec<i64> = (0..8).filter_map(|_| live.turn(&of)).map(|id| id.0).collect();
        assert_eq!(turns, [1, 1, 2, 1, 1, 1, 2, 1]);
        assert_eq!(live.turn(&of[2..]), Some(TrunkId(3)), "when the others take none");
        assert_eq!(live.turn(&[]), None);
    }

    #[test]
    fn each_wrong_value_is_named() {
        let good =
            TrunkGroup { name: "all".into(), least_cost: false, members: vec![member("a"), member("b")] };
        assert_eq!(good.check(&["a", "b"]), Ok(()));
        let wrong = |change: fn(&mut TrunkGroup)| {
            let mut group = good.clone();
            change(&mut group);
            group.check(&["a", "b"]).unwrap_err()
        };
        assert_eq!(wrong(|g| g.name = "a b".into()).0, "name");
        assert!(wrong(|g| g.name = "A".into()).1.contains("the name of a trunk"));
        assert_eq!(wrong(|g| g.members.clear()).0, "members");
        assert!(wrong(|g| g.members[1].trunk = "c".into()).1.contains("no trunk \"c\""));
        assert!(wrong(|g| g.members[1].trunk = "a".into()).1.contains("twice"));
        assert!(wrong(|g| g.members[0].weight = 1_001).1.contains("weight of a"));
        assert!(wrong(|g| g.members[0].prefixes = vec!["34".into()]).1.contains("write it as +34"));
    }
}
