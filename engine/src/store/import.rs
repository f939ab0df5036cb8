//! Lists into the store: batches in short transactions, between which attempts and dispositions go. While a batch is
//! written the next one is read.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use kraliki_time::Time;
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::task::JoinHandle;

use super::limits::{IDLE_AFTER, IMPORT_BATCH, IMPORT_PAUSES, IMPORT_STATEMENT, LOG_PAGES, LOG_PAGES_IDLE};
use super::row::custom_text;
use super::transaction::Durability;
use super::{LeadRecord, ListRecord, NewLead, Store, StoreError, apply, leads, lists};
use crate::lead::import::{Csv, Dedupe, ImportError, ImportOptions, ImportReport, Row};
use crate::lead::phone::{Home, e164};
use crate::{CampaignId, ListId};

/// An import in progress: feed it the file in pieces of any size, then finish. Dropping it ends the import; what was
/// taken until then stays, and importing the file again adds the rest.
#[derive(Debug)]
pub struct Importer {
    store: Store,
    campaign: CampaignId,
    /// None: a dry run.
    list: Option<ListId>,
    dedupe: Dedupe,
    csv: Csv,
    rows: Vec<Row>,
    /// How many rows are being written, and what will be said of how many were added.
    writing: Option<(u64, JoinHandle<Result<u64, StoreError>>)>,
    report: ImportReport,
    /// Errors that nobody took yet, for a file of them.
    fresh: Option<Vec<ImportError>>,
    /// Numbers of the file so far, for a dry run: a database of its own, which SQLite puts on the disk when it grows.
    seen: Option<SqliteConnection>,
}

