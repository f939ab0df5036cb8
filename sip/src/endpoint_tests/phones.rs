//! Phones and browsers that register here, written by hand: B is the registrar.

use super::peers::answer;
use super::*;
use crate::auth::{Credentials, Session, User};
use crate::limits;
use crate::message::{Request, Response};
use crate::register::{RegistrarConfig, Unbound};

const SECOND: Duration = Duration::from_secs(1);
const REALM: &str = "pbx.example";
const HOME: &str = "203.0.113.9:4444";
const INSTANCE: &str = "+sip.instance=\"<urn:uuid:7>\";reg-id=1";
const OUTBOUND: (&str, &str) = ("Supported", "path, outbound");

fn users() -> Vec<User> {
    vec![User::new("alice", REALM, "a"), User::new("bob", REALM, "b")]
}

fn office() -> Pair {
    let mut b = config(B);
    b.accept_from = AcceptFrom::Nobody;
    b.registrar = Some(RegistrarConfig::new(REALM));
    let mut p = Pair::with(70, config(A), b);
    p.ends[B].set_users(users()).unwrap();
    p
}

/// A phone behind a translator of addresses: what it says of itself is of no use to others.
struct Phone {
    from: SocketAddr,
    user: &'static str,
    password: &'static str,
    call_id: String,
    seq: u32,
    session: Option<Session>,
}

fn phone(from: &str, user: &'static str, password: &'static str) -> Phone {
    let call_id = format!("reg-{from}-{user}");
    Phone { from: from.parse().unwrap(), user, password, call_id, seq: 0, session: None }
}

fn alice(from: &str) -> Phone {
    phone(from, "alice", "a")
}

fn response(bytes: &Bytes) -> Option<Response> {
    match Message::parse(bytes.clone()) {
        Ok(Message::Response(response)) => Some(response),
        _ => None,
    }
}

/// Makes every branch another one, also for two phones of one address.
static BRANCH: AtomicU64 = AtomicU64::new(0);

impl Phone {
    fn write(&mut self, method: &Method, uri: &str, more: &[(&str, &str)]) -> Bytes {
        let branch = BRANCH.fetch_add(1, Ordering::Relaxed);
        self.seq += 1;
        let (user, seq) = (self.user, self.seq);
        let mut b = Builder::request(method, uri)
            .header("Via", &format!("SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK{branch}"))
            .header("From", &format!("<sip:{user}@{REALM}>;tag=phone"))
            .header("To", &format!("<{}>", if *method == Method::Register { self.aor() } else { uri.into() }))
            .header("Call-ID", &self.call_id)
            .header("CSeq", &format!("{seq} {method}"));
        if let Some(session) = &mut self.session {
            let credentials = Credentials { username: user.into(), password: self.password.into() };
            let (name, value) = session.answer(&credentials, method, uri.as_bytes(), b"");
            b = b.header(name.as_str(), &value);
        }
        for (name, value) in more {
            b = b.header(name, value);
        }
        b.finish()
    }

    fn aor(&self) -> String {
        format!("sip:{}@{REALM}", self.user)
    }

    /// Sends, and gives the last answer, if there is one. The socket is the translator's: the answer must come
    /// there, though the Via has no rport.
    fn send(&self, p: &mut Pair, bytes: Bytes) -> Option<Response> {
        let before = p.elsewhere.len();
        p.inject(self.from, B, bytes);
        p.run(DELAY * 2);
        p.elsewhere[before..].iter().filter(|(to, _)| *to == self.from).find_map(|(_, bytes)| response(bytes))
    }

    /// Sends, and once more when it is challenged.
    fn ask(&mut self, p: &mut Pair, method: &Method, uri: &str, more: &[(&str, &str)]) -> Option<Response> {
        let bytes = self.write(method, uri, more);
        let first = self.send(p, bytes)?;
        if first.status() != 401 {
            return Some(first);
        }
        self.session = Session::open(401, &first, u64::from(self.seq), false);
        let bytes = self.write(method, uri, more);
        self.send(p, bytes)
    }

