//! A datagram: the parser, everything that reads a parsed message, the writer, and an endpoint that takes calls.
#![no_main]

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_sip::{
    AcceptFrom, Builder, Challenge, Endpoint, EndpointConfig, Headers, LocalSocket, Message, Name, NameAddr,
    Output, Reason, SocketId, Uri, Values, Via,
};
use kraliki_time::Time;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let raw = Bytes::copy_from_slice(bytes);
    match Message::parse(raw.clone()) {
        Ok(Message::Request(request)) => {
            Uri::parse(request.uri());
            read(&request);
            let copy =
                Builder::like_request(&request).headers(&request, is_kept).body("x/y", &request.body());
            let Ok(Message::Request(copy)) = Message::parse(copy) else { panic!("a copy is as good") };
            assert_eq!((copy.method(), copy.uri()), (request.method(), request.uri()));
            compare(&request, &copy);
        }
        Ok(Message::Response(response)) => {
            read(&response);
            let copy =
                Builder::like_response(&response).headers(&response, is_kept).body("x/y", &response.body());
            let Ok(Message::Response(copy)) = Message::parse(copy) else { panic!("a copy is as good") };
            assert_eq!(copy.status(), response.status());
            compare(&response, &copy);
        }
        Err(_) => {}
    }
    drive(raw);
});

fn is_kept(name: Name, _: &[u8]) -> bool {
    !matches!(name, Name::ContentType | Name::ContentLength)
}

/// What was written is what was read, but for what may not stand in a line.
fn compare(read: &Headers, copy: &Headers) {
    let kept = read.lines().filter(|(name, label, _)| is_kept(*name, label));
    let clean = |value: &[u8]| {
        let spaced: Vec<u8> = value.iter().map(|b| if matches!(b, b'\r' | 0) { b' ' } else { *b }).collect();
        spaced.trim_ascii().to_vec()
    };
    let copied = copy.lines().filter(|(name, label, _)| is_kept(*name, label));
    let expected: Vec<_> = kept.map(|(_, label, value)| (clean(label), clean(value))).collect();
    let found: Vec<_> = copied.map(|(_, label, value)| (label.to_vec(), value.to_vec())).collect();
    assert_eq!(expected, found);
    assert_eq!(read.body(), copy.body());
}

fn read(headers: &Headers) {
    let _ =
        (headers.via(), headers.from(), headers.to(), headers.contact(), headers.call_id(), headers.cseq());
    let _ = (headers.reasons(), headers.retry_after_s(), headers.content_type(), headers.body());
    let _ = headers.lists(Name::Supported, "timer");
    for (_, _, value) in headers.lines() {
        for value in Values::new(value) {
            let _ = NameAddr::parse(value).map(|address| (address.tag(), address.parsed_uri()));
            let _ = Via::parse(value).map(|via| via.branch());
            let _ = Reason::parse(value);
        }
        let _ = Challenge::parse(value).map(|challenge| challenge.get("nonce"));
    }
}

fn drive(raw: Bytes) {
    let here = SocketAddr::from(([192, 0, 2, 1], 5060));
    let there = SocketAddr::from(([192, 0, 2, 2], 5060));
    let sockets = vec![LocalSocket { bound: here, advertise: here }];
    let config = EndpointConfig { sockets, accept_from: AcceptFrom::Any, ..EndpointConfig::default() };
    let mut endpoint = Endpoint::new(config, [1; 32]);
    let mut sent = 0;
    let now = Time::from_millis(1_000);
    endpoint.handle_datagram(now, SocketId(0), there, raw);
    loop {
        match endpoint.poll_output() {
            Output::Transmit(transmit) => {
                // A ping has an answer that is no message.
                assert!(&transmit.bytes[..] == b"\r\n" || Message::parse(transmit.bytes).is_ok());
                sent += 1;
            }
            Output::Event(_) => {}
            Output::Timeout(_) => break,
        }
    }
    assert!(sent <= 1, "one answer for one datagram");
}
