//! From a SIP URI to the addresses to try, in order (RFC 3263): a state machine without I/O.
//!
//! [`Resolver::start`] begins with a target. [`Resolver::poll`] either asks DNS questions, whose answers are given to
//! [`Resolver::handle_answer`], or is done. Answers are kept as long as their TTL says, and longer while DNS fails, so
//! that an outage of DNS does not stop the dialing. [`crate::net::DnsResolver`] is the driver.

mod cache;
mod order;
mod plan;
mod resolver;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kraliki_time::Time;
use thiserror::Error;

use crate::message::Uri;
use crate::transport::{Destination, Transport};

pub use resolver::{Resolution, Resolver, Step};

/// What a request is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name, or an address with or without the brackets of IPv6.
    pub host: String,
    /// The port, when one is given: then DNS is asked for addresses only.
    pub port: Option<u16>,
    /// The transport, when one is given.
    pub transport: Option<Transport>,
    /// Whether it must be secure (`sips:`).
    pub secure: bool,
}

impl Target {
    /// A host and nothing else, as in a trunk's configuration.
    pub fn host(host: &str) -> Target {
        Target { host: host.to_owned(), port: None, transport: None, secure: false }
    }

    /// Whether it needs no look-up.
    pub fn is_numeric(&self) -> bool {
        self.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    }

    /// Of a sip: or sips: URI: its `maddr` or host, its port, its `transport` (RFC 3263 §4).
    pub fn of(uri: &Uri<'_>) -> Result<Target, ResolveError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let host = text(uri.params.get("maddr").unwrap_or(uri.host));
        if !uri.is_sip() {
            return Err(ResolveError::BadName(text(uri.scheme)));
        }
        let transport = match uri.params.get("transport") {
            None => None,
            Some(name) => {
                let name = text(name);
                let known = Transport::of(&name);
                Some(known.ok_or_else(|| ResolveError::Transport { host: host.clone(), transport: name })?)
            }
        };
        Ok(Target { host, port: uri.port, transport, secure: uri.scheme.eq_ignore_ascii_case(b"sips") })
    }
}

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
    /// Whose certificate it must have, over TLS: the name that was asked for, not what DNS made of it
    /// (RFC 5922 §7.2). None when it was an address.
    pub server_name: Option<Arc<str>>,
    /// Until when DNS says that this holds.
    pub valid_until: Time,
}

impl Candidate {
    /// As the destination of a request.
    pub fn destination(&self) -> Destination {
        let mut destination = Destination::new(self.address, self.transport);
        destination.server_name.clone_from(&self.server_name);
        destination
    }
}

/// Why there is nothing to try, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Not a name.
    #[error("{0:?} is not a host: write a name like sip.carrier.example or an address")]
    BadName(String),
    /// By a transport that is not known, or for which there is no socket here.
    #[error(
        "{host} is to be reached by {transport}, which is not set up here: listen on that transport, or choose another for the trunk"
    )]
    Transport {
        /// The host.
        host: String,
        /// The transport.
        transport: String,
    },
    /// The domain says that it has no SIP.
    #[error(
        "the domain {host} says in DNS (SRV target \".\") that it offers no SIP: ask the carrier for its SIP host"
    )]
    NotOffered {
        /// The host.
        host: String,
    },
    /// DNS knows no address.
    #[error("DNS has no address for {name}: check how it is spelled, or ask the carrier")]
    NoAddress {
        /// The name.
        name: String,
    },
    /// DNS does not answer, and nothing is known from before.
    #[error("DNS does not answer for {name}: check that the name servers in /etc/resolv.conf can be reached")]
    Unanswered {
        /// The name.
        name: String,
    },
    /// Names that lead to names without end, or to too many.
    #[error(
        "the DNS records of {host} lead in a circle or to too many names: whoever runs the domain has to mend them"
    )]
    Endless {
        /// The host.
        host: String,
    },
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// What can be reached from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveConfig {
    /// The transports that there are sockets for, the preferred first.
    pub transports: Vec<Transport>,
    /// The address families that there are sockets for, the preferred first.
    pub families: Vec<Family>,
}

impl Default for ResolveConfig {
    /// UDP, TCP and TLS over both families, IPv4 first.
    fn default() -> Self {
        ResolveConfig {
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            families: vec![Family::V4, Family::V6],
        }
    }
}

/// What is asked about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names of record types
pub enum Kind {
    Naptr,
    Srv,
    A,
    Aaaa,
}

/// One question to DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The full name, in lower case, without the dot at its end.
    pub name: String,
    /// What is asked.
    pub kind: Kind,
}

/// One record of an answer. Names are full names; a dot at their end is of no account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Where a service is (RFC 3403).
    Naptr {
        /// Lower ones first; with the first that can be used, no others are.
        order: u16,
        /// Within one order, lower ones first.
        preference: u16,
        /// `s`: the replacement has SRV records, `a`: addresses, empty: NAPTR records.
        flags: String,
        /// `SIP+D2U` and the like.
        service: String,
        /// What the name becomes by rule; not for SIP, so that a record with one is passed over.
        regexp: String,
        /// The next name.
        replacement: String,
    },
    /// A server (RFC 2782).
    Srv {
        /// Lower ones first.
        priority: u16,
        /// The share within one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The server's name; `.` or empty says that there is none.
        target: String,
    },
    /// An address.
    Address(IpAddr),
}

/// What DNS says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records, and how long they may be kept.
    Found {
        /// The records; those of another kind than was asked for are passed over.
        records: Vec<Record>,
        /// The time to live.
        ttl: Duration,
    },
    /// There are none: no such name, or none of that kind.
    Nothing,
    /// No answer: a time-out, or a server that fails.
    Failed,
}