    fn register(&mut self, p: &mut Pair, more: &[(&str, &str)]) -> Response {
        self.ask(p, &Method::Register, "sip:pbx.example", more).expect("an answer")
    }

    fn contact(&mut self, p: &mut Pair, contact: &str) -> Response {
        self.register(p, &[("Contact", contact)])
    }
}

fn contacts(response: &Response) -> Vec<String> {
    response.values(Name::Contact).map(|c| String::from_utf8_lossy(c).into_owned()).collect()
}

fn unbound(p: &Pair) -> Vec<(String, Unbound)> {
    let of = |e: &Event| match e {
        Event::Unbound { contact, reason, .. } => {
            Some((String::from_utf8_lossy(contact).into_owned(), *reason))
        }
        _ => None,
    };
    p.events[B].iter().filter_map(of).collect()
}

fn bound(p: &Pair) -> usize {
    p.events[B].iter().filter(|e| matches!(e, Event::Bound { .. })).count()
}

#[test]
fn registered_found_refreshed_and_gone() {
    let mut p = office();
    let mut phone = alice(HOME);
    let bytes = phone.write(&Method::Register, "sip:pbx.example", &[("Contact", "<sip:alice@192.168.1.5>")]);
    let first = phone.send(&mut p, bytes).unwrap();
    let algorithms: Vec<_> =
        first.challenges(Name::WwwAuthenticate).map(|c| c.get("algorithm").unwrap()).collect();
    assert_eq!((first.status(), algorithms), (401, vec![b"SHA-256".to_vec(), b"MD5".to_vec()]));
    assert_eq!(p.ends[B].transaction_count(), 0); // strangers cost no memory

    let contact = "<sip:alice@192.168.1.5>;expires=120;q=0.5";
    let ok = phone.register(&mut p, &[("Contact", contact), ("User-Agent", "Desk/1")]);
    assert_eq!(
        (ok.status(), contacts(&ok)),
        (200, vec!["<sip:alice@192.168.1.5>;expires=120;q=0.500".into()])
    );
    assert_eq!(ok.get(Name::Require), None);
    let Event::Bound { user, contact, user_agent, expires_s: 120, replaces: None } = p.last(B) else {
        panic!()
    };
    assert_eq!(
        (&user[..], &contact[..], &user_agent[..]),
        ("alice", &b"sip:alice@192.168.1.5"[..], &b"Desk/1"[..])
    );
    // Another device, by the default expiry and preferred.
    let ok = alice("198.51.100.3:5060").contact(&mut p, "<sip:alice@10.1.1.1>");
    assert_eq!(contacts(&ok)[0], "<sip:alice@10.1.1.1>;expires=600");
    assert_eq!(contacts(&ok).len(), 2);
    let found = p.ends[B].lookup("alice");
    assert_eq!((found[0].peer, found[0].q), ("198.51.100.3:5060".parse().unwrap(), 1_000));
    assert_eq!((found[1].peer, found[1].q), (HOME.parse().unwrap(), 500));
    assert!(p.ends[B].lookup("bob").is_empty());

    // A refresh is no news; a question without Contact changes nothing; 0 takes away.
    let ok = phone.register(&mut p, &[("Contact", "<sip:alice@192.168.1.5>;q=0.5"), ("Expires", "999999")]);
    assert!(contacts(&ok).contains(&"<sip:alice@192.168.1.5>;expires=3600;q=0.500".into()), "{ok:?}");
    assert_eq!(phone.register(&mut p, &[]).values(Name::Contact).count(), 2);
    assert_eq!((bound(&p), p.ends[B].stats().bindings.get()), (2, 2));
    let ok = phone.register(&mut p, &[("Contact", "<sip:alice@192.168.1.5>"), ("Expires", "0")]);
    assert_eq!(contacts(&ok).len(), 1);
    assert_eq!(unbound(&p), [("sip:alice@192.168.1.5".into(), Unbound::Removed)]);
}

