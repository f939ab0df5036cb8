//! Trunks by API while the dialer runs, SIPp as their carrier: made, dialed over, changed, kept over a restart, deleted.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};

use crate::peers::{listens, start_sipp};
use crate::support::{Client, Desk, PASSWORD, Process, Site, campaign, free_port, wait_for};

/// A call that is given up over a silent trunk, and a busy machine.
const CALL: Duration = Duration::from_secs(45);

const SECRET: &str = "hush-hush-4711";

fn busy(site: &Site, name: &str, port: u16, calls: usize) -> Process {
    let (port_text, calls) = (port.to_string(), calls.to_string());
    let process = start_sipp(site, name, "busy", &[], &["-i", "127.0.0.1", "-p", &port_text, "-m", &calls]);
    listens(port);
    process
}

/// Adds leads to a campaign and gives their calls once they have ended.
fn dial(manager: &Client, id: i64, phones: &[&str]) -> Vec<Value> {
    // What was on disk too late to be sent is dialed again.
    let calls = || {
        let mut calls = manager.get(&format!("/api/calls?campaign={id}")).ok(200)["items"].clone();
        calls.as_array_mut().unwrap().retain(|call| call["outcome"] != "not_sent");
        calls.as_array().unwrap().clone()
    };
    let before = calls().len();
    for phone in phones {
        let lead = json!({"phone": phone, "time_zone": "America/New_York"});
        manager.post(&format!("/api/campaigns/{id}/leads"), &lead).ok(201);
    }
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    let ended = wait_for("the calls' outcomes", CALL, || {
        let calls = calls();
        let all = calls.len() == before + phones.len() && calls.iter().all(|c| !c["outcome"].is_null());
        all.then_some(calls)
    });
    // The newest first.
    let new = ended.iter().take(phones.len());
    new.map(|call| manager.get(&format!("/api/calls/{}", call["id"])).ok(200)).collect()
}

#[test]
fn a_trunk_is_made_changed_and_deleted_while_calls_run() {
    let (file_port, port) = (free_port(), free_port());
    let text = format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"file\"\naddress = \"127.0.0.1:{file_port}\"\ncaller_id = \"+12015550199\"\n\
         options_keepalive = false\n"
    );
    let site = Site::new(&text, 40);
    site.users(&[("root", "admin"), ("mia", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let (root, manager) = (dialer.login("root"), dialer.login("mia"));
    let of_the_file = root.get("/api/trunks/1").ok(200);
    assert_eq!(of_the_file["configured"], true);
    for refused in [root.put("/api/trunks/1", &of_the_file["profile"]), root.delete("/api/trunks/1")] {
        let problem = refused.problem(409);
        assert!(problem["detail"].as_str().unwrap().contains("configuration file"), "{problem}");
    }

    let carrier = busy(&site, "made", port, 5);
    let profile = json!({"name": "made", "address": format!("127.0.0.1:{port}"), "caller_id": "+12015550198",
        "username": "kraliki", "password": SECRET, "max_cps": 20, "options_keepalive": false, "allowed_prefixes": ["+1"]});
    let made = root.post("/api/trunks", &profile).ok(201);
    let path = format!("/api/trunks/{}", made["id"]);
    let desk = Desk::open(Client::login(&dialer.base, "ada", PASSWORD)).unwrap();
    let settings = campaign("Spring", json!({"trunk": "made"}));
    let id = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    for call in dial(&manager, id, &["+12125550101", "+12125550102"]) {
        assert_eq!((&call["outcome"], &call["tries"][0]["trunk"]), (&json!("busy"), &made["id"]), "{call}");
        assert_eq!(call["caller_id"], "+12015550198");
    }

    // What was read goes back with another limit; the password stays, and is nowhere to be read.
    let mut profile = root.get(&path).ok(200)["profile"].clone();
    profile["max_cps"] = json!(1);
    profile["caller_id"] = json!("+12015550197");
    assert_eq!(root.put(&path, &profile).ok(200)["profile"]["max_cps"], 1);
    for call in dial(&manager, id, &["+12125550103", "+12125550104"]) {
        assert_eq!(
            (&call["outcome"], &call["caller_id"]),
            (&json!("busy"), &json!("+12015550197")),
            "{call}"
        );
    }
    drop(desk);
    assert_eq!(dialer.terminate(CALL), Some(0));
    let store = std::fs::read(site.dir.path().join("kraliki.db")).unwrap();
    assert!(!store.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));

    let dialer = site.serve();
    let (root, manager) = (dialer.login("root"), dialer.login("mia"));
    let known = root.get(&path).ok(200);
    assert_eq!((&known["profile"], &known["problem"]), (&profile, &Value::Null));
    let desk = Desk::open(Client::login(&dialer.base, "ada", PASSWORD)).unwrap();
    let call = dial(&manager, id, &["+12125550105"]).remove(0);
    assert_eq!((&call["outcome"], &call["tries"][0]["trunk"]), (&json!("busy"), &made["id"]), "{call}");
    let (code, said) = carrier.finish(CALL);
    assert_eq!(code, Some(0), "SIPp is not content: {said:#?}");

    let problem = root.delete(&path).problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("campaign Spring"), "{problem}");
    manager.put(&format!("/api/campaigns/{id}"), &campaign("Spring", json!({"trunk": "file"}))).ok(200);
    assert_eq!(root.delete(&path).status, 204);
    wait_for("the trunk to be gone", CALL, || (root.get(&path).status == 404).then_some(()));
    wait_for("the list to say so", CALL, || {
        let names: Vec<Value> = root.get("/api/trunks").ok(200).as_array().unwrap().clone();
        (names.len() == 1 && names[0]["name"] == "file").then_some(())
    });
    drop(desk);
    assert_eq!(dialer.terminate(CALL), Some(0));
    assert_eq!(site.sql("SELECT profile, sealed IS NULL, deleted FROM trunks"), [["", "1", "1"]]);
}

