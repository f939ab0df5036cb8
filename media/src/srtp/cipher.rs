//! The two ways of protecting a packet: counter mode with HMAC (RFC 3711 §4), and AES-GCM (RFC 7714). Key schedules are
//! made once; nothing here allocates per packet.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::derive::MAX_KEY;
use super::{E_FLAG, Profile, RTCP_CLEAR, SRTCP_INDEX, SrtpError};

const GCM_TAG: usize = 16;
const HMAC_TAG: usize = 10;

/// The derived keys; a profile uses the front of each.
#[derive(Default)]
pub(super) struct SessionKeys {
    pub(super) encryption: [u8; MAX_KEY],
    pub(super) authentication: [u8; 20],
    pub(super) salt: [u8; 14],
}

/// Session keys in use, of SRTP or of SRTCP.
pub(super) struct Cipher {
    profile: Profile,
    kind: Kind,
}

enum Kind {
    /// Boxed: its key schedules are 1.7 kB, GCM's lie behind a pointer already.
    CounterMode(Box<CounterMode>),
    Gcm {
        key: LessSafeKey,
        salt: [u8; 12],
    },
}

struct CounterMode {
    cipher: EncryptingKey,
    hmac: hmac::Key,
    salt: [u8; 14],
}

impl Cipher {
    pub(super) fn new(profile: Profile, keys: &SessionKeys) -> Result<Cipher, SrtpError> {
        let key = keys.encryption.get(..profile.key_len()).ok_or(SrtpError::KeyLength)?;
        let gcm = |algorithm| -> Result<Kind, SrtpError> {
            let [salt @ .., _, _] = keys.salt;
            Ok(Kind::Gcm { key: LessSafeKey::new(UnboundKey::new(algorithm, key)?), salt })
        };
        let kind = match profile {
            Profile::AesCm128HmacSha1_80 => Kind::CounterMode(Box::new(CounterMode {
                cipher: EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key)?)?,
                hmac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.authentication),
                salt: keys.salt,
            })),
            Profile::AeadAes128Gcm => gcm(&AES_128_GCM)?,
            Profile::AeadAes256Gcm => gcm(&AES_256_GCM)?,
        };
        Ok(Cipher { profile, kind })
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// See [`crate::leg::Leg::touch`].
    pub(super) fn touch(&self) -> u64 {
        let first = match &self.kind {
            Kind::CounterMode(keys) => keys.salt.first(),
            Kind::Gcm { salt, .. } => salt.first(),
        };
        u64::from(self.profile == Profile::AeadAes128Gcm) + first.copied().map_or(0, u64::from)
    }

    /// Protects `packet`, whose last bytes are room for the tag.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        match &self.kind {
            Kind::CounterMode(keys) => {
                let CounterMode { cipher, hmac, salt } = &**keys;
                let (body, room) = packet.split_last_chunk_mut::<HMAC_TAG>().ok_or(SrtpError::NoRoom)?;
                let payload = body.get_mut(header..).ok_or(SrtpError::Malformed)?;
                counter_mode(cipher, salt, ssrc, index, payload)?;
                // The roll-over counter is authenticated, not sent (RFC 3711 §4.2).
                *room = hmac_tag(hmac, body, &roll_over(index));
            }
            Kind::Gcm { key, salt } => {
                let (body, room) = packet.split_last_chunk_mut::<GCM_TAG>().ok_or(SrtpError::NoRoom)?;
                let (header, payload) = body.split_at_mut_checked(header).ok_or(SrtpError::Malformed)?;
                let nonce = rtp_nonce(salt, ssrc, index);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)?;
                room.copy_from_slice(tag.as_ref());
            }
        }
        Ok(())
    }

    /// Authenticates and decrypts `packet`, whose last bytes are the tag.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        match &self.kind {
            Kind::CounterMode(keys) => {
                let CounterMode { cipher, hmac, salt } = &**keys;
                let (body, tag) = packet.split_last_chunk_mut::<HMAC_TAG>().ok_or(SrtpError::Malformed)?;
                verify_slices_are_equal(&hmac_tag(hmac, body, &roll_over(index)), tag)?;
                counter_mode(cipher, salt, ssrc, index, body.get_mut(header..).ok_or(SrtpError::Malformed)?)?;
            }
            Kind::Gcm { key, salt } => {
                let (body, tag) = packet.split_last_chunk_mut::<GCM_TAG>().ok_or(SrtpError::Malformed)?;
                let (header, payload) = body.split_at_mut_checked(header).ok_or(SrtpError::Malformed)?;
                let nonce = rtp_nonce(salt, ssrc, index);
                key.open_in_place_separate_tag(nonce, Aad::from(&*header), tag, payload)?;
            }
        }
        Ok(())
    }

    /// Protects `packet`, whose last bytes are room for index and tag.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<(), SrtpError> {
        let word = (E_FLAG | index).to_be_bytes();
        match &self.kind {
            Kind::CounterMode(keys) => {
                let CounterMode { cipher, hmac, salt } = &**keys;
                // Index, then tag (RFC 3711 §3.4).
                let (authenticated, room) =
                    packet.split_last_chunk_mut::<HMAC_TAG>().ok_or(SrtpError::NoRoom)?;
                let (body, trailer) =
                    authenticated.split_last_chunk_mut::<SRTCP_INDEX>().ok_or(SrtpError::NoRoom)?;
                *trailer = word;
                let payload = body.get_mut(RTCP_CLEAR..).ok_or(SrtpError::Malformed)?;
                counter_mode(cipher, salt, ssrc, u64::from(index), payload)?;
                *room = hmac_tag(hmac, authenticated, &[]);
            }
            Kind::Gcm { key, salt } => {
                // Tag, then index (RFC 7714 §9.2).
                let (rest, trailer) =
                    packet.split_last_chunk_mut::<SRTCP_INDEX>().ok_or(SrtpError::NoRoom)?;
                *trailer = word;
                let (body, room) = rest.split_last_chunk_mut::<GCM_TAG>().ok_or(SrtpError::NoRoom)?;
                let (clear, payload) =
                    body.split_first_chunk_mut::<RTCP_CLEAR>().ok_or(SrtpError::Malformed)?;
                let nonce = rtcp_nonce(salt, ssrc, index);
                let tag = key.seal_in_place_separate_tag(nonce, rtcp_aad(clear, word), payload)?;
                room.copy_from_slice(tag.as_ref());
            }
        }
        Ok(())
    }

    /// The E flag and index of a received packet.
    pub(super) fn rtcp_index_word(&self, packet: &[u8]) -> Option<u32> {
        let end = match &self.kind {
            Kind::CounterMode(_) => packet.split_last_chunk::<HMAC_TAG>()?.0,
            Kind::Gcm { .. } => packet,
        };
        end.last_chunk().map(|word| u32::from_be_bytes(*word))
    }

    /// Authenticates and decrypts `packet`, whose last bytes are index and tag; `word` is its index word.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, word: u32) -> Result<(), SrtpError> {
        let index = word & !E_FLAG;
        let encrypted = word & E_FLAG != 0;
        match &self.kind {
            Kind::CounterMode(keys) => {
                let CounterMode { cipher, hmac, salt } = &**keys;
                let (authenticated, tag) =
                    packet.split_last_chunk_mut::<HMAC_TAG>().ok_or(SrtpError::Malformed)?;
                verify_slices_are_equal(&hmac_tag(hmac, authenticated, &[]), tag)?;
                let (body, _) =
                    authenticated.split_last_chunk_mut::<SRTCP_INDEX>().ok_or(SrtpError::Malformed)?;
                if encrypted {
                    let payload = body.get_mut(RTCP_CLEAR..).ok_or(SrtpError::Malformed)?;
                    counter_mode(cipher, salt, ssrc, u64::from(index), payload)?;
                }
            }
            Kind::Gcm { key, salt } => {
                let (rest, _) = packet.split_last_chunk_mut::<SRTCP_INDEX>().ok_or(SrtpError::Malformed)?;
                let (body, tag) = rest.split_last_chunk_mut::<GCM_TAG>().ok_or(SrtpError::Malformed)?;
                let (clear, payload) =
                    body.split_first_chunk_mut::<RTCP_CLEAR>().ok_or(SrtpError::Malformed)?;
                if !encrypted {
                    // Authenticated but in clear would make the whole packet associated data (RFC 7714 §9.3). DTLS-SRTP
                    // profiles always encrypt RTCP (RFC 5764 §4.1.2), so this is no packet of our peer.
                    return Err(SrtpError::Authentication);
                }
                let nonce = rtcp_nonce(salt, ssrc, index);
                key.open_in_place_separate_tag(nonce, rtcp_aad(clear, word.to_be_bytes()), tag, payload)?;
            }
        }
        Ok(())
    }
}

