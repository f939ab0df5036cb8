//! Offer and answer with a carrier (RFC 3264): one audio stream, RTP or SRTP with keys in the description (RFC 4568).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::crypto::{Agreed, Sdes, SrtpKeys, SrtpPolicy, is_savp};
use super::opus::OpusFormat;
use super::parse::{SdpError, parse};
use super::types::{Attribute, AudioCodec, Description, Direction, Host, Media};
use super::write::NetAddress;
use super::xr::XrReports;
use crate::codec::SAMPLE_RATE_HZ;
use crate::limits::MAX_PTIME_MS;
use crate::rtp::COMFORT_NOISE;

/// The payload types under which we offer telephone-event on each clock; 101 is the one that most equipment uses, 110
/// that of browsers.
const TELEPHONE_EVENTS: [(u32, u8); 3] = [(8_000, 101), (48_000, 110), (16_000, 102)];
const DEFAULT_PTIME_MS: u16 = 20;

/// Why a description of the other side does not fit ours. The text names it, for a 488's Warning and for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The body cannot be read.
    #[error(transparent)]
    Malformed(#[from] SdpError),
    /// There is no audio stream, or only disabled ones.
    #[error("no audio stream is offered")]
    NoAudio,
    /// The answer has another number of streams than our offer (RFC 3264 §6).
    #[error("the answer has {0} streams, the offer had 1")]
    Streams(usize),
    /// The answer rejects our stream.
    #[error("the audio stream was rejected")]
    Rejected,
    /// Non-RTP audio, or encrypted where that is switched off.
    #[error("transport {0} is not RTP/AVP")]
    Transport(String),
    /// The stream has no key that we can use (`a=crypto`), and it must or wants to be encrypted.
    #[error("no usable SRTP key")]
    NoKey,
    /// None of the codecs is ours.
    #[error("no common codec: {theirs} offered, {ours} supported")]
    Codec {
        /// What the other side listed.
        theirs: String,
        /// What we listed.
        ours: String,
    },
    /// No `c=` line says where the audio goes.
    #[error("no connection address")]
    NoAddress,
    /// The `c=` line holds a name, and no name is resolved on the path of a call.
    #[error("the connection address {0} is a name")]
    AddressIsName(String),
    /// IPv6 where our socket is IPv4, or the reverse.
    #[error("the connection address {0} is of another family than ours")]
    AddressFamily(IpAddr),
}

/// What both sides agreed on, seen from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where our RTP goes. The address is unspecified (0.0.0.0) while the other side holds the old way; the direction
    /// then forbids sending.
    pub remote: SocketAddr,
    /// Where our RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// The codec we send.
    pub codec: AudioCodec,
    /// Its number in the packets we send.
    pub payload_type: u8,
    /// Its number in the packets we receive; other codecs may arrive under their static numbers.
    pub receive_payload_type: u8,
    /// telephone-event's number in the packets we send, if the other side takes it.
    pub dtmf: Option<u8>,
    /// telephone-event's number in the packets we receive.
    pub receive_dtmf: Option<u8>,
    /// Whether the other side takes comfort noise (RFC 3389, payload type 13) beside a codec of 8 kHz.
    pub comfort_noise: bool,
    /// What the other side says of Opus, when that is the codec.
    pub opus: Option<OpusFormat>,
    /// Which way audio flows, seen from us.
    pub direction: Direction,
    /// Milliseconds of audio in a packet that the other side asks for.
    pub ptime_ms: u16,
    /// The extended reports that the other side asks for.
    pub xr: XrReports,
    /// The keys of SRTP; none for plain RTP.
    pub srtp: Option<SrtpKeys>,
}

impl Negotiated {
    /// Whether the other side put us on hold (RFC 3264 §8.4): it takes no audio from us.
    pub fn held(&self) -> bool {
        !self.direction.sends()
    }
}

/// Our side of the media of one SIP dialog: makes offers and answers, and keeps what must not change between them.
pub struct TrunkSession {
    session_id: u64,
    version: u64,
    rtp: SocketAddr,
    codecs: Vec<AudioCodec>,
    direction: Direction,
    /// The number of telephone-event on each clock.
    telephone_events: [(u32, u8); 3],
    srtp: Option<Box<Sdes>>,
    /// What we sent last, without its `o=` line.
    sent: Option<Description>,
}

