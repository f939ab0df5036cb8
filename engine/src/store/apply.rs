//! What each write does to the tables.

use sqlx::SqliteConnection;

use super::StoreError;
use super::row::{count, lead_status};
use crate::{Campaign, LeadChange, NewTry, Write};

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

/// Applies one write within the caller's transaction. A refusal leaves nothing behind.
pub(super) async fn apply(conn: &mut SqliteConnection, write: &Write) -> Result<Applied, StoreError> {
    match write {
        Write::Try(new) => new_try(conn, new).await,
        Write::TryEnded { id, status, q850, at_unix_ms } => {
            let done = sqlx::query(
                "UPDATE tries SET ended_unix_ms = $1, status = $2, q850 = $3, dialog = NULL \
                 WHERE attempt = $4 AND number = $5",
            )
            .bind(at_unix_ms)
            .bind(status.map(i64::from))
            .bind(q850.map(i64::from))
            .bind(id.attempt.0)
            .bind(i64::from(id.number))
            .execute(conn)
            .await?;
            Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
        }
        Write::Answered { id, dialog, at_unix_ms } => {
            let done = sqlx::query(
                "UPDATE tries SET answered_unix_ms = $1, dialog = $2 WHERE attempt = $3 AND number = $4",
            )
            .bind(at_unix_ms)
            .bind(dialog)
            .bind(id.attempt.0)
            .bind(i64::from(id.number))
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "UPDATE attempts SET answered_unix_ms = $1 WHERE id = $2 AND answered_unix_ms IS NULL",
            )
            .bind(at_unix_ms)
            .bind(id.attempt.0)
            .execute(conn)
            .await?;
            Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
        }
        Write::Connected { attempt, agent, at_unix_ms, wait_ms, late } => {
            let done = sqlx::query(
                "UPDATE attempts SET agent = $1, connected_unix_ms = $2, wait_ms = $3, late = $4 WHERE id = $5",
            )
            .bind(agent.0)
            .bind(at_unix_ms)
            .bind(i64::from(*wait_ms))
            .bind(i64::from(*late))
            .bind(attempt.0)
            .execute(conn)
            .await?;
            Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
        }
        Write::AttemptEnded { attempt, outcome, at_unix_ms, talk_ms, lead } => {
            // Exactly once: the first outcome stands, and with it what it did to the lead.
            let done = sqlx::query(
                "UPDATE attempts SET outcome = $1, ended_unix_ms = $2, talk_ms = $3 WHERE id = $4 AND outcome IS NULL",
            )
            .bind(outcome.as_str())
            .bind(at_unix_ms)
            .bind(count(*talk_ms))
            .bind(attempt.0)
            .execute(&mut *conn)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(Applied::SecondOutcome);
            }
            change_lead(conn, lead).await
        }
        Write::Disposed { attempt, code, note, at_unix_ms, lead } => {
            let done = sqlx::query("UPDATE attempts SET disposition = $1, note = $2 WHERE id = $3")
                .bind(code)
                .bind(note)
                .bind(attempt.0)
                .execute(&mut *conn)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(Applied::Refused);
            }
            sqlx::query("INSERT INTO dispositions (attempt, code, note, at_unix_ms) VALUES ($1, $2, $3, $4)")
                .bind(attempt.0)
                .bind(code)
                .bind(note)
                .bind(at_unix_ms)
                .execute(&mut *conn)
                .await?;
            match lead {
                Some(change) => change_lead(conn, change).await,
                None => Ok(Applied::Done),
            }
        }
        Write::Lead(change) => change_lead(conn, change).await,
        Write::Suppress { phone, reason, at_unix_ms } => {
            suppress(conn, phone, reason, *at_unix_ms).await?;
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
        Write::AgentTime { agent, state, reason, from_unix_ms, lasted_ms } => {
            sqlx::query(
                "INSERT INTO agent_times (agent, state, reason, from_unix_ms, lasted_ms) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(agent.0)
            .bind(state.as_str())
            .bind(reason)
            .bind(from_unix_ms)
            .bind(count(*lasted_ms))
            .execute(conn)
            .await?;
            Ok(Applied::Done)
        }
    }
}

async fn new_try(conn: &mut SqliteConnection, new: &NewTry) -> Result<Applied, StoreError> {
    if new.id.number == 1 {
        // The last check that nobody is dialed twice: a lead that is on a line, done or suppressed is not dialed.
        let done =
            sqlx::query("UPDATE leads SET status = 'dialing' WHERE id = $1 AND status IN ('new', 'retry')")
                .bind(new.lead.0)
                .execute(&mut *conn)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(Applied::Refused);
        }
        sqlx::query(
            "INSERT INTO attempts (id, campaign, lead, phone, caller_id, started_unix_ms, crash_retry_unix_ms, \
             late, talk_ms, note) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '')",
        )
        .bind(new.id.attempt.0)
        .bind(new.campaign.0)
        .bind(new.lead.0)
        .bind(&*new.phone)
        .bind(&new.caller_id)
        .bind(new.at_unix_ms)
        .bind(new.crash_retry_unix_ms)
        .execute(&mut *conn)
        .await?;
    } else {
        // A crash counts from the last try; and a number that was suppressed meanwhile is not dialed again.
        let done = sqlx::query(
            "UPDATE attempts SET caller_id = $1, crash_retry_unix_ms = $2 WHERE id = $3 AND outcome IS NULL \
             AND EXISTS (SELECT 1 FROM leads WHERE leads.id = attempts.lead AND leads.status = 'dialing')",
        )
        .bind(&new.caller_id)
        .bind(new.crash_retry_unix_ms)
        .bind(new.id.attempt.0)
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Applied::Refused);
        }
    }
    sqlx::query(
        "INSERT INTO tries (attempt, number, trunk, caller_id, started_unix_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(new.id.attempt.0)
    .bind(i64::from(new.id.number))
    .bind(new.trunk.0)
    .bind(&new.caller_id)
    .bind(new.at_unix_ms)
    .execute(conn)
    .await?;
    Ok(Applied::Done)
}

/// Suppressed is final: no outcome, disposition or schedule brings a lead back.
async fn change_lead(conn: &mut SqliteConnection, change: &LeadChange) -> Result<Applied, StoreError> {
    sqlx::query(
        "UPDATE leads SET status = $1, next_unix_ms = $2, attempts = $3, last_outcome = $4, repeats = $5 \
         WHERE id = $6 AND status <> 'suppressed'",
    )
    .bind(lead_status(change.status))
    .bind(change.next_unix_ms)
    .bind(i64::from(change.attempts))
    .bind(change.last_outcome.map(crate::Outcome::as_str))
    .bind(i64::from(change.repeats))
    .bind(change.lead.0)
    .execute(conn)
    .await?;
    Ok(Applied::Done)
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

/// Puts a number on the list and takes its leads, of every campaign, out of dialing.
pub(super) async fn suppress(
    conn: &mut SqliteConnection,
    phone: &str,
    reason: &str,
    at_unix_ms: i64,
) -> Result<(), StoreError> {
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
