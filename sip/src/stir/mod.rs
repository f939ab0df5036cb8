//! STIR/SHAKEN: signing who calls, and checking it (RFC 8224, RFC 8225, RFC 8588).
//!
//! [`Signer`] makes the value of an Identity header. [`Verifier`] checks one; it fetches nothing itself, but says
//! which certificate it needs and is given it ([`crate::net::CertificateFetcher`] gets it by https).
//!
//! Only the `shaken` extension in the full form is spoken, the one that carriers exchange; an Identity header of
//! another extension (`div`, `rcd`) is no fault and is passed over (RFC 8224 §6.2 step 1).

mod certificate;
mod date;
mod identity;
mod party;
mod passport;
mod sign;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;
mod verify;

pub use date::{format_date, parse_date};
pub use passport::Attestation;
pub use sign::{SignError, Signer};
pub use verdict::{Fault, Passed, Verdict};
pub use verify::{Check, RootsError, Verifier};
