//! HEP version 3 (also called EEP): copies of messages for a collector such as Homer.
//!
//! A packet is the mark `HEP3`, its length, and chunks: vendor, type, length, content. Only the generic chunks
//! (vendor 0) are written (<https://github.com/sipcapture/HEP>).

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use thiserror::Error;

use crate::transport::Transport;

/// What does not fit into one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {0} bytes does not fit into a HEP packet")]
pub struct TooLarge(pub usize);

/// One message with where and when it went.
#[derive(Clone, Copy, Debug)]
pub struct HepPacket<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// Who was to get it.
    pub destination: SocketAddr,
    /// How it went; the collector is told UDP or TCP.
    pub transport: Transport,
    /// When, in microseconds since 1970-01-01 UTC.
    pub unix_us: u64,
    /// Who captured it: a number that the operator gives to each node.
    pub agent_id: u32,
    /// What the collector asks of its clients, if it does.
    pub auth_key: Option<&'a str>,
    /// What joins packets of one call: the Call-ID.
    pub correlation_id: Option<&'a [u8]>,
    /// The message.
    pub payload: &'a [u8],
}

/// The largest UDP payload over IPv4; the length field of HEP would allow 28 bytes more.
const PACKET_BYTES: usize = 65_507;

impl HepPacket<'_> {
    /// Writes the packet into `out`, in place of what was there.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        out.clear();
        out.extend_from_slice(b"HEP3\0\0");
        let (source, destination) = (self.source.ip().to_canonical(), self.destination.ip().to_canonical());
        // The values of AF_INET and AF_INET6 on Linux, whatever the machine.
        let (family, addresses) = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                (2, [(3, source.octets().to_vec()), (4, destination.octets().to_vec())])
            }
            _ => (10, [(5, octets(source)), (6, octets(destination))]),
        };
        let protocol = if self.transport.is_reliable() { 6 } else { 17 };
        chunk(out, 1, &[family]);
        chunk(out, 2, &[protocol]);
        for (kind, address) in &addresses {
            chunk(out, *kind, address);
        }
        chunk(out, 7, &self.source.port().to_be_bytes());
        chunk(out, 8, &self.destination.port().to_be_bytes());
        // Seconds have 32 bits, which last until 2106.
        chunk(out, 9, &((self.unix_us / 1_000_000) as u32).to_be_bytes());
        chunk(out, 10, &((self.unix_us % 1_000_000) as u32).to_be_bytes());
        chunk(out, 11, &[SIP]);
        chunk(out, 12, &self.agent_id.to_be_bytes());
        if let Some(key) = self.auth_key {
            chunk(out, 14, key.as_bytes());
        }
        if let Some(id) = self.correlation_id {
            chunk(out, 17, id);
        }
        chunk(out, 15, self.payload);
        if out.len() > PACKET_BYTES {
            out.clear();
            return Err(TooLarge(self.payload.len()));
        }
        let length = (out.len() as u16).to_be_bytes();
        if let Some(field) = out.get_mut(4..6) {
            field.copy_from_slice(&length);
        }
        Ok(())
    }
}

/// The protocol type of SIP.
const SIP: u8 = 1;

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A chunk of the generic vendor. One too long for its length field makes the packet too large, which is seen there.
fn chunk(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    let length = (content.len() + 6).min(usize::from(u16::MAX)) as u16;
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(content);
}

/// The Call-ID of a message, found without reading the rest of it.
pub(crate) fn call_id(message: &[u8]) -> Option<&[u8]> {
    let line = head(message).find(|line| is(message, line, &["call-id", "i"]))?;
    message.get(line.value.clone()).map(<[u8]>::trim_ascii)
}

/// Whether a call is among the `percent` of all calls: always the same answer for the same Call-ID, on every node, so
/// that all messages of a call are there or none.
pub(crate) fn sampled(call_id: &[u8], percent: u8) -> bool {
    // FNV-1a, then the finish of MurmurHash3, so that ids that count up spread evenly.
    let mut hash = call_id
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    (hash ^ (hash >> 33)) % 100 < u64::from(percent)
}

