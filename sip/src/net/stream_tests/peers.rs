//! Peers that are slow, silent, stuck or many.

use std::io::Write;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::*;

fn tcp(times: Times) -> End {
    End::with(Listen::new(Transport::Tcp, "127.0.0.1:0".parse().unwrap()), times, None)
}

#[tokio::test]
async fn a_message_may_come_byte_by_byte() {
    let them = End::new(Transport::Tcp);
    let mut stream = TcpStream::connect(them.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in options(them.address(), "192.0.2.1", 1).bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_head(&mut stream).await.starts_with("SIP/2.0 200 "));
    // Many at once, and the pings between them.
    let many: String = (2..40).map(|branch| options(them.address(), "192.0.2.1", branch)).collect();
    write(&mut stream, &format!("\r\n\r\n{many}")).await;
    let mut line = [0; 2];
    soon(stream.read_exact(&mut line)).await.unwrap();
    assert_eq!(&line, b"\r\n");
    for _ in 2..40 {
        assert!(read_head(&mut stream).await.starts_with("SIP/2.0 200 "));
    }
}

#[tokio::test]
async fn a_message_that_breaks_the_stream_is_told_so_before_the_end() {
    let them = End::new(Transport::Tcp);
    let mut stream = TcpStream::connect(them.address()).await.unwrap();
    let request = options(them.address(), "192.0.2.1", 1).replace("Content-Length: 0\r\n", "");
    write(&mut stream, &request).await;
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("SIP/2.0 400 Missing Content-Length"), "{answer}");
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    them.quiet().await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up_and_harms_nobody() {
    let mut them = End::new(Transport::Tcp);
    let address = them.address();
    let stuck = std::thread::spawn(move || {
        let mut stream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // The less it takes, the sooner it is found out.
        stream.set_recv_buffer_size(4_096).unwrap();
        stream.connect(&address.into()).unwrap();
        for branch in 0.. {
            if stream.write_all(options(address, "192.0.2.1", branch).as_bytes()).is_err() {
                return branch;
            }
        }
        0
    });
    let mut us = End::new(Transport::Tcp);
    let mut calls = 0;
    while them.stats().connections_overrun.get() == 0 {
        let to = destination(address, Transport::Tcp);
        call(&mut us, &mut them, to, &format!("call-{calls}"), false).await;
        calls += 1;
    }
    assert!(stuck.join().unwrap() > crate::limits::SEND_QUEUE_MESSAGES);
    let to = destination(address, Transport::Tcp);
    call(&mut us, &mut them, to, "last", true).await;
    assert_eq!(them.stats().connections.get(), 1);
}

#[tokio::test]
async fn many_connections_leave_nothing_behind() {
    let them = End::new(Transport::Tcp);
    // More in all than one address may have at once.
    for round in 0..3 {
        let mut streams = Vec::new();
        for branch in 0..200 {
            let mut stream = TcpStream::connect(them.address()).await.unwrap();
            write(&mut stream, &options(them.address(), "192.0.2.1", round * 200 + branch)).await;
            streams.push(stream);
        }
        for stream in &mut streams {
            assert!(read_head(stream).await.starts_with("SIP/2.0 200 "));
        }
        assert_eq!(them.stats().connections.get(), 200);
        drop(streams);
        them.quiet().await;
    }
    assert_eq!(them.stats().connections_accepted.get(), 600);
    assert_eq!(them.stats().connections_refused.get(), 0);
}

