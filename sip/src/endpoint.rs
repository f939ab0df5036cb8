//! The endpoint: bytes → transaction → dialog → session, and back.
//!
//! The drive contract: after every `handle_*` and every command, call [`Endpoint::poll_output`] until it gives
//! [`Output::Timeout`]; then wake the endpoint at that time with [`Endpoint::handle_timeout`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kraliki_time::Time;

use crate::core::Core;
use crate::dialog::Dialog;
use crate::error::ApiMisuse;
use crate::event::{AcceptFrom, Body, EndpointConfig, Event, Failure, InviteRequest, ModifyAnswer, Transmit};
use crate::message::{Broken, Message, Method, Name, Reason, Writer};
use crate::receive::check;
use crate::recovery::DialogSnapshot;
use crate::register::{Client, Registrar, stun};
use crate::session::{Call, Fate};
use crate::shard::Shard;
use crate::stats::Stats;
use crate::trace::{self, Trace};
use crate::transaction::{Fired, Hop, Owner, SpreadMap, Timer, TxnId};
use crate::transport::Destination;

/// A call, an OPTIONS, a BYE for a stored dialog or a registration of ours. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub(crate) u64);

impl CallKey {
    /// As a number, for logs and tables.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// Gives out keys. Cloned, so that whoever commands the endpoint from afar knows a call's key at once.
#[derive(Clone, Debug)]
pub struct Keys {
    next: Arc<AtomicU64>,
    step: u64,
}

impl Default for Keys {
    fn default() -> Self {
        Keys::of(Shard::default())
    }
}

impl Keys {
    /// The keys of a shard.
    pub(crate) fn of(shard: Shard) -> Keys {
        let (first, step) = shard.keys();
        Keys { next: Arc::new(first.into()), step }
    }

    /// A new key.
    pub fn next(&self) -> CallKey {
        CallKey(self.next.fetch_add(self.step, Ordering::Relaxed))
    }
}

/// A local socket, by its place in [`EndpointConfig::sockets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u16);

/// What the endpoint wants.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Tell the owner.
    Event(Event),
    /// Nothing more now; wake it then. None: only when something comes in.
    Timeout(Option<Time>),
}

/// The state machine of all calls.
pub struct Endpoint {
    pub(crate) core: Core,
    pub(crate) calls: SpreadMap<CallKey, Box<Call>>,
    pub(crate) merged: SpreadMap<u64, CallKey>,
    pub(crate) keys: Keys,
    pub(crate) registrations: BTreeMap<CallKey, Client>,
    pub(crate) registrar: Option<Registrar>,
    ended: trace::Ended,
    pub(crate) overloaded: bool,
}

