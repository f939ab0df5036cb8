use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::codec::tests::{snr_db, speech};
use crate::codec::{self, OpusPolicy};
use crate::level::rms;
use crate::sdp::AudioCodec;
use kraliki_time::Time;

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn packet(n: u16, ssrc: u32, payload: &[u8]) -> Arrival<'_> {
    Arrival {
        sequence: n.wrapping_add(65_500),
        timestamp: (u32::from(n) * 160).wrapping_add(u32::MAX - 4_000),
        ssrc,
        marker: false,
        content: Content::Audio,
        duration: 160,
        payload,
    }
}

fn buffer() -> JitterBuffer {
    JitterBuffer::new(8_000, JitterPolicy::default())
}

/// What comes out: packets by the byte in them, `-` for concealment, `.` for silence.
fn word(take: Take) -> String {
    match take {
        Take::Packet(packet) => packet.payload.iter().map(|b| format!("{b} ")).collect(),
        Take::Lost { recoverable: true, .. } => "+ ".into(),
        Take::Lost { .. } => "- ".into(),
        Take::Noise(_) => "n ".into(),
        Take::Silence => ". ".into(),
    }
}

/// Packets by number come at the given milliseconds; ticks are every 20 ms from 10 on.
fn played(buffer: &mut JitterBuffer, arrivals: &[(u16, u64)], ticks: u64, quiet: bool) -> String {
    let mut out = String::new();
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_by_key(|(_, at)| *at);
    let mut next = arrivals.iter().peekable();
    for tick in 0..ticks {
        let now = tick * 20 + 10;
        while let Some((n, at)) = next.next_if(|(_, at)| *at <= now) {
            buffer.put(ms(*at), &packet(*n, 1, &[*n as u8]));
        }
        out.push_str(&word(buffer.take(ms(now), quiet)));
    }
    out
}

#[test]
fn order_is_restored_over_the_wraps_and_doubles_go() {
    let mut buffer = buffer();
    let mut arrivals: Vec<(u16, u64)> = (0..60).map(|n| (n, u64::from(n) * 20)).collect();
    arrivals[40].1 += 25; // behind 41
    arrivals.push((50, 1_001));
    arrivals.push((50, 1_190)); // long played
    let out = played(&mut buffer, &arrivals, 62, false);
    let numbers: Vec<u16> = out.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    assert!(numbers.is_sorted(), "{out}");
    let counters = buffer.counters();
    assert_eq!((counters.duplicate, counters.late, counters.resets), (2, 0, 0), "{counters:?}");
    assert_eq!(counters.lost, 0);
    assert!(out.starts_with(". 0 1 2 3 "), "{out}");
}

#[test]
fn a_lost_packet_is_recovered_when_the_next_is_here_and_a_late_one_is_counted() {
    let mut buffer =
        JitterBuffer::new(8_000, JitterPolicy { min: Duration::from_millis(60), ..JitterPolicy::default() });
    let arrivals: Vec<(u16, u64)> =
        (0..30).filter(|n| *n != 10).map(|n| (n, u64::from(n) * 20)).chain([(10, 400)]).collect();
    let out = played(&mut buffer, &arrivals, 30, false);
    assert!(out.contains(" 8 9 + 11 12 "), "{out}");
    assert_eq!((buffer.counters().lost, buffer.counters().late), (1, 1));
}

#[test]
fn time_is_concealed_once_and_a_short_stall_only_delays() {
    // Without a hold nothing is kept, and each tick takes what just came.
    let bare = || JitterBuffer::new(8_000, JitterPolicy { min: Duration::ZERO, ..JitterPolicy::default() });
    let on_time = (0..20u16).filter(|n| *n != 10).map(|n| (n, u64::from(n) * 20));
    let mut lost = bare();
    let out = played(&mut lost, &on_time.clone().collect::<Vec<_>>(), 20, false);
    assert!(out.contains(" 8 9 - 11 12 "), "{out}");
    assert_eq!((lost.counters().lost, lost.counters().starved), (1, 1));
    let mut late = bare();
    let out = played(&mut late, &on_time.chain([(10, 215)]).collect::<Vec<_>>(), 21, false);
    assert!(out.contains(" 8 9 - 10 11 12 "), "{out}");
    assert_eq!((late.counters().lost, late.counters().late), (0, 0));
}

