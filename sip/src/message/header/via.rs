//! Via.

use super::Params;
use super::params::trim;
use crate::message::uri::{cut, host_port};

/// One Via value, borrowed from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport, as written (`UDP`).
    pub transport: &'a [u8],
    /// The host of sent-by, without brackets.
    pub host: &'a [u8],
    /// The port of sent-by.
    pub port: Option<u16>,
    /// branch, received, rport, …
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value: `SIP/2.0/UDP host:port;params`, with white space where the grammar allows it. The version is
    /// the start line's business: one who speaks another still hears so.
    pub fn parse(value: &'a [u8]) -> Option<Via<'a>> {
        let (protocol, rest) = cut(value, b'/');
        let (version, rest) = cut(rest, b'/');
        if !trim(protocol).eq_ignore_ascii_case(b"SIP") || trim(version).is_empty() {
            return None;
        }
        let rest = trim(rest);
        let end = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, rest) = (rest.get(..end)?, rest.get(end..)?);
        let (sent_by, params) = cut(rest, b';');
        let sent_by = trim(sent_by);
        let (host, port) = match host_port(sent_by) {
            Some(found) => found,
            // White space may stand around the colon: `host : 5060`, `[::1] : 5060`.
            None => {
                let colon = sent_by.iter().rposition(|b| *b == b':')?;
                let (host, _) = host_port(trim(sent_by.get(..colon)?)).filter(|(_, port)| port.is_none())?;
                let port = std::str::from_utf8(trim(sent_by.get(colon + 1..)?)).ok()?;
                (host, Some(port.parse().ok()?))
            }
        };
        Some(Via { transport, host, port, params: Params::new(params) })
    }

    /// The branch.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let via = Via::parse(b"SIP/2.0/UDP 192.0.2.2:5061;rport;branch=z9hG4bKx").unwrap();
        assert_eq!(
            (via.host, via.port, via.branch()),
            (&b"192.0.2.2"[..], Some(5061), Some(&b"z9hG4bKx"[..]))
        );
        assert_eq!(via.params.get("rport"), Some(&b""[..]));
        let via = Via::parse(b"SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9").unwrap();
        assert_eq!(
            (via.transport, via.host, via.branch()),
            (&b"TCP"[..], &b"spindle.example.com"[..], Some(&b"z9hG4bK9"[..]))
        );
        let via = Via::parse(b"SIP/2.0/UDP host : 5060 ;branch=1").unwrap();
        assert_eq!((via.host, via.port), (&b"host"[..], Some(5060)));
        let via = Via::parse(b"SIP/2.0/UDP [::1] : 5060").unwrap();
        assert_eq!((via.host, via.port), (&b"::1"[..], Some(5060)));
        for bad in
            [&b"SIP/2.0/UDP : 5060"[..], b"SIP/2.0/UDP a b", b"SIP/2.0/UDP a:1 : 2", b"SIP/2.0/UDP a : b"]
        {
            assert_eq!(Via::parse(bad), None);
        }
        assert_eq!(Via::parse(b"SIP/2.0/UDP [2001:db8::9:1]:6050;x").unwrap().host, b"2001:db8::9:1");
        assert_eq!(Via::parse(b"SIP/7.0/UDP h;branch=1").unwrap().host, b"h");
        assert_eq!(Via::parse(b"HTTP/1.1/UDP h"), None);
        assert_eq!(Via::parse(b"SIP/2.0/UDP"), None);
    }
}
