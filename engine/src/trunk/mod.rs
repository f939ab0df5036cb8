//! Carriers' trunks, as the engine sees them.

mod breaker;
mod limits;

pub(crate) use breaker::{Breaker, Sign, Standing};
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
    /// Calls in a row that fail for the trunk's sake (5xx, refusals of ours, no answer at all) before it rests; 0: never.
    pub breaker_failures: u32,
    /// How long it rests before one call tries it again, in seconds; doubled each time that call fails.
    pub breaker_pause_s: u32,
}

impl Trunk {
    /// What the configuration takes for `breaker_failures` when it says nothing.
    pub const BREAKER_FAILURES: u32 = 10;
    /// What the configuration takes for `breaker_pause_s` when it says nothing, in seconds.
    pub const BREAKER_PAUSE_S: u32 = 10;
}
