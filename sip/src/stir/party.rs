//! A caller or a callee in the one form in which it is signed (RFC 8224 §8.3, §8.5).

use crate::message::Uri;

/// Who calls or is called, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// A telephone number: digits, and `*` and `#` where a plan has them. No leading `+`, no separators.
    Number(String),
    /// Any other SIP address: `sip:user@host`.
    Uri(String),
}

impl Party {
    /// From a number as people write it, a tel: URI or a sip: URI. None when it is none of these.
    ///
    /// A user part that reads as a number is one, with `user=phone` or without: carriers seldom say it, and a name of
    /// digits only is a number on every trunk.
    pub(super) fn of(text: &str) -> Option<Party> {
        let text = text.trim();
        let Some(uri) = Uri::parse(text.as_bytes()) else { return number(text).map(Party::Number) };
        if uri.scheme.eq_ignore_ascii_case(b"tel") {
            return number(std::str::from_utf8(uri.user?).ok()?).map(Party::Number);
        }
        if !uri.is_sip() {
            return None;
        }
        let user = match uri.user {
            Some(user) => Some(unescape(user)?),
            None => None,
        };
        // Parameters of a number stand in the user part (RFC 3261 §19.1.6): `+15551234;npdi`.
        let bare = user.as_deref().and_then(|user| user.split(';').next());
        if let Some(number) = bare.and_then(number) {
            return Some(Party::Number(number));
        }
        let host = std::str::from_utf8(uri.host).ok()?.to_ascii_lowercase();
        Some(Party::Uri(match user {
            Some(user) => format!("sip:{user}@{host}"),
            None => format!("sip:{host}"),
        }))
    }
}

/// The canonical form of a number (RFC 8224 §8.3), or None when it holds anything else than one.
fn number(text: &str) -> Option<String> {
    let rest = text.trim().strip_prefix('+').unwrap_or(text.trim());
    let mut out = String::with_capacity(rest.len());
    for c in rest.chars() {
        match c {
            '0'..='9' | '*' | '#' => out.push(c),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
    }
    // 15 digits are the most that E.164 has; prefixes and national additions stay below 32.
    (!out.is_empty() && out.len() <= 32).then_some(out)
}

/// Text without percent escapes. None when an escape is broken or the result is not text.
fn unescape(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(b) = rest.next() {
        if *b == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(*b);
        }
    }
    String::from_utf8(out).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_every_spelling() {
        let number = Some(Party::Number("12155550121".into()));
        for text in [
            "12155550121",
            "+1 (215) 555-0121",
            "+1.215.555.0121",
            "tel:+1-215-555-0121",
            "tel:12155550121;phone-context=example.com",
            "sip:+12155550121@example.com;user=phone",
            "SIPS:%2B1215555%30121;npdi=yes@example.com:5061",
        ] {
            assert_eq!(Party::of(text), number, "{text}");
        }
        assert_eq!(Party::of("*67#"), Some(Party::Number("*67#".into())));
        let alice = Some(Party::Uri("sip:alice@example.com".into()));
        assert_eq!(Party::of("SIP:al%69ce:secret@EXAMPLE.com:5070;transport=tcp?subject=x"), alice);
        assert_eq!(Party::of("sip:example.com"), Some(Party::Uri("sip:example.com".into())));
        for bad in ["", "+", "anonymous", "tel:abc", "mailto:a@example.com", "sip:a%zz@h", "sip:a%0ab@h"] {
            assert_eq!(Party::of(bad), None, "{bad}");
        }
    }
}
