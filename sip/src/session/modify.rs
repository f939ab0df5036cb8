//! Changes that the peer wants in a call: re-INVITE and UPDATE.

use bytes::Bytes;
use kraliki_time::Time;

use super::close::Closing;
use super::{Call, Fate, Phase};
use crate::core::{Core, body_of, response_to};
use crate::error::ApiMisuse;
use crate::event::{Body, Event, ModifyAnswer};
use crate::message::{Method, Name, Request};
use crate::transaction::{Hop, Owner, TxnId};

/// A change that the owner has not answered yet.
pub(super) struct Wanted {
    txn: TxnId,
    hop: Hop,
    pub(super) request: Request,
}

impl Call {
    pub(super) fn on_modify(&mut self, core: &mut Core, now: Time, request: Request, hop: Hop) -> Fate {
        let update = *request.method() == Method::Update;
        let up = match &mut self.phase {
            Phase::Up(up) => up,
            // An early dialog may be changed by an UPDATE only (RFC 3311 §5.1); before the answer we have nothing
            // to change it to, and the peer may ask again.
            _ => {
                core.reply_with(now, &request, hop, 500, Some(&mut self.trace), |w| {
                    w.header(Name::RetryAfter, b"2");
                });
                return Fate::Lives;
            }
        };
        if !matches!(up.closing, Closing::No) {
            return self.reply(core, now, &request, hop, 481);
        }
        if up.modify.is_some() || (up.unacknowledged.is_some() && !update) {
            // RFC 3261 §14.2: one change at a time, and the next after up to 10 s.
            let seconds = (core.chance() % 10 + 1).to_string();
            core.reply_with(now, &request, hop, 500, Some(&mut self.trace), |w| {
                w.header(Name::RetryAfter, seconds.as_bytes());
            });
            return Fate::Lives;
        }
        let Some(txn) = core.serve(Owner::Call(self.key), &request, hop) else {
            return self.reply(core, now, &request, hop, 500);
        };
        if !update {
            let trying = response_to(&request, hop.to, 100, None, 0).body(None);
            core.answer(now, txn, 100, trying, Some(&mut self.trace));
        }
        core.event(Event::Modify { call: self.key, update, body: body_of(&request) });
        up.modify = Some(Wanted { txn, hop, request });
        Fate::Lives
    }

    /// The owner's answer.
    pub(crate) fn respond_modify(
        &mut self,
        core: &mut Core,
        now: Time,
        answer: &ModifyAnswer,
    ) -> Result<(), ApiMisuse> {
        let Phase::Up(up) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        let wanted = up.modify.take().ok_or(ApiMisuse::WrongState)?;
        match answer {
            ModifyAnswer::Accept(body) => {
                up.dialog.refresh(core, &wanted.request);
                if *wanted.request.method() == Method::Invite {
                    let seq = wanted.request.cseq().map_or(0, |cseq| cseq.number);
                    up.unacknowledged = Some((seq, wanted.txn));
                }
                let bytes = write(core, &wanted, 200, body.as_ref());
                core.answer(now, wanted.txn, 200, bytes, Some(&mut self.trace));
            }
            ModifyAnswer::Reject(status) => {
                let status = if (300..700).contains(status) { *status } else { 488 };
                let bytes = write(core, &wanted, status, None);
                core.answer(now, wanted.txn, status, bytes, Some(&mut self.trace));
            }
        }
        Ok(())
    }

    /// §15.1.2: requests that are pending when a call ends are answered with 487.
    pub(super) fn drop_modify(&mut self, core: &mut Core, now: Time) {
        let Phase::Up(up) = &mut self.phase else { return };
        if let Some(wanted) = up.modify.take() {
            let bytes = write(core, &wanted, 487, None);
            core.answer(now, wanted.txn, 487, bytes, Some(&mut self.trace));
        }
    }
}

fn write(core: &Core, wanted: &Wanted, status: u16, body: Option<&Body>) -> Bytes {
    let length = body.map_or(0, |body| body.data.len());
    let w = response_to(&wanted.request, wanted.hop.to, status, None, length);
    core.finish(w, wanted.hop.socket, body)
}
