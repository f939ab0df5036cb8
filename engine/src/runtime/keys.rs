//! Values of the configuration file and of the API that name addresses, ranges and sockets, each with an error that says
//! what to write.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use kraliki_sip::Transport;
use serde::{Deserialize, Deserializer, Serialize};

/// A block of addresses, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Network, Self::Err> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Network).map_err(|_| "give an address or a block such as 10.0.0.0/8")
    }
}

/// `udp:0.0.0.0:5060`, or an address alone for UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenAt {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl FromStr for ListenAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ListenAt, Self::Err> {
        let wrong = "write it as 0.0.0.0:5060, or with udp:, tcp:, tls:, ws: or wss: before it";
        let named = text.split_once(':').and_then(|(name, rest)| Some((Transport::of(name)?, rest)));
        let (transport, address) = named.unwrap_or((Transport::Udp, text));
        Ok(ListenAt { transport, address: address.parse().map_err(|_| wrong)? })
    }
}

impl TryFrom<String> for ListenAt {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ListenAt, Self::Error> {
        text.parse()
    }
}

impl From<ListenAt> for String {
    fn from(at: ListenAt) -> String {
        at.to_string()
    }
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.via().to_ascii_lowercase(), self.address)
    }
}

/// Reads one value or a list of them, as text.
pub fn one_or_many<'de, D, T>(d: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let given = match OneOrMany::deserialize(d) {
        Ok(OneOrMany::One(one)) => vec![one],
        Ok(OneOrMany::Many(many)) => many,
        Err(_) => return Err(serde::de::Error::custom("give an address or a list of addresses, as text")),
    };
    given
        .into_iter()
        .map(|s| s.parse().map_err(|e| serde::de::Error::custom(format!("{s:?} is not an address: {e}"))))
        .collect()
}

/// Reads a whole number of that range.
pub fn in_range<'de, D: Deserializer<'de>>(d: D, range: RangeInclusive<u32>) -> Result<u32, D::Error> {
    let n = i64::deserialize(d)?;
    u32::try_from(n).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        serde::de::Error::custom(format!("{n} is out of range; give {} to {}", range.start(), range.end()))
    })
}

/// Splits `host`, `host:port` or `[v6]:port`.
pub fn host_and_port(address: &str) -> Option<(String, Option<u16>)> {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Some((socket.ip().to_string(), Some(socket.port())));
    }
    if let Ok(ip) = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Some((ip.to_string(), None));
    }
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|p| *p != 0)?)),
        None => (address, None),
    };
    let fits = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    fits.then(|| (host.to_owned(), port))
}
