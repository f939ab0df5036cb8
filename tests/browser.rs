//! A call from a list to a headset: our dialer, SIPp as the carrier, Chromium as the agent's browser, and tones both
//! ways that must arrive.

pub(crate) mod far_end;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Process, Site, campaign, free_block, free_port, wait_for};
use far_end::{FarEnd, Heard};

/// What the called person says, and what the agent says.
const FAR_HZ: f64 = 700.0;
const AGENT_HZ: f64 = 1000.0;
/// The share of a window's energy at one frequency from which the window counts as that tone.
const TONE: f64 = 0.9;
/// Two calls' worth of ports: each rests after its call.
const MEDIA_PORTS: u16 = 8;
/// Far more than any one step takes.
const STEP: Duration = Duration::from_secs(30);
/// The script bounds each of its own steps; this is for all of them.
const SHIFT: Duration = Duration::from_secs(150);

/// A lost agent is known as such within 5 s; then the called person is held for 10 s (the engine's `AGENT_BACK`).
const LOST_AND_HELD: Duration = Duration::from_secs(5 + 10);
/// For a machine that is busy, and the polls of the test.
const SLACK: Duration = Duration::from_secs(3);

#[test]
fn an_agent_takes_a_call_in_a_browser() {
    let seen = work_a_shift("progressive", "", &json!({"restarts": true}));
    assert_eq!(seen["heard"]["after"]["way"]["protocol"], "udp", "{seen:#}");
    let restarted = &seen["restarted"];
    assert_heard(&restarted["heard"]);
    assert_eq!(restarted["status"], 200, "{restarted:#}");
    assert_eq!(restarted["before"]["connections"], restarted["after"]["connections"], "{restarted:#}");
    assert_ne!(restarted["before"]["ufrag"], restarted["after"]["ufrag"], "ICE is another: {restarted:#}");
}

#[test]
fn an_agent_reads_a_lead_and_dials_it_by_keyboard() {
    // Its candidates come after its offer.
    let seen = work_a_shift("preview", "", &json!({"trickles": true}));
    let trickled = &seen["trickled"];
    assert!(trickled["candidates"].as_u64().is_some_and(|count| count > 0), "{trickled:#}");
    let statuses = trickled["statuses"].as_array().unwrap();
    // There is nothing to answer.
    assert!(statuses.len() > 1 && statuses.iter().all(|status| status == 204), "{trickled:#}");
}

#[test]
fn an_agent_without_udp_takes_a_call_over_tcp() {
    let seen = work_a_shift("progressive", "", &json!({"only_tcp": true}));
    for heard in ["heard", "heard_after_reload"] {
        assert_eq!(seen[heard]["after"]["way"]["protocol"], "tcp", "{seen:#}");
        assert_eq!(seen[heard]["after"]["remote_protocol"], "tcp", "{seen:#}");
    }
}

/// Behind a firewall that lets out nothing but the TURN server: coturn, with passwords for a time.
#[test]
fn an_agent_behind_a_firewall_takes_a_call_through_turn() {
    let turn = Turn::start();
    let media = format!(
        "ice_transport_policy = \"relay\"\nice_servers = [{{ urls = [\"turn:127.0.0.1:{}?transport=tcp\"], secret = \"{SECRET}\" }}]\n",
        turn.port
    );
    let seen = work_a_shift("progressive", &media, &json!({}));
    for heard in ["heard", "heard_after_reload"] {
        let way = &seen[heard]["after"]["way"];
        assert_eq!((&way["type"], &way["relay"]), (&json!("relay"), &json!("tcp")), "{seen:#}");
    }
}

