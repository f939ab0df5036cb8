//! Real sockets on the loopback. Each wait is bounded, and no test looks at how long something took.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::Receiver;
use kraliki_time::{Clock, Time};

use super::*;
use crate::audio::Audio;
use crate::error::MediaError;
use crate::event::{LegId, MediaEvent};
use crate::quality::LegCounters;
use crate::rtp::Header;
use crate::rtp::tests::packet;
use crate::sdp::{AudioCodec, Direction, Negotiated, SrtpPolicy, TrunkSession};
use crate::srtp::{MAX_OVERHEAD, Protector, Unprotector};
use crate::webrtc::test_browser::{Browser, Version};

const PATIENCE: Duration = Duration::from_secs(5);

/// Media on the loopback, with ports of its own.
struct Rig {
    media: MediaHandle,
    events: Receiver<MediaEvent>,
}

impl Rig {
    fn start(first_port: u16, shards: usize) -> Rig {
        let config = MediaConfig {
            shards,
            ..MediaConfig::local(Clock::start(), first_port..=first_port + 39, [7; 32])
        };
        let (media, events) = Media::start(config).unwrap();
        Rig { media, events }
    }

    /// Waits for an event that `wanted` likes.
    fn wait<T>(&self, mut wanted: impl FnMut(&MediaEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(PATIENCE).expect("the event comes");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    fn trunk(&self, codec: AudioCodec) -> Far {
        Far::new(&self.media, self.media.open_trunk_leg(&TrunkOptions::default()).unwrap(), codec)
    }

    fn agent(&self, codec: AudioCodec) -> Far {
        Far::new(&self.media, self.media.open_rtp_leg(&TrunkOptions::default()).unwrap(), codec)
    }

    fn counters(&self, leg: LegId) -> LegCounters {
        self.media.request_counters(leg).unwrap();
        self.wait(|event| match event {
            MediaEvent::Counters { leg: of, counters } if *of == leg => Some(*counters),
            _ => None,
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.media.shutdown();
    }
}

/// The far end of a leg.
struct Far {
    leg: LegId,
    to: SocketAddr,
    socket: UdpSocket,
    codec: AudioCodec,
    sequence: u16,
}

impl Far {
    fn new(media: &MediaHandle, leg: RtpLeg, codec: AudioCodec) -> Far {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let remote = socket.local_addr().unwrap();
        let agreed = Negotiated {
            remote,
            remote_rtcp: SocketAddr::new(remote.ip(), remote.port().wrapping_add(1)),
            codec,
            payload_type: codec.payload_type(),
            receive_payload_type: codec.payload_type(),
            dtmf: Some(101),
            receive_dtmf: Some(101),
            comfort_noise: false,
            opus: None,
            direction: Direction::SendRecv,
            ptime_ms: 20,
            xr: Default::default(),
            srtp: None,
        };
        media.set_remote(leg.id, agreed).unwrap();
        Far { leg: leg.id, to: leg.rtp, socket, codec, sequence: 100 }
    }

    fn say(&mut self, byte: u8) {
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 160;
        let packet = packet(self.codec.payload_type(), self.sequence, timestamp, 9, &[byte; 160]);
        self.socket.send_to(&packet, self.to).unwrap();
    }

    fn hear(&self) -> (Header, Vec<u8>) {
        let mut buf = [0; 2_000];
        let (len, from) = self.socket.recv_from(&mut buf).expect("a packet comes");
        assert_eq!(from, self.to);
        let header = Header::parse(&buf[..len]).unwrap();
        let payload = buf[header.payload.clone()].to_vec();
        (header, payload)
    }

    /// Listens until the packet comes that is full of `byte`.
    fn hear_byte(&self, byte: u8) -> Header {
        for _ in 0..1_000 {
            let (header, payload) = self.hear();
            if payload.iter().all(|b| *b == byte) {
                return header;
            }
        }
        panic!("{byte:#x} is never heard");
    }
}

/// Says something until the other hears it: legs are set up by other threads.
fn until_heard(from: &mut Far, to: &Far, byte: u8, as_byte: u8) -> Header {
    to.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    for _ in 0..100 {
        from.say(byte);
        let mut buf = [0; 2_000];
        while let Ok((len, _)) = to.socket.recv_from(&mut buf) {
            let header = Header::parse(&buf[..len]).unwrap();
            if buf[header.payload.clone()].iter().all(|b| *b == as_byte) {
                to.socket.set_read_timeout(Some(PATIENCE)).unwrap();
                return header;
            }
        }
    }
    panic!("{byte:#x} is never heard");
}

#[test]
fn a_call_and_an_agent_hear_each_other() {
    let rig = Rig::start(43_000, 1);
    let mut caller = rig.trunk(AudioCodec::Pcma);
    let mut agent = rig.agent(AudioCodec::Pcmu);
    // Silence between calls.
    let silence = agent.hear_byte(0xff);
    rig.media.bridge(caller.leg, agent.leg, false).unwrap();
    let heard = until_heard(&mut caller, &agent, 0x2a, crate::codec::PCMA_TO_PCMU[0x2a]);
    assert_eq!((heard.ssrc, heard.payload_type), (silence.ssrc, 0));
    rig.wait(|event| match event {
        MediaEvent::FirstPacket { trunk, agent: of, at } => {
            assert_eq!((*trunk, *of), (caller.leg, agent.leg));
            (*at > Time::ZERO).then_some(())
        }
        _ => None,
    });
    let heard = until_heard(&mut agent, &caller, 0x12, crate::codec::PCMU_TO_PCMA[0x12]);
    assert_eq!(heard.payload_type, 8);

    // Another host on the same machine.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..3 {
        stranger.send_to(&packet(8, n, 0, 66, &[0x77; 160]), caller.to).unwrap();
    }
    until_heard(&mut caller, &agent, 0x2b, crate::codec::PCMA_TO_PCMU[0x2b]);
    let counters = rig.counters(caller.leg);
    assert_eq!(counters.dropped_address, 3);

    rig.media.close(caller.leg).unwrap();
    let ended = rig.wait(|event| match event {
        MediaEvent::LegEnded { leg, counters, .. } => Some((*leg, *counters)),
        _ => None,
    });
    assert_eq!(ended.0, caller.leg);
    assert!(ended.1.packets_received >= counters.packets_received);
    let ports = rig.media.stats().ports;
    assert_eq!((ports.in_use, ports.resting), (1, 1));
}

#[test]
fn a_call_moves_to_the_shard_of_its_agent_and_commands_follow() {
    let rig = Rig::start(43_100, 2);
    let mut caller = rig.trunk(AudioCodec::Pcmu);
    let mut here = rig.agent(AudioCodec::Pcmu);
    let there = rig.agent(AudioCodec::Pcmu);
    assert_ne!(caller.leg.home(), here.leg.home(), "opened on the emptiest shard");
    // To the other shard, and at once some commands that must arrive after it.
    rig.media.bridge(caller.leg, here.leg, true).unwrap();
    rig.media.hold(caller.leg, true).unwrap();
    rig.media.hold(caller.leg, false).unwrap();
    until_heard(&mut here, &caller, 0x31, 0x31);
    until_heard(&mut caller, &here, 0x32, 0x32);
    // And to an agent who may sit where it came from.
    rig.media.bridge(caller.leg, there.leg, false).unwrap();
    until_heard(&mut caller, &there, 0x33, 0x33);
    let before = rig.counters(caller.leg);
    assert!(before.packets_received >= 2);
    rig.media.close(caller.leg).unwrap();
    rig.wait(|event| matches!(event, MediaEvent::LegEnded { leg, .. } if *leg == caller.leg).then_some(()));
    let legs: u64 = rig.media.stats().shards.iter().map(|shard| shard.legs).sum();
    assert_eq!(legs, 2);
}

#[test]
fn a_prompt_is_played_to_a_call_that_waits() {
    let rig = Rig::start(43_200, 1);
    let caller = rig.trunk(AudioCodec::Pcmu);
    let prompt = Audio::beep();
    rig.media.play(caller.leg, Arc::new(prompt.clone()), false).unwrap();
    rig.wait(|event| matches!(event, MediaEvent::PlayDone { leg } if *leg == caller.leg).then_some(()));
    let wanted = prompt.encoded(AudioCodec::Pcmu);
    let mut heard = Vec::new();
    while heard.len() < wanted.len() {
        let (_, payload) = caller.hear();
        // A keep-alive may come first.
        if !heard.is_empty() || payload[..] == wanted[..160] {
            heard.extend(payload);
        }
    }
    assert_eq!(heard, wanted);
}

#[test]
fn no_ports_no_call() {
    let rig = Rig::start(43_300, 1);
    let total = rig.media.stats().ports.total;
    for _ in 0..total {
        rig.media.open_trunk_leg(&TrunkOptions::default()).unwrap();
    }
    let refused = rig.media.open_trunk_leg(&TrunkOptions::default());
    assert!(matches!(refused, Err(MediaError::PortsExhausted)));
    assert_eq!(rig.media.stats().ports.exhausted, 1);
    rig.media.shutdown();
    let ended = rig.events.try_iter().filter(|event| matches!(event, MediaEvent::LegEnded { .. })).count();
    assert_eq!(ended as u64, total);
    assert!(matches!(rig.media.open_trunk_leg(&TrunkOptions::default()), Err(MediaError::PortsExhausted)));
}

#[test]
fn a_bad_configuration_says_so() {
    let good = || MediaConfig::local(Clock::start(), 43_400..=43_439, [0; 32]);
    let refused = |config: MediaConfig| Media::start(config).unwrap_err().to_string();
    assert!(refused(MediaConfig { shards: 0, ..good() }).contains("shards"));
    assert!(refused(MediaConfig { interfaces: Vec::new(), ..good() }).contains("interface"));
    assert!(refused(MediaConfig { batch: Duration::ZERO, ..good() }).contains("batch"));
    #[allow(clippy::reversed_empty_ranges)]
    let empty = 500..=400;
    assert!(refused(MediaConfig { ports: empty, ..good() }).contains("range"));
    let elsewhere = "192.0.2.1".parse().unwrap();
    let interface = Interface { listen: elsewhere, advertise: elsewhere };
    assert!(refused(MediaConfig { interfaces: vec![interface], ..good() }).contains("192.0.2.1"));
    let browsers = BrowserPorts {
        listen: elsewhere,
        port: 9,
        candidates: vec![elsewhere],
        codecs: Vec::new(),
        tcp: true,
    };
    assert!(refused(MediaConfig { browsers: Some(browsers), ..good() }).contains("192.0.2.1:9"));
}

/// A browser reads our answer: its socket, and where it sends to.
fn read(browser: &mut Browser, answer: &str) -> (UdpSocket, SocketAddr) {
    browser.read(answer);
    let candidate = answer.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
    let words: Vec<&str> = candidate.split(' ').collect();
    let to = format!("{}:{}", words[4], words[5]).parse().unwrap();
    (UdpSocket::bind("127.0.0.1:0").unwrap(), to)
}

/// A browser at a real socket: it checks, shakes hands and speaks, until `done`.
fn drive(
    clock: &Clock,
    browser: &mut Browser,
    socket: &UdpSocket,
    to: SocketAddr,
    mut done: impl FnMut(&mut Browser) -> bool,
) {
    socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    for round in 0..1_000 {
        if round % 20 == 0 {
            socket.send_to(&browser.check(true), to).unwrap();
        }
        for datagram in browser.drive(clock.now()).into_iter().chain(browser.media()) {
            socket.send_to(&datagram, to).unwrap();
        }
        let mut buf = [0; 2_000];
        if let Ok((len, from)) = socket.recv_from(&mut buf) {
            assert_eq!(from, to);
            browser.handle(clock.now(), &mut buf[..len]);
        }
        if done(browser) {
            return;
        }
    }
    panic!("the browser is never done");
}

#[test]
fn a_browser_and_a_call_hear_each_other() {
    let rig = Rig::start(43_500, 2);
    let clock = Clock::start();
    let mut caller = rig.trunk(AudioCodec::Pcma);
    let mut browser = Browser::new(&clock, 5, Version::Dtls12);
    assert!(rig.media.open_browser_leg("nonsense").is_err());
    let (leg, answer) = rig.media.open_browser_leg(&browser.offer()).unwrap();
    assert_ne!(leg.home(), caller.leg.home(), "opened on the emptiest shard");
    let (socket, to) = read(&mut browser, &answer);
    // Silence comes as soon as it is connected, and before any call.
    drive(&clock, &mut browser, &socket, to, |browser| browser.heard.len() > 3);
    // In either order: its first packet may have come with the end of the handshake.
    let (mut up, mut heard) = (false, false);
    rig.wait(|event| {
        up |= matches!(event, MediaEvent::BrowserUp { leg: of } if *of == leg);
        heard |= matches!(event, MediaEvent::FirstRtp { leg: of, .. } if *of == leg);
        (up && heard).then_some(())
    });

    rig.media.bridge(caller.leg, leg, true).unwrap();
    caller.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut heard_by_caller = false;
    drive(&clock, &mut browser, &socket, to, |_| {
        caller.say(0x2a);
        let mut buf = [0; 2_000];
        while let Ok((len, _)) = caller.socket.recv_from(&mut buf) {
            // The browser says 0x7f in the other law.
            heard_by_caller |= buf[12..len].iter().all(|b| *b == crate::codec::PCMU_TO_PCMA[0x7f]);
        }
        heard_by_caller
    });
    rig.wait(|event| matches!(event, MediaEvent::FirstPacket { agent, .. } if *agent == leg).then_some(()));
    for pair in browser.heard.windows(2) {
        assert_eq!(pair[1], pair[0].wrapping_add(1), "one line over silence and call");
    }

    assert_eq!(rig.media.restart_browser_leg(leg, b"a=end-of-candidates\r\n").unwrap(), None);
    assert!(rig.media.restart_browser_leg(leg, b"").is_err());
    let strangers = || rig.media.stats().shards.iter().map(|shard| shard.strangers).sum::<u64>();
    let before = strangers();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[0x80; 40], to).unwrap();
    // Each reply is a wake-up of the shard: by the third it has read its sockets and shown its counters.
    for _ in 0..3 {
        rig.media.restart_browser_leg(leg, b"a=end-of-candidates\r\n").unwrap();
    }
    // More may come from other programs of this machine.
    assert!(strangers() > before);
    rig.media.close(leg).unwrap();
    rig.wait(|event| matches!(event, MediaEvent::LegEnded { leg: of, .. } if *of == leg).then_some(()));
}

/// A browser's datagrams over one connection, framed by their length.
struct Tcp {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Tcp {
    fn connect(to: SocketAddr) -> Tcp {
        let socket = TcpStream::connect(to).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        Tcp { socket, input: Vec::new() }
    }

    fn send(&mut self, datagram: &[u8]) {
        let length = u16::try_from(datagram.len()).unwrap().to_be_bytes();
        self.socket.write_all(&[&length[..], datagram].concat()).unwrap();
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut bytes = [0; 4_000];
        if let Ok(len) = self.socket.read(&mut bytes) {
            assert_ne!(len, 0, "closed");
            self.input.extend(&bytes[..len]);
        }
        let length = usize::from(u16::from_be_bytes(*self.input.first_chunk()?));
        let datagram = self.input.get(2..2 + length)?.to_vec();
        self.input.drain(..2 + length);
        Some(datagram)
    }

    /// Whether the other side has closed it.
    fn is_over(&mut self) -> bool {
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        match self.socket.read(&mut [0; 100]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_browser_without_udp_and_a_call_hear_each_other() {
    let rig = Rig::start(43_700, 1);
    let clock = Clock::start();
    let mut caller = rig.trunk(AudioCodec::Pcmu);
    let mut browser = Browser::new(&clock, 7, Version::Dtls13);
    let (leg, answer) = rig.media.open_browser_leg(&browser.offer()).unwrap();
    browser.read(&answer);
    let candidate = answer.lines().find(|line| line.contains(" tcp ")).unwrap();
    assert!(candidate.ends_with(" typ host tcptype passive"), "{candidate}");
    let words: Vec<&str> = candidate.split(' ').collect();
    let to: SocketAddr = format!("{}:{}", words[4], words[5]).parse().unwrap();
    // Whoever sends anything but checks is not kept.
    let mut stranger = Tcp::connect(to);
    stranger.send(&Browser::new(&clock, 9, Version::Dtls13).hello());
    assert!(stranger.is_over());
    let mut nonsense = Tcp::connect(to);
    nonsense.socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(nonsense.is_over());

    let mut tcp = Tcp::connect(to);
    rig.media.bridge(caller.leg, leg, false).unwrap();
    caller.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let (mut heard, mut rounds) = (0, 0);
    while heard < 20 || browser.heard.len() < 20 {
        if rounds % 20 == 0 {
            tcp.send(&browser.check(true));
        }
        for datagram in browser.drive(clock.now()).into_iter().chain(browser.media()) {
            tcp.send(&datagram);
        }
        while let Some(mut datagram) = tcp.receive() {
            browser.handle(clock.now(), &mut datagram);
        }
        caller.say(0x2a);
        let mut buf = [0; 2_000];
        while let Ok((len, _)) = caller.socket.recv_from(&mut buf) {
            heard += usize::from(buf[12..len].iter().all(|b| *b == 0x7f));
        }
        rounds += 1;
        assert!(rounds < 1_000, "the caller heard {heard}, the browser {}", browser.heard.len());
    }
    rig.wait(|event| matches!(event, MediaEvent::FirstPacket { agent, .. } if *agent == leg).then_some(()));
    assert_eq!(rig.media.stats().shards[0].streams, 1);
    // Its connection breaks: it comes by another, and goes on where it was.
    drop(tcp);
    let mut tcp = Tcp::connect(to);
    let (before, mut rounds) = (browser.heard.len(), 0);
    while browser.heard.len() < before + 5 {
        tcp.send(&browser.check(true));
        while let Some(mut datagram) = tcp.receive() {
            browser.handle(clock.now(), &mut datagram);
        }
        rounds += 1;
        assert!(rounds < 1_000);
    }
    rig.media.close(leg).unwrap();
    rig.wait(|event| matches!(event, MediaEvent::LegEnded { leg: of, .. } if *of == leg).then_some(()));
}

/// Whoever knows a browser's address may send in its name: what is not authentic, or was there before, is dropped, and the
/// call goes on. So it does under a flood of nonsense from elsewhere.
#[test]
fn forged_and_repeated_packets_at_the_browsers_port_are_dropped() {
    let rig = Rig::start(43_800, 1);
    let clock = Clock::start();
    let caller = rig.trunk(AudioCodec::Pcmu);
    let mut browser = Browser::new(&clock, 8, Version::Dtls12);
    let (leg, answer) = rig.media.open_browser_leg(&browser.offer()).unwrap();
    let (socket, to) = read(&mut browser, &answer);
    let attacker = UdpSocket::bind("127.0.0.9:0").unwrap();
    attacker.set_nonblocking(true).unwrap();
    // From the first moment on, from a third host and from the browser's own address.
    let nonsense = |n: u32| {
        let first = [0u8, 1, 20, 22, 23, 63, 128, 144, 191, 255][n as usize % 10];
        let mut bytes = vec![n as u8; 40 + n as usize % 200];
        bytes[0] = first;
        bytes
    };
    let mut n = 0;
    drive(&clock, &mut browser, &socket, to, |browser| {
        for from in [&attacker, &socket] {
            n += 1;
            from.send_to(&nonsense(n), to).unwrap();
        }
        browser.heard.len() > 20
    });
    rig.media.bridge(caller.leg, leg, false).unwrap();
    // An authentic packet again and again, changed ones, and an old one.
    let packet = browser.media().remove(0);
    let mut changed = packet.clone();
    *changed.last_mut().unwrap() ^= 1;
    caller.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut sequences = Vec::new();
    drive(&clock, &mut browser, &socket, to, |_| {
        for bytes in [&packet, &packet, &changed] {
            socket.send_to(bytes, to).unwrap();
            attacker.send_to(bytes, to).unwrap();
        }
        let mut buf = [0; 2_000];
        while let Ok((len, _)) = caller.socket.recv_from(&mut buf) {
            let header = Header::parse(&buf[..len]).unwrap();
            // The browser's own sound, or the silence before the bridge.
            assert!(buf[12..len].iter().all(|b| [0x7f, 0xff].contains(b)));
            if buf[12..len].iter().all(|b| *b == 0x7f) {
                sequences.push(header.sequence);
            }
        }
        sequences.len() > 50
    });
    let all = sequences.len();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), all, "nothing comes twice");
    let mut buf = [0; 2_000];
    assert!(attacker.recv_from(&mut buf).is_err(), "nothing goes to the attacker");
    assert!(rig.media.stats().shards[0].strangers > 20);
    assert!(rig.counters(leg).dropped_srtp > 50);
    assert!(!rig.events.try_iter().any(|event| matches!(event, MediaEvent::LegDown { .. })));
}

#[test]
fn a_browser_and_an_encrypted_call_hear_each_other() {
    let rig = Rig::start(43_600, 2);
    let clock = Clock::start();
    let trunk = rig.media.open_trunk_leg(&TrunkOptions::default()).unwrap();
    let caller = UdpSocket::bind("127.0.0.1:0").unwrap();
    let session = |at, seed| {
        TrunkSession::new(seed, at, &[AudioCodec::Pcmu]).with_srtp(SrtpPolicy::Required, [seed as u8; 32])
    };
    let mut ours = session(trunk.rtp, 1);
    let (answer, there) = session(caller.local_addr().unwrap(), 2).answer(&ours.offer()).unwrap();
    rig.media.set_remote(trunk.id, ours.apply_answer(&answer).unwrap()).unwrap();
    let keys = there.srtp.unwrap();
    let (mut tx, mut rx) = (Protector::of(&keys.send).unwrap(), Unprotector::of(&keys.receive).unwrap());

    let mut browser = Browser::new(&clock, 6, Version::Dtls12);
    let (leg, answer) = rig.media.open_browser_leg(&browser.offer()).unwrap();
    assert_ne!(leg.home(), trunk.id.home(), "the call is carried to the browser's shard with its keys");
    let (socket, to) = read(&mut browser, &answer);
    drive(&clock, &mut browser, &socket, to, |browser| browser.heard.len() > 3);
    rig.media.bridge(trunk.id, leg, false).unwrap();
    caller.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let (mut sequence, mut heard, mut passed) = (100u16, 0, false);
    drive(&clock, &mut browser, &socket, to, |_| {
        sequence += 1;
        let mut wire = packet(0, sequence, u32::from(sequence) * 160, 9, &[0x2a; 160]);
        wire.resize(172 + MAX_OVERHEAD, 0);
        let len = tx.protect_rtp(&mut wire, 172).unwrap();
        caller.send_to(&wire[..len], trunk.rtp).unwrap();
        let mut buf = [0; 2_000];
        while let Ok((len, _)) = caller.recv_from(&mut buf) {
            // Silence before the bridge, then the browser's 0x7f: all of it authentic.
            let len = rx.unprotect_rtp(&mut buf[..len]).unwrap();
            heard += usize::from(buf[12..len].iter().all(|b| *b == 0x7f));
        }
        let passes =
            |event: &MediaEvent| matches!(event, MediaEvent::FirstPacket { agent, .. } if *agent == leg);
        passed |= rig.events.try_iter().any(|event| passes(&event));
        passed && heard > 5
    });
    let counters = rig.counters(trunk.id);
    assert_eq!((counters.dropped_srtp, counters.dropped_malformed), (0, 0));
}
