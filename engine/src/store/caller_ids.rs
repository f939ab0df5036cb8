//! Trunk groups and pools of caller ids that were made by API, what caller ids did by day, and their quarantine.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Row, SqliteConnection};

use super::apply::Applied;
use super::{Store, StoreError};
use crate::{
    CallerIdDay, CallerIdPool, CallerIdPoolId, CallerIdUse, Quarantine, QuarantineReason, TrunkGroup,
    TrunkGroupId,
};

impl Store {
    /// What caller ids did on days from `from_day` on (UTC, counted from 1970), by number and day.
    pub async fn caller_id_days(&self, from_day: i64) -> Result<Vec<CallerIdDay>, StoreError> {
        let rows = sqlx::query(DAYS).bind(from_day).fetch_all(&self.inner.readers).await?;
        rows.iter().map(day).collect()
    }
}

pub(super) const DAYS: &str = "SELECT number, day, attempts, answers, blocks, unwanted FROM caller_id_days \
    WHERE day >= $1 ORDER BY number, day";

/// A row of [`DAYS`].
pub(super) fn day(row: &sqlx::sqlite::SqliteRow) -> Result<CallerIdDay, StoreError> {
    let count = |place: usize| -> Result<u32, sqlx::Error> {
        Ok(u32::try_from(row.try_get::<i64, _>(place)?).unwrap_or(u32::MAX))
    };
    let used =
        CallerIdUse { attempts: count(2)?, answers: count(3)?, blocks: count(4)?, unwanted: count(5)? };
    Ok(CallerIdDay { number: row.try_get(0)?, day: row.try_get(1)?, used })
}

fn text<T: Serialize>(settings: &T) -> Result<String, StoreError> {
    serde_json::to_string(settings)
        .map_err(|e| StoreError::Invalid { field: "settings", message: e.to_string() })
}

async fn put(
    conn: &mut SqliteConnection,
    sql: &'static str,
    id: i64,
    settings: String,
) -> Result<Applied, StoreError> {
    let done = sqlx::query(sql).bind(id).bind(settings).execute(conn).await?;
    Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
}

pub(super) async fn put_group(
    conn: &mut SqliteConnection,
    id: TrunkGroupId,
    group: &TrunkGroup,
) -> Result<Applied, StoreError> {
    const SQL: &str = "INSERT INTO trunk_groups (id, settings, deleted) VALUES ($1, $2, 0) \
        ON CONFLICT (id) DO UPDATE SET settings = excluded.settings WHERE trunk_groups.deleted = 0";
    put(conn, SQL, id.0, text(group)?).await
}

pub(super) async fn put_pool(
    conn: &mut SqliteConnection,
    id: CallerIdPoolId,
    pool: &CallerIdPool,
) -> Result<Applied, StoreError> {
    const SQL: &str = "INSERT INTO caller_id_pools (id, settings, deleted) VALUES ($1, $2, 0) \
        ON CONFLICT (id) DO UPDATE SET settings = excluded.settings WHERE caller_id_pools.deleted = 0";
    put(conn, SQL, id.0, text(pool)?).await
}

pub(super) async fn delete_group(
    conn: &mut SqliteConnection,
    id: TrunkGroupId,
) -> Result<Applied, StoreError> {
    sqlx::query("UPDATE trunk_groups SET deleted = 1, settings = '' WHERE id = $1")
        .bind(id.0)
        .execute(conn)
        .await?;
    Ok(Applied::Done)
}

pub(super) async fn delete_pool(
    conn: &mut SqliteConnection,
    id: CallerIdPoolId,
) -> Result<Applied, StoreError> {
    sqlx::query("UPDATE caller_id_pools SET deleted = 1, settings = '' WHERE id = $1")
        .bind(id.0)
        .execute(conn)
        .await?;
    Ok(Applied::Done)
}

/// A day's row is replaced: the engine counts, the store keeps.
pub(super) async fn put_days(
    conn: &mut SqliteConnection,
    days: &[CallerIdDay],
) -> Result<Applied, StoreError> {
    let rows: Vec<_> = days
        .iter()
        .map(|d| (&d.number, d.day, d.used.attempts, d.used.answers, d.used.blocks, d.used.unwanted))
        .collect();
    sqlx::query(
        "INSERT INTO caller_id_days (number, day, attempts, answers, blocks, unwanted) \
         SELECT w.value->>0, w.value->>1, w.value->>2, w.value->>3, w.value->>4, w.value->>5 \
         FROM json_each($1) AS w WHERE true \
         ON CONFLICT (number, day) DO UPDATE SET attempts = excluded.attempts, answers = excluded.answers, \
         blocks = excluded.blocks, unwanted = excluded.unwanted",
    )
    .bind(text(&rows)?)
    .execute(conn)
    .await?;
    Ok(Applied::Done)
}

