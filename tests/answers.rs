//! Who answers a call, heard on real audio: baresip picks up as the called party and plays voices of espeak-ng.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::browser::far_end::Heard;
use crate::browser::write_wav;
use crate::support::{Process, Site, campaign, free_block, wait_for};

const RATE: u32 = 8_000;
const MODULES: &str = "/usr/lib/baresip/modules";
const START: Duration = Duration::from_secs(20);
/// A greeting of some seconds, or a prompt and the wait for a key, on a busy machine.
const CALL: Duration = Duration::from_secs(60);

const PERSON: &str = "+12125550101";
const MACHINE: &str = "+12125550102";
const FAX: &str = "+12125550103";

/// What espeak-ng says, at 8 kHz, with silence around it.
fn speech(dir: &Path, voice: &str, text: &str) -> Vec<i16> {
    let file = dir.join("espeak.wav");
    let said = Command::new("espeak-ng").args(["-v", voice, "-w"]).arg(&file).arg(text).status().unwrap();
    assert!(said.success());
    let wav = std::fs::read(&file).unwrap();
    let rate = f64::from(u32::from_le_bytes(wav[24..28].try_into().unwrap()));
    let data = wav.windows(4).position(|at| at == b"data").unwrap() + 8;
    let samples: Vec<f64> =
        wav[data..].chunks_exact(2).map(|s| f64::from(i16::from_le_bytes([s[0], s[1]]))).collect();
    let step = rate / f64::from(RATE);
    let mut said = vec![0; 4_000];
    // A low-pass at 3.6 kHz: a windowed sinc of 32 samples to each side.
    let cutoff = 2.0 * 3_600.0 / rate;
    said.extend((0..(samples.len() as f64 / step) as usize).map(|n| {
        let centre = n as f64 * step;
        let around = centre as i64 - 32..=centre as i64 + 32;
        let sum: f64 = around
            .filter_map(|k| {
                let x = k as f64 - centre;
                let sample = samples.get(usize::try_from(k).ok()?)?;
                let angle = std::f64::consts::PI * cutoff * x;
                let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
                let window = 0.5 + 0.5 * (std::f64::consts::PI * x / 33.0).cos();
                Some(sample * cutoff * sinc * window)
            })
            .sum();
        (sum * 0.5) as i16
    }));
    said
}

fn tone(hz: f64, ms: u32) -> Vec<i16> {
    let at = |n: u32| (f64::from(n) * hz * std::f64::consts::TAU / f64::from(RATE)).sin();
    (0..RATE / 1_000 * ms).map(|n| (at(n) * 9_000.0) as i16).collect()
}

/// A sound file with a minute of silence behind: a file that ends leaves the phone without a voice.
fn file(dir: &Path, number: &str, mut sound: Vec<i16>) -> PathBuf {
    let path = dir.join(format!("{number}.wav"));
    sound.resize(sound.len() + RATE as usize * 60, 0);
    let data: Vec<u8> = sound.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    write_wav(&path, RATE, &data);
    path
}

/// baresip with an account for each number; each picks up at once and plays its file. What they hear goes into files in
/// `dir`. It takes `port`, and the next one for TLS.
fn called(dir: &Path, port: u16, numbers: &[(&str, PathBuf)]) -> Process {
    let home = dir.join("called");
    std::fs::create_dir_all(&home).unwrap();
    let rtp = free_block(20);
    let config = format!(
        "poll_method epoll\nsip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\nrtp_ports {rtp}-{}\n\
         audio_player aubridge,nowhere\naudio_alert aubridge,nowhere\naudio_source aubridge,nowhere\n\
         ausrc_srate {RATE}\nauplay_srate {RATE}\nmodule_path {MODULES}\nmodule g711.so\nmodule aufile.so\n\
         module aubridge.so\nmodule sndfile.so\nmodule_app account.so\nmodule_app menu.so\nsnd_path {}\n",
        rtp + 19,
        dir.display()
    );
    let account = |(number, file): &(&str, PathBuf)| {
        format!(
            "<sip:{number}@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs=PCMU;audio_source=aufile,{}\n",
            file.display()
        )
    };
    let accounts: String = numbers.iter().map(account).collect();
    for (name, text) in [("config", config.as_str()), ("accounts", &accounts), ("contacts", "")] {
        std::fs::write(home.join(name), text).unwrap();
    }
    let mut process = Process::start("baresip", &["-f", home.to_str().unwrap(), "-v"], dir);
    process.wait_line(START, |line| line.contains("baresip is ready").then_some(()));
    process
}

/// A greeting, half a second, and its beep.
fn greeting(dir: &Path) -> Vec<i16> {
    let mut greeting = speech(
        dir,
        "en-us+m3",
        "You have reached the voice mail of Peter Miller. I cannot take your call at the moment. Please leave \
         your name and your number after the tone, and I will call you back.",
    );
    greeting.resize(greeting.len() + 4_000, 0);
    greeting.extend(tone(1_000.0, 600));
    greeting
}

