//! Carriers' trunks, as the engine sees them.

mod breaker;
mod day;
mod group;
mod limits;
mod prefix;

pub(crate) use breaker::{Breaker, Sign, Standing};
pub(crate) use day::Meter;
pub(crate) use group::GroupLive;
pub use group::{GroupMember, TrunkGroup};
pub(crate) use limits::{Cps, TrunkLive};
pub(crate) use prefix::{is_prefix, is_premium, longest};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CommandError, Failure, Outcome, Pii, TrunkId};

/// What the engine must know of a trunk to keep to its limits. Addresses and credentials stay with the SIP driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trunk {
    /// Its place in the configuration, from 1; from [`TrunkId::FIRST_STORED`] on when it was made by API.
    pub id: TrunkId,
    /// Its name.
    pub name: String,
    /// The number shown when the campaign names none, E.164.
    pub caller_id: String,
    /// INVITEs in any one second, never exceeded.
    pub max_cps: u32,
    /// Calls at once, never exceeded.
    pub max_channels: u32,
    /// Whether it is watched by OPTIONS.
    pub options_keepalive: bool,
    /// Whether it is down until the driver says that it is up: it is watched by OPTIONS, wants our registration, or has
    /// a name that must be looked up.
    pub watched: bool,
    /// Calls in a row that fail for the trunk's sake (5xx, refusals of ours, no answer at all) before it rests; 0: never.
    pub breaker_failures: u32,
    /// How long it rests before one call tries it again, in seconds; doubled each time that call fails.
    pub breaker_pause_s: u32,
    /// Trunks that a call goes on by when this one cannot take it, in order.
    pub fail_over: Vec<TrunkId>,
    /// Final statuses after which it does; 408 stands for silence too. Never once somebody rang.
    pub fail_over_on: Vec<u16>,
    /// Prefixes of the numbers that it may call: `+34`, or `+` for every number; empty: none.
    pub allowed_prefixes: Vec<String>,
    /// Prefixes of numbers that it may not call all the same. The longest prefix of both lists decides.
    pub refused_prefixes: Vec<String>,
    /// The price of a minute in millionths of the carrier's currency, by prefix; the longest one decides, and a number
    /// without one costs nothing.
    pub prices: BTreeMap<String, u64>,
    /// Calls (INVITEs) in a day; 0: no limit.
    pub calls_per_day: u32,
    /// What its calls of a day may cost, in millionths; 0: no limit.
    pub spend_per_day: u64,
    /// What becomes of the calls that run when that is used up.
    pub over_cap: OverCap,
    /// In which zone a day begins, as an IANA name.
    pub day_zone: String,
    /// A call is ended when it is this long, in seconds; 0: never.
    pub longest_call_s: u32,
    /// The caller ids that it may show, E.164; empty: any.
    pub caller_ids: Vec<String>,
}

/// What becomes of the calls that run when what a trunk may spend in a day is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverCap {
    /// They go on, up to `longest_call_s`.
    #[default]
    Finish,
    /// They are ended when the limit is reached; their agents are told a minute before.
    End,
}

/// What the store keeps of a trunk that was made by API. Its parts are the driver's to write and to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredTrunk {
    /// Which; the engine gives it.
    pub id: TrunkId,
    /// Its name, which never changes.
    pub name: String,
    /// The profile without its password, as JSON.
    pub profile: String,
    /// The password, sealed; none: it has none.
    pub sealed: Option<Pii<Vec<u8>>>,
}

impl Trunk {
    /// What the configuration takes for `fail_over_on` when it says nothing: the carrier is at fault, not the number.
    pub const FAIL_OVER_ON: [u16; 5] = [408, 500, 502, 503, 504];
    /// What the configuration takes for `longest_call_s` when it says nothing: four hours.
    pub const LONGEST_CALL_S: u32 = 14_400;

    /// A trunk of one call a second and ten at once, that is up from the start and may call every number.
    pub fn new(id: TrunkId, name: &str, caller_id: &str) -> Trunk {
        Trunk {
            id,
            name: name.to_owned(),
            caller_id: caller_id.to_owned(),
            max_cps: 1,
            max_channels: 10,
            options_keepalive: false,
            watched: false,
            breaker_failures: Trunk::BREAKER_FAILURES,
            breaker_pause_s: Trunk::BREAKER_PAUSE_S,
            fail_over: Vec::new(),
            fail_over_on: Trunk::FAIL_OVER_ON.to_vec(),
            allowed_prefixes: vec!["+".to_owned()],
            refused_prefixes: Vec::new(),
            prices: BTreeMap::new(),
            calls_per_day: 0,
            spend_per_day: 0,
            over_cap: OverCap::Finish,
            day_zone: "UTC".to_owned(),
            longest_call_s: Trunk::LONGEST_CALL_S,
            caller_ids: Vec::new(),
        }
    }

    /// Whether it may call that number.
    pub(crate) fn carries(&self, number: &str) -> bool {
        let allowed = longest(&self.allowed_prefixes, number);
        !is_premium(number) && allowed > longest(&self.refused_prefixes, number)
    }

    /// What a minute to that number costs, in millionths.
    pub(crate) fn price(&self, number: &str) -> u64 {
        let fitting = self.prices.iter().filter(|(prefix, _)| number.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(0, |(_, price)| *price)
    }

    /// Whether it may show that caller id.
    pub(crate) fn may_show(&self, caller_id: &str) -> bool {
        self.caller_ids.is_empty() || self.caller_ids.iter().any(|id| id == caller_id)
    }

    /// The refusal to change a trunk of the configuration file.
    pub(crate) fn is_configured(name: &str) -> CommandError {
        CommandError::Conflict(format!(
            "trunk {name} stands in the configuration file; change it there and restart"
        ))
    }

    /// Statuses that say that the called person was reached or does not want the call, whatever `fail_over_on` holds.
    const FINAL: [u16; 5] = [486, 600, 603, 607, 608];

    /// Whether a call that failed so may go on over another trunk: nothing beyond 100 came, and neither the status nor the
    /// cause from the telephone network (RFC 3326), which is nearer to what happened, speaks of the called person or of
    /// the number.
    pub(crate) fn fails_over(&self, failure: &Failure) -> bool {
        let (status, q850) = match failure {
            Failure::Status { status, q850, rang: false, .. } => (*status, *q850),
            Failure::Timeout { rang: false } => (408, None),
            _ => return false,
        };
        let of_the_carrier = Outcome::of_failure(Some(503), q850, "", false) == Outcome::Congestion;
        of_the_carrier && self.fail_over_on.contains(&status) && !Trunk::FINAL.contains(&status)
    }

    /// What the configuration takes for `breaker_failures` when it says nothing.
    pub const BREAKER_FAILURES: u32 = 10;
    /// What the configuration takes for `breaker_pause_s` when it says nothing, in seconds.
    pub const BREAKER_PAUSE_S: u32 = 10;
}
