use super::*;
use crate::audio::{Audio, Voice};

/// Speech at a rate.
pub(crate) fn speech(rate_hz: u32, seconds: u64) -> Vec<i16> {
    let audio = Audio::speech(Voice::new(5), std::time::Duration::from_secs(seconds));
    // Between two samples lies their mean: enough for speech, and quicker than a resampler in an unoptimised test.
    let between = usize::try_from(rate_hz / 8_000).unwrap();
    let samples = audio.samples();
    let next = samples.iter().skip(1).chain([&0]);
    let pairs = samples.iter().zip(next).map(|(a, b)| (i32::from(*a), i32::from(*b)));
    let part = |a: i32, b: i32, n: usize| (a + (b - a) * n as i32 / between as i32) as i16;
    pairs.flat_map(|(a, b)| (0..between).map(move |n| part(a, b, n))).collect()
}

/// Signal to noise in dB, at the best of the given delays.
pub(crate) fn snr_db(from: &[i16], to: &[i16], max_delay: usize) -> f64 {
    (0..=max_delay)
        .map(|delay| {
            let pairs = from.iter().zip(to.get(delay..).unwrap_or_default());
            let (mut signal, mut noise) = (1.0, 1.0);
            for (a, b) in pairs {
                signal += f64::from(*a).powi(2);
                noise += (f64::from(*a) - f64::from(*b)).powi(2);
            }
            10.0 * (signal / noise).log10()
        })
        .fold(f64::MIN, f64::max)
}

#[test]
fn silence_decodes_to_silence() {
    for codec in AudioCodec::G711 {
        let mut samples = [1i16; 4];
        let coder = codec.coder().unwrap();
        assert_eq!(coder.decode(&[coder.silence(); 4], &mut samples), 4);
        assert!(samples.iter().all(|s| s.abs() <= 8), "{samples:?}");
    }
}

#[test]
fn every_codec_carries_speech_in_packets_of_20_ms() {
    let policy = OpusPolicy { bitrate_bps: 32_000, ..OpusPolicy::default() };
    for (codec, payload_len, floor_db) in [
        (AudioCodec::Pcmu, Some(160), 30.0),
        (AudioCodec::Pcma, Some(160), 30.0),
        (AudioCodec::G722, Some(160), 15.0),
        (AudioCodec::L16, Some(640), 90.0),
        (AudioCodec::Opus, None, 6.0),
    ] {
        let mut encoder = encoder(codec, &policy).unwrap();
        let mut decoder = decoder(codec, &policy).unwrap();
        let rate = encoder.rate_hz();
        assert_eq!(decoder.rate_hz(), rate);
        let frame = rate as usize / 50;
        let from = speech(rate, 1);
        let (mut to, mut payload, mut out) = (Vec::new(), [0; 1_500], [0; MAX_PACKET_SAMPLES]);
        for samples in from.chunks_exact(frame) {
            let len = encoder.encode(samples, &mut payload).unwrap();
            assert!(payload_len.is_none_or(|wanted| len == wanted), "{codec}: {len} octets");
            let payload = &payload[..len];
            assert_eq!(decoder.duration(payload), codec.clock_hz() / 50, "{codec}");
            assert_eq!(decoder.decode(payload, &mut out), Ok(frame));
            to.extend_from_slice(&out[..frame]);
        }
        let db = snr_db(&from, &to, 250);
        assert!(db > floor_db, "{codec}: {db:.1} dB");
    }
}

#[test]
fn odd_buffers_are_refused() {
    let policy = OpusPolicy::default();
    for codec in AudioCodec::ALL {
        let mut encoder = encoder(codec, &policy).unwrap();
        assert_eq!(encoder.encode(&[0; 320], &mut []), Err(CodecError::Length(codec)), "{codec}");
        let mut decoder = decoder(codec, &policy).unwrap();
        let mut payload = [0x7f; 160];
        payload[0] = 0x08; // Opus: one frame of 20 ms
        assert!(decoder.decode(&payload, &mut [0; 10]).is_err(), "{codec}");
        assert_eq!(decoder.duration(&[]), 0);
    }
}

#[test]
fn an_opus_frame_of_an_octet_is_a_pause() {
    let opus = AudioCodec::Opus;
    assert!(opus.pauses(&[0x48]) && opus.pauses(&[0x48, 0]) && !opus.pauses(&[0x48, 0, 1]));
    assert!(!AudioCodec::Pcmu.pauses(&[0xff]));
}
