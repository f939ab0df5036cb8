//! The log in front of the file (sqlite.org/wal.html), and how it is folded into it: on a connection of its own, beside the
//! commits. SQLite would do it in the commit that finds the log long, and that one would wait for the disk to take
//! thousands of pages.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use kraliki_time::Time;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::limits::{FOLDERS_MOST, FOLDS_MOST, LOG_LOOK, LOG_PAGES, LOG_PAGES_LEFT};
use super::{Store, StoreError, open};

#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// None once the store is closed.
    conn: Mutex<Option<SqliteConnection>>,
    /// When its length was last looked at, in ms of the clock.
    looked_ms: AtomicU64,
    /// Who looks at it beside the commits; each holds the store.
    beside: std::sync::Mutex<JoinSet<()>>,
}

impl Log {
    /// The log of a database.
    pub(super) async fn of(database: &Path) -> Result<Log, StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let conn = Mutex::new(Some(open::connect_folder(database).await?));
        Ok(Log { path: path.into(), conn, looked_ms: AtomicU64::new(0), beside: std::sync::Mutex::default() })
    }

    /// Until nobody looks at it any more.
    pub(super) async fn looked(&self) {
        let mut beside = std::mem::take(&mut *self.beside.lock().unwrap_or_else(PoisonError::into_inner));
        while beside.join_next().await.is_some() {}
    }

    pub(super) async fn close(&self) {
        self.looked().await;
        if let Some(conn) = self.conn.lock().await.take()
            && let Err(error) = conn.close().await
        {
            tracing::debug!(%error, "the log's connection was not closed");
        }
    }
}

impl Store {
    /// All that was committed is on the disk when this returns.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        sync(self.inner.log.path.clone()).await
    }

    /// After a commit: has the log looked at, now and then, without waiting for it.
    pub(super) fn log_grew(&self) {
        let (now, looked) = (self.inner.clock.now(), &self.inner.log.looked_ms);
        if now.since(Time::from_millis(looked.load(Relaxed))) < LOG_LOOK {
            return;
        }
        looked.store(now.as_millis(), Relaxed);
        self.fold_beside(LOG_PAGES);
    }

    /// Has the log folded when it is so long, without waiting for it.
    pub(super) fn fold_beside(&self, pages: i64) {
        let store = self.clone();
        let mut beside = self.inner.log.beside.lock().unwrap_or_else(PoisonError::into_inner);
        while beside.try_join_next().is_some() {}
        // One that waits for another finds nothing to do.
        if beside.len() < FOLDERS_MOST {
            beside.spawn(async move { store.fold_if_long(pages).await });
        }
    }

    /// Folds the log when it is so long; who imports waits for it, so that the log comes to an end.
    pub(super) async fn fold_if_long(&self, pages: i64) {
        if let Err(error) = self.fold(pages).await {
            tracing::warn!(%error, "the log was not folded; it is tried again");
        }
    }

    async fn fold(&self, pages: i64) -> Result<(), StoreError> {
        let mut own = self.inner.log.conn.lock().await;
        let Some(conn) = own.as_mut() else { return Ok(()) };
        let now = checkpoint(conn, "PRAGMA wal_checkpoint(NOOP)").await?;
        if now.pages < pages || now.left == 0 {
            return Ok(());
        }
        for _ in 0..FOLDS_MOST {
            if checkpoint(conn, PASSIVE).await?.left <= LOG_PAGES_LEFT {
                break;
            }
        }
        // SQLite syncs the file only with the last page of the log. Synced now, it has little to do while nobody may write.
        sync(self.inner.path.clone()).await?;
        checkpoint(conn, PASSIVE).await?;
        // The log begins again only when nothing is left of it, so nobody may write meanwhile.
        let _writer = self.inner.writer.lock().await;
        checkpoint(conn, PASSIVE).await?;
        Ok(())
    }
}

/// What was written to a file is on the disk when this returns.
async fn sync(path: PathBuf) -> Result<(), StoreError> {
    let file = path.clone();
    let synced = tokio::task::spawn_blocking(move || std::fs::File::open(file)?.sync_data()).await;
    match synced.map_err(std::io::Error::other).flatten() {
        // There is no log where nothing was written since it was folded.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(|source| StoreError::Path { path, source }),
    }
}

/// Holds nobody up (sqlite.org/pragma.html#pragma_wal_checkpoint).
const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

struct Length {
    pages: i64,
    /// Those that are not in the file yet.
    left: i64,
}

async fn checkpoint(conn: &mut SqliteConnection, how: &'static str) -> Result<Length, StoreError> {
    let (_busy, pages, folded): (i64, i64, i64) = sqlx::query_as(how).fetch_one(conn).await?;
    Ok(Length { pages, left: pages - folded })
}
