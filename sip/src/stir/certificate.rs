//! The certificate behind a signature: its key, its chain, and what it says of numbers (RFC 8226).

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::verdict::Fault;
use crate::limits;

/// A certificate with those above it, as fetched.
pub(super) struct Chain {
    leaf: CertificateDer<'static>,
    above: Vec<CertificateDer<'static>>,
    /// The public key as a point that is not compressed: 65 bytes.
    point: Vec<u8>,
    pub(super) tn_auth_list: bool,
}

impl Chain {
    /// Reads what was fetched: PEM with the signer's certificate first, or the bare certificate in DER.
    pub(super) fn parse(body: &[u8]) -> Result<Chain, Fault> {
        let unusable = Fault::CertificateUnusable;
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(body) {
            if certificates.len() >= limits::STIR_CHAIN {
                return Err(unusable("the chain is too long"));
            }
            certificates.push(certificate.map_err(|_: pem::Error| unusable("its PEM is broken"))?);
        }
        if certificates.is_empty() {
            certificates.push(CertificateDer::from(body.to_vec()));
        }
        let leaf = certificates.remove(0);
        let spki = EndEntityCert::try_from(&leaf)
            .map_err(|_| unusable("it is no X.509 certificate that can be read"))?
            .subject_public_key_info();
        let point = spki.strip_prefix(P256).ok_or(unusable("its key is not on the curve P-256"))?.to_vec();
        let tn_auth_list = has_extension(&leaf, TN_AUTH_LIST);
        Ok(Chain { leaf, above: certificates, point, tn_auth_list })
    }

    /// Whether the chain leads to a root and is valid at `now_unix_s`.
    pub(super) fn check(&self, roots: &[TrustAnchor<'static>], now_unix_s: u64) -> Result<(), Fault> {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_unix_s));
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(|_| Fault::CertificateUntrusted)?;
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        match leaf.verify_for_usage(algorithms, roots, &self.above, now, AnyUse, None, None) {
            Ok(_) => Ok(()),
            Err(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => {
                Err(Fault::CertificateExpired)
            }
            Err(_) => Err(Fault::CertificateUntrusted),
        }
    }

    /// Whether `signature` (r and s, 32 bytes each) was made over `message` with the certificate's key.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        verify_es256(&self.point, message, signature)
    }
}

/// RFC 7518 §3.4.
pub(super) fn verify_es256(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
}

/// RFC 8226 has no extended key usage of its own: what a certificate is for is said by its root and its TNAuthList.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// What stands before the 65 bytes of a P-256 point in a SubjectPublicKeyInfo (RFC 5480 §2): the two object
/// identifiers id-ecPublicKey and secp256r1, and the head of the bit string.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// id-pe-TNAuthList: 1.3.6.1.5.5.7.1.26 (RFC 8226 §9).
const TN_AUTH_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1a];

/// Whether a certificate has the extension `oid`.
fn has_extension(certificate: &[u8], oid: &[u8]) -> bool {
    let body = |certificate| {
        let (_, outer, _) = element(certificate)?;
        let (_, mut to_be_signed, _) = element(outer)?;
        loop {
            let (tag, content, rest) = element(to_be_signed)?;
            // [3] holds the extensions (RFC 5280 §4.1).
            if tag == 0xa3 {
                return Some(element(content)?.1);
            }
            to_be_signed = rest;
        }
    };
    let Some(mut extensions) = body(certificate) else { return false };
    while let Some((_, extension, rest)) = element(extensions) {
        if element(extension).is_some_and(|(_, id, _)| id == oid) {
            return true;
        }
        extensions = rest;
    }
    false
}

/// The first DER element: tag, content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // Up to four bytes of length: what is fetched is far below that.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0usize, |length, b| (length << 8) | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}
