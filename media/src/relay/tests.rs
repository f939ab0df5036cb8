use std::time::Duration;

use super::*;
use crate::codec::PCMU_TO_PCMA;
use crate::hearing::Unheard;
use crate::leg::tests::{address, agreed, leg};
use crate::rtp::Header;
use crate::rtp::tests::packet;
use crate::sdp::AudioCodec;

const TRUNK: LegId = LegId::new(1, 0);
const AGENT: LegId = LegId::new(2, 0);

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// A relay with a trunk leg at port 4000 and an agent's leg at port 5000, in virtual time.
struct Floor {
    relay: Relay,
    now: Time,
    sent: Vec<(Time, Transmit, Vec<u8>)>,
    events: Vec<MediaEvent>,
    sequence: u16,
}

impl Floor {
    fn new(trunk: AudioCodec, agent: AudioCodec) -> Floor {
        let mut relay = Relay::new(0);
        for (count, role, codec, port) in [(1, Role::Trunk, trunk, 4_000), (2, Role::Agent, agent, 5_000)] {
            let mut leg = leg(count, role);
            leg.set_remote(at(0), &agreed(codec, port));
            relay.insert(leg);
        }
        Floor { relay, now: at(0), sent: Vec::new(), events: Vec::new(), sequence: 0 }
    }

    fn run(&mut self, until: Time) {
        let mut out = [0; 1_600];
        loop {
            self.relay.handle_timeout(self.now);
            while let Some(transmit) = self.relay.poll_transmit(self.now, &mut out) {
                self.sent.push((self.now, transmit, out[..transmit.len].to_vec()));
            }
            self.events.extend(std::iter::from_fn(|| self.relay.poll_event()));
            let next = self.relay.timeout();
            assert!(next > self.now);
            if next > until {
                break;
            }
            self.now = next;
        }
        self.now = until;
    }

    /// A packet from the far end of a slot's leg; gives what was passed on.
    fn hear(&mut self, slot: usize, payload_type: u8, payload: &[u8]) -> Option<(Transmit, Vec<u8>)> {
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 160;
        let mut packet = packet(payload_type, self.sequence, timestamp, 50 + slot as u32, payload);
        let len = packet.len();
        let from = address(if slot == 0 { 4_000 } else { 5_000 });
        let transmit = self.relay.handle_rtp(self.now, slot, from, &mut packet, len);
        self.events.extend(std::iter::from_fn(|| self.relay.poll_event()));
        transmit.map(|transmit| (transmit, packet[..transmit.len].to_vec()))
    }

    fn step(&mut self) {
        self.run(self.now + Duration::from_millis(20));
    }
}

#[test]
fn a_bridged_call_is_passed_on_by_the_table() {
    let mut floor = Floor::new(AudioCodec::Pcma, AudioCodec::Pcmu);
    floor.run(at(1_000));
    let before = Header::parse(&floor.sent.iter().rfind(|(_, t, _)| t.slot == 1).unwrap().2).unwrap();
    assert!(floor.relay.bridge(floor.now, TRUNK, AGENT, false));
    floor.run(at(1_010));
    floor.events.clear();
    let (transmit, packet) = floor.hear(0, 8, &[0xd5; 160]).unwrap();
    assert_eq!((transmit.slot, transmit.channel, transmit.to), (1, Channel::Rtp, address(5_000)));
    let header = Header::parse(&packet).unwrap();
    assert_eq!((header.payload_type, header.ssrc, header.marker), (0, before.ssrc, true));
    assert_eq!(header.sequence, before.sequence.wrapping_add(1));
    assert!((80..=320).contains(&header.timestamp.wrapping_sub(before.timestamp)));
    assert!(packet[12..].iter().all(|b| *b == crate::codec::PCMA_TO_PCMU[0xd5]));
    assert!(floor.events.contains(&MediaEvent::FirstPacket { trunk: TRUNK, agent: AGENT, at: floor.now }));
    floor.events.clear();
    floor.hear(0, 8, &[0xd5; 160]).unwrap();
    assert_eq!(floor.events, [], "told once");

    let (transmit, packet) = floor.hear(1, 0, &[0x12; 160]).unwrap();
    assert_eq!((transmit.slot, transmit.to), (0, address(4_000)));
    assert_eq!(Header::parse(&packet).unwrap().payload_type, 8);
    assert!(packet[12..].iter().all(|b| *b == PCMU_TO_PCMA[0x12]));
}

