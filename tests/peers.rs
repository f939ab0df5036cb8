//! SIPp as the carrier: one dialer, a trunk and a campaign for each scenario, outcomes checked one by one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Desk, FarEnd, PASSWORD, Process, Site, campaign, free_port, kraliki, wait_for};

/// A ring time-out of 15 s, and a busy machine.
const CALL: Duration = Duration::from_secs(45);
/// SIPp waits for retransmissions that may still come.
const SIPP_ENDS: Duration = Duration::from_secs(20);
/// Packets of 20 ms that have to come through each way.
const HEARD: u64 = 25;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A callback that an agent books, from the call on.
const CALLBACK_MS: i64 = 48 * HOUR_MS;

/// Who ends an answered call, and what its agent says.
#[derive(Clone, Copy)]
enum Talk {
    /// Nobody answers, or is gone at once.
    None,
    /// The agent hangs up.
    Agent(&'static str),
    /// The called person does.
    Person(&'static str),
}

/// What follows for the lead.
#[derive(Clone, Copy)]
enum Lead {
    Done,
    /// Dialed again so long after the call ended.
    After(i64),
    /// Dialed again when its agent said.
    Callback,
}

struct Case {
    name: &'static str,
    scenario: &'static str,
    /// Of the scenario's text, for a variant.
    replace: (&'static str, &'static str),
    calls: usize,
    /// The 200 may be sent again: the agent talks until it is not.
    again: bool,
    talk: Talk,
    outcome: &'static str,
    /// Of the try.
    status: u16,
    q850: Option<u16>,
    lead: Lead,
    /// Attempts that count against the lead.
    counted: u32,
}

const CASE: Case = Case {
    name: "",
    scenario: "",
    replace: ("", ""),
    calls: 1,
    again: false,
    talk: Talk::None,
    outcome: "",
    status: 200,
    q850: None,
    lead: Lead::Done,
    counted: 1,
};

const CASES: [Case; 12] = [
    Case {
        name: "answered_we_hang_up",
        scenario: "answer_bye_by_us",
        talk: Talk::Agent("sale"),
        outcome: "connected",
        ..CASE
    },
    Case {
        name: "answered_they_hang_up",
        scenario: "answer_bye_by_them",
        replace: ("milliseconds=\"300\"", "milliseconds=\"2500\""),
        talk: Talk::Person("call_back"),
        outcome: "connected",
        q850: Some(16),
        lead: Lead::Callback,
        ..CASE
    },
    // 300 ms: nobody hangs up that fast.
    Case {
        name: "gone_at_once",
        scenario: "answer_bye_by_them",
        outcome: "false_answer",
        q850: Some(16),
        lead: Lead::After(HOUR_MS),
        ..CASE
    },
    Case {
        name: "busy",
        scenario: "busy",
        outcome: "busy",
        status: 486,
        q850: Some(17),
        lead: Lead::After(15 * MINUTE_MS),
        ..CASE
    },
    Case {
        name: "row_03_ring_out",
        scenario: "ring_out",
        outcome: "no_answer",
        status: 487,
        lead: Lead::After(3 * HOUR_MS),
        ..CASE
    },
    Case {
        name: "row_03_unavailable",
        scenario: "unavailable",
        outcome: "congestion",
        status: 503,
        lead: Lead::After(5 * MINUTE_MS),
        counted: 0,
        ..CASE
    },
    Case {
        name: "declined",
        scenario: "declined",
        outcome: "rejected",
        status: 603,
        q850: Some(21),
        lead: Lead::After(24 * HOUR_MS),
        ..CASE
    },
    Case {
        name: "row_14_challenge_401",
        scenario: "challenge_401",
        talk: Talk::Agent("sale"),
        outcome: "connected",
        ..CASE
    },
    Case {
        name: "row_14_challenge_407",
        scenario: "challenge_407",
        talk: Talk::Agent("not_interested"),
        outcome: "connected",
        ..CASE
    },
    Case {
        name: "early_media",
        scenario: "early_media",
        talk: Talk::Agent("sale"),
        outcome: "connected",
        ..CASE
    },
    // A 200 that crosses our CANCEL: acknowledged and ended.
    Case {
        name: "row_02_late_answer",
        scenario: "late_answer",
        outcome: "no_answer",
        lead: Lead::After(3 * HOUR_MS),
        ..CASE
    },
    Case {
        name: "row_04_answer_again",
        scenario: "answer_again",
        calls: 3,
        again: true,
        talk: Talk::Agent("sale"),
        outcome: "connected",
        ..CASE
    },
];

#[test]
fn sipp_as_the_carrier() {
    let ports: Vec<u16> = CASES.iter().map(|_| free_port()).collect();
    let trunks: String = CASES
        .iter()
        .zip(&ports)
        .map(|(case, port)| {
            format!(
                "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"{}\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550199\"\nmax_cps = 5\n\
                 username = \"kraliki\"\npassword = \"secret\"\noptions_keepalive = false\n",
                case.name
            )
        })
        .collect();
    let site = Site::new(&trunks, 100);
    site.users(&[("root", "admin"), ("mia", "manager")]);
    site.users(&CASES.map(|case| (case.name, "agent")));
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let (site, base, manager) = (&site, dialer.base.as_str(), &manager);
        let runs: Vec<_> = CASES
            .iter()
            .zip(ports)
            .enumerate()
            .map(|(nth, (case, port))| scope.spawn(move || run(case, nth, port, site, base, manager)))
            .collect();
        let ended = runs.into_iter().map(|run| run.join());
        CASES.iter().zip(ended).filter(|(_, ended)| ended.is_err()).map(|(case, _)| case.name).collect()
    });
    assert!(failed.is_empty(), "{failed:?} failed; see above");
    ladder(&site, &manager);
    assert_eq!(dialer.terminate(CALL), Some(0));
}

