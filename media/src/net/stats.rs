//! Counters of the driver, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The state of the whole media.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaStats {
    /// Each shard.
    pub shards: Vec<ShardStats>,
    /// The RTP ports.
    pub ports: PortStats,
}

/// Counters of one shard; all but `legs`, `streams` and `backlog` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Legs on it.
    pub legs: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Packets of one leg passed on to another.
    pub relayed: u64,
    /// Datagrams that the kernel refused to send.
    pub send_errors: u64,
    /// Datagrams on the browsers' port that belong to no leg.
    pub strangers: u64,
    /// Browsers' TCP connections that are open.
    pub streams: u64,
    /// Wake-ups.
    pub wakeups: u64,
    /// CPU time of the thread.
    pub cpu: Duration,
    /// State events that wait because the reader is slow.
    pub backlog: u64,
    /// Statistics that were dropped because the reader is slow.
    pub statistics_dropped: u64,
    /// State events that were lost because the reader stood still: the media can no longer be trusted to have told all.
    pub events_lost: u64,
}

/// The state of the RTP ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Pairs opened.
    pub total: u64,
    /// Pairs that legs have.
    pub in_use: u64,
    /// Freed pairs that may not be used yet.
    pub resting: u64,
    /// How often none was free.
    pub exhausted: u64,
}

/// A shard's counters as others read them.
#[derive(Debug, Default)]
pub(super) struct SharedStats {
    /// Legs opened and not yet ended or carried away; who opens one counts it, so that the limit holds.
    legs: AtomicU64,
    values: [AtomicU64; 10],
    cpu_nanos: AtomicU64,
}

impl SharedStats {
    pub(super) fn legs(&self) -> u64 {
        self.legs.load(Ordering::Relaxed)
    }

    pub(super) fn count_legs(&self, change: i8) {
        if change < 0 {
            self.legs.fetch_sub(u64::from(change.unsigned_abs()), Ordering::Relaxed);
        } else {
            self.legs.fetch_add(u64::from(change.unsigned_abs()), Ordering::Relaxed);
        }
    }

    /// Shows a shard's own counters.
    pub(super) fn publish(&self, own: &ShardStats) {
        let values = [
            own.received,
            own.sent,
            own.relayed,
            own.send_errors,
            own.strangers,
            own.streams,
            own.wakeups,
            own.backlog,
            own.statistics_dropped,
            own.events_lost,
        ];
        for (shared, value) in self.values.iter().zip(values) {
            shared.store(value, Ordering::Relaxed);
        }
    }

    pub(super) fn publish_cpu(&self, cpu: Duration) {
        self.cpu_nanos.store(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ShardStats {
        let [
            received,
            sent,
            relayed,
            send_errors,
            strangers,
            streams,
            wakeups,
            backlog,
            statistics_dropped,
            events_lost,
        ] = self.values.each_ref().map(|value| value.load(Ordering::Relaxed));
        ShardStats {
            legs: self.legs(),
            received,
            sent,
            relayed,
            send_errors,
            strangers,
            streams,
            wakeups,
            cpu: Duration::from_nanos(self.cpu_nanos.load(Ordering::Relaxed)),
            backlog,
            statistics_dropped,
            events_lost,
        }
    }
}
