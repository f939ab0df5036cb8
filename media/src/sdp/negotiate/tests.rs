use proptest::prelude::*;

use super::*;

fn session() -> TrunkSession {
    TrunkSession::new(4000, "192.0.2.1:20000".parse().unwrap(), &AudioCodec::G711)
}

fn body(lines: &str) -> Vec<u8> {
    format!("v=0\no=- 1 1 IN IP4 198.51.100.9\ns=-\nc=IN IP4 198.51.100.9\nt=0 0\n{lines}").into_bytes()
}

#[test]
fn the_offer_is_strict() {
    let offer = session().offer();
    assert_eq!(
        std::str::from_utf8(&offer).unwrap(),
        "v=0\r\no=- 1000 1000 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 0 8 13 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:13 CN/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn the_version_grows_only_when_something_changed() {
    let mut s = session();
    let first = s.offer();
    assert_eq!(s.offer(), first);
    s.set_direction(Direction::SendOnly);
    let held = s.offer();
    let held = std::str::from_utf8(&held).unwrap();
    assert!(held.contains("o=- 1000 1001 "), "{held}");
    assert!(held.contains("a=sendonly"), "{held}");
    s.set_direction(Direction::SendRecv);
    assert!(std::str::from_utf8(&s.offer()).unwrap().contains("o=- 1000 1002 "));
}

#[test]
fn an_answer_without_rtpmap_is_understood() {
    let n = session().apply_answer(&body("m=audio 4000 RTP/AVP 8\n")).unwrap();
    assert_eq!((n.codec, n.payload_type, n.dtmf, n.receive_dtmf), (AudioCodec::Pcma, 8, None, None));
    assert_eq!(n.remote, "198.51.100.9:4000".parse().unwrap());
    assert_eq!(n.remote_rtcp, "198.51.100.9:4001".parse().unwrap());
    assert_eq!((n.direction, n.ptime_ms), (Direction::SendRecv, 20));
}

#[test]
fn numbers_of_telephone_event_may_differ_each_way() {
    let n = session()
        .apply_answer(&body("m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 telephone-event/8000\na=ptime:30\n"))
        .unwrap();
    assert_eq!((n.dtmf, n.receive_dtmf, n.ptime_ms), (Some(96), Some(101), 30));
}

#[test]
fn comfort_noise_is_answered_beside_g711_to_who_lists_it() {
    for (formats, taken) in [
        ("0 13 101", true),
        ("0 101", false),
        // 13 is something else there, or has another clock.
        ("0 13\na=rtpmap:13 x-other/8000", false),
        ("0 13\na=rtpmap:13 CN/16000", false),
        ("0 13\na=rtpmap:13 CN/8000", true),
    ] {
        let lines = format!("m=audio 4000 RTP/AVP {formats}\n");
        let (answer, n) = session().answer(&body(&lines)).unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert_eq!((n.comfort_noise, answer.contains("CN/8000")), (taken, taken), "{formats}: {answer}");
        assert_eq!(session().apply_answer(&body(&lines)).unwrap().comfort_noise, taken, "{formats}");
    }
    let (answer, n) = wide().answer(&body("m=audio 4000 RTP/AVP 9 0 13\n")).unwrap();
    assert_eq!((n.codec, n.comfort_noise), (AudioCodec::G722, false));
    assert!(!std::str::from_utf8(&answer).unwrap().contains("CN"));
}

#[test]
fn extended_reports_are_made_for_who_asks() {
    let asks = "m=audio 4000 RTP/AVP 0\na=rtcp-xr:pkt-loss-rle rcvr-rtt=sender:100 VoIP-metrics\n";
    let wanted = XrReports { reference_time: true, voip_metrics: true };
    assert_eq!(session().apply_answer(&body(asks)).unwrap().xr, wanted);
    let (answer, agreed) = session().answer(&body(asks)).unwrap();
    assert_eq!(agreed.xr, wanted);
    assert!(std::str::from_utf8(&answer).unwrap().contains("a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n"));
    let (answer, agreed) =
        session().answer(&body("a=rtcp-xr:stat-summary=loss\nm=audio 4000 RTP/AVP 0\n")).unwrap();
    assert_eq!(agreed.xr, XrReports::default());
    assert!(!std::str::from_utf8(&answer).unwrap().contains("rtcp-xr"));
}

#[test]
fn row_11_hold_by_direction_and_by_address() {
    let of = |lines: &str| session().apply_answer(&body(lines)).unwrap();
    assert_eq!(of("m=audio 4000 RTP/AVP 0\na=sendonly\n").direction, Direction::RecvOnly);
    assert_eq!(of("m=audio 4000 RTP/AVP 0\na=recvonly\n").direction, Direction::SendOnly);
    let inactive = of("m=audio 4000 RTP/AVP 0\na=inactive\n");
    assert!(inactive.held());
    let old = of("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n");
    assert_eq!((old.direction, old.held()), (Direction::RecvOnly, true));
    // The stream's direction outranks the session's.
    assert_eq!(of("a=x\nm=audio 4000 RTP/AVP 0\n").direction, Direction::SendRecv);
}

#[test]
fn an_offer_is_answered_stream_by_stream() {
    let mut s = session();
    let (answer, n) = s
        .answer(&body(
            "m=video 5000 RTP/AVP 96\nm=audio 0 RTP/AVP 0\nm=audio 4000 RTP/AVP 18 8 0 97\n\
             a=rtpmap:97 telephone-event/8000\na=rtcp:4444 IN IP4 198.51.100.10\na=sendonly\nm=audio 6000 RTP/AVP 0\n",
        ))
        .unwrap();
    let answer = std::str::from_utf8(&answer).unwrap();
    let streams: Vec<&str> = answer.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        streams,
        ["m=video 0 RTP/AVP 96", "m=audio 0 RTP/AVP 0", "m=audio 20000 RTP/AVP 8 97", "m=audio 0 RTP/AVP 0"]
    );
    assert!(answer.contains("a=recvonly\r\n"));
    assert_eq!((n.codec, n.dtmf, n.receive_dtmf), (AudioCodec::Pcma, Some(97), Some(97)));
    assert_eq!(n.remote_rtcp, "198.51.100.10:4444".parse().unwrap());
    assert!(std::str::from_utf8(&s.offer()).unwrap().contains("a=rtpmap:97 telephone-event/8000"));
}

