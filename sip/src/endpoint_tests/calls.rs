//! Whole calls, as they should go.

use super::*;
use crate::auth::{Credentials, DigestServer, User};
use crate::error::{ApiMisuse, PeerMisbehaved};
use crate::event::{EndedBy, Failure};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn answered_and_ended_by_us() {
    let mut p = Pair::new(1);
    let call = p.invite();
    p.run_answering(SECOND);
    let Event::Answered { body, early, .. } = p.last(A) else { panic!("{:?}", p.events) };
    assert_eq!(&body.as_ref().unwrap().data[..], b"answer");
    assert!(!early.is_empty());
    assert!(matches!(p.events[A][0], Event::Trying { .. }));
    assert!(matches!(p.events[A][1], Event::Progress { status: 180, .. }));
    assert!(matches!(p.last(B), Event::Acknowledged { body: None, .. }));
    p.ends[A].bye(p.now, call, Some(Reason::q850(16, "done"))).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Ended { by: EndedBy::Local, .. }));
    let Event::Ended { by: EndedBy::Remote, reasons, .. } = p.last(B) else { panic!() };
    assert_eq!(reasons[..], [Reason::q850(16, "done")]);
    let trace = p.ends[A].trace(call).unwrap();
    assert_eq!(trace.entries.len(), 7); // INVITE 100 180 200 ACK BYE 200
    assert!(p.ends[A].bye(p.now, call, None).is_err());
    p.assert_clean();
}

#[test]
fn ended_by_them() {
    let mut p = Pair::new(2);
    p.invite();
    p.run_answering(SECOND);
    let theirs = p.incoming(B);
    p.ends[B].bye(p.now, theirs, Some(Reason::q850(31, ""))).unwrap();
    p.run(SECOND);
    let Event::Ended { by: EndedBy::Remote, reasons, .. } = p.last(A) else { panic!() };
    assert_eq!(reasons[0].cause, Some(31));
    p.assert_clean();
}

#[test]
fn both_hang_up_at_once() {
    let mut p = Pair::new(3);
    let call = p.invite();
    p.run_answering(SECOND);
    let theirs = p.incoming(B);
    p.ends[A].bye(p.now, call, None).unwrap();
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Ended { by: EndedBy::Local, .. }));
    assert!(matches!(p.last(B), Event::Ended { by: EndedBy::Local, .. }));
    p.assert_clean();
}

#[test]
fn row_03_16_19_refused_with_reason_and_retry_after() {
    let mut p = Pair::new(4);
    p.invite();
    p.run_with(SECOND, |ends, now, side, event| {
        if let (B, Event::Incoming { call, .. }) = (side, event) {
            let headers = [
                ("Reason".into(), "Q.850;cause=34;text=\"none\"".into()),
                ("Retry-After".into(), "30".into()),
            ];
            ends[B].reject(now, *call, 503, &headers).unwrap();
        }
    });
    let Event::Failed { failure, reasons, retry_after_s, progressed, .. } = p.last(A) else { panic!() };
    assert_eq!((*failure, *retry_after_s, *progressed), (Failure::Status(503), Some(30), false));
    assert_eq!(reasons[..], [Reason::q850(34, "none")]);
    // Interop row 3: the 503 is acknowledged too, and so is not sent again.
    assert_eq!((p.sent(A, "ACK", "ACK"), p.sent(B, "SIP/2.0 503", "INVITE")), (1, 1));
    p.assert_clean();
}

#[test]
fn row_05_cancelled_while_ringing() {
    let mut p = Pair::new(5);
    let call = p.invite();
    p.run_with(SECOND, |ends, now, side, event| {
        if let (B, Event::Incoming { call, .. }) = (side, event) {
            ends[B].ring(now, *call, 183, Some(Body::sdp("early"))).unwrap();
        }
    });
    assert!(matches!(p.last(A), Event::Progress { status: 183, body: Some(_), .. }));
    p.ends[A].cancel(p.now, call, Some(Reason::sip(487, "gone"))).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Cancelled { status: Some(487), .. }));
    let Event::Cancelled { reasons, .. } = p.last(B) else { panic!() };
    assert_eq!(reasons[0].cause, Some(487));
    p.assert_clean();
}

