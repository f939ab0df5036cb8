//! Calls: from the INVITE to the end.

mod accept;
mod change;
mod close;
mod connect;
mod early;
mod modify;
mod refer;
pub(crate) mod refresh;
pub(crate) mod stray;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use kraliki_time::Time;

use crate::auth::{self, Credentials};
use crate::core::{Core, Tag, body_of};
use crate::dialog::Dialog;
use crate::endpoint::{CallKey, SocketId};
use crate::error::ApiMisuse;
use crate::event::{Body, Event, Failure};
use crate::limits;
use crate::message::{Method, Name, Request, Response, Writer};
use crate::trace::Trace;
use crate::transaction::{Hop, Kind, Owner, ServerInvite, Timer, TxnId};

pub(crate) use accept::{Offered, merge_key};
pub(crate) use close::finish_other;
pub(crate) use connect::{Connecting, write_size};

/// One call.
pub(crate) struct Call {
    pub(crate) key: CallKey,
    pub(crate) call_id: Bytes,
    pub(crate) tag: Tag,
    pub(crate) trace: Trace,
    /// What makes another INVITE the same call by another way (RFC 3261 §8.2.2.2); 0 for calls that we place.
    pub(crate) merge: u64,
    /// Messages of this call that were sent again.
    pub(crate) retransmitted: u32,
    /// Its owner was told that it failed; what still comes of its INVITE is cleared without a word.
    given_up: bool,
    /// The trunk's credentials and the address that they are for.
    account: Option<(Arc<Credentials>, IpAddr)>,
    /// Requests of ours within the dialog that have no final answer.
    ours: Vec<Ours>,
    /// A change that the peer asked for and the owner has not answered.
    wanted: Option<modify::Wanted>,
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
    /// We called: Call-ID and the first CSeq are ours.
    caller: bool,
    /// The peer takes UPDATE.
    updates: bool,
    /// Our 2xx that waits for its ACK: CSeq, transaction.
    unacknowledged: Option<(u32, TxnId)>,
    /// The peer's 2xx whose offer waits for our answer: CSeq and transaction of our INVITE.
    offered: Option<(u32, TxnId)>,
    /// What we last said of our side: a re-INVITE that only refreshes says it again.
    local: Option<Body>,
    session: Option<refresh::Session>,
    /// The longest Min-SE that was heard in the call, in seconds (RFC 4028 §7.4); 0: none.
    min_se_s: u32,
    refer: refer::Refer,
    /// A change of ours that is to be tried again.
    again: Option<change::Again>,
    closing: close::Closing,
}

impl Up {
    fn new(dialog: Dialog, caller: bool) -> Up {
        Up {
            dialog,
            caller,
            updates: false,
            unacknowledged: None,
            offered: None,
            local: None,
            session: None,
            min_se_s: 0,
            refer: refer::Refer::default(),
            again: None,
            closing: close::Closing::No,
        }
    }
}

/// A request of ours within the dialog.
struct Ours {
    txn: TxnId,
    what: What,
    authorised: bool,
}

