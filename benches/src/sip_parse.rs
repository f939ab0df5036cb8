//! What it costs to read and to write an INVITE of 1 kB with SDP, beside other SIP libraries in Rust.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use kraliki_sip::{Builder, Message, Method, Name, Request};

use crate::cpu;
use crate::results::{Better, Row};

const HEADERS: [(&str, &str); 13] = [
    ("Via", "SIP/2.0/UDP 192.0.2.17:5060;rport;branch=z9hG4bK8f1c0a6e2d4b4b0e9a77"),
    ("Max-Forwards", "70"),
    ("From", "\"Spring campaign\" <sip:+12015550100@dialer.example.com>;tag=5a1f0c9e77d24b13"),
    ("To", "<sip:+13025550142@carrier.example.net>"),
    ("Call-ID", "7d0c3b0e52f94a1f8a3c6e2b9d417f05@192.0.2.17"),
    ("CSeq", "1 INVITE"),
    ("Contact", "<sip:dialer@192.0.2.17:5060;transport=udp>"),
    ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY"),
    ("Supported", "timer, 100rel, replaces, norefersub"),
    ("User-Agent", "Example dialer/1.0"),
    ("P-Asserted-Identity", "<sip:+12015550100@dialer.example.com>"),
    ("Session-Expires", "1800;refresher=uac"),
    ("Subject", "An offer of the spring campaign"),
];
const URI: &str = "sip:+13025550142@carrier.example.net:5060;transport=udp";
const SDP: &str = "v=0\r\no=- 3915872301 3915872301 IN IP4 192.0.2.17\r\ns=-\r\nc=IN IP4 192.0.2.17\r\n\
                   t=0 0\r\nm=audio 20002 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                   a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

/// Each is measured this often, in turn with the others; the median counts.
const ROUNDS: usize = 9;
/// How long a measurement takes: the system accounts for time in steps of some ms.
const ROUND: Duration = Duration::from_millis(150);
/// Messages between two looks at the clock.
const BATCH: u64 = 500;

/// µs of CPU for one message: parse it, parse it and read what a transaction needs, write it.
#[derive(Clone, Copy)]
struct Costs {
    parse: f64,
    read: f64,
    encode: f64,
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let raw = HEADERS
        .iter()
        .fold(Builder::request(&Method::Invite, URI), |message, (name, value)| message.header(name, value));
    // Content-Type and Content-Length make it fifteen header lines.
    let raw = raw.body("application/sdp", SDP.as_bytes());
    let mut ours = Vec::new();
    let mut theirs: Vec<(&str, Vec<Costs>)> = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(measure_ours(&raw)?);
        #[cfg(feature = "peers")]
        for (place, (name, peer)) in peers::ALL.iter().enumerate() {
            if theirs.len() == place {
                theirs.push((name, Vec::new()));
            }
            if let Some((_, costs)) = theirs.get_mut(place) {
                costs.push(peer(&raw)?);
            }
        }
    }
    if theirs.is_empty() {
        theirs.push(("", Vec::new()));
    }
    let mut rows = Vec::new();
    let size = format!("{} B, 15 headers", raw.len());
    type Figure = fn(&Costs) -> f64;
    let cases: [(&str, Figure, Option<f64>, &str); 3] = [
        ("invite_1k", |c| c.parse, Some(1.3), "parse"),
        (
            "invite_1k_read",
            |c| c.read,
            None,
            "parse, then Via branch, From and To tag, Call-ID, CSeq, Contact",
        ),
        ("invite_1k_encode", |c| c.encode, Some(0.25), "write a parsed message"),
    ];
    for (case, figure, target, what) in cases {
        for (peer, costs) in &theirs {
            let row = Row::new("sip_parse", case, "us", median(&ours, figure), Better::Lower);
            let row = target.into_iter().fold(row, Row::target).note(format!("{what}; {size}"));
            rows.push(if costs.is_empty() { row } else { row.beside(peer, median(costs, figure)) });
        }
    }
    Ok(rows)
}

fn median(costs: &[Costs], figure: impl Fn(&Costs) -> f64) -> f64 {
    let mut figures: Vec<f64> = costs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// µs of CPU for one call of `work`.
fn cost(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let before = cpu::of_thread()?;
    let mut done = 0;
    loop {
        for _ in 0..BATCH {
            work()?;
        }
        done += BATCH;
        let used = cpu::of_thread()? - before;
        if used >= ROUND {
            return Ok(cpu::us_each(used, done));
        }
    }
}

fn measure_ours(raw: &Bytes) -> anyhow::Result<Costs> {
    // The copy belongs to it: the others copy what they keep, too.
    let parse = |raw: &Bytes| match Message::parse(Bytes::copy_from_slice(raw))? {
        Message::Request(request) => Ok(request),
        Message::Response(_) => Err(anyhow!("a request was taken for a response")),
    };
    let request = parse(raw)?;
    Ok(Costs {
        parse: cost(|| {
            black_box(parse(black_box(raw))?);
            Ok(())
        })?,
        read: cost(|| {
            let request = parse(black_box(raw))?;
            black_box(read_ours(&request).context("a header could not be read")?);
            Ok(())
        })?,
        encode: cost(|| {
            black_box(encode_ours(black_box(&request)));
            Ok(())
        })?,
    })
}

fn read_ours(request: &Request) -> Option<impl Sized + '_> {
    let contact = request.contact()?;
    Some((
        request.via()?.branch()?,
        request.from()?.tag()?,
        request.to()?.tag(),
        request.call_id()?,
        request.cseq()?.number,
        contact.parsed_uri()?,
    ))
}

