//! STUN (RFC 8489) as far as an ICE-lite agent needs it: binding requests in, success responses out. Whatever is not a
//! well-formed request with our ufrag and a right MESSAGE-INTEGRITY gets silence.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::limits::MAX_STUN_BYTES;

const MAGIC_COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
/// "STUN", XORed into the checksum (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Bytes of a MESSAGE-INTEGRITY attribute, its header included.
const INTEGRITY: usize = 24;
/// Bytes of a FINGERPRINT attribute, its header included.
const FINGERPRINT_LEN: usize = 8;

/// The first part of our ufrag, which names a leg for its whole life; the rest changes with each ICE restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegTag([u8; LegTag::LEN]);

impl LegTag {
    /// 48 bits of chance: two legs of one shard never meet.
    pub(crate) const LEN: usize = 8;

    /// A tag of characters that a ufrag may have.
    pub(super) const fn new(characters: [u8; LegTag::LEN]) -> LegTag {
        LegTag(characters)
    }

    fn of(ufrag: &str) -> Option<LegTag> {
        ufrag.as_bytes().first_chunk().map(|tag| LegTag(*tag))
    }
}

impl fmt::Display for LegTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for LegTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LegTag({self})")
    }
}

/// The leg that a STUN binding request is for. Nothing is verified here; the leg does that.
pub fn leg_tag_of(datagram: &[u8]) -> Option<LegTag> {
    let request = BindingRequest::parse(datagram)?;
    LegTag::of(request.username.split_once(':')?.0)
}

/// The key of MESSAGE-INTEGRITY for a password (RFC 8489 §9.1.1: short-term credentials).
pub(super) fn integrity_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// A binding request whose form and FINGERPRINT are right.
pub(super) struct BindingRequest<'a> {
    datagram: &'a [u8],
    transaction: [u8; 12],
    /// Ours and theirs: `local:remote` (RFC 8445 §7.2.2).
    pub(super) username: &'a str,
    pub(super) use_candidate: bool,
    integrity_at: usize,
}

impl<'a> BindingRequest<'a> {
    pub(super) fn parse(datagram: &'a [u8]) -> Option<BindingRequest<'a>> {
        let (header, mut rest) = datagram.split_first_chunk::<HEADER>()?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if u16::from_be_bytes([t0, t1]) != BINDING_REQUEST
            || u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE
            || length != rest.len()
            || length % 4 != 0
            || datagram.len() > MAX_STUN_BYTES
        {
            return None;
        }
        let (mut username, mut integrity_at, mut use_candidate, mut fingerprint) = (None, None, false, false);
        while let Some(([k0, k1, n0, n1], after)) = rest.split_first_chunk::<4>() {
            let at = datagram.len() - rest.len();
            let length = usize::from(u16::from_be_bytes([*n0, *n1]));
            let value = after.get(..length)?;
            rest = after.get(length.next_multiple_of(4)..)?;
            match u16::from_be_bytes([*k0, *k1]) {
                FINGERPRINT => {
                    // It is the last attribute and covers all before it (RFC 8489 §14.7).
                    let sum = crc32(datagram.get(..at)?) ^ FINGERPRINT_XOR;
                    if value != sum.to_be_bytes() || !rest.is_empty() {
                        return None;
                    }
                    fingerprint = true;
                }
                // What follows MESSAGE-INTEGRITY is not covered by it: passed over (RFC 8489 §14.5).
                _ if integrity_at.is_some() => {}
                MESSAGE_INTEGRITY if length == INTEGRITY - 4 => integrity_at = Some(at),
                USERNAME => username = std::str::from_utf8(value).ok(),
                USE_CANDIDATE => use_candidate = true,
                _ => {}
            }
        }
        // ICE uses FINGERPRINT and MESSAGE-INTEGRITY on every check (RFC 8445 §7.1, RFC 8839).
        fingerprint.then_some(())?;
        let (username, integrity_at) = (username?, integrity_at?);
        Some(BindingRequest { datagram, transaction, username, use_candidate, integrity_at })
    }

    /// Whether MESSAGE-INTEGRITY is right. The length in the header counts as if the message ended with that attribute
    /// (RFC 8489 §14.5).
    pub(super) fn is_authentic(&self, key: &hmac::Key) -> bool {
        let end = self.integrity_at + INTEGRITY;
        let (Some(kind), Some(rest), Some(tag)) = (
            self.datagram.get(..2),
            self.datagram.get(4..self.integrity_at),
            self.datagram.get(self.integrity_at + 4..end),
        ) else {
            return false;
        };
        let mut context = hmac::Context::with_key(key);
        context.update(kind);
        context.update(&message_length(end));
        context.update(rest);
        verify_slices_are_equal(context.sign().as_ref(), tag).is_ok()
    }

    /// The success response: the source address as we see it, with integrity and fingerprint (RFC 8445 §7.3.1).
    pub(super) fn success(&self, key: &hmac::Key, source: SocketAddr) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend(BINDING_SUCCESS.to_be_bytes());
        out.extend([0, 0]);
        out.extend(MAGIC_COOKIE.to_be_bytes());
        out.extend(self.transaction);
        xor_mapped_address(&mut out, source, &self.transaction);
        let at = out.len();
        set_length(&mut out, at + INTEGRITY);
        let tag = hmac::sign(key, &out);
        attribute(&mut out, MESSAGE_INTEGRITY, tag.as_ref());
        let at = out.len();
        set_length(&mut out, at + FINGERPRINT_LEN);
        let sum = crc32(&out) ^ FINGERPRINT_XOR;
        attribute(&mut out, FINGERPRINT, &sum.to_be_bytes());
        out
    }
}

