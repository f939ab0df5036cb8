//! What a browser offers: read, and refused with a reason when it is not audio that we can carry.

use super::identity::Fingerprint;
use crate::sdp::{AudioCodec, Description, Direction, Media, OpusFormat, SdpError, parse};

/// Why an offer or a restart is refused. The browser, or the page in it, is at fault in each case but `Ended`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The body cannot be read.
    #[error(transparent)]
    Malformed(#[from] SdpError),
    /// No audio stream, or only a disabled one.
    #[error("no audio is offered")]
    NoAudio,
    /// Not RTP over DTLS.
    #[error("transport {0} is not UDP/TLS/RTP/SAVPF")]
    Transport(String),
    /// RTCP would need a port of its own.
    #[error("a=rtcp-mux is missing")]
    NoRtcpMux,
    /// Nothing would tell that the DTLS peer is the page's browser.
    #[error("a=fingerprint with sha-256 is missing")]
    NoFingerprint,
    /// No ufrag and password, or not as RFC 8839 §5.4 has them.
    #[error("a=ice-ufrag or a=ice-pwd is missing or malformed")]
    NoIceCredentials,
    /// The browser wants to be the passive side, which we are.
    #[error("a=setup:{0} leaves nobody to start DTLS")]
    Setup(String),
    /// None of our codecs is offered.
    #[error("no common codec: {0} offered")]
    Codec(String),
    /// The restart is of another browser: its DTLS association would be a new one.
    #[error("the fingerprint changed; start a new session")]
    FingerprintChanged,
    /// The restart changes streams or codecs.
    #[error("the streams changed; start a new session")]
    StreamsChanged,
    /// The leg has ended.
    #[error("the session has ended")]
    Ended,
}

/// The audio that was agreed on with a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserMedia {
    /// Codecs with their numbers, the one that the browser sends first. Either may be sent to it at any time.
    pub codecs: Vec<(u8, AudioCodec)>,
    /// telephone-event's number, on the clock of the first codec.
    pub dtmf: Option<u8>,
    /// What the browser says of Opus, when that is among the codecs.
    pub opus: Option<OpusFormat>,
    /// Which way audio flows, seen from us.
    pub direction: Direction,
    /// The browser's source, if it says so.
    pub ssrc: Option<u32>,
}

impl BrowserMedia {
    /// The number of a codec.
    pub fn payload_type(&self, codec: AudioCodec) -> Option<u8> {
        self.codecs.iter().find(|(_, c)| *c == codec).map(|(pt, _)| *pt)
    }

    /// The codec of a number.
    pub fn codec(&self, payload_type: u8) -> Option<AudioCodec> {
        self.codecs.iter().find(|(pt, _)| *pt == payload_type).map(|(_, c)| *c)
    }
}

/// The browser's side of ICE.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RemoteIce {
    pub(super) ufrag: String,
    pub(super) password: String,
}

/// An offer that can be answered.
pub(super) struct Offer {
    pub(super) description: Description,
    /// Which of its streams is the one.
    pub(super) at: usize,
    pub(super) ice: RemoteIce,
    pub(super) fingerprint: Fingerprint,
    pub(super) media: BrowserMedia,
}

impl Offer {
    /// Reads an offer; `ours` are our codecs in order of preference.
    pub(super) fn parse(body: &[u8], ours: &[AudioCodec]) -> Result<Offer, OfferError> {
        let description = parse(body)?;
        let (at, media) = description
            .media
            .iter()
            .enumerate()
            .find(|(_, m)| m.is_audio() && (m.port != 0 || has(&description, m, "bundle-only")))
            .ok_or(OfferError::NoAudio)?;
        // RFC 5764 §8; browsers of old wrote the second one for the same.
        if !["UDP/TLS/RTP/SAVPF", "RTP/SAVPF"].iter().any(|p| media.proto.eq_ignore_ascii_case(p)) {
            return Err(OfferError::Transport(media.proto.chars().take(40).collect()));
        }
        if !has(&description, media, "rtcp-mux") {
            return Err(OfferError::NoRtcpMux);
        }
        let fingerprint = [&media.attributes, &description.attributes]
            .into_iter()
            .flatten()
            .filter(|a| a.name.eq_ignore_ascii_case("fingerprint"))
            .find_map(|a| Fingerprint::parse(a.value.as_deref()?))
            .ok_or(OfferError::NoFingerprint)?;
        // Without a=setup an offerer is active (RFC 4145 §4.1), and we are passive (RFC 5763 §5).
        if let Some(role) = description.attribute(Some(media), "setup")
            && !["actpass", "active"].contains(&role)
        {
            return Err(OfferError::Setup(role.chars().take(40).collect()));
        }
        let ice = remote_ice(&description, Some(media)).ok_or(OfferError::NoIceCredentials)?;
        let media = agreed(&description, media, ours)?;
        Ok(Offer { at, ice, fingerprint, media, description })
    }

