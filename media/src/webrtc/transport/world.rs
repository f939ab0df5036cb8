//! A browser, as far as a leg sees one, and a lossy network in virtual time between the two.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Dtls, SrtpProfile};
use kraliki_time::{Clock, Time};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{BrowserConfig, BrowserTransport, Event, Output, Received};
use crate::sdp::AudioCodec;
use crate::srtp::{MAX_OVERHEAD, Profile, Protector, Unprotector};
use crate::webrtc::Identity;
use crate::webrtc::identity::Fingerprint;
use crate::webrtc::offer::tests::chromium;
use crate::webrtc::stun::client::binding_request;

pub(super) const OUR_SSRC: u32 = 0x5151_5151;
const THEIR_SSRC: u32 = 0x7272_7272;
const TICK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Dtls12,
    Dtls13,
}

pub(crate) struct Browser {
    pub(super) address: SocketAddr,
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) fingerprint: String,
    /// Ours as the answer has them.
    pub(super) remote_ufrag: String,
    pub(super) remote_password: String,
    pub(super) checks: bool,
    pub(super) keys: Option<(Protector, Unprotector)>,
    pub(crate) heard: Vec<u16>,
    pub(super) reports: usize,
    pub(super) hellos: usize,
    pub(super) closed: bool,
    pub(super) dtls: Dtls,
    start: Instant,
    answered: bool,
    sequence: u16,
    transaction: u8,
}

impl Browser {
    pub(crate) fn new(clock: &Clock, seed: u64, version: Version) -> Browser {
        let config = dimpl::Config::builder()
            .dangerously_set_rng_seed(seed)
            .flight_start_rto(Duration::from_millis(50))
            .flight_retries(9)
            .build()
            .unwrap();
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let fingerprint = Fingerprint::of(&certificate.certificate).to_string();
        let start = clock.instant(Time::ZERO);
        let mut dtls = match version {
            Version::Dtls12 => Dtls::new_12(Arc::new(config), certificate, start),
            Version::Dtls13 => Dtls::new_13(Arc::new(config), certificate, start),
        };
        dtls.set_active(true);
        Browser {
            address: "127.0.0.1:40000".parse().unwrap(),
            ufrag: "brow".into(),
            password: "browserbrowserbrowser22".into(),
            fingerprint,
            remote_ufrag: String::new(),
            remote_password: String::new(),
            checks: true,
            keys: None,
            heard: Vec::new(),
            reports: 0,
            hellos: 0,
            closed: false,
            dtls,
            start,
            answered: false,
            sequence: 0,
            transaction: 0,
        }
    }

    pub(crate) fn offer(&self) -> String {
        chromium(&self.ufrag, &self.password, &self.fingerprint)
    }

    /// Takes our credentials from an answer or a fragment.
    pub(crate) fn read(&mut self, answer: &str) {
        let value = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {answer}")).to_owned()
        };
        self.remote_ufrag = value("a=ice-ufrag:");
        self.remote_password = value("a=ice-pwd:");
    }

    pub(crate) fn check(&mut self, nominate: bool) -> Vec<u8> {
        self.transaction = self.transaction.wrapping_add(1);
        let username = format!("{}:{}", self.remote_ufrag, self.ufrag);
        binding_request(&username, &self.remote_password, [self.transaction; 12], nominate)
    }

    pub(crate) fn handle(&mut self, now: Time, datagram: &mut [u8]) {
        match datagram[0] {
            0..=3 => {
                assert_eq!(datagram[..2], [1, 1]);
                self.answered = true;
            }
            20..=63 => {
                // An endpoint that has ended may refuse; that is the test's business elsewhere.
                let _ = self.dtls.handle_timeout(self.start + Duration::from_nanos(now.as_nanos()));
                let _ = self.dtls.handle_packet(datagram);
            }
            _ => {
                let Some((_, rx)) = &mut self.keys else { return };
                if (192..224).contains(&datagram[1]) {
                    rx.unprotect_rtcp(datagram).unwrap();
                    self.reports += 1;
                } else {
                    rx.unprotect_rtp(datagram).unwrap();
                    self.heard.push(u16::from_be_bytes([datagram[2], datagram[3]]));
                }
            }
        }
    }

    /// What DTLS wants to send now.
    pub(crate) fn drive(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if !self.answered {
            return out;
        }
        let _ = self.dtls.handle_timeout(self.start + Duration::from_nanos(now.as_nanos()));
        let mut buffer = [0; 2048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => {
                    self.hellos += usize::from(packet[0] == 22 && packet.get(13) == Some(&1));
                    out.push(packet.to_vec());
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    self.keys = Some(keys(&material, profile))
                }
                dimpl::Output::CloseNotify => self.closed = true,
                dimpl::Output::Timeout(_) => return out,
                _ => {}
            }
        }
    }

    /// The first datagram of DTLS, without waiting for STUN.
    pub(crate) fn hello(&mut self) -> Vec<u8> {
        self.answered = true;
        let mut flight = self.drive(Time::ZERO);
        flight.remove(0)
    }

    pub(crate) fn media(&mut self) -> Vec<Vec<u8>> {
        let Some((tx, _)) = &mut self.keys else { return Vec::new() };
        self.sequence += 1;
        let rtp = rtp(THEIR_SSRC, self.sequence);
        let mut buf = [&rtp[..], &[0; MAX_OVERHEAD]].concat();
        let len = tx.protect_rtp(&mut buf, rtp.len()).unwrap();
        buf.truncate(len);
        vec![buf]
    }

    pub(super) fn report(&mut self) -> Vec<u8> {
        let rtcp = [&[0x80, 201, 0, 1][..], &THEIR_SSRC.to_be_bytes()].concat();
        let mut buf = [&rtcp[..], &[0; MAX_OVERHEAD]].concat();
        let len = self.keys.as_mut().unwrap().0.protect_rtcp(&mut buf, rtcp.len()).unwrap();
        buf.truncate(len);
        buf
    }
}

