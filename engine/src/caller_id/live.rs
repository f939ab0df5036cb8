//! A caller id as it is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CallerIdPool, CallerIdState, CallerIdUse, CallerIdView, Quarantine};
use crate::limits::{ANSWER_RATE_LEAST, ANSWER_RATE_OF, CALLER_ID_DAYS};

/// A pool.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PoolLive {
    pub(crate) pool: CallerIdPool,
    /// A change of it waits for its commit.
    pub(crate) saving: bool,
}

/// What is known of a caller id, whatever pools it is in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct IdLive {
    /// By day (UTC), counted from 1970.
    days: BTreeMap<i64, CallerIdUse>,
    pub(crate) quarantine: Option<Quarantine>,
    /// By which its answer rate is judged: attempts and answers.
    judged: (u32, u32),
    /// From which day on its counts changed since they were written down.
    pub(crate) unwritten: Option<i64>,
}

impl IdLive {
    /// What the store knows of a day.
    pub(crate) fn restore(&mut self, day: i64, used: CallerIdUse) {
        self.days.insert(day, used);
    }

    pub(crate) fn on(&self, day: i64) -> CallerIdUse {
        self.days.get(&day).copied().unwrap_or_default()
    }

    /// Counts something of today.
    pub(crate) fn count(&mut self, day: i64, change: impl FnOnce(&mut CallerIdUse)) {
        change(self.days.entry(day).or_default());
        self.days = self.days.split_off(&(day - CALLER_ID_DAYS));
        self.unwritten.get_or_insert(day);
    }

    /// An attempt that reached the called side, or could have, is over.
    pub(crate) fn judge(&mut self, answered: bool) {
        let (attempts, answers) = &mut self.judged;
        *attempts += 1;
        *answers += u32::from(answered);
        if *attempts >= ANSWER_RATE_OF {
            (*attempts, *answers) = (*attempts / 2, *answers / 2);
        }
    }

    pub(crate) fn judged(&self) -> (u32, u32) {
        self.judged
    }

    /// It begins anew.
    pub(crate) fn lift(&mut self) -> bool {
        self.judged = (0, 0);
        self.quarantine.take().is_some()
    }

    pub(crate) fn is_quarantined(&self, unix_ms: i64) -> bool {
        self.quarantine.as_ref().is_some_and(|q| q.until_unix_ms.is_none_or(|until| unix_ms < until))
    }

    pub(crate) fn state(&self, pool: &CallerIdPool, unix_ms: i64) -> CallerIdState {
        let day = day_of(unix_ms);
        if self.is_quarantined(unix_ms) {
            CallerIdState::Quarantined
        } else if self.rests(pool, day) {
            CallerIdState::Resting
        } else if pool.calls_per_day > 0 && self.on(day).attempts >= pool.calls_per_day {
            CallerIdState::UsedUp
        } else {
            CallerIdState::Good
        }
    }

    fn rests(&self, pool: &CallerIdPool, day: i64) -> bool {
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7) + 1;
        if pool.rest_weekdays.iter().any(|rest| i64::from(*rest) == weekday) {
            return true;
        }
        let used = |day: &i64| self.on(*day).attempts > 0;
        let last = self.days.keys().rev().copied().find(|at| *at <= day && used(at));
        let Some(last) = last.filter(|last| pool.rest_after_days > 0 && *last < day) else { return false };
        let run = (0..CALLER_ID_DAYS).map(|back| last - back).take_while(used).count();
        run >= pool.rest_after_days as usize && day - last <= i64::from(pool.rest_days)
    }

    pub(crate) fn view(&self, number: &str, pool: &CallerIdPool, unix_ms: i64) -> CallerIdView {
        let day = day_of(unix_ms);
        let mut month = CallerIdUse::default();
        for (_, used) in self.days.range(day - 29..=day) {
            month.attempts = month.attempts.saturating_add(used.attempts);
            month.answers = month.answers.saturating_add(used.answers);
            month.blocks = month.blocks.saturating_add(used.blocks);
            month.unwanted = month.unwanted.saturating_add(used.unwanted);
        }
        let (attempts, answers) = self.judged;
        CallerIdView {
            number: number.to_owned(),
            state: self.state(pool, unix_ms),
            today: self.on(day),
            month,
            answer_rate: (attempts >= ANSWER_RATE_LEAST).then(|| f64::from(answers) / f64::from(attempts)),
            quarantine: self.quarantine.clone().filter(|_| self.is_quarantined(unix_ms)),
        }
    }
}

/// The day (UTC) of a time, counted from 1970.
pub(crate) fn day_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Wednesday.
    const DAY: i64 = 20_775;
    const MS: i64 = 86_400_000;

    fn used(days: &[i64]) -> IdLive {
        let mut id = IdLive::default();
        days.iter().for_each(|day| id.count(*day, |used| used.attempts += 1));
        id
    }

    #[test]
    fn rests_after_days_of_use_and_on_days_of_the_week() {
        let pool = CallerIdPool { rest_after_days: 3, rest_days: 2, ..CallerIdPool::default() };
        let id = used(&[DAY - 3, DAY - 2, DAY - 1]);
        let rests: Vec<bool> = (-1..4).map(|n| id.rests(&pool, DAY + n)).collect();
        assert_eq!(rests, [false, true, true, false, false], "not on the third day itself");
        assert!(!used(&[DAY - 4, DAY - 2, DAY - 1]).rests(&pool, DAY), "a day between");
        let weekend = CallerIdPool { rest_weekdays: vec![6, 7], ..CallerIdPool::default() };
        let rests: Vec<bool> = (0..6).map(|n| id.rests(&weekend, DAY + n)).collect();
        assert_eq!(rests, [false, false, false, true, true, false]);
    }

    #[test]
    fn is_used_up_and_in_quarantine_for_a_time() {
        let pool = CallerIdPool { calls_per_day: 2, ..CallerIdPool::default() };
        let mut id = used(&[DAY, DAY]);
        assert_eq!(id.state(&pool, DAY * MS), CallerIdState::UsedUp);
        assert_eq!(id.state(&pool, (DAY + 1) * MS), CallerIdState::Good);
        id.quarantine = Some(Quarantine {
            number: String::new(),
            reason: super::super::QuarantineReason::Blocked,
            status: Some(608),
            redress: String::new(),
            since_unix_ms: DAY * MS,
            until_unix_ms: Some(DAY * MS + 10),
        });
        assert_eq!(id.state(&pool, DAY * MS + 9), CallerIdState::Quarantined);
        assert_eq!(id.state(&pool, DAY * MS + 10), CallerIdState::UsedUp);
        assert!(id.view("", &pool, DAY * MS + 10).quarantine.is_none());
        assert!(id.lift() && !id.lift());
    }

    #[test]
    fn old_days_are_forgotten_and_a_month_is_summed_up() {
        let mut id = used(&[DAY - 100, DAY - 30, DAY - 29, DAY]);
        assert_eq!(id.days.len(), 3);
        id.count(DAY, |used| used.answers += 1);
        let view = id.view("+1", &CallerIdPool::default(), DAY * MS);
        assert_eq!((view.month.attempts, view.today.answers, view.answer_rate), (2, 1, None));
    }
}
