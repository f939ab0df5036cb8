//! What real deployments have broken on, one test for each behaviour, named after its number. Others of these stand
//! with their kind: `calls.rs`, `peers.rs`, `streams.rs`, the message layer, media and engine.

use super::*;
use crate::error::PeerMisbehaved;
use crate::event::{EndedBy, Failure, IdentityHeader, Reliable, SessionTimer};
use crate::message::Request;

const SECOND: Duration = Duration::from_secs(1);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every message that a side sent and that starts with `start`.
fn sent(p: &Pair, side: usize, start: &str) -> Vec<String> {
    let from_side = p.wire.iter().filter(|(_, from, _)| *from == address(side));
    from_side.map(|(_, _, b)| text(b)).filter(|t| t.starts_with(start)).collect()
}

fn header(message: &str, name: &str) -> String {
    let find = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
    message.lines().find_map(find).unwrap_or_default()
}

fn status_of(p: &Pair, side: usize, status: u16, cseq: &str) -> usize {
    p.sent(side, &format!("SIP/2.0 {status}"), cseq)
}

/// A reliable ringing B.
fn reliable() -> Pair {
    let mut b = config(B);
    b.reliable = true;
    Pair::with(40, config(A), b)
}

#[test]
fn row_08_100rel_is_offered_and_used() {
    let mut p = reliable();
    let call = p.invite();
    p.run(SECOND / 10);
    let invite = sent(&p, A, "INVITE").remove(0);
    assert!(header(&invite, "Supported").contains("100rel") && header(&invite, "Require").is_empty());
    let theirs = p.incoming(B);
    // Three answers at once: each waits for the PRACK of the one before.
    p.ends[B].ring(p.now, theirs, 183, Some(Body::sdp("early"))).unwrap();
    p.ends[B].ring(p.now, theirs, 180, None).unwrap();
    p.ends[B].answer(p.now, theirs, Some(Body::sdp("answer"))).unwrap();
    p.run(SECOND / 100);
    assert_eq!((status_of(&p, B, 183, "INVITE"), status_of(&p, B, 180, "INVITE")), (1, 0));
    p.run(SECOND);
    let pracks = sent(&p, A, "PRACK");
    assert_eq!(pracks.len(), 2);
    let first: u32 = header(&sent(&p, B, "SIP/2.0 183")[0], "RSeq").parse().unwrap();
    assert_eq!(header(&pracks[0], "RAck"), format!("{first} 1 INVITE"));
    assert_eq!(header(&pracks[1], "RAck"), format!("{} 1 INVITE", first + 1));
    assert_eq!([&pracks[0], &pracks[1]].map(|m| header(m, "CSeq")), ["2 PRACK", "3 PRACK"]);
    let told: Vec<_> = p.events[A]
        .iter()
        .filter_map(|e| match e {
            Event::Progress { status, .. } => Some(*status),
            Event::Answered { .. } => Some(200),
            _ => None,
        })
        .collect();
    assert_eq!(told, [183, 180, 200]);
    // The dialog counts on from its early life.
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(SECOND);
    assert_eq!(header(&sent(&p, A, "BYE")[0], "CSeq"), "4 BYE");
    assert!(header(&sent(&p, A, "ACK")[0], "CSeq").starts_with("1 "));
    p.assert_clean();
}

#[test]
fn row_08_a_lost_prack_and_a_lost_answer() {
    // The 183 is lost: it is sent again after T1. Then the PRACK is lost: its own transaction sends it again.
    let mut p = reliable();
    p.invite();
    p.run(SECOND / 10);
    let theirs = p.incoming(B);
    p.weather.loss = 100;
    p.ends[B].ring(p.now, theirs, 183, Some(Body::sdp("early"))).unwrap();
    p.run(SECOND / 10);
    p.weather.loss = 0;
    p.run(SECOND * 3);
    assert_eq!((status_of(&p, B, 183, "INVITE"), p.sent(A, "PRACK", "PRACK")), (2, 1));
    assert_eq!(status_of(&p, B, 200, "PRACK"), 1);
    // Nobody acknowledges: given up with 504 after 64*T1.
    let mut p = reliable();
    p.invite();
    p.run(SECOND / 10);
    let theirs = p.incoming(B);
    p.weather.loss = 100;
    p.ends[B].ring(p.now, theirs, 183, None).unwrap();
    p.run(SECOND * 40);
    p.weather.loss = 0;
    p.run(SECOND * 30);
    assert!(matches!(p.last(B), Event::Cancelled { status: Some(504), .. }));
    assert!(status_of(&p, B, 504, "INVITE") > 0);
    assert!(matches!(p.last(A), Event::Failed { .. }));
    p.assert_clean();
}