impl TrunkSession {
    /// A session that receives RTP at `rtp` and RTCP at the port after it. `codecs` is the policy: nothing else is
    /// offered or taken, and offers list them in this order. Answers follow the other side's order (RFC 3264 §6.1).
    /// `session_id` comes from the seeded generator; it need only be unique (RFC 8866 §5.2).
    pub fn new(session_id: u64, rtp: SocketAddr, codecs: &[AudioCodec]) -> TrunkSession {
        // Some equipment reads o= numbers as signed: 62 bits fit everywhere (RFC 3264 §5).
        let session_id = session_id >> 2;
        TrunkSession {
            session_id,
            version: session_id,
            rtp,
            codecs: codecs.to_vec(),
            direction: Direction::SendRecv,
            telephone_events: TELEPHONE_EVENTS,
            srtp: None,
            sent: None,
        }
    }

    /// The same session with SRTP by this policy. Our keys come from `seed`, which must be secret and used once.
    pub fn with_srtp(self, policy: SrtpPolicy, seed: [u8; 32]) -> TrunkSession {
        TrunkSession { srtp: Sdes::new(policy, seed), ..self }
    }

    /// Which way we want audio to flow; it shows in the next offer or answer. SendOnly or Inactive is our hold.
    pub fn set_direction(&mut self, direction: Direction) {
        self.direction = direction;
    }

    /// Our RTP address, after the leg moved to another socket; it shows in the next offer or answer, with other keys of
    /// ours.
    pub fn set_rtp(&mut self, rtp: SocketAddr) {
        if let Some(sdes) = self.srtp.as_mut().filter(|_| self.rtp != rtp) {
            sdes.renew();
        }
        self.rtp = rtp;
    }

    /// An offer. The same offer again has the same version, a changed one the next (RFC 3264 §8).
    pub fn offer(&mut self) -> Bytes {
        let formats: Vec<(u8, AudioCodec)> = self.codecs.iter().map(|c| (c.payload_type(), *c)).collect();
        let events: Vec<(u32, u8)> = self
            .telephone_events
            .into_iter()
            .filter(|(clock, _)| self.codecs.iter().any(|codec| codec.clock_hz() == *clock))
            .collect();
        let (proto, keys) =
            self.srtp.as_ref().map_or(("RTP/AVP", Vec::new()), |sdes| (sdes.proto(), sdes.lines()));
        let noise = self.codecs.iter().any(|codec| AudioCodec::G711.contains(codec));
        let audio = self.audio(proto, &formats, noise, &events, self.direction, keys);
        self.write(vec![audio])
    }

    /// Reads the answer to our offer. Early dialogs may answer differently one by one: the last one holds.
    pub fn apply_answer(&mut self, answer: &[u8]) -> Result<Negotiated, Mismatch> {
        let answer = parse(answer)?;
        let [media] = answer.media.as_slice() else { return Err(Mismatch::Streams(answer.media.len())) };
        if media.port == 0 {
            return Err(Mismatch::Rejected);
        }
        if !media.is_audio() {
            return Err(Mismatch::NoAudio);
        }
        let keys = self.keys(media)?.map(|agreed| agreed.keys);
        let format = self.choose(media)?;
        let ours = format.1.payload_type();
        let event = self.telephone_events.iter().find(|(clock, _)| *clock == format.1.clock_hz());
        let agreed = self.agree(&answer, media, format, ours, event.map(|(_, number)| *number))?;
        if let Some((sdes, keys)) = self.srtp.as_mut().zip(keys.as_ref()) {
            sdes.note(agreed.remote, keys);
        }
        Ok(Negotiated { srtp: keys, ..agreed })
    }

