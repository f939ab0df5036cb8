//! CPU time of what is made, heard and mixed, for each frame of 20 ms. Run it in release:
//! `cargo run --release -p kraliki-media --example sound`
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
// An example measures real time, prints, and may stop on what cannot be.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kraliki_media::codec::{self, OpusPolicy, OpusRate};
use kraliki_media::resample::Resampler;
use kraliki_media::sdp::AudioCodec;
use kraliki_media::{Audio, Voice};

/// Frames of each measurement.
const FRAMES: usize = 4_000;

fn main() {
    println!("{:<34} {:>10}", "a frame of 20 ms", "CPU");
    codecs();
    resamplers();
}

/// The mean time of `work`, told by name. Frames are numbered.
fn measure(name: &str, mut work: impl FnMut(usize)) {
    for n in 0..200 {
        work(n);
    }
    let start = Instant::now();
    for n in 0..FRAMES {
        work(n);
    }
    let each = start.elapsed() / FRAMES as u32;
    println!("{name:<34} {:>7.2} µs", each.as_secs_f64() * 1e6);
}

/// Frames of speech at a rate.
fn speech(rate_hz: u32) -> Vec<Vec<i16>> {
    let audio = Audio::speech(Voice::new(5), Duration::from_secs(10));
    let mut up = Resampler::new(8_000, rate_hz).unwrap();
    audio.samples().chunks_exact(160).map(|frame| up.process(frame).to_vec()).collect()
}

fn codecs() {
    let narrow = OpusPolicy { rate: OpusRate::Narrow, bitrate_bps: 16_000, ..OpusPolicy::default() };
    let plain = OpusPolicy { fec: false, ..OpusPolicy::default() };
    for (name, codec, policy) in [
        ("PCMU", AudioCodec::Pcmu, plain),
        ("PCMA", AudioCodec::Pcma, plain),
        ("G.722", AudioCodec::G722, plain),
        ("L16", AudioCodec::L16, plain),
        ("Opus 8 kHz, 16 kbit/s, FEC", AudioCodec::Opus, narrow),
        ("Opus 16 kHz, 24 kbit/s", AudioCodec::Opus, plain),
        ("Opus 16 kHz, 24 kbit/s, FEC", AudioCodec::Opus, OpusPolicy::default()),
    ] {
        let mut encoder = codec::encoder(codec, &policy).unwrap();
        let mut decoder = codec::decoder(codec, &policy).unwrap();
        let frames = speech(encoder.rate_hz());
        let mut payload = [0; 1_500];
        let mut payloads = Vec::new();
        measure(&format!("{name}, encode"), |n| {
            let len = encoder.encode(&frames[n % frames.len()], &mut payload).unwrap();
            if payloads.len() < frames.len() {
                payloads.push(payload[..len].to_vec());
            }
        });
        let mut out = [0; codec::MAX_PACKET_SAMPLES];
        measure(&format!("{name}, decode"), |n| {
            black_box(decoder.decode(&payloads[n % payloads.len()], &mut out).unwrap());
        });
    }
}

fn resamplers() {
    for (from, to) in [(8_000, 16_000), (16_000, 8_000), (8_000, 48_000), (48_000, 8_000), (16_000, 48_000)] {
        let mut resampler = Resampler::new(from, to).unwrap();
        let frames = speech(from);
        measure(&format!("resample {from} to {to}"), |n| {
            black_box(resampler.process(&frames[n % frames.len()]));
        });
    }
}
