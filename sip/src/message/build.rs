//! Writing messages. Nothing that is written can break out of its line.

use std::net::SocketAddr;

use bytes::Bytes;

use super::method::is_token;
use super::{Headers, Method, Name, Request, Response, Span};

/// Writes one message into one buffer.
pub(crate) struct Writer {
    out: Vec<u8>,
}

/// The size of a usual message without its body.
const USUAL_BYTES: usize = 768;
/// Content-Type and Content-Length as they are written here.
const ROOM_FOR_BODY_HEADERS: usize = 64;

impl Writer {
    pub(crate) fn request(method: &Method, uri: &[u8], body_len: usize) -> Writer {
        Writer::request_in(USUAL_BYTES + body_len, method, uri)
    }

    fn request_in(room: usize, method: &Method, uri: &[u8]) -> Writer {
        let mut w = Writer { out: Vec::with_capacity(room) };
        w.raw(method.as_bytes()).raw(b" ").clean(uri).raw(b" SIP/2.0\r\n");
        w
    }

    pub(crate) fn response(status: u16, phrase: &[u8], body_len: usize) -> Writer {
        Writer::response_in(USUAL_BYTES + body_len, status, phrase)
    }

    fn response_in(room: usize, status: u16, phrase: &[u8]) -> Writer {
        let mut w = Writer { out: Vec::with_capacity(room) };
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
        let prefix = name.prefix().as_bytes();
        self.out.reserve(prefix.len() + value.len() + 2);
        self.raw(prefix).clean(value).raw(b"\r\n")
    }

    pub(crate) fn named(&mut self, name: &[u8], value: &[u8]) -> &mut Writer {
        self.out.reserve(name.len() + value.len() + 4);
        if is_token(name) {
            self.raw(name);
        } else {
            // A name that begins with white space would make its line a part of the line before it.
            self.out.extend(name.iter().map(|b| if is_token(&[*b]) { *b } else { b'-' }));
        }
        self.raw(b": ").clean(value).raw(b"\r\n")
    }

    /// Header lines of a parsed message as they stand there, those that `keep` wants.
    ///
    /// Lines that follow one another are copied in one piece. A parsed line may still hold a bare CR or a NUL, so
    /// what was copied is counted: as many CR and LF as lines, no NUL. When that fails each line is cleaned instead.
    pub(crate) fn copy(&mut self, from: &Headers, keep: impl Fn(Name, &[u8]) -> bool) -> &mut Writer {
        let start = self.out.len();
        let mut count = 0;
        // The piece that is not written yet: whole lines without the last line break.
        let mut piece = Span::default();
        for line in &from.lines {
            if !keep(line.name, from.at(line.label)) {
                continue;
            }
            count += 1;
            let follows = piece.end + 2 == line.label.start
                && from.at(Span { start: piece.end, end: line.label.start }) == b"\r\n";
            if !follows {
                self.piece(from, piece);
                piece.start = line.label.start;
            }
            piece.end = line.value.end;
        }
        self.piece(from, piece);
        let copied = self.out.get(start..).unwrap_or_default();
        if !is_lines(copied, count) {
            self.out.truncate(start);
            for line in from.lines.iter().filter(|line| keep(line.name, from.at(line.label))) {
                self.named(from.at(line.label), from.at(line.value));
            }
        }
        self
    }

