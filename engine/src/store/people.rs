//! Teams, levels, reasons for a pause, shifts, and what agents had of shared calls.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection};

use super::apply::Applied;
use super::limits::{PAUSED_MOST, PAUSED_MS};
use super::{CallPart, Store, StoreError};
use crate::{
    AgentId, AttemptId, CampaignId, PausedBefore, People, PeopleChange, Skill, Team, TeamId, TeamSettings,
};

pub(super) async fn apply(conn: &mut SqliteConnection, change: &PeopleChange) -> Result<Applied, StoreError> {
    let json = |e: serde_json::Error| StoreError::Invalid { field: "people", message: e.to_string() };
    match change {
        PeopleChange::Team(team) => {
            let settings = serde_json::to_string(&team.settings).map_err(json)?;
            sqlx::query(
                "INSERT INTO teams (id, settings, deleted) VALUES ($1, $2, 0) \
                 ON CONFLICT (id) DO UPDATE SET settings = excluded.settings WHERE teams.deleted = 0",
            )
            .bind(team.id.0)
            .bind(settings)
            .execute(conn)
            .await?;
        }
        PeopleChange::TeamDeleted(id) => {
            sqlx::query("UPDATE teams SET deleted = 1, settings = '' WHERE id = $1")
                .bind(id.0)
                .execute(conn)
                .await?;
        }
        PeopleChange::Skills(skills) => {
            for skill in skills {
                let sql = if skill.is_default() {
                    "DELETE FROM skills WHERE agent = $1 AND campaign = $2"
                } else {
                    "INSERT INTO skills (agent, campaign, level, priority) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (agent, campaign) \
                     DO UPDATE SET level = excluded.level, priority = excluded.priority"
                };
                let query = sqlx::query(sql).bind(skill.agent.0).bind(skill.campaign.0);
                let query = match skill.is_default() {
                    true => query,
                    false => query.bind(i64::from(skill.level)).bind(i64::from(skill.priority)),
                };
                query.execute(&mut *conn).await?;
            }
        }
        PeopleChange::PauseReasons(reasons) => {
            sqlx::query("DELETE FROM pause_reasons").execute(&mut *conn).await?;
            for (place, reason) in (0_i64..).zip(reasons) {
                sqlx::query("INSERT INTO pause_reasons (place, reason) VALUES ($1, $2)")
                    .bind(place)
                    .bind(serde_json::to_string(reason).map_err(json)?)
                    .execute(&mut *conn)
                    .await?;
            }
        }
        PeopleChange::Shift(agent, Some(ends)) => {
            sqlx::query(
                "INSERT INTO shifts (agent, ends_unix_ms) VALUES ($1, $2) \
                 ON CONFLICT (agent) DO UPDATE SET ends_unix_ms = excluded.ends_unix_ms",
            )
            .bind(agent.0)
            .bind(ends)
            .execute(conn)
            .await?;
        }
        PeopleChange::Shift(agent, None) => {
            sqlx::query("DELETE FROM shifts WHERE agent = $1").bind(agent.0).execute(conn).await?;
        }
    }
    Ok(Applied::Done)
}

