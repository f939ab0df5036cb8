//! Changes that the peer wants in a call: re-INVITE and UPDATE.

use bytes::Bytes;
use kraliki_time::Time;

use super::close::Closing;
use super::refresh::{self, Asked};
use super::{Call, Fate, Phase, What};
use crate::core::{Core, body_of, response_to};
use crate::error::ApiMisuse;
use crate::event::{Body, Event, ModifyAnswer};
use crate::message::{Method, Name, Request};
use crate::transaction::{Hop, Owner, TxnId};

/// A change that the owner has not answered yet.
pub(super) struct Wanted {
    txn: TxnId,
    hop: Hop,
    request: Request,
    session: Asked,
}

impl Call {
    pub(super) fn on_modify(&mut self, core: &mut Core, now: Time, request: Request, hop: Hop) -> Fate {
        let update = *request.method() == Method::Update;
        let busy = match &self.phase {
            Phase::Up(up) if !matches!(up.closing, Closing::No) => {
                return self.reply(core, now, &request, hop, 481);
            }
            // RFC 3261 §14.2: one change at a time.
            Phase::Up(up) => self.wanted.is_some() || (up.unacknowledged.is_some() && !update),
            // An early dialog may be changed by an UPDATE only (RFC 3311 §5.1), and one that we answer has nothing
            // to be changed before its answer: the peer may ask again.
            Phase::Connecting(_) => self.wanted.is_some() || !update,
            Phase::Offered(_) => true,
        };
        // §14.2, RFC 3311 §5.2: an offer that meets ours.
        let glare = |what: &What| matches!(what, What::Change(ours) if ours.body.is_some() || ours.invite);
        if self.ours.iter().any(|ours| glare(&ours.what)) && !(update && request.body().is_empty()) {
            return self.reply(core, now, &request, hop, 491);
        }
        if busy {
            let seconds = (core.chance() % 10 + 1).to_string();
            core.reply_with(now, &request, hop, 500, Some(&mut self.trace), |w| {
                w.header(Name::RetryAfter, seconds.as_bytes());
            });
            return Fate::Lives;
        }
        self.note_min_se(refresh::min_se(&request));
        let session = refresh::asked(core, &request, self.min_se_s());
        if let Asked::TooShort(min_s) = session {
            core.reply_with(now, &request, hop, 422, Some(&mut self.trace), |w| {
                w.header(Name::MinSe, min_s.to_string().as_bytes());
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
        let body = body_of(&request);
        let refreshes = update && body.is_none();
        self.wanted = Some(Wanted { txn, hop, request, session });
        if refreshes {
            // RFC 4028 §7.4: nothing changes but the timer (and where the peer is): nobody needs to be asked.
            let _ = self.respond_modify(core, now, &ModifyAnswer::Accept(None));
        } else {
            core.event(Event::Modify { call: self.key, update, body });
        }
        Fate::Lives
    }

    /// The owner's answer.
    pub(crate) fn respond_modify(
        &mut self,
        core: &mut Core,
        now: Time,
        answer: &ModifyAnswer,
    ) -> Result<(), ApiMisuse> {
        let wanted = self.wanted.take().ok_or(ApiMisuse::WrongState)?;
        match answer {
            ModifyAnswer::Accept(body) => {
                let remote = wanted.request.from().and_then(|from| from.tag()).unwrap_or_default();
                match &mut self.phase {
                    Phase::Up(up) => {
                        up.dialog.refresh(core, &wanted.request);
                        if *wanted.request.method() == Method::Invite {
                            let seq = wanted.request.cseq().map_or(0, |cseq| cseq.number);
                            up.unacknowledged = Some((seq, wanted.txn));
                        }
                        if body.is_some() {
                            up.local.clone_from(body);
                        }
                    }
                    Phase::Connecting(connecting) => {
                        if let Some(dialog) = connecting.early(remote).and_then(|e| e.dialog.as_mut()) {
                            dialog.refresh(core, &wanted.request);
                        }
                    }
                    Phase::Offered(_) => {}
                }
                let bytes = write(core, &wanted, 200, body.as_ref());
                core.answer(now, wanted.txn, 200, bytes, Some(&mut self.trace));
                self.note_allow(&wanted.request);
                // §7.4: an early UPDATE has no timer of its own; the INVITE's answer gives it.
                if self.is_up() {
                    self.session_given(core, now, &wanted.session);
                }
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
        if let Some(wanted) = self.wanted.take() {
            let bytes = write(core, &wanted, 487, None);
            core.answer(now, wanted.txn, 487, bytes, Some(&mut self.trace));
        }
    }
}

fn write(core: &Core, wanted: &Wanted, status: u16, body: Option<&Body>) -> Bytes {
    let length = body.map_or(0, |body| body.data.len());
    let mut w = response_to(&wanted.request, wanted.hop.to, status, None, length);
    if let Asked::Answer(offer, require) = &wanted.session
        && status < 300
    {
        if *require {
            w.header(Name::Require, b"timer");
        }
        offer.write(&mut w);
    }
    core.finish(w, wanted.hop.socket, body)
}
