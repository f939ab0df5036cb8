//! A name server with the records of one carrier: NAPTR, SRV and A (RFC 1035, 2782, 3403), written by hand.

use std::net::{SocketAddr, UdpSocket};

const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
/// Longer than a test.
const TTL_S: u32 = 3_600;

/// Serves `carrier.test` on a thread that ends with the test's process: SIP by UDP, under a name that only its NAPTR
/// record tells, at one port first and then at the other. Everything else does not exist.
pub(super) fn serve(first: u16, second: u16) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&answer(&query[..length], first, second), from);
        }
    });
    address
}

fn answer(query: &[u8], first: u16, second: u16) -> Vec<u8> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let records: Vec<Vec<u8>> = match (labels.join(".").as_str(), kind) {
        ("carrier.test", NAPTR) => {
            let mut data = [10u16, 20].map(u16::to_be_bytes).concat();
            data.extend(b"\x01s\x07SIP+D2U\0");
            data.extend(name("_sip._udp.edge.carrier.test"));
            vec![data]
        }
        ("_sip._udp.edge.carrier.test", SRV) => {
            [(20, second, "two.carrier.test"), (10, first, "one.carrier.test")]
                .map(|(priority, port, host)| {
                    let mut data = [priority, 0, port].map(u16::to_be_bytes).concat();
                    data.extend(name(host));
                    data
                })
                .to_vec()
        }
        ("one.carrier.test" | "two.carrier.test", A) => vec![vec![127, 0, 0, 1]],
        _ => Vec::new(),
    };
    let known = labels.join(".").ends_with("carrier.test");
    let mut reply = query[..2].to_vec();
    // An authoritative answer; 3: no such name.
    reply.extend([0x85, if known { 0x80 } else { 0x83 }]);
    reply.extend([1, records.len() as u16, 0, 0].map(u16::to_be_bytes).concat());
    reply.extend(question);
    for data in records {
        // The name of the question, at offset 12.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend(1u16.to_be_bytes());
        reply.extend(TTL_S.to_be_bytes());
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    reply
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        text.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}
