//! Agents with SIP phones: baresip by UDP, and JsSIP in Chromium by WS and WSS. SIPp is the carrier; tones both ways.

mod baresip;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::far_end::{FarEnd, Heard};
use crate::browser::{answering_sipp, write_beeps};
use crate::support::{Client, Dialer, PASSWORD, Process, Site, campaign, free_port, wait_for};
use baresip::Baresip;

/// What the called person says, and what the agent says.
const FAR_HZ: f64 = 700.0;
const AGENT_HZ: f64 = 1000.0;
/// The share of a window's energy at one frequency from which the window counts as that tone.
const TONE: f64 = 0.9;
/// Two calls and a phone at a time, and what rests of the ones before.
const MEDIA_PORTS: u16 = 16;
/// Far more than any one step takes.
const STEP: Duration = Duration::from_secs(30);
/// A browser starts, loads, and gathers its addresses.
const SLOW_STEP: Duration = Duration::from_secs(60);
/// Audio that is measured of each call.
const TALK: Duration = Duration::from_secs(3);

/// A dialer with phones, its carrier, and a campaign that waits to be started.
struct Floor {
    site: Site,
    dialer: Dialer,
    sipp: Process,
    far_end: FarEnd,
    manager: Client,
    agent: Client,
    campaign: i64,
    ws: [String; 2],
}

impl Floor {
    fn open(calls: u16) -> Floor {
        let far_end = FarEnd::start(FAR_HZ);
        let trunk_port = free_port();
        let site = Site::new(
            &format!(
                "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"sipp\"\naddress = \"127.0.0.1:{trunk_port}\"\ncaller_id = \"+12015550100\"\n\
                 max_cps = 1\nmax_channels = 2\noptions_keepalive = false\n"
            ),
            MEDIA_PORTS,
        );
        let (ws, wss) = (free_port(), free_port());
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (site.dir.path().join("cert.pem"), site.dir.path().join("key.pem"));
        std::fs::write(&cert, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        let udp = format!("127.0.0.1:{}", site.sip_port);
        let text = std::fs::read_to_string(site.config()).unwrap();
        let plain = format!("listen = \"{udp}\"\n");
        assert!(text.contains(&plain) && text.contains("plain_agents = true"), "{text}");
        let sip = format!(
            "listen = [\"udp:{udp}\", \"ws:127.0.0.1:{ws}\", \"wss:127.0.0.1:{wss}\"]\nphones = \"floor\"\n\
             tls_cert = \"{}\"\ntls_key = \"{}\"\n",
            cert.display(),
            key.display()
        );
        // A phone needs no leave to speak plain RTP.
        let text = text.replace(&plain, &sip).replace("plain_agents = true", "plain_agents = false");
        std::fs::write(site.config(), text).unwrap();

        let sipp = answering_sipp(trunk_port, far_end.port, calls, site.dir.path());
        site.users(&[("mona", "manager"), ("ada", "agent")]);
        let dialer = site.serve();
        let (manager, agent) = (dialer.login("mona"), Client::login(&dialer.base, "ada", PASSWORD));
        let settings = campaign("Phones", json!({"mode": "progressive"}));
        let campaign = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
        for call in 0..calls {
            let lead = json!({"phone": format!("+1202555012{call}"), "time_zone": "America/New_York"});
            manager.post(&format!("/api/campaigns/{campaign}/leads"), &lead).ok(201);
        }
        let ws = [format!("ws://127.0.0.1:{ws}"), format!("wss://localhost:{wss}")];
        Floor { site, dialer, sipp, far_end, manager, agent, campaign, ws }
    }

    /// Makes a password for the agent's phone.
    fn password(&self) -> String {
        let made = self.agent.post("/api/agent/phone", &json!({})).ok(201);
        assert_eq!((&made["username"], &made["realm"]), (&json!("ada"), &json!("floor")));
        made["password"].as_str().unwrap().to_owned()
    }

    /// How the agent's phone stands.
    fn phone(&self) -> Value {
        self.agent.get("/api/agent/phone").ok(200)["phone"].clone()
    }

    fn wait_phone(&self, state: &str) -> Value {
        wait_for(&format!("the phone to be {state}"), SLOW_STEP, || {
            Some(self.phone()).filter(|phone| phone["state"] == state)
        })
    }

    /// Has the phone called, and waits until it is heard.
    fn connect(&self) {
        let opened = self.agent.post("/api/agent/session", &json!({"device": "phone"})).ok(201);
        let phone = self.wait_phone("connected");
        assert_eq!((&phone["session"], &phone["problem"]), (&opened["id"], &Value::Null));
    }

    fn state(&self) -> Value {
        self.agent.get("/api/agent/state").ok(200)
    }

    fn ready(&self) {
        wait_for("the agent to be ready", STEP, || {
            let reply = self.agent.post("/api/agent/state", &json!({"state": "ready"}));
            (reply.status == 200).then_some(())
        });
    }

    fn start_campaign(&self) {
        self.manager.post(&format!("/api/campaigns/{}/start", self.campaign), &json!({})).ok(200);
    }

    /// Waits for a call with the agent; gives its id.
    fn talking(&self) -> i64 {
        wait_for("a call with the agent", STEP, || {
            let state = self.state();
            (state["state"] == "talking").then(|| state["call"].as_i64().unwrap())
        })
    }

    /// The agent hangs up and says what came of it.
    fn finish_call(&self, call: i64) {
        self.agent.post(&format!("/api/calls/{call}/hangup"), &json!({})).ok(204);
        wait_for("the wrap-up", STEP, || (self.state()["state"] == "wrap_up").then_some(()));
        self.agent.post(&format!("/api/calls/{call}/disposition"), &json!({"code": "sale"})).ok(204);
    }

    /// Ends the shift, which hangs up the phone.
    fn end_shift(&self) {
        self.agent.post("/api/agent/state", &json!({"state": "offline"})).ok(200);
        let phone = self.wait_phone("registered");
        assert_eq!(phone["problem"], Value::Null);
    }

    /// Ends everything else; gives what the called people heard.
    fn close(self) -> Heard {
        let calls = self.manager.get(&format!("/api/calls?campaign={}", self.campaign)).ok(200);
        for call in calls["items"].as_array().unwrap() {
            assert_eq!(
                (&call["outcome"], &call["disposition"]),
                (&json!("connected"), &json!("sale")),
                "{calls:#}"
            );
        }
        let (code, said) = self.sipp.finish(STEP);
        assert_eq!(code, Some(0), "{said:#?}");
        assert_eq!(self.dialer.terminate(STEP), Some(0));
        self.far_end.finish()
    }
}

/// The metric of that name.
fn metric(manager: &Client, name: &str) -> f64 {
    let text = manager.get("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not among the metrics")).parse().unwrap()
}

