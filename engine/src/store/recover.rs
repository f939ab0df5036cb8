//! After a start: what a crash left open is closed, and the engine gets what it must know.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection};

use super::limits::{LEDGER_MS, UNDISPOSED_MOST, UNDISPOSED_MS};
use super::{Orphan, Recovered, StoreError, row};
use crate::limits::ORPHAN_HOLDS;
use crate::{
    AgentId, AttemptId, CampaignId, LeadId, LedgerCounts, LedgerMinute, Outcome, Pii, RestoredCampaign,
    TrunkId, TryId, Undisposed,
};

/// In one transaction: a crash in the middle of it starts it anew.
pub(super) async fn recover(conn: &mut SqliteConnection, now_unix_ms: i64) -> Result<Recovered, StoreError> {
    let orphans = orphans(conn, now_unix_ms).await?;
    let closed = close_attempts(conn, now_unix_ms).await?;
    super::imports::interrupt(conn, now_unix_ms).await?;
    let mut ledger = ledger(conn, now_unix_ms).await?;
    let rows = sqlx::query("SELECT id, status, settings FROM campaigns WHERE deleted = 0 ORDER BY id")
        .fetch_all(&mut *conn)
        .await?;
    let mut campaigns = Vec::with_capacity(rows.len());
    for campaign in &rows {
        let campaign = row::campaign(campaign)?;
        let ledger = ledger.remove(&campaign.id).unwrap_or_default();
        campaigns.push(RestoredCampaign { campaign, ledger });
    }
    let undisposed = undisposed(conn, now_unix_ms).await?;
    let next_campaign = sqlx::query_scalar::<_, i64>("SELECT coalesce(max(id), 0) + 1 FROM campaigns")
        .fetch_one(&mut *conn)
        .await?;
    let next_attempt = sqlx::query_scalar::<_, i64>("SELECT coalesce(max(id), 0) + 1 FROM attempts");
    let next_attempt = next_attempt.fetch_one(&mut *conn).await?;
    let national = super::national::copies(conn).await?;
    let (trunks, next_trunk) = super::trunks::recover(conn).await?;
    let (people, next_team) = super::people::recover(conn, now_unix_ms).await?;
    let paused = super::people::paused(conn, now_unix_ms).await?;
    let usage = super::usage::recover(conn, now_unix_ms).await?;
    let (groups, next_group) = super::caller_ids::groups(conn).await?;
    let (pools, next_pool) = super::caller_ids::pools(conn).await?;
    let caller_id_days = super::usage::caller_id_days(conn, now_unix_ms).await?;
    let quarantined = super::caller_ids::quarantined(conn, now_unix_ms).await?;
    Ok(Recovered {
        people,
        next_team,
        paused,
        campaigns,
        next_campaign,
        next_attempt,
        trunks,
        next_trunk,
        usage,
        groups,
        next_group,
        pools,
        next_pool,
        caller_id_days,
        quarantined,
        orphans,
        undisposed,
        closed,
        national,
    })
}

/// Tries without an end, of attempts without an outcome: at most as many as there were lines. And those that the start
/// before this one closed a moment ago: two crashes in a row free no channel sooner.
async fn orphans(conn: &mut SqliteConnection, now_unix_ms: i64) -> Result<Vec<Orphan>, StoreError> {
    let held_ms = i64::try_from(ORPHAN_HOLDS.as_millis()).unwrap_or(i64::MAX);
    let rows = sqlx::query(
        "SELECT t.attempt, t.number, t.trunk, t.dialog FROM attempts a JOIN tries t ON t.attempt = a.id \
         WHERE a.outcome IS NULL AND t.ended_unix_ms IS NULL \
         OR a.outcome = $1 AND a.ended_unix_ms > $2 AND t.ended_unix_ms = a.ended_unix_ms \
         ORDER BY t.attempt, t.number",
    )
    .bind(Outcome::UnknownCrash.as_str())
    .bind(now_unix_ms.saturating_sub(held_ms))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|r| {
            let number = u32::try_from(r.try_get::<i64, _>(1)?).unwrap_or_default();
            Ok(Orphan {
                id: TryId { attempt: AttemptId(r.try_get(0)?), number },
                trunk: TrunkId(r.try_get(2)?),
                dialog: r.try_get(3)?,
            })
        })
        .collect()
}

