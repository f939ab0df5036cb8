//! What each write does to the tables.

use serde::Serialize;
use sqlx::SqliteConnection;

use super::StoreError;
use super::round::Round;
use crate::{Campaign, CampaignId, Write};

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    /// It makes no sense in the present state, and never will.
    Refused,
    /// The attempt has an outcome already.
    SecondOutcome,
    /// A campaign's leads are to be removed.
    Purge,
}

/// Applies one write that is not gathered in a [`super::round::Round`], within the caller's transaction. A refusal
/// leaves nothing behind.
pub(super) async fn apply(conn: &mut SqliteConnection, write: &Write) -> Result<Applied, StoreError> {
    match write {
        Write::Suppress { phone, reason, campaign, at_unix_ms } => {
            suppress(conn, phone, reason, *campaign, *at_unix_ms).await?;
            Ok(Applied::Done)
        }
        Write::Campaign(campaign) => put_campaign(conn, campaign).await,
        Write::CampaignDeleted(id) => {
            sqlx::query("UPDATE campaigns SET deleted = 1, settings = '' WHERE id = $1 AND deleted = 0")
                .bind(id.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query("DELETE FROM skills WHERE campaign = $1").bind(id.0).execute(conn).await?;
            Ok(Applied::Purge)
        }
        Write::Trunk(trunk) => super::trunks::put(conn, trunk).await,
        Write::TrunkDeleted(id) => super::trunks::delete(conn, *id).await,
        Write::People(change) => super::people::apply(conn, change).await,
        Write::HandedOver { attempt, agent } => super::people::hand_over(conn, *attempt, *agent).await,
        Write::Part { attempt, agent, from_unix_ms, lasted_ms } => {
            let (from_unix_ms, lasted_ms) = (*from_unix_ms, *lasted_ms);
            let part = super::CallPart { agent: *agent, from_unix_ms, lasted_ms };
            super::people::put_part(conn, *attempt, &part).await
        }
        Write::TrunkGroup { id, group } => super::caller_ids::put_group(conn, *id, group).await,
        Write::TrunkGroupDeleted(id) => super::caller_ids::delete_group(conn, *id).await,
        Write::CallerIdPool { id, pool } => super::caller_ids::put_pool(conn, *id, pool).await,
        Write::CallerIdPoolDeleted(id) => super::caller_ids::delete_pool(conn, *id).await,
        Write::CallerIdDays(days) => super::caller_ids::put_days(conn, days).await,
        Write::Quarantine(quarantine) => super::caller_ids::put_quarantine(conn, quarantine).await,
        Write::CallerIdLifted { number } => super::caller_ids::lift(conn, number).await,
        Write::Probe => {
            // A row that is written as it is would not reach the disk; this always does.
            sqlx::query("PRAGMA user_version = 0").execute(conn).await?;
            Ok(Applied::Done)
        }
        Write::Try(_)
        | Write::Answered { .. }
        | Write::Connected { .. }
        | Write::TryEnded { .. }
        | Write::AttemptEnded { .. }
        | Write::Disposed { .. }
        | Write::Marked { .. }
        | Write::Lead(_)
        | Write::AgentTime { .. }
        | Write::Leg { .. } => {
            let mut round = Round::default();
            round.add(write);
            let applied = round.apply(conn).await?;
            Ok(applied.of(write))
        }
    }
}

async fn put_campaign(conn: &mut SqliteConnection, campaign: &Campaign) -> Result<Applied, StoreError> {
    let settings = serde_json::to_string(&campaign.settings)
        .map_err(|e| StoreError::Invalid { field: "settings", message: e.to_string() })?;
    let done = sqlx::query(
        "INSERT INTO campaigns (id, status, settings, deleted) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, settings = excluded.settings \
         WHERE campaigns.deleted = 0",
    )
    .bind(campaign.id.0)
    .bind(super::row::campaign_status(campaign.status))
    .bind(settings)
    .execute(conn)
    .await?;
    Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
}

/// Puts a number on the list, or on a campaign's own, and takes its leads out of dialing: of every campaign, or of that one.
pub(super) async fn suppress(
    conn: &mut SqliteConnection,
    phone: &str,
    reason: &str,
    campaign: Option<CampaignId>,
    at_unix_ms: i64,
) -> Result<(), StoreError> {
    match campaign {
        Some(campaign) => sqlx::query(
            "INSERT INTO campaign_suppressions (phone, reason, at_unix_ms, campaign) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (phone, campaign) DO NOTHING",
        )
        .bind(phone)
        .bind(reason)
        .bind(at_unix_ms)
        .bind(campaign.0),
        None => sqlx::query(
            "INSERT INTO suppressions (phone, reason, at_unix_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (phone) DO NOTHING",
        )
        .bind(phone)
        .bind(reason)
        .bind(at_unix_ms),
    }
    .execute(&mut *conn)
    .await?;
    take_out(conn, &numbers(&[phone])?, campaign).await
}

/// Numbers as a statement takes them.
pub(super) fn numbers<T: Serialize>(phones: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(phones)
        .map_err(|e| StoreError::Invalid { field: "numbers", message: e.to_string() })
}

/// Takes numbers (as `numbers` makes them) out of dialing, in every campaign or in one. A lead with another phone goes on
/// with that one.
pub(super) async fn take_out(
    conn: &mut SqliteConnection,
    numbers: &str,
    campaign: Option<CampaignId>,
) -> Result<(), StoreError> {
    for sql in [
        "UPDATE lead_phones SET state = 'suppressed' WHERE phone IN (SELECT w.value FROM json_each($1) AS w) \
         AND state <> 'suppressed' AND ($2 IS NULL \
         OR EXISTS (SELECT 1 FROM leads l WHERE l.id = lead_phones.lead AND l.campaign = $2))",
        "UPDATE leads SET status = 'suppressed' WHERE phone IN (SELECT w.value FROM json_each($1) AS w) \
         AND status <> 'suppressed' AND ($2 IS NULL OR campaign = $2) \
         AND NOT EXISTS (SELECT 1 FROM lead_phones p WHERE p.lead = leads.id)",
    ] {
        sqlx::query(sql).bind(numbers).bind(campaign.map(|id| id.0)).execute(&mut *conn).await?;
    }
    let which = "SELECT p.lead FROM lead_phones p JOIN leads l ON l.id = p.lead WHERE l.status <> 'suppressed' \
                 AND p.phone IN (SELECT w.value FROM json_each($1) AS w)";
    settle_phones(conn, which, numbers).await
}

/// Leads with several phones, of which some must not be dialed: the first that may be is next; when none may be, the lead
/// is suppressed, and one that came in suppressed by its first phone is not. `which` selects them, by `$1`.
pub(super) async fn settle_phones<'a, T>(
    conn: &mut SqliteConnection,
    which: &'static str,
    bound: T,
) -> Result<(), StoreError>
where
    T: sqlx::Encode<'a, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + 'a,
{
    let mut sql: sqlx::QueryBuilder<sqlx::Sqlite> = sqlx::QueryBuilder::new(
        "UPDATE leads SET dial = CASE WHEN EXISTS (SELECT 1 FROM lead_phones p WHERE p.lead = leads.id \
         AND p.state = 'ok' AND p.phone = coalesce(leads.dial, leads.phone)) THEN dial \
         ELSE coalesce((SELECT p.phone FROM lead_phones p WHERE p.lead = leads.id AND p.state = 'ok' \
         ORDER BY p.number LIMIT 1), dial) END, \
         status = CASE WHEN NOT EXISTS (SELECT 1 FROM lead_phones p WHERE p.lead = leads.id AND p.state = 'ok') \
         THEN 'suppressed' WHEN status = 'suppressed' AND attempts = 0 THEN 'new' ELSE status END \
         WHERE id IN (",
    );
    let (before, after) = which.split_once("$1").unwrap_or((which, ""));
    sql.push(before).push_bind(bound).push(after).push(")");
    sql.build().execute(conn).await?;
    Ok(())
}
