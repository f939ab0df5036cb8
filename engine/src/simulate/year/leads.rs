//! Whom the year calls, and by which campaigns.

use std::collections::BTreeMap;

use crate::store::NewLead;
use crate::{CallingWindow, CampaignSettings, Consent, ConsentKind, Mode, Outcome, Pii, RetryRule};

/// Numbers of people in North America: area code, zone (empty: the area's own), country and state of an address (empty:
/// none is given).
#[rustfmt::skip]
pub(super) const AMERICA: &[(&str, &str, &str, &str)] = &[
    // Borders of zones.
    ("850", "America/Chicago", "", ""), ("850", "America/New_York", "US", "FL"), ("270", "America/Chicago", "", ""),
    ("606", "America/New_York", "", ""), ("219", "America/Chicago", "", ""), ("812", "America/New_York", "", ""),
    ("423", "America/New_York", "", ""), ("906", "America/Menominee", "", ""), ("928", "America/Denver", "", ""),
    ("928", "America/Phoenix", "", ""), ("208", "America/Boise", "", ""), ("208", "America/Los_Angeles", "", ""),
    ("541", "America/Boise", "", ""), ("775", "America/Denver", "", ""), ("308", "America/Denver", "", ""),
    ("701", "America/Chicago", "", ""), ("605", "America/Denver", "", ""), ("907", "America/Adak", "", ""),
    // States that are stricter, and some that are not.
    ("305", "", "", ""), ("407", "", "", ""), ("405", "", "", ""), ("301", "", "", ""), ("206", "", "", ""),
    ("203", "", "", ""), ("702", "", "", ""), ("617", "", "", ""), ("502", "", "", ""), ("205", "", "", ""),
    ("504", "", "", ""), ("601", "", "", ""), ("401", "", "", ""), ("801", "", "", ""), ("404", "", "", ""),
    ("212", "", "", ""), ("312", "", "", ""), ("303", "", "", ""), ("602", "", "", ""), ("808", "", "", ""),
    ("787", "", "", ""), ("915", "", "", ""),
    // People who moved with their numbers.
    ("305", "", "US", "GA"), ("404", "", "US", "FL"), ("212", "", "US", "CA"), ("415", "", "US", "NY"),
    ("702", "America/New_York", "US", "RI"), ("312", "", "US", "LA"), ("602", "", "US", "MA"),
    // Nowhere that is known, and abroad: nobody may be called there.
    ("800", "America/New_York", "", ""), ("416", "America/Toronto", "", ""), ("888", "America/Chicago", "US", "TX"),
];

/// Elsewhere: the number without its last two digits, zone, country, state.
#[rustfmt::skip]
pub(super) const EUROPE: &[(&str, &str, &str, &str, &str)] = &[
    ("uk", "+4420794601", "", "", ""), ("uk", "+4411349601", "", "GB", ""), ("uk", "+4477009001", "", "", ""),
    ("es", "+349112345", "", "", ""), ("es", "+349312345", "", "ES", "CT"), ("es", "+349282345", "", "ES", "CN"),
    ("es", "+346001234", "Europe/Madrid", "ES", "MD"), ("es", "+346001235", "Atlantic/Canary", "ES", "CN"),
    ("cz", "+4207771234", "", "", ""), ("cz", "+4202211234", "", "CZ", ""),
];

/// Waves of leads: a lead has at most a hundred attempts.
pub(super) const WAVE_DAYS: u32 = 60;

fn settings(name: &str, mode: Mode, country: &str, days: &[u8], from: &str, to: &str) -> CampaignSettings {
    // Odd times, so that calls come up at every hour of the day.
    let again = |hours: u32, minutes: u32| RetryRule::after(hours * 3_600 + minutes * 60, 1_000);
    let retry: BTreeMap<Outcome, RetryRule> = [
        (Outcome::NoAnswer, again(25, 17)),
        (Outcome::Busy, again(7, 13)),
        (Outcome::Connected, again(31, 7)),
        (Outcome::CallerHangup, again(9, 3)),
        (Outcome::Cancelled, again(5, 1)),
        (Outcome::PromptPlayed, again(49, 11)),
    ]
    .into();
    CampaignSettings {
        name: name.into(),
        mode,
        country: country.into(),
        calling_hours: vec![CallingWindow { days: days.to_vec(), from: from.into(), to: to.into() }],
        max_attempts: 100,
        wrap_up_s: 5,
        lines_per_agent: 3.0,
        preview_s: 5,
        preview_auto_dial: true,
        caller_id: if country == "ES" { "+34911234500".into() } else { "+12025550100".into() },
        abandon_message: "sorry.wav".into(),
        prompt: "prompt.wav".into(),
        queue_key: String::new(),
        retry,
        ..CampaignSettings::default()
    }
}

const WEEK: [u8; 7] = [1, 2, 3, 4, 5, 6, 7];

/// The campaigns, as wide open as their profiles let them be.
pub(super) fn campaigns() -> Vec<CampaignSettings> {
    let often = RetryRule::after(3 * 3_600 + 120, 1_000);
    let mut again = settings("us-again", Mode::Progressive, "US", &WEEK, "08:00", "21:00");
    for outcome in [Outcome::NoAnswer, Outcome::Busy, Outcome::Connected] {
        again.retry.insert(outcome, often);
    }
    vec![
        settings("us", Mode::Predictive, "US", &WEEK, "08:00", "21:00"),
        // The same people once more, several times a day.
        again,
        settings("us-prompt", Mode::Agentless, "US", &WEEK, "08:00", "21:00"),
        settings("uk", Mode::Power, "GB", &WEEK, "00:00", "24:00"),
        settings("es", Mode::Progressive, "ES", &WEEK[..5], "09:00", "21:00"),
        settings("cz", Mode::Preview, "CZ", &WEEK, "00:00", "24:00"),
    ]
}

/// The leads of a wave, with the name of their campaign.
pub(super) fn wave(number: u32) -> Vec<(&'static str, NewLead)> {
    let kind = |n: usize| match n % 4 {
        0 => ConsentKind::Written,
        1 => ConsentKind::None,
        2 => ConsentKind::ExistingCustomer,
        _ => ConsentKind::Express,
    };
    let lead = |phone: String, (zone, country, state): (&str, &str, &str), kind| NewLead {
        phone: Pii(phone),
        time_zone: zone.into(),
        country: country.into(),
        state: state.into(),
        consent: Consent { kind, at_unix_ms: None, source: "simulated".into() },
        ..NewLead::default()
    };
    let mut leads = Vec::new();
    for (n, (area, zone, country, state)) in AMERICA.iter().enumerate() {
        let phone = format!("+1{area}555{:02}{:02}", number + 1, n);
        let new = lead(phone, (zone, country, state), kind(n + number as usize));
        for campaign in ["us", "us-again", "us-prompt"] {
            let wanted =
                campaign != "us-again" || ["305", "407", "405", "301", "850", "404", "212"].contains(area);
            if wanted {
                leads.push((campaign, new.clone()));
            }
        }
    }
    for (n, (campaign, number_start, zone, country, state)) in EUROPE.iter().enumerate() {
        for person in 0..4 {
            let phone = format!("{number_start}{:02}", number * 10 + person);
            leads.push((*campaign, lead(phone, (zone, country, state), kind(n + person as usize))));
        }
    }
    leads
}

/// Numbers of a wave that are on the US list.
pub(super) fn listed(number: u32) -> Vec<String> {
    let phones = AMERICA.iter().enumerate().filter(|(n, _)| n % 5 == 1);
    phones.map(|(n, (area, ..))| format!("{area},555{:02}{n:02}", number + 1)).collect()
}