pub(super) async fn put_quarantine(
    conn: &mut SqliteConnection,
    quarantine: &Quarantine,
) -> Result<Applied, StoreError> {
    sqlx::query(
        "INSERT INTO quarantines (number, reason, status, redress, since_unix_ms, until_unix_ms) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (number) DO UPDATE SET reason = excluded.reason, \
         status = excluded.status, redress = excluded.redress, since_unix_ms = excluded.since_unix_ms, \
         until_unix_ms = excluded.until_unix_ms",
    )
    .bind(&quarantine.number)
    .bind(quarantine.reason.as_str())
    .bind(quarantine.status.map(i64::from))
    .bind(&quarantine.redress)
    .bind(quarantine.since_unix_ms)
    .bind(quarantine.until_unix_ms)
    .execute(conn)
    .await?;
    Ok(Applied::Done)
}

pub(super) async fn lift(conn: &mut SqliteConnection, number: &str) -> Result<Applied, StoreError> {
    sqlx::query("DELETE FROM quarantines WHERE number = $1").bind(number).execute(conn).await?;
    Ok(Applied::Done)
}

/// Every group, and the next one's id.
pub(super) async fn groups(
    conn: &mut SqliteConnection,
) -> Result<(Vec<(TrunkGroupId, TrunkGroup)>, i64), StoreError> {
    let rows = sqlx::query("SELECT id, settings FROM trunk_groups WHERE deleted = 0 ORDER BY id")
        .fetch_all(&mut *conn)
        .await?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM trunk_groups").fetch_one(conn).await?;
    let next = last.map_or(TrunkGroupId::FIRST_STORED.0, |last| last + 1);
    let read = |row| settings(row, "trunk group").map(|(id, group)| (TrunkGroupId(id), group));
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, next))
}

/// Every pool, and the next one's id.
pub(super) async fn pools(
    conn: &mut SqliteConnection,
) -> Result<(Vec<(CallerIdPoolId, CallerIdPool)>, i64), StoreError> {
    let rows = sqlx::query("SELECT id, settings FROM caller_id_pools WHERE deleted = 0 ORDER BY id")
        .fetch_all(&mut *conn)
        .await?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM caller_id_pools").fetch_one(conn).await?;
    let read = |row| settings(row, "pool of caller ids").map(|(id, pool)| (CallerIdPoolId(id), pool));
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, last.unwrap_or(0) + 1))
}

fn settings<T: DeserializeOwned>(
    row: &sqlx::sqlite::SqliteRow,
    what: &'static str,
) -> Result<(i64, T), StoreError> {
    let settings = serde_json::from_str(row.try_get(1)?).map_err(|_| StoreError::Corrupt { what })?;
    Ok((row.try_get(0)?, settings))
}

/// Quarantines that are not over; those that are go.
pub(super) async fn quarantined(
    conn: &mut SqliteConnection,
    now_unix_ms: i64,
) -> Result<Vec<Quarantine>, StoreError> {
    sqlx::query("DELETE FROM quarantines WHERE until_unix_ms <= $1")
        .bind(now_unix_ms)
        .execute(&mut *conn)
        .await?;
    let rows =
        sqlx::query("SELECT number, reason, status, redress, since_unix_ms, until_unix_ms FROM quarantines")
            .fetch_all(conn)
            .await?;
    rows.iter()
        .map(|row| {
            let reason = QuarantineReason::parse(row.try_get(1)?);
            Ok(Quarantine {
                number: row.try_get(0)?,
                reason: reason.ok_or(StoreError::Corrupt { what: "reason of a quarantine" })?,
                status: row.try_get::<Option<i64>, _>(2)?.and_then(|status| u16::try_from(status).ok()),
                redress: row.try_get(3)?,
                since_unix_ms: row.try_get(4)?,
                until_unix_ms: row.try_get(5)?,
            })
        })
        .collect()
}