#[test]
fn the_hold_follows_the_jitter_up_at_once_and_down_slowly() {
    let mut buffer = buffer();
    let jittery = |n: u16| u64::from(n) * 20 + if n.is_multiple_of(7) { 70 } else { u64::from(n * 13 % 30) };
    let arrivals: Vec<(u16, u64)> = (0..200).map(|n| (n, jittery(n))).collect();
    let out = played(&mut buffer, &arrivals, 204, false);
    let held = buffer.target();
    assert!((60..85).contains(&held.as_millis()), "{held:?}");
    // After the first seconds nothing is missing any more.
    let later: Vec<&str> = out.split_whitespace().skip(100).take(90).collect();
    assert!(!later.contains(&"-") && !later.contains(&"."), "{out}");
    for n in 200..1_800u16 {
        buffer.put(ms(u64::from(n) * 20), &packet(n, 1, &[0]));
        buffer.take(ms(u64::from(n) * 20 + 10), true);
    }
    assert!(buffer.target() < Duration::from_millis(25), "{:?}", buffer.target());
    let counters = buffer.counters();
    assert!(counters.shrunk >= 2, "{counters:?}");
    // What is left is held shortly again.
    assert!(counters.played + counters.shrunk + counters.dropped >= 1_795, "{counters:?}");
}

#[test]
fn a_pause_of_the_far_end_is_no_loss() {
    for (last, noises) in [(Content::Noise, 2), (Content::Pause, 0)] {
        pauses_after(last, noises);
    }
}

fn pauses_after(last: Content, noises: usize) {
    let mut buffer = buffer();
    let mut out = String::new();
    let mut sequence = 0u16;
    for tick in 0..200u64 {
        // A second of sound, then one packet that says so, and a pause of a second in which the timestamps run on.
        if tick % 100 <= 50 {
            let mut arrival = packet(tick as u16, 1, &[7]);
            arrival.sequence = sequence;
            arrival.content = if tick % 100 == 50 { last } else { Content::Audio };
            arrival.marker = tick.is_multiple_of(100);
            buffer.put(ms(tick * 20), &arrival);
            sequence += 1;
        }
        out.push_str(&word(buffer.take(ms(tick * 20 + 10), true)));
    }
    let counters = buffer.counters();
    assert_eq!((counters.played, counters.lost, counters.starved, counters.resets), (102, 0, 0, 0), "{out}");
    assert_eq!(out.matches('n').count(), noises);
}

#[test]
fn without_comfort_noise_60_ms_are_concealed_and_then_it_is_quiet() {
    let mut buffer = buffer();
    let arrivals: Vec<(u16, u64)> = (0..20).map(|n| (n, u64::from(n) * 20)).collect();
    let out = played(&mut buffer, &arrivals, 30, false);
    assert!(out.trim_end().ends_with("19 - - - . . . . . ."), "{out}");
}

#[test]
fn a_new_source_and_a_jump_of_the_clock_begin_anew() {
    let mut buffer = buffer();
    for n in 0..10u16 {
        buffer.put(ms(u64::from(n) * 20), &packet(n, 1, &[1]));
        buffer.take(ms(u64::from(n) * 20 + 10), false);
    }
    let mut out = String::new();
    for n in 10..40u16 {
        let mut arrival = packet(n, 2, &[2]);
        if n >= 25 {
            arrival.timestamp = arrival.timestamp.wrapping_add(1 << 30);
        }
        buffer.put(ms(u64::from(n) * 20), &arrival);
        out.push_str(&word(buffer.take(ms(u64::from(n) * 20 + 10), false)));
    }
    assert_eq!(buffer.counters().resets, 2);
    assert!(out.matches('2').count() >= 26, "{out}");
}

#[test]
fn a_stall_and_its_burst_stay_bounded() {
    let mut buffer = buffer();
    // Nothing for three quarters of a second, then everything at once; and a flood beside it.
    let arrivals: Vec<(u16, u64)> =
        (0..120u16).map(|n| (n, if (30..68).contains(&n) { 1_360 } else { u64::from(n) * 20 })).collect();
    played(&mut buffer, &arrivals, 120, true);
    let counters = buffer.counters();
    assert!(counters.dropped > 10 && counters.late == 0, "{counters:?}");
    for n in 0..1_000u16 {
        buffer.put(ms(2_400), &packet(n.wrapping_add(120), 1, &[0; 160]));
    }
    assert!(buffer.packets_kept() <= 64);
}

#[test]
fn events_take_numbers_and_no_time() {
    let mut buffer = buffer();
    let mut out = String::new();
    for n in 0..30u16 {
        let mut arrival = packet(n, 1, &[1]);
        if (10..15).contains(&n) {
            arrival.content = Content::Other;
            arrival.duration = 0;
            arrival.timestamp = packet(10, 1, &[]).timestamp;
        }
        buffer.put(ms(u64::from(n) * 20), &arrival);
        out.push_str(&word(buffer.take(ms(u64::from(n) * 20 + 10), false)));
    }
    assert_eq!(buffer.counters().lost, 0, "{out}");
    assert!(out.ends_with("1 1 1 1 1 "), "{out}");
}

