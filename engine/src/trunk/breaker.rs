//! A trunk's circuit breaker: a carrier that fails call after call is left alone for a while, then tried with one call.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::AttemptId;
use crate::limits::BREAKER_PAUSE_MOST;

/// Counts failures in a row; opens at a limit; lets one call through after each pause until one succeeds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Breaker {
    /// Failures in a row that open it; 0: it never opens.
    limit: u32,
    first_pause: Duration,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    /// Calls go out.
    Closed,
    /// No call before then; after it one may go out.
    Open { until: Time, pause: Duration },
    /// That one is on its way.
    HalfOpen { probe: AttemptId, pause: Duration },
}

/// How a breaker stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Calls go out.
    Closed,
    /// No call for this long.
    Resting(Duration),
    /// One call tries whether the trunk works again, or may.
    Trying,
}

/// What one call says of its trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The far side works: it rang, answered, or refused for the called person's sake.
    Good,
    /// The trunk failed: a server failure, a refusal of ours, or nothing came back.
    Bad,
    /// Nothing: we took it back, or it was not sent.
    None,
}

impl Breaker {
    pub(crate) fn new(limit: u32, first_pause: Duration) -> Self {
        Breaker { limit, first_pause, failures: 0, state: State::Closed }
    }

    /// Failures in a row so far.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn standing(&self, now: Time) -> Standing {
        match self.state {
            State::Closed => Standing::Closed,
            State::Open { until, .. } if now < until => Standing::Resting(until.since(now)),
            State::Open { .. } | State::HalfOpen { .. } => Standing::Trying,
        }
    }

    /// How many calls may be begun now.
    pub(crate) fn room(&self, now: Time) -> u32 {
        match self.state {
            State::Closed => u32::MAX,
            State::Open { until, .. } => u32::from(now >= until),
            State::HalfOpen { .. } => 0,
        }
    }

    /// A call goes out. One that goes out after a pause is the probe.
    pub(crate) fn sent(&mut self, call: AttemptId) {
        if let State::Open { pause, .. } = self.state {
            self.state = State::HalfOpen { probe: call, pause };
        }
    }

    /// What came of a call. Gives whether the breaker opened or closed.
    pub(crate) fn saw(&mut self, now: Time, call: AttemptId, sign: Sign) -> bool {
        match (self.state, sign) {
            (State::Closed, Sign::Good) => {
                self.failures = 0;
                false
            }
            (State::Closed, Sign::Bad) => {
                self.failures = self.failures.saturating_add(1);
                let opens = self.limit > 0 && self.failures >= self.limit;
                if opens {
                    self.state = State::Open { until: now + self.first_pause, pause: self.first_pause };
                }
                opens
            }
            (State::HalfOpen { probe, pause }, sign) if probe == call => {
                match sign {
                    Sign::Good => {
                        self.failures = 0;
                        self.state = State::Closed;
                    }
                    Sign::Bad => {
                        self.failures = self.failures.saturating_add(1);
                        let pause = (pause * 2).min(BREAKER_PAUSE_MOST).max(self.first_pause);
                        self.state = State::Open { until: now + pause, pause };
                    }
                    // It said nothing; the next call is the probe.
                    Sign::None => self.state = State::Open { until: now, pause },
                }
                true
            }
            // A call of before the breaker opened: only a probe tells.
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::from_millis(s * 1_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(3, Duration::from_secs(10));
        for n in 1..=3 {
            assert_eq!(breaker.room(at(0)), u32::MAX);
            assert_eq!(breaker.saw(at(0), AttemptId(n), Sign::Bad), n == 3);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(3, Duration::from_secs(10));
        for n in 0..20 {
            let sign = [Sign::Bad, Sign::Bad, Sign::None, Sign::Good][n % 4];
            assert!(!breaker.saw(at(0), AttemptId(1), sign), "{n}");
        }
        assert_eq!(breaker.standing(at(0)), Standing::Closed);
        let mut off = Breaker::new(0, Duration::from_secs(10));
        assert!((0..1_000).all(|n| !off.saw(at(0), AttemptId(n), Sign::Bad)));
    }

    #[test]
    fn one_call_tries_after_pauses_that_double_up_to_a_limit() {
        let mut breaker = opened();
        let (mut now, mut pause) = (0, 10);
        for probe in 10..20 {
            assert_eq!(breaker.standing(at(now)), Standing::Resting(Duration::from_secs(pause)));
            assert_eq!(breaker.room(at(now + pause - 1)), 0);
            now += pause;
            assert_eq!((breaker.room(at(now)), breaker.standing(at(now))), (1, Standing::Trying));
            breaker.sent(AttemptId(probe));
            assert_eq!(breaker.room(at(now + 500)), 0, "one at a time");
            assert!(!breaker.saw(at(now), AttemptId(2), Sign::Good), "a call of before says nothing");
            assert!(breaker.saw(at(now), AttemptId(probe), Sign::Bad));
            pause = (pause * 2).min(BREAKER_PAUSE_MOST.as_secs());
        }
        assert_eq!(breaker.failures(), 13);
    }

    #[test]
    fn a_success_closes_it_and_a_probe_that_says_nothing_is_followed_by_another() {
        let mut breaker = opened();
        breaker.sent(AttemptId(4));
        assert!(breaker.saw(at(11), AttemptId(4), Sign::None));
        assert_eq!(breaker.room(at(11)), 1);
        breaker.sent(AttemptId(5));
        assert!(breaker.saw(at(12), AttemptId(5), Sign::Good));
        assert_eq!((breaker.room(at(12)), breaker.failures()), (u32::MAX, 0));
    }
}