fn roll_over(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

fn hmac_tag(key: &hmac::Key, data: &[u8], more: &[u8]) -> [u8; HMAC_TAG] {
    let mut context = hmac::Context::with_key(key);
    context.update(data);
    context.update(more);
    let tag = context.sign();
    let mut short = [0; HMAC_TAG];
    short.iter_mut().zip(tag.as_ref()).for_each(|(s, t)| *s = *t);
    short
}

/// Encrypts or decrypts, which is the same: IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16), RFC 3711 §4.1.1.
fn counter_mode(
    cipher: &EncryptingKey,
    salt: &[u8; 14],
    ssrc: u32,
    index: u64,
    payload: &mut [u8],
) -> Result<(), SrtpError> {
    let mut padded = [0; 16];
    padded.iter_mut().zip(salt).for_each(|(p, s)| *p = *s);
    let iv = u128::from_be_bytes(padded) ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
    let iv = FixedLength::from(iv.to_be_bytes());
    cipher.less_safe_encrypt(payload, EncryptionContext::Iv128(iv))?;
    Ok(())
}

/// RFC 7714 §8.1: two zero bytes, SSRC, roll-over counter, sequence number; XOR the salt.
fn rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    nonce(salt, (u128::from(ssrc) << 48) | u128::from(index))
}

