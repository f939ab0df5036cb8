//! A trunk's circuit breaker: a carrier that fails call after call is left alone for a while, then asked by OPTIONS where it
//! is asked so at all, and when it answers tried with one call.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::limits::BREAKER_PAUSE_MOST;
use crate::{AttemptId, Trunk};

/// Counts failures in a row; opens at a limit; lets one call through after each pause until one succeeds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Breaker {
    /// Failures in a row that open it; 0: it never opens.
    limit: u32,
    first_pause: Duration,
    /// Whether it is asked before a call tries it.
    asks: bool,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    /// Calls go out.
    Closed,
    /// No call before then; after it one may go out.
    Open { until: Time, pause: Duration },
    /// The pause is over and its answer is awaited.
    Asking { pause: Duration },
    /// It answered: one call may go out.
    Answered { pause: Duration },
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
        Breaker { limit, first_pause, asks: false, failures: 0, state: State::Closed }
    }

    /// As a trunk wants it.
    pub(crate) fn of(trunk: &Trunk) -> Self {
        let pause = Duration::from_secs(trunk.breaker_pause_s.into());
        Breaker { asks: trunk.options_keepalive, ..Breaker::new(trunk.breaker_failures, pause) }
    }

    /// Failures in a row so far.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn standing(&self, now: Time) -> Standing {
        match self.state {
            State::Closed => Standing::Closed,
            State::Open { until, .. } if now < until => Standing::Resting(until.since(now)),
            State::Open { .. } | State::Asking { .. } | State::Answered { .. } | State::HalfOpen { .. } => {
                Standing::Trying
            }
        }
    }

    /// How many calls may be begun now.
    pub(crate) fn room(&self, now: Time) -> u32 {
        match self.state {
            State::Closed => u32::MAX,
            State::Open { until, .. } => u32::from(now >= until && !self.asks),
            State::Answered { .. } => 1,
            State::Asking { .. } | State::HalfOpen { .. } => 0,
        }
    }

    /// When it is to be asked whether it works again.
    pub(crate) fn asked_at(&self) -> Option<Time> {
        match self.state {
            State::Open { until, .. } if self.asks => Some(until),
            _ => None,
        }
    }

    /// It is asked now. Gives whether it is to be asked.
    pub(crate) fn ask(&mut self, now: Time) -> bool {
        match self.state {
            State::Open { until, pause } if self.asks && now >= until => {
                self.state = State::Asking { pause };
                true
            }
            _ => false,
        }
    }

    /// It answered, or did not. Gives whether anybody waited for that.
    pub(crate) fn told(&mut self, now: Time, answered: bool) -> bool {
        let State::Asking { pause } = self.state else { return false };
        self.state = if answered { State::Answered { pause } } else { self.longer(now, pause) };
        true
    }

    /// A pause of twice the length.
    fn longer(&self, now: Time, pause: Duration) -> State {
        let pause = (pause * 2).min(BREAKER_PAUSE_MOST).max(self.first_pause);
        State::Open { until: now + pause, pause }
    }

    /// A call goes out. One that goes out after a pause is the probe.
    pub(crate) fn sent(&mut self, call: AttemptId) {
        if let State::Open { pause, .. } | State::Answered { pause } = self.state {
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
                        self.state = self.longer(now, pause);
                    }
                    // It said nothing; the next call is the probe.
                    Sign::None if self.asks => self.state = State::Answered { pause },
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

    #[test]
    fn a_trunk_that_is_asked_gets_its_call_once_it_answered() {
        let mut breaker = Breaker { asks: true, ..opened() };
        assert_eq!(breaker.asked_at(), Some(at(10)));
        assert!(!breaker.ask(at(9)) && !breaker.told(at(9), true));
        assert_eq!((breaker.room(at(10)), breaker.standing(at(10))), (0, Standing::Trying));
        assert!(breaker.ask(at(10)) && breaker.asked_at().is_none());
        assert_eq!(breaker.room(at(11)), 0);
        assert!(breaker.told(at(12), false));
        assert_eq!((breaker.asked_at(), breaker.room(at(32))), (Some(at(32)), 0), "twice as long");
        assert!(breaker.ask(at(32)) && breaker.told(at(32), true));
        assert_eq!(breaker.room(at(32)), 1);
        breaker.sent(AttemptId(9));
        assert_eq!(breaker.room(at(33)), 0);
        assert!(breaker.saw(at(33), AttemptId(9), Sign::None));
        assert_eq!(breaker.room(at(33)), 1, "it has answered");
        breaker.sent(AttemptId(10));
        assert!(breaker.saw(at(34), AttemptId(10), Sign::Good));
        assert_eq!(breaker.room(at(34)), u32::MAX);
    }
}