    pub(super) fn stream(&self) -> Option<&Media> {
        self.description.media.get(self.at)
    }

    /// Lets go of what was only there to be answered: of the hundred attributes of a browser, kept for a whole shift, two
    /// are asked for again.
    pub(super) fn settle(&mut self) {
        let keep = |name: &str| ["mid", "group"].iter().any(|kept| name.eq_ignore_ascii_case(kept));
        let media = self.description.media.iter_mut().map(|media| &mut media.attributes);
        for attributes in media.chain([&mut self.description.attributes]) {
            attributes.retain(|attribute| keep(&attribute.name));
            attributes.shrink_to_fit();
        }
    }

    /// The name that the browser gave the stream (RFC 5888).
    pub(super) fn mid(&self) -> Option<&str> {
        crate::sdp::attributes(&self.stream()?.attributes, "mid").next()
    }

    /// Whether the browser bundles the stream (RFC 9143).
    pub(super) fn bundles(&self) -> bool {
        self.mid().is_some_and(|mid| {
            crate::sdp::attributes(&self.description.attributes, "group")
                .filter_map(|group| group.strip_prefix("BUNDLE"))
                .any(|mids| mids.split_whitespace().any(|m| m == mid))
        })
    }
}

/// The credentials in an offer, or in a fragment of one (RFC 8840 §4.4: they stand for the session or for a stream).
pub(super) fn remote_ice(description: &Description, media: Option<&Media>) -> Option<RemoteIce> {
    let ufrag = description.attribute(media, "ice-ufrag")?;
    let password = description.attribute(media, "ice-pwd")?;
    let are_ice_chars =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    let fits = (4..=256).contains(&ufrag.len())
        && (22..=256).contains(&password.len())
        && are_ice_chars(ufrag)
        && are_ice_chars(password);
    fits.then(|| RemoteIce { ufrag: ufrag.to_owned(), password: password.to_owned() })
}

fn has(description: &Description, media: &Media, flag: &str) -> bool {
    description.attribute(Some(media), flag).is_some()
}

