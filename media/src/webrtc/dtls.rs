//! DTLS of one browser leg, by dimpl: the passive side of a handshake that ends in SRTP keys. No key leaves here before
//! the browser's certificate has matched the fingerprint of its offer (RFC 5763 §5).

use std::sync::Arc;
use std::time::Duration;

use dimpl::{Dtls, SrtpProfile};
use kraliki_time::Time;

use super::identity::{Fingerprint, Identity};
use super::transport::Failure;
use crate::srtp::{Profile, Protector, Unprotector};

/// A DTLS record fits an MTU; dimpl keeps its own below 1,200.
const BUFFER: usize = 2048;
/// dimpl's way to say that it waits for nothing is a moment years ahead.
const NEVER: Duration = Duration::from_secs(86_400);

/// The two directions of SRTP.
pub(super) struct Keys {
    pub(super) tx: Protector,
    pub(super) rx: Unprotector,
}

/// What the endpoint wants; `Wait` comes last.
pub(super) enum Step {
    Packet(Vec<u8>),
    Connected(Box<Keys>),
    Closed,
    Failed(Failure),
    Wait(Option<Time>),
}

pub(super) struct DtlsLeg {
    identity: Arc<Identity>,
    dtls: Dtls,
    expected: Fingerprint,
    verified: bool,
    keys: Option<Keys>,
    connected: bool,
}

impl DtlsLeg {
    pub(super) fn new(identity: Arc<Identity>, expected: Fingerprint, now: Time) -> DtlsLeg {
        DtlsLeg {
            dtls: identity.endpoint(now),
            identity,
            expected,
            verified: false,
            keys: None,
            connected: false,
        }
    }

    /// Each error is final: the caller drops the leg's endpoint.
    pub(super) fn handle_packet(&mut self, now: Time, datagram: &[u8]) -> Result<(), Failure> {
        self.handle_timeout(now)?;
        self.dtls.handle_packet(datagram).map_err(Failure::Dtls)
    }

    pub(super) fn handle_timeout(&mut self, now: Time) -> Result<(), Failure> {
        self.dtls.handle_timeout(self.identity.instant(now)).map_err(Failure::Dtls)
    }

    pub(super) fn close(&mut self) {
        // The endpoint is dropped after this whatever it says.
        let _ = self.dtls.close();
    }

    pub(super) fn poll(&mut self, now: Time) -> Step {
        // Not kept: a leg is idle for a whole shift, and there are many.
        let mut buffer = vec![0; BUFFER];
        loop {
            let needed = match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => return Step::Packet(packet.to_vec()),
                dimpl::Output::BufferTooSmall { needed } if needed <= usize::from(u16::MAX) => needed,
                dimpl::Output::BufferTooSmall { .. } => return Step::Failed(Failure::NoKeys),
                dimpl::Output::PeerCert(der) if Fingerprint::of(der) == self.expected => {
                    self.verified = true;
                    continue;
                }
                dimpl::Output::PeerCert(_) => return Step::Failed(Failure::Fingerprint),
                dimpl::Output::KeyingMaterial(material, profile) => {
                    if !self.verified {
                        return Step::Failed(Failure::Fingerprint);
                    }
                    match keys(&material, profile) {
                        Some(keys) => self.keys = Some(keys),
                        None => return Step::Failed(Failure::NoKeys),
                    }
                    0
                }
                dimpl::Output::Connected => {
                    self.connected = true;
                    0
                }
                dimpl::Output::CloseNotify => return Step::Closed,
                dimpl::Output::Timeout(instant) => {
                    let at = self.identity.time(instant);
                    return Step::Wait(Some(at).filter(|at| at.since(now) < NEVER));
                }
                // A browser leg has no data channel.
                _ => 0,
            };
            if needed > buffer.len() {
                buffer.resize(needed, 0);
            }
            if self.connected
                && let Some(keys) = self.keys.take()
            {
                return Step::Connected(Box::new(keys));
            }
        }
    }
}

/// RFC 5764 §4.2: client key, server key, client salt, server salt. The browser is the client.
fn keys(material: &[u8], profile: SrtpProfile) -> Option<Keys> {
    let profile = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        _ => return None,
    };
    let (client_key, rest) = material.split_at_checked(profile.key_len())?;
    let (server_key, rest) = rest.split_at_checked(profile.key_len())?;
    let (client_salt, rest) = rest.split_at_checked(profile.salt_len())?;
    let server_salt = rest.get(..profile.salt_len())?;
    Some(Keys {
        tx: Protector::new(profile, server_key, server_salt).ok()?,
        rx: Unprotector::new(profile, client_key, client_salt).ok()?,
    })
}
