//! Messages out of a stream: where one ends and the next begins (RFC 3261 §7.5, §18.3; RFC 5626 §3.5.1).
//!
//! Bytes go in by [`Framer::push`], frames come out of [`Framer::next`], which is called until it gives none. A frame
//! is whole by its Content-Length, but not parsed: [`crate::Message::parse`] does that.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::FrameError;
use crate::limits;
use crate::message::{Name, number};

/// What a stream brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message: its start line, headers and body, in memory of its own.
    Message(Bytes),
    /// CRLF CRLF: the peer asks whether we are there. A single CRLF is the answer (RFC 5626 §3.5.1).
    Ping,
    /// CRLF: the answer to a ping, or a line break too many, which means nothing (RFC 3261 §7.5).
    Pong,
}

/// Cuts a stream into frames. One for each connection and direction.
///
/// It holds less than one message ([`limits::MESSAGE_BYTES`]) and what was pushed last, when `next` is called until
/// it gives none after each push.
#[derive(Debug, Default)]
pub struct Framer {
    /// Begins where the next frame does.
    buffer: BytesMut,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// No message has begun.
    #[default]
    Between,
    /// In a header block. No line break before `seen` ends it: nothing is looked at twice.
    Head { seen: usize },
    /// The header block is whole, and so is the message with `length` bytes.
    Body { length: usize },
    /// Nothing more can be told apart. `head` is the length of the header block, 0 when it is not whole.
    Broken { error: FrameError, head: usize },
}

impl Framer {
    /// For a new connection.
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Takes bytes as they were read, cut anywhere. After an error they are of no use and are let go.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Broken { .. }) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame, or none before more is pushed. An error is for good: the stream cannot be read on, and the
    /// connection must end (RFC 3261 §18.3); every later call gives it again.
    ///
    /// A single CRLF at the end of what was pushed is given as a [`Frame::Pong`] at once: whoever waits for one must
    /// not wait for the bytes after it. A ping that arrives in two halves therefore counts as two pongs and is not
    /// answered; peers write its four bytes at once.
    #[allow(clippy::should_implement_trait)] // no Iterator: none now does not mean none ever
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            match self.state {
                State::Between => match &self.buffer[..] {
                    [] | [b'\r'] | [b'\r', b'\n', b'\r'] => return Ok(None),
                    [b'\r', b'\n', b'\r', b'\n', ..] => {
                        self.buffer.advance(4);
                        return Ok(Some(Frame::Ping));
                    }
                    [b'\r', b'\n', ..] => {
                        self.buffer.advance(2);
                        return Ok(Some(Frame::Pong));
                    }
                    // Half a line break means nothing.
                    [b'\r' | b'\n', ..] => self.buffer.advance(1),
                    // A method or a version begins with a letter or a mark. TLS on the wrong port does not.
                    [0x21..=0x7e, ..] => self.state = State::Head { seen: 0 },
                    _ => return Err(self.broken(FrameError::NotSip, 0)),
                },
                State::Head { seen } => match head_end(&self.buffer, seen) {
                    End::At(end) if end > limits::MESSAGE_BYTES => {
                        return Err(self.broken(FrameError::TooLarge, 0));
                    }
                    End::At(end) => match content_length(self.buffer.get(..end).unwrap_or_default()) {
                        Ok(body) if body > limits::MESSAGE_BYTES - end => {
                            return Err(self.broken(FrameError::TooLarge, end));
                        }
                        Ok(body) => self.state = State::Body { length: end + body },
                        Err(error) => return Err(self.broken(error, end)),
                    },
                    End::Beyond(_) if self.buffer.len() > limits::MESSAGE_BYTES => {
                        return Err(self.broken(FrameError::TooLarge, 0));
                    }
                    End::Beyond(seen) => {
                        self.state = State::Head { seen };
                        return Ok(None);
                    }
                },
                State::Body { length } => {
                    let Some(message) = self.buffer.get(..length) else { return Ok(None) };
                    // A copy: a call that keeps a few bytes of it must not keep all that was read with it.
                    let message = Bytes::copy_from_slice(message);
                    self.buffer.advance(length);
                    self.state = State::Between;
                    return Ok(Some(Frame::Message(message)));
                }
                State::Broken { error, .. } => return Err(error),
            }
        }
    }

    /// After an error: the header block of the message that broke the stream, when it is whole. A request can still
    /// be answered with 400, or 513 when it is too large, before the connection ends.
    pub fn broken_head(&self) -> Option<&[u8]> {
        match self.state {
            State::Broken { head, .. } if head > 0 => self.buffer.get(..head),
            _ => None,
        }
    }

    fn broken(&mut self, error: FrameError, head: usize) -> FrameError {
        self.buffer.truncate(head);
        self.state = State::Broken { error, head };
        error
    }
}

