//! One pass over the bytes: the start line, the places of the header lines, the body.

use bytes::{Bytes, BytesMut};

use super::header::trim;
use super::method::is_token;
use super::{Broken, Headers, Line, Message, Method, Name, Request, Response, Span};
use crate::error::Malformed;
use crate::limits;

/// What a message usually has, so that the lines take one allocation.
const USUAL_LINES: usize = 24;

pub(super) fn message(raw: Bytes) -> Result<Message, Broken> {
    let too_large = raw.len() > limits::MESSAGE_BYTES;
    let (raw, mut found) = match scan(&raw) {
        Ok(Scan::Done(found)) => (raw, found),
        Ok(Scan::Folded) => {
            // Unfolding keeps every length, so that the second pass sees the same places (RFC 3261 §7.3.1).
            let raw = unfold(&raw);
            match scan(&raw) {
                Ok(Scan::Done(found)) => (raw, found),
                _ => return Err(Broken::lost(Malformed::StartLine)),
            }
        }
        Err(why) => return Err(Broken::lost(if too_large { Malformed::TooLarge } else { why })),
    };
    if too_large {
        found.fault = Some(Malformed::TooLarge);
    }
    found.into_message(raw)
}

/// Only the header block of a message, which somebody else found to be broken.
pub(super) fn head(raw: Bytes, why: Malformed) -> Broken {
    match message(raw) {
        Err(broken) => Broken { why, ..broken },
        Ok(Message::Request(request)) => Broken::request(why, request),
        Ok(Message::Response(_)) => Broken::lost(why),
    }
}

enum Scan {
    Done(Found),
    Folded,
}

struct Found {
    start: Span,
    lines: Vec<Line>,
    content_length: Option<usize>,
    body_start: usize,
    /// What is wrong with the header lines. They are read on, so that a request can be answered.
    fault: Option<Malformed>,
}

fn scan(raw: &[u8]) -> Result<Scan, Malformed> {
    // Leading line breaks are keep-alive leftovers (RFC 3261 §7.5).
    let mut at = raw.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let start = next_line(raw, &mut at).ok_or(Malformed::StartLine)?;
    let mut found = Found {
        start,
        lines: Vec::with_capacity(USUAL_LINES),
        content_length: None,
        body_start: raw.len(),
        fault: None,
    };
    loop {
        // A datagram that just ends after a whole header line is taken as one without a body.
        if at >= raw.len() {
            return if found.lines.is_empty() { Err(Malformed::Truncated) } else { Ok(Scan::Done(found)) };
        }
        let line = next_line(raw, &mut at).ok_or(Malformed::Truncated)?;
        let bytes = raw.get(line.start as usize..line.end as usize).unwrap_or_default();
        match bytes.first() {
            None => {
                found.body_start = at;
                return Ok(Scan::Done(found));
            }
            Some(b' ' | b'\t') => return Ok(Scan::Folded),
            Some(_) => {}
        }
        // A line without a colon cannot mean anything; it is passed over rather than losing the call.
        let Some(colon) = memchr::memchr(b':', bytes) else { continue };
        if found.lines.len() >= limits::HEADER_LINES {
            found.fault = Some(Malformed::TooManyHeaders);
            return Ok(Scan::Done(found));
        }
        let (label, rest) = bytes.split_at(colon);
        // White space before the colon is allowed. Before the name there is none, or the line is a folded one.
        let label = label.trim_ascii_end();
        let value = trim(rest.get(1..).unwrap_or_default());
        let name = Name::of(label);
        // Nor can one whose name is none. Written again, a name that begins with a NUL could become white space, and
        // its line a part of the line before it.
        if name == Name::Other && !is_token(label) {
            continue;
        }
        if name == Name::ContentLength {
            match (number(value), found.content_length) {
                (Some(length), None) => found.content_length = Some(length),
                (Some(length), Some(before)) if length == before => {}
                _ => found.fault = Some(Malformed::ContentLength),
            }
        }
        found.lines.push(Line { name, label: span_of(raw, label), value: span_of(raw, value) });
    }
}

impl Found {
    fn into_message(self, raw: Bytes) -> Result<Message, Broken> {
        let rest = raw.len().saturating_sub(self.body_start);
        // RFC 3261 §18.3: on UDP no Content-Length means the rest of the datagram; a longer datagram is cut.
        let length = self.content_length.unwrap_or(rest);
        let mut fault = self.fault;
        if length > rest {
            fault = fault.or(Some(Malformed::ShortBody));
        }
        let body = Span { start: self.body_start as u32, end: (self.body_start + length.min(rest)) as u32 };
        let start_line = raw.get(self.start.start as usize..self.start.end as usize).unwrap_or_default();
        let start = start_line_of(&raw, start_line);
        let headers = Headers { lines: self.lines, body, raw };
        match (start, fault) {
            (Ok(Start::Request(method, uri)), None) => Ok(Message::Request(Request { method, uri, headers })),
            (Ok(Start::Response(status, reason)), None) => {
                Ok(Message::Response(Response { status, reason, headers }))
            }
            (Ok(Start::Request(method, uri)), Some(why)) => {
                Err(Broken::request(why, Request { method, uri, headers }))
            }
            (Ok(Start::Response(..)), Some(why)) => Err(Broken::lost(why)),
            // A method and something that calls itself SIP is a request that can be answered.
            (Err((why, Some(method))), _) => {
                Err(Broken::request(why, Request { method, uri: Span::default(), headers }))
            }
            (Err((why, None)), _) => Err(Broken::lost(why)),
        }
    }
}

