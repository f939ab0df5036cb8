//! Holidays: fixed days, the n-th weekday of a month, days counted from Easter.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A day on which nobody is called, where the hours say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// For people.
    pub name: String,
    /// `MM-DD`; or the n-th weekday of a month, `4th thu 11`, `last mon 05`; or days from Easter Sunday, `easter-2`,
    /// `easter+1`.
    pub on: String,
    /// Whether the Friday before, or the Monday after, is one too when it falls on a weekend.
    #[serde(default)]
    pub observed: bool,
    /// Only in these states or regions; none: everywhere.
    #[serde(default)]
    pub states: Vec<String>,
}

/// When a holiday is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Fixed {
        month: i8,
        day: i8,
    },
    /// From 1; -1: the last.
    Nth {
        nth: i8,
        weekday: i8,
        month: i8,
    },
    Easter {
        days: i16,
    },
}

impl Rule {
    /// Reads `Holiday::on`.
    pub(super) fn parse(on: &str) -> Option<Rule> {
        if let Some(days) = on.strip_prefix("easter") {
            let days = if days.is_empty() { 0 } else { days.parse().ok()? };
            return (-120..=120).contains(&days).then_some(Rule::Easter { days });
        }
        if let Some((month, day)) = on.split_once('-') {
            let (month, day) = (two(month)?, two(day)?);
            // A leap year: 02-29 is a day.
            return Date::new(2024, month, day).ok().map(|_| Rule::Fixed { month, day });
        }
        let mut words = on.split_ascii_whitespace();
        let nth = match words.next()? {
            "1st" => 1,
            "2nd" => 2,
            "3rd" => 3,
            "4th" => 4,
            "last" => -1,
            _ => return None,
        };
        let weekday = words.next()?;
        let weekday =
            ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|day| *day == weekday)?;
        let month = two(words.next()?).filter(|month| (1..=12).contains(month))?;
        if words.next().is_some() {
            return None;
        }
        Some(Rule::Nth { nth, weekday: i8::try_from(weekday).ok()?, month })
    }

    fn in_year(self, year: i16) -> Option<Date> {
        match self {
            Rule::Fixed { month, day } => Date::new(year, month, day).ok(),
            Rule::Nth { nth, weekday, month } => {
                let weekday = Weekday::from_monday_zero_offset(weekday).ok()?;
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
            Rule::Easter { days } => easter(year)?.checked_add(Span::new().days(i64::from(days))).ok(),
        }
    }

    /// Whether it is on that day.
    pub(super) fn holds(self, date: Date, observed: bool) -> bool {
        if self.in_year(date.year()) == Some(date) {
            return true;
        }
        observed && self.is_observed(date)
    }

    /// The Friday before a Saturday, the Monday after a Sunday.
    fn is_observed(self, date: Date) -> bool {
        let beside = match date.weekday() {
            Weekday::Friday => date.checked_add(1.day()),
            Weekday::Monday => date.checked_sub(1.day()),
            _ => return false,
        };
        // The first of January may be observed in the year before.
        beside.is_ok_and(|beside| self.in_year(beside.year()) == Some(beside))
    }
}

fn two(text: &str) -> Option<i8> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Easter Sunday of the Gregorian calendar (Meeus, Astronomical Algorithms, ch. 8).
fn easter(year: i16) -> Option<Date> {
    let year_ = i32::from(year);
    let a = year_.rem_euclid(19);
    let (b, c) = (year_.div_euclid(100), year_.rem_euclid(100));
    let (d, e) = (b.div_euclid(4), b.rem_euclid(4));
    let f = (b + 8).div_euclid(25);
    let g = (b - f + 1).div_euclid(3);
    let h = (19 * a + b - d - g + 15).rem_euclid(30);
    let (i, k) = (c.div_euclid(4), c.rem_euclid(4));
    let l = (32 + 2 * e + 2 * i - h - k).rem_euclid(7);
    let m = (a + 11 * h + 22 * l).div_euclid(451);
    let n = h + l - 7 * m + 114;
    Date::new(year, i8::try_from(n.div_euclid(31)).ok()?, i8::try_from(n.rem_euclid(31) + 1).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(on: &str, date: &str) -> bool {
        Rule::parse(on).unwrap().holds(date.parse().unwrap(), false)
    }

    #[test]
    fn days_of_every_kind() {
        assert!(is("12-25", "2026-12-25") && !is("12-25", "2026-12-24"));
        assert!(is("4th thu 11", "2026-11-26") && !is("4th thu 11", "2026-11-19"));
        assert!(is("last mon 05", "2026-05-25") && !is("last mon 05", "2026-05-18"));
        for (easter, year) in
            [("2024-03-31", 2024), ("2025-04-20", 2025), ("2026-04-05", 2026), ("2038-04-25", 2038)]
        {
            assert!(is("easter", easter), "{year}");
        }
        assert!(
            is("easter-2", "2026-04-03") && is("easter+1", "2026-04-06") && is("easter-47", "2026-02-17")
        );
        assert!(is("02-29", "2028-02-29") && !is("02-29", "2027-03-01"));
    }

    #[test]
    fn a_weekend_s_holiday_is_observed_beside_it() {
        let observed = |on: &str, date: &str| Rule::parse(on).unwrap().holds(date.parse().unwrap(), true);
        // 2026-07-04 is a Saturday, 2027-01-01 a Friday, 2028-01-01 a Saturday.
        assert!(observed("07-04", "2026-07-03") && observed("07-04", "2026-07-04"));
        assert!(observed("01-01", "2027-12-31") && !observed("01-01", "2026-12-31"));
        assert!(observed("12-25", "2027-12-24") && !observed("12-25", "2026-12-24"));
        assert!(observed("06-19", "2033-06-20"));
    }

    #[test]
    fn what_does_not_read() {
        for wrong in [
            "",
            "13-01",
            "1-1",
            "02-30",
            "5th mon 01",
            "1st day 01",
            "1st mon 13",
            "1st mon 01 x",
            "easterly",
        ] {
            assert_eq!(Rule::parse(wrong), None, "{wrong}");
        }
    }
}
