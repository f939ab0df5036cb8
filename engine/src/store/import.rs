//! Lists into the store: batches in short transactions, between which attempts and dispositions go.

use std::sync::atomic::Ordering::Relaxed;

use kraliki_time::Time;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::limits::{IDLE_AFTER, IMPORT_BATCH, IMPORT_BATCH_IDLE, IMPORT_STATEMENT};
use super::row::custom_text;
use super::{LeadRecord, NewLead, Store, StoreError, leads};
use crate::lead::import::{Csv, ImportError, ImportReport, Row};
use crate::lead::phone::{Home, e164};
use crate::{CampaignId, ListId};

/// An import in progress: feed it the file in pieces of any size, then finish. Dropping it ends the import; what was
/// taken until then stays, and importing the file again adds the rest.
#[derive(Debug)]
pub struct Importer {
    store: Store,
    campaign: CampaignId,
    list: ListId,
    csv: Csv,
    rows: Vec<Row>,
    report: ImportReport,
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
    pub(super) fn new(store: Store, campaign: CampaignId, list: ListId, country: &str) -> Importer {
        let csv = Csv::new(Home::new(country));
        Importer { store, campaign, list, csv, rows: Vec::new(), report: ImportReport::default() }
    }

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

    /// The file is over. When this returns, the leads are on disk.
    pub async fn finish(mut self) -> Result<ImportReport, ImportFailure> {
        self.csv.end();
        self.take_rows().await?;
        self.flush().await?;
        Ok(self.report)
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
                Err(error) => self.report.reject(error),
            }
            if self.rows.len() >= self.batch() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Rows for one transaction: few while calls are dialed.
    fn batch(&self) -> usize {
        let inner = &self.store.inner;
        let last_job = Time::from_millis(inner.last_job_ms.load(Relaxed));
        if inner.clock.now().since(last_job) < IDLE_AFTER { IMPORT_BATCH } else { IMPORT_BATCH_IDLE }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        // The lock is fair: a commit that waits goes before the next batch.
        let added = self.store.insert(self.campaign, self.list, &self.rows).await?;
        let all = self.rows.len() as u64;
        self.report.rows += all;
        self.report.imported += added;
        self.report.duplicates += all.saturating_sub(added);
        self.store.inner.stats.imported.fetch_add(added, Relaxed);
        self.rows.clear();
        Ok(())
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
        let list = self.list(campaign, list).await?;
        Ok(Importer::new(self.clone(), campaign, list, country))
    }

    /// Adds one lead.
    pub async fn add_lead(
        &self,
        campaign: CampaignId,
        list: &str,
        country: &str,
        lead: NewLead,
    ) -> Result<LeadRecord, StoreError> {
        let NewLead {
            phone,
            first_name,
            last_name,
            time_zone,
            country: lives,
            state,
            consent,
            priority,
            custom,
        } = lead;
        let row =
            Row { phone, first_name, last_name, time_zone, country: lives, state, consent, priority, custom };
        let row = row
            .check(Home::new(country))
            .map_err(|(field, message)| StoreError::Invalid { field, message })?;
        let list = self.list(campaign, list).await?;
        if self.insert(campaign, list, std::slice::from_ref(&row)).await? == 0 {
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

    async fn list(&self, campaign: CampaignId, name: &str) -> Result<ListId, StoreError> {
        let name = match name.trim() {
            "" => "default",
            name => name,
        };
        if name.len() > super::limits::NAME_MOST {
            let message = format!("is longer than {} bytes", super::limits::NAME_MOST);
            return Err(StoreError::Invalid { field: "list", message });
        }
        self.write(async |conn| {
            live_campaign(conn, campaign).await?;
            sqlx::query(
                "INSERT INTO lists (campaign, name) VALUES ($1, $2) ON CONFLICT (campaign, name) DO NOTHING",
            )
            .bind(campaign.0)
            .bind(name)
            .execute(&mut *conn)
            .await?;
            let id = sqlx::query_scalar("SELECT id FROM lists WHERE campaign = $1 AND name = $2")
                .bind(campaign.0)
                .bind(name)
                .fetch_one(conn)
                .await?;
            Ok(ListId(id))
        })
        .await
    }

    async fn insert(&self, campaign: CampaignId, list: ListId, rows: &[Row]) -> Result<u64, StoreError> {
        let hashed = self.hashed(rows.iter().map(|row| row.phone.0.as_str())).await?;
        self.write(async |conn| {
            // The campaign may have been deleted since the import began.
            live_campaign(conn, campaign).await?;
            let mut added = 0;
            for rows in rows.chunks(IMPORT_STATEMENT) {
                added += statement(campaign, list, rows).build().execute(&mut *conn).await?.rows_affected();
            }
            for phone in &hashed {
                sqlx::query(
                    "UPDATE leads SET status = 'suppressed' WHERE phone = $1 AND status <> 'suppressed'",
                )
                .bind(phone)
                .execute(&mut *conn)
                .await?;
            }
            Ok(added)
        })
        .await
    }
}

async fn live_campaign(conn: &mut SqliteConnection, id: CampaignId) -> Result<(), StoreError> {
    let live: Option<i64> = sqlx::query_scalar("SELECT id FROM campaigns WHERE id = $1 AND deleted = 0")
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    live.map(|_| ()).ok_or(StoreError::NotFound { what: "campaign", id: id.0 })
}

/// One statement for many rows. A number on the suppression list comes in as suppressed.
fn statement(campaign: CampaignId, list: ListId, rows: &[Row]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(
        "INSERT INTO leads (campaign, list, phone, time_zone, priority, first_name, last_name, custom, country, \
         state, consent, consent_unix_ms, consent_source, status, next_unix_ms, attempts, repeats) SELECT ",
    );
    sql.push_bind(campaign.0).push(", ").push_bind(list.0);
    sql.push(
        ", column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11, \
         CASE WHEN EXISTS (SELECT 1 FROM suppressions s WHERE s.phone = column1) \
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
    // "WHERE true" parts the SELECT from the ON of the upsert (sqlite.org/lang_upsert.html).
    sql.push(") AS v WHERE true ON CONFLICT (phone, campaign) DO NOTHING");
    sql
}
