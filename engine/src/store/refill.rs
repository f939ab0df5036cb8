//! Which leads to dial next.

use sqlx::{Row, SqliteConnection};

use super::StoreError;
use super::limits::REFILL_MOST;
use super::row::{self, gate_columns, lead_columns};
use crate::compliance::LOOK_BACK_H;
use crate::{CampaignId, Lead, LeadAnswer, LeadId, LeadStatus};

/// How far the gate looks back on a number.
const LOOK_BACK_MS: i64 = LOOK_BACK_H as i64 * 3_600_000;

/// Leads that may be dialed now, best first: by priority, then by time, then by id. When there are none: when the next
/// one is due, or nothing when no lead is left.
///
/// Goes down the priorities in use and reads each one's due leads from the index `leads_ready`, so that nothing is
/// sorted and leads that wait for their time are not passed over one by one.
pub(super) async fn refill(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    limit: u32,
    now_unix_ms: i64,
) -> Result<(Vec<Lead>, Option<i64>), StoreError> {
    let limit = limit.min(REFILL_MOST);
    let mut leads = Vec::new();
    let mut next_due: Option<i64> = None;
    let mut below = i64::MAX;
    while let Some(priority) = next_priority(conn, campaign, below).await? {
        below = priority;
        let left = i64::from(limit).saturating_sub_unsigned(leads.len() as u64);
        let rows = sqlx::query(DUE)
            .bind(campaign.0)
            .bind(priority)
            .bind(now_unix_ms)
            .bind(left)
            .bind(now_unix_ms.saturating_sub(LOOK_BACK_MS))
            .fetch_all(&mut *conn)
            .await?;
        for due in &rows {
            leads.push(row::lead(due)?);
        }
        if leads.len() as u64 >= u64::from(limit) {
            break;
        }
        if leads.is_empty() {
            let next = sqlx::query(LATER)
                .bind(campaign.0)
                .bind(priority)
                .bind(now_unix_ms)
                .fetch_optional(&mut *conn)
                .await?;
            if let Some(next) = next {
                let next = next.try_get(0)?;
                next_due = Some(next_due.map_or(next, |due: i64| due.min(next)));
            }
        }
    }
    if !leads.is_empty() {
        next_due = None;
    }
    Ok((leads, next_due))
}

/// One lead as it stands. The suppression list outranks its status, as for leads that are due.
pub(super) async fn one(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    lead: LeadId,
    now_unix_ms: i64,
) -> Result<LeadAnswer, StoreError> {
    let found = sqlx::query(ONE)
        .bind(lead.0)
        .bind(campaign.0)
        .bind(now_unix_ms.saturating_sub(LOOK_BACK_MS))
        .fetch_optional(conn)
        .await?;
    let Some(found) = found else { return Ok(LeadAnswer::NotFound) };
    let record = row::lead_record(&found)?;
    let suppressed: i64 = found.try_get("listed")?;
    Ok(LeadAnswer::Found {
        status: if suppressed != 0 { LeadStatus::Suppressed } else { record.status },
        next_unix_ms: record.next_unix_ms,
        lead: Box::new(row::lead(&found)?),
    })
}

async fn next_priority(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    below: i64,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar(PRIORITY).bind(campaign.0).bind(below).fetch_optional(conn).await?)
}

pub(super) const PRIORITY: &str = "SELECT priority FROM leads \
    WHERE campaign = $1 AND status IN ('new', 'retry') AND priority < $2 ORDER BY priority DESC LIMIT 1";

/// Suppression shows in the status; the list is asked again all the same, before somebody is called who must not be.
pub(super) const DUE: &str = concat!(
    "SELECT ",
    lead_columns!(),
    ", ",
    gate_columns!("$5"),
    " FROM leads WHERE campaign = $1 AND status IN ('new', 'retry') AND priority = $2 AND next_unix_ms <= $3 \
     AND NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.phone = leads.phone) \
     AND NOT EXISTS (SELECT 1 FROM campaign_suppressions c WHERE c.phone = leads.phone AND c.campaign = leads.campaign) \
     ORDER BY next_unix_ms, id LIMIT $4"
);

pub(super) const ONE: &str = concat!(
    "SELECT ",
    lead_columns!(),
    ", ",
    gate_columns!("$3"),
    ", EXISTS (SELECT 1 FROM suppressions s WHERE s.phone = leads.phone) \
     OR EXISTS (SELECT 1 FROM campaign_suppressions c WHERE c.phone = leads.phone AND c.campaign = leads.campaign) \
     AS listed FROM leads WHERE id = $1 AND campaign = $2"
);

pub(super) const LATER: &str = "SELECT next_unix_ms FROM leads \
    WHERE campaign = $1 AND status IN ('new', 'retry') AND priority = $2 AND next_unix_ms > $3 \
    ORDER BY next_unix_ms LIMIT 1";
