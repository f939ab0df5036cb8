//! Lists, and the work on their leads: to arrange them anew, to make them new again, to remove them. Such work is done a
//! few leads at a time, in turn with the writer; what a stop leaves is done after the next start.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::import::live_campaign;
use super::leads::first;
use super::limits::{LIST_WORK_BATCH, LISTS_MOST, NAME_MOST};
use super::{ListRecord, Store, StoreError, row};
use crate::lead::list::{Comparison, LeadPick, ListOrder, ListSettings};
use crate::{CampaignId, LeadStatus, ListId, Outcome};

impl Store {
    /// A campaign's lists, in the order in which they were made.
    pub async fn lists(&self, campaign: CampaignId) -> Result<Vec<ListRecord>, StoreError> {
        let mut sql = select();
        sql.push(" WHERE campaign = ").push_bind(campaign.0).push(" AND deleted = 0 ORDER BY id");
        sql.build().fetch_all(&self.inner.readers).await?.iter().map(record).collect()
    }

    /// A list.
    pub async fn list(&self, id: ListId) -> Result<Option<ListRecord>, StoreError> {
        let mut reader = self.inner.readers.acquire().await?;
        read(&mut reader, id).await
    }

    /// How many leads of a list stand where. Counts an index: some 30 ms a million.
    pub async fn list_counts(&self, id: ListId) -> Result<BTreeMap<LeadStatus, u64>, StoreError> {
        let rows = sqlx::query("SELECT status, count(*) FROM leads WHERE list = $1 GROUP BY status")
            .bind(id.0)
            .fetch_all(&self.inner.readers)
            .await?;
        let count = |r: &SqliteRow| {
            let n: i64 = r.try_get(1)?;
            Ok((row::read_lead_status(r.try_get(0)?)?, u64::try_from(n).unwrap_or_default()))
        };
        rows.iter().map(count).collect()
    }

    /// Makes a list without leads.
    pub async fn create_list(
        &self,
        campaign: CampaignId,
        settings: &ListSettings,
    ) -> Result<ListRecord, StoreError> {
        let filter = filter_text(settings)?;
        let made = self.write(async |conn| {
            live_campaign(conn, campaign).await?;
            room(conn, campaign).await?;
            let id: i64 = sqlx::query_scalar(
                "INSERT INTO lists (campaign, name, priority, weight, enabled, dial_order, filter) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
            )
            .bind(campaign.0)
            .bind(&settings.name)
            .bind(i64::from(settings.priority))
            .bind(i64::from(settings.weight))
            .bind(i64::from(settings.enabled))
            .bind(settings.order.as_str())
            .bind(filter)
            .fetch_one(conn)
            .await?;
            Ok(ListId(id))
        });
        let id = made.await.map_err(|error| taken(error, "a list of this name"))?;
        Ok(ListRecord { id, campaign, settings: settings.clone(), working: false })
    }

    /// Changes a list. When its order or its filter changed, its leads follow; see [`Store::work_off`].
    pub async fn update_list(&self, id: ListId, settings: &ListSettings) -> Result<ListRecord, StoreError> {
        let filter = filter_text(settings)?;
        let done = self.write(async |conn| {
            let Some(before) = read(conn, id).await? else { return Err(missing(id)) };
            sqlx::query(
                "UPDATE lists SET name = $2, priority = $3, weight = $4, enabled = $5, dial_order = $6, filter = $7 \
                 WHERE id = $1",
            )
            .bind(id.0)
            .bind(&settings.name)
            .bind(i64::from(settings.priority))
            .bind(i64::from(settings.weight))
            .bind(i64::from(settings.enabled))
            .bind(settings.order.as_str())
            .bind(filter)
            .execute(&mut *conn)
            .await?;
            if (before.settings.order, &before.settings.filter) != (settings.order, &settings.filter) {
                // The last change holds: one that is under way begins anew.
                sqlx::query("DELETE FROM list_work WHERE list = $1 AND what = 'arrange'")
                    .bind(id.0)
                    .execute(&mut *conn)
                    .await?;
                add_work(conn, id, "arrange", "").await?;
            }
            read(conn, id).await
        });
        done.await.map_err(|error| taken(error, "a list of this name"))?.ok_or_else(|| missing(id))
    }

