//! Writing messages. Nothing that is written can break out of its line.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Method, Name};

/// Writes one message into one buffer.
pub(crate) struct Writer {
    out: Vec<u8>,
}

/// The size of a usual message without its body.
const USUAL_BYTES: usize = 768;

impl Writer {
    pub(crate) fn request(method: &Method, uri: &[u8], body_len: usize) -> Writer {
        let mut w = Writer { out: Vec::with_capacity(USUAL_BYTES + body_len) };
        w.raw(method.as_bytes()).raw(b" ").clean(uri).raw(b" SIP/2.0\r\n");
        w
    }

    pub(crate) fn response(status: u16, phrase: &[u8], body_len: usize) -> Writer {
        let mut w = Writer { out: Vec::with_capacity(USUAL_BYTES + body_len) };
        w.raw(b"SIP/2.0 ").number(u64::from(status)).raw(b" ").clean(phrase).raw(b"\r\n");
        w
    }

    /// Bytes that are known to hold no line break.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Bytes from elsewhere: a CR or LF among them becomes a space.
    pub(crate) fn clean(&mut self, bytes: &[u8]) -> &mut Writer {
        match memchr::memchr3(b'\r', b'\n', 0, bytes) {
            None => self.out.extend_from_slice(bytes),
            Some(_) => {
                self.out.extend(bytes.iter().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }));
            }
        }
        self
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Writer {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            if let Some(digit) = digits.get_mut(at) {
                *digit = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(at..).unwrap_or_default());
        self
    }

    pub(crate) fn header(&mut self, name: Name, value: &[u8]) -> &mut Writer {
        self.raw(name.as_str().as_bytes()).raw(b": ").clean(value).raw(b"\r\n")
    }

    pub(crate) fn named(&mut self, name: &[u8], value: &[u8]) -> &mut Writer {
        self.clean(name).raw(b": ").clean(value).raw(b"\r\n")
    }

    /// `Via` of our own: all that one socket's have in common, then the branch.
    pub(crate) fn via(&mut self, line: &[u8], branch: &[u8]) -> &mut Writer {
        self.raw(line).raw(branch).raw(b"\r\n")
    }

    pub(crate) fn cseq(&mut self, number: u32, method: &Method) -> &mut Writer {
        self.raw(b"CSeq: ").number(u64::from(number)).raw(b" ").raw(method.as_bytes()).raw(b"\r\n")
    }

    pub(crate) fn max_forwards(&mut self) -> &mut Writer {
        self.raw(b"Max-Forwards: 70\r\n")
    }

    /// A peer's Via with where it was received from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub(crate) fn received_via(&mut self, value: &[u8], from: SocketAddr) -> &mut Writer {
        use std::io::Write as _;
        self.raw(b"Via: ");
        let mut first = true;
        for part in value.split(|b| *b == b';') {
            let name = super::uri::cut(part, b'=').0.trim_ascii();
            if name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            if !first {
                self.raw(b";");
            }
            first = false;
            if name.eq_ignore_ascii_case(b"rport") {
                self.raw(b"rport=").number(u64::from(from.port()));
            } else {
                self.clean(part);
            }
        }
        // Writing into a Vec cannot fail.
        let _ = write!(self.out, ";received={}", from.ip());
        self.raw(b"\r\n")
    }

    /// The end of the headers, and the body.
    pub(crate) fn body(mut self, body: Option<(&[u8], &[u8])>) -> Bytes {
        match body {
            Some((content_type, body)) if !body.is_empty() => {
                self.header(Name::ContentType, content_type);
                self.raw(b"Content-Length: ").number(body.len() as u64).raw(b"\r\n\r\n").raw(body);
            }
            _ => {
                self.raw(b"Content-Length: 0\r\n\r\n");
            }
        }
        Bytes::from(self.out)
    }
}

/// Builds a message of any kind. The endpoint writes its own; this is for tools and tests.
pub struct Builder {
    writer: Writer,
}

impl Builder {
    /// Starts a request.
    pub fn request(method: &Method, uri: &str) -> Builder {
        Builder { writer: Writer::request(method, uri.as_bytes(), 0) }
    }

    /// Starts a response.
    pub fn response(status: u16, phrase: &str) -> Builder {
        Builder { writer: Writer::response(status, phrase.as_bytes(), 0) }
    }

    /// Adds a header line by its name, any name.
    pub fn header(mut self, name: &str, value: &str) -> Builder {
        self.writer.named(name.as_bytes(), value.as_bytes());
        self
    }

    /// Ends the message without a body.
    pub fn finish(self) -> Bytes {
        self.writer.body(None)
    }

    /// Ends the message with a body.
    pub fn body(self, content_type: &str, body: &[u8]) -> Bytes {
        self.writer.body(Some((content_type.as_bytes(), body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let bytes = Builder::request(&Method::Options, "sip:a@b")
            .header("Subject", "x\r\nEvil: yes")
            .header("From", "<sip:a@b>;tag=1")
            .body("text/plain", b"hello");
        let Message::Request(request) = Message::parse(bytes).unwrap() else { panic!() };
        assert_eq!(request.other("Evil"), None);
        assert_eq!(request.get(Name::Subject), Some(&b"x  Evil: yes"[..]));
        assert_eq!(&request.body()[..], b"hello");
    }

    #[test]
    fn a_via_says_where_it_came_from() {
        let mut w = Writer::response(200, b"OK", 0);
        w.received_via(b"SIP/2.0/UDP h:1;rport;branch=z;received=9.9.9.9", "10.1.1.1:7".parse().unwrap());
        let text = w.body(None);
        assert!(
            text.windows(60)
                .any(|t| t
                    == b"Via: SIP/2.0/UDP h:1;rport=7;branch=z;received=10.1.1.1\r\nConte"[..60].as_ref())
        );
    }
}
