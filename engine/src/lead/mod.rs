//! Leads: whom to call, and when again.

pub(crate) mod area;
pub(crate) mod caps;
mod columns;
pub(crate) mod hopper;
pub(crate) mod hours;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod phone;
pub(crate) mod phones;
pub(crate) mod place;
pub(crate) mod retry;
pub(crate) mod suppressed;
pub(crate) mod zone;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::place::{Consent, ConsentKind};

use crate::compliance::Past;
use crate::{AgentId, CampaignId, LeadId, ListId, Outcome, Pii};
use phones::LeadPhone;

/// Where a lead stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeadStatus {
    /// Never dialed.
    New,
    /// Being dialed or talked to now.
    Dialing,
    /// To be dialed again, not before its next time.
    Retry,
    /// Finished.
    Done,
    /// The number is on the suppression list.
    Suppressed,
}

impl LeadStatus {
    pub(crate) const ALL: [LeadStatus; 5] =
        [LeadStatus::New, LeadStatus::Dialing, LeadStatus::Retry, LeadStatus::Done, LeadStatus::Suppressed];
}

/// A time at which a person was promised another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Callback {
    /// The agent who promised it and keeps it, if there in time; none: whoever is free.
    pub agent: Option<AgentId>,
    /// When, in ms since 1970.
    pub due_unix_ms: i64,
}

/// A lead as the engine holds it: in the hopper, or on the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// The campaign that dials it.
    pub campaign: CampaignId,
    /// The list it came with.
    pub list: ListId,
    /// The phone to dial next: E.164, with the plus sign.
    pub phone: Pii<String>,
    /// All its phones in their order, when it has several; else none.
    pub phones: Vec<LeadPhone>,
    /// IANA name, e.g. `America/Chicago`.
    pub time_zone: String,
    /// Where its address says that it lives: ISO 3166; empty: not known but by the number.
    pub country: String,
    /// Part of the country: two letters in the US; empty: not known but by the number.
    pub state: String,
    /// What the person agreed to.
    pub consent: Consent,
    /// Whether the number is on its country's do-not-call list.
    pub on_national_list: bool,
    /// Attempts to the number, of all campaigns, in the last 72 hours as of when the lead was read.
    pub recent: Vec<Past>,
    /// Higher is dialed earlier.
    pub priority: i32,
    /// Attempts that counted so far.
    pub attempts: u32,
    /// How the last attempt ended.
    pub last_outcome: Option<Outcome>,
    /// How many attempts in a row ended like the last one.
    pub repeats: u32,
    /// For the agent's screen.
    pub first_name: Pii<String>,
    /// For the agent's screen.
    pub last_name: Pii<String>,
    /// Who talked with this lead last.
    pub last_agent: Option<AgentId>,
    /// What was promised to the person.
    pub callback: Option<Callback>,
    /// When its attempts that counted began, in ms since 1970, as of when it was read.
    pub own: Vec<i64>,
    /// Leads with a lower number were read to be dialed first; of equal ones the dialer takes whom it likes.
    pub turn: u32,
    /// Further columns of the imported file, shown to the agent as they came.
    pub custom: Pii<BTreeMap<String, String>>,
    /// The caller id that it was shown last; empty: none yet.
    pub last_caller_id: String,
}
