//! Verification.

use std::collections::BTreeMap;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;

use super::certificate::Chain;
use super::identity::Identity;
use super::party::Party;
use super::passport::Token;
use super::verdict::{Fault, Passed, Verdict};
use crate::limits;

/// Why trust roots cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RootsError {
    /// There is none.
    #[error("no certificate in the PEM text of STIR trust roots: give the list of your policy administrator")]
    Empty,
    /// One cannot be read.
    #[error("the STIR trust root number {0} in the PEM text cannot be read")]
    Unreadable(usize),
}

/// What [`Verifier::verify`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It is decided.
    Done(Verdict),
    /// The certificate at this address is needed: fetch it, give it to [`Verifier::certificate`] or say
    /// [`Verifier::unavailable`], and ask again.
    NeedsCertificate {
        /// The address. It comes from the caller: fetch it with care.
        url: String,
    },
}

/// Checks signed calls against trust roots, with a bounded store of certificates.
pub struct Verifier {
    roots: Vec<TrustAnchor<'static>>,
    certificates: BTreeMap<String, Cached>,
}

/// A certificate, or the lack of one, at an address.
struct Cached {
    fetched_unix_s: u64,
    expires_unix_s: u64,
    /// When the chain was last checked, and what came of it.
    checked: Option<(u64, Result<(), Fault>)>,
    chain: Result<Chain, Fault>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (roots, certificates) = (self.roots.len(), self.certificates.len());
        f.debug_struct("Verifier").field("roots", &roots).field("certificates", &certificates).finish()
    }
}

impl Verifier {
    /// A verifier that trusts the certificates in `roots_pem`.
    pub fn new(roots_pem: &str) -> Result<Verifier, RootsError> {
        let mut roots = Vec::new();
        for (i, certificate) in CertificateDer::pem_slice_iter(roots_pem.as_bytes()).enumerate() {
            let unreadable = RootsError::Unreadable(i + 1);
            let certificate = certificate.map_err(|_| unreadable)?;
            let anchor = webpki::anchor_from_trusted_cert(&certificate).map_err(|_| unreadable)?;
            roots.push(anchor.to_owned());
        }
        if roots.is_empty() {
            return Err(RootsError::Empty);
        }
        Ok(Verifier { roots, certificates: BTreeMap::new() })
    }

    /// Checks one Identity header's value. `from` and `to` are the request's caller and callee, numbers or URIs, from
    /// P-Asserted-Identity or From, and To; `date_unix_s` is its Date header ([`super::parse_date`]), if it has one.
    ///
    /// What can be seen without the certificate is looked at first, so that none is fetched for a call that fails
    /// anyway.
    pub fn verify(
        &mut self,
        now_unix_s: u64,
        identity: &str,
        from: &str,
        to: &str,
        date_unix_s: Option<u64>,
    ) -> Check {
        match self.check(now_unix_s, identity, from, to, date_unix_s) {
            Ok(Some(passed)) => Check::Done(Verdict::Passed(passed)),
            Ok(None) => {
                // Only a value whose info was read comes to need one.
                let url = Identity::parse(identity).map(|identity| identity.info.to_owned());
                Check::NeedsCertificate { url: url.unwrap_or_default() }
            }
            Err(fault) => Check::Done(Verdict::Failed(fault)),
        }
    }

