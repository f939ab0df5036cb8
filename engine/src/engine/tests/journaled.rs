//! A journal of a day gives the same outputs, byte for byte; also from any state on that was written down.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::journal::{Began, JournalError, Reader, Record, Recorder, Replay, ReplayError, Segment};
use crate::simulate::faults::{Family, FaultConfig, FaultReport, run};

/// A quarter of an hour with everything in it but a crash.
fn day(seed: u64) -> FaultReport {
    let families = [Family::Disk, Family::Restless, Family::Nonsense, Family::Lines];
    let report = run(&FaultConfig { record: true, ..FaultConfig::new(families, seed) });
    assert_eq!(report.violations, [] as [String; 0], "seed {seed}");
    report
}

/// Calls an engine as the record says, and gives what came out.
fn call(engine: &mut Engine, record: Record, mut see: impl FnMut(&Output)) {
    match record {
        Record::Input { at, input, .. } => engine.handle_input(at, *input),
        Record::Timeout { at, .. } => engine.handle_timeout(at),
        Record::Start(_) | Record::Check { .. } => return,
    }
    loop {
        let output = engine.poll_output();
        see(&output);
        if matches!(output, Output::Timeout(_)) {
            return;
        }
    }
}

fn replay(bytes: &[u8]) -> Result<Segment, ReplayError> {
    Replay::default().segment(bytes, |_, _| {})
}

#[test]
fn a_replay_gives_the_same_bytes() {
    let world = day(7);
    let bytes = &world.journal;
    let mut outputs = Vec::new();
    let found = Replay::default()
        .segment(&bytes[..], |_, output| outputs.extend(serde_json::to_vec(output).unwrap()))
        .unwrap();
    assert!(outputs == world.outputs, "a replay went another way");
    assert!(found.calls > 1_000 && found.checks > 500, "{found:?}");
    assert_eq!((found.unchecked, found.truncated), (0, false));
    assert_eq!(found.outcomes, world.outcomes);
}

#[test]
fn an_engine_that_was_written_down_goes_on_as_the_other_would_have() {
    let world = day(300);
    let bytes = &world.journal;
    let (mut reader, _, state) = Reader::new(&bytes[..]).unwrap();
    let mut engine = Engine::from_checkpoint(&state).unwrap();
    let (mut outputs, mut rng, mut restored) = (Vec::new(), StdRng::seed_from_u64(300), 0);
    while let Some(record) = reader.next_record().unwrap() {
        call(&mut engine, record, |output| outputs.extend(serde_json::to_vec(output).unwrap()));
        if rng.random_range(0..40) == 0 {
            let state = engine.checkpoint();
            engine = Engine::from_checkpoint(&state).unwrap();
            assert!(engine.checkpoint() == state, "a state changes by being read");
            restored += 1;
        }
    }
    assert!(restored > 100, "{restored}");
    assert!(outputs == world.outputs, "a restored engine went another way");
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let state = Engine::new().checkpoint();
    assert!(Engine::from_checkpoint(&[]).is_err());
    assert!(Engine::from_checkpoint(&state[..state.len() - 1]).is_err());
    assert!(Engine::from_checkpoint(&[&state[..], &[0]].concat()).is_err());
}

/// The day again, cut into segments after so many calls.
fn segments(bytes: &[u8], calls: usize) -> Vec<Vec<u8>> {
    let (mut reader, start, state) = Reader::new(bytes).unwrap();
    let mut engine = Engine::from_checkpoint(&state).unwrap();
    let mut recorder = Recorder::begin(1, start.began, start.at, &engine);
    let (mut done, mut n, mut now) = (Vec::new(), 0, start.at);
    while let Some(record) = reader.next_record().unwrap() {
        match &record {
            Record::Input { at, .. } | Record::Timeout { at, .. } => (now, n) = (*at, n + 1),
            Record::Start(_) | Record::Check { .. } => continue,
        }
        if n % calls == 0 {
            recorder.check(now);
            done.push(recorder.take());
            recorder = Recorder::begin(done.len() as u64 + 1, Began::Continued, now, &engine);
        }
        match &record {
            Record::Input { at, input, .. } => recorder.input(*at, input),
            Record::Timeout { at, .. } => recorder.timeout(*at),
            Record::Start(_) | Record::Check { .. } => {}
        }
        call(&mut engine, record, |output| recorder.output(output));
    }
    recorder.check(now);
    done.push(recorder.take());
    done
}

