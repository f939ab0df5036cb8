use super::*;
use crate::sdp::{AudioCodec, Mismatch, Negotiated, TrunkSession};
use crate::srtp::tests::hex;

/// The keys that RFC 4568 writes in its examples (§5 and §6.1), and what they stand for.
const WVN: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const PS1: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn octets(value: &str) -> Option<Vec<u8>> {
    read(value).map(|(_, key)| key.octets().to_vec())
}

#[test]
fn the_lines_of_rfc_4568_and_7714() {
    let cm = "AES_CM_128_HMAC_SHA1_80";
    assert_eq!(octets(&format!("1 {cm} inline:{WVN}")).unwrap(), *b"YS___semctl () {\t220;}\n}\nunles");
    assert_eq!(
        octets(&format!("734 {cm}  inline:{PS1}|2^20 ")).unwrap(),
        *b"=-n@%^x!Bjufr9)?,#5h\\`=&]{qiPQ"
    );
    assert_eq!(read(&format!("1 {cm} inline:{PS1}")).unwrap().0, 1);
    assert_eq!(read(&format!("999999999 {} INLINE:{PS1}", cm.to_lowercase())).unwrap().0, 999_999_999);
    // 28 and 44 octets, with their padding and without.
    let gcm = hex("000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab");
    for text in ["AAECAwQFBgcICQoLDA0OD6ChoqOkpaanqKmqqw==", "AAECAwQFBgcICQoLDA0OD6ChoqOkpaanqKmqqw"] {
        let (_, key) = read(&format!("2 AEAD_AES_128_GCM inline:{text}")).unwrap();
        assert_eq!((key.profile(), key.octets()), (Profile::AeadAes128Gcm, &gcm[..]));
    }
    let long = MasterKey::from_octets(Profile::AeadAes256Gcm, &[7; 44]).unwrap();
    let written = line(3, &long).value.unwrap();
    assert!(written.starts_with("3 AEAD_AES_256_GCM inline:BwcH") && written.ends_with("Bwc="), "{written}");
    assert!(read(&written).unwrap().1.is_same(&long));
}

#[test]
fn what_cannot_be_done_is_passed_over() {
    let line = |rest: &str| read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{WVN}{rest}"));
    for good in ["", "|2^48", "|1048576", " WSH=128", "|2^31 -X wsh=64"] {
        assert!(line(good).is_some(), "{good}");
    }
    // A master key identifier, several keys, parameters that change the packets, lifetimes that are none.
    for bad in [
        "|2^20|1:4",
        "|1:4",
        "|",
        "|0",
        "|2^49",
        "|2^x",
        "|2^99",
        "|2^20|2^20",
        "x",
        &format!(";inline:{PS1}"),
        " FEC_ORDER=FEC_SRTP",
        " UNENCRYPTED_SRTCP",
        " UNAUTHENTICATED_SRTP",
        " KDR=1",
        " WSH=64 UNENCRYPTED_SRTP",
    ] {
        assert!(line(bad).is_none(), "{bad}");
    }
    for bad in [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        "x AES_CM_128_HMAC_SHA1_80 inline:",
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
        &format!("1 AES_CM_128_HMAC_SHA1_80 uri:{WVN}"),
        &format!("1 AES_CM_128_HMAC_SHA1_32 inline:{WVN}"),
        &format!("1 F8_128_HMAC_SHA1_80 inline:{WVN}"),
        &format!("1 AEAD_AES_128_GCM inline:{WVN}"),
        &format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{WVN}"),
        &format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{WVN}"),
    ] {
        assert!(read(bad).is_none(), "{bad}");
    }
    assert_eq!(line("|2^20").unwrap().1.packets(), 1 << 20);
}

proptest::proptest! {
    #[test]
    fn lines_never_panic(value in "[ -~]{0,120}", tail in "[ -~]{0,40}") {
        let _ = read(&value);
        let _ = read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{tail}"));
        let _ = read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{WVN}{tail}"));
    }
}

