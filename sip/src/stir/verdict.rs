//! What a verifier finds, as data: the response and the `verstat` that belong to it.

use thiserror::Error;

use super::passport::Attestation;

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How well the signer knows the caller.
    pub attestation: Attestation,
    /// The signer's mark of where the call came from.
    pub origid: String,
    /// When it was signed, in seconds since 1970-01-01 UTC.
    pub iat_unix_s: u64,
    /// Whether the certificate lists the numbers or carriers that it speaks for (TNAuthList, RFC 8226 §9). What the
    /// list holds is not compared with the number: SHAKEN certificates name a carrier, and which numbers a carrier
    /// has is known to a registry, not to us.
    pub tn_auth_list: bool,
}

/// Why a caller is not verified.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The request has no Identity header. Only a policy that demands one makes this a refusal.
    #[error("the call is not signed")]
    Unsigned,
    /// Of an extension that is not spoken here: passed over, no fault of anyone's (RFC 8224 §6.2 step 1).
    #[error("the Identity header is of another extension than shaken")]
    OtherExtension,
    /// Not of the form that the RFCs have.
    #[error("the Identity header cannot be read: {0}")]
    Malformed(&'static str),
    /// The caller or the callee of the request is neither a number nor a SIP address.
    #[error("the request's {0} cannot be verified: it is neither a number nor a SIP address")]
    BadParty(&'static str),
    /// Signed with something else than ES256.
    #[error("the signature is not ES256")]
    Algorithm,
    /// The signature, or the request's Date, is too old or in the future.
    #[error("the {0} is more than 60 s away from now")]
    Stale(&'static str),
    /// The header names another certificate than the signed token.
    #[error("info and x5u name different certificates")]
    InfoMismatch,
    /// The certificate could not be fetched.
    #[error("the certificate could not be fetched")]
    CertificateUnavailable,
    /// What was fetched is no certificate that can be used.
    #[error("the certificate cannot be used: {0}")]
    CertificateUnusable(&'static str),
    /// No trusted root stands behind the certificate.
    #[error("the certificate does not lead to a trusted root")]
    CertificateUntrusted,
    /// The certificate, or one above it, is not valid now.
    #[error("the certificate has expired or is not valid yet")]
    CertificateExpired,
    /// Another caller or callee was signed than the request has.
    #[error("the signed {0} is not the request's")]
    OtherParty(&'static str),
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

impl Fault {
    /// The response that RFC 8224 §6.2.2 has for it; the same code and text go into a Reason header where the call is
    /// let through. None when there is nothing to complain of.
    pub fn response(&self) -> Option<(u16, &'static str)> {
        Some(match self {
            Fault::OtherExtension | Fault::BadParty(_) => return None,
            Fault::Stale(_) => (403, "Stale Date"),
            Fault::Unsigned => (428, "Use Identity Header"),
            Fault::InfoMismatch | Fault::CertificateUnavailable => (436, "Bad Identity Info"),
            Fault::Algorithm
            | Fault::CertificateUnusable(_)
            | Fault::CertificateUntrusted
            | Fault::CertificateExpired => (437, "Unsupported Credential"),
            Fault::Malformed(_) | Fault::OtherParty(_) | Fault::Signature => (438, "Invalid Identity Header"),
        })
    }

    /// `TN-Validation-Failed` where something was checked and found wrong, `No-TN-Validation` where nothing could be
    /// checked (3GPP TS 24.229 §7.2A.20).
    pub fn verstat(&self) -> &'static str {
        match self {
            Fault::Unsigned | Fault::OtherExtension | Fault::BadParty(_) | Fault::CertificateUnavailable => {
                "No-TN-Validation"
            }
            _ => "TN-Validation-Failed",
        }
    }
}

/// What a verifier says of one Identity header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The caller is who the signature says.
    Passed(Passed),
    /// Nothing is known of the caller, or something is wrong.
    Failed(Fault),
}

impl Verdict {
    /// See [`Fault::response`]; None when verified.
    pub fn response(&self) -> Option<(u16, &'static str)> {
        match self {
            Verdict::Passed(_) => None,
            Verdict::Failed(fault) => fault.response(),
        }
    }

    /// The `verstat` parameter of the caller's URI.
    pub fn verstat(&self) -> &'static str {
        match self {
            Verdict::Passed(_) => "TN-Validation-Passed",
            Verdict::Failed(fault) => fault.verstat(),
        }
    }
}
