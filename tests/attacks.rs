//! Attacks on the audio of a call, with real sockets: a third host sprays every port of the dialer before the call and
//! while it goes on (RTP bleed and injection), others speak from the far end's host and from its very address, reports
//! are forged, ports are flooded. No packet reaches the attacker, none of the attacker's sound reaches anybody, the call
//! goes on, and everything is counted.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::browser::{answering_sipp, trunk};
use crate::support::{Client, Desk, FarEnd, Site, campaign, free_port, wait_for};

/// Far more than any one step takes.
const STEP: Duration = Duration::from_secs(30);
/// Two calls' worth of ports, and the agent's.
const MEDIA_PORTS: u16 = 8;
/// The third host: neither the far end's address nor the agent's.
const ATTACKER: &str = "127.0.0.9:0";
/// What the attacker says; nobody else says that.
const ATTACK: u8 = 0x11;
/// Packets of a flood, by bursts.
const FLOOD: u64 = 20_000;
const BURST: u64 = 20;
const BURST_EVERY: Duration = Duration::from_millis(2);

#[test]
fn rtp_of_others_is_neither_heard_nor_answered() {
    let far_end = FarEnd::start();
    let trunk_port = free_port();
    let site = Site::new(&trunk(trunk_port), MEDIA_PORTS);
    let sipp = answering_sipp(trunk_port, far_end.port(), 1, site.dir.path());
    site.users(&[("mona", "manager"), ("ada", "agent")]);
    let dialer = site.serve();
    let manager = dialer.login("mona");

    // Before the call, and all through it.
    let ports: Vec<u16> = site.media.clone().chain([site.browser_port]).collect();
    let attacker = Attacker::start(&ports);
    let desk = Desk::open(dialer.login("ada")).unwrap();
    let made = manager.post("/api/campaigns", &campaign("One call", json!({}))).ok(201);
    let id = made["id"].as_i64().unwrap();
    manager.post(&format!("/api/campaigns/{id}/leads"), &json!({"phone": "+12025550123"})).ok(201);
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    let call = wait_for("the call", STEP, || {
        let state = desk.state().unwrap();
        (state["state"] == "talking").then(|| state["call"].as_i64().unwrap())
    });
    audio_flows("the call", &desk, &far_end, 50);
    // The beep is over by now; from here on whatever is strange is the attacker's.
    let strange = || (desk.foreign(), far_end.foreign());
    let before = strange();
    audio_flows("the call under fire", &desk, &far_end, 100);
    assert_eq!(strange(), before, "the attacker is heard");

    // The far end's reports come from another port than its SDP implies, as behind NAT.
    let reports = UdpSocket::bind("127.0.0.1:0").unwrap();
    for port in site.media.clone().filter(|port| port % 2 == 1) {
        reports.send_to(&report(0x2a2a), ("127.0.0.1", port)).unwrap();
    }
    // Another program of the far end's host, which is what a guessed port looks like behind one NAT.
    let neighbour = UdpSocket::bind("127.0.0.1:0").unwrap();
    neighbour.set_nonblocking(true).unwrap();
    for n in 0..50 {
        for port in &ports {
            let _ = neighbour.send_to(&rtp(0x4444, n), ("127.0.0.1", *port));
            let _ = neighbour.send_to(&goodbye(0x4444), ("127.0.0.1", *port));
        }
        // The far end's own address, forged: another source, and a goodbye in the name of the real one.
        for port in site.media.clone().filter(|port| port % 2 == 0) {
            let socket = far_end.socket();
            let _ = socket.send_to(&rtp(0x5555, n), ("127.0.0.1", port));
            let _ = socket.send_to(&goodbye(u32::from(far_end.port()) << 8 | 0x2a), ("127.0.0.1", port + 1));
        }
        std::thread::sleep(BURST_EVERY);
    }
    audio_flows("the call beside its neighbour", &desk, &far_end, 50);
    assert_eq!(strange(), before, "the neighbour is heard");
    assert!(silent(&neighbour), "audio was sent to the neighbour");

    // A flood of what is not even audio, and of what is.
    let flooded = desk.heard();
    let flood = UdpSocket::bind(ATTACKER).unwrap();
    flood.set_nonblocking(true).unwrap();
    for n in 0..FLOOD / BURST {
        for k in 0..BURST {
            let port = ports[usize::try_from(k).unwrap() % ports.len()];
            let bytes = if k % 2 == 0 { rtp(0x6666, n as u16) } else { vec![0xa5; 1_200] };
            let _ = flood.send_to(&bytes, ("127.0.0.1", port));
        }
        std::thread::sleep(BURST_EVERY);
    }
    // 2 s at least went by: 100 packets; half of them on a machine that is busy with the flood itself.
    assert!(
        desk.heard() > flooded + 50,
        "the flood took the call's audio: {} of 100",
        desk.heard() - flooded
    );
    audio_flows("the call after the flood", &desk, &far_end, 50);
    assert_eq!(strange(), before, "the flood is heard");
    assert!(silent(&flood), "the flood is answered");

    // Our reports went to where the far end's came from, and to nobody else; they come every few seconds.
    reports.set_read_timeout(Some(STEP)).unwrap();
    reports.recv_from(&mut [0; 2_048]).unwrap();
    assert!(silent(&neighbour), "our reports went to the neighbour");
    let (sent, answered) = attacker.finish();
    assert!(sent > 1_000, "the attacker sent {sent} only");
    assert_eq!(answered, 0, "the attacker got packets");
    assert_eq!(desk.state().unwrap()["state"], "talking");

    desk.client().post(&format!("/api/calls/{call}/hangup"), &json!({})).ok(204);
    assert_eq!(sipp.finish(STEP).0, Some(0));
    // Legs are counted when they have ended.
    wait_for("the counters", STEP, || {
        let dropped =
            |cause: &str| metric(&manager, &format!("kraliki_rtp_dropped_total{{cause=\"{cause}\"}}"));
        (dropped("address") > 500.0 && dropped("ssrc") >= 40.0).then_some(())
    });
    assert!(metric(&manager, "kraliki_media_strangers_total") > 500.0);
    assert_eq!(dialer.terminate(STEP), Some(0));
}