/// Interop row 1: CANCEL only after a 1xx, and the INVITE goes on until then.
#[test]
fn row_01_a_cancel_waits_for_a_provisional_answer() {
    let mut p = Pair::new(6);
    p.weather.loss = 100;
    let call = p.invite();
    p.run(Duration::from_millis(100));
    p.ends[A].cancel(p.now, call, None).unwrap();
    p.run(Duration::from_secs(2));
    assert_eq!((p.sent(A, "CANCEL", "CANCEL"), p.sent(A, "INVITE", "INVITE")), (0, 3));
    p.weather.loss = 0;
    p.run(Duration::from_secs(4));
    assert_eq!(p.sent(A, "CANCEL", "CANCEL"), 1);
    assert!(matches!(p.last(A), Event::Cancelled { status: Some(487), .. }));
    p.assert_clean();
}

/// A call whose INVITE nobody hears for four seconds, three of them without a network at all.
fn unheard(seed: u64) -> Pair {
    let mut p = Pair::new(seed);
    p.weather.loss = 100;
    p.invite_with(|r| r.first_response_within = Some(4 * SECOND));
    p.run(3 * SECOND);
    p
}

#[test]
fn a_call_that_is_not_heard_in_time_is_given_up_and_a_late_ring_is_cancelled() {
    let mut p = unheard(61);
    // The INVITE of 3.5 s gets there, its 100 does not come back in time.
    p.weather.loss = 0;
    p.run(Duration::from_millis(505));
    p.weather.loss = 100;
    p.run(SECOND);
    let told = |p: &Pair| p.events[A].len();
    let [Event::Failed { failure: Failure::Timeout, progressed: false, .. }] = p.events[A].as_slice() else {
        panic!("{:?}", p.events[A]);
    };
    let invites = p.sent(A, "INVITE", "INVITE");
    p.weather.loss = 0;
    let theirs = p.incoming(B);
    p.ends[B].ring(p.now, theirs, 180, None).unwrap();
    p.run(2 * SECOND);
    assert_eq!((p.sent(A, "CANCEL", "CANCEL"), p.sent(B, "SIP/2.0 487", "INVITE")), (1, 1));
    assert!(matches!(p.last(B), Event::Cancelled { .. }), "{:?}", p.last(B));
    assert_eq!((told(&p), p.sent(A, "INVITE", "INVITE")), (1, invites), "told once, and not sent again");
    p.run(80 * SECOND);
    assert_eq!(told(&p), 1);
    p.assert_clean();
}

#[test]
fn an_answer_to_a_call_that_was_given_up_is_acknowledged_and_ended() {
    let mut p = unheard(62);
    p.weather.loss = 0;
    p.run(Duration::from_millis(505));
    p.weather.loss = 100;
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Timeout, .. }));
    let theirs = p.incoming(B);
    p.ends[B].answer(p.now, theirs, Some(Body::sdp("answer"))).unwrap();
    p.weather.loss = 0;
    p.run(4 * SECOND);
    assert_eq!((p.sent(A, "ACK", "ACK"), p.sent(A, "BYE", "BYE")), (1, 1));
    assert!(matches!(p.last(B), Event::Ended { by: EndedBy::Remote, .. }));
    assert!(matches!(p.last(A), Event::Failed { .. }), "nobody is told of it: {:?}", p.events[A]);
    p.run(80 * SECOND);
    p.assert_clean();
}

#[test]
fn a_call_that_nobody_ever_hears_is_given_up_once() {
    let mut p = unheard(63);
    p.run(80 * SECOND);
    assert!(matches!(p.events[A].as_slice(), [Event::Failed { failure: Failure::Timeout, .. }]));
    // At 0, 0.5, 1.5 and 3.5 s; not again after 4 s.
    assert_eq!(p.sent(A, "INVITE", "INVITE"), 4);
    p.assert_clean();
}

#[test]
fn a_call_that_is_heard_waits_as_long_as_it_takes() {
    let mut p = Pair::new(64);
    p.invite_with(|r| r.first_response_within = Some(4 * SECOND));
    p.run(10 * SECOND);
    assert!(matches!(p.events[A].as_slice(), [Event::Trying { .. }]));
    let theirs = p.incoming(B);
    p.ends[B].answer(p.now, theirs, Some(Body::sdp("answer"))).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Answered { .. }));
}