#[test]
fn a_binding_ends_when_it_is_not_renewed() {
    let mut p = office();
    let mut phone = alice(HOME);
    // Renewed far more often than it must be: one wake-up stands for all.
    for _ in 0..200 {
        phone.contact(&mut p, "<sip:alice@192.168.1.5>;expires=60");
        p.run(SECOND / 10);
    }
    p.run(SECOND * 33);
    assert_eq!(p.ends[B].core.txns.timers.len(), 1);
    p.run(SECOND * 26);
    assert_eq!(p.ends[B].lookup("alice").len(), 1);
    p.run(SECOND * 2);
    assert!(p.ends[B].lookup("alice").is_empty());
    assert_eq!(unbound(&p), [("sip:alice@192.168.1.5".into(), Unbound::Expired)]);
    // Shortened: it ends at the sooner moment.
    phone.contact(&mut p, "<sip:alice@192.168.1.5>;expires=3600");
    phone.contact(&mut p, "<sip:alice@192.168.1.5>;expires=60");
    p.run(SECOND * 61);
    assert_eq!(unbound(&p).len(), 2);
    // Shortened and then kept: the wake-up of before is passed over, and does not live on beside the other.
    phone.contact(&mut p, "<sip:alice@192.168.1.5>;expires=3600");
    for _ in 0..80 {
        phone.contact(&mut p, "<sip:alice@192.168.1.5>;expires=60");
        p.run(SECOND * 50);
    }
    assert_eq!((p.ends[B].core.txns.timers.len(), unbound(&p).len()), (1, 2));
    p.run(SECOND * 3_600);
    p.assert_clean();
}

#[test]
fn the_rules_of_registrars() {
    let mut p = office();
    let mut phone = alice(HOME);
    // §10.3 step 7: too brief.
    let brief = phone.contact(&mut p, "<sip:alice@192.168.1.5>;expires=30");
    assert_eq!((brief.status(), brief.other("Min-Expires")), (423, Some(&b"60"[..])));
    // All or nothing.
    let two = "<sip:alice@192.168.1.5>, <sip:alice@192.168.1.6>;expires=30";
    assert_eq!(phone.contact(&mut p, two).status(), 423);
    assert_eq!(bound(&p), 0);
    for (contact, expires, status) in [
        ("<mailto:alice@h>", "600", 400),
        ("<sip:alice@h", "600", 400),
        ("sip:al>ice@h", "600", 400),
        ("*", "600", 400),
        ("*, <sip:alice@h>", "0", 400),
        ("<sip:a1@h>,<sip:a2@h>,<sip:a3@h>,<sip:a4@h>,<sip:a5@h>,<sip:a6@h>", "600", 403),
        ("<sip:alice@192.168.1.5>", "3700", 200),
    ] {
        let answer = phone.register(&mut p, &[("Contact", contact), ("Expires", expires)]);
        assert_eq!(answer.status(), status, "{contact}");
    }
    // The order of one Call-ID; a new Call-ID is a new start.
    phone.seq = 3;
    assert_eq!(phone.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 500);
    assert_eq!(phone.register(&mut p, &[("Contact", "*"), ("Expires", "0")]).status(), 500);
    assert_eq!(p.ends[B].lookup("alice").len(), 1);
    phone.call_id = "another".into();
    assert_eq!(phone.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 200);
    assert_eq!(phone.register(&mut p, &[("Contact", "*"), ("Expires", "0")]).status(), 200);
    assert!(p.ends[B].lookup("alice").is_empty());
    // Extensions that are required and not spoken here.
    let refused = phone.register(&mut p, &[("Require", "path, outbound"), ("Contact", "<sip:alice@h>")]);
    assert_eq!((refused.status(), refused.get(Name::Unsupported)), (420, Some(&b"path"[..])));
    // In another's name.
    let bytes = phone.write(&Method::Register, "sip:pbx.example", &[("Contact", "<sip:alice@h>")]);
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace("To: <sip:alice@", "To: <sip:bob@");
    assert_eq!(phone.send(&mut p, text.into()).unwrap().status(), 403);
    assert!(p.ends[B].lookup("bob").is_empty());
    // Escapes name the same user.
    let bytes = phone.write(&Method::Register, "sip:pbx.example", &[("Contact", "<sip:alice@h>")]);
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace("To: <sip:alice@", "To: <sip:%61lice@");
    assert_eq!(phone.send(&mut p, text.into()).unwrap().status(), 200);
}

