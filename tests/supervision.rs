//! A supervisor listens, whispers, barges in and moves on: three people in Chromium and a called person, each with a tone of
//! their own, so that what everybody hears says whom they hear.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::far_end::FarEnd;
use crate::browser::{answering_sipp, trunk, write_beeps};
use crate::support::{PASSWORD, Process, Site, campaign, free_port};

const CALLER_HZ: f64 = 700.0;
const PEOPLE: [(&str, f64); 3] = [("ada", 1000.0), ("bob", 1300.0), ("boss", 1900.0)];
/// Somebody is heard when this share of a window's energy is theirs: three may speak at once.
const SHARE: f64 = 0.15;
/// Each speaks half of the time; of 24 windows this many say that they are heard, also on a machine that is busy.
const HEARD: usize = 4;
/// A window at a tone's edge may have some of everything.
const STRAY: usize = 2;
const STEP: Duration = Duration::from_secs(90);

/// A listener, and whom they hear.
type Hears = (&'static str, &'static [&'static str]);

/// Who hears whom in each phase.
const PHASES: [(&str, &[Hears]); 6] = [
    ("listen", &[("ada", &["caller"]), ("bob", &[]), ("boss", &["ada", "caller"]), ("caller", &["ada"])]),
    (
        "whisper",
        &[("ada", &["boss", "caller"]), ("bob", &[]), ("boss", &["ada", "caller"]), ("caller", &["ada"])],
    ),
    (
        "barge",
        &[
            ("ada", &["boss", "caller"]),
            ("bob", &[]),
            ("boss", &["ada", "caller"]),
            ("caller", &["ada", "boss"]),
        ],
    ),
    (
        "listen again",
        &[("ada", &["caller"]), ("bob", &[]), ("boss", &["ada", "caller"]), ("caller", &["ada"])],
    ),
    ("on to bob", &[("ada", &["caller"]), ("bob", &["boss"]), ("boss", &["bob"]), ("caller", &["ada"])]),
    ("gone", &[("ada", &["caller"]), ("bob", &[]), ("boss", &[]), ("caller", &["ada"])]),
];

#[test]
fn a_supervisor_listens_whispers_barges_and_moves_on() {
    let far_end = FarEnd::start(CALLER_HZ);
    let trunk_port = free_port();
    let site = Site::new(&trunk(trunk_port), 8);
    let dir = site.dir.path();
    let people: BTreeMap<&str, Value> = PEOPLE
        .iter()
        .map(|(name, hz)| {
            let microphone = dir.join(format!("{name}.wav"));
            write_beeps(&microphone, *hz);
            (*name, json!({"microphone": microphone, "hz": hz}))
        })
        .collect();
    let sipp = answering_sipp(trunk_port, far_end.port, 1, dir);
    site.users(&[("mona", "manager"), ("ada", "agent"), ("bob", "agent"), ("boss", "supervisor")]);
    let dialer = site.serve();
    let manager = dialer.login("mona");
    let made = manager.post("/api/campaigns", &campaign("One call", json!({}))).ok(201);
    let id = made["id"].as_i64().unwrap();
    let lead = json!({"phone": "+12025550123", "time_zone": "America/New_York"});
    manager.post(&format!("/api/campaigns/{id}/leads"), &lead).ok(201);
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);

    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("supervision");
    let options = json!({
        "url": dialer.base, "password": PASSWORD, "people": people, "caller_hz": CALLER_HZ,
        "screenshot": screenshot,
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/supervise.mjs");
    let mut browsers = Process::start("node", &[script, &options.to_string()], dir);
    let mut seen: Vec<(Value, usize, usize)> = Vec::new();
    for (phase, _) in PHASES {
        browsers.wait_line(STEP, |line| (line.strip_prefix("phase ")? == phase).then_some(()));
        let from = far_end.received();
        let heard: Value =
            browsers.wait_line(STEP, |line| serde_json::from_str(line.strip_prefix("heard ")?).ok());
        seen.push((heard, from, far_end.received()));
    }
    assert_eq!(browsers.finish(STEP).0, Some(0));
    assert_eq!(manager.post("/api/calls/1/hangup", &json!({})).status, 204);
    let caller = far_end.finish();
    for ((phase, expected), (heard, from, to)) in PHASES.iter().zip(&seen) {
        for (listener, speakers) in *expected {
            for (speaker, hz) in PEOPLE.iter().copied().chain([("caller", CALLER_HZ)]) {
                let shares: Vec<f64> = match *listener {
                    "caller" => caller.between(*from, *to).tone_shares(hz),
                    listener => serde_json::from_value(heard["by"][listener][speaker].clone()).unwrap(),
                };
                let loud = shares.iter().filter(|share| **share > SHARE).count();
                let right = if speakers.contains(&speaker) { loud >= HEARD } else { loud <= STRAY };
                assert!(right, "{phase}: {listener} hears {speaker} in {loud} windows: {shares:?}");
            }
        }
    }
    assert_eq!((caller.not_pcmu, caller.jumps), (0, 0), "the called person notices no change");
    assert_eq!(sipp.finish(STEP).0, Some(0));
    assert_eq!(dialer.terminate(STEP), Some(0));
}