#[test]
fn segments_go_on_from_each_other_and_each_stands_alone() {
    let bytes = day(8).journal;
    let whole = replay(&bytes).unwrap();
    let parts = segments(&bytes, 1_200);
    assert!(parts.len() > 3, "{}", parts.len());
    let mut replayed = Replay::default();
    let found: Vec<Segment> =
        parts.iter().map(|part| replayed.segment(&part[..], |_, _| {}).unwrap()).collect();
    assert_eq!(found.iter().map(|f| f.outputs).sum::<u64>(), whole.outputs);
    assert_eq!(found.iter().map(|f| f.unchecked).sum::<u64>(), 0);
    for (part, found) in parts.iter().zip(&found) {
        assert_eq!(replay(part).unwrap(), *found, "alone, it is the same");
    }
    // The third one does not go on from the first one's end.
    let mut renamed = Replay::default();
    renamed.segment(&parts[0][..], |_, _| {}).unwrap();
    assert!(renamed.segment(&parts[2][..], |_, _| {}).is_ok(), "a segment between is not there");
    let third = segments(&bytes, 700);
    renamed.segment(&parts[0][..], |_, _| {}).unwrap();
    let error = renamed.segment(&third[1][..], |_, _| {}).unwrap_err();
    assert!(matches!(error, ReplayError::NotContinued(2)), "{error}");
    // Nor does the second one from a first one whose end is missing.
    assert!(renamed.segment(&parts[0][..parts[0].len() - 1], |_, _| {}).unwrap().truncated);
    let error = renamed.segment(&parts[1][..], |_, _| {}).unwrap_err();
    assert!(matches!(error, ReplayError::NotContinued(2)), "{error}");
}

#[test]
fn another_decision_is_found_at_the_very_call() {
    let bytes = day(9).journal;
    let (mut reader, start, state) = Reader::new(&bytes[..]).unwrap();
    let mut engine = Engine::from_checkpoint(&state).unwrap();
    let mut recorder = Recorder::begin(1, start.began, start.at, &engine);
    let mut odd = None;
    while let Some(record) = reader.next_record().unwrap() {
        match &record {
            Record::Input { at, input, .. } => recorder.input(*at, input),
            Record::Timeout { at, .. } => recorder.timeout(*at),
            Record::Start(_) | Record::Check { .. } => continue,
        }
        let number = reader.number();
        call(&mut engine, record, |output| match output {
            // As if another program had dialed another number once, in the middle.
            Output::Dial(dial) if odd.is_none() && number > 2_000 => {
                odd = Some(engine_time(&bytes, number));
                let other = Dial { caller_id: "+12025550199".into(), ..dial.clone() };
                recorder.output(&Output::Dial(other));
            }
            output => recorder.output(output),
        });
    }
    let bytes = recorder.take();
    let Err(ReplayError::Difference(found)) = replay(&bytes) else { panic!("nothing was noticed") };
    assert_eq!(Some(found.place.at), odd);
    assert_eq!(engine_time(&bytes, found.place.record), found.place.at);
    assert!(!found.to_string().contains("+1202555"), "{found}");
}

/// The time of a record.
fn engine_time(bytes: &[u8], number: u64) -> Time {
    let (mut reader, ..) = Reader::new(bytes).unwrap();
    while let Some(record) = reader.next_record().unwrap() {
        if reader.number() == number {
            return match record {
                Record::Input { at, .. } | Record::Timeout { at, .. } | Record::Check { at, .. } => at,
                Record::Start(start) => start.at,
            };
        }
    }
    panic!("there is no record {number}");
}

#[test]
fn damage_is_told_from_an_end_that_is_missing() {
    let mut hand = Recorder::begin(1, Began::Fresh, Time::ZERO, &Engine::new());
    let mut engine = Engine::new();
    for (n, input) in [
        Input::Clock { unix_ms: NOON },
        Input::Restore(Box::new(Restore { trunks: vec![trunk(1, 1)], ..Restore::default() })),
        Input::Leads { campaign: CampaignId(1), leads: vec![lead(1)], next_due_unix_ms: Some(9) },
        Input::Command { reply: 7, command: Command::CreateCampaign(Box::new(settings())) },
    ]
    .into_iter()
    .enumerate()
    {
        let at = Time::from_millis(n as u64 * 600);
        hand.input(at, &input);
        let record = Record::Input { before: 0, at, input: Box::new(input) };
        call(&mut engine, record, |output| hand.output(output));
    }
    hand.check(Time::from_millis(3_000));
    let bytes = hand.take();
    assert_eq!(replay(&bytes).unwrap().calls, 4);
    for cut in 0..bytes.len() {
        match replay(&bytes[..cut]) {
            Ok(found) => assert!(found.calls <= 4),
            Err(ReplayError::Journal(JournalError::Truncated)) => {}
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x40;
        let error = replay(&damaged).unwrap_err();
        assert!(
            matches!(
                error,
                ReplayError::Journal(
                    JournalError::Damaged(_) | JournalError::NotAJournal | JournalError::Version(_)
                )
            ),
            "a flipped bit at {place}: {error}"
        );
    }
    assert!(matches!(replay(b"RIFF\x01\x00"), Err(ReplayError::Journal(JournalError::NotAJournal))));
}
