//! What can go wrong with the store, by whose fault.

use std::path::PathBuf;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Operator: the file is not a database, or one of another program.
    #[error("{}: not a Kraliki database ({reason}); name another file or move this one away", .path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// Operator: the file was written by a newer version.
    #[error("{}: its schema {found} is newer than this program's {known}; use the version that wrote it", .path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// Operator: two dialers must not share one file.
    #[error("{}: another dialer (process {pid}) uses it; stop that one or name another file", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The other process, `?` when it did not say.
        pid: String,
    },
    /// Operator: the file or its directory cannot be used.
    #[error("{}: {source}", .path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Caller: there is no such thing.
    #[error("{what} {id} does not exist")]
    NotFound {
        /// `campaign`, `lead`, `user`.
        what: &'static str,
        /// As given.
        id: i64,
    },
    /// Caller: there is one already.
    #[error("{what} exists already")]
    Exists {
        /// `user` or `lead`.
        what: &'static str,
    },
    /// Caller: a value that cannot be stored.
    #[error("{field}: {message}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The file holds something that this program did not write.
    #[error("the database holds an unreadable {what}")]
    Corrupt {
        /// Which column.
        what: &'static str,
    },
    /// What is sealed in the database does not open with the key file: it is another one, or damaged.
    #[error("{}: this is not the key that the database's secrets were sealed with; restore it from the backup, or give the passwords anew", .path.display())]
    Sealed {
        /// The key file.
        path: PathBuf,
    },
    /// The disk or the database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// How a failed statement is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This write can never be applied; others can.
    Write,
    /// The disk is full, busy or broken: the same may work later.
    Disk,
}

impl StoreError {
    /// Whether the write itself is at fault, or the place it goes to.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            StoreError::Database(sqlx::Error::Database(e)) => match primary_code(e.as_ref()) {
                // https://sqlite.org/rescode.html: ERROR, CONSTRAINT, MISMATCH, TOOBIG, RANGE are of the statement.
                Some(1 | 18 | 19 | 20 | 25) => Fault::Write,
                _ => Fault::Disk,
            },
            StoreError::Database(
                sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. },
            ) => Fault::Write,
            StoreError::Database(_) | StoreError::Path { .. } => Fault::Disk,
            _ => Fault::Write,
        }
    }

    /// Whether a unique value was there already.
    pub(crate) fn is_unique(&self) -> bool {
        matches!(self, StoreError::Database(sqlx::Error::Database(e)) if e.is_unique_violation())
    }
}

/// The low byte of SQLite's extended result code.
pub(crate) fn primary_code(e: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    e.code().and_then(|c| c.parse::<u32>().ok()).map(|c| c & 0xff)
}
