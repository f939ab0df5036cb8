//! Imports that run by themselves: how far they are, and what came of them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use utoipa::ToSchema;

use super::limits::IMPORTS_LISTED;
use super::{Store, StoreError, row};
use crate::lead::import::ImportError;
use crate::{CampaignId, ListId};

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// The file comes in.
    Receiving,
    /// Its lines are read.
    Running,
    /// All of it was read.
    Done,
    /// It cannot be read, or the store failed; the message says why.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// The dialer was stopped meanwhile.
    Interrupted,
}

impl ImportState {
    const ALL: [ImportState; 6] = [
        ImportState::Receiving,
        ImportState::Running,
        ImportState::Done,
        ImportState::Failed,
        ImportState::Cancelled,
        ImportState::Interrupted,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            ImportState::Receiving => "receiving",
            ImportState::Running => "running",
            ImportState::Done => "done",
            ImportState::Failed => "failed",
            ImportState::Cancelled => "cancelled",
            ImportState::Interrupted => "interrupted",
        }
    }

    /// Whether it goes on.
    pub const fn is_open(self) -> bool {
        matches!(self, ImportState::Receiving | ImportState::Running)
    }
}

/// An import. What was imported before it failed or was stopped stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportRecord {
    /// Its id.
    pub id: i64,
    /// Into which campaign.
    pub campaign: CampaignId,
    /// Into which list; none: a dry run, which writes nothing, or not begun.
    pub list: Option<ListId>,
    /// The file's name.
    pub name: String,
    /// Whether it only says what would come of it.
    pub dry_run: bool,
    /// How far it is.
    pub state: ImportState,
    /// When it began, in ms since 1970.
    pub started_unix_ms: i64,
    /// When it ended.
    pub ended_unix_ms: Option<i64>,
    /// Bytes of the file, as far as they came in.
    pub bytes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Lines with data so far: imported, there already, and rejected ones.
    pub rows: u64,
    /// Leads added, or that would be.
    pub imported: u64,
    /// Numbers that are there already.
    pub duplicates: u64,
    /// Lines not taken.
    pub rejected: u64,
    /// Why it failed; else empty.
    pub message: String,
    /// Why lines were not taken: the first 50. The file of errors has all.
    pub errors: Vec<ImportError>,
}

impl Store {
    /// A directory of this store's own, `kraliki.db-imports` for `kraliki.db`.
    pub fn imports_directory(&self) -> PathBuf {
        let mut name = self.inner.path.as_os_str().to_owned();
        name.push("-imports");
        PathBuf::from(name)
    }

    /// A new import, receiving.
    pub async fn create_import(
        &self,
        campaign: CampaignId,
        name: &str,
        dry_run: bool,
        now_unix_ms: i64,
    ) -> Result<ImportRecord, StoreError> {
        let id = self
            .write(async |conn| {
                super::import::live_campaign(conn, campaign).await?;
                let id = sqlx::query_scalar(
                    "INSERT INTO imports (campaign, name, dry_run, state, started_unix_ms, bytes, read_bytes, rows, \
                     imported, duplicates, rejected, message, errors) \
                     VALUES ($1, $2, $3, 'receiving', $4, 0, 0, 0, 0, 0, 0, '', '[]') RETURNING id",
                )
                .bind(campaign.0)
                .bind(name)
                .bind(i64::from(dry_run))
                .bind(now_unix_ms)
                .fetch_one(conn)
                .await?;
                Ok(id)
            })
            .await?;
        self.import(id).await?.ok_or(StoreError::NotFound { what: "import", id })
    }

    /// How an import stands now.
    pub async fn put_import(&self, import: &ImportRecord) -> Result<(), StoreError> {
        let errors = serde_json::to_string(&import.errors).unwrap_or_else(|_| "[]".into());
        self.write(async |conn| {
            sqlx::query(
                "UPDATE imports SET list = $2, state = $3, ended_unix_ms = $4, bytes = $5, read_bytes = $6, rows = $7, \
                 imported = $8, duplicates = $9, rejected = $10, message = $11, errors = $12 WHERE id = $1",
            )
            .bind(import.id)
            .bind(import.list.map(|list| list.0))
            .bind(import.state.as_str())
            .bind(import.ended_unix_ms)
            .bind(row::count(import.bytes))
            .bind(row::count(import.read_bytes))
            .bind(row::count(import.rows))
            .bind(row::count(import.imported))
            .bind(row::count(import.duplicates))
            .bind(row::count(import.rejected))
            .bind(&import.message)
            .bind(&errors)
            .execute(conn)
            .await?;
            Ok(())
        })
        .await
    }

    /// An import.
    pub async fn import(&self, id: i64) -> Result<Option<ImportRecord>, StoreError> {
        let found =
            sqlx::query("SELECT * FROM imports WHERE id = $1").bind(id).fetch_optional(&self.inner.readers);
        found.await?.as_ref().map(record).transpose()
    }

    /// A campaign's last imports, newest first.
    pub async fn imports(&self, campaign: CampaignId) -> Result<Vec<ImportRecord>, StoreError> {
        sqlx::query("SELECT * FROM imports WHERE campaign = $1 ORDER BY id DESC LIMIT $2")
            .bind(campaign.0)
            .bind(IMPORTS_LISTED)
            .fetch_all(&self.inner.readers)
            .await?
            .iter()
            .map(record)
            .collect()
    }
}

/// After a start: what was under way is over.
pub(super) async fn interrupt(conn: &mut SqliteConnection, now_unix_ms: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE imports SET state = 'interrupted', ended_unix_ms = $1 WHERE state IN ('receiving', 'running')",
    )
    .bind(now_unix_ms)
    .execute(conn)
    .await?;
    Ok(())
}

fn record(row: &SqliteRow) -> Result<ImportRecord, StoreError> {
    let state: &str = row.try_get("state")?;
    let count =
        |name: &str| Ok::<u64, StoreError>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default());
    Ok(ImportRecord {
        id: row.try_get("id")?,
        campaign: CampaignId(row.try_get("campaign")?),
        list: row.try_get::<Option<i64>, _>("list")?.map(ListId),
        name: row.try_get("name")?,
        dry_run: row.try_get::<i64, _>("dry_run")? != 0,
        state: ImportState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or(StoreError::Corrupt { what: "import's state" })?,
        started_unix_ms: row.try_get("started_unix_ms")?,
        ended_unix_ms: row.try_get("ended_unix_ms")?,
        bytes: count("bytes")?,
        read_bytes: count("read_bytes")?,
        rows: count("rows")?,
        imported: count("imported")?,
        duplicates: count("duplicates")?,
        rejected: count("rejected")?,
        message: row.try_get("message")?,
        errors: serde_json::from_str(row.try_get("errors")?)
            .map_err(|_| StoreError::Corrupt { what: "import's errors" })?,
    })
}