#[test]
fn a_dynamic_number_for_g711_is_used_both_ways() {
    let (answer, n) = session().answer(&body("m=audio 4000 RTP/AVP 100\na=rtpmap:100 PCMA/8000\n")).unwrap();
    assert_eq!((n.codec, n.payload_type, n.receive_payload_type), (AudioCodec::Pcma, 100, 100));
    assert!(
        std::str::from_utf8(&answer).unwrap().contains("m=audio 20000 RTP/AVP 100\r\na=rtpmap:100 PCMA/8000")
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let mut s = session();
    let mut err = |lines: &str| s.apply_answer(&body(lines)).unwrap_err();
    assert_eq!(err("m=audio 0 RTP/AVP 0\n"), Mismatch::Rejected);
    assert_eq!(err(""), Mismatch::Streams(0));
    assert_eq!(err("m=audio 1 RTP/AVP 0\nm=video 1 RTP/AVP 1\n"), Mismatch::Streams(2));
    assert_eq!(err("m=image 4000 udptl t38\n"), Mismatch::NoAudio);
    assert_eq!(err("m=audio 4000 RTP/SAVP 0\n"), Mismatch::Transport("RTP/SAVP".into()));
    assert_eq!(
        err("m=audio 4000 RTP/AVP 18 3\n").to_string(),
        "no common codec: 18 3 offered, PCMU PCMA supported"
    );
    assert_eq!(
        err("m=audio 4000 RTP/AVP 0\nc=IN IP4 media.example.net\n"),
        Mismatch::AddressIsName("media.example.net".into())
    );
    assert_eq!(
        err("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n"),
        Mismatch::AddressFamily("2001:db8::1".parse().unwrap())
    );
    assert_eq!(s.apply_answer(b"m=audio 4000 RTP/AVP 0\n"), Err(Mismatch::NoAddress));
    assert!(matches!(s.apply_answer(b"\x00\x01"), Err(Mismatch::Malformed(_))));
    let mut s = session();
    assert_eq!(s.answer(&body("m=video 4000 RTP/AVP 96\n")).unwrap_err(), Mismatch::NoAudio);
}

#[test]
fn ipv6_both_ways() {
    let mut s = TrunkSession::new(4, "[2001:db8::1]:20000".parse().unwrap(), &[AudioCodec::Pcma]);
    let offer = s.offer();
    let text = std::str::from_utf8(&offer).unwrap();
    assert!(
        text.contains("o=- 1 1 IN IP6 2001:db8::1\r\n") && text.contains("c=IN IP6 2001:db8::1\r\n"),
        "{text}"
    );
    let mut far = TrunkSession::new(8, "[2001:db8::2]:30000".parse().unwrap(), &AudioCodec::G711);
    let (answer, theirs) = far.answer(&offer).unwrap();
    assert_eq!(theirs.remote, "[2001:db8::1]:20000".parse().unwrap());
    let ours = s.apply_answer(&answer).unwrap();
    assert_eq!(ours.remote, "[2001:db8::2]:30000".parse().unwrap());
    assert_eq!((ours.codec, ours.dtmf), (AudioCodec::Pcma, Some(101)));
}

fn any_direction() -> impl Strategy<Value = Direction> {
    (any::<bool>(), any::<bool>()).prop_map(|(s, r)| Direction::of(s, r))
}

proptest! {
    #[test]
    fn two_of_us_always_agree(a in any_direction(), b in any_direction(), pcma_first in any::<bool>()) {
        let mut left = session();
        let order = if pcma_first { [AudioCodec::Pcma, AudioCodec::Pcmu] } else { AudioCodec::G711 };
        let mut right = TrunkSession::new(9, "192.0.2.2:30000".parse().unwrap(), &order);
        left.set_direction(a);
        right.set_direction(b);
        let (answer, theirs) = right.answer(&left.offer()).unwrap();
        let ours = left.apply_answer(&answer).unwrap();
        prop_assert_eq!(ours.direction, theirs.direction.reversed());
        prop_assert_eq!(ours.direction, a.and(b.reversed()));
        prop_assert_eq!((ours.codec, ours.dtmf), (theirs.codec, theirs.dtmf));
    }

    #[test]
    fn odd_bodies_never_panic(lines in "([vocmat]=[ -~]{0,30}\r?\n){0,10}") {
        let mut s = session();
        let _ = s.apply_answer(lines.as_bytes());
        let _ = s.answer(lines.as_bytes());
    }
}

const WIDE: [AudioCodec; 4] = [AudioCodec::Opus, AudioCodec::G722, AudioCodec::L16, AudioCodec::Pcmu];

fn wide() -> TrunkSession {
    TrunkSession::new(4000, "192.0.2.1:20000".parse().unwrap(), &WIDE)
}

#[test]
fn a_wider_policy_is_offered_in_its_order_with_events_on_each_clock() {
    let offer = wide().offer();
    let text = std::str::from_utf8(&offer).unwrap();
    let audio = text.split_once("m=").unwrap().1;
    assert_eq!(
        audio,
        "audio 20000 RTP/AVP 111 9 112 0 13 101 110 102\r\na=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 maxplaybackrate=16000;useinbandfec=1\r\na=rtpmap:9 G722/8000\r\n\
         a=rtpmap:112 L16/16000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:13 CN/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\n\
         a=rtpmap:102 telephone-event/16000\r\na=fmtp:102 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    // The far side takes the first that its own policy has; one of G.711 alone takes that.
    let mut far =
        TrunkSession::new(8, "192.0.2.2:30000".parse().unwrap(), &[AudioCodec::Pcmu, AudioCodec::G722]);
    let (answer, theirs) = far.answer(&offer).unwrap();
    assert_eq!((theirs.codec, theirs.dtmf), (AudioCodec::G722, Some(101)));
    assert_eq!(wide().apply_answer(&answer).unwrap().codec, AudioCodec::G722);
    let (_, plain) = session().answer(&offer).unwrap();
    assert_eq!((plain.codec, plain.opus), (AudioCodec::Pcmu, None));
}

#[test]
fn opus_has_its_numbers_parameters_and_clock() {
    let lines = "m=audio 4000 RTP/AVP 96 0 97 98\na=rtpmap:96 OPUS/48000/2\n\
                 a=fmtp:96 maxplaybackrate=8000; useinbandfec=1;usedtx=1\n\
                 a=rtpmap:97 telephone-event/8000\na=rtpmap:98 telephone-event/48000\n";
    let mut ours = wide();
    let (answer, n) = ours.answer(&body(lines)).unwrap();
    assert_eq!((n.codec, n.payload_type, n.receive_payload_type), (AudioCodec::Opus, 96, 96));
    assert_eq!((n.dtmf, n.receive_dtmf), (Some(98), Some(98)));
    let opus = n.opus.unwrap();
    assert_eq!((opus.max_playback_rate_hz, opus.in_band_fec, opus.dtx), (8_000, true, true));
    let answer = std::str::from_utf8(&answer).unwrap();
    assert!(answer.contains("m=audio 20000 RTP/AVP 96 98\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplay"));
    assert!(answer.contains("a=rtpmap:98 telephone-event/48000\r\n"), "{answer}");
    // In an answer to ours, the far side's number is what we send, ours what we receive.
    let n = wide().apply_answer(&body("m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n")).unwrap();
    assert_eq!((n.payload_type, n.receive_payload_type, n.dtmf), (96, 111, None));
    assert_eq!(n.opus, Some(OpusFormat::default()));
    // Opus has two channels in its rtpmap; anything else is not Opus.
    assert!(wide().apply_answer(&body("m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000\n")).is_err());
}

#[test]
fn g711_alone_takes_nothing_wider() {
    let lines = "m=audio 4000 RTP/AVP 9 111 8\na=rtpmap:111 opus/48000/2\n";
    assert_eq!(session().answer(&body(lines)).unwrap().1.codec, AudioCodec::Pcma);
    let err = session().apply_answer(&body("m=audio 4000 RTP/AVP 9\n")).unwrap_err();
    assert_eq!(err.to_string(), "no common codec: 9 offered, PCMU PCMA supported");
}
