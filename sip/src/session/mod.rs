//! Calls: from the INVITE to the end.

mod accept;
mod close;
mod connect;
mod modify;
pub(crate) mod stray;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use kraliki_time::Time;

use crate::auth::{self, Credentials};
use crate::core::{Core, Tag, body_of};
use crate::dialog::Dialog;
use crate::endpoint::{CallKey, SocketId};
use crate::event::{Event, Failure};
use crate::message::{Method, Name, Request, Response, Writer};
use crate::trace::Trace;
use crate::transaction::{Hop, Kind, Owner, ServerInvite, TxnId};

pub(crate) use accept::{Offered, merge_key};
pub(crate) use close::finish_other;
pub(crate) use connect::Connecting;

/// One call.
pub(crate) struct Call {
    pub(crate) key: CallKey,
    pub(crate) call_id: Bytes,
    pub(crate) tag: Tag,
    pub(crate) trace: Trace,
    /// What makes another INVITE the same call by another way (RFC 3261 §8.2.2.2); 0 for calls that we place.
    pub(crate) merge: u64,
    /// The trunk's credentials and the address that they are for.
    account: Option<(Arc<Credentials>, IpAddr)>,
    phase: Phase,
}

/// Where a call stands. A call has a box of its own, so that one place for all phases saves an allocation.
#[allow(clippy::large_enum_variant)]
enum Phase {
    /// Our INVITE has no final answer yet.
    Connecting(Connecting),
    /// The peer's INVITE has no final answer yet.
    Offered(Offered),
    /// Answered.
    Up(Up),
}

/// An answered call.
struct Up {
    dialog: Dialog,
    /// Our 2xx that waits for its ACK: CSeq, transaction.
    unacknowledged: Option<(u32, TxnId)>,
    /// A change that the peer asked for and the owner has not answered.
    modify: Option<modify::Wanted>,
    closing: close::Closing,
}

/// Whether the call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Over,
}

impl Call {
    /// A request within this call, by our tag. Its retransmissions have been taken out before.
    pub(crate) fn on_request(
        &mut self,
        core: &mut Core,
        now: Time,
        socket: SocketId,
        from: SocketAddr,
        request: Request,
    ) -> Fate {
        let hop = core.answer_hop(&request, socket, from);
        let remote = request.from().and_then(|from| from.tag()).unwrap_or_default();
        let known = request.call_id() == Some(&self.call_id[..])
            && match &self.phase {
                Phase::Connecting(connecting) => connecting.knows(remote),
                Phase::Offered(offered) => offered.remote_tag() == remote,
                Phase::Up(up) => up.dialog.remote_tag == remote,
            };
        if !known {
            return self.reply(core, now, &request, hop, 481);
        }
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        if let Phase::Up(up) = &mut self.phase
            && !matches!(request.method(), Method::Ack | Method::Cancel)
        {
            // RFC 3261 §12.2.2: a request out of order.
            if up.dialog.remote_seq.is_some_and(|last| number <= last) {
                return self.reply(core, now, &request, hop, 500);
            }
            up.dialog.remote_seq = Some(number);
        }
        match request.method() {
            Method::Ack => self.on_ack(core, now, number, &request),
            Method::Bye => self.on_bye(core, now, &request, hop),
            Method::Invite | Method::Update => self.on_modify(core, now, request, hop),
            Method::Info => {
                core.event(Event::Info { call: self.key, body: body_of(&request) });
                self.reply(core, now, &request, hop, 200)
            }
            Method::Options => self.reply(core, now, &request, hop, 200),
            Method::Other(_) => self.reply(core, now, &request, hop, 501),
            _ => self.reply(core, now, &request, hop, 405),
        }
    }

