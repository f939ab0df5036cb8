//! Messages that came in: to which transaction, call or rule each belongs.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use crate::auth::Verdict;
use crate::core::{ALLOW, Core, response_to};
use crate::endpoint::{CallKey, Endpoint, SocketId, trace_again};
use crate::error::Malformed;
use crate::event::Event;
use crate::limits;
use crate::message::{Method, Name, Params, Request, Response};
use crate::refuse::check_uri;
use crate::register::Admission;
use crate::session::{Call, finish_other, merge_key, refresh, stray};
use crate::trace::Direction;
use crate::transaction::{
    ClientInvite, ClientOther, Hop, Kind, Owner, ServerInvite, SpreadMap, Timer, TxnId,
};

impl Endpoint {
    pub(crate) fn on_response(&mut self, now: Time, socket: SocketId, from: SocketAddr, response: Response) {
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
                        let trace = trace_again(&mut self.calls, owner);
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
                _ if response.status() < 200 => txn.provisional(),
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
            Owner::Register(key) if response.status() >= 200 => {
                self.on_register_response(now, key, id, from, &response);
            }
            _ => {}
        }
    }

    pub(crate) fn on_request(&mut self, now: Time, socket: SocketId, from: SocketAddr, request: Request) {
        self.core.stats.received.request(request.method().as_bytes());
        let core = &mut self.core;
        let Some(key) = core.server_key(&request, request.method(), false) else { return };
        let hop = core.answer_hop(&request, socket, from);
        if let Some(txn) = core.txns.server(key) {
            let (id, hop) = (txn.id, txn.hop);
            let acknowledged = *request.method() == Method::Ack;
            let repeat = match &mut txn.kind {
                Kind::ServerInvite(_, state @ ServerInvite::Completed { .. }) if acknowledged => {
                    *state = ServerInvite::Confirmed;
                    core.bury(now, id, Timer::I);
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
        // Nothing of ours explains this request: only known sources hear anything, but for phones that register,
        // and calls of those that did.
        let flow = Hop { socket, to: from };
        let mut phone = false;
        if let Some(registrar) = &mut self.registrar {
            if *request.method() == Method::Register {
                return registrar.on_register(core, now, flow, &request);
            }
            phone = *request.method() == Method::Invite && registrar.is_flow(flow);
        }
        if !phone && !core.config.accept_from.allows(from) {
            return core.stats.dropped_source.add(1);
        }
        if *request.method() == Method::Ack {
            return core.stats.dropped_unmatched.add(1);
        }
        if let Err(why) = check_uri(&request) {
            return self.refuse(now, socket, from, &request, why);
        }
        match request.method() {
            _ if tag.is_some() => core.reply(now, &request, hop, 481, None),
            Method::Invite => self.on_invite(now, socket, from, request),
            Method::Bye | Method::Update | Method::Prack | Method::Info => {
                core.reply(now, &request, hop, 481, None)
            }
            Method::Options if refuses_extensions(core, now, &request, hop) => {}
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
        let mut hop = core.answer_hop(&request, socket, from);
        let flow = Hop { socket, to: from };
        let phones = self.registrar.as_mut().filter(|registrar| registrar.is_flow(flow));
        if self.overloaded && phones.is_none() {
            core.stats.refused_overload.add(1);
            return refuse_for_now(core, now, &request, hop);
        }
        let mut user = None;
        let mut challenges = Vec::new();
        if let Some(registrar) = phones {
            // As with its REGISTER: the way back is the way that it came.
            hop = flow;
            match registrar.authenticate(core, now, from, &request) {
                // Nobody calls in the name of others who share the flow's address.
                Admission::User(name) if registrar.is_flow_of(flow, &name) => user = Some(name),
                Admission::User(_) | Admission::Locked => return core.reply(now, &request, hop, 403, None),
                Admission::Challenge(lines) => challenges = lines,
            }
        } else {
            let salt = core.chance();
            if let Some(server) = &mut core.config.challenge {
                let verdict = server.verify(now, &request);
                if !matches!(verdict, Verdict::Good(_)) {
                    challenges = server.challenges(now, salt, verdict == Verdict::Stale);
                }
            }
        }
        if !challenges.is_empty() {
            return core.reply_with(now, &request, hop, 401, None, |w| {
                for line in &challenges {
                    w.header(Name::WwwAuthenticate, line.as_bytes());
                }
            });
        }
        if refuses_extensions(core, now, &request, hop) {
            return;
        }
        if let Some(min_s) = refresh::too_short(core, &request) {
            return core.reply_with(now, &request, hop, 422, None, |w| {
                w.header(Name::MinSe, min_s.to_string().as_bytes());
            });
        }
        let replaces = match request.get(Name::Replaces) {
            None => None,
            Some(value) => match find_replaced(core, &self.calls, value) {
                // RFC 3891 §3: a call that is not there.
                None => return core.reply(now, &request, hop, 481, None),
                found => found,
            },
        };
        let merge = merge_key(core, &request);
        if self.merged.contains_key(&merge) {
            return core.reply(now, &request, hop, 482, None);
        }
        let key = self.keys.next();
        let full = self.calls.len() >= core.config.max_calls;
        let call = match full {
            true => None,
            false => Call::offered(core, now, key, (hop, from), user, request.clone(), replaces),
        };
        match call {
            Some(call) => {
                self.merged.insert(merge, key);
                self.calls.insert(key, Box::new(call));
                core.stats.calls_in.add(1);
            }
            None => {
                core.stats.dropped_full.add(1);
                refuse_for_now(core, now, &request, hop);
            }
        }
    }

    /// §9.2: the CANCEL is answered by itself; its INVITE ends with 487, when it is not answered yet.
    fn on_cancel(&mut self, now: Time, hop: Hop, from: SocketAddr, request: &Request) {
        let core = &mut self.core;
        let key = core.server_key(request, &Method::Cancel, true);
        let invite = key.and_then(|key| core.txns.server(key)).map(|txn| (txn.owner, txn.hop));
        let Some((owner, hop)) = invite else {
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

/// 503, without a transaction: a table may be full, and it costs little. Its ACK is passed over.
fn refuse_for_now(core: &mut Core, now: Time, request: &Request, hop: Hop) {
    let mut w = response_to(request, hop.to, 503, Some(b"full"), 0);
    w.header(Name::RetryAfter, limits::RETRY_AFTER_SECONDS.to_string().as_bytes());
    core.send(now, hop, w.body(None), None);
}

/// What a peer may require of us in an INVITE.
const EXTENSIONS: [&str; 3] = ["100rel", "timer", "replaces"];

/// The call that a Replaces header means.
fn find_replaced(core: &Core, calls: &SpreadMap<CallKey, Box<Call>>, value: &[u8]) -> Option<CallKey> {
    let end = memchr::memchr(b';', value)?;
    let params = Params::new(value.get(end..)?);
    let (to_tag, from_tag) = (params.get("to-tag")?, params.get("from-tag")?);
    let key = core.call_of_tag(to_tag)?;
    let call = calls.get(&key)?;
    call.is_meant(value.get(..end)?.trim_ascii(), to_tag, from_tag).then_some(key)
}

/// Answers 420 when the peer requires an extension that is not spoken here (RFC 3261 §8.2.2.3).
fn refuses_extensions(core: &mut Core, now: Time, request: &Request, hop: Hop) -> bool {
    let spoken = |token: &[u8]| EXTENSIONS.iter().any(|known| token.eq_ignore_ascii_case(known.as_bytes()));
    let wanted: Vec<_> = request.values(Name::Require).filter(|token| !spoken(token)).collect();
    if wanted.is_empty() {
        return false;
    }
    core.reply_with(now, request, hop, 420, None, |w| {
        w.header(Name::Unsupported, &wanted.join(&b", "[..]));
    });
    true
}

/// What every request must have (RFC 3261 §8.1.1).
pub(crate) fn check(request: &Request) -> Result<(), Malformed> {
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
    // Without an ACK so far, the answer's offer waits for the owner.
    if ack.is_empty() || now.since(*acked) < limits::ACK_GAP {
        return Absorbed::Silently;
    }
    *acked = now;
    Absorbed::Again(ack.clone(), to)
}