    /// None: the certificate is needed.
    fn check(
        &mut self,
        now_unix_s: u64,
        identity: &str,
        from: &str,
        to: &str,
        date_unix_s: Option<u64>,
    ) -> Result<Option<Passed>, Fault> {
        let from = Party::of(from).ok_or(Fault::BadParty("caller"))?;
        let to = Party::of(to).ok_or(Fault::BadParty("callee"))?;
        let identity = Identity::parse(identity).map_err(Fault::Malformed)?;
        if identity.ppt.is_some_and(|ppt| ppt != "shaken") {
            return Err(Fault::OtherExtension);
        }
        if identity.alg.is_some_and(|alg| alg != "ES256") {
            return Err(Fault::Algorithm);
        }
        let token = Token::parse(identity.token).map_err(Fault::Malformed)?;
        let header = &token.header;
        match header.ppt.as_deref() {
            Some("shaken") => {}
            // Where both speak of the extension they have to agree (RFC 8224 §4).
            _ if identity.ppt.is_some() => return Err(Fault::Malformed("ppt differs from the token's")),
            _ => return Err(Fault::OtherExtension),
        }
        if header.alg != "ES256" {
            return Err(Fault::Algorithm);
        }
        if !header.typ.eq_ignore_ascii_case("passport") {
            return Err(Fault::Malformed("the token's typ is not passport"));
        }
        if header.crit.is_some() {
            return Err(Fault::Malformed("the token asks for what is not known here"));
        }
        if header.x5u != identity.info {
            return Err(Fault::InfoMismatch);
        }
        let claims = token.claims().map_err(Fault::Malformed)?;
        // RFC 8224 §6.2 step 4: both the signed moment and the Date have to be fresh. In the future counts as well:
        // such a token would be good for longer than a minute.
        if now_unix_s.abs_diff(claims.iat) > limits::STIR_FRESH.as_secs() {
            return Err(Fault::Stale("signature"));
        }
        if date_unix_s.is_some_and(|date| now_unix_s.abs_diff(date) > limits::STIR_FRESH.as_secs()) {
            return Err(Fault::Stale("Date"));
        }
        if !claims.orig.has(&from) {
            return Err(Fault::OtherParty("caller"));
        }
        if !claims.dest.has(&to) {
            return Err(Fault::OtherParty("callee"));
        }
        let url = identity.info;
        if !url.starts_with("https://") || url.len() > limits::STIR_URL_BYTES {
            return Err(Fault::Malformed("info is not an https URL"));
        }
        match self.look(now_unix_s, url, token.signed.as_bytes(), &token.signature) {
            None => Ok(None),
            Some(Err(fault)) => Err(fault),
            Some(Ok(tn_auth_list)) => Ok(Some(Passed {
                attestation: claims.attest,
                origid: claims.origid,
                iat_unix_s: claims.iat,
                tn_auth_list,
            })),
        }
    }

    /// Checks chain and signature; says whether the certificate has a TNAuthList. None: it is needed, or needed anew.
    fn look(
        &mut self,
        now_unix_s: u64,
        url: &str,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<Result<bool, Fault>> {
        let cached = self.certificates.get_mut(url)?;
        if now_unix_s >= cached.expires_unix_s {
            return None;
        }
        let chain = match &cached.chain {
            Ok(chain) => chain,
            Err(fault) => return Some(Err(fault.clone())),
        };
        // A chain costs several signatures to check, so what came of it holds for a minute.
        let known = cached.checked.as_ref().filter(|(at, _)| {
            now_unix_s.checked_sub(*at).is_some_and(|age| age < limits::STIR_CHAIN_CHECKED.as_secs())
        });
        let trusted = match known {
            Some((_, trusted)) => trusted.clone(),
            None => {
                let trusted = chain.check(&self.roots, now_unix_s);
                cached.checked = Some((now_unix_s, trusted.clone()));
                trusted
            }
        };
        let outcome = trusted.and_then(|()| {
            if chain.signed(signed, signature) { Ok(chain.tn_auth_list) } else { Err(Fault::Signature) }
        });
        // The signer may have renewed its certificate at the same address: look again, but not for every bad call.
        let age = now_unix_s.saturating_sub(cached.fetched_unix_s);
        if outcome.is_err() && age >= limits::STIR_REFETCH.as_secs() {
            return None;
        }
        Some(outcome)
    }

    /// Takes what was fetched from `url`: PEM, the signer's certificate first, or one certificate in DER.
    pub fn certificate(&mut self, now_unix_s: u64, url: &str, body: &[u8]) {
        self.keep(now_unix_s, url, Chain::parse(body));
    }

    /// Learns that nothing could be fetched from `url`. It is not asked for again for a minute.
    pub fn unavailable(&mut self, now_unix_s: u64, url: &str) {
        self.keep(now_unix_s, url, Err(Fault::CertificateUnavailable));
    }

    fn keep(&mut self, now_unix_s: u64, url: &str, chain: Result<Chain, Fault>) {
        let life = if chain.is_ok() { limits::STIR_CERTIFICATE_LIFE } else { limits::STIR_FAILURE_LIFE };
        let expires_unix_s = now_unix_s.saturating_add(life.as_secs());
        let cached = Cached { fetched_unix_s: now_unix_s, expires_unix_s, checked: None, chain };
        if !self.certificates.contains_key(url) && self.certificates.len() >= limits::STIR_CERTIFICATES {
            // The first to expire goes. Failures expire soonest, so that made-up addresses push out each other, not
            // the certificates of carriers.
            let first = self.certificates.iter().min_by_key(|(_, cached)| cached.expires_unix_s);
            if let Some(url) = first.map(|(url, _)| url.clone()) {
                self.certificates.remove(&url);
            }
        }
        self.certificates.insert(url.to_owned(), cached);
    }

    /// Certificates and failures that are remembered.
    pub fn certificates(&self) -> usize {
        self.certificates.len()
    }
}
