//! Errors, by who is at fault: the bytes, the peer, or the caller of this crate.

use thiserror::Error;

/// The bytes are not a SIP message that can be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The start line is neither a request line nor a status line.
    #[error("the start line is neither a request nor a status line")]
    StartLine,
    /// Another protocol version than SIP/2.0.
    #[error("not SIP/2.0")]
    Version,
    /// No empty line ends the headers.
    #[error("the headers do not end")]
    Truncated,
    /// More header lines than [`crate::limits::HEADER_LINES`].
    #[error("too many header lines")]
    TooManyHeaders,
    /// Larger than [`crate::limits::MESSAGE_BYTES`].
    #[error("the message is too large")]
    TooLarge,
    /// Content-Length is no number, or given twice with different numbers.
    #[error("Content-Length is not a number")]
    ContentLength,
    /// The body ends before its Content-Length (RFC 3261 §18.3).
    #[error("the body is shorter than its Content-Length")]
    ShortBody,
    /// A header that every message needs is missing or unreadable.
    #[error("header {0} is missing or unreadable")]
    Header(&'static str),
}

/// A stream cannot be cut into messages any more; its connection must end (RFC 3261 §18.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It begins with what begins no SIP message.
    #[error("the stream is not SIP")]
    NotSip,
    /// A header block without Content-Length: where the body ends is not known.
    #[error("a message without Content-Length")]
    NoContentLength,
    /// Content-Length is no number, or given twice with different numbers.
    #[error("Content-Length is not a number")]
    ContentLength,
    /// Larger than [`crate::limits::MESSAGE_BYTES`].
    #[error("the message is too large")]
    TooLarge,
}

/// The peer speaks SIP but broke its rules in this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// It never acknowledged our 2xx (RFC 3261 §13.3.1.4).
    #[error("the 2xx was never acknowledged")]
    NoAck,
}

/// The crate was called with something that it cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// No such call; it may have ended.
    #[error("no such call")]
    UnknownCall,
    /// The call is not in a state for this.
    #[error("the call is not in a state for this")]
    WrongState,
    /// A field holds what may not stand in a SIP message (a line break, say).
    #[error("{0} holds what may not stand in a SIP message")]
    BadField(&'static str),
    /// No socket of the destination's address family.
    #[error("no socket reaches that destination")]
    NoSocket,
    /// A table is full: see [`crate::limits`].
    #[error("too many calls or transactions")]
    Full,
}
