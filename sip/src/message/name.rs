//! Header names, long and compact, in one table.

macro_rules! names {
    ($($variant:ident $long:literal $compact:literal),+ $(,)?) => {
        /// A header name that this crate knows; all others are [`Name::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        #[allow(missing_docs)] // the names say it
        pub enum Name { $($variant),+, Other }

        /// Name, long form, compact form (0 when there is none).
        static TABLE: &[(Name, &str, u8)] = &[$((Name::$variant, $long, $compact)),+];
        /// How a line begins, in the order of [`TABLE`].
        static PREFIXES: &[&str] = &[$(concat!($long, ": ")),+];
    };
}

names! {
    Via "Via" b'v',
    From "From" b'f',
    To "To" b't',
    CallId "Call-ID" b'i',
    CSeq "CSeq" 0,
    Contact "Contact" b'm',
    MaxForwards "Max-Forwards" 0,
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    ContentEncoding "Content-Encoding" b'e',
    Route "Route" 0,
    RecordRoute "Record-Route" 0,
    Allow "Allow" 0,
    Supported "Supported" b'k',
    Require "Require" 0,
    Unsupported "Unsupported" 0,
    Accept "Accept" 0,
    UserAgent "User-Agent" 0,
    Server "Server" 0,
    Reason "Reason" 0,
    RetryAfter "Retry-After" 0,
    WwwAuthenticate "WWW-Authenticate" 0,
    ProxyAuthenticate "Proxy-Authenticate" 0,
    Authorization "Authorization" 0,
    ProxyAuthorization "Proxy-Authorization" 0,
    PAssertedIdentity "P-Asserted-Identity" 0,
    PPreferredIdentity "P-Preferred-Identity" 0,
    RemotePartyId "Remote-Party-ID" 0,
    Privacy "Privacy" 0,
    Expires "Expires" 0,
    Subject "Subject" b's',
    Date "Date" 0,
    Warning "Warning" 0,
    RSeq "RSeq" 0,
    RAck "RAck" 0,
    SessionExpires "Session-Expires" b'x',
    MinSe "Min-SE" 0,
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    Replaces "Replaces" 0,
    Event "Event" b'o',
    AllowEvents "Allow-Events" b'u',
    Identity "Identity" b'y',
}

/// One more than the longest name.
const LENGTHS: usize = 21;
/// Names of the same length and first letter.
const ALIKE: usize = 2;

#[allow(clippy::indexing_slicing)] // evaluated by the compiler: it would not build
/// Table rows by the length and the first letter of the long form; 255 is no row.
static BY_SHAPE: [[[u8; ALIKE]; 26]; LENGTHS] = {
    let mut rows = [[[255u8; ALIKE]; 26]; LENGTHS];
    let mut i = 0;
    while i < TABLE.len() {
        let name = TABLE[i].1.as_bytes();
        let letter = (name[0].to_ascii_lowercase() - b'a') as usize;
        let mut k = 0;
        while rows[name.len()][letter][k] != 255 {
            k += 1;
        }
        rows[name.len()][letter][k] = i as u8;
        i += 1;
    }
    rows
};

#[allow(clippy::indexing_slicing)] // as above
/// Table rows by compact letter; 255 is no row.
static BY_LETTER: [u8; 26] = {
    let mut rows = [255u8; 26];
    let mut i = 0;
    while i < TABLE.len() {
        if TABLE[i].2 != 0 {
            rows[(TABLE[i].2 - b'a') as usize] = i as u8;
        }
        i += 1;
    }
    rows
};

impl Name {
    /// The name that `bytes` spell, in either form and any case.
    pub fn of(bytes: &[u8]) -> Name {
        let Some(first) = bytes.first() else { return Name::Other };
        let letter = usize::from(first.to_ascii_lowercase().wrapping_sub(b'a'));
        if bytes.len() == 1 {
            let row = BY_LETTER.get(letter);
            return row.and_then(|r| TABLE.get(usize::from(*r))).map_or(Name::Other, |entry| entry.0);
        }
        let Some(rows) = BY_SHAPE.get(bytes.len()).and_then(|letters| letters.get(letter)) else {
            return Name::Other;
        };
        for row in rows {
            let Some((name, long, _)) = TABLE.get(usize::from(*row)) else { break };
            // Nearly all peers write the usual form: comparing that is cheap.
            if long.as_bytes() == bytes || long.as_bytes().eq_ignore_ascii_case(bytes) {
                return *name;
            }
        }
        Name::Other
    }

    /// The long form; empty for [`Name::Other`].
    pub fn as_str(self) -> &'static str {
        TABLE.get(self as usize).map_or("", |entry| entry.1)
    }

    /// How a header line begins: the long form, a colon and a space; empty for [`Name::Other`].
    pub(super) fn prefix(self) -> &'static str {
        PREFIXES.get(self as usize).copied().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_every_form() {
        for (name, long, compact) in TABLE {
            assert_eq!(Name::of(long.as_bytes()), *name);
            assert_eq!(Name::of(long.to_lowercase().as_bytes()), *name);
            assert_eq!(name.as_str(), *long);
            assert_eq!(name.prefix(), format!("{long}: "));
            if *compact != 0 {
                assert_eq!(Name::of(&[*compact]), *name);
                assert_eq!(Name::of(&[compact.to_ascii_uppercase()]), *name);
            }
        }
        assert_eq!(Name::of(b"X-Anything"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
        assert_eq!(Name::of(b"z"), Name::Other);
        assert_eq!(Name::of(b"1"), Name::Other);
    }
}
