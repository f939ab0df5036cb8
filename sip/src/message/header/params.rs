//! What all header values share: white space, commas, parameters, quotes.

/// Without white space at both ends.
pub(in crate::message) fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

/// The place of the first of `marks` outside quotes and, with `angles`, outside `<>`.
pub(super) fn find_outside(bytes: &[u8], marks: &[u8], angles: bool) -> Option<usize> {
    // Mostly the mark comes before any quote, or neither is there.
    if let (&[mark], false) = (marks, angles) {
        let at = memchr::memchr2(mark, b'"', bytes)?;
        if bytes.get(at) == Some(&mark) {
            return Some(at);
        }
    }
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for (i, b) in bytes.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            _ if !angle && marks.contains(b) => return Some(i),
            b'<' if angles => angle = true,
            b'>' if angles => angle = false,
            _ => {}
        }
    }
    None
}

/// The values of one header line, split at commas that stand outside quotes and `<>`.
#[derive(Clone, Debug)]
pub struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// The values of `line`.
    pub fn new(line: &'a [u8]) -> Self {
        Values(line)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            // Most lines hold one value: a comma is rare, and memchr says so at once.
            let at = match memchr::memchr(b',', self.0) {
                None => None,
                Some(_) => find_outside(self.0, b",", true),
            };
            let (value, rest) = match at {
                Some(i) => (self.0.get(..i).unwrap_or_default(), self.0.get(i + 1..).unwrap_or_default()),
                None => (self.0, &[][..]),
            };
            self.0 = rest;
            let value = trim(value);
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// Parameters: `a=b;c;d="e"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// The parameters in `bytes`, with or without a leading `;`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Params(bytes)
    }

    /// The value of a parameter (as it stands, quotes included); empty when it has none.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every parameter: name, value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    return None;
                }
                let end = find_outside(rest, b";", false).unwrap_or(rest.len());
                let param = rest.get(..end).unwrap_or_default();
                rest = rest.get(end + 1..).unwrap_or_default();
                let (name, value) = match memchr::memchr(b'=', param) {
                    Some(i) => (param.get(..i).unwrap_or_default(), param.get(i + 1..).unwrap_or_default()),
                    None => (param, &[][..]),
                };
                if !trim(name).is_empty() {
                    return Some((trim(name), trim(value)));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_angles_do_not_split() {
        let line = br#""A, \"B\", C" <sip:a,b@h;x=1,2>;p=1 , <sip:c@d>,, sip:e@f"#;
        let values: Vec<_> = Values::new(line).collect();
        assert_eq!(values, [&br#""A, \"B\", C" <sip:a,b@h;x=1,2>;p=1"#[..], b"<sip:c@d>", b"sip:e@f"]);
    }

    #[test]
    fn parameters() {
        let params = Params::new(br#" ; a = 1 ;b; C="x;\"y" ;;"#);
        assert_eq!(params.get("A"), Some(&b"1"[..]));
        assert_eq!(params.get("b"), Some(&b""[..]));
        assert_eq!(params.get("c"), Some(&br#""x;\"y""#[..]));
        assert!(!params.has("d"));
    }
}