#[test]
fn an_authorization_is_good_once() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, "<sip:alice@192.168.1.5>");
    let good = phone.write(&Method::Register, "sip:pbx.example", &[("Contact", "<sip:alice@192.168.1.5>")]);
    assert_eq!(phone.send(&mut p, good.clone()).unwrap().status(), 200);
    // The same once more, by a thief on another line: a new transaction, a new contact, a higher CSeq.
    let stolen = String::from_utf8(good.to_vec()).unwrap();
    let stolen =
        stolen.replace("z9hG4bK", "z9hG4bKthief").replace("sip:alice@192.168.1.5", "sip:alice@198.51.100.66");
    let stolen = stolen.replace("CSeq: ", "CSeq: 9");
    let thief = alice("198.51.100.66:5060");
    let answer = thief.send(&mut p, stolen.into()).unwrap();
    assert_eq!(answer.status(), 401);
    let stale = answer.challenges(Name::WwwAuthenticate).next().unwrap().get("stale");
    assert_eq!(stale.as_deref(), Some(&b"true"[..]));
    assert_eq!(p.ends[B].lookup("alice").len(), 1);
    assert_eq!(p.ends[B].lookup("alice")[0].peer, phone.from);
    // The phone itself goes on with its next count.
    assert_eq!(phone.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 200);
}

/// What a guesser may see of two answers.
fn shape(response: &Response) -> (u16, Vec<String>) {
    let line = |(name, label, value): (Name, &[u8], &[u8])| {
        let value = match name {
            Name::WwwAuthenticate => {
                let text = String::from_utf8_lossy(value).into_owned();
                let (before, after) = text.split_once("nonce=\"").unwrap();
                format!("{before}{}", after.split_once('"').unwrap().1)
            }
            Name::Server => String::from_utf8_lossy(value).into_owned(),
            _ => String::new(),
        };
        format!("{}: {value}", String::from_utf8_lossy(label))
    };
    (response.status(), response.lines().map(line).collect())
}

#[test]
fn unknown_users_look_like_wrong_passwords_and_both_are_locked_out() {
    let mut p = office();
    let (mut known, mut unknown) = (phone(HOME, "alice", "wrong"), phone(HOME, "nobody", "wrong"));
    for n in 0..12 {
        let one = known.contact(&mut p, "<sip:alice@192.168.1.5>");
        let other = unknown.contact(&mut p, "<sip:nobody@192.168.1.5>");
        assert_eq!(shape(&one), shape(&other));
        // Each `ask` offers the kept session, then a new one: two wrong answers but for the first.
        assert_eq!(one.status(), if n < 5 { 401 } else { 403 }, "{n}");
        p.run(SECOND * 5);
    }
    assert_eq!((p.ends[B].stats().auth_failures.get(), p.ends[B].stats().lockouts.get()), (20, 2));
    let locked: Vec<_> = p.events[B]
        .iter()
        .filter_map(|event| match event {
            Event::LockedOut { user, from, lasts } => Some((user.as_deref(), *from, lasts.as_secs())),
            _ => None,
        })
        .collect();
    let from = HOME.parse().unwrap();
    assert_eq!(locked, [(Some("alice"), from, 900), (None, from, 900)]);
    // Now the right one is not looked at, but another line and another user are.
    let mut right = alice(HOME);
    assert_eq!(right.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 403);
    assert_eq!(phone(HOME, "bob", "b").contact(&mut p, "<sip:bob@192.168.1.5>").status(), 200);
    assert_eq!(alice("198.51.100.3:5060").contact(&mut p, "<sip:alice@10.1.1.1>").status(), 200);
    p.run(SECOND * 900);
    right.session = None;
    assert_eq!(right.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 200);
}