/// RFC 8489 §14.2: the port under the cookie's upper half, the address under cookie and transaction.
fn xor_mapped_address(out: &mut Vec<u8>, source: SocketAddr, transaction: &[u8; 12]) {
    let [c0, c1, ..] = MAGIC_COOKIE.to_be_bytes();
    let port = source.port() ^ u16::from_be_bytes([c0, c1]);
    let mask = MAGIC_COOKIE.to_be_bytes().into_iter().chain(*transaction);
    let (family, ip): (u8, Vec<u8>) = match source.ip() {
        IpAddr::V4(ip) => (1, ip.octets().into_iter().zip(mask).map(|(b, m)| b ^ m).collect()),
        IpAddr::V6(ip) => (2, ip.octets().into_iter().zip(mask).map(|(b, m)| b ^ m).collect()),
    };
    let mut value = vec![0, family];
    value.extend(port.to_be_bytes());
    value.extend(ip);
    attribute(out, XOR_MAPPED_ADDRESS, &value);
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The length field of a message that ends at `end`.
fn message_length(end: usize) -> [u8; 2] {
    u16::try_from(end.saturating_sub(HEADER)).unwrap_or(0).to_be_bytes()
}

fn set_length(message: &mut [u8], end: usize) {
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&message_length(end));
    }
}

/// The CRC-32 of ITU V.42, by nibbles: messages are short and rare, so a table of 16 is enough.
fn crc32(data: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0u32; 16];
        let mut n = 0;
        while n < 16 {
            let mut value = n as u32;
            let mut bit = 0;
            while bit < 4 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            #[allow(clippy::indexing_slicing)] // evaluated at compile time
            {
                table[n] = value;
            }
            n += 1;
        }
        table
    };
    #[allow(clippy::indexing_slicing)] // masked to 0..16
    let step = |crc: u32| (crc >> 4) ^ TABLE[(crc & 0x0f) as usize];
    !data.iter().fold(!0, |crc, byte| step(step(crc ^ u32::from(*byte))))
}

/// The browser's side of a check, for tests.
#[cfg(test)]
pub(super) mod client {
    use super::*;