    /// Answers an offer: the first audio stream that fits, everything else rejected by port 0.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(Bytes, Negotiated), Mismatch> {
        let offer = parse(offer)?;
        let mut mismatch = Mismatch::NoAudio;
        for (at, media) in offer.media.iter().enumerate() {
            if media.port == 0 || !media.is_audio() {
                continue;
            }
            match self.accept(&offer, media) {
                Ok((mut negotiated, agreed)) => {
                    let secured = self.srtp.as_mut().zip(agreed).map(|(sdes, agreed)| {
                        let (line, keys) = sdes.answer(&media.proto, negotiated.remote, &agreed);
                        negotiated.srtp = Some(keys);
                        line
                    });
                    let clock = negotiated.codec.clock_hz();
                    let event = negotiated.dtmf.map(|number| (clock, number));
                    if let Some((_, number)) = event
                        && let Some(kept) = self.telephone_events.iter_mut().find(|(c, _)| *c == clock)
                    {
                        // A number keeps its meaning for the whole session (RFC 3264 §8.3.2).
                        kept.1 = number;
                    }
                    let format = (negotiated.payload_type, negotiated.codec);
                    let mut audio = self.audio(
                        &media.proto,
                        &[format],
                        negotiated.comfort_noise,
                        event.as_slice(),
                        negotiated.direction,
                        secured.into_iter().collect(),
                    );
                    audio.attributes.extend(negotiated.xr.attribute());
                    let mut streams: Vec<Media> = offer.media.iter().map(Media::rejected).collect();
                    if let Some(stream) = streams.get_mut(at) {
                        *stream = audio;
                    }
                    return Ok((self.write(streams), negotiated));
                }
                // The first stream's reason is the one to tell.
                Err(reason) if mismatch == Mismatch::NoAudio => mismatch = reason,
                Err(_) => {}
            }
        }
        Err(mismatch)
    }

    fn accept(&self, offer: &Description, media: &Media) -> Result<(Negotiated, Option<Agreed>), Mismatch> {
        let keys = self.keys(media)?;
        let format = self.choose(media)?;
        let event = media.telephone_event(format.1.clock_hz());
        Ok((self.agree(offer, media, format, format.0, event)?, keys))
    }

    /// The stream's keys, if it has any and we want them. Some far ends write them over RTP/AVP (and so do we), and an
    /// answer may name the other of the two transports.
    fn keys(&self, media: &Media) -> Result<Option<Agreed>, Mismatch> {
        let savp = is_savp(&media.proto);
        let avp = ["RTP/AVP", "RTP/AVPF"].iter().any(|p| media.proto.eq_ignore_ascii_case(p));
        let Some(sdes) = self.srtp.as_ref().filter(|_| savp || avp) else {
            let transport = || Mismatch::Transport(media.proto.chars().take(40).collect());
            return if avp { Ok(None) } else { Err(transport()) };
        };
        let keys = sdes.keys(media);
        if keys.is_none() && (savp || sdes.is_required()) { Err(Mismatch::NoKey) } else { Ok(keys) }
    }

    /// The first of their formats that is ours: in an answer it is what they will use, in an offer what they prefer.
    fn choose(&self, media: &Media) -> Result<(u8, AudioCodec), Mismatch> {
        media
            .payload_types()
            .filter_map(|pt| Some((pt, media.codec(pt)?)))
            .find(|(_, codec)| self.codecs.contains(codec))
            .ok_or_else(|| Mismatch::Codec {
                theirs: media.formats.join(" ").chars().take(120).collect(),
                ours: self.codecs.iter().map(|c| c.encoding()).collect::<Vec<_>>().join(" "),
            })
    }

    fn agree(
        &self,
        session: &Description,
        media: &Media,
        (payload_type, codec): (u8, AudioCodec),
        receive_payload_type: u8,
        receive_dtmf: Option<u8>,
    ) -> Result<Negotiated, Mismatch> {
        let ip = match media.connection.as_ref().or(session.connection.as_ref()) {
            Some(Host::Ip(ip)) => *ip,
            Some(Host::Name(name)) => return Err(Mismatch::AddressIsName(name.clone())),
            None => return Err(Mismatch::NoAddress),
        };
        // c=0.0.0.0 is the hold of RFC 2543: they receive nothing (RFC 3264 §8.4).
        let old_hold = ip.is_unspecified();
        if ip.is_ipv6() != self.rtp.is_ipv6() && !old_hold {
            return Err(Mismatch::AddressFamily(ip));
        }
        let theirs = media.direction(session).and(Direction::of(true, !old_hold));
        let remote = SocketAddr::new(ip, media.port);
        let dtmf = media.telephone_event(codec.clock_hz());
        Ok(Negotiated {
            remote,
            remote_rtcp: rtcp_address(media, remote),
            codec,
            payload_type,
            receive_payload_type,
            dtmf,
            receive_dtmf: receive_dtmf.filter(|_| dtmf.is_some()),
            comfort_noise: AudioCodec::G711.contains(&codec) && media.comfort_noise(),
            opus: (codec == AudioCodec::Opus).then(|| media.opus_format(payload_type)),
            direction: self.direction.and(theirs.reversed()),
            ptime_ms: session
                .attribute(Some(media), "ptime")
                .and_then(|v| v.parse().ok())
                .filter(|ms| (10..=MAX_PTIME_MS).contains(ms))
                .unwrap_or(DEFAULT_PTIME_MS),
            xr: XrReports::read(session, media),
            srtp: None,
        })
    }

    fn audio(
        &self,
        proto: &str,
        formats: &[(u8, AudioCodec)],
        comfort_noise: bool,
        telephone_events: &[(u32, u8)],
        direction: Direction,
        keys: Vec<Attribute>,
    ) -> Media {
        let mut numbers: Vec<String> = Vec::new();
        let mut attributes: Vec<Attribute> = Vec::new();
        for (pt, codec) in formats {
            numbers.push(pt.to_string());
            attributes.push(Attribute::new("rtpmap", format!("{pt} {}", codec.rtpmap())));
            if *codec == AudioCodec::Opus {
                attributes.push(Attribute::new("fmtp", format!("{pt} {}", OpusFormat::ours())));
            }
        }
        if comfort_noise {
            numbers.push(COMFORT_NOISE.to_string());
            attributes.push(Attribute::new("rtpmap", format!("{COMFORT_NOISE} CN/{SAMPLE_RATE_HZ}")));
        }
        for (clock_hz, pt) in telephone_events {
            numbers.push(pt.to_string());
            attributes.push(Attribute::new("rtpmap", format!("{pt} telephone-event/{clock_hz}")));
            // Events 0–15 are the keys (RFC 4733 §2.4.1).
            attributes.push(Attribute::new("fmtp", format!("{pt} 0-15")));
        }
        attributes.push(Attribute::new("ptime", DEFAULT_PTIME_MS.to_string()));
        attributes.extend(keys);
        attributes.push(Attribute::flag(direction.as_str()));
        Media {
            kind: "audio".to_owned(),
            port: self.rtp.port(),
            proto: proto.to_owned(),
            formats: numbers,
            connection: None,
            attributes,
        }
    }

    fn write(&mut self, media: Vec<Media>) -> Bytes {
        let ip = self.rtp.ip();
        let description =
            Description { origin: None, connection: Some(Host::Ip(ip)), attributes: Vec::new(), media };
        if self.sent.as_ref().is_some_and(|sent| *sent != description) {
            self.version = self.version.saturating_add(1);
        }
        let origin = format!("- {} {} {}", self.session_id, self.version, NetAddress(ip));
        let text = Description { origin: Some(origin), ..description.clone() }.to_string();
        self.sent = Some(description);
        Bytes::from(text)
    }
}

/// Keys are not shown.
impl fmt::Debug for TrunkSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrunkSession")
            .field("session_id", &self.session_id)
            .field("version", &self.version)
            .field("rtp", &self.rtp)
            .field("codecs", &self.codecs)
            .field("direction", &self.direction)
            .field("encrypts", &self.srtp.is_some())
            .finish_non_exhaustive()
    }
}

/// `a=rtcp` (RFC 3605), else the port after RTP's.
fn rtcp_address(media: &Media, rtp: SocketAddr) -> SocketAddr {
    let next = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
    let Some(value) = super::types::attributes(&media.attributes, "rtcp").next() else { return next };
    let mut words = value.split_whitespace();
    let Some(port) = words.next().and_then(|p| p.parse().ok()) else { return next };
    // An address of another family than RTP's could not be reached from the same kind of socket.
    let ip = words.nth(2).and_then(|host| host.parse::<IpAddr>().ok());
    SocketAddr::new(ip.filter(|ip| ip.is_ipv6() == rtp.is_ipv6()).unwrap_or(rtp.ip()), port)
}

#[cfg(test)]
mod tests;
