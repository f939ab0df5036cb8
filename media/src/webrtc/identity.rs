//! Who we are to browsers: one certificate for the life of the process.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use dimpl::DtlsCertificate;
use kraliki_time::{Clock, Time};

use crate::limits::{BROWSER_SETUP_TIMEOUT, DTLS_FIRST_REPEAT, DTLS_REPEATS};

/// No certificate could be made; the machine's source of chance or the crypto library failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no DTLS certificate could be made: {0}")]
pub struct IdentityError(String);

/// Our DTLS certificate and settings, made once per process and shared by every browser leg.
pub struct Identity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
    config: Arc<dimpl::Config>,
    /// dimpl counts in `Instant`s: this one is [`Time::ZERO`].
    start: Instant,
}

impl Identity {
    /// Makes a self-signed ECDSA certificate for a year. `clock` is the drivers' clock, the one that `now` comes from.
    pub fn generate(clock: &Clock) -> Result<Identity, IdentityError> {
        Self::with(clock, dimpl::Config::builder())
    }

    /// Repeats of DTLS flights by a seed, so that a test's timing replays.
    #[cfg(test)]
    pub(crate) fn seeded(clock: &Clock, seed: u64) -> Identity {
        Self::with(clock, dimpl::Config::builder().dangerously_set_rng_seed(seed)).unwrap()
    }

    fn with(clock: &Clock, config: dimpl::ConfigBuilder) -> Result<Identity, IdentityError> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|e| IdentityError(e.to_string()))?;
        let config = config
            // STUN has validated the address, so a cookie would only cost a round trip.
            .use_server_cookie(false)
            .flight_start_rto(DTLS_FIRST_REPEAT)
            .flight_retries(DTLS_REPEATS)
            .handshake_timeout(BROWSER_SETUP_TIMEOUT)
            .build()
            .map_err(|e| IdentityError(e.to_string()))?;
        Ok(Identity {
            fingerprint: Fingerprint::of(&certificate.certificate),
            certificate,
            config: Arc::new(config),
            start: clock.instant(Time::ZERO),
        })
    }

    /// SHA-256 over our certificate, as `a=fingerprint` writes it.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.to_string()
    }

    pub(super) fn instant(&self, time: Time) -> Instant {
        self.start.checked_add(Duration::from_nanos(time.as_nanos())).unwrap_or(self.start)
    }

    pub(super) fn time(&self, instant: Instant) -> Time {
        Time::ZERO + instant.saturating_duration_since(self.start)
    }

    /// A DTLS endpoint that waits for the browser's hello.
    pub(super) fn endpoint(&self, now: Time) -> dimpl::Dtls {
        dimpl::Dtls::new_auto(Arc::clone(&self.config), self.certificate.clone(), self.instant(now))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint.to_string()).finish_non_exhaustive()
    }
}

/// SHA-256 over a certificate (RFC 8122 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(der: &[u8]) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest::digest(&digest::SHA256, der).as_ref()).for_each(|(b, d)| *b = *d);
        Fingerprint(bytes)
    }

    /// The value of `a=fingerprint`; `None` when the hash is not SHA-256 or the digits are wrong.
    pub(super) fn parse(value: &str) -> Option<Fingerprint> {
        let (hash, digits) = value.split_once(char::is_whitespace)?;
        if !hash.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let mut bytes = [0; 32];
        let mut pairs = digits.trim().split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|p| p.len() == 2)?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        pairs.next().is_none().then_some(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        self.0.iter().enumerate().try_for_each(|(n, byte)| {
            let colon = if n == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_as_it_is_written() {
        let fingerprint = Fingerprint::of(b"certificate");
        let text = fingerprint.to_string();
        assert_eq!(Fingerprint::parse(&text), Some(fingerprint));
        assert_eq!(Fingerprint::parse(&text.to_lowercase()), Some(fingerprint));
        for bad in ["", "sha-256", "sha-256 AB", &text[..text.len() - 1], &format!("{text}:00")] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
        assert_eq!(Fingerprint::parse(&text.replace("sha-256", "sha-1")), None);
    }
}
