//! Requests that come to us: people who call a shown number back, and whatever else carriers send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::json;

use super::wire::{Ear, header};
use super::{SIPP_ENDS, SOUND, prompt, sound};
use crate::peers::start_sipp;
use crate::support::{Client, Process, Site, campaign, free_port, wait_for};

/// An answer on loopback.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// By now an answer would be there.
pub(super) const NEVER: Duration = Duration::from_millis(500);
/// A number of ours that was shown to people.
pub(super) const SHOWN: &str = "+12015550199";

#[test]
fn requests_from_carriers_and_callers() {
    // The carrier's own port: the test sits there.
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let carrier_port = carrier.local_addr().unwrap().port();
    let site = Site::new(
        &format!(
            "[[trunk]]\nallowed_prefixes = [\"+\"]\nname = \"main\"\naddress = \"127.0.0.1:{carrier_port}\"\ncaller_id = \"{SHOWN}\"\nmax_cps = 5\n\
             options_keepalive = false\n"
        ),
        40,
    );
    let prompt_file = site.dir.path().join("prompt.wav");
    std::fs::write(&prompt_file, prompt(20)).unwrap();
    let tcp_port = free_port();
    let text = std::fs::read_to_string(site.config()).unwrap();
    let udp = format!("listen = \"127.0.0.1:{}\"\n", site.sip_port);
    let both = format!("listen = [\"127.0.0.1:{}\", \"tcp:127.0.0.1:{tcp_port}\"]\n", site.sip_port);
    let callback = format!("[callback]\nprompt = \"{}\"\n[media]\n", prompt_file.display());
    let text = text.replace(&udp, &both).replace("[media]\n", &callback);
    std::fs::write(site.config(), text).unwrap();
    site.users(&[("mia", "manager")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let us = SocketAddr::from(([127, 0, 0, 1], site.sip_port));

    strangers_hear_nothing(us, &manager);
    row_23_answers_find_their_way(us);
    row_30_each_request_has_its_answer(us, tcp_port);
    people_who_call_back_are_not_called(&site, &manager, &carrier);
    assert_eq!(dialer.terminate(SIPP_ENDS), Some(0));
}

/// A request of no call.
pub(super) fn request(method: &str, via: &str, unique: &str, more: &str) -> String {
    format!(
        "{method} sip:{SHOWN}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{unique}\r\nMax-Forwards: 70\r\n\
         From: <sip:+12125550180@127.0.0.1>;tag=t{unique}\r\nTo: <sip:{SHOWN}@127.0.0.1>\r\n\
         Call-ID: {unique}@carrier\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// What comes next on a socket; empty when nothing does.
pub(super) fn hear(socket: &UdpSocket, most: Duration) -> String {
    socket.set_read_timeout(Some(most)).unwrap();
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn ask(socket: &UdpSocket, us: SocketAddr, text: &str) -> String {
    socket.send_to(text.as_bytes(), us).unwrap();
    hear(socket, SOON)
}

fn strangers_hear_nothing(us: SocketAddr, manager: &Client) {
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let via = format!("UDP {};rport", stranger.local_addr().unwrap());
    for method in ["INVITE", "OPTIONS", "BYE", "NONSENSE"] {
        stranger.send_to(request(method, &via, "stranger", "").as_bytes(), us).unwrap();
    }
    stranger.send_to(b"\r\n\r\n", us).unwrap();
    assert_eq!(hear(&stranger, NEVER), "");
    let metrics = manager.get("/metrics").text;
    assert!(metrics.contains("kraliki_sip_dropped_total{cause=\"source\"} 4"), "{metrics}");
}

/// Interop row 23 (RFC 3581 §4, RFC 3261 §18.2.2).
fn row_23_answers_find_their_way(us: SocketAddr) {
    let [socket, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [port, elsewhere] = [&socket, &other].map(|socket| socket.local_addr().unwrap().port());
    // Behind NAT: what Via says is true nowhere here.
    let answer = ask(&socket, us, &request("OPTIONS", "UDP 192.0.2.7:9;rport", "nat", ""));
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    let via = header(&answer, "Via");
    assert!(via.contains("received=127.0.0.1") && via.contains(&format!("rport={port}")), "{via}");
    // Without rport the port is the one that Via names.
    socket
        .send_to(request("OPTIONS", &format!("UDP 192.0.2.7:{elsewhere}"), "old", "").as_bytes(), us)
        .unwrap();
    let answer = hear(&other, SOON);
    assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("received=127.0.0.1"), "{answer}");
}

/// Interop row 30 (RFC 3261 §8.2, 11.2, 12.2.2; RFC 5626 §3.5.1).
fn row_30_each_request_has_its_answer(us: SocketAddr, tcp_port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let via = format!("UDP {};rport", socket.local_addr().unwrap());
    let status = |method: &str, unique: &str, more: &str| {
        let answer = ask(&socket, us, &request(method, &via, unique, more));
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        assert_eq!(header(&answer, "CSeq"), format!("1 {method}"), "{method} {unique}: {answer}");
        (status, answer)
    };
    let (options, answer) = status("OPTIONS", "options", "");
    assert_eq!(options, "200");
    assert!(
        header(&answer, "Allow").contains("INVITE") && header(&answer, "Accept").contains("sdp"),
        "{answer}"
    );
    for (method, expected) in
        [("NONSENSE", "501"), ("PUBLISH", "405"), ("REGISTER", "405"), ("BYE", "481"), ("UPDATE", "481")]
    {
        let (found, answer) = status(method, &format!("one-{method}"), "");
        assert_eq!(found, expected, "{answer}");
        assert!(
            !matches!(expected, "405" | "501") || header(&answer, "Allow").contains("INVITE"),
            "{answer}"
        );
    }
    // Within a call that is not there.
    let stray = request("NOTIFY", &via, "stray", "")
        .replace(&format!("To: <sip:{SHOWN}@127.0.0.1>"), "To: <sip:a@b>;tag=gone");
    assert!(ask(&socket, us, &stray).starts_with("SIP/2.0 481 "));
    let (found, answer) = status("INVITE", "wants", "Require: teleport\r\n");
    assert_eq!((found.as_str(), header(&answer, "Unsupported")), ("420", "teleport"));
    ask_ack(&socket, us, &via, "wants", &answer);

    // The same call by two ways (§8.2.2.2): the second copy is refused, and the first is answered.
    let invite = request("INVITE", &via, "merged", "Contact: <sip:carrier@127.0.0.1:9>\r\n");
    socket.send_to(invite.as_bytes(), us).unwrap();
    let answered = until(&socket, "SIP/2.0 200 ");
    let copy = invite.replace("branch=z9hG4bKmerged", "branch=z9hG4bKcopy");
    socket.send_to(copy.as_bytes(), us).unwrap();
    let refused = until(&socket, "SIP/2.0 482 ");
    ask_ack(&socket, us, &via, "copy", &refused);
    // It had no offer: ours is answered in the ACK; a BYE ends it.
    let to = header(&answered, "To");
    let within = |method: &str, number: u8| {
        request(method, &via, "merged", "")
            .replace("z9hG4bKmerged", &format!("z9hG4bK{method}"))
            .replace(&format!("To: <sip:{SHOWN}@127.0.0.1>"), &format!("To: {to}"))
            .replace(&format!("CSeq: 1 {method}"), &format!("CSeq: {number} {method}"))
    };
    socket.send_to(within("ACK", 1).as_bytes(), us).unwrap();
    // Row 30: what is unknown within a call ends nothing.
    socket.send_to(within("NONSENSE", 2).as_bytes(), us).unwrap();
    until(&socket, "SIP/2.0 501 ");
    socket.send_to(within("OPTIONS", 3).as_bytes(), us).unwrap();
    until(&socket, "SIP/2.0 200 ");
    socket.send_to(within("BYE", 4).as_bytes(), us).unwrap();
    until(&socket, "SIP/2.0 200 ");

    // Keep-alives.
    assert_eq!(ask(&socket, us, "\r\n\r\n"), "\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", tcp_port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    let via = format!("TCP {}", stream.local_addr().unwrap());
    stream.write_all(request("OPTIONS", &via, "stream", "").as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"SIP/2.0 200 ");
}

/// The ACK to a refusal.
pub(super) fn ask_ack(socket: &UdpSocket, us: SocketAddr, via: &str, unique: &str, refusal: &str) {
    let to = header(refusal, "To");
    let ack = request("ACK", via, unique, "")
        .replace(&format!("To: <sip:{SHOWN}@127.0.0.1>"), &format!("To: {to}"));
    socket.send_to(ack.as_bytes(), us).unwrap();
}

/// The next message that begins like this; what else comes is passed over.
pub(super) fn until(socket: &UdpSocket, start: &str) -> String {
    let mut seen = Vec::new();
    wait_for(start, SOON, || {
        let text = hear(socket, NEVER);
        seen.push(text.clone());
        text.starts_with(start).then_some(text)
    })
}

/// SIPp calls a shown number, from where the trunk is.
fn caller(site: &Site, scenario: &str, number: &str, media: u16) -> Process {
    let (media, port) = (media.to_string(), free_port().to_string());
    let us = format!("127.0.0.1:{}", site.sip_port);
    let replace = [("[caller]", number), ("[media_port]", &media)];
    let args = [&us, "-s", SHOWN, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &port, "-m", "1"];
    start_sipp(site, scenario, scenario, &replace, &args)
}

/// Interop row 24, the other way round: keys by INFO and by RTP.
fn people_who_call_back_are_not_called(site: &Site, manager: &Client, carrier: &UdpSocket) {
    let (first, second, third) = ("+12125550181", "+12125550182", "+12125550183");
    let (by_info, by_rtp) = (Ear::start("127.0.0.1"), Ear::start("127.0.0.1"));
    let callers = [
        caller(site, "caller_by_info", first, by_info.port()),
        caller(site, "caller_listens", second, by_rtp.port()),
    ];
    // Both hear the prompt; one presses keys.
    for ear in [&by_info, &by_rtp] {
        let heard = wait_for("the prompt", SIPP_ENDS, || {
            ear.next(NEVER)
                .filter(|heard| heard.payload.len() == 160 && heard.payload.iter().all(|byte| *byte == SOUND))
        });
        if ear.port() == by_rtp.port() {
            ear.speak(heard.from);
            ear.press(heard.from, 5, 10, 4_000);
            ear.press(heard.from, 9, 20, 8_000);
        }
    }
    for caller in callers {
        let (code, said) = caller.finish(SIPP_ENDS);
        assert_eq!(code, Some(0), "{said:#?}");
    }
    let listed = manager.get("/api/suppressions").ok(200)["items"].to_string();
    for number in [first, second] {
        assert_eq!(listed.matches(number).count(), 1, "{listed}");
    }

    // A list with both and a third person: only this one is called.
    // Another one, older, shows the number as well.
    let owner = campaign("Owner", json!({"mode": "agentless"}));
    let owner = manager.post("/api/campaigns", &owner).ok(201)["id"].as_i64().unwrap();
    let settings = campaign("After", json!({"mode": "agentless", "max_lines": 5}));
    let id = manager.post("/api/campaigns", &settings).ok(201)["id"].as_i64().unwrap();
    for number in [first, second, third] {
        let lead = json!({"phone": number, "time_zone": "America/New_York"});
        let reply = manager.post(&format!("/api/campaigns/{id}/leads"), &lead);
        assert!(reply.status == 201 || number != third, "{reply:?}");
    }
    manager.post(&format!("/api/campaigns/{id}/start"), &json!({})).ok(200);
    carrier.set_read_timeout(Some(SIPP_ENDS)).unwrap();
    let mut invite = [0; 4096];
    let (length, from) = carrier.recv_from(&mut invite).unwrap();
    let invite = String::from_utf8_lossy(&invite[..length]).into_owned();
    assert!(invite.starts_with(&format!("INVITE sip:{third}@")), "{invite}");
    let answer =
        ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", header(&invite, name)));
    let answer = format!("SIP/2.0 404 Not Found\r\n{}Content-Length: 0\r\n\r\n", answer.concat());
    carrier.send_to(answer.as_bytes(), from).unwrap();
    wait_for("the third one's outcome", SIPP_ENDS, || {
        let calls = manager.get(&format!("/api/calls?campaign={id}")).ok(200);
        (calls["items"][0]["outcome"] == "invalid").then_some(())
    });
    assert_eq!(site.sql("SELECT phone FROM attempts"), [[third]]);
    they_hear_the_campaign_that_called(site, manager, [owner, id], third);
}

/// Who was called hears that campaign; who was not, the oldest one that shows the number.
fn they_hear_the_campaign_that_called(site: &Site, manager: &Client, campaigns: [i64; 2], called: &str) {
    const OF: [(&str, u8); 2] = [("Owner", 0x41), ("After", 0x42)];
    for (id, (name, byte)) in campaigns.into_iter().zip(OF) {
        let file = site.dir.path().join(format!("{name}.wav"));
        std::fs::write(&file, sound(20, byte)).unwrap();
        let settings = campaign(name, json!({"mode": "agentless", "callback_message": file}));
        manager.put(&format!("/api/campaigns/{id}"), &settings).ok(200);
    }
    // It had one lead: now neither runs.
    let status = || manager.get(&format!("/api/campaigns/{}", campaigns[1])).ok(200)["status"] == "completed";
    wait_for("the end of the campaign that called", SIPP_ENDS, || status().then_some(()));
    for (number, byte) in [(called, OF[1].1), ("+12125550184", OF[0].1)] {
        let ear = Ear::start("127.0.0.1");
        let caller = caller(site, "caller_listens", number, ear.port());
        let heard = wait_for("a campaign's message", SIPP_ENDS, || {
            // Silence may come before the first words.
            ear.next(NEVER).filter(|heard| heard.payload.len() == 160 && heard.payload[0] != 0xff)
        });
        assert_eq!(heard.payload[0], byte, "{number}");
        ear.speak(heard.from);
        ear.press(heard.from, 9, 10, 4_000);
        let (code, said) = caller.finish(SIPP_ENDS);
        assert_eq!(code, Some(0), "{said:#?}");
    }
    let metrics = manager.get("/metrics").text;
    // The others called before there was a campaign.
    for (found, count) in [("attempt", 1), ("caller_id", 1), ("none", 3)] {
        let line = format!("kraliki_trunk_called_back_total{{trunk=\"main\",found=\"{found}\"}} {count}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}
