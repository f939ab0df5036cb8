//! Browser legs: WHIP-like signalling (RFC 9725), ICE-lite (RFC 8445), DTLS-SRTP (RFC 5763, 5764), without I/O.
//!
//! [`BrowserTransport`] is one browser. A shard serves all of them on one UDP port: a datagram goes to the leg that has
//! learned its source ([`Event::AddressLearned`]), a UDP address or a TCP connection, and a STUN request from elsewhere to the leg of its
//! [`LegTag`] ([`leg_tag_of`]), which stays the same for the leg's life, ICE restarts included.
//!
//! The drive contract: after [`BrowserTransport::handle_datagram`] returned [`Received::Nothing`], and after every other
//! input, drain [`BrowserTransport::poll_output`] until it gives [`Output::Timeout`]. [`Received::Rtp`] and
//! [`Received::Rtcp`] leave nothing to drain, so the path of audio costs no poll.

mod address;
mod answer;
mod dtls;
mod ice_lite;
mod identity;
mod offer;
mod stun;
mod transport;

pub use address::{StreamId, TransportAddress};
pub use identity::{Identity, IdentityError};
pub use offer::{BrowserMedia, OfferError};
pub use stun::{LegTag, leg_tag_of};
pub use transport::{BrowserConfig, BrowserTransport, Counters, Event, Failure, Output, Received, Transmit};

#[cfg(test)]
pub(crate) use transport::world as test_browser;
