//! Which leads to dial next.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sqlx::{Row, SqliteConnection};

use super::limits::REFILL_MOST;
use super::row::{self, gate_columns, lead_columns};
use super::{ListRecord, StoreError, lists};
use crate::compliance::LOOK_BACK_H;
use crate::{CampaignId, Lead, LeadAnswer, LeadId, LeadStatus, ListId, ListOrder, Mix};

/// How far the gate looks back on a number.
const LOOK_BACK_MS: i64 = LOOK_BACK_H as i64 * 3_600_000;

/// Leads that may be dialed now, in the order in which they are to be dialed: callbacks, then the lists as the campaign
/// mixes them. When there are none: when the next one is due, or nothing when no lead is left.
///
/// Of each list it goes down the ranks in use and reads each one's due leads from the index `leads_ready`, so that nothing
/// is sorted and leads that wait for their time are not passed over one by one.
pub(super) async fn refill(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    limit: u32,
    now_unix_ms: i64,
) -> Result<(Vec<Lead>, Option<i64>), StoreError> {
    let limit = limit.min(REFILL_MOST);
    let lists = lists::open_lists(conn, campaign).await?;
    // Callbacks whose agents are not there must leave room for others.
    let promised = read(conn, CALLBACKS, campaign.0, None, now_unix_ms, limit.div_ceil(2)).await?;
    let room = limit.saturating_sub(u32::try_from(promised.len()).unwrap_or(limit));
    let mut leads = promised;
    match mix(conn, campaign).await? {
        Mix::InOrder => in_order(conn, &lists, room, now_unix_ms, &mut leads).await?,
        mix => mixed(conn, &lists, mix, room, now_unix_ms, &mut leads).await?,
    }
    let next_due = if leads.is_empty() { next_due(conn, campaign, &lists, now_unix_ms).await? } else { None };
    Ok((leads, next_due))
}

pub(super) async fn mix(conn: &mut SqliteConnection, campaign: CampaignId) -> Result<Mix, StoreError> {
    let text: Option<Option<String>> =
        sqlx::query_scalar("SELECT settings->>'$.mix' FROM campaigns WHERE id = $1 AND deleted = 0")
            .bind(campaign.0)
            .fetch_optional(conn)
            .await?;
    Ok(match text.flatten().as_deref() {
        Some("even") => Mix::Even,
        Some("random") => Mix::Random,
        Some("weights") => Mix::Weights,
        _ => Mix::InOrder,
    })
}

/// One list after the other. Where a list goes by priority, the dialer may choose among its leads.
async fn in_order(
    conn: &mut SqliteConnection,
    lists: &[ListRecord],
    room: u32,
    now_unix_ms: i64,
    leads: &mut Vec<Lead>,
) -> Result<(), StoreError> {
    let (mut left, mut turn) = (room, 1);
    for list in lists {
        if left == 0 {
            break;
        }
        let some = due(conn, list.id, left, now_unix_ms).await?;
        left = left.saturating_sub(u32::try_from(some.len()).unwrap_or(left));
        for mut lead in some {
            lead.turn = turn;
            leads.push(lead);
            turn += u32::from(list.settings.order != ListOrder::Priority);
        }
        turn += 1;
    }
    Ok(())
}

/// A lead of one list after a lead of another. Each list is read for twice its share: so much is made up for when another
/// one has nothing due.
async fn mixed(
    conn: &mut SqliteConnection,
    lists: &[ListRecord],
    mix: Mix,
    room: u32,
    now_unix_ms: i64,
    leads: &mut Vec<Lead>,
) -> Result<(), StoreError> {
    let weight = |list: &ListRecord| if mix == Mix::Weights { u64::from(list.settings.weight) } else { 1 };
    let all: u64 = lists.iter().map(weight).sum();
    let mut hands = Vec::with_capacity(lists.len());
    for list in lists {
        let share = (u64::from(room) * weight(list)).div_ceil(all.max(1));
        let most = u32::try_from(2 * share + 1).unwrap_or(room).min(room);
        let some = due(conn, list.id, most, now_unix_ms).await?;
        hands.push((weight(list), some.into_iter()));
    }
    hands.retain(|(_, some)| some.len() > 0);
    // The same for the same time: what was read can be read again.
    let mut rng = ChaCha8Rng::seed_from_u64(now_unix_ms.unsigned_abs());
    // Each refill begins with another list: of none the first leads are always dialed and the last never.
    let mut at = if hands.is_empty() { 0 } else { rng.random_range(0..hands.len()) };
    for turn in 1..=room {
        if hands.is_empty() {
            break;
        }
        if mix != Mix::Even {
            let sum: u64 = hands.iter().map(|(weight, _)| weight).sum();
            let mut drawn = rng.random_range(0..sum.max(1));
            at = hands
                .iter()
                .position(|(weight, _)| {
                    let here = drawn < *weight;
                    drawn = drawn.saturating_sub(*weight);
                    here
                })
                .unwrap_or(0);
        }
        let Some((_, hand)) = hands.get_mut(at) else { break };
        if let Some(mut lead) = hand.next() {
            lead.turn = turn;
            leads.push(lead);
        }
        if hand.len() == 0 {
            hands.remove(at);
        } else {
            at += 1;
        }
        if at >= hands.len() {
            at = 0;
        }
    }
    Ok(())
}

