//! Transports that lose nothing, and destinations where nobody is.

use super::*;
use crate::event::Failure;
use crate::transport::Destination;

fn over(side: usize, transport: Transport) -> EndpointConfig {
    let mut config = config(side);
    config.sockets[0].transport = transport;
    config
}

fn pair(transport: Transport) -> Pair {
    Pair::with(3, over(A, transport), over(B, transport))
}

fn to_b(transport: Transport) -> Destination {
    Destination::new(address(B), transport)
}

#[test]
fn over_a_stream_nothing_is_sent_twice_and_nothing_lingers() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Wss] {
        let mut p = pair(transport);
        let call = p.invite_with(|r| r.destination = to_b(transport));
        p.run(Duration::from_secs(20));
        assert_eq!(p.sent(A, "INVITE", "INVITE"), 1);
        let theirs = p.incoming(B);
        p.ends[B].answer(p.now, theirs, Some(Body::sdp("answer"))).unwrap();
        p.run(Duration::from_secs(1));
        p.ends[A].bye(p.now, call, None).unwrap();
        p.run(Duration::from_secs(1));
        assert!(matches!(p.last(A), Event::Ended { .. }));
        let text = String::from_utf8_lossy(&p.wire[0].2).into_owned();
        assert!(text.contains(&format!("Via: SIP/2.0/{} 10.0.0.1:5060;", transport.via())), "{text}");
        assert!(text.contains(&format!("Contact: <sip:10.0.0.1:5060;transport={transport}>")), "{text}");
        // Only the INVITE's transactions stay: a 2xx is sent again over any transport (§13.3.1.4).
        assert_eq!([A, B].map(|side| p.ends[side].transaction_count()), [1, 1]);
        p.assert_clean();
    }
}

#[test]
fn a_refusal_over_a_stream_leaves_nothing_behind() {
    let mut p = pair(Transport::Tcp);
    p.invite_with(|r| r.destination = to_b(Transport::Tcp));
    p.run(Duration::from_millis(50));
    let theirs = p.incoming(B);
    p.ends[B].reject(p.now, theirs, 486, &[]).unwrap();
    p.run(Duration::from_millis(50));
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Status(486), .. }));
    assert_eq!([A, B].map(|side| p.ends[side].transaction_count()), [0, 0]);
    assert_eq!((p.sent(A, "ACK", "ACK"), p.sent(B, "SIP/2.0 486", "INVITE")), (1, 1));
}

#[test]
fn a_connection_that_is_gone_fails_what_waits_for_it() {
    let mut p = pair(Transport::Tcp);
    let nobody: SocketAddr = "10.0.0.9:5060".parse().unwrap();
    p.invite_with(|r| r.destination = Destination::new(nobody, Transport::Tcp));
    p.ends[A].options(p.now, Destination::new(nobody, Transport::Tcp)).unwrap();
    p.run(Duration::from_millis(10));
    p.ends[A].handle_closed(p.now, SocketId(0), nobody);
    p.run(Duration::from_millis(10));
    assert!(matches!(
        p.events[A][..],
        [Event::Failed { failure: Failure::Unreachable, .. }, Event::OptionsResult { status: None, .. },]
    ));
    p.assert_clean();
}

/// interop row 15, the part after the look-up: the next server on a transport error, silence and 503.
#[test]
fn row_15_the_next_server_is_tried() {
    let nobody: SocketAddr = "10.0.0.9:5060".parse().unwrap();
    // Silence: timer B.
    let mut p = Pair::new(5);
    p.invite_with(|r| (r.destination, r.alternatives) = (nobody.into(), vec![address(B).into()]));
    p.run_answering(Duration::from_secs(40));
    let answered = |p: &Pair| p.events[A].iter().any(|e| matches!(e, Event::Answered { .. }));
    assert!(answered(&p), "{:?}", p.events[A]);
    // The transport.
    let mut p = pair(Transport::Tcp);
    p.invite_with(|r| {
        r.destination = Destination::new(nobody, Transport::Tcp);
        r.alternatives = vec![to_b(Transport::Tcp)];
    });
    p.run(Duration::from_millis(10));
    p.ends[A].handle_closed(p.now, SocketId(0), nobody);
    p.run_answering(Duration::from_secs(1));
    assert!(answered(&p));
    // A 503, whose ACK comes before the next INVITE; then the last 503 is the answer.
    let mut p = Pair::new(5);
    p.invite_with(|r| r.alternatives = vec![address(B).into()]);
    for _ in 0..2 {
        p.run(Duration::from_millis(50));
        let theirs = p.incoming(B);
        p.ends[B].reject(p.now, theirs, 503, &[("Retry-After".into(), "7".into())]).unwrap();
        p.run(Duration::from_millis(50));
    }
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Status(503), retry_after_s: Some(7), .. }));
    let sent = p.wire.iter().filter(|(_, from, _)| *from == address(A));
    let starts: Vec<_> = sent.map(|(_, _, b)| String::from_utf8_lossy(&b[..4]).into_owned()).collect();
    assert_eq!(starts, ["INVI", "ACK ", "INVI", "ACK "]);
    assert_eq!(p.events[A].iter().filter(|e| matches!(e, Event::Failed { .. })).count(), 1);
    p.assert_clean();
}

#[test]
fn once_somebody_rang_no_other_server_is_tried() {
    let mut p = Pair::new(5);
    p.invite_with(|r| r.alternatives = vec![address(B).into()]);
    p.run(Duration::from_millis(50));
    let theirs = p.incoming(B);
    p.ends[B].ring(p.now, theirs, 180, None).unwrap();
    p.run(Duration::from_millis(50));
    p.ends[B].reject(p.now, theirs, 503, &[]).unwrap();
    p.run(Duration::from_secs(1));
    assert!(matches!(p.last(A), Event::Failed { failure: Failure::Status(503), progressed: true, .. }));
    assert_eq!(p.sent(A, "INVITE", "INVITE"), 1);
}
