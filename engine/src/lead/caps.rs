//! A campaign's own caps on attempts, beside those of the law.

use super::hours::Zones;
use crate::{CampaignSettings, Lead};

const HOUR_MS: i64 = 3_600_000;

/// The cap that a lead has reached, and when it is below it again. `number`: when attempts at its number began, over all
/// campaigns, in ms since 1970.
pub(crate) fn capped(
    settings: &CampaignSettings,
    zones: &mut Zones,
    lead: &Lead,
    number: impl Iterator<Item = i64>,
    unix_ms: i64,
) -> Option<(&'static str, i64)> {
    let most = |most: u32| usize::try_from(most).unwrap_or(usize::MAX);
    if settings.max_attempts_24h > 0 {
        let mut last: Vec<i64> = number.filter(|at| *at > unix_ms - 24 * HOUR_MS).collect();
        last.sort_unstable();
        // The one that must be out of the window before another is made.
        let frees = last.len().checked_sub(most(settings.max_attempts_24h)).and_then(|at| last.get(at));
        if let Some(at) = frees {
            return Some(("max_attempts_24h", at + 24 * HOUR_MS));
        }
    }
    if settings.max_attempts_day > 0 {
        // An unknown zone has no day; the gate refuses it by another rule.
        let day = zones.day(&lead.time_zone, unix_ms)?;
        if lead.own.iter().filter(|at| **at >= day).count() >= most(settings.max_attempts_day) {
            // In the middle of the next day, whatever its clocks do.
            let next = zones.day(&lead.time_zone, day + 36 * HOUR_MS)?;
            return Some(("max_attempts_day", next));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lead;

    /// A Wednesday, 12:00 in New York.
    const NOON: i64 = 1_795_021_200_000;

    #[test]
    fn a_number_in_a_day_and_a_lead_on_its_day() {
        let mut zones = Zones::default();
        let settings = |day, rolling| CampaignSettings {
            max_attempts_day: day,
            max_attempts_24h: rolling,
            ..CampaignSettings::default()
        };
        let hours = |ago: &[i64]| ago.iter().map(|hours| NOON - hours * HOUR_MS).collect::<Vec<_>>();
        let mut check = |settings: &CampaignSettings, own: &[i64], number: &[i64]| {
            let mut lead = lead(1);
            lead.own = hours(own);
            capped(settings, &mut zones, &lead, hours(number).into_iter(), NOON)
        };
        assert_eq!(check(&settings(0, 0), &[1, 1, 1], &[1, 1, 1]), None, "no caps");
        assert_eq!(check(&settings(0, 2), &[], &[1, 25, 24]), None, "out of the window");
        let frees = Some(("max_attempts_24h", NOON + 4 * HOUR_MS));
        assert_eq!(check(&settings(0, 2), &[], &[1, 20]), frees);
        assert_eq!(check(&settings(0, 2), &[], &[1, 20, 23]), frees, "the second of the last two");
        assert_eq!(check(&settings(2, 0), &[1, 13], &[]), None, "yesterday, there");
        assert_eq!(check(&settings(2, 0), &[1, 11], &[]), Some(("max_attempts_day", NOON + 12 * HOUR_MS)));
    }

    #[test]
    fn a_day_whose_clocks_change_has_its_own_length() {
        // 2026-11-01 in New York has 25 hours.
        let noon = "2026-11-01T12:00:00[America/New_York]".parse::<jiff::Zoned>().unwrap();
        let unix_ms = noon.timestamp().as_millisecond();
        let mut lead = lead(1);
        lead.own = vec![unix_ms - 12 * HOUR_MS];
        let settings = CampaignSettings { max_attempts_day: 1, ..CampaignSettings::default() };
        let found = capped(&settings, &mut Zones::default(), &lead, std::iter::empty(), unix_ms);
        assert_eq!(found, Some(("max_attempts_day", unix_ms + 12 * HOUR_MS)), "midnight was 13 hours ago");
    }
}
