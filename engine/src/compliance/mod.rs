//! What the law says of a call: profiles as data, and the gate, which is the last thing before an attempt is written.

mod gate;
mod holiday;
mod law;
mod profile;
mod recent;
mod tighten;

pub use holiday::Holiday;
pub use profile::{
    AbandonmentRule, AttemptsRule, CallerIdRule, ConsentRule, DetectionRule, HoursRule, MessageRule,
    NO_PROFILE, NationalRule, Profile, ProfileFault, RecordingConsent, RecordingRule, RedialRule, RingRule,
    Rules,
};
pub use recent::Past;

pub(crate) use gate::{Look, Refusal, evidence, is_open, look, recording};
pub(crate) use law::{Governed, Law, Terms};
pub(crate) use profile::LOOK_BACK_H;
pub(crate) use recent::{Recent, union};
pub(crate) use tighten::{caller_id, tightens, unfit};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The profiles that come with the dialer.
pub fn built_in() -> Vec<Profile> {
    law::BUILT_IN.profiles().cloned().collect()
}

/// Every profile with these of the operator: one of the same name takes the place of the one that comes with the dialer.
pub fn with(own: &[Profile]) -> Vec<Profile> {
    let mut law = Law::default();
    for profile in own {
        law.put(profile.clone());
    }
    law.profiles().cloned().collect()
}

/// A copy of a national do-not-call list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NationalCopy {
    /// Of which country: ISO 3166.
    pub country: String,
    /// What it is called.
    pub name: String,
    /// The day of the copy, in ms since 1970.
    pub as_of_unix_ms: i64,
    /// When it was imported, in ms since 1970.
    pub imported_unix_ms: i64,
    /// How many numbers are on it.
    pub numbers: u64,
}