/// Interop row 2: a 200 that crosses our CANCEL is acknowledged and the call ended.
#[test]
fn a_cancel_leaves_an_answered_call_alone() {
    let mut p = Pair::new(6);
    let call = p.invite();
    p.run_answering(SECOND);
    assert_eq!(p.ends[A].cancel(p.now, call, None), Err(ApiMisuse::WrongState));
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Ended { by: EndedBy::Local, .. }));
    p.assert_clean();
}

#[test]
fn row_02_an_answer_crosses_the_cancel() {
    let mut p = Pair::new(7);
    let call = p.invite();
    p.run(SECOND);
    let theirs = p.incoming(B);
    p.ends[A].cancel(p.now, call, None).unwrap();
    p.ends[B].answer(p.now, theirs, Some(Body::sdp("answer"))).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Cancelled { status: Some(200), .. }), "{:?}", p.events[A]);
    assert!(matches!(p.last(B), Event::Ended { by: EndedBy::Remote, .. }));
    assert_eq!((p.sent(A, "ACK", "ACK"), p.sent(A, "BYE", "BYE")), (1, 1));
    p.assert_clean();
}

/// Interop row 4: a 2xx that comes again is acknowledged again, without a second event.
#[test]
fn row_04_a_repeated_answer_is_acknowledged_again() {
    let mut p = Pair::new(8);
    let call = p.invite();
    p.run(SECOND);
    let theirs = p.incoming(B);
    p.ends[B].answer(p.now, theirs, None).unwrap();
    p.run(Duration::from_millis(5));
    p.weather.loss = 100; // the ACK is lost
    p.run(Duration::from_millis(100));
    p.weather.loss = 0;
    p.run(SECOND);
    assert_eq!((p.sent(A, "ACK", "ACK"), p.sent(B, "SIP/2.0 200", "INVITE")), (2, 2));
    assert_eq!(p.events[A].iter().filter(|e| matches!(e, Event::Answered { .. })).count(), 1);
    assert!(matches!(p.last(B), Event::Acknowledged { .. }));
    p.ends[A].bye(p.now, call, None).unwrap();
    p.assert_clean();
}

/// RFC 3261 §15: a callee that hangs up before the ACK waits for it.
#[test]
fn a_callee_waits_for_the_ack_before_bye() {
    let mut p = Pair::new(9);
    p.invite();
    p.run(SECOND);
    let theirs = p.incoming(B);
    p.ends[B].answer(p.now, theirs, None).unwrap();
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.run(Duration::from_millis(1));
    assert_eq!(p.sent(B, "BYE", "BYE"), 0);
    p.run(SECOND);
    assert_eq!(p.sent(B, "BYE", "BYE"), 1);
    p.assert_clean();
}

/// Timer B: nobody there. 64*T1, seven INVITEs.
#[test]
fn nobody_answers() {
    let mut p = Pair::new(10);
    p.weather.loss = 100;
    p.invite();
    p.run(Duration::from_millis(31_999));
    assert!(p.events[A].is_empty());
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Timeout, progressed: false, .. }));
    assert_eq!(p.sent(A, "INVITE", "INVITE"), 7);
    p.assert_clean();
}

/// Timer F: a BYE that nobody answers ends the call all the same. Timer E: 500 ms doubling up to 4 s.
#[test]
fn a_bye_into_the_void() {
    let mut p = Pair::new(11);
    let call = p.invite();
    p.run_answering(SECOND);
    p.weather.loss = 100;
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(Duration::from_secs(33));
    assert_eq!(p.sent(A, "BYE", "BYE"), 11);
    assert!(matches!(p.last(A), Event::Ended { by: EndedBy::Local, .. }));
    let theirs = p.incoming(B);
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.assert_clean();
}

/// Timers G and H: a refusal is sent again until its ACK, and given up after 64*T1.
#[test]
fn a_refusal_that_nobody_acknowledges() {
    let mut p = Pair::new(12);
    p.invite();
    p.run(SECOND);
    let theirs = p.incoming(B);
    p.weather.loss = 100;
    p.ends[B].reject(p.now, theirs, 486, &[]).unwrap();
    p.run(Duration::from_secs(33));
    assert_eq!(p.sent(B, "SIP/2.0 486", "INVITE"), 11);
    // The caller has heard 100 and waits: its owner cancels, and §9.1 lets it go after 64*T1.
    assert!(matches!(p.last(A), Event::Trying { .. }));
    let Event::Trying { call } = *p.last(A) else { panic!() };
    p.ends[A].cancel(p.now, call, None).unwrap();
    p.run(Duration::from_secs(33));
    assert!(matches!(p.last(A), Event::Cancelled { status: None, .. }));
    p.assert_clean();
}