/// Why an import stopped. What was imported before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The file as a whole cannot be read: no header, no phone column, UTF-16.
    #[error("line {}: {}", .0.line, .0.message)]
    File(ImportError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Importer {
    /// The next piece of the file.
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<(), ImportFailure> {
        // A piece is taken in slices, so that a huge one needs no second copy of itself.
        for slice in bytes.chunks(64 * 1024) {
            self.csv.feed(slice);
            self.take_rows().await?;
        }
        Ok(())
    }

    /// What came of it so far.
    pub fn report(&self) -> &ImportReport {
        &self.report
    }

    /// The list it goes to; none in a dry run.
    pub fn list(&self) -> Option<ListId> {
        self.list
    }

    /// From now on every error is kept until it is taken, beside those in the report.
    pub fn keep_errors(&mut self) {
        self.fresh = Some(Vec::new());
    }

    /// The errors since this was last called, when they are kept.
    pub fn take_errors(&mut self) -> Vec<ImportError> {
        self.fresh.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The file is over. When this returns, the leads are on disk.
    pub async fn finish(mut self) -> Result<ImportReport, ImportFailure> {
        self.end().await?;
        Ok(self.report)
    }

    /// The same, for who still wants the last errors.
    pub async fn end(&mut self) -> Result<(), ImportFailure> {
        self.csv.end();
        self.take_rows().await?;
        self.flush().await?;
        Ok(self.settle().await?)
    }

    /// Stops here. When this returns, the leads that the report counts are on disk; what was read after them is dropped.
    pub async fn stop(&mut self) -> Result<(), StoreError> {
        self.rows.clear();
        self.settle().await
    }

    /// Bytes of the file in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.csv.held()
    }

    async fn take_rows(&mut self) -> Result<(), ImportFailure> {
        while let Some(row) = self.csv.next_row().map_err(ImportFailure::File)? {
            match row {
                Ok(row) => self.rows.push(row),
                Err(error) => {
                    if let Some(fresh) = &mut self.fresh {
                        fresh.push(error.clone());
                    }
                    self.report.reject(error);
                }
            }
            if self.rows.len() >= IMPORT_BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        self.written().await?;
        let all = self.rows.len() as u64;
        if all == 0 {
            return Ok(());
        }
        let Some(list) = self.list else {
            let added = self.would_add().await?;
            self.count(all, added);
            self.rows.clear();
            return Ok(());
        };
        let (store, campaign, dedupe) = (self.store.clone(), self.campaign, self.dedupe);
        let rows = std::mem::take(&mut self.rows);
        let write = async move { store.insert_all(campaign, list, dedupe, &rows).await };
        self.writing = Some((all, tokio::spawn(write)));
        Ok(())
    }

    /// Waits for the batch that is being written.
    async fn written(&mut self) -> Result<(), StoreError> {
        let Some((all, writing)) = self.writing.take() else { return Ok(()) };
        // It ends early only with the program.
        let ended =
            |error| StoreError::Path { path: self.store.inner.path.clone(), source: io::Error::other(error) };
        let added = writing.await.map_err(ended)??;
        self.count(all, added);
        Ok(())
    }

    /// All that was written is on disk.
    async fn settle(&mut self) -> Result<(), StoreError> {
        self.written().await?;
        if self.list.is_some() {
            self.store.sync().await?;
            // Readers search a long log for each page.
            self.store.fold_beside(LOG_PAGES_IDLE);
        }
        Ok(())
    }

    fn count(&mut self, all: u64, added: u64) {
        self.report.rows += all;
        self.report.imported += added;
        self.report.duplicates += all.saturating_sub(added);
        if self.list.is_some() {
            self.store.inner.stats.imported.fetch_add(added, Relaxed);
        }
    }

    /// How many of the rows would be leads.
    async fn would_add(&mut self) -> Result<u64, StoreError> {
        let seen = match &mut self.seen {
            Some(seen) => seen,
            empty => {
                // An empty name is a database of this connection's alone, in memory until that is full
                // (sqlite.org/inmemorydb.html).
                let options = SqliteConnectOptions::new().filename("").create_if_missing(true);
                let mut own = SqliteConnection::connect_with(&options).await?;
                sqlx::query("CREATE TABLE seen (phone TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID")
                    .execute(&mut own)
                    .await?;
                empty.insert(own)
            }
        };
        let phones: Vec<&str> = self.rows.iter().map(|row| row.phone.as_str()).collect();
        let new: Vec<String> = sqlx::query_scalar(
            "INSERT INTO seen (phone) SELECT value FROM json_each($1) WHERE true \
             ON CONFLICT (phone) DO NOTHING RETURNING phone",
        )
        .bind(serde_json::to_string(&phones).unwrap_or_default())
        .fetch_all(seen)
        .await?;
        let there: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM json_each($1) AS w WHERE EXISTS (SELECT 1 FROM leads l WHERE l.phone = w.value \
             AND ($2 IS NULL OR l.campaign = $2))",
        )
        .bind(serde_json::to_string(&new).unwrap_or_default())
        // To a list that is not there yet nothing is there already but within the file.
        .bind(match self.dedupe {
            Dedupe::System => None,
            Dedupe::Campaign => Some(self.campaign.0),
            Dedupe::List => Some(i64::MIN),
        })
        .fetch_one(&self.store.inner.readers)
        .await?;
        Ok((new.len() as u64).saturating_sub(u64::try_from(there).unwrap_or_default()))
    }
}

impl From<NewLead> for Row {
    fn from(new: NewLead) -> Row {
        Row {
            phone: new.phone,
            first_name: new.first_name,
            last_name: new.last_name,
            time_zone: new.time_zone,
            country: new.country,
            state: new.state,
            consent: new.consent,
            priority: new.priority,
            phones: new.phones,
            custom: new.custom,
        }
    }
}

impl Store {
    /// Starts an import of a CSV file into a list of a campaign (made if it is new); numbers without a country code are
    /// of `country`, ISO 3166.
    pub async fn importer(
        &self,
        campaign: CampaignId,
        list: &str,
        country: &str,
    ) -> Result<Importer, StoreError> {
        self.importer_with(campaign, list, country, ImportOptions::default()).await
    }

    /// The same, read as `options` say.
    pub async fn importer_with(
        &self,
        campaign: CampaignId,
        list: &str,
        country: &str,
        options: ImportOptions,
    ) -> Result<Importer, StoreError> {
        let ImportOptions { map, dedupe, dry_run } = options;
        let list = if dry_run { None } else { Some(self.list_named(campaign, list).await?.id) };
        let csv = Csv::new(Home::new(country), map);
        let (rows, report) = (Vec::new(), ImportReport::default());
        let store = self.clone();
        let (writing, fresh, seen) = (None, None, None);
        Ok(Importer { store, campaign, list, dedupe, csv, rows, writing, report, fresh, seen })
    }

    /// Adds one lead.
    pub async fn add_lead(
        &self,
        campaign: CampaignId,
        list: &str,
        country: &str,
        lead: NewLead,
    ) -> Result<LeadRecord, StoreError> {
        let row = Row::from(lead);
        let row = row
            .check(Home::new(country))
            .map_err(|(field, message)| StoreError::Invalid { field, message })?;
        let list = self.list_named(campaign, list).await?.id;
        let rows = std::slice::from_ref(&row);
        if self.insert(campaign, list, Dedupe::Campaign, rows, Durability::Disk).await?.1 == 0 {
            return Err(StoreError::Exists { what: "a lead with this phone number" });
        }
        let mut reader = self.inner.readers.acquire().await?;
        let added = leads::lead_by_phone(&mut reader, campaign, &row.phone).await?;
        added.ok_or(StoreError::NotFound { what: "campaign", id: campaign.0 })
    }

    /// The lead of a number in a campaign; made, in that list, if there is none.
    pub async fn lead_of_number(
        &self,
        campaign: CampaignId,
        list: &str,
        country: &str,
        phone: &str,
    ) -> Result<LeadRecord, StoreError> {
        let phone = e164(phone, Home::new(country))
            .map_err(|why| StoreError::Invalid { field: "phone", message: why.to_owned() })?;
        let find = async || {
            let mut reader = self.inner.readers.acquire().await?;
            leads::lead_by_phone(&mut reader, campaign, &phone).await
        };
        if let Some(found) = find().await? {
            return Ok(found);
        }
        let new = NewLead { phone: phone.clone().into(), ..NewLead::default() };
        match self.add_lead(campaign, list, country, new).await {
            // Somebody else was faster.
            Err(StoreError::Exists { .. }) => {
                find().await?.ok_or(StoreError::NotFound { what: "campaign", id: campaign.0 })
            }
            added => added,
        }
    }

    /// A batch of an import, in as many transactions as others need to come in between. Not on the disk until the log is
    /// synced.
    async fn insert_all(
        &self,
        campaign: CampaignId,
        list: ListId,
        dedupe: Dedupe,
        rows: &[Row],
    ) -> Result<u64, StoreError> {
        let (mut added, mut rest) = (0, rows);
        while !rest.is_empty() {
            self.fold_if_long(LOG_PAGES).await;
            let began = self.inner.clock.now();
            let last_job = Time::from_millis(self.inner.last_job_ms.load(Relaxed));
            let dialing = began.since(last_job) < IDLE_AFTER;
            let most = if dialing { IMPORT_STATEMENT } else { IMPORT_BATCH };
            let some = rest.get(..most).unwrap_or(rest);
            let (taken, new) = self.insert(campaign, list, dedupe, some, Durability::Later).await?;
            added += new;
            rest = rest.get(taken..).unwrap_or_default();
            if dialing {
                tokio::time::sleep(self.inner.clock.now().since(began) * IMPORT_PAUSES).await;
            }
        }
        Ok(added)
    }

    /// As many of the rows as others have patience for. Gives how many these were, and how many leads were new.
    pub(super) async fn insert(
        &self,
        campaign: CampaignId,
        list: ListId,
        dedupe: Dedupe,
        rows: &[Row],
        durability: Durability,
    ) -> Result<(usize, u64), StoreError> {
        let first = rows.iter().map(|row| row.phone.0.as_str());
        let others = rows.iter().flat_map(|row| &row.phones).map(|(_, phone)| phone.as_str());
        let hashed = self.hashed(first.chain(others)).await?;
        self.write_with(durability, async |conn| {
            // The campaign or the list may have been deleted since the import began, or the list changed.
            live_campaign(conn, campaign).await?;
            let list =
                lists::read(conn, list).await?.ok_or(StoreError::NotFound { what: "list", id: list.0 })?;
            let last: i64 =
                sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM leads").fetch_one(&mut *conn).await?;
            let (mut added, mut taken) = (0, 0);
            for some in rows.chunks(IMPORT_STATEMENT) {
                let mut insert = statement(campaign, list.id, dedupe, some);
                added += insert.build().execute(&mut *conn).await?.rows_affected();
                taken += some.len();
                if self.inner.waiting.load(Relaxed) > 0 {
                    break;
                }
            }
            let rows = rows.get(..taken).unwrap_or_default();
            if rows.iter().any(|row| !row.phones.is_empty()) {
                other_phones(conn, &list, last, rows).await?;
            }
            if !hashed.is_empty() {
                apply::take_out(conn, &apply::numbers(&hashed)?, None).await?;
            }
            if !list.settings.is_plain() {
                lists::arrange(conn, &list, last, i64::MAX).await?;
            }
            Ok((taken, added))
        })
        .await
    }
}

pub(super) async fn live_campaign(conn: &mut SqliteConnection, id: CampaignId) -> Result<(), StoreError> {
    let live: Option<i64> = sqlx::query_scalar("SELECT id FROM campaigns WHERE id = $1 AND deleted = 0")
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    live.map(|_| ()).ok_or(StoreError::NotFound { what: "campaign", id: id.0 })
}

/// One statement for many rows. A number on the suppression list comes in as suppressed; one that is twice in a list is
/// left out (IGNORE, not an upsert: a statement that cannot fail halfway keeps no copy of the pages it changes).
fn statement(campaign: CampaignId, list: ListId, dedupe: Dedupe, rows: &[Row]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(
        "INSERT OR IGNORE INTO leads (campaign, list, phone, time_zone, priority, rank, first_name, last_name, custom, country, \
         state, consent, consent_unix_ms, consent_source, status, next_unix_ms, attempts, repeats) SELECT ",
    );
    sql.push_bind(campaign.0).push(", ").push_bind(list.0);
    sql.push(
        ", column1, column2, column3, column3, column4, column5, column6, column7, column8, column9, column10, \
         column11, CASE WHEN EXISTS (SELECT 1 FROM suppressions s WHERE s.phone = column1) \
         OR EXISTS (SELECT 1 FROM campaign_suppressions c WHERE c.phone = column1 AND c.campaign = ",
    );
    sql.push_bind(campaign.0);
    sql.push(
        ") THEN 'suppressed' ELSE 'new' END, \
         0, 0, 0 FROM (",
    );
    sql.push_values(rows, |mut values, row| {
        values
            .push_bind(row.phone.0.clone())
            .push_bind(row.time_zone.clone())
            .push_bind(i64::from(row.priority))
            .push_bind(row.first_name.0.clone())
            .push_bind(row.last_name.0.clone())
            .push_bind(custom_text(&row.custom))
            .push_bind(row.country.clone())
            .push_bind(row.state.clone())
            .push_bind(row.consent.kind.as_str())
            .push_bind(row.consent.at_unix_ms)
            .push_bind(row.consent.source.clone());
    });
    sql.push(") AS v WHERE ");
    match dedupe {
        // The index sees to it.
        Dedupe::List => sql.push("true"),
        Dedupe::Campaign => sql
            .push("NOT EXISTS (SELECT 1 FROM leads l WHERE l.phone = column1 AND l.campaign = ")
            .push_bind(campaign.0)
            .push(")"),
        Dedupe::System => sql.push("NOT EXISTS (SELECT 1 FROM leads l WHERE l.phone = column1)"),
    };
    sql
}

/// `[first phone, number, phone, kind]`
#[derive(Serialize)]
struct PhoneRow<'a>(&'a str, usize, &'a str, &'a str);

