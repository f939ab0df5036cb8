//! The thread that writes segments, and the files of a journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;

use super::{JournalConfig, JournalStats};

/// A segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its number.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// The segments of the journal of that path, in order; none when there is no such folder.
pub fn segments(journal: &Path) -> io::Result<Vec<SegmentFile>> {
    let folder = match journal.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.file_stem() != journal.file_name() {
            continue;
        }
        if let Some(number) = path.extension().and_then(|ending| ending.to_str()).and_then(number_of) {
            found.push(SegmentFile { number, path, bytes: entry.metadata()?.len() });
        }
    }
    found.sort_unstable_by_key(|segment| segment.number);
    Ok(found)
}

/// Six digits or more, as we write them.
fn number_of(ending: &str) -> Option<u64> {
    let number = ending.parse().ok()?;
    (ending == format!("{number:06}")).then_some(number)
}

fn path_of(journal: &Path, number: u64) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(format!(".{number:06}"));
    PathBuf::from(name)
}

/// What the thread is to do.
pub(super) enum Job {
    /// A segment begins with these bytes. One that goes on from the present one does not when that one has failed.
    Begin { number: u64, bytes: Vec<u8>, continued: bool },
    /// The present one goes on, with so many calls of the engine.
    Write { bytes: Vec<u8>, calls: u64 },
}

impl Job {
    /// The calls that are lost when it is not done.
    pub(super) fn calls(&self) -> u64 {
        match self {
            Job::Begin { .. } => 0,
            Job::Write { calls, .. } => *calls,
        }
    }
}

/// Writes segments and deletes the oldest.
pub(super) struct Keeper {
    journal: PathBuf,
    /// Bytes that all segments may have when one begins: that one's own length is kept free.
    keep: u64,
    file: Option<File>,
    stats: Arc<JournalStats>,
}

impl Keeper {
    pub(super) fn new(config: &JournalConfig, stats: Arc<JournalStats>) -> Keeper {
        let keep = config.keep_bytes.saturating_sub(config.segment_bytes);
        Keeper { journal: config.path.clone(), keep, file: None, stats }
    }

    /// Does what comes until nothing can come any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let calls = job.calls();
            let done = match job {
                Job::Begin { continued: true, .. } if self.file.is_none() => {
                    self.stats.writing.store(0, Relaxed);
                    Ok(())
                }
                Job::Begin { number, bytes, .. } => self.begin(number, &bytes),
                Job::Write { bytes, .. } => self.write(&bytes),
            };
            if let Err(error) = done {
                self.file = None;
                self.stats.writing.store(0, Relaxed);
                tracing::error!(%error, path = %self.journal.display(),
                    "the journal cannot be written: it has a gap, and a new segment begins when it can");
            }
            if self.file.is_none() {
                self.stats.dropped.fetch_add(calls, Relaxed);
            }
            self.stats.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Makes room, and begins a segment.
    pub(super) fn begin(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        self.file = None;
        self.make_room()?;
        let path = path_of(&self.journal, number);
        // The journal holds people's names and numbers: nobody else may read it.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        self.file = Some(file);
        if let Err(error) = self.write(bytes) {
            // Without its beginning it is of no use.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        self.stats.segments.fetch_add(1, Relaxed);
        self.stats.writing.store(1, Relaxed);
        Ok(())
    }

    /// After an error, what belongs to that segment is left out.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes)?;
        self.stats.bytes.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }

    fn make_room(&self) -> io::Result<()> {
        let kept = segments(&self.journal)?;
        let mut all: u64 = kept.iter().map(|segment| segment.bytes).sum();
        for segment in kept {
            if all <= self.keep {
                break;
            }
            std::fs::remove_file(&segment.path)?;
            all -= segment.bytes;
        }
        Ok(())
    }
}