    /// Takes a list away; its leads follow, see [`Store::work_off`]. What was dialed stays on record.
    pub async fn delete_list(&self, id: ListId) -> Result<(), StoreError> {
        self.write(async |conn| {
            // Its name is free at once.
            let gone = sqlx::query(
                "UPDATE lists SET deleted = 1, name = name || ' #' || id WHERE id = $1 AND deleted = 0",
            )
            .bind(id.0)
            .execute(&mut *conn)
            .await?;
            if gone.rows_affected() == 0 {
                return Err(missing(id));
            }
            sqlx::query("DELETE FROM list_work WHERE list = $1").bind(id.0).execute(&mut *conn).await?;
            add_work(conn, id, "remove", "").await
        })
        .await
    }

    /// Makes the leads of a list new again, those that ended like one of `outcomes` only (none: all). Attempts that were
    /// made count on, and suppressed numbers stay suppressed. See [`Store::work_off`].
    pub async fn reset_list(&self, id: ListId, outcomes: &[Outcome]) -> Result<ListRecord, StoreError> {
        let codes: Vec<&str> = outcomes.iter().map(|outcome| outcome.as_str()).collect();
        let codes =
            if codes.is_empty() { String::new() } else { serde_json::to_string(&codes).unwrap_or_default() };
        self.write(async |conn| {
            if read(conn, id).await?.is_none() {
                return Err(missing(id));
            }
            add_work(conn, id, "reset", &codes).await?;
            read(conn, id).await
        })
        .await?
        .ok_or_else(|| missing(id))
    }

    /// Does what is to be done to leads of lists until nothing is left, in turn with the writer.
    pub async fn work_off(&self) -> Result<(), StoreError> {
        while self.write(async |conn| work(conn).await).await? {}
        Ok(())
    }

    /// The list of that name, made if there is none.
    pub(super) async fn list_named(
        &self,
        campaign: CampaignId,
        name: &str,
    ) -> Result<ListRecord, StoreError> {
        let name = match name.trim() {
            "" => "default",
            name => name,
        };
        if name.len() > NAME_MOST {
            let message = format!("is longer than {NAME_MOST} bytes");
            return Err(StoreError::Invalid { field: "list", message });
        }
        self.write(async |conn| {
            live_campaign(conn, campaign).await?;
            let find = "SELECT id FROM lists WHERE campaign = $1 AND name = $2";
            let known: Option<i64> =
                sqlx::query_scalar(find).bind(campaign.0).bind(name).fetch_optional(&mut *conn).await?;
            let id = match known {
                Some(id) => id,
                None => {
                    room(conn, campaign).await?;
                    sqlx::query_scalar("INSERT INTO lists (campaign, name) VALUES ($1, $2) RETURNING id")
                        .bind(campaign.0)
                        .bind(name)
                        .fetch_one(&mut *conn)
                        .await?
                }
            };
            read(conn, ListId(id)).await?.ok_or_else(|| missing(ListId(id)))
        })
        .await
    }
}

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(
        "SELECT id, campaign, name, priority, weight, enabled, dial_order, filter, \
         EXISTS (SELECT 1 FROM list_work w WHERE w.list = lists.id) FROM lists",
    )
}

/// A list that is not deleted.
pub(super) async fn read(conn: &mut SqliteConnection, id: ListId) -> Result<Option<ListRecord>, StoreError> {
    let mut sql = select();
    sql.push(" WHERE id = ").push_bind(id.0).push(" AND deleted = 0");
    sql.build().fetch_optional(conn).await?.as_ref().map(record).transpose()
}

/// The lists that are dialed now, the first served in front.
pub(super) async fn open_lists(
    conn: &mut SqliteConnection,
    campaign: CampaignId,
) -> Result<Vec<ListRecord>, StoreError> {
    let mut sql = select();
    sql.push(" WHERE campaign = ").push_bind(campaign.0);
    sql.push(" AND deleted = 0 AND enabled = 1 ORDER BY priority DESC, id");
    sql.build().fetch_all(conn).await?.iter().map(record).collect()
}

