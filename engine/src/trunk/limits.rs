//! A trunk's limits, exact: calls per second smoothed inside the second, and channels.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::Breaker;
use super::day::Today;
use crate::event::TrunkLimit;
use crate::limits::{CPS_AHEAD, CPS_GRAIN, CPS_LATE, CPS_WINDOW};
use crate::{AttemptId, Trunk, TryId};

/// A trunk with what runs on it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TrunkLive {
    pub(crate) trunk: Trunk,
    pub(crate) up: bool,
    /// Calls from the try's decision to its end.
    pub(crate) channels: u32,
    /// Calls that were alive at a crash.
    pub(crate) orphans: BTreeSet<TryId>,
    /// Tries that wait for their commit.
    pub(crate) committing: u32,
    /// Committed tries that wait for their turn, in order.
    pub(crate) queue: VecDeque<AttemptId>,
    pub(crate) cps: Cps,
    pub(crate) breaker: Breaker,
    /// What it was used for today.
    pub(crate) today: Today,
    /// Whether its numbers changed since they were shown.
    pub(crate) dirty: bool,
    /// A change of it waits for its commit.
    pub(crate) saving: bool,
    /// It is deleted, and stays until its last call has ended.
    pub(crate) leaving: bool,
}

impl TrunkLive {
    pub(crate) fn new(trunk: Trunk) -> Self {
        TrunkLive {
            up: !trunk.watched,
            cps: Cps::new(trunk.max_cps),
            breaker: Breaker::of(&trunk),
            today: Today::default(),
            trunk,
            channels: 0,
            orphans: BTreeSet::new(),
            committing: 0,
            queue: VecDeque::new(),
            dirty: true,
            saving: false,
            leaving: false,
        }
    }

    /// Channels in use, those of calls from before a crash included.
    pub(crate) fn in_use(&self) -> u32 {
        self.channels.saturating_add(u32::try_from(self.orphans.len()).unwrap_or(u32::MAX))
    }

    /// How many tries may be begun now: channels, and what the calls per second let go out soon.
    pub(crate) fn room(&self, now: Time) -> u32 {
        if !self.up || self.leaving || self.limit(now).is_some() {
            return 0;
        }
        let waiting = self.committing.saturating_add(u32::try_from(self.queue.len()).unwrap_or(u32::MAX));
        let channels = self.trunk.max_channels.saturating_sub(self.in_use());
        let tries = self.cps.ahead().min(self.breaker.room(now));
        channels.min(tries.saturating_sub(waiting)).min(self.today.calls_left(self.trunk.calls_per_day))
    }

    /// Which limit of its own keeps it from calling anybody now.
    pub(crate) fn limit(&self, now: Time) -> Option<TrunkLimit> {
        if self.trunk.allowed_prefixes.is_empty() {
            return Some(TrunkLimit::NoPrefixes);
        }
        if self.today.calls_left(self.trunk.calls_per_day) == 0 {
            return Some(TrunkLimit::CallsPerDay);
        }
        (!self.today.has_money(now, self.trunk.spend_per_day)).then_some(TrunkLimit::SpendPerDay)
    }
}

/// INVITEs per second. Each is due one gap after the one before; at high rates a few may go at once (see [`CPS_GRAIN`]).
/// In any second there are at most `1 s / gap + burst ≤ max` of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cps {
    max: u32,
    gap: Duration,
    burst: u32,
    /// When the next one is due at the even pace.
    due: Time,
    /// Those of the last second.
    sent: VecDeque<Time>,
}

impl Cps {
    /// At most `max` a second.
    pub(crate) fn new(max: u32) -> Self {
        let gap = CPS_WINDOW / max.max(1);
        // Below 512 a second, rounding would not leave room for a burst of two.
        let burst = if max < 512 {
            1
        } else {
            u32::try_from(CPS_GRAIN.as_nanos() / gap.as_nanos().max(1)).unwrap_or(1)
        };
        Cps { max, gap, burst: burst.max(1), due: Time::ZERO, sent: VecDeque::new() }
    }

    /// Another limit from now on; what was sent in the last second still counts.
    pub(crate) fn relimited(old: Option<Cps>, max: u32) -> Self {
        let new = Cps::new(max);
        match old {
            Some(old) => Cps { due: old.due, sent: old.sent, ..new },
            None => new,
        }
    }

