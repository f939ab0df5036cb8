//! The words of a session description, as far as audio needs them.

use std::fmt;
use std::net::IpAddr;

use super::opus::OpusFormat;
use crate::codec::SAMPLE_RATE_HZ;
use crate::rtp::COMFORT_NOISE;

/// An audio codec that a leg can carry, one channel each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AudioCodec {
    /// G.711 µ-law at 8 kHz, static payload type 0.
    Pcmu,
    /// G.711 A-law at 8 kHz, static payload type 8.
    Pcma,
    /// G.722 at 16 kHz and 64 kbit/s, static payload type 9.
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// Linear samples at 16 kHz (RFC 3551 §4.5.11).
    L16,
}

impl AudioCodec {
    /// Every codec that we can read in a description.
    pub const ALL: [AudioCodec; 5] =
        [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722, AudioCodec::Opus, AudioCodec::L16];

    /// The two laws of G.711, the preferred one first: what every trunk and browser speaks, and what is turned into
    /// each other by a table.
    pub const G711: [AudioCodec; 2] = [AudioCodec::Pcmu, AudioCodec::Pcma];

    /// What is agreed with browsers, unless the configuration says otherwise: G.711, which passes undecoded, and Opus for
    /// poor networks.
    pub const BROWSER: [AudioCodec; 3] = [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::Opus];

    /// The payload type under which we offer it: the one that RFC 3551 §6 gives it, or for the others a dynamic one
    /// (111 as browsers use for Opus).
    pub const fn payload_type(self) -> u8 {
        match self {
            AudioCodec::Pcmu => 0,
            AudioCodec::Pcma => 8,
            AudioCodec::G722 => 9,
            AudioCodec::Opus => 111,
            AudioCodec::L16 => 112,
        }
    }

    /// The codec of a static payload type. Types 10 and 11 are L16 at 44.1 kHz, which is not ours.
    pub const fn from_payload_type(payload_type: u8) -> Option<AudioCodec> {
        match payload_type {
            0 => Some(AudioCodec::Pcmu),
            8 => Some(AudioCodec::Pcma),
            9 => Some(AudioCodec::G722),
            _ => None,
        }
    }

    /// Ticks a second of its RTP timestamps. G.722 has half of its samples (RFC 3551 §4.5.2), Opus always 48 kHz
    /// (RFC 7587 §4.1).
    pub const fn clock_hz(self) -> u32 {
        match self {
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 => 8_000,
            AudioCodec::Opus => 48_000,
            AudioCodec::L16 => 16_000,
        }
    }

    pub(crate) const fn encoding(self) -> &'static str {
        match self {
            AudioCodec::Pcmu => "PCMU",
            AudioCodec::Pcma => "PCMA",
            AudioCodec::G722 => "G722",
            AudioCodec::Opus => "opus",
            AudioCodec::L16 => "L16",
        }
    }

    /// What an rtpmap says after the number. Opus always has two channels there, whatever is sent (RFC 7587 §7).
    pub(crate) const fn rtpmap(self) -> &'static str {
        match self {
            AudioCodec::Pcmu => "PCMU/8000",
            AudioCodec::Pcma => "PCMA/8000",
            AudioCodec::G722 => "G722/8000",
            AudioCodec::Opus => "opus/48000/2",
            AudioCodec::L16 => "L16/16000",
        }
    }

    fn is_rtpmap(self, encoding: &str) -> bool {
        is_encoding(encoding, self.encoding(), self.clock_hz(), if self == AudioCodec::Opus { 2 } else { 1 })
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
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// Keys are not shown.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_deref().filter(|_| !self.name.eq_ignore_ascii_case("crypto"));
        f.debug_struct("Attribute").field("name", &self.name).field("value", &value).finish()
    }
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
            Some(encoding) => AudioCodec::ALL.into_iter().find(|c| c.is_rtpmap(encoding)),
            None => AudioCodec::from_payload_type(payload_type),
        }
    }

    /// Payload types of the formats, in their order. What is no number (`m=application`) is left out.
    pub(crate) fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().filter_map(|f| f.parse().ok()).filter(|pt| *pt < 128)
    }

    /// The payload type of telephone-event on a clock, which is that of the codec beside it (RFC 4733 §2.5.1.2).
    pub(crate) fn telephone_event(&self, clock_hz: u32) -> Option<u8> {
        self.payload_types().find(|pt| {
            self.rtpmap(*pt).is_some_and(|encoding| is_encoding(encoding, "telephone-event", clock_hz, 1))
        })
    }

    /// Whether comfort noise for 8 kHz is listed under its static number (RFC 3389 §4).
    pub(crate) fn comfort_noise(&self) -> bool {
        self.payload_types().any(|pt| pt == COMFORT_NOISE)
            && self
                .rtpmap(COMFORT_NOISE)
                .is_none_or(|encoding| is_encoding(encoding, "CN", SAMPLE_RATE_HZ, 1))
    }

    /// What a format says of Opus; the defaults where it says nothing.
    pub(crate) fn opus_format(&self, payload_type: u8) -> OpusFormat {
        let parameters = attributes(&self.attributes, "fmtp").find_map(|value| {
            let (number, parameters) = value.trim_start().split_once(char::is_whitespace)?;
            (number.parse() == Ok(payload_type)).then_some(parameters)
        });
        parameters.map(OpusFormat::parse).unwrap_or_default()
    }

    fn rtpmap(&self, payload_type: u8) -> Option<&str> {
        attributes(&self.attributes, "rtpmap").find_map(|value| {
            let (number, encoding) = value.trim_start().split_once(char::is_whitespace)?;
            (number.parse() == Ok(payload_type)).then(|| encoding.trim())
        })
    }
}

/// `encoding` is what an rtpmap says after the number: name, clock, and possibly channels. One channel may be left out.
fn is_encoding(encoding: &str, name: &str, clock_hz: u32, channels: u8) -> bool {
    let mut parts = encoding.split('/').map(str::trim);
    parts.next().is_some_and(|n| n.eq_ignore_ascii_case(name))
        && parts.next().is_some_and(|clock| clock.parse() == Ok(clock_hz))
        && match parts.next() {
            None | Some("") => channels == 1,
            Some(count) => count.parse() == Ok(channels),
        }
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
