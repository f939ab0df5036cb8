//! Rooms in virtual time: far ends that send a tone each by their codec, and measure which tones they hear.

use std::time::Duration;

use super::*;
use crate::codec::{Decoder, Encoder, OpusPolicy, decoder, encoder};
use crate::leg::tests::{agreed, leg};
use crate::rtp::tests::packet;
use crate::rtp::{HEADER_LEN, Header};
use crate::sdp::AudioCodec;

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// One far end.
struct End {
    id: LegId,
    port: u16,
    payload_type: u8,
    tone_hz: f64,
    encoder: Box<dyn Encoder>,
    decoder: Box<dyn Decoder>,
    said: usize,
    sequence: u16,
    timestamp: u32,
    heard: Vec<i16>,
    headers: Vec<Header>,
}

impl End {
    fn new(id: LegId, port: u16, codec: AudioCodec, tone_hz: f64) -> End {
        let policy = OpusPolicy::default();
        End {
            id,
            port,
            payload_type: codec.payload_type(),
            tone_hz,
            encoder: encoder(codec, &policy).unwrap(),
            decoder: decoder(codec, &policy).unwrap(),
            said: 0,
            sequence: 7,
            timestamp: 99,
            heard: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn packet(&mut self) -> Vec<u8> {
        let rate = self.encoder.rate_hz();
        let samples: Vec<i16> = (0..rate as usize / 50)
            .map(|n| {
                let t = (self.said + n) as f64 / f64::from(rate);
                ((t * self.tone_hz * std::f64::consts::TAU).sin() * 6_000.0) as i16
            })
            .collect();
        self.said += samples.len();
        let mut payload = [0; 1_400];
        let len = self.encoder.encode(&samples, &mut payload).unwrap();
        self.sequence += 1;
        self.timestamp += self.encoder.codec().clock_hz() / 50;
        packet(self.payload_type, self.sequence, self.timestamp, u32::from(self.port), &payload[..len])
    }

    fn hears(&mut self, packet: &[u8]) {
        let header = Header::parse(packet).unwrap();
        if header.payload_type == self.payload_type {
            let mut samples = [0; 5_760];
            let len = self.decoder.decode(&packet[header.payload.clone()], &mut samples).unwrap();
            self.heard.extend_from_slice(&samples[..len]);
        }
        self.headers.push(header);
    }

    /// The amplitude of a tone in what was heard last, in half a second.
    fn level(&self, hz: f64) -> f64 {
        let rate = self.decoder.rate_hz();
        let last = &self.heard[self.heard.len().saturating_sub(rate as usize / 2)..];
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in last.iter().enumerate() {
            let angle = n as f64 * hz * std::f64::consts::TAU / f64::from(rate);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        f64::hypot(re, im) * 2.0 / (rate as usize / 2) as f64
    }
}

/// Some relays, each a shard, and the far ends of their legs.
struct Floor {
    relays: Vec<Relay>,
    ends: Vec<(usize, End)>,
    now: Time,
    events: Vec<MediaEvent>,
}

impl Floor {
    fn new(shards: usize) -> Floor {
        let relays = (0..shards).map(Relay::new).collect();
        Floor { relays, ends: Vec::new(), now: at(0), events: Vec::new() }
    }

    fn add(&mut self, shard: usize, role: Role, codec: AudioCodec, tone_hz: f64) -> LegId {
        let count = self.ends.len() as u64 + 1;
        let port = 4_000 + count as u16 * 10;
        let mut leg = leg(count, role);
        leg.rename(LegId::new(count, shard));
        let id = leg.id();
        leg.set_remote(self.now, &agreed(codec, port));
        self.relays[shard].insert(leg);
        self.ends.push((shard, End::new(id, port, codec, tone_hz)));
        id
    }

    fn end(&mut self, id: LegId) -> &mut End {
        &mut self.ends.iter_mut().find(|(_, end)| end.id == id).unwrap().1
    }

    /// Everybody sends each 20 ms, and what was heard before is forgotten.
    fn run(&mut self, ms: u64) {
        self.ends.iter_mut().for_each(|(_, end)| end.heard.clear());
        let until = self.now + Duration::from_millis(ms);
        while self.now < until {
            for n in 0..self.ends.len() {
                let (shard, end) = &mut self.ends[n];
                let (shard, id, port) = (*shard, end.id, end.port);
                let mut buf = end.packet();
                let len = buf.len();
                buf.resize(1_600, 0);
                let slot = self.relays[shard].slot_of(id).unwrap();
                let from = crate::leg::tests::address(port);
                if let Some(sent) = self.relays[shard].handle_rtp(self.now, slot, from, &mut buf, len) {
                    self.sent(sent, &buf);
                }
            }
            for _ in 0..10 {
                self.drain();
                self.now += Duration::from_millis(2);
            }
        }
    }

    fn drain(&mut self) {
        for shard in 0..self.relays.len() {
            self.relays[shard].handle_timeout(self.now);
            let mut out = [0; 1_600];
            while let Some(sent) = self.relays[shard].poll_transmit(self.now, &mut out) {
                self.sent(sent, &out);
            }
            while let Some((to, across)) = self.relays[shard].poll_across() {
                self.relays[to.home()].handle_across(self.now, to, across);
            }
            self.events.extend(std::iter::from_fn(|| self.relays[shard].poll_event()));
        }
    }

    fn sent(&mut self, sent: Transmit, buf: &[u8]) {
        let port = sent.to.port();
        let end = self.ends.iter_mut().find(|(_, end)| end.port == port);
        if let Some((_, end)) = end.filter(|_| sent.channel == Channel::Rtp) {
            end.hears(&buf[..sent.len]);
        }
    }

    /// Whose tones somebody hears.
    fn heard_by(&mut self, id: LegId) -> Vec<LegId> {
        let all: Vec<(LegId, f64)> = self.ends.iter().map(|(_, end)| (end.id, end.tone_hz)).collect();
        let end = self.end(id);
        all.into_iter().filter(|(_, hz)| end.level(*hz) > 2_000.0).map(|(id, _)| id).collect()
    }
}

#[test]
fn every_pair_of_codecs_hears_each_other() {
    for trunk in AudioCodec::ALL {
        for agent in AudioCodec::ALL {
            let mut floor = Floor::new(1);
            let caller = floor.add(0, Role::Trunk, trunk, 700.0);
            let desk = floor.add(0, Role::Agent, agent, 1_100.0);
            floor.run(40);
            floor.relays[0].bridge(floor.now, caller, desk, true);
            floor.run(1_200);
            assert_eq!(floor.heard_by(caller), [desk], "{trunk} to {agent}");
            assert_eq!(floor.heard_by(desk), [caller], "{trunk} to {agent}");
            let level = floor.end(desk).level(700.0);
            assert!((5_000.0..7_000.0).contains(&level), "{trunk} to {agent}: {level}");
            let first = MediaEvent::FirstPacket { trunk: caller, agent: desk, at: Time::ZERO };
            let told = floor
                .events
                .iter()
                .filter(|event| std::mem::discriminant(*event) == std::mem::discriminant(&first));
            assert_eq!(told.count(), 1, "{trunk} to {agent}");
            // One line, without a hole.
            let headers = &floor.end(desk).headers;
            let step = agent.clock_hz() / 50;
            for pair in headers[headers.len() - 40..].windows(2) {
                assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1, "{trunk} to {agent}");
                assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), step, "{trunk} to {agent}");
            }
        }
    }
}

