//! Calls between two endpoints in virtual time, over a network that loses, delays, reorders and repeats.

mod calls;
mod faults;
mod interop;
mod peers;
mod phones;
mod recovery;
mod register;
mod streams;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kraliki_time::Time;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::event::ModifyAnswer;
use crate::message::Builder;
use crate::recovery::CallIdKey;
use crate::transport::{LocalSocket, Transport};

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

pub(super) fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, side as u8 + 1], 5060))
}

pub(super) fn config(side: usize) -> EndpointConfig {
    EndpointConfig {
        sockets: vec![LocalSocket {
            transport: Transport::Udp,
            bound: address(side),
            advertise: address(side),
        }],
        accept_from: AcceptFrom::Any,
        // B's own calls are none of A's.
        call_id_key: (side == A).then(|| CallIdKey::new(&[9; 32])),
        ..EndpointConfig::default()
    }
}

/// What the network does to a datagram, in per cent.
#[derive(Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) loss: u64,
    pub(super) repeat: u64,
    pub(super) jitter_ms: u64,
}

/// Two endpoints and the network between them.
pub(super) struct Pair {
    pub(super) ends: [Endpoint; 2],
    pub(super) now: Time,
    pub(super) weather: Weather,
    rng: ChaCha8Rng,
    /// By arrival, then by order of sending: to, from, bytes.
    flying: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Bytes)>,
    sent: u64,
    /// Everything that was sent, with its sender.
    pub(super) wire: Vec<(Time, SocketAddr, Bytes)>,
    pub(super) events: [Vec<Event>; 2],
    /// What went to addresses that are neither end.
    pub(super) elsewhere: Vec<(SocketAddr, Bytes)>,
}

pub(super) const DELAY: Duration = Duration::from_millis(10);

impl Pair {
    pub(super) fn new(seed: u64) -> Pair {
        Pair::with(seed, config(A), config(B))
    }

    pub(super) fn with(seed: u64, a: EndpointConfig, b: EndpointConfig) -> Pair {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut chance = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            seed
        };
        let ends = [Endpoint::new(a, chance()), Endpoint::new(b, chance())];
        Pair {
            ends,
            now: Time::from_millis(1_000),
            weather: Weather::default(),
            rng,
            flying: BTreeMap::new(),
            sent: 0,
            wire: Vec::new(),
            events: [Vec::new(), Vec::new()],
            elsewhere: Vec::new(),
        }
    }

    /// Places a call from A to B.
    pub(super) fn invite(&mut self) -> CallKey {
        self.invite_with(|_| {})
    }

    pub(super) fn invite_with(&mut self, change: impl FnOnce(&mut InviteRequest)) -> CallKey {
        let id = CallIdKey::new(&[9; 32]).make(self.sent, 1);
        let mut request = InviteRequest::new(address(B), "sip:+15550100@10.0.0.2", &id);
        request.from_user = "+15550199".into();
        request.body = Some(Body::sdp("offer"));
        change(&mut request);
        self.ends[A].invite(self.now, request).unwrap()
    }

    /// Lets the network and the timers run for `time`; `react` sees every event at once.
    pub(super) fn run_with(
        &mut self,
        time: Duration,
        mut react: impl FnMut(&mut [Endpoint; 2], Time, usize, &Event),
    ) {
        let end = self.now + time;
        loop {
            let mut next = end;
            for side in [A, B] {
                loop {
                    match self.ends[side].poll_output() {
                        Output::Transmit(t) => self.fly(address(side), t.to, t.bytes),
                        Output::Event(event) => {
                            react(&mut self.ends, self.now, side, &event);
                            self.events[side].push(event);
                        }
                        Output::Timeout(at) => {
                            next = next.min(at.unwrap_or(Time::MAX)).max(self.now);
                            break;
                        }
                    }
                }
            }
            // A reaction may have queued more for the other side.
            if self.ends.iter().any(|e| !e.core.queue.is_empty()) {
                continue;
            }
            if let Some(((at, _), _)) = self.flying.first_key_value() {
                next = next.min(*at);
            }
            if next >= end && self.flying.first_key_value().is_none_or(|((at, _), _)| *at > end) {
                self.now = end;
                for end in &mut self.ends {
                    end.handle_timeout(self.now);
                }
                if self.ends.iter().all(|e| e.core.queue.is_empty()) {
                    return;
                }
                continue;
            }
            self.now = next;
            while let Some(entry) = self.flying.first_entry().filter(|e| e.key().0 <= self.now) {
                let (to, from, bytes) = entry.remove();
                match [A, B].into_iter().find(|side| address(*side) == to) {
                    Some(side) => self.ends[side].handle_datagram(self.now, SocketId(0), from, bytes),
                    None => self.elsewhere.push((to, bytes)),
                }
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.run_with(time, |_, _, _, _| {});
    }

    /// As `run`, with B answering every call.
    pub(super) fn run_answering(&mut self, time: Duration) {
        self.run_with(time, |ends, now, side, event| {
            if let (B, Event::Incoming { call, .. }) = (side, event) {
                ends[B].ring(now, *call, 180, None).unwrap();
                ends[B].answer(now, *call, Some(Body::sdp("answer"))).unwrap();
            }
        });
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        self.wire.push((self.now, from, bytes.clone()));
        let copies = 1 + u64::from(self.rng.next_u64() % 100 < self.weather.repeat);
        for _ in 0..copies {
            if self.rng.next_u64() % 100 < self.weather.loss {
                continue;
            }
            let jitter = Duration::from_millis(self.rng.next_u64() % (self.weather.jitter_ms + 1));
            self.sent += 1;
            self.flying.insert((self.now + DELAY + jitter, self.sent), (to, from, bytes.clone()));
        }
    }

    /// Puts a datagram into the network as if a third party had sent it.
    pub(super) fn inject(&mut self, from: SocketAddr, to: usize, bytes: Bytes) {
        self.ends[to].handle_datagram(self.now, SocketId(0), from, bytes);
    }

    /// How often one side sent a message that starts with `start` (and has `method` in CSeq).
    pub(super) fn sent(&self, side: usize, start: &str, method: &str) -> usize {
        let matches = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.starts_with(start) && text.lines().any(|l| l.starts_with("CSeq:") && l.ends_with(method))
        };
        self.wire.iter().filter(|(_, from, bytes)| *from == address(side) && matches(bytes)).count()
    }

    /// Every table is empty once all timers have run out.
    pub(super) fn assert_clean(&mut self) {
        self.run(Duration::from_secs(120));
        for (side, end) in self.ends.iter().enumerate() {
            assert_eq!(end.call_count(), 0, "calls of {side}");
            assert_eq!(end.transaction_count(), 0, "transactions of {side}");
            assert_eq!(end.merged.len(), 0, "merge keys of {side}");
            assert_eq!(end.core.strays.len(), 0, "strays of {side}");
            assert_eq!(end.core.txns.timers.len(), 0, "timers of {side}");
        }
    }

    pub(super) fn last(&self, side: usize) -> &Event {
        self.events[side].last().expect("an event")
    }

    pub(super) fn incoming(&self, side: usize) -> CallKey {
        let find = |e: &Event| if let Event::Incoming { call, .. } = e { Some(*call) } else { None };
        self.events[side].iter().rev().find_map(find).expect("an incoming call")
    }
}
