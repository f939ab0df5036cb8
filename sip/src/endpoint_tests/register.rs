//! Our own registrations: at our registrar, and at trunks written by hand.

use super::peers::{alone, answer, latest};
use super::*;
use crate::auth::{Credentials, User};
use crate::limits;
use crate::message::Request;
use crate::register::{RegistrarConfig, Registration, RegistrationState, Unbound};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const CONTACT: &str = "<sip:trunk1@10.0.0.1:5060>";

/// B is a registrar with one user.
fn pair(seed: u64) -> Pair {
    let mut b = config(B);
    b.accept_from = AcceptFrom::Nobody;
    b.registrar = Some(RegistrarConfig::new("trunk.example"));
    let mut p = Pair::with(seed, config(A), b);
    p.ends[B].set_users(vec![User::new("acme", "trunk.example", "right")]).unwrap();
    p
}

fn registration(password: &str) -> Registration {
    let credentials = Credentials { username: "acme".into(), password: password.into() };
    Registration {
        expires_s: 600,
        credentials: Some(Arc::new(credentials)),
        ..Registration::new(address(B), "sip:acme@trunk.example", "trunk1")
    }
}

/// A has registered with a trunk that is played by hand; the first REGISTER is out.
fn by_hand() -> (Pair, CallKey) {
    let mut p = alone();
    let key = p.ends[A].register(p.now, registration("right")).unwrap();
    p.run(SECOND / 10);
    (p, key)
}

/// Answers the latest REGISTER.
fn respond(p: &mut Pair, status: u16, more: &[(&str, &str)]) {
    let request = latest(p, "REGISTER");
    p.inject(address(B), A, answer(&request, status, "t", more, ""));
    p.run(SECOND / 100);
}

fn states(p: &Pair) -> Vec<RegistrationState> {
    let state = |e: &Event| if let Event::Registration { state, .. } = e { Some(*state) } else { None };
    p.events[A].iter().filter_map(state).collect()
}

fn last(p: &Pair) -> RegistrationState {
    *states(p).last().unwrap()
}

/// A's REGISTERs without retransmissions: when, and what.
fn asked(p: &Pair) -> Vec<(Time, Request)> {
    let mut all: Vec<(Time, Request)> = Vec::new();
    for (at, from, bytes) in &p.wire {
        let Ok(Message::Request(request)) = Message::parse(bytes.clone()) else { continue };
        let again = all.iter().any(|(_, r)| r.raw() == request.raw());
        if *from == address(A) && *request.method() == Method::Register && !again {
            all.push((*at, request));
        }
    }
    all
}

/// When the next REGISTER goes out, if one does within `time`. It is not answered yet.
fn next_within(p: &mut Pair, time: Duration) -> Option<Duration> {
    let (before, start) = (p.sent(A, "REGISTER", "REGISTER"), p.now);
    while p.now.since(start) < time {
        p.run(SECOND / 4);
        if p.sent(A, "REGISTER", "REGISTER") > before {
            return p.wire.last().map(|(at, ..)| at.since(start));
        }
    }
    None
}

/// Everything ends: no timer, no transaction, no registration is left once the longest time has run out.
fn assert_all_gone(p: &mut Pair) {
    p.run(HOUR * 2);
    assert!(p.ends[A].registrations.is_empty());
    p.assert_clean();
}

#[test]
fn registered_for_a_day_and_never_late() {
    let mut p = pair(60);
    let key = p.ends[A].register(p.now, registration("right")).unwrap();
    p.run(HOUR * 24);
    assert_eq!(states(&p)[0], RegistrationState::Registering);
    assert!(states(&p)[1..].iter().all(|state| *state == RegistrationState::Registered { expires_s: 600 }));
    assert!(matches!(p.events[B][..], [Event::Bound { expires_s: 600, .. }]), "{:?}", p.events[B]);
    let asked = asked(&p);
    for (n, (_, request)) in asked.iter().enumerate() {
        assert_eq!(request.cseq().unwrap().number as usize, n + 1);
        assert_eq!(request.call_id(), asked[0].1.call_id());
        assert_eq!(request.from().unwrap().tag(), asked[0].1.from().unwrap().tag());
        assert_eq!(request.uri(), b"sip:trunk.example");
    }
    // Of every refresh at least 5 s before the end, and none hurried.
    for two in asked.windows(2) {
        let gap = two[1].0.since(two[0].0);
        assert!(gap < SECOND || (480..=540).contains(&gap.as_secs()), "{gap:?}");
    }
    // A nonce serves for an hour: few challenges for 160 and more refreshes.
    let refreshes = states(&p).len() - 1;
    let challenges = p.sent(B, "SIP/2.0 401", "REGISTER");
    assert!((160..=180).contains(&refreshes) && challenges <= 25, "{refreshes} {challenges}");
    p.ends[A].unregister(p.now, key).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(B), Event::Unbound { reason: Unbound::Removed, .. }));
    assert_eq!(last(&p), RegistrationState::Unregistered);
    assert_eq!(p.ends[A].unregister(p.now, key), Err(ApiMisuse::UnknownCall));
    assert_all_gone(&mut p);
}