/// Takes out of a copy what a collector must not have, every byte replaced by `x` so that lengths stay true: digests
/// and other credentials, and keys of SRTP in SDP (RFC 4568). With `hide_users` also who calls whom: user parts of
/// URIs, display names, signed numbers, and bodies other than SDP.
pub(crate) fn redact(message: &mut [u8], hide_users: bool) {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    let mut sdp = false;
    for line in head(message) {
        end = line.value.end;
        let value = message.get(line.value.clone()).unwrap_or_default();
        let at = line.value.start;
        if is(message, &line, &["authorization", "proxy-authorization"]) {
            credentials(value, at, &mut hidden);
        } else if is(message, &line, &["authentication-info", "proxy-authentication-info"]) {
            parameters(value, at, &["qop", "nc"], &mut hidden);
        } else if is(message, &line, &["content-type", "c"]) {
            sdp = value
                .trim_ascii_start()
                .get(..15)
                .is_some_and(|v| v.eq_ignore_ascii_case(b"application/sdp"));
        }
        if hide_users {
            if is(message, &line, &["identity", "y"]) {
                hidden.push(line.value.clone());
            } else if is(message, &line, &NAMED) {
                display_names(value, at, &mut hidden);
            }
            users(value, at, &mut hidden);
        }
    }
    let body = message.get(end..).unwrap_or_default();
    if hide_users && !sdp {
        hidden.push(end..message.len());
    } else {
        srtp_keys(body, end, &mut hidden);
    }
    for range in hidden {
        for b in message.get_mut(range).unwrap_or_default() {
            if !b"\r\n".contains(b) {
                *b = b'x';
            }
        }
    }
}

/// Headers that name people.
const NAMED: [&str; 16] = [
    "from",
    "f",
    "to",
    "t",
    "contact",
    "m",
    "p-asserted-identity",
    "p-preferred-identity",
    "p-called-party-id",
    "remote-party-id",
    "diversion",
    "history-info",
    "referred-by",
    "b",
    "refer-to",
    "r",
];

/// The places of a header line. The first line of the message has no name.
struct Line {
    name: Range<usize>,
    /// With the lines that continue it.
    value: Range<usize>,
}

/// The first line and the header lines, up to the empty line. It takes what a strict parser would not: a message that
/// is broken goes to the collector too, and its credentials are as secret.
fn head(message: &[u8]) -> impl Iterator<Item = Line> + use<'_> {
    // Empty lines may stand before a message (RFC 3261 §7.5).
    let mut at = message.iter().take_while(|b| b"\r\n".contains(b)).count();
    let mut first = true;
    std::iter::from_fn(move || {
        let start = at;
        let rest = message.get(start..).filter(|rest| !rest.is_empty())?;
        if !first && (rest.starts_with(b"\n") || rest.starts_with(b"\r\n")) {
            return None;
        }
        loop {
            at = memchr::memchr(b'\n', message.get(at..)?).map_or(message.len(), |end| at + end + 1);
            if !message.get(at).is_some_and(|b| b" \t".contains(b)) {
                break;
            }
        }
        let colon = if first { None } else { memchr::memchr(b':', message.get(start..at)?) };
        first = false;
        Some(match colon {
            Some(colon) => Line { name: start..start + colon, value: start + colon + 1..at },
            None => Line { name: start..start, value: start..at },
        })
    })
}

fn is(message: &[u8], line: &Line, names: &[&str]) -> bool {
    let name = message.get(line.name.clone()).unwrap_or_default().trim_ascii();
    names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Authorization: of a digest what identifies nobody stays readable, of anything else only the scheme.
fn credentials(value: &[u8], at: usize, hidden: &mut Vec<Range<usize>>) {
    let skipped = value.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let rest = value.get(skipped..).unwrap_or_default();
    let scheme = rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
    let from = skipped + scheme;
    let params = value.get(from..).unwrap_or_default();
    if rest.get(..scheme).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Digest")) {
        parameters(params, at + from, &["realm", "uri", "algorithm", "qop", "nc"], hidden);
    } else {
        // Without white space there is no scheme, and all may be secret.
        let from = if params.trim_ascii().is_empty() { 0 } else { from };
        hidden.push(at + from..at + value.len());
    }
}

