//! Ways in for sip/fuzz, with what must hold of whatever comes. Compiled for fuzzing and for tests alone.
#![allow(clippy::panic)] // a broken promise is to be seen

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use crate::{
    AcceptFrom, Builder, CSeq, Challenge, Endpoint, EndpointConfig, Frame, FrameError, Framer, Headers,
    LocalSocket, Malformed, Message, Name, NameAddr, Output, Params, Reason, SocketId, Transport, Uri,
    Values, Via, limits,
};

/// A datagram: the parser, everything that reads a parsed message, the writer, and an endpoint that takes calls.
pub fn message(bytes: &[u8]) {
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
}

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
    let sockets = vec![LocalSocket { transport: Transport::Udp, bound: here, advertise: here }];
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

/// A stream, read in pieces of any size: the messages in it are the same.
pub fn framing(bytes: &[u8]) {
    // The first byte says how the rest is cut.
    let Some((cut, stream)) = bytes.split_first() else { return };
    let whole = messages(stream, stream.len().max(1));
    let cut = messages(stream, usize::from(*cut).max(1));
    assert_eq!(whole, cut);
    for message in whole.0 {
        assert!(message.len() <= limits::MESSAGE_BYTES);
        ends_where_it_ends(message);
    }
}

/// The parser sees the end of the message where the framer saw it: nothing hides behind a body.
fn ends_where_it_ends(message: Bytes) {
    let length = message.len();
    let body = match Message::parse(message.clone()) {
        Ok(Message::Request(request)) => request.body(),
        Ok(Message::Response(response)) => response.body(),
        Err(error) => return assert!(!matches!(error, Malformed::ShortBody | Malformed::ContentLength)),
    };
    let head = message
        .windows(3)
        .position(|w| w.starts_with(b"\n\n") || w == b"\n\r\n")
        .map_or(length, |at| at + if message.get(at + 1) == Some(&b'\n') { 2 } else { 3 });
    assert_eq!(head + body.len(), length);
}

fn messages(stream: &[u8], step: usize) -> (Vec<Bytes>, Option<FrameError>) {
    let mut framer = Framer::new();
    let mut found = Vec::new();
    for piece in stream.chunks(step) {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(message))) => found.push(message),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.next(), Err(error));
                    let _ = framer.broken_head();
                    return (found, Some(error));
                }
            }
        }
    }
    (found, None)
}

/// A URI: its parts are parts of it, and an address is one.
pub fn uri(bytes: &[u8]) {
    let Some(uri) = Uri::parse(bytes) else { return };
    assert!(!uri.scheme.is_empty() && bytes.starts_with(uri.scheme));
    assert!(!uri.is_sip() || !uri.host.is_empty());
    for part in [uri.user.unwrap_or_default(), uri.host, uri.headers] {
        assert!(part.is_empty() || bytes.windows(part.len()).any(|window| window == part));
    }
    let _ = uri.address();
    for (name, value) in uri.params.iter() {
        assert!(!name.is_empty() && name.len() + value.len() < bytes.len());
    }
}

/// A header value, read as each kind that there is.
pub fn values(bytes: &[u8]) {
    let mut total = 0;
    for value in Values::new(bytes) {
        assert!(!value.is_empty());
        total += value.len();
        if let Some(address) = NameAddr::parse(value) {
            assert!(!address.uri.is_empty());
            let _ = (address.tag(), address.parsed_uri());
        }
        if let Some(via) = Via::parse(value) {
            assert!(!via.host.is_empty());
            let _ = via.branch();
        }
        let _ = Reason::parse(value);
    }
    assert!(total <= bytes.len());
    if let Some(cseq) = CSeq::parse(bytes) {
        assert!(cseq.number <= i32::MAX as u32 && !cseq.method.is_empty());
    }
    if let Some(challenge) = Challenge::parse(bytes) {
        for name in ["realm", "nonce", "qop", "response"] {
            let _ = challenge.get(name);
        }
    }
    for (name, value) in Params::new(bytes).iter() {
        assert!(!name.is_empty() && name.len() + value.len() <= bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    type Seeds = Vec<Vec<u8>>;
    type Check = (&'static str, fn(&[u8]));
    const CHECKS: [Check; 4] = [("message", message), ("framing", framing), ("uri", uri), ("values", values)];
    /// The files that `make fuzz` begins with, in the order of the checks.
    static SEEDS: LazyLock<[Seeds; 4]> = LazyLock::new(|| {
        let files = |directory: &str| -> Seeds {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
            path.read_dir().unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
        };
        CHECKS.map(|(name, _)| {
            let mut seeds = files(&format!("fuzz/seeds/{name}"));
            if matches!(name, "message" | "framing") {
                seeds.extend(files("src/message/torture/rfc4475"));
            }
            seeds
        })
    });

    #[test]
    fn seeds_keep_their_promises() {
        for ((_, check), seeds) in CHECKS.iter().zip(SEEDS.iter()) {
            assert!(!seeds.is_empty());
            seeds.iter().for_each(|seed| check(seed));
        }
    }

    proptest! {
        /// A little of what `make fuzz` does: seeds with some octets changed, cut anywhere.
        #[test]
        fn damaged_seeds_keep_their_promises(
            which in 0usize..4,
            seed in any::<prop::sample::Index>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = seed.get(&SEEDS[which]).clone();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            CHECKS[which].1(&bytes);
        }
    }
}
