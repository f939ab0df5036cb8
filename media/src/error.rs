//! What can go wrong, by who is at fault.

use std::io;
use std::net::SocketAddr;

/// Why the media cannot start. The configuration or the machine is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A value of the configuration makes no sense.
    #[error("media configuration: {0}")]
    Config(&'static str),
    /// The port for browsers cannot be opened.
    #[error("cannot open UDP {address} for browsers: {source}")]
    Browsers {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Not one pair of the RTP port range could be opened.
    #[error("no free pair of UDP ports in {first}-{last} on {ip}: {source}")]
    NoPorts {
        /// The listen address.
        ip: std::net::IpAddr,
        /// The range's first port.
        first: u16,
        /// The range's last port.
        last: u16,
        /// What the system said last.
        source: io::Error,
    },
    /// The process may not have as many files open as the port range needs.
    #[error(
        "{needed} open files are needed for the RTP port range, {allowed} are allowed (ulimit -n): raise it or take a smaller range"
    )]
    OpenFiles {
        /// Sockets of the range, and some spare.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// The certificate for browsers cannot be made.
    #[error(transparent)]
    Identity(#[from] crate::webrtc::IdentityError),
    /// A thread, or what it sleeps on, cannot be made.
    #[error("cannot start a media thread: {0}")]
    Thread(#[from] io::Error),
}

/// Why a command to the media was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// All port pairs are in use or at rest: the call must not be dialed.
    #[error("no RTP port pair is free")]
    PortsExhausted,
    /// There is no such interface in the configuration (the caller is at fault).
    #[error("no media interface {0}")]
    NoInterface(usize),
    /// A shard's queue is full: it is overloaded, or stuck.
    #[error("the media queue is full")]
    Busy,
    /// A shard has as many legs as it may.
    #[error("the media shard is full")]
    Full,
    /// The media threads have ended.
    #[error("the media has stopped")]
    Stopped,
    /// A shard did not reply in time, or knows no such leg.
    #[error("no reply from the media shard")]
    NoReply,
}
