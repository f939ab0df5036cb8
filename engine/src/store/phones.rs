//! What users' SIP phones sign in with.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{PhoneSecret, Store, StoreError};
use crate::{AgentId, Pii};

impl Store {
    /// Gives a user's phone a password, in place of the one before.
    pub async fn set_phone(&self, secret: &PhoneSecret, realm: &str) -> Result<(), StoreError> {
        self.write(async |conn| {
            let known: Option<i64> = sqlx::query_scalar("SELECT id FROM users WHERE id = $1")
                .bind(secret.user.0)
                .fetch_optional(&mut *conn)
                .await?;
            if known.is_none() {
                return Err(StoreError::NotFound { what: "user", id: secret.user.0 });
            }
            sqlx::query(
                "INSERT INTO phones (user_id, realm, md5, sha256) VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) \
                 DO UPDATE SET realm = excluded.realm, md5 = excluded.md5, sha256 = excluded.sha256",
            )
            .bind(secret.user.0)
            .bind(realm)
            .bind(&secret.md5[..])
            .bind(&secret.sha256[..])
            .execute(conn)
            .await?;
            Ok(())
        })
        .await
    }

    /// Takes a user's phone its password; whether there was one.
    pub async fn remove_phone(&self, user: AgentId) -> Result<bool, StoreError> {
        self.write(async |conn| {
            let done =
                sqlx::query("DELETE FROM phones WHERE user_id = $1").bind(user.0).execute(conn).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// All phones with a password for that realm, by user.
    pub async fn phones(&self, realm: &str) -> Result<Vec<PhoneSecret>, StoreError> {
        sqlx::query(
            "SELECT p.user_id, u.username, p.md5, p.sha256 FROM phones p JOIN users u ON u.id = p.user_id \
             WHERE p.realm = $1 ORDER BY p.user_id",
        )
        .bind(realm)
        .fetch_all(&self.inner.readers)
        .await?
        .iter()
        .map(read)
        .collect()
    }
}

fn read(row: &SqliteRow) -> Result<PhoneSecret, StoreError> {
    Ok(PhoneSecret {
        user: AgentId(row.try_get(0)?),
        username: row.try_get(1)?,
        md5: Pii(hash(row, 2)?),
        sha256: Pii(hash(row, 3)?),
    })
}

fn hash<const N: usize>(row: &SqliteRow, at: usize) -> Result<[u8; N], StoreError> {
    let bytes: Vec<u8> = row.try_get(at)?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| {
        StoreError::Database(sqlx::Error::Decode(
            format!("a phone's hash has {length} bytes, not {N}").into(),
        ))
    })
}
