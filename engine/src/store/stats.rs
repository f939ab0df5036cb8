//! What the store counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the commit latency buckets, in microseconds; a last bucket takes the rest.
pub const COMMIT_BUCKETS_US: [u64; 14] = [
    250, 500, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 20_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

/// Counters since start. Read by anybody, written by the store.
#[derive(Debug, Default)]
pub struct StoreStats {
    /// Commits by latency: from the oldest job's arrival to the acknowledgement.
    pub commit_us_buckets: [AtomicU64; COMMIT_BUCKETS_US.len() + 1],
    /// Sum of these latencies, in microseconds.
    pub commit_us_sum: AtomicU64,
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Transactions that failed for the disk's sake.
    pub commit_failures: AtomicU64,
    /// Writes on disk.
    pub writes: AtomicU64,
    /// Writes that can never be applied, and were left out.
    pub writes_refused: AtomicU64,
    /// Second outcomes of an attempt, refused.
    pub outcomes_refused: AtomicU64,
    /// Refills answered.
    pub refills: AtomicU64,
    /// Jobs that wait now.
    pub queued: AtomicU64,
    /// Writes that a failing disk has made wait.
    pub backlog: AtomicU64,
    /// Jobs not taken because the queue was full.
    pub queue_full: AtomicU64,
    /// Leads imported.
    pub imported: AtomicU64,
}

impl StoreStats {
    pub(crate) fn committed(&self, latency: Duration, writes: u64) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = COMMIT_BUCKETS_US.iter().position(|&b| us <= b).unwrap_or(COMMIT_BUCKETS_US.len());
        if let Some(b) = self.commit_us_buckets.get(bucket) {
            b.fetch_add(1, Relaxed);
        }
        self.commit_us_sum.fetch_add(us, Relaxed);
        self.commits.fetch_add(1, Relaxed);
        self.writes.fetch_add(writes, Relaxed);
    }
}