#[test]
fn a_lost_200_is_asked_for_again() {
    let mut p = pair(61);
    p.ends[A].register(p.now, registration("right")).unwrap();
    // REGISTER, 401, REGISTER: its 200 is lost, and is repeated by the transaction.
    p.run(DELAY * 5 / 2);
    p.weather.loss = 100;
    p.run(DELAY);
    p.weather.loss = 0;
    assert!(matches!(p.events[B][..], [Event::Bound { .. }]));
    p.run(SECOND * 5);
    assert_eq!(states(&p).len(), 2);
    assert_eq!(last(&p), RegistrationState::Registered { expires_s: 600 });
    assert_eq!(p.ends[B].stats().repeats.get(), 1);
    assert_eq!(p.events[B].len(), 1);
}

#[test]
fn bad_weather_does_not_end_a_registration() {
    for seed in 0..5 {
        let mut p = pair(seed);
        p.weather = Weather { loss: 25, repeat: 10, jitter_ms: 200 };
        let key = p.ends[A].register(p.now, registration("right")).unwrap();
        p.run(HOUR * 24);
        assert!(matches!(p.events[B][..], [Event::Bound { .. }]), "{:?}", p.events[B]);
        assert!(matches!(last(&p), RegistrationState::Registered { .. }));
        p.weather = Weather::default();
        p.ends[A].unregister(p.now, key).unwrap();
        assert_all_gone(&mut p);
        assert_eq!(last(&p), RegistrationState::Unregistered);
    }
}

#[test]
fn a_wrong_password_never_hammers() {
    let mut p = pair(62);
    p.ends[A].register(p.now, registration("wrong")).unwrap();
    p.run(HOUR * 24);
    let RegistrationState::Failed { status: Some(401), retry_after_s: Some(600..=660) } = last(&p) else {
        panic!("{:?}", last(&p))
    };
    // Two requests a try: to be asked, and to answer.
    let asked = asked(&p).len();
    assert!((2 * 24 * 5..=2 * (24 * 6 + 1)).contains(&asked), "{asked}");
    assert_eq!(p.ends[B].stats().lockouts.get(), 0);
    assert!(p.events[B].is_empty());
}

#[test]
fn what_was_granted_is_read_from_our_own_contact() {
    for (headers, granted) in [
        (vec![("Contact", "<sip:trunk1@10.9.9.9>;expires=7, <sip:trunk1@10.0.0.1:5060>;expires=120")], 120),
        (vec![("Contact", "<sip:x@10.9.9.9>;expires=7"), ("Expires", "300")], 300),
        (vec![("Contact", CONTACT), ("Expires", "300")], 300),
        (vec![("m", CONTACT)], 600),
        (vec![], 600),
    ] {
        let (mut p, _) = by_hand();
        respond(&mut p, 200, &headers);
        assert_eq!(last(&p), RegistrationState::Registered { expires_s: granted }, "{headers:?}");
    }
    // Nothing granted.
    let (mut p, _) = by_hand();
    respond(&mut p, 200, &[("Contact", "<sip:trunk1@10.0.0.1:5060>;expires=0")]);
    assert!(matches!(last(&p), RegistrationState::Failed { status: Some(200), retry_after_s: Some(600..) }));
}

#[test]
fn too_brief_is_tried_again_once() {
    let (mut p, _) = by_hand();
    respond(&mut p, 423, &[("Min-Expires", "1800")]);
    let second = latest(&p, "REGISTER");
    assert_eq!((second.get(Name::Expires), second.cseq().unwrap().number), (Some(&b"1800"[..]), 2));
    respond(&mut p, 423, &[("Min-Expires", "3600")]);
    assert_eq!(asked(&p).len(), 2);
    assert!(matches!(
        last(&p),
        RegistrationState::Failed { status: Some(423), retry_after_s: Some(15..=30) }
    ));
    // What is wanted is kept for later.
    assert!(next_within(&mut p, SECOND * 31).is_some());
    assert_eq!(latest(&p, "REGISTER").get(Name::Expires), Some(&b"1800"[..]));
    // Nonsense is none.
    for (name, value) in
        [("Min-Expires", "10"), ("Min-Expires", "999999999"), ("Min-Expires", "x"), ("X", "1")]
    {
        let (mut p, _) = by_hand();
        respond(&mut p, 423, &[(name, value)]);
        assert!(matches!(last(&p), RegistrationState::Failed { status: Some(423), .. }), "{value}");
    }
}

