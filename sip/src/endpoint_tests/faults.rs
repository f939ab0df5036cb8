//! Bad networks, over many seeds: every call ends, and nothing is left behind.

use super::*;

/// New calls are refused both ways, without a trace in any table; the call that is there goes on to its end.
#[test]
fn an_overload_refuses_new_calls_and_no_other() {
    let mut p = Pair::new(90);
    let ours = p.invite();
    p.run_answering(Duration::from_secs(1));
    p.ends.iter_mut().for_each(|end| end.set_overloaded(true));
    let request = |id| InviteRequest::new(address(B), "sip:1@h", id);
    assert_eq!(p.ends[A].invite(p.now, request("a")), Err(ApiMisuse::Overloaded));
    // In the call there: a change, and a message.
    p.ends[A].modify(p.now, ours, Some(Body::sdp("more"))).unwrap();
    p.run_with(Duration::from_secs(1), |ends, now, side, event| {
        if let (B, Event::Modify { call, .. }) = (side, event) {
            ends[B].respond_modify(now, *call, ModifyAnswer::Accept(Some(Body::sdp("yes")))).unwrap();
        }
    });
    assert!(matches!(p.last(A), Event::Modified { status: 200, .. }), "{:?}", p.last(A));
    p.ends[A].set_overloaded(false);
    let refused = p.ends[A].invite(p.now, request("b")).unwrap();
    let (calls, transactions) = (p.ends[B].call_count(), p.ends[B].transaction_count());
    p.run(Duration::from_secs(1));
    let failed = |e: &Event| matches!(e, Event::Failed { call, failure: Failure::Status(503), retry_after_s: Some(5), .. } if *call == refused);
    assert!(p.events[A].iter().any(failed), "{:?}", p.events[A]);
    assert!(p.ends[B].call_count() == calls && p.ends[B].transaction_count() <= transactions);
    let counts = [A, B].map(|side| p.ends[side].stats().refused_overload.get());
    assert_eq!(counts, [1, 1]);
    let theirs = p.incoming(B);
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.run(Duration::from_secs(1));
    assert!(matches!(p.last(A), Event::Ended { call, .. } if *call == ours));
    p.ends[B].set_overloaded(false);
    p.ends[A].invite(p.now, request("c")).unwrap();
    p.run_answering(Duration::from_secs(1));
    assert!(matches!(p.last(A), Event::Answered { .. }));
    let theirs = p.incoming(B);
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.assert_clean();
}

/// One seed: 20 calls with random lives. Returns how many of A's calls had a last event.
fn storm(seed: u64, weather: Weather) {
    let mut p = Pair::new(seed);
    p.weather = weather;
    let mut chance = ChaCha8Rng::seed_from_u64(seed ^ 0xabcd);
    let mut ours = BTreeMap::new();
    for i in 0..20u64 {
        let call = p.invite();
        ours.insert(call, 0);
        let give_up_ms = chance.next_u64() % 4_000;
        let mut answers = ChaCha8Rng::seed_from_u64(seed * 100 + i);
        p.run_with(Duration::from_millis(give_up_ms), |ends, now, side, event| match (side, event) {
            (B, Event::Incoming { call, .. }) => match answers.next_u64() % 4 {
                0 => {}
                1 => ends[B].reject(now, *call, 486, &[]).unwrap(),
                2 => ends[B].ring(now, *call, 183, Some(Body::sdp("early"))).unwrap(),
                _ => {
                    ends[B].ring(now, *call, 180, None).unwrap();
                    ends[B].answer(now, *call, Some(Body::sdp("answer"))).unwrap();
                }
            },
            (B, Event::Acknowledged { call, .. }) if answers.next_u64() % 2 == 0 => {
                // The call may just have been ended by its caller.
                let _ = ends[B].bye(now, *call, None);
            }
            _ => {}
        });
        // Some are answered by now: those are hung up.
        let end = &mut p.ends[A];
        let _ = end.cancel(p.now, call, None).or_else(|_| end.bye(p.now, call, None));
    }
    p.run(Duration::from_secs(120));
    // Whatever still stands on the callee's side has lost its caller's BYE after 11 tries; its owner (the media
    // time-out) ends it.
    let left: Vec<_> = p.ends[B].calls.keys().copied().collect();
    for call in left {
        let _ = p.ends[B].bye(p.now, call, None);
    }
    for event in &p.events[A] {
        if let Event::Failed { call, .. } | Event::Cancelled { call, .. } | Event::Ended { call, .. } = event
        {
            *ours.get_mut(call).unwrap() += 1;
        }
    }
    assert!(ours.values().all(|ends| *ends == 1), "seed {seed}: every call ends once: {ours:?}");
    p.assert_clean();
}

#[test]
fn every_call_ends_in_fair_weather() {
    storm(1, Weather::default());
}

#[test]
fn every_call_ends_with_loss_jitter_and_repeats() {
    for seed in 0..60 {
        storm(seed, Weather { loss: seed % 6 * 6, repeat: seed % 5 * 5, jitter_ms: seed % 7 * 40 });
    }
}

/// R12: with 5% loss calls still connect, by retransmission.
#[test]
fn calls_connect_with_five_per_cent_loss() {
    let mut p = Pair::new(77);
    p.weather = Weather { loss: 5, repeat: 2, jitter_ms: 50 };
    let calls: Vec<_> = (0..200).map(|_| p.invite()).collect();
    p.run_answering(Duration::from_secs(20));
    let answered = p.events[A].iter().filter(|e| matches!(e, Event::Answered { .. })).count();
    assert_eq!(answered, 200);
    for call in calls {
        p.ends[A].bye(p.now, call, None).unwrap();
    }
    p.run(Duration::from_secs(40));
    let ended = |side: usize| p.events[side].iter().filter(|e| matches!(e, Event::Ended { .. })).count();
    assert_eq!((ended(A), ended(B)), (200, 200));
    p.assert_clean();
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut p = Pair::new(5);
        p.weather = Weather { loss: 20, repeat: 10, jitter_ms: 100 };
        for _ in 0..10 {
            p.invite();
        }
        p.run_answering(Duration::from_secs(40));
        p.wire
    };
    assert_eq!(run(), run());
}

#[test]
fn noise_never_panics_and_leaves_nothing() {
    let mut p = Pair::new(6);
    p.invite();
    p.run_answering(Duration::from_secs(1));
    let samples: Vec<Bytes> = p.wire.iter().map(|(_, _, bytes)| bytes.clone()).collect();
    let mut chance = ChaCha8Rng::seed_from_u64(6);
    for _ in 0..20_000 {
        let mut bytes = samples[chance.next_u64() as usize % samples.len()].to_vec();
        for _ in 0..=chance.next_u64() % 4 {
            let at = chance.next_u64() as usize % bytes.len();
            match chance.next_u64() % 3 {
                0 => bytes[at] = chance.next_u64() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b";,<>\"\r\n:= "[chance.next_u64() as usize % 10]),
            }
        }
        let side = chance.next_u64() as usize % 2;
        p.inject(address(1 - side), side, Bytes::from(bytes));
    }
    p.run(Duration::from_secs(1));
    for side in [A, B] {
        let calls: Vec<_> = p.ends[side].calls.keys().copied().collect();
        for call in calls {
            let _ = p.ends[side].bye(p.now, call, None);
        }
    }
    p.run(Duration::from_secs(70));
    for side in [A, B] {
        let calls: Vec<_> = p.ends[side].calls.keys().copied().collect();
        for call in calls {
            let _ = p.ends[side].bye(p.now, call, None);
        }
    }
    p.assert_clean();
}