fn encode_ours(request: &Request) -> Bytes {
    // The builder writes these two itself, from the body.
    let is_kept = |name, _: &[u8]| !matches!(name, Name::ContentType | Name::ContentLength);
    Builder::like_request(request).headers(request, is_kept).body("application/sdp", &request.body())
}

#[cfg(feature = "peers")]
mod peers {
    use super::{Bytes, Context, Costs, anyhow, black_box, cost};

    type Measure = fn(&Bytes) -> anyhow::Result<Costs>;
    pub(super) const ALL: [(&str, Measure); 2] = [("rsip", rsip), ("rsipstack", rsipstack)];

    fn rsip(raw: &Bytes) -> anyhow::Result<Costs> {
        use rsip::prelude::{HeadersExt as _, ToTypedHeader as _};
        let fail = |error: rsip::Error| anyhow!("rsip: {error}");
        let parse = |raw: &Bytes| rsip::Request::try_from(raw.as_ref()).map_err(fail);
        let request = parse(raw)?;
        Ok(Costs {
            parse: cost(|| {
                black_box(parse(black_box(raw))?);
                Ok(())
            })?,
            read: cost(|| {
                let request = parse(black_box(raw))?;
                let via = request.via_header().and_then(|h| h.typed()).map_err(fail)?;
                let from = request.from_header().and_then(|h| h.typed()).map_err(fail)?;
                let to = request.to_header().and_then(|h| h.typed()).map_err(fail)?;
                let cseq = request.cseq_header().and_then(|h| h.typed()).map_err(fail)?;
                let contact = request.contact_header().and_then(|h| h.typed()).map_err(fail)?;
                via.branch().context("no branch")?;
                from.tag().context("no tag")?;
                black_box((
                    request.call_id_header().map_err(fail)?,
                    via,
                    from,
                    to.tag(),
                    cseq.seq,
                    contact.uri,
                ));
                Ok(())
            })?,
            encode: cost(|| {
                black_box(Bytes::from(black_box(&request).to_string()));
                Ok(())
            })?,
        })
    }

    fn rsipstack(raw: &Bytes) -> anyhow::Result<Costs> {
        use rsipstack::sip::prelude::{HeadersExt as _, ToTypedHeader as _};
        use rsipstack::sip::{Error, SipMessage, parser};
        let fail = |error: Error| anyhow!("rsipstack: {error}");
        let parse = |raw: &Bytes| match parser::parse_message(raw).map_err(fail)? {
            SipMessage::Request(request) => Ok(request),
            SipMessage::Response(_) => Err(anyhow!("a request was taken for a response")),
        };
        let request = parse(raw)?;
        Ok(Costs {
            parse: cost(|| {
                black_box(parse(black_box(raw))?);
                Ok(())
            })?,
            read: cost(|| {
                let request = parse(black_box(raw))?;
                let via = request.via_header().and_then(|h| h.typed()).map_err(fail)?;
                let from = request.from_header().and_then(|h| h.typed()).map_err(fail)?;
                let to = request.to_header().and_then(|h| h.typed()).map_err(fail)?;
                let cseq = request.cseq_header().and_then(|h| h.typed()).map_err(fail)?;
                let contact = request.contact_header().and_then(|h| h.typed()).map_err(fail)?;
                via.branch().context("no branch")?;
                from.tag().context("no tag")?;
                black_box((
                    request.call_id_header().map_err(fail)?,
                    via,
                    from,
                    to.tag(),
                    cseq.seq,
                    contact.uri,
                ));
                Ok(())
            })?,
            encode: cost(|| {
                black_box(Bytes::from(black_box(&request).to_bytes()));
                Ok(())
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_read() {
        let raw = HEADERS
            .iter()
            .fold(Builder::request(&Method::Invite, URI), |m, (name, value)| m.header(name, value))
            .body("application/sdp", SDP.as_bytes());
        let Message::Request(request) = Message::parse(raw.clone()).unwrap() else { panic!("a response") };
        assert!(read_ours(&request).is_some());
        assert_eq!(request.lines().count(), 15);
        assert_eq!(encode_ours(&request), raw);
    }
}
