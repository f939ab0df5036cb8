//! Several endpoints behind one handle, over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::endpoint::CallKey;
use crate::event::{AcceptFrom, Body, EndedBy, InviteRequest};
use crate::message::Reason;
use crate::recovery::DialogSnapshot;
use crate::register::{RegistrarConfig, Registration, RegistrationState};
use crate::trace::Direction;
use crate::transport::Destination;
use crate::{Credentials, User};

const SHARDS: usize = 4;

struct End {
    sip: SipHandle,
    events: EventReceiver,
}

impl End {
    fn new(shards: usize, shared_port: bool) -> End {
        End::with(shards, shared_port, EndpointConfig::default(), AcceptFrom::Any)
    }

    fn with(shards: usize, shared_port: bool, config: EndpointConfig, accept_from: AcceptFrom) -> End {
        let local = |transport| Listen::new(transport, "127.0.0.1:0".parse().unwrap());
        let listen = vec![local(Transport::Udp), local(Transport::Tcp)];
        let net = NetConfig { listen, shards, shared_port, ..NetConfig::default() };
        let config = EndpointConfig { accept_from, ..config };
        let (sip, events) = start(net, config, Clock::start(), [shards as u8; 32]).unwrap();
        End { sip, events }
    }

    fn udp(&self, shard: usize) -> SocketAddr {
        self.sip.shard_addresses(shard)[0]
    }

    fn tcp(&self) -> Destination {
        Destination::new(self.sip.local_addresses()[1], Transport::Tcp)
    }

    fn find<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        std::iter::from_fn(|| self.events.blocking_recv()).find_map(|(_, event)| wanted(&event)).unwrap()
    }

    fn incoming(&mut self) -> (CallKey, SocketAddr, String) {
        self.find(|event| match event {
            Event::Incoming { call, from, request, .. } => {
                let id = String::from_utf8_lossy(request.call_id().unwrap()).into_owned();
                Some((*call, *from, id))
            }
            _ => None,
        })
    }

    fn answered(&mut self) -> (CallKey, DialogSnapshot) {
        self.find(|event| match event {
            Event::Answered { call, dialog, .. } => Some((*call, (**dialog).clone())),
            _ => None,
        })
    }

    fn ended(&mut self) -> (CallKey, EndedBy) {
        self.find(|event| match event {
            Event::Ended { call, by, .. } => Some((*call, *by)),
            Event::Failed { .. } => panic!("{event:?}"),
            _ => None,
        })
    }

    fn shard(&self, call: CallKey) -> usize {
        crate::shard::of_key(call, self.sip.shards())
    }
}

fn offer(to: impl Into<Destination>, id: &str) -> InviteRequest {
    InviteRequest { body: Some(Body::sdp("v=0\r\n")), ..InviteRequest::new(to, "sip:1@h", id) }
}

/// A whole call; gives both keys and where the INVITE came from.
fn call(
    a: &mut End,
    b: &mut End,
    to: impl Into<Destination>,
    id: &str,
    b_ends: bool,
) -> (CallKey, CallKey, SocketAddr) {
    let ours = a.sip.invite(offer(to, id)).unwrap();
    let (theirs, from, _) = b.incoming();
    b.sip.ring(theirs, 180, None).unwrap();
    b.sip.answer(theirs, Some(Body::sdp("v=0\r\n"))).unwrap();
    assert_eq!(a.answered().0, ours);
    b.find(|event| matches!(event, Event::Acknowledged { .. }).then_some(()));
    match b_ends {
        true => b.sip.bye(theirs, None).unwrap(),
        false => a.sip.bye(ours, None).unwrap(),
    }
    let ends = [(EndedBy::Local, EndedBy::Remote), (EndedBy::Remote, EndedBy::Local)];
    let (at_a, at_b) = ends[usize::from(b_ends)];
    assert_eq!((a.ended(), b.ended()), ((ours, at_a), (theirs, at_b)));
    (ours, theirs, from)
}

#[test]
fn each_shard_has_its_port_and_calls_take_turns() {
    let (mut us, mut them) = (End::new(SHARDS, false), End::new(1, false));
    let mut counts = BTreeMap::new();
    for n in 0..12 {
        let to = them.udp(0);
        let (ours, _, from) = call(&mut us, &mut them, to, &format!("out-{n}"), n % 2 == 0);
        assert_eq!(from, us.udp(us.shard(ours)));
        *counts.entry(from).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [3; SHARDS]);
    for shard in 0..SHARDS {
        for b_ends in [false, true] {
            let to = us.udp(shard);
            let (_, ours, _) = call(&mut them, &mut us, to, &format!("in-{shard}-{b_ends}"), b_ends);
            assert_eq!(us.shard(ours), shard);
        }
    }
    let stats = us.sip.stats();
    assert_eq!((stats.calls_out.get(), stats.calls_in.get()), (12, 8));
    assert_eq!(stats.dropped_unmatched.get(), 0);
    // The ports are free again when the events end.
    us.sip.stop();
    while us.events.blocking_recv().is_some() {}
    (0..SHARDS).for_each(|shard| drop(UdpSocket::bind(us.udp(shard)).unwrap()));
}

