//! The endpoint: bytes → transaction → dialog → session, and back.
//!
//! The drive contract: after every `handle_*` and every command, call [`Endpoint::poll_output`] until it gives
//! [`Output::Timeout`]; then wake the endpoint at that time with [`Endpoint::handle_timeout`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kraliki_time::Time;

use crate::auth::Verdict;
use crate::core::{ALLOW, Core, answer_hop, response_to};
use crate::error::{ApiMisuse, Malformed};
use crate::event::{AcceptFrom, Body, EndpointConfig, Event, InviteRequest, ModifyAnswer, Transmit};
use crate::limits;
use crate::message::{Message, Method, Name, Reason, Request, Response, Writer};
use crate::recovery::DialogSnapshot;
use crate::session::stray;
use crate::session::{Call, Fate, finish_other, merge_key};
use crate::stats::Stats;
use crate::trace::{self, Direction, Trace};
use crate::transaction::{
    ClientInvite, ClientOther, Fired, Hop, Kind, Owner, ServerInvite, SpreadMap, Timer, TxnId,
};

/// A call, an OPTIONS or a BYE for a stored dialog. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub(crate) u64);

impl CallKey {
    /// As a number, for logs and tables.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// Gives out keys. Cloned, so that whoever commands the endpoint from afar knows a call's key at once.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<AtomicU64>);

impl Keys {
    /// A new key.
    pub fn next(&self) -> CallKey {
        CallKey(self.0.fetch_add(1, Ordering::Relaxed) + 1)
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
    core: Core,
    calls: SpreadMap<CallKey, Box<Call>>,
    merged: SpreadMap<u64, CallKey>,
    keys: Keys,
    ended: trace::Ended,
}

impl Endpoint {
    /// An endpoint. `seed` gives all its chance: tags, branches, nonces. It must be unpredictable in service.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Endpoint {
        Endpoint {
            core: Core::new(config, seed, Arc::default()),
            calls: SpreadMap::default(),
            merged: SpreadMap::default(),
            keys: Keys::default(),
            ended: trace::Ended::default(),
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
        if self.calls.len() >= self.core.config.max_calls {
            return Err(ApiMisuse::Full);
        }
        let call = Call::connect(&mut self.core, now, key, request)?;
        self.calls.insert(key, Box::new(call));
        self.core.stats.calls_out.add(1);
        Ok(())
    }