    fn piece(&mut self, from: &Headers, piece: Span) {
        if piece.end > 0 {
            self.raw(from.at(piece)).raw(b"\r\n");
        }
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

/// Whether `bytes` hold `count` line breaks, and no CR, LF or NUL beside them. Every line is known to end in a CRLF
/// of its own, so that counting is enough. The loop has no branch: the compiler makes it look at many bytes at once.
fn is_lines(bytes: &[u8], count: usize) -> bool {
    let mut found = [0usize; 3];
    for chunk in bytes.chunks(128) {
        let mut counts = [0u8; 3];
        for b in chunk {
            counts[0] += u8::from(*b == b'\r');
            counts[1] += u8::from(*b == b'\n');
            counts[2] += u8::from(*b == 0);
        }
        for (sum, n) in found.iter_mut().zip(counts) {
            *sum += usize::from(n);
        }
    }
    found == [count, count, 0]
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

    /// Starts a request with the request line of another and room for all of it.
    pub fn like_request(request: &Request) -> Builder {
        let room = request.raw().len() + ROOM_FOR_BODY_HEADERS;
        Builder { writer: Writer::request_in(room, request.method(), request.uri()) }
    }

    /// Starts a response.
    pub fn response(status: u16, phrase: &str) -> Builder {
        Builder { writer: Writer::response(status, phrase.as_bytes(), 0) }
    }

    /// Starts a response with the status line of another and room for all of it.
    pub fn like_response(response: &Response) -> Builder {
        let room = response.raw().len() + ROOM_FOR_BODY_HEADERS;
        Builder { writer: Writer::response_in(room, response.status(), response.reason_phrase()) }
    }

    /// Adds a header line by its name, any name.
    pub fn header(mut self, name: &str, value: &str) -> Builder {
        self.writer.named(name.as_bytes(), value.as_bytes());
        self
    }

    /// Adds the header lines of a parsed message as they stand there, in order, those that `keep` wants. It is given
    /// which header a line is and its name as written. [`Builder::finish`] and [`Builder::body`] write Content-Type
    /// and Content-Length themselves.
    pub fn headers(mut self, from: &Headers, keep: impl Fn(Name, &[u8]) -> bool) -> Builder {
        self.writer.copy(from, keep);
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
            .header(" Evil", "yes")
            .header("X\r\nEvil", "yes")
            .header("From", "<sip:a@b>;tag=1")
            .body("text/plain", b"hello");
        let Message::Request(request) = Message::parse(bytes).unwrap() else { panic!() };
        assert_eq!(request.other("Evil"), None);
        assert_eq!(
            (request.other("-Evil"), request.other("X--Evil")),
            (Some(&b"yes"[..]), Some(&b"yes"[..]))
        );
        assert_eq!(request.get(Name::Subject), Some(&b"x  Evil: yes"[..]));
        assert_eq!(&request.body()[..], b"hello");
    }

    /// Headers are copied in pieces; what is dropped, folded, oddly written or dangerous between them is not.
    #[test]
    fn headers_are_copied_as_they_stand() {
        let copy = |raw: &str, drop: Name| {
            let Message::Request(request) = Message::parse(Bytes::copy_from_slice(raw.as_bytes())).unwrap()
            else {
                panic!()
            };
            let copy = Builder::like_request(&request).headers(&request, |name, _| name != drop).finish();
            String::from_utf8(copy.to_vec()).unwrap()
        };
        let start = "OPTIONS sip:a@b SIP/2.0\r\n";
        let end = "Content-Length: 0\r\n\r\n";
        let all = "Via: v\r\nf : <sip:a@b>\r\nX:\ty\r\nTo: <sip:a@b>\r\nCSeq: 1 A\r\n";
        assert_eq!(copy(&format!("{start}{all}\r\n"), Name::Date), format!("{start}{all}{end}"));
        for (name, gone) in
            [(Name::Via, "Via: v\r\n"), (Name::To, "To: <sip:a@b>\r\n"), (Name::CSeq, "CSeq: 1 A\r\n")]
        {
            assert_eq!(
                copy(&format!("{start}{all}\r\n"), name),
                format!("{start}{}{end}", all.replace(gone, ""))
            );
        }
        // Lines that mean nothing, white space at ends and bare LF do not come along.
        assert_eq!(
            copy(&format!("{start}A: 1 \r\nnonsense\r\nB: 2\nC: 3\r\n\r\n"), Name::Date),
            format!("{start}A: 1\r\nB: 2\r\nC: 3\r\n{end}")
        );
        // A folded line is one line.
        assert_eq!(
            copy(&format!("{start}A: 1\r\n 2\r\n\r\n"), Name::Date),
            format!("{start}A: 1   2\r\n{end}")
        );
        // A bare CR or a NUL would be a line break or an end to some: nothing of the kind leaves us.
        assert_eq!(
            copy(&format!("{start}A: 1\rEvil: yes\r\nB: \0x\r\nC:\r\r 3\r\n\r\n"), Name::Date),
            format!("{start}A: 1 Evil: yes\r\nB:  x\r\nC: 3\r\n{end}")
        );
        assert_eq!(copy("OPTIONS sip:a@b SIP/2.0\r\nDate: x\r\n\r\n", Name::Date), format!("{start}{end}"));
    }

    #[test]
    fn a_copied_response_is_the_same() {
        let raw = b"SIP/2.0 486 Busy \xff\r\nVia: v\r\nReason: Q.850;cause=17\r\nContent-Length: 0\r\n\r\n";
        let Message::Response(response) = Message::parse(Bytes::from_static(raw)).unwrap() else { panic!() };
        let copy = Builder::like_response(&response);
        let copy = copy.headers(&response, |name, _| name != Name::ContentLength).finish();
        assert_eq!(&copy[..], raw);
    }

    #[test]
    fn row_23_a_via_says_where_it_came_from() {
        let mut w = Writer::response(200, b"OK", 0);
        w.received_via(b"SIP/2.0/UDP h:1;rport;branch=z;received=9.9.9.9", "10.1.1.1:7".parse().unwrap());
        let text = w.body(None);
        let expected = b"\r\nVia: SIP/2.0/UDP h:1;rport=7;branch=z;received=10.1.1.1\r\nContent";
        assert!(text.windows(expected.len()).any(|part| part == expected));
    }
}
