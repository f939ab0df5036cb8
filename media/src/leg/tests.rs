use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::rtp::tests::packet;
use crate::rtp::{HEADER_LEN, Header};
use crate::webrtc::test_browser::{Browser, Version};
use crate::webrtc::{BrowserConfig, BrowserTransport, Identity};

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

pub(crate) fn agreed(codec: AudioCodec, port: u16) -> Negotiated {
    Negotiated {
        remote: address(port),
        remote_rtcp: address(port + 1),
        codec,
        payload_type: codec.payload_type(),
        receive_payload_type: codec.payload_type(),
        dtmf: Some(101),
        receive_dtmf: Some(96),
        comfort_noise: false,
        opus: None,
        direction: Direction::SendRecv,
        ptime_ms: 20,
        xr: Default::default(),
        srtp: None,
    }
}

pub(crate) fn leg(count: u64, role: Role) -> Leg {
    let mut rng = StdRng::seed_from_u64(count);
    Leg::plain(LegId::new(count, 0), role, Learn::SameHost, Duration::from_secs(20), &mut rng)
}

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// Everything that a leg sends until `end`, with its moment.
fn run(leg: &mut Leg, from: Time, end: Time, events: &mut Vec<MediaEvent>) -> Vec<(Time, Channel, Vec<u8>)> {
    let mut sent = Vec::new();
    let mut now = from;
    let mut out = [0; 400];
    loop {
        leg.handle_timeout(now, events);
        while let Some(Polled::Send(sending)) = leg.poll(now, &mut out, events) {
            sent.push((now, sending.channel, out[..sending.len].to_vec()));
        }
        assert!(leg.timeout() > now, "a leg that was drained wants nothing now");
        if leg.timeout() > end {
            return sent;
        }
        now = leg.timeout();
    }
}

fn rtp(sent: &[(Time, Channel, Vec<u8>)]) -> Vec<(Time, Header)> {
    let packets = sent.iter().filter(|(_, channel, _)| *channel == Channel::Rtp);
    packets.map(|(at, _, packet)| (*at, Header::parse(packet).unwrap())).collect()
}

#[test]
fn an_agent_hears_gapless_silence_between_calls() {
    let mut events = Vec::new();
    let mut agent = leg(1, Role::Agent);
    assert_eq!(agent.timeout(), Time::MAX, "nobody to send to");
    agent.set_remote(at(100), &agreed(AudioCodec::Pcma, 4_000));
    let sent = rtp(&run(&mut agent, at(100), at(2_099), &mut events));
    assert_eq!(sent.len(), 100);
    assert!(sent[0].1.marker);
    for pair in sent.windows(2) {
        let ((t0, a), (t1, b)) = (&pair[0], &pair[1]);
        assert_eq!(t1.since(*t0), Duration::from_millis(20));
        assert_eq!(b.timestamp.wrapping_sub(a.timestamp), 160);
        assert_eq!(b.sequence.wrapping_sub(a.sequence), 1);
        assert_eq!((b.payload_type, b.marker, b.ssrc), (8, false, a.ssrc));
    }
}