#[test]
fn strangers_hear_little() {
    let mut p = office();
    let mut stranger = alice(HOME);
    for method in [Method::Invite, Method::Options, Method::Bye, Method::Ack, Method::Cancel, Method::Message]
    {
        let bytes = stranger.write(&method, "sip:1@10.0.0.2", &[]);
        assert!(stranger.send(&mut p, bytes).is_none(), "{method}");
    }
    p.inject(stranger.from, B, Bytes::from_static(b"\r\n\r\n"));
    p.inject(stranger.from, B, stun_request());
    p.run(SECOND);
    assert!(p.wire.is_empty() && p.events[B].is_empty());
    // Somebody makes up an address: its owner hears a few challenges, not a flood.
    let flood = |p: &mut Pair, stranger: &mut Phone| {
        let before = p.wire.len();
        for _ in 0..1_000 {
            let bytes = stranger.write(&Method::Register, "sip:pbx.example", &[]);
            p.inject(stranger.from, B, bytes);
        }
        p.run(SECOND / 10);
        p.wire.len() - before
    };
    assert_eq!(flood(&mut p, &mut stranger), limits::REGISTER_BURST as usize);
    p.run(SECOND);
    assert_eq!(flood(&mut p, &mut stranger), 5);
    assert_eq!(p.ends[B].transaction_count(), 0);
    // An address with a binding is nobody's invention.
    p.run(SECOND * 10);
    assert_eq!(alice("203.0.113.9:5555").contact(&mut p, "<sip:alice@192.168.1.5>").status(), 200);
    assert_eq!(flood(&mut p, &mut stranger), 1_000);
}

fn stun_request() -> Bytes {
    Bytes::from_static(b"\0\x01\0\0\x21\x12\xa4\x42twelve bytes")
}

#[test]
fn keep_alives_of_registered_flows_are_answered() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, "<sip:alice@192.168.1.5>");
    p.inject(phone.from, B, Bytes::from_static(b"\r\n\r\n"));
    p.inject(phone.from, B, stun_request());
    p.run(SECOND);
    let last: Vec<_> = p.elsewhere.iter().rev().take(2).collect();
    assert_eq!((last[1].0, &last[1].1[..]), (phone.from, &b"\r\n"[..]));
    assert_eq!((last[0].0, &last[0].1[..2]), (phone.from, &[1u8, 1][..]));
}

#[test]
fn bindings_are_bounded() {
    let mut p = office();
    for n in 0..8 {
        let mut phone = alice(&format!("203.0.113.9:{}", 5_000 + n));
        assert_eq!(phone.contact(&mut p, &format!("<sip:alice@192.168.1.{n}>")).status(), 200);
        p.run(SECOND);
    }
    let expected: Vec<_> = (0..3).map(|n| (format!("sip:alice@192.168.1.{n}"), Unbound::Replaced)).collect();
    assert_eq!(unbound(&p), expected);
    assert_eq!(p.ends[B].lookup("alice").len(), 5);
    p.run(SECOND * 600);
    assert!(p.ends[B].lookup("alice").is_empty());
    p.assert_clean();
}

