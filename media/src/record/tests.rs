use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::codec::tests::{snr_db, speech};
use crate::level::rms;

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn config(format: FileFormat, key: Option<RecordingKey>) -> RecordingConfig {
    RecordingConfig { rate_hz: 8_000, format, key, serial: 77, start: ms(0) }
}

/// A call of three seconds: the caller speaks all the time, the agent from the second second on. Gives the octets second
/// by second, the end, and what was said.
fn record(config: &RecordingConfig) -> (Vec<Vec<u8>>, Finished, Vec<i16>) {
    let said = speech(8_000, 3);
    let mut recording = Recording::new(config).unwrap();
    let mut seconds = Vec::new();
    for (n, frame) in said.chunks_exact(160).enumerate() {
        let at = ms(n as u64 * 20);
        recording.handle_frame(Channel::Trunk, at, frame);
        if n >= 50 {
            recording.handle_frame(Channel::Agent, at, frame);
        }
        seconds.extend(std::iter::from_fn(|| recording.poll_output(at)));
    }
    let finished = recording.finish(ms(3_000));
    (seconds, finished, said)
}

/// The channels of a WAV file, as a reader takes them that trusts the length only as far as there are octets.
fn wav_channels(file: &[u8]) -> (Vec<i16>, Vec<i16>) {
    assert_eq!((&file[..4], &file[8..16], &file[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    assert_eq!((file[22], u32::from_le_bytes(file[24..28].try_into().unwrap())), (2, 8_000));
    let len = u32::from_le_bytes(file[40..44].try_into().unwrap()) as usize;
    let data = &file[44..];
    let data = &data[..len.min(data.len())];
    let channel = |at: usize| {
        data.chunks_exact(4).map(|f| i16::from_le_bytes([f[at], f[at + 1]])).collect::<Vec<i16>>()
    };
    (channel(0), channel(2))
}

#[test]
fn a_wav_file_reads_at_every_second_and_at_its_end() {
    let (seconds, finished, said) = record(&config(FileFormat::Wav, None));
    assert_eq!(seconds.len(), 2);
    let mut file = seconds.concat();
    let (left, right) = wav_channels(&file);
    assert_eq!((left.len(), &left[..]), (16_000, &said[..16_000]));
    assert_eq!((rms(&right[..8_000]), &right[8_000..]), (0.0, &said[8_000..16_000]));
    file.extend_from_slice(&finished.bytes);
    file[..44].copy_from_slice(&finished.header.unwrap());
    assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize, file.len() - 8);
    let (left, right) = wav_channels(&file);
    assert_eq!(left, said);
    assert_eq!(right[8_000..], said[8_000..]);
}

#[test]
fn an_encrypted_file_that_was_cut_plays_up_to_its_last_second() {
    let key = RecordingKey([9; 32]);
    let (seconds, finished, said) = record(&config(FileFormat::Wav, Some(key.clone())));
    assert_eq!(finished.header, None);
    let mut file = seconds.concat();
    let cut = &file[..file.len() - 5];
    let (plain, ending) = open(&key, cut).unwrap();
    assert_eq!(ending, Ending::Truncated);
    assert_eq!(wav_channels(&plain).0, said[..8_000]);
    file.extend_from_slice(&finished.bytes);
    let (plain, ending) = open(&key, &file).unwrap();
    assert_eq!((ending, wav_channels(&plain).0), (Ending::Complete, said));
}

/// The channels of an Ogg/Opus file, decoded; and the granule positions of its pages.
fn opus_channels(file: &[u8]) -> (Vec<i16>, Vec<i16>, Vec<u64>) {
    use audiopus::coder::Decoder;
    use audiopus::{Channels, SampleRate};
    let mut reader = ::ogg::PacketReader::new(Cursor::new(file));
    let head = reader.read_packet().unwrap().unwrap();
    assert_eq!(&head.data[..10], b"OpusHead\x01\x02");
    assert_eq!(head.data[18..], [1, 2, 0, 0, 1]);
    let pre_skip = u64::from(u16::from_le_bytes([head.data[10], head.data[11]]));
    let tags = reader.read_packet().unwrap().unwrap();
    assert!(tags.data.starts_with(b"OpusTags") && tags.last_in_page());
    let mut decoders = [(); 2].map(|()| Decoder::new(SampleRate::Hz8000, Channels::Mono).unwrap());
    let mut channels = [Vec::new(), Vec::new()];
    let (mut granules, mut end) = (Vec::new(), 0);
    while let Ok(Some(packet)) = reader.read_packet() {
        // RFC 6716 appendix B: the first stream has its length behind its first octet.
        let data = &packet.data;
        let (len, at) = match data[1] {
            short @ ..=251 => (usize::from(short), 2),
            long => (usize::from(data[2]) * 4 + usize::from(long), 3),
        };
        let left: Vec<u8> = [&data[..1], &data[at..at + len]].concat();
        for (n, part) in [&left[..], &data[at + len..]].into_iter().enumerate() {
            let mut out = [0i16; 160];
            let packet = Some(part.try_into().unwrap());
            assert_eq!(decoders[n].decode(packet, (&mut out[..]).try_into().unwrap(), false), Ok(160));
            channels[n].extend_from_slice(&out);
        }
        if packet.last_in_page() {
            granules.push(packet.absgp_page());
            end = packet.absgp_page();
        }
    }
    let [left, right] = channels.map(|samples| {
        let from = (pre_skip / 6) as usize;
        samples[from..((end / 6) as usize).min(samples.len())].to_vec()
    });
    (left, right, granules)
}

#[test]
fn an_opus_file_has_a_page_a_second_and_keeps_its_sides_apart() {
    let (seconds, finished, said) = record(&config(FileFormat::OggOpus { bitrate_bps: 24_000 }, None));
    let mut file = seconds.concat();
    let (left, _, granules) = opus_channels(&file);
    assert_eq!(granules, [48_000, 96_000]);
    assert!(left.len() > 15_900);
    file.extend_from_slice(&finished.bytes);
    let (left, right, granules) = opus_channels(&file);
    // As long as what was said, to the sample.
    assert_eq!((left.len(), right.len(), granules.len()), (24_000, 24_000, 4));
    let db = snr_db(&said, &left, 8);
    assert!(db > 3.0, "{db:.1} dB");
    assert!(snr_db(&said[8_000..], &right[8_000..], 8) > 3.0);
    // Of the caller alone, nothing is heard on the agent's side.
    assert!(rms(&right[..7_500]) < 2.0, "{}", rms(&right[..7_500]));
}

#[test]
fn short_and_odd_recordings() {
    for format in [FileFormat::Wav, FileFormat::OggOpus { bitrate_bps: 16_000 }] {
        let mut recording = Recording::new(&config(format, None)).unwrap();
        recording.handle_frame(Channel::Agent, ms(0), &[100; 77]);
        assert_eq!(recording.poll_output(ms(100)), None);
        let file = recording.finish(ms(10)).bytes;
        let len = match format {
            FileFormat::Wav => wav_channels(&file).0.len(),
            FileFormat::OggOpus { .. } => opus_channels(&file).0.len(),
        };
        assert_eq!(len, 80);
        // Nothing at all is a file as well.
        assert!(Recording::new(&config(format, None)).unwrap().finish(ms(0)).bytes.len() >= 44);
    }
    let odd = RecordingConfig { rate_hz: 11_025, ..config(FileFormat::Wav, None) };
    assert_eq!(Recording::new(&odd).err(), Some(RecordError::Rate(11_025)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever moments frames have: the file is as long as the recording, and nothing overflows.
    #[test]
    fn any_moments_are_survived(
        steps in proptest::collection::vec((any::<bool>(), 0u64..20_000, 0usize..400, 0u8..20), 1..40),
    ) {
        let mut recording = Recording::new(&config(FileFormat::Wav, None)).unwrap();
        let (mut now, mut file) = (0u64, Vec::new());
        for (trunk, jump, len, kind) in steps {
            now += jump % 90;
            let at = match kind {
                0 => ms(jump),
                1 => Time::MAX,
                _ => ms(now),
            };
            let channel = if trunk { Channel::Trunk } else { Channel::Agent };
            recording.handle_frame(channel, at, &vec![1; len]);
            match kind {
                2 => recording.pause(at),
                3 => recording.resume(at),
                _ => {}
            }
            while let Some(bytes) = recording.poll_output(ms(now)) {
                file.extend_from_slice(&bytes);
            }
        }
        file.extend_from_slice(&recording.finish(ms(now)).bytes);
        prop_assert_eq!(file.len(), 44 + now as usize * 8 * 4);
    }

    #[test]
    fn any_octets_are_refused_or_read(mut file in proptest::collection::vec(any::<u8>(), 0..200), begun in any::<bool>()) {
        if begun {
            file.splice(0..0, *b"KVR\x01");
        }
        let _ = open(&RecordingKey([1; 32]), &file);
    }
}