/// Windows of 100 ms that are the tone.
fn tones(heard: &Heard, hz: f64) -> usize {
    heard.tone_shares(hz).iter().filter(|share| **share > TONE).count()
}

#[test]
fn baresip_is_an_agents_phone() {
    let floor = Floor::open(2);
    let mut phone = Baresip::start(floor.site.dir.path(), floor.site.sip_port, &floor.password(), AGENT_HZ);
    let registered = floor.wait_phone("registered");
    assert!(registered["user_agent"].as_str().unwrap().starts_with("baresip"), "{registered}");
    assert_eq!(metric(&floor.manager, "kraliki_sip_bindings"), 1.0);
    floor.connect();
    floor.ready();

    // Two calls on one leg.
    floor.start_campaign();
    let first = floor.talking();
    std::thread::sleep(TALK);
    floor.finish_call(first);
    let session = floor.phone()["session"].clone();
    floor.ready();
    let second = floor.talking();
    assert_ne!(second, first);
    assert_eq!(floor.phone()["session"], session);
    std::thread::sleep(TALK);

    // Held at the phone, and back; what it would have the dialer do with the call is refused.
    phone.command("hold", "");
    wait_for("the hold", STEP, || (floor.state()["audio"] == false).then_some(()));
    phone.command("resume", "");
    wait_for("the end of the hold", STEP, || (floor.state()["audio"] == true).then_some(()));
    phone.command("transfer", &format!("sip:200@127.0.0.1:{}", floor.site.sip_port));
    phone.wait_line("603");
    assert_eq!(floor.talking(), second);

    // Hung up at the phone: the agent is lost, and back in time when the phone is called again.
    phone.command("hangup", "");
    let lost = floor.wait_phone("registered");
    assert_eq!(lost["problem"], "hung_up");
    wait_for("the audio to be gone", STEP, || (floor.state()["audio"] == false).then_some(()));
    floor.connect();
    wait_for("the audio to be back", STEP, || (floor.state()["audio"] == true).then_some(()));
    assert_eq!(floor.talking(), second);
    std::thread::sleep(TALK);
    floor.finish_call(second);

    // And the phone calls in by itself: it is the agent's audio then, whatever it dialed.
    phone.command("hangup", "");
    floor.wait_phone("registered");
    phone.command("dial", &format!("sip:100@127.0.0.1:{}", floor.site.sip_port));
    let called = floor.wait_phone("connected");
    assert_ne!(called["session"], session);
    wait_for("the audio to be back", STEP, || (floor.state()["audio"] == true).then_some(()));

    floor.end_shift();
    let to_phone = phone.finish(FAR_HZ);
    let heard = floor.close();
    let to_person = tones(&heard, AGENT_HZ);
    eprintln!("tone in windows of 100 ms: {to_person} at the called person, {to_phone} at the phone");
    // Three times three seconds, on a machine that may be busy.
    assert!(to_person > 40 && heard.not_pcmu == 0, "{to_person}");
    assert!(to_phone > 40, "{to_phone}");
    assert!(heard.tone_shares(FAR_HZ).iter().all(|share| *share < 0.1), "an echo");
}

