//! Ending calls.

use kraliki_time::Time;

use super::{Call, Fate, Phase, What, acknowledge};
use crate::core::Core;
use crate::error::{ApiMisuse, PeerMisbehaved};
use crate::event::{EndedBy, Event};
use crate::message::{Method, Name, Reason, Request};
use crate::transaction::{ClientOther, Hop, Kind, Timer, TxnId};

/// Whether an answered call is being ended by us.
pub(super) enum Closing {
    No,
    /// A callee must not send BYE before the ACK to its 2xx (RFC 3261 §15).
    Wanted(Option<Reason>),
    /// The BYE is out.
    Sent,
}

/// What is told when the BYE is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Ended,
    Cancelled,
    Misbehaved(PeerMisbehaved),
}

impl Call {
    /// Whether it was answered.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Ends the call, in whatever state it is: CANCEL, a refusal, or BYE.
    pub(crate) fn end(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: Option<Reason>,
    ) -> Result<Fate, ApiMisuse> {
        match &mut self.phase {
            Phase::Connecting(_) => {
                self.want_cancel(core, now, reason);
                Ok(Fate::Lives)
            }
            Phase::Offered(_) => {
                let headers: Vec<_> = reason.iter().map(|r| ("Reason".to_string(), r.encode())).collect();
                self.reject(core, now, 480, &headers)
            }
            Phase::Up(up) => match up.closing {
                Closing::No => {
                    self.drop_modify(core, now);
                    let Phase::Up(up) = &mut self.phase else { return Ok(Fate::Lives) };
                    up.closing = Closing::Wanted(reason);
                    Ok(self.bye_now(core, now))
                }
                _ => Err(ApiMisuse::WrongState),
            },
        }
    }

    /// Sends a BYE that was wanted, once no ACK is waited for any more.
    pub(super) fn bye_now(&mut self, core: &mut Core, now: Time) -> Fate {
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        if up.unacknowledged.is_some() {
            return Fate::Lives;
        }
        if up.offered.is_some() {
            // An offer that nobody answers any more: its ACK goes all the same, so that the peer stops sending.
            let _ = self.acknowledge_offer(core, now, None);
        }
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        match &mut up.closing {
            Closing::Wanted(reason) => {
                let reason = reason.take();
                self.send_bye(core, now, reason, After::Ended)
            }
            _ => Fate::Lives,
        }
    }

    pub(super) fn send_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: Option<Reason>,
        after: After,
    ) -> Fate {
        let bye = self.request(core, now, &Method::Bye, What::Bye(after), None, |w| {
            if let Some(reason) = &reason {
                w.header(Name::Reason, reason.encode().as_bytes());
            }
        });
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        up.closing = Closing::Sent;
        match bye {
            Ok(()) => Fate::Lives,
            // The table is full: the call is over for us all the same.
            Err(_) => self.closed(core, after),
        }
    }

    pub(super) fn closed(&mut self, core: &mut Core, after: After) -> Fate {
        match after {
            After::Ended => self.tell_ended(core, EndedBy::Local, Vec::new()),
            After::Cancelled => self.tell_cancelled(core, Some(200), Vec::new()),
            After::Misbehaved(how) => self.tell_ended(core, EndedBy::Protocol(how), Vec::new()),
        }
        Fate::Over
    }

    pub(super) fn tell_ended(&self, core: &mut Core, by: EndedBy, reasons: Vec<Reason>) {
        core.event(Event::Ended { call: self.key, by, reasons, retransmitted: self.retransmitted });
    }

    pub(super) fn tell_cancelled(&self, core: &mut Core, status: Option<u16>, reasons: Vec<Reason>) {
        if self.given_up {
            return;
        }
        core.event(Event::Cancelled { call: self.key, status, reasons, retransmitted: self.retransmitted });
    }

    /// The peer's BYE.
    pub(super) fn on_bye(&mut self, core: &mut Core, now: Time, request: &Request, hop: Hop) -> Fate {
        let reasons = request.reasons();
        match &mut self.phase {
            // §15: a callee does not end an early dialog with BYE; the INVITE goes on.
            Phase::Connecting(_) => self.reply(core, now, request, hop, 481),
            Phase::Offered(_) => {
                self.reply(core, now, request, hop, 200);
                let _ = self.reject(core, now, 487, &[]);
                self.tell_cancelled(core, Some(487), reasons);
                Fate::Over
            }
            Phase::Up(up) => {
                // A BYE says that the peer has our 2xx, whatever became of its ACK.
                if let Some((_, txn)) = up.unacknowledged.take() {
                    acknowledge(core, txn);
                }
                let crossing = matches!(up.closing, Closing::Sent);
                self.drop_modify(core, now);
                self.reply(core, now, request, hop, 200);
                if crossing {
                    // Both hung up: our own BYE's answer ends the call.
                    return Fate::Lives;
                }
                self.tell_ended(core, EndedBy::Remote, reasons);
                Fate::Over
            }
        }
    }

    /// Our 2xx was never acknowledged.
    pub(super) fn on_no_ack(&mut self, core: &mut Core, now: Time, txn: TxnId) -> Fate {
        let Phase::Up(up) = &mut self.phase else { return Fate::Lives };
        if up.unacknowledged.take_if(|(_, waiting)| *waiting == txn).is_some() {
            // §13.3.1.4: no ACK in 64*T1: the dialog stands, and is ended.
            let (reason, after) = match std::mem::replace(&mut up.closing, Closing::No) {
                Closing::Wanted(reason) => (reason, After::Ended),
                Closing::Sent => return Fate::Lives,
                Closing::No => (None, After::Misbehaved(PeerMisbehaved::NoAck)),
            };
            self.drop_modify(core, now);
            return self.send_bye(core, now, reason, after);
        }
        Fate::Lives
    }
}

/// A final answer came: the transaction only absorbs repeats now (§17.1.2.2).
pub(crate) fn finish_other(core: &mut Core, now: Time, txn: TxnId) {
    if let Some(open) = core.txns.get_mut(txn)
        && let Kind::ClientOther(state) = &mut open.kind
    {
        *state = ClientOther::Done;
        core.bury(now, txn, Timer::K);
    }
}