#[test]
fn an_agent_takes_a_call_in_firefox() {
    // Nothing is sent by this: it asks which address of ours would be used.
    let way =
        std::net::UdpSocket::bind("0.0.0.0:0").and_then(|s| s.connect("192.0.2.1:9").and(s.local_addr()));
    if !way.is_ok_and(|address| !address.ip().is_loopback()) {
        eprintln!("this machine has the loopback alone: Firefox, which has no candidate there, is left out");
        return;
    }
    let far_end = FarEnd::start(FAR_HZ);
    let trunk_port = free_port();
    // Firefox has no candidate on the loopback (its switch for that does not reach the process that looks for addresses), so
    // audio goes by another address of this host.
    let site = Site::with_media(&trunk(trunk_port), MEDIA_PORTS, "listen = \"0.0.0.0\"\n");
    let dir = site.dir.path();
    let sipp = answering_sipp(trunk_port, far_end.port, 1, dir);
    site.users(&[("mona", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mona");
    campaign_of_one(&manager, "progressive");
    let options = json!({
        "url": dialer.base, "username": "ada", "password": PASSWORD, "hears_hz": FAR_HZ, "speaks_hz": AGENT_HZ,
        "disposition": "Not interested", "port": free_port(), "profile": dir.join("firefox"),
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/firefox.mjs");
    let mut agent = Process::start("node", &[script, &options.to_string()], dir);
    let seen: Value = agent.wait_line(SHIFT, |line| serde_json::from_str(line.strip_prefix("result ")?).ok());
    assert_eq!(agent.finish(STEP).0, Some(0));
    eprintln!("{seen:#}");
    assert_eq!(seen["heading"], "Petra Ozvěna", "{seen:#}");
    assert_tone(&seen["shares"]);
    assert_far_end_heard(&far_end.finish());
    assert_eq!(sipp.finish(STEP).0, Some(0));
    assert_eq!(dialer.terminate(STEP), Some(0));
}

#[test]
fn a_browser_that_vanishes_is_noticed_and_its_call_ends() {
    let far_end = FarEnd::start(FAR_HZ);
    let trunk_port = free_port();
    let site = Site::new(&trunk(trunk_port), MEDIA_PORTS);
    let dir = site.dir.path();
    let microphone = dir.join("microphone.wav");
    write_beeps(&microphone, AGENT_HZ);
    let sipp = answering_sipp(trunk_port, far_end.port, 1, dir);
    site.users(&[("mona", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mona");
    campaign_of_one(&manager, "progressive");
    let mut agent =
        start_agent("browser_vanishes", &dialer.base, &microphone, dir, &json!({"vanishes": true}));
    let seen: Value =
        agent.wait_line(SHIFT, |line| serde_json::from_str(line.strip_prefix("vanished ")?).ok());
    let vanished = Instant::now();
    assert_heard(&seen["heard"]);
    let ada = dialer.login("ada");
    let state = || ada.get("/api/agent/state").ok(200);
    assert_eq!(state()["state"], "talking");
    // Nobody said good-bye: it is the silence that tells.
    wait_for("the call to end", LOST_AND_HELD + SLACK, || (state()["state"] == "wrap_up").then_some(()));
    eprintln!("the call ended {:?} after the browser had vanished", vanished.elapsed());
    assert_eq!(sipp.finish(STEP).0, Some(0));
    far_end.finish();
    assert_eq!(dialer.terminate(STEP), Some(0));
}

/// One that is SIPp's.
pub(crate) fn trunk(port: u16) -> String {
    format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"sipp\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550100\"\n\
         max_cps = 1\nmax_channels = 2\noptions_keepalive = false\n"
    )
}

/// Tells why nobody is called, when a test fails.
struct WhyNot<'a>(&'a Client, i64);

impl Drop for WhyNot<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for path in
                [format!("/api/campaigns/{}", self.1), "/api/leads/1/why".into(), "/api/agents".into()]
            {
                // It may be the dialer that is gone; a panic in a panic would end all tests.
                eprintln!("{path}: {:?}", self.0.try_get(&path).map(|reply| reply.text));
            }
        }
    }
}

/// Starts the agent's browser.
fn start_agent(name: &str, url: &str, microphone: &Path, dir: &Path, more: &Value) -> Process {
    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
    let mut options = json!({
        "url": url, "username": "ada", "password": PASSWORD, "microphone": microphone,
        "hears_hz": FAR_HZ, "disposition": "Not interested", "screenshot": screenshot,
    });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/agent.mjs");
    Process::start("node", &[script, &options.to_string()], dir)
}

/// coturn on the loopback, which it allows as a peer only when it is told to.
struct Turn {
    port: u16,
    _process: Process,
    _dir: tempfile::TempDir,
}

/// What coturn and the dialer share.
const SECRET: &str = "a secret of the test";

impl Turn {
    fn start() -> Turn {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let first = free_block(20);
        let file = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port={port}\nmin-port={first}\nmax-port={}\n\
             use-auth-secret\nstatic-auth-secret={SECRET}\nrealm=kraliki.test\nallow-loopback-peers\nno-tls\nno-dtls\n\
             no-cli\nfingerprint\npidfile={}\nuserdb={}\nlog-file=stdout\n",
            first + 19,
            file("turn.pid"),
            file("turn.db")
        );
        std::fs::write(dir.path().join("turn.conf"), config).unwrap();
        let process = Process::start("turnserver", &["-c", &file("turn.conf")], dir.path());
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop);
        wait_for("coturn to listen", STEP, listens);
        Turn { port, _process: process, _dir: dir }
    }
}

/// A call from list to disposition; gives what the page saw. `media` is more of the configuration, `more` of the browser.
fn work_a_shift(mode: &str, media: &str, more: &Value) -> Value {
    let far_end = FarEnd::start(FAR_HZ);
    let trunk_port = free_port();
    let site = Site::with_media(&trunk(trunk_port), MEDIA_PORTS, media);
    let dir = site.dir.path();
    let microphone = dir.join("microphone.wav");
    write_beeps(&microphone, AGENT_HZ);
    let sipp = answering_sipp(trunk_port, far_end.port, 1, dir);
    site.users(&[("mona", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mona");
    let campaign = campaign_of_one(&manager, mode);
    let _why_not = WhyNot(&manager, campaign);

    let mut more = more.clone();
    more["preview"] = (mode == "preview").into();
    let mut agent = start_agent(&format!("browser_{mode}"), &dialer.base, &microphone, dir, &more);
    let seen: Value = agent.wait_line(SHIFT, |line| serde_json::from_str(line.strip_prefix("result ")?).ok());
    assert_eq!(agent.finish(STEP).0, Some(0));
    eprintln!("{seen:#}");

    assert!(seen["wrong"].as_str().unwrap().contains("did not match"), "a wrong password: {seen:#}");
    assert_eq!(seen["heading"], "Petra Ozvěna", "{seen:#}");
    assert!(seen["arrival"].as_str().unwrap().contains("Petra Ozvěna"), "{seen:#}");
    if mode == "preview" {
        assert_eq!(seen["previewed"]["heading"], "Petra Ozvěna", "{seen:#}");
        assert_eq!(seen["previewed"]["after_reload"], "Petra Ozvěna", "{seen:#}");
    }
    assert_heard(&seen["heard"]);
    assert_heard(&seen["heard_after_reload"]);
    assert_eq!(seen["closed_status"], 204, "{seen:#}");

    assert_far_end_heard(&far_end.finish());
    let (code, said) = sipp.finish(STEP);
    assert_eq!(code, Some(0), "{said:#?}");

    let calls = manager.get(&format!("/api/calls?campaign={campaign}")).ok(200);
    let items = calls["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{calls:#}");
    assert_eq!(items[0]["outcome"], "connected", "{calls:#}");
    assert_eq!(items[0]["disposition"], "not_interested", "{calls:#}");
    assert!(items[0]["talk_ms"].as_i64().unwrap() > 1000, "{calls:#}");
    wait_for("the agent's leg to close", STEP, || (legs(&manager) == 0.0).then_some(()));
    assert_eq!(dialer.terminate(STEP), Some(0));
    seen
}

/// What the page played, and what its connection counted meanwhile.
fn assert_heard(heard: &Value) {
    assert_tone(&heard["shares"]);
    let count = |when: &str, what: &str| heard[when][what].as_f64().unwrap_or_default();
    for way in ["received", "sent"] {
        // 50 packets a second for 2.5 s, on a machine that may be busy.
        assert!(count("after", way) > count("before", way) + 50.0, "{way}: {heard:#}");
    }
    for level in ["level", "microphone_level"] {
        assert!(count("before", level).max(count("after", level)) > 0.001, "{level}: {heard:#}");
    }
    assert_eq!(heard["after"]["codec"], "audio/PCMU", "{heard:#}");
}

/// That most of what the page played was the far end's tone.
fn assert_tone(shares: &Value) {
    let all = shares.as_array().unwrap();
    let tones = all.iter().filter(|share| share.as_f64().unwrap() > TONE).count();
    assert!(tones * 2 > all.len(), "the far end's tone is not in what the browser plays: {shares:#}");
}

fn assert_far_end_heard(heard: &Heard) {
    let shares = heard.tone_shares(AGENT_HZ);
    let tones = shares.iter().filter(|share| **share > TONE).count();
    let summary = format!(
        "far end: {} packets, {} of another codec, {} jumps, {:.1} s of audio, {} windows with sound, {tones} with the tone",
        heard.packets,
        heard.not_pcmu,
        heard.jumps,
        heard.seconds(),
        shares.len()
    );
    eprintln!("{summary}");
    assert!(tones >= 10, "the agent's tone is not in what the far end received; {summary}");
    assert_eq!(heard.not_pcmu, 0, "{summary}");
    // An echo would send the person's own tone back.
    let echo = heard.tone_shares(FAR_HZ).iter().filter(|share| **share > 0.1).count();
    assert_eq!(echo, 0, "{summary}");
}

/// Half a second of tone, then as long a silence: a steady tone would be taken for noise by the browser.
pub(crate) fn write_beeps(path: &Path, hz: f64) {
    const RATE: u32 = 48_000;
    let sample = |i: u32| {
        let tone = (std::f64::consts::TAU * hz * f64::from(i) / f64::from(RATE)).sin();
        if i < RATE / 2 { (12_000.0 * tone) as i16 } else { 0 }
    };
    let data: Vec<u8> = (0..RATE).flat_map(|i| sample(i).to_le_bytes()).collect();
    write_wav(path, RATE, &data);
}

/// A WAV file of one channel, 16 bits a sample.
pub(crate) fn write_wav(path: &Path, rate: u32, data: &[u8]) {
    let len = data.len() as u32;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + len).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(len.to_le_bytes());
    wav.extend(data);
    std::fs::write(path, wav).unwrap();
}

/// A carrier that answers so many calls; its SDP names the far end's port.
pub(crate) fn answering_sipp(port: u16, audio_port: u16, calls: u16, dir: &Path) -> Process {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/sipp/answer_with_audio.xml");
    let (port, audio_port, calls) = (port.to_string(), audio_port.to_string(), calls.to_string());
    let args = [
        &["-sf", scenario, "-i", "127.0.0.1", "-p", &port, "-m", &calls, "-nostdin"][..],
        &["-key", "audio_port", &audio_port, "-trace_err", "-timeout", "120s"],
    ];
    Process::start("sipp", &args.concat(), dir)
}

/// A running campaign with one lead; gives its id.
fn campaign_of_one(manager: &Client, mode: &str) -> i64 {
    let made = manager.post("/api/campaigns", &campaign("One call", json!({"mode": mode}))).ok(201);
    let id = made["id"].as_i64().unwrap();
    let csv = "phone,first_name,last_name,city\n+12025550123,Petra,Ozvěna,Brno\n";
    let report = manager.send(&format!("/api/campaigns/{id}/leads"), "text/csv", csv).ok(200);
    assert_eq!(report["imported"], 1, "{report:#}");
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    id
}

/// Audio legs that exist.
fn legs(manager: &Client) -> f64 {
    let text = manager.get("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix("kraliki_media_legs "));
    line.expect("kraliki_media_legs is not among the metrics").parse().unwrap()
}
