//! Browsers as far as a relay sees them: a socket each, ICE checks, a DTLS handshake, and SRTP under keys of its own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_lc_rs::{digest, hmac};
use dimpl::{Dtls, DtlsCertificate, SrtpProfile};
use kraliki_media::srtp::{Profile, Protector};

use super::load::{HEADER_BYTES, SAMPLES, SLOTS, stamped};

/// Every browser's name and password in ICE.
const UFRAG: &str = "bench";
const PASSWORD: &str = "benchbenchbenchbench22";
/// Within the 30 s that our relay gives a browser.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(25);
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// Packets between checks: 5 s, as consent wants (RFC 7675 §5.1).
const PACKETS_A_CHECK: u16 = 250;

/// The certificate that all browsers show.
pub(super) struct Identity {
    certificate: DtlsCertificate,
    config: Arc<dimpl::Config>,
}

/// The agents of some calls.
pub(super) struct Browsers {
    all: Vec<Browser>,
    sequence: u16,
}

struct Browser {
    socket: UdpSocket,
    /// What a check holds, written once.
    check: Vec<u8>,
    checked: Option<Instant>,
    /// The relay has answered a check.
    answered: bool,
    dtls: Dtls,
    keys: Option<(Profile, Protector)>,
}

impl Identity {
    pub(super) fn new() -> anyhow::Result<Identity> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|error| anyhow::anyhow!("no certificate: {error}"))?;
        let config = dimpl::Config::builder().build().map_err(|error| anyhow::anyhow!("DTLS: {error}"))?;
        Ok(Identity { certificate, config: Arc::new(config) })
    }

    /// What a browser with it offers.
    pub(super) fn offer(&self) -> String {
        let fingerprint = self.fingerprint();
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 0 126\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PASSWORD}\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\na=ssrc:7 cname:bench\r\n"
        )
    }

    /// As `a=fingerprint` has it.
    fn fingerprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.certificate.certificate);
        let pairs: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        format!("sha-256 {}", pairs.join(":"))
    }
}

