//! How the sides of calls were heard.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::{AgentId, AttemptId, LegFigures, LegRecord, Side, TrunkId, Unheard};

impl Store {
    /// The legs of a call, in the order in which they ended.
    pub(super) async fn legs(&self, call: AttemptId) -> Result<Vec<LegRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT side, number, trunk, agent, ended_unix_ms, codec, lasted_ms, packets_received, packets_sent, \
             packets_lost, loss, longest_loss, burst_density, reordered, repeated, jitter_ms, jitter_most_ms, \
             round_trip_ms, far_loss, far_jitter_ms, mos, far_mos, clipped, silent, unheard, unheard_ms \
             FROM call_legs WHERE attempt = $1 ORDER BY id",
        )
        .bind(call.0)
        .fetch_all(&self.inner.readers)
        .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<LegRecord, StoreError> {
    let count = |at: usize| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(at)?.unsigned_abs());
    let side: &str = row.try_get(0)?;
    let side = Side::ALL.into_iter().find(|known| known.as_str() == side);
    let unheard: Option<&str> = row.try_get(24)?;
    Ok(LegRecord {
        side: side.ok_or(StoreError::Corrupt { what: "side of a call" })?,
        number: u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default(),
        trunk: TrunkId(row.try_get(2)?),
        agent: row.try_get::<Option<i64>, _>(3)?.map(AgentId),
        ended_unix_ms: row.try_get(4)?,
        figures: LegFigures {
            codec: row.try_get(5)?,
            lasted_ms: count(6)?,
            packets_received: count(7)?,
            packets_sent: count(8)?,
            packets_lost: count(9)?,
            loss: row.try_get(10)?,
            longest_loss: count(11)?,
            burst_density: row.try_get(12)?,
            reordered: count(13)?,
            repeated: count(14)?,
            jitter_ms: row.try_get(15)?,
            jitter_most_ms: row.try_get(16)?,
            round_trip_ms: row.try_get(17)?,
            far_loss: row.try_get(18)?,
            far_jitter_ms: row.try_get(19)?,
            mos: row.try_get(20)?,
            far_mos: row.try_get(21)?,
            clipped: row.try_get(22)?,
            silent: row.try_get(23)?,
            unheard: unheard.and_then(|why| Unheard::ALL.into_iter().find(|known| known.as_str() == why)),
            unheard_ms: count(25)?,
        },
    })
}
