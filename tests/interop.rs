//! Behaviours that real deployments have broken on, each against a real peer: SIPp as the carrier, and Kamailio as the
//! edge of one. Each row is a trunk, a campaign and a call of its own; one dialer serves them all. What went over the
//! wire is read from the copies that the dialer gives to a collector.

mod callers;
mod edge;
mod identity;
mod names;
mod rows;
mod wire;

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::peers::{listens, start_sipp};
use crate::support::{Client, Desk, FarEnd, PASSWORD, Process, Site, campaign, free_ports, wait_for};
use rows::{Media, Peer, ROWS, Row};
use wire::{Collector, Ear, Wire};

/// The longest row waits 45 s for a refresh.
const CALL: Duration = Duration::from_secs(80);
/// SIPp waits for retransmissions that may still come.
const SIPP_ENDS: Duration = Duration::from_secs(20);
/// Where the trunk with an address of its own is spoken to from.
const OWN_ADDRESS: &str = "127.0.0.3";
/// What prompts are made of: the sound that the far end counts (µ-law).
const SOUND: u8 = 0x37;
/// The same in A-law.
const SOUND_ALAW: u8 = 0x12;

/// Ports that are not one row's.
#[derive(Clone, Copy)]
struct Shared {
    own: u16,
    edge_udp: u16,
    edge_tls: u16,
    /// Nobody is there.
    closed: u16,
    /// Ours.
    tcp: u16,
    tls: u16,
}

/// A row that runs.
struct Live<'a> {
    row: &'a Row,
    site: &'a Site,
    manager: &'a Client,
    collector: &'a Collector,
    shared: Shared,
    /// Of its peers.
    ports: &'a [u16],
    /// The called number, without the country.
    digits: String,
    campaign: i64,
    far_end: FarEnd,
    ear: Ear,
    other: Ear,
    desk: Option<Desk>,
}

impl Live<'_> {
    fn wire(&self) -> Wire {
        self.collector.of_number(&self.digits)
    }

    /// What one of its peers has sent and received.
    fn messages(&self, peer: usize) -> PathBuf {
        self.site.dir.path().join(format!("{}_{peer}.log", self.row.name))
    }

    /// Waits until the wire shows something.
    fn wait_wire(&self, what: &str, shows: impl Fn(&Wire) -> bool) {
        wait_for(&format!("{}: {what}", self.row.name), CALL, || shows(&self.wire()).then_some(()));
    }

    /// The newest call.
    fn call(&self) -> Option<Value> {
        let calls = self.manager.get(&format!("/api/calls?campaign={}", self.campaign)).ok(200);
        calls["items"].as_array().unwrap().first().cloned()
    }

    /// Waits until the audio comes.
    fn heard(&self, least: u64) {
        let before = self.far_end.heard();
        wait_for(&format!("{}'s audio", self.row.name), CALL, || {
            (self.far_end.heard() >= before + least).then_some(())
        });
    }

    /// A person ends the call, as soon as that can be done.
    fn hang_up(&self) {
        wait_for(&format!("{}'s end", self.row.name), CALL, || {
            let id = self.call()?["id"].clone();
            let reply = self.manager.post(&format!("/api/calls/{id}/hangup"), &json!({}));
            (reply.status == 204).then_some(())
        });
    }
}

