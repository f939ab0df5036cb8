//! The writing connection and its one transaction at a time.
//!
//! Not sqlx's own transactions: when SQLite rolls back by itself (disk full, I/O error) those count on a transaction that
//! is gone, and the connection begins no other.

use sqlx::SqliteConnection;

use super::StoreError;

/// When a transaction is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// When its commit returns.
    Disk,
    /// After the next one that is, or when the log is synced: power that fails before then undoes it.
    Later,
}

/// The writing connection.
#[derive(Debug)]
pub(super) struct WriteConnection {
    conn: SqliteConnection,
    durability: Durability,
    /// A transaction may be open. It stays so when whoever worked in it was cancelled (a client of the API that went
    /// away); the next one clears it up.
    open: bool,
}

impl WriteConnection {
    pub(super) fn new(conn: SqliteConnection) -> WriteConnection {
        WriteConnection { conn, durability: Durability::Disk, open: false }
    }

    /// Begins a transaction. IMMEDIATE: one that becomes a write later would fail at once, not wait, when the file is
    /// busy (sqlite.org/lang_transaction.html).
    pub(super) async fn begin(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.begin_with(Durability::Disk).await
    }

    /// The same, for one that need not be on the disk at once.
    pub(super) async fn begin_with(
        &mut self,
        durability: Durability,
    ) -> Result<&mut SqliteConnection, StoreError> {
        self.rollback().await;
        if durability != self.durability {
            // sqlite.org/pragma.html#pragma_synchronous: with a log, NORMAL leaves out the sync of each commit.
            let set = match durability {
                Durability::Disk => "PRAGMA synchronous = FULL",
                Durability::Later => "PRAGMA synchronous = NORMAL",
            };
            sqlx::query(set).execute(&mut self.conn).await?;
            self.durability = durability;
        }
        self.open = true;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.conn).await?;
        Ok(&mut self.conn)
    }

    /// Ends it, as durable as it was begun.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut self.conn).await?;
        self.open = false;
        Ok(())
    }

    /// Ends what is open.
    pub(super) async fn rollback(&mut self) {
        if !self.open {
            return;
        }
        // SQLite may have done so itself; then this fails, and that is fine.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.conn).await {
            tracing::debug!(%error, "nothing to roll back");
        }
        self.open = false;
    }

    /// Folds the log into the file and empties it.
    pub(super) async fn fold(&mut self) -> Result<(), StoreError> {
        self.rollback().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.conn).await?;
        Ok(())
    }
}
