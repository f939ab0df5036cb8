//! The HTTP API of the dialer: campaigns, lists, agents, calls, live updates, metrics, and the console's files.
//!
//! [`serve`] listens and answers until its shutdown comes; everything it does goes through an
//! [`EngineHandle`](kraliki_engine::runtime::EngineHandle). [`openapi`] is the document that `/openapi.json` answers with.

mod api;
mod auth;
mod console;
mod csv;
mod error;
mod extract;
mod limits;
mod live;
mod metrics;
mod openapi;
mod peer;
mod router;
mod server;
mod state;
#[cfg(test)]
mod tests;

pub use api::ice::{IceAccess, IceConfig, IceServer};
pub use auth::{PasswordError, Role, UnknownRole, hash_password};
pub use error::{ApiError, Problem};
pub use openapi::openapi;
pub use server::{ApiConfig, Serving, TlsFiles, serve};
