//! The wall clock inside the engine: the last word from outside plus the monotonic time since.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

/// Wall time as told by `Input::Clock`; it may step, [`Time`] never does.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct WallClock {
    told: Option<(i64, Time)>,
}

impl WallClock {
    /// The wall clock reads this now.
    pub(crate) fn set(&mut self, now: Time, unix_ms: i64) {
        self.told = Some((unix_ms, now));
    }

    /// Whether it was ever told; before that nothing may be dialed.
    pub(crate) fn known(&self) -> bool {
        self.told.is_some()
    }

    /// Milliseconds since 1970 at `at`, which may lie before the last word.
    pub(crate) fn unix_ms(&self, at: Time) -> i64 {
        let Some((unix_ms, told)) = self.told else { return 0 };
        let ahead = i64::try_from(at.since(told).as_millis()).unwrap_or(i64::MAX);
        let behind = i64::try_from(told.since(at).as_millis()).unwrap_or(i64::MAX);
        unix_ms.saturating_add(ahead).saturating_sub(behind)
    }

    /// The moment at which the wall clock will read `unix_ms`; `now` when that is past.
    pub(crate) fn time_of(&self, now: Time, unix_ms: i64) -> Time {
        let ahead = unix_ms.saturating_sub(self.unix_ms(now)).max(0);
        now + Duration::from_millis(u64::try_from(ahead).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_on_from_the_last_word_and_back() {
        let mut clock = WallClock::default();
        assert!(!clock.known());
        clock.set(Time::from_millis(5_000), 1_000_000);
        assert_eq!(clock.unix_ms(Time::from_millis(7_500)), 1_002_500);
        assert_eq!(clock.unix_ms(Time::from_millis(4_000)), 999_000);
        assert_eq!(clock.time_of(Time::from_millis(6_000), 1_003_000), Time::from_millis(8_000));
        assert_eq!(clock.time_of(Time::from_millis(6_000), 5), Time::from_millis(6_000));
        clock.set(Time::from_millis(8_000), -3_600_000);
        assert_eq!(clock.unix_ms(Time::from_millis(9_000)), -3_599_000);
    }
}