fn agreed(description: &Description, media: &Media, ours: &[AudioCodec]) -> Result<BrowserMedia, OfferError> {
    let number = |codec| media.payload_types().find(|pt| media.codec(*pt) == Some(codec));
    let codecs: Vec<(u8, AudioCodec)> =
        ours.iter().filter_map(|codec| Some((number(*codec)?, *codec))).collect();
    if codecs.is_empty() {
        return Err(OfferError::Codec(media.formats.join(" ").chars().take(120).collect()));
    }
    Ok(BrowserMedia {
        dtmf: codecs.first().and_then(|(_, codec)| media.telephone_event(codec.clock_hz())),
        opus: codecs
            .iter()
            .find(|(_, codec)| *codec == AudioCodec::Opus)
            .map(|(number, _)| media.opus_format(*number)),
        direction: media.direction(description).reversed(),
        ssrc: crate::sdp::attributes(&media.attributes, "ssrc")
            .find_map(|value| value.split_whitespace().next()?.parse().ok()),
        codecs,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Chromium offers one microphone, shortened where lines only repeat.
    pub(crate) fn chromium(ufrag: &str, password: &str, fingerprint: &str) -> String {
        format!(
            "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=ice-options:trickle\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:0\r\n\
             a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=msid:- track\r\n\
             a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
             a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:9 G722/8000\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
             a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
             a=ssrc:3735928559 cname:x\r\na=ssrc:3735928559 msid:- track\r\n\
             a=candidate:1 1 udp 2113937151 5a3bbe0d.local 50001 typ host generation 0\r\n"
        )
    }

    const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";

    fn fingerprint() -> String {
        Fingerprint::of(b"theirs").to_string()
    }

    fn offer() -> String {
        chromium("8hhY", PASSWORD, &fingerprint())
    }

    fn read(body: &str) -> Result<Offer, OfferError> {
        Offer::parse(body.as_bytes(), &AudioCodec::G711)
    }

    #[test]
    fn a_browsers_offer_is_read() {
        let offer = read(&offer()).unwrap();
        assert_eq!(offer.media.codecs, [(0, AudioCodec::Pcmu), (8, AudioCodec::Pcma)]);
        assert_eq!((offer.media.dtmf, offer.media.ssrc), (Some(126), Some(3_735_928_559)));
        assert_eq!((offer.mid(), offer.bundles()), (Some("0"), true));
        assert_eq!((offer.ice.ufrag.as_str(), offer.ice.password.as_str()), ("8hhY", PASSWORD));
        assert_eq!(offer.fingerprint, Fingerprint::of(b"theirs"));
        assert_eq!(offer.media.payload_type(AudioCodec::Pcma), Some(8));
        assert_eq!(offer.media.codec(0), Some(AudioCodec::Pcmu));
    }

    #[test]
    fn opus_is_taken_where_it_is_asked_for() {
        let media = Offer::parse(offer().as_bytes(), &[AudioCodec::Opus, AudioCodec::Pcmu]).unwrap().media;
        assert_eq!(media.codecs, [(111, AudioCodec::Opus), (0, AudioCodec::Pcmu)]);
        // Keys come on the clock of what is sent.
        assert_eq!(media.dtmf, Some(110));
        assert!(media.opus.is_some_and(|opus| opus.in_band_fec && opus.max_playback_rate_hz == 48_000));
        assert_eq!(read(&offer()).unwrap().media.opus, None);
    }

    #[test]
    fn session_level_attributes_count_for_the_stream() {
        let moved = format!("a=fingerprint:{}\r\n", fingerprint());
        let body = offer().replace(&moved, "").replace("t=0 0\r\n", &format!("t=0 0\r\n{moved}"));
        assert!(read(&body).is_ok());
    }

    #[test]
    fn what_cannot_be_carried_is_refused_by_name() {
        let err = |from: &str, to: &str| read(&offer().replace(from, to)).err().unwrap();
        assert_eq!(err("m=audio", "m=video"), OfferError::NoAudio);
        assert_eq!(err("m=audio 9", "m=audio 0"), OfferError::NoAudio);
        assert_eq!(err("UDP/TLS/RTP/SAVPF", "RTP/AVP"), OfferError::Transport("RTP/AVP".into()));
        assert_eq!(err("a=rtcp-mux\r\n", ""), OfferError::NoRtcpMux);
        assert_eq!(err("a=fingerprint:sha-256", "a=fingerprint:sha-1"), OfferError::NoFingerprint);
        assert_eq!(err("a=setup:actpass", "a=setup:passive"), OfferError::Setup("passive".into()));
        assert_eq!(err("a=ice-ufrag:8hhY", "a=ice-ufrag:8h"), OfferError::NoIceCredentials);
        assert_eq!(err("a=ice-ufrag:8hhY", "a=ice-ufrag:8h:hY"), OfferError::NoIceCredentials);
        assert_eq!(err("a=ice-pwd:asd88", "a=x:"), OfferError::NoIceCredentials);
        let codecs = err(" 0 8 13 110 126", "");
        assert_eq!(codecs.to_string(), "no common codec: 111 63 9 offered");
        assert!(matches!(read("hello").err().unwrap(), OfferError::Malformed(_)));
    }

    proptest! {
        #[test]
        fn damaged_offers_never_panic(at in any::<prop::sample::Index>(), with in "[ -~\r\n]{0,6}", cut in 0usize..40) {
            let mut body = offer();
            let at = at.index(body.len());
            body.replace_range(at..(at + cut).min(body.len()), &with);
            let _ = read(&body);
        }
    }
}
