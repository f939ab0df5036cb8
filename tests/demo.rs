//! The demo's figures, and how a dialer ends.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Desk, Dialer, Process, Site, campaign, carrier, free_port, kraliki, wait_for};

/// A call comes within a second or two; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn the_demo_connects_calls_and_its_counts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("demo.journal");
    let path = journal.to_str().unwrap();
    let demo = ["demo", "--for", "20s", "--agents", "8", "--port", "0", "--json"];
    let run = kraliki(&[&demo[..], &["--journal", path, "--journal-segment-mb", "0.005"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    eprintln!("{figures}");
    let count = |key: &str| figures[key].as_u64().unwrap_or_else(|| panic!("no {key} in {figures}"));
    let nine = [
        "connected",
        "abandoned",
        "caller_hangup",
        "machines",
        "busy",
        "no_answer",
        "cancelled",
        "not_sent",
        "failed",
    ];
    assert_eq!(nine.iter().map(|key| count(key)).sum::<u64>(), count("attempts"), "{figures}");
    assert_eq!(count("answered"), count("connected") + count("abandoned") + count("caller_hangup"));
    assert!(count("connected") > 0, "{figures}");
    assert_eq!(count("failed"), 0, "{figures} {}", run.stderr);
    let occupancy = figures["occupancy"].as_f64().unwrap();
    assert!(occupancy > 0.0 && occupancy <= 1.0, "{figures}");
    for key in ["bridge_ms_p50", "bridge_ms_p99", "wait_ms_p50", "wait_ms_p99"] {
        assert!(figures[key].is_number(), "{key} in {figures}");
    }
    the_journal_replays(path, dir.path(), &figures);
}

/// The run that has just ended, from its inputs; and what is said of a journal that was cut or damaged.
fn the_journal_replays(path: &str, dir: &std::path::Path, figures: &Value) {
    let replay = |args: &[&str]| {
        let run = kraliki(&[&["replay", "--json"], args].concat());
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        (run, found)
    };
    let outputs = dir.join("outputs");
    let (run, found) = replay(&[path, "--outputs", outputs.to_str().unwrap()]);
    assert_eq!((run.code, &found["error"]), (Some(0), &Value::Null), "{run:?}");
    assert!(found["segments"].as_u64() > Some(2) && found["checks"].as_u64() > Some(15), "{found}");
    assert_eq!((&found["unchecked"], &found["warnings"]), (&json!(0), &json!([])), "{found}");
    let outcomes = found["outcomes"].as_object().unwrap();
    assert_eq!(
        outcomes.values().filter_map(Value::as_u64).sum::<u64>(),
        figures["attempts"].as_u64().unwrap()
    );
    assert_eq!(outcomes["connected"], figures["connected"]);
    let lines = std::fs::read_to_string(outputs).unwrap();
    assert_eq!(lines.lines().count() as u64, found["outputs"].as_u64().unwrap());
    assert!(lines.contains("Dial") && !lines.contains("Springfield"), "personal data is left out");

    let (run, later) = replay(&[path, "--from-segment", "2"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(later["calls"].as_u64() < found["calls"].as_u64(), "{later}");

    let first = std::fs::read(format!("{path}.000001")).unwrap();
    let copy = dir.join("copy");
    let copied = |bytes: &[u8]| {
        std::fs::write(&copy, bytes).unwrap();
        replay(&[copy.to_str().unwrap()])
    };
    let (run, found) = copied(&first[..first.len() - 3]);
    assert_eq!((run.code, &found["error"]), (Some(0), &Value::Null), "{run:?}");
    assert!(found["warnings"].to_string().contains("ends inside a record"), "{found}");
    let mut damaged = first.clone();
    damaged[first.len() / 2] ^= 1;
    let (run, found) = copied(&damaged);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(found["error"].to_string().contains("is damaged"), "{found}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
}

/// A dialer with a call in progress.
struct Floor {
    site: Site,
    dialer: Dialer,
    desk: Desk,
    call: i64,
    _carrier: Process,
}

fn in_a_call() -> Floor {
    let port = free_port();
    let trunk = format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"main\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550199\"\nmax_cps = 5\n"
    );
    let site = Site::new(&trunk, 40);
    let carrier = carrier(&site, port, 40, "person = 1.0\nmachine = 0.0\nbusy = 0.0");
    site.users(&[("mia", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let id = manager.post("/api/campaigns", &campaign("End", json!({}))).ok(201)["id"].as_i64().unwrap();
    let path = format!("/api/campaigns/{id}/leads");
    manager.post(&path, &json!({"phone": "+12125550100"})).ok(201);
    let desk = Desk::open(dialer.login("ada")).unwrap();
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    let call = wait_for("a call", SOON, || {
        let state = desk.state().unwrap();
        (state["state"] == "talking").then(|| state["call"].as_i64().unwrap())
    });
    Floor { site, dialer, desk, call, _carrier: carrier }
}

#[test]
fn the_first_sigterm_lets_calls_end() {
    let mut floor = in_a_call();
    floor.dialer.process.signal("TERM");
    floor.dialer.process.wait_line(SOON, |line| line.contains("no new calls").then_some(()));
    let before = floor.desk.packets();
    wait_for("the call to go on", SOON, || (floor.desk.packets() > before + 50).then_some(()));
    assert_eq!(floor.desk.state().unwrap()["state"], "talking");
    assert!(floor.dialer.process.runs());
    floor.desk.client().post(&format!("/api/calls/{}/hangup", floor.call), &json!({})).ok(204);
    let (code, said) = floor.dialer.process.finish(SOON);
    assert_eq!(code, Some(0), "{said:#?}");
    assert_eq!(floor.site.sql("SELECT outcome, agent FROM attempts"), [["connected", "2"]]);
}

#[test]
fn the_second_sigterm_ends_at_once() {
    let mut floor = in_a_call();
    floor.dialer.process.signal("TERM");
    floor.dialer.process.wait_line(SOON, |line| line.contains("no new calls").then_some(()));
    floor.dialer.process.signal("TERM");
    // Far less than the 60 s that calls may go on for.
    let (code, said) = floor.dialer.process.finish(Duration::from_secs(10));
    assert_eq!(code, Some(0), "{said:#?}");
    // What was cut is closed by the next start at the latest.
    floor.dialer = floor.site.serve();
    assert_eq!(floor.site.sql("SELECT count(*) FROM attempts WHERE outcome IS NULL"), [["0"]]);
}
