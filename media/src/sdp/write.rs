//! A [`Description`] to text, in the order and with the line ends of RFC 8866 §5 and §9.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use super::types::{Attribute, Description, Host, Media};

/// An address with its family, as `o=`, `c=` and `a=rtcp` write it.
pub(crate) struct NetAddress(pub(crate) IpAddr);

impl Display for NetAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "IN {} {}", if self.0.is_ipv6() { "IP6" } else { "IP4" }, self.0)
    }
}

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "v=0\r\no={origin}\r\ns=-\r\n")?;
            connection(f, self.connection.as_ref())?;
            f.write_str("t=0 0\r\n")?;
        }
        // Without an origin it is a fragment: attributes and streams only (RFC 8840 §9.2).
        self.attributes.iter().try_for_each(|a| attribute(f, a))?;
        self.media.iter().try_for_each(|m| media(f, m))
    }
}

fn connection(f: &mut Formatter<'_>, host: Option<&Host>) -> fmt::Result {
    match host {
        Some(Host::Ip(ip)) => write!(f, "c={}\r\n", NetAddress(*ip)),
        Some(Host::Name(name)) => write!(f, "c=IN IP4 {name}\r\n"),
        None => Ok(()),
    }
}

fn media(f: &mut Formatter<'_>, m: &Media) -> fmt::Result {
    write!(f, "m={} {} {}", m.kind, m.port, m.proto)?;
    m.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
    f.write_str("\r\n")?;
    connection(f, m.connection.as_ref())?;
    m.attributes.iter().try_for_each(|a| attribute(f, a))
}

fn attribute(f: &mut Formatter<'_>, a: &Attribute) -> fmt::Result {
    match &a.value {
        Some(value) => write!(f, "a={}:{value}\r\n", a.name),
        None => write!(f, "a={}\r\n", a.name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sdp::parse::parse;

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        ("[a-z-]{1,12}", proptest::option::of("[!-~]([ -~]{0,20}[!-~])?"))
            .prop_map(|(name, value)| Attribute { name, value })
    }

    fn any_host() -> impl Strategy<Value = Option<Host>> {
        proptest::option::of(any::<IpAddr>().prop_map(Host::Ip))
    }

    fn any_media() -> impl Strategy<Value = Media> {
        (
            "audio|video|application",
            any::<u16>(),
            "RTP/AVP|UDP/TLS/RTP/SAVPF",
            proptest::collection::vec("[0-9]{1,3}", 0..4),
            any_host(),
            proptest::collection::vec(any_attribute(), 0..4),
        )
            .prop_map(|(kind, port, proto, formats, connection, attributes)| Media {
                kind,
                port,
                proto,
                formats,
                connection,
                attributes,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            connection in any_host(),
            attributes in proptest::collection::vec(any_attribute(), 0..4),
            media in proptest::collection::vec(any_media(), 0..4),
        ) {
            let d = Description { origin: Some("- 1 2 IN IP4 192.0.2.1".into()), connection, attributes, media };
            prop_assert_eq!(parse(d.to_string().as_bytes()), Ok(d));
        }

        #[test]
        fn bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&body);
        }

        #[test]
        fn lines_never_panic(body in "([vocmat]=[ -~]{0,30}\r?\n){0,12}") {
            if let Ok(d) = parse(body.as_bytes()) {
                for m in &d.media {
                    let _ = (m.telephone_event(8_000), m.direction(&d), m.payload_types().filter_map(|p| m.codec(p)).count());
                }
            }
        }
    }
}