#[test]
fn a_call_goes_on_when_a_trunk_says_nothing_at_all() {
    let port = free_port();
    // Hears everything and never answers.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let site = Site::new("", 40);
    site.users(&[("root", "admin"), ("ada", "agent")]);
    let dialer = site.serve();
    let root = dialer.login("root");
    let carrier = busy(&site, "other", port, 1);
    let trunk = |name: &str, port: u16, fail_over: &[&str]| {
        let profile = json!({"name": name, "address": format!("127.0.0.1:{port}"), "caller_id": "+12015550198",
            "options_keepalive": false, "fail_over": fail_over, "allowed_prefixes": ["+1"]});
        root.post("/api/trunks", &profile).ok(201)["id"].clone()
    };
    let other = trunk("other", port, &[]);
    let silent = trunk("silent", deaf.local_addr().unwrap().port(), &["other"]);
    let desk = Desk::open(Client::login(&dialer.base, "ada", PASSWORD)).unwrap();
    let settings = campaign("Spring", json!({"trunk": "silent"}));
    let id = root.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    let call = dial(&root, id, &["+12125550101"]).remove(0);
    assert_eq!(call["outcome"], "busy", "{call}");
    let tries: Vec<_> =
        call["tries"].as_array().unwrap().iter().map(|t| (&t["trunk"], &t["status"])).collect();
    assert_eq!(tries, [(&silent, &Value::Null), (&other, &json!(486))]);
    let (code, said) = carrier.finish(CALL);
    assert_eq!(code, Some(0), "SIPp is not content: {said:#?}");
    drop(desk);
    assert_eq!(dialer.terminate(CALL), Some(0));
}

/// A carrier that takes every registration: gives the user and the Expires of each REGISTER.
fn registrar(socket: UdpSocket) -> std::sync::mpsc::Receiver<(String, String)> {
    let (sender, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !text.starts_with("REGISTER ") {
                continue;
            }
            let line =
                |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            let expires = line("Expires:").trim_start_matches("Expires:").trim().to_owned();
            let copied: Vec<String> =
                ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Contact:"].map(line).into();
            let answer = format!(
                "SIP/2.0 200 OK\r\n{}\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n",
                copied.join("\r\n")
            );
            let _ = socket.send_to(answer.as_bytes(), from);
            let user = line("To:").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            if sender.send((user, expires)).is_err() {
                return;
            }
        }
    });
    seen
}