#[test]
fn row_08_required_and_not_offered() {
    let mut p = Pair::new(41);
    p.invite_with(|r| r.reliable = Reliable::Required);
    p.run_answering(SECOND);
    assert_eq!((p.sent(A, "PRACK", "PRACK"), status_of(&p, B, 180, "INVITE")), (1, 1));
    assert!(matches!(p.last(A), Event::Answered { .. }));
    let mut p = reliable();
    p.invite_with(|r| r.reliable = Reliable::No);
    p.run_answering(SECOND);
    assert_eq!(p.sent(A, "PRACK", "PRACK"), 0);
    // A PRACK for nothing.
    let prack = Builder::request(&Method::Prack, "sip:10.0.0.1")
        .header("Via", "SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKp")
        .header("From", "<sip:x@h>;tag=t")
        .header("To", "<sip:y@h>;tag=none")
        .header("Call-ID", "c")
        .header("CSeq", "1 PRACK")
        .header("RAck", "1 1 INVITE");
    p.inject(address(B), A, prack.finish());
    p.run(SECOND);
    assert_eq!(status_of(&p, A, 481, "PRACK"), 1);
}

#[test]
fn row_09_an_invite_without_an_offer() {
    let mut p = Pair::new(42);
    let call = p.invite_with(|r| r.body = None);
    p.run_with(SECOND * 2, |ends, now, side, event| {
        if let (B, Event::Incoming { call, body: None, .. }) = (side, event) {
            ends[B].answer(now, *call, Some(Body::sdp("their offer"))).unwrap();
        }
    });
    // The 2xx comes again while the owner thinks; no ACK goes out without the answer.
    assert!(matches!(p.last(A), Event::Answered { offer: true, body: Some(_), .. }));
    assert_eq!((p.sent(A, "ACK", "ACK"), status_of(&p, B, 200, "INVITE")), (0, 3));
    p.ends[A].acknowledge(p.now, call, Some(Body::sdp("our answer"))).unwrap();
    p.run(SECOND * 5);
    assert!(matches!(p.last(B), Event::Acknowledged { body: Some(b), .. } if b.data == "our answer"));
    assert_eq!(status_of(&p, B, 200, "INVITE"), 3);
    assert!(p.ends[A].acknowledge(p.now, call, None).is_err());
    p.ends[A].bye(p.now, call, None).unwrap();
    p.assert_clean();
    // Hung up before the answer is made: an ACK all the same, then BYE.
    let call = p.invite_with(|r| r.body = None);
    p.run_answering(SECOND);
    p.ends[A].bye(p.now, call, None).unwrap();
    p.run(SECOND);
    assert_eq!((sent(&p, A, "ACK").len(), sent(&p, A, "BYE").len()), (2, 2));
    p.assert_clean();
}

/// An answered call: A's key, B's key.
fn up(p: &mut Pair, change: impl FnOnce(&mut InviteRequest)) -> (CallKey, CallKey) {
    let call = p.invite_with(change);
    p.run_answering(SECOND);
    (call, p.incoming(B))
}

fn accept_changes(p: &mut Pair, time: Duration, answer: &'static str) {
    p.run_with(time, |ends, now, side, event| {
        if let Event::Modify { call, .. } = event {
            ends[side].respond_modify(now, *call, ModifyAnswer::Accept(Some(Body::sdp(answer)))).unwrap();
        }
    });
}

