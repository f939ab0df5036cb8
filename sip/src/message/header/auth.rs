//! Challenges and credentials: `Digest realm="…", nonce="…"`.

use super::params::{find_outside, trim};

/// A challenge or an answer to one, borrowed from a message.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The scheme, `Digest`.
    pub scheme: &'a [u8],
    params: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Reads one header line.
    pub fn parse(value: &'a [u8]) -> Option<Challenge<'a>> {
        let end = value.iter().position(u8::is_ascii_whitespace)?;
        Some(Challenge { scheme: value.get(..end)?, params: value.get(end..)? })
    }

    /// A parameter, without its quotes.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut rest = self.params;
        while !rest.is_empty() {
            let end = find_outside(rest, b",", false).unwrap_or(rest.len());
            let param = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(equals) = memchr::memchr(b'=', param)
                && trim(param.get(..equals)?).eq_ignore_ascii_case(name.as_bytes())
            {
                return Some(unquote(trim(param.get(equals + 1..)?)));
            }
        }
        None
    }
}

/// The text of a quoted string; anything else as it stands.
pub(crate) fn unquote(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"").map(|v| v.strip_suffix(b"\"").unwrap_or(v)) else {
        return value.to_vec();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(*b),
        }
    }
    out
}

/// `text` as a quoted string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let c = Challenge::parse(
            br#"Digest realm="a, \"b\"", qop="auth,auth-int",algorithm=SHA-256 , stale = TRUE"#,
        );
        let c = c.unwrap();
        assert_eq!(c.get("Realm").unwrap(), br#"a, "b""#);
        assert_eq!(c.get("qop").unwrap(), b"auth,auth-int");
        assert_eq!(c.get("algorithm").unwrap(), b"SHA-256");
        assert_eq!(c.get("stale").unwrap(), b"TRUE");
        assert_eq!(c.get("nonce"), None);
        assert_eq!(unquote(quoted(r#"a"\b"#).as_bytes()), br#"a"\b"#);
    }
}
