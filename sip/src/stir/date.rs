//! The Date header (RFC 3261 §20.17): `Tue, 16 Aug 2016 19:23:38 GMT`.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970-01-01 UTC of a Date header's value. The name of the day is not looked at: a wrong one says
/// nothing about the moment.
pub fn parse_date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let mut words = text.split_once(',')?.1.split_ascii_whitespace();
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':');
    let mut part = |most: u64| clock.next()?.parse::<u64>().ok().filter(|n| *n <= most);
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?);
    let ours = words.next().is_some_and(|zone| zone.eq_ignore_ascii_case("GMT") || zone == "UTC");
    if !ours || !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The Date header's value of a moment, in seconds since 1970-01-01 UTC. A signed request carries one (RFC 8224 §4.1).
pub fn format_date(unix_s: u64) -> String {
    let total = unix_s / 86_400;
    let mut year = 1970;
    while days(year + 1, 1, 1) <= total && year < 9999 {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= total).unwrap_or(1);
    let day = total.saturating_sub(days(year, month, 1)) + 1;
    let name = |names: &[&'static str], at: u64| names.get(at as usize).copied().unwrap_or_default();
    let (weekday, month) = (name(&DAYS, total % 7), name(&MONTHS, month - 1));
    let seconds = unix_s % 86_400;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March, so that the leap day is the last: 153 days in every five months.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    (of_years + (month * 153 + 2) / 5 + day).saturating_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (text, unix_s) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 16 Aug 2016 19:23:38 GMT", 1_471_375_418),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 31 Dec 2100 12:00:00 GMT", 4_133_937_600),
        ] {
            assert_eq!(parse_date(text.as_bytes()), Some(unix_s), "{text}");
            assert_eq!(format_date(unix_s), text);
        }
        for bad in [
            "",
            "Thu, 01 Jan 1970",
            "Thu, 01 Jan 1970 00:00:00 CET",
            "Thu, 01 Foo 1970 00:00:00 GMT",
            "Thu, 1 Jan 1970 24:00:00 GMT",
            "1 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 99999999999999999999 00:00:00 GMT",
        ] {
            assert_eq!(parse_date(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(unix_s in 0u64..253_402_300_800) {
            prop_assert_eq!(parse_date(format_date(unix_s).as_bytes()), Some(unix_s));
        }

        #[test]
        fn any_bytes_and_any_moment(bytes: Vec<u8>, unix_s: u64) {
            let _ = parse_date(&bytes);
            let _ = format_date(unix_s);
        }
    }
}
