//! What real peers do: forks, challenges that want too much, scans, odd requests. The peer is written by hand.

use super::*;
use crate::auth::Credentials;
use crate::event::Failure;
use crate::message::Request;

const PEER: usize = B;
const SECOND: Duration = Duration::from_secs(1);

/// A alone: what it sends to B is looked at and answered by hand.
pub(super) fn alone() -> Pair {
    let mut b = config(B);
    b.accept_from = AcceptFrom::Nobody;
    Pair::with(30, config(A), b)
}

/// The latest request with this method that A sent.
pub(super) fn latest(p: &Pair, method: &str) -> Request {
    let bytes = p
        .wire
        .iter()
        .rev()
        .find(|(_, from, bytes)| *from == address(A) && bytes.starts_with(method.as_bytes()));
    let Ok(Message::Request(request)) = Message::parse(bytes.expect("a request").2.clone()) else { panic!() };
    request
}

/// An answer to a request of A's.
pub(super) fn answer(request: &Request, status: u16, tag: &str, more: &[(&str, &str)], body: &str) -> Bytes {
    let text = |name: Name| String::from_utf8_lossy(request.get(name).unwrap()).into_owned();
    let to = if tag.is_empty() { text(Name::To) } else { format!("{};tag={tag}", text(Name::To)) };
    let mut b = Builder::response(status, "x")
        .header("Via", &text(Name::Via))
        .header("From", &text(Name::From))
        .header("To", &to)
        .header("Call-ID", &text(Name::CallId))
        .header("CSeq", &text(Name::CSeq));
    for (name, value) in more {
        b = b.header(name, value);
    }
    if body.is_empty() { b.finish() } else { b.body("application/sdp", body.as_bytes()) }
}

const CONTACT: (&str, &str) = ("Contact", "<sip:gw@10.0.0.2:5060>");

/// Interop row 6: early dialogs by tag; one call; a second 2xx is acknowledged and ended.
#[test]
fn forks_end_with_one_call() {
    let mut p = alone();
    let call = p.invite();
    p.run(SECOND / 10);
    let invite = latest(&p, "INVITE");
    for (status, tag) in [(183, "one"), (180, "two"), (183, "one")] {
        p.inject(
            address(PEER),
            A,
            answer(&invite, status, tag, &[CONTACT], if status == 183 { "early" } else { "" }),
        );
    }
    p.run(SECOND / 10);
    let early: Vec<_> = p.events[A]
        .iter()
        .filter_map(|e| if let Event::Progress { early, .. } = e { Some(early.clone()) } else { None })
        .collect();
    assert_eq!(early, ["one", "two", "one"]);
    p.inject(address(PEER), A, answer(&invite, 200, "two", &[CONTACT], "sdp"));
    p.inject(
        address(PEER),
        A,
        answer(&invite, 200, "one", &[("Contact", "<sip:other@10.0.0.2:5060>")], "sdp"),
    );
    p.run(SECOND / 10);
    assert_eq!((p.sent(A, "ACK", "ACK"), p.sent(A, "BYE sip:other@", "BYE")), (2, 1));
    // The second comes again: acknowledged again, not ended again.
    p.run(SECOND / 2);
    p.inject(
        address(PEER),
        A,
        answer(&invite, 200, "one", &[("Contact", "<sip:other@10.0.0.2:5060>")], "sdp"),
    );
    p.run(SECOND / 10);
    assert_eq!(p.sent(A, "ACK sip:other@", "ACK"), 2);
    let bye = latest(&p, "BYE");
    assert_eq!(bye.to().unwrap().tag(), Some(&b"one"[..]));
    p.inject(address(PEER), A, answer(&bye, 200, "", &[], ""));
    let answered = p.events[A].iter().filter(|e| matches!(e, Event::Answered { .. })).count();
    assert_eq!((answered, p.ends[A].call_count()), (1, 1));
    p.ends[A].bye(p.now, call, None).unwrap();
    p.assert_clean();
}

/// Interop row 27: the route set is on every request within the dialog.
#[test]
fn the_route_set_is_kept() {
    let mut p = alone();
    let call = p.invite();
    p.run(SECOND / 10);
    let invite = latest(&p, "INVITE");
    let routes = ("Record-Route", "<sip:10.0.0.7:5070;lr>, <sip:10.0.0.2;lr>");
    p.inject(address(PEER), A, answer(&invite, 200, "t", &[routes, CONTACT], ""));
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(SECOND / 10);
    for method in ["ACK", "BYE"] {
        let request = latest(&p, method);
        assert_eq!(request.uri(), b"sip:gw@10.0.0.2:5060");
        let routes: Vec<_> = request.all(Name::Route).collect();
        assert_eq!(routes, [&b"<sip:10.0.0.2;lr>"[..], b"<sip:10.0.0.7:5070;lr>"]);
    }
    p.assert_clean();
}