/// One scenario from its list to its record.
fn run(case: &Case, nth: usize, port: u16, site: &Site, base: &str, manager: &Client) {
    let far_end = FarEnd::start();
    let sipp = sipp(case, port, &far_end, site);
    let agent = Client::login(base, case.name, PASSWORD);
    let me = agent.get("/api/auth/me").ok(200)["id"].clone();
    // Whoever does not answer is called again in another part of the day by default, which depends on the hour of the test.
    let settings = campaign(
        case.name,
        json!({"trunk": case.name, "agents": [me], "retry": {"no_answer": {"delay_s": 10_800, "most": 10}}}),
    );
    let id = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    let leads = format!("/api/campaigns/{id}/leads");
    for call in 0..case.calls {
        let phone = format!("+1{}55501{call:02}", 220 + nth);
        manager.post(&leads, &json!({"phone": phone, "time_zone": "America/New_York"})).ok(201);
    }
    let desk = Desk::open(agent).unwrap();
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    match case.talk {
        Talk::None => {}
        Talk::Agent(code) | Talk::Person(code) => {
            (0..case.calls).for_each(|_| talk(case, &desk, &far_end, manager, code));
        }
    }

    let ended = wait_for(&format!("{}'s outcome", case.name), CALL, || {
        let calls = manager.get(&format!("/api/calls?campaign={id}")).ok(200)["items"].clone();
        let calls = calls.as_array().unwrap();
        let all = calls.len() == case.calls && calls.iter().all(|call| !call["outcome"].is_null());
        all.then(|| calls.clone())
    });
    let mut ladders = String::new();
    for call in ended {
        ladders.push_str(&manager.get(&format!("/api/calls/{}/sip", call["id"])).text);
        let detail = manager.get(&format!("/api/calls/{}", call["id"])).ok(200);
        assert_eq!(detail["outcome"], case.outcome, "{}: {detail}", case.name);
        assert_eq!(detail["tries"].as_array().map(Vec::len), Some(1), "{}: {detail}", case.name);
        let one = &detail["tries"][0];
        assert_eq!((&one["status"], &one["q850"]), (&json!(case.status), &json!(case.q850)), "{}", case.name);
        follow_up(case, &detail, &manager.get(&leads).ok(200));
    }
    let (code, said) = sipp.finish(SIPP_ENDS);
    assert_eq!(code, Some(0), "{}: SIPp is not content: {said:#?}\n{ladders}", case.name);
}

/// The agent's side of one call.
fn talk(case: &Case, desk: &Desk, far_end: &FarEnd, manager: &Client, code: &str) {
    let (to_agent, to_person) = (desk.heard(), far_end.heard());
    let call = wait_for(&format!("{}'s call", case.name), CALL, || {
        let state = desk.state().unwrap();
        (state["state"] == "talking").then(|| state["call"].clone())
    });
    wait_for(&format!("{}'s audio both ways", case.name), CALL, || {
        (desk.heard() >= to_agent + HEARD && far_end.heard() >= to_person + HEARD).then_some(())
    });
    if case.again {
        acknowledged(manager, &call);
    }
    if matches!(case.talk, Talk::Agent(_)) {
        desk.client().post(&format!("/api/calls/{call}/hangup"), &json!({})).ok(204);
    }
    wait_for(&format!("{}'s wrap-up", case.name), CALL, || {
        (desk.state().unwrap()["state"] == "wrap_up").then_some(())
    });
    let mut said = json!({"code": code, "note": case.name});
    if matches!(case.lead, Lead::Callback) {
        let record = desk.client().get(&format!("/api/calls/{call}")).ok(200);
        said["callback_unix_ms"] = json!(callback(&record));
    }
    desk.client().post(&format!("/api/calls/{call}/disposition"), &said).ok(204);
    desk.ready().unwrap();
}