#[test]
fn a_waiting_trunk_gets_a_sparse_keep_alive() {
    let mut trunk = leg(2, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    let sent = rtp(&run(&mut trunk, at(0), at(1_999), &mut Vec::new()));
    assert_eq!(sent.len(), 10);
    assert_eq!(sent[1].1.timestamp.wrapping_sub(sent[0].1.timestamp), 1_600);
}

#[test]
fn a_waiting_trunk_that_takes_comfort_noise_gets_a_quiet_line() {
    let mut trunk = leg(2, Role::Trunk);
    trunk.set_remote(at(0), &Negotiated { comfort_noise: true, ..agreed(AudioCodec::Pcmu, 4_000) });
    let sent = run(&mut trunk, at(0), at(1_999), &mut Vec::new());
    let headers = rtp(&sent);
    assert_eq!(headers.len(), 10);
    for (_, header) in &headers {
        assert_eq!((header.payload_type, header.marker, header.payload.len()), (13, false, 1));
    }
    assert_eq!(headers[1].1.timestamp.wrapping_sub(headers[0].1.timestamp), 1_600);
    let packet = sent.iter().find(|(_, channel, _)| *channel == Channel::Rtp).unwrap();
    assert_eq!(packet.2[HEADER_LEN], 65, "-65 dBov");
    // An agent is sent sound all the time.
    let mut agent = leg(3, Role::Agent);
    agent.set_remote(at(0), &Negotiated { comfort_noise: true, ..agreed(AudioCodec::Pcmu, 4_000) });
    let sent = rtp(&run(&mut agent, at(0), at(1_999), &mut Vec::new()));
    assert!(sent.len() == 100 && sent.iter().all(|(_, header)| header.payload_type == 0));
}

#[test]
fn a_muted_agent_need_not_be_heard() {
    let mut events = Vec::new();
    let mut agent = leg(4, Role::Agent);
    agent.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    agent.join(at(0), 7, None);
    agent.set_muted(true);
    run(&mut agent, at(0), at(60_000), &mut events);
    assert!(!events.iter().any(|event| matches!(event, MediaEvent::Unheard { .. })), "{events:?}");
    agent.set_muted(false);
    run(&mut agent, at(60_000), at(70_000), &mut events);
    let why = Some(crate::hearing::Unheard::NoPackets);
    assert!(events.contains(&MediaEvent::Unheard { leg: agent.id(), why }), "{events:?}");
}

#[test]
fn what_is_played_once_ends_and_is_told() {
    let mut events = Vec::new();
    let mut trunk = leg(3, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    let audio = Arc::new(crate::audio::Tone::sine(440, 9_000).render(Duration::from_millis(90)));
    trunk.play(at(0), Arc::clone(&audio), false);
    let sent = run(&mut trunk, at(0), at(150), &mut events);
    assert_eq!(rtp(&sent).len(), 5);
    let played: Vec<u8> = sent.iter().flat_map(|(.., packet)| packet[12..].to_vec()).collect();
    assert_eq!(played[..720], *audio.encoded(AudioCodec::Pcmu));
    assert_eq!(events, [MediaEvent::PlayDone { leg: trunk.id() }]);
    trunk.play(at(200), audio, true);
    assert_eq!(rtp(&run(&mut trunk, at(200), at(1_199), &mut events)).len(), 50);
    trunk.stop(at(1_200));
    assert_eq!(events.len(), 1);
}

#[test]
fn a_late_wake_up_does_not_burst() {
    let mut agent = leg(4, Role::Agent);
    agent.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    let mut out = [0; 400];
    let mut poll = |leg: &mut Leg, now| {
        let mut count = 0;
        while leg.poll(now, &mut out, &mut Vec::new()).is_some() {
            count += 1;
        }
        count
    };
    assert_eq!(poll(&mut agent, at(0)), 1);
    assert_eq!(poll(&mut agent, at(60)), 3, "a little late: catch up");
    assert_eq!(poll(&mut agent, at(10_000)), 2, "far too late: one report, one frame");
}

#[test]
fn row_24_keys_are_sent_as_events() {
    let mut trunk = leg(5, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    let digits: Vec<Digit> = "4#".chars().filter_map(Digit::from_char).collect();
    assert!(trunk.send_digits(at(0), &digits));
    let sent = run(&mut trunk, at(0), at(360), &mut Vec::new());
    let headers = rtp(&sent);
    let events: Vec<_> = sent.iter().zip(&headers).filter(|(_, (_, h))| h.payload_type == 101).collect();
    assert_eq!(events.len(), 14, "five and two more Ends, twice");
    for key in events.chunks(7) {
        let start = key[0].1.1.timestamp;
        for (n, ((.., packet), (_, header))) in key.iter().enumerate() {
            assert_eq!(header.timestamp, start);
            assert_eq!(header.marker, n == 0);
            assert_eq!(packet[13] & 0x80 != 0, n >= 4, "End on the last three");
        }
        assert_eq!(key[6].0.2[14..16], 800u16.to_be_bytes());
    }
    for pair in headers.windows(2) {
        assert_eq!(pair[1].1.sequence.wrapping_sub(pair[0].1.sequence), 1);
    }
    assert!(events[7].1.1.timestamp.wrapping_sub(events[0].1.1.timestamp) >= 800);
}

#[test]
fn keys_are_sent_as_sound_where_events_are_not_taken() {
    let mut trunk = leg(6, Role::Trunk);
    trunk.set_remote(at(0), &Negotiated { dtmf: None, ..agreed(AudioCodec::Pcmu, 4_000) });
    assert!(trunk.send_digits(at(0), &[Digit::from_char('9').unwrap()]));
    let sent = run(&mut trunk, at(0), at(179), &mut Vec::new());
    assert_eq!(sent.len(), 9);
    assert!(rtp(&sent).iter().all(|(_, h)| h.payload_type == 0));
    assert!(sent[..5].iter().all(|(.., packet)| packet[12..].iter().any(|b| *b != 0xff)));
    assert!(sent[5..].iter().all(|(.., packet)| packet[12..].iter().all(|b| *b == 0xff)));
}

#[test]
fn silence_of_an_agent_is_told_once_and_so_is_its_end() {
    let mut events = Vec::new();
    let mut agent = leg(7, Role::Agent);
    let id = agent.id();
    agent.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    let hear = |leg: &mut Leg, ms: u64, events: &mut Vec<MediaEvent>| {
        let packet = packet(0, ms as u16 / 20, ms as u32 * 8, 99, &[0xff; 160]);
        assert!(leg.handle_rtp(at(ms), address(4_000), &mut packet.clone(), events).is_some());
    };
    for ms in (20..3_000).step_by(20) {
        hear(&mut agent, ms, &mut events);
        run(&mut agent, at(ms), at(ms + 19), &mut events);
    }
    assert_eq!(events, [MediaEvent::Alive { leg: id }, MediaEvent::FirstRtp { leg: id, at: at(20) }]);
    events.clear();
    run(&mut agent, at(3_000), at(3_979), &mut events);
    assert_eq!(events, []);
    run(&mut agent, at(3_980), at(9_000), &mut events);
    assert_eq!(events, [MediaEvent::Silent { leg: id }]);
    hear(&mut agent, 9_020, &mut events);
    assert_eq!(events[1..], [MediaEvent::Alive { leg: id }]);
}

#[test]
fn a_browser_is_lost_four_seconds_after_its_last_sign_of_life() {
    let clock = kraliki_time::Clock::start();
    let mut rng = StdRng::seed_from_u64(3);
    let mut browser = Browser::new(&clock, 3, Version::Dtls13);
    let config = BrowserConfig {
        identity: Arc::new(Identity::seeded(&clock, 3)),
        candidates: vec![address(1)],
        tcp_candidates: Vec::new(),
        codecs: AudioCodec::G711.to_vec(),
        ssrc: 5,
        cname: "us".into(),
    };
    let (transport, answer) =
        BrowserTransport::accept(at(0), browser.offer().as_bytes(), config, &mut rng).unwrap();
    browser.read(&answer);
    let id = LegId::new(3, 0);
    let mut leg = Leg::browser(id, 5, transport, &mut rng);
    let from = address(9);
    let mut events = Vec::new();
    // Everything at first, then STUN alone, nothing, and STUN again.
    let mut told = Vec::new();
    for ms in (0..60_000).step_by(20) {
        let now = at(ms);
        let (talks, checks) = (ms < 2_000, !(20_000..=40_000).contains(&ms));
        let mut sent = if talks { [browser.drive(now), browser.media()].concat() } else { Vec::new() };
        if checks && (ms % 2_500 == 0) {
            sent.push(browser.check(true));
        }
        for mut datagram in sent {
            let len = datagram.len();
            datagram.resize(2_000, 0);
            leg.handle_datagram(now, from, &mut datagram, len, &mut events);
        }
        leg.handle_timeout(now, &mut events);
        let mut out = [0; 2_000];
        while let Some(polled) = leg.poll(now, &mut out, &mut events) {
            if let Polled::Send(sending) = polled {
                browser.handle(now, &mut out[..sending.len]);
            }
        }
        let interesting =
            |event: &MediaEvent| matches!(event, MediaEvent::Lost { .. } | MediaEvent::Alive { .. });
        told.extend(events.drain(..).filter(interesting).map(|event| (ms, event)));
    }
    let lost: Vec<u64> =
        told.iter().filter(|(_, e)| matches!(e, MediaEvent::Lost { .. })).map(|(ms, _)| *ms).collect();
    // The last check came at 17.5 s.
    assert_eq!(lost, [21_500], "{told:?}");
    let back = told.iter().find(|(ms, e)| *ms > 21_500 && matches!(e, MediaEvent::Alive { .. }));
    assert_eq!(back.map(|(ms, _)| *ms), Some(42_500), "{told:?}");
}

#[test]
fn rtp_time_out_waits_for_the_answer_and_for_hold() {
    let mut events = Vec::new();
    let mut trunk = leg(8, Role::Trunk);
    let id = trunk.id();
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    run(&mut trunk, at(0), at(60_000), &mut events);
    assert_eq!(events, [], "ringing");
    trunk.watch(at(60_000));
    // RTCP is a sign of life.
    let mut report = [0; 100];
    let len = crate::rtcp::compound(
        &crate::rtcp::Report {
            ssrc: 5,
            sender: None,
            block: None,
            cname: "x",
            bye: false,
            extended: Default::default(),
        },
        &mut report,
    );
    run(&mut trunk, at(60_000), at(75_000), &mut events);
    trunk.handle_rtcp(at(75_000), address(4_001), &mut report[..len], &mut events);
    run(&mut trunk, at(75_000), at(94_999), &mut events);
    events.retain(|event| !matches!(event, MediaEvent::Unheard { .. }));
    assert_eq!(events, []);
    // Held by the far end, by our own wish, and back.
    let held = Negotiated { direction: Direction::Inactive, ..agreed(AudioCodec::Pcmu, 4_000) };
    trunk.set_remote(at(94_999), &held);
    run(&mut trunk, at(94_999), at(200_000), &mut events);
    trunk.set_remote(at(200_000), &agreed(AudioCodec::Pcmu, 4_000));
    trunk.set_held(at(200_000), true);
    run(&mut trunk, at(200_000), at(300_000), &mut events);
    trunk.set_held(at(300_000), false);
    run(&mut trunk, at(300_000), at(319_999), &mut events);
    events.retain(|event| !matches!(event, MediaEvent::Unheard { .. }));
    assert_eq!(events, []);
    run(&mut trunk, at(319_999), at(400_000), &mut events);
    events.retain(|event| !matches!(event, MediaEvent::Unheard { .. }));
    assert_eq!(events, [MediaEvent::RtpTimeout { leg: id, heard: false }]);
}

#[test]
fn comfort_noise_is_a_sign_of_life() {
    let mut events = Vec::new();
    let mut trunk = leg(9, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    trunk.watch(at(0));
    for n in 0..10u16 {
        let ms = u64::from(n) * 10_000;
        let noise = packet(13, n, u32::from(n) * 80_000, 3, &[40]);
        let inbound = trunk.handle_rtp(at(ms), address(4_000), &mut noise.clone(), &mut events).unwrap();
        assert_eq!(inbound.kind, Kind::Noise);
        run(&mut trunk, at(ms), at(ms + 9_999), &mut events);
    }
    assert_eq!(events.len(), 1, "the first RTP, and no time-out: {events:?}");
}

#[test]
fn reports_carry_what_was_received_and_give_the_round_trip() {
    let mut events = Vec::new();
    let mut trunk = leg(10, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    for n in [0u16, 1, 3] {
        let heard = packet(0, n, u32::from(n) * 160, 77, &[0xff; 160]);
        trunk.handle_rtp(at(u64::from(n) * 20), address(4_000), &mut heard.clone(), &mut events).unwrap();
    }
    let sent = run(&mut trunk, at(60), at(9_000), &mut events);
    let (when, _, report) = sent.iter().find(|(_, channel, _)| *channel == Channel::Rtcp).unwrap();
    let report = crate::rtcp::parse(report, 77).unwrap();
    let block = report.block.unwrap();
    assert_eq!((block.lost, block.fraction_lost, block.highest_sequence), (1, 64, 3));
    let sender = report.sender.unwrap();
    assert!(sender.packets > 10);
    // The far end answers 100 ms after it got the report, and each way takes 20 ms.
    let answer = crate::rtcp::ReportBlock {
        ssrc: report.ssrc,
        fraction_lost: 26,
        last_sr: crate::rtcp::ntp_middle(sender.ntp),
        delay_since_last_sr: 6_554,
        ..Default::default()
    };
    let mut out = [0; 100];
    let len = crate::rtcp::compound(
        &crate::rtcp::Report {
            ssrc: 77,
            sender: None,
            block: Some(answer),
            cname: "x",
            bye: false,
            extended: Default::default(),
        },
        &mut out,
    );
    trunk.handle_rtcp(*when + Duration::from_millis(140), address(4_001), &mut out[..len], &mut events);
    let counters = trunk.counters();
    let round_trip = counters.round_trip.unwrap();
    assert!((39..=41).contains(&round_trip.as_millis()), "{round_trip:?}");
    assert_eq!((counters.far_fraction_lost, counters.packets_lost, counters.packets_received), (26, 1, 3));
}

#[test]
fn opus_carries_copies_for_who_reports_losses() {
    let mut events = Vec::new();
    let mut trunk = leg(21, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Opus, 4_000));
    let said = crate::codec::tests::speech(8_000, 3);
    let mut frames = said.chunks_exact(160).enumerate();
    // Of a second's packets, those with a coarse copy of the one before (RFC 6716 §4.2.4: the second bit of the frame).
    let mut copies = |trunk: &mut Leg, events: &mut Vec<MediaEvent>| {
        let mut found = 0;
        for (n, frame) in frames.by_ref().take(50) {
            let now = 20 * n as u64;
            trunk.say(frame);
            let sent = run(trunk, at(now), at(now + 19), events);
            let packets = sent.iter().filter(|(_, channel, _)| *channel == Channel::Rtp);
            found += packets.filter(|(_, _, packet)| packet[HEADER_LEN + 1] & 0x40 != 0).count();
        }
        found
    };
    let report = |trunk: &mut Leg, now: Time, fraction_lost: u8, events: &mut Vec<MediaEvent>| {
        let block = crate::rtcp::ReportBlock { ssrc: trunk.line.ssrc(), fraction_lost, ..Default::default() };
        let (sender, bye, extended) = (None, false, Default::default());
        let report = crate::rtcp::Report { ssrc: 77, sender, block: Some(block), cname: "x", bye, extended };
        let mut out = [0; 100];
        let len = crate::rtcp::compound(&report, &mut out);
        trunk.handle_rtcp(now, address(4_001), &mut out[..len], events);
    };
    assert_eq!(copies(&mut trunk, &mut events), 0);
    report(&mut trunk, at(999), 26, &mut events);
    let some = copies(&mut trunk, &mut events);
    assert!(some > 20, "{some} of 50");
    report(&mut trunk, at(1_999), 0, &mut events);
    // The first one after it may still have one.
    assert!(copies(&mut trunk, &mut events) <= 1);
}

#[test]
fn extended_reports_are_sent_to_who_asks_and_read_from_who_sends() {
    use crate::rtcp::{Extended, Report, VoipMetrics, compound, ntp, ntp_middle, parse};
    use crate::sdp::XrReports;
    let mut events = Vec::new();
    let mut trunk = leg(13, Role::Trunk);
    let xr = XrReports { reference_time: true, voip_metrics: true };
    trunk.set_remote(at(0), &Negotiated { xr, ..agreed(AudioCodec::Pcmu, 4_000) });
    trunk.watch(at(0));
    for n in (0..100u16).filter(|n| n % 10 != 5) {
        let heard = packet(0, n, u32::from(n) * 160, 77, &[0x20; 160]);
        trunk.handle_rtp(at(u64::from(n) * 20), address(4_000), &mut heard.clone(), &mut events).unwrap();
    }
    let report = |extended, out: &mut [u8]| {
        compound(&Report { ssrc: 77, sender: None, block: None, cname: "x", bye: false, extended }, out)
    };
    let mut out = [0; 200];
    let theirs = Extended { reference_time: Some(ntp(at(500_000))), ..Extended::default() };
    let len = report(theirs, &mut out);
    trunk.handle_rtcp(at(2_000), address(4_001), &mut out[..len], &mut events);
    let sent = run(&mut trunk, at(2_000), at(12_000), &mut events);
    let (when, _, ours) = sent.iter().find(|(_, channel, _)| *channel == Channel::Rtcp).unwrap();
    let ours = parse(ours, 77).unwrap();
    let (dlrr, voip) = (ours.extended.dlrr.unwrap(), ours.extended.voip.unwrap());
    assert_eq!(dlrr.last, ntp_middle(ntp(at(500_000))));
    let delay = ntp_middle(ntp(Time::ZERO + when.since(at(2_000))));
    assert!(dlrr.delay.abs_diff(delay) <= 1, "{dlrr:?}");
    assert_eq!((voip.ssrc, voip.loss_rate, voip.discard_rate), (77, (10.0 / 100.0 * 256.0) as u8, 0));
    assert_eq!(
        (voip.burst_density, voip.gap_density > 0),
        (28, false),
        "a loss in ten is one burst: {voip:?}"
    );
    assert!(voip.mos_lq >= voip.mos_cq && voip.mos_cq > Some(20), "{voip:?}");
    // It answers 100 ms after it got our reference time, and each way takes 15 ms.
    let dlrr = crate::rtcp::Dlrr {
        ssrc: ours.ssrc,
        last: ntp_middle(ours.extended.reference_time.unwrap()),
        delay: 6_554,
    };
    let said = VoipMetrics {
        ssrc: ours.ssrc,
        loss_rate: 20,
        discard_rate: 6,
        mos_cq: Some(31),
        ..VoipMetrics::default()
    };
    let theirs = Extended { dlrr: Some(dlrr), voip: Some(said), ..Extended::default() };
    let len = report(theirs, &mut out);
    let now = *when + Duration::from_millis(130);
    trunk.handle_rtcp(now, address(4_001), &mut out[..len], &mut events);
    let quality = trunk.quality(now).unwrap();
    assert!((29..=31).contains(&quality.round_trip.unwrap().as_millis()), "{quality:?}");
    assert_eq!((quality.far_loss, quality.far_mos()), (Some(26.0 / 256.0), Some(3.1)));
    // Who does not ask gets plain reports.
    let mut plain = leg(14, Role::Trunk);
    plain.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    plain.watch(at(0));
    let sent = run(&mut plain, at(0), at(12_000), &mut events);
    let (.., ours) = sent.iter().find(|(_, channel, _)| *channel == Channel::Rtcp).unwrap();
    assert_eq!(parse(ours, 77).unwrap().extended, Default::default());
}

#[test]
fn strangers_and_nonsense_are_dropped_and_counted() {
    let mut events = Vec::new();
    let mut trunk = leg(11, Role::Trunk);
    let voice = packet(0, 1, 160, 5, &[0xff; 160]);
    assert!(
        trunk.handle_rtp(at(0), address(4_000), &mut voice.clone(), &mut events).is_none(),
        "before the answer"
    );
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    let stranger = SocketAddr::from(([203, 0, 113, 5], 4_000));
    assert!(trunk.handle_rtp(at(1), stranger, &mut voice.clone(), &mut events).is_none());
    assert!(
        trunk.handle_rtp(at(1), address(4_000), &mut packet(18, 1, 0, 5, &[0; 20]), &mut events).is_none()
    );
    assert!(trunk.handle_rtp(at(1), address(4_000), &mut [1, 2, 3], &mut events).is_none());
    trunk.handle_rtcp(at(1), stranger, &mut voice.clone(), &mut events);
    assert!(trunk.handle_rtp(at(1), address(4_444), &mut voice.clone(), &mut events).is_some());
    assert!(trunk.handle_rtp(at(2), address(4_444), &mut packet(0, 9, 0, 6, &[0; 9]), &mut events).is_none());
    let counters = trunk.counters();
    assert_eq!((counters.dropped_address, counters.dropped_malformed, counters.dropped_ssrc), (2, 3, 1));
    assert_eq!(events, [MediaEvent::FirstRtp { leg: trunk.id(), at: at(1) }]);
}

#[test]
fn a_closing_leg_says_good_bye() {
    let mut trunk = leg(12, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    run(&mut trunk, at(0), at(100), &mut Vec::new());
    trunk.close();
    let mut out = [0; 400];
    let Some(Polled::Send(bye)) = trunk.poll(at(101), &mut out, &mut Vec::new()) else { panic!("no BYE") };
    assert_eq!(bye.channel, Channel::Rtcp);
    assert!(crate::rtcp::parse(&out[..bye.len], 0).unwrap().bye);
    assert_eq!(trunk.poll(at(101), &mut out, &mut Vec::new()), None);
}

/// What a detector heard on a leg.
fn detected(events: &[MediaEvent]) -> Vec<crate::detect::Event> {
    let heard = events.iter().filter_map(|event| match event {
        MediaEvent::Detected { what, .. } => Some((**what).clone()),
        _ => None,
    });
    heard.collect()
}

/// Says sound to a leg, a packet each 20 ms numbered by the time, and lets the leg's time go by with it.
fn say(leg: &mut Leg, from: Time, sound: &[i16], events: &mut Vec<MediaEvent>) -> Time {
    let mut now = from;
    for samples in sound.chunks(160) {
        let n = (now.as_millis() / 20) as u16;
        let mut payload = vec![0; samples.len()];
        AudioCodec::Pcmu.coder().unwrap().encode(samples, &mut payload);
        let packet = packet(0, n, u32::from(n) * 160, 7, &payload);
        leg.handle_rtp(now, address(4_000), &mut packet.clone(), events);
        run(leg, now, now + Duration::from_millis(19), events);
        now += Duration::from_millis(20);
    }
    now
}

#[test]
fn a_detector_hears_who_answered_until_it_knows() {
    use crate::detect::{Class, Detector, Event, Rules, country};
    let rules = Arc::new(Rules::standard());
    let mut events = Vec::new();
    let mut trunk = leg(9, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    trunk.listen(Detector::new(&rules, country("us").unwrap()));
    assert!(trunk.timeout() < Time::MAX, "keep-alives");
    // Before the answer a fax tone is told, and nobody is said to have answered.
    let fax: Vec<i16> =
        crate::audio::Tone::sine(2_100, 9_000).render(Duration::from_secs(1)).samples().into();
    let now = say(&mut trunk, at(0), &fax, &mut events);
    assert_eq!(detected(&events), [Event::FaxAnswering]);
    events.clear();
    trunk.watch(now);
    let now = say(&mut trunk, now, &fax, &mut events);
    let heard = detected(&events);
    assert!(
        matches!(&heard[..], [Event::FaxAnswering, Event::Answered(who)] if who.class == Class::Fax),
        "{heard:?}"
    );
    // Now it is known, and nobody listens any more.
    events.clear();
    say(&mut trunk, now, &fax, &mut events);
    assert_eq!(detected(&events), []);
}

#[test]
fn silence_after_the_answer_is_heard_too() {
    use crate::detect::{Class, Detector, Event, Rules, country};
    let mut events = Vec::new();
    let mut trunk = leg(10, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    trunk.listen(Detector::new(&Arc::new(Rules::standard()), country("us").unwrap()));
    trunk.watch(at(100));
    run(&mut trunk, at(100), at(3_000), &mut events);
    let heard = detected(&events);
    assert!(matches!(&heard[..], [Event::Answered(who)] if who.class == Class::Silent), "{heard:?}");
    // A bridged call is listened to until six seconds after its answer, and then has no ear.
    trunk.join(at(3_000), 1, None);
    assert_ne!(trunk.timers.ear, Time::MAX);
    events.clear();
    run(&mut trunk, at(3_000), at(6_300), &mut events);
    assert_eq!((detected(&events), trunk.timers.ear), (vec![], Time::MAX));
}

#[test]
fn a_recording_hears_what_may_be_heard_and_a_detector_beside_it_may_go() {
    use crate::detect::{Detector, Rules, country};
    use crate::record::{Channel, Tap};
    let (tell, told) = crossbeam::channel::bounded(100);
    let dropped = Arc::default();
    let mut events = Vec::new();
    let mut trunk = leg(11, Role::Trunk);
    trunk.set_remote(at(0), &agreed(AudioCodec::Pcmu, 4_000));
    trunk.listen(Detector::new(&Arc::new(Rules::standard()), country("us").unwrap()));
    trunk.record(Tap::new(5, Channel::Trunk, tell, Arc::clone(&dropped)));
    trunk.join(at(0), 1, None);
    let tone: Vec<i16> = crate::audio::Tone::sine(440, 9_000).render(Duration::from_secs(1)).samples().into();
    let now = say(&mut trunk, at(100), &tone, &mut events);
    trunk.set_muted(true);
    let now = say(&mut trunk, now, &tone, &mut events);
    trunk.set_muted(false);
    let now = say(&mut trunk, now, &tone[..1_600], &mut events);
    trunk.stop_recording();
    run(&mut trunk, now, at(6_300), &mut events);
    assert_eq!(trunk.timers.ear, Time::MAX, "nobody listens any more");
    let told: Vec<_> = told.try_iter().collect();
    assert!(told.iter().all(|told| (told.recording, told.channel) == (5, Channel::Trunk)));
    let times: Vec<Time> = told.iter().flat_map(|told| told.frames.iter().map(|frame| frame.0)).collect();
    // Those that the buffer still holds while nobody is muted count too.
    assert!((50..=66).contains(&times.len()), "{}", times.len());
    assert!(!times.iter().any(|time| (at(1_121)..at(2_100)).contains(time)), "{times:?}");
    assert!(told.iter().flat_map(|told| &told.samples).any(|sample| *sample > 8_000));
    assert_eq!(dropped.load(std::sync::atomic::Ordering::Relaxed), 0);
}
