//! Carriers' trunks, as the driver knows them: where they are, how they are spoken to, how they do.

mod change;
mod choice;
mod detail;
mod figures;
mod invite;
mod numbers;
mod profile;
mod values;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use kraliki_media::TrunkOptions;
use kraliki_media::sdp::{AudioCodec, SrtpPolicy};
use kraliki_sip::net::ClientFiles;
use kraliki_sip::resolve::Target;
use kraliki_sip::stir::{Attestation, Signer};
use kraliki_sip::{Credentials, Destination, IdentityHeader, Reliable, SessionTimer, SocketId};

pub(super) use change::{Changing, Known, TrunkChange, groups, known};
pub use choice::{AttestationKey, CodecKey, IdentityKey, InboundStir, ReliableKey, SrtpKey, TransportKey};
pub use detail::{TrunkDetail, TrunkFailure, TrunkPlace};
pub(super) use figures::{TrunkFigures, families};
pub use numbers::{NumberFormat, Numbers, UnknownCountry};
pub use profile::{ProfileError, TrunkBasis, TrunkProfile};
pub(super) use watch::Watches;

use crate::Trunk;

/// A carrier's trunk, with all that the carrier wants.
#[derive(Clone, Debug)]
pub struct TrunkConfig {
    /// What the engine must know.
    pub trunk: Trunk,
    /// Where it is, in order: each is looked up (RFC 3263); the next is used when the one before is gone.
    pub targets: Vec<Target>,
    /// Which of our sockets it is spoken to by; none: the first of its transport.
    pub socket: Option<SocketId>,
    /// The host in request URIs, with its port when that is not the usual one.
    pub host: String,
    /// The host in From; empty: our own address.
    pub from_host: String,
    /// For a carrier that asks for a digest.
    pub credentials: Option<Arc<Credentials>>,
    /// For a carrier that wants us to register: the expiry to ask for, in seconds.
    pub register_s: Option<u32>,
    /// How numbers are written.
    pub numbers: Numbers,
    /// Where it reads who calls, beside From.
    pub identity: IdentityHeader,
    /// The people called are not shown the caller id.
    pub private: bool,
    /// Provisional answers that are acknowledged (RFC 3262).
    pub reliable: Reliable,
    /// Whether calls have a session timer (RFC 4028).
    pub session_timer: Option<SessionTimer>,
    /// How often a 3xx of one call is followed.
    pub max_redirects: u8,
    /// Requests too large for UDP go by TCP.
    pub large_by_tcp: bool,
    /// With nothing at all heard of an INVITE by then the call is given up.
    pub first_response_within: Option<Duration>,
    /// The same for a call that others of a group can take.
    pub first_response_in_group: Option<Duration>,
    /// What is offered, in order.
    pub codecs: Vec<AudioCodec>,
    /// Whether audio is encrypted.
    pub srtp: SrtpPolicy,
    /// Sources beside its own addresses that its calls to us come from.
    pub accept_from: Vec<IpNet>,
    /// Signs who calls (RFC 8224).
    pub signing: Option<Signing>,
    /// Whether who calls us is verified.
    pub inbound_stir: InboundStir,
    /// What its servers want of TLS beyond a name and one of the system's roots.
    pub tls: Vec<ClientFiles>,
    /// Of so many of its calls, in per cent, the messages are copied to the collector.
    pub hep_percent: u32,
    /// Where its audio comes in, from whom it is heard, and how long it may be silent.
    pub media: TrunkOptions,
    /// The far end is our simulated carrier, which says in its answer who answered. Never for a real one.
    pub simulated: bool,
    /// As it was given, without the password.
    pub profile: TrunkProfile,
}

/// How the calls of a trunk are signed.
#[derive(Clone, Debug)]
pub struct Signing {
    /// With which key.
    pub signer: Arc<Signer>,
    /// How sure we are of a caller id that `by_number` does not name.
    pub attestation: Attestation,
    /// Caller ids (E.164) with another.
    pub by_number: Vec<(String, Attestation)>,
}

impl TrunkConfig {
    /// A plain trunk at an address, by UDP.
    pub fn new(trunk: Trunk, address: std::net::SocketAddr) -> TrunkConfig {
        TrunkConfig {
            profile: TrunkProfile {
                allowed_prefixes: trunk.allowed_prefixes.clone(),
                ..TrunkProfile::new(&trunk.name, &address.to_string())
            },
            trunk,
            targets: vec![target_of(address)],
            socket: None,
            host: address.to_string(),
            from_host: String::new(),
            credentials: None,
            register_s: None,
            numbers: Numbers::default(),
            identity: IdentityHeader::None,
            private: false,
            reliable: Reliable::No,
            session_timer: None,
            max_redirects: 0,
            large_by_tcp: false,
            first_response_within: None,
            first_response_in_group: None,
            codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
            srtp: SrtpPolicy::Off,
            accept_from: Vec::new(),
            signing: None,
            inbound_stir: InboundStir::Off,
            tls: Vec::new(),
            hep_percent: 100,
            media: TrunkOptions::default(),
            simulated: false,
        }
    }
}

fn target_of(address: std::net::SocketAddr) -> Target {
    let transport = Some(kraliki_sip::Transport::Udp);
    Target { port: Some(address.port()), transport, ..Target::host(&address.ip().to_string()) }
}

/// A destination of a trunk that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) destination: Destination,
    pub(super) up: bool,
    misses: u32,
}

impl Place {
    pub(super) fn ip(&self) -> IpAddr {
        self.destination.address.ip().to_canonical()
    }
}