/// Waits until the carrier has an ACK: it sends its 200 again 0.5, 1, 2, 4 s after the last one while it has none.
fn acknowledged(manager: &Client, call: &Value) {
    let answers = || {
        let ladder = manager.get(&format!("/api/calls/{call}/sip")).text;
        u32::try_from(ladder.matches("SIP/2.0 200 OK").count()).unwrap()
    };
    let mut seen = answers();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(500 * (1 << (seen - 1).min(3)) + 400));
        match answers() {
            same if same == seen => return,
            more => seen = more,
        }
    }
    panic!("{call} is answered again and again");
}

fn callback(call: &Value) -> i64 {
    call["started_unix_ms"].as_i64().unwrap() + CALLBACK_MS
}

fn follow_up(case: &Case, call: &Value, leads: &Value) {
    let lead = leads["items"].as_array().unwrap().iter().find(|lead| lead["id"] == call["lead"]).unwrap();
    assert_eq!(lead["last_outcome"], case.outcome, "{}: {lead}", case.name);
    assert_eq!(lead["attempts"], case.counted, "{}: {lead}", case.name);
    let status = if matches!(case.lead, Lead::Done) { "done" } else { "retry" };
    assert_eq!(lead["status"], status, "{}: {lead}", case.name);
    let next = match case.lead {
        Lead::Done => return,
        Lead::After(ms) => call["ended_unix_ms"].as_i64().unwrap() + ms,
        Lead::Callback => callback(call),
    };
    assert_eq!(lead["next_unix_ms"], next, "{}: {lead}", case.name);
}

/// The scenario's SIPp, its audio at the far end.
fn sipp(case: &Case, port: u16, far_end: &FarEnd, site: &Site) -> Process {
    let media = far_end.port().to_string();
    let mut replace = vec![("[media_port]", media.as_str())];
    if !case.replace.0.is_empty() {
        replace.push(case.replace);
    }
    let (port_text, calls) = (port.to_string(), case.calls.to_string());
    let process = start_sipp(
        site,
        case.name,
        case.scenario,
        &replace,
        &["-i", "127.0.0.1", "-p", &port_text, "-m", &calls],
    );
    listens(port);
    process
}

/// Waits until somebody on this machine listens at the port. To try to bind it would be in SIPp's way.
pub(crate) fn listens(port: u16) {
    let there = format!(":{port:04X} ");
    wait_for("SIPp to listen", CALL, || {
        ["udp", "udp6", "tcp", "tcp6"].iter().find(|table| {
            let sockets = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
            sockets.lines().filter_map(|line| line.split_once(": ")).any(|(_, rest)| {
                rest.split_once(' ').is_some_and(|(local, _)| format!("{local} ").ends_with(&there))
            })
        })
    });
}

/// SIPp with a scenario whose text is changed as wanted. It ends with 0 when every message came as the scenario says.
pub(crate) fn start_sipp(
    site: &Site,
    name: &str,
    scenario: &str,
    replace: &[(&str, &str)],
    more: &[&str],
) -> Process {
    let path = format!("{}/tests/peers/sipp/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).unwrap();
    for (old, new) in replace {
        // Not every scenario has the places in brackets.
        assert!(old.starts_with('[') || text.contains(old), "{scenario} has no {old}");
        text = text.replace(old, new);
    }
    let file = site.dir.path().join(format!("{name}.xml"));
    std::fs::write(&file, text).unwrap();
    let args = ["-sf", file.to_str().unwrap(), "-nostdin", "-timeout", "90", "-timeout_error"];
    Process::start("sipp", &[&args[..], more].concat(), site.dir.path())
}

/// What the command line and the API show of a call's messages.
fn ladder(site: &Site, manager: &Client) {
    let calls = manager.get("/api/calls?outcome=busy").ok(200);
    let id = calls["items"][0]["id"].to_string();
    let run = kraliki(&["sip", "trace", &id, "--config", site.config()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut rest = run.stdout.as_str();
    for message in ["INVITE", "100", "486", "ACK"] {
        let at = rest.find(message).unwrap_or_else(|| panic!("no {message} in its place: {}", run.stdout));
        rest = &rest[at..];
    }
    assert!(!run.stdout.contains("secret"));
    assert_eq!(manager.get(&format!("/api/calls/{id}/sip")).text.trim(), run.stdout.trim());
    let run = kraliki(&["sip", "trace", "999999", "--config", site.config()]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.stderr.contains("no messages are kept of call 999999"), "{run:?}");
}
