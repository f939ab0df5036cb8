//! Beside rsip, an independent parser: messages that both can read say the same to both.
//!
//! Where rsip is wrong or reads less, nothing is generated:
//! - methods: it knows 14 and takes them in any case (RFC 3261 §7.1 has them case-sensitive, and any token may be one);
//! - a user part with a dot, or with `;`, `?`, `/` is cut or refused; headers of a URI are dropped;
//! - parameter values must be tokens: no quoted string, no IPv6;
//! - tel: and other schemes are refused, or written with `://`;
//! - folded lines, white space before the colon and bare LF end the message; white space at a value's end stays;
//! - compact names are unknown headers to it;
//! - Content-Length does not end the body;
//! - a status line needs a reason phrase, and that of a known status is forgotten;
//! - several values in one line are one value to it.

use super::*;
use proptest::prelude::*;
use rsip::prelude::{ToTypedHeader as _, UntypedHeader as _};

const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?\\.[a-z]{2,8}",
        any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
    ]
}

fn params() -> impl Strategy<Value = String> {
    let param = ("p[a-z0-9-]{1,8}", proptest::option::of("[a-zA-Z0-9.!%*_+`'~-]{1,12}"));
    proptest::collection::vec(param, 0..4).prop_map(|params| {
        params
            .into_iter()
            .map(|(name, value)| value.map_or(format!(";{name}"), |v| format!(";{name}={v}")))
            .collect()
    })
}

fn uri() -> impl Strategy<Value = String> {
    let user = proptest::option::of("[+a-zA-Z0-9_%-]{1,15}(:[a-z0-9]{1,6})?");
    (
        prop_oneof![Just("sip"), Just("sips"), Just("SIP")],
        user,
        host(),
        proptest::option::of(1u16..),
        params(),
    )
        .prop_map(|(scheme, user, host, port, params)| {
            let user = user.map_or(String::new(), |user| format!("{user}@"));
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            format!("{scheme}:{user}{host}{port}{params}")
        })
}

fn address(tag: &'static str) -> impl Strategy<Value = String> {
    let display = prop_oneof![Just(String::new()), "[a-zA-Z]{1,10} ", "\"[a-zA-Z0-9 .]{0,15}\" "];
    (display, uri(), "[a-zA-Z0-9]{1,20}").prop_map(move |(display, uri, value)| match tag {
        "" => format!("{display}<{uri}>"),
        tag => format!("{display}<{uri}>;{tag}={value}"),
    })
}

fn other_header() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        Just("Subject".to_string()),
        Just("user-agent".to_string()),
        Just("Record-Route".to_string()),
        Just("Supported".to_string()),
        "X-[a-zA-Z0-9.!%*_+`'~-]{1,20}",
    ];
    (name, proptest::option::of("[!-~]([ -~é]{0,60}[!-~])?"))
        .prop_map(|(name, value)| (name, value.unwrap_or_default()))
}

/// Header lines and a body.
fn rest() -> impl Strategy<Value = (Vec<(String, String)>, Vec<u8>)> {
    let via =
        (host(), proptest::option::of(1u16..), "[a-zA-Z0-9.-]{1,20}").prop_map(|(host, port, branch)| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            format!("SIP/2.0/UDP {host}{port};branch=z9hG4bK{branch}")
        });
    let needed = (
        via,
        address("tag"),
        prop_oneof![address("tag"), address("")],
        "[a-zA-Z0-9@.-]{1,30}",
        0..=i32::MAX,
        address("q"),
    );
    (
        needed,
        proptest::collection::vec(other_header(), 0..12),
        proptest::collection::vec(any::<u8>(), 0..300),
        any::<u64>(),
    )
        .prop_map(|((via, from, to, call_id, cseq, contact), others, body, order)| {
            let needed = [
                ("Via", via),
                ("from", from),
                ("To", to),
                ("Call-ID", call_id),
                ("CSEQ", format!("{cseq} INVITE")),
                ("Contact", contact),
                ("Content-Length", body.len().to_string()),
            ];
            let mut lines: Vec<_> =
                needed.map(|(name, value)| (name.to_string(), value)).into_iter().chain(others).collect();
            let turn = order as usize % lines.len();
            lines.rotate_left(turn);
            (lines, body)
        })
}

fn write(start: &str, lines: &[(String, String)], body: &[u8]) -> Bytes {
    let head: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Bytes::from([start.as_bytes(), b"\r\n", head.as_bytes(), b"\r\n", body].concat())
}