/// Interop row 28: peers that leave out the To tag and the Contact.
#[test]
fn a_bare_answer_still_makes_a_call() {
    let mut p = alone();
    let call = p.invite();
    p.run(SECOND / 10);
    let invite = latest(&p, "INVITE");
    p.inject(address(PEER), A, answer(&invite, 200, "", &[], "sdp"));
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(SECOND / 10);
    let bye = latest(&p, "BYE");
    assert_eq!((bye.uri(), bye.cseq().unwrap().number), (&b"sip:+15550100@10.0.0.2"[..], 2));
    p.inject(address(PEER), A, answer(&bye, 481, "", &[], ""));
    p.run(SECOND / 10);
    assert!(matches!(p.last(A), Event::Ended { .. }));
    p.assert_clean();
}

const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Digest realm=\"trunk\", nonce=\"n1\", qop=\"auth\"");

fn credentials() -> Option<Arc<Credentials>> {
    Some(Arc::new(Credentials { username: "u".into(), password: "p".into() }))
}

/// Interop row 14: a new branch, the next CSeq, the same Call-ID; refused twice is final; stale is not.
#[test]
fn challenges() {
    let mut p = alone();
    p.invite_with(|request| request.credentials = credentials());
    p.run(SECOND / 10);
    let first = latest(&p, "INVITE");
    p.inject(address(PEER), A, answer(&first, 401, "t", &[CHALLENGE], ""));
    p.run(SECOND / 10);
    let second = latest(&p, "INVITE");
    assert_eq!(second.cseq().unwrap().number, 2);
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.from().unwrap().tag(), first.from().unwrap().tag());
    assert_ne!(second.via().unwrap().branch(), first.via().unwrap().branch());
    assert_eq!(second.body(), first.body());
    assert!(second.get(Name::Authorization).is_some());
    let stale = ("WWW-Authenticate", "Digest realm=\"trunk\", nonce=\"n2\", qop=\"auth\", stale=true");
    p.inject(address(PEER), A, answer(&second, 401, "t", &[stale], ""));
    p.run(SECOND / 10);
    let third = latest(&p, "INVITE");
    assert_eq!((third.cseq().unwrap().number, third.all(Name::Authorization).count()), (3, 1));
    p.inject(address(PEER), A, answer(&third, 401, "t", &[CHALLENGE], ""));
    p.run(SECOND / 10);
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Status(401), .. }));
    assert_eq!(p.sent(A, "ACK", "ACK"), 3);
    p.assert_clean();
}

/// A callee behind the trunk asks for the trunk's digest: it gets none. The trunk itself does.
#[test]
fn credentials_are_for_the_trunk_only() {
    for (contact, given) in [("<sip:x@10.9.9.9>", 0), ("<sip:gw@10.0.0.2>", 1)] {
        let mut p = alone();
        let call = p.invite_with(|request| request.credentials = credentials());
        p.run(SECOND / 10);
        let invite = latest(&p, "INVITE");
        let route = ("Record-Route", "<sip:10.0.0.2;lr>");
        p.inject(address(PEER), A, answer(&invite, 200, "t", &[route, ("Contact", contact)], ""));
        p.ends[A].bye(p.now, call, None).unwrap();
        p.run(SECOND / 10);
        let bye = latest(&p, "BYE");
        p.inject(address(PEER), A, answer(&bye, 401, "t", &[CHALLENGE], ""));
        p.run(SECOND / 10);
        assert_eq!(p.sent(A, "BYE", "3 BYE"), given, "{contact}");
        let last = latest(&p, "BYE");
        assert_eq!(last.get(Name::Authorization).is_some(), given == 1);
        if given == 1 {
            p.inject(address(PEER), A, answer(&last, 200, "t", &[], ""));
        }
        p.run(SECOND / 10);
        assert!(matches!(p.last(A), Event::Ended { .. }));
        p.assert_clean();
    }
}

fn request(method: &str, branch: &str, to_tag: &str, more: &[(&str, &str)]) -> Bytes {
    let method =
        Method::known(method.as_bytes()).unwrap_or(Method::Other(Bytes::copy_from_slice(method.as_bytes())));
    let mut b = Builder::request(&method, "sip:1@10.0.0.1")
        .header("Via", &format!("SIP/2.0/UDP 10.0.0.2:5062;branch=z9hG4bK{branch}"))
        .header("From", "<sip:x@10.0.0.2>;tag=peer")
        .header("To", &format!("<sip:1@10.0.0.1>{to_tag}"))
        .header("Call-ID", "peer-call")
        .header("CSeq", &format!("1 {method}"))
        .header("Contact", "<sip:x@10.0.0.2>");
    for (name, value) in more {
        b = b.header(name, value);
    }
    b.finish()
}

fn statuses(p: &Pair) -> Vec<String> {
    p.wire
        .iter()
        .map(|(_, _, bytes)| String::from_utf8_lossy(bytes.get(8..11).unwrap_or_default()).into_owned())
        .collect()
}