/// Hides the values of all parameters but those to `keep`, and of these too when they are not well-formed: a quote
/// that is missing would otherwise show what follows.
fn parameters(params: &[u8], at: usize, keep: &[&str], hidden: &mut Vec<Range<usize>>) {
    let mut start = 0;
    while start < params.len() {
        let (mut quoted, mut escaped) = (false, false);
        let rest = params.get(start..).unwrap_or_default();
        let length = rest.iter().position(|b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        });
        let param = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        let equals = memchr::memchr(b'=', param);
        let name = param.get(..equals.unwrap_or(0)).unwrap_or_default().trim_ascii();
        let from = equals.map_or(0, |equals| equals + 1);
        let text = param.get(from..).unwrap_or_default();
        let bare = text.trim_ascii();
        let inner = bare.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        let whole = !quoted && !inner.unwrap_or(bare).contains(&b'"');
        if !(whole && keep.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))) {
            // Quotes stay, so that the header still reads as one.
            let lead = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let from = start + from + lead + usize::from(inner.is_some());
            hidden.push(at + from..at + from + inner.unwrap_or(bare).len());
        }
        start += param.len() + 1;
    }
}

/// Hides display names: what stands before `<` in each value of a list.
fn display_names(value: &[u8], at: usize, hidden: &mut Vec<Range<usize>>) {
    let (mut quoted, mut escaped, mut start, mut named) = (false, false, 0, false);
    for (i, b) in value.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'<' if !named => {
                named = true;
                for (k, b) in value.get(start..i).unwrap_or_default().iter().enumerate() {
                    if !b" \t\"".contains(b) {
                        hidden.push(at + start + k..at + start + k + 1);
                    }
                }
            }
            b',' => (start, named) = (i + 1, false),
            _ => {}
        }
    }
}