/// §13.3.1.4: an answer that nobody acknowledges ends with a BYE.
#[test]
fn an_answer_that_nobody_acknowledges() {
    let mut p = Pair::new(13);
    p.invite();
    p.run(SECOND);
    let theirs = p.incoming(B);
    p.weather.loss = 100;
    p.ends[B].answer(p.now, theirs, None).unwrap();
    p.run(Duration::from_secs(33));
    assert_eq!((p.sent(B, "SIP/2.0 200", "INVITE"), p.sent(B, "BYE", "BYE")), (11, 2));
    p.weather.loss = 0;
    p.run(Duration::from_secs(5));
    let by = EndedBy::Protocol(PeerMisbehaved::NoAck);
    assert!(matches!(p.last(B), Event::Ended { by: b, .. } if *b == by));
    let Event::Trying { call } = p.events[A][0] else { panic!() };
    p.ends[A].cancel(p.now, call, None).unwrap();
    p.assert_clean();
}

#[test]
fn row_14_digests_of_both_kinds_and_wrong_passwords() {
    for (sha256, password, good) in [(false, "right", true), (true, "right", true), (false, "wrong", false)] {
        let user = |password: &str| Credentials { username: "u".into(), password: password.into() };
        let mut b = config(B);
        let mut known = User::new("u", "trunk", "right");
        known.secrets.sha256.take_if(|_| !sha256);
        b.challenge = Some(DigestServer::new("trunk", vec![known], &[1; 32]));
        let mut p = Pair::with(14, config(A), b);
        let call = p.invite_with(|request| request.credentials = Some(Arc::new(user(password))));
        p.run_answering(SECOND);
        assert_eq!(p.sent(A, "INVITE", "2 INVITE"), 1);
        if good {
            assert!(matches!(p.last(A), Event::Answered { .. }));
            p.ends[A].bye(p.now, call, None).unwrap();
        } else {
            assert!(matches!(p.last(A), Event::Failed { failure: Failure::Status(401), .. }));
        }
        p.assert_clean();
    }
}