/// The phones of those of the rows that were just added, above `last`, and have several. The first one is dialed that is
/// not on the suppression list.
async fn other_phones(
    conn: &mut SqliteConnection,
    list: &ListRecord,
    last: i64,
    rows: &[Row],
) -> Result<(), StoreError> {
    let mut phones = Vec::new();
    for row in rows.iter().filter(|row| !row.phones.is_empty()) {
        let first: &str = &row.phone;
        phones.push(PhoneRow(first, 1, first, "phone"));
        let others = row.phones.iter().zip(2..);
        phones.extend(others.map(|((kind, phone), n)| PhoneRow(first, n, phone.as_str(), kind.as_str())));
    }
    let json = serde_json::to_string(&phones)
        .map_err(|e| StoreError::Invalid { field: "phones", message: e.to_string() })?;
    // A number that stood twice in the file has the phones of its first row.
    sqlx::query(
        "INSERT INTO lead_phones (lead, number, phone, kind, attempts, state) \
         SELECT l.id, w.value->>1, w.value->>2, w.value->>3, 0, \
         CASE WHEN EXISTS (SELECT 1 FROM suppressions s WHERE s.phone = w.value->>2) \
         OR EXISTS (SELECT 1 FROM campaign_suppressions c WHERE c.phone = w.value->>2 AND c.campaign = $4) \
         THEN 'suppressed' ELSE 'ok' END \
         FROM json_each($1) AS w CROSS JOIN leads AS l \
         WHERE l.phone = w.value->>0 AND l.list = $2 AND l.id > $3 ON CONFLICT (lead, number) DO NOTHING",
    )
    .bind(json)
    .bind(list.id.0)
    .bind(last)
    .bind(list.campaign.0)
    .execute(&mut *conn)
    .await?;
    let which = "SELECT lead FROM lead_phones WHERE state <> 'ok' AND lead > $1";
    apply::settle_phones(conn, which, last).await
}