#[test]
fn row_10_a_change_of_ours_is_answered_refused_or_asked_for() {
    let mut p = Pair::new(43);
    let (ours, theirs) = up(&mut p, |_| {});
    for (side, call) in [(A, ours), (B, theirs)] {
        p.ends[side].modify(p.now, call, Some(Body::sdp("hold"))).unwrap();
        // One at a time.
        assert_eq!(p.ends[side].modify(p.now, call, None), Err(ApiMisuse::WrongState));
        accept_changes(&mut p, SECOND, "held");
        let changed = |e: &&Event| matches!(e, Event::Modified { status: 200, offer: false, body: Some(b), .. } if b.data == "held");
        assert_eq!(p.events[side].iter().filter(changed).count(), 1);
    }
    // Refused: all stays as it was, and the next change is possible.
    p.ends[A].modify(p.now, ours, Some(Body::sdp("video"))).unwrap();
    p.run_with(SECOND, |ends, now, side, event| {
        if let Event::Modify { call, .. } = event {
            ends[side].respond_modify(now, *call, ModifyAnswer::Reject(488)).unwrap();
        }
    });
    assert!(matches!(p.last(A), Event::Modified { status: 488, body: None, .. }));
    // Without an offer: the peer's comes in the 2xx, our answer goes in the ACK.
    p.ends[A].modify(p.now, ours, None).unwrap();
    accept_changes(&mut p, SECOND, "their offer");
    assert!(matches!(p.last(A), Event::Modified { status: 200, offer: true, .. }));
    p.ends[A].acknowledge(p.now, ours, Some(Body::sdp("our answer"))).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(B), Event::Acknowledged { body: Some(b), .. } if b.data == "our answer"));
    p.ends[A].bye(p.now, ours, None).unwrap();
    p.assert_clean();
}

#[test]
fn row_12_both_change_at_once() {
    let mut p = Pair::new(44);
    let (ours, theirs) = up(&mut p, |_| {});
    p.ends[A].modify(p.now, ours, Some(Body::sdp("a"))).unwrap();
    p.ends[B].modify(p.now, theirs, Some(Body::sdp("b"))).unwrap();
    accept_changes(&mut p, SECOND * 10, "yes");
    assert_eq!((status_of(&p, A, 491, "INVITE"), status_of(&p, B, 491, "INVITE")), (1, 1));
    for side in [A, B] {
        let done = |e: &&Event| matches!(e, Event::Modified { status: 200, .. });
        assert_eq!(p.events[side].iter().filter(done).count(), 1, "{side}: {:?}", p.events[side]);
    }
    // The callee's goes first: it waits at most 2 s, the caller at least 2.1 s.
    let invites: Vec<_> = p.wire.iter().filter(|(_, _, b)| b.starts_with(b"INVITE")).collect();
    assert_eq!(invites[3].1, address(B));
    p.ends[A].bye(p.now, ours, None).unwrap();
    p.assert_clean();
}

#[test]
fn row_12_a_change_that_the_peer_does_not_know_ends_the_call() {
    let mut p = Pair::new(45);
    let (ours, theirs) = up(&mut p, |_| {});
    // B forgets the call without a word.
    let fate = crate::session::Fate::Over;
    p.ends[B].settle(theirs, fate);
    p.ends[A].modify(p.now, ours, Some(Body::sdp("x"))).unwrap();
    p.run(SECOND);
    assert!(p.events[A].iter().any(|e| matches!(e, Event::Modified { status: 481, .. })));
    assert!(matches!(p.last(A), Event::Ended { by: EndedBy::Protocol(PeerMisbehaved::Lost), .. }));
    p.assert_clean();
}

fn timed(expires_s: u32) -> impl Fn(&mut InviteRequest) {
    move |r| r.session_timer = Some(SessionTimer { expires_s, min_s: 90 })
}

