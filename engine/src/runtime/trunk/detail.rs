//! A trunk as people look at it: its profile without secrets, where it was found, how it does.

use serde::Serialize;
use utoipa::ToSchema;

use super::TrunkProfile;
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
    /// Whether it stands in the configuration file, and cannot be changed by API.
    pub configured: bool,
    /// Why it takes no calls until its profile is changed; null: nothing is wrong with it.
    pub problem: Option<String>,
    /// As it was given, without the password.
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
