//! Leads, calls, campaigns and the suppression list, as readers get them.

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::limits::PAGE_MOST;
use super::refill::{one, refill};
use super::row::{self, call_columns, lead_columns};
use super::{
    CallDetail, CallFilter, CallRecord, DispositionRecord, LeadFilter, LeadRecord, Page, Store, StoreError,
    Suppression, TryRecord, apply,
};
use crate::lead::phone::{Home, e164};
use crate::{AgentId, AttemptId, Campaign, CampaignId, Lead, LeadAnswer, LeadId, LeadStatus, Pii, TrunkId};

impl Store {
    /// A lead.
    pub async fn lead(&self, id: LeadId) -> Result<Option<LeadRecord>, StoreError> {
        const SQL: &str = concat!("SELECT ", lead_columns!(), " FROM leads WHERE id = $1");
        let found = sqlx::query(SQL).bind(id.0).fetch_optional(&self.inner.readers).await?;
        found.as_ref().map(row::lead_record).transpose()
    }

    /// A lead as the dialer would take it now, and where it stands.
    pub async fn standing(
        &self,
        campaign: CampaignId,
        lead: LeadId,
        now_unix_ms: i64,
    ) -> Result<LeadAnswer, StoreError> {
        let mut reader = self.inner.readers.acquire().await?;
        one(&mut reader, campaign, lead, now_unix_ms).await
    }

