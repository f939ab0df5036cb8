//! What went over the wire, as the dialer's copies for a HEP collector show it: the test is the collector.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Chunks of HEP version 3.
const SOURCE_V4: u16 = 3;
const DESTINATION_V4: u16 = 4;
const SOURCE_V6: u16 = 5;
const DESTINATION_V6: u16 = 6;
const SOURCE_PORT: u16 = 7;
const DESTINATION_PORT: u16 = 8;
const PAYLOAD: u16 = 15;
const CORRELATION: u16 = 17;

/// A message as it went.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) call_id: String,
    pub(super) text: String,
}

/// Gathers copies on a thread that ends with the test's process.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    copies: Arc<Mutex<Vec<Copy>>>,
}

impl Collector {
    pub(super) fn start() -> Collector {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let copies = Arc::<Mutex<Vec<Copy>>>::default();
        let gathered = copies.clone();
        std::thread::spawn(move || {
            let mut packet = vec![0; 65_536];
            while let Ok((length, _)) = socket.recv_from(&mut packet) {
                gathered.lock().unwrap().push(read(&packet[..length]));
            }
        });
        Collector { address, copies }
    }

    /// The messages of the calls that were placed to a number, in their order.
    pub(super) fn of_number(&self, digits: &str) -> Wire {
        let copies = self.copies.lock().unwrap();
        let invite = |copy: &&Copy| {
            copy.text.starts_with("INVITE ") && copy.text.lines().next().unwrap().contains(digits)
        };
        let ids: Vec<&str> = copies.iter().filter(invite).map(|copy| copy.call_id.as_str()).collect();
        Wire(copies.iter().filter(|copy| ids.contains(&copy.call_id.as_str())).cloned().collect())
    }
}

/// Reads a packet: the mark, the length, then vendor, type and length of each chunk with its content.
fn read(packet: &[u8]) -> Copy {
    assert_eq!(&packet[..4], b"HEP3");
    assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
    let (mut ips, mut ports) = ([None::<IpAddr>; 2], [0; 2]);
    let (mut text, mut call_id) = (String::new(), String::new());
    let mut rest = &packet[6..];
    while !rest.is_empty() {
        let number = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        let (kind, length) = (number(2), usize::from(number(4)));
        let content = &rest[6..length];
        let v4 = || Some(Ipv4Addr::from(<[u8; 4]>::try_from(content).unwrap()).into());
        let v6 = || Some(Ipv6Addr::from(<[u8; 16]>::try_from(content).unwrap()).into());
        match kind {
            SOURCE_V4 => ips[0] = v4(),
            DESTINATION_V4 => ips[1] = v4(),
            SOURCE_V6 => ips[0] = v6(),
            DESTINATION_V6 => ips[1] = v6(),
            SOURCE_PORT => ports[0] = number(6),
            DESTINATION_PORT => ports[1] = number(6),
            PAYLOAD => text = String::from_utf8_lossy(content).into_owned(),
            CORRELATION => call_id = String::from_utf8_lossy(content).into_owned(),
            _ => {}
        }
        rest = &rest[length..];
    }
    let [from, to] = [0, 1].map(|end| SocketAddr::new(ips[end].unwrap(), ports[end]));
    Copy { from, to, call_id, text }
}

/// Messages of one number's calls.
#[derive(Debug)]
pub(super) struct Wire(pub(super) Vec<Copy>);

impl Wire {
    /// Those whose first line begins like this, in a transaction of the method.
    pub(super) fn of(&self, start: &str, method: &str) -> Vec<&Copy> {
        let fits =
            |copy: &&Copy| copy.text.starts_with(start) && header(&copy.text, "CSeq").ends_with(method);
        self.0.iter().filter(fits).collect()
    }

    pub(super) fn requests(&self, method: &str) -> Vec<&Copy> {
        self.of(&format!("{method} "), method)
    }

    pub(super) fn place(&self, start: &str) -> usize {
        self.0
            .iter()
            .position(|copy| copy.text.starts_with(start))
            .unwrap_or_else(|| panic!("no {start} in {self:#?}"))
    }

    /// The first INVITE.
    pub(super) fn invite(&self) -> &Copy {
        self.requests("INVITE").first().unwrap_or_else(|| panic!("no INVITE in {self:#?}"))
    }

    /// Where the dialer wants the audio of its call.
    pub(super) fn audio_port(&self) -> u16 {
        let text = &self.invite().text;
        let line = text.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
        line.split(' ').next().unwrap().parse().unwrap()
    }
}

/// A header's value; empty when it is not there. The first of several.
pub(super) fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let head = text.split("\r\n\r\n").next().unwrap();
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .next()
        .unwrap_or_default()
}

/// A parameter of a digest, without its quotes.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> &'a str {
    let list = value.strip_prefix("Digest ").unwrap_or(value).split(',');
    let found = list.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name);
    found.map_or("", |(_, value)| value.trim_matches('"'))
}

/// An RTP end of the test's own, read when it is asked.
pub(super) struct Ear {
    socket: UdpSocket,
}

/// A packet that came.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) from: SocketAddr,
    pub(super) marker: bool,
    pub(super) kind: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) payload: Vec<u8>,
}

impl Ear {
    pub(super) fn start(ip: &str) -> Ear {
        Ear { socket: UdpSocket::bind((ip, 0)).unwrap() }
    }

    pub(super) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// The next packet, when one comes in time.
    pub(super) fn next(&self, most: Duration) -> Option<Heard> {
        self.socket.set_read_timeout(Some(most)).unwrap();
        let mut packet = [0; 2048];
        let (length, from) = self.socket.recv_from(&mut packet).ok()?;
        let p = &packet[..length];
        Some(Heard {
            from,
            marker: p[1] & 0x80 != 0,
            kind: p[1] & 0x7f,
            sequence: u16::from_be_bytes([p[2], p[3]]),
            timestamp: u32::from_be_bytes([p[4], p[5], p[6], p[7]]),
            payload: p[12..].to_vec(),
        })
    }

    /// Sends a packet; the timestamp stands still within a key.
    pub(super) fn say(&self, to: SocketAddr, kind: u8, sequence: u16, timestamp: u32, payload: &[u8]) {
        let mut packet = vec![0x80, kind];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(0x6b72_616cu32.to_be_bytes());
        packet.extend(payload);
        self.socket.send_to(&packet, to).unwrap();
    }

    /// 100 ms of sound, for those who must hear something.
    pub(super) fn speak(&self, to: SocketAddr) {
        for n in 0..5u16 {
            self.say(to, 0, n, u32::from(n) * 160, &[0x2a; 160]);
        }
    }

    /// One key as a gateway sends it (RFC 4733 §2.5.1): it grows, and its end is sent three times.
    pub(super) fn press(&self, to: SocketAddr, event: u8, sequence: u16, timestamp: u32) {
        for (n, (end, duration)) in
            [(0, 160u16), (0, 320), (0, 480), (0x80, 640), (0x80, 640), (0x80, 640)].into_iter().enumerate()
        {
            let [high, low] = duration.to_be_bytes();
            let kind = if n == 0 { 101 | 0x80 } else { 101 };
            self.say(to, kind, sequence + n as u16, timestamp, &[event, end | 10, high, low]);
        }
    }
}