#[test]
fn an_agent_hears_one_line_over_many_calls() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    let mut heard = Vec::new();
    for call in 0..3u64 {
        floor.relay.bridge(floor.now, TRUNK, AGENT, true);
        for _ in 0..25 {
            if let Some((_, packet)) = floor.hear(0, 0, &[0xff; 160]) {
                heard.push(packet);
            }
            floor.step();
        }
        floor.relay.unbridge(floor.now, TRUNK);
        floor.run(floor.now + Duration::from_millis(500 + call));
        heard.extend(
            floor.sent.drain(..).filter(|(_, t, _)| t.slot == 1 && t.channel == Channel::Rtp).map(|s| s.2),
        );
    }
    assert!(heard.len() > 130, "{}", heard.len());
    let mut headers: Vec<Header> = heard.iter().map(|p| Header::parse(p).unwrap()).collect();
    headers.sort_by_key(|h| h.sequence.wrapping_sub(headers_base(&heard)));
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..=400).contains(&step), "{step}");
    }
}

fn headers_base(heard: &[Vec<u8>]) -> u16 {
    Header::parse(&heard[0]).unwrap().sequence
}

#[test]
fn the_beep_lies_in_the_first_packets() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcma);
    floor.run(at(100));
    floor.relay.bridge(floor.now, TRUNK, AGENT, true);
    let mut beeped = 0;
    for _ in 0..20 {
        let (_, packet) = floor.hear(0, 0, &[0xff; 160]).unwrap();
        let silent = packet[12..].iter().all(|b| *b == PCMU_TO_PCMA[0xff]);
        beeped += usize::from(!silent);
        floor.step();
    }
    assert_eq!(beeped, 8, "160 ms");
    // The caller hears none of it.
    let (_, packet) = floor.hear(1, 8, &[0xd5; 160]).unwrap();
    assert!(packet[12..].iter().all(|b| *b == packet[12]));
}

#[test]
fn a_silent_caller_still_beeps() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    floor.run(at(100));
    floor.sent.clear();
    floor.relay.bridge(floor.now, TRUNK, AGENT, true);
    floor.run(at(1_000));
    let to_agent: Vec<_> =
        floor.sent.iter().filter(|(_, t, _)| t.slot == 1 && t.channel == Channel::Rtp).collect();
    assert!(to_agent.len() > 30, "silence fills the wait");
    let beeped = to_agent.iter().filter(|(.., p)| p[12..].iter().any(|b| *b != 0xff)).count();
    assert_eq!(beeped, 8);
    // The first real packet takes the line over, and the fill ends.
    floor.hear(0, 0, &[0x55; 160]).unwrap();
    floor.sent.clear();
    floor.run(at(1_150));
    assert!(floor.sent.iter().all(|(_, t, _)| t.slot != 1 || t.channel != Channel::Rtp));
}

#[test]
fn keys_pass_with_their_number_changed_and_are_told_once() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    floor.relay.bridge(floor.now, TRUNK, AGENT, false);
    floor.run(at(20));
    floor.hear(0, 0, &[0xff; 160]).unwrap();
    let (_, packet) = floor.hear(0, 96, &[7, 10, 0, 160]).unwrap();
    let header = Header::parse(&packet).unwrap();
    assert_eq!((header.payload_type, &packet[12..]), (101, &[7u8, 10, 0, 160][..]));
    let digit = crate::dtmf::Digit::from_char('7').unwrap();
    assert_eq!(floor.events.iter().filter(|e| **e == MediaEvent::Dtmf { leg: TRUNK, digit }).count(), 1);
}

