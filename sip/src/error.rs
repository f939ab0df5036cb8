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
    /// The Request-URI cannot be read.
    #[error("the Request-URI cannot be read")]
    Uri,
    /// The Request-URI is longer than [`crate::limits::URI_BYTES`].
    #[error("the Request-URI is too long")]
    UriTooLong,
    /// The Request-URI is neither sip, sips nor tel.
    #[error("the scheme of the Request-URI is not known")]
    UriScheme,
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
    /// A header that every message needs is missing, unreadable or there twice with different values.
    #[error("header {0} is missing, unreadable or there twice")]
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
    /// The session was not refreshed in time (RFC 4028 §10).
    #[error("the session was not refreshed in time")]
    SessionExpired,
    /// It left a change within the call unanswered, or knows nothing of the call (RFC 3261 §12.2.1.2).
    #[error("the call is not known to the peer any more")]
    Lost,
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
    /// No phone of that user is registered.
    #[error("no phone of that user is registered")]
    NotRegistered,
    /// The driver is behind with the calls that there are: no new ones for now.
    #[error("overloaded: no new calls for now")]
    Overloaded,
    /// A table is full: see [`crate::limits`].
    #[error("too many calls or transactions")]
    Full,
}
