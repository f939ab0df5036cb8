//! Whether what is wanted of people makes sense, with a message that says what would.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::{PauseReason, People, Skill, TeamSettings};
use crate::lead::hours::minute;
use crate::limits::{AGENTS_MOST, NAME_MOST, PAUSE_REASONS_MOST, SKILLS_MOST, TEAM_DEPTH};
use crate::{CommandError, TeamId};

/// Windows of one team: three shifts on each day of the week.
const WINDOWS_MOST: usize = 21;

impl TeamSettings {
    /// Whether every value is in range by itself; names the first field that is not.
    pub fn validate(&self) -> Result<(), CommandError> {
        let name = self.name.trim();
        if name.is_empty() || name.len() != self.name.len() || name.len() > NAME_MOST {
            return invalid("name", "must have 1 to 200 characters, without spaces around them");
        }
        for (field, people) in [("members", &self.members), ("supervisors", &self.supervisors)] {
            let once: BTreeSet<_> = people.iter().collect();
            if once.len() != people.len() || people.len() > AGENTS_MOST {
                return invalid(field, "must name each user once, at most 10000");
            }
        }
        if TimeZone::get(&self.time_zone).is_err() {
            return invalid("time_zone", "must be a time zone's name, e.g. Europe/Prague");
        }
        if self.shifts.len() > WINDOWS_MOST {
            return invalid("shifts", "must be at most 21 windows");
        }
        for window in &self.shifts {
            let days: BTreeSet<_> = window.days.iter().collect();
            let named = window.days.iter().all(|day| (1..=7).contains(day));
            if days.is_empty() || days.len() != window.days.len() || !named {
                return invalid(
                    "shifts",
                    "days must be from 1 (Monday) to 7 (Sunday), each once, at least one",
                );
            }
            match (minute(&window.from), minute(&window.to)) {
                (Some(from), Some(to)) if from < to => {}
                (Some(_), Some(_)) => {
                    let text = "a window must begin before it ends; split one that passes midnight";
                    return invalid("shifts", text);
                }
                _ => return invalid("shifts", "times must be written HH:MM, from 00:00 to 24:00"),
            }
        }
        Ok(())
    }
}

impl People {
    /// Whether a team may stand so in the tree. `id`: which team it is; none for a new one.
    pub(crate) fn check_team(&self, id: Option<TeamId>, settings: &TeamSettings) -> Result<(), CommandError> {
        settings.validate()?;
        let taken =
            self.teams.values().any(|team| Some(team.id) != id && team.settings.name == settings.name);
        if taken {
            let message = format!("there is a team named {} already; choose another name", settings.name);
            return invalid("name", &message);
        }
        let Some(parent) = settings.parent else { return Ok(()) };
        if !self.teams.contains_key(&parent) {
            return invalid("parent", &format!("there is no team {parent}"));
        }
        if id.is_some_and(|id| self.upwards(parent).any(|above| above == id)) {
            return invalid("parent", "a team cannot stand below itself");
        }
        // The team itself, those above it, and those below it.
        let depth = self.upwards(parent).count() + 1 + id.map_or(0, |id| self.height(id));
        if depth > TEAM_DEPTH {
            return invalid("parent", &format!("teams must stand in at most {TEAM_DEPTH} levels"));
        }
        Ok(())
    }

    /// Whether these levels and priorities may be set, beside those that are.
    pub(crate) fn check_skills(&self, skills: &[Skill]) -> Result<(), CommandError> {
        let mut keys = BTreeSet::new();
        for skill in skills {
            if !(1..=10).contains(&skill.level) {
                return invalid("level", "must be from 1 to 10");
            }
            if !(-100..=100).contains(&skill.priority) {
                return invalid("priority", "must be from -100 to 100");
            }
            if !keys.insert((skill.agent, skill.campaign)) {
                return invalid("agent", "must stand once with each campaign");
            }
        }
        let new = keys.iter().filter(|key| !self.skills.contains_key(key)).count();
        if self.skills.len() + new > SKILLS_MOST {
            return invalid(
                "agent",
                "there would be too many levels; at most 50000 may differ from the default",
            );
        }
        Ok(())
    }
}

/// Whether this may be the list of reasons for a pause.
pub(crate) fn check_pause_reasons(reasons: &[PauseReason]) -> Result<(), CommandError> {
    if reasons.len() > PAUSE_REASONS_MOST {
        return invalid("reasons", "must be at most 50");
    }
    let mut codes = BTreeSet::new();
    for reason in reasons {
        let code = &reason.code;
        let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if code.is_empty() || code.len() > 40 || !plain {
            return invalid("code", "must have 1 to 40 of a-z, 0-9 and _");
        }
        if !codes.insert(code) {
            return invalid("code", &format!("{code} is there twice"));
        }
        let labels = [&reason.label.en, &reason.label.es, &reason.label.cs];
        if reason.label.en.trim().is_empty() || labels.iter().any(|label| label.len() > NAME_MOST) {
            return invalid("label", "must have a text in English, each at most 200 characters");
        }
        for (field, minutes) in [("limit_min", reason.limit_min), ("day_limit_min", reason.day_limit_min)] {
            if minutes > 24 * 60 {
                return invalid(field, "must be from 0 (no limit) to 1440 minutes");
            }
        }
    }
    Ok(())
}