#[test]
fn connections_and_fixed_sockets_are_the_first_shards() {
    let (mut us, mut them) = (End::new(SHARDS, false), End::new(1, false));
    for n in 0..3 {
        let to = them.tcp();
        let (ours, _, _) = call(&mut us, &mut them, to, &format!("tcp-{n}"), n == 0);
        let fixed = Destination { socket: Some(SocketId(0)), ..them.udp(0).into() };
        let (fixed, _, from) = call(&mut us, &mut them, fixed, &format!("fixed-{n}"), n == 0);
        assert_eq!((us.shard(ours), us.shard(fixed), from), (0, 0, us.udp(0)));
    }
    // A request that may go on by TCP, and one that is too large for UDP.
    let mut request = offer(them.udp(0), "alternative");
    request.alternatives = vec![them.tcp()];
    assert_eq!(us.shard(us.sip.invite(request).unwrap()), 0);
    let mut request = offer(them.udp(0), "large");
    (request.large_by_tcp, request.headers) = (true, vec![("X-Long".into(), "x".repeat(1_300))]);
    assert_eq!(us.shard(us.sip.invite(request).unwrap()), 0);
    let (to, mut from) = (us.tcp(), them);
    call(&mut from, &mut us, to, "in-tcp", true);
}

#[test]
fn shards_share_a_port() {
    let (mut us, mut them) = (End::new(SHARDS, true), End::new(1, false));
    assert_eq!((0..SHARDS).map(|shard| us.udp(shard)).collect::<BTreeSet<_>>().len(), 1);
    let (mut out, mut inbound) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..24 {
        let to = them.udp(0);
        let (ours, _, from) = call(&mut us, &mut them, to, &format!("out-{n}"), n % 2 == 0);
        assert_eq!(from, us.udp(0));
        out.insert(us.shard(ours));
        let to = us.udp(0);
        let (_, ours, _) = call(&mut them, &mut us, to, &format!("in-{n}"), n % 2 == 0);
        inbound.insert(us.shard(ours));
    }
    assert_eq!((out.len(), inbound.len()), (SHARDS, SHARDS));
    // What is the first shard's alone chooses its Call-ID.
    for _ in 0..8 {
        let key = us.sip.options(them.udp(0)).unwrap();
        let status = us.find(|event| match event {
            Event::OptionsResult { key: k, status, .. } if *k == key => Some(*status),
            _ => None,
        });
        assert_eq!(status, Some(200));
    }
    let to = them.tcp();
    let (ours, _, _) = call(&mut us, &mut them, to, "tcp", true);
    assert_eq!(us.shard(ours), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for id in ["out-3", "in-3", "out-4", "in-4"] {
        assert!(runtime.block_on(us.sip.trace_by_call_id(id)).unwrap().entries.len() >= 6, "{id}");
    }
    assert!(runtime.block_on(us.sip.trace_by_call_id("none")).is_none());
    let stats = us.sip.stats();
    assert_eq!((stats.calls_out.get(), stats.calls_in.get()), (25, 24));
    assert_eq!((stats.dropped_unmatched.get(), stats.dropped_shard.get()), (0, 0));
    us.sip.stop();
    while us.events.blocking_recv().is_some() {}
    drop(UdpSocket::bind(us.udp(0)).unwrap());
}

#[test]
fn a_shared_port_serves_phones_and_registers() {
    let registrar = Some(RegistrarConfig::new("pbx.example"));
    let config = EndpointConfig { registrar, ..EndpointConfig::default() };
    let mut office = End::with(SHARDS, true, config, AcceptFrom::Nobody);
    office.sip.set_users(vec![User::new("alice", "pbx.example", "a")]).unwrap();
    // The phone's side has shards too, and registers from its first.
    let mut phone = End::new(SHARDS, true);
    let there = office.udp(0);
    let credentials = Arc::new(Credentials { username: "alice".into(), password: "a".into() });
    let credentials = Some(credentials);
    let registration = Registration {
        credentials: credentials.clone(),
        ..Registration::new(there, "sip:alice@pbx.example", "alice")
    };
    phone.sip.register(registration).unwrap();
    phone.find(|event| match event {
        Event::Registration { state: RegistrationState::Registered { .. }, .. } => Some(()),
        Event::Registration { state: RegistrationState::Failed { .. }, .. } => panic!("{event:?}"),
        _ => None,
    });
    for n in 0..6 {
        // Whatever the Call-ID, the phone is reached, and heard.
        let ours = office.sip.invite_user("alice", offer(there, &format!("to-phone-{n}"))).unwrap();
        let (theirs, _, _) = phone.incoming();
        phone.sip.answer(theirs, Some(Body::sdp("v=0\r\n"))).unwrap();
        assert_eq!(office.answered().0, ours);
        phone.sip.bye(theirs, None).unwrap();
        assert_eq!(office.ended(), (ours, EndedBy::Remote));
        let mut request = offer(there, &format!("from-phone-{n}"));
        request.credentials = credentials.clone();
        phone.sip.invite(request).unwrap();
        let (call, _, _) = office.incoming();
        office.sip.reject(call, 486, Vec::new()).unwrap();
    }
    assert_eq!(office.sip.stats().dropped_source.get(), 0);
}

#[test]
fn a_stored_dialog_is_ended_from_its_port() {
    for shared in [false, true] {
        let (mut us, mut them) = (End::new(SHARDS, shared), End::new(1, false));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for n in 0..SHARDS {
            us.sip.invite(offer(them.udp(0), &format!("stored-{n}"))).unwrap();
            let (theirs, from, _) = them.incoming();
            them.sip.answer(theirs, None).unwrap();
            let (_, dialog) = us.answered();
            them.find(|event| matches!(event, Event::Acknowledged { .. }).then_some(()));
            let stored = dialog.encode().parse().unwrap();
            let key = us.sip.bye_dialog(stored, Some(Reason::q850(41, "restarted"))).unwrap();
            let status = us.find(|event| match event {
                Event::DialogCleared { key: k, status } if *k == key => Some(*status),
                _ => None,
            });
            assert_eq!(status, Some(200));
            let trace = runtime.block_on(them.sip.trace(theirs)).unwrap();
            let bye = |entry: &&crate::TraceEntry| {
                entry.direction == Direction::In && entry.message.starts_with(b"BYE ")
            };
            assert_eq!(trace.entries.iter().find(bye).unwrap().peer, from);
        }
    }
}

#[test]
fn an_attended_transfer_takes_two_shards() {
    let (mut us, mut them) = (End::new(SHARDS, false), End::new(1, false));
    let mut calls = Vec::new();
    for n in 0..2 {
        us.sip.invite(offer(them.udp(0), &format!("transfer-{n}"))).unwrap();
        let (theirs, _, _) = them.incoming();
        them.sip.answer(theirs, None).unwrap();
        calls.push((us.answered().0, theirs));
    }
    let [(first, at_them), (second, _)] = calls[..] else { panic!() };
    assert_ne!(us.shard(first), us.shard(second));
    us.sip.refer(first, "sip:them@127.0.0.1", Some(second)).unwrap();
    let (call, replaces) = them.find(|event| match event {
        Event::Refer { call, replaces, .. } => Some((*call, replaces.clone())),
        _ => None,
    });
    assert_eq!(call, at_them);
    assert!(replaces.unwrap().starts_with("transfer-1;to-tag="));
    // One that is gone cannot be lent: that is said.
    us.sip.bye(second, None).unwrap();
    us.ended();
    us.sip.refer(first, "sip:them@127.0.0.1", Some(second)).unwrap();
    us.find(|event| matches!(event, Event::ReferProgress { status: 503, done: true, .. }).then_some(()));
}

#[test]
fn ports_follow_one_another() {
    let listen = Listen {
        advertise: Some("192.0.2.1:6000".parse().unwrap()),
        ..Listen::udp("0.0.0.0:5060".parse().unwrap())
    };
    let third = listen.of_shard(2).unwrap();
    assert_eq!((third.bind.port(), third.advertise.unwrap().port()), (5062, 6002));
    assert_eq!(Listen::udp("0.0.0.0:0".parse().unwrap()).of_shard(2).unwrap().bind.port(), 0);
    assert!(Listen::udp("0.0.0.0:65535".parse().unwrap()).of_shard(1).is_none());
    let net = NetConfig {
        listen: vec![Listen::udp("127.0.0.1:65535".parse().unwrap())],
        shards: 2,
        ..NetConfig::default()
    };
    let error = start(net, EndpointConfig::default(), Clock::start(), [0; 32]).unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:65535"), "{error}");
}
