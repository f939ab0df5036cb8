//! What a key of a trunk's profile may be, where it is one of a few.

use kraliki_media::sdp::{AudioCodec, SrtpPolicy};
use kraliki_sip::Transport;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a trunk is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportKey {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
}

impl From<TransportKey> for Transport {
    fn from(key: TransportKey) -> Transport {
        match key {
            TransportKey::Udp => Transport::Udp,
            TransportKey::Tcp => Transport::Tcp,
            TransportKey::Tls => Transport::Tls,
        }
    }
}

/// Where a trunk reads who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKey {
    /// From alone.
    #[default]
    None,
    /// P-Asserted-Identity.
    Asserted,
    /// P-Preferred-Identity.
    Preferred,
    /// Remote-Party-ID.
    RemoteParty,
}

/// Provisional answers that are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReliableKey {
    /// Not offered.
    No,
    /// Offered.
    #[default]
    Supported,
    /// Required.
    Required,
}

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodecKey {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, wide band; decoded on its way to the agent.
    G722,
    /// Opus; decoded on its way to the agent.
    Opus,
    /// Linear samples at 16 kHz.
    L16,
}

impl From<CodecKey> for AudioCodec {
    fn from(key: CodecKey) -> AudioCodec {
        match key {
            CodecKey::Pcmu => AudioCodec::Pcmu,
            CodecKey::Pcma => AudioCodec::Pcma,
            CodecKey::G722 => AudioCodec::G722,
            CodecKey::Opus => AudioCodec::Opus,
            CodecKey::L16 => AudioCodec::L16,
        }
    }
}

/// Whether a trunk's audio is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SrtpKey {
    /// Never.
    #[default]
    Off,
    /// Where the carrier takes our keys, or brings its own: RTP/AVP with keys is offered.
    Optional,
    /// Always: RTP/SAVP is offered, and a call without keys ends.
    Required,
}

impl From<SrtpKey> for SrtpPolicy {
    fn from(key: SrtpKey) -> SrtpPolicy {
        match key {
            SrtpKey::Off => SrtpPolicy::Off,
            SrtpKey::Optional => SrtpPolicy::Optional,
            SrtpKey::Required => SrtpPolicy::Required,
        }
    }
}

/// How sure we are of a caller id (RFC 8588 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum AttestationKey {
    /// We know the caller and that the number is theirs.
    #[default]
    A,
    /// We know the caller.
    B,
    /// We know neither.
    C,
}

/// Whether who calls us is verified by the Identity header of the call (RFC 8224).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InboundStir {
    /// No.
    #[default]
    Off,
    /// It is logged and counted; every call is answered.
    Record,
    /// A call is answered only when it is known who calls.
    Require,
}
