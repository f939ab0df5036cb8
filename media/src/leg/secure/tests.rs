use std::net::SocketAddr;

use kraliki_time::Time;

use super::*;
use crate::event::LegId;
use crate::leg::tests::{address, agreed, leg};
use crate::leg::{Channel, Role};
use crate::relay::Relay;
use crate::rtp::Header;
use crate::rtp::tests::packet;
use crate::sdp::{AudioCodec, Negotiated, SrtpPolicy, TrunkSession};
use crate::srtp::{MAX_OVERHEAD, Profile};

const TRUNK: usize = 0;
const AGENT: usize = 1;

/// A carrier with SRTP, an agent with a plain phone, and the two legs bridged, in virtual time.
struct Call {
    relay: Relay,
    now: Time,
    /// Our side of the SDP, and the carrier's.
    ours: TrunkSession,
    carrier: TrunkSession,
    agreed: Negotiated,
    at: SocketAddr,
    tx: Protector,
    rx: Unprotector,
    sequence: u16,
    agent_sequence: u16,
}

fn session(port: u16, policy: SrtpPolicy, seed: u8) -> TrunkSession {
    TrunkSession::new(u64::from(seed) << 8, address(port), &[AudioCodec::Pcmu]).with_srtp(policy, [seed; 32])
}

/// Contexts as the carrier makes them for what was agreed, seen from its side.
fn contexts(agreed: &Negotiated) -> (Protector, Unprotector) {
    let keys = agreed.srtp.unwrap();
    (Protector::of(&keys.send).unwrap(), Unprotector::of(&keys.receive).unwrap())
}

impl Call {
    fn new() -> Call {
        let mut relay = Relay::new(0);
        let mut trunk = leg(1, Role::Trunk);
        let (mut ours, mut carrier) =
            (session(20_000, SrtpPolicy::Required, 1), session(4_000, SrtpPolicy::Required, 2));
        let (answer, there) = carrier.answer(&ours.offer()).unwrap();
        let here = ours.apply_answer(&answer).unwrap();
        trunk.set_remote(Time::ZERO, &here);
        let mut agent = leg(2, Role::Agent);
        agent.set_remote(Time::ZERO, &agreed(AudioCodec::Pcmu, 5_000));
        relay.insert(trunk);
        relay.insert(agent);
        relay.bridge(Time::ZERO, LegId::new(1, 0), LegId::new(2, 0), false);
        let (tx, rx) = contexts(&there);
        let mut call = Call {
            relay,
            now: Time::ZERO,
            ours,
            carrier,
            agreed: there,
            at: address(4_000),
            tx,
            rx,
            sequence: 64_000,
            agent_sequence: 1,
        };
        call.agent_speaks(0);
        call
    }

    fn tick(&mut self) {
        self.now += std::time::Duration::from_millis(20);
        self.relay.handle_timeout(self.now);
        let mut out = [0; 400];
        while let Some(transmit) = self.relay.poll_transmit(self.now, &mut out) {
            if transmit.slot == TRUNK {
                self.arrives(transmit.channel, &mut out[..transmit.len]);
            }
        }
    }

    /// Whatever the carrier gets is authentic.
    fn arrives(&mut self, channel: Channel, datagram: &mut [u8]) -> Vec<u8> {
        let len = match channel {
            Channel::Rtp => self.rx.unprotect_rtp(datagram).unwrap(),
            _ => self.rx.unprotect_rtcp(datagram).unwrap(),
        };
        datagram[..len].to_vec()
    }

