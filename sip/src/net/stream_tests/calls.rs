//! Whole calls, and which connection they go by.

use super::*;

#[tokio::test]
async fn calls_over_tcp_either_side_ends_them_by_the_same_connection() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let listen = Listen::new(Transport::Tcp, bind.parse().unwrap());
        let mut us = End::with(listen.clone(), Times::default(), None);
        let mut them = End::with(listen, Times::default(), None);
        let to = destination(them.address(), Transport::Tcp);
        call(&mut us, &mut them, to.clone(), "a", false).await;
        call(&mut us, &mut them, to, "b", true).await;
        // RFC 5923: they know our listening address from Via, and have a connection from there.
        assert_eq!((us.stats().connections_made.get(), us.stats().connections_accepted.get()), (1, 0));
        assert_eq!((them.stats().connections_made.get(), them.stats().connections_accepted.get()), (0, 1));
        let back = destination(us.address(), Transport::Tcp);
        call(&mut them, &mut us, back, "c", true).await;
        assert_eq!(them.stats().connections_made.get(), 0);
    }
}

/// Also with an owner that is behind with its events: then connections are not read, and nothing is lost.
#[tokio::test]
async fn hundreds_of_calls_at_once_share_a_connection() {
    const CALLS: usize = 400;
    let authority = Authority::new();
    for transport in [Transport::Tcp, Transport::Tls] {
        let end = |event_queue| {
            let listen = vec![Listen::new(transport, "127.0.0.1:0".parse().unwrap())];
            // With so short a queue it is always behind.
            let overload_after = Duration::MAX;
            let tls = Some(authority.tls());
            let net = NetConfig { listen, tls, event_queue, overload_after, ..NetConfig::default() };
            let config = EndpointConfig { accept_from: AcceptFrom::Any, ..EndpointConfig::default() };
            let (sip, events) = start_with(net, config, Clock::start(), [7; 32], Times::default()).unwrap();
            End { sip, events }
        };
        let (mut us, mut them) = (end(4), end(4));
        let to = destination(them.address(), transport);
        for i in 0..CALLS {
            us.sip.invite(InviteRequest::new(to.clone(), "sip:1@h", &format!("call-{i}"))).unwrap();
        }
        let mut ended = [0; 2];
        while ended != [CALLS; 2] {
            tokio::select! {
                event = us.event() => match event {
                    Event::Answered { call, .. } => us.sip.bye(call, None).unwrap(),
                    Event::Ended { .. } => ended[0] += 1,
                    Event::Trying { .. } => {}
                    other => panic!("{other:?}"),
                },
                event = them.event() => match event {
                    Event::Incoming { call, .. } => them.sip.answer(call, None).unwrap(),
                    Event::Acknowledged { .. } => {}
                    Event::Ended { .. } => ended[1] += 1,
                    other => panic!("{other:?}"),
                },
            }
        }
        assert!(us.stats().event_stalls.get() > 0 && them.stats().event_stalls.get() > 0);
        assert_eq!((us.stats().connections_made.get(), them.stats().connections_made.get()), (1, 0));
        let (ours, theirs) = (us.stats().dropped_send.get(), them.stats().dropped_send.get());
        assert_eq!((ours, theirs), (0, 0));
    }
}

#[tokio::test]
async fn calls_over_tls() {
    let authority = Authority::new();
    let mut us = authority.end(Times::default());
    let mut them = authority.end(Times::default());
    let to = destination(them.address(), Transport::Tls);
    call(&mut us, &mut them, to.clone(), "a", false).await;
    call(&mut us, &mut them, to, "b", true).await;
    assert_eq!((us.stats().connections_made.get(), them.stats().connections_made.get()), (1, 0));
}

