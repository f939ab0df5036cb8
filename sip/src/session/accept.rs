//! Calls that a peer places.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use super::early::ReliableAnswers;
use super::refresh::Asked;
use super::{Call, Fate, Phase, Up, acknowledge, refresh};
use crate::core::{Core, body_of, phrase, response_saying, response_to};
use crate::dialog::Dialog;
use crate::endpoint::CallKey;
use crate::error::ApiMisuse;
use crate::event::{Body, Event};
use crate::message::{Name, Request};
use crate::transaction::{Hop, Owner, Timer, TxnId};

/// A call whose INVITE we have not answered yet.
pub(crate) struct Offered {
    pub(super) invite: TxnId,
    hop: Hop,
    request: Request,
    /// Where the INVITE came from.
    from: SocketAddr,
    remote_seq: Option<u32>,
    pub(super) reliable: ReliableAnswers,
    session: Asked,
    /// The call whose place this one takes.
    replaces: Option<CallKey>,
    /// It is a registered phone's: the call stays on its flow.
    pinned: bool,
}

/// RFC 3261 §8.2.2.2: the same Call-ID, From tag and CSeq by another way.
pub(crate) fn merge_key(core: &Core, request: &Request) -> u64 {
    let tag = request.from().and_then(|from| from.tag()).unwrap_or_default();
    let seq = request.get(Name::CSeq).unwrap_or_default();
    core.hash(&[request.call_id().unwrap_or_default(), tag, seq]) as u64 | 1
}

impl Offered {
    pub(super) fn pinned(&self) -> bool {
        self.pinned
    }

    pub(super) fn remote_tag(&self) -> &[u8] {
        self.request.from().and_then(|from| from.tag()).unwrap_or_default()
    }

    /// The CSeq of the peer's last request.
    pub(super) fn remote_seq(&mut self) -> Option<&mut Option<u32>> {
        Some(&mut self.remote_seq)
    }
}

impl Call {
    /// Takes an INVITE that starts a call; it is answered by `hop`, and `user` is whose registered phone it came
    /// from. None when the transaction table is full.
    pub(crate) fn offered(
        core: &mut Core,
        now: Time,
        key: CallKey,
        (hop, from): (Hop, SocketAddr),
        user: Option<String>,
        request: Request,
        replaces: Option<CallKey>,
    ) -> Option<Call> {
        let invite = core.serve(Owner::Call(key), &request, hop)?;
        let reliable = request.lists(Name::Require, "100rel")
            || (core.config.reliable && request.lists(Name::Supported, "100rel"));
        let mut call = Call {
            key,
            call_id: request.share(request.call_id().unwrap_or_default()),
            tag: core.new_tag(key),
            trace: Default::default(),
            retransmitted: 0,
            given_up: false,
            merge: merge_key(core, &request),
            account: None,
            ours: Vec::new(),
            wanted: None,
            phase: Phase::Offered(Offered {
                invite,
                hop,
                from,
                remote_seq: request.cseq().map(|cseq| cseq.number),
                reliable: ReliableAnswers::new(reliable, core.chance()),
                session: refresh::asked(core, &request, 0),
                replaces,
                request: request.clone(),
                pinned: user.is_some(),
            }),
        };
        if core.config.trace {
            call.trace.push(now, crate::trace::Direction::In, from, request.raw());
        }
        // §17.2.1: a 100 at once keeps the peer from sending again. It has no tag (§8.2.6.2).
        let trying = response_to(&request, from, 100, None, 0).body(None);
        core.answer(now, invite, 100, trying, Some(&mut call.trace));
        let body = body_of(&request);
        let socket = hop.socket;
        let request = Box::new(request);
        core.event(Event::Incoming { call: key, from, socket, user, request, body, replaces });
        Some(call)
    }

    fn write_answer(
        &self,
        core: &Core,
        offered: &Offered,
        (status, phrase): (u16, &str),
        rseq: Option<u32>,
        headers: &[(String, String)],
        body: Option<&Body>,
    ) -> Bytes {
        let length = body.map_or(0, |body| body.data.len());
        let tag = Some(self.tag.as_bytes());
        let mut w = response_saying(&offered.request, offered.from, status, phrase, tag, length);
        if status < 300 {
            // §12.1.1: the route set goes back as it came.
            for route in offered.request.all(Name::RecordRoute) {
                w.header(Name::RecordRoute, route);
            }
        }
        for (name, value) in headers {
            w.named(name.as_bytes(), value.as_bytes());
        }
        match (rseq, &offered.session) {
            (Some(rseq), _) => {
                w.header(Name::Require, b"100rel").header(Name::RSeq, rseq.to_string().as_bytes());
            }
            (None, Asked::Answer(offer, require)) if (200..300).contains(&status) => {
                if *require {
                    w.header(Name::Require, b"timer");
                }
                offer.write(&mut w);
            }
            _ => {}
        }
        w.header(Name::Server, core.config.user_agent.as_bytes());
        match status {
            ..300 => core.finish(w, offered.hop.socket, body),
            // A refusal's Contact would say where else to call.
            _ => w.body(None),
        }
    }