/// RFC 5626: the same way of the same device is one binding, whatever its address and contact.
#[test]
fn outbound_ways_replace_themselves_and_end_with_their_flow() {
    let mut p = office();
    let first = format!("<sip:x1@k2j3.invalid;transport=ws>;{INSTANCE}");
    let ok = alice(HOME).register(&mut p, &[OUTBOUND, ("Contact", &first)]);
    assert_eq!((ok.status(), ok.get(Name::Require)), (200, Some(&b"outbound"[..])));
    assert_eq!(ok.other("Flow-Timer"), Some(&b"25"[..]));
    let expected = "<sip:x1@k2j3.invalid;transport=ws>;expires=600;+sip.instance=\"<urn:uuid:7>\";reg-id=1";
    assert_eq!(contacts(&ok), [expected]);
    // The browser comes back by another connection, under another name.
    let second = format!("<sip:x2@9f8a.invalid;transport=ws>;{INSTANCE}");
    let ok = alice("203.0.113.9:4445").register(&mut p, &[OUTBOUND, ("Contact", &second)]);
    assert_eq!(contacts(&ok).len(), 1);
    assert_eq!((bound(&p), p.ends[B].lookup("alice")[0].peer.port()), (2, 4_445));
    let Event::Bound { replaces: Some(before), .. } = p.last(B) else { panic!("{:?}", p.last(B)) };
    assert_eq!(&before[..], b"sip:x1@k2j3.invalid;transport=ws");
    // Without `Supported` there are no ways: the URI counts.
    let ok = alice("203.0.113.9:4446").contact(&mut p, &second);
    assert_eq!((contacts(&ok).len(), ok.get(Name::Require)), (2, None));
    // One way at a time, and only from the device itself.
    let two = format!("{first}, <sip:y@h>;+sip.instance=\"<urn:uuid:8>\";reg-id=2");
    assert_eq!(alice(HOME).register(&mut p, &[OUTBOUND, ("Contact", &two)]).status(), 400);
    let via = ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother");
    assert_eq!(alice(HOME).register(&mut p, &[via, OUTBOUND, ("Contact", &first)]).status(), 439);
    // The old connection's end says nothing of the new one.
    let flow = |to: &str| Hop { socket: SocketId(0), to: to.parse().unwrap() };
    p.ends[B].flow_closed(p.now, flow(HOME));
    assert_eq!(p.ends[B].lookup("alice").len(), 2);
    p.ends[B].flow_closed(p.now, flow("203.0.113.9:4445"));
    p.run(SECOND);
    assert_eq!(unbound(&p), [("sip:x2@9f8a.invalid;transport=ws".into(), Unbound::FlowClosed)]);
    assert_eq!(p.ends[B].lookup("alice")[0].peer.port(), 4_446);
}

#[test]
fn users_come_and_go() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, "<sip:alice@192.168.1.5>");
    self::phone("203.0.113.9:5", "bob", "b").contact(&mut p, "<sip:bob@192.168.1.6>");
    p.ends[B].set_users(users()).unwrap();
    assert!(unbound(&p).is_empty());
    p.ends[B].set_users(vec![User::new("alice", REALM, "new")]).unwrap();
    p.run(SECOND);
    let changed = |user: &str, n: u8| (format!("sip:{user}@192.168.1.{n}"), Unbound::UserChanged);
    assert_eq!(unbound(&p), [changed("alice", 5), changed("bob", 6)]);
    assert_eq!(phone.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 401);
    phone.password = "new";
    assert_eq!(phone.contact(&mut p, "<sip:alice@192.168.1.5>").status(), 200);
    assert_eq!(p.ends[B].set_users(vec![User::new("", REALM, "x")]), Err(ApiMisuse::BadField("users")));
    assert_eq!(p.ends[B].set_users(vec![User::new("a\r\nb", REALM, "x")]), Err(ApiMisuse::BadField("users")));
}

/// The requests that B sent to this address.
fn requests(p: &Pair, to: SocketAddr) -> Vec<Request> {
    let read = |bytes: &Bytes| match Message::parse(bytes.clone()) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    };
    p.elsewhere.iter().filter(|(at, _)| *at == to).filter_map(|(_, bytes)| read(bytes)).collect()
}

fn call_alice(p: &mut Pair) -> CallKey {
    let key = p.ends[B].keys().next();
    let mut request = InviteRequest::new(address(A), "sip:alice@pbx.example", "to-alice");
    request.body = Some(Body::sdp("offer"));
    p.ends[B].invite_user(p.now, key, "alice", request).unwrap();
    p.run(DELAY * 2);
    key
}

const BROWSER: &str = "<sip:x1@k2j3.invalid;transport=ws>";

