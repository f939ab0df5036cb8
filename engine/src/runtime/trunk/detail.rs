//! A trunk as people look at it: its profile without secrets, where it was found, how it does.

use serde::Serialize;
use utoipa::ToSchema;

use super::{NumberFormat, TrunkConfig};
use crate::TrunkId;

/// A trunk's profile and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrunkDetail {
    /// Which.
    pub id: TrunkId,
    /// Its name.
    pub name: String,
    /// Where it was found, the first choice first.
    pub places: Vec<TrunkPlace>,
    /// Whether it has our registration; null when it wants none.
    pub registered: Option<bool>,
    /// INVITEs of calls since the start.
    pub attempts: u64,
    /// Of these, answered.
    pub answers: u64,
    /// Messages of its calls that we sent again.
    pub retransmissions: u64,
    /// Calls that failed, by cause, the most frequent first.
    pub failures: Vec<TrunkFailure>,
    /// What the configuration says of it.
    pub profile: TrunkProfile,
}

/// One place of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrunkPlace {
    /// Address and port.
    pub address: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Whether it answers OPTIONS; true as well when it is not asked.
    pub up: bool,
}

/// Calls that failed for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrunkFailure {
    /// The final SIP status; null: nothing final came.
    pub status: Option<u16>,
    /// The Q.850 cause, when one was given.
    pub q850: Option<u16>,
    /// How many.
    pub count: u64,
}

/// A trunk's configuration, without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrunkProfile {
    /// Hosts that are looked up, in order.
    pub targets: Vec<String>,
    /// The host in request URIs.
    pub host: String,
    /// The user name of its digest; empty: none.
    pub username: String,
    /// The expiry of our registration in seconds; null: it wants none.
    pub register_s: Option<u32>,
    /// How the called number is written: `e164`, `digits`, `international` or `national`.
    pub number_format: String,
    /// How the caller id is written.
    pub caller_id_format: String,
    /// What stands before the called number.
    pub number_prefix: String,
    /// Whether the people called are not shown the caller id.
    pub private: bool,
    /// The session timer in seconds; null: none.
    pub session_timer_s: Option<u32>,
    /// How many redirects of a call are followed.
    pub redirects: u8,
    /// What is offered, in order.
    pub codecs: Vec<String>,
    /// Where its calls to us may come from, beside its own addresses.
    pub accept_from: Vec<String>,
    /// Whether callers are signed (STIR).
    pub signed: bool,
    /// Trunks that a call goes on by, in order.
    pub fail_over: Vec<TrunkId>,
    /// After these final statuses.
    pub fail_over_on: Vec<u16>,
}

impl TrunkProfile {
    pub(super) fn of(trunk: &TrunkConfig) -> TrunkProfile {
        let target = |target: &kraliki_sip::resolve::Target| match target.port {
            Some(port) => format!("{}:{port}", target.host),
            None => target.host.clone(),
        };
        let codecs = trunk.codecs.iter().map(|codec| format!("{codec:?}").to_ascii_lowercase());
        TrunkProfile {
            targets: trunk.targets.iter().map(target).collect(),
            host: trunk.host.clone(),
            username: trunk.credentials.as_ref().map(|c| c.username.clone()).unwrap_or_default(),
            register_s: trunk.register_s,
            number_format: name(trunk.numbers.called).to_owned(),
            caller_id_format: name(trunk.numbers.calling).to_owned(),
            number_prefix: trunk.numbers.prefix.clone(),
            private: trunk.private,
            session_timer_s: trunk.session_timer.map(|timer| timer.expires_s),
            redirects: trunk.max_redirects,
            codecs: codecs.collect(),
            accept_from: trunk.accept_from.iter().map(ToString::to_string).collect(),
            signed: trunk.signing.is_some(),
            fail_over: trunk.trunk.fail_over.clone(),
            fail_over_on: trunk.trunk.fail_over_on.clone(),
        }
    }
}

fn name(format: NumberFormat) -> &'static str {
    match format {
        NumberFormat::E164 => "e164",
        NumberFormat::Digits => "digits",
        NumberFormat::International => "international",
        NumberFormat::National => "national",
    }
}