#[test]
fn machines_are_told_from_people_by_what_they_say() {
    let port = free_block(2);
    let trunk = format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"main\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550199\"\nmax_cps = 5\n\
         options_keepalive = false\n"
    );
    let site = Site::new(&trunk, 40);
    let dir = site.dir.path();
    let greeting = greeting(dir);
    let numbers = [
        (PERSON, file(dir, "person", speech(dir, "en-us+f2", "Hello?"))),
        (MACHINE, file(dir, "machine", greeting)),
        (FAX, file(dir, "fax", [vec![0; 4_000], tone(2_100.0, 3_000)].concat())),
    ];
    let _called = called(dir, port, &numbers);
    site.users(&[("mia", "manager")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let settings = json!({"mode": "agentless", "max_lines": 3, "machine_detection": "hang_up"});
    let id = manager.post("/api/campaigns", &campaign("Reminder", settings)).ok(201)["id"].as_i64().unwrap();
    for (phone, _) in &numbers {
        let lead = json!({"phone": phone, "time_zone": "America/New_York"});
        manager.post(&format!("/api/campaigns/{id}/leads"), &lead).ok(201);
    }
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    let calls = wait_for("the calls' outcomes", CALL, || {
        let calls = manager.get(&format!("/api/calls?campaign={id}")).ok(200)["items"].clone();
        let calls = calls.as_array().unwrap();
        (calls.len() == 3 && calls.iter().all(|c| !c["outcome"].is_null())).then(|| calls.clone())
    });
    let outcome = |phone: &str| calls.iter().find(|call| call["phone"] == phone).unwrap()["outcome"].clone();
    assert_eq!(outcome(PERSON), "prompt_played", "{calls:?}");
    assert_eq!(outcome(MACHINE), "machine", "{calls:?}");
    assert_eq!(outcome(FAX), "fax", "{calls:?}");
}

const MESSAGE_HZ: f64 = 700.0;
const MESSAGE_MS: u32 = 2_000;

#[test]
fn a_machine_is_left_a_message_behind_its_beep() {
    let port = free_block(2);
    let trunk = format!(
        "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"main\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550199\"\nmax_cps = 5\n\
         options_keepalive = false\n"
    );
    let site = Site::new(&trunk, 40);
    let dir = site.dir.path();
    let greeting = greeting(dir);
    let greeting_ms = greeting.len() as i64 / 8;
    let _called = called(dir, port, &[(MACHINE, file(dir, "machine", greeting))]);
    site.users(&[("mia", "manager")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");

    // The message is uploaded, and named by the campaign.
    let message: Vec<u8> =
        tone(MESSAGE_HZ, MESSAGE_MS).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let path = dir.join("message.wav");
    write_wav(&path, RATE, &message);
    let uploaded =
        manager.send("/api/prompts?name=jaro", "audio/wav", &std::fs::read(&path).unwrap()[..]).ok(201);
    assert_eq!(uploaded["lasted_ms"], MESSAGE_MS);
    let settings = json!({"mode": "agentless", "max_lines": 1, "machine_detection": "voicemail",
        "voicemail_message": "prompt:jaro"});
    let id = manager.post("/api/campaigns", &campaign("Reminder", settings)).ok(201)["id"].as_i64().unwrap();
    let lead = json!({"phone": MACHINE, "time_zone": "America/New_York"});
    manager.post(&format!("/api/campaigns/{id}/leads"), &lead).ok(201);
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    let call = wait_for("the call's outcome", CALL, || {
        let calls = manager.get(&format!("/api/calls?campaign={id}")).ok(200)["items"].clone();
        let call = calls.as_array().unwrap().first()?.clone();
        (!call["outcome"].is_null()).then_some(call)
    });
    assert_eq!((&call["outcome"], &call["message_left"]), (&json!("machine"), &json!(true)), "{call}");

    // It was hung up on when the message was over; so the message began when the beep was over, and not later than a
    // second after it.
    let time = |key: &str| call[key].as_i64().unwrap();
    let began = time("ended_unix_ms") - i64::from(MESSAGE_MS) - time("answered_unix_ms");
    assert!((greeting_ms - 100..greeting_ms + 1_500).contains(&began), "{began} ms, of {greeting_ms}");

    let heard = wait_for("what the machine recorded", CALL, || {
        let files = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
        let files: Vec<PathBuf> = files.filter(|p| p.to_string_lossy().ends_with("-dec.wav")).collect();
        // It is written out when the call is over.
        files
            .first()
            .map(|path| std::fs::read(path).unwrap())
            .filter(|file| file.len() > 16 * MESSAGE_MS as usize)
    });
    let samples = heard.get(44..).unwrap_or_default().chunks_exact(2);
    let heard = Heard::of(samples.map(|s| f64::from(i16::from_le_bytes([s[0], s[1]]))).collect());
    let windows = heard.tone_shares(MESSAGE_HZ).iter().filter(|share| **share > 0.95).count();
    let whole = MESSAGE_MS as usize / 100;
    assert!((whole - 2..=whole + 1).contains(&windows), "{windows} windows of the message");
    manager.delete(&format!("/api/prompts/{}", uploaded["id"])).ok(409);
}
