//! Names of things: small integers given by the store, never reused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map($name)
            }
        }
    };
}

id!(
    /// A campaign.
    CampaignId
);
id!(
    /// A list of leads; each belongs to one campaign.
    ListId
);
id!(
    /// A lead: a person to be called.
    LeadId
);
id!(
    /// One dial of a lead. The API calls it a call.
    AttemptId
);
id!(
    /// An agent; the same number as the user who signs in.
    AgentId
);
id!(
    /// A team of agents.
    TeamId
);
id!(
    /// A carrier's SIP trunk.
    TrunkId
);

impl TrunkId {
    /// Below it are the places of the configuration file, counted from 1; from it on trunks that were made by API.
    pub const FIRST_STORED: TrunkId = TrunkId(1_000);
}

/// One INVITE of an attempt. Outcomes belong to the attempt, causes and calls per second to the try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TryId {
    /// The attempt it belongs to.
    pub attempt: AttemptId,
    /// 1 for the first.
    pub number: u32,
}

impl fmt::Display for TryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.attempt, self.number)
    }
}
