//! Recordings: where they lie, what they are read with, what became of them.

use kraliki_media::record::RecordingKey;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::leads::{page, page_limit};
use super::row::count;
use super::{
    EndedRecording, NewRecording, Page, PausedSpan, RecordingFilter, RecordingFormat, RecordingPhase,
    RecordingPlace, RecordingRecord, Store, StoreError, StoredRecording,
};
use crate::{AgentId, AttemptId, CampaignId};

/// The columns of `record` and `stored`, in their order.
const COLUMNS: &str = "SELECT r.call, a.campaign, a.agent, r.state, r.place, r.format, r.encrypted, r.started_unix_ms, \
     r.lasted_ms, r.bytes, r.paused, r.error, r.file, r.sealed_key, r.audio_bytes \
     FROM recordings r JOIN attempts a ON a.id = r.call";

impl Store {
    /// A recording begins. Its key is sealed here; without the row nobody can ever read the file.
    pub async fn begin_recording(&self, new: &NewRecording) -> Result<(), StoreError> {
        let sealed =
            new.key.as_ref().map(|key| self.inner.seal.seal(&context(new.call), &key.0)).transpose()?;
        self.write(async |conn| {
            let done = sqlx::query(
                "INSERT INTO recordings (call, state, place, file, format, encrypted, sealed_key, started_unix_ms, \
                 lasted_ms, bytes, audio_bytes, paused, error) \
                 VALUES ($1, 'recording', 'disk', $2, $3, $4, $5, $6, 0, 0, 0, '[]', '') ON CONFLICT (call) DO NOTHING",
            )
            .bind(new.call.0)
            .bind(&new.file)
            .bind(format_text(new.format))
            .bind(i64::from(sealed.is_some()))
            .bind(sealed)
            .bind(new.started_unix_ms)
            .execute(conn)
            .await?;
            if done.rows_affected() == 0 { Err(StoreError::Exists { what: "recording" }) } else { Ok(()) }
        })
        .await
    }

    /// What was paused so far.
    pub async fn pause_recording(&self, call: AttemptId, paused: &[PausedSpan]) -> Result<(), StoreError> {
        self.write(async |conn| {
            sqlx::query("UPDATE recordings SET paused = $2 WHERE call = $1")
                .bind(call.0)
                .bind(serde_json::to_string(paused).unwrap_or_default())
                .execute(conn)
                .await?;
            Ok(())
        })
        .await
    }

    /// A recording is over.
    pub async fn end_recording(&self, ended: &EndedRecording) -> Result<(), StoreError> {
        let state = if ended.error.is_empty() { "ended" } else { "failed" };
        self.write(async |conn| {
            sqlx::query(
                "UPDATE recordings SET state = $2, lasted_ms = $3, bytes = $4, audio_bytes = $5, error = $6 \
                 WHERE call = $1 AND state = 'recording'",
            )
            .bind(ended.call.0)
            .bind(state)
            .bind(count(u64::try_from(ended.written.lasted.as_millis()).unwrap_or(u64::MAX)))
            .bind(count(ended.written.bytes))
            .bind(count(ended.written.audio_bytes))
            .bind(&ended.error)
            .execute(conn)
            .await?;
            Ok(())
        })
        .await
    }

    /// A call's recording, if there is one.
    pub async fn recording(&self, call: AttemptId) -> Result<Option<StoredRecording>, StoreError> {
        let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(COLUMNS);
        sql.push(" WHERE r.state <> 'erased' AND r.call = ").push_bind(call.0);
        sql.build().fetch_optional(&self.inner.readers).await?.as_ref().map(stored).transpose()
    }

    /// The key of a recording; none when it is not encrypted.
    pub fn open_recording_key(
        &self,
        recording: &StoredRecording,
    ) -> Result<Option<RecordingKey>, StoreError> {
        let Some(sealed) = &recording.sealed_key else { return Ok(None) };
        let opened = self.inner.seal.open(&context(recording.record.call), sealed)?;
        let key = opened.try_into().map_err(|_| StoreError::Corrupt { what: "recording's key" })?;
        Ok(Some(RecordingKey(key)))
    }

    /// Recordings, newest first.
    pub async fn recordings(&self, filter: RecordingFilter) -> Result<Page<RecordingRecord>, StoreError> {
        let limit = page_limit(filter.limit);
        let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(COLUMNS);
        sql.push(" WHERE r.state <> 'erased' AND r.call < ")
            .push_bind(filter.before.map_or(i64::MAX, |id| id.0));
        if let Some(campaign) = filter.campaign {
            sql.push(" AND a.campaign = ").push_bind(campaign.0);
        }
        if let Some(agent) = filter.agent {
            sql.push(" AND a.agent = ").push_bind(agent.0);
        }
        sql.push(" ORDER BY r.call DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = sql.build().fetch_all(&self.inner.readers).await?;
        let items = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        Ok(page(items, limit, |recording| recording.call.0))
    }

    /// Recordings that a crash left in progress.
    pub async fn unfinished_recordings(&self) -> Result<Vec<StoredRecording>, StoreError> {
        self.some_recordings(" WHERE r.state = 'recording' ORDER BY r.call", None).await
    }

    /// Recordings that lie on the disk and are over, oldest first.
    pub async fn recordings_on_disk(&self, limit: u32) -> Result<Vec<StoredRecording>, StoreError> {
        self.some_recordings(
            " WHERE r.place = 'disk' AND r.state IN ('ended', 'failed') ORDER BY r.call LIMIT ",
            Some(i64::from(limit)),
        )
        .await
    }

    /// How many of these there are.
    pub async fn count_recordings_on_disk(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM recordings WHERE place = 'disk' AND state IN ('ended', 'failed')",
        )
        .fetch_one(&self.inner.readers)
        .await?;
        Ok(count.unsigned_abs())
    }

