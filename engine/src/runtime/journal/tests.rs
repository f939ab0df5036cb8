use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::journal::Replay;

/// An engine with its journal, driven by hand.
struct Hand {
    engine: Engine,
    journal: Journal,
    now: Time,
}

impl Hand {
    fn new(path: PathBuf, keep_bytes: u64) -> Hand {
        let engine = Engine::new();
        let config = JournalConfig { path, segment_bytes: 2_000, keep_bytes };
        Hand { journal: Journal::create(config, &engine).unwrap(), engine, now: Time::ZERO }
    }

    /// So many calls, a quarter of a second apart; the thread keeps up.
    fn calls(&mut self, calls: u64) {
        for _ in 0..calls {
            self.now += Duration::from_millis(250);
            let input = Input::Clock { unix_ms: i64::try_from(self.now.as_millis()).unwrap() };
            self.journal.input(self.now, &input, &self.engine);
            self.engine.handle_input(self.now, input);
            loop {
                let output = self.engine.poll_output();
                self.journal.output(&output);
                if matches!(output, Output::Timeout(_)) {
                    break;
                }
            }
            self.journal.tick(self.now, &self.engine);
            self.written();
        }
    }

    /// Until the thread has done what it was given.
    fn written(&self) {
        while self.journal.stats.waiting.load(Relaxed) > 0 {
            std::thread::yield_now();
        }
    }

    fn end(self) {
        self.journal.end(self.now).wait();
    }
}

/// The calls in each kept segment, by number, replayed one after the other.
fn replayed(path: &std::path::Path) -> Vec<(u64, u64)> {
    let mut replay = Replay::default();
    let kept = segments(path).unwrap();
    let found = kept.iter().map(|segment| {
        let file = std::fs::File::open(&segment.path).unwrap();
        let found = replay.segment(file, |_, _| {}).unwrap();
        assert_eq!(found.start.number, segment.number);
        assert!(!found.truncated);
        (segment.number, found.calls)
    });
    found.collect()
}

#[test]
fn segments_follow_each_other_and_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.journal");
    let mut hand = Hand::new(path.clone(), 1_000_000);
    hand.calls(400);
    hand.end();
    let first = replayed(&path);
    assert!(first.len() > 3, "{first:?}");
    assert_eq!(first.iter().map(|(_, calls)| calls).sum::<u64>(), 400);
    let mode = std::fs::metadata(&segments(&path).unwrap()[0].path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read it");
    // What is named otherwise is left alone.
    std::fs::write(dir.path().join("a.journal.old"), "x").unwrap();
    std::fs::write(dir.path().join("b.journal.000001"), "x").unwrap();
    // A restart goes on counting, and now less is kept.
    let mut hand = Hand::new(path.clone(), 8_000);
    hand.calls(400);
    hand.end();
    let second = replayed(&path);
    assert!(second[0].0 > first.len() as u64 && second.len() > 1, "{second:?}");
    let kept: u64 = segments(&path).unwrap().iter().map(|segment| segment.bytes).sum();
    assert!(kept <= 8_000 + 2_000, "{kept}");
    assert!(dir.path().join("b.journal.000001").exists() && dir.path().join("a.journal.old").exists());
}

#[test]
fn a_disk_that_fails_leaves_a_gap_and_a_new_segment_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journals");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("a.journal");
    let mut hand = Hand::new(path.clone(), 1_000_000);
    hand.calls(10);
    std::fs::rename(&folder, dir.path().join("away")).unwrap();
    // The present file can still be written, the next one cannot be made.
    hand.calls(200);
    hand.calls(200);
    let stats = hand.journal.stats.clone();
    assert_eq!(stats.writing.load(Relaxed), 0);
    let dropped = stats.dropped.load(Relaxed);
    assert!(dropped > 100, "{dropped}");
    std::fs::rename(dir.path().join("away"), &folder).unwrap();
    hand.calls(100);
    assert_eq!(stats.writing.load(Relaxed), 1);
    hand.end();
    let calls: u64 = replayed(&path).iter().map(|(_, calls)| calls).sum();
    assert_eq!(calls + stats.dropped.load(Relaxed), 510, "each call is in a segment, or counted as dropped");
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nowhere/a.journal");
    let config = JournalConfig { path, segment_bytes: 1_000, keep_bytes: 2_000 };
    let error = Journal::create(config, &Engine::new()).err().unwrap().to_string();
    assert!(error.contains("nowhere/a.journal"), "{error}");
}