enum End {
    /// The header block ends here, its empty line included.
    At(usize),
    /// It does not end before this place.
    Beyond(usize),
}

/// Looks for the empty line. Lines may end without a CR, as they may in a datagram.
fn head_end(bytes: &[u8], mut seen: usize) -> End {
    while let Some(found) = bytes.get(seen..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let at = seen + found;
        match bytes.get(at + 1..).unwrap_or_default() {
            [b'\n', ..] => return End::At(at + 2),
            [b'\r', b'\n', ..] => return End::At(at + 3),
            [] | [b'\r'] => return End::Beyond(at),
            _ => seen = at + 1,
        }
    }
    End::Beyond(bytes.len())
}

/// The one Content-Length of a header block. A stream cannot do without it (RFC 3261 §18.3).
fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut length = None;
    // The first line is the start line. A line that begins with white space goes on with the one before it.
    let mut at = memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    while at < head.len() {
        let mut end = at;
        loop {
            let rest = head.get(end..).unwrap_or_default();
            end += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            if !matches!(head.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let line = head.get(at..end).unwrap_or_default();
        at = end;
        // Two header names begin like this: Content-Length and l. Most lines need no closer look.
        if !matches!(line.first(), Some(b'c' | b'C' | b'l' | b'L')) {
            continue;
        }
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (label, value) = line.split_at(colon);
        if Name::of(label.trim_ascii_end()) != Name::ContentLength {
            continue;
        }
        let number =
            number(value.get(1..).unwrap_or_default().trim_ascii()).ok_or(FrameError::ContentLength)?;
        if length.replace(number).is_some_and(|before| before != number) {
            return Err(FrameError::ContentLength);
        }
    }
    length.ok_or(FrameError::NoContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use proptest::prelude::*;

    fn frames(framer: &mut Framer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next().unwrap()).collect()
    }

    fn error(bytes: &[u8]) -> (FrameError, Option<Vec<u8>>) {
        let mut framer = Framer::new();
        framer.push(bytes);
        let error = loop {
            match framer.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => break error,
            }
        };
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n");
        assert_eq!(framer.next(), Err(error), "an error is for good");
        (error, framer.broken_head().map(<[u8]>::to_vec))
    }

    fn message(headers: &str, body: &str) -> Bytes {
        Bytes::from(format!("MESSAGE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n{headers}\r\n{body}"))
    }

    #[test]
    fn messages_pings_and_pongs() {
        let first = message("Content-Length: 5\r\n", "a\r\n\r\n");
        let second = message("l: 0\r\n", "");
        let mut framer = Framer::new();
        framer.push(&[b"\r\n\r\n\r\n", &first[..], b"\r\n", &second, b"\r\n\r\n"].concat());
        assert_eq!(
            frames(&mut framer),
            [
                Frame::Ping,
                Frame::Pong,
                Frame::Message(first),
                Frame::Pong,
                Frame::Message(second),
                Frame::Ping,
            ]
        );
        framer.push(b"\r");
        assert_eq!(framer.next(), Ok(None));
        framer.push(b"\n");
        assert_eq!(frames(&mut framer), [Frame::Pong]);
        framer.push(b"\r\n\r");
        assert_eq!(framer.next(), Ok(None));
        framer.push(b"\n\n\r");
        assert_eq!(frames(&mut framer), [Frame::Ping]);
    }

    #[test]
    fn content_length_in_any_form() {
        for headers in [
            "Content-Length: 3\r\n",
            "CONTENT-LENGTH  :\t3 \r\n",
            "L:003\r\n",
            "l:\r\n 3\r\n",
            "l: 3\r\nContent-Length: 3\r\n",
            "Subject: l: 9\r\n l: 8\r\nl: 3\n",
            "\rl: 9\r\nl: 3\r\n",
            "l: 3\r\n\r\r\n 9\r\n",
            "Content-Type: text/plain\r\nContent-Length: 3\r\n",
        ] {
            let whole = message(headers, "abc");
            let mut framer = Framer::new();
            framer.push(&whole);
            assert_eq!(frames(&mut framer), [Frame::Message(whole.clone())], "{headers}");
            let Ok(Message::Request(parsed)) = Message::parse(whole) else { panic!("{headers}") };
            assert_eq!(&parsed.body()[..], b"abc", "the parser sees the same");
        }
        let bare = b"OPTIONS sip:a@b SIP/2.0\nl: 1\n\nx";
        let mut framer = Framer::new();
        framer.push(bare);
        assert_eq!(frames(&mut framer), [Frame::Message(Bytes::from_static(bare))]);
    }

    #[test]
    fn what_ends_the_connection() {
        let head = |headers: &str| message(headers, "");
        for (headers, expected) in [
            ("", FrameError::NoContentLength),
            ("Content-Length: \r\n", FrameError::ContentLength),
            ("Content-Length: -1\r\n", FrameError::ContentLength),
            ("Content-Length: 1 2\r\n", FrameError::ContentLength),
            ("Content-Length: 1\r\n 2\r\n", FrameError::ContentLength),
            ("Content-Length: 1\r\nl: 2\r\n", FrameError::ContentLength),
            ("Content-Length: 65535\r\n", FrameError::TooLarge),
            ("Content-Length: 99999999999999999999999999\r\n", FrameError::TooLarge),
        ] {
            assert_eq!(error(&head(headers)), (expected, Some(head(headers).to_vec())), "{headers}");
        }
        assert_eq!(error(b"\x16\x03\x01\x02"), (FrameError::NotSip, None));
        assert_eq!(error(b"\r\n\0"), (FrameError::NotSip, None));
        let endless = vec![b'x'; limits::MESSAGE_BYTES + 1];
        assert_eq!(error(&endless), (FrameError::TooLarge, None));
        let long = message(&format!("X: {}\r\n", "y".repeat(limits::MESSAGE_BYTES)), "");
        assert_eq!(error(&long), (FrameError::TooLarge, None));
    }

    #[test]
    fn the_largest_message_passes() {
        let head = message("Content-Length: 65460\r\n", "").len();
        let body = limits::MESSAGE_BYTES - head;
        let whole = message(&format!("Content-Length: {body}\r\n"), &"z".repeat(body));
        assert_eq!(whole.len(), limits::MESSAGE_BYTES);
        let mut framer = Framer::new();
        framer.push(&whole);
        assert_eq!(frames(&mut framer), [Frame::Message(whole)]);
    }

    /// Byte by byte, each line break is looked at once, and what is no longer needed is let go.
    #[test]
    fn byte_by_byte_nothing_is_looked_at_twice() {
        let whole = message(&format!("{}Content-Length: 4\r\n", "X: y\r\n".repeat(4_000)), "body");
        let mut framer = Framer::new();
        let mut found = 0;
        for byte in &whole {
            if let State::Head { seen } = framer.state {
                // Only the last two bytes of a line may be waiting for the byte after them.
                assert!(framer.buffer.len() - seen <= 2);
            }
            framer.push(&[*byte]);
            found += frames(&mut framer).len();
        }
        assert_eq!((found, framer.buffer.len()), (1, 0));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"\r\n\r\n".to_vec()),
            (
                "[A-Z]{3,9}",
                "[a-zA-Z0-9:;, \t]{0,60}",
                proptest::collection::vec(any::<u8>(), 0..80),
                any::<bool>()
            )
                .prop_map(|(method, value, body, folded)| {
                    let fold = if folded { "\r\n " } else { " " };
                    let head = format!(
                        "{method} sip:a@b SIP/2.0\r\nSubject: {value}\r\nl:{fold}{}\r\n\r\n",
                        body.len()
                    );
                    [head.as_bytes(), &body].concat()
                }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn cuts_do_not_matter(
            pieces in proptest::collection::vec(piece(), 1..8),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
        ) {
            let stream = pieces.concat();
            let mut whole = Framer::new();
            whole.push(&stream);
            let expected = frames(&mut whole);
            let as_pushed: Vec<_> = pieces
                .iter()
                .map(|p| if p == b"\r\n\r\n" { Frame::Ping } else { Frame::Message(Bytes::copy_from_slice(p)) })
                .collect();
            prop_assert_eq!(&expected, &as_pushed);
            // A ping is not cut in its middle: see `next`.
            let middles: Vec<_> = pieces
                .iter()
                .scan(0, |at, p| {
                    let start = *at;
                    *at += p.len();
                    Some((start, p == b"\r\n\r\n"))
                })
                .filter_map(|(start, ping)| ping.then_some(start + 2))
                .collect();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.retain(|cut| !middles.contains(cut));
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut cut = Framer::new();
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                cut.push(&stream[pair[0]..pair[1]]);
                found.extend(frames(&mut cut));
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_framed_or_refused(pushes in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'l'), Just(b':'), Just(b'1'), any::<u8>()], 0..40),
            0..20,
        )) {
            let mut framer = Framer::new();
            for bytes in pushes {
                framer.push(&bytes);
                while let Ok(Some(_)) = framer.next() {}
            }
        }
    }
}