impl Endpoint {
    /// An endpoint. `seed` gives all its chance: tags, branches, nonces. It must be unpredictable in service.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Endpoint {
        let (registrar, keys) = (config.registrar.clone(), Keys::of(config.shard));
        let mut core = Core::new(config, seed, Arc::default());
        let registrar = registrar.map(|config| Registrar::new(config, &core.secret_key()));
        Endpoint {
            core,
            calls: SpreadMap::default(),
            merged: SpreadMap::default(),
            keys,
            registrations: BTreeMap::new(),
            registrar,
            ended: trace::Ended::default(),
            overloaded: false,
        }
    }

    /// Its counters.
    pub fn stats(&self) -> Arc<Stats> {
        self.core.stats.clone()
    }

    /// Its source of keys.
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Calls that exist.
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// Transactions that exist, tombstones included.
    pub fn transaction_count(&self) -> usize {
        self.core.txns.len()
    }

    /// Changes who may start calls.
    pub fn set_accept_from(&mut self, accept_from: AcceptFrom) {
        self.core.config.accept_from = accept_from;
    }

    /// While it is so, peers' new calls are refused with 503 and Retry-After, and ours fail with
    /// [`ApiMisuse::Overloaded`]. Calls in progress go on, and so do calls from and to registered phones: they are few,
    /// and agents that calls in progress may wait for.
    pub fn set_overloaded(&mut self, overloaded: bool) {
        self.overloaded = overloaded;
    }

    /// The messages of a call that runs or has just ended.
    pub fn trace(&self, call: CallKey) -> Option<Trace> {
        let live = self.calls.get(&call).map(|call| &call.trace);
        live.or_else(|| self.ended.find(&|key, _| key == call)).cloned()
    }

    /// As `trace`, by Call-ID.
    pub fn trace_by_call_id(&self, call_id: &str) -> Option<Trace> {
        let wanted = call_id.as_bytes();
        let live = self.calls.values().find(|call| call.call_id == wanted).map(|call| &call.trace);
        live.or_else(|| self.ended.find(&|_, id| id == wanted)).cloned()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Output {
        match self.core.queue.pop_front() {
            Some(output) => output,
            None => {
                self.core.stats.calls.set(self.calls.len() as u64);
                self.core.stats.transactions.set(self.core.txns.len() as u64);
                Output::Timeout(self.core.txns.timers.next())
            }
        }
    }

    // Commands

    /// Places a call.
    pub fn invite(&mut self, now: Time, request: InviteRequest) -> Result<CallKey, ApiMisuse> {
        let key = self.keys.next();
        self.invite_as(now, key, request).map(|()| key)
    }

    /// As `invite`, with a key from [`Endpoint::keys`].
    pub fn invite_as(&mut self, now: Time, key: CallKey, request: InviteRequest) -> Result<(), ApiMisuse> {
        self.place(now, key, request, None)
    }

    /// Gives a call up that is not answered yet. One whose answer was told already is left alone: the owner decides
    /// anew. (An answer that crosses the CANCEL on the wire is acknowledged and ended.)
    pub fn cancel(&mut self, now: Time, call: CallKey, reason: Option<Reason>) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| {
            if call.is_up() { Err(ApiMisuse::WrongState) } else { call.end(core, now, reason) }
        })
    }

    /// Ends a call. When it is not answered yet, it is cancelled or refused.
    pub fn bye(&mut self, now: Time, call: CallKey, reason: Option<Reason>) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.end(core, now, reason))
    }

    /// Answers an incoming call with a provisional status, 180 or 183 as a rule.
    pub fn ring(
        &mut self,
        now: Time,
        call: CallKey,
        status: u16,
        body: Option<Body>,
    ) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.ring(core, now, status, body.as_ref()).map(|()| Fate::Lives))
    }

    /// Answers an incoming call with 200. A call whose place it takes is ended (RFC 3891 §3).
    pub fn answer(&mut self, now: Time, call: CallKey, body: Option<Body>) -> Result<(), ApiMisuse> {
        let replaced = self.calls.get(&call).and_then(|call| call.replaced());
        self.command(call, |call, core| call.answer(core, now, body.as_ref()).map(|()| Fate::Lives))?;
        if let Some(replaced) = replaced {
            // It may have ended by itself meanwhile.
            let _ = self.bye(now, replaced, None);
        }
        Ok(())
    }

    /// Answers the offer that came with an answer ([`Event::Answered`] or [`Event::Modified`] with `offer`).
    pub fn acknowledge(&mut self, now: Time, call: CallKey, body: Option<Body>) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| {
            call.acknowledge_offer(core, now, body.as_ref()).map(|()| Fate::Lives)
        })
    }

    /// Changes an answered call: a re-INVITE with this offer, or one that asks the peer for its own.
    /// [`Event::Modified`] follows.
    pub fn modify(&mut self, now: Time, call: CallKey, body: Option<Body>) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.modify(core, now, body).map(|()| Fate::Lives))
    }

    /// Sends an INFO within an answered call. [`Event::InfoResult`] follows.
    pub fn info(&mut self, now: Time, call: CallKey, body: Body) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.info(core, now, &body).map(|()| Fate::Lives))
    }

    /// Asks the peer of an answered call to call `to`; with `replaces`, in the place of that other call of ours
    /// (RFC 5589 §7). [`Event::ReferProgress`] follows.
    pub fn refer(
        &mut self,
        now: Time,
        call: CallKey,
        to: &str,
        replaces: Option<CallKey>,
    ) -> Result<(), ApiMisuse> {
        let replaces = replaces.map(|other| self.replaces(other)).transpose()?;
        self.refer_as(now, call, to, replaces.as_deref())
    }

    /// What names an answered call in a Replaces header, also for a call of another shard.
    pub(crate) fn replaces(&self, call: CallKey) -> Result<Vec<u8>, ApiMisuse> {
        self.calls.get(&call).ok_or(ApiMisuse::UnknownCall)?.replaces().ok_or(ApiMisuse::WrongState)
    }

    /// As `refer`, with the value of the Replaces header.
    pub(crate) fn refer_as(
        &mut self,
        now: Time,
        call: CallKey,
        to: &str,
        replaces: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.refer(core, now, to, replaces).map(|()| Fate::Lives))
    }

    /// Answers [`Event::Refer`]: a 2xx accepts it, anything else is the refusal.
    pub fn respond_refer(&mut self, now: Time, call: CallKey, status: u16) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.respond_refer(core, now, status).map(|()| Fate::Lives))
    }

    /// Tells the peer of an accepted [`Event::Refer`] what the new call has come to; a final status is the last word.
    pub fn notify_refer(&mut self, now: Time, call: CallKey, status: u16) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.notify_refer(core, now, status).map(|()| Fate::Lives))
    }

    /// Refuses an incoming call, with more headers (Reason, Retry-After). The call is gone.
    pub fn reject(
        &mut self,
        now: Time,
        call: CallKey,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.reject(core, now, status, headers))
    }

    /// As [`Endpoint::reject`], with another reason phrase than the status usually has (RFC 8224 §6.2.2: 403 Stale Date).
    pub fn reject_saying(
        &mut self,
        now: Time,
        call: CallKey,
        status: u16,
        phrase: &str,
        headers: &[(String, String)],
    ) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.reject_saying(core, now, (status, phrase), headers))
    }

    /// Answers [`Event::Modify`].
    pub fn respond_modify(
        &mut self,
        now: Time,
        call: CallKey,
        answer: ModifyAnswer,
    ) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.respond_modify(core, now, &answer).map(|()| Fate::Lives))
    }

    /// Asks a trunk whether it is there.
    pub fn options(&mut self, now: Time, destination: impl Into<Destination>) -> Result<CallKey, ApiMisuse> {
        let key = self.keys.next();
        self.options_as(now, key, &destination.into()).map(|()| key)
    }

    /// As `options`, with a key from [`Endpoint::keys`].
    pub fn options_as(
        &mut self,
        now: Time,
        key: CallKey,
        destination: &Destination,
    ) -> Result<(), ApiMisuse> {
        let hop = self.core.route(destination)?;
        let tag = self.core.new_call_id(key);
        let (owner, contact) = (Owner::Options(key, now), self.core.contact(hop.socket));
        let request = self.core.request(now, owner, hop, false, None, |core, branch| {
            let host = match &destination.server_name {
                Some(name) => name.to_string(),
                None => destination.address.to_string(),
            };
            let mut w = Writer::request(&Method::Options, format!("sip:{host}").as_bytes(), 0);
            w.via(&core.via(hop.socket), branch).max_forwards();
            w.raw(b"From: ").raw(&contact).raw(b";tag=").raw(tag.as_bytes()).raw(b"\r\n");
            w.header(Name::To, format!("<sip:{host}>").as_bytes());
            w.raw(b"Call-ID: ").raw(tag.as_bytes()).raw(b"\r\n").cseq(1, &Method::Options);
            w.header(Name::Accept, b"application/sdp")
                .header(Name::UserAgent, core.config.user_agent.as_bytes());
            core.finish(w, hop.socket, None)
        });
        request.map(drop)
    }

    /// Ends a dialog that was stored before a crash. [`Event::DialogCleared`] follows.
    pub fn bye_dialog(
        &mut self,
        now: Time,
        dialog: &DialogSnapshot,
        reason: Option<Reason>,
    ) -> Result<CallKey, ApiMisuse> {
        let key = self.keys.next();
        self.bye_dialog_as(now, key, dialog, reason).map(|()| key)
    }

    /// As `bye_dialog`, with a key from [`Endpoint::keys`].
    pub fn bye_dialog_as(
        &mut self,
        now: Time,
        key: CallKey,
        dialog: &DialogSnapshot,
        reason: Option<Reason>,
    ) -> Result<(), ApiMisuse> {
        let socket = dialog.bound.and_then(|bound| self.core.socket_at(bound, dialog.transport));
        let to = Destination { socket, ..Destination::new(dialog.dialog.hop.to, dialog.transport) };
        let hop = self.core.route(&to)?;
        let dialog = Dialog { hop, ..dialog.dialog.clone() };
        let seq = dialog.local_seq + 1;
        let request = self.core.request(now, Owner::Snapshot(key), hop, false, None, |core, branch| {
            let mut w = dialog.write(core, &Method::Bye, seq, branch, 0);
            if let Some(reason) = &reason {
                w.header(Name::Reason, reason.encode().as_bytes());
            }
            w.body(None)
        });
        request.map(drop)
    }

    fn command(
        &mut self,
        key: CallKey,
        act: impl FnOnce(&mut Call, &mut Core) -> Result<Fate, ApiMisuse>,
    ) -> Result<(), ApiMisuse> {
        let call = self.calls.get_mut(&key).ok_or(ApiMisuse::UnknownCall)?;
        let fate = act(call, &mut self.core)?;
        self.settle(key, fate);
        Ok(())
    }

    pub(crate) fn settle(&mut self, key: CallKey, fate: Fate) {
        if fate == Fate::Lives {
            return;
        }
        if let Some(call) = self.calls.remove(&key) {
            if call.merge != 0 {
                self.merged.remove(&call.merge);
            }
            if self.core.config.trace {
                self.ended.push(key, call.call_id, call.trace);
            }
        }
    }

    // Time

    /// Acts on every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(entry) = self.core.txns.timers.pop(now) {
            match entry.timer {
                Timer::Stray => self.core.strays.forget(entry.target),
                Timer::Register => self
                    .registration(CallKey(entry.target), |client, core| client.on_wake(core, now, entry.at)),
                Timer::Binding => {
                    if let Some(registrar) = &mut self.registrar {
                        registrar.on_wake(&mut self.core, now, entry.target, entry.at);
                    }
                }
                _ => {}
            }
            if matches!(entry.timer, Timer::Stray | Timer::Register | Timer::Binding) {
                continue;
            }
            if entry.timer.is_of_call() {
                let key = CallKey(entry.target);
                if let Some(call) = self.calls.get_mut(&key) {
                    let fate = call.on_timer(&mut self.core, now, entry.timer);
                    self.settle(key, fate);
                }
                continue;
            }
            let Some((id, owner, hop, fired)) = self.core.txns.fire(now, entry) else { continue };
            match fired {
                Fired::Nothing | Fired::Gone => {}
                Fired::Again(bytes) => {
                    self.core.stats.retransmitted.add(1);
                    let trace = trace_again(&mut self.calls, owner);
                    self.core.send(now, hop, bytes, trace);
                }
                Fired::TimedOut(sent) => self.gave_up(now, id, owner, Failure::Timeout, sent),
            }
        }
    }

    /// A connection is gone, or could not be made: what waits for an answer by it has failed (RFC 3261 §18.4).
    pub fn handle_closed(&mut self, now: Time, socket: SocketId, peer: SocketAddr) {
        let hop = Hop { socket, to: peer };
        self.flow_closed(now, hop);
        for (id, owner, sent) in self.core.txns.waiting_on(hop) {
            self.core.txns.close(id);
            self.gave_up(now, id, owner, Failure::Unreachable, sent);
        }
    }

    /// Whether an answered call, a registration or a request of ours without an answer needs the connection to there.
    pub(crate) fn needs(&self, socket: SocketId, peer: SocketAddr) -> bool {
        let hop = Hop { socket, to: peer };
        self.registrar.as_ref().is_some_and(|registrar| registrar.is_flow(hop))
            || self.registrations.values().any(|client| client.is_by(hop))
            || self.calls.values().any(|call| call.is_up_by(hop))
            || !self.core.txns.waiting_on(hop).is_empty()
    }

    /// A request of ours will not be answered any more.
    fn gave_up(&mut self, now: Time, id: TxnId, owner: Owner, why: Failure, sent: Option<Bytes>) {
        match owner {
            Owner::Call(key) => {
                if let Some(call) = self.calls.get_mut(&key) {
                    let fate = call.on_no_answer(&mut self.core, now, id, why, sent);
                    self.settle(key, fate);
                }
            }
            Owner::Options(key, sent) => {
                self.core.event(Event::OptionsResult { key, status: None, rtt: now.since(sent) });
            }
            Owner::Snapshot(key) => self.core.event(Event::DialogCleared { key, status: None }),
            Owner::Register(key) => self.registration(key, |client, core| client.on_timeout(core, now, id)),
            Owner::Nobody => {}
        }
    }

    // Messages

    /// Whether anybody known is there: a trunk or a registered phone.
    fn hears(&self, socket: SocketId, from: SocketAddr) -> bool {
        let flow = Hop { socket, to: from };
        self.core.config.accept_from.allows(from) || self.registrar.as_ref().is_some_and(|r| r.is_flow(flow))
    }

    /// Takes a datagram, or one message cut from a stream.
    pub fn handle_datagram(&mut self, now: Time, socket: SocketId, from: SocketAddr, datagram: Bytes) {
        // RFC 5626 §3.5.1: CRLF CRLF asks whether we are there, CRLF answers; other blank datagrams say nothing.
        if datagram.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            if &datagram[..] == b"\r\n\r\n" && self.hears(socket, from) {
                let bytes = Bytes::from_static(b"\r\n");
                self.core.queue.push_back(Output::Transmit(Transmit { socket, to: from, bytes }));
            }
            return;
        }
        if stun::is_request(&datagram) {
            if self.hears(socket, from) {
                let bytes = stun::answer(&datagram, from);
                self.core.queue.push_back(Output::Transmit(Transmit { socket, to: from, bytes }));
            }
            return;
        }
        match Message::parse_or_keep(datagram) {
            Ok(Message::Response(response)) if response.check().is_ok() => {
                self.on_response(now, socket, from, response);
            }
            Ok(Message::Response(_)) => self.core.stats.dropped_malformed.add(1),
            Ok(Message::Request(request)) => match check(&request) {
                Ok(()) => self.on_request(now, socket, from, request),
                Err(why) => self.on_broken(now, socket, from, Broken::request(why, request)),
            },
            Err(broken) => self.on_broken(now, socket, from, broken),
        }
    }
}

/// Something of a transaction's is sent again: where that is noted.
pub(crate) fn trace_again(calls: &mut SpreadMap<CallKey, Box<Call>>, owner: Owner) -> Option<&mut Trace> {
    let Owner::Call(key) = owner else { return None };
    let call = calls.get_mut(&key)?;
    call.retransmitted += 1;
    Some(&mut call.trace)
}

#[cfg(test)]
#[path = "endpoint_tests/mod.rs"]
mod tests;
