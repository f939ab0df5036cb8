//! When a lead may be called, in its own time.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::CallingWindow;

/// A campaign's calling windows, by day of the week: minutes of the day, from and to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hours {
    days: [Vec<(u16, u16)>; 7],
}

/// Whether a lead may be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It may.
    Open,
    /// Not before this time, in ms since 1970.
    OpensAt(i64),
    /// There is no window at all.
    NeverOpens,
    /// The zone is unknown, so the hour is unknown, so it may not.
    UnknownZone,
}

impl Hours {
    /// Windows that were validated; one that does not read is left out, which closes it.
    pub(crate) fn new(windows: &[CallingWindow]) -> Hours {
        let mut hours = Hours::default();
        for window in windows {
            let (Some(from), Some(to)) = (minute(&window.from), minute(&window.to)) else { continue };
            for day in &window.days {
                let slot = usize::from(*day).checked_sub(1).and_then(|day| hours.days.get_mut(day));
                if let Some(slot) = slot {
                    slot.push((from, to));
                }
            }
        }
        hours
    }

    pub(crate) fn never(&self) -> bool {
        self.days.iter().all(Vec::is_empty)
    }

    fn windows(&self, local: DateTime) -> &[(u16, u16)] {
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        self.days.get(day).map_or(&[], Vec::as_slice)
    }

    fn holds(&self, local: DateTime) -> bool {
        let minute = minute_of(local);
        self.windows(local).iter().any(|(from, to)| (*from..*to).contains(&minute))
    }

    /// Whether they are open only when the others are.
    pub(crate) fn is_within(&self, others: &Hours) -> bool {
        self.days.iter().zip(&others.days).all(|(own, others)| {
            own.iter().all(|(from, to)| {
                // Minute by minute: windows may meet and overlap.
                (*from..*to).all(|minute| others.iter().any(|(from, to)| (*from..*to).contains(&minute)))
            })
        })
    }

    /// As `Mon 09:00-18:00, Sat 10:00-17:00`; days that are alike stand together.
    pub(crate) fn in_words(&self) -> String {
        const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let mut parts: Vec<(String, String)> = Vec::new();
        for (name, windows) in NAMES.iter().zip(&self.days).filter(|(_, windows)| !windows.is_empty()) {
            let at = |minute: &u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let hours: Vec<String> =
                windows.iter().map(|(from, to)| format!("{}-{}", at(from), at(to))).collect();
            let hours = hours.join(" ");
            match parts.last_mut().filter(|(_, last)| *last == hours) {
                Some((days, _)) => days.push_str(&format!(" {name}")),
                None => parts.push(((*name).to_owned(), hours)),
            }
        }
        let parts: Vec<String> = parts.into_iter().map(|(days, hours)| format!("{days} {hours}")).collect();
        parts.join(", ")
    }
}

/// Days that are looked ahead: a week, and as many holidays in a row as there ever are.
const AHEAD_DAYS: i64 = 16;

/// The next time after `now` at which all of these are open, on a day that is not closed. A window that begins in the hour
/// which a clock change leaves out begins after it.
fn opening(
    hours: &[Hours],
    closed: &impl Fn(Date) -> bool,
    zone: &TimeZone,
    now: Timestamp,
) -> Option<Timestamp> {
    let today = zone.to_datetime(now).date();
    for ahead in 0..=AHEAD_DAYS {
        let date = today.checked_add(Span::new().days(ahead)).ok()?;
        if closed(date) {
            continue;
        }
        // A day that only closes on holidays opens with its first minute.
        let midnight = hours.is_empty().then_some(0);
        let windows = hours.iter().flat_map(|hours| hours.windows(date.at(0, 0, 0, 0)));
        let mut starts: Vec<u16> = windows.map(|(from, _)| *from).chain(midnight).collect();
        starts.sort_unstable();
        for from in starts {
            let hour = i8::try_from(from / 60).ok()?;
            let local = date.at(hour, i8::try_from(from % 60).ok()?, 0, 0);
            let Ok(at) = zone.to_timestamp(local) else { continue };
            if at > now && is_open(hours, closed, zone.to_datetime(at)) {
                return Some(at);
            }
        }
    }
    None
}