fn keys(material: &[u8], profile: SrtpProfile) -> (Protector, Unprotector) {
    let profile = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        _ => Profile::AeadAes256Gcm,
    };
    let (key, salt) = (profile.key_len(), profile.salt_len());
    let tx = Protector::new(profile, &material[..key], &material[2 * key..2 * key + salt]).unwrap();
    let rx = Unprotector::new(profile, &material[key..2 * key], &material[2 * key + salt..2 * (key + salt)]);
    (tx, rx.unwrap())
}

pub(super) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x7f; 160]);
    packet
}

enum To {
    Us(SocketAddr),
    Browser(SocketAddr),
}

pub(super) struct World {
    pub(super) now: Time,
    pub(super) leg: BrowserTransport,
    pub(super) answer: String,
    pub(super) browser: Browser,
    pub(super) events: Vec<Event>,
    /// Sequence numbers and reports that the leg took.
    pub(super) heard: Vec<u16>,
    pub(super) reports: usize,
    /// Where the leg sent to last.
    pub(super) sent_to: Option<SocketAddr>,
    pub(super) loss_percent: u32,
    pub(super) rng: ChaCha20Rng,
    flying: BTreeMap<(Time, u64), (To, Vec<u8>)>,
    sent: u64,
    sequence: u16,
}

impl World {
    pub(super) fn new(seed: u64, version: Version, loss_percent: u32) -> World {
        World::with(seed, version, loss_percent, |offer| offer)
    }

    /// A world whose offer is changed on its way.
    pub(super) fn with(
        seed: u64,
        version: Version,
        loss_percent: u32,
        change: impl Fn(String) -> String,
    ) -> World {
        let clock = Clock::start();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut browser = Browser::new(&clock, seed, version);
        let ours = BrowserConfig {
            identity: Arc::new(Identity::seeded(&clock, seed)),
            candidates: vec!["192.0.2.1:3478".parse().unwrap(), "[2001:db8::1]:3478".parse().unwrap()],
            tcp_candidates: vec!["192.0.2.1:3478".parse().unwrap()],
            codecs: AudioCodec::G711.to_vec(),
            ssrc: OUR_SSRC,
            cname: "kraliki".into(),
        };
        let offer = change(browser.offer());
        let (leg, answer) = BrowserTransport::accept(Time::ZERO, offer.as_bytes(), ours, &mut rng).unwrap();
        browser.read(&answer);
        World {
            now: Time::ZERO,
            leg,
            answer,
            browser,
            events: Vec::new(),
            heard: Vec::new(),
            reports: 0,
            sent_to: None,
            loss_percent,
            rng,
            flying: BTreeMap::new(),
            sent: 0,
            sequence: 0,
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.tick();
            self.now += TICK;
        }
    }

    /// One tick: what both sides send, then what arrives before the next one.
    fn tick(&mut self) {
        let (now, address) = (self.now, self.browser.address);
        let pace = if self.browser.answered { 500 } else { 60 };
        if self.browser.checks && now.as_millis() % pace == 0 {
            let check = self.browser.check(true);
            self.send(To::Us(address), check);
        }
        let mut out = self.browser.drive(now);
        out.extend(self.browser.media());
        out.into_iter().for_each(|datagram| self.send(To::Us(address), datagram));
        self.leg.handle_timeout(now);
        self.drain();
        if let Some(to) = self.leg.remote().filter(|_| self.leg.is_up()) {
            self.sequence += 1;
            let plain = rtp(OUR_SSRC, self.sequence);
            let mut buf = [&plain[..], &[0; MAX_OVERHEAD]].concat();
            let len = self.leg.protect_rtp(&mut buf, plain.len()).unwrap();
            buf.truncate(len);
            self.sent_to = Some(to.address);
            self.send(To::Browser(to.address), buf);
        }
        while let Some(entry) = self.flying.first_entry().filter(|e| e.key().0 < now + TICK) {
            let ((at, _), (to, mut datagram)) = entry.remove_entry();
            match to {
                To::Us(from) => {
                    self.arrive(at, from, &mut datagram);
                }
                To::Browser(to) if to == self.browser.address => self.browser.handle(at, &mut datagram),
                To::Browser(_) => {}
            }
        }
    }

    /// A datagram reaches the leg; how many it sends in turn.
    pub(super) fn arrive(&mut self, at: Time, from: SocketAddr, datagram: &mut [u8]) -> usize {
        match self.leg.handle_datagram(at, from, datagram) {
            Received::Nothing => return self.drain(),
            Received::Rtp(len) => {
                assert_eq!(len, 172);
                self.heard.push(u16::from_be_bytes([datagram[2], datagram[3]]));
            }
            Received::Rtcp(_) => self.reports += 1,
        }
        0
    }

    /// Takes the leg's outputs; how many datagrams there were.
    pub(super) fn drain(&mut self) -> usize {
        let mut count = 0;
        loop {
            match self.leg.poll_output() {
                Output::Transmit(transmit) => {
                    count += 1;
                    self.send(To::Browser(transmit.to.address), transmit.bytes);
                }
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => return count,
            }
        }
    }

    fn send(&mut self, to: To, datagram: Vec<u8>) {
        if self.rng.next_u32() % 100 < self.loss_percent {
            return;
        }
        let delay = Duration::from_millis(2 + u64::from(self.rng.next_u32() % 30));
        self.sent += 1;
        self.flying.insert((self.now + delay, self.sent), (to, datagram));
    }
}
