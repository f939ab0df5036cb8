//! The torture messages of RFC 4475 and RFC 5118 (IPv6), and what each layer makes of each of them.
//!
//! `torture/*/NAME.dat` is the message that the RFC calls NAME, as it would travel. Two liberties: the lines of RFC
//! 5118 end in CRLF and their Content-Length is that of the body, which the RFC has wrong three times; and the body
//! of `multi01` has a last empty line, so that it is as long as it says.
//!
//! RFC 4475 says what an element should do; where ours does something else the note begins with "More tolerant" or
//! "Stricter" and says why. In general: what is not used (a date, a display name, the headers of a Request-URI, a
//! body's type) is not judged, since a call from a trunk is worth more than a faultless one.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use super::*;
use crate::error::FrameError;
use crate::event::{AcceptFrom, EndpointConfig, Event};
use crate::transport::{LocalSocket, Transport};
use crate::{Endpoint, Frame, Framer, Output, SocketId};

/// What the parser says.
enum Parser {
    /// A message, and these values of it are as they should be.
    Takes(fn(&Message)),
    /// No message can be made of it.
    Refuses(Malformed),
    /// A message, but what every message must have is not right.
    Objects(Malformed),
}

/// What the framer of a stream says.
#[derive(Debug, PartialEq)]
enum Stream {
    /// This many messages.
    Messages(usize),
    /// It waits for more.
    Waits,
    /// The connection ends.
    Ends(FrameError),
}

