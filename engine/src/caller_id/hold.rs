//! Why a campaign has no caller id to show.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The caller ids of a campaign, none of which may be shown now, by what keeps each from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoCallerId {
    /// The pool; empty: the campaign shows a number of its own, or its trunk's.
    pub pool: String,
    /// In quarantine.
    pub quarantined: u32,
    /// Resting.
    pub resting: u32,
    /// With their calls of today.
    pub used_up: u32,
    /// That the campaign's compliance profile forbids to show.
    pub unlawful: u32,
    /// That no trunk of the campaign may show.
    pub not_of_trunk: u32,
    /// What the profile says of one that it forbids, in words; empty: it forbids none.
    pub law: String,
}

impl NoCallerId {
    /// In words, as the pacer says it.
    pub(crate) fn in_words(&self) -> String {
        let counts = [
            (self.quarantined, "in quarantine"),
            (self.resting, "resting"),
            (self.used_up, "with their calls of today"),
            (self.unlawful, "that must not be shown"),
            (self.not_of_trunk, "that no trunk of the campaign may show"),
        ];
        let there = counts.iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> = there.map(|(count, what)| format!("{count} {what}")).collect();
        if parts.is_empty() {
            parts.push("there is none".into());
        }
        let whose = match self.pool.as_str() {
            "" => String::new(),
            pool => format!(" of pool {pool}"),
        };
        let law = if self.law.is_empty() { String::new() } else { format!(" ({})", self.law) };
        format!("no caller id{whose} is good now: {}{law}", parts.join(", "))
    }
}