fn record(row: &SqliteRow) -> Result<ListRecord, StoreError> {
    let order: &str = row.try_get(6)?;
    let filter: &str = row.try_get(7)?;
    let corrupt = |what| StoreError::Corrupt { what };
    let settings = ListSettings {
        name: row.try_get(2)?,
        priority: i32::try_from(row.try_get::<i64, _>(3)?).unwrap_or_default(),
        weight: u32::try_from(row.try_get::<i64, _>(4)?).unwrap_or(1).max(1),
        enabled: row.try_get::<i64, _>(5)? != 0,
        order: ListOrder::ALL
            .into_iter()
            .find(|known| known.as_str() == order)
            .ok_or_else(|| corrupt("list's order"))?,
        filter: match filter {
            "" => None,
            text => Some(serde_json::from_str(text).map_err(|_| corrupt("list's filter"))?),
        },
    };
    Ok(ListRecord {
        id: ListId(row.try_get(0)?),
        campaign: CampaignId(row.try_get(1)?),
        settings,
        working: row.try_get::<i64, _>(8)? != 0,
    })
}

fn filter_text(settings: &ListSettings) -> Result<String, StoreError> {
    let text = settings.filter.as_ref().map(serde_json::to_string).transpose();
    text.map(Option::unwrap_or_default)
        .map_err(|e| StoreError::Invalid { field: "filter", message: e.to_string() })
}

fn missing(id: ListId) -> StoreError {
    StoreError::NotFound { what: "list", id: id.0 }
}

fn taken(error: StoreError, what: &'static str) -> StoreError {
    if error.is_unique() { StoreError::Exists { what } } else { error }
}

/// Whether a campaign may get another list.
async fn room(conn: &mut SqliteConnection, campaign: CampaignId) -> Result<(), StoreError> {
    let lists: i64 = sqlx::query_scalar("SELECT count(*) FROM lists WHERE campaign = $1 AND deleted = 0")
        .bind(campaign.0)
        .fetch_one(conn)
        .await?;
    if lists >= LISTS_MOST {
        let message = format!("a campaign has at most {LISTS_MOST} lists; import into one that is there");
        return Err(StoreError::Invalid { field: "list", message });
    }
    Ok(())
}

async fn add_work(
    conn: &mut SqliteConnection,
    list: ListId,
    what: &str,
    outcomes: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO list_work (list, what, outcomes, after) VALUES ($1, $2, $3, 0)")
        .bind(list.0)
        .bind(what)
        .bind(outcomes)
        .execute(conn)
        .await?;
    Ok(())
}

/// Does a part of the oldest work. Gives whether there may be more.
pub(super) async fn work(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    let next = sqlx::query("SELECT id, list, what, outcomes, after FROM list_work ORDER BY id LIMIT 1")
        .fetch_optional(&mut *conn)
        .await?;
    let Some(next) = next else { return Ok(false) };
    let (id, list): (i64, i64) = (next.try_get(0)?, next.try_get(1)?);
    let (what, outcomes): (String, String) = (next.try_get(2)?, next.try_get(3)?);
    let after: i64 = next.try_get(4)?;
    let list = ListId(list);
    let last = match what.as_str() {
        "remove" => remove(conn, list).await?,
        _ => {
            // By id over all states: a lead that changes its state meanwhile is not passed over.
            let last = batch_end(conn, list, after).await?;
            if let Some(last) = last {
                match what.as_str() {
                    "reset" => reset(conn, list, after, last, &outcomes).await?,
                    _ => {
                        if let Some(record) = read(conn, list).await? {
                            arrange(conn, &record, after, last).await?;
                        }
                    }
                }
            }
            last
        }
    };
    match last {
        Some(last) => {
            sqlx::query("UPDATE list_work SET after = $2 WHERE id = $1")
                .bind(id)
                .bind(last)
                .execute(conn)
                .await?
        }
        None => sqlx::query("DELETE FROM list_work WHERE id = $1").bind(id).execute(conn).await?,
    };
    Ok(true)
}

/// The id of the last lead of the next batch of a list.
async fn batch_end(conn: &mut SqliteConnection, list: ListId, after: i64) -> Result<Option<i64>, StoreError> {
    let most = usize::try_from(LIST_WORK_BATCH).unwrap_or(1);
    let ids = first(conn, &[list.0], &LeadStatus::ALL, after, most).await?;
    Ok(ids.last().copied())
}