#[test]
fn row_13_sessions_are_refreshed_and_alive_after_an_hour() {
    let mut p = Pair::new(46);
    let (ours, _) = up(&mut p, timed(1_800));
    let answer = sent(&p, B, "SIP/2.0 200").remove(0);
    assert_eq!(header(&answer, "Session-Expires"), "1800;refresher=uac");
    assert_eq!(header(&answer, "Require"), "timer");
    accept_changes(&mut p, Duration::from_secs(3_600), "x");
    // By UPDATE, since B allows it; nobody is asked.
    assert_eq!(sent(&p, A, "UPDATE").len(), 4);
    assert!(!p.events[B].iter().any(|e| matches!(e, Event::Modify { .. })));
    assert_eq!(header(&sent(&p, A, "UPDATE")[0], "Session-Expires"), "1800;refresher=uac");
    assert_eq!([A, B].map(|side| p.ends[side].call_count()), [1, 1]);
    p.ends[A].bye(p.now, ours, None).unwrap();
    p.assert_clean();
}

#[test]
fn row_13_a_peer_that_is_gone_is_noticed() {
    for vanished in [A, B] {
        let mut p = Pair::new(47);
        let (ours, theirs) = up(&mut p, timed(600));
        p.ends[vanished].settle([ours, theirs][vanished], crate::session::Fate::Over);
        p.ends[vanished].core.config.accept_from = AcceptFrom::Nobody;
        p.run(Duration::from_secs(640));
        let left = 1 - vanished;
        let Event::Ended { by: EndedBy::Protocol(why), .. } = p.last(left) else {
            panic!("{:?}", p.events[left])
        };
        // The one who refreshes hears nothing; the other waits for the end less a little (§10).
        let expected = if left == A { PeerMisbehaved::Lost } else { PeerMisbehaved::SessionExpired };
        assert_eq!(*why, expected);
        p.assert_clean();
    }
}

#[test]
fn row_13_too_short_is_retried_and_the_peer_may_refresh() {
    let mut b = config(B);
    b.session_timer = SessionTimer { expires_s: 1_800, min_s: 300 };
    let mut p = Pair::with(48, config(A), b);
    let (ours, _) = up(&mut p, timed(120));
    assert_eq!(status_of(&p, B, 422, "1 INVITE"), 1);
    let invites = sent(&p, A, "INVITE");
    assert_eq!(
        (header(&invites[1], "Session-Expires"), header(&invites[1], "Min-SE")),
        ("300".into(), "300".into())
    );
    assert!(matches!(p.last(A), Event::Answered { .. }));
    // RFC 4028 §7.4: what was too short once is not asked for again within the call.
    p.run(Duration::from_secs(200));
    let refreshed = sent(&p, A, "UPDATE").remove(0);
    assert_eq!(header(&refreshed, "Min-SE"), "300");
    assert!(header(&refreshed, "Session-Expires").starts_with("300;"));
    p.ends[A].bye(p.now, ours, None).unwrap();
    p.assert_clean();
    // A peer that refreshes itself, by re-INVITE: its timer is honoured.
    let mut p = super::peers::alone();
    p.invite_with(timed(600));
    p.run(SECOND / 10);
    let invite = super::peers::latest(&p, "INVITE");
    let more = [super::peers::CONTACT, ("Session-Expires", "600;refresher=uas"), ("Require", "timer")];
    p.inject(address(B), A, super::peers::answer(&invite, 200, "t", &more, "sdp"));
    p.run(Duration::from_secs(500));
    let from = |name| text(invite.get(name).unwrap());
    let request = |method: Method| {
        Builder::request(&method, "sip:10.0.0.1")
            .header("Via", &format!("SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bK{method}"))
            .header("From", &format!("{};tag=t", from(Name::To)))
            .header("To", &from(Name::From))
            .header("Call-ID", &from(Name::CallId))
            .header("CSeq", &format!("1 {method}"))
            .header("Supported", "timer")
            .header("Session-Expires", "600;refresher=uac")
            .header("Contact", "<sip:gw@10.0.0.2>")
    };
    p.inject(address(B), A, request(Method::Invite).body("application/sdp", b"same"));
    accept_changes(&mut p, SECOND, "same");
    p.inject(address(B), A, request(Method::Ack).finish());
    p.run(Duration::from_secs(500));
    assert_eq!(p.ends[A].call_count(), 1);
    assert_eq!(header(&sent(&p, A, "SIP/2.0 200")[0], "Session-Expires"), "600;refresher=uac");
    // And when it does not come again, the call ends before the session does.
    p.run(Duration::from_secs(100));
    let by = EndedBy::Protocol(PeerMisbehaved::SessionExpired);
    assert!(p.sent(A, "BYE", "BYE") > 0);
    p.run(Duration::from_secs(40));
    assert!(matches!(p.last(A), Event::Ended { by: b, .. } if *b == by));
}

