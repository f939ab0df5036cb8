//! Recordings as people hear them: read where they lie, decrypted on the way.

use std::collections::VecDeque;

use bytes::Bytes;
use kraliki_media::record::{Opener, set_wav_length};

use super::place::Source;
use crate::AttemptId;
use crate::runtime::EngineHandle;
use crate::store::{
    RecordingFormat, RecordingPhase, RecordingPlace, RecordingRecord, StoreError, StoredRecording,
};

/// Why a recording cannot be heard or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// There is none of this call.
    #[error("there is no recording of call {0}")]
    NotFound(AttemptId),
    /// The call goes on.
    #[error("call {0} is still being recorded; delete its recording when it is over")]
    InProgress(AttemptId),
    /// Its file cannot be read, or not with its key.
    #[error("the recording cannot be read: {0}")]
    Unreadable(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A recording that is being read.
pub struct RecordingAudio {
    /// What it is.
    pub record: RecordingRecord,
    source: Source,
    opener: Option<Opener>,
    ready: VecDeque<Bytes>,
    /// What the head of a WAV file is to say, while that was not given out.
    audio_bytes: Option<u64>,
    over: bool,
}

impl RecordingAudio {
    /// The sound file's next octets; none at its end. A recording that goes on ends where it is now.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RecordingError> {
        let unreadable = |error: &dyn std::fmt::Display| RecordingError::Unreadable(error.to_string());
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(Some(self.with_length(part)));
            }
            if self.over {
                return Ok(None);
            }
            let part = self.source.next().await.map_err(|error| unreadable(&error))?;
            self.over = part.is_empty();
            match &mut self.opener {
                Some(opener) => {
                    opener.handle_bytes(&part);
                    while let Some(chunk) = opener.poll_chunk().map_err(|error| unreadable(&error))? {
                        self.ready.extend((!chunk.is_empty()).then(|| Bytes::from(chunk)));
                    }
                }
                None => self.ready.extend((!part.is_empty()).then_some(part)),
            }
        }
    }

    /// An encrypted WAV file was written without its length; who hears it wants to know.
    fn with_length(&mut self, part: Bytes) -> Bytes {
        let Some(audio_bytes) = self.audio_bytes.take() else { return part };
        let mut first = part.to_vec();
        set_wav_length(&mut first, audio_bytes);
        first.into()
    }
}

impl std::fmt::Debug for RecordingAudio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingAudio").field("call", &self.record.call).finish_non_exhaustive()
    }
}

impl EngineHandle {
    /// Opens a call's recording to be heard.
    pub async fn recording_audio(&self, call: AttemptId) -> Result<RecordingAudio, RecordingError> {
        let mut moved = false;
        loop {
            let stored = self.store().recording(call).await?.ok_or(RecordingError::NotFound(call))?;
            match self.open_audio(stored).await {
                // It may have gone to the object store just now.
                Err(RecordingError::Unreadable(_)) if !std::mem::replace(&mut moved, true) => {}
                opened => return opened,
            }
        }
    }

    async fn open_audio(&self, stored: StoredRecording) -> Result<RecordingAudio, RecordingError> {
        let unreadable = |error: String| RecordingError::Unreadable(error);
        let places =
            self.shared.places.as_ref().ok_or_else(|| unreadable("recording is not configured".into()))?;
        let key = self.store().open_recording_key(&stored)?;
        let opener =
            key.as_ref().map(Opener::new).transpose().map_err(|error| unreadable(error.to_string()))?;
        let source = places.read(&stored).await.map_err(|error| {
            let place = if stored.record.place == RecordingPlace::Store { "object store" } else { "disk" };
            unreadable(format!("{place}, {}: {error}", stored.file))
        })?;
        let whole = stored.record.state != RecordingPhase::Recording && stored.audio_bytes > 44;
        let wav = stored.record.format == RecordingFormat::Wav;
        let audio_bytes = (wav && whole).then_some(stored.audio_bytes);
        let record = stored.record;
        Ok(RecordingAudio { record, source, opener, ready: VecDeque::new(), audio_bytes, over: false })
    }

    /// Deletes a recording that is over: its key at once, so that no copy of it can be read, then its file.
    pub async fn delete_recording(&self, call: AttemptId) -> Result<(), RecordingError> {
        if !self.store().erase_recording(call).await? {
            return Err(match self.store().recording(call).await? {
                Some(_) => RecordingError::InProgress(call),
                None => RecordingError::NotFound(call),
            });
        }
        if let Some(keeping) = &self.shared.keeping {
            keeping.wake();
        }
        Ok(())
    }
}
