//! Modes in which the dialer does not pace for agents, over real SIP and RTP with the simulated carrier.

use std::time::Duration;

use serde_json::json;

use crate::support::{Desk, Site, campaign, carrier_with, free_port, wait_for};

/// A call rings half a second, the key comes a second later; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(30);
/// Everybody answers.
const PEOPLE: &str = "person = 1.0\nmachine = 0.0\nbusy = 0.0";

fn site(port: u16) -> Site {
    let trunk = format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"main\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550199\"\nmax_cps = 5\n"
    );
    Site::new(&trunk, 40)
}

#[test]
fn a_key_pressed_in_an_agentless_call_suppresses_the_number() {
    let port = free_port();
    let site = site(port);
    let keys = "[[press]]\nkey = \"9\"\nshare = 1.0\nafter_s = 1.0";
    let _carrier = carrier_with(&site, port, 40, PEOPLE, keys);
    site.users(&[("mia", "manager")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let settings = campaign("Reminder", json!({"mode": "agentless", "max_lines": 2}));
    let id = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    manager.post(&format!("/api/campaigns/{id}/leads"), &json!({"phone": "+12125550100"})).ok(201);
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    wait_for("the number to be suppressed", SOON, || {
        let listed = manager.get("/api/suppressions").ok(200);
        (listed["items"][0]["phone"] == "+12125550100").then_some(())
    });
    wait_for("the call to end", SOON, || {
        let calls = manager.get(&format!("/api/calls?campaign={id}")).ok(200);
        (calls["items"][0]["outcome"] == "opted_out").then_some(())
    });
    assert_eq!(site.sql("SELECT status FROM leads"), [["suppressed"]]);
    assert_eq!(site.sql("SELECT count(*) FROM attempts"), [["1"]]);
}

#[test]
fn a_message_that_is_text_is_said_once_to_all_who_answer() {
    let port = free_port();
    let site = site(port);
    let _carrier = carrier_with(&site, port, 40, PEOPLE, "");
    site.users(&[("mia", "manager")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let prompt = "say:en-us:Good day. This is a call about your order.";
    let settings = campaign("Order", json!({"mode": "agentless", "max_lines": 2, "prompt": prompt}));
    let id = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    for lead in ["+12125550100", "+12125550101"] {
        manager.post(&format!("/api/campaigns/{id}/leads"), &json!({"phone": lead})).ok(201);
    }
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    wait_for("both calls", SOON, || {
        let played = site.sql("SELECT count(*) FROM attempts WHERE outcome = 'prompt_played'");
        (played == [["2"]]).then_some(())
    });
    let kept = std::fs::read_dir(site.dir.path().join("kraliki.db-speech")).unwrap();
    let kept: Vec<u64> = kept.map(|file| file.unwrap().metadata().unwrap().len()).collect();
    // Two to five seconds at 22,050 Hz and 16 bits.
    assert!(kept.len() == 1 && (88_000..220_000).contains(&kept[0]), "{kept:?}");
    // The built-in tone, which stands in for what cannot be said, is over in a moment.
    let shortest = site.sql("SELECT min(ended_unix_ms - answered_unix_ms) > 1500 FROM attempts");
    assert_eq!(shortest, [["1"]]);
}

#[test]
fn an_agent_dials_a_number_by_hand_and_hears_who_answers() {
    let port = free_port();
    let site = site(port);
    let _carrier = carrier_with(&site, port, 40, PEOPLE, "");
    site.users(&[("mia", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let settings = campaign("By hand", json!({"mode": "manual"}));
    let id = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    let desk = Desk::open(dialer.login("ada")).unwrap();
    let dial = json!({"campaign": id, "phone": "(212) 555-0101"});
    desk.client().post("/api/agent/dial", &dial).ok(204);
    // A second click.
    desk.client().post("/api/agent/dial", &dial).ok(204);
    let call = wait_for("the call", SOON, || {
        let state = desk.state().unwrap();
        (state["state"] == "talking").then(|| state["call"].as_i64().unwrap())
    });
    let before = desk.packets();
    wait_for("audio", SOON, || (desk.packets() > before + 25).then_some(()));
    desk.client().post(&format!("/api/calls/{call}/hangup"), &json!({})).ok(204);
    desk.client().post(&format!("/api/calls/{call}/disposition"), &json!({"code": "sale"})).ok(204);
    let rows = site.sql("SELECT phone, outcome, disposition FROM attempts");
    assert_eq!(rows, [["+12125550101", "connected", "sale"]]);
    // Done is done: the rule is answered at once.
    desk.ready().unwrap();
    let refused = desk.client().post("/api/agent/dial", &dial).problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("is done"), "{refused}");
}
