//! Session keys from the master key (RFC 3711 §4.3, RFC 7714 §11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::cipher::{Cipher, SessionKeys};
use super::{Profile, SrtpError};

/// Bytes of the salt in the key derivation; AEAD's shorter one is padded at its end (RFC 7714 §11).
const SALT: usize = 14;
pub(super) const MAX_KEY: usize = 32;

/// What a key is for (RFC 3711 §4.3.2); SRTCP's are the same plus 3.
#[derive(Clone, Copy)]
enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// The ciphers of SRTP and SRTCP under one master key.
pub(super) fn session_keys(profile: Profile, key: &[u8], salt: &[u8]) -> Result<(Cipher, Cipher), SrtpError> {
    if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
        return Err(SrtpError::KeyLength);
    }
    let mut padded = [0; SALT];
    padded.iter_mut().zip(salt).for_each(|(p, s)| *p = *s);
    Ok((one(profile, key, &padded, 0)?, one(profile, key, &padded, 3)?))
}

fn one(profile: Profile, key: &[u8], salt: &[u8; SALT], base: u8) -> Result<Cipher, SrtpError> {
    let mut keys = SessionKeys::default();
    let encryption = keys.encryption.get_mut(..profile.key_len()).ok_or(SrtpError::KeyLength)?;
    derive(key, salt, base + Label::Encryption as u8, encryption)?;
    derive(key, salt, base + Label::Authentication as u8, &mut keys.authentication)?;
    let session_salt = keys.salt.get_mut(..profile.salt_len()).ok_or(SrtpError::KeyLength)?;
    derive(key, salt, base + Label::Salt as u8, session_salt)?;
    Cipher::new(profile, &keys)
}

/// AES-CM as the pseudo-random function, of the master key's size (RFC 3711 §4.3.3, RFC 6188 §2).
fn derive(key: &[u8], salt: &[u8; SALT], label: u8, out: &mut [u8]) -> Result<(), SrtpError> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let prf = EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key)?)?;
    // x = label at bit 48, as the derivation rate is 0; the block is (x XOR salt) * 2^16.
    let mut block = [0u8; 16];
    block.iter_mut().zip(salt).for_each(|(b, s)| *b = *s);
    if let Some(b) = block.get_mut(7) {
        *b ^= label;
    }
    out.fill(0);
    prf.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(block)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    /// RFC 3711 appendix B.3.
    #[test]
    fn the_vectors_of_rfc_3711() {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt: [u8; SALT] = hex("0EC675AD498AFEEBB6960B3AABE6").try_into().unwrap();
        let of = |label, len| {
            let mut out = vec![0xff; len];
            derive(&key, &salt, label, &mut out).unwrap();
            out
        };
        assert_eq!(of(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(of(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(of(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn lengths_are_checked() {
        for (profile, key, salt) in [
            (Profile::AesCm128HmacSha1_80, 16, 12),
            (Profile::AeadAes128Gcm, 32, 12),
            (Profile::AeadAes256Gcm, 16, 12),
        ] {
            assert!(matches!(
                session_keys(profile, &vec![0; key], &vec![0; salt]),
                Err(SrtpError::KeyLength)
            ));
        }
    }
}