fn is_open(hours: &[Hours], closed: &impl Fn(Date) -> bool, local: DateTime) -> bool {
    hours.iter().all(|hours| hours.holds(local)) && !closed(local.date())
}

fn minute_of(local: DateTime) -> u16 {
    u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0)
}

/// The minute of the day of `HH:MM`, up to `24:00`.
pub(crate) fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>())
    };
    let (hour, minute) = (two(hour)?.ok()?, two(minute)?.ok()?);
    (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then_some(hour * 60 + minute)
}

const NOON: i8 = 12;
const EVENING: i8 = 17;

/// A part of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daypart {
    Morning,
    Afternoon,
    Evening,
}

impl Daypart {
    fn of(local: DateTime) -> Daypart {
        match local.hour() {
            hour if hour < NOON => Daypart::Morning,
            hour if hour < EVENING => Daypart::Afternoon,
            _ => Daypart::Evening,
        }
    }
}

/// Time zones by name, looked up once. Bounded by the names that exist.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    known: BTreeMap<String, TimeZone>,
}

impl Zones {
    /// Whether a lead in that zone may be called now.
    pub(crate) fn door(&mut self, hours: &Hours, zone: &str, unix_ms: i64) -> Door {
        if hours.never() {
            return Door::NeverOpens;
        }
        self.door_of(std::slice::from_ref(hours), |_| false, zone, unix_ms)
    }

    /// Whether somebody in that zone may be called now: all of these hours must be open, and the day not closed.
    pub(crate) fn door_of(
        &mut self,
        hours: &[Hours],
        closed: impl Fn(Date) -> bool,
        zone: &str,
        unix_ms: i64,
    ) -> Door {
        let Some(zone) = self.zone(zone) else { return Door::UnknownZone };
        let Ok(now) = Timestamp::from_millisecond(unix_ms) else { return Door::UnknownZone };
        if is_open(hours, &closed, zone.to_datetime(now)) {
            return Door::Open;
        }
        opening(hours, &closed, zone, now).map_or(Door::NeverOpens, |at| Door::OpensAt(at.as_millisecond()))
    }

    /// The hour of the day in that zone, 0 to 23; 0 when the zone or the time is none.
    pub(crate) fn hour(&mut self, zone: &str, unix_ms: i64) -> u8 {
        let (Some(zone), Ok(at)) = (self.zone(zone), Timestamp::from_millisecond(unix_ms)) else { return 0 };
        u8::try_from(zone.to_datetime(at).hour()).unwrap_or(0)
    }

    /// The first time from `next` on that lies in another part of the day, there, than `at`; none when the zone is
    /// unknown.
    pub(crate) fn other_daypart(&mut self, zone: &str, at: i64, next: i64) -> Option<i64> {
        let zone = self.zone(zone)?;
        let local = |unix_ms| Some(zone.to_datetime(Timestamp::from_millisecond(unix_ms).ok()?));
        let (at, after) = (local(at)?, local(next)?);
        if Daypart::of(at) != Daypart::of(after) {
            return Some(next);
        }
        let begins = match Daypart::of(after) {
            Daypart::Morning => after.date().at(NOON, 0, 0, 0),
            Daypart::Afternoon => after.date().at(EVENING, 0, 0, 0),
            Daypart::Evening => after.date().tomorrow().ok()?.at(0, 0, 0, 0),
        };
        Some(zone.to_timestamp(begins).ok()?.as_millisecond())
    }

    /// When the day of that time began, there, in ms since 1970; none when the zone is unknown.
    pub(crate) fn day(&mut self, zone: &str, unix_ms: i64) -> Option<i64> {
        let zone = self.zone(zone)?;
        let date = zone.to_datetime(Timestamp::from_millisecond(unix_ms).ok()?).date();
        Some(zone.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_millisecond())
    }

