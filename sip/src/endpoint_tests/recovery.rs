//! A crash between INVITE and answer, and in a call.

use super::*;
use crate::recovery::DialogSnapshot;

fn crash(p: &mut Pair) {
    p.ends[A] = Endpoint::new(config(A), [77; 32]);
}

#[test]
fn an_answer_after_a_crash_is_acknowledged_and_ended_once() {
    let mut p = Pair::new(40);
    p.invite_with(|request| request.call_id = CallIdKey::new(&[9; 32]).make(1234, 2));
    p.run(Duration::from_secs(1));
    let theirs = p.incoming(B);
    crash(&mut p);
    p.ends[B].answer(p.now, theirs, Some(Body::sdp("answer"))).unwrap();
    // Lose the first ACK, so that the 200 comes again.
    p.run(Duration::from_millis(5));
    p.weather.loss = 100;
    p.run(Duration::from_millis(100));
    p.weather.loss = 0;
    p.run(Duration::from_secs(5));
    let cleared: Vec<_> = p.events[A]
        .iter()
        .filter_map(|e| {
            if let Event::CallCleared { attempt, try_number } = e {
                Some((*attempt, *try_number))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(cleared, [(1234, 2)]);
    assert!(p.events[B].iter().any(|e| matches!(e, Event::Ended { .. })), "{:?}", p.events[B]);
    p.assert_clean();
}

#[test]
fn an_answer_with_a_foreign_call_id_is_not_believed() {
    let mut p = Pair::new(41);
    p.invite_with(|request| request.call_id = "0000000000000001-made-up".into());
    p.run(Duration::from_secs(1));
    let theirs = p.incoming(B);
    crash(&mut p);
    let before = p.wire.len();
    p.ends[B].answer(p.now, theirs, None).unwrap();
    p.run(Duration::from_millis(300));
    assert!(p.wire[before..].iter().all(|(_, from, _)| *from == address(B)));
    assert_eq!(p.ends[A].stats().dropped_unmatched.get(), 1);
}

#[test]
fn a_stored_dialog_is_ended_after_a_crash() {
    let mut p = Pair::new(42);
    p.invite();
    p.run_answering(Duration::from_secs(1));
    let Event::Answered { dialog, .. } = p.last(A) else { panic!() };
    let stored: DialogSnapshot = dialog.encode().parse().unwrap();
    crash(&mut p);
    // The peer's own request finds nobody.
    let theirs = p.incoming(B);
    let key = p.ends[A].bye_dialog(p.now, &stored, Some(Reason::sip(500, "restart"))).unwrap();
    p.run(Duration::from_secs(1));
    assert!(matches!(p.last(A), Event::DialogCleared { key: k, status: Some(200) } if *k == key));
    assert!(matches!(p.last(B), Event::Ended { call, .. } if *call == theirs));
    p.assert_clean();
}

#[test]
fn requests_of_a_lost_call_get_481() {
    let mut p = Pair::new(43);
    p.invite();
    p.run_answering(Duration::from_secs(1));
    crash(&mut p);
    let theirs = p.incoming(B);
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.run(Duration::from_secs(1));
    assert_eq!(p.sent(A, "SIP/2.0 481", "BYE"), 1);
    assert!(matches!(p.last(B), Event::Ended { .. }));
    p.assert_clean();
}
