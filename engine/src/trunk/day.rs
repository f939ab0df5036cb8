//! What a trunk was used for today: its calls, and what they cost while they run.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

/// A call's price is one of a minute, in millionths; what runs up is counted in millionths times milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// The counts of one day.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Today {
    /// Which, counted from 1970 in the trunk's zone.
    day: i64,
    calls: u32,
    /// What ran up until `since`.
    spent: u64,
    since: Time,
    /// The prices of the calls that are answered, summed up.
    running: u64,
    /// Those of the calls that are not.
    waiting: u64,
    /// What was left is what running calls cost in one more minute: the money of the day is gone, whoever hangs up then.
    used_up: bool,
}

/// How a call counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Meter {
    /// Not any more, or not yet.
    #[default]
    Off,
    /// It may be answered, at this price.
    Waiting(u64),
    /// It runs, at this price.
    Running(u64),
}

impl Meter {
    /// Whether it costs at this moment.
    pub(crate) fn runs(self) -> bool {
        matches!(self, Meter::Running(_))
    }
}

impl Today {
    /// Another day begins with nothing; calls that go on cost from then on.
    pub(crate) fn roll(&mut self, now: Time, day: i64) -> bool {
        if day == self.day {
            return false;
        }
        (self.day, self.calls, self.spent, self.since, self.used_up) = (day, 0, 0, now, false);
        true
    }

    /// What the store knows of this day.
    pub(crate) fn restore(&mut self, calls: u64, spent: u64) {
        self.calls = u32::try_from(calls).unwrap_or(u32::MAX);
        self.spent = spent.saturating_mul(MINUTE_MS);
    }

    /// A call is begun.
    pub(crate) fn begin(&mut self, price: u64) -> Meter {
        self.calls = self.calls.saturating_add(1);
        self.waiting = self.waiting.saturating_add(price);
        Meter::Waiting(price)
    }

    /// It was answered.
    pub(crate) fn answered(&mut self, now: Time, meter: &mut Meter) {
        if let Meter::Waiting(price) = *meter {
            self.accrue(now);
            self.waiting = self.waiting.saturating_sub(price);
            self.running = self.running.saturating_add(price);
            *meter = Meter::Running(price);
        }
    }

    /// It is over.
    pub(crate) fn over(&mut self, now: Time, meter: &mut Meter) {
        match std::mem::take(meter) {
            Meter::Off => {}
            Meter::Waiting(price) => self.waiting = self.waiting.saturating_sub(price),
            Meter::Running(price) => {
                self.accrue(now);
                self.running = self.running.saturating_sub(price);
            }
        }
    }

    /// It never was.
    pub(crate) fn never(&mut self, now: Time, meter: &mut Meter) {
        if *meter != Meter::Off {
            self.calls = self.calls.saturating_sub(1);
        }
        self.over(now, meter);
    }

