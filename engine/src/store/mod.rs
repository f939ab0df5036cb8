//! The store: everything that outlives the process.
//!
//! An embedded SQLite file: WAL, one writing connection, `BEGIN IMMEDIATE`, `synchronous=FULL`; readers have connections
//! of their own. The engine's writes go through a [`Writer`] in order and many to a transaction; imports and the API's
//! few writes take turns with it on the same connection, in short transactions. The SQL keeps to what Postgres
//! understands too, but for the rows that a round of the writer passes as JSON.

mod apply;
mod called_back;
mod caller_ids;
mod erase;
mod error;
mod import;
mod imports;
mod leads;
mod legs;
mod limits;
mod lists;
mod log;
mod national;
mod open;
mod people;
mod phones;
mod prompts;
mod queue;
mod record;
mod recordings;
mod recover;
mod refill;
mod round;
mod row;
mod seal;
mod stats;
mod transaction;
mod trunks;
mod usage;
mod users;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use kraliki_time::Clock;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{Mutex, MutexGuard};

pub use erase::Erased;
pub use error::StoreError;
pub use import::{ImportFailure, Importer};
pub use imports::{ImportRecord, ImportState};
use limits::{READERS, REFILLS};
use log::Log;
pub use national::{NumberList, NumbersImport, NumbersReport};
pub use prompts::{PROMPT_SAMPLES_MOST, PromptRecord};
pub use queue::QueuePlace;
pub use record::{
    CallDetail, CallFilter, CallPart, CallRecord, DispositionRecord, EndedRecording, LeadFilter, LeadRecord,
    ListRecord, MachineCheck, NewLead, NewRecording, NewUser, Orphan, Page, PausedSpan, PhoneSecret,
    RecordingFilter, RecordingFormat, RecordingPhase, RecordingPlace, RecordingRecord, Recovered, Rotation,
    StoredRecording, Suppression, TryRecord, User,
};
pub use stats::{COMMIT_BUCKETS_US, StoreStats};
use transaction::{Durability, WriteConnection};
pub use writer::{Job, QueueFull, StoreEvent, Writer, WriterTask};

/// A handle; clones share one file.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Fair: whoever waits longest is next, so an import's batches and the writer's take turns.
    writer: Mutex<WriteConnection>,
    readers: SqlitePool,
    /// For refills: they wait for no page of the console.
    refills: SqlitePool,
    log: Log,
    stats: Arc<StoreStats>,
    clock: Clock,
    seal: seal::Seal,
    path: std::path::PathBuf,
    /// How many wait for the writing connection, imports left out: these give it up then.
    waiting: AtomicU32,
    /// When the writer got its last job, in ms of the clock; imports make room for it.
    last_job_ms: AtomicU64,
    /// Released last.
    _lock: open::Lock,
}

impl Inner {
    /// The writing connection, for somebody who is waited for.
    async fn turn(&self) -> MutexGuard<'_, WriteConnection> {
        // Also when this is dropped halfway (a client of the API that went away).
        struct Waiting<'a>(&'a AtomicU32);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        self.writer.lock().await
    }
}

impl Store {
    /// Opens the file, makes it if there is none, and brings it up to date. One process at a time.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let lock = open::lock(path)?;
        open::create(path)?;
        let mut writer = open::connect_writer(path).await?;
        open::migrate(path, &mut writer).await?;
        crate::lead::phone::warm_up();
        let inner = Inner {
            writer: Mutex::new(WriteConnection::new(writer)),
            readers: open::readers(path, READERS),
            refills: open::readers(path, REFILLS),
            log: Log::of(path).await?,
            stats: Arc::default(),
            clock: Clock::start(),
            seal: seal::Seal::beside(path),
            path: path.to_owned(),
            waiting: AtomicU32::new(0),
            last_job_ms: AtomicU64::new(0),
            _lock: lock,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// What the store counts.
    pub fn stats(&self) -> &Arc<StoreStats> {
        &self.inner.stats
    }

    /// Closes what a crash left open and gives the engine what it must know. Once, before the writer starts.
    pub async fn recover(&self, now_unix_ms: i64) -> Result<Recovered, StoreError> {
        self.write(async |conn| recover::recover(conn, now_unix_ms).await).await
    }

    /// The engine's way in: a queue of `bound` jobs and the task that works it off. `on_event` is called in the order of
    /// the jobs, refills excepted, which are read beside the writes; it must not block. One at a time.
    pub fn writer(
        &self,
        bound: usize,
        on_event: impl Fn(StoreEvent) + Send + Sync + 'static,
    ) -> (Writer, WriterTask) {
        WriterTask::new(Arc::clone(&self.inner), bound, Arc::new(on_event))
    }

    /// Ends reading and writing, and folds the log back into the file. Other handles fail from now on.
    pub async fn close(self) {
        self.inner.readers.close().await;
        self.inner.refills.close().await;
        self.inner.log.close().await;
        let mut conn = self.inner.writer.lock().await;
        if let Err(error) = conn.fold().await {
            tracing::warn!(%error, "the log stays beside the database; the next start reads it");
        }
    }

    /// A short transaction in turn with the writer's. Whatever fails in it, nothing of it stays.
    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write_with(Durability::Disk, work).await
    }

    async fn write_with<T>(
        &self,
        durability: Durability,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = match durability {
            Durability::Disk => self.inner.turn().await,
            Durability::Later => self.inner.writer.lock().await,
        };
        let result = async {
            let done = work(conn.begin_with(durability).await?).await?;
            conn.commit().await?;
            Ok(done)
        }
        .await;
        if result.is_err() {
            conn.rollback().await;
        }
        drop(conn);
        self.log_grew();
        result
    }
}