    /// A request of ours in this call was answered.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Time,
        txn: TxnId,
        from: SocketAddr,
        response: &Response,
    ) -> Fate {
        match &self.phase {
            Phase::Connecting(connecting) if connecting.invite == txn => {
                self.on_invite_response(core, now, from, response)
            }
            Phase::Up(_) => self.on_bye_response(core, now, txn, from, response),
            _ => Fate::Lives,
        }
    }

    /// A transaction of this call was never answered. `sent` is the INVITE that nobody heard.
    pub(crate) fn on_no_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        txn: TxnId,
        why: Failure,
        sent: Option<Bytes>,
    ) -> Fate {
        match &self.phase {
            Phase::Connecting(connecting) if connecting.invite == txn => {
                let sent = sent.and_then(connect::parsed);
                self.on_silence(core, now, why, sent)
            }
            Phase::Up(_) => self.on_up_timeout(core, now, txn),
            _ => Fate::Lives,
        }
    }

    /// Whether the call is answered and its requests go this way.
    pub(crate) fn is_up_by(&self, hop: Hop) -> bool {
        matches!(&self.phase, Phase::Up(up) if up.dialog.hop == hop)
    }

    /// Answers at once; the call goes on.
    fn reply(&mut self, core: &mut Core, now: Time, request: &Request, hop: Hop, status: u16) -> Fate {
        let allow = matches!(status, 405 | 501) || *request.method() == Method::Options;
        if *request.method() != Method::Ack {
            core.reply_with(now, request, hop, status, Some(&mut self.trace), |w| {
                if allow {
                    w.header(Name::Allow, crate::core::ALLOW);
                }
            });
        }
        Fate::Lives
    }

    /// Sends a request of ours again with credentials, with a new branch and the next CSeq (§22.2). None when the
    /// challenge cannot be answered, or does not come from the trunk that the credentials are for.
    fn retry_with_digest(
        &mut self,
        core: &mut Core,
        now: Time,
        sent: &Request,
        hop: Hop,
        response: &Response,
        again: bool,
    ) -> Option<(TxnId, u32)> {
        let (credentials, peer) = self.account.as_ref()?;
        if hop.to.ip() != *peer {
            return None;
        }
        let method = sent.method().clone();
        let cnonce = core.chance();
        let (name, value) =
            auth::answer(credentials, response.status(), response, &method, sent.uri(), cnonce, again)?;
        let seq = sent.cseq()?.number.checked_add(1)?;
        let owner = Owner::Call(self.key);
        let invite = method == Method::Invite;
        let txn = core.request(now, owner, hop, invite, Some(&mut self.trace), |core, branch| {
            let again = Again { seq, ..Again::of(sent) };
            again.write(core, hop, branch, &[(name, value.as_bytes())])
        });
        Some((txn.ok()?, seq))
    }
}

/// A request as it was sent, but for branch, CSeq, Request-URI and the way that it goes.
struct Again<'a> {
    sent: &'a Request,
    uri: &'a [u8],
    seq: u32,
}

impl<'a> Again<'a> {
    fn of(sent: &'a Request) -> Again<'a> {
        Again { sent, uri: sent.uri(), seq: sent.cseq().map_or(1, |cseq| cseq.number) }
    }

    /// `replaced` stand in place of the lines of the same name.
    fn write(&self, core: &Core, hop: Hop, branch: &[u8], replaced: &[(Name, &[u8])]) -> Bytes {
        let (sent, body) = (self.sent, self.sent.body());
        let mut w = Writer::request(sent.method(), self.uri, body.len());
        w.via(&core.via(hop.socket), branch);
        for (name, label, line) in sent.lines() {
            match name {
                Name::Via | Name::ContentLength | Name::ContentType => {}
                Name::CSeq => {
                    w.cseq(self.seq, sent.method());
                }
                Name::Contact => {
                    w.header(Name::Contact, &core.contact(hop.socket));
                }
                name if replaced.iter().any(|(other, _)| *other == name) => {}
                _ => {
                    w.named(label, line);
                }
            }
        }
        for (name, value) in replaced {
            w.header(*name, value);
        }
        w.body(sent.content_type().map(|content_type| (content_type, &body[..])))
    }
}

/// Marks our 2xx as acknowledged.
fn acknowledge(core: &mut Core, txn: TxnId) {
    if let Some(txn) = core.txns.get_mut(txn)
        && let Kind::ServerInvite(_, ServerInvite::Accepted { answer }) = &mut txn.kind
    {
        *answer = None;
    }
}
