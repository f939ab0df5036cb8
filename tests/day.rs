//! A short day into a real store, recounted by a program that shares no code with the dialer.

use std::process::Command;

#[test]
fn a_short_day_is_recounted_to_the_millisecond() {
    let dir = tempfile::tempdir().unwrap();
    let day = Command::new(env!("CARGO_BIN_EXE_kraliki"))
        .args(["simulate", "--agents", "6", "--hours", "1", "--seed", "3", "--day"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(day.status.success(), "{}", String::from_utf8_lossy(&day.stderr));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recount.py");
    let recount = || {
        let files = ["day.db", "day.json"].map(|name| dir.path().join(name));
        Command::new("python3").arg(script).args(files).output().unwrap()
    };
    let told = recount();
    let text = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{text}");
    assert!(text.contains("agree"), "{text}");
    // The recount can fail: a millisecond that was published wrongly is found.
    let published = dir.path().join("day.json");
    let json = std::fs::read_to_string(&published).unwrap();
    let mut wrong: serde_json::Value = serde_json::from_str(&json).unwrap();
    wrong["talk_ms"] = (wrong["talk_ms"].as_u64().unwrap() + 1).into();
    std::fs::write(&published, wrong.to_string()).unwrap();
    assert!(!recount().status.success());
}