#[test]
fn row_13_a_peer_without_timers_is_left_alone() {
    let mut p = super::peers::alone();
    p.invite_with(timed(600));
    p.run(SECOND / 10);
    let invite = super::peers::latest(&p, "INVITE");
    p.inject(address(B), A, super::peers::answer(&invite, 200, "t", &[super::peers::CONTACT], "sdp"));
    p.run(Duration::from_secs(3_600));
    assert_eq!(
        (p.ends[A].call_count(), p.sent(A, "UPDATE", "UPDATE"), p.sent(A, "INVITE", "2 INVITE")),
        (1, 0, 0)
    );
}

#[test]
fn row_20_a_3xx_is_followed_as_far_as_the_trunk_may() {
    let run = |left: u8, contacts: &[&str]| {
        let mut p = Pair::new(49);
        p.invite_with(|r| r.max_redirects = left);
        for contact in contacts {
            p.run(SECOND / 10);
            let theirs = p.incoming(B);
            p.ends[B]
                .reject(p.now, theirs, 302, &[("Contact".into(), (*contact).into())])
                .unwrap_or_default();
        }
        p.run(SECOND / 10);
        let uris: Vec<_> =
            sent(&p, A, "INVITE").iter().map(|m| m.split(' ').nth(1).unwrap().to_owned()).collect();
        let failed = matches!(p.last(A), Event::Failed { failure: Failure::Status(302), .. });
        (uris, failed)
    };
    let start = "sip:+15550100@10.0.0.2".to_owned();
    assert_eq!(run(0, &["<sip:2@10.0.0.2>"]), (vec![start.clone()], true));
    let (uris, failed) = run(2, &["<sip:2@other.example>"]);
    assert_eq!((uris, failed), (vec![start.clone(), "sip:2@other.example".into()], false));
    // A circle, a cap, and a Contact that is no SIP URI.
    let circle = run(9, &["<sip:2@h>", "<sip:+15550100@10.0.0.2>"]);
    assert!(circle.1, "{circle:?}");
    assert_eq!(run(2, &["<sip:2@h>", "<sip:3@h>", "<sip:4@h>"]).0.len(), 3);
    assert!(run(2, &["<mailto:a@h>"]).1);
}

#[test]
fn row_21_who_calls_stands_where_the_trunk_reads_it() {
    let invite = |change: fn(&mut InviteRequest)| {
        let mut p = Pair::new(50);
        p.invite_with(change);
        p.run(SECOND / 10);
        sent(&p, A, "INVITE").remove(0)
    };
    let who = "<sip:+15550199@10.0.0.1:5060>";
    let message = invite(|r| r.identity = IdentityHeader::Asserted);
    assert_eq!(header(&message, "P-Asserted-Identity"), who);
    assert!(header(&message, "From").starts_with(who));
    let message = invite(|r| r.identity = IdentityHeader::Preferred);
    assert_eq!(header(&message, "P-Preferred-Identity"), who);
    let message = invite(|r| r.identity = IdentityHeader::RemoteParty);
    assert_eq!(header(&message, "Remote-Party-ID"), format!("{who};party=calling;screen=yes;privacy=off"));
    // `Privacy: id` is no use while From still tells.
    let message = invite(|r| (r.identity, r.private) = (IdentityHeader::Asserted, true));
    assert_eq!(
        (header(&message, "P-Asserted-Identity").as_str(), header(&message, "Privacy").as_str()),
        (who, "id")
    );
    assert!(header(&message, "From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="));
    assert!(!header(&message, "Contact").contains("+15550199"));
    let message = invite(|_| {});
    assert!(!message.contains("Identity") && !message.contains("Remote-Party-ID"));
}

