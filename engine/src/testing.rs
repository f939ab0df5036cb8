//! What tests of several files share.

use crate::{CampaignId, Consent, Lead, LeadId, LeadPhone, ListId, PhoneStatus, Pii};

/// A lead of campaign 1 in New York, never dialed.
pub(crate) fn lead(id: i64) -> Lead {
    Lead {
        id: LeadId(id),
        campaign: CampaignId(1),
        list: ListId(1),
        phone: Pii(format!("+1202555{id:04}")),
        phones: Vec::new(),
        time_zone: "America/New_York".into(),
        country: String::new(),
        state: String::new(),
        consent: Consent::default(),
        on_national_list: false,
        recent: Vec::new(),
        priority: 0,
        attempts: 0,
        last_outcome: None,
        repeats: 0,
        last_agent: None,
        callback: None,
        own: Vec::new(),
        turn: 0,
        first_name: Pii("Ann".into()),
        last_name: Pii("Example".into()),
        custom: Pii::default(),
        last_caller_id: String::new(),
    }
}

/// A mobile phone of a lead that has several, never dialed.
pub(crate) fn phone(number: &str) -> LeadPhone {
    LeadPhone { phone: Pii(number.to_owned()), kind: "mobile".into(), attempts: 0, status: PhoneStatus::Ok }
}