/// What an endpoint does with it that takes calls from its source.
#[derive(Debug, PartialEq)]
enum Treatment {
    /// Tells its owner of a call.
    Incoming,
    /// Answers.
    Answers(u16, &'static str),
    /// Drops it as malformed.
    Malformed,
    /// Drops it: an answer to nothing.
    Unmatched,
}

use Parser::{Objects, Refuses, Takes};
use Stream::{Ends, Messages, Waits};
use Treatment::{Answers, Incoming, Unmatched};

struct Case {
    name: &'static str,
    bytes: &'static [u8],
    parser: Parser,
    stream: Stream,
    treatment: Treatment,
}

macro_rules! cases {
    ($($name:literal, $parser:expr, $stream:expr, $treatment:expr, $note:literal;)*) => {
        vec![$(Case {
            name: $name,
            bytes: include_bytes!(concat!("torture/", $name, ".dat")),
            parser: $parser,
            stream: $stream,
            treatment: $treatment,
        }),*]
    };
}

const NO_TRANSACTION: Treatment = Answers(481, "Call/Transaction Does Not Exist");
const NOT_ALLOWED: Treatment = Answers(405, "Method Not Allowed");
const OK: Treatment = Answers(200, "OK");

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    cases! {
        // §3.1.1: valid
        "rfc4475/wsinv", Takes(wsinv), Messages(1), NO_TRANSACTION,
            "A To tag that is none of ours: a request within a call that is not there (RFC 3261 §12.2.2).";
        "rfc4475/intmeth", Takes(intmeth), Messages(1), Answers(501, "Not Implemented"), "";
        "rfc4475/esc01", Takes(esc01), Messages(1), Incoming, "";
        "rfc4475/escnull", Takes(escnull), Messages(1), NOT_ALLOWED, "No registrar here.";
        "rfc4475/esc02", Takes(esc02), Messages(1), Answers(501, "Not Implemented"),
            "RE%47IST%45R is not REGISTER, and C%6Fntact not Contact.";
        "rfc4475/lwsdisp", Takes(|m| assert_eq!(request(m).from().unwrap().display, b"caller")), Messages(1), OK, "";
        "rfc4475/longreq", Takes(longreq), Messages(1), Incoming, "";
        "rfc4475/dblreq", Takes(|m| assert!(request(m).body().is_empty())), Messages(2), NOT_ALLOWED,
            "One datagram is one request, what follows it is nothing; on a stream it is a second one.";
        "rfc4475/semiuri", Takes(semiuri), Messages(1), OK, "";
        "rfc4475/transports", Takes(transports), Messages(1), OK, "";
        "rfc4475/mpart01", Takes(mpart01), Messages(1), NOT_ALLOWED, "";
        "rfc4475/unreason", Takes(unreason), Messages(1), Unmatched, "";
        "rfc4475/noreason", Takes(|m| assert_eq!((response(m).status(), response(m).reason_phrase()), (100, &b""[..]))),
            Messages(1), Unmatched, "";
        // §3.1.2: invalid
        "rfc4475/badinv01", Takes(badinv01), Messages(1), Incoming,
            "More tolerant: separators without values say nothing, all that is needed can be read.";
        "rfc4475/clerr", Refuses(Malformed::ShortBody), Waits, Answers(400, "Body Shorter Than Content-Length"), "";
        "rfc4475/ncl", Refuses(Malformed::ContentLength), Ends(FrameError::ContentLength),
            Answers(400, "Bad Content-Length"), "";
        "rfc4475/scalar02", Objects(Malformed::Header("CSeq")), Messages(1), Answers(400, "Bad CSeq"), "";
        "rfc4475/scalarlg", Objects(Malformed::Header("CSeq")), Messages(1), Treatment::Malformed, "";
        "rfc4475/quotbal", Objects(Malformed::Header("To")), Messages(1), Answers(400, "Bad To"), "";
        "rfc4475/ltgtruri", Takes(|m| assert_eq!(Uri::parse(request(m).uri()), None)), Messages(1),
            Answers(400, "Bad Request-URI"), "";
        "rfc4475/lwsruri", Refuses(Malformed::StartLine), Messages(1), Answers(400, "Bad Request Line"), "";
        "rfc4475/lwsstart", Takes(|m| assert_eq!(request(m).uri(), b"sip:user@example.com")), Messages(1), Incoming,
            "More tolerant, as the RFC allows: two spaces divide as well as one.";
        "rfc4475/trws", Takes(|m| assert_eq!(request(m).uri(), b"sip:remote-target@example.com")), Messages(1), OK,
            "More tolerant, as the RFC allows.";
        "rfc4475/escruri", Takes(escruri), Messages(1), Incoming,
            "More tolerant, as the RFC allows: nobody acts on the headers in a Request-URI.";
        "rfc4475/baddate", Takes(|m| assert!(request(m).get(Name::Date).unwrap().ends_with(b"EST"))), Messages(1),
            Incoming, "More tolerant, as the RFC allows: nobody needs the date.";
        "rfc4475/regbadct", Takes(regbadct), Messages(1), NOT_ALLOWED, "No registrar: its Contact is not looked at.";
        "rfc4475/badaspec", Takes(|m| assert_eq!(request(m).to().unwrap().uri, b"sip:t.watson@example.org")),
            Messages(1), OK, "More tolerant, as the RFC allows: white space within <> is no part of the URI.";
        "rfc4475/baddn", Takes(|m| assert_eq!(request(m).from().unwrap().display, b"Bell, Alexander")), Messages(1), OK,
            "More tolerant, as the RFC allows: From has one value, its comma divides nothing.";
        "rfc4475/badvers", Refuses(Malformed::Version), Messages(1), Answers(505, "Version Not Supported"), "";
        "rfc4475/mismatch01", Takes(|m| assert_eq!(request(m).cseq().unwrap().method, b"INVITE")), Messages(1),
            Answers(400, "Bad CSeq"), "";
        "rfc4475/mismatch02", Takes(|m| assert_eq!(request(m).cseq().unwrap().method, b"INVITE")), Messages(1),
            Answers(501, "Not Implemented"), "";
        "rfc4475/bigcode", Refuses(Malformed::StartLine), Messages(1), Treatment::Malformed, "";
        // §3.2: transactions
        "rfc4475/badbranch", Takes(|m| assert_eq!(request(m).via().unwrap().branch(), Some(&b"z9hG4bK"[..]))),
            Messages(1), OK, "The magic alone does not make two requests the same: see the test below.";
        // §3.3: applications
        "rfc4475/insuf", Objects(Malformed::Header("From")), Messages(1), Treatment::Malformed,
            "Stricter: 400 would be ideal, but without From, To and Call-ID nobody could tell whose answer it is.";
        "rfc4475/unkscm", Takes(|m| assert!(!uri(m).is_sip())), Messages(1), Answers(416, "Unsupported URI Scheme"), "";
        "rfc4475/novelsc", Takes(|m| assert_eq!(uri(m).scheme, b"soap.beep")), Messages(1),
            Answers(416, "Unsupported URI Scheme"), "";
        "rfc4475/unksm2", Takes(|m| assert_eq!(request(m).to().unwrap().parsed_uri().unwrap().scheme, b"isbn")),
            Messages(1), NOT_ALLOWED, "No registrar here.";
        "rfc4475/bext01", Takes(|m| assert!(request(m).lists(Name::Require, "nothingsupportsthiseither"))), Messages(1),
            Answers(420, "Bad Extension"), "";
        "rfc4475/invut", Takes(|m| assert_eq!(request(m).content_type().unwrap(), b"application/unknownformat")),
            Messages(1), Incoming, "Bodies are the owner's business: it answers 415 or 488.";
        "rfc4475/regaut01", Takes(|m| assert_eq!(request(m).challenges(Name::Authorization).next().unwrap().scheme,
            b"NoOneKnowsThisScheme")), Messages(1), NOT_ALLOWED, "No registrar here.";
        "rfc4475/multi01", Objects(Malformed::Header("From")), Messages(1), Answers(400, "Bad From"), "";
        "rfc4475/mcl01", Refuses(Malformed::ContentLength), Ends(FrameError::ContentLength),
            Answers(400, "Bad Content-Length"), "";
        "rfc4475/bcast", Takes(|m| assert_eq!(response(m).values(Name::Via).count(), 2)), Messages(1), Unmatched, "";
        "rfc4475/zeromf", Takes(|m| assert_eq!(request(m).get(Name::MaxForwards), Some(&b"0"[..]))), Messages(1), OK,
            "It is for us: nothing is forwarded.";
        "rfc4475/cparam01", Takes(|m| assert!(contact(m).params.has("unknownparam"))), Messages(1), NOT_ALLOWED, "";
        "rfc4475/cparam02", Takes(|m| assert!(contact(m).parsed_uri().unwrap().params.has("unknownparam"))), Messages(1),
            NOT_ALLOWED, "";
        "rfc4475/regescrt", Takes(|m| assert_eq!(contact(m).parsed_uri().unwrap().headers,
            b"Route=%3Csip:sip.example.com%3E")), Messages(1), NOT_ALLOWED, "No registrar here.";
        "rfc4475/sdp01", Takes(|m| assert_eq!(request(m).get(Name::Accept), Some(&b"text/nobodyKnowsThis"[..]))),
            Messages(1), Incoming, "More tolerant: an answer in SDP is worth a try.";
        "rfc4475/inv2543", Takes(inv2543), Ends(FrameError::NoContentLength), Incoming, "";
        // RFC 5118
        "rfc5118/ipv6-good", Takes(|m| assert_eq!(address(m), "[2001:db8::10]:5060")), Messages(1), NOT_ALLOWED, "";
        "rfc5118/ipv6-bad", Takes(|m| assert_eq!(Uri::parse(request(m).uri()), None)), Messages(1),
            Answers(400, "Bad Request-URI"), "";
        "rfc5118/port-ambiguous", Takes(|m| assert_eq!(address(m), "[2001:db8::10:5070]:5060")), Messages(1),
            NOT_ALLOWED, "";
        "rfc5118/port-unambiguous", Takes(|m| assert_eq!(address(m), "[2001:db8::10]:5070")), Messages(1), NOT_ALLOWED, "";
        "rfc5118/via-received-param-with-delim", Takes(|m| assert_eq!(received(m), b"[2001:db8::9:255]")), Messages(1),
            NO_TRANSACTION, "";
        "rfc5118/via-received-param-no-delim", Takes(|m| assert_eq!(received(m), b"2001:db8::9:255")), Messages(1), OK, "";
        "rfc5118/ipv6-in-sdp", Takes(|m| assert_eq!(address(m), "[2001:db8::10]:5060")), Messages(1), Incoming, "";
        "rfc5118/mult-ip-in-header", Takes(mult_ip_in_header), Messages(1), NO_TRANSACTION, "";
        "rfc5118/mult-ip-in-sdp", Takes(|m| assert_eq!(request(m).via().unwrap().host, b"2001:db8::9:1")), Messages(1),
            Incoming, "";
        "rfc5118/ipv4-mapped-ipv6", Takes(ipv4_mapped_ipv6), Messages(1), Incoming, "";
        "rfc5118/ipv6-bug-abnf-3-colons", Takes(|m| assert_eq!(uri(m).host, b"2001:db8:::192.0.2.1")), Messages(1), OK,
            "Tolerated, as the RFC asks; but it is no address that anything could be sent to.";
        "rfc5118/ipv6-correct-abnf-2-colons", Takes(|m| assert_eq!(address(m), "[2001:db8::c000:201]:5060")), Messages(1),
            OK, "";
    }
}