#[test]
fn row_26_a_large_request_goes_by_tcp_only_where_the_trunk_allows() {
    let both = |side| {
        let mut config = config(side);
        let tcp = LocalSocket { transport: Transport::Tcp, ..config.sockets[0].clone() };
        config.sockets.push(tcp);
        config
    };
    for (allowed, size, expected) in [(true, 2_000, "TCP"), (false, 2_000, "UDP"), (true, 100, "UDP")] {
        let mut p = Pair::with(51, both(A), both(B));
        p.invite_with(|r| {
            r.large_by_tcp = allowed;
            r.body = Some(Body::sdp("x".repeat(size)));
        });
        p.run(SECOND / 100);
        let invite = sent(&p, A, "INVITE").remove(0);
        assert!(header(&invite, "Via").starts_with(&format!("SIP/2.0/{expected} ")), "{invite}");
    }
    // Nobody there by TCP: by UDP after all.
    let mut p = Pair::with(51, both(A), both(B));
    p.invite_with(|r| {
        r.large_by_tcp = true;
        r.body = Some(Body::sdp("x".repeat(2_000)));
    });
    p.ends[A].handle_closed(p.now, SocketId(1), address(B));
    p.run(SECOND / 100);
    assert!(header(&sent(&p, A, "INVITE")[1], "Via").starts_with("SIP/2.0/UDP "));
}

/// The Refer-To, Replaces and Referred-By of the last [`Event::Refer`].
fn referred(p: &Pair, side: usize) -> (String, Option<String>, String) {
    let Some(Event::Refer { to, replaces, referred_by, .. }) =
        p.events[side].iter().rev().find(|e| matches!(e, Event::Refer { .. }))
    else {
        panic!("{:?}", p.events[side])
    };
    (text(to), replaces.clone(), text(referred_by.as_ref().unwrap()))
}

fn progress(p: &Pair, side: usize) -> Vec<(u16, bool)> {
    let find = |e: &Event| {
        if let Event::ReferProgress { status, done, .. } = e { Some((*status, *done)) } else { None }
    };
    p.events[side].iter().filter_map(find).collect()
}

#[test]
fn row_29_a_blind_transfer_is_followed_to_its_end() {
    let mut p = Pair::new(52);
    let (ours, theirs) = up(&mut p, |_| {});
    p.ends[A].refer(p.now, ours, "sip:+15550111@10.0.0.3", None).unwrap();
    assert_eq!(p.ends[A].refer(p.now, ours, "sip:x@h", None), Err(ApiMisuse::WrongState));
    p.run(SECOND);
    let (to, replaces, by) = referred(&p, B);
    assert_eq!(
        (to.as_str(), replaces, by.as_str()),
        ("sip:+15550111@10.0.0.3", None, "<sip:+15550199@10.0.0.1:5060>")
    );
    // A 202 is no success: nothing is told until the new call has come to something.
    p.ends[B].respond_refer(p.now, theirs, 202).unwrap();
    p.run(SECOND);
    assert_eq!((status_of(&p, B, 202, "REFER"), progress(&p, A)), (1, vec![(100, false)]));
    p.ends[B].notify_refer(p.now, theirs, 180).unwrap();
    p.run(SECOND);
    p.ends[B].notify_refer(p.now, theirs, 200).unwrap();
    p.run(SECOND);
    assert_eq!(progress(&p, A), [(100, false), (180, false), (200, true)]);
    assert!(p.ends[B].notify_refer(p.now, theirs, 200).is_err());
    assert_eq!(status_of(&p, A, 200, "NOTIFY"), 3);
    // A second transfer may follow, and is refused.
    p.ends[A].refer(p.now, ours, "tel:+15550112", None).unwrap();
    p.run(SECOND);
    p.ends[B].respond_refer(p.now, theirs, 603).unwrap();
    p.run(SECOND);
    assert_eq!(progress(&p, A)[3..], [(603, true)]);
    p.ends[A].bye(p.now, ours, None).unwrap();
    p.assert_clean();
}

