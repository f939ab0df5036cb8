//! Calls to us whose callers are to be verified (RFC 8224): a peer that signs, and certificates from an https server of
//! the test's own.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use kraliki_sip::stir::{Attestation, Signer};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::callers::{NEVER, SHOWN, SOON, ask_ack, hear, request, until};
use super::wire::header;
use super::{SIPP_ENDS, prompt, rows};
use crate::support::{Site, wait_for};

/// Who calls, as [`request`] writes it.
const CALLER: &str = "+12125550180";
const ORIGID: &str = "123e4567-e89b-12d3-a456-426655440000";

/// An https server on loopback; its certificate is its own authority.
struct Https {
    port: u16,
    ca_pem: String,
    /// The paths that were asked for.
    asked: Receiver<String>,
}

impl Https {
    /// Answers 404 to what is none of `files`, and never to `/slow.pem`.
    fn start(files: HashMap<&'static str, String>) -> Https {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, files) = (Arc::new(config), Arc::new(files));
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, files, tell) = (config.clone(), files.clone(), tell.clone());
                std::thread::spawn(move || answer(stream, config, &files, &tell));
            }
        });
        Https { port, ca_pem: certificate.pem(), asked }
    }
}

/// One request. A client that goes away is no fault.
fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    files: &HashMap<&'static str, String>,
    tell: &Sender<String>,
) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    tell.send(path.to_owned()).ok()?;
    if path == "/slow.pem" {
        // Until the client goes away.
        let _ = stream.read(&mut [0]);
        return None;
    }
    let (status, body) = files.get(path).map_or(("404 Not Found", ""), |body| ("200 OK", body));
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

/// A carrier's address, from which calls come.
struct Peer {
    socket: UdpSocket,
    us: SocketAddr,
}

impl Peer {
    fn at(ip: &str, us: SocketAddr) -> Peer {
        Peer { socket: UdpSocket::bind((ip, 0)).unwrap(), us }
    }

