//! Whether a driver is behind with its work for so long that new calls must be refused.
//!
//! Told after each wake-up whether that one was behind. A burst is no overload: the sockets' buffers are there for it.
//! Only when wake-ups are behind one after the other, for a time that uses those buffers up, is new work refused, and
//! it is taken again when none was behind for a while. Between the two nothing changes, so that the answer does not
//! flicker.

use std::time::Duration;

use kraliki_time::Time;

use crate::limits;

/// The state of one driver.
pub(crate) struct Overload {
    /// How long wake-ups may be behind.
    after: Duration,
    state: State,
}

enum State {
    /// New calls are taken.
    Open { behind: Option<Behind> },
    /// They are refused. Since when no wake-up was behind.
    Shut { calm_since: Option<Time> },
}

/// Wake-ups behind in a row.
struct Behind {
    since: Time,
    count: u32,
}

impl Overload {
    pub(crate) fn new(after: Duration) -> Overload {
        Overload { after, state: State::Open { behind: None } }
    }

    /// Notes a wake-up that ended now.
    pub(crate) fn note(&mut self, now: Time, behind: bool) {
        match &mut self.state {
            State::Open { behind: row } if !behind => *row = None,
            State::Open { behind: row } => {
                let row = row.get_or_insert(Behind { since: now, count: 0 });
                row.count = row.count.saturating_add(1);
                if row.count >= limits::OVERLOAD_WAKES && now.since(row.since) >= self.after {
                    self.state = State::Shut { calm_since: None };
                }
            }
            State::Shut { calm_since } if behind => *calm_since = None,
            State::Shut { calm_since } => {
                calm_since.get_or_insert(now);
            }
        }
    }

    /// Whether new calls are to be refused now. It ends also when nothing woke the driver.
    pub(crate) fn is_on(&mut self, now: Time) -> bool {
        if let State::Shut { calm_since: Some(since) } = &self.state
            && now.since(*since) >= limits::OVERLOAD_CALM
        {
            self.state = State::Open { behind: None };
        }
        matches!(self.state, State::Shut { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_millis(500);

    fn ms(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    /// Wake-ups every 5 ms from `from` to `to`; gives when it was on for the first and the last time.
    fn wake(overload: &mut Overload, from: u64, to: u64, behind: impl Fn(u64) -> bool) -> Option<(u64, u64)> {
        let mut on: Option<(u64, u64)> = None;
        for at in (from..to).step_by(5) {
            if overload.is_on(ms(at)) {
                on = Some((on.map_or(at, |(first, _)| first), at));
            }
            overload.note(ms(at), behind(at));
        }
        on
    }

    #[test]
    fn a_burst_is_none_and_a_long_one_is() {
        let mut overload = Overload::new(AFTER);
        assert_eq!(wake(&mut overload, 0, 495, |_| true), None);
        // One that was not behind: the count begins again.
        assert_eq!(wake(&mut overload, 495, 2_000, |at| at % 400 != 95), None);
        assert_eq!(wake(&mut overload, 2_000, 3_000, |_| true), Some((2_205, 2_995)));
    }

    #[test]
    fn it_ends_after_a_calm_only() {
        let mut overload = Overload::new(AFTER);
        wake(&mut overload, 0, 1_000, |_| true);
        let calm = limits::OVERLOAD_CALM.as_millis() as u64;
        // Now and then behind: it stays.
        assert_eq!(wake(&mut overload, 1_000, 10_000, |at| at % 500 == 0), Some((1_000, 9_995)));
        // The last that was behind was at 9,500: calm began with the next.
        assert_eq!(wake(&mut overload, 10_000, 13_000, |_| false), Some((10_000, 9_500 + calm)));
        // It begins anew as it did at first.
        assert_eq!(wake(&mut overload, 13_000, 13_490, |_| true), None);
    }

    #[test]
    fn silence_is_calm_and_few_long_pauses_are_no_overload() {
        let mut overload = Overload::new(AFTER);
        wake(&mut overload, 0, 1_000, |_| true);
        overload.note(ms(1_000), false);
        assert!(overload.is_on(ms(1_001)) && !overload.is_on(ms(1_000) + limits::OVERLOAD_CALM));
        // A machine that stood still for seconds, twice.
        let mut overload = Overload::new(AFTER);
        overload.note(ms(5_000), true);
        overload.note(ms(9_000), true);
        assert!(!overload.is_on(ms(9_000)));
    }
}
