//! What an agent's leg costs while nothing happens: a whole shift of it must be cheap. Real sockets, real handshakes, and the
//! memory of the process as the kernel counts it, which has that of the C libraries in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// A browser of its own has a socket and a clock.
#![allow(clippy::disallowed_methods)]

use std::fmt::Write;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac};
use kraliki_media::{Media, MediaConfig, MediaEvent};
use kraliki_time::Clock;

/// Legs that are measured, after some that warm everything up.
const LEGS: usize = 400;
const WARM: usize = 40;
/// What one may take.
const MOST_BYTES: usize = 32 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_idle_browser_leg_takes_32_kb_at_most() {
    let config = MediaConfig::local(Clock::start(), 44_000..=44_003, [5; 32]);
    let (media, events) = Media::start(config).unwrap();
    let client = Client::new();
    let mut before = 0;
    for n in 0..WARM + LEGS {
        if n == WARM {
            before = resident();
        }
        let (leg, answer) = media.open_browser_leg(&client.offer()).unwrap();
        let up = || events.try_iter().any(|e| matches!(e, MediaEvent::BrowserUp { leg: of } if of == leg));
        client.connect(&answer, up);
    }
    let each = resident().saturating_sub(before) / LEGS;
    eprintln!("an idle browser leg takes {each} bytes");
    assert!(each <= MOST_BYTES, "{each} bytes");
    media.shutdown();
}

/// Bytes of the process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// A browser as far as it takes to connect; all of them have one certificate.
struct Client {
    certificate: dimpl::DtlsCertificate,
    config: Arc<dimpl::Config>,
}

impl Client {
    fn new() -> Client {
        Client {
            certificate: dimpl::certificate::generate_self_signed_certificate().unwrap(),
            config: Arc::new(dimpl::Config::builder().build().unwrap()),
        }
    }

    fn offer(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.certificate.certificate);
        let mut fingerprint = String::new();
        for byte in digest.as_ref() {
            write!(fingerprint, "{byte:02X}:").unwrap();
        }
        let seed = include_str!("../fuzz/seeds/sdp/browser.dat");
        let known = seed.lines().find_map(|line| line.strip_prefix("a=fingerprint:sha-256 ")).unwrap();
        seed.replace(known, fingerprint.trim_end_matches(':'))
    }

    fn connect(&self, answer: &str, mut up: impl FnMut() -> bool) {
        let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let words: Vec<&str> = value("a=candidate:").split(' ').collect();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(format!("{}:{}", words[4], words[5])).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let check = check(&format!("{}:brow", value("a=ice-ufrag:")), value("a=ice-pwd:"));
        let mut dtls =
            dimpl::Dtls::new_13(Arc::clone(&self.config), self.certificate.clone(), Instant::now());
        dtls.set_active(true);
        let until = Instant::now() + PATIENCE;
        let (mut checked, mut buffer) = (false, [0; 2_048]);
        while !up() {
            assert!(Instant::now() < until, "it does not connect");
            if let Ok(len) = socket.recv(&mut buffer) {
                match buffer[0] {
                    0..=3 => checked = true,
                    20..=63 => dtls.handle_packet(&buffer[..len]).unwrap(),
                    _ => {}
                }
            }
            if !checked {
                // The leg may not be there yet.
                socket.send(&check).unwrap();
                continue;
            }
            dtls.handle_timeout(Instant::now()).unwrap();
            loop {
                match dtls.poll_output(&mut buffer) {
                    dimpl::Output::Packet(packet) => drop(socket.send(packet).unwrap()),
                    dimpl::Output::Timeout(_) => break,
                    _ => {}
                }
            }
        }
    }
}

/// A check that nominates (RFC 8445 §7.2.2).
fn check(username: &str, password: &str) -> Vec<u8> {
    let mut body = Vec::new();
    attribute(&mut body, 0x0006, username.as_bytes());
    attribute(&mut body, 0x0025, &[]);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &message(&body, 24));
    attribute(&mut body, 0x0008, tag.as_ref());
    let sum = crc32(&message(&body, 8)) ^ 0x5354_554e;
    attribute(&mut body, 0x8028, &sum.to_be_bytes());
    message(&body, 0)
}

/// Header and attributes; the length counts `more` octets that follow.
fn message(body: &[u8], more: usize) -> Vec<u8> {
    let length = u16::try_from(body.len() + more).unwrap().to_be_bytes();
    [&[0, 1][..], &length, &[0x21, 0x12, 0xa4, 0x42], &[3; 12], body].concat()
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
            },
        )
    })
}