/// The due leads of a list, by rank; of a rank those who wait for their time first, then who was never dialed.
async fn due(
    conn: &mut SqliteConnection,
    list: ListId,
    most: u32,
    now_unix_ms: i64,
) -> Result<Vec<Lead>, StoreError> {
    let mut leads = Vec::new();
    let mut below = i64::MAX;
    while let Some(rank) = next_rank(conn, list, below).await? {
        below = rank;
        for sql in [DUE, FRESH] {
            let left = most.saturating_sub(u32::try_from(leads.len()).unwrap_or(most));
            if left == 0 {
                return Ok(leads);
            }
            leads.extend(read(conn, sql, list.0, Some(rank), now_unix_ms, left).await?);
        }
    }
    Ok(leads)
}

async fn read(
    conn: &mut SqliteConnection,
    sql: &'static str,
    of: i64,
    rank: Option<i64>,
    now_unix_ms: i64,
    limit: u32,
) -> Result<Vec<Lead>, StoreError> {
    let rows = sqlx::query(sql)
        .bind(of)
        .bind(rank)
        .bind(now_unix_ms)
        .bind(i64::from(limit))
        .bind(now_unix_ms.saturating_sub(LOOK_BACK_MS))
        .fetch_all(conn)
        .await?;
    rows.iter().map(row::lead).collect()
}

/// When the next lead is due, of those that wait.
async fn next_due(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    lists: &[ListRecord],
    now_unix_ms: i64,
) -> Result<Option<i64>, StoreError> {
    let mut next: Option<i64> = sqlx::query_scalar(LATER_CALLBACK)
        .bind(campaign.0)
        .bind(now_unix_ms)
        .fetch_optional(&mut *conn)
        .await?;
    for list in lists {
        let mut below = i64::MAX;
        while let Some(rank) = next_rank(conn, list.id, below).await? {
            below = rank;
            let later: Option<i64> = sqlx::query_scalar(LATER)
                .bind(list.id.0)
                .bind(rank)
                .bind(now_unix_ms)
                .fetch_optional(&mut *conn)
                .await?;
            next = match (next, later) {
                (Some(next), Some(later)) => Some(next.min(later)),
                (next, later) => next.or(later),
            };
        }
    }
    Ok(next)
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

pub(super) async fn next_rank(
    conn: &mut SqliteConnection,
    list: ListId,
    below: i64,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar(RANK).bind(list.0).bind(below).fetch_optional(conn).await?)
}

/// What the partial index `leads_ready` holds.
macro_rules! ready {
    () => {
        "list = $1 AND status IN ('new', 'retry') AND left_out = 0 AND callback = 0"
    };
}

/// Suppression shows in the status; the list is asked again all the same, before somebody is called who must not be.
macro_rules! not_suppressed {
    () => {
        "(NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.phone = coalesce(leads.dial, leads.phone)) \
         AND NOT EXISTS (SELECT 1 FROM campaign_suppressions c WHERE c.phone = coalesce(leads.dial, leads.phone) \
         AND c.campaign = leads.campaign))"
    };
}

pub(super) const RANK: &str =
    concat!("SELECT rank FROM leads WHERE ", ready!(), " AND rank < $2 ORDER BY rank DESC LIMIT 1");

pub(super) const DUE: &str = concat!(
    "SELECT ",
    lead_columns!(),
    ", ",
    gate_columns!("$5"),
    " FROM leads WHERE ",
    ready!(),
    " AND rank = $2 AND next_unix_ms > 0 AND next_unix_ms <= $3 AND ",
    not_suppressed!(),
    " ORDER BY next_unix_ms, place, id LIMIT $4"
);

pub(super) const FRESH: &str = concat!(
    "SELECT ",
    lead_columns!(),
    ", ",
    gate_columns!("$5"),
    " FROM leads WHERE ",
    ready!(),
    " AND rank = $2 AND next_unix_ms <= 0 AND next_unix_ms <= $3 AND ",
    not_suppressed!(),
    " ORDER BY next_unix_ms, place, id LIMIT $4"
);

/// A list that is not dialed keeps nobody's promise.
macro_rules! promised {
    () => {
        "campaign = $1 AND callback = 1 AND status = 'retry' \
         AND EXISTS (SELECT 1 FROM lists l WHERE l.id = leads.list AND l.enabled = 1 AND l.deleted = 0)"
    };
}

pub(super) const CALLBACKS: &str = concat!(
    "SELECT ",
    lead_columns!(),
    ", ",
    gate_columns!("$5"),
    " FROM leads WHERE ",
    promised!(),
    " AND $2 IS NULL AND next_unix_ms <= $3 AND ",
    not_suppressed!(),
    " ORDER BY next_unix_ms, id LIMIT $4"
);

pub(super) const LATER_CALLBACK: &str = concat!(
    "SELECT next_unix_ms FROM leads WHERE ",
    promised!(),
    " AND next_unix_ms > $2 ORDER BY next_unix_ms LIMIT 1"
);

pub(super) const ONE: &str = concat!(
    "SELECT ",
    lead_columns!(),
    ", ",
    gate_columns!("$3"),
    ", NOT ",
    not_suppressed!(),
    " AS listed FROM leads WHERE id = $1 AND campaign = $2"
);

pub(super) const LATER: &str = concat!(
    "SELECT next_unix_ms FROM leads WHERE ",
    ready!(),
    " AND rank = $2 AND next_unix_ms > $3 ORDER BY next_unix_ms LIMIT 1"
);
