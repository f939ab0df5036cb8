//! Recordings of whole calls, listened to by API and compared with what was said, sample by sample; a dialer that is
//! killed; and an S3-like store (moto).

mod voice;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::answering_sipp;
use crate::support::{Client, Dialer, Process, Site, campaign, free_port, wait_for};
use voice::{FRAME, Glide, PERIOD, Voice};

/// Far more than any one step takes.
const STEP: Duration = Duration::from_secs(30);
const MEDIA_PORTS: u16 = 16;

/// A dialer whose calls are recorded, with so many calls to make.
struct Floor {
    site: Site,
    _sipp: Process,
    called: Voice,
    calls: u16,
}

impl Floor {
    fn open(calls: u16, recording: &str) -> Floor {
        let called = Voice::start(UdpSocket::bind("127.0.0.1:0").unwrap(), None, &Glide::CALLED);
        let port = free_port();
        let trunk = format!(
            "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"sipp\"\naddress = \"127.0.0.1:{port}\"\ncaller_id = \"+12015550100\"\nmax_cps = 1\n\
             max_channels = 2\noptions_keepalive = false\n"
        );
        let site = Site::new(&trunk, MEDIA_PORTS);
        let _sipp = answering_sipp(port, called.port, calls, site.dir.path());
        site.users(&[("mona", "manager"), ("ada", "agent")]);
        let floor = Floor { site, _sipp, called, calls };
        floor.configure(recording);
        floor
    }

    fn directory(&self) -> PathBuf {
        self.site.dir.path().join("recordings")
    }

    /// Another `[recording]`, for the next start.
    fn configure(&self, recording: &str) {
        let text = std::fs::read_to_string(self.site.config()).unwrap();
        let (before, _) = text.split_once("[recording]").unwrap_or((text.as_str(), ""));
        let directory = self.directory();
        let section = format!("[recording]\ndirectory = \"{}\"\n{recording}\n", directory.display());
        std::fs::write(self.site.config(), format!("{before}{section}")).unwrap();
    }

    /// A campaign that is recorded, with its leads.
    fn campaign(&self, manager: &Client) -> i64 {
        let settings = json!({"recording": "all", "recording_beep_s": 5, "wrap_up_s": 1});
        let made = manager.post("/api/campaigns", &campaign("Recorded", settings)).ok(201);
        let id = made["id"].as_i64().unwrap();
        for call in 0..self.calls {
            let lead = json!({"phone": format!("+1202555012{call}"), "time_zone": "America/New_York"});
            manager.post(&format!("/api/campaigns/{id}/leads"), &lead).ok(201);
        }
        manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
        id
    }
}

/// An agent who speaks, and is Ready.
fn agent(dialer: &Dialer) -> (Client, Voice) {
    let client = dialer.login("ada");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    );
    let reply = client.send("/api/agent/session", "application/sdp", &*offer);
    assert_eq!(reply.status, 201, "{reply:?}");
    let line = reply.text.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
    let theirs: u16 = line.split(' ').next().unwrap().parse().unwrap();
    let voice = Voice::start(socket, Some(([127, 0, 0, 1], theirs).into()), &Glide::AGENT);
    wait_for("the agent to be ready", STEP, || {
        (client.post("/api/agent/state", &json!({"state": "ready"})).status == 200).then_some(())
    });
    (client, voice)
}

/// The agent's call, once both hear each other.
fn talk(client: &Client, called: &Voice) -> Value {
    wait_for("a call", STEP, || {
        let state = client.get("/api/agent/state").ok(200);
        let call = state["current_call"].clone();
        (call["state"] == "talking" && called.hears_something()).then_some(call)
    })
}

/// The recording of a call that is over.
fn ended(manager: &Client, call: i64) -> Value {
    wait_for("the recording's end", STEP, || {
        let recording = manager.get(&format!("/api/calls/{call}")).ok(200)["recording"].clone();
        (recording["state"] == "ended").then_some(recording)
    })
}

