use std::time::Duration;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::world::{OUR_SSRC, Version, World, rtp};
use super::*;
use crate::limits::MAX_CANDIDATES;
use crate::srtp::MAX_OVERHEAD;
use crate::webrtc::{StreamId, leg_tag_of};

const SECOND: Duration = Duration::from_secs(1);

fn connected(seed: u64) -> World {
    let mut world = World::new(seed, Version::Dtls12, 0);
    world.run_for(SECOND);
    assert!(world.events.contains(&Event::Connected), "{:?}", world.events);
    world
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn the_answer_is_ice_lite_and_passive() {
    let world = World::new(1, Version::Dtls12, 0);
    let local = world.leg.ice.local();
    let expected = format!(
        "v=0\r\no=- {} 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0\r\n\
         m=audio 3478 UDP/TLS/RTP/SAVPF 0 8 126\r\nc=IN IP4 192.0.2.1\r\na=mid:0\r\na=fingerprint:{}\r\n\
         a=setup:passive\r\na=rtcp-mux\r\na=sendrecv\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:126 telephone-event/8000\r\na=fmtp:126 0-15\r\na=ptime:20\r\na=msid:kraliki audio\r\n\
         a=ssrc:{OUR_SSRC} cname:kraliki\r\na=ssrc:{OUR_SSRC} msid:kraliki audio\r\n\
         a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host\r\n\
         a=candidate:2 1 udp 2130706175 2001:db8::1 3478 typ host\r\n\
         a=candidate:17 1 tcp 2124414975 192.0.2.1 3478 typ host tcptype passive\r\na=end-of-candidates\r\n",
        world.leg.origin.session_id,
        world.leg.config.identity.fingerprint(),
        local.ufrag,
        local.password,
    );
    assert_eq!(world.answer, expected);
    assert!(local.ufrag.len() == 16 && local.password.len() == 24);
    assert!(local.ufrag.starts_with(&world.leg.tag().to_string()));
}

#[test]
fn other_streams_are_rejected_in_their_place() {
    let world = World::with(1, Version::Dtls12, 0, |offer| {
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=rtcp-mux\r\n";
        offer.replace("BUNDLE 0", "BUNDLE v 0").replacen("m=audio", &format!("{video}m=audio"), 1)
    });
    assert!(
        world.answer.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\nm=audio 3478"),
        "{}",
        world.answer
    );
    assert!(world.answer.contains("a=group:BUNDLE 0\r\n"));
}

#[test]
fn the_same_chance_gives_the_same_answer_but_for_the_certificate() {
    let of = |seed| {
        let answer = World::new(seed, Version::Dtls12, 0).answer;
        answer.lines().filter(|l| !l.starts_with("a=fingerprint")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of(5), of(5));
    assert_ne!(of(5), of(6));
}

#[test]
fn it_connects_and_audio_flows_through_loss_and_reordering() {
    for version in [Version::Dtls12, Version::Dtls13] {
        for seed in 0..12 {
            let loss = [0, 5, 20][seed as usize % 3];
            let mut world = World::new(seed, version, loss);
            world.run_for(12 * SECOND);
            let told = format!("{version:?}, seed {seed}, {loss}% lost: {:?}", world.events);
            assert!(world.leg.is_up() && world.events.contains(&Event::Connected), "{told}");
            assert_eq!(
                world.events.first(),
                Some(&Event::AddressLearned(world.browser.address.into())),
                "{told}"
            );
            assert!(!world.events.iter().any(|e| matches!(e, Event::Failed(_))), "{told}");
            assert!(world.heard.len() > 100 && world.browser.heard.len() > 100, "{told}");
            let counters = world.leg.counters();
            assert_eq!((counters.srtp_refused, counters.srtp_replayed), (0, 0), "{told}");
        }
    }
}

/// The set-up of every agent on a network that loses a tenth of what is sent, each way.
#[test]
fn handshakes_survive_a_tenth_lost() {
    for version in [Version::Dtls12, Version::Dtls13] {
        for seed in 100..140 {
            let mut world = World::new(seed, version, 10);
            let mut waited = Duration::ZERO;
            while !(world.leg.is_up() && world.browser.keys.is_some()) && waited < BROWSER_SETUP_TIMEOUT {
                world.run_for(Duration::from_millis(100));
                waited += Duration::from_millis(100);
            }
            let told = format!("{version:?}, seed {seed}, after {waited:?}: {:?}", world.events);
            assert!(world.leg.is_up() && world.browser.keys.is_some(), "{told}");
            // A person at the console waits for this.
            assert!(waited <= 5 * SECOND, "{told}");
            let (heard, spoken) = (world.heard.len(), world.browser.heard.len());
            world.run_for(2 * SECOND);
            assert!(world.heard.len() > heard + 70 && world.browser.heard.len() > spoken + 70, "{told}");
        }
    }
}

/// Somebody on the path sends in the browser's name, during the handshake and after it: nothing of that ends the leg.
#[test]
fn forged_datagrams_do_not_end_the_leg() {
    for version in [Version::Dtls12, Version::Dtls13] {
        for seed in 0..6 {
            let mut world = World::new(seed, version, 0);
            for round in 0..100u64 {
                let from = world.browser.address;
                let mut rng = ChaCha20Rng::seed_from_u64(seed << 32 | round);
                for first in [20u8, 21, 22, 23, 25, 26, 44, 63, 128, 200] {
                    let mut forged = vec![0; 16 + (rng.next_u32() % 200) as usize];
                    rng.fill_bytes(&mut forged);
                    forged[0] = first;
                    if round % 2 == 0 && first < 44 {
                        // With a right record header of epoch 0 or 1 (RFC 6347 §4.1).
                        let rest = (forged.len() - 13) as u16;
                        forged[1..3].copy_from_slice(&[0xfe, 0xfd]);
                        forged[3..5].copy_from_slice(&[0, (round / 2 % 2) as u8]);
                        forged[11..13].copy_from_slice(&rest.to_be_bytes());
                    }
                    world.arrive(world.now, from, &mut forged);
                }
                world.run_for(Duration::from_millis(40));
            }
            let told = format!("{version:?}, seed {seed}: {:?}", world.events);
            assert!(world.leg.is_up() && world.browser.keys.is_some(), "{told}");
            let (heard, spoken) = (world.heard.len(), world.browser.heard.len());
            world.run_for(SECOND);
            assert!(world.heard.len() > heard + 40 && world.browser.heard.len() > spoken + 40, "{told}");
        }
    }
}

#[test]
fn reports_flow_both_ways() {
    let mut world = connected(3);
    let report = world.browser.report();
    let (now, from) = (world.now, world.browser.address);
    world.arrive(now, from, &mut report.clone());
    assert_eq!(world.reports, 1);
    world.arrive(now, from, &mut report.clone());
    assert_eq!((world.reports, world.leg.counters().srtp_replayed), (1, 1));
    let mut buf = [&[0x80, 200, 0, 1][..], &OUR_SSRC.to_be_bytes(), &[0; MAX_OVERHEAD]].concat();
    let len = world.leg.protect_rtcp(&mut buf, 8).unwrap();
    let (_, rx) = world.browser.keys.as_mut().unwrap();
    assert_eq!(rx.unprotect_rtcp(&mut buf[..len]), Ok(8));
}

#[test]
fn a_wrong_fingerprint_ends_the_leg_before_any_key() {
    for version in [Version::Dtls12, Version::Dtls13] {
        let mut world = World::with(1, version, 0, |offer| {
            let at = offer.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
            let digit = if &offer[at..=at] == "0" { "1" } else { "0" };
            let mut offer = offer.clone();
            offer.replace_range(at..=at, digit);
            offer
        });
        world.run_for(2 * SECOND);
        assert_eq!(world.events.last(), Some(&Event::Failed(Failure::Fingerprint)), "{version:?}");
        assert!(!world.events.contains(&Event::Connected));
        assert!(world.heard.is_empty() && !world.leg.is_up() && world.leg.remote().is_none());
        let mut buf = [0x80; 200];
        assert_eq!(world.leg.protect_rtp(&mut buf, 100), Err(SrtpError::NotUp));
        // The leg is silent from then on, to STUN as well.
        let (now, from, mut check) = (world.now, world.browser.address, world.browser.check(true));
        assert_eq!(world.leg.handle_datagram(now, from, &mut check), Received::Nothing);
        assert!(matches!(world.leg.poll_output(), Output::Timeout(None)));
        let mut rng = world.rng.clone();
        assert_eq!(world.leg.restart(world.browser.offer().as_bytes(), &mut rng), Err(OfferError::Ended));
    }
}

#[test]
fn nothing_but_stun_is_handled_before_a_check_from_that_address() {
    let mut world = World::new(1, Version::Dtls12, 0);
    let (ours, stranger) = (world.browser.address, address("127.0.0.1:6666"));
    // The hello of a browser that did not wait for STUN, from two places.
    let hello = world.browser.hello();
    assert_eq!(world.arrive(Time::ZERO, stranger, &mut hello.clone()), 0);
    assert_eq!(world.arrive(Time::ZERO, ours, &mut hello.clone()), 0);
    assert_eq!(world.leg.counters().unchecked_source, 2);
    // STUN that is not authentic changes nothing.
    let password = world.browser.remote_password.clone();
    world.browser.remote_password.push('x');
    let mut check = world.browser.check(true);
    assert_eq!(world.arrive(Time::ZERO, stranger, &mut check), 0);
    assert_eq!(world.leg.counters().stun_refused, 1);
    assert_eq!(world.arrive(Time::ZERO, stranger, &mut hello.clone()), 0);
    assert!(world.events.is_empty());
    assert!(world.leg.last_consent().is_none() && world.leg.remote().is_none());
    // After a check the same hello is answered, from that address only.
    world.browser.remote_password = password;
    let mut check = world.browser.check(true);
    assert_eq!(world.arrive(Time::ZERO, ours, &mut check), 1);
    assert_eq!(world.arrive(Time::ZERO, stranger, &mut hello.clone()), 0);
    assert!(world.arrive(Time::ZERO, ours, &mut hello.clone()) > 0);
}

#[test]
fn media_from_a_stranger_is_dropped_without_being_opened() {
    let mut world = connected(2);
    let heard = world.heard.len();
    let report = world.browser.report();
    world.arrive(world.now, address("127.0.0.1:6666"), &mut report.clone());
    world.arrive(world.now, address("127.0.0.1:6666"), &mut rtp(1, 1));
    let counters = world.leg.counters();
    assert_eq!((counters.unchecked_source, world.reports, world.heard.len()), (2, 0, heard));
    // The same report from the browser's own address is good.
    world.arrive(world.now, world.browser.address, &mut report.clone());
    assert_eq!(world.reports, 1);
    // Forged media from there is dropped, and the leg goes on.
    world.arrive(world.now, world.browser.address, &mut rtp(1, 1));
    assert_eq!(world.leg.counters().srtp_refused, 1);
    assert!(world.leg.is_up());
}

#[test]
fn a_browser_that_changes_its_network_keeps_the_association() {
    let mut world = connected(4);
    let hellos = world.browser.hellos;
    let keep = world.browser.heard.len();
    world.browser.address = address("127.0.0.2:41000");
    world.run_for(2 * SECOND);
    assert!(world.events.contains(&Event::AddressChanged(world.browser.address.into())));
    assert_eq!(world.sent_to, Some(world.browser.address));
    assert!(world.browser.heard.len() > keep + 50);
    assert_eq!(world.browser.hellos, hellos);
}

/// A connection of TCP is another way than UDP from the very same address.
#[test]
fn udp_and_tcp_from_one_address_are_two_ways() {
    let mut world = connected(11);
    let udp = TransportAddress::from(world.browser.address);
    let tcp = TransportAddress { stream: Some(StreamId(7)), ..udp };
    let report = world.browser.report();
    assert_eq!(world.leg.handle_datagram(world.now, tcp, &mut report.clone()), Received::Nothing);
    assert_eq!(world.leg.counters().unchecked_source, 1);
    let mut check = world.browser.check(true);
    world.leg.handle_datagram(world.now, tcp, &mut check);
    world.drain();
    assert_eq!(world.leg.remote(), Some(tcp));
    assert!(world.events.ends_with(&[Event::AddressLearned(tcp), Event::AddressChanged(tcp)]));
    assert!(matches!(world.leg.handle_datagram(world.now, tcp, &mut report.clone()), Received::Rtcp(_)));
}

#[test]
fn a_restart_by_fragment_keeps_tag_and_association() {
    let mut world = connected(5);
    let (tag, fingerprint, before) =
        (world.leg.tag(), world.leg.config.identity.fingerprint(), world.answer.clone());
    world.browser.ufrag = "newu".into();
    world.browser.password = "anotherpasswordanother".into();
    let fragment = format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2113937151 5a3bbe0d.local 50001 typ host\r\na=end-of-candidates\r\n",
        world.browser.ufrag, world.browser.password
    );
    let mut rng = world.rng.clone();
    let answer = world.leg.restart(fragment.as_bytes(), &mut rng).unwrap().unwrap();
    assert!(
        answer.starts_with("a=ice-lite\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n")
    );
    assert!(answer.contains("a=candidate:1 1 udp") && answer.ends_with("a=end-of-candidates\r\n"));
    let heard = world.browser.heard.len();
    let mut old = world.browser.check(true);
    world.browser.read(&answer);
    assert!(
        !before.contains(&world.browser.remote_ufrag) && !before.contains(&world.browser.remote_password)
    );
    // A check of the old session under the new ufrag of the browser fits neither.
    world.arrive(world.now, world.browser.address, &mut old);
    assert_eq!(world.leg.counters().stun_refused, 1);
    world.browser.address = address("127.0.0.3:42000");
    let hellos = world.browser.hellos;
    assert_eq!(leg_tag_of(&world.browser.check(false)), Some(tag));
    world.run_for(2 * SECOND);
    assert_eq!(world.leg.remote(), Some(world.browser.address.into()));
    assert!(world.browser.heard.len() > heard + 50 && world.browser.hellos == hellos);
    assert_eq!(world.leg.config.identity.fingerprint(), fingerprint);

    // The same fragment again restarts nothing, nor do candidates alone, or late ones of the session before.
    let candidate =
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=candidate:1 1 udp 1 5a3bbe0d.local 50001 typ host\r\n";
    assert_eq!(world.leg.restart(candidate.as_bytes(), &mut rng), Ok(None));
    let late = format!("a=ice-ufrag:brow\r\na=ice-pwd:browserbrowserbrowser22\r\n{candidate}");
    assert_eq!(world.leg.restart(late.as_bytes(), &mut rng), Ok(None));
    assert_eq!(world.leg.restart(fragment.as_bytes(), &mut rng), Ok(None));
    let bad = b"a=ice-ufrag:x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n";
    assert_eq!(world.leg.restart(bad, &mut rng), Err(OfferError::NoIceCredentials));
}

#[test]
fn a_restart_by_offer_is_answered_whole() {
    let mut world = connected(6);
    let mut rng = world.rng.clone();
    world.browser.ufrag = "newu".into();
    let answer = world.leg.restart(world.browser.offer().as_bytes(), &mut rng).unwrap().unwrap();
    assert!(answer.contains(" 2 IN IP4 192.0.2.1\r\n") && answer.contains("a=setup:passive"));
    world.browser.read(&answer);
    let heard = world.heard.len();
    world.run_for(SECOND);
    assert!(world.leg.is_up() && world.heard.len() > heard + 20);

    let fingerprint = world.browser.fingerprint.clone();
    let other = world.browser.offer().replace(&fingerprint, &world.leg.config.identity.fingerprint());
    assert_eq!(world.leg.restart(other.as_bytes(), &mut rng), Err(OfferError::FingerprintChanged));
    let other = world.browser.offer().replace("a=mid:0", "a=mid:1");
    assert_eq!(world.leg.restart(other.as_bytes(), &mut rng), Err(OfferError::StreamsChanged));
    assert!(matches!(world.leg.restart(b"", &mut rng), Err(OfferError::Malformed(_))));
    assert!(world.leg.is_up());
}

#[test]
fn consent_ends_after_silence_and_comes_back() {
    let mut world = connected(7);
    world.browser.checks = false;
    world.run_for(29 * SECOND);
    assert!(world.leg.is_up());
    world.run_for(3 * SECOND);
    assert_eq!(world.events.last(), Some(&Event::ConsentLost));
    assert!(!world.leg.is_up() && world.leg.remote().is_none());
    world.browser.checks = true;
    world.run_for(SECOND);
    assert_eq!(world.events.last(), Some(&Event::ConsentRegained));
    assert!(world.leg.is_up());
}

#[test]
fn a_browser_that_never_comes_is_given_up() {
    let mut world = World::new(8, Version::Dtls12, 100);
    let Output::Timeout(Some(at)) = world.leg.poll_output() else { panic!("a timer runs") };
    assert_eq!(at, Time::ZERO + BROWSER_SETUP_TIMEOUT);
    world.run_for(29 * SECOND);
    assert!(world.events.is_empty());
    world.run_for(2 * SECOND);
    assert_eq!(world.events, [Event::Failed(Failure::SetupTimeout)]);
}

#[test]
fn either_side_closes() {
    let mut world = connected(9);
    world.leg.close(world.now);
    world.run_for(SECOND);
    assert!(world.browser.closed && !world.leg.is_up());
    assert!(!world.events.iter().any(|e| matches!(e, Event::Closed | Event::Failed(_))));

    let mut world = connected(10);
    world.browser.dtls.close().unwrap();
    world.run_for(SECOND);
    assert_eq!(world.events.last(), Some(&Event::Closed));
    assert!(!world.leg.is_up());
}

#[test]
fn a_leg_may_move_to_another_thread() {
    fn moves<T: Send>(_: &T) {}
    moves(&World::new(1, Version::Dtls12, 0).leg);
}

#[test]
fn candidates_are_bounded() {
    let mut world = World::new(1, Version::Dtls12, 0);
    world.leg.config.candidates = vec![address("192.0.2.9:1"); 100];
    let mut rng = world.rng.clone();
    let answer = world.leg.restart(world.browser.offer().as_bytes(), &mut rng).unwrap().unwrap();
    assert_eq!(answer.matches(" udp ").count(), MAX_CANDIDATES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_datagrams_never_panic(
        datagrams in proptest::collection::vec(
            (prop::sample::select(vec![0u8, 1, 20, 22, 23, 25, 44, 63, 64, 128, 144, 191, 200, 255]),
             proptest::collection::vec(any::<u8>(), 0..120)),
            1..20),
        up in any::<bool>(),
    ) {
        let mut world = World::new(1, Version::Dtls13, 0);
        world.run_for(if up { SECOND } else { Duration::from_millis(40) });
        let heard = world.heard.len();
        for (first, mut datagram) in datagrams {
            datagram.insert(0, first);
            world.arrive(world.now, world.browser.address, &mut datagram);
            world.arrive(world.now, address("127.0.0.9:9"), &mut datagram);
        }
        world.arrive(world.now, world.browser.address, &mut []);
        prop_assert_eq!(world.heard.len(), heard);
    }
}