#[test]
fn row_29_the_transferors_bye_is_survived() {
    // B transfers A; B hangs up as soon as it hears the 202, and A's new call goes on.
    let mut p = Pair::new(53);
    let (ours, theirs) = up(&mut p, |_| {});
    p.ends[B].refer(p.now, theirs, "sip:3@10.0.0.3", None).unwrap();
    p.run(SECOND);
    p.ends[A].respond_refer(p.now, ours, 202).unwrap();
    p.run(SECOND / 10);
    p.ends[B].bye(p.now, theirs, None).unwrap();
    p.run(SECOND);
    let new = p.invite();
    p.run_answering(SECOND);
    assert!(
        matches!(p.events[A].iter().rev().find(|e| matches!(e, Event::Answered { .. })), Some(Event::Answered { call, .. }) if *call == new)
    );
    assert!(p.ends[A].notify_refer(p.now, ours, 200).is_err());
    assert_eq!(p.ends[A].call_count(), 1);
    p.ends[A].bye(p.now, new, None).unwrap();
    p.assert_clean();
}

#[test]
fn row_29_an_attended_transfer_replaces_the_call() {
    // A has two calls with B and joins them: B is told to call B, in the place of the other.
    let mut p = Pair::new(54);
    let (first, first_theirs) = up(&mut p, |_| {});
    let (second, second_theirs) = up(&mut p, |_| {});
    p.ends[A].refer(p.now, first, "sip:2@10.0.0.1", Some(second)).unwrap();
    p.run(SECOND);
    let (_, replaces, by) = referred(&p, B);
    let replaces = replaces.unwrap();
    p.ends[B].respond_refer(p.now, first_theirs, 202).unwrap();
    // The INVITE with Replaces goes to whoever holds the other end of the second call: B itself, here.
    let mut request = InviteRequest::new(address(B), "sip:2@10.0.0.2", "attended");
    request.headers = vec![("Replaces".into(), replaces.clone()), ("Referred-By".into(), by)];
    p.ends[A].invite(p.now, request.clone()).unwrap();
    p.run_answering(SECOND);
    let replacing = p.events[B].iter().rev().find_map(|e| match e {
        Event::Incoming { replaces, .. } => Some(*replaces),
        _ => None,
    });
    assert_eq!(replacing, Some(Some(second_theirs)));
    assert!(
        p.events[A]
            .iter()
            .any(|e| matches!(e, Event::Ended { call, by: EndedBy::Remote, .. } if *call == second))
    );
    // A Replaces for nothing is refused (RFC 3891 §3).
    request.headers = vec![("Replaces".into(), replaces.replace("from-tag=", "from-tag=x"))];
    request.call_id = "attended-2".into();
    p.ends[A].invite(p.now, request).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Status(481), .. }));
    p.ends[A].bye(p.now, first, None).unwrap();
}

#[test]
fn row_30_info_with_a_package_and_dtmf_both_ways() {
    let mut p = Pair::new(55);
    let (ours, _) = up(&mut p, |_| {});
    let digit =
        Body { content_type: "application/dtmf-relay".into(), data: "Signal=5\r\nDuration=160\r\n".into() };
    p.ends[A].info(p.now, ours, digit.clone()).unwrap();
    p.run(SECOND);
    assert!(matches!(p.last(B), Event::Info { body: Some(b), .. } if *b == digit));
    assert!(matches!(p.last(A), Event::InfoResult { status: 200, .. }));
    // A package that nobody agreed on (RFC 6086 §4.2.2).
    let info: Request = super::peers::latest(&p, "INFO");
    let from = |name| text(info.get(name).unwrap());
    let package = Builder::request(&Method::Info, "sip:10.0.0.2")
        .header("Via", "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKi")
        .header("From", &from(Name::From))
        .header("To", &from(Name::To))
        .header("Call-ID", &from(Name::CallId))
        .header("CSeq", "9 INFO")
        .header("Info-Package", "weather");
    p.inject(address(A), B, package.finish());
    p.run(SECOND);
    assert_eq!(status_of(&p, B, 469, "9 INFO"), 1);
}