/// Waits for so many more packets of the right sound at both ends.
fn audio_flows(what: &str, desk: &Desk, far_end: &FarEnd, packets: u64) {
    let (at_desk, at_far_end) = (desk.heard(), far_end.heard());
    wait_for(&format!("audio in {what}"), STEP, || {
        (desk.heard() >= at_desk + packets && far_end.heard() >= at_far_end + packets).then_some(())
    });
}

/// A third host that sends to every port for as long as it lives, and listens for answers.
struct Attacker {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<u64>,
}

impl Attacker {
    fn start(ports: &[u16]) -> Attacker {
        let socket = UdpSocket::bind(ATTACKER).unwrap();
        // What paces it, too: it listens that long between two rounds.
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let (stop, sent) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let (stopped, counter, ports) = (stop.clone(), sent.clone(), ports.to_vec());
        let thread = std::thread::spawn(move || {
            let mut answered = 0;
            for n in 0u16.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                for port in &ports {
                    for bytes in [rtp(0x3333, n), goodbye(0x3333), check(), hello()] {
                        let to = SocketAddr::from(([127, 0, 0, 1], *port));
                        counter.fetch_add(u64::from(socket.send_to(&bytes, to).is_ok()), Ordering::Relaxed);
                    }
                }
                while socket.recv_from(&mut [0; 2_048]).is_ok() {
                    answered += 1;
                }
            }
            answered
        });
        Attacker { stop, sent, thread }
    }

    /// Packets sent, and packets received.
    fn finish(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let answered = self.thread.join().unwrap();
        (self.sent.load(Ordering::Relaxed), answered)
    }
}

/// Whether nothing came to a socket.
fn silent(socket: &UdpSocket) -> bool {
    matches!(socket.recv_from(&mut [0; 2_048]), Err(e) if e.kind() == ErrorKind::WouldBlock)
}

/// 20 ms of the attacker's sound, as PCMU.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(172, ATTACK);
    packet
}

/// An empty receiver report (RFC 3550 §6.4.2).
fn report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

/// The same and a BYE (RFC 3550 §6.6).
fn goodbye(ssrc: u32) -> Vec<u8> {
    [&report(ssrc)[..], &[0x81, 203, 0, 1], &ssrc.to_be_bytes()].concat()
}

/// A binding request without integrity (RFC 8489).
fn check() -> Vec<u8> {
    [&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0, 6, 0, 3], b"a:b\0"].concat()
}

/// What begins as a ClientHello of DTLS 1.2.
fn hello() -> Vec<u8> {
    let body = [&[1, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 40, 0xfe, 0xfd][..], &[9; 38]].concat();
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, body.len() as u8][..], &body].concat()
}

/// The metric of that name and labels.
fn metric(manager: &Client, name: &str) -> f64 {
    let text = manager.get("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not among the metrics")).parse().unwrap()
}
