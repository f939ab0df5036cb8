//! SRTP keys in descriptions: `a=crypto` (RFC 4568; the suites of AES-GCM in RFC 7714 §14.2).

use std::net::SocketAddr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::types::{Attribute, Media, attributes};
use crate::srtp::{MAX_PACKETS, MasterKey, Profile};

/// What we offer, the cheapest first; every peer that speaks SDES has the last one.
const SUITES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80];
/// Padded as the RFC has it, read with and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether a session's audio is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtpPolicy {
    /// Never: RTP/AVP is offered, and an offer of RTP/SAVP refused.
    #[default]
    Off,
    /// RTP/AVP is offered, with keys for who takes them; any answer or offer will do.
    Optional,
    /// RTP/SAVP is offered, and what brings no key refused.
    Required,
}

/// The keys of both directions, seen from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Of what we send.
    pub send: MasterKey,
    /// Of what we receive.
    pub receive: MasterKey,
}

/// Our side's keys of one session.
pub(super) struct Sdes {
    policy: SrtpPolicy,
    rng: StdRng,
    /// One for each suite: a key stays the same until it is changed on purpose.
    keys: [MasterKey; SUITES.len()],
    /// Where the far end is, and its key.
    far: Option<(SocketAddr, MasterKey)>,
    /// Offers say RTP/SAVP.
    savp: bool,
}

impl Sdes {
    /// `None` is a session without SRTP.
    pub(super) fn new(policy: SrtpPolicy, seed: [u8; 32]) -> Option<Box<Sdes>> {
        if policy == SrtpPolicy::Off {
            return None;
        }
        let mut rng = StdRng::from_seed(seed);
        let keys = SUITES.map(|suite| MasterKey::generate(suite, &mut rng));
        Some(Box::new(Sdes { policy, rng, keys, far: None, savp: policy == SrtpPolicy::Required }))
    }

    pub(super) fn is_required(&self) -> bool {
        self.policy == SrtpPolicy::Required
    }

    /// Other keys from the next description on. Our address has changed: who receives us may be another machine, and
    /// cannot know the roll-over counter (RFC 4568 §7.1.4).
    pub(super) fn renew(&mut self) {
        self.keys = SUITES.map(|suite| MasterKey::generate(suite, &mut self.rng));
    }

    /// The transport that an offer names.
    pub(super) fn proto(&self) -> &'static str {
        if self.savp { "RTP/SAVP" } else { "RTP/AVP" }
    }

    /// The lines of an offer.
    pub(super) fn lines(&self) -> Vec<Attribute> {
        (1..).zip(&self.keys).map(|(tag, key)| line(tag, key)).collect()
    }

    /// What follows from a stream's keys. Suites tell which of our keys is meant, whatever tag an answer has.
    pub(super) fn keys(&self, media: &Media) -> Option<Agreed> {
        let (tag, receive) = attributes(&media.attributes, "crypto").find_map(read)?;
        let send = self.own(receive.profile())?;
        Some(Agreed { tag, keys: SrtpKeys { send, receive } })
    }

    /// Notes an answer.
    pub(super) fn note(&mut self, remote: SocketAddr, keys: &SrtpKeys) {
        // c=0.0.0.0 is hold, and no place.
        if !remote.ip().is_unspecified() {
            self.far = Some((remote, keys.receive));
        }
    }

    /// Notes an offer that is to be answered over `proto`, and gives our line of the answer and the keys that hold from
    /// then on. A far end with another key at another address is another machine, which cannot know our roll-over
    /// counter either: it gets a new key from us.
    pub(super) fn answer(
        &mut self,
        proto: &str,
        remote: SocketAddr,
        agreed: &Agreed,
    ) -> (Attribute, SrtpKeys) {
        self.savp = is_savp(proto);
        let receive = agreed.keys.receive;
        let is_other = |(at, key): (SocketAddr, MasterKey)| at != remote && !key.is_same(&receive);
        if self.far.is_some_and(is_other) && !remote.ip().is_unspecified() {
            self.renew();
        }
        let send = self.own(receive.profile()).unwrap_or(agreed.keys.send);
        let keys = SrtpKeys { send, receive };
        self.note(remote, &keys);
        (line(agreed.tag, &send), keys)
    }

    fn own(&self, suite: Profile) -> Option<MasterKey> {
        self.keys.iter().find(|key| key.profile() == suite).copied()
    }
}

/// A stream's keys, and the tag of the line they came in.
#[derive(Clone, Copy)]
pub(super) struct Agreed {
    tag: u32,
    pub(super) keys: SrtpKeys,
}

/// Whether a transport is SRTP with keys in the description.
pub(super) fn is_savp(proto: &str) -> bool {
    ["RTP/SAVP", "RTP/SAVPF"].iter().any(|p| proto.eq_ignore_ascii_case(p))
}

fn suite_name(suite: Profile) -> &'static str {
    match suite {
        Profile::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        Profile::AeadAes128Gcm => "AEAD_AES_128_GCM",
        Profile::AeadAes256Gcm => "AEAD_AES_256_GCM",
    }
}

fn line(tag: u32, key: &MasterKey) -> Attribute {
    let octets = BASE64.encode(key.octets());
    Attribute::new("crypto", format!("{tag} {} inline:{octets}", suite_name(key.profile())))
}

/// Reads a line (RFC 4568 §9.1). `None` when we cannot do what it asks for: another suite, a master key identifier or
/// several keys, a session parameter that changes the packets.
fn read(value: &str) -> Option<(u32, MasterKey)> {
    let mut words = value.split_whitespace();
    let tag = words.next()?;
    if tag.len() > 9 || !tag.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let suite = words.next()?;
    let suite = SUITES.into_iter().find(|s| suite.eq_ignore_ascii_case(suite_name(*s)))?;
    let key = key_params(suite, words.next()?)?;
    // WSH is advice on the replay window, and what begins with a hyphen may be passed over (§6.3).
    let harmless = |word: &str| word.starts_with('-') || word.to_ascii_uppercase().starts_with("WSH=");
    words.all(harmless).then_some((tag.parse().ok()?, key))
}

/// `inline:` and key with salt, then a lifetime if there is one (§6.1).
fn key_params(suite: Profile, params: &str) -> Option<MasterKey> {
    let (method, info) = params.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") {
        return None;
    }
    let mut parts = info.split('|');
    let key = MasterKey::from_octets(suite, &BASE64.decode(parts.next()?).ok()?)?;
    match (parts.next(), parts.next()) {
        (None, _) => Some(key),
        (Some(packets), None) => lifetime(packets).map(|packets| key.for_packets(packets)),
        (Some(_), Some(_)) => None,
    }
}

/// Packets in decimal, or as a power of two. A master key identifier has a colon, and is none.
fn lifetime(text: &str) -> Option<u64> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => 1u64.checked_shl(power.parse().ok()?)?,
        None => text.parse().ok()?,
    };
    (1..=MAX_PACKETS).contains(&packets).then_some(packets)
}

#[cfg(test)]
mod tests;
