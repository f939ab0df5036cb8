//! The keeper: rows of recordings, and what becomes of their files once they are whole: uploaded, deleted when they are
//! old or erased. A crash at any moment leaves rows that say what is still to be done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use kraliki_media::record::{RecorderEvent, Written, measure};
use kraliki_time::Clock;
use tokio::sync::{Notify, mpsc};

use super::place::Places;
use super::{Recordings, RecordingsConfig};
use crate::AttemptId;
use crate::runtime::handle::Request;
use crate::store::{EndedRecording, NewRecording, PausedSpan, Store, StoreError};

/// How often files are looked after when nothing else wakes the task.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often recordings that are too old are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(3_600);
/// Rows that are worked off at once.
const ROWS: u32 = 100;

/// A word to the keeper.
#[derive(Debug)]
pub(in crate::runtime) enum Keep {
    Begin(NewRecording),
    Paused(AttemptId, Vec<PausedSpan>),
    Over(RecorderEvent),
}

/// What others see of the keeper.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Keeping {
    wake: Notify,
    /// Recordings that wait for their upload.
    pub(in crate::runtime) uploads_pending: AtomicU64,
    pub(in crate::runtime) uploaded: AtomicU64,
    pub(in crate::runtime) upload_failures: AtomicU64,
    pub(in crate::runtime) deleted: AtomicU64,
}

impl Keeping {
    /// There is something to upload or to remove.
    pub(in crate::runtime) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Writes down what a crash left: recordings in progress are over, with what their files hold.
pub(in crate::runtime) async fn recover(store: &Store, config: &RecordingsConfig) -> Result<(), StoreError> {
    for left in store.unfinished_recordings().await? {
        let (path, format) = (config.directory.join(&left.file), config.file_format_of(left.record.format));
        let encrypted = left.record.encrypted;
        let measured = tokio::task::spawn_blocking(move || measure(&path, format, encrypted)).await;
        let (written, error) = match measured {
            Ok(Ok(written)) => (written, String::new()),
            Ok(Err(error)) => (Written::default(), format!("the dialer was killed; its file: {error}")),
            Err(_) => (Written::default(), "its file could not be measured".into()),
        };
        let call = left.record.call;
        tracing::warn!(%call, lasted_s = written.lasted.as_secs(), "a recording ended with the last run");
        store.end_recording(&EndedRecording { call, written, error }).await?;
    }
    Ok(())
}

/// Writes rows until the last sender is gone.
pub(in crate::runtime) struct KeeperTask {
    pub(in crate::runtime) store: Store,
    pub(in crate::runtime) places: Places,
    pub(in crate::runtime) keep_for: Option<Duration>,
    pub(in crate::runtime) clock: Clock,
    pub(in crate::runtime) keeping: Arc<Keeping>,
    pub(in crate::runtime) requests: mpsc::Sender<Request>,
}

impl KeeperTask {
    pub(in crate::runtime) async fn run(self, mut words: mpsc::Receiver<Keep>) {
        let files = tokio::spawn(
            Files {
                store: self.store.clone(),
                places: self.places.clone(),
                keep_for: self.keep_for,
                clock: self.clock,
                keeping: Arc::clone(&self.keeping),
            }
            .run(),
        );
        // Files without a row, and so without a key.
        let mut unkept: HashMap<u64, String> = HashMap::new();
        while let Some(word) = words.recv().await {
            match word {
                Keep::Begin(new) => {
                    if let Err(error) = self.store.begin_recording(&new).await {
                        let call = new.call;
                        tracing::error!(%call, %error, "a recording cannot be kept; it is ended");
                        unkept.insert(Recordings::number(call), new.file);
                        let _ = self.requests.try_send(Request::RecordingLost { call });
                    }
                }
                Keep::Paused(call, spans) => {
                    if let Err(error) = self.store.pause_recording(call, &spans).await {
                        tracing::warn!(%call, %error, "the pause of a recording was not written down");
                    }
                }
                Keep::Over(event) => self.over(event, &mut unkept).await,
            }
        }
        // An upload that is cut off is begun anew at the next start.
        files.abort();
    }

