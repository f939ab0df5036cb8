//! The keep-alive of phones on UDP (RFC 5626 §3.5.2): a STUN Binding request to the SIP port.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Whether a datagram is a STUN Binding request (RFC 5389 §6). No SIP message begins with a zero.
pub(crate) fn is_request(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0, 1]) && datagram.get(4..8) == Some(&MAGIC_COOKIE) && datagram.len() >= 20
}

/// The Binding response: where the request came from, as XOR-MAPPED-ADDRESS (RFC 5389 §15.2).
pub(crate) fn answer(request: &[u8], from: SocketAddr) -> Bytes {
    let transaction = request.get(8..20).unwrap_or_default();
    let mask = MAGIC_COOKIE.iter().chain(transaction);
    let (family, address) = match from.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let [high, low] = from.port().to_be_bytes();
    let mut value = vec![0, family, high ^ MAGIC_COOKIE[0], low ^ MAGIC_COOKIE[1]];
    value.extend(address.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    let length = value.len() as u8;
    let mut out = vec![1, 1, 0, length + 4];
    out.extend_from_slice(&MAGIC_COOKIE);
    out.extend_from_slice(transaction);
    out.extend_from_slice(&[0, 0x20, 0, length]);
    out.extend_from_slice(&value);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction and addresses of RFC 5769 §2.2 and §2.3, without the attributes that we do not send.
    #[test]
    fn examples_of_rfc_5769() {
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
        assert!(
            is_request(&request) && !is_request(&request[..19]) && !is_request(b"REGISTER sip:h SIP/2.0")
        );
        let response = answer(&request, "192.0.2.1:32853".parse().unwrap());
        assert_eq!(response[..4], [1, 1, 0, 12]);
        assert_eq!(response[4..20], request[4..20]);
        assert_eq!(response[20..], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let response = answer(&request, "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap());
        let expected = [
            0, 0x20, 0, 0x14, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25,
            0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(response[20..], expected);
    }
}