    /// Whether something costs money at this moment.
    pub(crate) fn runs(&self) -> bool {
        self.running > 0
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// In millionths.
    pub(crate) fn spent(&self, now: Time) -> u64 {
        self.run_up(now) / MINUTE_MS
    }

    /// How many calls may be begun under a limit; 0: none is set.
    pub(crate) fn calls_left(&self, limit: u32) -> u32 {
        if limit == 0 { u32::MAX } else { limit.saturating_sub(self.calls) }
    }

    /// Whether a further call may be begun under a limit in millionths (0: none is set). Each call that is there counts with
    /// one minute more than it has run, so that many at once do not pass the limit by much.
    pub(crate) fn has_money(&self, now: Time, limit: u64) -> bool {
        let counted = self.spent(now).saturating_add(self.waiting).saturating_add(self.running);
        limit == 0 || (!self.used_up && counted < limit)
    }

    /// Whether the money of the day is gone.
    pub(crate) fn is_used_up(&self) -> bool {
        self.used_up
    }

    /// The limit is another one.
    pub(crate) fn reopen(&mut self) {
        self.used_up = false;
    }

    /// When it will be used up as things run; none: there is no limit, nothing runs, or it is already.
    pub(crate) fn used_up_at(&self, limit: u64) -> Option<Time> {
        if limit == 0 || self.running == 0 || self.used_up {
            return None;
        }
        let reserve = self.running.saturating_mul(MINUTE_MS);
        let left = limit.saturating_mul(MINUTE_MS).saturating_sub(self.spent).saturating_sub(reserve);
        Some(self.since + Duration::from_millis(left.div_ceil(self.running)))
    }

    /// Marks it as used up when it is; whether it was not before.
    pub(crate) fn use_up(&mut self, now: Time, limit: u64) -> bool {
        let due = self.used_up_at(limit).is_some_and(|at| at <= now);
        self.used_up |= due;
        due
    }

    /// How long what is left pays for the calls that run.
    pub(crate) fn lasts(&self, now: Time, limit: u64) -> Duration {
        let left = limit.saturating_mul(MINUTE_MS).saturating_sub(self.run_up(now));
        Duration::from_millis(left / self.running.max(1))
    }

    fn run_up(&self, now: Time) -> u64 {
        let ms = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        self.spent.saturating_add(self.running.saturating_mul(ms))
    }

    fn accrue(&mut self, now: Time) {
        (self.spent, self.since) = (self.run_up(now), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::from_millis(s * 1_000)
    }

    #[test]
    fn calls_cost_while_they_run_and_count_for_a_minute_ahead() {
        let mut today = Today::default();
        assert!(today.roll(at(0), 20_000) && !today.roll(at(1), 20_000));
        let mut call = today.begin(120_000);
        assert!(today.has_money(at(0), 120_001) && !today.has_money(at(0), 120_000));
        assert_eq!((today.calls(), today.spent(at(100))), (1, 0), "nothing before the answer");
        today.answered(at(100), &mut call);
        assert_eq!((today.spent(at(130)), today.spent(at(160))), (60_000, 120_000));
        let mut other = today.begin(60_000);
        today.over(at(160), &mut other);
        today.over(at(160), &mut call);
        today.over(at(200), &mut call);
        assert_eq!((today.calls(), today.spent(at(900))), (2, 120_000));
        assert_eq!((today.calls_left(2), today.calls_left(5), today.calls_left(0)), (0, 3, u32::MAX));
    }

    #[test]
    fn it_is_used_up_a_minute_before_the_limit_and_stays_so_until_the_next_day() {
        let mut today = Today::default();
        today.roll(at(0), 1);
        let (mut call, mut other) = (today.begin(60_000), today.begin(40_000));
        assert_eq!(today.used_up_at(200_000), None, "nothing runs");
        today.answered(at(0), &mut call);
        today.answered(at(0), &mut other);
        assert_eq!((today.used_up_at(200_000), today.used_up_at(0)), (Some(at(60)), None));
        assert!(!today.use_up(at(59), 200_000) && today.use_up(at(60), 200_000));
        assert!(!today.use_up(at(61), 200_000), "once");
        assert_eq!(today.lasts(at(61), 200_000), Duration::from_secs(59));
        today.over(at(62), &mut call);
        today.over(at(62), &mut other);
        assert!(today.is_used_up() && !today.has_money(at(62), 200_000), "whoever hangs up");
        today.reopen();
        assert!(today.has_money(at(62), 200_000));
        let mut dear = today.begin(300_000);
        today.answered(at(62), &mut dear);
        assert!(today.use_up(at(62), 200_000) && today.lasts(at(62), 200_000) < Duration::from_secs(20));
        assert!(today.roll(at(63), 2) && !today.is_used_up());
    }

    #[test]
    fn a_new_day_begins_with_nothing_and_what_goes_on_costs_on() {
        let mut today = Today::default();
        today.roll(at(0), 1);
        today.restore(7, 500);
        assert_eq!((today.calls(), today.spent(at(0))), (7, 500));
        let mut call = today.begin(60_000);
        today.answered(at(0), &mut call);
        assert!(today.roll(at(60), 2));
        assert_eq!((today.calls(), today.spent(at(60)), today.spent(at(120))), (0, 0, 60_000));
        let mut never = today.begin(1);
        today.never(at(120), &mut never);
        assert_eq!(today.calls(), 0);
    }
}
