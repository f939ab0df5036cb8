//! SIP messages: tolerant in, strict out.
//!
//! A parsed message is its own bytes plus the places of its header lines, found in one pass. Header values are
//! read when somebody asks, as borrowed views; [`Headers::share`] keeps one without copying it.

mod build;
mod header;
mod method;
mod name;
mod parse;
#[cfg(test)]
mod rsip_tests;
#[cfg(test)]
mod torture;
mod uri;

pub use build::Builder;
pub(crate) use build::Writer;
pub(crate) use header::quoted;
pub use header::{CSeq, Challenge, NameAddr, Params, Reason, Scheme, Values, Via};
pub use method::Method;
pub use name::Name;
pub(crate) use parse::number;
pub use uri::Uri;

use bytes::Bytes;

use crate::error::Malformed;

/// A place in the message's bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// One header line.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: Name,
    label: Span,
    value: Span,
}

/// The header lines and the body of a message.
#[derive(Clone, Debug)]
pub struct Headers {
    raw: Bytes,
    lines: Vec<Line>,
    body: Span,
}

/// A parsed request.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    uri: Span,
    headers: Headers,
}

/// A parsed response.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    reason: Span,
    headers: Headers,
}

/// A parsed message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Parses one datagram, or one message cut from a stream.
    pub fn parse(raw: Bytes) -> Result<Message, Malformed> {
        parse::message(raw).map_err(|broken| broken.why)
    }

    /// As `parse`, but keeps what can be read of a broken request, so that it can be answered.
    pub(crate) fn parse_or_keep(raw: Bytes) -> Result<Message, Broken> {
        parse::message(raw)
    }
}

/// A message that cannot be acted on.
#[derive(Debug)]
pub(crate) struct Broken {
    /// What is wrong with it.
    pub(crate) why: Malformed,
    /// The request, when it means to be one. Its header lines are as sent; its URI is empty when its request line
    /// could not be read.
    pub(crate) request: Option<Box<Request>>,
}

impl Broken {
    pub(crate) fn request(why: Malformed, request: Request) -> Broken {
        Broken { why, request: Some(Box::new(request)) }
    }

    fn lost(why: Malformed) -> Broken {
        Broken { why, request: None }
    }

    /// The header block of a message that broke a stream.
    pub(crate) fn head(head: Bytes, why: Malformed) -> Broken {
        parse::head(head, why)
    }
}

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI, as it stands.
    pub fn uri(&self) -> &[u8] {
        self.headers.at(self.uri)
    }
}

impl Response {
    /// The status code, 100 to 699.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase; it need not be UTF-8.
    pub fn reason_phrase(&self) -> &[u8] {
        self.headers.at(self.reason)
    }
}

impl std::ops::Deref for Request {
    type Target = Headers;
    fn deref(&self) -> &Headers {
        &self.headers
    }
}

impl std::ops::Deref for Response {
    type Target = Headers;
    fn deref(&self) -> &Headers {
        &self.headers
    }
}

impl Headers {
    fn at(&self, span: Span) -> &[u8] {
        self.raw.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The whole message.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Shares a part of this message (a value that an accessor gave) without copying it.
    pub fn share(&self, part: &[u8]) -> Bytes {
        let base = self.raw.as_ptr() as usize;
        let start = part.as_ptr() as usize;
        match start.checked_sub(base) {
            Some(offset) if offset.saturating_add(part.len()) <= self.raw.len() => {
                self.raw.slice(offset..offset + part.len())
            }
            _ => Bytes::copy_from_slice(part),
        }
    }

    /// The first line of a header.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.lines.iter().find(|line| line.name == name).map(|line| self.at(line.value))
    }

    /// Every line of a header, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |line| line.name == name).map(|line| self.at(line.value))
    }

    /// Every value of a header that may have several in a line, in order.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.all(name).flat_map(Values::new)
    }

    /// The first line of a header that [`Name`] does not know.
    pub fn other(&self, name: &str) -> Option<&[u8]> {
        self.lines
            .iter()
            .find(|line| {
                line.name == Name::Other && self.at(line.label).eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|line| self.at(line.value))
    }

    /// Every header line: its name as the peer wrote it, which header that is, and its value.
    pub fn lines(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.lines.iter().map(|line| (line.name, self.at(line.label), self.at(line.value)))
    }

    /// The topmost Via.
    pub fn via(&self) -> Option<Via<'_>> {
        self.values(Name::Via).next().and_then(Via::parse)
    }

    /// From.
    pub fn from(&self) -> Option<NameAddr<'_>> {
        self.get(Name::From).and_then(NameAddr::parse)
    }

    /// To.
    pub fn to(&self) -> Option<NameAddr<'_>> {
        self.get(Name::To).and_then(NameAddr::parse)
    }

    /// The first Contact. `*` is none.
    pub fn contact(&self) -> Option<NameAddr<'_>> {
        self.values(Name::Contact).next().and_then(NameAddr::parse)
    }

    /// Call-ID.
    pub fn call_id(&self) -> Option<&[u8]> {
        self.get(Name::CallId).filter(|id| !id.is_empty())
    }

    /// CSeq.
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        self.get(Name::CSeq).and_then(CSeq::parse)
    }

    /// The Reason headers (RFC 3326).
    pub fn reasons(&self) -> Vec<Reason> {
        self.values(Name::Reason).filter_map(Reason::parse).collect()
    }

    /// Retry-After, in seconds; comments and parameters are left aside.
    pub fn retry_after_s(&self) -> Option<u32> {
        let value = self.get(Name::RetryAfter)?;
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
    }

    /// Whether a list header (Allow, Supported, Require) names `token`.
    pub fn lists(&self, name: Name, token: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Challenges of a WWW-Authenticate or Proxy-Authenticate, or credentials of an Authorization.
    pub fn challenges(&self, name: Name) -> impl Iterator<Item = Challenge<'_>> {
        self.all(name).filter_map(Challenge::parse)
    }

    /// Content-Type.
    pub fn content_type(&self) -> Option<&[u8]> {
        self.get(Name::ContentType)
    }

    /// The body, cut by Content-Length; shared, not copied.
    pub fn body(&self) -> Bytes {
        self.share(self.at(self.body))
    }

    /// Whether everything is there and readable that every request and response must have (RFC 3261 §8.1.1), and
    /// each at most once, unless it says the same again: which of two would count is anybody's guess.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        self.via().ok_or(Malformed::Header("Via"))?;
        self.from().ok_or(Malformed::Header("From"))?;
        self.to().ok_or(Malformed::Header("To"))?;
        self.call_id().ok_or(Malformed::Header("Call-ID"))?;
        self.cseq().ok_or(Malformed::Header("CSeq"))?;
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            let mut values = self.all(name);
            let first = values.next();
            if values.any(|value| Some(value) != first) {
                return Err(Malformed::Header(name.as_str()));
            }
        }
        Ok(())
    }
}
