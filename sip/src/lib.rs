//! SIP for Kraliki Voice: messages, transactions, dialogs and calls, without sockets, clocks or threads.
//!
//! [`Endpoint`] is a state machine. Datagrams, commands and time go in; datagrams to send, events and the next
//! wake-up come out of [`Endpoint::poll_output`], which is drained after every input until it gives
//! [`Output::Timeout`]. [`net`] is the thin driver around it that owns the sockets.
//!
//! Bodies are opaque here: nothing in this crate knows about audio, campaigns or HTTP.

mod auth;
mod core;
mod dialog;
mod endpoint;
mod error;
mod event;
mod frame;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod hep;
pub mod limits;
mod message;
pub mod net;
mod overload;
mod receive;
mod recovery;
mod refuse;
mod register;
pub mod resolve;
mod session;
mod shard;
mod stats;
pub mod stir;
mod trace;
mod transaction;
mod transport;

pub use auth::{Credentials, DigestServer, Secrets, User};
pub use endpoint::{CallKey, Endpoint, Keys, Output, SocketId};
pub use error::{ApiMisuse, FrameError, Malformed, PeerMisbehaved};
pub use event::{
    AcceptFrom, Body, EndedBy, EndpointConfig, Event, Failure, IdentityHeader, InviteRequest, ModifyAnswer,
    Reliable, SessionTimer, Transmit,
};
pub use frame::{Frame, Framer};
pub use message::{
    Builder, CSeq, Challenge, Headers, Message, Method, Name, NameAddr, Params, Reason, Request, Response,
    Scheme, Uri, Values, Via,
};
pub use recovery::{CallIdKey, DialogSnapshot};
pub use register::{Binding, RegistrarConfig, Registration, RegistrationState, Unbound};
pub use shard::Shard;
pub use stats::{ByKind, Counter, METHODS, Stats};
pub use trace::{Direction, Trace, TraceEntry, ladder};
pub use transport::{Destination, LocalSocket, Transport};
