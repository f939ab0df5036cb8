//! Session descriptions (RFC 8866) and offer/answer (RFC 3264) for one audio stream.
//!
//! Tolerant in, strict out: what carriers send is read as far as it makes sense, what we send is by the book.
//! [`TrunkSession`] is our side of one SIP dialog's media; browsers' offers are read in [`crate::webrtc`].

mod crypto;
mod negotiate;
mod opus;
mod parse;
mod types;
mod write;
mod xr;

pub use crypto::{SrtpKeys, SrtpPolicy};
pub use negotiate::{Mismatch, Negotiated, TrunkSession};
pub use opus::OpusFormat;
pub use parse::SdpError;
pub use types::{AudioCodec, Direction};
pub use xr::XrReports;

pub(crate) use parse::parse;
pub(crate) use types::{Attribute, Description, Host, Media, attributes};
pub(crate) use write::NetAddress;
