//! Recordings of calls: the engine says which and when; here their sound goes to the recorder and their rows to the
//! store. What becomes of their files afterwards is the keeper's.

mod audio;
mod keep;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kraliki_media::record::{
    Channel, FileFormat, Recorder, RecorderEvent, RecorderStats, RecordingConfig, RecordingKey, TellRecorded,
};
use kraliki_media::{Audio, LegId, Tone};
use kraliki_time::{Clock, Time};
use tokio::sync::mpsc;

pub use audio::{RecordingAudio, RecordingError};
pub(super) use keep::{Keep, KeeperTask, Keeping, recover};
pub use place::BucketConfig;
pub(super) use place::Places;

use super::drive::Driver;
use super::handle::Request;
use super::line::told;
use super::random_array;
use crate::store::{NewRecording, PausedSpan, RecordingFormat};
use crate::{AgentId, AttemptId, LineEvent, TryId};

/// Samples a second: what carriers' calls have.
const RATE_HZ: u32 = 8_000;
/// The beep that says that a call is recorded: 1,400 Hz, as the FCC demanded of recorders (47 CFR 64.501) and as it is
/// known since.
const BEEP: (Tone, Duration) = (Tone::sine(1_400, 4_000), Duration::from_millis(200));
/// Words to the keeper that may wait for the store: thousands of calls that begin and end while it is busy.
const KEEPS: usize = 16_384;

/// How calls are recorded, where a campaign wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingsConfig {
    /// Where files are written. Their names below it are `YYYY-MM-DD/CALL-CHANCE.ogg` or `.wav`, with `.kvr` behind it when
    /// they are encrypted.
    pub directory: PathBuf,
    /// What is written.
    pub format: RecordingFormat,
    /// Bits a second of each channel, for Opus.
    pub bitrate_bps: u32,
    /// Whether each recording is encrypted with a key of its own.
    pub encrypt: bool,
    /// Recordings that began longer ago are deleted.
    pub keep_for: Option<Duration>,
    /// Threads that write.
    pub threads: usize,
    /// Where files go once they are whole.
    pub bucket: Option<BucketConfig>,
}

impl RecordingsConfig {
    /// Encrypted Opus that stays in this directory.
    pub fn in_directory(directory: PathBuf) -> RecordingsConfig {
        RecordingsConfig {
            directory,
            format: RecordingFormat::Opus,
            bitrate_bps: 24_000,
            encrypt: true,
            keep_for: None,
            threads: 1,
            bucket: None,
        }
    }

    fn file_format_of(&self, format: RecordingFormat) -> FileFormat {
        match format {
            RecordingFormat::Wav => FileFormat::Wav,
            RecordingFormat::Opus => FileFormat::OggOpus { bitrate_bps: self.bitrate_bps },
        }
    }

    fn file_name(&self, call: AttemptId, unix_ms: i64, chance: u32) -> String {
        let day = Timestamp::from_millisecond(unix_ms).unwrap_or_default().strftime("%Y-%m-%d");
        let ending = match self.format {
            RecordingFormat::Wav => "wav",
            RecordingFormat::Opus => "ogg",
        };
        let sealed = if self.encrypt { ".kvr" } else { "" };
        format!("{day}/{call}-{chance:08x}.{ending}{sealed}")
    }
}

/// The parts that were started for recordings.
pub(super) struct Started {
    pub(super) recorder: Recorder,
    pub(super) config: RecordingsConfig,
    pub(super) keep: mpsc::Sender<Keep>,
}

