//! What we answer a browser: one audio stream, ICE-lite, the passive side of DTLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ice_lite::Credentials;
use super::offer::Offer;
use super::transport::BrowserConfig;
use crate::limits::MAX_CANDIDATES;
use crate::sdp::{Attribute, AudioCodec, Description, Host, Media, NetAddress, OpusFormat};

/// Where the `o=` line stands.
pub(super) struct Origin {
    pub(super) session_id: u64,
    pub(super) version: u64,
}

/// The answer to a whole offer.
pub(super) fn to_offer(
    offer: &Offer,
    config: &BrowserConfig,
    local: &Credentials,
    origin: &Origin,
) -> String {
    let first = config.candidates.first();
    let mut media: Vec<Media> = offer
        .description
        .media
        .iter()
        .map(|m| {
            // A rejected stream keeps its name (RFC 8829 §5.3.1).
            let mid = crate::sdp::attributes(&m.attributes, "mid").next();
            Media {
                attributes: mid.map(|mid| Attribute::new("mid", mid)).into_iter().collect(),
                ..m.rejected()
            }
        })
        .collect();
    if let Some(stream) = media.get_mut(offer.at) {
        stream.port = first.map_or(9, SocketAddr::port);
        stream.connection = first.map(|c| Host::Ip(c.ip()));
        stream.formats = formats(offer).map(|(pt, _)| pt.to_string()).collect();
        stream.attributes = stream_attributes(offer, config, local);
    }
    let ip = first.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
    Description {
        origin: Some(format!("- {} {} {}", origin.session_id, origin.version, NetAddress(ip))),
        connection: None,
        attributes: session_attributes(offer),
        media,
    }
    .to_string()
}

/// The answer to a fragment that restarts ICE (RFC 9725 §4.4.1): our new credentials, and the same candidates.
pub(super) fn to_fragment(offer: &Offer, config: &BrowserConfig, local: &Credentials) -> String {
    let mut attributes = Vec::new();
    attributes.extend(offer.mid().map(|mid| Attribute::new("mid", mid)));
    attributes.extend(ice_attributes(config, local));
    let media = Media {
        kind: "audio".to_owned(),
        port: 9,
        proto: offer.stream().map(|m| m.proto.clone()).unwrap_or_default(),
        formats: formats(offer).map(|(pt, _)| pt.to_string()).take(1).collect(),
        connection: None,
        attributes,
    };
    Description { origin: None, connection: None, attributes: session_attributes(offer), media: vec![media] }
        .to_string()
}

fn session_attributes(offer: &Offer) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::flag("ice-lite")];
    if let Some(mid) = offer.mid().filter(|_| offer.bundles()) {
        attributes.push(Attribute::new("group", format!("BUNDLE {mid}")));
    }
    attributes
}

fn stream_attributes(offer: &Offer, config: &BrowserConfig, local: &Credentials) -> Vec<Attribute> {
    let BrowserConfig { ssrc, cname, .. } = config;
    let mut attributes = Vec::new();
    attributes.extend(offer.mid().map(|mid| Attribute::new("mid", mid)));
    attributes.push(Attribute::new("fingerprint", config.identity.fingerprint()));
    attributes.push(Attribute::new("setup", "passive"));
    attributes.push(Attribute::flag("rtcp-mux"));
    attributes.push(Attribute::flag(offer.media.direction.as_str()));
    attributes
        .extend(formats(offer).map(|(pt, encoding)| Attribute::new("rtpmap", format!("{pt} {encoding}"))));
    let opus = offer.media.payload_type(AudioCodec::Opus);
    attributes.extend(opus.map(|pt| Attribute::new("fmtp", format!("{pt} {}", OpusFormat::ours()))));
    attributes.extend(offer.media.dtmf.map(|pt| Attribute::new("fmtp", format!("{pt} 0-15"))));
    attributes.push(Attribute::new("ptime", "20"));
    attributes.push(Attribute::new("msid", format!("{cname} audio")));
    attributes.push(Attribute::new("ssrc", format!("{ssrc} cname:{cname}")));
    attributes.push(Attribute::new("ssrc", format!("{ssrc} msid:{cname} audio")));
    attributes.extend(ice_attributes(config, local));
    attributes
}

/// Numbers, and what their rtpmaps say.
fn formats(offer: &Offer) -> impl Iterator<Item = (u8, String)> + '_ {
    let codecs = offer.media.codecs.iter().map(|(pt, codec)| (*pt, codec.rtpmap().to_owned()));
    let clock_hz = offer.media.codecs.first().map_or(8_000, |(_, codec)| codec.clock_hz());
    codecs.chain(offer.media.dtmf.map(|pt| (pt, format!("telephone-event/{clock_hz}"))))
}

fn ice_attributes(config: &BrowserConfig, local: &Credentials) -> Vec<Attribute> {
    let mut attributes = vec![
        Attribute::new("ice-ufrag", local.ufrag.as_str()),
        Attribute::new("ice-pwd", local.password.as_str()),
    ];
    let udp = config.candidates.iter().take(MAX_CANDIDATES).enumerate();
    attributes.extend(udp.map(|(n, address)| Attribute::new("candidate", candidate(n, *address))));
    let tcp = config.tcp_candidates.iter().take(MAX_CANDIDATES).enumerate();
    attributes.extend(tcp.map(|(n, address)| Attribute::new("candidate", tcp_candidate(n, *address))));
    attributes.push(Attribute::flag("end-of-candidates"));
    attributes
}

/// A host candidate; earlier ones are preferred (RFC 8445 §5.1.2: type 126, local preference, component 1).
fn candidate(n: usize, address: SocketAddr) -> String {
    let priority = priority(u16::MAX, n);
    format!("{} 1 udp {priority} {} {} typ host", n + 1, address.ip(), address.port())
}

/// The same over TCP, where the browser connects to us (RFC 6544 §4.5). The foundation differs from those of UDP.
fn tcp_candidate(n: usize, address: SocketAddr) -> String {
    // RFC 6544 §4.2: direction preference 4 for passive in the upper 3 bits, so each comes after every one of UDP.
    let priority = priority((4 << 13) | 0x1fff, n);
    format!(
        "{} 1 tcp {priority} {} {} typ host tcptype passive",
        MAX_CANDIDATES + n + 1,
        address.ip(),
        address.port()
    )
}

fn priority(first: u16, n: usize) -> u32 {
    let local_preference = u32::from(first).saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
    (126 << 24) | (local_preference << 8) | 255
}