    fn sealed(&mut self) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut wire = packet(0, self.sequence, u32::from(self.sequence) * 160, 9, &[0x2a; 160]);
        let len = wire.len();
        wire.resize(len + MAX_OVERHEAD, 0);
        let len = self.tx.protect_rtp(&mut wire, len).unwrap();
        wire.truncate(len);
        wire
    }

    /// What the agent hears of a datagram.
    fn passes(&mut self, wire: &[u8]) -> bool {
        let mut buf = [0; 400];
        buf[..wire.len()].copy_from_slice(wire);
        let transmit = self.relay.handle_rtp(self.now, TRUNK, self.at, &mut buf, wire.len());
        transmit.is_some_and(|t| {
            assert_eq!((t.slot, t.len), (AGENT, 172));
            buf[12..t.len].iter().all(|b| *b == 0x2a)
        })
    }

    /// The carrier speaks for so many packets; how many the agent hears.
    fn carrier_speaks(&mut self, packets: usize) -> usize {
        (0..packets)
            .filter(|_| {
                self.tick();
                let wire = self.sealed();
                self.passes(&wire)
            })
            .count()
    }

    /// A packet of the agent, after a gap; its number as the carrier gets it.
    fn agent_speaks(&mut self, gap: u16) -> u16 {
        self.tick();
        self.agent_sequence = self.agent_sequence.wrapping_add(gap + 1);
        let sequence = self.agent_sequence;
        let plain = packet(0, sequence, u32::from(sequence) * 160, 8, &[0x33; 160]);
        let mut buf = [0; 400];
        buf[..plain.len()].copy_from_slice(&plain);
        let transmit = self.relay.handle_rtp(self.now, AGENT, address(5_000), &mut buf, plain.len()).unwrap();
        assert_eq!((transmit.slot, transmit.to), (TRUNK, self.at));
        let clear = self.arrives(Channel::Rtp, &mut buf[..transmit.len]);
        assert_eq!(clear[12..], [0x33; 160]);
        Header::parse(&clear).unwrap().sequence
    }

    /// The agent speaks until the numbers have begun anew.
    fn agent_rolls_over(&mut self) {
        let mut last = self.agent_speaks(0);
        loop {
            let next = self.agent_speaks(2_000);
            if next < last {
                return;
            }
            last = next;
        }
    }

    /// A re-INVITE of the carrier.
    fn reinvite(&mut self) -> Negotiated {
        let (answer, here) = self.ours.answer(&self.carrier.offer()).unwrap();
        let there = self.carrier.apply_answer(&answer).unwrap();
        let now = self.now;
        self.relay.with_leg(LegId::new(1, 0), |leg| leg.set_remote(now, &here));
        self.at = here.remote;
        there
    }

    fn refused(&mut self) -> u32 {
        self.relay.with_leg(LegId::new(1, 0), |leg| leg.counters().dropped_srtp).unwrap()
    }
}

#[test]
fn row_25_the_roll_over_counter_is_kept_unless_there_is_a_new_key() {
    let mut call = Call::new();
    // Both directions wrap past 65535.
    assert_eq!(call.carrier_speaks(3_000), 3_000);
    assert!(call.sequence < 2_000);
    call.agent_rolls_over();

    // The same keys at the same address, and a datagram from before again.
    let old = call.sealed();
    assert!(call.passes(&old));
    assert_eq!(call.reinvite(), call.agreed);
    assert!(!call.passes(&old), "the replay window is kept");
    assert_eq!((call.carrier_speaks(50), call.refused()), (50, 1));
    call.agent_speaks(0);

    // The same keys from a new address: the counters are kept, on both sides.
    call.carrier = {
        let mut moved = session(4_000, SrtpPolicy::Required, 2);
        moved.answer(&call.ours.offer()).unwrap();
        moved
    };
    let kept = call.agreed.srtp.unwrap();
    let offer = String::from_utf8(call.carrier.offer().to_vec()).unwrap().replace(" 4000 ", " 6000 ");
    let (_, here) = call.ours.answer(offer.as_bytes()).unwrap();
    let keys = here.srtp.unwrap();
    assert!(keys.send.is_same(&kept.receive) && keys.receive.is_same(&kept.send));
    let now = call.now;
    call.relay.with_leg(LegId::new(1, 0), |leg| leg.set_remote(now, &here));
    call.at = address(6_000);
    assert_eq!((call.carrier_speaks(50), call.refused()), (50, 1));
    call.agent_speaks(0);

    // A new key at a new address: both begin with a counter of zero.
    call.carrier.set_rtp(address(7_000));
    call.agreed = call.reinvite();
    let new = call.agreed.srtp.unwrap();
    assert!(!new.send.is_same(&kept.send) && !new.receive.is_same(&kept.receive));
    (call.tx, call.rx) = contexts(&call.agreed);
    assert_eq!((call.carrier_speaks(50), call.refused()), (50, 1));
    call.agent_speaks(0);
}