impl Started {
    /// Starts the recorder; what it tells goes to the keeper, and to the loop where a recording was lost.
    pub(super) fn new(
        config: RecordingsConfig,
        clock: Clock,
        requests: mpsc::Sender<Request>,
    ) -> std::io::Result<(Started, mpsc::Receiver<Keep>)> {
        let (keep, kept) = mpsc::channel(KEEPS);
        let keeper = keep.clone();
        let tell: TellRecorded = Arc::new(move |event| {
            if let RecorderEvent::Failed { recording, error, .. } = &event {
                tracing::error!(call = recording, error, "a recording broke off");
                let call = AttemptId(i64::try_from(*recording).unwrap_or(i64::MAX));
                // A loop that is behind learns it when the call ends.
                let _ = requests.try_send(Request::RecordingLost { call });
            }
            // The threads of the recorder may wait: their taps do not.
            if keeper.blocking_send(Keep::Over(event)).is_err() {
                tracing::error!("the end of a recording was not written down; the next start finds it");
            }
        });
        let recorder = Recorder::start(clock, config.threads, tell)?;
        Ok((Started { recorder, config, keep }, kept))
    }
}

/// A recording in progress.
struct InProgress {
    id: TryId,
    start: Time,
    /// The agent's leg, while it is heard.
    agent: Option<LegId>,
    beep: Option<Beep>,
    paused: Vec<PausedSpan>,
}

struct Beep {
    every: Duration,
    next: Time,
}

/// All recordings in progress, by call.
pub(super) struct Recordings {
    /// None where nothing can be recorded.
    parts: Option<Started>,
    in_progress: BTreeMap<AttemptId, InProgress>,
    beep: Arc<Audio>,
}

impl Recordings {
    pub(super) fn new(parts: Option<Started>) -> Recordings {
        let (tone, duration) = BEEP;
        Recordings { parts, in_progress: BTreeMap::new(), beep: Arc::new(tone.render(duration)) }
    }

    /// Ends all of them and waits until they are on the disk. The media has stopped before.
    pub(super) fn shutdown(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.recorder.shutdown();
        }
    }

    /// The number by which the recorder knows a call's recording.
    fn number(call: AttemptId) -> u64 {
        call.0.unsigned_abs()
    }
}

impl Driver {
    /// Begins to record a call that was just bridged. What goes wrong ends the recording, never the call.
    pub(super) fn begin_recording(&mut self, id: TryId, agent: AgentId, beep_s: u32) {
        if let Err(error) = self.try_recording(id, agent, beep_s) {
            tracing::error!(%id, error, "a call is not recorded");
            self.give_line(id, LineEvent::RecordingLost);
        }
    }

    fn try_recording(&mut self, id: TryId, agent: AgentId, beep_s: u32) -> Result<(), String> {
        let now = self.now();
        let parts = self.recordings.parts.as_ref().ok_or("recording is not configured")?;
        let trunk = self.lines.leg(id).ok_or("the call has no audio")?;
        let call = id.attempt;
        let unix_ms = self.shared.clock.unix_ms();
        let [serial, chance] = [(); 2].map(|()| u32::from_le_bytes(random_array()));
        let key = parts.config.encrypt.then(|| RecordingKey(random_array()));
        let file = parts.config.file_name(call, unix_ms, chance);
        let config = RecordingConfig {
            rate_hz: RATE_HZ,
            format: parts.config.file_format_of(parts.config.format),
            key: key.clone(),
            serial,
            start: now,
        };
        let format = parts.config.format;
        let new = NewRecording { call, file: file.clone(), format, key, started_unix_ms: unix_ms };
        // The row first: without its key nobody could read the file.
        parts.keep.try_send(Keep::Begin(new)).map_err(|_| "the store is behind")?;
        let number = Recordings::number(call);
        let begun = parts.recorder.begin(number, config, parts.config.directory.join(&file));
        begun.map_err(|error| error.to_string())?;
        let tap = parts.recorder.tap(number, Channel::Trunk).map_err(|error| error.to_string())?;
        told(self.media.record(trunk, tap));
        // The first beep comes when the agent's own has ended.
        let beep = (beep_s > 0)
            .then(|| Beep { every: Duration::from_secs(beep_s.into()), next: now + Duration::from_secs(1) });
        let recording = InProgress { id, start: now, agent: None, beep, paused: Vec::new() };
        self.recordings.in_progress.insert(call, recording);
        self.record_agent(id, agent);
        Ok(())
    }

