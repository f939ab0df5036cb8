//! CPU time of what is made, heard and mixed, for each frame of 20 ms. Run it in release:
//! `cargo run --release -p kraliki-media --example sound`
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
// An example measures real time, prints, and may stop on what cannot be.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kraliki_media::codec::{self, OpusPolicy, OpusRate};
use kraliki_media::conceal::Concealer;
use kraliki_media::jitter::{Arrival, Content, JitterPolicy, Playout};
use kraliki_media::level::{Agc, AgcPolicy, LevelMeter};
use kraliki_media::mix::{Mixer, Role};
use kraliki_media::noise::{NoiseGenerator, NoiseProfile};
use kraliki_media::record::{Channel, FileFormat, Recording, RecordingConfig, RecordingKey};
use kraliki_media::resample::Resampler;
use kraliki_media::sdp::AudioCodec;
use kraliki_media::{Audio, Voice};
use kraliki_time::Time;

/// Frames of each measurement.
const FRAMES: usize = 4_000;

fn main() {
    println!("{:<34} {:>10}", "a frame of 20 ms", "CPU");
    codecs();
    resamplers();
    playouts();
    levels();
    mixers();
    recordings();
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

/// Jitter buffer, decoder and concealment; with one packet in ten lost and up to 30 ms of jitter where told.
fn playouts() {
    for (codec, lossy) in [
        (AudioCodec::Pcmu, false),
        (AudioCodec::Pcmu, true),
        (AudioCodec::G722, true),
        (AudioCodec::Opus, true),
    ] {
        let policy = OpusPolicy::default();
        let mut encoder = codec::encoder(codec, &policy).unwrap();
        let payloads: Vec<Vec<u8>> = speech(encoder.rate_hz())
            .iter()
            .map(|frame| {
                let mut payload = vec![0; 1_500];
                let len = encoder.encode(frame, &mut payload).unwrap();
                payload.truncate(len);
                payload
            })
            .collect();
        let mut playout = Playout::new(codec::decoder(codec, &policy).unwrap(), JitterPolicy::default(), 1);
        let mut frame = vec![0; playout.frame_samples()];
        let (mut sequence, mut tick) = (0u32, 0u64);
        let line = if lossy { "10% loss, jitter" } else { "no loss" };
        measure(&format!("jitter buffer, {codec}, {line}"), |_| {
            let now = Time::from_millis(tick * 20 + 40);
            let due = |n: u32| u64::from(n) * 20 + if lossy { u64::from(n) * 7 % 30 } else { 0 };
            while Time::from_millis(due(sequence)) <= now {
                if !lossy || sequence % 10 != 4 {
                    let arrival = Arrival {
                        sequence: sequence as u16,
                        timestamp: sequence * (codec.clock_hz() / 50),
                        ssrc: 1,
                        marker: false,
                        content: Content::Audio,
                        duration: 0,
                        payload: &payloads[sequence as usize % payloads.len()],
                    };
                    playout.put(Time::from_millis(due(sequence)), arrival);
                }
                sequence += 1;
            }
            black_box(playout.tick(now, &mut frame));
            tick += 1;
        });
    }
    let frames = speech(8_000);
    let mut concealer = Concealer::new(8_000);
    let mut frame = [0; 160];
    measure("conceal every other frame, 8 kHz", |n| {
        if n % 2 == 0 {
            frame.copy_from_slice(&frames[n % frames.len()]);
            concealer.heard(&mut frame);
        } else {
            concealer.conceal(&mut frame);
        }
    });
    let mut noise = NoiseGenerator::new(NoiseProfile::of(&frames[3]), 1);
    measure("comfort noise, 8 kHz", |_| noise.fill(black_box(&mut frame)));
}

fn levels() {
    let frames = speech(8_000);
    let mut meter = LevelMeter::default();
    measure("level meter, 8 kHz", |n| meter.add(black_box(&frames[n % frames.len()])));
    let mut agc = Agc::new(AgcPolicy::default(), 8_000);
    let mut frame = [0; 160];
    measure("automatic gain, 8 kHz", |n| {
        frame.copy_from_slice(&frames[n % frames.len()]);
        agc.apply(black_box(&mut frame));
    });
}

/// Everybody speaks and everybody hears the others.
fn mixers() {
    for (parties, rate_hz) in [(3, 8_000), (16, 8_000), (3, 16_000), (16, 16_000)] {
        let mut mixer = Mixer::new(rate_hz);
        let ids: Vec<_> = (0..parties).filter_map(|_| mixer.add(Role::Talk)).collect();
        let frames = speech(rate_hz);
        let mut out = vec![0; mixer.frame_samples()];
        measure(&format!("mix {parties} parties, {rate_hz} Hz"), |n| {
            for (at, id) in ids.iter().enumerate() {
                mixer.input(*id, &frames[(n + at * 13) % frames.len()]);
            }
            for id in &ids {
                black_box(mixer.output(*id, &mut out));
            }
            mixer.end_tick();
        });
    }
}

/// Both channels of a call.
fn recordings() {
    let frames = speech(8_000);
    for (name, format, key) in [
        ("WAV", FileFormat::Wav, None),
        ("WAV, encrypted", FileFormat::Wav, Some(RecordingKey([1; 32]))),
        (
            "Opus 2 x 16 kbit/s, encrypted",
            FileFormat::OggOpus { bitrate_bps: 16_000 },
            Some(RecordingKey([1; 32])),
        ),
    ] {
        let config = RecordingConfig { rate_hz: 8_000, format, key, serial: 1, start: Time::ZERO };
        let mut recording = Recording::new(&config).unwrap();
        let mut tick = 0u64;
        measure(&format!("record {name}, 8 kHz"), |n| {
            let at = Time::from_millis(tick * 20);
            recording.handle_frame(Channel::Trunk, at, &frames[n % frames.len()]);
            recording.handle_frame(Channel::Agent, at, &frames[(n + 50) % frames.len()]);
            black_box(recording.poll_output(at));
            tick += 1;
        });
    }
}