pub(super) fn invalid<T>(field: &str, message: &str) -> Result<T, CommandError> {
    Err(CommandError::Invalid { field: field.into(), message: message.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::team::{Labels, ShiftWindow, Team};
    use crate::{AgentId, CampaignId};

    fn chain(length: i64) -> People {
        let mut people = People::default();
        for n in 1..=length {
            let parent = (n > 1).then_some(TeamId(n - 1));
            let settings = TeamSettings { name: format!("team {n}"), parent, ..TeamSettings::default() };
            people.teams.insert(TeamId(n), Team { id: TeamId(n), settings });
        }
        people
    }

    fn named(name: &str, parent: Option<i64>) -> TeamSettings {
        TeamSettings { name: name.into(), parent: parent.map(TeamId), ..TeamSettings::default() }
    }

    #[test]
    fn a_tree_has_no_cycle_and_is_not_too_deep() {
        let people = chain(8);
        assert_eq!(people.check_team(None, &named("side", Some(7))), Ok(()));
        assert!(people.check_team(None, &named("too deep", Some(8))).is_err());
        assert!(
            people.check_team(Some(TeamId(3)), &named("team 3", Some(5))).is_err(),
            "below its own child"
        );
        assert!(people.check_team(Some(TeamId(3)), &named("team 3", Some(3))).is_err(), "below itself");
        assert!(people.check_team(None, &named("team 3", None)).is_err(), "the name is taken");
        assert!(people.check_team(None, &named("x", Some(99))).is_err(), "no such parent");
        assert_eq!(
            people.check_team(Some(TeamId(7)), &named("team 7", Some(1))),
            Ok(()),
            "moved up with its child"
        );
        let mut people = chain(5);
        let other = Team { id: TeamId(9), settings: named("other", None) };
        people.teams.insert(TeamId(9), other);
        // Five levels below one: six. Below the fourth of another chain of five they are nine.
        assert_eq!(people.check_team(Some(TeamId(1)), &named("team 1", Some(9))), Ok(()));
        assert_eq!(people.subtree(TeamId(3)).len(), 3);
        assert_eq!((people.height(TeamId(1)), people.height(TeamId(5))), (4, 0));
    }

    #[test]
    fn each_wrong_value_is_named() {
        type Change = fn(&mut TeamSettings);
        let rows: &[(&str, Change)] = &[
            ("name", |s| s.name = " x".into()),
            ("members", |s| s.members = vec![AgentId(1), AgentId(1)]),
            ("supervisors", |s| s.supervisors = vec![AgentId(2), AgentId(2)]),
            ("time_zone", |s| s.time_zone = "Atlantis".into()),
            ("shifts", |s| s.shifts[0].days = vec![8]),
            ("shifts", |s| s.shifts[0].days.clear()),
            ("shifts", |s| s.shifts[0].from = "9".into()),
            ("shifts", |s| s.shifts[0].to = "08:00".into()),
            ("shifts", |s| s.shifts = vec![s.shifts[0].clone(); 22]),
        ];
        let window = ShiftWindow { days: vec![1], from: "09:00".into(), to: "17:00".into() };
        let right = TeamSettings { name: "x".into(), shifts: vec![window], ..TeamSettings::default() };
        assert_eq!(right.validate(), Ok(()));
        for (field, change) in rows {
            let mut settings = right.clone();
            change(&mut settings);
            match settings.validate() {
                Err(CommandError::Invalid { field: found, .. }) => assert_eq!(found, *field),
                other => panic!("{field}: {other:?}"),
            }
        }
        let skill = |level, priority| Skill { agent: AgentId(1), campaign: CampaignId(1), level, priority };
        let people = People::default();
        assert_eq!(people.check_skills(&[skill(10, -100)]), Ok(()));
        for wrong in [skill(0, 0), skill(11, 0), skill(5, 101)] {
            assert!(people.check_skills(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(people.check_skills(&[skill(1, 0), skill(2, 0)]).is_err(), "twice");
        let reason = |code: &str, en: &str, limit_min| PauseReason {
            code: code.into(),
            label: Labels { en: en.into(), ..Labels::default() },
            limit_min,
            day_limit_min: 0,
            paid: false,
        };
        assert_eq!(check_pause_reasons(&[reason("lunch", "Lunch", 30), reason("tea", "Tea", 0)]), Ok(()));
        for wrong in
            [reason("Lunch", "x", 0), reason("", "x", 0), reason("a", " ", 0), reason("a", "x", 1_441)]
        {
            assert!(check_pause_reasons(std::slice::from_ref(&wrong)).is_err(), "{wrong:?}");
        }
        assert!(check_pause_reasons(&[reason("a", "x", 0), reason("a", "y", 0)]).is_err());
    }
}
