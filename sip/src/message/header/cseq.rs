//! CSeq.

use super::params::trim;

/// A CSeq value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number.
    pub number: u32,
    /// The method.
    pub method: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// Reads a value. Numbers above 2^31 are refused (RFC 3261 §8.1.1.5).
    pub fn parse(value: &'a [u8]) -> Option<CSeq<'a>> {
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(value.get(..digits)?).ok()?.parse::<u32>().ok()?;
        let method = trim(value.get(digits..)?);
        (number <= i32::MAX as u32 && !method.is_empty()).then_some(CSeq { number, method })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_limit() {
        assert_eq!(CSeq::parse(b"0009   INVITE"), Some(CSeq { number: 9, method: b"INVITE" }));
        assert_eq!(CSeq::parse(b"36893488147419103232 REGISTER"), None);
        assert_eq!(CSeq::parse(b"3000000000 INVITE"), None);
        assert_eq!(CSeq::parse(b"INVITE 5"), None);
        assert_eq!(CSeq::parse(b"7"), None);
    }
}
