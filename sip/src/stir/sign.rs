//! Signing.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

use super::party::Party;
use super::passport::{Attestation, Claims, Header, Parties, encode, signing_input};
use crate::limits;

/// Why something cannot be signed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The text holds no private key.
    #[error(
        "no private key in the PEM text: give the file with BEGIN PRIVATE KEY or BEGIN EC PRIVATE KEY, unencrypted"
    )]
    NoKey,
    /// The key is of another kind.
    #[error(
        "the private key is not an EC key on the curve P-256, the only one that SHAKEN has: make one with \
         `openssl ecparam -name prime256v1 -genkey -noout` and have a certificate issued for it"
    )]
    WrongKey,
    /// The certificate's address cannot be used.
    #[error(
        "the certificate's address {0:?} must be an https:// URL that others can fetch, without spaces, quotes or <>"
    )]
    BadUrl(String),
    /// A caller or callee is neither a number nor a SIP address. The text is not repeated: it is someone's number.
    #[error("the {0} is neither a telephone number nor a tel: or sip: URI")]
    BadParty(&'static str),
    /// Nobody is called, or too many are.
    #[error("a call has 1 to {most} destinations", most = limits::STIR_DESTINATIONS)]
    Destinations,
    /// The origination id is no UUID.
    #[error("the origination id must be a UUID, like 123e4567-e89b-12d3-a456-426655440000")]
    BadOrigid,
    /// The cryptographic library failed.
    #[error("the signature could not be made")]
    Failed,
}

/// Signs calls with one key. Cheap to share; it has no state that changes.
pub struct Signer {
    key: EcdsaKeyPair,
    x5u: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("x5u", &self.x5u).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer with the first private key in `key_pem` (PKCS#8 or SEC1). `x5u` is where others fetch the certificate.
    pub fn new(key_pem: &str, x5u: &str) -> Result<Signer, SignError> {
        let der = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| SignError::NoKey)?;
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der())
            .map_err(|_| SignError::WrongKey)?;
        let host = x5u.strip_prefix("https://").unwrap_or_default();
        let plain = x5u.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\".contains(&b));
        if host.is_empty() || host.starts_with('/') || !plain || x5u.len() > limits::STIR_URL_BYTES {
            return Err(SignError::BadUrl(x5u.to_owned()));
        }
        Ok(Signer { key, x5u: x5u.to_owned() })
    }

    /// The value of the Identity header for one call.
    ///
    /// `orig` and `dest` are numbers or URIs as the INVITE has them: sign what is sent, after the trunk's rules have
    /// been applied. `iat_unix_s` is now, in seconds since 1970; the INVITE's Date header should say the same
    /// ([`super::format_date`]). `origid` is a UUID that tells the operator, and nobody else, where the call came
    /// from.
    ///
    /// The signature takes its chance from the library, so that two of the same call differ.
    pub fn sign(
        &self,
        attestation: Attestation,
        orig: &str,
        dest: &[&str],
        iat_unix_s: u64,
        origid: &str,
    ) -> Result<String, SignError> {
        if dest.is_empty() || dest.len() > limits::STIR_DESTINATIONS {
            return Err(SignError::Destinations);
        }
        if !is_uuid(origid) {
            return Err(SignError::BadOrigid);
        }
        let dest: Option<Vec<Party>> = dest.iter().map(|dest| Party::of(dest)).collect();
        let claims = Claims {
            attest: attestation,
            dest: Parties::many(dest.ok_or(SignError::BadParty("destination"))?),
            iat: iat_unix_s,
            orig: Parties::one(Party::of(orig).ok_or(SignError::BadParty("caller"))?),
            origid: origid.to_owned(),
        };
        let header = Header {
            alg: "ES256".to_owned(),
            crit: None,
            ppt: Some("shaken".to_owned()),
            typ: "passport".to_owned(),
            x5u: self.x5u.clone(),
        };
        let input = signing_input(&header, &claims).map_err(|_| SignError::Failed)?;
        let signature =
            self.key.sign(&SystemRandom::new(), input.as_bytes()).map_err(|_| SignError::Failed)?;
        // `ppt` unquoted: RFC 8224's grammar has a token, and some verifiers take nothing else.
        Ok(format!("{input}.{};info=<{}>;alg=ES256;ppt=shaken", encode(signature.as_ref()), self.x5u))
    }
}

/// Whether `text` has the form of a UUID (RFC 8588 §5).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}
