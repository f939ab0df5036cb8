//! Who is at the other end of a connection, as far as it can be believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, header};
use ipnet::IpNet;

/// The other end of the TCP connection; every request carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    /// Whether the browser speaks https, with us or with a trusted proxy before us.
    pub(crate) https: bool,
}

impl Client {
    /// Forwarding headers count only when a trusted proxy sent them; then the last address that no trusted proxy has.
    pub(crate) fn of(connection: Connection, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
        let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
        let peer = connection.peer.ip().to_canonical();
        if !is_trusted(peer) {
            return Client { ip: peer, https: connection.tls };
        }
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut ip = peer;
        for hop in forwarded.into_iter().rev() {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            ip = hop.to_canonical();
            if !is_trusted(ip) {
                break;
            }
        }
        let proto = headers.get_all("x-forwarded-proto").iter().next_back().and_then(|v| v.to_str().ok());
        let https = match proto.and_then(|p| p.rsplit(',').next()) {
            Some(proto) => proto.trim().eq_ignore_ascii_case("https"),
            None => connection.tls,
        };
        Client { ip, https }
    }

    /// What counts as one client when attempts are counted: an IPv6 subscriber has a whole /64.
    pub(crate) fn network(&self) -> IpAddr {
        match self.ip {
            IpAddr::V4(_) => self.ip,
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        }
    }
}

/// Whether a page of that origin may use the API with a cookie or a live socket: a page of this host, or one that is
/// allowed by name. The scheme is not compared: behind a proxy that ends TLS it is not known for sure. Programs other
/// than browsers send no origin.
pub(crate) fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if origins.next().is_some() {
        return false;
    }
    if allowed.iter().any(|a| a.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some(host) = headers.get(header::HOST).and_then(|v| v.to_str().ok()) else { return false };
    let page = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    page.is_some_and(|page| page.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn client(peer: &str, pairs: &[(&'static str, &str)], trusted: &[&str]) -> Client {
        let trusted: Vec<IpNet> = trusted.iter().map(|t| t.parse().unwrap()).collect();
        Client::of(Connection { peer: peer.parse().unwrap(), tls: false }, &headers(pairs), &trusted)
    }

    #[test]
    fn forwarding_headers_count_only_from_a_trusted_proxy() {
        let forged = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-proto", "https")];
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(client("192.0.2.1:5", &forged, &[]), Client { ip: ip("192.0.2.1"), https: false });
        assert_eq!(
            client("192.0.2.1:5", &forged, &["192.0.2.0/24"]),
            Client { ip: ip("198.51.100.9"), https: true }
        );
        // What the client itself put before the proxy's entry is not believed.
        let chain = [("x-forwarded-for", "127.0.0.1, 198.51.100.9"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(client("192.0.2.1:5", &chain, &["192.0.2.0/24"]).ip, ip("198.51.100.9"));
        assert_eq!(
            client("192.0.2.1:5", &[("x-forwarded-for", "nonsense")], &["192.0.2.0/24"]).ip,
            ip("192.0.2.1")
        );
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        assert_eq!(
            client("[2001:db8::1:2:3:4]:5", &[], &[]).network(),
            "2001:db8::".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn only_pages_of_this_host_or_allowed_ones_may_connect() {
        let host = ("host", "dialer.example:8080");
        let allowed = ["https://console.example/".to_owned()];
        let check = |pairs: &[(&'static str, &str)]| origin_allowed(&headers(pairs), &allowed);
        assert!(check(&[host]));
        assert!(check(&[host, ("origin", "http://dialer.example:8080")]));
        assert!(check(&[host, ("origin", "https://dialer.example:8080")]));
        assert!(check(&[host, ("origin", "https://console.example")]));
        assert!(!check(&[host, ("origin", "http://dialer.example")]));
        assert!(!check(&[host, ("origin", "http://evil.example")]));
        assert!(!check(&[host, ("origin", "null")]));
        assert!(!check(&[("origin", "http://dialer.example:8080")]));
        assert!(!check(&[host, ("origin", "https://console.example"), ("origin", "http://evil.example")]));
    }
}
