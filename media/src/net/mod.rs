//! The threads and sockets around the relay: [`Media::start`] starts the shards, a [`MediaHandle`] gives them commands.
//!
//! A leg's id names the shard on which it was opened. Commands go there; a shard that has carried a leg to the shard
//! of its agent passes them on, so that they arrive in order and nobody keeps a table of who is where.
// This is the driver: the only place of the crate with sockets, threads and a clock.
#![allow(clippy::disallowed_methods)]

mod command;
mod config;
mod handle;
mod ports;
mod shard;
mod stats;
mod sys;
mod tcp;

pub use config::{BrowserPorts, Interface, MediaConfig, TrunkOptions};
pub use handle::{BrowserError, Media, MediaHandle, RtpLeg, Tell};
pub use stats::{MediaStats, PortStats, ShardStats};

#[cfg(test)]
mod tests;