#[test]
fn the_agents_beep_is_heard_in_a_room_too() {
    let mut floor = Floor::new(1);
    let caller = floor.add(0, Role::Trunk, AudioCodec::G722, 300.0);
    let desk = floor.add(0, Role::Agent, AudioCodec::Opus, 500.0);
    floor.run(40);
    floor.relays[0].bridge(floor.now, caller, desk, true);
    floor.run(160);
    assert!(floor.end(desk).level(1_000.0) > 500.0);
    floor.run(1_000);
    assert!(floor.end(desk).level(1_000.0) < 100.0);
}

#[test]
fn sound_that_is_played_and_keys_that_sound_reach_codecs_with_a_state() {
    let mut floor = Floor::new(1);
    let caller = floor.add(0, Role::Trunk, AudioCodec::Opus, 300.0);
    let audio = Arc::new(crate::audio::Tone::sine(1_700, 6_000).render(Duration::from_secs(1)));
    floor.relays[0].with_leg(caller, |leg| leg.play(at(0), audio, true));
    floor.run(800);
    assert!(floor.end(caller).level(1_700.0) > 4_000.0);
    floor.relays[0].with_leg(caller, |leg| leg.stop(at(800)));
    floor.run(800);
    assert!(floor.end(caller).level(1_700.0) < 100.0);
}