    /// Gives a call up that is not answered yet. When it has just been answered, it is ended.
    pub fn cancel(&mut self, now: Time, call: CallKey, reason: Option<Reason>) -> Result<(), ApiMisuse> {
        self.bye(now, call, reason)
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

    /// Answers an incoming call with 200.
    pub fn answer(&mut self, now: Time, call: CallKey, body: Option<Body>) -> Result<(), ApiMisuse> {
        self.command(call, |call, core| call.answer(core, now, body.as_ref()).map(|()| Fate::Lives))
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
    pub fn options(&mut self, now: Time, destination: SocketAddr) -> Result<CallKey, ApiMisuse> {
        let key = self.keys.next();
        self.options_as(now, key, destination).map(|()| key)
    }

    /// As `options`, with a key from [`Endpoint::keys`].
    pub fn options_as(&mut self, now: Time, key: CallKey, destination: SocketAddr) -> Result<(), ApiMisuse> {
        let hop = self.core.route(destination)?;
        let tag = self.core.new_tag(key);
        let (owner, contact) = (Owner::Options(key, now), self.core.contact(hop.socket));
        let request = self.core.request(now, owner, hop, false, None, |core, branch| {
            let mut w = Writer::request(&Method::Options, format!("sip:{destination}").as_bytes(), 0);
            w.via(&core.sent_by(hop.socket), branch).max_forwards();
            w.raw(b"From: ").raw(&contact).raw(b";tag=").raw(tag.as_bytes()).raw(b"\r\n");
            w.header(Name::To, format!("<sip:{destination}>").as_bytes());
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
        let dialog = &dialog.0;
        let hop = self.core.route(dialog.hop.to)?;
        let seq = dialog.local_seq + 1;
        let request = self.core.request(now, Owner::Snapshot(key), hop, false, None, |core, branch| {
            let mut w = dialog.write(&Method::Bye, seq, &core.sent_by(hop.socket), branch, 0);
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

    fn settle(&mut self, key: CallKey, fate: Fate) {
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
            if entry.timer == Timer::Stray {
                self.core.strays.forget(entry.target);
                continue;
            }
            let Some((id, owner, hop, fired)) = self.core.txns.fire(now, entry) else { continue };
            match fired {
                Fired::Nothing | Fired::Gone => {}
                Fired::Again(bytes) => {
                    self.core.stats.retransmitted.add(1);
                    let trace = match owner {
                        Owner::Call(key) => self.calls.get_mut(&key).map(|call| &mut call.trace),
                        _ => None,
                    };
                    self.core.send(now, hop, bytes, trace);
                }
                Fired::TimedOut => match owner {
                    Owner::Call(key) => {
                        if let Some(call) = self.calls.get_mut(&key) {
                            let fate = call.on_timeout(&mut self.core, now, id);
                            self.settle(key, fate);
                        }
                    }
                    Owner::Options(key, sent) => {
                        self.core.event(Event::OptionsResult { key, status: None, rtt: now.since(sent) });
                    }
                    Owner::Snapshot(key) => self.core.event(Event::DialogCleared { key, status: None }),
                    Owner::Nobody => {}
                },
            }
        }
    }

    // Messages

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Time, socket: SocketId, from: SocketAddr, datagram: Bytes) {
        // RFC 5626 §3.5.1: CRLF CRLF asks whether we are there, CRLF answers; other blank datagrams say nothing.
        if datagram.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            if &datagram[..] == b"\r\n\r\n" && self.core.config.accept_from.allows(from) {
                let bytes = Bytes::from_static(b"\r\n");
                self.core.queue.push_back(Output::Transmit(Transmit { socket, to: from, bytes }));
            }
            return;
        }
        match Message::parse(datagram) {
            Ok(Message::Response(response)) if response.check().is_ok() => {
                self.on_response(now, socket, from, response);
            }
            Ok(Message::Request(request)) if check(&request).is_ok() => {
                self.on_request(now, socket, from, request);
            }
            _ => self.core.stats.dropped_malformed.add(1),
        }
    }

    fn on_response(&mut self, now: Time, socket: SocketId, from: SocketAddr, response: Response) {
        self.core.stats.received.response(response.status());
        let core = &mut self.core;
        let branch = response.via().and_then(|via| via.branch()).unwrap_or_default();
        let id = TxnId::from_branch(branch);
        let method = response.cseq().map(|cseq| cseq.method).unwrap_or_default();
        let Some(txn) = id.and_then(|id| core.txns.get_mut(id)) else {
            let answer = (200..300).contains(&response.status()) && method == b"INVITE";
            if !(answer && stray::clear_unknown(core, now, &response, socket, from)) {
                core.stats.dropped_unmatched.add(1);
            }
            return;
        };
        let (mut id, mut owner, hop) = (txn.id, txn.owner, txn.hop);
        if let Owner::Call(key) = owner
            && core.config.trace
            && let Some(call) = self.calls.get_mut(&key)
        {
            call.trace.push(now, Direction::In, from, response.raw());
        }
        if let Kind::ClientInvite(state) = &mut txn.kind {
            if method == b"CANCEL" {
                // §9.1: the CANCEL shares the branch of its INVITE.
                let Some(cancel) = state.cancel() else { return };
                (id, owner) = (cancel, Owner::Nobody);
            } else {
                match absorb(now, state, &response) {
                    Absorbed::No => {}
                    Absorbed::Again(bytes, to) => {
                        core.stats.repeats.add(1);
                        core.stats.retransmitted.add(1);
                        let trace = match owner {
                            Owner::Call(key) => self.calls.get_mut(&key).map(|call| &mut call.trace),
                            _ => None,
                        };
                        return core.send(now, to.unwrap_or(hop), bytes, trace);
                    }
                    Absorbed::Fork => return stray::clear_fork(core, now, &response, hop),
                    Absorbed::Silently => return core.stats.repeats.add(1),
                }
            }
        }
        if let Some(txn) = core.txns.get_mut(id)
            && let Kind::ClientOther(state) = &mut txn.kind
        {
            match state {
                ClientOther::Done => return core.stats.repeats.add(1),
                ClientOther::Trying { request } if response.status() < 200 => {
                    *state = ClientOther::Proceeding { request: request.clone() };
                }
                _ => {}
            }
            if response.status() >= 200 && !matches!(owner, Owner::Call(_)) {
                finish_other(core, now, id);
            }
        }
        let status = Some(response.status());
        match owner {
            Owner::Call(key) => {
                if let Some(call) = self.calls.get_mut(&key) {
                    let fate = call.on_response(core, now, id, from, &response);
                    self.settle(key, fate);
                } else if response.status() >= 200 {
                    finish_other(core, now, id);
                }
            }
            Owner::Options(key, sent) if response.status() >= 200 => {
                core.event(Event::OptionsResult { key, status, rtt: now.since(sent) });
            }
            Owner::Snapshot(key) if response.status() >= 200 => {
                core.event(Event::DialogCleared { key, status })
            }
            _ => {}
        }
    }

    fn on_request(&mut self, now: Time, socket: SocketId, from: SocketAddr, request: Request) {
        self.core.stats.received.request(request.method().as_bytes());
        let core = &mut self.core;
        let Some(key) = core.server_key(&request, request.method(), false) else { return };
        let hop = answer_hop(&request, socket, from);
        if let Some(txn) = core.txns.server(key) {
            let (id, hop) = (txn.id, txn.hop);
            let acknowledged = *request.method() == Method::Ack;
            let repeat = match &mut txn.kind {
                Kind::ServerInvite(_, state @ ServerInvite::Completed { .. }) if acknowledged => {
                    *state = ServerInvite::Confirmed;
                    core.txns.timers.arm(now, id.0, Timer::I);
                    return;
                }
                Kind::ServerInvite(_, ServerInvite::Confirmed) if acknowledged => return,
                // An ACK to a 2xx that has our INVITE's branch against the rules: the call looks at it.
                _ if acknowledged => None,
                Kind::ServerInvite(_, state) => Some(state.repeat().cloned()),
                Kind::ServerOther(_, state) => Some(state.repeat().cloned()),
                _ => return,
            };
            if let Some(repeat) = repeat {
                core.stats.repeats.add(1);
                if let Some(bytes) = repeat.filter(|bytes| !bytes.is_empty()) {
                    core.stats.retransmitted.add(1);
                    core.send(now, hop, bytes, None);
                }
                return;
            }
        }
        if *request.method() == Method::Cancel {
            return self.on_cancel(now, hop, from, &request);
        }
        let tag = request.to().and_then(|to| to.tag());
        let call = tag.and_then(|tag| {
            let key = core.call_of_tag(tag)?;
            self.calls.get_mut(&key).filter(|call| call.tag.as_bytes() == tag)
        });
        if let Some(call) = call {
            let key = call.key;
            if core.config.trace {
                call.trace.push(now, Direction::In, from, request.raw());
            }
            let fate = call.on_request(core, now, socket, from, request);
            return self.settle(key, fate);
        }
        // Nothing of ours explains this request: only known sources hear anything.
        if !core.config.accept_from.allows(from) {
            return core.stats.dropped_source.add(1);
        }
        match request.method() {
            Method::Ack => core.stats.dropped_unmatched.add(1),
            _ if tag.is_some() => core.reply(now, &request, hop, 481, None),
            Method::Invite => self.on_invite(now, socket, from, request),
            Method::Bye | Method::Update | Method::Prack | Method::Info => {
                core.reply(now, &request, hop, 481, None)
            }
            Method::Options => core.reply_with(now, &request, hop, 200, None, |w| {
                w.header(Name::Allow, ALLOW).header(Name::Accept, b"application/sdp");
            }),
            Method::Other(_) => core.reply_with(now, &request, hop, 501, None, |w| {
                w.header(Name::Allow, ALLOW);
            }),
            _ => core.reply_with(now, &request, hop, 405, None, |w| {
                w.header(Name::Allow, ALLOW);
            }),
        }
    }

    fn on_invite(&mut self, now: Time, socket: SocketId, from: SocketAddr, request: Request) {
        let core = &mut self.core;
        let hop = answer_hop(&request, socket, from);
        if let Some(server) = core.config.challenge.clone() {
            let verdict = server.verify(now, &request, request.method());
            if verdict != Verdict::Good {
                let challenge = server.challenge(now, verdict == Verdict::Stale);
                return core.reply_with(now, &request, hop, 401, None, |w| {
                    w.header(Name::WwwAuthenticate, challenge.as_bytes());
                });
            }
        }
        // §8.2.2.3: nothing that a peer may require is spoken here.
        if request.get(Name::Require).is_some() {
            let wanted: Vec<_> = request.values(Name::Require).collect();
            return core.reply_with(now, &request, hop, 420, None, |w| {
                w.header(Name::Unsupported, &wanted.join(&b", "[..]));
            });
        }
        let merge = merge_key(core, &request);
        if self.merged.contains_key(&merge) {
            return core.reply(now, &request, hop, 482, None);
        }
        let key = self.keys.next();
        let full = self.calls.len() >= core.config.max_calls;
        let call = if full { None } else { Call::offered(core, now, key, socket, from, request.clone()) };
        match call {
            Some(call) => {
                self.merged.insert(merge, key);
                self.calls.insert(key, Box::new(call));
                core.stats.calls_in.add(1);
            }
            None => {
                core.stats.dropped_full.add(1);
                // Without a transaction: a table may be full.
                let mut w = response_to(&request, from, 503, Some(b"full"), 0);
                w.header(Name::RetryAfter, b"5");
                core.send(now, hop, w.body(None), None);
            }
        }
    }

    /// §9.2: the CANCEL is answered by itself; its INVITE ends with 487, when it is not answered yet.
    fn on_cancel(&mut self, now: Time, hop: Hop, from: SocketAddr, request: &Request) {
        let core = &mut self.core;
        let key = core.server_key(request, &Method::Cancel, true);
        let owner = key.and_then(|key| core.txns.server(key)).map(|txn| txn.owner);
        let Some(owner) = owner else {
            return match core.config.accept_from.allows(from) {
                true => core.reply(now, request, hop, 481, None),
                false => core.stats.dropped_source.add(1),
            };
        };
        let call = match owner {
            Owner::Call(key) => self.calls.get_mut(&key),
            _ => None,
        };
        let Some(call) = call else { return core.reply(now, request, hop, 200, None) };
        if core.config.trace {
            call.trace.push(now, Direction::In, from, request.raw());
        }
        core.reply(now, request, hop, 200, Some(&mut call.trace));
        let key = call.key;
        let fate = call.on_cancel(core, now, request);
        self.settle(key, fate);
    }
}

/// What every request must have (RFC 3261 §8.1.1).
fn check(request: &Request) -> Result<(), Malformed> {
    request.check()?;
    // §8.1.1.5: the method in CSeq is the request's.
    match request.cseq().is_some_and(|cseq| cseq.method == request.method().as_bytes()) {
        true => Ok(()),
        false => Err(Malformed::Header("CSeq")),
    }
}

/// What an INVITE transaction makes of an answer that comes after its final one.
enum Absorbed {
    /// It is the first of its kind: the call sees it.
    No,
    /// The ACK goes out again, elsewhere when the dialog's route says so.
    Again(Bytes, Option<Hop>),
    /// A 2xx of another fork.
    Fork,
    Silently,
}

fn absorb(now: Time, state: &mut ClientInvite, response: &Response) -> Absorbed {
    let success = (200..300).contains(&response.status());
    let (ack, acked, to) = match state {
        ClientInvite::Calling { .. } | ClientInvite::Proceeding { .. } => return Absorbed::No,
        ClientInvite::Completed { .. } if success => return Absorbed::Fork,
        ClientInvite::Completed { ack, acked, .. } if response.status() >= 300 => (ack, acked, None),
        ClientInvite::Accepted { ack, acked, to, tag, .. } if success => {
            if response.to().and_then(|to| to.tag()).unwrap_or_default() != &tag[..] {
                return Absorbed::Fork;
            }
            (ack, acked, Some(*to))
        }
        _ => return Absorbed::Silently,
    };
    if now.since(*acked) < limits::ACK_GAP {
        return Absorbed::Silently;
    }
    *acked = now;
    Absorbed::Again(ack.clone(), to)
}

#[cfg(test)]
#[path = "endpoint_tests/mod.rs"]
mod tests;
