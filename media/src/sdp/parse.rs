//! Bytes to a [`Description`]: what is understood is kept, what is odd is passed over.

use std::net::IpAddr;

use super::types::{Attribute, Description, Host, Media};
use crate::limits::{MAX_SDP_BYTES, MAX_SDP_LINES, MAX_SDP_STREAMS};

/// Why a body is not a session description. The sender is at fault in each case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Longer, or of more lines or streams, than any real description.
    #[error("the session description is too large")]
    TooLarge,
    /// No line of it is one of SDP.
    #[error("the body is not a session description")]
    NotSdp,
    /// An `m=` line without kind, port and transport.
    #[error("malformed media line: {0}")]
    MediaLine(String),
}

/// Reads a description, or a fragment of one (RFC 8840). Any line end will do, unknown and empty lines are passed
/// over, bytes that are not UTF-8 are replaced: carriers send all of these.
pub(crate) fn parse(body: &[u8]) -> Result<Description, SdpError> {
    if body.len() > MAX_SDP_BYTES {
        return Err(SdpError::TooLarge);
    }
    let text = String::from_utf8_lossy(body);
    let mut description = Description::default();
    let mut known_lines = 0usize;
    for line in text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once('=') else { continue };
        known_lines += 1;
        if known_lines > MAX_SDP_LINES {
            return Err(SdpError::TooLarge);
        }
        let value = value.trim();
        match name.trim() {
            "o" => description.origin = Some(value.to_owned()),
            "m" if description.media.len() == MAX_SDP_STREAMS => return Err(SdpError::TooLarge),
            "m" => description.media.push(media_line(value)?),
            "c" => {
                let connection = connection_line(value);
                match description.media.last_mut() {
                    // A stream may have several c= lines (layered multicast, RFC 8866 §5.7); the first one is ours.
                    Some(media) => media.connection = media.connection.take().or(connection),
                    None => description.connection = connection,
                }
            }
            "a" => {
                let attribute = match value.split_once(':') {
                    Some((name, value)) => Attribute::new(name.trim(), value.trim()),
                    None => Attribute::flag(value),
                };
                match description.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => description.attributes.push(attribute),
                }
            }
            "v" | "s" | "t" | "b" | "i" | "u" | "e" | "p" | "r" | "z" | "k" => {}
            _ => known_lines -= 1,
        }
    }
    if known_lines == 0 { Err(SdpError::NotSdp) } else { Ok(description) }
}

fn media_line(value: &str) -> Result<Media, SdpError> {
    let malformed = || SdpError::MediaLine(value.chars().take(80).collect());
    let mut words = value.split_whitespace();
    let (Some(kind), Some(port), Some(proto)) = (words.next(), words.next(), words.next()) else {
        return Err(malformed());
    };
    // "49170/2" counts ports; the first is the one (RFC 8866 §5.14).
    let port = port.split('/').next().and_then(|p| p.parse().ok()).ok_or_else(malformed)?;
    Ok(Media {
        kind: kind.to_owned(),
        port,
        proto: proto.to_owned(),
        formats: words.map(str::to_owned).collect(),
        connection: None,
        attributes: Vec::new(),
    })
}

fn connection_line(value: &str) -> Option<Host> {
    let mut words = value.split_whitespace();
    let (Some(_net), Some(_family), Some(host)) = (words.next(), words.next(), words.next()) else {
        return None;
    };
    // A multicast time-to-live may follow. The address says its family better than the word before it.
    let host = host.split('/').next().unwrap_or(host);
    Some(match host.parse::<IpAddr>() {
        Ok(ip) => Host::Ip(ip),
        Err(_) => Host::Name(host.chars().take(80).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::types::AudioCodec;

    #[test]
    fn odd_lines_are_tolerated() {
        let body = b"v=0\no=x\n\ns=\xff\xfe\nnonsense\n x = y\nc= IN  IP4 192.0.2.7/127\nt=\nm=audio 4000/2 rtp/avp 0  8 x 300 101\n\
            a= rtpmap:101 Telephone-Event/8000/1\r\na=rtpmap:0 pcmu/8000\ra=sendonly\na=ptime:\nm=video 0 RTP/AVP\n";
        let d = parse(body).unwrap();
        assert_eq!(d.connection, Some(Host::Ip([192, 0, 2, 7].into())));
        let m = &d.media[0];
        assert_eq!(m.port, 4000);
        assert_eq!(m.payload_types().collect::<Vec<_>>(), [0, 8, 101]);
        assert_eq!(m.telephone_event(8_000), Some(101));
        assert_eq!(m.codec(0), Some(AudioCodec::Pcmu));
        assert_eq!(m.codec(8), Some(AudioCodec::Pcma));
        assert_eq!(m.codec(101), None);
        assert_eq!(m.direction(&d), crate::sdp::Direction::SendOnly);
        assert_eq!(d.media.len(), 2);
    }

    #[test]
    fn a_dynamic_number_hides_the_static_table() {
        let d = parse(b"m=audio 1 RTP/AVP 0\na=rtpmap:0 speex/8000\n").unwrap();
        assert_eq!(d.media[0].codec(0), None);
    }

    #[test]
    fn what_is_no_sdp_is_refused() {
        assert_eq!(parse(b""), Err(SdpError::NotSdp));
        assert_eq!(parse(b"hello=world\nINVITE"), Err(SdpError::NotSdp));
        assert!(matches!(parse(b"m=audio 99999 RTP/AVP 0"), Err(SdpError::MediaLine(_))));
        assert!(matches!(parse(b"m=audio"), Err(SdpError::MediaLine(_))));
        assert_eq!(parse(&vec![b'a'; MAX_SDP_BYTES + 1]), Err(SdpError::TooLarge));
        assert_eq!(
            parse("m=audio 1 RTP/AVP 0\n".repeat(MAX_SDP_STREAMS + 1).as_bytes()),
            Err(SdpError::TooLarge)
        );
        assert_eq!(parse("a=x\n".repeat(MAX_SDP_LINES + 1).as_bytes()), Err(SdpError::TooLarge));
    }
}
