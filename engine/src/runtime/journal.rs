//! The journal's files: records go in batches through a bounded queue to a thread, so that a slow disk delays no call.
//!
//! What cannot be written is left out, and the journal says so. A journal with a gap cannot be replayed across it, so
//! after a gap a new segment begins, with the engine's state.

mod files;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use kraliki_time::Time;

use super::StartError;
use crate::journal::{Began, Recorder};
use crate::{Engine, Input, Output};

use files::{Job, Keeper};
pub use files::{SegmentFile, segments};

/// Bytes that go to the thread at once; what is less goes at the next tick.
const BATCH: usize = 256 << 10;
/// Batches that may wait for the disk: 64 MB, ten seconds of full load.
const WAITING: usize = 256;
/// After a gap, the disk is tried again this often; each try costs the writing down of the engine's state.
const RETRY: Duration = Duration::from_secs(10);
/// At the end the disk gets this long for what waits.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Where a journal is written, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Segments are named after it: `PATH.000001` and on.
    pub path: PathBuf,
    /// A segment is followed by the next one after this many bytes of records, its first state not counted.
    pub segment_bytes: u64,
    /// The oldest segments are deleted when all together would be longer.
    pub keep_bytes: u64,
}

/// What became of the records, since start.
#[derive(Debug, Default)]
pub(super) struct JournalStats {
    /// On disk.
    pub(super) bytes: AtomicU64,
    pub(super) segments: AtomicU64,
    /// Calls of the engine that are in no segment.
    pub(super) dropped: AtomicU64,
    /// 1 while all goes to the disk.
    pub(super) writing: AtomicU64,
    /// Jobs that the thread has not done yet.
    waiting: AtomicU64,
}

pub(super) struct Journal {
    config: JournalConfig,
    recorder: Recorder,
    jobs: SyncSender<Job>,
    ended: Receiver<()>,
    stats: Arc<JournalStats>,
    /// The number of the present segment.
    number: u64,
    /// Bytes of it that were given to the thread, without its beginning.
    bytes: u64,
    /// Calls in the recorder that were not given to the thread.
    calls: u64,
    /// Since when nothing is recorded.
    stopped: Option<Time>,
}

/// A journal that is over; the thread may still write.
pub(super) struct Ended(Receiver<()>);

impl Journal {
    /// Begins a segment after those that are there.
    pub(super) fn create(config: JournalConfig, engine: &Engine) -> Result<Journal, StartError> {
        let failed = |source| StartError::Journal { path: config.path.clone(), source };
        let last = segments(&config.path).map_err(failed)?.last().map_or(0, |segment| segment.number);
        let stats = Arc::new(JournalStats::default());
        let mut keeper = Keeper::new(&config, stats.clone());
        let number = last + 1;
        let mut recorder = Recorder::begin(number, Began::Fresh, Time::ZERO, engine);
        keeper.begin(number, &recorder.take()).map_err(failed)?;
        let (jobs, waiting) = sync_channel(WAITING);
        let (end, ended) = sync_channel(1);
        let write = move || {
            keeper.run(&waiting);
            let _ = end.send(());
        };
        std::thread::Builder::new().name("journal".into()).spawn(write).map_err(failed)?;
        Ok(Journal { config, recorder, jobs, ended, stats, number, bytes: 0, calls: 0, stopped: None })
    }

    pub(super) fn stats(&self) -> &Arc<JournalStats> {
        &self.stats
    }

    /// `handle_input` is about to be called on this engine.
    pub(super) fn input(&mut self, at: Time, input: &Input, engine: &Engine) {
        if self.goes_on(at, engine) {
            self.recorder.input(at, input);
            self.calls += 1;
        }
    }

    /// `handle_timeout` is about to be called on this engine.
    pub(super) fn timeout(&mut self, at: Time, engine: &Engine) {
        if self.goes_on(at, engine) {
            self.recorder.timeout(at);
            self.calls += 1;
        }
    }

    pub(super) fn output(&mut self, output: &Output) {
        if self.stopped.is_none() {
            self.recorder.output(output);
        }
    }

    /// Now and then, when the engine is drained.
    pub(super) fn tick(&mut self, at: Time, engine: &Engine) {
        if self.stopped.is_none() {
            self.recorder.check_if_due(at);
            self.flush(at);
        } else {
            self.try_again(at, engine);
        }
    }

    /// The engine is not called any more.
    pub(super) fn end(mut self, at: Time) -> Ended {
        if self.stopped.is_none() {
            self.recorder.check(at);
            self.flush(at);
        }
        Ended(self.ended)
    }

    /// Whether a call that comes now is recorded.
    fn goes_on(&mut self, at: Time, engine: &Engine) -> bool {
        if self.stopped.is_none() && self.stats.writing.load(Relaxed) == 0 {
            self.stop(at);
        }
        self.try_again(at, engine);
        let long = self.bytes + self.recorder.len() as u64 >= self.config.segment_bytes;
        if self.stopped.is_none() && (long || self.recorder.len() >= BATCH) {
            if long {
                self.recorder.check(at);
            }
            self.flush(at);
            if long && self.stopped.is_none() {
                self.begin(at, Began::Continued, engine);
            }
        }
        let goes_on = self.stopped.is_none();
        self.stats.dropped.fetch_add(u64::from(!goes_on), Relaxed);
        goes_on
    }

    /// After a gap, when the disk has done all that it was given.
    fn try_again(&mut self, at: Time, engine: &Engine) {
        let long = self.stopped.is_some_and(|since| at.since(since) >= RETRY);
        if long && self.stats.waiting.load(Relaxed) == 0 {
            self.stopped = None;
            self.begin(at, Began::AfterGap, engine);
        }
    }

    fn begin(&mut self, at: Time, began: Began, engine: &Engine) {
        self.number += 1;
        self.recorder = Recorder::begin(self.number, began, at, engine);
        self.bytes = 0;
        // Until the thread finds otherwise.
        self.stats.writing.store(1, Relaxed);
        let (number, bytes) = (self.number, self.recorder.take());
        self.give(at, Job::Begin { number, bytes, continued: began == Began::Continued });
    }

    fn flush(&mut self, at: Time) {
        if !self.recorder.is_empty() {
            let bytes = self.recorder.take();
            self.bytes += bytes.len() as u64;
            let calls = std::mem::take(&mut self.calls);
            self.give(at, Job::Write { bytes, calls });
        }
    }

    fn give(&mut self, at: Time, job: Job) {
        self.stats.waiting.fetch_add(1, Relaxed);
        let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.jobs.try_send(job) else {
            return;
        };
        self.stats.waiting.fetch_sub(1, Relaxed);
        self.calls += job.calls();
        tracing::warn!(path = %self.config.path.display(), "the disk is too slow for the journal: it has a gap");
        self.stop(at);
    }

    fn stop(&mut self, at: Time) {
        self.stopped = Some(at);
        self.stats.writing.store(0, Relaxed);
        self.stats.dropped.fetch_add(std::mem::take(&mut self.calls), Relaxed);
        drop(self.recorder.take());
    }
}

impl Ended {
    /// Returns when the journal is on the disk's way, or the disk has had its time.
    pub(super) fn wait(self) {
        if self.0.recv_timeout(LAST_WRITES) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk is too slow for the end of the journal");
        }
    }
}