    /// How many may be on their way to the wire.
    pub(crate) fn ahead(&self) -> u32 {
        if self.max == 0 {
            return 0;
        }
        u32::try_from(CPS_AHEAD.as_nanos() / self.gap.as_nanos().max(1)).unwrap_or(u32::MAX).max(1)
    }

    /// When the next INVITE may be sent; `now` or earlier means now.
    pub(crate) fn next(&mut self, now: Time) -> Time {
        self.expire(now);
        let smooth = self.due - self.gap * (self.burst - 1);
        // The sum over the last second is checked by itself: it is what the carrier counts.
        let full = u32::try_from(self.sent.len()).unwrap_or(u32::MAX) >= self.max;
        match self.sent.front() {
            Some(first) if full => smooth.max(*first + CPS_WINDOW),
            _ => smooth,
        }
    }

    /// One was sent.
    pub(crate) fn send(&mut self, now: Time) {
        // A wake-up that came a little late is made up for; a pause is not.
        let late = CPS_LATE.min(self.gap / 2);
        self.due = self.due.max(now - late) + self.gap;
        self.sent.push_back(now);
    }

    /// INVITEs of the last second.
    pub(crate) fn count(&self, now: Time) -> u32 {
        let last = self.sent.iter().rev().take_while(|at| now.since(**at) < Duration::from_secs(1)).count();
        u32::try_from(last).unwrap_or(u32::MAX)
    }

    fn expire(&mut self, now: Time) {
        while self.sent.front().is_some_and(|at| *at + CPS_WINDOW <= now) {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as fast as allowed, with uneven wake-ups, and gives the most in any second and the total.
    fn flood(max: u32, seconds: u64) -> (usize, usize) {
        let mut cps = Cps::new(max);
        let (mut now, mut sent, mut chaos) = (Time::from_millis(50), Vec::new(), 1_u64);
        let end = now + Duration::from_secs(seconds);
        while now < end {
            let next = cps.next(now);
            if next <= now {
                cps.send(now);
                sent.push(now);
                continue;
            }
            chaos = chaos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now = next + Duration::from_micros(chaos >> 55);
        }
        let (mut first, mut most) = (0, 0);
        for (last, at) in sent.iter().enumerate() {
            while at.since(sent[first]) > Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        (most, sent.len())
    }

    #[test]
    fn never_more_than_the_limit_in_any_second_and_near_it() {
        for max in [1, 2, 3, 10, 37, 100, 511, 512, 1_000, 5_000] {
            let (most, total) = flood(max, 20);
            assert!(most <= max as usize, "{max}: {most} in a second");
            assert!(total as f64 >= f64::from(max) * 20.0 * 0.9, "{max}: {total} in 20 s");
        }
    }

    #[test]
    fn nothing_without_room() {
        let trunk = Trunk {
            max_cps: 10,
            max_channels: 5,
            watched: true,
            breaker_failures: 1,
            ..Trunk::new(crate::TrunkId(1), "t", "")
        };
        let mut live = TrunkLive::new(trunk);
        assert_eq!(live.room(Time::ZERO), 0, "down until it answers");
        live.up = true;
        assert_eq!(live.room(Time::ZERO), 2, "what 0.3 s of 10 a second let out");
        live.channels = 4;
        assert_eq!(live.room(Time::ZERO), 1);
        live.orphans.insert(TryId { attempt: AttemptId(1), number: 1 });
        assert_eq!(live.room(Time::ZERO), 0);
        live.channels = 9;
        assert_eq!(live.room(Time::ZERO), 0);
        (live.channels, live.orphans) = (0, BTreeSet::new());
        live.breaker.saw(Time::ZERO, AttemptId(1), super::super::Sign::Bad);
        assert_eq!(live.room(Time::ZERO), 0, "resting");
        live.committing = 1;
        assert_eq!(live.room(Time::from_millis(10_000)), 0, "one is on its way already");
        live.committing = 0;
        assert_eq!(live.room(Time::from_millis(10_000)), 1);
        live.trunk.max_cps = 0;
        assert_eq!(Cps::new(0).ahead(), 0);
    }
}
