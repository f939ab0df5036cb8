//! A manager's round through the console: the main task of each page, by keyboard, with a refused entry, and on a telephone.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::trunk;
use crate::support::{PASSWORD, Process, Site, campaign, free_port};

/// The script bounds each of its own steps.
const ROUND: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_secs(30);

#[test]
fn a_manager_goes_round_the_console() {
    let site = Site::new(&trunk(free_port()), 8);
    let dir = site.dir.path();
    site.users(&[("root", "admin"), ("Ada", "agent")]);
    let dialer = site.serve();
    let admin = dialer.login("root");
    let mut settings = campaign("Spring", json!({"mode": "progressive"}));
    let id = admin.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console.png");
    let options =
        json!({"url": dialer.base, "username": "root", "password": PASSWORD, "screenshot": screenshot});
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/console.mjs");
    let mut round = Process::start("node", &[script, &options.to_string()], dir);

    // Somebody else gives the campaign the pool, all of whose numbers rest, while the page is open.
    round.wait_line(ROUND, |line| (line == "looks at the campaign").then_some(()));
    settings["caller_id_pool"] = json!("East");
    admin.put(&format!("/api/campaigns/{id}"), &settings).ok(200);

    let seen: Value = round.wait_line(ROUND, |line| serde_json::from_str(line.strip_prefix("result ")?).ok());
    assert_eq!(round.finish(STEP).0, Some(0));
    let says = |page: &str, what: &str, text: &str| {
        assert!(seen[page][what].as_str().unwrap().contains(text), "{page} {what} {text}: {seen:#}");
    };
    says("teams", "refused", "must be a time zone");
    says("teams", "made", "1 member");
    says("pools", "refused", "+12025550100");
    says("pools", "made", "2 of 2");
    for (language, text) in [("en", "Resting: 2"), ("es", "Descansan: 2"), ("cs", "Odpočívá: 2")] {
        says("held", language, text);
    }
    says("lists", "refused", "custom.");
    says("lists", "made", "NY");
    says("lists", "errors", "phone");
    says("prompts", "refused", "WAV");
    says("prompts", "made", "0:02");
    says("suppressions", "refused", "+");
    says("suppressions", "made", "asked us");
    says("suppressions", "report", "1 numbers taken");
    for (page, wider) in seen["wider"].as_object().unwrap() {
        assert_eq!(wider, 0, "{page} is wider than its window: {seen:#}");
    }
    assert_eq!(seen["said"], json!([]), "errors in the page");

    // What was shown is what is kept.
    let team = &admin.get("/api/teams").ok(200)[0]["settings"];
    assert_eq!((&team["name"], team["members"].as_array().map(Vec::len)), (&json!("North-East"), Some(1)));
    let pool = &admin.get("/api/caller-id-pools").ok(200)[0];
    assert_eq!(pool["pool"]["rest_weekdays"], json!([1, 2, 3, 4, 5, 6, 7]), "{pool}");
    let live = &admin.get(&format!("/api/campaigns/{id}")).ok(200)["live"];
    assert_eq!(live["no_caller_id"]["resting"], 2, "{live}");
    let list = &admin.get(&format!("/api/campaigns/{id}/lists")).ok(200)[0];
    assert_eq!((&list["settings"]["name"], &list["settings"]["enabled"]), (&json!("Warm"), &json!(false)));
    assert_eq!(list["counts"]["new"], 1, "{list}");
    let prompts = admin.get("/api/prompts").ok(200);
    assert_eq!(
        (prompts.as_array().map(Vec::len), &prompts[0]["name"]),
        (Some(1), &json!("tone")),
        "{prompts}"
    );
    let (_, wav) = admin.bytes(&format!("/api/prompts/{}/audio", prompts[0]["id"]));
    sounds_like_the_tone(&wav);
    assert_eq!(admin.get("/api/suppressions").ok(200)["items"][0]["phone"], "+12125550188");
    let own = admin.get(&format!("/api/suppressions?campaign={id}")).ok(200);
    assert_eq!(own["items"][0]["phone"], "+12125550189", "{own}");
    assert_eq!(dialer.terminate(STEP), Some(0));
}

/// 1.5 s of 700 Hz at 0.3 of full scale (`tests/browser/tone.ogg` is Ogg Vorbis at 16 kHz; libsndfile made it of a sine).
fn sounds_like_the_tone(wav: &[u8]) {
    let samples: Vec<i32> =
        wav[44..].as_chunks().0.iter().map(|&pair| i32::from(i16::from_le_bytes(pair))).collect();
    assert!((11_900..=12_100).contains(&samples.len()), "{} samples", samples.len());
    let middle = &samples[2_000..10_000];
    let crossings = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    assert!((698..=702).contains(&crossings), "{crossings} Hz");
    let peak = middle.iter().max().unwrap();
    assert!((9_300..10_400).contains(peak), "{peak}");
}