enum Start {
    Request(Method, Span),
    Response(u16, Span),
}

/// The start line, or what is wrong with it and its method when it means to be a request.
fn start_line_of(raw: &Bytes, line: &[u8]) -> Result<Start, (Malformed, Option<Method>)> {
    let line = trim(line);
    let is_sip = |version: &[u8]| version.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"SIP/"));
    if is_sip(line) {
        return status_line(raw, line).map_err(|why| (why, None));
    }
    // The first and the last space divide it; more of them are tolerated (RFC 4475 §3.1.2.9).
    let lost = || (Malformed::StartLine, None);
    let first = memchr::memchr2(b' ', b'\t', line).ok_or_else(lost)?;
    let last = memchr::memrchr2(b' ', b'\t', line).ok_or_else(lost)?;
    let method = line.get(..first).unwrap_or_default();
    let uri = trim(line.get(first..last).unwrap_or_default());
    let version = line.get(last + 1..).unwrap_or_default();
    if !is_sip(version) || uri.is_empty() {
        return Err(lost());
    }
    let method = match Method::known(method) {
        Some(method) => method,
        None if is_token(method) => Method::Other(raw.slice_ref(method)),
        None => return Err(lost()),
    };
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err((Malformed::Version, Some(method)));
    }
    // Written without a branch, so that the compiler looks at many bytes at once.
    if uri.iter().fold(false, |odd, b| odd | (*b <= b' ') | (*b == 0x7f)) {
        // White space divides it in two; what else is no character of any URI would be none of a line that is
        // written with it.
        let spaced = uri.iter().any(|b| matches!(b, b' ' | b'\t'));
        return Err((if spaced { Malformed::StartLine } else { Malformed::Uri }, Some(method)));
    }
    Ok(Start::Request(method, span_of(raw, uri)))
}

fn status_line(raw: &[u8], line: &[u8]) -> Result<Start, Malformed> {
    let (version, rest) = line.split_at(line.iter().position(|b| *b == b' ').unwrap_or(line.len()));
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(Malformed::Version);
    }
    let rest = trim(rest);
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let status = rest.get(..digits).and_then(number).filter(|s| (100..700).contains(s) && digits == 3);
    let status = status.and_then(|s| u16::try_from(s).ok()).ok_or(Malformed::StartLine)?;
    // Some peers send no reason phrase, and not even the space before it.
    let reason = trim(rest.get(digits..).unwrap_or_default());
    Ok(Start::Response(status, span_of(raw, reason)))
}

/// The next line without its break. A last line without one counts too.
fn next_line(raw: &[u8], at: &mut usize) -> Option<Span> {
    let rest = raw.get(*at..).filter(|rest| !rest.is_empty())?;
    let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let start = *at;
    let mut end = start + length;
    *at = (end + 1).min(raw.len());
    if length > 0 && raw.get(end - 1) == Some(&b'\r') {
        end -= 1;
    }
    Some(Span { start: start as u32, end: end as u32 })
}

/// Overwrites the line breaks of folded header lines with spaces.
fn unfold(raw: &[u8]) -> Bytes {
    let mut out = BytesMut::from(raw);
    let mut at = raw.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let mut first = true;
    while let Some(line) = next_line(raw, &mut at) {
        if line.start == line.end {
            break;
        }
        if !first && matches!(raw.get(line.start as usize), Some(b' ' | b'\t')) {
            // Only the one line break: what stands before it is a line of its own, however odd.
            let before = raw.get(..line.start as usize).unwrap_or_default();
            let width = if before.ends_with(b"\r\n") { 2 } else { 1 };
            for i in before.len().saturating_sub(width)..before.len() {
                if let Some(byte) = out.get_mut(i) {
                    *byte = b' ';
                }
            }
        }
        first = false;
    }
    out.freeze()
}

/// A number in decimal digits; one that is too large for any use is the largest.
pub(crate) fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n: usize, d| n.saturating_mul(10).saturating_add(usize::from(d - b'0'))))
}

/// The place of `part`, which must be a part of `raw`.
fn span_of(raw: &[u8], part: &[u8]) -> Span {
    let start = (part.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
    Span { start: start as u32, end: (start + part.len()) as u32 }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
