//! Who answered, judged by a corpus that espeak-ng speaks: voices, texts and seeds other than those the rules were fitted to.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use kraliki_media::detect::Rules;
use kraliki_media::detect::corpus::{SilenceRules, Table, judge, judge_by_silence, read};

/// Calls of each of the two parts.
const CALLS: &str = "400";

#[test]
fn who_answered_is_told_in_time_and_rarely_wrong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new(root.join("scripts/amd-corpus"))
        .arg(dir.path())
        .args(["--size", CALLS])
        .output()
        .expect("scripts/setup installs what scripts/amd-corpus needs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let held = dir.path().join("held.jsonl");
    let ours = judge(&held, &Arc::new(Rules::standard())).unwrap();
    let silence = SilenceRules::default();
    let calls = read(&held).unwrap();
    let theirs: Table =
        calls.iter().map(|(call, audio)| judge_by_silence(&silence, call, audio.samples())).collect();
    let said = format!("{ours}\nsilence rules:\n{theirs}");

    assert_eq!(ours.calls().to_string(), CALLS);
    assert!(ours.false_machines() <= 0.01, "people taken for machines: {}\n{said}", ours.false_machines());
    assert!(ours.misses() <= MISSES, "machines taken for people: {}\n{said}", ours.misses());
    assert!(ours.late() <= LATE, "later than 1.2 s after the first word: {}\n{said}", ours.late());
    assert!(ours.after_answer_ms(0.95) <= 2_500, "p95 {} ms\n{said}", ours.after_answer_ms(0.95));
    assert!(ours.false_machines() < theirs.false_machines(), "{said}");
}

/// The goal is 8%, reached by what is heard until 12 s after the answer (docs/detection.md). One call of the 152 is 0.7%.
const MISSES: f64 = 0.12;
/// Where the first word is softer than the room nobody can know that it was spoken: a few decisions wait for the second.
const LATE: f64 = 0.05;
