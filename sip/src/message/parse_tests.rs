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

/// RFC 4475 §3.1.1.1: a short tortuous INVITE.
const WSINV: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
MaX-fOrWaRdS: 0068\r\n\
Call-ID: wsinv.ndaksdj@192.0.2.1\r\n\
Content-Length   : 150\r\n\
cseq: 0009\r\n  INVITE\r\n\
Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
s :\r\n\
NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
Content-Type: application/sdp\r\n\
Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\
\r\n";

#[test]
fn a_short_tortuous_invite() {
    let body = "v=0\r\n".repeat(30);
    let request = request(&format!("{WSINV}{body}"));
    request.check().unwrap();
    assert_eq!(request.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    assert_eq!(request.from().unwrap().tag(), Some(&b"98asjd8"[..]));
    assert_eq!(request.from().unwrap().display, br#""J Rosenberg \\\"""#);
    assert_eq!(request.cseq().unwrap().number, 9);
    assert_eq!(request.values(Name::Via).count(), 3);
    let last = Via::parse(request.values(Name::Via).last().unwrap()).unwrap();
    assert_eq!((last.host, last.branch()), (&b"192.168.255.111"[..], Some(&b"z9hG4bK30239"[..])));
    assert_eq!(request.get(Name::Subject), Some(&b""[..]));
    let words: Vec<_> = request.other("newfangledheader").unwrap().split(u8::is_ascii_whitespace).collect();
    assert_eq!(words.iter().filter(|w| !w.is_empty()).count(), 5);
    assert_eq!(request.contact().unwrap().params.get("q"), Some(&b"0.33"[..]));
    assert_eq!(request.body().len(), 150);
}

use super::super::Via;

/// RFC 4475 §3.1.1.2: the widest characters that methods and URIs may have.
#[test]
fn unusual_methods_and_uris() {
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    let request =
        request(&format!("{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-.!%66*_+`'~\r\n\r\n"));
    assert_eq!(request.method().as_bytes(), method.as_bytes());
    let uri = super::super::Uri::parse(request.uri()).unwrap();
    assert_eq!(uri.host, b"example.com");
    assert_eq!(uri.user.unwrap(), b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
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

/// RFC 5118: IPv6 in every place where an address stands.
#[test]
fn ipv6() {
    let r = request(
        "REGISTER sip:[2001:db8::10] SIP/2.0\r\nTo: sip:user@example.com\r\n\
         Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111\r\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::1]:5070>\r\nCSeq: 98176 REGISTER\r\n\
         Call-ID: SSG9559905523997077@hlau_4100\r\nFrom: sip:user@example.com;tag=81x2\r\nContent-Length: 0\r\n\r\n",
    );
    r.check().unwrap();
    assert_eq!(r.via().unwrap().host, b"2001:db8::9:1");
    assert_eq!(
        r.contact().unwrap().parsed_uri().unwrap().address(),
        Some("[2001:db8::1]:5070".parse().unwrap())
    );
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
    use super::Via;

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
            let mut bytes = format!("{}{}", super::WSINV, "v=0\r\n".repeat(30)).into_bytes();
            let i = at % bytes.len();
            bytes[i] = with;
            bytes.truncate(cut.max(10));
            if let Ok(message) = Message::parse(Bytes::from(bytes)) {
                read_all(&message);
            }
        }
    }
}
