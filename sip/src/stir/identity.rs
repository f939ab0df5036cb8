//! The Identity header's value (RFC 8224 §4): `token;info=<url>;alg=ES256;ppt=shaken`.

use crate::limits;

/// The parts of a value, as they stand.
pub(super) struct Identity<'a> {
    pub(super) token: &'a str,
    /// The certificate's address, from `info`.
    pub(super) info: &'a str,
    pub(super) alg: Option<&'a str>,
    pub(super) ppt: Option<&'a str>,
}

impl<'a> Identity<'a> {
    pub(super) fn parse(value: &'a str) -> Result<Identity<'a>, &'static str> {
        if value.len() > limits::IDENTITY_BYTES {
            return Err("the header is too long");
        }
        let mut parts = Parts(value);
        let token = parts.next().unwrap_or_default();
        let (mut info, mut alg, mut ppt) = (None, None, None);
        for part in parts {
            let (name, text) = part.split_once('=').unwrap_or((part, ""));
            let (name, text) = (name.trim(), text.trim());
            let slot = match name {
                _ if name.eq_ignore_ascii_case("info") => &mut info,
                _ if name.eq_ignore_ascii_case("alg") => &mut alg,
                _ if name.eq_ignore_ascii_case("ppt") => &mut ppt,
                _ => continue,
            };
            if slot.replace(text).is_some() {
                return Err("a parameter is given twice");
            }
        }
        let info = info.ok_or("info is missing")?;
        let info = info.strip_prefix('<').and_then(|url| url.strip_suffix('>')).ok_or("info has no <url>")?;
        Ok(Identity { token, info, alg: alg.map(unquoted), ppt: ppt.map(unquoted) })
    }
}

/// The grammar has tokens; some write them quoted, as RFC 8224's own examples do.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The parts between semicolons; one inside `<>` is part of the URL.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let mut inside = false;
        let end = self.0.find(|c| {
            inside = (inside || c == '<') && c != '>';
            c == ';' && !inside
        });
        let (part, rest) = match end {
            Some(at) => (self.0.get(..at)?, self.0.get(at + 1..)?),
            None => (self.0, ""),
        };
        self.0 = rest;
        Some(part.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for value in [
            "a.b.c;info=<https://x/y;z=1>;alg=ES256;ppt=shaken",
            " a.b.c ; info = <https://x/y;z=1> ; ppt=\"shaken\" ;alg=\"ES256\"; other ",
        ] {
            let identity = Identity::parse(value).unwrap();
            assert_eq!((identity.token, identity.info), ("a.b.c", "https://x/y;z=1"));
            assert_eq!((identity.alg, identity.ppt), (Some("ES256"), Some("shaken")));
        }
        for bad in ["", "a.b.c", "a.b.c;info=https://x", "a;info=<x>;info=<y>", "a;info=<x"] {
            assert!(Identity::parse(bad).is_err(), "{bad}");
        }
        assert!(Identity::parse(&"a".repeat(limits::IDENTITY_BYTES + 1)).is_err());
    }
}
