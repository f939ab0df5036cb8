//! WAV files, as prompts are uploaded: 16-bit PCM of one or two channels at any usual rate, or G.711 at 8 kHz.

use crate::codec::SAMPLE_RATE_HZ;
use crate::limits::WAV_BYTES;
use crate::resample;
use crate::sdp::AudioCodec;

/// Why a WAV file cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// It is no WAV file, or cut off in its headers.
    #[error("not a WAV file")]
    NotWav,
    /// Longer than ten minutes.
    #[error("the file is longer than ten minutes")]
    TooLong,
    /// A format that is not read.
    #[error(
        "unsupported format (tag {tag}, {channels} channels, {rate_hz} Hz, {bits} bits): \
         use one or two channels of 16-bit PCM at 8 to 48 kHz, or one of A-law or u-law at 8 kHz"
    )]
    Unsupported {
        /// The format tag: 1 is PCM, 6 A-law, 7 µ-law.
        tag: u16,
        /// Channels.
        channels: u16,
        /// Sample rate.
        rate_hz: u32,
        /// Bits in a sample.
        bits: u16,
    },
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

/// The samples of a file, at 8 kHz.
pub(super) fn read(file: &[u8]) -> Result<Vec<i16>, WavError> {
    if file.len() > WAV_BYTES {
        return Err(WavError::TooLong);
    }
    let (riff, mut rest) = file.split_at_checked(12).ok_or(WavError::NotWav)?;
    if !riff.starts_with(b"RIFF") || !riff.ends_with(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [id @ .., l0, l1, l2, l3] = *head;
        let len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        // Programs that write as they record leave the length at its greatest: take what is there.
        let chunk = body.get(..len).unwrap_or(body);
        match &id {
            b"fmt " => format = Some(read_format(chunk).ok_or(WavError::NotWav)?),
            b"data" => return read_samples(format.ok_or(WavError::NotWav)?, chunk),
            _ => {}
        }
        // Chunks start at even places.
        rest = body.get(len.saturating_add(len & 1)..).unwrap_or_default();
    }
    Err(WavError::NotWav)
}

fn read_format(chunk: &[u8]) -> Option<Format> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*chunk.get(at..)?.first_chunk()?));
    let rate_hz = u32::from_le_bytes(*chunk.get(4..)?.first_chunk()?);
    let mut tag = u16_at(0)?;
    if tag == 0xfffe {
        // WAVE_FORMAT_EXTENSIBLE: the tag stands in front of the sub-format's GUID.
        tag = u16_at(24)?;
    }
    Some(Format { tag, channels: u16_at(2)?, rate_hz, bits: u16_at(14)? })
}

fn read_samples(format: Format, data: &[u8]) -> Result<Vec<i16>, WavError> {
    let law = |codec: AudioCodec| {
        let mut samples = vec![0; data.len()];
        codec.coder().map(|coder| coder.decode(data, &mut samples));
        samples
    };
    let samples = match (format.tag, format.channels, format.bits) {
        (1, 1, 16) => data.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect(),
        (1, 2, 16) => data.as_chunks().0.iter().map(mean).collect(),
        (6, 1, 8) => law(AudioCodec::Pcma),
        (7, 1, 8) => law(AudioCodec::Pcmu),
        _ => return Err(unsupported(format)),
    };
    match format.rate_hz {
        8_000..=48_000 => {
            resample::whole(&samples, format.rate_hz, SAMPLE_RATE_HZ).map_err(|_| unsupported(format))
        }
        _ => Err(unsupported(format)),
    }
}

/// Both channels as one.
fn mean([l0, l1, r0, r1]: &[u8; 4]) -> i16 {
    let sum = i32::from(i16::from_le_bytes([*l0, *l1])) + i32::from(i16::from_le_bytes([*r0, *r1]));
    (sum / 2) as i16
}

fn unsupported(format: Format) -> WavError {
    let Format { tag, channels, rate_hz, bits } = format;
    WavError::Unsupported { tag, channels, rate_hz, bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::energy;

    fn wav(tag: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        file.extend_from_slice(&16u32.to_le_bytes());
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&1u16.to_le_bytes());
        file.extend_from_slice(&rate_hz.to_le_bytes());
        file.extend_from_slice(&[0; 6]);
        file.extend_from_slice(&bits.to_le_bytes());
        file.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        file.extend_from_slice(b"data");
        file.extend_from_slice(&(data.len() as u32).to_le_bytes());
        file.extend_from_slice(data);
        file
    }

    #[test]
    fn formats() {
        assert_eq!(read(&wav(1, 8_000, 16, &[1, 0, 0xff, 0xff, 7])), Ok(vec![1, -1]));
        assert_eq!(read(&wav(7, 8_000, 8, &[0xff, 0x80])), Ok(vec![0, 32_124]));
        assert_eq!(read(&wav(6, 8_000, 8, &[0xd5])), Ok(vec![8]));
        assert!(matches!(
            read(&wav(1, 96_000, 16, &[0; 4])),
            Err(WavError::Unsupported { rate_hz: 96_000, .. })
        ));
        assert!(matches!(read(&wav(3, 8_000, 32, &[])), Err(WavError::Unsupported { tag: 3, .. })));
        assert_eq!(read(b"RIFF"), Err(WavError::NotWav));
        let whole = wav(1, 8_000, 16, &[0; 100]);
        for cut in 0..whole.len() {
            let _ = read(&whole[..cut]);
        }
    }

    #[test]
    fn other_rates_keep_their_length_and_do_not_fold() {
        let heard = |rate_hz: u32, hz: f64| {
            let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
            let sample = |n: u32| ((f64::from(n) * step).sin() * 10_000.0) as i16;
            let bytes: Vec<u8> = (0..rate_hz).flat_map(|n| sample(n).to_le_bytes()).collect();
            let read = read(&wav(1, rate_hz, 16, &bytes)).unwrap();
            assert_eq!(read.len(), 8_000, "{rate_hz} Hz");
            energy(&read[800..7_200]).sqrt() / (10_000.0 / 2f64.sqrt())
        };
        for rate_hz in [11_025, 16_000, 22_050, 24_000, 44_100, 48_000] {
            for hz in [300.0, 1_000.0, 3_000.0] {
                let level = heard(rate_hz, hz);
                assert!((0.95..1.05).contains(&level), "{hz} of {rate_hz} Hz passes with {level}");
            }
            let level = heard(rate_hz, 5_200.0);
            assert!(level < 0.05, "{rate_hz} Hz folds back with {level}");
        }
    }

    #[test]
    fn two_channels_become_one() {
        let mut file = wav(1, 8_000, 16, &[100, 0, 200, 0, 0, 0x80, 0, 0x80]);
        file[22] = 2;
        assert_eq!(read(&file), Ok(vec![150, i16::MIN]));
    }
}
