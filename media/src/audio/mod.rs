//! Sound to be played: samples at 8 kHz, made or read once and shared by every leg that plays them.

mod opus_file;
mod speech;
mod tone;
mod wav;

pub use speech::Voice;
pub use tone::Tone;
pub use wav::WavError;

pub(crate) use tone::{digit_tone, sine};

use std::time::Duration;

use crate::codec::SAMPLE_RATE_HZ;
use crate::limits::AUDIO_SAMPLES;
use crate::sdp::AudioCodec;

/// Why a sound file cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoundError {
    /// A WAV file with something wrong.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// Neither WAV nor Ogg Opus.
    #[error("it is neither WAV nor Ogg Opus; convert it, for example: ffmpeg -i FILE -ar 48000 sound.wav")]
    Unknown,
    /// Ogg Vorbis.
    #[error("it is Ogg Vorbis, which is not read; convert it: ffmpeg -i FILE -c:a libopus sound.ogg")]
    Vorbis,
    /// More than one stream, or than two channels.
    #[error("it has more than two channels")]
    Streams,
    /// It ends in the middle, or was damaged.
    #[error("the file is damaged or incomplete")]
    Broken,
    /// Longer than ten minutes.
    #[error("it is longer than ten minutes")]
    TooLong,
    /// The Opus library does not start.
    #[error("the Opus library does not start")]
    Decoder,
}

/// A piece of sound. It is kept as samples and in both laws, so that playing it is a copy; share it by `Arc`.
#[derive(Clone, PartialEq, Eq)]
pub struct Audio {
    samples: Box<[i16]>,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
}

impl Audio {
    /// Sound from samples at 8 kHz; what is beyond ten minutes is cut.
    pub fn from_samples(mut samples: Vec<i16>) -> Audio {
        samples.truncate(AUDIO_SAMPLES);
        let encode = |codec: AudioCodec| {
            let mut bytes = vec![0; samples.len()].into_boxed_slice();
            codec.coder().map(|coder| coder.encode(&samples, &mut bytes));
            bytes
        };
        Audio {
            pcmu: encode(AudioCodec::Pcmu),
            pcma: encode(AudioCodec::Pcma),
            samples: samples.into_boxed_slice(),
        }
    }

    /// Reads a WAV file: 16-bit PCM of one or two channels at 8 to 48 kHz, or µ-law or A-law of one. This is no work for the
    /// path of a call: it is resampled and encoded here, once.
    pub fn from_wav(file: &[u8]) -> Result<Audio, WavError> {
        wav::read(file).map(Audio::from_samples)
    }

    /// Reads a sound file: WAV as [`Audio::from_wav`] does, or Ogg Opus of one or two channels.
    pub fn read(file: &[u8]) -> Result<Audio, SoundError> {
        let samples = match file {
            [b'R', b'I', b'F', b'F', ..] => wav::read(file)?,
            [b'O', b'g', b'g', b'S', ..] => opus_file::read(file)?,
            _ => return Err(SoundError::Unknown),
        };
        Ok(Audio::from_samples(samples))
    }

    /// Silence.
    pub fn silence(duration: Duration) -> Audio {
        Audio::from_samples(vec![0; samples_of(duration)])
    }

    /// The short sound that tells an agent of a call.
    pub fn beep() -> Audio {
        Tone::sine(1_000, 8_000).render(Duration::from_millis(160))
    }

    /// Something like speech: syllables, words and pauses of the given voice. The same voice says the same.
    pub fn speech(voice: Voice, duration: Duration) -> Audio {
        Audio::from_samples(speech::speak(voice, samples_of(duration)))
    }

    /// A voicemail greeting: some seconds of speech, a pause, and the beep of 1 kHz.
    pub fn voicemail_greeting(voice: Voice) -> Audio {
        let mut samples = speech::speak(voice, samples_of(Duration::from_millis(5_500)));
        samples.extend(std::iter::repeat_n(0, samples_of(Duration::from_millis(600))));
        samples.extend_from_slice(Tone::sine(1_000, 9_000).render(Duration::from_millis(500)).samples());
        Audio::from_samples(samples)
    }

    /// Its samples at 8 kHz.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(SAMPLE_RATE_HZ))
    }

    /// Its bytes in a law of G.711; none for the other codecs, which encode its samples as they go.
    pub(crate) fn encoded(&self, codec: AudioCodec) -> &[u8] {
        match codec {
            AudioCodec::Pcmu => &self.pcmu,
            AudioCodec::Pcma => &self.pcma,
            AudioCodec::G722 | AudioCodec::Opus | AudioCodec::L16 => &[],
        }
    }
}

impl std::fmt::Debug for Audio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audio").field("duration", &self.duration()).finish_non_exhaustive()
    }
}

fn samples_of(duration: Duration) -> usize {
    let samples = duration.as_millis() * u128::from(SAMPLE_RATE_HZ) / 1_000;
    usize::try_from(samples).unwrap_or(AUDIO_SAMPLES).min(AUDIO_SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_ends_with_its_beep() {
        let greeting = Audio::voicemail_greeting(Voice::new(3));
        let samples = greeting.samples();
        let beep = &samples[samples.len() - 3_000..];
        let pause = &samples[samples.len() - 8_000..samples.len() - 4_200];
        assert!(energy(beep) > 1e6);
        assert!(energy(pause) < 1.0);
    }

    #[test]
    fn both_laws_hold_the_same_sound() {
        let audio = Audio::beep();
        assert_eq!(audio.duration(), Duration::from_millis(160));
        for codec in AudioCodec::G711 {
            let mut back = vec![0; audio.samples().len()];
            codec.coder().unwrap().decode(audio.encoded(codec), &mut back);
            for (a, b) in back.iter().zip(audio.samples()) {
                assert!((i32::from(*a) - i32::from(*b)).abs() <= 512);
            }
        }
    }

    pub(super) fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len().max(1) as f64
    }
}
