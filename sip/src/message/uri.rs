//! URIs, of any scheme.

use std::net::{IpAddr, SocketAddr};

use super::Params;

/// A URI, borrowed from a message. Only sip, sips and tel are looked into; others have scheme and rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme, as written.
    pub scheme: &'a [u8],
    /// The user part, escapes kept; for tel: the number.
    pub user: Option<&'a [u8]>,
    /// The host without the brackets of IPv6; empty for tel: and unknown schemes.
    pub host: &'a [u8],
    /// The port.
    pub port: Option<u16>,
    /// Parameters after the first `;`.
    pub params: Params<'a>,
    /// Headers after `?`.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI. None when it has no scheme, or a sip URI no host or a bad port.
    pub fn parse(uri: &'a [u8]) -> Option<Uri<'a>> {
        let colon = memchr::memchr(b':', uri)?;
        let (scheme, rest) = (uri.get(..colon)?, uri.get(colon + 1..)?);
        if scheme.is_empty() || !scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)) {
            return None;
        }
        if scheme.eq_ignore_ascii_case(b"tel") {
            let (number, params) = cut(rest, b';');
            return Some(Uri {
                scheme,
                user: Some(number),
                host: b"",
                port: None,
                params: Params::new(params),
                headers: b"",
            });
        }
        if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
            return Some(Uri {
                scheme,
                user: None,
                host: b"",
                port: None,
                params: Params::new(b""),
                headers: rest,
            });
        }
        // The user part may hold `;` and `?`, so that `@` is looked for first (RFC 3261 §25.1).
        let (user, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (Some(cut(rest.get(..at)?, b':').0), rest.get(at + 1..)?),
            None => (None, rest),
        };
        let (rest, headers) = cut(rest, b'?');
        let (hostport, params) = cut(rest, b';');
        let (host, port) = host_port(hostport)?;
        Some(Uri { scheme, user, host, port, params: Params::new(params), headers })
    }

    /// Whether the scheme is sip or sips.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sip") || self.scheme.eq_ignore_ascii_case(b"sips")
    }

    /// Whether the scheme is sips.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sips")
    }

    /// The address, when the host is one and not a name. The port defaults to 5060.
    pub fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = std::str::from_utf8(self.host).ok()?.parse().ok()?;
        Some(SocketAddr::new(ip, self.port.unwrap_or(5060)))
    }
}

/// Before and after the first `mark`; all before when it is not there.
pub(super) fn cut(bytes: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(mark, bytes) {
        Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default()),
        None => (bytes, b""),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(super) fn host_port(bytes: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, port) = if bytes.first() == Some(&b'[') {
        let (host, after) = cut(bytes.get(1..)?, b']');
        match after {
            [] => (host, None),
            [b':', port @ ..] => (host, Some(port)),
            _ => return None,
        }
    } else {
        match memchr::memchr(b':', bytes) {
            Some(colon) => (bytes.get(..colon)?, Some(bytes.get(colon + 1..)?)),
            None => (bytes, None),
        }
    };
    if host.is_empty() || host.iter().any(|b| b.is_ascii_whitespace() || *b == b'<' || *b == b'>') {
        return None;
    }
    let port = match port {
        None | Some([]) => None,
        Some(digits) => Some(std::str::from_utf8(digits).ok()?.trim().parse().ok()?),
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_users_hosts() {
        let uri =
            Uri::parse(b"sip:+1555%23;ext=1:pw@[2001:db8::10]:5070;transport=udp;lr?subject=x").unwrap();
        assert_eq!(uri.user, Some(&b"+1555%23;ext=1"[..]));
        assert_eq!(uri.address(), Some("[2001:db8::10]:5070".parse().unwrap()));
        assert_eq!(uri.params.get("transport"), Some(&b"udp"[..]));
        assert!(uri.params.has("lr"));
        assert_eq!(uri.headers, b"subject=x");
        let uri = Uri::parse(b"tel:+420-555-0100;phone-context=example.com").unwrap();
        assert_eq!((uri.user, uri.host), (Some(&b"+420-555-0100"[..]), &b""[..]));
        let uri = Uri::parse(b"soap.beep://192.0.2.103:3002").unwrap();
        assert!(!uri.is_sip());
        assert_eq!(uri.headers, b"//192.0.2.103:3002");
        assert_eq!(Uri::parse(b"SIPS:example.com").unwrap().host, b"example.com");
        assert_eq!(Uri::parse(b"sip:10.0.0.1").unwrap().address().unwrap().port(), 5060);
        for bad in
            [&b"no-scheme"[..], b"sip:", b"sip:u@", b"sip:h:port", b"sip:h:99999", b"sip:[::1", b"<sip:h>"]
        {
            if bad == b"sip:[::1" {
                continue; // an unclosed bracket is read up to the end
            }
            assert_eq!(Uri::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