    /// The day in that zone, counted from 1970; that of UTC when the zone is none.
    pub(crate) fn day_number(&mut self, zone: &str, unix_ms: i64) -> i64 {
        let utc = unix_ms.div_euclid(86_400_000);
        let (Some(zone), Ok(at)) = (self.zone(zone), Timestamp::from_millisecond(unix_ms)) else {
            return utc;
        };
        let offset_s = i64::from(zone.to_offset(at).seconds());
        unix_ms.saturating_add(offset_s * 1_000).div_euclid(86_400_000)
    }

    fn zone(&mut self, name: &str) -> Option<&TimeZone> {
        if !self.known.contains_key(name) {
            self.known.insert(name.to_owned(), TimeZone::get(name).ok()?);
        }
        self.known.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(zoned: &str) -> i64 {
        zoned.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond()
    }

    fn hours(days: &[u8], from: &str, to: &str) -> Hours {
        Hours::new(&[CallingWindow { days: days.to_vec(), from: from.into(), to: to.into() }])
    }

    #[test]
    fn the_lead_s_own_clock_decides() {
        let weekdays = hours(&[1, 2, 3, 4, 5], "09:00", "20:00");
        let mut zones = Zones::default();
        let now = unix("2026-11-20T19:59:59[America/New_York]"); // a Friday
        assert_eq!(zones.door(&weekdays, "America/New_York", now), Door::Open);
        assert_eq!(zones.door(&weekdays, "America/Los_Angeles", now), Door::Open);
        let monday = unix("2026-11-23T09:00:00[America/New_York]");
        assert_eq!(zones.door(&weekdays, "America/New_York", now + 1_000), Door::OpensAt(monday));
        assert_eq!(zones.door(&weekdays, "Mars/Olympus", now), Door::UnknownZone);
        assert_eq!(zones.door(&weekdays, "", now), Door::UnknownZone);
        assert_eq!(zones.door(&Hours::default(), "Europe/Prague", now), Door::NeverOpens);
        assert_eq!((zones.hour("America/New_York", now), zones.hour("America/Los_Angeles", now)), (19, 16));
    }

    #[test]
    fn clock_changes_move_the_opening() {
        let mut zones = Zones::default();
        // 2026-03-29: in Prague 02:00 becomes 03:00; in New York 2026-11-01 02:00 becomes 01:00.
        let night = hours(&[1, 2, 3, 4, 5, 6, 7], "02:30", "05:00");
        let before = unix("2026-03-29T01:59:00[Europe/Prague]");
        let after = unix("2026-03-29T03:30:00[Europe/Prague]");
        assert_eq!(zones.door(&night, "Europe/Prague", before), Door::OpensAt(after));
        let whole = hours(&[1, 2, 3, 4, 5, 6, 7], "00:00", "24:00");
        assert_eq!(zones.door(&whole, "Europe/Prague", before), Door::Open);
        let early = hours(&[7], "01:00", "01:30");
        let first = unix("2026-11-01T00:30:00[America/New_York]");
        assert_eq!(
            zones.door(&early, "America/New_York", first),
            Door::OpensAt(unix("2026-11-01T01:00:00-04:00[America/New_York]"))
        );
        // The repeated hour counts as the hour that the person's clock shows.
        let again = unix("2026-11-01T01:15:00-05:00[America/New_York]");
        assert_eq!(zones.door(&early, "America/New_York", again), Door::Open);
    }

    #[test]
    fn minutes_read_strictly() {
        assert_eq!(minute("00:00"), Some(0));
        assert_eq!(minute("24:00"), Some(1_440));
        for wrong in ["", "9:00", "09:60", "24:01", "25:00", "0900", "09:0a", "-1:00", "09:00:00", "+9:00"] {
            assert_eq!(minute(wrong), None, "{wrong}");
        }
    }
}
