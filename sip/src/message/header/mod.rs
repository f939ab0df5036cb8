//! Header values, read when asked for.

mod address;
mod auth;
mod cseq;
mod params;
mod reason;
mod via;

pub use address::NameAddr;
pub use auth::Challenge;
pub(crate) use auth::quoted;
use auth::unquote;
pub use cseq::CSeq;
pub(super) use params::trim;
pub use params::{Params, Values};
pub use reason::{Reason, Scheme};
pub use via::Via;