async fn close_attempts(conn: &mut SqliteConnection, now_unix_ms: i64) -> Result<u64, StoreError> {
    let open: Vec<(i64, i64)> =
        sqlx::query_as("SELECT lead, crash_retry_unix_ms FROM attempts WHERE outcome IS NULL")
            .fetch_all(&mut *conn)
            .await?;
    let crash = Outcome::UnknownCrash.as_str();
    for (lead, retry_unix_ms) in open {
        // Only a lead that is still on the line: a disposition given during the call stands.
        sqlx::query(
            "UPDATE leads SET status = 'retry', attempts = attempts + 1, last_outcome = $1, \
             repeats = CASE WHEN last_outcome = $1 THEN repeats + 1 ELSE 1 END, \
             next_unix_ms = CASE WHEN next_unix_ms > $2 THEN next_unix_ms ELSE $2 END \
             WHERE id = $3 AND status = 'dialing'",
        )
        .bind(crash)
        .bind(retry_unix_ms)
        .bind(lead)
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query(
        "UPDATE tries SET ended_unix_ms = $1, dialog = NULL WHERE ended_unix_ms IS NULL \
         AND attempt IN (SELECT id FROM attempts WHERE outcome IS NULL)",
    )
    .bind(now_unix_ms)
    .execute(&mut *conn)
    .await?;
    let closed = sqlx::query("UPDATE attempts SET outcome = $1, ended_unix_ms = $2 WHERE outcome IS NULL")
        .bind(crash)
        .bind(now_unix_ms)
        .execute(conn)
        .await?;
    Ok(closed.rows_affected())
}

/// What the ledgers count, by campaign and minute of the answer: calls that a person answered, those of them that were
/// abandoned; calls that were taken for machines and that no agent had, those that agents checked, people among these. A call
/// that was answered when we crashed counts as a person's, and as abandoned unless an agent had it: the doubt is ours to bear.
async fn ledger(
    conn: &mut SqliteConnection,
    now_unix_ms: i64,
) -> Result<BTreeMap<CampaignId, Vec<LedgerMinute>>, StoreError> {
    let rows: Vec<(i64, i64, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT campaign, answered_unix_ms / 60000, \
         sum(outcome IN ('connected', 'abandoned', 'caller_hangup', 'unknown_crash')), \
         sum(outcome IN ('connected', 'abandoned', 'caller_hangup', 'unknown_crash') AND (outcome = 'abandoned' \
         OR late <> 0 OR (outcome = 'unknown_crash' AND connected_unix_ms IS NULL))), \
         sum(outcome IN ('machine', 'screened') AND agent IS NULL), \
         sum(machine_check IS NOT NULL AND machine_check IN ('machine', 'person')), \
         sum(machine_check IS NOT NULL AND machine_check = 'person') \
         FROM attempts WHERE answered_unix_ms >= $1 AND outcome IS NOT NULL GROUP BY 1, 2",
    )
    .bind(now_unix_ms.saturating_sub(LEDGER_MS + 60_000))
    .fetch_all(conn)
    .await?;
    let small = |n: i64| u32::try_from(n).unwrap_or_default();
    let mut minutes: BTreeMap<CampaignId, Vec<LedgerMinute>> = BTreeMap::new();
    for (campaign, minute, answered, abandoned, ended, checked, persons) in rows {
        let counts = LedgerCounts {
            answered: small(answered),
            abandoned: small(abandoned),
            machines: small(ended),
            checked: small(checked),
            persons: small(persons),
        };
        if counts != LedgerCounts::default() {
            minutes.entry(CampaignId(campaign)).or_default().push(LedgerMinute { minute, counts });
        }
    }
    Ok(minutes)
}

async fn undisposed(conn: &mut SqliteConnection, now_unix_ms: i64) -> Result<Vec<Undisposed>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.id, a.campaign, a.lead, a.phone, a.agent, l.attempts, l.repeats, l.last_outcome \
         FROM attempts a JOIN leads l ON l.id = a.lead \
         WHERE a.connected_unix_ms >= $1 AND a.disposition IS NULL AND a.agent IS NOT NULL \
         ORDER BY a.connected_unix_ms DESC LIMIT $2",
    )
    .bind(now_unix_ms.saturating_sub(UNDISPOSED_MS))
    .bind(UNDISPOSED_MOST)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|r| {
            let small = |n: i64| u32::try_from(n).unwrap_or_default();
            let in_a_row = r.try_get::<Option<&str>, _>(7)? == Some(Outcome::Connected.as_str());
            Ok(Undisposed {
                attempt: AttemptId(r.try_get(0)?),
                campaign: CampaignId(r.try_get(1)?),
                lead: LeadId(r.try_get(2)?),
                phone: Pii(r.try_get(3)?),
                agent: AgentId(r.try_get(4)?),
                attempts: small(r.try_get(5)?),
                // A call that the crash ended was connected too.
                repeats: if in_a_row { small(r.try_get(6)?) } else { 1 },
            })
        })
        .collect()
}
