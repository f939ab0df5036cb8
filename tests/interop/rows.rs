//! The rows: what the carrier does, what the test does meanwhile, and what must have gone over the wire.

use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use kraliki_sip::stir::{Attestation, Check, Verdict, Verifier, parse_date};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use super::wire::{Ear, Heard, Wire, header, parameter};
use super::{CALL, Live, OWN_ADDRESS, SOUND, SOUND_ALAW, Shared};
use crate::support::{Site, wait_for};

/// Where SIPp's own audio is.
pub(super) enum Media {
    /// A person who answers sound with sound.
    FarEnd,
    /// [`Live::ear`], which does what the row says.
    Ear,
}

/// A SIPp.
pub(super) struct Peer {
    pub(super) scenario: &'static str,
    /// Of the scenario's text, for a variant.
    pub(super) replace: &'static [(&'static str, &'static str)],
    pub(super) tcp: bool,
}

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) peers: &'static [Peer],
    /// Its trunk's keys, from the ports of its peers and those that all share.
    pub(super) trunk: fn(&[u16], Shared) -> String,
    pub(super) media: Media,
    pub(super) v6: bool,
    /// An agent takes the call; else it hears a prompt.
    pub(super) agent: bool,
    /// The prompt is long.
    pub(super) long: bool,
    pub(super) meanwhile: fn(&Live<'_>),
    pub(super) outcome: &'static str,
    /// Of the last try.
    pub(super) status: u16,
    pub(super) check: fn(&Live<'_>, &Wire, &Value),
}

pub(super) const BY_NAME: &str = "row_15_by_name";
pub(super) const EDGE_UDP: &str = "row_27_route_set_by_udp";
pub(super) const EDGE_TLS: &str = "row_27_route_set_by_tls";

const ROW: Row = Row {
    name: "",
    peers: &[],
    trunk: plain,
    media: Media::FarEnd,
    v6: false,
    agent: false,
    long: false,
    meanwhile: |_| {},
    outcome: "prompt_played",
    status: 200,
    check: |_, _, _| {},
};
const PEER: Peer = Peer { scenario: "", replace: &[], tcp: false };
const ANSWERS: Peer = Peer { scenario: "answer_bye_by_them", replace: &[TALKS], tcp: false };
const TALKS: (&str, &str) = ("milliseconds=\"300\"", "milliseconds=\"2000\"");
const BUSY: Peer = Peer { scenario: "busy", ..PEER };
/// A telephone that takes keys.
const KEYS: (&str, &str) =
    ("RTP/AVP 0\n", "RTP/AVP 0 101\n      a=rtpmap:101 telephone-event/8000\n      a=fmtp:101 0-15\n");

fn plain(ports: &[u16], _: Shared) -> String {
    format!("address = \"127.0.0.1:{}\"", ports[0])
}

pub(super) const ROWS: [Row; 26] = [
    Row {
        name: "row_01_cancel_only_after_a_1xx",
        peers: &[Peer { scenario: "cancel_after_1xx", ..PEER }],
        meanwhile: |live| {
            live.wait_wire("INVITE", |wire| !wire.requests("INVITE").is_empty());
            live.hang_up();
        },
        outcome: "cancelled",
        status: 487,
        check: |_, wire, _| {
            let cancel = wire.place("CANCEL ");
            assert!(wire.place("SIP/2.0 180") < cancel, "{wire:#?}");
            let before = wire.0[..cancel].iter().filter(|copy| copy.text.starts_with("INVITE ")).count();
            assert!(before >= 2, "the INVITE is sent again until the 1xx: {wire:#?}");
            // Row 3: the 487 has its ACK, with the INVITE's branch.
            let ack = wire.requests("ACK")[0];
            assert_eq!(branch(&ack.text), branch(&wire.invite().text));
        },
        ..ROW
    },
    Row {
        name: "row_06_forks",
        peers: &[Peer { scenario: "forks", ..PEER }],
        // The fork that lost goes on with its early media for a while.
        meanwhile: |live| {
            live.other.speak(sound(&live.other, 0).from);
            live.wait_wire("BYE of the other fork", |wire| !wire.requests("BYE").is_empty());
            live.hang_up();
        },
        ..ROW
    },
    Row {
        name: "row_07_the_final_sdp_differs",
        peers: &[Peer { scenario: "other_answer", ..PEER }],
        meanwhile: |live| live.heard(25),
        check: |live, _, _| {
            let stray = std::iter::from_fn(|| live.other.next(Duration::from_millis(1)));
            assert_eq!(stray.filter(|heard| heard.payload[0] == SOUND).count(), 0);
        },
        ..ROW
    },
    Row {
        name: "row_08_100rel_is_used_when_offered",
        peers: &[Peer { scenario: "reliable", ..PEER }],
        trunk: |ports, shared| plain(ports, shared) + "\nreliable = \"supported\"",
        // The 200 has no SDP: the 183's holds.
        meanwhile: |live| live.heard(25),
        check: |_, wire, _| assert_eq!(wire.requests("PRACK").len(), 2),
        ..ROW
    },
    Row {
        name: "row_08_100rel_is_not_offered",
        peers: &[ANSWERS],
        trunk: |ports, shared| plain(ports, shared) + "\nreliable = \"no\"",
        check: |_, wire, _| assert!(!header(&wire.invite().text, "Supported").contains("100rel")),
        ..ROW
    },
    Row {
        name: "row_10_another_codec",
        peers: &[Peer { scenario: "other_codec", ..PEER }],
        meanwhile: |live| {
            live.heard(10);
            live.other.speak(sound(&live.other, 8).from);
            live.wait_wire("488", |wire| !wire.of("SIP/2.0 488", "INVITE").is_empty());
            // What was agreed before goes on.
            while live.other.next(Duration::from_millis(1)).is_some() {}
            sound(&live.other, 8);
        },
        ..ROW
    },
    Row {
        name: "row_11_hold_and_back",
        peers: &[Peer { scenario: "hold", ..PEER }],
        meanwhile: |live| {
            live.heard(10);
            let mut still = (Instant::now(), live.far_end.heard());
            wait_for("silence while held", CALL, || {
                let now = live.far_end.heard();
                if now != still.1 {
                    still = (Instant::now(), now);
                }
                (still.0.elapsed() > Duration::from_millis(1_200)).then_some(())
            });
            live.heard(10);
        },
        ..ROW
    },
    Row {
        name: "row_13_a_longer_session_is_taken",
        peers: &[Peer { scenario: "min_se", ..PEER }],
        check: |_, wire, _| {
            let invites = wire.requests("INVITE");
            assert_eq!(invites.len(), 2);
            assert_ne!(branch(&invites[0].text), branch(&invites[1].text));
        },
        ..ROW
    },
    Row {
        name: "row_13_we_refresh",
        peers: &[Peer { scenario: "refreshed", ..PEER }],
        trunk: |ports, shared| plain(ports, shared) + "\nsession_timer_s = 90",
        long: true,
        ..ROW
    },
    Row {
        name: "row_14_a_stale_nonce",
        peers: &[Peer { scenario: "stale_401", ..PEER }],
        trunk: with_password,
        check: |live, wire, _| {
            let invites = wire.requests("INVITE");
            let to: Vec<_> = invites.iter().map(|copy| copy.to.port()).collect();
            assert_eq!(to, [live.ports[0]; 3]);
            let mut branches: Vec<_> = invites.iter().map(|copy| branch(&copy.text)).collect();
            branches.dedup();
            assert_eq!(branches.len(), 3);
        },
        ..ROW
    },
    Row {
        name: "row_14_sha_256",
        peers: &[Peer { scenario: "challenge_401", ..PEER }],
        trunk: with_password,
        meanwhile: |live| {
            live.heard(10);
            live.hang_up();
        },
        check: |live, wire, _| {
            // The collector gets no secrets: SIPp's own log has them.
            assert!(
                parameter(header(&wire.requests("INVITE")[1].text, "Authorization"), "response")
                    .starts_with("xxx")
            );
            let log = std::fs::read_to_string(live.messages(0)).unwrap();
            let answer = log.lines().find_map(|line| line.strip_prefix("Authorization: ")).unwrap();
            let hash = |text: String| -> String {
                digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
            };
            let [uri, nonce, nc, cnonce] =
                ["uri", "nonce", "nc", "cnonce"].map(|name| parameter(answer, name));
            let (ha1, ha2) = (hash("kraliki:carrier.example:secret".into()), hash(format!("INVITE:{uri}")));
            let expected = hash(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"));
            assert_eq!(parameter(answer, "response"), expected, "{answer}");
            assert_eq!(parameter(answer, "algorithm"), "SHA-256");
        },
        ..ROW
    },
    Row {
        // Row 3: the 503 has its ACK before the next one is tried.
        name: "row_15_the_next_proxy_after_a_503",
        peers: &[Peer { scenario: "unavailable", ..PEER }, ANSWERS],
        trunk: |ports, _| {
            format!(
                "address = \"carrier.example\"\nproxies = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]",
                ports[0], ports[1]
            )
        },
        check: |live, wire, call| {
            assert_eq!(call["tries"].as_array().map(Vec::len), Some(1), "{call}");
            in_order(wire, live.ports);
        },
        ..ROW
    },
    Row {
        name: BY_NAME,
        peers: &[Peer { scenario: "unavailable", ..PEER }, ANSWERS],
        trunk: |_, _| "address = \"carrier.test\"".into(),
        check: |live, wire, _| {
            in_order(wire, live.ports);
            assert!(
                wire.invite().text.starts_with(&format!("INVITE sip:+1{}@carrier.test SIP/2.0", live.digits))
            );
        },
        ..ROW
    },
    Row {
        name: "row_15_nobody_listens_at_the_first_proxy",
        peers: &[Peer { tcp: true, ..ANSWERS }],
        trunk: |ports, shared| {
            format!(
                "address = \"carrier.example\"\nproxies = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\ntransport = \"tcp\"",
                shared.closed, ports[0]
            )
        },
        check: |live, wire, _| {
            assert_eq!(wire.requests("ACK")[0].to.port(), live.ports[0]);
            assert!(header(&wire.invite().text, "Via").starts_with("SIP/2.0/TCP "));
        },
        ..ROW
    },
    Row {
        name: "row_23_rport_and_symmetric_rtp",
        peers: &[Peer {
            scenario: "answer_bye_by_them",
            replace: &[(TALKS.0, "milliseconds=\"4000\"")],
            ..PEER
        }],
        media: Media::Ear,
        meanwhile: |live| {
            let from = sound(&live.ear, 0).from;
            assert_eq!(from.port(), live.wire().audio_port());
            // The gateway speaks from another port than it said: that is where it hears.
            live.other.speak(from);
            sound(&live.other, 0);
            while live.ear.next(Duration::from_millis(1)).is_some() {}
            assert!(live.ear.next(Duration::from_millis(200)).is_none(), "both hear");
        },
        check: |_, wire, _| assert!(header(&wire.invite().text, "Via").contains(";rport")),
        ..ROW
    },
    Row {
        name: "row_24_keys_of_the_agent",
        peers: &[Peer { scenario: "answer_bye_by_us", replace: &[KEYS], ..PEER }],
        media: Media::Ear,
        agent: true,
        meanwhile: keys_of_the_agent,
        outcome: "connected",
        ..ROW
    },
    Row {
        name: "row_24_keys_of_the_person",
        peers: &[Peer { scenario: "answer_bye_by_us", replace: &[KEYS], ..PEER }],
        media: Media::Ear,
        meanwhile: |live| {
            let from = sound(&live.ear, 0).from;
            live.ear.speak(from);
            // 5 means nothing here.
            live.ear.press(from, 5, 10, 4_000);
            sound(&live.ear, 0);
            live.ear.press(from, 9, 20, 8_000);
        },
        outcome: "opted_out",
        check: |live, _, _| {
            let listed = live.manager.get("/api/suppressions").ok(200)["items"].to_string();
            assert_eq!(listed.matches(&live.digits).count(), 1, "{listed}");
        },
        ..ROW
    },
    Row {
        name: EDGE_UDP,
        peers: &[Peer { scenario: "behind_a_proxy", ..PEER }],
        trunk: |_, shared| edge(shared.edge_udp, "udp"),
        long: true,
        meanwhile: refreshed_by_invite,
        check: |_, wire, _| all_by_the_edge(wire, "UDP"),
        ..ROW
    },
    Row {
        name: EDGE_TLS,
        peers: &[Peer { scenario: "behind_a_proxy", ..PEER }],
        trunk: |_, shared| edge(shared.edge_tls, "tls") + "\ntls_ca = \"[dir]/ca.pem\"",
        long: true,
        meanwhile: refreshed_by_invite,
        check: |_, wire, _| all_by_the_edge(wire, "TLS"),
        ..ROW
    },
    Row {
        name: "row_29_a_transfer_is_refused",
        peers: &[Peer { scenario: "refer", ..PEER }],
        meanwhile: |live| {
            live.wait_wire("481", |wire| !wire.of("SIP/2.0 481", "NOTIFY").is_empty());
            // The call goes on.
            live.heard(10);
        },
        ..ROW
    },
    Row {
        name: "trunk_by_tcp",
        peers: &[Peer { tcp: true, ..ANSWERS }],
        trunk: |ports, shared| plain(ports, shared) + "\ntransport = \"tcp\"",
        meanwhile: |live| live.heard(25),
        ..ROW
    },
    Row {
        name: "trunk_by_ipv6",
        peers: &[ANSWERS],
        trunk: |ports, _| format!("address = \"[::1]:{}\"", ports[0]),
        v6: true,
        media: Media::Ear,
        meanwhile: |live| live.ear.speak(sound(&live.ear, 0).from),
        check: |_, wire, _| {
            let invite = wire.invite();
            assert!(invite.from.is_ipv6() && invite.text.contains("c=IN IP6 ::1"), "{invite:?}");
        },
        ..ROW
    },
    Row {
        name: "trunk_from_an_address_of_its_own",
        peers: &[ANSWERS],
        trunk: |ports, shared| plain(ports, shared) + &format!("\nlisten = \"{OWN_ADDRESS}:{}\"", shared.own),
        meanwhile: |live| live.heard(25),
        check: |live, wire, _| {
            let own = format!("{OWN_ADDRESS}:{}", live.shared.own);
            for request in ["INVITE", "ACK"].map(|method| wire.requests(method)[0]) {
                assert_eq!(request.from.to_string(), own);
                assert!(header(&request.text, "Via").contains(&own), "{request:?}");
            }
            assert!(header(&wire.invite().text, "Contact").contains(&own));
        },
        ..ROW
    },
    Row {
        name: "row_21_asserted_and_private",
        peers: &[BUSY],
        trunk: |ports, shared| plain(ports, shared) + "\nidentity = \"asserted\"\nprivate = true",
        outcome: "busy",
        status: 486,
        check: |live, wire, _| {
            let text = &wire.invite().text;
            assert!(text.starts_with(&format!("INVITE sip:+1{}@127.0.0.1:", live.digits)), "{text}");
            assert!(
                header(text, "From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"),
                "{text}"
            );
            assert!(header(text, "P-Asserted-Identity").starts_with("<sip:+12015550199@"), "{text}");
            assert_eq!(header(text, "Privacy"), "id");
            assert!(!header(text, "Contact").contains("2015550199"), "{text}");
        },
        ..ROW
    },
    Row {
        name: "row_21_remote_party_and_digits",
        peers: &[BUSY],
        trunk: |ports, shared| {
            plain(ports, shared)
                + "\nidentity = \"remote_party\"\nnumber_format = \"digits\"\nnumber_prefix = \"9988#\"\n\
                   caller_id_format = \"national\"\ncountry = \"US\"\nfrom_host = \"dialer.example\""
        },
        outcome: "busy",
        status: 486,
        check: |live, wire, _| {
            let text = &wire.invite().text;
            assert!(text.starts_with(&format!("INVITE sip:9988%231{}@", live.digits)), "{text}");
            assert!(header(text, "From").starts_with("<sip:2015550199@dialer.example>"), "{text}");
            let party = header(text, "Remote-Party-ID");
            assert!(party.starts_with("<sip:2015550199@dialer.example>;party=calling"), "{text}");
            assert!(header(text, "Privacy").is_empty());
        },
        ..ROW
    },
    Row {
        name: "row_22_signed",
        peers: &[BUSY],
        trunk: |ports, shared| {
            plain(ports, shared)
                + "\nidentity = \"preferred\"\nnumber_format = \"digits\"\nstir_key = \"[dir]/stir.key\"\n\
                   stir_certificate_url = \"https://cert.example.org/1.pem\"\nstir_attestation = \"B\""
        },
        outcome: "busy",
        status: 486,
        check: signed,
        ..ROW
    },
];

fn with_password(ports: &[u16], shared: Shared) -> String {
    plain(ports, shared) + "\nusername = \"kraliki\"\npassword = \"secret\""
}

fn edge(port: u16, transport: &str) -> String {
    format!("address = \"127.0.0.1:{port}\"\ntransport = \"{transport}\"\nsession_timer_s = 90")
}

fn branch(text: &str) -> String {
    let via = header(text, "Via");
    via.split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned()
}

/// The next packet of the prompt, as a codec has it.
fn sound(ear: &Ear, kind: u8) -> Heard {
    let byte = if kind == 0 { SOUND } else { SOUND_ALAW };
    let mut last = None;
    let until = Instant::now() + CALL;
    while Instant::now() < until {
        let Some(heard) = ear.next(Duration::from_millis(500)) else { continue };
        if heard.kind == kind
            && heard.payload.len() == 160
            && heard.payload.iter().all(|sample| *sample == byte)
        {
            return heard;
        }
        last = Some(heard);
    }
    panic!("the prompt was not heard; the last packet was {last:?}")
}

/// The first place refuses with a 503 that has its ACK, and then the second one takes the call.
fn in_order(wire: &Wire, ports: &[u16]) {
    let to: Vec<_> = wire.requests("INVITE").iter().map(|copy| copy.to.port()).collect();
    assert_eq!(to, ports);
    let acks: Vec<_> = wire.requests("ACK").iter().map(|copy| copy.to.port()).collect();
    assert_eq!(acks, ports);
}

/// A call whose session is refreshed by an INVITE.
fn refreshed_by_invite(live: &Live<'_>) {
    live.wait_wire("the ACK to the second INVITE", |wire| wire.requests("ACK").len() == 2);
    live.hang_up();
}

/// SIPp has seen that each request came by the edge; and the dialer spoke to nobody else.
fn all_by_the_edge(wire: &Wire, transport: &str) {
    let edge = wire.invite().to;
    for method in ["INVITE", "ACK", "BYE"] {
        for request in wire.requests(method) {
            assert_eq!(request.to, edge, "{request:?}");
            assert!(
                header(&request.text, "Via").starts_with(&format!("SIP/2.0/{transport} ")),
                "{request:?}"
            );
        }
    }
}

/// Two keys of the agent, as the called side gets them (RFC 4733 §2.5.1).
fn keys_of_the_agent(live: &Live<'_>) {
    let desk = live.desk.as_ref().unwrap();
    let call = wait_for("the agent's call", CALL, || {
        let state = desk.state().unwrap();
        (state["state"] == "talking").then(|| state["call"].clone())
    });
    let from = sound(&live.ear, 0).from;
    live.ear.speak(from);
    desk.client().post(&format!("/api/calls/{call}/dtmf"), &json!({"digits": "5#"})).ok(204);
    let (mut events, until) = (Vec::new(), Instant::now() + Duration::from_millis(1_500));
    while Instant::now() < until {
        events.extend(live.ear.next(Duration::from_millis(100)).filter(|heard| heard.kind == 101));
    }
    let keys: Vec<_> = events.chunk_by(|one, next| one.timestamp == next.timestamp).collect();
    assert_eq!(keys.iter().map(|packets| packets[0].payload[0]).collect::<Vec<_>>(), [5, 11], "{events:#?}");
    for packets in keys {
        let marked: Vec<_> = packets.iter().map(|packet| packet.marker).collect();
        assert!(marked[0] && !marked[1..].contains(&true), "{packets:#?}");
        assert!(
            packets.windows(2).all(|two| two[1].sequence == two[0].sequence.wrapping_add(1)),
            "{packets:#?}"
        );
        let ends: Vec<_> = packets.iter().filter(|packet| packet.payload[1] & 0x80 != 0).collect();
        assert_eq!(ends.len(), 3, "{packets:#?}");
        assert!(ends.iter().all(|end| end.payload[2..] == ends[0].payload[2..]), "{packets:#?}");
    }
    desk.client().post(&format!("/api/calls/{call}/hangup"), &json!({})).ok(204);
    wait_for("wrap-up", CALL, || (desk.state().unwrap()["state"] == "wrap_up").then_some(()));
    desk.client().post(&format!("/api/calls/{call}/disposition"), &json!({"code": "sale"})).ok(204);
}

/// The key that signs calls: `stir.key`, its certificate `stir.pem` and the root `stir-root.pem` (RFC 8226).
pub(super) fn signing_key(site: &Site) {
    let write = |name: &str, pem: String| std::fs::write(site.dir.path().join(name), pem).unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_key = KeyPair::generate().unwrap();
    write("stir-root.pem", root.self_signed(&root_key).unwrap().pem());
    let mut leaf = CertificateParams::default();
    // TNAuthList: the carrier with the code 1234.
    let list = [&[0x30, 0x08, 0xa0, 0x06, 0x16, 0x04][..], b"1234"].concat();
    leaf.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 26], list));
    let key = KeyPair::generate().unwrap();
    write("stir.pem", leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap().pem());
    write("stir.key", key.serialize_pem());
}

fn signed(live: &Live<'_>, wire: &Wire, _: &Value) {
    let text = &wire.invite().text;
    let identity = header(text, "Identity");
    assert!(identity.contains(";ppt=shaken") && identity.contains(";alg=ES256"), "{text}");
    assert!(header(text, "P-Preferred-Identity").starts_with("<sip:12015550199@"), "{text}");
    let pem = |name: &str| std::fs::read_to_string(live.site.dir.path().join(name)).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut verifier = Verifier::new(&pem("stir-root.pem")).unwrap();
    verifier.certificate(now, "https://cert.example.org/1.pem", pem("stir.pem").as_bytes());
    let date = parse_date(header(text, "Date").as_bytes());
    assert!(date.is_some(), "{text}");
    let mut of = |from: &str| verifier.verify(now, identity, from, &format!("+1{}", live.digits), date);
    let Check::Done(Verdict::Passed(passed)) = of("+12015550199") else { panic!("{text}") };
    assert_eq!((passed.attestation, passed.tn_auth_list), (Attestation::B, true));
    assert!(matches!(of("+12015550198"), Check::Done(Verdict::Failed(_))), "another caller");
}
