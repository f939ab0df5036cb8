//! Prompts that were uploaded: sounds that campaigns name as `prompt:NAME`.

use sqlx::Row;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::count;
use super::{Store, StoreError};
use crate::campaign::is_prompt_name;

/// Prompts at once: campaigns have three messages each, and the list is read whole.
const PROMPTS_MOST: i64 = 1_000;
/// The longest that is taken: a recorded message of two minutes has lost its listener. It is 1.9 MB in the store.
pub const PROMPT_SAMPLES_MOST: usize = 8_000 * 120;

/// A sound that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptRecord {
    /// Its id.
    pub id: i64,
    /// What campaigns call it: `prompt:` stands before it there.
    pub name: String,
    /// How long it plays, in ms.
    pub lasted_ms: u64,
    /// When it was uploaded, in ms since 1970.
    pub at_unix_ms: i64,
}

impl Store {
    /// Keeps a sound of 8 kHz under a new name. Two minutes at most.
    pub async fn add_prompt(
        &self,
        name: &str,
        samples: &[i16],
        at_unix_ms: i64,
    ) -> Result<PromptRecord, StoreError> {
        if !is_prompt_name(name) {
            let message = "must have 1 to 64 letters, digits, spaces, and . - _".to_owned();
            return Err(StoreError::Invalid { field: "name", message });
        }
        if samples.is_empty() || samples.len() > PROMPT_SAMPLES_MOST {
            let message = "must be a sound of two minutes at most".to_owned();
            return Err(StoreError::Invalid { field: "file", message });
        }
        let lasted_ms = samples.len() as u64 / 8;
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.write(async |conn| {
            let there: i64 = sqlx::query_scalar("SELECT count(*) FROM prompts").fetch_one(&mut *conn).await?;
            if there >= PROMPTS_MOST {
                let message = format!("there are {PROMPTS_MOST} prompts already; delete one first");
                return Err(StoreError::Invalid { field: "name", message });
            }
            let id: Option<i64> = sqlx::query_scalar(
                "INSERT INTO prompts (name, lasted_ms, at_unix_ms, samples) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO NOTHING RETURNING id",
            )
            .bind(name)
            .bind(count(lasted_ms))
            .bind(at_unix_ms)
            .bind(bytes)
            .fetch_optional(conn)
            .await?;
            let id = id.ok_or(StoreError::Exists { what: "prompt" })?;
            Ok(PromptRecord { id, name: name.to_owned(), lasted_ms, at_unix_ms })
        })
        .await
    }

    /// Every prompt, by name.
    pub async fn prompts(&self) -> Result<Vec<PromptRecord>, StoreError> {
        let rows = sqlx::query("SELECT id, name, lasted_ms, at_unix_ms FROM prompts ORDER BY name")
            .fetch_all(&self.inner.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(PromptRecord {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    lasted_ms: row.try_get::<i64, _>(2)?.unsigned_abs(),
                    at_unix_ms: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// The samples of a prompt, 8 kHz; none: there is no such prompt.
    pub async fn prompt_samples(&self, name: &str) -> Result<Option<Vec<i16>>, StoreError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT samples FROM prompts WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.inner.readers)
            .await?;
        Ok(bytes.map(|bytes| bytes.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()))
    }

    /// Deletes a prompt, unless a campaign's settings name it. False: there is none.
    pub async fn delete_prompt(&self, id: i64) -> Result<bool, StoreError> {
        self.write(async |conn| {
            let name: Option<String> = sqlx::query_scalar("SELECT name FROM prompts WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *conn)
                .await?;
            let Some(name) = name else { return Ok(false) };
            let user: Option<String> = sqlx::query_scalar(
                "SELECT settings->>'name' FROM campaigns WHERE deleted = 0 AND $1 IN \
                 (settings->>'abandon_message', settings->>'prompt', settings->>'voicemail_message', \
                  settings->>'callback_message') LIMIT 1",
            )
            .bind(format!("prompt:{name}"))
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(user) = user {
                let message = format!("is played by the campaign {user}; choose another sound there first");
                return Err(StoreError::Invalid { field: "id", message });
            }
            let done = sqlx::query("DELETE FROM prompts WHERE id = $1").bind(id).execute(conn).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }
}
