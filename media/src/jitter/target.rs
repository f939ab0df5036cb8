//! How long packets are held: measured, not configured.

use std::collections::VecDeque;
use std::time::Duration;

/// Packets looked back on: five seconds of 20 ms. Clocks that drift apart by 200 in a million move 1 ms in it.
const WINDOW: usize = 250;
/// The target is looked at again after this many packets.
const EVERY: usize = 8;
/// Of a hundred packets this many come in time. The others would make everybody wait for the few.
const IN_TIME_PERCENT: usize = 97;
/// With fewer packets than this the latest one counts.
const FEW: usize = 50;
/// On top of what was measured: a driver's tick is not exact.
const MARGIN_MICROS: i64 = 3_000;
/// How much the target falls at each look (8 packets, 160 ms): 100 ms of delay are given back in half a minute.
const FALL_MICROS: i64 = 500;

/// Bounds of a jitter buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterPolicy {
    /// The shortest time that a packet is held.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Default for JitterPolicy {
    /// From one packet, to the most that a conversation bears.
    fn default() -> JitterPolicy {
        JitterPolicy { min: Duration::from_millis(20), max: Duration::from_millis(200) }
    }
}

/// Follows how late packets come, in microseconds. A packet's offset is its arrival less its timestamp; the lowest offset
/// of late is that of the fastest way, and the others are late by their distance to it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    policy: JitterPolicy,
    offsets: VecDeque<i64>,
    scratch: Vec<i64>,
    fastest: Option<i64>,
    hold: i64,
    looked_after: usize,
}

impl Target {
    pub(super) fn new(policy: JitterPolicy) -> Target {
        Target {
            policy,
            offsets: VecDeque::with_capacity(WINDOW),
            scratch: Vec::with_capacity(WINDOW),
            fastest: None,
            hold: micros(policy.min),
            looked_after: 0,
        }
    }

    /// The lowest offset: when a timestamp comes if nothing delays it.
    pub(super) fn fastest(&self) -> Option<i64> {
        self.fastest
    }

    /// How long packets are held after that.
    pub(super) fn hold(&self) -> i64 {
        self.hold
    }

    /// Forgets a source, but not how its network is.
    pub(super) fn restart(&mut self) {
        self.offsets.clear();
        self.fastest = None;
        self.looked_after = 0;
    }

    pub(super) fn arrived(&mut self, offset: i64) {
        if self.offsets.len() == WINDOW {
            self.offsets.pop_front();
        }
        self.offsets.push_back(offset);
        self.fastest = Some(self.fastest.map_or(offset, |fastest| fastest.min(offset)));
        self.looked_after += 1;
        // The first packets say most: a call's first seconds are heard with attention.
        if self.looked_after >= EVERY || self.offsets.len() < EVERY {
            self.looked_after = 0;
            self.look();
        }
    }

    fn look(&mut self) {
        let Some(fastest) = self.offsets.iter().min().copied() else { return };
        self.fastest = Some(fastest);
        self.scratch.clear();
        self.scratch.extend(self.offsets.iter().map(|offset| offset - fastest));
        let last = self.scratch.len().saturating_sub(1);
        let at = if self.scratch.len() < FEW { last } else { last * IN_TIME_PERCENT / 100 };
        let late = self.scratch.select_nth_unstable(at).1;
        let (min, max) = (micros(self.policy.min), micros(self.policy.max));
        let wanted = (*late + MARGIN_MICROS).clamp(min, max.max(min));
        self.hold = wanted.max(self.hold - FALL_MICROS);
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
