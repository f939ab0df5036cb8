//! What messages travel by.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::endpoint::SocketId;

/// How messages travel (RFC 3261 §18, RFC 7118).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
    /// SIP over WebSocket.
    Ws,
    /// SIP over WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Transport; 5] =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// As it stands in Via.
    pub fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As it stands in the `transport` parameter of a URI: RFC 7118 §5.2.1 has `ws` for both.
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws | Transport::Wss => "ws",
        }
    }

    /// By its name in any case: in a configuration, or as a `transport` parameter.
    pub fn of(name: &str) -> Option<Transport> {
        Transport::ALL.into_iter().find(|transport| transport.via().eq_ignore_ascii_case(name))
    }

    /// Whether the transport itself sees to it that nothing is lost: then nothing is sent again.
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// Whether others cannot read along.
    pub fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// The port when none is given (RFC 3261 §19.1.2, RFC 7118 §8.1).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.param())
    }
}

/// One local socket.
#[derive(Clone, Debug)]
pub struct LocalSocket {
    /// What it carries.
    pub transport: Transport,
    /// Where it is bound (a stream transport: where it listens).
    pub bound: SocketAddr,
    /// What Via and Contact say: the bound address, or the public one in front of it.
    pub advertise: SocketAddr,
}

/// Where a request outside a dialog goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address.
    pub address: SocketAddr,
    /// How to get there.
    pub transport: Transport,
    /// By which of our sockets; none: by the first that fits.
    pub socket: Option<SocketId>,
    /// The name that the far end's certificate must have, over TLS; none: its address.
    pub server_name: Option<Arc<str>>,
}

impl Destination {
    /// An address by a transport.
    pub fn new(address: SocketAddr, transport: Transport) -> Destination {
        Destination { address, transport, socket: None, server_name: None }
    }
}

impl From<SocketAddr> for Destination {
    /// By UDP.
    fn from(address: SocketAddr) -> Destination {
        Destination::new(address, Transport::Udp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for transport in Transport::ALL {
            assert_eq!(Transport::of(&transport.via().to_lowercase()), Some(transport));
        }
        assert_eq!(Transport::of("sctp"), None);
        assert_eq!(Transport::Wss.to_string(), "ws");
    }
}
