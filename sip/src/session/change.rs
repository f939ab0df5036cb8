//! Changes that we want in a call: re-INVITE, and UPDATE to refresh (RFC 3261 §14.1, RFC 3311).

use std::time::Duration;

use kraliki_time::Time;

use super::close::{After, Closing};
use super::connect::{ack_refusal, parsed, write_ack};
use super::{Call, Fate, Phase, What};
use crate::core::{Core, body_of};
use crate::error::{ApiMisuse, PeerMisbehaved};
use crate::event::{Body, Event};
use crate::limits;
use crate::message::{Method, Name, Response};
use crate::transaction::{ClientInvite, Kind, Timer, TxnId};

/// One change that we want.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) invite: bool,
    /// It only refreshes the session: nobody is told.
    pub(super) refresh: bool,
    pub(super) body: Option<Body>,
    pub(super) seq: u32,
    tries: u8,
}

/// A change that waits to be tried again.
pub(super) struct Again {
    at: Time,
    change: Change,
}

impl Call {
    /// Sends a re-INVITE with an offer, or without one: then the peer makes it.
    pub(crate) fn modify(&mut self, core: &mut Core, now: Time, body: Option<Body>) -> Result<(), ApiMisuse> {
        let change = Change { invite: true, refresh: false, body, seq: 0, tries: 0 };
        match self.may_change() {
            true => self.send_change(core, now, change),
            false => Err(ApiMisuse::WrongState),
        }
    }

    /// Whether no change is under way, of ours or of the peer's (RFC 3261 §14.1).
    fn may_change(&self) -> bool {
        let Phase::Up(up) = &self.phase else { return false };
        matches!(up.closing, Closing::No)
            && up.again.is_none()
            && up.unacknowledged.is_none()
            && up.offered.is_none()
            && self.wanted.is_none()
            && !self.ours.iter().any(|ours| matches!(ours.what, What::Change(_)))
    }

    /// Refreshes the session: by UPDATE where the peer takes it, else by a re-INVITE that says what was said.
    pub(super) fn refresh(&mut self, core: &mut Core, now: Time) {
        let Phase::Up(up) = &self.phase else { return };
        let (invite, body) = match up.updates {
            true => (false, None),
            false => (true, up.local.clone()),
        };
        if self.may_change() {
            let change = Change { invite, refresh: true, body, seq: 0, tries: 0 };
            // A full table is tried again by the session's timer.
            let _ = self.send_change(core, now, change);
        }
    }

    fn send_change(&mut self, core: &mut Core, now: Time, mut change: Change) -> Result<(), ApiMisuse> {
        let Phase::Up(up) = &self.phase else { return Err(ApiMisuse::WrongState) };
        let method = if change.invite { Method::Invite } else { Method::Update };
        let session = up.session.as_ref().map(|session| session.offer());
        change.seq = up.dialog.local_seq + 1;
        let body = change.body.clone();
        self.request(core, now, &method, What::Change(change), body.as_ref(), |w| {
            if let Some(session) = &session {
                w.header(Name::Supported, b"timer");
                session.write(w);
            }
        })
    }

    /// The ACK to the final answer of a re-INVITE, and its transaction's rest.
    pub(super) fn acknowledge_change(&mut self, core: &mut Core, now: Time, txn: TxnId, response: &Response) {
        let Some(sent) = core.txns.sent(txn).and_then(parsed) else { return };
        let Phase::Up(up) = &mut self.phase else { return };
        let seq = sent.cseq().map_or(1, |cseq| cseq.number);
        if !(200..300).contains(&response.status()) {
            let (ack, hop) = (ack_refusal(&sent, response), up.dialog.hop);
            if let Some(open) = core.txns.get_mut(txn) {
                open.kind = Kind::ClientInvite(ClientInvite::Completed {
                    ack: ack.clone(),
                    acked: now,
                    cancel: None,
                });
            }
            core.bury(now, txn, Timer::D);
            return core.send(now, hop, ack, Some(&mut self.trace));
        }
        up.dialog.refresh(core, response);
        let (to, tag) = (up.dialog.hop, up.dialog.remote_tag.clone());
        // An offer in the 2xx is answered in the ACK, once the owner has made the answer.
        let offer = sent.body().is_empty() && !response.body().is_empty();
        let ack =
            if offer { Default::default() } else { write_ack(core, &up.dialog, seq, Some(&sent), None) };
        if offer {
            up.offered = Some((seq, txn));
        }
        if let Some(open) = core.txns.get_mut(txn) {
            let ack = ack.clone();
            open.kind = Kind::ClientInvite(ClientInvite::Accepted { ack, acked: now, to, tag, cancel: None });
            core.txns.timers.arm(now, txn.0, Timer::M);
        }
        if !ack.is_empty() {
            core.send(now, to, ack, Some(&mut self.trace));
        }
    }

