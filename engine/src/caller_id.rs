//! Caller ids: pools of them, which one is shown to whom, how each does, and when it rests.

mod choose;
mod hold;
mod live;
mod place;

pub(crate) use choose::{Asked, choose};
pub use hold::NoCallerId;
pub(crate) use live::{IdLive, PoolLive, day_of};

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CallerIdPoolId;
use crate::campaign::is_e164;
use crate::limits::{CALLER_ID_DAYS, NAME_MOST, POOL_IDS_MOST};

/// How the next caller id is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The one that was shown least today.
    #[default]
    Even,
    /// By chance.
    Random,
    /// The nearest to the lead: its area code, else its state (in the US and Canada), else the longest common prefix. Of
    /// equal ones the one that was shown least today.
    Local,
}

/// Caller ids that stand in for each other. In the API it is one JSON object; missing fields take the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallerIdPool {
    /// Shown everywhere; unique. Campaigns name it.
    pub name: String,
    /// The caller ids, E.164, in the order in which they are taken when nothing else decides.
    pub numbers: Vec<String>,
    /// How the next one is chosen.
    pub rotation: Rotation,
    /// Whether a lead is shown the same one again, as long as it is good.
    pub sticky: bool,
    /// How often each is shown in a day (UTC) at most; 0: no limit.
    pub calls_per_day: u32,
    /// After so many days of use in a row (1 to 30) it rests; 0: never.
    pub rest_after_days: u32,
    /// For so many days (1 to 30).
    pub rest_days: u32,
    /// Days (UTC) on which none is shown: 1 is Monday, 7 is Sunday.
    pub rest_weekdays: Vec<u8>,
    /// A blocked one stays in quarantine this long, in hours (1 to 8760); 0: until a person lifts it.
    pub quarantine_h: u32,
    /// One whose calls are answered less often than this part (0 to 0.9) of the others' goes into quarantine too; 0: never.
    /// It is judged by 50 attempts or more, of it and of the others.
    pub least_answer_rate: f64,
}

impl Default for CallerIdPool {
    fn default() -> Self {
        CallerIdPool {
            name: String::new(),
            numbers: Vec::new(),
            rotation: Rotation::Even,
            sticky: false,
            calls_per_day: 0,
            rest_after_days: 0,
            rest_days: 1,
            rest_weekdays: Vec::new(),
            quarantine_h: 0,
            least_answer_rate: 0.0,
        }
    }
}

impl CallerIdPool {
    /// Whether every value is in range: the field, and what would be right.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let name = self.name.trim();
        if name.is_empty() || name.len() != self.name.len() || self.name.len() > NAME_MOST {
            return Err(("name", "must have 1 to 200 characters, without spaces around them".into()));
        }
        if self.numbers.is_empty() || self.numbers.len() > POOL_IDS_MOST {
            return Err(("numbers", format!("must have 1 to {POOL_IDS_MOST} caller ids")));
        }
        if let Some(wrong) = self.numbers.iter().find(|number| !is_e164(number)) {
            return Err(("numbers", format!("{wrong:?} must be a number like +12025550123")));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.numbers.iter().find(|number| !seen.insert(*number)) {
            return Err(("numbers", format!("must name each caller id once; {twice} is there twice")));
        }
        let longest = u32::try_from(CALLER_ID_DAYS - 10).unwrap_or(0);
        if self.rest_after_days > longest {
            return Err(("rest_after_days", format!("must be from 0 (never) to {longest} days")));
        }
        if !(1..=longest).contains(&self.rest_days) {
            return Err(("rest_days", format!("must be from 1 to {longest} days")));
        }
        let days: BTreeSet<_> = self.rest_weekdays.iter().collect();
        if days.len() != self.rest_weekdays.len()
            || !self.rest_weekdays.iter().all(|day| (1..=7).contains(day))
        {
            return Err(("rest_weekdays", "must name days from 1 (Monday) to 7 (Sunday), each once".into()));
        }
        if self.quarantine_h > 8_760 {
            return Err(("quarantine_h", "must be from 0 (until a person lifts it) to 8760 hours".into()));
        }
        if !(0.0..=0.9).contains(&self.least_answer_rate) {
            return Err((
                "least_answer_rate",
                "must be from 0 (never) to 0.9 (a part: 0.5 is a half)".into(),
            ));
        }
        Ok(())
    }
}

/// What a caller id did on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerIdUse {
    /// INVITEs that showed it.
    pub attempts: u32,
    /// Of these, answered.
    pub answers: u32,
    /// Blocked by an analytics engine (603 with the block reason, 608).
    pub blocks: u32,
    /// Not wanted by the called person (607).
    pub unwanted: u32,
}

/// Why a caller id is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// An analytics engine blocked a call that showed it.
    Blocked,
    /// Its calls are answered far less often than those of its pool.
    AnswerRate,
}

impl QuarantineReason {
    /// The name used in the API and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            QuarantineReason::Blocked => "blocked",
            QuarantineReason::AnswerRate => "answer_rate",
        }
    }

    /// The reason of that name.
    pub fn parse(name: &str) -> Option<QuarantineReason> {
        [QuarantineReason::Blocked, QuarantineReason::AnswerRate].into_iter().find(|r| r.as_str() == name)
    }
}

/// A caller id that is not shown for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quarantine {
    /// Which.
    pub number: String,
    /// Why.
    pub reason: QuarantineReason,
    /// The final status of the call that was blocked.
    pub status: Option<u16>,
    /// Where the block can be contested, as the one who blocks says: an address of the web, mail or telephone; empty: it
    /// does not say.
    pub redress: String,
    /// Since when, in ms since 1970.
    pub since_unix_ms: i64,
    /// Until when; none: until a person lifts it.
    pub until_unix_ms: Option<i64>,
}

/// Whether a caller id may be shown now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerIdState {
    /// It may.
    Good,
    /// It was shown as often as it may be today.
    UsedUp,
    /// It rests, for its days of use or the day of the week.
    Resting,
    /// It is in quarantine.
    Quarantined,
}

/// A caller id of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallerIdView {
    /// E.164.
    pub number: String,
    /// Whether it may be shown now.
    pub state: CallerIdState,
    /// What it did today (UTC).
    pub today: CallerIdUse,
    /// What it did in the last 30 days, today included.
    pub month: CallerIdUse,
    /// Answers of the attempts by which it is judged; null before 50 of them.
    pub answer_rate: Option<f64>,
    /// Its quarantine.
    pub quarantine: Option<Quarantine>,
}

/// A pool and how its caller ids do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallerIdPoolView {
    /// Which.
    pub id: CallerIdPoolId,
    /// As it was set up.
    pub pool: CallerIdPool,
    /// How many of its caller ids may be shown now.
    pub good: u32,
    /// Each of them.
    pub ids: Vec<CallerIdView>,
}

/// What a caller id did on one day, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerIdDay {
    /// Which.
    pub number: String,
    /// The day (UTC), counted from 1970.
    pub day: i64,
    /// What it did.
    pub used: CallerIdUse,
}