    pub(crate) fn binding_request(
        username: &str,
        password: &str,
        transaction: [u8; 12],
        use_candidate: bool,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(BINDING_REQUEST.to_be_bytes());
        out.extend([0, 0]);
        out.extend(MAGIC_COOKIE.to_be_bytes());
        out.extend(transaction);
        attribute(&mut out, USERNAME, username.as_bytes());
        // An attribute of a browser's own, PRIORITY and ICE-CONTROLLING.
        attribute(&mut out, 0xC057, &[0, 1, 0, 0]);
        attribute(&mut out, 0x0024, &[0x6e, 0x7f, 0x1e, 0xff]);
        attribute(&mut out, 0x802A, &[9; 8]);
        if use_candidate {
            attribute(&mut out, USE_CANDIDATE, &[]);
        }
        let at = out.len();
        set_length(&mut out, at + INTEGRITY);
        let tag = hmac::sign(&integrity_key(password), &out);
        attribute(&mut out, MESSAGE_INTEGRITY, tag.as_ref());
        sealed(out)
    }

    /// Appends the fingerprint.
    pub(crate) fn sealed(mut out: Vec<u8>) -> Vec<u8> {
        let at = out.len();
        set_length(&mut out, at + FINGERPRINT_LEN);
        let sum = crc32(&out) ^ FINGERPRINT_XOR;
        attribute(&mut out, FINGERPRINT, &sum.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    /// RFC 5769 §2.1: a request of an ICE agent.
    const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
        802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36\
        000600096576746a3a683676592020200008\
        00149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";

    fn request() -> Vec<u8> {
        crate::srtp::tests::hex(REQUEST)
    }

    #[test]
    fn the_request_of_rfc_5769() {
        let bytes = request();
        let parsed = BindingRequest::parse(&bytes).unwrap();
        assert_eq!(parsed.username, "evtj:h6vY");
        assert!(!parsed.use_candidate);
        assert!(parsed.is_authentic(&integrity_key(PASSWORD)));
        assert!(!parsed.is_authentic(&integrity_key("another")));
    }

    /// RFC 5769 §2.2 and 2.3 without the SOFTWARE attribute: the mapped addresses are theirs.
    #[test]
    fn mapped_addresses_of_rfc_5769() {
        let bytes = request();
        let parsed = BindingRequest::parse(&bytes).unwrap();
        let response = parsed.success(&integrity_key(PASSWORD), "192.0.2.1:32853".parse().unwrap());
        assert_eq!(response[20..32], crate::srtp::tests::hex("002000080001a147e112a643")[..]);
        let source = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let response = parsed.success(&integrity_key(PASSWORD), source);
        assert_eq!(
            response[20..44],
            crate::srtp::tests::hex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")[..]
        );
    }

    #[test]
    fn the_checksum() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_request_names_its_leg() {
        let bytes = client::binding_request("abcdefgh1234:theirs", "secret", [1; 12], true);
        assert_eq!(leg_tag_of(&bytes), LegTag::of("abcdefgh"));
        let parsed = BindingRequest::parse(&bytes).unwrap();
        assert!(parsed.use_candidate && parsed.is_authentic(&integrity_key("secret")));
        assert_eq!(leg_tag_of(&client::binding_request("short:x", "secret", [1; 12], true)), None);
        assert_eq!(leg_tag_of(b"\x00\x01"), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(leg_tag_of(&bytes).is_none());
        }

        /// Attributes of any kind and length, with a right header and a right fingerprint.
        #[test]
        fn random_attributes_never_panic(
            attributes in proptest::collection::vec((0u16..0x40, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        ) {
            let mut bytes = request()[..HEADER].to_vec();
            attributes.iter().for_each(|(kind, value)| attribute(&mut bytes, *kind, value));
            let bytes = client::sealed(bytes);
            if let Some(parsed) = BindingRequest::parse(&bytes) {
                prop_assert!(!parsed.is_authentic(&integrity_key(PASSWORD)));
            }
        }

        #[test]
        fn one_flipped_bit_is_noticed(at in 0usize..108, bit in 0u8..8) {
            let mut bytes = request();
            bytes[at] ^= 1 << bit;
            let accepted = BindingRequest::parse(&bytes).is_some_and(|r| r.is_authentic(&integrity_key(PASSWORD)));
            prop_assert!(!accepted);
        }
    }
}
