//! What each write does to the tables.

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
                .execute(conn)
                .await?;
            Ok(Applied::Purge)
        }
        Write::Trunk(trunk) => super::trunks::put(conn, trunk).await,
        Write::TrunkDeleted(id) => super::trunks::delete(conn, *id).await,
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
    if let Some(campaign) = campaign {
        sqlx::query(
            "INSERT INTO campaign_suppressions (campaign, phone, reason, at_unix_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (phone, campaign) DO NOTHING",
        )
        .bind(campaign.0)
        .bind(phone)
        .bind(reason)
        .bind(at_unix_ms)
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "UPDATE leads SET status = 'suppressed' WHERE phone = $1 AND campaign = $2 AND status <> 'suppressed'",
        )
        .bind(phone)
        .bind(campaign.0)
        .execute(conn)
        .await?;
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO suppressions (phone, reason, at_unix_ms) VALUES ($1, $2, $3) ON CONFLICT (phone) DO NOTHING",
    )
    .bind(phone)
    .bind(reason)
    .bind(at_unix_ms)
    .execute(&mut *conn)
    .await?;
    sqlx::query("UPDATE leads SET status = 'suppressed' WHERE phone = $1 AND status <> 'suppressed'")
        .bind(phone)
        .execute(conn)
        .await?;
    Ok(())
}
