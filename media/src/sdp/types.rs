//! The words of a session description, as far as audio needs them.

use std::fmt;
use std::net::IpAddr;

/// An audio codec that a leg can carry. Both are G.711 at 8 kHz, and one is turned into the other by a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AudioCodec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl AudioCodec {
    /// Every codec that we know, the preferred one first.
    pub const ALL: [AudioCodec; 2] = [AudioCodec::Pcmu, AudioCodec::Pcma];

    /// The payload type that RFC 3551 §6 gives it.
    pub const fn payload_type(self) -> u8 {
        match self {
            AudioCodec::Pcmu => 0,
            AudioCodec::Pcma => 8,
        }
    }

    /// The codec of a static payload type.
    pub const fn from_payload_type(payload_type: u8) -> Option<AudioCodec> {
        match payload_type {
            0 => Some(AudioCodec::Pcmu),
            8 => Some(AudioCodec::Pcma),
            _ => None,
        }
    }

    pub(crate) const fn encoding(self) -> &'static str {
        match self {
            AudioCodec::Pcmu => "PCMU",
            AudioCodec::Pcma => "PCMA",
        }
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoding())
    }
}

/// Which way audio flows, seen from the side that says it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// This side only sends.
    SendOnly,
    /// This side only receives.
    RecvOnly,
    /// Neither; RTCP goes on.
    Inactive,
}

impl Direction {
    /// The direction that sends and receives as told.
    pub const fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether this side sends audio.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether this side receives audio.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same flow seen from the other side.
    pub const fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn and(self, other: Direction) -> Direction {
        Direction::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn parse(name: &str) -> Option<Direction> {
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
            .into_iter()
            .find(|d| name.eq_ignore_ascii_case(d.as_str()))
    }
}

/// Where a `c=` line points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// A name. We resolve none on the path of a call, so it is kept only to be named in an error.
    Name(String),
}

/// An `a=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

impl Attribute {
    pub(crate) fn flag(name: &str) -> Attribute {
        Attribute { name: name.to_owned(), value: None }
    }

    pub(crate) fn new(name: &str, value: impl Into<String>) -> Attribute {
        Attribute { name: name.to_owned(), value: Some(value.into()) }
    }
}

/// One `m=` line and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) kind: String,
    pub(crate) port: u16,
    pub(crate) proto: String,
    pub(crate) formats: Vec<String>,
    pub(crate) connection: Option<Host>,
    pub(crate) attributes: Vec<Attribute>,
}

impl Media {
    /// The answer to a stream that is not wanted: the same line with port 0 (RFC 3264 §6).
    pub(crate) fn rejected(&self) -> Media {
        Media {
            kind: self.kind.clone(),
            port: 0,
            proto: self.proto.clone(),
            formats: self.formats.clone(),
            connection: None,
            attributes: Vec::new(),
        }
    }

    pub(crate) fn is_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio")
    }

    /// The stream's direction; the session's when it says nothing itself.
    pub(crate) fn direction(&self, session: &Description) -> Direction {
        let of = |attributes: &[Attribute]| attributes.iter().find_map(|a| Direction::parse(&a.name));
        of(&self.attributes).or_else(|| of(&session.attributes)).unwrap_or_default()
    }

    /// The codec behind a format: its rtpmap, or the static table where there is none (RFC 3551 §6).
    pub(crate) fn codec(&self, payload_type: u8) -> Option<AudioCodec> {
        match self.rtpmap(payload_type) {
            Some(encoding) => AudioCodec::ALL.into_iter().find(|c| is_encoding(encoding, c.encoding())),
            None => AudioCodec::from_payload_type(payload_type),
        }
    }

    /// Payload types of the formats, in their order. What is no number (`m=application`) is left out.
    pub(crate) fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().filter_map(|f| f.parse().ok()).filter(|pt| *pt < 128)
    }

    /// The payload type of telephone-event at 8 kHz, the clock of G.711 (RFC 4733 §2.5.1.2).
    pub(crate) fn telephone_event(&self) -> Option<u8> {
        self.payload_types()
            .find(|pt| self.rtpmap(*pt).is_some_and(|encoding| is_encoding(encoding, "telephone-event")))
    }

    fn rtpmap(&self, payload_type: u8) -> Option<&str> {
        attributes(&self.attributes, "rtpmap").find_map(|value| {
            let (number, encoding) = value.trim_start().split_once(char::is_whitespace)?;
            (number.parse() == Ok(payload_type)).then(|| encoding.trim())
        })
    }
}

/// `encoding` is what an rtpmap says after the number: name, clock, and possibly channels.
fn is_encoding(encoding: &str, name: &str) -> bool {
    let mut parts = encoding.split('/').map(str::trim);
    parts.next().is_some_and(|n| n.eq_ignore_ascii_case(name))
        && parts.next() == Some("8000")
        && matches!(parts.next(), None | Some("1" | ""))
}

/// A session description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    /// The value of `o=`.
    pub(crate) origin: Option<String>,
    pub(crate) connection: Option<Host>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) media: Vec<Media>,
}

impl Description {
    /// The value of an attribute of a stream, or of the session where the stream has none.
    pub(crate) fn attribute<'a>(&'a self, media: Option<&'a Media>, name: &'a str) -> Option<&'a str> {
        media
            .and_then(|m| attributes(&m.attributes, name).next())
            .or_else(|| attributes(&self.attributes, name).next())
    }
}

/// The values of every attribute called `name`; a flag's value is empty.
pub(crate) fn attributes<'a>(list: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    list.iter().filter(move |a| a.name.eq_ignore_ascii_case(name)).map(|a| a.value.as_deref().unwrap_or(""))
}
