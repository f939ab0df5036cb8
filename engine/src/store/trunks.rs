//! Trunks that were made by API.

use sqlx::{Row, SqliteConnection};

use super::apply::Applied;
use super::{Store, StoreError};
use crate::{Pii, StoredTrunk, TrunkId};

impl Store {
    /// Seals a trunk's password for the database. The key file is made at its first use.
    pub fn seal_password(&self, trunk: &str, password: &str) -> Result<Pii<Vec<u8>>, StoreError> {
        self.inner.seal.seal(&context(trunk), password.as_bytes()).map(Pii)
    }

    /// Opens what [`Store::seal_password`] has sealed for the trunk of that name.
    pub fn open_password(&self, trunk: &str, sealed: &[u8]) -> Result<Pii<String>, StoreError> {
        let opened = self.inner.seal.open(&context(trunk), sealed)?;
        String::from_utf8(opened).map(Pii).map_err(|_| StoreError::Corrupt { what: "sealed password" })
    }

    /// Every trunk that was made by API.
    pub async fn trunks(&self) -> Result<Vec<StoredTrunk>, StoreError> {
        let rows = sqlx::query(LISTED).fetch_all(&self.inner.readers).await?;
        rows.iter().map(read).collect()
    }
}

/// What a sealed password belongs to, so that it is of no use in another row.
fn context(trunk: &str) -> Vec<u8> {
    format!("trunk password: {trunk}").into_bytes()
}

const LISTED: &str = "SELECT id, name, profile, sealed FROM trunks WHERE deleted = 0 ORDER BY id";

fn read(row: &sqlx::sqlite::SqliteRow) -> Result<StoredTrunk, StoreError> {
    Ok(StoredTrunk {
        id: TrunkId(row.try_get(0)?),
        name: row.try_get(1)?,
        profile: row.try_get(2)?,
        sealed: row.try_get::<Option<Vec<u8>>, _>(3)?.map(Pii),
    })
}

/// All of them, and the next one's id.
pub(super) async fn recover(conn: &mut SqliteConnection) -> Result<(Vec<StoredTrunk>, i64), StoreError> {
    let rows = sqlx::query(LISTED).fetch_all(&mut *conn).await?;
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM trunks").fetch_one(conn).await?;
    let next = last.map_or(TrunkId::FIRST_STORED.0, |last| last + 1);
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, next))
}

pub(super) async fn put(conn: &mut SqliteConnection, trunk: &StoredTrunk) -> Result<Applied, StoreError> {
    let done = sqlx::query(
        "INSERT INTO trunks (id, name, profile, sealed, deleted) VALUES ($1, $2, $3, $4, 0) \
         ON CONFLICT (id) DO UPDATE SET profile = excluded.profile, sealed = excluded.sealed \
         WHERE trunks.deleted = 0",
    )
    .bind(trunk.id.0)
    .bind(&trunk.name)
    .bind(&trunk.profile)
    .bind(trunk.sealed.as_ref().map(|sealed| &sealed[..]))
    .execute(conn)
    .await?;
    Ok(if done.rows_affected() == 0 { Applied::Refused } else { Applied::Done })
}

pub(super) async fn delete(conn: &mut SqliteConnection, id: TrunkId) -> Result<Applied, StoreError> {
    sqlx::query("UPDATE trunks SET deleted = 1, profile = '', sealed = NULL WHERE id = $1")
        .bind(id.0)
        .execute(conn)
        .await?;
    Ok(Applied::Done)
}
