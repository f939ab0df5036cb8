//! Who may sign in: users, refresh tokens, secrets. Passwords and tokens come hashed.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::limits::{NAME_MOST, REUSE_GRACE_MS};
use super::{NewUser, Rotation, Store, StoreError, User};
use crate::{AgentId, Pii};

impl Store {
    /// Adds a user.
    pub async fn create_user(&self, user: NewUser) -> Result<User, StoreError> {
        let username = user.username.trim().to_lowercase();
        let fields = [("username", username.as_str()), ("name", &user.name), ("role", &user.role)];
        for (field, value) in fields {
            if value.trim().is_empty() || value.len() > NAME_MOST {
                let message = format!("must have 1 to {NAME_MOST} bytes");
                return Err(StoreError::Invalid { field, message });
            }
        }
        self.write(async |conn| {
            let id = sqlx::query_scalar(
                "INSERT INTO users (username, name, role, password_hash) VALUES ($1, $2, $3, $4) RETURNING id",
            )
            .bind(&username)
            .bind(&user.name)
            .bind(&user.role)
            .bind(&*user.password_hash)
            .fetch_one(conn)
            .await
            .map_err(|e| match StoreError::from(e) {
                e if e.is_unique() => StoreError::Exists { what: "a user with this name" },
                e => e,
            })?;
            let NewUser { name, role, password_hash, .. } = user.clone();
            Ok(User { id: AgentId(id), username: username.clone(), name, role, password_hash })
        })
        .await
    }

    /// The user who signs in by that name.
    pub async fn user_by_name(&self, username: &str) -> Result<Option<User>, StoreError> {
        sqlx::query("SELECT id, username, name, role, password_hash FROM users WHERE username = $1")
            .bind(username.trim().to_lowercase())
            .fetch_optional(&self.inner.readers)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// A user.
    pub async fn user(&self, id: AgentId) -> Result<Option<User>, StoreError> {
        let mut reader = self.inner.readers.acquire().await?;
        user(&mut reader, id.0).await
    }

    /// Every user, by id.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        sqlx::query("SELECT id, username, name, role, password_hash FROM users ORDER BY id")
            .fetch_all(&self.inner.readers)
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// A new password; every sign-in of the user ends.
    pub async fn set_password(&self, id: AgentId, password_hash: Pii<String>) -> Result<(), StoreError> {
        self.write(async |conn| {
            let done = sqlx::query("UPDATE users SET password_hash = $1 WHERE id = $2")
                .bind(&*password_hash)
                .bind(id.0)
                .execute(&mut *conn)
                .await?;
            if done.rows_affected() == 0 {
                return Err(StoreError::NotFound { what: "user", id: id.0 });
            }
            sqlx::query("DELETE FROM refresh_tokens WHERE user_id = $1").bind(id.0).execute(conn).await?;
            Ok(())
        })
        .await
    }

    /// A new sign-in: the first token of its family. Expired tokens of everybody go on the way.
    pub async fn create_refresh_token(
        &self,
        hash: &[u8],
        user: AgentId,
        now_unix_ms: i64,
        expires_unix_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(async |conn| {
            sqlx::query("DELETE FROM refresh_tokens WHERE expires_unix_ms <= $1")
                .bind(now_unix_ms)
                .execute(&mut *conn)
                .await?;
            put_token(conn, hash, user.0, hash, expires_unix_ms).await
        })
        .await
    }

    /// Changes a token for its successor. One that was used before (10 s of grace: two tabs of one browser may refresh at
    /// once) was copied by somebody, and its family ends.
    pub async fn rotate_refresh_token(
        &self,
        old_hash: &[u8],
        new_hash: &[u8],
        now_unix_ms: i64,
        expires_unix_ms: i64,
    ) -> Result<Rotation, StoreError> {
        self.write(async |conn| {
            let found: Option<(i64, Vec<u8>, i64, Option<i64>)> = sqlx::query_as(
                "SELECT user_id, family, expires_unix_ms, used_unix_ms FROM refresh_tokens WHERE hash = $1",
            )
            .bind(old_hash)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((id, family, expires, used)) = found else { return Ok(Rotation::Unknown) };
            if expires <= now_unix_ms {
                return Ok(Rotation::Unknown);
            }
            if used.is_some_and(|at| now_unix_ms.saturating_sub(at) > REUSE_GRACE_MS) {
                end_family(conn, &family).await?;
                return Ok(Rotation::Reused(AgentId(id)));
            }
            let Some(user) = user(conn, id).await? else { return Ok(Rotation::Unknown) };
            sqlx::query(
                "UPDATE refresh_tokens SET used_unix_ms = $1 WHERE hash = $2 AND used_unix_ms IS NULL",
            )
            .bind(now_unix_ms)
            .bind(old_hash)
            .execute(&mut *conn)
            .await?;
            put_token(conn, new_hash, id, &family, expires_unix_ms).await?;
            Ok(Rotation::Rotated(user))
        })
        .await
    }

    /// Sign-out: the token's whole family ends.
    pub async fn revoke_refresh_token(&self, hash: &[u8]) -> Result<(), StoreError> {
        self.write(async |conn| {
            let family: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT family FROM refresh_tokens WHERE hash = $1")
                    .bind(hash)
                    .fetch_optional(&mut *conn)
                    .await?;
            match family {
                Some(family) => end_family(conn, &family).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// The secret of that name; `make` gives it the first time.
    pub async fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Result<Pii<Vec<u8>>, StoreError> {
        let made = make();
        self.write(async |conn| {
            sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                .bind(name)
                .bind(&made)
                .execute(&mut *conn)
                .await?;
            let value = sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1").bind(name);
            Ok(Pii(value.fetch_one(conn).await?))
        })
        .await
    }
}

fn read(row: &SqliteRow) -> Result<User, StoreError> {
    Ok(User {
        id: AgentId(row.try_get(0)?),
        username: row.try_get(1)?,
        name: row.try_get(2)?,
        role: row.try_get(3)?,
        password_hash: Pii(row.try_get(4)?),
    })
}

async fn user(conn: &mut SqliteConnection, id: i64) -> Result<Option<User>, StoreError> {
    sqlx::query("SELECT id, username, name, role, password_hash FROM users WHERE id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

async fn put_token(
    conn: &mut SqliteConnection,
    hash: &[u8],
    user: i64,
    family: &[u8],
    expires_unix_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh_tokens (hash, user_id, family, expires_unix_ms) VALUES ($1, $2, $3, $4)",
    )
    .bind(hash)
    .bind(user)
    .bind(family)
    .bind(expires_unix_ms)
    .execute(conn)
    .await?;
    Ok(())
}

async fn end_family(conn: &mut SqliteConnection, family: &[u8]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM refresh_tokens WHERE family = $1").bind(family).execute(conn).await?;
    Ok(())
}