#[test]
fn rows_against_sipp_and_kamailio() {
    let v6 = UdpSocket::bind("[::1]:0").is_ok();
    if !v6 {
        eprintln!("this machine has no IPv6: its row is left out");
    }
    let rows: Vec<&Row> = ROWS.iter().filter(|row| v6 || !row.v6).collect();
    let peers = rows.iter().map(|row| row.peers.len()).sum::<usize>();
    let mut free = free_ports(u16::try_from(peers + 6).unwrap()).into_iter();
    let mut port = || free.next().unwrap();
    let ports: Vec<Vec<u16>> = rows.iter().map(|row| row.peers.iter().map(|_| port()).collect()).collect();
    let shared =
        Shared { own: port(), edge_udp: port(), edge_tls: port(), closed: port(), tcp: port(), tls: port() };
    let trunks: String = rows
        .iter()
        .zip(&ports)
        .map(|(row, ports)| {
            format!(
                "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"{}\"\ncaller_id = \"+12015550199\"\nmax_cps = 5\noptions_keepalive = false\n{}\n",
                row.name,
                (row.trunk)(ports, shared)
            )
        })
        .collect();
    let of = |name: &str| ports[rows.iter().position(|row| row.name == name).unwrap()].clone();
    let srv = of(rows::BY_NAME);
    let names = names::serve(srv[0], srv[1]);
    let collector = Collector::start();
    let site = Site::new(&trunks, 140);
    edge::certificates(&site);
    rows::signing_key(&site);
    configure(
        &site,
        shared,
        v6,
        &format!(
            "name_servers = \"{names}\"\nhep = \"{}\"\ntls_cert = \"[dir]/dialer.pem\"\ntls_key = \"[dir]/dialer.key\"\n",
            collector.address
        ),
    );
    for (name, seconds) in [("prompt.wav", 8), ("long.wav", 52)] {
        std::fs::write(site.dir.path().join(name), prompt(seconds)).unwrap();
    }
    let (udp, tls) = (of(rows::EDGE_UDP)[0], of(rows::EDGE_TLS)[0]);
    let _edge = edge::Edge::start(&site, [shared.edge_udp, udp], [shared.edge_tls, tls]);
    site.users(&[("mia", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let (site, base, manager, collector) = (&site, dialer.base.as_str(), &manager, &collector);
        let runs: Vec<_> = rows
            .iter()
            .zip(&ports)
            .enumerate()
            .map(|(nth, (row, ports))| {
                scope.spawn(move || run(row, nth, (ports, shared), site, base, manager, collector))
            })
            .collect();
        let ended = runs.into_iter().map(|run| run.join());
        rows.iter().zip(ended).filter(|(_, ended)| ended.is_err()).map(|(row, _)| row.name).collect()
    });
    assert!(failed.is_empty(), "{failed:?} failed; see above");
    metrics(&manager, &rows);
    assert_eq!(dialer.terminate(SIPP_ENDS), Some(0));
}

/// More of `[sip]`, and every transport and family.
fn configure(site: &Site, shared: Shared, v6: bool, more: &str) {
    let text = std::fs::read_to_string(site.config()).unwrap();
    let sip = site.sip_port;
    let (sip_v6, media_v6) = match v6 {
        true => (format!("\"[::1]:{sip}\", "), ", \"::1\""),
        false => (String::new(), ""),
    };
    let listen = format!(
        "listen = [{sip_v6}\"127.0.0.1:{sip}\", \"{OWN_ADDRESS}:{}\", \"tcp:127.0.0.1:{}\", \"tls:127.0.0.1:{}\"]\n{more}",
        shared.own, shared.tcp, shared.tls
    );
    let text = text
        .replace(&format!("listen = \"127.0.0.1:{sip}\"\n"), &listen)
        .replace("[media]\nlisten = \"127.0.0.1\"", &format!("[media]\nlisten = [\"127.0.0.1\"{media_v6}]"));
    std::fs::write(site.config(), text.replace("[dir]", site.dir.path().to_str().unwrap())).unwrap();
}

/// A WAV file (µ-law) of one sound.
fn prompt(seconds: u32) -> Vec<u8> {
    sound(seconds, SOUND)
}

/// A sound file in which every byte is this one, as it goes out in PCMU.
fn sound(seconds: u32, byte: u8) -> Vec<u8> {
    let length = seconds * 8_000;
    let mut wav = b"RIFF".to_vec();
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    // Format 7, one channel, 8,000 samples and bytes in a second, one byte a sample of 8 bits.
    wav.extend([7u16, 1].map(u16::to_le_bytes).concat());
    wav.extend([8_000u32, 8_000].map(u32::to_le_bytes).concat());
    wav.extend([1u16, 8].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(length.to_le_bytes());
    wav.resize(wav.len() + length as usize, byte);
    wav
}

/// One row from its list to its record.
fn run(
    row: &Row,
    nth: usize,
    (ports, shared): (&[u16], Shared),
    site: &Site,
    base: &str,
    manager: &Client,
    collector: &Collector,
) {
    let ip = if row.v6 { "::1" } else { "127.0.0.1" };
    let (far_end, ear, other) = (FarEnd::start(), Ear::start(ip), Ear::start(ip));
    let media = match row.media {
        Media::FarEnd => far_end.port(),
        Media::Ear => ear.port(),
    };
    let peers: Vec<Process> = row
        .peers
        .iter()
        .zip(ports)
        .enumerate()
        .map(|(place, (peer, port))| sipp(row, (place, peer), *port, (media, other.port()), site))
        .collect();
    let dir = site.dir.path();
    let sound = dir.join(if row.long { "long.wav" } else { "prompt.wav" });
    let mut more = json!({"trunk": row.name, "mode": "agentless", "max_lines": 1, "prompt": sound.to_str()});
    let agent = row.agent.then(|| Client::login(base, "ada", PASSWORD));
    if let Some(agent) = &agent {
        let me = agent.get("/api/auth/me").ok(200)["id"].clone();
        more = json!({"trunk": row.name, "agents": [me]});
    }
    let campaign = manager.post("/api/campaigns", &campaign(row.name, more)).ok(201)["id"].as_i64().unwrap();
    let digits = format!("21255501{nth:02}");
    let lead = json!({"phone": format!("+1{digits}"), "time_zone": "America/New_York"});
    manager.post(&format!("/api/campaigns/{campaign}/leads"), &lead).ok(201);
    let desk = agent.map(|agent| Desk::open(agent).unwrap());
    let live =
        Live { row, site, manager, collector, shared, ports, digits, campaign, far_end, ear, other, desk };
    manager.post(&format!("/api/campaigns/{campaign}/start"), &json!({})).ok(200);
    (row.meanwhile)(&live);

    let call = wait_for(&format!("{}'s outcome", row.name), CALL, || {
        live.call().filter(|call| !call["outcome"].is_null())
    });
    let ladder = manager.get(&format!("/api/calls/{}/sip", call["id"])).text;
    let detail = manager.get(&format!("/api/calls/{}", call["id"])).ok(200);
    let status = detail["tries"].as_array().unwrap().last().unwrap()["status"].clone();
    let right = detail["outcome"] == row.outcome && status == row.status;
    for peer in peers {
        let (code, said) = peer.finish(if right { SIPP_ENDS } else { Duration::from_secs(2) });
        assert_eq!(code, Some(0), "{}: SIPp is not content: {said:#?}\n{detail}\n{ladder}", row.name);
    }
    assert!(right, "{}: {detail}\n{ladder}", row.name);
    // What is told of the last moment may still be on its way.
    std::thread::sleep(Duration::from_millis(100));
    (row.check)(&live, &live.wire(), &detail);
}

/// A peer of a row; it listens when this returns.
fn sipp(
    row: &Row,
    (place, peer): (usize, &Peer),
    port: u16,
    (media, other): (u16, u16),
    site: &Site,
) -> Process {
    let (media, other, port_text) = (media.to_string(), other.to_string(), port.to_string());
    let places = [("[media_port]", media.as_str()), ("[other_port]", other.as_str())];
    let replace = [&places, peer.replace].concat();
    let ip = if row.v6 { "::1" } else { "127.0.0.1" };
    let (name, transport) = (format!("{}_{place}", row.name), if peer.tcp { "t1" } else { "u1" });
    let log = format!("{name}.log");
    let args = [
        "-i",
        ip,
        "-mi",
        ip,
        "-p",
        &port_text,
        "-m",
        "1",
        "-t",
        transport,
        "-trace_msg",
        "-message_file",
        &log,
    ];
    let process = start_sipp(site, &name, peer.scenario, &replace, &args);
    listens(port);
    process
}

/// What the metrics say of all that.
fn metrics(manager: &Client, rows: &[&Row]) {
    let text = manager.get("/metrics").text;
    let of = |name: &str, trunk: &str| {
        let start = format!("{name}{{trunk=\"{trunk}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {start} in {text}")).parse::<f64>().unwrap()
    };
    for row in rows {
        assert_eq!(of("kraliki_trunk_attempts_total", row.name), 1.0, "{}", row.name);
        let answered = f64::from(u8::from(row.status == 200));
        assert_eq!(of("kraliki_trunk_answers_total", row.name), answered, "{}", row.name);
    }
    assert!(of("kraliki_trunk_retransmissions_total", "row_01_cancel_only_after_a_1xx") >= 1.0);
}
