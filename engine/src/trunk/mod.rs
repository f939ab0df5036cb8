//! Carriers' trunks, as the engine sees them.

mod limits;

pub(crate) use limits::{Cps, TrunkLive};

use serde::{Deserialize, Serialize};

use crate::TrunkId;

/// What the engine must know of a trunk to keep to its limits. Addresses and credentials stay with the SIP driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trunk {
    /// Its place in the configuration, from 1.
    pub id: TrunkId,
    /// Its name in the configuration.
    pub name: String,
    /// The number shown when the campaign names none, E.164.
    pub caller_id: String,
    /// INVITEs in any one second, never exceeded.
    pub max_cps: u32,
    /// Calls at once, never exceeded.
    pub max_channels: u32,
    /// Whether it is watched by OPTIONS; if so it is down until it answers.
    pub options_keepalive: bool,
}