    fn via(&self) -> String {
        format!("UDP {};rport", self.socket.local_addr().unwrap())
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.us).unwrap();
    }

    /// The next message of a call, when one comes soon; empty otherwise. What belongs to other calls is passed over.
    fn hear(&self, unique: &str) -> String {
        let text = hear(&self.socket, NEVER);
        if header(&text, "Call-ID") == format!("{unique}@carrier") { text } else { String::new() }
    }

    /// Sends an INVITE, again until there is an answer.
    fn invite(&self, unique: &str, identity: &str) {
        let more = format!("Contact: <sip:carrier@{}>\r\n{identity}", self.socket.local_addr().unwrap());
        let invite = request("INVITE", &self.via(), unique, &more);
        wait_for("an answer to the INVITE", SOON, || {
            self.send(&invite);
            self.hear(unique).starts_with("SIP/2.0 100 ").then_some(())
        });
    }

    /// Calls; gives the final status and its reason phrase. A call that is answered is ended.
    fn call(&self, unique: &str, identity: &str) -> String {
        self.invite(unique, identity);
        let last = wait_for("the final answer", SOON, || {
            let text = self.hear(unique);
            (text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1")).then_some(text)
        });
        if last.starts_with("SIP/2.0 200 ") {
            let within = |method: &str, number: u8| {
                request(method, &self.via(), unique, "")
                    .replace(&format!("z9hG4bK{unique}"), &format!("z9hG4bK{method}{unique}"))
                    .replace(&format!("To: <sip:{SHOWN}@127.0.0.1>"), &format!("To: {}", header(&last, "To")))
                    .replace(&format!("CSeq: 1 {method}"), &format!("CSeq: {number} {method}"))
            };
            self.send(&within("ACK", 1));
            self.send(&within("BYE", 2));
            wait_for("the answer to the BYE", SOON, || {
                header(&self.hear(unique), "CSeq").ends_with("BYE").then_some(())
            });
        } else {
            ask_ack(&self.socket, self.us, &self.via(), unique, &last);
        }
        last.lines().next().unwrap().trim_start_matches("SIP/2.0 ").to_owned()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn signed(key_pem: &str, url: &str, caller: &str, unix_s: u64) -> String {
    let signer = Signer::new(key_pem, url).unwrap();
    format!("Identity: {}\r\n", signer.sign(Attestation::A, caller, &[SHOWN], unix_s, ORIGID).unwrap())
}

#[test]
fn callers_are_verified() {
    let site = Site::new(
        "[[trunk]]\nname = \"notes\"\naddress = \"127.0.0.1:9\"\noptions_keepalive = false\ninbound_stir = \"record\"\n\
         [[trunk]]\nname = \"strict\"\naddress = \"127.0.0.4:9\"\noptions_keepalive = false\ninbound_stir = \"require\"\n",
        60,
    );
    rows::signing_key(&site);
    let path = |name: &str| site.dir.path().join(name).display().to_string();
    let key = std::fs::read_to_string(path("stir.key")).unwrap();
    let chain = std::fs::read_to_string(path("stir.pem")).unwrap();
    let own = CertificateParams::default().self_signed(&KeyPair::from_pem(&key).unwrap()).unwrap().pem();
    let https = Https::start(HashMap::from([("/chain.pem", chain), ("/stranger.pem", own)]));
    std::fs::write(path("https.pem"), &https.ca_pem).unwrap();
    std::fs::write(path("prompt.wav"), prompt(20)).unwrap();
    let more = format!(
        "[callback]\nprompt = \"{}\"\n[stir]\ntrusted_roots = \"{}\"\nhttps_ca = \"{}\"\nhosts = \"localhost\"\n\
         allow_private = true\ntimeout_s = 30\n[media]\n",
        path("prompt.wav"),
        path("stir-root.pem"),
        path("https.pem")
    );
    let text = std::fs::read_to_string(site.config()).unwrap();
    let text = text.replace("[media]\n", &more).replace("level = \"warn\"", "level = \"info\"");
    std::fs::write(site.config(), text).unwrap();
    site.users(&[("mia", "manager")]);
    let dialer = site.serve();
    let manager = dialer.login("mia");
    let us = SocketAddr::from(([127, 0, 0, 1], site.sip_port));
    let (notes, strict) = (Peer::at("127.0.0.1", us), Peer::at("127.0.0.4", us));

    let url = |path: &str| format!("https://localhost:{}{path}", https.port);
    let valid = || signed(&key, &url("/chain.pem"), CALLER, now());
    let elsewhere = format!("https://127.0.0.1:{}/chain.pem", https.port);
    let forger = KeyPair::generate().unwrap().serialize_pem();
    let cases: [(&str, &dyn Fn() -> String, &str); 8] = [
        ("valid", &valid, "200 OK"),
        (
            "number",
            &|| signed(&key, &url("/chain.pem"), "+12125550181", now()),
            "438 Invalid Identity Header",
        ),
        ("forged", &|| signed(&forger, &url("/chain.pem"), CALLER, now()), "438 Invalid Identity Header"),
        ("missing", &String::new, "428 Use Identity Header"),
        ("stale", &|| signed(&key, &url("/chain.pem"), CALLER, now() - 120), "403 Stale Date"),
        ("gone", &|| signed(&key, &url("/gone.pem"), CALLER, now()), "436 Bad Identity Info"),
        ("elsewhere", &|| signed(&key, &elsewhere, CALLER, now()), "436 Bad Identity Info"),
        ("stranger", &|| signed(&key, &url("/stranger.pem"), CALLER, now()), "437 Unsupported Credential"),
    ];
    for (name, identity, refusal) in cases {
        assert_eq!(notes.call(&format!("notes{name}"), &identity()), "200 OK", "{name}");
        assert_eq!(strict.call(&format!("strict{name}"), &identity()), refusal, "{name}");
    }
    // Each was fetched once, and nothing from a host that is not on the list.
    let asked: Vec<String> = https.asked.try_iter().collect();
    assert_eq!(asked, ["/chain.pem", "/gone.pem", "/stranger.pem"]);

    // A certificate that does not come holds up nobody else, and the caller may hang up meanwhile.
    strict.invite("slow", &signed(&key, &url("/slow.pem"), CALLER, now()));
    assert_eq!(https.asked.recv_timeout(SOON).unwrap(), "/slow.pem");
    assert_eq!(notes.call("beside", &valid()), "200 OK");
    strict.send(&request("CANCEL", &strict.via(), "slow", ""));
    let ended = until(&strict.socket, "SIP/2.0 487 ");
    ask_ack(&strict.socket, us, &strict.via(), "slow", &ended);
    assert_eq!(strict.call("after", &valid()), "200 OK");

    let metrics = manager.get("/metrics").text;
    let counted = |trunk: &str, result: &str| {
        let labels = [format!("trunk=\"{trunk}\""), format!("result=\"{result}\"")];
        let mut lines =
            metrics.lines().filter(|line| line.starts_with("kraliki_trunk_inbound_identity_total{"));
        let line = lines.find(|line| labels.iter().all(|label| line.contains(label.as_str())));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
    };
    for trunk in ["notes", "strict"] {
        for (result, count) in [
            ("A", 2),
            ("invalid", 2),
            ("none", 1),
            ("stale_date", 1),
            ("bad_info", 2),
            ("unsupported_credential", 1),
        ] {
            assert_eq!(counted(trunk, result), Some(count), "{trunk} {result}\n{metrics}");
        }
    }
    dialer.process.signal("TERM");
    let (code, log) = dialer.process.finish(SIPP_ENDS);
    assert_eq!(code, Some(0), "{log:#?}");
    let said = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    assert_eq!((said("a caller is verified"), said("a caller is not verified")), (4, 14), "{log:#?}");
    assert_eq!(said("the signature does not hold"), 2, "{log:#?}");
    assert!(log.iter().all(|line| !line.contains("2125550180") && !line.contains("2015550199")), "{log:#?}");
}
