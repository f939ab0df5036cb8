//! The detector as a whole: each class, the deadlines, any frame length, a switch of the stream.

use std::sync::Arc;

use super::testing::{cadenced, mix, noise, sines, speech};
use super::*;

fn detector() -> Detector {
    let mut detector = Detector::new(&Arc::new(Rules::standard()), country("us").unwrap());
    detector.answered();
    detector
}

fn events(detector: &mut Detector, samples: &[i16]) -> Vec<Event> {
    let mut all = Vec::new();
    for frame in samples.chunks(160) {
        detector.push(frame);
        all.extend(std::iter::from_fn(|| detector.poll_event()));
    }
    all
}

fn decisions(events: &[Event]) -> Vec<&Decision> {
    let mut found = Vec::new();
    for event in events {
        if let Event::Answered(decision) | Event::Refined(decision) = event {
            found.push(decision);
        }
    }
    found
}

fn classes(samples: &[i16]) -> Vec<Class> {
    decisions(&events(&mut detector(), samples)).iter().map(|d| d.class).collect()
}

fn quiet(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

/// A stretch of speech without its first silence, scaled to a telephone's level.
fn said(seed: u64, ms: usize) -> Vec<i16> {
    let all = speech(seed, ms as u64 + 600);
    let begin = all.iter().position(|s| s.unsigned_abs() > 500).unwrap();
    all[begin..begin + ms * 8].iter().map(|s| s / 2).collect()
}

/// A recorded greeting: speech whose pauses are no longer than those between words.
fn recited(seed: u64, ms: usize) -> Vec<i16> {
    let mut out = Vec::new();
    let mut more = seed;
    while out.len() < ms * 8 {
        out.extend(said(more, 450));
        more += 17;
    }
    out.truncate(ms * 8);
    out
}

#[test]
fn a_word_and_a_pause_are_a_person() {
    for seed in 0..5 {
        let call = [quiet(600), said(seed, 350), quiet(2_000)].concat();
        let mut detector = detector();
        let heard = events(&mut detector, &call);
        let [decision] = decisions(&heard)[..] else { panic!("voice {seed}: {heard:?}") };
        assert_eq!(decision.class, Class::Person);
        // The word ends at 950 ms.
        assert!((1_200..=2_150).contains(&decision.at_ms), "at {} ms", decision.at_ms);
    }
}

#[test]
fn a_person_in_a_loud_room_is_no_machine() {
    for seed in 0..3 {
        let call = [quiet(500), said(seed, 500), quiet(4_000)].concat();
        let call = mix(&call, &noise(seed, -40.0, call.len()));
        let told = classes(&call);
        assert!(matches!(told[..], [Class::Person | Class::Silent]), "voice {seed}: {told:?}");
    }
}

#[test]
fn fluent_speech_then_a_beep_is_a_machine() {
    for seed in 0..5 {
        let beep = sines(&[(1_000.0, -20.0)], 4_000);
        let call = [quiet(1_200), recited(seed, 4_000), quiet(500), beep, quiet(1_000)].concat();
        let heard = events(&mut detector(), &call);
        let told = decisions(&heard);
        // 1.2 s after the end of the shortest of words.
        assert!(told[0].at_ms <= 1_200 + 1_350, "{}", told[0]);
        assert_eq!(told.last().unwrap().class, Class::Machine, "voice {seed}");
        assert!(!told.last().unwrap().reasons.is_empty() && told[0].to_string().contains("rules"));
        assert!(
            heard.iter().any(|e| matches!(e, Event::Beep { hz: 995..=1_005, ms: 450..=550 })),
            "{heard:?}"
        );
    }
}

#[test]
fn a_machine_that_waits_is_a_screening() {
    let call = [quiet(1_200), recited(3, 5_400), quiet(3_000)].concat();
    assert_eq!(classes(&call).last(), Some(&Class::Screening));
}

#[test]
fn nobody_fax_and_the_network() {
    assert_eq!(classes(&quiet(3_000)), [Class::Silent]);
    assert_eq!(classes(&noise(2, -50.0, 24_000)), [Class::Silent]);
    let fax = [quiet(700), sines(&[(2_100.0, -20.0)], 16_000)].concat();
    assert_eq!(classes(&fax), [Class::Fax]);
    let sit = [950.0, 1_400.0, 1_800.0].map(|hz| sines(&[(hz, -20.0)], 330 * 8)).concat();
    let sit = [quiet(300), sit, quiet(100), said(1, 3_000)].concat();
    assert_eq!(classes(&sit), [Class::Network]);
    let busy = cadenced(&country("us").unwrap().signals[1], -20.0, 32_000);
    assert_eq!(classes(&busy), [Class::Network]);
}

#[test]
fn late_decisions_are_within_the_deadline_of_the_first_sound() {
    for seed in 20..26 {
        let heard = events(&mut detector(), &[quiet(400), recited(seed, 3_000)].concat());
        let told = decisions(&heard);
        assert!(told[0].at_ms <= 400 + 1_300, "voice {seed}: {}", told[0]);
    }
}

#[test]
fn frames_of_any_length_say_the_same() {
    let call = [quiet(600), recited(5, 1_500), quiet(500)].concat();
    let whole = events(&mut detector(), &call);
    for length in [7, 240, 8_000] {
        let mut detector = detector();
        let mut heard = Vec::new();
        for frame in call.chunks(length) {
            detector.push(frame);
            heard.extend(std::iter::from_fn(|| detector.poll_event()));
        }
        assert_eq!(heard, whole, "frames of {length}");
    }
}

#[test]
fn early_media_then_the_answer_on_another_stream() {
    let mut detector = Detector::new(&Arc::new(Rules::standard()), country("gb").unwrap());
    let ringback = cadenced(&country("gb").unwrap().signals[0], -20.0, 40_000);
    assert_eq!(events(&mut detector, &ringback), [Event::Line(LineTone::Ringback)]);
    // Speech before the answer decides nothing.
    assert_eq!(events(&mut detector, &said(4, 2_000)), []);
    detector.reset();
    detector.answered();
    let half = events(&mut detector, &quiet(300));
    assert_eq!(half, []);
    detector.reset();
    let heard = events(&mut detector, &[quiet(300), said(4, 400), quiet(1_500)].concat());
    let told = decisions(&heard);
    assert_eq!(told[0].class, Class::Person);
    assert!(told[0].features.initial_silence_ms >= 550.0, "the clock goes on: {}", told[0]);
}

#[test]
fn gaps_are_time() {
    let mut detector = detector();
    for _ in 0..30 {
        detector.gap(800);
    }
    let heard: Vec<Event> = std::iter::from_fn(|| detector.poll_event()).collect();
    assert_eq!(decisions(&heard)[0].class, Class::Silent);
}

#[test]
fn a_greeting_is_heard_out_to_its_quiet_and_its_late_beep() {
    let beep = sines(&[(1_000.0, -20.0)], 4_000);
    let call =
        [quiet(1_200), recited(3, 4_000), quiet(4_500), recited(9, 15_000), quiet(4_000), beep, quiet(500)];
    let mut detector = detector().hearing_out();
    let heard = events(&mut detector, &call.concat());
    let quiets = heard.iter().filter(|event| **event == Event::Quiet).count();
    assert_eq!(quiets, 2, "each time anew: {heard:?}");
    assert!(matches!(heard.last(), Some(Event::Beep { hz: 995..=1_005, .. })), "{heard:?}");
    assert!(!detector.is_done());
    // Others do not tell it.
    let heard =
        events(&mut super::tests::detector(), &[quiet(1_200), recited(3, 4_000), quiet(4_500)].concat());
    assert!(!heard.contains(&Event::Quiet));
    // Nobody who spoke, nobody who is quiet.
    let mut nobody = super::tests::detector().hearing_out();
    assert_eq!(decisions(&events(&mut nobody, &quiet(8_000))).len(), 1);
}

#[test]
fn a_bridged_call_is_listened_to_for_six_seconds() {
    let beep = sines(&[(1_000.0, -20.0)], 4_000);
    let word = [quiet(600), said(2, 350), quiet(900)].concat();
    let greeting = [recited(4, 2_500), quiet(300), beep, quiet(400)].concat();
    for (waits, told) in [(0, true), (5_000, false)] {
        let mut detector = detector().hearing_out();
        assert_eq!(decisions(&events(&mut detector, &word))[0].class, Class::Person);
        detector.bridged();
        assert!(!detector.is_done());
        let heard = events(&mut detector, &[quiet(waits), greeting.clone()].concat());
        let machine = decisions(&heard).iter().any(|decision| decision.class == Class::Machine);
        assert_eq!((machine, detector.is_done()), (told, !told), "{waits} ms: {heard:?}");
    }
    // Bridged later than that: nothing is listened for.
    let mut late = detector();
    events(&mut late, &[word, quiet(5_000)].concat());
    late.bridged();
    assert!(late.is_done());
}
