//! Early dialogs and reliable provisional answers (RFC 3262), on both sides.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use kraliki_time::Time;

use super::{Call, Fate, Ours, Phase, What};
use crate::core::Core;
use crate::dialog::Dialog;
use crate::event::Body;
use crate::limits;
use crate::message::{Method, Name, Request, Response};
use crate::transaction::{Hop, Owner, Timer};

/// A dialog that a provisional answer to our INVITE has made (RFC 3261 §12.1.2).
pub(super) struct Early {
    pub(super) tag: Bytes,
    /// None when the answer had no Contact: nothing can be sent within it.
    pub(super) dialog: Option<Box<Dialog>>,
    /// The last reliable answer that was acknowledged.
    rseq: Option<u32>,
}

impl Early {
    pub(super) fn new(tag: Bytes, dialog: Option<Box<Dialog>>) -> Early {
        Early { tag, dialog, rseq: None }
    }

    /// The CSeq of the peer's last request, when it is kept.
    pub(super) fn remote_seq(&mut self) -> Option<&mut Option<u32>> {
        self.dialog.as_mut().map(|dialog| &mut dialog.remote_seq)
    }
}

/// What is to be made of a provisional answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provisional {
    /// It is to be told.
    Tell,
    /// It is a repeat, or came out of its order (RFC 3262 §4).
    Drop,
}

impl Call {
    /// Acknowledges a provisional answer that asks for it.
    pub(super) fn acknowledge_provisional(
        &mut self,
        core: &mut Core,
        now: Time,
        tag: &[u8],
        response: &Response,
    ) -> Provisional {
        let rseq = response.get(Name::RSeq).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let Some(rseq) = rseq.filter(|_| response.lists(Name::Require, "100rel")) else {
            return Provisional::Tell;
        };
        let Phase::Connecting(connecting) = &mut self.phase else { return Provisional::Drop };
        let Some(early) = connecting.early(tag) else { return Provisional::Drop };
        if early.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return Provisional::Drop;
        }
        let Some(dialog) = &mut early.dialog else { return Provisional::Tell };
        if self.ours.len() >= limits::REQUESTS_PER_CALL {
            return Provisional::Drop;
        }
        early.rseq = Some(rseq);
        let invite = response.cseq().map_or(1, |cseq| cseq.number);
        dialog.local_seq += 1;
        let owner = Owner::Call(self.key);
        let txn = core.request(now, owner, dialog.hop, false, Some(&mut self.trace), |core, branch| {
            let mut w = dialog.write(core, &Method::Prack, dialog.local_seq, branch, 0);
            w.header(Name::RAck, format!("{rseq} {invite} INVITE").as_bytes());
            w.body(None)
        });
        if let Ok(txn) = txn {
            self.ours.push(Ours { txn, what: What::Prack, authorised: false });
        }
        Provisional::Tell
    }

    /// The peer's PRACK.
    pub(super) fn on_prack(&mut self, core: &mut Core, now: Time, request: &Request, hop: Hop) -> Fate {
        let rack = request.get(Name::RAck).and_then(rack);
        let known = match &mut self.phase {
            Phase::Offered(offered) => offered.reliable.acknowledge(rack),
            _ => false,
        };
        if !known {
            return self.reply(core, now, request, hop, 481);
        }
        self.reply(core, now, request, hop, 200);
        self.send_held(core, now)
    }

    /// Sends the answer that waited for a PRACK.
    fn send_held(&mut self, core: &mut Core, now: Time) -> Fate {
        let Phase::Offered(offered) = &mut self.phase else { return Fate::Lives };
        if let Some((status, body)) = offered.reliable.held.pop_front() {
            // The call is offered and nothing waits: neither can refuse.
            let _ = match status {
                200 => self.answer(core, now, body.as_ref()),
                _ => self.ring(core, now, status, body.as_ref()),
            };
        }
        Fate::Lives
    }

    /// A reliable answer of ours has no PRACK yet: it is sent again, and given up after 64*T1 (RFC 3262 §3).
    pub(super) fn on_reliable_timer(&mut self, core: &mut Core, now: Time) -> Fate {
        let key = self.key.0;
        let Phase::Offered(offered) = &mut self.phase else { return Fate::Lives };
        let Some(waiting) = &mut offered.reliable.waiting else { return Fate::Lives };
        if waiting.next > now {
            return Fate::Lives;
        }
        if now.since(waiting.since) >= limits::T1 * 64 {
            let _ = self.reject(core, now, 504, &[]);
            self.tell_cancelled(core, Some(504), Vec::new());
            return Fate::Over;
        }
        waiting.interval *= 2;
        waiting.next = now + waiting.interval;
        core.txns.timers.arm_at(waiting.next, key, Timer::Reliable);
        core.stats.retransmitted.add(1);
        self.retransmitted += 1;
        core.send(now, waiting.hop, waiting.bytes.clone(), Some(&mut self.trace));
        Fate::Lives
    }
}

/// RSeq, CSeq and method of a RAck (RFC 3262 §7.2).
fn rack(value: &[u8]) -> Option<(u32, u32)> {
    let mut parts = std::str::from_utf8(value).ok()?.split_ascii_whitespace();
    let found = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.eq_ignore_ascii_case("INVITE").then_some(found)
}

/// Our reliable provisional answers to one INVITE: one at a time waits for its PRACK.
#[derive(Default)]
pub(super) struct ReliableAnswers {
    /// Whether provisional answers are to be acknowledged.
    pub(super) on: bool,
    last: u32,
    waiting: Option<Waiting>,
    /// Status and body of what waits meanwhile.
    held: VecDeque<(u16, Option<Body>)>,
}

struct Waiting {
    cseq: u32,
    bytes: Bytes,
    hop: Hop,
    since: Time,
    next: Time,
    interval: Duration,
}

impl ReliableAnswers {
    /// `first` is where the numbers begin: by chance, below 2^31 (RFC 3262 §3).
    pub(super) fn new(on: bool, first: u64) -> ReliableAnswers {
        ReliableAnswers { on, last: (first >> 34) as u32, ..ReliableAnswers::default() }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Keeps an answer until the PRACK; false when too many wait.
    pub(super) fn hold(&mut self, status: u16, body: Option<&Body>) -> bool {
        let room = self.held.len() < limits::HELD_ANSWERS;
        if room {
            self.held.push_back((status, body.cloned()));
        }
        room
    }

    pub(super) fn next_rseq(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    /// An answer was sent.
    pub(super) fn sent(&mut self, now: Time, cseq: u32, bytes: Bytes, hop: Hop) -> Time {
        let next = now + limits::T1;
        self.waiting = Some(Waiting { cseq, bytes, hop, since: now, next, interval: limits::T1 });
        next
    }

    fn acknowledge(&mut self, rack: Option<(u32, u32)>) -> bool {
        let last = self.last;
        self.waiting.take_if(|waiting| rack == Some((last, waiting.cseq))).is_some()
    }
}