/// A call has another agent.
pub(super) async fn hand_over(
    conn: &mut SqliteConnection,
    attempt: AttemptId,
    agent: AgentId,
) -> Result<Applied, StoreError> {
    let done = sqlx::query("UPDATE attempts SET agent = $1 WHERE id = $2")
        .bind(agent.0)
        .bind(attempt.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE leads SET last_agent = $1 WHERE id = (SELECT lead FROM attempts WHERE id = $2)")
        .bind(agent.0)
        .bind(attempt.0)
        .execute(conn)
        .await?;
    Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
}

/// What an agent had of a call.
pub(super) async fn put_part(
    conn: &mut SqliteConnection,
    attempt: AttemptId,
    part: &CallPart,
) -> Result<Applied, StoreError> {
    sqlx::query("INSERT INTO call_parts (attempt, agent, from_unix_ms, lasted_ms) VALUES ($1, $2, $3, $4)")
        .bind(attempt.0)
        .bind(part.agent.0)
        .bind(part.from_unix_ms)
        .bind(super::row::count(part.lasted_ms))
        .execute(conn)
        .await?;
    Ok(Applied::Done)
}

impl Store {
    /// What agents had of a call that more than one agent had, in order.
    pub(super) async fn parts(&self, id: AttemptId) -> Result<Vec<CallPart>, StoreError> {
        let rows = sqlx::query(
            "SELECT agent, from_unix_ms, lasted_ms FROM call_parts WHERE attempt = $1 ORDER BY id",
        )
        .bind(id.0)
        .fetch_all(&self.inner.readers)
        .await?;
        rows.iter()
            .map(|r| {
                let lasted_ms = u64::try_from(r.try_get::<i64, _>(2)?).unwrap_or_default();
                Ok(CallPart { agent: AgentId(r.try_get(0)?), from_unix_ms: r.try_get(1)?, lasted_ms })
            })
            .collect()
    }
}

/// All of it, and the next team's id.
pub(super) async fn recover(
    conn: &mut SqliteConnection,
    now_unix_ms: i64,
) -> Result<(People, i64), StoreError> {
    let mut people = People::default();
    let teams: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, settings FROM teams WHERE deleted = 0 ORDER BY id")
            .fetch_all(&mut *conn)
            .await?;
    for (id, settings) in teams {
        let settings: TeamSettings =
            serde_json::from_str(&settings).map_err(|_| StoreError::Corrupt { what: "team's settings" })?;
        people.teams.insert(TeamId(id), Team { id: TeamId(id), settings });
    }
    let skills: Vec<(i64, i64, i64, i64)> =
        sqlx::query_as("SELECT agent, campaign, level, priority FROM skills").fetch_all(&mut *conn).await?;
    for (agent, campaign, level, priority) in skills {
        let (agent, campaign) = (AgentId(agent), CampaignId(campaign));
        let level = u8::try_from(level).unwrap_or(crate::SKILL_DEFAULT);
        let priority = i32::try_from(priority).unwrap_or_default();
        people.skills.insert((agent, campaign), Skill { agent, campaign, level, priority });
    }
    let reasons: Vec<String> =
        sqlx::query_scalar("SELECT reason FROM pause_reasons ORDER BY place").fetch_all(&mut *conn).await?;
    let read = |text: &String| serde_json::from_str(text);
    people.pause_reasons = reasons
        .iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(|_| StoreError::Corrupt { what: "pause reason" })?;
    let shifts: Vec<(i64, i64)> =
        sqlx::query_as("SELECT agent, ends_unix_ms FROM shifts WHERE ends_unix_ms > $1")
            .bind(now_unix_ms)
            .fetch_all(&mut *conn)
            .await?;
    people.shifts =
        shifts.into_iter().map(|(agent, ends)| (AgentId(agent), ends)).collect::<BTreeMap<_, _>>();
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM teams").fetch_one(conn).await?;
    Ok((people, last.map_or(1, |last| last + 1)))
}

/// Pauses of the last day, the oldest first.
pub(super) async fn paused(
    conn: &mut SqliteConnection,
    now_unix_ms: i64,
) -> Result<Vec<PausedBefore>, StoreError> {
    let rows: Vec<(i64, String, i64, i64)> = sqlx::query_as(
        "SELECT agent, reason, from_unix_ms + lasted_ms, lasted_ms FROM agent_times \
         WHERE from_unix_ms > $1 AND state = 'paused' AND reason IN \
         (SELECT reason->>'code' FROM pause_reasons) ORDER BY from_unix_ms LIMIT $2",
    )
    .bind(now_unix_ms.saturating_sub(PAUSED_MS))
    .bind(PAUSED_MOST)
    .fetch_all(conn)
    .await?;
    let unsigned = |n: i64| u64::try_from(n).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|(agent, code, until_unix_ms, lasted_ms)| PausedBefore {
            agent: AgentId(agent),
            code,
            until_unix_ms,
            lasted_ms: unsigned(lasted_ms),
        })
        .collect())
}