/// A call in G.711, its agent, and a supervisor on another shard or the same.
fn supervised(elsewhere: bool) {
    let mut floor = Floor::new(2);
    let caller = floor.add(0, Role::Trunk, AudioCodec::Pcma, 700.0);
    let desk = floor.add(0, Role::Agent, AudioCodec::Pcmu, 1_100.0);
    let other = floor.add(0, Role::Agent, AudioCodec::Pcmu, 2_300.0);
    let boss = floor.add(usize::from(elsewhere), Role::Agent, AudioCodec::Pcmu, 1_700.0);
    floor.run(40);
    floor.relays[0].bridge(floor.now, caller, desk, false);
    floor.run(200);
    assert!(floor.relays[0].rooms.is_empty(), "nothing is decoded");
    for (how, caller_hears, desk_hears) in [
        (Supervision::Listen, vec![desk], vec![caller]),
        (Supervision::Whisper, vec![desk], vec![caller, boss]),
        (Supervision::Barge, vec![desk, boss], vec![caller, boss]),
        (Supervision::Listen, vec![desk], vec![caller]),
    ] {
        floor.relays[usize::from(elsewhere)].supervise(floor.now, boss, desk, how);
        floor.run(1_000);
        assert_eq!(floor.heard_by(caller), caller_hears, "{how:?}");
        assert_eq!(floor.heard_by(desk), desk_hears, "{how:?}");
        assert_eq!(floor.heard_by(boss), [caller, desk], "{how:?}");
    }
    // The supervisor's own leg is described anew (an ICE restart, another codec), and goes on.
    floor.relays[usize::from(elsewhere)].supervise(floor.now, boss, desk, Supervision::Barge);
    floor.relays[usize::from(elsewhere)].with_format(floor.now, boss, |_| ());
    floor.run(1_000);
    assert_eq!(floor.heard_by(caller), [desk, boss]);
    assert_eq!(floor.heard_by(boss), [caller, desk]);
    // On to another agent, who has no call; the parties hear no more of it than before.
    floor.relays[usize::from(elsewhere)].supervise(floor.now, boss, other, Supervision::Whisper);
    floor.run(1_000);
    assert_eq!(floor.heard_by(other), [boss]);
    assert_eq!(floor.heard_by(boss), [other]);
    assert_eq!((floor.heard_by(caller), floor.heard_by(desk)), (vec![desk], vec![caller]));
    // The call goes to that agent, and the supervisor is there already.
    floor.relays[0].bridge(floor.now, caller, other, false);
    floor.run(1_000);
    assert_eq!(floor.heard_by(other), [caller, boss]);
    assert_eq!(floor.heard_by(caller), [other]);
    assert_eq!(floor.heard_by(boss), [caller, other]);
    assert_eq!(floor.heard_by(desk), []);
    floor.relays[0].unbridge(floor.now, caller);
    floor.run(1_000);
    assert_eq!(floor.heard_by(boss), [other]);
    // The agent signs out.
    floor.relays[0].close(floor.now, other);
    floor.ends.retain(|(_, end)| end.id != other);
    floor.run(1_000);
    assert_eq!(floor.heard_by(boss), []);
    assert!(floor.relays.iter().all(|relay| relay.rooms.is_empty()));
    // Nobody was told of a break: one sequence from first to last.
    for id in [caller, desk, boss] {
        let headers = &floor.end(id).headers;
        assert!(
            headers.windows(2).all(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence) == 1),
            "{id:?}"
        );
    }
}

#[test]
fn a_supervisor_listens_whispers_barges_and_moves_on() {
    supervised(false);
}

#[test]
fn so_does_one_whose_leg_is_on_another_shard() {
    supervised(true);
}

#[test]
fn a_supervisor_who_leaves_leaves_no_room() {
    for elsewhere in [0, 1] {
        let mut floor = Floor::new(2);
        let desk = floor.add(0, Role::Agent, AudioCodec::Pcmu, 1_100.0);
        let boss = floor.add(elsewhere, Role::Agent, AudioCodec::Pcmu, 1_700.0);
        floor.relays[elsewhere].supervise(at(0), boss, desk, Supervision::Barge);
        floor.run(100);
        assert!(!floor.relays[0].rooms.is_empty());
        floor.relays[elsewhere].close(floor.now, boss);
        floor.ends.retain(|(_, end)| end.id != boss);
        floor.run(100);
        assert!(floor.relays.iter().all(|relay| relay.rooms.is_empty()));
        // Whom nobody knows is told so.
        let boss = floor.add(elsewhere, Role::Agent, AudioCodec::Pcmu, 1_700.0);
        floor.relays[elsewhere].supervise(floor.now, boss, LegId::new(99, 0), Supervision::Listen);
        floor.run(100);
        assert!(floor.relays.iter().all(|relay| relay.rooms.is_empty()));
    }
}

#[test]
fn held_calls_and_keys_in_a_room() {
    let mut floor = Floor::new(1);
    let caller = floor.add(0, Role::Trunk, AudioCodec::G722, 700.0);
    let desk = floor.add(0, Role::Agent, AudioCodec::Pcmu, 1_100.0);
    floor.run(40);
    floor.relays[0].bridge(floor.now, caller, desk, false);
    floor.run(400);
    let slot = floor.relays[0].slot_of(desk).unwrap();
    let port = floor.end(desk).port;
    // The agent presses a key: three packets of its end are enough.
    let mut buf = packet(96, 9_000, 77, u32::from(port), &[5, 0x8a, 3, 32]);
    let len = buf.len();
    let before = floor.end(caller).headers.len();
    floor.relays[0].handle_rtp(floor.now, slot, crate::leg::tests::address(port), &mut buf, len);
    floor.run(400);
    let keys = floor.end(caller).headers[before..].iter().filter(|h| h.payload_type == 101).count();
    assert!(keys >= 4, "{keys}");
    floor.relays[0].with_leg(caller, |leg| leg.set_held(at(1_000), true));
    floor.run(1_000);
    assert_eq!((floor.heard_by(caller), floor.heard_by(desk)), (vec![], vec![]));
    floor.relays[0].with_leg(caller, |leg| leg.set_held(at(2_000), false));
    floor.run(1_000);
    assert_eq!((floor.heard_by(caller), floor.heard_by(desk)), (vec![desk], vec![caller]));
    assert!(floor.end(caller).headers.iter().all(|h| h.payload.start == HEADER_LEN));
}
