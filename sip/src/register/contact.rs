//! What the Contacts of a REGISTER and of its answer say.

use crate::message::{NameAddr, Uri};

/// Whole seconds, as in Expires; more than fits is the most that fits. None for anything else.
pub(super) fn seconds(value: &[u8]) -> Option<u32> {
    let whole = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    whole.then(|| value.iter().fold(0u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(d - b'0'))))
}

/// The `q` of a Contact in thousandths (RFC 3261 §20.10); 1000 when there is none or it cannot be read.
pub(super) fn preference(contact: &NameAddr<'_>) -> u16 {
    let read = || {
        let value = std::str::from_utf8(contact.params.get("q")?).ok()?.parse::<f32>().ok()?;
        (0.0..=1.0).contains(&value).then_some((value * 1000.0) as u16)
    };
    read().unwrap_or(1000)
}

/// A quoted parameter without its quotes; None when it is empty.
pub(super) fn instance<'a>(contact: &NameAddr<'a>) -> Option<&'a [u8]> {
    let value = contact.params.get("+sip.instance")?;
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    (!inner.is_empty() && !inner.contains(&b'"')).then_some(inner)
}

/// Whether two URIs are the same (RFC 3261 §19.1.4). A parameter that stands in one only counts when it says where
/// the URI leads.
pub(super) fn same_uri(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let (Some(a), Some(b)) = (Uri::parse(a), Uri::parse(b)) else { return false };
    let same_params = |a: &Uri<'_>, b: &Uri<'_>| {
        a.params.iter().all(|(name, value)| {
            match std::str::from_utf8(name).ok().and_then(|name| b.params.get(name)) {
                Some(other) => other.eq_ignore_ascii_case(value),
                None => !["transport", "user", "ttl", "method", "maddr"]
                    .iter()
                    .any(|must| name.eq_ignore_ascii_case(must.as_bytes())),
            }
        })
    };
    a.scheme.eq_ignore_ascii_case(b.scheme)
        && a.user.map(unescape) == b.user.map(unescape)
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port == b.port
        && same_params(&a, &b)
        && same_params(&b, &a)
}

/// A user part with its `%` escapes read.
pub(super) fn unescape(user: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(user.len());
    let mut at = 0;
    while let Some(b) = user.get(at) {
        let digits = user.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *b == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        at += if byte.is_some() { 3 } else { 1 };
        out.push(byte.unwrap_or(*b));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_that_are_the_same() {
        for (a, b, same) in [
            ("sip:alice@h:5060", "SIP:alice@H:5060", true),
            ("sip:%61lice@h", "sip:alice@h", true),
            ("sip:Alice@h", "sip:alice@h", false),
            ("sip:alice@h", "sip:alice@h:5060", false),
            ("sip:alice@h", "sips:alice@h", false),
            ("sip:alice@h;x=1", "sip:alice@h", true),
            ("sip:alice@h;x=1", "sip:alice@h;x=2", false),
            ("sip:alice@h;transport=ws", "sip:alice@h", false),
            ("sip:alice@h;transport=ws", "sip:alice@h;Transport=WS;ob", true),
            ("sip:h", "sip:alice@h", false),
            ("x", "y", false),
        ] {
            assert_eq!(same_uri(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
            assert_eq!(same_uri(b.as_bytes(), a.as_bytes()), same, "{b} {a}");
        }
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!(seconds(b"0060"), Some(60));
        assert_eq!(seconds(b"99999999999999999999"), Some(u32::MAX));
        assert_eq!((seconds(b""), seconds(b"-1"), seconds(b"1x")), (None, None, None));
        let of = |value| NameAddr::parse(value).unwrap();
        for (value, q) in [(&b"<sip:a@h>;q=0.7"[..], 700), (b"<sip:a@h>;q=7", 1000), (b"<sip:a@h>", 1000)] {
            assert_eq!(preference(&of(value)), q);
        }
        let contact = of(b"<sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=1");
        assert_eq!(instance(&contact), Some(&b"<urn:uuid:1>"[..]));
        assert_eq!(instance(&of(b"<sip:a@h>;+sip.instance=\"\"")), None);
        assert_eq!(unescape(b"a%20b%zz%4"), b"a b%zz%4");
    }
}