/// Speech of a codec over a line with jitter and loss, played out.
fn over_the_line(codec: AudioCodec, loss_every: usize, ptime_frames: usize) -> (Playout, Vec<i16>, Vec<i16>) {
    let policy = OpusPolicy { bitrate_bps: 32_000, expected_loss_percent: 20, ..OpusPolicy::default() };
    let mut encoder = codec::encoder(codec, &policy).unwrap();
    let rate = encoder.rate_hz();
    let from = speech(rate, 2);
    let len = rate as usize / 50 * ptime_frames;
    let payloads: Vec<Vec<u8>> = from
        .chunks_exact(len)
        .map(|frame| {
            let mut payload = vec![0; 4_000];
            let len = encoder.encode(frame, &mut payload).unwrap();
            payload.truncate(len);
            payload
        })
        .collect();
    let hold = JitterPolicy { min: Duration::from_millis(60), ..JitterPolicy::default() };
    let mut playout = Playout::new(codec::decoder(codec, &policy).unwrap(), hold, 3);
    let ptime = 20 * ptime_frames as u64;
    let mut next = 0;
    let mut to = Vec::new();
    for tick in 0..95u64 {
        let now = tick * 20 + 10;
        while next < payloads.len() && next as u64 * ptime + (next as u64 * 7 % 20) <= now {
            let payload = &payloads[next];
            let timestamp = next as u32 * codec.clock_hz() / 1_000 * ptime as u32;
            let arrival = Arrival { timestamp, duration: 0, ..packet(next as u16, 1, payload) };
            if next % loss_every != loss_every - 1 {
                playout.put(ms(now), arrival);
            }
            next += 1;
        }
        let mut frame = vec![0; playout.frame_samples()];
        playout.tick(ms(now), &mut frame);
        to.extend_from_slice(&frame);
    }
    (playout, from, to)
}

#[test]
fn what_is_played_is_what_was_said() {
    for (codec, ptime_frames, floor_db) in [
        (AudioCodec::Pcmu, 1, 20.0),
        (AudioCodec::Pcma, 2, 20.0),
        (AudioCodec::G722, 1, 12.0),
        (AudioCodec::Opus, 1, 4.0),
    ] {
        let (playout, from, to) = over_the_line(codec, usize::MAX, ptime_frames);
        let counters = playout.counters();
        assert_eq!((counters.lost, counters.late, counters.dropped), (0, 0, 0), "{codec}: {counters:?}");
        // The first second, before silence lets the delay move.
        let rate = to.len() / 95 * 50;
        let db = snr_db(&from[..rate / 4], &to[..rate], rate * 13 / 100);
        assert!(db > floor_db, "{codec}: {db:.1} dB");
    }
}

#[test]
fn losses_are_filled_in_and_counted() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Opus] {
        let (playout, _, to) = over_the_line(codec, 10, 1);
        let lost = playout.counters().lost;
        assert!((7..=10).contains(&lost), "{codec}: {:?}", playout.counters());
        assert!((0.05..0.15).contains(&playout.losses().loss()));
        assert!(rms(&to) > 300.0);
    }
}

#[test]
fn nonsense_is_counted_and_heard_as_nothing() {
    let policy = OpusPolicy::default();
    let mut playout =
        Playout::new(codec::decoder(AudioCodec::Opus, &policy).unwrap(), JitterPolicy::default(), 1);
    for n in 0..20u16 {
        playout.put(ms(u64::from(n) * 20), packet(n, 1, &[0x0b, 0x3f, 1]));
        playout.put(ms(u64::from(n) * 20), packet(n, 1, &[]));
        let mut frame = [1; 320];
        assert_eq!(playout.tick(ms(u64::from(n) * 20 + 10), &mut frame), Heard::Pause);
        assert_eq!(frame, [0; 320]);
    }
    assert_eq!(playout.malformed(), 40);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, whenever: it stays bounded, and each packet has at most one fate.
    #[test]
    fn any_packets_are_survived(
        steps in proptest::collection::vec(
            (0u64..3_000, any::<u16>(), any::<u32>(), 0u8..8, 1u32..100_000, any::<bool>()), 1..60),
    ) {
        let mut buffer = buffer();
        let mut now = Time::ZERO;
        let mut near = (0u16, 0u32);
        for (wait, sequence, timestamp, kind, duration, quiet) in steps {
            now += Duration::from_millis(wait % if kind < 6 { 50 } else { 3_000 });
            // Most are near the last, some are anywhere.
            near = if kind < 6 {
                (near.0.wrapping_add(sequence % 4), near.1.wrapping_add(timestamp % 400))
            } else {
                (sequence, timestamp)
            };
            let content = [Content::Audio, Content::Noise, Content::Other, Content::Pause][usize::from(kind % 4)];
            let arrival = Arrival {
                sequence: near.0,
                timestamp: near.1,
                ssrc: u32::from(kind == 7),
                marker: quiet,
                content,
                duration: if content == Content::Other { 0 } else { duration },
                payload: &[kind],
            };
            buffer.put(now, &arrival);
            let take = buffer.take(now, quiet);
            if let Take::Lost { duration, .. } = take {
                prop_assert!(duration > 0);
            }
            prop_assert!(buffer.packets_kept() <= 64);
            prop_assert!(buffer.target() <= JitterPolicy::default().max);
        }
    }
}