#[test]
fn mute_hold_and_playing_keep_packets_back() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    floor.relay.bridge(floor.now, TRUNK, AGENT, false);
    floor.run(at(20));
    let now = floor.now;
    floor.relay.with_leg(AGENT, |leg| leg.set_muted(true));
    assert!(floor.hear(1, 0, &[1; 160]).is_none());
    assert!(floor.hear(0, 0, &[1; 160]).is_some());
    floor.relay.with_leg(AGENT, |leg| leg.set_muted(false));
    floor.relay.with_leg(TRUNK, |leg| leg.set_held(now, true));
    assert!(floor.hear(1, 0, &[1; 160]).is_none());
    assert!(floor.hear(0, 0, &[1; 160]).is_none());
    floor.relay.with_leg(TRUNK, |leg| leg.set_held(now, false));
    floor.relay.with_leg(TRUNK, |leg| leg.play(now, Arc::new(Audio::beep()), true));
    assert!(floor.hear(1, 0, &[1; 160]).is_none(), "music plays");
    floor.relay.with_leg(TRUNK, |leg| leg.stop(now));
    assert!(floor.hear(1, 0, &[1; 160]).is_some());
}

#[test]
fn a_closed_leg_parts_from_its_peer_and_frees_its_slot() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    floor.relay.bridge(floor.now, TRUNK, AGENT, false);
    floor.run(at(500));
    floor.relay.close(floor.now, TRUNK);
    floor.run(at(600));
    assert_eq!(floor.relay.poll_closed(), Some(Closed { slot: 0, id: TRUNK, visited: 0 }));
    assert!(floor.events.iter().any(|e| matches!(e, MediaEvent::LegEnded { leg: TRUNK, .. })));
    assert_eq!(floor.relay.leg_count(), 1);
    assert!(floor.hear(1, 0, &[1; 160]).is_none());
    floor.sent.clear();
    floor.run(at(1_599));
    let silence = floor.sent.iter().filter(|(_, t, _)| t.slot == 1 && t.channel == Channel::Rtp).count();
    assert!((49..=51).contains(&silence), "{silence}");
}

#[test]
fn a_leg_carried_to_another_relay_goes_on_there() {
    let mut here = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    let mut there = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
    here.run(at(500));
    there.run(at(500));
    let (slot, leg) = here.relay.remove(here.now, TRUNK).unwrap();
    assert_eq!(slot, 0);
    there.relay.close(there.now, TRUNK);
    there.run(at(501));
    assert_eq!(there.relay.insert(leg), 0);
    assert!(there.relay.bridge(there.now, TRUNK, AGENT, false));
    assert!(there.hear(0, 0, &[3; 160]).is_some());
    here.run(at(2_000));
    assert!(here.relay.slot_of(TRUNK).is_none());
}

#[test]
fn a_call_tells_how_both_sides_were_heard() {
    let mut floor = Floor::new(AudioCodec::Pcma, AudioCodec::Pcma);
    floor.relay.with_leg(TRUNK, |leg| leg.watch(at(0)));
    floor.run(at(100));
    assert!(floor.relay.bridge(floor.now, TRUNK, AGENT, false));
    assert_eq!(floor.relay.bridges(floor.now).len(), 1);
    // The caller is heard, the agent is not: one way.
    for _ in 0..300 {
        floor.hear(0, 8, &[0x11; 160]);
        floor.step();
    }
    let unheard = |floor: &Floor| -> Vec<(LegId, Option<Unheard>)> {
        let told = floor.events.iter().filter_map(|event| match event {
            MediaEvent::Unheard { leg, why } => Some((*leg, *why)),
            _ => None,
        });
        told.collect()
    };
    assert_eq!(unheard(&floor), [(AGENT, Some(Unheard::NoPackets))]);
    floor.hear(1, 8, &[0x11; 160]);
    assert_eq!(unheard(&floor)[1..], [(AGENT, None)]);
    // On hold nobody is expected.
    floor.relay.with_leg(TRUNK, |leg| leg.set_held(at(6_200), true));
    for _ in 0..600 {
        floor.hear(1, 8, &[0x11; 160]);
        floor.step();
    }
    assert_eq!(unheard(&floor).len(), 2);
    let live = floor.relay.bridges(floor.now)[0];
    assert_eq!((live.trunk, live.agent, live.of_trunk.received), (TRUNK, AGENT, 300));
    floor.relay.close(floor.now, TRUNK);
    floor.step();
    let agent = floor.events.iter().find_map(|event| match event {
        MediaEvent::Parted { leg: AGENT, trunk: TRUNK, quality } => Some(**quality),
        _ => None,
    });
    let caller = floor.events.iter().find_map(|event| match event {
        MediaEvent::LegEnded { leg: TRUNK, quality, .. } => quality.as_deref().copied(),
        _ => None,
    });
    let (agent, caller) = (agent.unwrap(), caller.unwrap());
    assert_eq!((agent.was_unheard, caller.was_unheard), (Some(Unheard::NoPackets), None));
    assert_eq!((caller.received, caller.lost, caller.silent), (300, 0, Some(0.0)));
    assert!(caller.mos() > 4.2, "{}", caller.mos());
    assert!(floor.relay.bridges(floor.now).is_empty());
}