    /// A campaign's leads by id.
    pub async fn leads(
        &self,
        campaign: CampaignId,
        filter: LeadFilter,
    ) -> Result<Page<LeadRecord>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            lead_columns!(),
            " FROM leads WHERE id IN (SELECT value FROM json_each($1)) AND campaign = $2 ORDER BY id"
        );
        let limit = page_limit(filter.limit);
        let statuses = filter.status.as_ref().map_or(&LeadStatus::ALL[..], std::slice::from_ref);
        let mut reader = self.inner.readers.acquire().await?;
        let mut snapshot = reader.begin().await?;
        let lists = match filter.list {
            Some(list) => vec![list.0],
            None => {
                let all = sqlx::query_scalar("SELECT id FROM lists WHERE campaign = $1").bind(campaign.0);
                all.fetch_all(&mut *snapshot).await?
            }
        };
        let (after, most) = (filter.after.map_or(0, |id| id.0), limit as usize + 1);
        let ids = first(&mut snapshot, &lists, statuses, after, most).await?;
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        let rows = sqlx::query(SQL).bind(ids).bind(campaign.0).fetch_all(&mut *snapshot).await?;
        let items = rows.iter().map(row::lead_record).collect::<Result<Vec<_>, _>>()?;
        Ok(page(items, limit, |lead| lead.id.0))
    }

    /// The first leads that may be dialed now, in the order in which the dialer would take them.
    pub async fn due_leads(
        &self,
        campaign: CampaignId,
        limit: u32,
        now_unix_ms: i64,
    ) -> Result<Vec<Lead>, StoreError> {
        let mut reader = self.inner.readers.acquire().await?;
        Ok(refill(&mut reader, campaign, page_limit(limit), now_unix_ms).await?.0)
    }

    /// The next callbacks of a campaign, the first due in front; with an agent only those that they promised.
    pub async fn callbacks(
        &self,
        campaign: CampaignId,
        agent: Option<AgentId>,
        limit: u32,
    ) -> Result<Vec<LeadRecord>, StoreError> {
        let mut sql: QueryBuilder<Sqlite> =
            QueryBuilder::new(concat!("SELECT ", lead_columns!(), " FROM leads WHERE campaign = "));
        sql.push_bind(campaign.0).push(" AND callback = 1 AND status = 'retry'");
        if let Some(agent) = agent {
            sql.push(" AND callback_agent = ").push_bind(agent.0);
        }
        sql.push(" ORDER BY next_unix_ms, id LIMIT ").push_bind(i64::from(page_limit(limit)));
        let rows = sql.build().fetch_all(&self.inner.readers).await?;
        rows.iter().map(row::lead_record).collect()
    }

    /// The next callbacks that an agent promised, of all campaigns.
    pub async fn callbacks_of(&self, agent: AgentId, limit: u32) -> Result<Vec<LeadRecord>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            lead_columns!(),
            " FROM leads WHERE callback_agent = $1 AND callback = 1 AND status = 'retry' \
             ORDER BY next_unix_ms, id LIMIT $2"
        );
        let rows = sqlx::query(SQL).bind(agent.0).bind(i64::from(page_limit(limit)));
        rows.fetch_all(&self.inner.readers).await?.iter().map(row::lead_record).collect()
    }

    /// Calls, newest first.
    pub async fn calls(&self, filter: CallFilter) -> Result<Page<CallRecord>, StoreError> {
        self.calls_of(filter, None).await
    }

    /// Calls, newest first; of these agents only, where some are given.
    pub async fn calls_of(
        &self,
        filter: CallFilter,
        among: Option<&[AgentId]>,
    ) -> Result<Page<CallRecord>, StoreError> {
        let limit = page_limit(filter.limit);
        let mut sql: QueryBuilder<Sqlite> =
            QueryBuilder::new(concat!("SELECT ", call_columns!(), " FROM attempts WHERE id < "));
        sql.push_bind(filter.before.map_or(i64::MAX, |id| id.0));
        if let Some(campaign) = filter.campaign {
            sql.push(" AND campaign = ").push_bind(campaign.0);
        }
        if let Some(agent) = filter.agent {
            sql.push(" AND agent = ").push_bind(agent.0);
        }
        if let Some(agents) = among {
            let ids = serde_json::to_string(agents)
                .map_err(|e| StoreError::Invalid { field: "agent", message: e.to_string() })?;
            sql.push(" AND agent IN (SELECT value FROM json_each(").push_bind(ids).push("))");
        }
        if let Some(outcome) = filter.outcome {
            sql.push(" AND outcome = ").push_bind(outcome.as_str());
        }
        sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = sql.build().fetch_all(&self.inner.readers).await?;
        let items = rows.iter().map(row::call).collect::<Result<Vec<_>, _>>()?;
        Ok(page(items, limit, |call| call.id.0))
    }

    /// A call with its tries and all that was said of it.
    pub async fn call(&self, id: AttemptId) -> Result<Option<CallDetail>, StoreError> {
        const SQL: &str = concat!("SELECT ", call_columns!(), " FROM attempts WHERE id = $1");
        let readers = &self.inner.readers;
        let Some(found) = sqlx::query(SQL).bind(id.0).fetch_optional(readers).await? else { return Ok(None) };
        let tries = sqlx::query(
            "SELECT number, trunk, caller_id, started_unix_ms, answered_unix_ms, ended_unix_ms, status, q850 \
             FROM tries WHERE attempt = $1 ORDER BY number",
        )
        .bind(id.0)
        .fetch_all(readers)
        .await?;
        let dispositions =
            sqlx::query("SELECT code, note, at_unix_ms FROM dispositions WHERE attempt = $1 ORDER BY id")
                .bind(id.0)
                .fetch_all(readers)
                .await?;
        let evidence: String = sqlx::query_scalar("SELECT evidence FROM attempts WHERE id = $1")
            .bind(id.0)
            .fetch_one(readers)
            .await?;
        let recording = self.recording(id).await?.map(|stored| stored.record);
        let code = |n: Option<i64>| n.and_then(|n| u16::try_from(n).ok());
        Ok(Some(CallDetail {
            call: row::call(&found)?,
            evidence,
            recording,
            tries: tries
                .iter()
                .map(|r| {
                    Ok(TryRecord {
                        number: u32::try_from(r.try_get::<i64, _>(0)?).unwrap_or_default(),
                        trunk: TrunkId(r.try_get(1)?),
                        caller_id: r.try_get(2)?,
                        started_unix_ms: r.try_get(3)?,
                        answered_unix_ms: r.try_get(4)?,
                        ended_unix_ms: r.try_get(5)?,
                        status: code(r.try_get(6)?),
                        q850: code(r.try_get(7)?),
                    })
                })
                .collect::<Result<_, StoreError>>()?,
            dispositions: dispositions
                .iter()
                .map(|r| {
                    let (code, note, at_unix_ms) = (r.try_get(0)?, Pii(r.try_get(1)?), r.try_get(2)?);
                    Ok(DispositionRecord { code, note, at_unix_ms })
                })
                .collect::<Result<_, StoreError>>()?,
            parts: self.parts(id).await?,
            legs: self.legs(id).await?,
        }))
    }

    /// How many attempts a campaign made.
    pub(crate) async fn attempts_of(&self, campaign: CampaignId) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM attempts WHERE campaign = $1");
        Ok(count.bind(campaign.0).fetch_one(&self.inner.readers).await?)
    }

    /// Every campaign that is not deleted, by id.
    pub async fn campaigns(&self) -> Result<Vec<Campaign>, StoreError> {
        sqlx::query("SELECT id, status, settings FROM campaigns WHERE deleted = 0 ORDER BY id")
            .fetch_all(&self.inner.readers)
            .await?
            .iter()
            .map(row::campaign)
            .collect()
    }

    /// A campaign.
    pub async fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
        sqlx::query("SELECT id, status, settings FROM campaigns WHERE id = $1 AND deleted = 0")
            .bind(id.0)
            .fetch_optional(&self.inner.readers)
            .await?
            .as_ref()
            .map(row::campaign)
            .transpose()
    }

    /// Puts a number on the suppression list. For a running dialer use `Command::Suppress`, which also empties the
    /// hoppers of it and gets here by the writer.
    pub async fn suppress(&self, phone: &str, reason: &str, at_unix_ms: i64) -> Result<(), StoreError> {
        let phone = e164(phone, Home::new(""))
            .map_err(|why| StoreError::Invalid { field: "phone", message: why.to_owned() })?;
        self.write(async |conn| apply::suppress(conn, &phone, reason, None, at_unix_ms).await).await
    }

    /// Whether a number, E.164, is on the suppression list, by itself or as a hash.
    pub async fn is_suppressed(&self, phone: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM suppressions WHERE phone = $1")
            .bind(phone)
            .fetch_optional(&self.inner.readers)
            .await?;
        Ok(found.is_some() || !self.hashed(std::iter::once(phone)).await?.is_empty())
    }

    /// The suppression list, oldest first.
    pub async fn suppressions(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Page<Suppression>, StoreError> {
        let limit = page_limit(limit);
        let rows = sqlx::query(
            "SELECT id, phone, reason, at_unix_ms FROM suppressions WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.inner.readers)
        .await?;
        suppression_page(&rows, limit)
    }
}

/// The ids of the first leads of these lists above `after`, in their order: of each list and status so many from an index,
/// and of these the first.
pub(super) async fn first(
    conn: &mut SqliteConnection,
    lists: &[i64],
    statuses: &[LeadStatus],
    after: i64,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let (mut ids, mut below) = (Vec::new(), i64::MAX);
    for list in lists {
        let mut sql = QueryBuilder::new("");
        push_first(&mut sql, *list, statuses, (after, below), most);
        let more: Vec<i64> = sql.build_query_scalar().fetch_all(&mut *conn).await?;
        ids.extend(more);
        ids.sort_unstable();
        ids.truncate(most);
        if let Some(last) = ids.get(most.saturating_sub(1)) {
            below = *last;
        }
    }
    Ok(ids)
}

/// The statement of [`first`] for one list, between two ids.
pub(super) fn push_first(
    sql: &mut QueryBuilder<Sqlite>,
    list: i64,
    statuses: &[LeadStatus],
    (after, below): (i64, i64),
    most: usize,
) {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    for (n, status) in statuses.iter().enumerate() {
        sql.push(if n == 0 { "SELECT id FROM (" } else { " UNION ALL SELECT id FROM (" });
        sql.push("SELECT id FROM leads WHERE list = ").push_bind(list);
        sql.push(" AND status = ").push_bind(row::lead_status(*status));
        sql.push(" AND id > ").push_bind(after).push(" AND id < ").push_bind(below);
        sql.push(" ORDER BY id LIMIT ").push_bind(most).push(")");
    }
    sql.push(" ORDER BY id LIMIT ").push_bind(most);
}

/// Rows of id, phone, reason and time.
pub(super) fn suppression_page(rows: &[SqliteRow], limit: u32) -> Result<Page<Suppression>, StoreError> {
    let items = rows
        .iter()
        .map(|r| {
            let (id, phone) = (r.try_get(0)?, Pii(r.try_get(1)?));
            Ok(Suppression { id, phone, reason: r.try_get(2)?, at_unix_ms: r.try_get(3)? })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(page(items, limit, |row| row.id))
}

/// The lead of a number in a campaign.
pub(super) async fn lead_by_phone(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
    phone: &str,
) -> Result<Option<LeadRecord>, StoreError> {
    const SQL: &str =
        concat!("SELECT ", lead_columns!(), " FROM leads WHERE phone = $1 AND campaign = $2 ORDER BY id");
    let found = sqlx::query(SQL).bind(phone).bind(campaign.0).fetch_optional(conn).await?;
    found.as_ref().map(row::lead_record).transpose()
}

pub(super) fn page_limit(limit: u32) -> u32 {
    limit.clamp(1, PAGE_MOST)
}

/// One row more than wanted was read, to see whether there is a next page.
pub(super) fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> i64) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(id) } else { None };
    Page { items, next }
}
