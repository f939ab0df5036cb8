//! What trunks and caller ids were used for before a start: counted from the tries, so that a crash loses none.

use sqlx::{Row, SqliteConnection};

use super::StoreError;
use super::caller_ids::{DAYS, day};
use crate::caller_id::day_of;
use crate::limits::CALLER_ID_DAYS;
use crate::{CallerIdDay, CallerIdUse, TrunkId, TrunkUse};

/// The present day of any zone has begun no longer ago than this.
const DAY_MOST_MS: i64 = 26 * 3_600_000;

/// By trunk and quarter of an hour. What was up at a crash cost until now.
pub(super) async fn recover(
    conn: &mut SqliteConnection,
    now_unix_ms: i64,
) -> Result<Vec<TrunkUse>, StoreError> {
    let rows = sqlx::query(
        "SELECT trunk, started_unix_ms / 900000, count(*), coalesce(sum(CASE WHEN answered_unix_ms IS NOT NULL \
         THEN price * (coalesce(ended_unix_ms, $1) - answered_unix_ms) / 60000 ELSE 0 END), 0) \
         FROM tries WHERE started_unix_ms >= $2 GROUP BY 1, 2",
    )
    .bind(now_unix_ms)
    .bind(now_unix_ms.saturating_sub(DAY_MOST_MS))
    .fetch_all(conn)
    .await?;
    let unsigned = |n: i64| u64::try_from(n).unwrap_or_default();
    rows.iter()
        .map(|row| {
            Ok(TrunkUse {
                trunk: TrunkId(row.try_get(0)?),
                quarter: row.try_get(1)?,
                calls: unsigned(row.try_get(2)?),
                spent: unsigned(row.try_get(3)?),
            })
        })
        .collect()
}

/// What caller ids did: the days before as they were written, the present one counted.
pub(super) async fn caller_id_days(
    conn: &mut SqliteConnection,
    now_unix_ms: i64,
) -> Result<Vec<CallerIdDay>, StoreError> {
    let today = day_of(now_unix_ms);
    let rows = sqlx::query(DAYS).bind(today - CALLER_ID_DAYS).fetch_all(&mut *conn).await?;
    let mut days = rows.iter().map(day).collect::<Result<Vec<_>, _>>()?;
    days.retain(|known| known.day < today);
    // Of an attempt that was blocked the last try was.
    let rows = sqlx::query(
        "SELECT t.caller_id, count(*), count(t.answered_unix_ms), \
         sum(CASE WHEN a.outcome = 'blocked' AND t.status IN (603, 608) THEN 1 ELSE 0 END), \
         sum(CASE WHEN a.outcome = 'unwanted' AND t.status = 607 THEN 1 ELSE 0 END) \
         FROM tries t JOIN attempts a ON a.id = t.attempt WHERE t.started_unix_ms >= $1 GROUP BY t.caller_id",
    )
    .bind(today * 86_400_000)
    .fetch_all(conn)
    .await?;
    for row in &rows {
        let count = |place: usize| -> Result<u32, sqlx::Error> {
            Ok(u32::try_from(row.try_get::<i64, _>(place)?).unwrap_or(u32::MAX))
        };
        let used =
            CallerIdUse { attempts: count(1)?, answers: count(2)?, blocks: count(3)?, unwanted: count(4)? };
        days.push(CallerIdDay { number: row.try_get(0)?, day: today, used });
    }
    Ok(days)
}