/// Hides the user parts of sip: and sips: URIs, and the numbers of tel: URIs. Each byte is looked at a fixed number of
/// times, whatever the value holds.
fn users(value: &[u8], at: usize, hidden: &mut Vec<Range<usize>>) {
    // Up to here all is hidden or holds no URI; and where the word ends that the last URI stands in.
    let (mut done, mut end) = (0, 0);
    let mut at_sign = None;
    for colon in memchr::memchr_iter(b':', value) {
        if colon < done {
            continue;
        }
        let rest = value.get(colon + 1..).unwrap_or_default();
        if colon >= end {
            let word = rest.iter().position(|b| b.is_ascii_whitespace() || b"<>\"".contains(b));
            end = word.map_or(value.len(), |word| colon + 1 + word);
            at_sign = None;
        }
        let uri = rest.get(..end - colon - 1).unwrap_or_default();
        let scheme = |name: &str| {
            let from = colon.checked_sub(name.len());
            let word = from.and_then(|from| value.get(from..colon));
            // `xsip:` is another scheme.
            let alone = from.is_some_and(|from| from == 0 || !alphabetic(value, from - 1));
            alone && word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        let user_end = if scheme("tel") {
            let number = uri.iter().position(|b| b";,?".contains(b));
            Some(number.map_or(end, |number| colon + 1 + number))
        } else if scheme("sip") || scheme("sips") {
            // The first `@` of the word that is not behind us; looked for once.
            let found = at_sign.filter(|found: &Option<usize>| found.is_none_or(|found| found > colon));
            let found = found.unwrap_or_else(|| memchr::memchr(b'@', uri).map(|found| colon + 1 + found));
            at_sign = Some(found);
            found
        } else {
            None
        };
        if let Some(user_end) = user_end {
            hidden.push(at + colon + 1..at + user_end);
            done = user_end;
        }
    }
}

fn alphabetic(value: &[u8], at: usize) -> bool {
    value.get(at).is_some_and(u8::is_ascii_alphabetic)
}

/// Hides the keys of `a=crypto` lines: what stands between `inline:` and the next `|`, `;`, space or line end.
fn srtp_keys(body: &[u8], at: usize, hidden: &mut Vec<Range<usize>>) {
    const MARK: &[u8] = b"inline:";
    let mut done = 0;
    for colon in memchr::memchr_iter(b':', body) {
        let from = colon + 1;
        let mark = from.checked_sub(MARK.len()).and_then(|start| body.get(start..from));
        if from < done || !mark.is_some_and(|mark| mark.eq_ignore_ascii_case(MARK)) {
            continue;
        }
        let rest = body.get(from..).unwrap_or_default();
        let length = rest.iter().position(|b| b.is_ascii_whitespace() || b"|;".contains(b));
        done = from + length.unwrap_or(rest.len());
        hidden.push(at + from..at + done);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A decoder written from the specification's tables, apart from the encoder: chunk type to content.
    pub(crate) fn decode(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
        let number = |bytes: &[u8]| bytes.iter().fold(0usize, |n, b| n * 256 + *b as usize);
        assert_eq!(&packet[..4], b"HEP3");
        assert_eq!(number(&packet[4..6]), packet.len(), "the length counts the whole packet");
        let mut chunks = BTreeMap::new();
        let mut rest = &packet[6..];
        while !rest.is_empty() {
            assert_eq!(number(&rest[0..2]), 0, "the generic vendor");
            let (kind, length) = (number(&rest[2..4]) as u16, number(&rest[4..6]));
            assert!(length >= 6, "the length counts the chunk's head");
            assert!(chunks.insert(kind, rest[6..length].to_vec()).is_none(), "chunk {kind} comes twice");
            rest = &rest[length..];
        }
        let size = |kind: u16, bytes: usize| {
            if let Some(content) = chunks.get(&kind) {
                assert_eq!(content.len(), bytes, "chunk {kind}");
            }
        };
        for (kind, bytes) in [
            (1, 1),
            (2, 1),
            (3, 4),
            (4, 4),
            (5, 16),
            (6, 16),
            (7, 2),
            (8, 2),
            (9, 4),
            (10, 4),
            (11, 1),
            (12, 4),
        ] {
            size(kind, bytes);
        }
        chunks
    }

    fn packet<'a>(source: &str, destination: &str, payload: &'a [u8]) -> HepPacket<'a> {
        HepPacket {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            transport: Transport::Udp,
            unix_us: 1_443_208_345_123_456,
            agent_id: 2001,
            auth_key: None,
            correlation_id: None,
            payload,
        }
    }

    #[test]
    fn chunk_by_chunk() {
        let mut out = vec![1, 2, 3];
        packet("192.0.2.1:5060", "198.51.100.2:5070", b"OPTIONS sip:a SIP/2.0\r\n\r\n")
            .encode(&mut out)
            .unwrap();
        let chunks = decode(&out);
        assert_eq!(chunks.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 15]);
        assert_eq!((&chunks[&1][..], &chunks[&2][..]), (&[2][..], &[17][..]));
        assert_eq!((&chunks[&3][..], &chunks[&4][..]), (&[192, 0, 2, 1][..], &[198, 51, 100, 2][..]));
        assert_eq!(
            (&chunks[&7][..], &chunks[&8][..]),
            (&5060u16.to_be_bytes()[..], &5070u16.to_be_bytes()[..])
        );
        assert_eq!(chunks[&9], 1_443_208_345u32.to_be_bytes());
        assert_eq!(chunks[&10], 123_456u32.to_be_bytes());
        assert_eq!((&chunks[&11][..], &chunks[&12][..]), (&[1][..], &2001u32.to_be_bytes()[..]));
        assert_eq!(chunks[&15], b"OPTIONS sip:a SIP/2.0\r\n\r\n");

        let mut full = packet("[2001:db8::1]:5061", "[2001:db8::2]:5061", b"x");
        (full.transport, full.auth_key, full.correlation_id) =
            (Transport::Tls, Some("secret"), Some(&b"call-1@here"[..]));
        full.encode(&mut out).unwrap();
        let chunks = decode(&out);
        assert_eq!(chunks.keys().copied().collect::<Vec<_>>(), [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 17]);
        assert_eq!((chunks[&1][0], chunks[&2][0]), (10, 6));
        assert_eq!(chunks[&5][15], 1);
        assert_eq!((&chunks[&14][..], &chunks[&17][..]), (&b"secret"[..], &b"call-1@here"[..]));

        // IPv4 that came in on an IPv6 socket is IPv4; a mixed pair is IPv6.
        packet("[::ffff:192.0.2.1]:1", "192.0.2.2:2", b"").encode(&mut out).unwrap();
        assert_eq!(decode(&out)[&3], [192, 0, 2, 1]);
        packet("[2001:db8::1]:1", "192.0.2.2:2", b"").encode(&mut out).unwrap();
        assert_eq!(decode(&out)[&6][10..], [0xff, 0xff, 192, 0, 2, 2]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = Vec::new();
        let most = PACKET_BYTES - 6 - (6 * 11 + 1 + 1 + 4 + 4 + 2 + 2 + 4 + 4 + 1 + 4);
        packet("192.0.2.1:1", "192.0.2.1:1", &vec![b'x'; most]).encode(&mut out).unwrap();
        assert_eq!((out.len(), decode(&out)[&15].len()), (PACKET_BYTES, most));
        for more in [most + 1, 70_000] {
            let refused = packet("192.0.2.1:1", "192.0.2.1:1", &vec![b'x'; more]).encode(&mut out);
            assert_eq!((refused, out.len()), (Err(TooLarge(more)), 0));
        }
    }

    const INVITE: &str = "INVITE sip:+15551230001@carrier.example;user=phone SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        From: \"Ann +15551230002\" <sip:+15551230002@192.0.2.1>;tag=1\r\n\
        t: Bob Smith <tel:+15551230001;phone-context=x>, sip:carol@h\r\n\
        i:  call-1@here \r\n\
        Identity: eyJ.eyJ.c2ln;info=<https://x/y>\r\n\
        Proxy-Authorization: Digest username=\"ann\", realm=\"r\",\r\n\
        \tnonce=\"n0nce\", uri=\"sip:+15551230001@h\", response=\"0123456789abcdef\" , cnonce=c1,qop=auth, nc=00000001\r\n\
        Content-Type: application/sdp\r\n\
        \r\n\
        v=0\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3|2^20|1:32\r\n";

    fn redacted(message: &str, hide_users: bool) -> String {
        let mut bytes = message.as_bytes().to_vec();
        redact(&mut bytes, hide_users);
        assert_eq!(bytes.len(), message.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn credentials_and_keys_are_taken_out() {
        let expected = INVITE
            .replace("\"ann\"", "\"xxx\"")
            .replace("n0nce", "xxxxx")
            .replace("0123456789abcdef", "xxxxxxxxxxxxxxxx")
            .replace("cnonce=c1", "cnonce=xx")
            .replace("d0RmdmcmVCspeEc3", "xxxxxxxxxxxxxxxx");
        assert_eq!(redacted(INVITE, false), expected);
        let answer = "SIP/2.0 200 OK\r\nAuthentication-Info: rspauth=\"abc\", nc=1\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n";
        assert_eq!(redacted(answer, false), answer.replace("abc", "xxx"));
        for (line, expected) in [
            ("Authorization: Bearer abc.def", "Authorization: Bearerxxxxxxxx"),
            ("Authorization: abc", "Authorization:xxxx"),
            ("AUTHORIZATION : digest response=abc", "AUTHORIZATION : digest response=xxx"),
            // A quote is missing: nothing behind it is shown.
            (
                "Authorization: Digest realm=\"r, response=\"abc\"",
                "Authorization: Digest realm=\"xxxxxxxxxxxxxxxx\"",
            ),
            ("Authorization: Digest realm=\"r\"abc", "Authorization: Digest realm=xxxxxx"),
            ("Authorization: Digest abc", "Authorization: Digest xxx"),
        ] {
            for rest in ["\r\n\r\n", "\n\n", ""] {
                let message = format!("\r\n\r\nBYE sip:a SIP/2.0\r\n{line}{rest}");
                assert_eq!(
                    redacted(&message, false),
                    format!("\r\n\r\nBYE sip:a SIP/2.0\r\n{expected}{rest}")
                );
            }
        }
    }

    #[test]
    fn people_are_taken_out_when_asked() {
        let hidden = redacted(INVITE, true);
        for secret in ["1555", "Ann", "Bob", "Smith", "carol", "eyJ", "d0Rm", "0123456789abcdef"] {
            assert!(!hidden.contains(secret), "{secret} in {hidden}");
        }
        for kept in [
            "INVITE sip:xxxxxxxxxxxx@carrier.example;user=phone SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
            "From: \"xxx xxxxxxxxxxxx\" <sip:xxxxxxxxxxxx@192.0.2.1>;tag=1",
            "t: xxx xxxxx <tel:xxxxxxxxxxxx;phone-context=x>, sip:xxxxx@h",
            "i:  call-1@here ",
            "uri=\"sip:xxxxxxxxxxxx@h\"",
            "v=0",
        ] {
            assert!(hidden.contains(kept), "{kept} not in {hidden}");
        }
        let keys = "INFO sip:a SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\n";
        assert_eq!(redacted(keys, true), keys.replace("Signal=5", "xxxxxxxx"));
        assert_eq!(redacted(keys, false), keys);
    }

    #[test]
    fn a_call_is_sampled_as_a_whole_and_evenly() {
        assert_eq!(call_id(INVITE.as_bytes()), Some(&b"call-1@here"[..]));
        assert_eq!(call_id(b"SIP/2.0 200 OK\r\nCALL-ID : a\r\n b\r\n\r\ni: c\r\n"), Some(&b"a\r\n b"[..]));
        assert_eq!(call_id(b"SIP/2.0 200 OK\r\n\r\ni: c\r\n"), None);
        for percent in [0u8, 1, 10, 50, 100] {
            let hits = (0..20_000).filter(|i| sampled(format!("call-{i}@here").as_bytes(), percent)).count();
            let expected = 200 * usize::from(percent);
            assert!(hits.abs_diff(expected) <= expected / 5, "{hits} of {expected}");
        }
    }

    /// Messages made to be slow: each would take minutes if anything were looked at again and again.
    #[test]
    fn nothing_is_quadratic() {
        for part in
            ["sip:", "tel:", "sip:a@", "inline:", "\r\n", "\r\n ", "<", "\"", ",", "a=\\,", "x:\r\n", "@:"]
        {
            for head in ["", "BYE sip:a SIP/2.0\r\nFrom: ", "\nAuthorization: Digest ", "a\r\n\r\n"] {
                let mut message = format!("{head}{}", part.repeat(200_000 / part.len())).into_bytes();
                let _ = call_id(&message);
                redact(&mut message, true);
                redact(&mut message, false);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(mut message: Vec<u8>, hide_users: bool) {
            let length = message.len();
            let _ = call_id(&message);
            redact(&mut message, hide_users);
            prop_assert_eq!(message.len(), length);
        }

        #[test]
        fn a_digest_never_shows(
            before in "[ -~\r\n\t]{0,40}",
            params in "[a-z=\", \\\\\t]{0,30}",
            hide_users: bool,
        ) {
            // Whatever stands before it in the line, the response's value is gone.
            let mut message = format!(
                "BYE sip:a SIP/2.0\r\nX: {}\r\nAuthorization: Digest {params}, response=\"S3CRET\"\r\n\r\n",
                before.replace(['\r', '\n'], " ")
            ).into_bytes();
            redact(&mut message, hide_users);
            prop_assert!(!String::from_utf8_lossy(&message).contains("S3CRET"));
        }
    }
}
