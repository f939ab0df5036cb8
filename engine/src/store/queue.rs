//! Where a lead stands among those that are to be dialed before it.

use sqlx::SqliteConnection;

use super::limits::QUEUE_COUNTED;
use super::{LeadRecord, Store, StoreError, lists, refill};
use crate::{ListId, Mix};

/// How many leads are dialed before another one, as far as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePlace {
    /// At least so many.
    pub before: u32,
    /// Whether there may be more.
    pub more: bool,
}

impl Store {
    /// The leads that go before one that is due: of its list, and of the lists before it when its campaign takes them in
    /// order. Counts entries of an index up to a bound, so it takes the same time for any number of leads.
    pub async fn queue_place(&self, lead: &LeadRecord, now_unix_ms: i64) -> Result<QueuePlace, StoreError> {
        let mut reader = self.inner.readers.acquire().await?;
        let conn = &mut *reader;
        let own: Option<(i64, i64, i64)> =
            sqlx::query_as("SELECT rank, next_unix_ms, place FROM leads WHERE id = $1")
                .bind(lead.id.0)
                .fetch_optional(&mut *conn)
                .await?;
        let Some((rank, next, place)) = own else { return Ok(QueuePlace { before: 0, more: false }) };
        let mut before = 0;
        if refill::mix(conn, lead.campaign).await? == Mix::InOrder {
            for list in lists::open_lists(conn, lead.campaign).await? {
                if list.id == lead.list || before > QUEUE_COUNTED {
                    break;
                }
                before += above(conn, list.id, i64::MIN, now_unix_ms, QUEUE_COUNTED - before).await?;
            }
        }
        before += above(conn, lead.list, rank, now_unix_ms, QUEUE_COUNTED - before).await?;
        let key = (rank, next, place, lead.id.0);
        for sql in if next <= 0 { [DUE, FRESH_BEFORE].as_slice() } else { [DUE_BEFORE].as_slice() } {
            if before <= QUEUE_COUNTED {
                before += count(conn, sql, lead.list, key, now_unix_ms, QUEUE_COUNTED - before).await?;
            }
        }
        let most = u32::try_from(QUEUE_COUNTED).unwrap_or(u32::MAX);
        let counted = u32::try_from(before).unwrap_or(most).min(most);
        Ok(QueuePlace { before: counted, more: before > QUEUE_COUNTED })
    }
}

/// The due leads of a list above a rank, rank by rank: those that wait for their time are not passed over.
async fn above(
    conn: &mut SqliteConnection,
    list: ListId,
    rank: i64,
    now_unix_ms: i64,
    left: i64,
) -> Result<i64, StoreError> {
    let (mut below, mut before) = (i64::MAX, 0);
    while before <= left
        && let Some(higher) = refill::next_rank(conn, list, below).await?
        && higher > rank
    {
        below = higher;
        before += count(conn, ALL, list, (higher, 0, 0, 0), now_unix_ms, left - before).await?;
    }
    Ok(before)
}

/// Counts up to one more than `left`.
async fn count(
    conn: &mut SqliteConnection,
    sql: &'static str,
    list: ListId,
    (rank, next, place, id): (i64, i64, i64, i64),
    now_unix_ms: i64,
    left: i64,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(sql)
        .bind(list.0)
        .bind(now_unix_ms)
        .bind(left + 1)
        .bind(rank)
        .bind(next)
        .bind(place)
        .bind(id)
        .fetch_one(conn)
        .await?)
}

macro_rules! counted {
    ($condition:literal) => {
        concat!(
            "SELECT count(*) FROM (SELECT 1 FROM leads WHERE list = $1 AND status IN ('new', 'retry') \
             AND left_out = 0 AND callback = 0 AND next_unix_ms <= $2 AND ",
            $condition,
            " AND $4 + $5 + $6 + $7 IS NOT NULL LIMIT $3)"
        )
    };
}

const ALL: &str = counted!("rank = $4");
const DUE: &str = counted!("rank = $4 AND next_unix_ms > 0");
const DUE_BEFORE: &str =
    counted!("rank = $4 AND next_unix_ms > 0 AND (next_unix_ms, place, id) < ($5, $6, $7)");
const FRESH_BEFORE: &str = counted!("rank = $4 AND next_unix_ms = 0 AND (place, id) < ($6, $7)");
