//! People: teams in a tree, how well who serves which campaign, why and how long one may pause, when a shift ends.

mod change;
mod check;
mod shift;
mod tree;

pub use change::PeopleChange;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AgentId, CampaignId, TeamId};

/// The level of an agent for a campaign that nobody set one for.
pub const SKILL_DEFAULT: u8 = 5;

/// A weekly window in which a team works, in the team's time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShiftWindow {
    /// Days it holds on: 1 is Monday, 7 is Sunday.
    pub days: Vec<u8>,
    /// First minute, as `HH:MM`.
    pub from: String,
    /// The minute at which it ends, as `HH:MM`; `24:00` is midnight, and goes on where the next day begins at `00:00`.
    pub to: String,
}

/// What a manager sets of a team; missing fields take the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TeamSettings {
    /// Shown everywhere; unique.
    pub name: String,
    /// The team above it; none: it stands at the top.
    pub parent: Option<TeamId>,
    /// Agents in it; an agent may be in several teams.
    pub members: Vec<AgentId>,
    /// Users who see and steer this team and all below it, and, having a team, nobody else.
    pub supervisors: Vec<AgentId>,
    /// Where its shifts are written and its days begin: IANA name.
    pub time_zone: String,
    /// When its members work. A member who is signed in when a window ends takes no more calls and goes offline. Empty: no
    /// planned end.
    pub shifts: Vec<ShiftWindow>,
}

impl Default for TeamSettings {
    fn default() -> Self {
        TeamSettings {
            name: String::new(),
            parent: None,
            members: Vec::new(),
            supervisors: Vec::new(),
            time_zone: "UTC".into(),
            shifts: Vec::new(),
        }
    }
}

/// A team with its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// What a manager set.
    pub settings: TeamSettings,
}

/// How an agent serves a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// Who.
    pub agent: AgentId,
    /// Whose calls.
    pub campaign: CampaignId,
    /// How well: 1 to 10.
    #[serde(default = "skill_default")]
    pub level: u8,
    /// Of people who wait in several campaigns, whom the agent takes first: higher is earlier (-100 to 100).
    #[serde(default)]
    pub priority: i32,
}

fn skill_default() -> u8 {
    SKILL_DEFAULT
}

/// What a pause's reason is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// In English; shown where the others are empty.
    pub en: String,
    /// In Spanish.
    pub es: String,
    /// In Czech.
    pub cs: String,
}

/// A reason for a pause that agents can choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseReason {
    /// The key in records and reports, e.g. `lunch`.
    pub code: String,
    /// What people read.
    pub label: Labels,
    /// How long one such pause may be, in minutes (0 to 1440); 0: as long as it takes.
    #[serde(default)]
    pub limit_min: u32,
    /// How long all such pauses of a day may be together, in minutes (0 to 1440); 0: no limit. The day begins at midnight in
    /// the agent's team's time zone, in UTC for an agent without a team.
    #[serde(default)]
    pub day_limit_min: u32,
    /// Whether it counts as paid time, for reports.
    #[serde(default)]
    pub paid: bool,
}

/// Everything that is known of people beside what they do now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct People {
    /// Teams by id.
    pub teams: BTreeMap<TeamId, Team>,
    /// Levels and priorities that were set.
    pub skills: BTreeMap<(AgentId, CampaignId), Skill>,
    /// What agents choose from when they pause; empty: they say in their own words, without limits.
    pub pause_reasons: Vec<PauseReason>,
    /// Shifts that end at a time of their own, in ms since 1970, whatever the teams' windows say.
    pub shifts: BTreeMap<AgentId, i64>,
}

impl People {
    /// How well an agent serves a campaign, 1 to 10.
    pub fn level(&self, agent: AgentId, campaign: CampaignId) -> u8 {
        self.skills.get(&(agent, campaign)).map_or(SKILL_DEFAULT, |skill| skill.level)
    }

    /// Which campaign's people the agent takes first; higher is earlier.
    pub fn priority(&self, agent: AgentId, campaign: CampaignId) -> i32 {
        self.skills.get(&(agent, campaign)).map_or(0, |skill| skill.priority)
    }

    /// The reason for a pause of that code.
    pub fn pause_reason(&self, code: &str) -> Option<&PauseReason> {
        self.pause_reasons.iter().find(|reason| reason.code == code)
    }
}