#[tokio::test]
async fn over_tls_a_call_goes_only_where_the_certificate_was_seen() {
    let authority = Authority::new();
    let mut us = authority.end(Times::default());
    let mut trunk = authority.end(Times::default());
    // Somebody on the trunk's host says to be the trunk.
    let client = authority.tls().clients.remove(NAME).unwrap();
    let stream = TcpStream::connect(us.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(client).connect(name, stream).await.unwrap();
    let request = options(us.address(), &trunk.address().to_string(), 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    soon(stream.read_u8()).await.unwrap();
    let to = destination(trunk.address(), Transport::Tls);
    call(&mut us, &mut trunk, to, "a", false).await;
    assert_eq!((us.stats().connections_accepted.get(), us.stats().connections_made.get()), (1, 1));
}

#[tokio::test]
async fn a_connection_is_kept_while_a_call_needs_it_and_no_longer() {
    let times = Times { idle_made: Duration::from_millis(25), ..Times::default() };
    let listen = Listen::new(Transport::Tcp, "127.0.0.1:0".parse().unwrap());
    let mut us = End::with(listen, times, None);
    let mut them = End::new(Transport::Tcp);
    let to = destination(them.address(), Transport::Tcp);
    let ours = us.sip.invite(InviteRequest::new(to, "sip:1@h", "a")).unwrap();
    let Event::Incoming { call: theirs, .. } = them.told().await else { panic!() };
    them.sip.answer(theirs, None).unwrap();
    assert!(matches!(us.told().await, Event::Answered { .. }));
    // Several times as long as an idle connection is kept.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(us.stats().connections.get(), 1);
    us.sip.bye(ours, None).unwrap();
    assert!(matches!(us.told().await, Event::Ended { by: EndedBy::Local, .. }));
    us.quiet().await;
    them.quiet().await;
    assert_eq!(us.stats().connections_made.get(), 1);
}

#[tokio::test]
async fn what_waits_is_written_before_the_driver_stops() {
    let mut us = End::new(Transport::Tcp);
    let mut them = End::new(Transport::Tcp);
    let to = destination(them.address(), Transport::Tcp);
    us.sip.invite(InviteRequest::new(to, "sip:1@h", "a")).unwrap();
    let Event::Incoming { call: theirs, .. } = them.told().await else { panic!() };
    let address = them.address();
    them.sip.reject(theirs, 486, Vec::new()).unwrap();
    them.sip.stop();
    assert!(matches!(us.told().await, Event::Failed { failure: Failure::Status(486), .. }));
    while soon(them.events.recv()).await.is_some() {}
    std::net::TcpListener::bind(address).expect("the port is free again");
    us.quiet().await;
}

#[tokio::test]
async fn the_listening_port_is_the_source_when_it_has_to_be() {
    let mut us = End::with(
        Listen { fixed_source_port: true, ..Listen::new(Transport::Tcp, "127.0.0.1:0".parse().unwrap()) },
        Times::default(),
        None,
    );
    let mut them = End::new(Transport::Tcp);
    us.sip.options(destination(them.address(), Transport::Tcp)).unwrap();
    assert!(matches!(us.told().await, Event::OptionsResult { status: Some(200), .. }));
    us.sip.invite(InviteRequest::new(destination(them.address(), Transport::Tcp), "sip:1@h", "a")).unwrap();
    let Event::Incoming { from, .. } = them.told().await else { panic!() };
    assert_eq!(from, us.address());
}

#[tokio::test]
async fn where_nobody_is_a_call_fails_at_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut us = End::new(Transport::Tcp);
    assert_eq!(fails(&mut us, destination(nobody, Transport::Tcp)).await, Failure::Unreachable);
    us.quiet().await;
    assert_eq!(us.stats().connections_failed.get(), 1);
    let failed = us.sip.failed_connections();
    assert!(failed[0].peer == nobody && failed[0].error.contains("refused"), "{failed:?}");
    // Nor does a connection from the wrong side exist: a browser cannot be called.
    let mut us = End::new(Transport::Ws);
    assert_eq!(fails(&mut us, destination(nobody, Transport::Ws)).await, Failure::Unreachable);
}