/// What a request of ours was for.
enum What {
    Bye(close::After),
    Change(change::Change),
    Prack,
    Info,
    Refer,
    Notify,
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
        let flow = Hop { socket, to: from };
        let pinned = match &self.phase {
            Phase::Connecting(connecting) => connecting.pinned(),
            Phase::Offered(offered) => offered.pinned(),
            Phase::Up(up) => up.dialog.pinned,
        };
        // What stands in front of a phone opens no way but the one that the request came.
        let hop = if pinned { flow } else { core.answer_hop(&request, socket, from) };
        let remote = request.from().and_then(|from| from.tag()).unwrap_or_default();
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let last = match &mut self.phase {
            _ if request.call_id() != Some(&self.call_id[..]) => None,
            Phase::Connecting(connecting) => connecting.early(remote).map(|early| early.remote_seq()),
            Phase::Offered(offered) => (offered.remote_tag() == remote).then(|| offered.remote_seq()),
            Phase::Up(up) => (up.dialog.remote_tag == remote).then_some(Some(&mut up.dialog.remote_seq)),
        };
        let Some(last) = last else { return self.reply(core, now, &request, hop, 481) };
        if !matches!(request.method(), Method::Ack | Method::Cancel)
            && let Some(last) = last
        {
            // RFC 3261 §12.2.2: a request out of order.
            if last.is_some_and(|last| number <= last) {
                return self.reply(core, now, &request, hop, 500);
            }
            *last = Some(number);
            if let Phase::Up(up) = &mut self.phase
                && pinned
            {
                // The phone may have a new port or connection by now.
                up.dialog.pin(core, flow);
            }
        }
        match request.method() {
            Method::Ack => self.on_ack(core, now, number, &request),
            Method::Bye => self.on_bye(core, now, &request, hop),
            Method::Invite | Method::Update => self.on_modify(core, now, request, hop),
            Method::Prack => self.on_prack(core, now, &request, hop),
            Method::Refer => self.on_refer(core, now, request, hop),
            Method::Notify => self.on_notify(core, now, &request, hop),
            Method::Info => self.on_info(core, now, &request, hop),
            Method::Options => self.reply(core, now, &request, hop, 200),
            Method::Other(_) => self.reply(core, now, &request, hop, 501),
            _ => self.reply(core, now, &request, hop, 405),
        }
    }

    /// INFO: as everybody sends it, without a package. The packages of RFC 6086 are none of ours (§4.2.2).
    fn on_info(&mut self, core: &mut Core, now: Time, request: &Request, hop: Hop) -> Fate {
        if request.other("Info-Package").is_some() {
            core.reply_with(now, request, hop, 469, Some(&mut self.trace), |w| {
                w.named(b"Recv-Info", b"");
            });
            return Fate::Lives;
        }
        core.event(Event::Info { call: self.key, body: body_of(request) });
        self.reply(core, now, request, hop, 200)
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
        if let Phase::Connecting(connecting) = &self.phase
            && connecting.invite == txn
        {
            return self.on_invite_response(core, now, from, response);
        }
        let Some(place) = self.ours.iter().position(|ours| ours.txn == txn) else { return Fate::Lives };
        if response.status() < 200 {
            if let Some(txn) = core.txns.get_mut(txn) {
                txn.provisional();
            }
            return Fate::Lives;
        }
        let ours = self.ours.remove(place);
        let sent = core.txns.sent(txn).and_then(connect::parsed);
        match &ours.what {
            What::Change(change) if change.invite => self.acknowledge_change(core, now, txn, response),
            _ => finish_other(core, now, txn),
        }
        if matches!(response.status(), 401 | 407)
            && !ours.authorised
            && let Some(sent) = sent
            && self.may_authorise(from)
            && let Phase::Up(Up { dialog, .. }) = &self.phase
            && let Some((txn, seq)) = self.retry_with_digest(core, now, &sent, dialog.hop, response, false)
        {
            if let Phase::Up(up) = &mut self.phase {
                up.dialog.local_seq = up.dialog.local_seq.max(seq);
            }
            self.ours.push(Ours { txn, what: ours.what, authorised: true });
            return Fate::Lives;
        }
        self.on_outcome(core, now, ours.what, Some(response), response.status())
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
        if let Phase::Connecting(connecting) = &self.phase
            && connecting.invite == txn
        {
            let sent = sent.and_then(connect::parsed);
            return self.on_silence(core, now, why, sent);
        }
        if let Some(place) = self.ours.iter().position(|ours| ours.txn == txn) {
            let ours = self.ours.remove(place);
            return self.on_outcome(core, now, ours.what, None, 408);
        }
        self.on_no_ack(core, now, txn)
    }

    /// A request of ours has its final answer, or never gets one (408).
    fn on_outcome(
        &mut self,
        core: &mut Core,
        now: Time,
        what: What,
        response: Option<&Response>,
        status: u16,
    ) -> Fate {
        match what {
            What::Bye(after) => self.closed(core, after),
            What::Change(change) => self.on_changed(core, now, change, response, status),
            What::Refer => self.on_referred(core, status),
            What::Info => {
                core.event(Event::InfoResult { call: self.key, status });
                Fate::Lives
            }
            What::Prack | What::Notify => Fate::Lives,
        }
    }

    /// A timer of this call.
    pub(crate) fn on_timer(&mut self, core: &mut Core, now: Time, timer: Timer) -> Fate {
        match timer {
            Timer::Reliable => self.on_reliable_timer(core, now),
            Timer::Session => self.on_session_timer(core, now),
            Timer::Again => self.on_again(core, now),
            Timer::Silence => self.on_nothing_heard(core, now),
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

    /// Sends a request within the dialog; its answer comes to `on_outcome`.
    fn request(
        &mut self,
        core: &mut Core,
        now: Time,
        method: &Method,
        what: What,
        body: Option<&Body>,
        more: impl FnOnce(&mut Writer),
    ) -> Result<(), ApiMisuse> {
        // A BYE always goes.
        if self.ours.len() >= limits::REQUESTS_PER_CALL && !matches!(what, What::Bye(_)) {
            return Err(ApiMisuse::Full);
        }
        let Phase::Up(up) = &mut self.phase else { return Err(ApiMisuse::WrongState) };
        up.dialog.local_seq += 1;
        let (dialog, owner) = (&up.dialog, Owner::Call(self.key));
        let invite = *method == Method::Invite;
        // These make or change a dialog, and so say where we are (§12.1.1, RFC 3311 §5.1, RFC 3515 §2.2).
        let contact = matches!(method, Method::Invite | Method::Update | Method::Refer | Method::Notify);
        let trace = Some(&mut self.trace);
        let txn = core.request(now, owner, dialog.hop, invite, trace, |core, branch| {
            let length = body.map_or(0, |body| body.data.len());
            let mut w = dialog.write(core, method, dialog.local_seq, branch, length);
            more(&mut w);
            match contact {
                true => core.finish(w, dialog.hop.socket, body),
                false => w.body(body.map(|body| (&body.content_type[..], &body.data[..]))),
            }
        })?;
        self.ours.push(Ours { txn, what, authorised: false });
        Ok(())
    }

    /// INFO: keys, as a rule (`application/dtmf-relay`).
    pub(crate) fn info(&mut self, core: &mut Core, now: Time, body: &Body) -> Result<(), ApiMisuse> {
        self.request(core, now, &Method::Info, What::Info, Some(body), |_| {})
    }

    /// Whether a challenge within the call may be answered. A callee behind the trunk could ask for the trunk's
    /// digest: it is given only when the trunk itself is the target.
    fn may_authorise(&self, from: SocketAddr) -> bool {
        let (Phase::Up(up), Some((_, peer))) = (&self.phase, &self.account) else { return false };
        let target = crate::message::Uri::parse(&up.dialog.target).and_then(|uri| uri.address());
        target.is_some_and(|target| target.ip() == *peer) && from.ip() == *peer
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
        let mut session = auth::Session::open(response.status(), response, core.chance(), again)?;
        let (name, value) = session.answer(credentials, &method, sent.uri(), &sent.body());
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