async fn remove(conn: &mut SqliteConnection, list: ListId) -> Result<Option<i64>, StoreError> {
    let gone = sqlx::query(
        "DELETE FROM leads WHERE id IN (SELECT id FROM leads WHERE list = $1 LIMIT $2) RETURNING id",
    )
    .bind(list.0)
    .bind(LIST_WORK_BATCH)
    .fetch_all(&mut *conn)
    .await?;
    let mut ids = Vec::with_capacity(gone.len());
    for lead in &gone {
        ids.push(lead.try_get::<i64, _>(0)?);
    }
    remove_phones(conn, &ids).await?;
    if ids.is_empty() {
        sqlx::query("DELETE FROM lists WHERE id = $1").bind(list.0).execute(conn).await?;
        return Ok(None);
    }
    Ok(Some(0))
}

/// The phones of leads that are gone.
pub(super) async fn remove_phones(conn: &mut SqliteConnection, leads: &[i64]) -> Result<(), StoreError> {
    if leads.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM lead_phones WHERE lead IN (SELECT value FROM json_each($1))")
        .bind(serde_json::to_string(leads).unwrap_or_default())
        .execute(conn)
        .await?;
    Ok(())
}

/// New again: what a person was promised stands, who was abandoned is left alone as long as the rule said, and lines are
/// not touched. The attempts so far count on.
async fn reset(
    conn: &mut SqliteConnection,
    list: ListId,
    after: i64,
    last: i64,
    outcomes: &str,
) -> Result<(), StoreError> {
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(
        "UPDATE leads SET status = CASE WHEN last_outcome = 'abandoned' THEN 'retry' ELSE 'new' END, \
         next_unix_ms = CASE WHEN last_outcome = 'abandoned' THEN next_unix_ms ELSE 0 END, repeats = 0 \
         WHERE status IN ('retry', 'done') AND callback = 0 AND list = ",
    );
    sql.push_bind(list.0).push(" AND id > ").push_bind(after).push(" AND id <= ").push_bind(last);
    if !outcomes.is_empty() {
        sql.push(" AND last_outcome IN (SELECT value FROM json_each(").push_bind(outcomes).push("))");
    }
    sql.build().execute(conn).await?;
    Ok(())
}

/// Writes to leads what their list's order and filter say of them, those above `after` up to `last`.
pub(super) async fn arrange(
    conn: &mut SqliteConnection,
    list: &ListRecord,
    after: i64,
    last: i64,
) -> Result<(), StoreError> {
    let (rank, place) = match list.settings.order {
        ListOrder::Priority => ("priority", "0"),
        ListOrder::Imported => ("0", "0"),
        ListOrder::Newest => ("0", "-id"),
        // Positive and below 2^31: as good in any database.
        ListOrder::Random => ("0", "random() & 2147483647"),
    };
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("UPDATE leads SET rank = ");
    sql.push(rank).push(", place = ").push(place).push(", left_out = ");
    match &list.settings.filter {
        None => {
            sql.push("0");
        }
        Some(pick) => {
            sql.push("CASE WHEN ");
            push_pick(&mut sql, pick);
            sql.push(" THEN 0 ELSE 1 END");
        }
    }
    sql.push(" WHERE list = ").push_bind(list.id.0);
    sql.push(" AND id > ").push_bind(after).push(" AND id <= ").push_bind(last);
    sql.build().execute(conn).await?;
    Ok(())
}

fn push_pick(sql: &mut QueryBuilder<Sqlite>, pick: &LeadPick) {
    let begin = |sql: &mut QueryBuilder<Sqlite>| match pick.custom() {
        Some(name) => {
            // The column is empty, not JSON, for a lead without further fields.
            sql.push(
                "(CASE custom WHEN '' THEN NULL ELSE (SELECT e.value FROM json_each(custom) e WHERE e.key = ",
            );
            sql.push_bind(name.to_owned()).push(") END)");
        }
        None => {
            let column = crate::lead::list::PICKED.into_iter().find(|known| *known == pick.field);
            sql.push(column.unwrap_or("NULL"));
        }
    };
    match pick.comparison {
        Comparison::Equals => begin(sql),
        Comparison::Prefix => {
            sql.push("substr(");
            begin(sql);
            let letters = i64::try_from(pick.value.chars().count()).unwrap_or(i64::MAX);
            sql.push(", 1, ").push_bind(letters).push(")");
        }
    }
    sql.push(" = ").push_bind(pick.value.clone());
}
