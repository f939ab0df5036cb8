//! The command line: what it says when something is wrong, and the exit codes.

use crate::support::{Run, kraliki};

#[test]
fn a_missing_file_is_one_clear_line() {
    let run = kraliki(&["serve", "--config", "/nowhere/kraliki.toml"]);
    assert_eq!(run.code, Some(78), "{run:?}");
    assert_one_line(&run, "/nowhere/kraliki.toml: there is no such file; copy configs/kraliki.toml");
}

#[test]
fn a_bad_value_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k.toml");
    std::fs::write(&file, "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = \"nonsense\"\n").unwrap();
    for command in [&["config", "check"][..], &["serve"]] {
        let run = kraliki(&[command, &["--config", file.to_str().unwrap()]].concat());
        assert_eq!(run.code, Some(78), "{run:?}");
        assert_one_line(&run, "k.toml:4: \"nonsense\" is not an address");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k.toml");
    let text = format!(
        "[http]\nlisten = \"{}\"\n[sip]\nlisten = \"127.0.0.1:0\"\n[media]\nlisten = \"127.0.0.1\"\nports = \"21000-21019\"\nbrowser_port = 21020\n[store]\npath = \"{}\"\n",
        taken.local_addr().unwrap(),
        dir.path().join("k.db").display()
    );
    std::fs::write(&file, text).unwrap();
    let run = kraliki(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&taken.local_addr().unwrap().to_string()), "{run:?}");
    assert!(run.stderr.contains("in use"), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}

#[test]
fn the_shipped_configuration_passes_its_check() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/kraliki.toml");
    let run = kraliki(&["config", "check", "--config", file]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn simulate_prints_one_line_of_figures() {
    let run = kraliki(&[
        "simulate",
        "--floor",
        "demo",
        "--agents",
        "5",
        "--hours",
        "1",
        "--cap",
        "0.03",
        "--pacer",
        "predictive",
        "--seed",
        "1",
        "--json",
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1);
    let figures: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    for key in [
        "occupancy",
        "talk_min_per_hour",
        "abandonment",
        "abandoned",
        "answered",
        "worst_30min_abandoned",
        "dials_per_connect",
    ] {
        assert!(figures[key].is_number(), "{key} in {figures}");
    }
}

#[test]
fn simulate_with_faults_replays_a_seed_and_checks_every_promise() {
    let one = ["simulate", "--faults", "r1,r3", "--seed", "17", "--for", "60s", "--agents", "4"];
    let run = kraliki(&one);
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in ["inputs ", "restarts ", " kill", "outcomes: ", "violations: none"] {
        assert!(run.stdout.contains(part), "{run:?} lacks {part:?}");
    }
    assert_eq!(kraliki(&one).stdout, run.stdout, "a seed repeats a run");
    let many = kraliki(&["simulate", "--faults", "all", "--seeds", "0..6", "--for", "1m"]);
    assert_eq!(many.code, Some(0), "{many:?}");
    assert!(many.stdout.contains("6 seeds, 0 failed"), "{many:?}");
    let wrong = kraliki(&["simulate", "--faults", "r1,r99"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert_one_line(&wrong, "\"r99\" is not a family of faults; give all, or some of r1, r2, r3, r10");
}

fn assert_one_line(run: &Run, want: &str) {
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(want), "{run:?} lacks {want:?}");
}
