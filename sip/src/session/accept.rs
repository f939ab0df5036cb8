//! Calls that a peer places.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use super::close::Closing;
use super::{Call, Fate, Phase, Up, acknowledge};
use crate::core::{Core, body_of, response_to};
use crate::dialog::Dialog;
use crate::endpoint::CallKey;
use crate::error::ApiMisuse;
use crate::event::{Body, Event};
use crate::message::{Name, Request};
use crate::transaction::{Hop, Owner, TxnId};

/// A call whose INVITE we have not answered yet.
pub(crate) struct Offered {
    pub(super) invite: TxnId,
    hop: Hop,
    request: Request,
    /// Where the INVITE came from.
    from: SocketAddr,
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
}

impl Call {
    /// Takes an INVITE that starts a call; it is answered by `hop`, and `user` is whose registered phone it came
    /// from. None when the transaction table is full.
    pub(crate) fn offered(
        core: &mut Core,
        now: Time,
        key: CallKey,
        hop: Hop,
        from: SocketAddr,
        user: Option<String>,
        request: Request,
    ) -> Option<Call> {
        let invite = core.serve(Owner::Call(key), &request, hop)?;
        let mut call = Call {
            key,
            call_id: request.share(request.call_id().unwrap_or_default()),
            tag: core.new_tag(key),
            trace: Default::default(),
            merge: merge_key(core, &request),
            account: None,
            phase: Phase::Offered(Offered {
                invite,
                hop,
                request: request.clone(),
                from,
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
        core.event(Event::Incoming { call: key, from, socket, user, request: Box::new(request), body });
        Some(call)
    }

    fn write_answer(
        &self,
        core: &Core,
        offered: &Offered,
        status: u16,
        headers: &[(String, String)],
        body: Option<&Body>,
    ) -> Bytes {
        let length = body.map_or(0, |body| body.data.len());
        let mut w = response_to(&offered.request, offered.from, status, Some(self.tag.as_bytes()), length);
        if status < 300 {
            // §12.1.1: the route set goes back as it came.
            for route in offered.request.all(Name::RecordRoute) {
                w.header(Name::RecordRoute, route);
            }
        }
        for (name, value) in headers {
            w.named(name.as_bytes(), value.as_bytes());
        }
        w.header(Name::Server, core.config.user_agent.as_bytes());
        core.finish(w, offered.hop.socket, body)
    }

    /// 180, 183 or another provisional answer.
    pub(crate) fn ring(
        &mut self,
        core: &mut Core,
        now: Time,
        status: u16,
        body: Option<&Body>,
    ) -> Result<(), ApiMisuse> {
        let Phase::Offered(offered) = &self.phase else { return Err(ApiMisuse::WrongState) };
        if !(101..200).contains(&status) {
            return Err(ApiMisuse::BadField("status"));
        }
        let bytes = self.write_answer(core, offered, status, &[], body);
        core.answer(now, offered.invite, status, bytes, Some(&mut self.trace));
        Ok(())
    }

    /// 200.
    pub(crate) fn answer(
        &mut self,
        core: &mut Core,
        now: Time,
        body: Option<&Body>,
    ) -> Result<(), ApiMisuse> {
        let Phase::Offered(offered) = &self.phase else { return Err(ApiMisuse::WrongState) };
        let bytes = self.write_answer(core, offered, 200, &[], body);
        let invite = offered.invite;
        let hop = Hop { socket: offered.hop.socket, to: offered.from };
        let mut dialog = Dialog::of_callee(&offered.request, self.tag.as_bytes(), hop);
        if offered.pinned {
            dialog.pin(hop);
        }
        let seq = dialog.remote_seq.unwrap_or(0);
        core.answer(now, invite, 200, bytes, Some(&mut self.trace));
        let unacknowledged = Some((seq, invite));
        self.phase = Phase::Up(Up { dialog, unacknowledged, modify: None, closing: Closing::No });
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
        let Phase::Offered(offered) = &self.phase else { return Err(ApiMisuse::WrongState) };
        if !(300..700).contains(&status) {
            return Err(ApiMisuse::BadField("status"));
        }
        let bytes = self.write_answer(core, offered, status, headers, None);
        core.answer(now, offered.invite, status, bytes, Some(&mut self.trace));
        Ok(Fate::Over)
    }

    /// The peer's CANCEL; it has been answered (§9.2). A call that is answered already goes on.
    pub(crate) fn on_cancel(&mut self, core: &mut Core, now: Time, request: &Request) -> Fate {
        if !matches!(self.phase, Phase::Offered(_)) {
            return Fate::Lives;
        }
        let _ = self.reject(core, now, 487, &[]);
        core.event(Event::Cancelled { call: self.key, status: Some(487), reasons: request.reasons() });
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
