//! Erasure: what is known of a person by their number goes; that something happened stays.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::{Store, StoreError, lists};
use crate::AttemptId;

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// Leads with that first phone, with all that their lists said.
    pub leads: u64,
    /// Other leads that had it as a further phone.
    pub phones: u64,
    /// Calls whose number and notes went.
    pub calls: u64,
}

impl Store {
    /// The calls to a number, E.164.
    pub async fn calls_to(&self, phone: &str) -> Result<Vec<AttemptId>, StoreError> {
        let calls: Vec<i64> = sqlx::query_scalar("SELECT id FROM attempts WHERE phone = $1")
            .bind(phone)
            .fetch_all(&self.inner.readers)
            .await?;
        Ok(calls.into_iter().map(AttemptId).collect())
    }

    /// Removes the leads of a number, E.164, and takes the number and what was written of the person out of past calls.
    /// Its recordings are the caller's to delete before. Not while the number is on a line.
    pub async fn erase(&self, phone: &str) -> Result<Erased, StoreError> {
        self.write(async |conn| erase(conn, phone).await).await
    }
}

async fn erase(conn: &mut SqliteConnection, phone: &str) -> Result<Erased, StoreError> {
    let busy: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM leads WHERE status = 'dialing' AND (phone = $1 \
         OR id IN (SELECT lead FROM lead_phones WHERE phone = $1)) LIMIT 1",
    )
    .bind(phone)
    .fetch_optional(&mut *conn)
    .await?;
    if busy.is_some() {
        let message = "is on a line now; end the call and try again".into();
        return Err(StoreError::Invalid { field: "phone", message });
    }
    let leads: Vec<i64> = sqlx::query_scalar("DELETE FROM leads WHERE phone = $1 RETURNING id")
        .bind(phone)
        .fetch_all(&mut *conn)
        .await?;
    lists::remove_phones(conn, &leads).await?;
    let others: Vec<i64> = sqlx::query_scalar("DELETE FROM lead_phones WHERE phone = $1 RETURNING lead")
        .bind(phone)
        .fetch_all(&mut *conn)
        .await?;
    let ids = |ids: &[i64]| serde_json::to_string(ids).unwrap_or_default();
    // Whoever was to be dialed there is dialed at another phone.
    sqlx::query(
        "UPDATE leads SET dial = (SELECT p.phone FROM lead_phones p WHERE p.lead = leads.id AND p.state = 'ok' \
         ORDER BY p.number LIMIT 1) WHERE id IN (SELECT value FROM json_each($1)) AND dial = $2",
    )
    .bind(ids(&others))
    .bind(phone)
    .execute(&mut *conn)
    .await?;
    let calls: Vec<i64> = sqlx::query_scalar(
        "UPDATE attempts SET phone = '', note = '' WHERE phone = $1 AND outcome IS NOT NULL RETURNING id",
    )
    .bind(phone)
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query("UPDATE dispositions SET note = '' WHERE attempt IN (SELECT value FROM json_each($1))")
        .bind(ids(&calls))
        .execute(conn)
        .await?;
    let count = |ids: &[i64]| ids.len() as u64;
    Ok(Erased { leads: count(&leads), phones: count(&others), calls: count(&calls) })
}