#[test]
fn registrations_follow_the_profile() {
    let (first, second) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = |socket: &UdpSocket| socket.local_addr().unwrap().to_string();
    let (at_first, at_second) = (address(&first), address(&second));
    let (first, second) = (registrar(first), registrar(second));
    let site = Site::new("", 20);
    site.users(&[("root", "admin")]);
    let dialer = site.serve();
    let root = dialer.login("root");
    let profile = json!({"name": "made", "address": at_first, "username": "u", "password": SECRET, "register": true,
        "register_s": 600, "options_keepalive": false});
    let id = root.post("/api/trunks", &profile).ok(201)["id"].clone();
    let path = format!("/api/trunks/{id}");
    let registered = |wanted: Value| {
        wait_for("the registration's state", CALL, || {
            (root.get(&path).ok(200)["registered"] == wanted).then_some(())
        });
    };
    let (user, expires) = first.recv_timeout(CALL).unwrap();
    assert_eq!((user, expires.as_str()), (format!("sip:u@{at_first}"), "600"));
    registered(json!(true));

    // Elsewhere: taken back there, made here.
    let mut profile = root.get(&path).ok(200)["profile"].clone();
    profile["address"] = json!(at_second);
    root.put(&path, &profile).ok(200);
    assert_eq!(first.recv_timeout(CALL).unwrap().1, "0");
    assert_eq!(second.recv_timeout(CALL).unwrap(), (format!("sip:u@{at_second}"), "600".to_owned()));
    registered(json!(true));

    // Limits alone change nothing of it.
    profile["max_cps"] = json!(9);
    root.put(&path, &profile).ok(200);
    registered(json!(true));
    profile["register"] = json!(false);
    root.put(&path, &profile).ok(200);
    assert_eq!(second.recv_timeout(CALL).unwrap().1, "0");
    registered(Value::Null);
    profile["register"] = json!(true);
    root.put(&path, &profile).ok(200);
    assert_eq!(second.recv_timeout(CALL).unwrap().1, "600");
    registered(json!(true));
    assert_eq!(root.delete(&path).status, 204);
    assert_eq!(second.recv_timeout(CALL).unwrap().1, "0");
    assert_eq!(dialer.terminate(CALL), Some(0));
}

/// SIPp that answers each call with a final status, and a header beside it, before anything rings.
fn refusing(site: &Site, name: &str, port: u16, status: &str, header: &str) -> Process {
    let port_text = port.to_string();
    let replace = [("[status]", status), ("[header]", header)];
    let process =
        start_sipp(site, name, "refused", &replace, &["-i", "127.0.0.1", "-p", &port_text, "-m", "1"]);
    listens(port);
    process
}