#[test]
fn failures_back_off_and_retry_after_is_honoured() {
    let (mut p, _) = by_hand();
    for most_s in [30, 60, 120, 240, 480, 960, 1_800, 1_800] {
        respond(&mut p, 503, &[]);
        let waited = next_within(&mut p, Duration::from_secs(most_s + 1)).unwrap();
        let (least, most) = (Duration::from_secs(most_s / 2) - SECOND / 10, Duration::from_secs(most_s));
        assert!((least..=most).contains(&waited), "{waited:?} of {most_s}");
        assert_eq!(last(&p), RegistrationState::Registering);
    }
    // A success forgets them.
    respond(&mut p, 200, &[("Contact", CONTACT)]);
    assert!(next_within(&mut p, HOUR).is_some());
    respond(&mut p, 500, &[("Retry-After", "1000 (later)")]);
    assert_eq!(last(&p), RegistrationState::Failed { status: Some(500), retry_after_s: Some(1_000) });
    let waited = next_within(&mut p, SECOND * 1_100).unwrap();
    assert!((990..=1_000).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn silence_is_a_failure_and_refusals_are_slow() {
    let (mut p, _) = by_hand();
    p.run(SECOND * 33);
    assert!(matches!(last(&p), RegistrationState::Failed { status: None, retry_after_s: Some(15..=30) }));
    for status in [403, 404, 405, 603, 302] {
        let (mut p, _) = by_hand();
        respond(&mut p, status, &[]);
        assert!(next_within(&mut p, SECOND * 590).is_none());
        assert!(next_within(&mut p, SECOND * 80).is_some());
    }
}

const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Digest realm=\"t\", nonce=\"n1\", qop=\"auth\"");
const NEXT: (&str, &str) = ("WWW-Authenticate", "Digest realm=\"t\", nonce=\"n2\", qop=\"auth\"");

fn authorization(p: &Pair) -> String {
    let request = latest(p, "REGISTER");
    request.get(Name::Authorization).map_or_else(String::new, |v| String::from_utf8_lossy(v).into_owned())
}

#[test]
fn a_nonce_is_used_until_it_is_refused() {
    let (mut p, _) = by_hand();
    assert_eq!(authorization(&p), "");
    respond(&mut p, 401, &[CHALLENGE]);
    assert!(authorization(&p).contains("nonce=\"n1\"") && authorization(&p).contains("nc=00000001"));
    for count in ["nc=00000002", "nc=00000003"] {
        respond(&mut p, 200, &[("Contact", CONTACT)]);
        assert!(next_within(&mut p, SECOND * 600).is_some());
        assert!(authorization(&p).contains("nonce=\"n1\"") && authorization(&p).contains(count));
    }
    // The trunk wants another one, without saying that the old one is stale: once.
    respond(&mut p, 401, &[NEXT]);
    assert!(authorization(&p).contains("nonce=\"n2\"") && authorization(&p).contains("nc=00000001"));
    let before = asked(&p).len();
    respond(&mut p, 401, &[CHALLENGE]);
    assert_eq!(asked(&p).len(), before);
    assert!(matches!(last(&p), RegistrationState::Failed { status: Some(401), retry_after_s: Some(600..) }));
}

#[test]
fn stale_nonces_have_an_end_too() {
    let (mut p, _) = by_hand();
    let stale = ("Proxy-Authenticate", "Digest realm=\"t\", nonce=\"n1\", stale=true");
    for _ in 0..5 {
        respond(&mut p, 407, &[stale]);
    }
    assert_eq!(asked(&p).len(), 1 + usize::from(limits::AUTH_RETRIES));
    assert!(matches!(last(&p), RegistrationState::Failed { status: Some(407), .. }));
}

#[test]
fn credentials_are_for_the_trunk_only() {
    let (mut p, _) = by_hand();
    let request = latest(&p, "REGISTER");
    p.inject("203.0.113.5:5060".parse().unwrap(), A, answer(&request, 401, "t", &[CHALLENGE], ""));
    p.run(SECOND / 10);
    assert_eq!(asked(&p).len(), 1);
    assert!(matches!(last(&p), RegistrationState::Failed { status: Some(401), .. }));
}

#[test]
fn ending_waits_for_what_is_out() {
    // Answered.
    let (mut p, key) = by_hand();
    p.ends[A].unregister(p.now, key).unwrap();
    p.run(SECOND / 10);
    assert_eq!(asked(&p).len(), 1);
    respond(&mut p, 200, &[("Contact", CONTACT)]);
    let leave = latest(&p, "REGISTER");
    assert_eq!(leave.get(Name::Contact), Some(&b"<sip:trunk1@10.0.0.1:5060>;expires=0"[..]));
    assert_eq!(leave.get(Name::Expires), Some(&b"0"[..]));
    respond(&mut p, 401, &[CHALLENGE]);
    assert!(authorization(&p).contains("nc=00000001"));
    respond(&mut p, 200, &[]);
    assert_eq!(states(&p)[1..], [RegistrationState::Unregistered]);
    assert_all_gone(&mut p);

    // Refused: there is nothing to take away.
    let (mut p, key) = by_hand();
    p.ends[A].unregister(p.now, key).unwrap();
    respond(&mut p, 403, &[]);
    assert_eq!((last(&p), asked(&p).len()), (RegistrationState::Unregistered, 1));
    assert_all_gone(&mut p);

    // Silent: it may have heard us.
    let (mut p, key) = by_hand();
    p.ends[A].unregister(p.now, key).unwrap();
    p.run(SECOND * 70);
    assert_eq!((last(&p), asked(&p).len()), (RegistrationState::Unregistered, 2));
    assert_all_gone(&mut p);

    // Between two tries, never registered.
    let (mut p, key) = by_hand();
    respond(&mut p, 403, &[]);
    p.ends[A].unregister(p.now, key).unwrap();
    p.run(SECOND);
    assert_eq!((last(&p), asked(&p).len()), (RegistrationState::Unregistered, 1));
    assert_all_gone(&mut p);
}

#[test]
fn a_lost_connection_is_registered_anew() {
    let (mut p, _) = by_hand();
    respond(&mut p, 200, &[("Contact", CONTACT)]);
    let hop = |to| Hop { socket: SocketId(0), to };
    p.ends[A].flow_closed(p.now, hop("10.0.0.77:5060".parse().unwrap()));
    p.run(SECOND);
    assert!(matches!(last(&p), RegistrationState::Registered { .. }));
    p.ends[A].flow_closed(p.now, hop(address(B)));
    p.run(SECOND);
    assert!(matches!(last(&p), RegistrationState::Failed { status: None, retry_after_s: Some(15..=30) }));
    assert!(next_within(&mut p, SECOND * 30).is_some());
    // The refresh of before is not waited for any more.
    respond(&mut p, 200, &[("Contact", CONTACT)]);
    let start = p.now;
    p.run(SECOND * 600);
    let later: Vec<_> = asked(&p).into_iter().filter(|(at, _)| *at > start).collect();
    assert_eq!(later.len(), 1);
}

#[test]
fn misuse_is_said() {
    let mut p = alone();
    let change = |change: fn(&mut Registration)| {
        let mut r = registration("x");
        change(&mut r);
        r
    };
    for (r, field) in [
        (change(|r| r.aor = "sip:trunk.example".into()), "aor"),
        (change(|r| r.aor = "sip:a@b>\r\nEvil: yes".into()), "aor"),
        (change(|r| r.aor = "tel:+1555".into()), "aor"),
        (change(|r| r.contact_user = String::new()), "contact_user"),
        (change(|r| r.contact_user = "a@b".into()), "contact_user"),
        (change(|r| r.expires_s = 0), "expires_s"),
        (change(|r| r.expires_s = u32::MAX), "expires_s"),
    ] {
        assert_eq!(p.ends[A].register(p.now, r), Err(ApiMisuse::BadField(field)));
    }
    let far = change(|r| r.destination = "[2001:db8::1]:5060".parse::<SocketAddr>().unwrap().into());
    assert_eq!(p.ends[A].register(p.now, far), Err(ApiMisuse::NoSocket));
    assert_eq!(p.ends[A].set_users(Vec::new()), Err(ApiMisuse::WrongState));
    assert!(p.ends[A].lookup("acme").is_empty());
    p.run(SECOND);
    assert!(p.wire.is_empty() && p.events[A].is_empty());
}