/// Each channel's samples of a WAV file.
fn wav_channels(file: &[u8]) -> [Vec<i16>; 2] {
    assert_eq!((&file[..4], &file[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
    assert_eq!(u32::from_le_bytes(file[40..44].try_into().unwrap()) as usize, file.len() - 44);
    [0, 2].map(|at| {
        file[44..].chunks_exact(4).map(|pair| i16::from_le_bytes([pair[at], pair[at + 1]])).collect()
    })
}

/// A packet's sound in a recording: where it begins, and by how many ms it comes later than it was sent.
struct Found {
    at: usize,
    later_ms: f64,
}

/// Finds the voice's packets in a channel, each sample of them as it was sent.
fn find(channel: &[i16], voice: &Voice, started_unix_ms: f64) -> Vec<Found> {
    let sounds: Vec<[i16; FRAME]> = (0..PERIOD).map(|place| voice.sound(place)).collect();
    let mut by_begin = std::collections::HashMap::new();
    for (place, sound) in sounds.iter().enumerate() {
        by_begin.insert(<[i16; 16]>::try_from(&sound[..16]).unwrap(), place);
    }
    let (mut found, mut at) = (Vec::new(), 0);
    while at + FRAME <= channel.len() {
        let begin = <[i16; 16]>::try_from(&channel[at..at + 16]).unwrap();
        match by_begin.get(&begin).filter(|place| sounds[**place][..] == channel[at..at + FRAME]) {
            Some(place) => {
                let at_ms = started_unix_ms + at as f64 / 8.0;
                let sent = voice.sent(*place, at_ms + 20.0).expect("a packet that was sent");
                found.push(Found { at, later_ms: at_ms - sent.unix_ms });
                at += FRAME;
            }
            None => at += 1,
        }
    }
    found
}

/// Whether all of these are within so many ms of each other, leaving out the few that are furthest off.
fn spread_ms(found: &[Found]) -> f64 {
    let mut later: Vec<f64> = found.iter().map(|found| found.later_ms).collect();
    later.sort_by(f64::total_cmp);
    let cut = later.len() / 20;
    later[later.len() - 1 - cut] - later[cut]
}

fn middle_ms(found: &[Found]) -> f64 {
    let mut later: Vec<f64> = found.iter().map(|found| found.later_ms).collect();
    later.sort_by(f64::total_cmp);
    later[later.len() / 2]
}

/// Lets a call go on until so many more packets came to the agent, 50 for each second.
fn go_on(voice: &Voice, packets: usize) {
    let until = voice.packets() + packets;
    wait_for("the call to go on", STEP, || (voice.packets() >= until).then_some(()));
}

#[test]
fn a_recording_is_what_was_said_sample_by_sample_with_silence_where_it_was_paused() {
    let floor = Floor::open(1, "format = \"wav\"");
    let dialer = floor.site.serve();
    let manager = dialer.login("mona");
    let campaign = floor.campaign(&manager);
    let (client, voice) = agent(&dialer);
    let call = talk(&client, &floor.called);
    assert_eq!(call["recording"], "on", "{call}");
    let id = call["id"].as_i64().unwrap();
    let path = |act: &str| format!("/api/calls/{id}/recording/{act}");
    go_on(&voice, 100);
    assert_eq!(client.post(&path("pause"), &json!({})).status, 204);
    wait_for("the pause to be shown", STEP, || {
        (client.get("/api/agent/state").ok(200)["current_call"]["recording"] == "paused").then_some(())
    });
    go_on(&voice, 75);
    assert_eq!(manager.post(&path("resume"), &json!({})).status, 204);
    go_on(&voice, 150);
    let metrics = manager.get("/metrics").text;
    assert!(metrics.contains("\nkraliki_recordings 1\n"), "{metrics}");
    // What is written already can be heard while the call goes on.
    assert!(manager.bytes(&format!("/api/recordings/{id}/audio")).1.len() > 44 + 32_000 * 3);
    client.post(&format!("/api/calls/{id}/hangup"), &json!({}));

    let recording = ended(&manager, id);
    let listed = manager.get(&format!("/api/recordings?campaign={campaign}")).ok(200);
    assert_eq!(listed["items"], json!([recording]));
    let started = recording["started_unix_ms"].as_f64().unwrap();
    let (from, to) = (&recording["paused"][0]["from_ms"], &recording["paused"][0]["to_ms"]);
    let paused = [from, to].map(|ms| ms.as_u64().unwrap() as usize * 8);
    let (kind, file) = manager.bytes(&format!("/api/recordings/{id}/audio"));
    assert_eq!(kind, "audio/wav");
    let channels = wav_channels(&file);
    let samples = channels[0].len();
    assert_eq!(samples / 8, recording["lasted_ms"].as_u64().unwrap() as usize);
    assert!((6_500..12_000).contains(&(samples / 8)), "{} ms", samples / 8);

    // The pause, but for the moment it takes to be heard of.
    for channel in &channels {
        let silent = &channel[paused[0] + 80..paused[1]];
        assert!(silent.len() > 11_000 && silent.iter().all(|sample| *sample == 0), "{}", silent.len());
    }
    let [left, right] =
        [(&channels[0], &floor.called), (&channels[1], &voice)].map(|(sound, who)| find(sound, who, started));
    // Neither is heard in the other.
    assert!(find(&channels[0], &voice, started).is_empty());
    assert!(find(&channels[1], &floor.called, started).is_empty());
    for (side, found) in [("called", &left), ("agent", &right)] {
        let said = found.len() * FRAME;
        let could = samples - (paused[1] - paused[0]);
        eprintln!(
            "{side}: {said} of {could} samples as sent, {:.1} ms later than sent, within {:.1} ms",
            middle_ms(found),
            spread_ms(found)
        );
        // The first packets wait in the jitter buffer, and a busy machine delays some.
        assert!(said * 100 > could * 85, "{side}: {said} of {could} samples");
        assert!(spread_ms(found) <= 20.0, "{side}: within {} ms", spread_ms(found));
        assert!(found.iter().any(|found| found.at > paused[1]) && found.iter().any(|f| f.at < paused[0]));
    }
    let apart = (middle_ms(&left) - middle_ms(&right)).abs();
    assert!(apart <= 20.0, "the sides are {apart} ms apart");
    // Both sides heard the beep: 200 ms are ten packets, one second after the bridge and five seconds later.
    for (who, other) in [(&floor.called, &voice), (&voice, &floor.called)] {
        let beeps = who.foreign(other, started + 900.0, started + 1_700.0);
        assert!((9..=16).contains(&beeps), "{beeps} packets of the first beep");
    }

    // On the disk it cannot be read without its key, and when it is deleted nothing is left.
    let files = files(&floor.directory());
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(std::fs::read(&files[0]).unwrap().starts_with(b"KVR"));
    assert_eq!(client.get(&format!("/api/recordings/{id}/audio")).status, 403);
    assert_eq!(manager.delete(&format!("/api/recordings/{id}")).status, 204);
    assert_eq!(manager.get(&format!("/api/recordings/{id}/audio")).status, 404);
    wait_for("the file to be gone", STEP, || (!files[0].exists()).then_some(()));
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let days = std::fs::read_dir(directory).into_iter().flatten().flatten();
    days.flat_map(|day| std::fs::read_dir(day.path()).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect()
}

/// The likeness (-1 to 1) of two sounds of the same length.
fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let dot = |x: &[i16], y: &[i16]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}

/// Each channel of an Ogg file with two streams of Opus (RFC 7845 §5.1.1.2, RFC 6716 appendix B), as libopus decodes it.
fn opus_channels(file: &[u8]) -> [Vec<i16>; 2] {
    use audiopus::coder::Decoder;
    use audiopus::{Channels, SampleRate};
    let mut packets = ogg::PacketReader::new(std::io::Cursor::new(file));
    let head = packets.read_packet().unwrap().unwrap();
    assert_eq!((&head.data[..8], &head.data[18..]), (&b"OpusHead"[..], &[1, 2, 0, 0, 1][..]));
    let skip = usize::from(u16::from_le_bytes([head.data[10], head.data[11]])) / 6;
    assert!(packets.read_packet().unwrap().unwrap().data.starts_with(b"OpusTags"));
    let mut decoders = [(); 2].map(|()| Decoder::new(SampleRate::Hz8000, Channels::Mono).unwrap());
    let mut channels = [Vec::new(), Vec::new()];
    while let Ok(Some(packet)) = packets.read_packet() {
        let data = &packet.data;
        let (len, at) = match data[1] {
            short @ ..=251 => (usize::from(short), 2),
            long => (usize::from(data[2]) * 4 + usize::from(long), 3),
        };
        let parts = [[&data[..1], &data[at..at + len]].concat(), data[at + len..].to_vec()];
        for (n, part) in parts.iter().enumerate() {
            let mut out = [0i16; FRAME];
            let sound = Some(part.as_slice().try_into().unwrap());
            decoders[n].decode(sound, (&mut out[..]).try_into().unwrap(), false).unwrap();
            channels[n].extend_from_slice(&out);
        }
    }
    channels.map(|samples| samples[skip.min(samples.len())..].to_vec())
}

#[test]
fn a_killed_dialer_leaves_a_recording_up_to_the_last_second() {
    let floor = Floor::open(1, "format = \"opus\"");
    let dialer = floor.site.serve();
    let manager = dialer.login("mona");
    floor.campaign(&manager);
    let (client, voice) = agent(&dialer);
    let call = talk(&client, &floor.called);
    let id = call["id"].as_i64().unwrap();
    go_on(&voice, 225);
    let recording = manager.get(&format!("/api/calls/{id}")).ok(200)["recording"].clone();
    assert_eq!(recording["state"], "recording", "{recording}");
    let killed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    dialer.process.kill();

    let dialer = floor.site.serve();
    let manager = Client::new(&dialer.base).with_token_of(&manager);
    let recording = ended(&manager, id);
    let started = recording["started_unix_ms"].as_f64().unwrap();
    let (lasted, until_kill) = (recording["lasted_ms"].as_f64().unwrap(), killed as f64 - started);
    // What is written is a second behind, and whole seconds; half a second waits for late packets.
    assert!(lasted >= until_kill - 2_200.0, "{lasted} of {until_kill} ms");
    assert!(lasted >= 3_000.0, "{recording}");
    let (kind, file) = manager.bytes(&format!("/api/recordings/{id}/audio"));
    assert_eq!(kind, "audio/ogg");
    let channels = opus_channels(&file);
    assert!((channels[0].len() as f64 / 8.0 - lasted).abs() < 20.0, "{} samples", channels[0].len());
    // Each side where it was said, and not the other: half seconds of it, compared with what was sent then. A machine that
    // stands still for a moment costs one of them a packet; a wrong place or the wrong side costs all.
    for (own, other, sound) in [(&floor.called, &voice, &channels[0]), (&voice, &floor.called, &channels[1])]
    {
        let best = |who: &Voice| {
            let likest = |at: usize| {
                let place = (0..PERIOD)
                    .filter_map(|place| who.sent(place, started + at as f64 / 8.0))
                    .max_by(|a, b| a.unix_ms.total_cmp(&b.unix_ms))
                    .unwrap();
                // From 200 ms before it was sent to 20 ms after.
                let said: Vec<i16> = (0..25).flat_map(|n| who.sound(place.place + n)).collect();
                (-160i32..1_600)
                    .map(|lag| {
                        let at = (at as i32 + lag) as usize;
                        likeness(&said, &sound[at..at + said.len()])
                    })
                    .fold(0.0, f64::max)
            };
            (2..5).map(|sixths| likest(sound.len() * sixths / 6)).fold(0.0, f64::max)
        };
        let (of_own, of_other) = (best(own), best(other));
        eprintln!("likeness {of_own:.2} with its own side, {of_other:.2} with the other");
        assert!(of_own > 0.8 && of_other < 0.2, "{of_own} {of_other}");
    }
}

#[test]
fn a_recording_goes_to_an_s3_like_store_and_comes_back() {
    let moto = concat!(env!("CARGO_MANIFEST_DIR"), "/target/moto/bin/moto_server");
    assert!(Path::new(moto).exists(), "{moto} is missing; run scripts/setup");
    let port = free_port();
    let floor = Floor::open(
        1,
        &format!(
            "s3_bucket = \"calls\"\ns3_prefix = \"site-1\"\ns3_endpoint = \"http://127.0.0.1:{port}\"\n\
             s3_access_key_id = \"testing\"\ns3_secret_access_key = \"testing\"\n"
        ),
    );
    let dialer = floor.site.serve();
    let manager = dialer.login("mona");
    floor.campaign(&manager);
    let (client, voice) = agent(&dialer);
    let id = talk(&client, &floor.called)["id"].as_i64().unwrap();
    go_on(&voice, 100);
    client.post(&format!("/api/calls/{id}/hangup"), &json!({}));
    // The store is away: the recording is here, and can be heard.
    assert_eq!(ended(&manager, id)["place"], "disk");
    let (_, here) = manager.bytes(&format!("/api/recordings/{id}/audio"));
    wait_for("a failed upload", STEP, || {
        let metrics = manager.get("/metrics").text;
        (!metrics.contains("kraliki_recording_upload_failures_total 0\n")
            && metrics.contains("kraliki_recording_uploads_pending 1\n"))
        .then_some(())
    });
    assert_eq!(files(&floor.directory()).len(), 1);

    let args = ["-H", "127.0.0.1", "-p", &port.to_string()];
    let _moto = Process::start(moto, &args, floor.site.dir.path());
    let bucket = format!("http://127.0.0.1:{port}/calls");
    wait_for("moto", STEP, || ureq::put(&bucket).send_empty().is_ok().then_some(()));
    let list = || {
        let reply = ureq::get(format!("{bucket}?list-type=2")).call().unwrap();
        reply.into_body().read_to_string().unwrap()
    };
    // The next start looks at once; a dialer that runs looks within a minute.
    assert_eq!(dialer.terminate(STEP), Some(0));
    let dialer = floor.site.serve();
    let manager = Client::new(&dialer.base).with_token_of(&manager);
    wait_for("the upload", STEP, || {
        let recording = manager.get(&format!("/api/calls/{id}")).ok(200)["recording"].clone();
        (recording["place"] == "store").then_some(())
    });
    wait_for("the file to be gone", STEP, || files(&floor.directory()).is_empty().then_some(()));
    let listed = list();
    assert!(listed.contains("<Key>site-1/"), "{listed}");
    let (_, there) = manager.bytes(&format!("/api/recordings/{id}/audio"));
    assert!(there == here && there.len() > 4_000, "{} and {} octets", here.len(), there.len());
    assert_eq!(manager.delete(&format!("/api/recordings/{id}")).status, 204);
    wait_for("the object to be gone", STEP, || (!list().contains("<Key>")).then_some(()));
}
