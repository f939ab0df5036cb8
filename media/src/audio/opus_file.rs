//! Ogg Opus files (RFC 7845), as prompts are uploaded: one stream of one or two channels.

use std::io::Cursor;

use audiopus::coder::Decoder;
use audiopus::{Channels, MutSignals, SampleRate};
use ogg::PacketReader;

use super::SoundError;
use crate::codec::SAMPLE_RATE_HZ;
use crate::limits::AUDIO_SAMPLES;

/// The clock of the format, whatever is coded (RFC 7845 §4): six units are one of our samples.
const UNITS: u64 = 48_000 / SAMPLE_RATE_HZ as u64;
/// The longest packet has 120 ms.
const MOST_IN_PACKET: usize = SAMPLE_RATE_HZ as usize * 120 / 1_000;

/// The samples of a file, at 8 kHz.
pub(super) fn read(file: &[u8]) -> Result<Vec<i16>, SoundError> {
    let mut packets = PacketReader::new(Cursor::new(file));
    let mut next = || packets.read_packet().map_err(|_| SoundError::Broken);
    let head = next()?.ok_or(SoundError::Broken)?;
    if head.data.starts_with(b"\x01vorbis") {
        return Err(SoundError::Vorbis);
    }
    let (serial, pre_skip) = (head.stream_serial(), pre_skip(&head.data)?);
    // The library makes one channel of two itself.
    let mut decoder = Decoder::new(SampleRate::Hz8000, Channels::Mono).map_err(|_| SoundError::Decoder)?;
    let (mut samples, mut end, mut tags) = (Vec::new(), 0, true);
    let mut decoded = vec![0; MOST_IN_PACKET];
    while let Some(packet) = next()?.filter(|packet| packet.stream_serial() == serial) {
        // Behind the head stand the comments (§5.2).
        if std::mem::take(&mut tags) {
            continue;
        }
        let (Ok(data), Ok(out)) =
            (packet.data.as_slice().try_into(), MutSignals::try_from(decoded.as_mut_slice()))
        else {
            return Err(SoundError::Broken);
        };
        let count = decoder.decode(Some(data), out, false).map_err(|_| SoundError::Broken)?;
        samples.extend(decoded.iter().take(count));
        end = end.max(packet.absgp_page());
        if samples.len() > AUDIO_SAMPLES {
            return Err(SoundError::TooLong);
        }
    }
    // The last page says how much of the last packet counts (§4.4).
    let whole = usize::try_from(end / UNITS).unwrap_or(usize::MAX);
    samples.truncate(whole);
    let skipped = samples.get(pre_skip..).unwrap_or_default().to_vec();
    if skipped.is_empty() { Err(SoundError::Broken) } else { Ok(skipped) }
}

/// Samples to be left out at the beginning, from the identification header (§5.1).
fn pre_skip(head: &[u8]) -> Result<usize, SoundError> {
    let [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1..=15, channels, low, high, ..] = *head else {
        return Err(SoundError::Unknown);
    };
    // A family other than 0 may hold several streams: there it says how many.
    let family = head.get(18).copied().unwrap_or(0);
    let streams = if family == 0 { 1 } else { head.get(19).copied().unwrap_or(0) };
    if channels == 0 || channels > 2 || streams != 1 {
        return Err(SoundError::Streams);
    }
    Ok(usize::from(u16::from_le_bytes([low, high])) / UNITS as usize)
}

#[cfg(test)]
mod tests {
    use audiopus::Application;
    use audiopus::coder::Encoder;
    use ogg::writing::{PacketWriteEndInfo, PacketWriter};

    use super::*;
    use crate::audio::tests::energy;
    use crate::audio::{Audio, Tone};

    /// A file of that many ms of a tone, as an encoder writes it.
    fn file(ms: u64, channels: Channels, hz: u32) -> Vec<u8> {
        let tone = Tone::sine(hz, 10_000).render(std::time::Duration::from_millis(ms));
        let encoder = Encoder::new(SampleRate::Hz8000, channels, Application::Audio).unwrap();
        let count = channels as usize;
        let mut pages = PacketWriter::new(Vec::new());
        let mut write = |data: Vec<u8>, end, granule| pages.write_packet(data, 7, end, granule).unwrap();
        let pre_skip = 312u16;
        let mut head = b"OpusHead\x01".to_vec();
        head.push(count as u8);
        head.extend(pre_skip.to_le_bytes());
        head.extend([0; 7]);
        write(head, PacketWriteEndInfo::EndPage, 0);
        write(b"OpusTags\0\0\0\0\0\0\0\0".to_vec(), PacketWriteEndInfo::EndPage, 0);
        let total = u64::from(pre_skip) + ms * 48;
        let packets = total.div_ceil(960);
        for n in 0..packets {
            let frame: Vec<i16> = (0..160usize)
                .map(|at| tone.samples().get(n as usize * 160 + at).copied().unwrap_or(0))
                .flat_map(|sample| std::iter::repeat_n(sample, count))
                .collect();
            let mut coded = [0; 1_500];
            let len = encoder.encode(&frame, &mut coded).unwrap();
            let (end, granule) = if n + 1 == packets {
                (PacketWriteEndInfo::EndStream, total)
            } else {
                (PacketWriteEndInfo::NormalPacket, (n + 1) * 960)
            };
            write(coded[..len].to_vec(), end, granule);
        }
        pages.into_inner()
    }

    #[test]
    fn one_and_two_channels_with_their_length() {
        for channels in [Channels::Mono, Channels::Stereo] {
            for ms in [500, 1_230] {
                let audio = Audio::read(&file(ms, channels, 1_000)).unwrap();
                assert_eq!(audio.samples().len() as u64, ms * 8);
                let level = energy(&audio.samples()[800..3_000]).sqrt() * 2f64.sqrt();
                assert!((8_000.0..12_000.0).contains(&level), "{level}");
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let whole = file(300, Channels::Mono, 700);
        for cut in [0, 3, 4, 30, 60, whole.len() / 2] {
            assert!(Audio::read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut several = whole.clone();
        several[28 + 9] = 6;
        assert!(Audio::read(&several).is_err());
        let vorbis = |data: &[u8]| {
            let mut pages = PacketWriter::new(Vec::new());
            pages.write_packet(data.to_vec(), 1, PacketWriteEndInfo::EndStream, 0).unwrap();
            Audio::read(&pages.into_inner())
        };
        assert_eq!(vorbis(b"\x01vorbis\0\0"), Err(SoundError::Vorbis));
        assert_eq!(vorbis(b"Speex   1.2"), Err(SoundError::Unknown));
        assert_eq!(Audio::read(b"ID3\x04"), Err(SoundError::Unknown));
    }
}