/// RFC 7714 §9.1: two zero bytes, SSRC, two zero bytes, the 31-bit index; XOR the salt.
fn rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> Nonce {
    nonce(salt, (u128::from(ssrc) << 48) | u128::from(index))
}

/// `value` holds 96 bits.
fn nonce(salt: &[u8; 12], value: u128) -> Nonce {
    let [_, _, _, _, mut bytes @ ..] = value.to_be_bytes();
    bytes.iter_mut().zip(salt).for_each(|(b, s)| *b ^= *s);
    Nonce::assume_unique_for_key(bytes)
}

/// RFC 7714 §9.2: the clear header and the index word.
fn rtcp_aad(clear: &[u8; RTCP_CLEAR], word: [u8; SRTCP_INDEX]) -> Aad<[u8; RTCP_CLEAR + SRTCP_INDEX]> {
    let mut aad = [0; RTCP_CLEAR + SRTCP_INDEX];
    aad.iter_mut().zip(clear.iter().chain(&word)).for_each(|(a, b)| *a = *b);
    Aad::from(aad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    fn with_session_keys(profile: Profile, key: &[u8], salt: &[u8]) -> Cipher {
        let mut keys = SessionKeys::default();
        keys.encryption[..key.len()].copy_from_slice(key);
        keys.salt[..salt.len()].copy_from_slice(salt);
        Cipher::new(profile, &keys).unwrap()
    }

    /// RFC 3711 appendix B.2.
    #[test]
    fn counter_mode_key_stream() {
        let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
        let cipher = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &key).unwrap()).unwrap();
        let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let mut stream = [0; 48];
        counter_mode(&cipher, &salt, 0, 0, &mut stream).unwrap();
        let expected = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream[..], hex(expected)[..]);
    }

    const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976697361\
                       20696e207061727465732074726573";

    fn gcm_rtp(profile: Profile, key: &str, sealed: &str) {
        let cipher = with_session_keys(profile, &hex(key), &hex("517569642070726f2071756f"));
        let plain = hex(RTP);
        let mut packet = plain.clone();
        packet.resize(plain.len() + GCM_TAG, 0);
        cipher.seal_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(packet, hex(sealed));
        cipher.open_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(packet[..plain.len()], plain[..]);
    }

    /// RFC 7714 §16.1.1.
    #[test]
    fn gcm_128_of_rfc_7714() {
        gcm_rtp(
            Profile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
             899d7f27beb16a9152cf765ee4390cce",
        );
    }

    /// RFC 7714 §16.2.1.
    #[test]
    fn gcm_256_of_rfc_7714() {
        gcm_rtp(
            Profile::AeadAes256Gcm,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        );
    }

    /// RFC 7714 §17.1.
    #[test]
    fn gcm_srtcp_of_rfc_7714() {
        let key = hex("000102030405060708090a0b0c0d0e0f");
        let cipher = with_session_keys(Profile::AeadAes128Gcm, &key, &hex("517569642070726f2071756f"));
        let plain = hex(
            "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdead\
                         beefdeadbeef",
        );
        let mut packet = plain.clone();
        packet.resize(plain.len() + GCM_TAG + SRTCP_INDEX, 0);
        cipher.seal_rtcp(&mut packet, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(
            packet,
            hex(
                "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9\
                 275bc84aa45896cf4d2fc5abf87245d9eade800005d4"
            )
        );
        assert_eq!(cipher.rtcp_index_word(&packet), Some(0x8000_05d4));
        cipher.open_rtcp(&mut packet, 0x4d61_7273, 0x8000_05d4).unwrap();
        assert_eq!(packet[..plain.len()], plain[..]);
    }
}