fn request(message: &Message) -> &Request {
    match message {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn response(message: &Message) -> &Response {
    match message {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn uri(message: &Message) -> Uri<'_> {
    Uri::parse(request(message).uri()).unwrap()
}

fn address(message: &Message) -> String {
    uri(message).address().unwrap().to_string()
}

fn contact(message: &Message) -> NameAddr<'_> {
    request(message).contact().unwrap()
}

fn received(message: &Message) -> &[u8] {
    request(message).via().unwrap().params.get("received").unwrap()
}

fn vias(message: &Message) -> Vec<Via<'_>> {
    request(message).values(Name::Via).map(|value| Via::parse(value).unwrap()).collect()
}

fn wsinv(m: &Message) {
    let r = request(m);
    assert!(uri(m).params.has("unknownparam"));
    assert_eq!(
        (r.to().unwrap().tag(), r.from().unwrap().tag()),
        (Some(&b"1918181833n"[..]), Some(&b"98asjd8"[..]))
    );
    assert_eq!(r.from().unwrap().display, br#""J Rosenberg \\\"""#);
    assert_eq!((r.get(Name::MaxForwards), r.get(Name::Subject)), (Some(&b"0068"[..]), Some(&b""[..])));
    assert_eq!(r.cseq().unwrap(), CSeq { number: 9, method: b"INVITE" });
    let hosts: Vec<_> = vias(m).iter().map(|via| (via.transport, via.host, via.branch().unwrap())).collect();
    assert_eq!(
        hosts,
        [
            (&b"UDP"[..], &b"192.0.2.2"[..], &b"390skdjuw"[..]),
            (b"TCP", b"spindle.example.com", b"z9hG4bK9ikj8"),
            (b"UDP", b"192.168.255.111", b"z9hG4bK30239"),
        ]
    );
    let words = r.other("newfangledheader").unwrap().split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    assert_eq!(words.count(), 5);
    assert_eq!(r.other("UnknownHeaderWithUnusualValue"), Some(&b";;,,;;,;"[..]));
    assert_eq!(
        r.get(Name::Route),
        Some(&b"<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"[..])
    );
    assert_eq!(contact(m).display, br#""Quoted string \"\"""#);
    assert_eq!(
        (contact(m).params.get("newparam"), contact(m).params.get("q")),
        (Some(&b"newvalue"[..]), Some(&b"0.33"[..]))
    );
    assert!(contact(m).params.has("secondparam"));
    assert_eq!(r.body().len(), 150);
}

fn intmeth(m: &Message) {
    let r = request(m);
    assert_eq!(r.method().as_bytes(), b"!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(uri(m).user.unwrap(), b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
    assert_eq!(uri(m).host, b"example.com");
    assert_eq!(r.via().unwrap().branch(), Some(&b"z9hG4bK-.!%66*_+`'~"[..]));
    assert_eq!(r.to().unwrap().display, b"\"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\"");
    assert_eq!(r.from().unwrap().display, b"token1~` token2'+_ token3*%!.-");
    assert_eq!(r.from().unwrap().params.get("fromParam''~+*_!.-%"), Some("\"работающий\"".as_bytes()));
    assert_eq!(r.from().unwrap().tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(r.call_id().unwrap(), br#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#);
    assert_eq!(r.other("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電".as_bytes()));
}

fn esc01(m: &Message) {
    assert_eq!((uri(m).user, uri(m).host), (Some(&b"sips%3Auser%40example.com"[..]), &b"example.net"[..]));
    assert_eq!(request(m).call_id().unwrap(), b"esc01.239409asdfakjkn23onasd0-3234");
    assert_eq!(contact(m).uri, b"sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31");
    assert_eq!(request(m).content_type(), Some(&b"application/sdp"[..]));
}

fn escnull(m: &Message) {
    let users = request(m)
        .values(Name::Contact)
        .map(|c| NameAddr::parse(c).unwrap().parsed_uri().unwrap().user.unwrap());
    assert_eq!(users.collect::<Vec<_>>(), [&b"%00"[..], b"%00%00"]);
}

fn esc02(m: &Message) {
    assert_eq!(request(m).method().as_bytes(), b"RE%47IST%45R");
    assert_eq!(request(m).values(Name::Contact).count(), 2);
    assert_eq!(request(m).other("C%6Fntact"), Some(&b"<sip:alias2@host2.example.com>"[..]));
}

fn longreq(m: &Message) {
    assert_eq!(vias(m).len(), 34);
    assert!(vias(m).iter().rev().nth(1).is_some_and(|via| via.host == b"sip1.example.com"));
    assert_eq!(request(m).from().unwrap().tag().unwrap().len(), 155);
    assert_eq!(request(m).body().len(), 150);
}

fn semiuri(m: &Message) {
    assert_eq!((uri(m).user, uri(m).host), (Some(&b"user;par=u%40example.net"[..]), &b"example.com"[..]));
    assert!(request(m).lists(Name::Accept, "message/sipfrag"));
}

fn transports(m: &Message) {
    let found: Vec<_> = vias(m).iter().map(|via| via.transport).collect();
    assert_eq!(found, [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]);
}

fn mpart01(m: &Message) {
    let body = request(m).body();
    assert_eq!(body.len(), 553);
    assert!(body.contains(&0) && body.ends_with(b"\r\n--7a9cbec02ceef655--\r\n"));
}

fn unreason(m: &Message) {
    assert_eq!(response(m).status(), 200);
    assert_eq!(response(m).reason_phrase(), "= 2**3 * 5**2 но сто девяносто девять - простое".as_bytes());
}

fn badinv01(m: &Message) {
    assert_eq!(
        (request(m).via().unwrap().host, request(m).via().unwrap().branch()),
        (&b"192.0.2.15"[..], None)
    );
    assert_eq!((contact(m).uri, contact(m).params.iter().count()), (&b"sip:joe@example.org"[..], 0));
}

fn escruri(m: &Message) {
    assert_eq!((uri(m).host, uri(m).headers), (&b"example.com"[..], &b"Route=%3Csip:example.com%3E"[..]));
}

fn regbadct(m: &Message) {
    assert_eq!(contact(m).uri, b"sip:user@example.com?Route=%3Csip:sip.example.com%3E");
}

fn inv2543(m: &Message) {
    let r = request(m);
    assert_eq!((r.via().unwrap().branch(), r.from().unwrap().tag()), (None, None));
    assert_eq!(r.body().len(), 105);
}

fn mult_ip_in_header(m: &Message) {
    let found: Vec<_> = vias(m).iter().map(|via| (via.host, via.port)).collect();
    assert_eq!(
        found,
        [(&b"2001:db8::9:1"[..], Some(6050)), (b"192.0.2.1", None), (b"2001:db8::9:255", None)]
    );
    assert_eq!(vias(m)[2].params.get("received"), Some(&b"192.0.2.200"[..]));
}

fn ipv4_mapped_ipv6(m: &Message) {
    assert_eq!((vias(m)[0].host, vias(m)[0].port), (&b"::ffff:192.0.2.10"[..], Some(19823)));
    assert_eq!(contact(m).parsed_uri().unwrap().address().unwrap().to_string(), "[::ffff:192.0.2.2]:5060");
}

/// An endpoint, and where messages come from.
fn endpoint(accept_from: AcceptFrom) -> (Endpoint, SocketAddr) {
    let bound = SocketAddr::from(([192, 0, 2, 250], 5060));
    let sockets = vec![LocalSocket { transport: Transport::Udp, bound, advertise: bound }];
    let config = EndpointConfig { sockets, accept_from, ..EndpointConfig::default() };
    (Endpoint::new(config, [7; 32]), SocketAddr::from(([192, 0, 2, 99], 5070)))
}

/// What an endpoint does with a datagram: what it sends and what it tells.
fn treat(endpoint: &mut Endpoint, from: SocketAddr, bytes: &'static [u8]) -> (Vec<Bytes>, Vec<Event>) {
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    endpoint.handle_datagram(Time::from_millis(1_000), SocketId(0), from, Bytes::from_static(bytes));
    loop {
        match endpoint.poll_output() {
            Output::Transmit(transmit) => {
                assert_eq!(transmit.to.ip(), from.ip(), "answers go where the request came from");
                sent.push(transmit.bytes);
            }
            Output::Event(event) => told.push(event),
            Output::Timeout(_) => return (sent, told),
        }
    }
}

#[test]
fn every_file_has_its_case() {
    let mut files: Vec<String> = Vec::new();
    for dir in ["rfc4475", "rfc5118"] {
        let path = format!("{}/src/message/torture/{dir}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.push(format!("{dir}/{}", name.strip_suffix(".dat").unwrap()));
        }
    }
    files.sort();
    let mut names: Vec<_> = cases().iter().map(|case| case.name).collect();
    names.sort_unstable();
    assert_eq!(names, files);
    assert_eq!(names.len(), 49 + 12);
}

#[test]
fn the_parser() {
    for case in cases() {
        println!("{}", case.name);
        let parsed = Message::parse(Bytes::from_static(case.bytes));
        let check = |message: &Message| match message {
            Message::Request(request) => request.check(),
            Message::Response(response) => response.check(),
        };
        match case.parser {
            Takes(values) => {
                let message = parsed.unwrap();
                check(&message).unwrap();
                values(&message);
            }
            Refuses(why) => assert_eq!(parsed.map(drop), Err(why)),
            Objects(why) => assert_eq!(check(&parsed.unwrap()), Err(why)),
        }
    }
}

#[test]
fn the_framer() {
    for case in cases() {
        println!("{}", case.name);
        let mut framer = Framer::new();
        let mut messages: Vec<Bytes> = Vec::new();
        let mut error = None;
        for byte in case.bytes {
            framer.push(&[*byte]);
            loop {
                match framer.next() {
                    Ok(Some(Frame::Message(message))) => messages.push(message),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(why) => {
                        error = Some(why);
                        break;
                    }
                }
            }
        }
        let said = match error {
            Some(why) => Ends(why),
            None if messages.is_empty() => Waits,
            None => Messages(messages.len()),
        };
        assert_eq!(said, case.stream);
        if said == Messages(1) {
            assert_eq!(messages[0], case.bytes);
        }
    }
}

#[test]
fn the_endpoint() {
    for case in cases() {
        println!("{}", case.name);
        let (mut endpoint, from) = endpoint(AcceptFrom::Any);
        let stats = endpoint.stats();
        // The second time it is a retransmission: the same answer, and no second call.
        let (first, told) = treat(&mut endpoint, from, case.bytes);
        let (second, again) = treat(&mut endpoint, from, case.bytes);
        assert!(again.is_empty());
        match case.treatment {
            Incoming => {
                assert!(matches!(&told[..], [Event::Incoming { .. }]), "{told:?}");
                assert!(first.iter().all(|answer| answer.starts_with(b"SIP/2.0 100 ")));
                assert_eq!(endpoint.call_count(), 1);
            }
            Answers(status, reason) => {
                assert!(told.is_empty(), "{told:?}");
                let [answer] = &first[..] else { panic!("{first:?}") };
                assert_eq!(second, first);
                let Ok(Message::Response(answer)) = Message::parse(answer.clone()) else {
                    panic!("{answer:?}")
                };
                let found = String::from_utf8_lossy(answer.reason_phrase());
                assert_eq!((answer.status(), &found[..]), (status, reason));
                let asked = match Message::parse_or_keep(Bytes::from_static(case.bytes)) {
                    Ok(message) => request(&message).clone(),
                    Err(broken) => *broken.request.unwrap(),
                };
                for name in [Name::From, Name::CallId, Name::CSeq] {
                    assert_eq!(answer.get(name), asked.get(name), "{name:?}");
                }
                assert_eq!(answer.values(Name::Via).count(), asked.values(Name::Via).count());
            }
            treatment => {
                assert!(told.is_empty() && first.is_empty() && second.is_empty(), "{told:?} {first:?}");
                let counts = (stats.dropped_malformed.get(), stats.dropped_unmatched.get());
                assert_eq!(counts, if treatment == Unmatched { (0, 2) } else { (2, 0) });
            }
        }
    }
}

#[test]
fn a_stranger_hears_nothing() {
    let (mut endpoint, from) = endpoint(AcceptFrom::Only(vec!["203.0.113.1/32".parse().unwrap()]));
    for case in cases() {
        let (sent, told) = treat(&mut endpoint, from, case.bytes);
        assert!(sent.is_empty() && told.is_empty(), "{}", case.name);
    }
    assert_eq!(endpoint.transaction_count(), 0);
}

/// RFC 4475 §3.2.1: a branch that is only the magic is none; requests are told apart as RFC 2543 did.
#[test]
fn the_magic_alone_is_no_branch() {
    let (mut endpoint, from) = endpoint(AcceptFrom::Any);
    let options = include_bytes!("torture/rfc4475/badbranch.dat");
    assert_eq!(treat(&mut endpoint, from, options).0.len(), 1);
    let other = String::from_utf8(options.to_vec()).unwrap().replace("badbranch.", "another.");
    endpoint.handle_datagram(Time::from_millis(1_001), SocketId(0), from, Bytes::from(other));
    let Output::Transmit(answer) = endpoint.poll_output() else { panic!("no answer") };
    assert!(String::from_utf8_lossy(&answer.bytes).contains("another."));
    assert_eq!(endpoint.transaction_count(), 2);
}
