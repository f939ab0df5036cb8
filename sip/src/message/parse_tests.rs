use super::*;

fn request(text: &str) -> Request {
    match Message::parse(Bytes::copy_from_slice(text.as_bytes())) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn response(bytes: &[u8]) -> Response {
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn error(text: &str) -> Malformed {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).map(drop).unwrap_err()
}

/// RFC 4475 §3.1.1.13 and what peers send: reason phrases of any bytes, or none.
#[test]
fn status_lines() {
    assert_eq!(response(b"SIP/2.0 200\r\nl: 0\r\n\r\n").status(), 200);
    assert_eq!(response(b"SIP/2.0 180 \r\nl: 0\r\n\r\n").reason_phrase(), b"");
    let odd = response(b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xff\r\nl: 0\r\n\r\n");
    assert_eq!(odd.reason_phrase(), b"= 2**3 * 5**2 \xd0\xbd\xff");
    assert_eq!(error("SIP/2.0 4294967301 better not break\r\nl: 0\r\n\r\n"), Malformed::StartLine);
    assert_eq!(error("SIP/2.0 99 low\r\nl: 0\r\n\r\n"), Malformed::StartLine);
    assert_eq!(error("SIP/7.0 200 OK\r\nl: 0\r\n\r\n"), Malformed::Version);
}

/// RFC 4475 §3.1.2: request lines that must not be taken.
#[test]
fn bad_request_lines() {
    let tail = "Via: SIP/2.0/UDP h\r\n\r\n";
    assert_eq!(error(&format!("INVITE sip:u@h; lr SIP/2.0\r\n{tail}")), Malformed::StartLine);
    assert_eq!(error(&format!("INVITE <sip:u@h> \"x\" SIP/2.0\r\n{tail}")), Malformed::StartLine);
    assert_eq!(error(&format!("OPTIONS sip:t@h SIP/7.0\r\n{tail}")), Malformed::Version);
    assert_eq!(error(&format!("IN(VITE sip:t@h SIP/2.0\r\n{tail}")), Malformed::StartLine);
    assert_eq!(error(&format!("OPTIONS sip:\0t@h SIP/2.0\r\n{tail}")), Malformed::Uri);
    assert_eq!(error(&format!("OPTIONS sip:t\rx@h SIP/2.0\r\n{tail}")), Malformed::Uri);
    assert_eq!(error("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Malformed::StartLine);
    // Trailing and doubled spaces do no harm (§3.1.2.4 allows to be liberal).
    request(&format!("OPTIONS  sip:t@h SIP/2.0  \r\n{tail}"));
}

#[test]
fn bodies_and_content_length() {
    let with =
        |length: &str, body: &str| format!("MESSAGE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n{length}\r\n{body}");
    assert_eq!(&request(&with("l: 3\r\n", "abcdef")).body()[..], b"abc");
    assert_eq!(&request(&with("", "abcdef")).body()[..], b"abcdef");
    assert_eq!(error(&with("Content-Length: 9999\r\n", "abc")), Malformed::ShortBody);
    assert_eq!(&request(&with("l: 0000000000003\r\n", "abcdef")).body()[..], b"abc");
    assert_eq!(error(&with("l: 18446744073709551619\r\n", "abc")), Malformed::ShortBody);
    assert_eq!(error(&with("Content-Length: -999\r\n", "abc")), Malformed::ContentLength);
    assert_eq!(error(&with("Content-Length: 3\r\nl: 4\r\n", "abcd")), Malformed::ContentLength);
    assert_eq!(error("MESSAGE sip:a@b SIP/2.0\r\n"), Malformed::Truncated);
}

#[test]
fn leading_breaks_bare_newlines_and_lines_without_a_colon() {
    let r = request("\r\n\r\nOPTIONS sip:a@b SIP/2.0\nTo: <sip:a@b>\nnonsense\nf: <sip:c@d>;tag=1\n\nbody");
    assert_eq!(r.from().unwrap().tag(), Some(&b"1"[..]));
    assert_eq!(&r.body()[..], b"body");
}

/// Row 28 of what carriers and phones really do: all of this makes a call, or must not lose one.
mod interop_28 {
    use super::super::super::{Uri, Via};
    use super::*;

    const HEAD: &str = "Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
                        Call-ID: x\r\nCSeq: 1 INVITE\r\n";

    #[test]
    fn a_missing_to_tag() {
        let answer = response(format!("SIP/2.0 200 OK\r\n{HEAD}l: 0\r\n\r\n").as_bytes());
        answer.check().unwrap();
        assert_eq!(answer.to().unwrap().tag(), None);
        let empty =
            response(format!("SIP/2.0 200 OK\r\n{}\r\n", HEAD.replace("c@d>", "c@d>;tag=")).as_bytes());
        empty.check().unwrap();
        assert_eq!(empty.to().unwrap().tag(), None);
    }

    #[test]
    fn no_content_length_on_udp() {
        let answer = response(format!("SIP/2.0 200 OK\r\n{HEAD}\r\nv=0\r\n").as_bytes());
        assert_eq!(&answer.body()[..], b"v=0\r\n");
        let without_a_body = response(format!("SIP/2.0 180 Ringing\r\n{HEAD}\r\n").as_bytes());
        assert!(without_a_body.body().is_empty());
        // Not even the empty line.
        response(format!("SIP/2.0 180 Ringing\r\n{HEAD}").as_bytes()).check().unwrap();
    }

    #[test]
    fn odd_sdp_lines_are_passed_on_untouched() {
        let sdp = "v=0\no = x\r\n\r\nm=audio 0 RTP/AVP\ra=\u{e9}\0\r\nContent-Length: 3\r\n";
        let request = request(&format!("INVITE sip:c@d SIP/2.0\r\n{HEAD}l: {}\r\n\r\n{sdp}", sdp.len()));
        assert_eq!(&request.body()[..], sdp.as_bytes());
    }

    #[test]
    fn reason_phrases_that_are_not_utf8_or_not_there() {
        let latin1 = [b"SIP/2.0 486 occup\xe9\r\n".as_slice(), HEAD.as_bytes(), b"\r\n"].concat();
        assert_eq!(response(&latin1).reason_phrase(), b"occup\xe9");
        for line in ["SIP/2.0 486", "SIP/2.0 486 ", "sip/2.0   486"] {
            let bare = response(format!("{line}\r\n{HEAD}\r\n").as_bytes());
            assert_eq!((bare.status(), bare.reason_phrase()), (486, &b""[..]));
        }
    }

    #[test]
    fn folded_and_compact_headers_and_several_values_in_a_line() {
        let r = request(
            "INVITE sip:c@d SIP/2.0\r\nv:SIP/2.0/UDP h1\r\n\t;branch=z9hG4bKa,\r\n SIP/2.0/TCP h2;branch=z9hG4bKb\r\n\
             f: <sip:a@b>\r\n ;tag=1\r\nt: <sip:c@d>\r\ni: x\r\nCSeq: 1\r\n INVITE\r\nm: <sip:a@e>,<sip:a@f>\r\n\
             k: timer, 100rel\r\nc: application/sdp\r\nl: 0\r\n\r\n",
        );
        r.check().unwrap();
        let vias: Vec<_> = r.values(Name::Via).map(|value| Via::parse(value).unwrap().host).collect();
        assert_eq!(vias, [&b"h1"[..], b"h2"]);
        assert_eq!((r.from().unwrap().tag(), r.cseq().unwrap().number), (Some(&b"1"[..]), 1));
        assert_eq!(r.values(Name::Contact).count(), 2);
        assert!(r.lists(Name::Supported, "100REL"));
        assert_eq!(r.content_type(), Some(&b"application/sdp"[..]));
    }

    #[test]
    fn escaped_quotes() {
        let from = r#""A \"B\", C; <sip:x@y>;tag=9" <sip:a@b>;tag=1"#;
        let r = request(&format!("INVITE sip:c@d SIP/2.0\r\n{}\r\n", HEAD.replace("<sip:a@b>;tag=1", from)));
        r.check().unwrap();
        assert_eq!((r.from().unwrap().uri, r.from().unwrap().tag()), (&b"sip:a@b"[..], Some(&b"1"[..])));
    }

    #[test]
    fn ipv6_and_tel() {
        let r = request(&format!(
            "INVITE tel:+1-555-0100;phone-context=x SIP/2.0\r\n{}Contact: <sip:a@[2001:db8::1]:5070>\r\n\r\n",
            HEAD.replace("UDP h;", "UDP [2001:db8::9:1]:5080;")
        ));
        assert_eq!(Uri::parse(r.uri()).unwrap().user, Some(&b"+1-555-0100"[..]));
        assert_eq!((r.via().unwrap().host, r.via().unwrap().port), (&b"2001:db8::9:1"[..], Some(5080)));
        let contact = r.contact().unwrap().parsed_uri().unwrap();
        assert_eq!(contact.address(), Some("[2001:db8::1]:5070".parse().unwrap()));
    }

    #[test]
    fn unknown_methods_and_leading_line_breaks() {
        let r = request(&format!("\r\n\r\nFOO sip:c@d SIP/2.0\r\n{}\r\n", HEAD.replace("INVITE", "FOO")));
        r.check().unwrap();
        assert_eq!(*r.method(), Method::Other(Bytes::from_static(b"FOO")));
        // Methods are case-sensitive: this is another one.
        assert_ne!(*request("invite sip:c@d SIP/2.0\r\nl: 0\r\n\r\n").method(), Method::Invite);
    }

    #[test]
    fn a_body_shorter_than_its_content_length_is_refused() {
        let short = format!("INVITE sip:c@d SIP/2.0\r\n{HEAD}Content-Length: 5\r\n\r\nv=0\n");
        assert_eq!(error(&short), Malformed::ShortBody);
        assert_eq!(error(&short.replace("INVITE sip:c@d SIP/2.0", "SIP/2.0 200 OK")), Malformed::ShortBody);
    }
}

/// What has no name is no header: nobody can ask for it, and nobody may be told of it.
#[test]
fn lines_without_a_name_are_passed_over() {
    let r = request(
        "OPTIONS sip:a@b SIP/2.0\r\nA: 1\r\n\0\0B: 2\r\n: 3\r\nC D: 4\r\n\rl: 9\r\nE\u{7}: 5\r\nF : 6\r\n\r\n",
    );
    let labels: Vec<_> = r.lines().map(|(_, label, _)| label).collect();
    assert_eq!(labels, [&b"A"[..], b"F"]);
}

/// Two different values where only one may stand: nobody knows which of them others act on.
#[test]
fn contradictions_are_refused() {
    let one = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n\
               CSeq: 1 OPTIONS\r\n";
    request(&format!("{one}\r\n")).check().unwrap();
    for (line, name) in [
        ("f: <sip:b@b>", "From"),
        ("t: <sip:c@d>;tag=1", "To"),
        ("i: y", "Call-ID"),
        ("CSEQ: 2 OPTIONS", "CSeq"),
    ] {
        let twice = request(&format!("{one}{line}\r\n\r\n")).check();
        assert_eq!(twice, Err(Malformed::Header(name)));
    }
    request(&format!("{one}i: x\r\n\r\n")).check().unwrap();
}

#[test]
fn too_much_is_refused() {
    let many = format!("OPTIONS sip:a@b SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(limits::HEADER_LINES + 1));
    assert_eq!(error(&many), Malformed::TooManyHeaders);
    let large = "x".repeat(limits::MESSAGE_BYTES + 1);
    assert_eq!(error(&large), Malformed::TooLarge);
}

mod random {
    use super::super::*;
    use proptest::prelude::*;

    fn read_all(message: &Message) {
        let headers: &Headers = match message {
            Message::Request(r) => {
                let _ = super::super::super::Uri::parse(r.uri());
                r
            }
            Message::Response(r) => r,
        };
        let _ =
            (headers.check(), headers.reasons(), headers.retry_after_s(), headers.body(), headers.contact());
        for (_, _, value) in headers.lines() {
            for v in super::super::super::Values::new(value) {
                let _ = super::super::super::NameAddr::parse(v).map(|a| (a.tag(), a.parsed_uri()));
                let _ = Via::parse(v).map(|via| via.branch());
                let _ = super::super::super::Reason::parse(v);
                let _ = super::super::super::Challenge::parse(v).map(|c| c.get("nonce"));
            }
        }
    }
    use crate::Via;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(message) = Message::parse(Bytes::from(bytes)) {
                read_all(&message);
            }
        }

        #[test]
        fn a_damaged_message_never_panics(at in 0usize..1_000, with in any::<u8>(), cut in 0usize..1_200) {
            let mut bytes = include_bytes!("torture/rfc4475/wsinv.dat").to_vec();
            let i = at % bytes.len();
            bytes[i] = with;
            bytes.truncate(cut.max(10));
            if let Ok(message) = Message::parse(Bytes::from(bytes)) {
                read_all(&message);
            }
        }
    }
}