/// What was sent over a slot's RTP since `sent` was cleared.
fn to(floor: &Floor, slot: usize) -> Vec<(Header, Vec<u8>)> {
    let packets = floor.sent.iter().filter(|(_, t, _)| t.slot == slot && t.channel == Channel::Rtp);
    packets.map(|(.., packet)| (Header::parse(packet).unwrap(), packet[12..].to_vec())).collect()
}

#[test]
fn comfort_noise_of_a_call_is_heard_by_its_agent_until_it_speaks() {
    let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcma);
    floor.relay.bridge(floor.now, TRUNK, AGENT, false);
    floor.run(at(20));
    floor.hear(0, 0, &[0x20; 160]).unwrap();
    floor.step();
    floor.sent.clear();
    assert!(floor.hear(0, 13, &[40]).is_none());
    floor.run(floor.now + Duration::from_secs(1));
    let heard = to(&floor, 1);
    assert!((49..=51).contains(&heard.len()), "{}", heard.len());
    let coder = AudioCodec::Pcma.coder().unwrap();
    let mut samples = [0; 160 * 50];
    let payloads: Vec<u8> = heard.iter().flat_map(|(_, payload)| payload.clone()).collect();
    let count = coder.decode(&payloads, &mut samples);
    let level = crate::level::dbov(crate::level::rms(&samples[..count]));
    assert!((level + 40.0).abs() < 1.5, "{level}");
    // It speaks again, and that ends the noise; so does the call's end.
    floor.hear(0, 0, &[0x20; 160]).unwrap();
    floor.sent.clear();
    floor.run(floor.now + Duration::from_millis(150));
    assert_eq!(to(&floor, 1), []);
    floor.hear(0, 13, &[40]);
    floor.relay.unbridge(floor.now, TRUNK);
    floor.sent.clear();
    floor.run(floor.now + Duration::from_millis(500));
    assert!(to(&floor, 1).iter().all(|(_, payload)| *payload == [0xd5; 160]));
}

#[test]
fn comfort_noise_of_an_agent_passes_to_a_call_that_takes_it() {
    let noise = [50, 100];
    for takes in [true, false] {
        let mut floor = Floor::new(AudioCodec::Pcmu, AudioCodec::Pcmu);
        let agreed = crate::sdp::Negotiated { comfort_noise: takes, ..agreed(AudioCodec::Pcmu, 4_000) };
        floor.relay.with_leg(TRUNK, |leg| leg.set_remote(at(0), &agreed));
        floor.relay.bridge(floor.now, TRUNK, AGENT, false);
        floor.run(at(20));
        floor.hear(1, 0, &[0x20; 160]).unwrap();
        floor.step();
        floor.sent.clear();
        let passed = floor.hear(1, 13, &noise);
        floor.run(floor.now + Duration::from_secs(1));
        let sent = to(&floor, 0);
        if takes {
            let header = Header::parse(&passed.unwrap().1).unwrap();
            assert_eq!((header.payload_type, header.payload.len()), (13, 2));
            assert!((4..=5).contains(&sent.len()), "{}", sent.len());
            assert!(sent.iter().all(|(header, payload)| header.payload_type == 13 && *payload == noise));
        } else {
            // Noise in pieces would be heard.
            assert!(passed.is_none() && (48..=51).contains(&sent.len()), "{}", sent.len());
            assert!(sent.iter().all(|(header, payload)| header.payload_type == 0 && payload.len() == 160));
        }
        let (_, packet) = floor.hear(1, 0, &[0x20; 160]).unwrap();
        assert!(Header::parse(&packet).unwrap().marker, "speech begins again");
    }
}
