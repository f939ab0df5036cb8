//! Opening the file: one dialer only, ours only, no newer than us.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use super::StoreError;
use super::error::primary_code;
use super::limits::{BUSY_WAIT, LOG_BYTES_KEPT, LOG_PAGES_MOST, READER_WAIT};

/// The steps of the schema, in order. One that landed never changes. They are listed by hand because the macro
/// that would find them builds SQLite and half of sqlx a second time, for the compiler.
const MIGRATIONS: [(i64, &str, &str); 13] = [
    (1, "initial", include_str!("../../migrations/0001_initial.sql")),
    (2, "phones", include_str!("../../migrations/0002_phones.sql")),
    (3, "trunks", include_str!("../../migrations/0003_trunks.sql")),
    (4, "recordings", include_str!("../../migrations/0004_recordings.sql")),
    (5, "call_legs", include_str!("../../migrations/0005_call_legs.sql")),
    (6, "compliance", include_str!("../../migrations/0006_compliance.sql")),
    (7, "lists", include_str!("../../migrations/0007_lists.sql")),
    (8, "caller_ids", include_str!("../../migrations/0008_caller_ids.sql")),
    (9, "answers", include_str!("../../migrations/0009_answers.sql")),
    (10, "people", include_str!("../../migrations/0010_people.sql")),
    (11, "lead_pages", include_str!("../../migrations/0011_lead_pages.sql")),
    (12, "suppressions_of_deleted", include_str!("../../migrations/0012_suppressions_of_deleted.sql")),
    (13, "lead_pages_by_list", include_str!("../../migrations/0013_lead_pages_by_list.sql")),
];

/// "KRLK", in the header of the file (offset 68): tells our databases from others.
const APPLICATION_ID: i64 = 0x4b52_4c4b;

/// Our mark on the file: while it is held nobody else opens it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to closing: a child process that is just being started may hold the same handle for a moment.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock of the database stays until this process ends");
        }
    }
}

/// Takes the file for this process. A file of its own beside the database: locks on the database itself would be
/// SQLite's, and closing any handle to it would drop them (fcntl).
pub(super) fn lock(path: &Path) -> Result<Lock, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| StoreError::Path { path: lock_path.clone(), source };
    let mut file =
        private().read(true).write(true).create(true).truncate(false).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.take(20).read_to_string(&mut pid);
            let pid =
                if read.is_ok() && !pid.trim().is_empty() { pid.trim().to_owned() } else { "?".to_owned() };
            return Err(StoreError::InUse { path: path.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(Lock { file })
}

/// Makes the file if there is none, for nobody else's eyes: it holds people's numbers.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    match private().write(true).create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::Path { path: path.to_owned(), source }),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_WAIT)
        .foreign_keys(false)
        // Statements are counted and timed by our own metrics.
        .disable_statement_logging()
}

/// The writing connection. FULL: a commit is on the disk before it is acknowledged, power loss included. It folds the log
/// only when nobody else did.
pub(super) async fn connect_writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // 64 MB of pages. The log keeps its space on the disk: a file that grows takes longer to sync.
        .pragma("cache_size", "-65536")
        // What a statement of many rows would restore if it failed halfway: a fifth of an import was writing it to a file.
        .pragma("temp_store", "MEMORY")
        // What is deleted or replaced (a recording's key) is overwritten in its page.
        .pragma("secure_delete", "FAST")
        .pragma("wal_autocheckpoint", LOG_PAGES_MOST)
        .pragma("journal_size_limit", LOG_BYTES_KEPT)
        .optimize_on_close(true, 400);
    SqliteConnection::connect_with(&options).await.map_err(|e| explain(path, e))
}

/// The connection that folds the log into the file.
pub(super) async fn connect_folder(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path).synchronous(SqliteSynchronous::Full);
    SqliteConnection::connect_with(&options).await.map_err(|e| explain(path, e))
}

/// The readers' connections, made when they are needed.
pub(super) fn readers(path: &Path, most: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(most)
        .min_connections(0)
        .acquire_timeout(READER_WAIT)
        .connect_lazy_with(options(path).pragma("query_only", "on").pragma("cache_size", "-16384"))
}

/// Makes sure that the file is ours and brings it up to date.
pub(super) async fn migrate(path: &Path, conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let explain = |e| explain(path, e);
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(explain)?;
    if id != APPLICATION_ID {
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master")
            .fetch_one(&mut *conn)
            .await
            .map_err(explain)?;
        if id != 0 || tables != 0 {
            let reason = "a SQLite database of another program".to_owned();
            return Err(StoreError::NotADatabase { path: path.to_owned(), reason });
        }
        sqlx::query("PRAGMA application_id = 1263684683").execute(&mut *conn).await.map_err(explain)?;
    }
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        let sql = SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.into()).run(conn).await.map_err(|e| match e {
        MigrateError::VersionMissing(found) | MigrateError::VersionMismatch(found) => {
            let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default();
            if found > known {
                return StoreError::NewerSchema { path: path.to_owned(), found, known };
            }
            let reason = format!("its schema {found} is not the one this program knows");
            StoreError::NotADatabase { path: path.to_owned(), reason }
        }
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => explain(e),
        other => StoreError::Database(sqlx::Error::Migrate(Box::new(other))),
    })
}

/// SQLite's codes for what an operator can mend.
fn explain(path: &Path, e: sqlx::Error) -> StoreError {
    let sqlx::Error::Database(db) = &e else { return StoreError::Database(e) };
    let io = |text: &str| StoreError::Path {
        path: path.to_owned(),
        source: std::io::Error::other(text.to_owned()),
    };
    match primary_code(db.as_ref()) {
        Some(26) => {
            StoreError::NotADatabase { path: path.to_owned(), reason: "another kind of file".to_owned() }
        }
        Some(11) => StoreError::NotADatabase {
            path: path.to_owned(),
            reason: "a damaged file; restore a backup".to_owned(),
        },
        Some(5 | 6) => StoreError::InUse { path: path.to_owned(), pid: "?".to_owned() },
        Some(8) => io("is read-only; give this user the right to write it and its directory"),
        Some(13) => io("the disk is full"),
        Some(14) => io("cannot be opened; check the rights of the file and its directory"),
        _ => StoreError::Database(e),
    }
}

#[cfg(test)]
mod tests {
    use super::{APPLICATION_ID, MIGRATIONS};

    #[test]
    fn every_step_of_the_schema_is_listed() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files =
            directory.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.collect();
        files.sort();
        let listed = MIGRATIONS.map(|(version, name, _)| format!("{version:04}_{name}.sql"));
        assert_eq!(files, listed);
    }

    #[test]
    fn the_id_is_the_one_in_the_pragma() {
        assert_eq!(APPLICATION_ID, 1_263_684_683);
        assert_eq!(&u32::try_from(APPLICATION_ID).unwrap().to_be_bytes(), b"KRLK");
    }
}