    async fn over(&self, event: RecorderEvent, unkept: &mut HashMap<u64, String>) {
        let (number, written, error) = match event {
            RecorderEvent::Ended { recording, written } => (recording, written, String::new()),
            RecorderEvent::Failed { recording, written, error } => (recording, written, error),
            _ => return,
        };
        if let Some(file) = unkept.remove(&number) {
            if let Err(error) = self.places.remove_from_disk(&file).await {
                tracing::warn!(file, %error, "a recording that nobody can read stays on the disk");
            }
            return;
        }
        let call = AttemptId(i64::try_from(number).unwrap_or(i64::MAX));
        // What cannot be written down now is found at the next start.
        if let Err(error) = self.store.end_recording(&EndedRecording { call, written, error }).await {
            tracing::error!(%call, %error, "the end of a recording was not written down");
        }
        self.keeping.wake();
    }
}

/// Looks after files: deletes, uploads.
pub(super) struct Files {
    pub(super) store: Store,
    pub(super) places: Places,
    pub(super) keep_for: Option<Duration>,
    pub(super) clock: Clock,
    pub(super) keeping: Arc<Keeping>,
}

impl Files {
    async fn run(self) {
        let mut retention = tokio::time::interval(RETENTION_EVERY);
        loop {
            tokio::select! {
                _ = retention.tick() => report(self.forget_old().await),
                () = self.keeping.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            report(self.tidy().await);
        }
    }

    /// Erases the keys of recordings that are too old.
    pub(super) async fn forget_old(&self) -> Result<(), StoreError> {
        let Some(keep_for) = self.keep_for else { return Ok(()) };
        let keep_ms = i64::try_from(keep_for.as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.unix_ms().saturating_sub(keep_ms);
        loop {
            let erased = self.store.erase_recordings_before(before, ROWS).await?;
            if erased > 0 {
                tracing::info!(recordings = erased, "deleted as older than they are to be kept");
            }
            if erased < u64::from(ROWS) {
                return Ok(());
            }
        }
    }

    /// Removes the files of erased recordings, then uploads those that are whole. What fails is tried again later.
    pub(super) async fn tidy(&self) -> Result<(), StoreError> {
        loop {
            let mut removed = 0;
            let erased = self.store.erased_recordings(ROWS).await?;
            for recording in &erased {
                let call = recording.record.call;
                match self.places.remove(recording).await {
                    Ok(()) => {
                        self.store.forget_recording(call).await?;
                        self.keeping.deleted.fetch_add(1, Relaxed);
                        removed += 1;
                    }
                    Err(error) => {
                        tracing::warn!(%call, %error, "the file of a deleted recording is still there")
                    }
                }
            }
            // As long as there is more, and something comes of it.
            if erased.len() < ROWS as usize || removed == 0 {
                break;
            }
        }
        if self.places.has_store() {
            self.upload().await?;
        }
        Ok(())
    }

    async fn upload(&self) -> Result<(), StoreError> {
        loop {
            self.keeping.uploads_pending.store(self.store.count_recordings_on_disk().await?, Relaxed);
            let waiting = self.store.recordings_on_disk(ROWS).await?;
            let mut moved = 0;
            for recording in &waiting {
                let (call, file) = (recording.record.call, &recording.file);
                // A recording that broke off before its first octet has no file.
                let there = tokio::fs::try_exists(self.places.on_disk(file)).await.unwrap_or(true);
                if !there {
                    continue;
                }
                if let Err(error) = self.places.upload(file).await {
                    self.keeping.upload_failures.fetch_add(1, Relaxed);
                    tracing::warn!(%call, %error, "a recording was not uploaded; it stays on the disk and is tried again");
                    // The store is away, as a rule: the others would fare no better.
                    return Ok(());
                }
                self.store.recording_uploaded(call).await?;
                if let Err(error) = self.places.remove_from_disk(file).await {
                    tracing::warn!(%call, %error, "an uploaded recording stays on the disk too");
                }
                self.keeping.uploaded.fetch_add(1, Relaxed);
                moved += 1;
            }
            if moved == 0 {
                return Ok(());
            }
        }
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "recordings could not be looked after; tried again in a minute");
    }
}
