//! Teams, levels, reasons for a pause and shifts are changed: by commands, answered when they are on disk.

use kraliki_time::Time;

use super::check::{check_pause_reasons, invalid};
use super::{PauseReason, Skill, Team, TeamSettings};
use crate::engine::Then;
use crate::limits::{SHIFT_MOST_MS, TEAMS_MOST};
use crate::{AgentId, CampaignId, CommandError, Engine, People, Reply, TeamId, Write};

/// What the store is to keep of people.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum PeopleChange {
    /// A team was made or changed.
    Team(Team),
    /// A team was deleted.
    TeamDeleted(TeamId),
    /// Levels and priorities; a default one is forgotten.
    Skills(Vec<Skill>),
    /// The whole list of reasons for a pause.
    PauseReasons(Vec<PauseReason>),
    /// When an agent's shift ends, in ms since 1970; none: as the teams' windows say.
    Shift(AgentId, Option<i64>),
}

impl Engine {
    /// What is known of people.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Changes with every change of [`Engine::people`].
    pub fn people_version(&self) -> u64 {
        self.people_version
    }

    /// Makes a team, or changes one.
    pub(crate) fn put_team(&mut self, now: Time, reply: u64, id: Option<TeamId>, settings: TeamSettings) {
        let may = match id {
            Some(id) if !self.people.teams.contains_key(&id) => {
                Err(CommandError::NotFound { what: "team".into(), id: id.0 })
            }
            None if self.people.teams.len() >= TEAMS_MOST => {
                Err(CommandError::Conflict("there are too many teams; delete old ones first".into()))
            }
            _ => self.teams_rest().and_then(|()| self.people.check_team(id, &settings)),
        };
        if let Err(error) = may {
            return self.reply(reply, Err(error));
        }
        let id = id.unwrap_or(TeamId(self.next_team));
        self.next_team = self.next_team.max(id.0 + 1);
        self.teams_saving = true;
        self.change_people(now, reply, PeopleChange::Team(Team { id, settings }));
    }

    /// Only an empty one that no campaign names.
    pub(crate) fn delete_team(&mut self, now: Time, reply: u64, id: TeamId) {
        if let Err(error) = self.teams_rest().and_then(|()| self.may_delete(id)) {
            return self.reply(reply, Err(error));
        }
        self.teams_saving = true;
        self.change_people(now, reply, PeopleChange::TeamDeleted(id));
    }

    fn may_delete(&self, id: TeamId) -> Result<(), CommandError> {
        let conflict = |text: String| Err(CommandError::Conflict(text));
        let Some(team) = self.people.teams.get(&id) else {
            return Err(CommandError::NotFound { what: "team".into(), id: id.0 });
        };
        if !team.settings.members.is_empty() {
            return conflict("the team has members; take them out first".into());
        }
        if self.people.teams.values().any(|other| other.settings.parent == Some(id)) {
            return conflict("there are teams below it; move or delete them first".into());
        }
        let standing = self.campaigns.values().map(|live| &live.campaign.settings);
        let mut all = standing.chain(self.storing.coming_settings());
        match all.find(|settings| settings.teams.contains(&id)) {
            Some(settings) => conflict(format!("campaign {} names the team; change it first", settings.name)),
            None => Ok(()),
        }
    }

    /// One change of the tree at a time: two that are right by themselves may make a cycle together.
    fn teams_rest(&self) -> Result<(), CommandError> {
        if self.teams_saving {
            return Err(CommandError::Conflict("another change of teams is being saved; try again".into()));
        }
        Ok(())
    }

    pub(crate) fn set_skills(&mut self, now: Time, reply: u64, skills: Vec<Skill>) {
        let missing = skills.iter().find(|skill| !self.campaigns.contains_key(&skill.campaign));
        let may = match missing {
            Some(skill) => Err(CommandError::NotFound { what: "campaign".into(), id: skill.campaign.0 }),
            None => self.people.check_skills(&skills),
        };
        match may {
            Err(error) => self.reply(reply, Err(error)),
            Ok(()) => self.change_people(now, reply, PeopleChange::Skills(skills)),
        }
    }

    pub(crate) fn set_pause_reasons(&mut self, now: Time, reply: u64, reasons: Vec<PauseReason>) {
        match check_pause_reasons(&reasons) {
            Err(error) => self.reply(reply, Err(error)),
            Ok(()) => self.change_people(now, reply, PeopleChange::PauseReasons(reasons)),
        }
    }

    /// When an agent's shift ends; none: as the teams' windows say.
    pub(crate) fn set_shift(&mut self, now: Time, reply: u64, agent: AgentId, ends_unix_ms: Option<i64>) {
        let unix_ms = self.clock.unix_ms(now);
        let may = match ends_unix_ms {
            Some(ends) if ends <= unix_ms || ends > unix_ms.saturating_add(SHIFT_MOST_MS) => {
                invalid("ends_unix_ms", "must be in the future, at most a day ahead")
            }
            _ => Ok(()),
        };
        match may {
            Err(error) => self.reply(reply, Err(error)),
            Ok(()) => self.change_people(now, reply, PeopleChange::Shift(agent, ends_unix_ms)),
        }
    }

    fn change_people(&mut self, now: Time, reply: u64, change: PeopleChange) {
        let write = Write::People(Box::new(change.clone()));
        self.store(now, write, Then::People(reply, Box::new(change)));
    }

    /// It is on disk.
    pub(crate) fn people_written(&mut self, now: Time, reply: u64, change: PeopleChange) {
        let answer = match &change {
            PeopleChange::Team(team) => Reply::Team(team.id),
            _ => Reply::Done,
        };
        self.teams_saving &= !matches!(change, PeopleChange::Team(_) | PeopleChange::TeamDeleted(_));
        self.people.apply(change);
        self.people_changed(now);
        self.reply(reply, Ok(answer));
    }

    /// It is not: everything is as before.
    pub(crate) fn people_not_written(&mut self, change: &PeopleChange) {
        self.teams_saving &= !matches!(change, PeopleChange::Team(_) | PeopleChange::TeamDeleted(_));
    }

    /// Who serves whom, and until when, is worked out anew.
    pub(crate) fn people_changed(&mut self, now: Time) {
        self.people_version += 1;
        let ids: Vec<CampaignId> = self.campaigns.keys().copied().collect();
        for id in ids {
            if let Some(live) = self.campaigns.get_mut(&id) {
                live.set_crew(&self.people);
            }
            self.check_screens(now, id);
        }
        self.plan_shifts(now);
        self.serve_all(now);
        self.agents_changed();
    }
}

impl People {
    /// Takes in what was changed.
    pub(crate) fn apply(&mut self, change: PeopleChange) {
        match change {
            PeopleChange::Team(team) => drop(self.teams.insert(team.id, team)),
            PeopleChange::TeamDeleted(id) => drop(self.teams.remove(&id)),
            PeopleChange::Skills(skills) => {
                for skill in skills {
                    let key = (skill.agent, skill.campaign);
                    if skill.is_default() {
                        self.skills.remove(&key);
                    } else {
                        self.skills.insert(key, skill);
                    }
                }
            }
            PeopleChange::PauseReasons(reasons) => self.pause_reasons = reasons,
            PeopleChange::Shift(agent, Some(ends)) => drop(self.shifts.insert(agent, ends)),
            PeopleChange::Shift(agent, None) => drop(self.shifts.remove(&agent)),
        }
    }
}

impl Skill {
    /// Whether it says nothing that would not hold anyway.
    pub(crate) fn is_default(&self) -> bool {
        self.level == super::SKILL_DEFAULT && self.priority == 0
    }
}