#[test]
fn changes_within_a_call() {
    let mut p = Pair::new(15);
    let call = p.invite();
    p.run_answering(SECOND);
    let snapshot = p.events[A].iter().find_map(|e| match e {
        Event::Answered { dialog, .. } => Some(dialog.dialog.clone()),
        _ => None,
    });
    let d = snapshot.unwrap();
    // B's side of the dialog, by hand: re-INVITE, UPDATE, INFO, OPTIONS, an unknown method.
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let request = |method: Method, seq: u32| {
        Builder::request(&method, "sip:10.0.0.1")
            .header("Via", &format!("SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKx{seq}"))
            .header("From", &text(&d.remote))
            .header("To", &text(&d.local))
            .header("Call-ID", &text(&d.call_id))
            .header("Contact", "<sip:moved@10.0.0.2:5060>")
            .header("CSeq", &format!("{seq} {method}"))
    };
    p.inject(address(B), A, request(Method::Invite, 5).body("application/sdp", b"hold"));
    p.run(SECOND);
    let Event::Modify { update: false, body: Some(body), .. } = p.last(A) else {
        panic!("{:?}", p.events[A])
    };
    assert_eq!(&body.data[..], b"hold");
    // A second change meanwhile is told to wait.
    p.inject(address(B), A, request(Method::Update, 6).finish());
    p.ends[A].respond_modify(p.now, call, ModifyAnswer::Accept(Some(Body::sdp("held")))).unwrap();
    p.run(Duration::from_millis(600));
    assert_eq!(p.sent(A, "SIP/2.0 500", "6 UPDATE"), 1);
    assert_eq!(p.sent(A, "SIP/2.0 200", "5 INVITE"), 2); // not acknowledged yet
    p.inject(address(B), A, request(Method::Ack, 5).finish());
    assert!(p.ends[A].respond_modify(p.now, call, ModifyAnswer::Reject(488)).is_err());
    p.inject(address(B), A, request(Method::Update, 7).body("application/sdp", b"bad"));
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Modify { update: true, .. }));
    p.ends[A].respond_modify(p.now, call, ModifyAnswer::Reject(488)).unwrap();
    p.inject(address(B), A, request(Method::Info, 8).body("application/dtmf-relay", b"Signal=5"));
    p.inject(address(B), A, request(Method::Options, 9).finish());
    p.inject(address(B), A, request(Method::Other(Bytes::from_static(b"DANCE")), 10).finish());
    p.inject(address(B), A, request(Method::Refer, 11).finish());
    p.inject(address(B), A, request(Method::Info, 3).finish());
    p.run(SECOND);
    for (status, method) in [
        ("488", "7 UPDATE"),
        ("200", "8 INFO"),
        ("200", "9 OPTIONS"),
        ("501", "10 DANCE"),
        ("400", "11 REFER"),
        ("500", "3 INFO"),
    ] {
        assert_eq!(p.sent(A, &format!("SIP/2.0 {status}"), method), 1, "{method}");
    }
    // The re-INVITE without an offer gets one in the 2xx, and the answer comes in the ACK.
    p.inject(address(B), A, request(Method::Invite, 12).finish());
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Modify { body: None, .. }));
    p.ends[A].respond_modify(p.now, call, ModifyAnswer::Accept(Some(Body::sdp("offer")))).unwrap();
    p.inject(address(B), A, request(Method::Ack, 12).body("application/sdp", b"answer"));
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Acknowledged { body: Some(_), .. }));
    // The target moved with the re-INVITE.
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(SECOND);
    assert_eq!(p.sent(A, "BYE sip:moved@10.0.0.2:5060", "BYE"), 1);
    p.assert_clean();
}

#[test]
fn options_and_its_absence() {
    let mut p = Pair::new(16);
    let key = p.ends[A].options(p.now, address(B)).unwrap();
    p.run(SECOND);
    let Event::OptionsResult { key: k, status: Some(200), rtt } = p.last(A) else { panic!() };
    assert_eq!((*k, *rtt), (key, DELAY * 2));
    p.weather.loss = 100;
    p.ends[A].options(p.now, address(B)).unwrap();
    p.run(Duration::from_secs(33));
    assert!(matches!(p.last(A), Event::OptionsResult { status: None, .. }));
    p.assert_clean();
}

#[test]
fn misuse_is_said() {
    let mut p = Pair::new(17);
    let invite = |p: &mut Pair, change: fn(&mut InviteRequest)| {
        let mut request = InviteRequest::new(address(B), "sip:1@h", "id");
        change(&mut request);
        p.ends[A].invite(p.now, request).map(drop)
    };
    assert_eq!(invite(&mut p, |r| r.uri = "sip:1@h\r\nX: y".into()), Err(ApiMisuse::BadField("uri")));
    assert_eq!(invite(&mut p, |r| r.from_user = "a>b".into()), Err(ApiMisuse::BadField("from_user")));
    assert_eq!(invite(&mut p, |r| r.from_display = "a\nb".into()), Err(ApiMisuse::BadField("from_display")));
    assert_eq!(
        invite(&mut p, |r| r.headers.push(("Via".into(), "x".into()))),
        Err(ApiMisuse::BadField("headers"))
    );
    assert_eq!(
        invite(&mut p, |r| r.destination = "[::1]:5060".parse::<SocketAddr>().unwrap().into()),
        Err(ApiMisuse::NoSocket)
    );
    assert_eq!(p.ends[A].answer(p.now, CallKey(77), None), Err(ApiMisuse::UnknownCall));
    assert_eq!(p.ends[A].call_count(), 0);
    let mut small = config(A);
    small.max_calls = 1;
    let mut p = Pair::with(18, small, config(B));
    let call = p.invite();
    assert_eq!(
        p.ends[A].invite(p.now, InviteRequest::new(address(B), "sip:1@h", "id")),
        Err(ApiMisuse::Full)
    );
    assert_eq!(p.ends[A].answer(p.now, call, None), Err(ApiMisuse::WrongState));
}