/// Every header line and the body, and what each makes of the ones that a transaction needs.
fn compare(ours: &Headers, theirs: &impl rsip::prelude::HeadersExt, body: &[u8]) {
    let found: Vec<_> = ours
        .lines()
        .map(|(_, label, value)| {
            (String::from_utf8_lossy(label).to_lowercase(), String::from_utf8_lossy(value))
        })
        .collect();
    let expected: Vec<_> = theirs
        .headers()
        .iter()
        .map(|header| {
            let line = header.to_string();
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_string())
        })
        .collect();
    assert_eq!(found.len(), expected.len());
    for ((name, value), (their_name, their_value)) in found.iter().zip(&expected) {
        assert_eq!((name, value.as_ref()), (their_name, their_value.as_str()));
    }
    assert_eq!(&ours.body()[..], body);

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let via = theirs.via_header().unwrap().typed().unwrap();
    assert_eq!(
        ours.via().and_then(|via| via.branch()).map(text),
        via.branch().map(|branch| branch.to_string())
    );
    assert_eq!(text(ours.via().unwrap().host), via.uri.host().to_string());
    assert_eq!(ours.via().unwrap().port, via.uri.port().map(|port| port.value().to_owned()));
    let from = theirs.from_header().unwrap().typed().unwrap();
    assert_eq!(ours.from().and_then(|from| from.tag()).map(text), from.tag().map(|tag| tag.to_string()));
    compare_uri(ours.from().unwrap().uri, &from.uri);
    let to = theirs.to_header().unwrap().typed().unwrap();
    assert_eq!(ours.to().and_then(|to| to.tag()).map(text), to.tag().map(|tag| tag.to_string()));
    compare_uri(ours.to().unwrap().uri, &to.uri);
    let cseq = theirs.cseq_header().unwrap().typed().unwrap();
    assert_eq!(ours.cseq().unwrap().number, cseq.seq);
    assert_eq!(text(ours.cseq().unwrap().method), cseq.method.to_string());
    assert_eq!(text(ours.call_id().unwrap()), theirs.call_id_header().unwrap().value());
    compare_uri(ours.contact().unwrap().uri, &theirs.contact_header().unwrap().typed().unwrap().uri);
}

fn compare_uri(ours: &[u8], theirs: &rsip::Uri) {
    let uri = Uri::parse(ours).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // It writes the scheme in small letters.
    assert_eq!(text(ours).replace("SIP:", "sip:"), theirs.to_string());
    assert_eq!(uri.user.map(text).as_deref(), theirs.user());
    assert_eq!(text(uri.host), theirs.host().to_string());
    assert_eq!(uri.port, theirs.port().map(|port| port.value().to_owned()));
    assert_eq!(uri.params.iter().count(), theirs.params.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests(method in proptest::sample::select(&METHODS[..]), uri in uri(), (lines, body) in rest()) {
        let raw = write(&format!("{method} {uri} SIP/2.0"), &lines, &body);
        let theirs = rsip::Request::try_from(&raw[..]).unwrap();
        let Ok(Message::Request(ours)) = Message::parse(raw) else { panic!("no request") };
        assert_eq!(String::from_utf8_lossy(ours.method().as_bytes()), theirs.method.to_string());
        compare_uri(ours.uri(), &theirs.uri);
        compare(&ours, &theirs, &theirs.body);
    }

    #[test]
    fn responses(status in 100u16..700, phrase in "[!-~][ -~]{0,20}", (lines, body) in rest()) {
        let raw = write(&format!("SIP/2.0 {status} {phrase}"), &lines, &body);
        let theirs = rsip::Response::try_from(&raw[..]).unwrap();
        let Ok(Message::Response(ours)) = Message::parse(raw) else { panic!("no response") };
        assert_eq!(ours.status(), u16::from(theirs.status_code.clone()));
        assert_eq!(String::from_utf8_lossy(ours.reason_phrase()), phrase.trim());
        compare(&ours, &theirs, &theirs.body);
    }
}

/// What we write is what rsip reads.
#[test]
fn it_reads_what_we_write() {
    let raw = Builder::request(&Method::Invite, "sip:c@d.example")
        .header("Via", "SIP/2.0/UDP h.example;branch=z9hG4bKa")
        .header("From", "<sip:a@b.example>;tag=1")
        .header("To", "<sip:c@d.example>")
        .header("Call-ID", "x")
        .header("CSeq", "1 INVITE")
        .header("Contact", "<sip:a@h.example>")
        .body("application/sdp", b"v=0\r\n");
    let theirs = rsip::Request::try_from(&raw[..]).unwrap();
    let Ok(Message::Request(ours)) = Message::parse(raw) else { panic!("no request") };
    compare(&ours, &theirs, b"v=0\r\n");
}