fn session(policy: SrtpPolicy) -> TrunkSession {
    TrunkSession::new(4_000, "192.0.2.1:20000".parse().unwrap(), &AudioCodec::G711).with_srtp(policy, [1; 32])
}

fn far(policy: SrtpPolicy) -> TrunkSession {
    TrunkSession::new(8_000, "192.0.2.2:30000".parse().unwrap(), &AudioCodec::G711).with_srtp(policy, [2; 32])
}

fn body(media: &str) -> Vec<u8> {
    format!("v=0\no=- 1 1 IN IP4 192.0.2.2\ns=-\nc=IN IP4 192.0.2.2\nt=0 0\n{media}\n").into_bytes()
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

fn with_key(proto: &str, port: u16, key: &str) -> Vec<u8> {
    body(&format!("m=audio {port} {proto} 0\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:{key}"))
}

#[test]
fn offers_by_policy() {
    use SrtpPolicy::{Off, Optional, Required};
    let of = |policy| text(&session(policy).offer());
    assert!(of(Off).contains(" RTP/AVP ") && !of(Off).contains("crypto"));
    assert!(of(Optional).contains(" RTP/AVP ") && of(Required).contains(" RTP/SAVP "));
    for offer in [of(Optional), of(Required)] {
        let lines: Vec<&str> = offer.lines().filter_map(|l| l.strip_prefix("a=crypto:")).collect();
        let read: Vec<_> =
            lines.iter().map(|l| read(l).unwrap()).map(|(tag, k)| (tag, k.profile())).collect();
        assert_eq!(read, (1..).zip(SUITES).collect::<Vec<_>>());
    }
    // The same offer again is the same, keys and all.
    let mut again = session(Required);
    assert_eq!(again.offer(), again.offer());
}

#[test]
fn every_pair_of_policies_agrees_or_says_why() {
    use SrtpPolicy::{Off, Optional, Required};
    for (ours, theirs, expected) in [
        (Off, Off, Ok(false)),
        (Off, Optional, Ok(false)),
        (Off, Required, Err(Mismatch::NoKey)),
        (Optional, Off, Ok(false)),
        (Optional, Optional, Ok(true)),
        (Optional, Required, Ok(true)),
        (Required, Off, Err(Mismatch::Transport("RTP/SAVP".into()))),
        (Required, Optional, Ok(true)),
        (Required, Required, Ok(true)),
    ] {
        let (mut near, mut far) = (session(ours), far(theirs));
        let agreed = far.answer(&near.offer()).map(|(answer, there)| {
            let here = near.apply_answer(&answer).unwrap();
            if let Some((a, b)) = here.srtp.zip(there.srtp) {
                assert!(a.send.is_same(&b.receive) && a.receive.is_same(&b.send) && !a.send.is_same(&b.send));
                assert_eq!(text(&answer).matches("a=crypto:1 AEAD_AES_128_GCM inline:").count(), 1);
            }
            assert_eq!(here.srtp.is_some(), there.srtp.is_some());
            there.srtp.is_some()
        });
        assert_eq!(agreed, expected, "{ours:?} {theirs:?}");
    }
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    use SrtpPolicy::{Optional, Required};
    let of =
        |policy, answer: &[u8]| session(policy).apply_answer(answer).map(|n: Negotiated| n.srtp.is_some());
    let plain = body("m=audio 30000 RTP/AVP 0");
    let mki = with_key("RTP/SAVP", 30_000, &format!("{WVN}|2^20|1:4"));
    assert_eq!(of(Optional, &plain), Ok(false));
    assert_eq!(of(Required, &plain), Err(Mismatch::NoKey));
    for policy in [Optional, Required] {
        assert_eq!(of(policy, &mki), Err(Mismatch::NoKey));
        assert_eq!(of(policy, &body("m=audio 30000 RTP/SAVP 0")), Err(Mismatch::NoKey));
        // Over either transport, and with whatever tag.
        assert_eq!(of(policy, &with_key("RTP/AVP", 30_000, WVN)), Ok(true));
        assert_eq!(of(policy, &with_key("RTP/SAVP", 30_000, WVN)), Ok(true));
        let dtls = body("m=audio 30000 UDP/TLS/RTP/SAVPF 0");
        assert_eq!(of(policy, &dtls), Err(Mismatch::Transport("UDP/TLS/RTP/SAVPF".into())));
    }
}

#[test]
fn an_offer_is_answered_over_its_transport_with_its_tag() {
    let lines = format!(
        "m=audio 30000 RTP/SAVPF 8\na=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{WVN}\n\
         a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{WVN}|2^20|1:4\n\
         a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{PS1}|2^20\na=crypto:6 AEAD_AES_128_GCM inline:x"
    );
    let mut ours = session(SrtpPolicy::Optional);
    let (answer, agreed) = ours.answer(&body(&lines)).unwrap();
    let answer = text(&answer);
    assert!(answer.contains("m=audio 20000 RTP/SAVPF 8\r\n"), "{answer}");
    let keys = agreed.srtp.unwrap();
    assert_eq!((keys.receive.octets()[0], keys.receive.packets()), (b'=', 1 << 20));
    let line = answer.lines().find_map(|l| l.strip_prefix("a=crypto:")).unwrap();
    assert_eq!(answer.matches("a=crypto:").count(), 1);
    let (tag, key) = read(line).unwrap();
    assert!(tag == 5 && key.is_same(&keys.send));
    // What they wanted is what we offer from then on.
    assert!(text(&ours.offer()).contains(" RTP/SAVP "));
    // The stream that fits is taken, be it the second one.
    let two = format!("{lines}\nm=audio 30002 RTP/AVP 0");
    let (answer, agreed) = session(SrtpPolicy::Off).answer(&body(&two)).unwrap();
    assert!(text(&answer).contains("m=audio 0 RTP/SAVPF 8\r\nm=audio 20000 RTP/AVP 0\r\n"));
    assert!(agreed.srtp.is_none() && agreed.remote.port() == 30_002);
}

#[test]
fn our_key_changes_when_either_end_is_another_machine() {
    let mut ours = session(SrtpPolicy::Required);
    ours.offer();
    let first = ours.apply_answer(&with_key("RTP/SAVP", 30_000, WVN)).unwrap().srtp.unwrap();
    let mut offered = |port, key| ours.answer(&with_key("RTP/SAVP", port, key)).unwrap().1.srtp.unwrap();
    // A refresh, another address, another key: ours stays.
    assert_eq!(offered(30_000, WVN), first);
    assert_eq!(offered(31_000, WVN), first);
    let rekeyed = offered(31_000, PS1);
    assert!(rekeyed.send.is_same(&first.send) && !rekeyed.receive.is_same(&first.receive));
    // Both: another machine, which knows no roll-over counter.
    let moved = offered(32_000, WVN);
    assert!(!moved.send.is_same(&first.send));
    assert_eq!(offered(32_000, WVN), moved);
    // So are we, at another address (RFC 4568 §7.1.4).
    ours.set_rtp("192.0.2.1:22000".parse().unwrap());
    let (_, here) = ours.answer(&with_key("RTP/SAVP", 32_000, WVN)).unwrap();
    assert!(!here.srtp.unwrap().send.is_same(&moved.send));
}

#[test]
fn no_key_is_ever_shown() {
    let mut ours = session(SrtpPolicy::Required);
    let offer = text(&ours.offer());
    let agreed = ours.apply_answer(&with_key("RTP/SAVP", 30_000, WVN)).unwrap();
    let description = crate::sdp::parse(offer.as_bytes()).unwrap();
    let shown = format!("{ours:?} {agreed:?} {description:?}");
    assert!(shown.contains("AesCm128HmacSha1_80") && !shown.contains(WVN), "{shown}");
    for key in offer.split("inline:").skip(1) {
        assert!(!shown.contains(&key[..20]), "{shown}");
    }
}
