//! When a shift ends.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{People, TeamSettings};
use crate::AgentId;
use crate::lead::hours::minute;

/// Windows that follow each other without a gap: more than a week of them is no shift.
const JOINED_MOST: usize = 8;

impl People {
    /// When the shift of an agent that runs at this time ends, in ms since 1970: as it was set for the agent, else the latest
    /// end among the windows of the agent's teams. None: no end is planned.
    pub fn shift_end(&self, agent: AgentId, unix_ms: i64) -> Option<i64> {
        if let Some(set) = self.shifts.get(&agent).filter(|set| **set > unix_ms) {
            return Some(*set);
        }
        let teams = self.teams.values().filter(|team| team.settings.members.contains(&agent));
        teams.filter_map(|team| team.settings.shift_end(unix_ms)).max()
    }

    /// The day that runs at this time for an agent, counted from 1970 in the agent's zone.
    pub(crate) fn day(&self, agent: AgentId, unix_ms: i64) -> i64 {
        let zone = TimeZone::get(self.zone(agent)).unwrap_or(TimeZone::UTC);
        let Ok(at) = Timestamp::from_millisecond(unix_ms) else { return 0 };
        let offset_ms = i64::from(zone.to_offset(at).seconds()) * 1_000;
        unix_ms.saturating_add(offset_ms).div_euclid(24 * 3_600_000)
    }
}

impl TeamSettings {
    /// When the window that is open at this time ends, in ms since 1970; windows that join are one.
    fn shift_end(&self, unix_ms: i64) -> Option<i64> {
        if self.shifts.is_empty() {
            return None;
        }
        let zone = TimeZone::get(&self.time_zone).ok()?;
        let mut end = None;
        for _ in 0..JOINED_MOST {
            let Some(next) = self.window_end(&zone, end.unwrap_or(unix_ms)) else { break };
            end = Some(next);
        }
        end
    }

    fn window_end(&self, zone: &TimeZone, unix_ms: i64) -> Option<i64> {
        let local = zone.to_datetime(Timestamp::from_millisecond(unix_ms).ok()?);
        let day = u8::try_from(local.weekday().to_monday_one_offset()).ok()?;
        let now = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        let open = self.shifts.iter().filter(|window| window.days.contains(&day)).filter_map(|window| {
            let (from, to) = (minute(&window.from)?, minute(&window.to)?);
            (from..to).contains(&now).then_some(to)
        });
        let to = open.max()?;
        let midnight = local.date().to_datetime(jiff::civil::Time::midnight());
        let end = midnight.checked_add(i64::from(to).minutes()).ok()?;
        // A minute that does not exist, when clocks go forward, is the one after the gap.
        let end = zone.to_ambiguous_timestamp(end).compatible().ok()?.as_millisecond();
        (end > unix_ms).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TeamId;
    use crate::team::{ShiftWindow, Team};

    fn team(zone: &str, windows: &[(&[u8], &str, &str)]) -> TeamSettings {
        let shifts = windows
            .iter()
            .map(|(days, from, to)| ShiftWindow {
                days: days.to_vec(),
                from: (*from).into(),
                to: (*to).into(),
            })
            .collect();
        TeamSettings { name: "t".into(), time_zone: zone.into(), shifts, ..TeamSettings::default() }
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_window_ends_in_the_teams_zone_and_windows_that_join_are_one() {
        let prague = team("Europe/Prague", &[(&[1, 2, 3, 4, 5], "08:00", "16:30")]);
        // A Thursday in winter: 16:30 there is 15:30 UTC.
        assert_eq!(prague.shift_end(ms("2026-11-26T10:00:00Z")), Some(ms("2026-11-26T15:30:00Z")));
        assert_eq!(prague.shift_end(ms("2026-11-26T15:30:00Z")), None, "it is over");
        assert_eq!(prague.shift_end(ms("2026-11-28T10:00:00Z")), None, "a Saturday");
        let night =
            team("UTC", &[(&[1], "22:00", "24:00"), (&[2], "00:00", "06:00"), (&[1], "20:00", "23:00")]);
        assert_eq!(night.shift_end(ms("2026-11-23T20:10:00Z")), Some(ms("2026-11-24T06:00:00Z")));
        // The night on which clocks go forward at 02:00: 02:30 is not there.
        let spring = team("Europe/Prague", &[(&[7], "00:00", "02:30")]);
        assert_eq!(spring.shift_end(ms("2026-03-28T23:30:00Z")), Some(ms("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn what_was_set_for_an_agent_comes_first_and_days_begin_at_midnight_there() {
        let mut people = People::default();
        let settings = TeamSettings {
            members: vec![AgentId(1)],
            ..team("America/New_York", &[(&[4], "09:00", "17:00")])
        };
        people.teams.insert(TeamId(1), Team { id: TeamId(1), settings });
        let now = ms("2026-11-26T15:00:00Z");
        assert_eq!(people.shift_end(AgentId(1), now), Some(ms("2026-11-26T22:00:00Z")));
        assert_eq!(people.shift_end(AgentId(2), now), None);
        people.shifts.insert(AgentId(1), now + 60_000);
        assert_eq!(people.shift_end(AgentId(1), now), Some(now + 60_000));
        let late = ms("2026-11-27T03:00:00Z"); // ten in the evening in New York
        assert_eq!(people.day(AgentId(1), late) + 1, people.day(AgentId(2), late));
    }
}
