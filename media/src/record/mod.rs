//! Recording: frames of two channels in, octets of a file out. The core writes no file itself; the threads that do are
//! the [`Recorder`]'s.
//!
//! [`Recording`] is fed what each side says, with the moment at which it said it, and asked for octets about once a
//! second. What it gave out is a readable file up to its last second, however the process ends.
//!
//! Two channels stay two: the caller's side left, the agent's right, each its own Opus stream in the file, so that
//! neither is heard in the other and both can be transcribed alone.

mod driver;
mod ogg;
mod seal;
mod tap;
mod timeline;
mod wav;

pub use driver::{Recorder, RecorderEvent, RecorderStats, TellRecorded, Written, measure};
pub use seal::{Ending, Opener, RecordingKey, SealError, open};
pub use tap::Tap;
pub use timeline::{Channel, TimelineCounters};

pub use wav::set_wav_length;

use kraliki_time::Time;

use crate::codec::CodecError;
use seal::Sealer;
use timeline::Timeline;

/// What a recording's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// 16-bit PCM in WAV.
    Wav,
    /// Opus in Ogg (RFC 7845), at so many bits a second for each channel.
    OggOpus {
        /// 12,000 to 24,000 for telephone audio.
        bitrate_bps: u32,
    },
}

/// What a recording is made with.
#[derive(Clone, Debug)]
pub struct RecordingConfig {
    /// Samples a second, 8,000 or 16,000, of the frames that come and of what is recorded.
    pub rate_hz: u32,
    /// What the file is.
    pub format: FileFormat,
    /// The key that this recording alone is encrypted with; `None` leaves it plain.
    pub key: Option<RecordingKey>,
    /// A number of chance, from the seeded generator: Ogg's serial number, and part of the cipher's nonces.
    pub serial: u32,
    /// When it begins.
    pub start: Time,
}

/// Why a recording was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Neither 8 nor 16 kHz: the caller is at fault.
    #[error("recordings have 8,000 or 16,000 samples a second, not {0}")]
    Rate(u32),
    /// The codec did not start.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The cipher did not take the key.
    #[error(transparent)]
    Seal(#[from] SealError),
}

enum Writer {
    Wav(wav::Writer),
    Ogg(Box<ogg::Writer>),
}

/// A recording in progress.
pub struct Recording {
    timeline: Timeline,
    writer: Writer,
    sealer: Option<Sealer>,
    /// Interleaved samples that wait for their second to be full.
    pcm: Vec<i16>,
    second: usize,
    audio_bytes: u64,
}

impl Recording {
    /// Begins a recording.
    pub fn new(config: &RecordingConfig) -> Result<Recording, RecordError> {
        let rate_hz = config.rate_hz;
        if ![8_000, 16_000].contains(&rate_hz) {
            return Err(RecordError::Rate(rate_hz));
        }
        let writer = match config.format {
            FileFormat::Wav => Writer::Wav(wav::Writer::new(rate_hz)),
            FileFormat::OggOpus { bitrate_bps } => {
                Writer::Ogg(Box::new(ogg::Writer::new(rate_hz, bitrate_bps, config.serial)?))
            }
        };
        let sealer = config.key.as_ref().map(|key| Sealer::new(key, config.serial)).transpose()?;
        Ok(Recording {
            timeline: Timeline::new(rate_hz, config.start),
            writer,
            sealer,
            pcm: Vec::new(),
            second: rate_hz as usize * 2,
            audio_bytes: 0,
        })
    }

    /// What one side said; `at` is when its first sample was heard. Frames of a channel come in order.
    pub fn handle_frame(&mut self, channel: Channel, at: Time, samples: &[i16]) {
        self.timeline.handle_frame(channel, at, samples);
    }

    /// Leaves silence from `at` on, in both channels: card numbers are being said.
    pub fn pause(&mut self, at: Time) {
        self.timeline.pause(at);
    }

    /// Records again from `at` on.
    pub fn resume(&mut self, at: Time) {
        self.timeline.resume(at);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.timeline.is_paused()
    }

    /// What happened to frames.
    pub fn counters(&self, channel: Channel) -> TimelineCounters {
        self.timeline.counters(channel)
    }

    /// The file's next octets, in whole seconds; the first have its headers before them. `None` until there is another
    /// second: ask again about once a second, until `None`.
    pub fn poll_output(&mut self, now: Time) -> Option<Vec<u8>> {
        self.timeline.poll(now, &mut self.pcm);
        if self.pcm.len() < self.second {
            return None;
        }
        let rest = self.pcm.split_off(self.second);
        let pcm = std::mem::replace(&mut self.pcm, rest);
        let mut bytes = Vec::new();
        self.write(&pcm, &mut bytes);
        Some(self.seal(bytes, false))
    }

    /// Ends the recording at `now`, and gives the file's last octets.
    pub fn finish(mut self, now: Time) -> Finished {
        let mut bytes = Vec::new();
        self.timeline.finish(now, &mut self.pcm);
        let pcm = std::mem::take(&mut self.pcm);
        self.write(&pcm, &mut bytes);
        if let Writer::Ogg(writer) = &mut self.writer {
            let before = bytes.len();
            writer.finish(&mut bytes);
            self.audio_bytes += (bytes.len() - before) as u64;
        }
        let header = match &self.writer {
            Writer::Wav(writer) if self.sealer.is_none() => Some(writer.final_header()),
            _ => None,
        };
        Finished { bytes: self.seal(bytes, true), header, audio_bytes: self.audio_bytes }
    }

    /// Octets of sound file that were given out, before encryption.
    pub fn audio_bytes(&self) -> u64 {
        self.audio_bytes
    }

    fn write(&mut self, pcm: &[i16], bytes: &mut Vec<u8>) {
        let before = bytes.len();
        match &mut self.writer {
            Writer::Wav(writer) => writer.write(pcm, bytes),
            Writer::Ogg(writer) => writer.write(pcm, bytes),
        }
        self.audio_bytes += (bytes.len() - before) as u64;
    }

    fn seal(&mut self, bytes: Vec<u8>, last: bool) -> Vec<u8> {
        match &mut self.sealer {
            Some(sealer) => sealer.chunks(&bytes, last),
            None => bytes,
        }
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("paused", &self.is_paused()).finish_non_exhaustive()
    }
}

/// The end of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The file's last octets.
    pub bytes: Vec<u8>,
    /// What the file's first octets may be replaced with, so that a plain WAV says how long it is. It reads without that
    /// as well.
    pub header: Option<[u8; 44]>,
    /// Octets of sound file in all, before encryption.
    pub audio_bytes: u64,
}

#[cfg(test)]
mod tests;
