//! Where a browser's datagrams come from: a transport address (RFC 8445 §4), of UDP or of a TCP connection.

use std::fmt;
use std::net::SocketAddr;

/// A TCP connection of a browser, as the driver names it; no two of a shard ever have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// One end of the way to a browser.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransportAddress {
    /// The browser's address, as we see it.
    pub address: SocketAddr,
    /// The connection, if it is not UDP: the same address may have both.
    pub stream: Option<StreamId>,
}

impl From<SocketAddr> for TransportAddress {
    /// An address of UDP.
    fn from(address: SocketAddr) -> TransportAddress {
        TransportAddress { address, stream: None }
    }
}

impl fmt::Debug for TransportAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stream {
            None => write!(f, "udp {}", self.address),
            Some(StreamId(number)) => write!(f, "tcp {} ({number})", self.address),
        }
    }
}