    /// The call that ends when this one is answered.
    pub(crate) fn replaced(&self) -> Option<CallKey> {
        match &self.phase {
            Phase::Offered(offered) => offered.replaces,
            _ => None,
        }
    }

    /// 180, 183 or another provisional answer.
    pub(crate) fn ring(
        &mut self,
        core: &mut Core,
        now: Time,
        status: u16,
        body: Option<&Body>,
    ) -> Result<(), ApiMisuse> {
        if !(101..200).contains(&status) {
            return Err(ApiMisuse::BadField("status"));
        }
        let Phase::Offered(offered) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        if offered.reliable.is_waiting() {
            return offered.reliable.hold(status, body).then_some(()).ok_or(ApiMisuse::Full);
        }
        let rseq = offered.reliable.on.then(|| offered.reliable.next_rseq());
        let Phase::Offered(offered) = &self.phase else { return Err(ApiMisuse::WrongState) };
        let bytes = self.write_answer(core, offered, (status, phrase(status)), rseq, &[], body);
        let (invite, hop) = (offered.invite, offered.hop);
        core.answer(now, invite, status, bytes.clone(), Some(&mut self.trace));
        if let Phase::Offered(offered) = &mut self.phase
            && rseq.is_some()
        {
            let cseq = offered.request.cseq().map_or(1, |cseq| cseq.number);
            let at = offered.reliable.sent(now, cseq, bytes, hop);
            core.txns.timers.arm_at(at, self.key.0, Timer::Reliable);
        }
        Ok(())
    }

    /// 200.
    pub(crate) fn answer(
        &mut self,
        core: &mut Core,
        now: Time,
        body: Option<&Body>,
    ) -> Result<(), ApiMisuse> {
        let Phase::Offered(offered) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        // RFC 3262 §3: not while an answer that may hold our offer or answer waits for its PRACK.
        if offered.reliable.is_waiting() {
            return offered.reliable.hold(200, body).then_some(()).ok_or(ApiMisuse::Full);
        }
        let Phase::Offered(offered) = &self.phase else { return Err(ApiMisuse::WrongState) };
        let bytes = self.write_answer(core, offered, (200, phrase(200)), None, &[], body);
        let invite = offered.invite;
        let hop = Hop { socket: offered.hop.socket, to: offered.from };
        let mut dialog = Dialog::of_callee(core, &offered.request, self.tag.as_bytes(), hop);
        if offered.pinned {
            dialog.pin(core, hop);
        }
        let seq = dialog.remote_seq.unwrap_or(0);
        dialog.remote_seq = offered.remote_seq;
        core.answer(now, invite, 200, bytes, Some(&mut self.trace));
        let unacknowledged = Some((seq, invite));
        let up = Up { unacknowledged, local: body.cloned(), ..Up::new(dialog, false) };
        if let Phase::Offered(offered) = std::mem::replace(&mut self.phase, Phase::Up(up)) {
            self.note_allow(&offered.request);
            self.session_given(core, now, &offered.session);
        }
        Ok(())
    }

    /// Any refusal. The call is over, its transaction sees to the ACK.
    pub(crate) fn reject(
        &mut self,
        core: &mut Core,
        now: Time,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<Fate, ApiMisuse> {
        self.reject_saying(core, now, (status, phrase(status)), headers)
    }

    /// As `reject`, with a reason phrase of its own.
    pub(crate) fn reject_saying(
        &mut self,
        core: &mut Core,
        now: Time,
        (status, phrase): (u16, &str),
        headers: &[(String, String)],
    ) -> Result<Fate, ApiMisuse> {
        let Phase::Offered(offered) = &self.phase else { return Err(ApiMisuse::WrongState) };
        if !(300..700).contains(&status) {
            return Err(ApiMisuse::BadField("status"));
        }
        let bytes = self.write_answer(core, offered, (status, phrase), None, headers, None);
        core.answer(now, offered.invite, status, bytes, Some(&mut self.trace));
        Ok(Fate::Over)
    }

    /// The peer's CANCEL; it has been answered (§9.2). A call that is answered already goes on.
    pub(crate) fn on_cancel(&mut self, core: &mut Core, now: Time, request: &Request) -> Fate {
        if !matches!(self.phase, Phase::Offered(_)) {
            return Fate::Lives;
        }
        let _ = self.reject(core, now, 487, &[]);
        self.tell_cancelled(core, Some(487), request.reasons());
        Fate::Over
    }

    pub(super) fn on_ack(&mut self, core: &mut Core, now: Time, number: u32, request: &Request) -> Fate {
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        let Some((_, txn)) = up.unacknowledged.take_if(|(seq, _)| *seq == number) else { return Fate::Lives };
        acknowledge(core, txn);
        core.event(Event::Acknowledged { call: self.key, body: body_of(request) });
        self.bye_now(core, now)
    }
}
