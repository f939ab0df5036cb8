//! The driver around the engine: wires SIP, media and the store to it, and gives the API its handle.
#![allow(clippy::disallowed_methods)] // sockets, threads and the clock belong here

mod handle;
mod metrics;

pub use handle::{EngineHandle, OpenedSession, SessionError};
