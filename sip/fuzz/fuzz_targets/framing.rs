//! A stream, read in pieces of any size: the messages in it are the same.
#![no_main]

use bytes::Bytes;
use kraliki_sip::{Frame, FrameError, Framer, Malformed, Message, limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how the rest is cut.
    let Some((cut, stream)) = bytes.split_first() else { return };
    let whole = messages(stream, stream.len().max(1));
    let cut = messages(stream, usize::from(*cut).max(1));
    assert_eq!(whole, cut);
    for message in whole.0 {
        assert!(message.len() <= limits::MESSAGE_BYTES);
        ends_where_it_ends(message);
    }
});

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
        .map_or(length, |at| at + if message[at + 1] == b'\n' { 2 } else { 3 });
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
