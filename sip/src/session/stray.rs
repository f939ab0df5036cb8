//! Answers to calls that nobody here has: further forks, and calls from before a crash. Each is acknowledged and
//! ended, once; its retransmissions are acknowledged again.

use bytes::Bytes;
use kraliki_time::Time;

use super::connect::write_ack;
use crate::core::Core;
use crate::dialog::Dialog;
use crate::endpoint::SocketId;
use crate::event::Event;
use crate::limits;
use crate::message::{Method, Name, Response};
use crate::transaction::{Hop, Owner, SpreadMap, Timer};

/// The strays that are being cleared.
#[derive(Default)]
pub(crate) struct Strays {
    /// By a hash of Call-ID and To tag; the timer's target is its lower half.
    known: SpreadMap<u64, (Bytes, Hop, Time)>,
}

impl Strays {
    pub(crate) fn forget(&mut self, key: u64) {
        self.known.remove(&key);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

/// A 2xx of another branch of a forked call (RFC 3261 §13.2.2.4): it comes with the INVITE's own transaction.
pub(crate) fn clear_fork(core: &mut Core, now: Time, response: &Response, hop: Hop) {
    clear(core, now, response, hop);
}

/// A 2xx to an INVITE of ours from before a crash: its Call-ID says so, and nobody else can make one.
pub(crate) fn clear_unknown(
    core: &mut Core,
    now: Time,
    response: &Response,
    socket: SocketId,
    from: std::net::SocketAddr,
) -> bool {
    let Some(key) = &core.config.call_id_key else { return false };
    let call_id = response.call_id().and_then(|id| std::str::from_utf8(id).ok());
    let Some((attempt, try_number)) = call_id.and_then(|id| key.verify(id)) else { return false };
    if clear(core, now, response, Hop { socket, to: from }) {
        core.event(Event::CallCleared { attempt, try_number });
    }
    true
}

/// True when this dialog was not known before.
fn clear(core: &mut Core, now: Time, response: &Response, hop: Hop) -> bool {
    let tag = response.to().and_then(|to| to.tag()).unwrap_or_default();
    let key = core.hash(&[response.call_id().unwrap_or_default(), tag]) as u64;
    if let Some((ack, hop, acked)) = core.strays.known.get_mut(&key) {
        if now.since(*acked) >= limits::ACK_GAP {
            *acked = now;
            let (ack, hop) = (ack.clone(), *hop);
            core.stats.retransmitted.add(1);
            core.send(now, hop, ack, None);
        }
        return false;
    }
    if core.strays.known.len() >= limits::STRAYS {
        core.stats.dropped_full.add(1);
        return false;
    }
    let seq = response.cseq().map_or(1, |cseq| cseq.number);
    let local = response.share(response.get(Name::From).unwrap_or_default());
    let called = response.to().map(|to| to.uri).unwrap_or_default();
    let dialog = Dialog::of_caller(core, response, local, called, seq, hop);
    let ack = write_ack(core, &dialog, seq, None, None);
    core.strays.known.insert(key, (ack.clone(), dialog.hop, now));
    core.txns.timers.arm(now, key, Timer::Stray);
    core.stats.strays.add(1);
    core.send(now, dialog.hop, ack, None);
    // Full tables leave the peer to find out by itself that nobody is there.
    let _ = core.request(now, Owner::Nobody, dialog.hop, false, None, |core, branch| {
        dialog.write(core, &Method::Bye, seq + 1, branch, 0).body(None)
    });
    true
}