#[tokio::test]
async fn who_says_nothing_in_time_is_cut() {
    let short = Duration::from_millis(50);
    let authority = Authority::new();
    // A handshake that never ends.
    let them = authority.end(Times { handshake: short, ..Times::default() });
    let mut stream = TcpStream::connect(them.address()).await.unwrap();
    write(&mut stream, "\x16").await;
    read_to_end(&mut stream).await;
    // A first message that never ends; keep-alives do not help.
    let slow = tcp(Times { first_message: short, ..Times::default() });
    let mut stream = TcpStream::connect(slow.address()).await.unwrap();
    write(&mut stream, "\r\n\r\nOPTIONS sip:a@h SIP/2.0\r\n").await;
    read_to_end(&mut stream).await;
    slow.quiet().await;
    // A stranger, who makes sense.
    slow.sip.set_accept_from(AcceptFrom::Only(vec!["192.0.2.1/32".parse().unwrap()])).unwrap();
    soon(slow.sip.trace_by_call_id("the command before is done")).await;
    let mut stream = TcpStream::connect(slow.address()).await.unwrap();
    write(&mut stream, &options(slow.address(), "192.0.2.1", 1)).await;
    read_to_end(&mut stream).await;
    // What is no SIP at all.
    let mut stream = TcpStream::connect(slow.address()).await.unwrap();
    write(&mut stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_to_end(&mut stream).await;
    them.until(|stats| stats.connections_failed.get() == 1).await;
    slow.until(|stats| stats.connections_failed.get() == 3).await;
    assert_eq!((slow.stats().connections_accepted.get(), slow.stats().dropped_source.get()), (3, 1));
}

#[tokio::test]
async fn a_connection_without_use_is_closed_and_keep_alives_are_use() {
    let them = tcp(Times { idle_accepted: Duration::from_millis(600), ..Times::default() });
    let mut stream = TcpStream::connect(them.address()).await.unwrap();
    write(&mut stream, &options(them.address(), "192.0.2.1", 1)).await;
    read_head(&mut stream).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        write(&mut stream, "\r\n\r\n").await;
        let mut pong = [0; 2];
        soon(stream.read_exact(&mut pong)).await.unwrap();
        assert_eq!(&pong, b"\r\n");
    }
    read_to_end(&mut stream).await;
    them.quiet().await;
}

#[tokio::test]
async fn pings_are_sent_and_a_pong_that_stays_away_ends_the_connection() {
    let times = Times {
        ping_after: Duration::from_millis(20),
        ping_spread: Duration::from_millis(5),
        pong: Duration::from_millis(200),
        ..Times::default()
    };
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut us = tcp(times);
    let to = destination(peer.local_addr().unwrap(), Transport::Tcp);
    us.sip.invite(InviteRequest::new(to.clone(), "sip:1@h", "a")).unwrap();
    let (mut stream, _) = soon(peer.accept()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("INVITE "));
    let mut ping = [0; 4];
    // One that has never answered a ping is not blamed for that: TCP says whether it is there.
    for _ in 0..15 {
        soon(stream.read_exact(&mut ping)).await.unwrap();
        assert_eq!(&ping, b"\r\n\r\n");
    }
    write(&mut stream, "\r\n").await;
    read_to_end(&mut stream).await;
    assert!(matches!(us.told().await, Event::Failed { failure: Failure::Unreachable, .. }));
    us.quiet().await;
    assert_eq!(us.stats().connections_failed.get(), 0);
    assert!(us.sip.failed_connections()[0].error.contains("pong"));
}

#[tokio::test]
async fn a_broken_connection_fails_what_waits_and_the_next_call_makes_another() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut us = End::new(Transport::Tcp);
    for id in ["a", "b"] {
        let to = destination(peer.local_addr().unwrap(), Transport::Tcp);
        us.sip.invite(InviteRequest::new(to, "sip:1@h", id)).unwrap();
        let (mut stream, _) = soon(peer.accept()).await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("INVITE "));
        drop(stream);
        assert!(matches!(us.told().await, Event::Failed { failure: Failure::Unreachable, .. }));
        us.quiet().await;
    }
    assert_eq!(us.stats().connections_made.get(), 2);
}

/// RFC 3261 §18.2.2.
#[tokio::test]
async fn an_answer_whose_connection_is_gone_goes_where_the_peer_listens() {
    let mut them = End::new(Transport::Tcp);
    let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(them.address()).await.unwrap();
    let invite = options(them.address(), &listening.local_addr().unwrap().to_string(), 1);
    write(&mut stream, &invite.replace("OPTIONS", "INVITE")).await;
    let Event::Incoming { call, .. } = them.told().await else { panic!() };
    drop(stream);
    them.quiet().await;
    them.sip.reject(call, 486, Vec::new()).unwrap();
    let (mut stream, _) = soon(listening.accept()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("SIP/2.0 486 "));
}

#[tokio::test]
async fn a_host_speaks_for_itself_only() {
    let us = End::new(Transport::Tcp);
    let trunk = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = trunk.local_addr().unwrap().port();
    let mut liar = TcpStream::connect(us.address()).await.unwrap();
    write(&mut liar, &options(us.address(), &format!("127.0.0.2:{port}"), 1)).await;
    read_head(&mut liar).await;
    let elsewhere = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    us.sip.options(destination(elsewhere.local_addr().unwrap(), Transport::Tcp)).unwrap();
    let (mut stream, _) = soon(elsewhere.accept()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("OPTIONS "));
}