#[test]
fn another_key_of_theirs_leaves_our_counter_and_what_was_under_way_is_heard() {
    let mut call = Call::new();
    assert_eq!(call.carrier_speaks(2_000), 2_000);
    call.agent_rolls_over();
    let late: Vec<Vec<u8>> = (0..3).map(|_| call.sealed()).collect();
    // The same address with other keys.
    call.carrier.set_rtp(address(4_001));
    call.carrier.set_rtp(address(4_000));
    let there = call.reinvite();
    let (before, now) = (call.agreed.srtp.unwrap(), there.srtp.unwrap());
    assert!(now.receive.is_same(&before.receive) && !now.send.is_same(&before.send));
    assert!(call.passes(&late[0]) && call.passes(&late[1]));
    assert!(!call.passes(&late[1]), "not twice");
    call.tx = contexts(&there).0;
    assert_eq!(call.carrier_speaks(20), 20);
    assert!(!call.passes(&late[2]), "once the new key is in use the old one is not");
    call.agent_speaks(0);
    assert_eq!(call.refused(), 2);
}

#[test]
fn what_is_not_authentic_is_counted_and_teaches_nothing() {
    let mut call = Call::new();
    call.carrier_speaks(3);
    let mut forged = packet(0, call.sequence + 1, 0, 9, &[0x2a; 170]);
    assert!(!call.passes(&forged));
    // Plain RTP, from the right place and from another port of it, and something short.
    let there = std::mem::replace(&mut call.at, address(4_444));
    forged.truncate(172);
    assert!(!call.passes(&forged) && !call.passes(&[0x80, 0, 1]));
    let mut report =
        [0x80, 201, 0, 1, 0, 0, 0, 9, 0x80, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    call.relay.handle_rtcp(call.now, TRUNK, call.at, &mut report);
    assert_eq!(call.refused(), 4);
    call.at = there;
    call.agent_speaks(0);
    assert_eq!(call.carrier_speaks(3), 3);
}

#[test]
fn reports_and_the_bye_are_protected() {
    let mut call = Call::new();
    // Every tick lets the carrier authenticate what it gets, reports among it.
    assert_eq!(call.carrier_speaks(600), 600);
    let mut report = [0x81, 201, 0, 7].to_vec();
    report.extend([0, 0, 0, 9]);
    report.extend([0; 24]);
    let len = report.len();
    report.resize(len + MAX_OVERHEAD, 0);
    let len = call.tx.protect_rtcp(&mut report, len).unwrap();
    call.relay.handle_rtcp(call.now, TRUNK, address(4_001), &mut report[..len]);
    assert_eq!(call.refused(), 0);
    call.relay.close(call.now, LegId::new(1, 0));
    let mut out = [0; 400];
    let bye = std::iter::from_fn(|| call.relay.poll_transmit(call.now, &mut out).map(|t| (t, out)))
        .find(|(t, _)| t.channel == Channel::Rtcp && t.slot == TRUNK);
    let (bye, mut out) = bye.unwrap();
    let clear = call.arrives(Channel::Rtcp, &mut out[..bye.len]);
    assert!(crate::rtcp::parse(&clear, 0).unwrap().bye);
}

#[test]
fn a_key_that_comes_back_goes_on_where_it_was() {
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(3);
    for profile in [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm] {
        let mut key = || MasterKey::generate(profile, &mut rng);
        let (a, b, send) = (key(), key(), key());
        let keys = |receive| SrtpKeys { send, receive };
        let mut secure = Secure::new();
        let sealed = |key: &MasterKey| {
            let mut wire = packet(0, 5, 0, 1, &[1; 160]);
            wire.resize(172 + MAX_OVERHEAD, 0);
            let len = Protector::of(key).unwrap().protect_rtp(&mut wire, 172).unwrap();
            wire.truncate(len);
            wire
        };
        let (under_a, under_b) = (sealed(&a), sealed(&b));
        secure.agree(Some(&keys(a)));
        assert_eq!(secure.open(&mut under_a.clone(), What::Rtp), Ok(172));
        // Another fork, plain RTP in between, and back: seen is seen.
        secure.agree(Some(&keys(b)));
        assert_eq!(secure.open(&mut under_b.clone(), What::Rtp), Ok(172));
        let mut plain = packet(0, 7, 0, 1, &[1; 160]);
        plain.resize(200, 0);
        assert!(secure.seal(&mut plain, 172, What::Rtp).is_ok());
        secure.agree(None);
        assert!(!secure.is_on());
        secure.agree(Some(&keys(a)));
        assert_eq!(secure.open(&mut under_a.clone(), What::Rtp), Err(SrtpError::Replayed));
        // Nor is a number sent twice under our key.
        assert_eq!(secure.seal(&mut plain, 172, What::Rtp), Err(SrtpError::IndexReused));
    }
}