impl Browsers {
    /// A browser for each of the relay's answers, all connected.
    pub(super) fn connect(identity: &Identity, answers: &[String]) -> anyhow::Result<Browsers> {
        let mut all =
            answers.iter().map(|answer| Browser::new(identity, answer)).collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        loop {
            let mut missing = 0;
            for browser in all.iter_mut().filter(|browser| browser.keys.is_none()) {
                browser.drive()?;
                missing += usize::from(browser.keys.is_none());
            }
            if missing == 0 {
                return Ok(Browsers { all, sequence: 0 });
            }
            ensure!(began.elapsed() < CONNECT_WITHIN, "{missing} browsers are not connected");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn begin(&mut self, sequence: u16) {
        self.sequence = sequence;
    }

    /// What the browsers of a slot say; gives how many packets.
    pub(super) fn say(&mut self, slot: usize, packet: &[u8]) -> anyhow::Result<u64> {
        let mut said = 0;
        for browser in self.all.iter_mut().skip(slot).step_by(SLOTS) {
            let Some((profile, protector)) = &mut browser.keys else { continue };
            let mut packet = stamped(packet);
            let bytes = packet.len();
            packet.resize(bytes + profile.rtp_overhead(), 0);
            protector.protect_rtp(&mut packet, bytes)?;
            said += u64::from(browser.socket.send(&packet).is_ok());
            if self.sequence.is_multiple_of(PACKETS_A_CHECK) {
                let _ = browser.socket.send(&browser.check);
            }
        }
        Ok(said)
    }

    /// What the browsers of a slot heard.
    pub(super) fn hear(&self, slot: usize) -> u64 {
        let mut packet = [0; 2_000];
        let mut heard = 0;
        for browser in self.all.iter().skip(slot).step_by(SLOTS) {
            let Some((profile, _)) = &browser.keys else { continue };
            let audio = HEADER_BYTES + SAMPLES + profile.rtp_overhead();
            while let Ok(bytes) = browser.socket.recv(&mut packet) {
                // Answers to checks and RTCP come to the same socket.
                heard += u64::from(bytes == audio && packet.get(1).is_some_and(|byte| byte & 0x7f == 0));
            }
        }
        heard
    }
}

impl Browser {
    fn new(identity: &Identity, answer: &str) -> anyhow::Result<Browser> {
        let value = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name));
            line.with_context(|| format!("no {name} in the relay's answer"))
        };
        let candidate: Vec<&str> = value("a=candidate:")?.split(' ').collect();
        let (ip, port) = (candidate.get(4), candidate.get(5));
        let to: SocketAddr =
            ip.zip(port).map(|(ip, port)| format!("{ip}:{port}")).context("no candidate")?.parse()?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        let now = Instant::now();
        let mut dtls = Dtls::new_12(Arc::clone(&identity.config), identity.certificate.clone(), now);
        dtls.set_active(true);
        let username = format!("{}:{UFRAG}", value("a=ice-ufrag:")?);
        let check = check(&username, value("a=ice-pwd:")?);
        Ok(Browser { socket, check, checked: None, answered: false, dtls, keys: None })
    }

    fn drive(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if self.checked.is_none_or(|at| now - at >= CHECK_EVERY) {
            self.checked = Some(now);
            self.socket.send(&self.check)?;
        }
        let mut buffer = [0; 2_048];
        while let Ok(bytes) = self.socket.recv(&mut buffer) {
            let Some(datagram) = buffer.get_mut(..bytes) else { continue };
            match datagram.first() {
                Some(0..=3) => self.answered = true,
                // The handshake comes over a damaged flight by itself.
                Some(20..=63) => drop(self.dtls.handle_packet(datagram)),
                _ => {}
            }
        }
        if !self.answered {
            return Ok(());
        }
        let _ = self.dtls.handle_timeout(now);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => drop(self.socket.send(packet)),
                dimpl::Output::KeyingMaterial(material, profile) => {
                    self.keys = Some(keys(&material, profile).context("keys of the wrong length")?);
                }
                dimpl::Output::Timeout(_) => return Ok(()),
                _ => {}
            }
        }
    }
}

/// What a client sends under (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile) -> Option<(Profile, Protector)> {
    let profile = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        _ => Profile::AeadAes256Gcm,
    };
    let (key, salt) = (profile.key_len(), profile.salt_len());
    let protector =
        Protector::new(profile, material.get(..key)?, material.get(2 * key..2 * key + salt)?).ok()?;
    Some((profile, protector))
}

/// A binding request that nominates (RFC 8445 §7.2.5, RFC 8489).
fn check(username: &str, password: &str) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend([7; 12]);
    attribute(&mut out, 0x0006, username.as_bytes());
    attribute(&mut out, 0x0024, &[0x6e, 0x7f, 0x1e, 0xff]);
    attribute(&mut out, 0x802a, &[9; 8]);
    attribute(&mut out, 0x0025, &[]);
    // The length counts what is signed and the signature, 24 octets; then the fingerprint too, 8.
    set_length(&mut out, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &out);
    attribute(&mut out, 0x0008, tag.as_ref());
    set_length(&mut out, 8);
    let sum = crc32(&out) ^ 0x5354_554e;
    attribute(&mut out, 0x8028, &sum.to_be_bytes());
    out
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The length behind the header's 20 octets, with what is still to come.
fn set_length(out: &mut [u8], more: usize) {
    let length = (out.len() - 20 + more) as u16;
    if let Some(place) = out.get_mut(2..4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_whole() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let check = check("theirs:bench", "password");
        assert_eq!(check.len() % 4, 0);
        assert_eq!(usize::from(u16::from_be_bytes([check[2], check[3]])), check.len() - 20);
    }
}