/// Interop row 30.
#[test]
fn requests_outside_of_calls() {
    let mut p = alone();
    for (i, (method, tag, more)) in [
        ("OPTIONS", "", None),
        ("DANCE", "", None),
        ("REGISTER", "", None),
        ("BYE", ";tag=gone", None),
        ("BYE", "", None),
        ("CANCEL", "", None),
        ("INVITE", ";tag=gone", None),
        ("INVITE", "", Some(("Require", "100rel, timer"))),
        ("ACK", ";tag=gone", None),
    ]
    .into_iter()
    .enumerate()
    {
        p.inject(address(PEER), A, request(method, &i.to_string(), tag, more.as_slice()));
    }
    p.run(SECOND / 4);
    assert_eq!(statuses(&p), ["200", "501", "405", "481", "481", "481", "481", "420"]);
    // Without rport the answer goes to the port in Via (§18.2.2).
    assert!(p.elsewhere.iter().all(|(to, _)| *to == "10.0.0.2:5062".parse().unwrap()));
    assert!(String::from_utf8_lossy(&p.elsewhere[7].1).contains("Unsupported: 100rel, timer"));
    // Each again: the same answers, no new work.
    p.inject(address(PEER), A, request("OPTIONS", "0", "", &[]));
    p.run(SECOND / 4);
    assert_eq!(p.elsewhere[0].1, p.elsewhere[8].1);
    p.inject("10.0.0.2:5060".parse().unwrap(), A, Bytes::from_static(b"\r\n\r\n"));
    p.run(SECOND / 4);
    assert_eq!(&p.wire.last().unwrap().2[..], b"\r\n");
    p.run(Duration::from_secs(40));
    p.assert_clean();
}

#[test]
fn unknown_sources_hear_nothing() {
    let mut a = config(A);
    a.accept_from = AcceptFrom::Only(vec!["10.0.0.2".parse().unwrap()]);
    let mut p = Pair::with(31, a, config(B));
    let stranger = "203.0.113.9:5060".parse().unwrap();
    for (i, method) in
        ["INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "DANCE"].into_iter().enumerate()
    {
        p.inject(stranger, A, request(method, &format!("s{i}"), "", &[]));
    }
    p.inject(stranger, A, Bytes::from_static(b"\r\n\r\n"));
    p.inject(stranger, A, Bytes::from_static(b"\xff\x00garbage"));
    p.run(SECOND);
    assert!(p.wire.is_empty() && p.events[A].is_empty());
    let stats = p.ends[A].stats();
    assert_eq!((stats.dropped_source.get(), stats.dropped_malformed.get()), (7, 1));
    p.inject(address(PEER), A, request("INVITE", "ok", "", &[]));
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Incoming { .. }));
}

/// §8.2.2.2: the same INVITE by two ways is one call.
#[test]
fn merged_requests_and_full_tables() {
    let mut a = config(A);
    a.max_calls = 1;
    let mut p = Pair::with(32, a, config(B));
    p.inject(address(PEER), A, request("INVITE", "w1", "", &[]));
    p.inject(address(PEER), A, request("INVITE", "w2", "", &[]));
    p.inject(address(PEER), A, request("INVITE", "w1", "", &[]));
    p.run(SECOND / 4);
    assert_eq!(statuses(&p)[..3], ["100", "482", "100"]);
    let other =
        String::from_utf8(request("INVITE", "w3", "", &[]).to_vec()).unwrap().replace("peer-call", "other");
    p.inject(address(PEER), A, Bytes::from(other));
    p.run(SECOND / 4);
    assert_eq!(p.events[A].len(), 1);
    let full = p.elsewhere.iter().find(|(_, b)| b.starts_with(b"SIP/2.0 503")).unwrap();
    assert!(String::from_utf8_lossy(&full.1).contains("Retry-After"));
    // §9.2: the peer's CANCEL.
    p.inject(address(PEER), A, request("CANCEL", "w1", "", &[]));
    p.run(SECOND / 4);
    assert!(matches!(p.last(A), Event::Cancelled { .. }));
    p.assert_clean();
}

#[test]
fn redirections_carry_their_contacts() {
    let mut p = alone();
    p.invite();
    p.run(SECOND / 10);
    let invite = latest(&p, "INVITE");
    p.inject(address(PEER), A, answer(&invite, 302, "t", &[("Contact", "<sip:a@h>;q=0.7, <sip:b@h>")], ""));
    p.run(SECOND / 10);
    let Event::Failed { contacts, .. } = p.last(A) else { panic!() };
    assert_eq!(contacts[..], [&b"<sip:a@h>;q=0.7"[..], b"<sip:b@h>"]);
    p.assert_clean();
}

/// A peer that answers every ACK at once must not make us spin.
#[test]
fn no_storm_of_acks() {
    let mut p = alone();
    let call = p.invite();
    p.run(SECOND / 10);
    let invite = latest(&p, "INVITE");
    for _ in 0..1_000 {
        p.inject(address(PEER), A, answer(&invite, 200, "t", &[CONTACT], ""));
    }
    p.run(SECOND / 10);
    assert_eq!(p.sent(A, "ACK", "ACK"), 1);
    p.ends[A].bye(p.now, call, None).unwrap();
    p.assert_clean();
}
