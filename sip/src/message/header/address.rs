//! Name-addresses: From, To, Contact, Route, Record-Route, P-Asserted-Identity.

use super::Params;
use super::params::{find_outside, trim};
use crate::message::Uri;

/// `"Display" <uri>;params`, borrowed from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as it stands, quotes and escapes included; often empty.
    pub display: &'a [u8],
    /// The URI, as it stands.
    pub uri: &'a [u8],
    /// The header's parameters.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. None when there is no URI in it.
    pub fn parse(value: &'a [u8]) -> Option<NameAddr<'a>> {
        if let Some(open) = find_outside(value, b"<", false) {
            let after = value.get(open + 1..)?;
            let close = memchr::memchr(b'>', after)?;
            let uri = trim(after.get(..close)?);
            let params = Params::new(after.get(close + 1..)?);
            return (!uri.is_empty()).then_some(NameAddr { display: trim(value.get(..open)?), uri, params });
        }
        // Without <> every parameter belongs to the header, not to the URI (RFC 3261 §20).
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let uri = trim(value.get(..end)?);
        Uri::parse(uri)?;
        Some(NameAddr { display: b"", uri, params: Params::new(value.get(end..)?) })
    }

    /// The tag, when there is one.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The URI, looked into.
    pub fn parsed_uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let a = NameAddr::parse(br#""J \"R\" <x>" <sip:j@h;p=1>;tag=abc;q"#).unwrap();
        assert_eq!(
            (a.display, a.uri, a.tag()),
            (&br#""J \"R\" <x>""#[..], &b"sip:j@h;p=1"[..], Some(&b"abc"[..]))
        );
        let a = NameAddr::parse(b"Mr. Watson<sip:w@h>").unwrap();
        assert_eq!((a.display, a.uri, a.tag()), (&b"Mr. Watson"[..], &b"sip:w@h"[..], None));
        let a = NameAddr::parse(b"sip:w@h;tag=1").unwrap();
        assert_eq!((a.uri, a.tag()), (&b"sip:w@h"[..], Some(&b"1"[..])));
        assert_eq!(NameAddr::parse(b"*"), None);
        assert_eq!(NameAddr::parse(b"<sip:x"), None);
    }
}