#[test]
fn a_group_fails_over_its_breakers_open_and_blocked_caller_ids_go_into_quarantine() {
    const SHOWN: [&str; 2] = ["+12015550171", "+12015550172"];
    // Hears everything and never answers.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let [full, plus, rejects] = [free_port(), free_port(), free_port()];
    let site = Site::new("", 40);
    site.users(&[("root", "admin"), ("ada", "agent")]);
    let dialer = site.serve();
    let root = dialer.login("root");
    let carriers = [
        refusing(&site, "full", full, "503 Service Unavailable", "Retry-After: 5"),
        refusing(
            &site,
            "plus",
            plus,
            "603 Network Blocked",
            "Reason: SIP;cause=603;text=\"v=analytics1;url=https://plus.example/contest\"",
        ),
        refusing(
            &site,
            "rejects",
            rejects,
            "608 Rejected",
            "Call-Info: <https://rejects.example/card>;purpose=jwscard",
        ),
    ];
    let trunk = |name: &str, port: u16| {
        let profile = json!({"name": name, "address": format!("127.0.0.1:{port}"), "options_keepalive": false,
            "allowed_prefixes": ["+1"], "breaker_failures": 1, "first_response_timeout_s": 1});
        root.post("/api/trunks", &profile).ok(201)["id"].clone()
    };
    let ids = [
        trunk("deaf", deaf.local_addr().unwrap().port()),
        trunk("full", full),
        trunk("plus", plus),
        trunk("rejects", rejects),
    ];
    let group = |last: &str| {
        json!({"name": "all", "members": [{"trunk": "deaf", "priority": 1}, {"trunk": "full", "priority": 2},
            {"trunk": last, "priority": 3}]})
    };
    root.post("/api/trunk-groups", &group("plus")).ok(201);
    let pool = json!({"name": "East", "numbers": SHOWN});
    root.post("/api/caller-id-pools", &pool).ok(201);
    let desk = Desk::open(Client::login(&dialer.base, "ada", PASSWORD)).unwrap();
    let settings = campaign("Spring", json!({"trunk": "all", "caller_id_pool": "East"}));
    let id = root.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();

    // Silence, a server failure, then the block: each trunk once.
    let call = dial(&root, id, &["+12125550101"]).remove(0);
    let tries = |call: &Value| -> Vec<(Value, Value)> {
        let tries = call["tries"].as_array().unwrap().iter();
        tries.map(|t| (t["trunk"].clone(), t["status"].clone())).collect()
    };
    let expected = [Value::Null, json!(503), json!(603)];
    let expected: Vec<_> = ids[..3].iter().cloned().zip(expected).collect();
    assert_eq!((&call["outcome"], tries(&call)), (&json!("blocked"), expected), "{call}");
    let breakers: Vec<Value> = wait_for("the breakers to open", CALL, || {
        let trunks = root.get("/api/trunks").ok(200);
        let states: Vec<Value> = trunks.as_array().unwrap().iter().map(|t| t["breaker"].clone()).collect();
        (states[0] == "open" && states[1] == "open").then_some(states)
    });
    assert_eq!(breakers, ["open", "open", "closed", "closed"]);
    let quarantine = |place: usize| {
        let pools = root.get("/api/caller-id-pools").ok(200);
        pools[0]["ids"][place]["quarantine"].clone()
    };
    let first = wait_for("the quarantine", CALL, || Some(quarantine(0)).filter(|q| !q.is_null()));
    assert_eq!((&first["status"], &first["redress"]), (&json!(603), &json!("https://plus.example/contest")));
    assert_eq!(quarantine(1), Value::Null);

    // The next call goes by none of those that rest, shows the other number, and is blocked too.
    root.put("/api/trunk-groups/1000", &group("rejects")).ok(200);
    let call = dial(&root, id, &["+12125550102"]).remove(0);
    assert_eq!((&call["outcome"], &call["caller_id"]), (&json!("blocked"), &json!(SHOWN[1])), "{call}");
    assert_eq!(tries(&call).last(), Some(&(ids[3].clone(), json!(608))));
    let second = wait_for("the quarantine", CALL, || Some(quarantine(1)).filter(|q| !q.is_null()));
    assert_eq!(
        (&second["status"], &second["redress"]),
        (&json!(608), &json!("https://rejects.example/card"))
    );
    for carrier in carriers {
        let (code, said) = carrier.finish(CALL);
        assert_eq!(code, Some(0), "SIPp is not content: {said:#?}");
    }

    // It outlives a restart, and a person lifts it.
    drop(desk);
    assert_eq!(dialer.terminate(CALL), Some(0));
    let dialer = site.serve();
    let root = dialer.login("root");
    let states = || {
        let pools = root.get("/api/caller-id-pools").ok(200);
        pools[0]["ids"].as_array().unwrap().iter().map(|id| id["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["quarantined", "quarantined"]);
    let today = root.get("/api/caller-id-pools").ok(200)[0]["ids"][0]["today"].clone();
    assert_eq!((&today["attempts"], &today["blocks"]), (&json!(3), &json!(1)), "{today}");
    assert_eq!(root.post("/api/caller-ids/lift", &json!({"number": SHOWN[0]})).status, 204);
    assert_eq!(states(), ["good", "quarantined"]);
    assert_eq!(dialer.terminate(CALL), Some(0));
}