    /// A recording lies in the object store now.
    pub async fn recording_uploaded(&self, call: AttemptId) -> Result<(), StoreError> {
        self.write(async |conn| {
            sqlx::query("UPDATE recordings SET place = 'store' WHERE call = $1")
                .bind(call.0)
                .execute(conn)
                .await?;
            Ok(())
        })
        .await
    }

    /// Erases the key of a recording that is over, so that nobody can read it any more, wherever its copies are. The row
    /// stays until [`Store::forget_recording`], for the file to be removed. False when there is none that is over.
    pub async fn erase_recording(&self, call: AttemptId) -> Result<bool, StoreError> {
        self.write(async |conn| {
            let done = sqlx::query(
                "UPDATE recordings SET state = 'erased', sealed_key = NULL, paused = '[]', error = '' \
                 WHERE call = $1 AND state IN ('ended', 'failed')",
            )
            .bind(call.0)
            .execute(conn)
            .await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// As [`Store::erase_recording`], for all that are over and began before that time, so many at most. Gives how many.
    pub async fn erase_recordings_before(&self, unix_ms: i64, limit: u32) -> Result<u64, StoreError> {
        self.write(async |conn| {
            let done = sqlx::query(
                "UPDATE recordings SET state = 'erased', sealed_key = NULL, paused = '[]', error = '' WHERE call IN \
                 (SELECT call FROM recordings WHERE started_unix_ms < $1 AND state IN ('ended', 'failed') LIMIT $2)",
            )
            .bind(unix_ms)
            .bind(i64::from(limit))
            .execute(conn)
            .await?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// Recordings whose files are to be removed.
    pub async fn erased_recordings(&self, limit: u32) -> Result<Vec<StoredRecording>, StoreError> {
        self.some_recordings(" WHERE r.state = 'erased' ORDER BY r.call LIMIT ", Some(i64::from(limit))).await
    }

    /// The file of an erased recording is gone.
    pub async fn forget_recording(&self, call: AttemptId) -> Result<(), StoreError> {
        self.write(async |conn| {
            sqlx::query("DELETE FROM recordings WHERE call = $1 AND state = 'erased'")
                .bind(call.0)
                .execute(conn)
                .await?;
            Ok(())
        })
        .await
    }

    async fn some_recordings(
        &self,
        which: &'static str,
        limit: Option<i64>,
    ) -> Result<Vec<StoredRecording>, StoreError> {
        let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(COLUMNS);
        sql.push(which);
        if let Some(limit) = limit {
            sql.push_bind(limit);
        }
        sql.build().fetch_all(&self.inner.readers).await?.iter().map(stored).collect()
    }
}

/// What a sealed key belongs to, so that it is of no use in another row.
fn context(call: AttemptId) -> Vec<u8> {
    format!("recording key: {call}").into_bytes()
}

const fn format_text(format: RecordingFormat) -> &'static str {
    match format {
        RecordingFormat::Opus => "opus",
        RecordingFormat::Wav => "wav",
    }
}

fn record(row: &SqliteRow) -> Result<RecordingRecord, StoreError> {
    let corrupt = |what| StoreError::Corrupt { what };
    Ok(RecordingRecord {
        call: AttemptId(row.try_get(0)?),
        campaign: CampaignId(row.try_get(1)?),
        agent: row.try_get::<Option<i64>, _>(2)?.map(AgentId),
        state: match row.try_get(3)? {
            "recording" => RecordingPhase::Recording,
            "ended" | "erased" => RecordingPhase::Ended,
            "failed" => RecordingPhase::Failed,
            _ => return Err(corrupt("recording's state")),
        },
        place: match row.try_get(4)? {
            "disk" => RecordingPlace::Disk,
            "store" => RecordingPlace::Store,
            _ => return Err(corrupt("recording's place")),
        },
        format: match row.try_get(5)? {
            "opus" => RecordingFormat::Opus,
            "wav" => RecordingFormat::Wav,
            _ => return Err(corrupt("recording's format")),
        },
        encrypted: row.try_get::<i64, _>(6)? != 0,
        started_unix_ms: row.try_get(7)?,
        lasted_ms: row.try_get::<i64, _>(8)?.unsigned_abs(),
        bytes: row.try_get::<i64, _>(9)?.unsigned_abs(),
        paused: serde_json::from_str(row.try_get(10)?).map_err(|_| corrupt("recording's pauses"))?,
        error: row.try_get(11)?,
    })
}

fn stored(row: &SqliteRow) -> Result<StoredRecording, StoreError> {
    Ok(StoredRecording {
        record: record(row)?,
        file: row.try_get(12)?,
        sealed_key: row.try_get(13)?,
        audio_bytes: row.try_get::<i64, _>(14)?.unsigned_abs(),
    })
}