    /// Answers the offer of a 2xx in its ACK (RFC 3261 §13.2.2.4).
    pub(crate) fn acknowledge_offer(
        &mut self,
        core: &mut Core,
        now: Time,
        body: Option<&Body>,
    ) -> Result<(), ApiMisuse> {
        let Phase::Up(up) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        let (seq, txn) = up.offered.take().ok_or(ApiMisuse::WrongState)?;
        let ack = write_ack(core, &up.dialog, seq, None, body);
        let hop = up.dialog.hop;
        if let Some(body) = body {
            up.local = Some(body.clone());
        }
        if let Some(open) = core.txns.get_mut(txn)
            && let Kind::ClientInvite(ClientInvite::Accepted { ack: kept, acked, .. }) = &mut open.kind
        {
            (*kept, *acked) = (ack.clone(), now);
        }
        core.send(now, hop, ack, Some(&mut self.trace));
        Ok(())
    }

    /// What a change has come to.
    pub(super) fn on_changed(
        &mut self,
        core: &mut Core,
        now: Time,
        change: Change,
        response: Option<&Response>,
        status: u16,
    ) -> Fate {
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        if !matches!(up.closing, Closing::No) {
            return Fate::Lives;
        }
        let offer = up.offered.is_some_and(|(seq, _)| seq == change.seq);
        match status {
            200..300 => {
                if let Some(response) = response {
                    if !change.invite {
                        up.dialog.refresh(core, response);
                    }
                    self.on_session_answer(core, now, response);
                }
                if let Phase::Up(up) = &mut self.phase
                    && change.body.is_some()
                {
                    up.local.clone_from(&change.body);
                }
            }
            // RFC 3261 §12.2.1.2: the peer has no such dialog, or is gone.
            408 | 481 => {
                self.told(core, &change, response, status, false);
                return self.send_bye(core, now, None, After::Misbehaved(PeerMisbehaved::Lost));
            }
            422 => {
                let min = response.and_then(super::refresh::min_se);
                if let (Some(session), Some(min)) = (&mut up.session, min)
                    && change.tries < limits::MODIFY_TRIES
                {
                    session.lengthen(min);
                    up.min_se_s = up.min_se_s.max(session.offer().min_s);
                    let again = Change { tries: change.tries + 1, ..change.clone() };
                    if self.send_change(core, now, again).is_ok() {
                        return Fate::Lives;
                    }
                }
            }
            491 | 500 if change.tries < limits::MODIFY_TRIES => {
                let after = response.and_then(|response| response.retry_after_s());
                if let Some(wait) = wait(status, up.caller, after, core.chance()) {
                    let (at, change) = (now + wait, Change { tries: change.tries + 1, ..change });
                    up.again = Some(Again { at, change });
                    core.txns.timers.arm_at(at, self.key.0, Timer::Again);
                    return Fate::Lives;
                }
            }
            _ => {}
        }
        self.told(core, &change, response, status, offer);
        Fate::Lives
    }

    fn told(&self, core: &mut Core, change: &Change, response: Option<&Response>, status: u16, offer: bool) {
        if !change.refresh {
            let body = response.filter(|r| r.status() < 300).and_then(|response| body_of(response));
            core.event(Event::Modified { call: self.key, status, body, offer });
        }
    }

    pub(super) fn on_again(&mut self, core: &mut Core, now: Time) -> Fate {
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        let Some(again) = up.again.take_if(|again| again.at <= now) else { return Fate::Lives };
        if self.may_change() && self.send_change(core, now, again.change.clone()).is_ok() {
            return Fate::Lives;
        }
        // The peer's own change is under way: it outranks ours, which is told as refused.
        self.told(core, &again.change, None, 491, false);
        Fate::Lives
    }
}

/// How long to wait before a change is tried again: after a 491 by who owns the Call-ID (RFC 3261 §14.1), after a 500
/// as the peer says (§14.2). None: not at all.
fn wait(status: u16, owner: bool, retry_after_s: Option<u32>, chance: u64) -> Option<Duration> {
    match (status, retry_after_s) {
        (491, _) if owner => Some(Duration::from_millis(2_100 + chance % 191 * 10)),
        (491, _) => Some(Duration::from_millis(chance % 201 * 10)),
        (_, Some(seconds)) if seconds <= 10 => Some(Duration::from_secs(seconds.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// interop row 12: the times of RFC 3261 §14.1 and 14.2.
    #[test]
    fn row_12_how_long_to_wait() {
        for chance in 0..1_000 {
            let ours = wait(491, true, None, chance).unwrap().as_millis();
            let theirs = wait(491, false, None, chance).unwrap().as_millis();
            assert!((2_100..=4_000).contains(&ours) && theirs <= 2_000, "{ours} {theirs}");
        }
        assert_eq!(wait(500, true, Some(3), 0), Some(Duration::from_secs(3)));
        assert_eq!((wait(500, true, None, 0), wait(500, true, Some(60), 0)), (None, None));
    }
}