#[test]
fn a_phone_with_a_wrong_password_is_locked_out() {
    let mut floor = Floor::open(0);
    let right = floor.password();
    let wrong = Baresip::start(floor.site.dir.path(), floor.site.sip_port, "not-the-password", AGENT_HZ);
    let said = floor.dialer.process.wait_line(SLOW_STEP, |line| {
        line.contains("too many wrong passwords of a SIP phone").then(|| line.to_owned())
    });
    assert!(said.contains("ada") && said.contains("127.0.0.1"), "{said}");
    let phone = wait_for("the agent to be told", STEP, || {
        Some(floor.phone()).filter(|phone| phone["locked_until_unix_ms"].is_i64())
    });
    assert_eq!(phone["state"], "unregistered", "{phone}");
    assert_eq!(metric(&floor.manager, "kraliki_sip_lockouts_total"), 1.0);
    assert!(metric(&floor.manager, "kraliki_sip_auth_failures_total") >= 10.0);
    drop(wrong);

    // The right one is not looked at now, from there.
    let mut right = Baresip::start(floor.site.dir.path(), floor.site.sip_port, &right, AGENT_HZ);
    right.wait_line("403 Forbidden");
    let refused = floor.agent.post("/api/agent/session", &json!({"device": "phone"})).problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("not registered"), "{refused}");
    drop(right);
    assert_eq!(floor.dialer.terminate(STEP), Some(0));
}

#[test]
fn jssip_is_an_agents_phone() {
    let floor = Floor::open(1);
    let dir = floor.site.dir.path();
    let microphone = dir.join("microphone.wav");
    write_beeps(&microphone, AGENT_HZ);
    let options = json!({
        // After the reload it comes by the other one.
        "servers": floor.ws, "user": "ada", "password": floor.password(), "microphone": microphone, "hears_hz": FAR_HZ,
        "screenshot": Path::new(env!("CARGO_TARGET_TMPDIR")).join("jssip.png"),
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phones/jssip.mjs");
    let mut page = Process::start("node", &[script, &options.to_string()], dir);
    let says = |page: &mut Process, what: &str| {
        page.wait_line(SLOW_STEP, |line| line.strip_prefix(&format!("{what} ")).map(str::to_owned))
    };
    assert_eq!(says(&mut page, "registered"), floor.ws[0]);
    let registered = floor.wait_phone("registered");
    assert!(registered["user_agent"].as_str().unwrap().starts_with("JsSIP"), "{registered}");
    floor.connect();
    floor.ready();
    floor.start_campaign();
    let call = floor.talking();
    assert_browser_heard(&says(&mut page, "heard"));
    says(&mut page, "held");

    // A reload takes the phone away and brings another registration; the call waits for the agent, whose page calls now.
    let session = floor.phone()["session"].clone();
    page.signal("USR2");
    wait_for("the phone to be lost", STEP, || (floor.phone()["problem"] == "lost").then_some(()));
    assert_eq!(says(&mut page, "registered"), floor.ws[1]);
    assert_ne!(floor.wait_phone("connected")["session"], session);
    wait_for("the audio to be back", STEP, || (floor.state()["audio"] == true).then_some(()));
    assert_eq!(floor.talking(), call);
    assert_browser_heard(&says(&mut page, "heard"));
    floor.finish_call(call);

    floor.end_shift();
    let heard = floor.close();
    let windows = tones(&heard, AGENT_HZ);
    eprintln!("tone in windows of 100 ms at the called person: {windows}");
    assert!(windows >= 10 && heard.not_pcmu == 0, "{windows}");
    page.signal("TERM");
    assert_eq!(page.finish(STEP).0, Some(0));
}

#[test]
fn the_desk_sets_a_phone_up_and_follows_it() {
    let floor = Floor::open(0);
    let options = json!({
        "url": floor.dialer.base, "username": "ada", "password": PASSWORD,
        "screenshot": Path::new(env!("CARGO_TARGET_TMPDIR")).join("desk_phone.png"),
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phones/desk.mjs");
    let mut desk = Process::start("node", &[script, &options.to_string()], floor.site.dir.path());
    let says = |desk: &mut Process, what: &str| {
        desk.wait_line(SLOW_STEP, |line| line.strip_prefix(what).map(|rest| rest.trim().to_owned()))
    };
    let password = says(&mut desk, "password");
    let server = floor.site.sip_port;
    let mut phone = Baresip::start(floor.site.dir.path(), server, &password, AGENT_HZ);
    says(&mut desk, "connected");
    phone.command("hangup", "");
    assert!(says(&mut desk, "hung_up").contains("Your phone hung up"));
    says(&mut desk, "browser");
    phone.command("dial", &format!("sip:100@127.0.0.1:{server}"));
    says(&mut desk, "followed");
    says(&mut desk, "done");
    assert_eq!(desk.finish(STEP).0, Some(0));
    // Signing out hangs the phone up.
    assert_eq!(floor.wait_phone("registered")["session"], Value::Null);
    drop(phone);
    assert_eq!(floor.dialer.terminate(STEP), Some(0));
}

/// The tone's share in each window of what the page played.
fn assert_browser_heard(shares: &str) {
    let shares: Vec<f64> = serde_json::from_str(shares).unwrap();
    let tones = shares.iter().filter(|share| **share > TONE).count();
    assert!(
        tones * 2 > shares.len(),
        "the called person's tone is not in what the browser plays: {shares:?}"
    );
}
