//! A call from a list to a headset: our dialer, SIPp as the carrier, Chromium as the agent's browser, and tones both
//! ways that must arrive.

pub(crate) mod far_end;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Process, Site, campaign, free_port, wait_for};
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

#[test]
fn an_agent_takes_a_call_in_a_browser() {
    work_a_shift("progressive");
}

#[test]
fn an_agent_reads_a_lead_and_dials_it_by_keyboard() {
    work_a_shift("preview");
}

fn work_a_shift(mode: &str) {
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
    let campaign = campaign_of_one(&manager, mode);

    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser_{mode}.png"));
    let options = json!({
        "url": dialer.base, "username": "ada", "password": PASSWORD, "microphone": microphone,
        "hears_hz": FAR_HZ, "preview": mode == "preview", "disposition": "Not interested", "screenshot": screenshot,
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/agent.mjs");
    let mut agent = Process::start("node", &[script, &options.to_string()], dir);
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
}

/// One that is SIPp's.
pub(crate) fn trunk(port: u16) -> String {
    format!(
        "[[trunk]]\nname = \"sipp\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550100\"\n\
         max_cps = 1\nmax_channels = 2\noptions_keepalive = false\n"
    )
}

/// What the page played, and what its connection counted meanwhile.
fn assert_heard(heard: &Value) {
    let shares = heard["shares"].as_array().unwrap();
    let tones = shares.iter().filter(|share| share.as_f64().unwrap() > TONE).count();
    assert!(tones * 2 > shares.len(), "the far end's tone is not in what the browser plays: {heard:#}");
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