    /// A call was bridged, or taken back from hold: where it is recorded, so is the agent's side from now on.
    pub(super) fn record_agent(&mut self, id: TryId, agent: AgentId) {
        let Some(parts) = &self.recordings.parts else { return };
        let Some(recording) = self.recordings.in_progress.get_mut(&id.attempt) else { return };
        let Some(leg) = self.desks.leg(agent) else { return };
        match parts.recorder.tap(Recordings::number(id.attempt), Channel::Agent) {
            Ok(tap) => {
                told(self.media.record(leg, tap));
                recording.agent = Some(leg);
            }
            Err(error) => tracing::error!(%id, %error, "an agent is not recorded"),
        }
    }

    /// A call is on hold: what its agent says meanwhile is not for the recording.
    pub(super) fn hold_recording(&mut self, id: TryId, on: bool) {
        let Some(recording) = self.recordings.in_progress.get_mut(&id.attempt) else { return };
        if on {
            if let Some(leg) = recording.agent {
                told(self.media.stop_recording(leg));
            }
        } else if let (Some(leg), Some(parts)) = (recording.agent, &self.recordings.parts)
            && let Ok(tap) = parts.recorder.tap(Recordings::number(id.attempt), Channel::Agent)
        {
            told(self.media.record(leg, tap));
        }
    }

    pub(super) fn pause_recording(&mut self, id: TryId, on: bool) {
        let now = self.now();
        let Some(parts) = &self.recordings.parts else { return };
        let Some(recording) = self.recordings.in_progress.get_mut(&id.attempt) else { return };
        if let Err(error) = parts.recorder.pause(Recordings::number(id.attempt), on) {
            tracing::error!(%id, %error, on, "a recording was not paused or resumed");
            return;
        }
        let at_ms = u64::try_from(now.since(recording.start).as_millis()).unwrap_or(u64::MAX);
        match recording.paused.last_mut().filter(|span| span.to_ms.is_none()) {
            Some(open) if !on => open.to_ms = Some(at_ms),
            None if on => recording.paused.push(PausedSpan { from_ms: at_ms, to_ms: None }),
            _ => {}
        }
        let spans = recording.paused.clone();
        if parts.keep.try_send(Keep::Paused(id.attempt, spans)).is_err() {
            tracing::warn!(%id, "the pause of a recording was not written down");
        }
    }

    /// A recording is over, or lost.
    pub(super) fn end_recording(&mut self, call: AttemptId) {
        let Some(recording) = self.recordings.in_progress.remove(&call) else { return };
        let trunk = self.lines.leg(recording.id);
        for leg in [trunk, recording.agent].into_iter().flatten() {
            told(self.media.stop_recording(leg));
        }
        if let Some(parts) = &self.recordings.parts {
            told(parts.recorder.finish(Recordings::number(call)));
        }
    }

    /// The recorder or the store could not go on with a recording: people are shown that there is none.
    pub(super) fn on_recording_lost(&mut self, call: AttemptId) {
        if let Some(id) = self.recordings.in_progress.get(&call).map(|recording| recording.id) {
            self.end_recording(call);
            self.give_line(id, LineEvent::RecordingLost);
        }
    }

    /// Lets both sides of recorded calls hear the beep, where it is due.
    pub(super) fn beep_recordings(&mut self) {
        let now = self.now();
        for recording in self.recordings.in_progress.values_mut() {
            let Some(beep) = recording.beep.as_mut().filter(|beep| beep.next <= now) else { continue };
            beep.next = now + beep.every;
            for leg in [self.lines.leg(recording.id), recording.agent].into_iter().flatten() {
                told(self.media.beep(leg, Arc::clone(&self.recordings.beep)));
            }
        }
    }
}

/// Figures of recordings, for metrics.
pub(super) struct Figures {
    recorder: Recorder,
    keeping: Arc<Keeping>,
}

impl Figures {
    pub(super) fn new(recorder: Recorder, keeping: Arc<Keeping>) -> Figures {
        Figures { recorder, keeping }
    }

    pub(super) fn recorder(&self) -> RecorderStats {
        self.recorder.stats()
    }

    pub(super) fn keeping(&self) -> &Keeping {
        &self.keeping
    }
}

#[cfg(test)]
mod tests;