#[test]
fn a_call_to_a_phone_stays_on_its_flow() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, BROWSER);
    let key = call_alice(&mut p);
    let invite = requests(&p, phone.from).pop().unwrap();
    assert_eq!(invite.uri(), b"sip:x1@k2j3.invalid;transport=ws");
    assert_eq!(invite.to().unwrap().uri, b"sip:alice@pbx.example");
    // The phone's Contact leads nowhere, and has an address that somebody else has.
    p.inject(phone.from, B, answer(&invite, 200, "t", &[("Contact", "<sip:x1@192.168.1.5:5060>")], "sdp"));
    p.run(SECOND / 10);
    assert!(matches!(p.last(B), Event::Answered { call, .. } if *call == key));
    let ack = requests(&p, phone.from).pop().unwrap();
    assert_eq!((ack.method(), ack.uri()), (&Method::Ack, &b"sip:x1@192.168.1.5:5060"[..]));
    // It comes by another port from now on, and asks for a change: that is the way back then.
    let moved: SocketAddr = "203.0.113.9:4999".parse().unwrap();
    let info = Builder::request(&Method::Info, "sip:10.0.0.2")
        .header("Via", "SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKinfo")
        .header("From", &format!("{};tag=t", String::from_utf8_lossy(invite.get(Name::To).unwrap())))
        .header("To", &String::from_utf8_lossy(invite.get(Name::From).unwrap()))
        .header("Call-ID", "to-alice")
        .header("CSeq", "1 INFO")
        .finish();
    p.inject(moved, B, info);
    p.run(SECOND / 10);
    assert!(p.elsewhere.iter().any(|(to, bytes)| *to == moved && bytes.starts_with(b"SIP/2.0 200")));
    p.ends[B].bye(p.now, key, None).unwrap();
    p.run(SECOND / 10);
    let bye = requests(&p, moved).pop().unwrap();
    assert_eq!(*bye.method(), Method::Bye);
    p.inject(moved, B, answer(&bye, 200, "", &[], ""));
    p.run(SECOND);
    assert!(matches!(p.last(B), Event::Ended { .. }));
    assert_eq!(p.ends[B].call_count(), 0);
}

#[test]
fn a_recorded_route_goes_before_the_flow() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, BROWSER);
    call_alice(&mut p);
    let invite = requests(&p, phone.from).pop().unwrap();
    let more = [("Record-Route", "<sip:198.51.100.9:5070;lr>"), ("Contact", BROWSER)];
    p.inject(phone.from, B, answer(&invite, 200, "t", &more, "sdp"));
    p.run(SECOND / 10);
    assert_eq!(requests(&p, "198.51.100.9:5070".parse().unwrap()).len(), 1);
}

#[test]
fn nobody_is_called_who_is_not_there() {
    let mut p = office();
    let key = p.ends[B].keys().next();
    let request = InviteRequest::new(address(A), "sip:alice@pbx.example", "x");
    assert_eq!(p.ends[B].invite_user(p.now, key, "alice", request), Err(ApiMisuse::NotRegistered));
    // A phone that is refused or silent ends the call as any peer does.
    let mut phone = alice(HOME);
    phone.contact(&mut p, BROWSER);
    let key = call_alice(&mut p);
    p.ends[B].bye(p.now, key, None).unwrap();
    p.run(SECOND * 40);
    assert!(matches!(p.last(B), Event::Cancelled { status: None, .. }), "{:?}", p.last(B));
}

#[test]
fn a_call_from_a_phone_has_its_user() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, "<sip:alice@192.168.1.5>");
    let kept = phone.session.take();
    let bytes = phone.write(&Method::Invite, "sip:+15550100@pbx.example", &[]);
    assert_eq!(phone.send(&mut p, bytes).unwrap().status(), 401);
    assert!(!p.events[B].iter().any(|e| matches!(e, Event::Incoming { .. })));
    phone.session = kept;
    let invite =
        phone.write(&Method::Invite, "sip:+15550100@pbx.example", &[("Contact", "<sip:alice@192.168.1.5>")]);
    assert_eq!(phone.send(&mut p, invite).unwrap().status(), 100);
    let Event::Incoming { call, user: Some(user), from, .. } = p.last(B) else { panic!("{:?}", p.last(B)) };
    assert_eq!((&user[..], *from), ("alice", phone.from));
    let call = *call;
    p.ends[B].answer(p.now, call, Some(Body::sdp("answer"))).unwrap();
    p.run(SECOND / 10);
    let ok = p.elsewhere.iter().rev().find_map(|(_, bytes)| response(bytes)).unwrap();
    assert_eq!(ok.status(), 200);
    let ack = Builder::request(&Method::Ack, "sip:10.0.0.2")
        .header("Via", "SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKack")
        .header("From", &String::from_utf8_lossy(ok.get(Name::From).unwrap()))
        .header("To", &String::from_utf8_lossy(ok.get(Name::To).unwrap()))
        .header("Call-ID", &String::from_utf8_lossy(ok.call_id().unwrap()))
        .header("CSeq", &format!("{} ACK", ok.cseq().unwrap().number));
    p.inject(phone.from, B, ack.finish());
    p.ends[B].bye(p.now, call, None).unwrap();
    p.run(SECOND / 10);
    // To the flow, though the phone's Contact has a private address.
    let bye = requests(&p, phone.from).pop().unwrap();
    assert_eq!((bye.method(), bye.uri()), (&Method::Bye, &b"sip:alice@192.168.1.5"[..]));
}

#[test]
fn a_phone_gives_its_call_up() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, "<sip:alice@192.168.1.5>");
    let invite = phone.write(&Method::Invite, "sip:+15550100@pbx.example", &[]);
    assert_eq!(phone.send(&mut p, invite.clone()).unwrap().status(), 100);
    p.run(SECOND / 10);
    let cancel = String::from_utf8(invite.to_vec()).unwrap().replace("INVITE", "CANCEL");
    assert_eq!(phone.send(&mut p, cancel.into()).unwrap().status(), 200);
    assert!(matches!(p.last(B), Event::Cancelled { status: Some(487), .. }));
    assert!(p.elsewhere.iter().all(|(to, _)| *to == phone.from));
}

#[test]
fn nobody_calls_in_the_name_of_others() {
    let mut p = office();
    alice(HOME).contact(&mut p, "<sip:alice@192.168.1.5>");
    // The right password of somebody else, by alice's flow.
    let mut bob = phone(HOME, "bob", "b");
    let refused = bob.ask(&mut p, &Method::Invite, "sip:+15550100@pbx.example", &[]).unwrap();
    assert_eq!(refused.status(), 403);
    // And alice's by another flow: not even a challenge.
    let mut elsewhere = alice("203.0.113.9:4555");
    assert!(elsewhere.ask(&mut p, &Method::Invite, "sip:+15550100@pbx.example", &[]).is_none());
    assert!(!p.events[B].iter().any(|e| matches!(e, Event::Incoming { .. })));
}

/// Anything may come to an open port.
#[test]
fn noise_changes_nothing() {
    let mut p = office();
    let mut phone = alice(HOME);
    phone.contact(&mut p, &format!("{BROWSER};{INSTANCE}"));
    let whole = phone.write(
        &Method::Register,
        "sip:pbx.example",
        &[OUTBOUND, ("Contact", &format!("{BROWSER};{INSTANCE};q=0.1;expires=90"))],
    );
    let mut rng = ChaCha8Rng::seed_from_u64(71);
    for _ in 0..20_000 {
        let mut bytes = whole.to_vec();
        for _ in 0..=rng.next_u64() % 4 {
            let at = (rng.next_u64() % bytes.len().max(1) as u64) as usize;
            match rng.next_u64() % 3 {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = rng.next_u64() as u8),
                1 => drop(bytes.drain(at..bytes.len().min(at + 3))),
                _ => bytes.truncate(at),
            }
        }
        p.inject(phone.from, B, bytes.into());
        while !matches!(p.ends[B].poll_output(), Output::Timeout(_)) {}
    }
    assert!(p.ends[B].lookup("alice").len() <= 5);
    p.run(SECOND * 3_700);
    assert!(p.ends[B].lookup("alice").is_empty());
    p.assert_clean();
}
