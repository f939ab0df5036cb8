//! Calls that we place: one INVITE, any number of provisional answers and forks, one outcome.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kraliki_time::Time;

use super::close::After;
use super::early::{Early, Provisional};
use super::{Again, Call, Fate, Phase, Up, refresh};
use crate::core::{Core, body_of};
use crate::dialog::Dialog;
use crate::endpoint::CallKey;
use crate::error::ApiMisuse;
use crate::event::{Body, Event, Failure, IdentityHeader, InviteRequest, Reliable};
use crate::limits;
use crate::message::{Message, Method, Name, NameAddr, Reason, Request, Response, Uri, Writer, quoted};
use crate::recovery::DialogSnapshot;
use crate::register::Phone;
use crate::transaction::{ClientInvite, Hop, Kind, Owner, Timer, TxnId};
use crate::transport::{Destination, Transport};

/// A call whose INVITE has no final answer yet.
pub(crate) struct Connecting {
    pub(crate) invite: TxnId,
    hop: Hop,
    /// A registered phone is called: the call stays on its flow.
    pinned: bool,
    /// Our From value, tag included.
    local: Bytes,
    /// The Request-URI.
    called: Bytes,
    seq: u32,
    /// A 1xx came: a CANCEL may be sent.
    provisional: bool,
    /// A 1xx beyond 100 came.
    progressed: bool,
    early: Vec<Early>,
    cancel: Cancel,
    auth_tries: u8,
    timer_tries: u8,
    session: Option<refresh::Offer>,
    redirects_left: u8,
    /// Request-URIs that were tried, so that a 3xx does not lead in a circle.
    redirected_from: Vec<Bytes>,
    body: Option<Body>,
    /// Where to try next when nobody is there.
    alternatives: VecDeque<Destination>,
    /// When the present INVITE was sent, and how long its owner waits to hear anything of it.
    sent: Time,
    first_response_within: Option<Duration>,
}

enum Cancel {
    No,
    /// Wanted, but a CANCEL must not be sent before a 1xx (RFC 3261 §9.1).
    Wanted(Option<Reason>),
    Sent,
}

impl Connecting {
    pub(super) fn early(&mut self, remote_tag: &[u8]) -> Option<&mut Early> {
        self.early.iter_mut().find(|early| early.tag == remote_tag)
    }

    pub(super) fn pinned(&self) -> bool {
        self.pinned
    }

    /// Another INVITE has taken the place of the one before.
    fn sent_anew(&mut self, core: &mut Core, now: Time, call: CallKey) {
        self.sent = now;
        if let Some(within) = self.first_response_within {
            core.txns.timers.arm_at(now + within, call.0, Timer::Silence);
        }
    }
}

/// Checks what the caller gave: nothing may break out of its place in the message.
fn check(request: &InviteRequest) -> Result<(), ApiMisuse> {
    let line = |field: &'static str, text: &str| match text.bytes().any(|b| b < b' ' || b == 0x7f) {
        true => Err(ApiMisuse::BadField(field)),
        false => Ok(()),
    };
    let word =
        |field: &'static str, text: &str| match text.bytes().any(|b| b <= b' ' || b"<>\"@,".contains(&b)) {
            true => Err(ApiMisuse::BadField(field)),
            false => line(field, text),
        };
    line("uri", &request.uri)?;
    if Uri::parse(request.uri.as_bytes()).is_none() || request.uri.bytes().any(|b| b" <>\"".contains(&b)) {
        return Err(ApiMisuse::BadField("uri"));
    }
    line("from_display", &request.from_display)?;
    word("from_user", &request.from_user)?;
    word("from_host", &request.from_host)?;
    line("call_id", &request.call_id)?;
    if request.call_id.is_empty() || request.call_id.contains(' ') {
        return Err(ApiMisuse::BadField("call_id"));
    }
    for (name, value) in &request.headers {
        line("headers", value)?;
        // The endpoint writes the headers that it knows itself, but for identity and privacy.
        let ours = matches!(
            Name::of(name.as_bytes()),
            Name::Via
                | Name::From
                | Name::To
                | Name::CallId
                | Name::CSeq
                | Name::Contact
                | Name::ContentLength
        );
        if ours || name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(ApiMisuse::BadField("headers"));
        }
    }
    Ok(())
}

impl Call {
    /// Places a call: to the request's destination, or to a registered phone.
    pub(crate) fn connect(
        core: &mut Core,
        now: Time,
        key: CallKey,
        request: InviteRequest,
        phone: Option<Phone>,
    ) -> Result<Call, ApiMisuse> {
        check(&request)?;
        let mut request = request;
        let mut hop = match &phone {
            Some(phone) => phone.flow,
            None => core.route(&request.destination)?,
        };
        if request.large_by_tcp
            && phone.is_none()
            && core.transport(hop.socket) == Transport::Udp
            && let Ok(by_tcp) = core.route(&Destination {
                transport: Transport::Tcp,
                socket: None,
                ..request.destination.clone()
            })
            && write_size(&request) > limits::UDP_REQUEST_BYTES
        {
            // RFC 3261 §18.1.1: and by UDP after all, when there is no TCP there.
            request.alternatives.insert(0, request.destination.clone());
            hop = by_tcp;
        }
        let pinned = phone.is_some();
        let to = Bytes::from(request.uri);
        let called = phone.map_or_else(|| to.clone(), |phone| phone.contact);
        let tag = core.new_tag(key);
        let mut local = String::new();
        if request.private {
            local.push_str("\"Anonymous\" ");
        } else if !request.from_display.is_empty() {
            local.push_str(&quoted(&request.from_display));
            local.push(' ');
        }
        let host = match request.from_host.is_empty() {
            true => String::from_utf8_lossy(&core.host(hop.socket)).into_owned(),
            false => request.from_host.clone(),
        };
        let at = if request.from_user.is_empty() { "" } else { "@" };
        let identity = format!("<sip:{}{at}{host}>", request.from_user);
        match request.private {
            // RFC 3323 §4.1.1.3.
            true => local.push_str("<sip:anonymous@anonymous.invalid>"),
            false => local.push_str(&identity),
        }
        local.push_str(";tag=");
        local.push_str(&String::from_utf8_lossy(tag.as_bytes()));
        let local = Bytes::from(local);
        let mut call = Call {
            key,
            call_id: Bytes::from(request.call_id),
            tag,
            trace: Default::default(),
            retransmitted: 0,
            merge: 0,
            given_up: false,
            account: request.credentials.map(|credentials| (credentials, hop.to.ip())),
            ours: Vec::new(),
            wanted: None,
            phase: Phase::Connecting(Connecting {
                invite: TxnId(0),
                hop,
                pinned,
                local: local.clone(),
                called,
                seq: 1,
                provisional: false,
                progressed: false,
                early: Vec::new(),
                cancel: Cancel::No,
                auth_tries: 0,
                timer_tries: 0,
                session: request.session_timer.map(refresh::Offer::of),
                redirects_left: request.max_redirects,
                redirected_from: Vec::new(),
                body: request.body.clone(),
                alternatives: request.alternatives.into(),
                sent: now,
                first_response_within: request.first_response_within,
            }),
        };
        let Phase::Connecting(connecting) = &mut call.phase else { return Err(ApiMisuse::WrongState) };
        let (call_id, uri) = (&call.call_id, &connecting.called);
        let owner = Owner::Call(key);
        connecting.invite = core.request(now, owner, hop, true, Some(&mut call.trace), |core, branch| {
            let length = request.body.as_ref().map_or(0, |body| body.data.len());
            let mut w = Writer::request(&Method::Invite, uri, length);
            w.via(&core.via(hop.socket), branch).max_forwards().header(Name::From, &local);
            w.raw(b"To: <").clean(&to).raw(b">\r\n").header(Name::CallId, call_id).cseq(1, &Method::Invite);
            if let Some((name, more)) = identity_header(request.identity, request.private) {
                w.header(name, format!("{identity}{more}").as_bytes());
            }
            if request.private {
                w.header(Name::Privacy, b"id");
            }
            w.raw(b"Supported: replaces");
            if request.session_timer.is_some() {
                w.raw(b", timer");
            }
            // Without an offer of ours a reliable 1xx would bring one, to be answered in its PRACK: not asked for.
            if request.reliable == Reliable::Supported && request.body.is_some() {
                w.raw(b", 100rel");
            }
            w.raw(b"\r\n");
            if request.reliable == Reliable::Required {
                w.header(Name::Require, b"100rel");
            }
            if let Some(timer) = request.session_timer {
                refresh::Offer::of(timer).write(&mut w);
            }
            for (name, value) in &request.headers {
                w.named(name.as_bytes(), value.as_bytes());
            }
            w.header(Name::UserAgent, core.config.user_agent.as_bytes());
            core.finish(w, hop.socket, request.body.as_ref())
        })?;
        if let Some(within) = request.first_response_within {
            core.txns.timers.arm_at(now + within, key.0, Timer::Silence);
        }
        Ok(call)
    }

    pub(super) fn on_invite_response(
        &mut self,
        core: &mut Core,
        now: Time,
        from: SocketAddr,
        response: &Response,
    ) -> Fate {
        match response.status() {
            ..200 => self.on_provisional(core, now, response),
            200..300 => self.on_answer(core, now, response),
            _ => self.on_refusal(core, now, from, response),
        }
    }

    fn on_provisional(&mut self, core: &mut Core, now: Time, response: &Response) -> Fate {
        let Phase::Connecting(connecting) = &mut self.phase else { return Fate::Lives };
        if let Some(txn) = core.txns.get_mut(connecting.invite) {
            txn.provisional();
        }
        let first = !std::mem::replace(&mut connecting.provisional, true);
        if response.status() == 100 {
            if first && !self.given_up {
                core.event(Event::Trying { call: self.key });
            }
        } else {
            connecting.progressed = true;
            let early =
                response.to().and_then(|to| to.tag()).map_or_else(Bytes::new, |tag| response.share(tag));
            if connecting.early(&early).is_none() && connecting.early.len() < limits::EARLY_DIALOGS {
                let (local, called) = (connecting.local.clone(), &connecting.called);
                let dialog = response.contact().map(|_| {
                    let (seq, hop) = (connecting.seq, connecting.hop);
                    let mut dialog = Dialog::of_caller(core, response, local, called, seq, hop);
                    if connecting.pinned {
                        dialog.pin(core, hop);
                    }
                    Box::new(dialog)
                });
                connecting.early.push(Early::new(early.clone(), dialog));
            }
            if self.acknowledge_provisional(core, now, &early, response) == Provisional::Tell
                && !self.given_up
            {
                core.event(Event::Progress {
                    call: self.key,
                    status: response.status(),
                    early,
                    body: body_of(response),
                    reasons: response.reasons(),
                });
            }
        }
        self.cancel_now(core, now);
        Fate::Lives
    }

    /// §13.2.2.4: acknowledge, and the call stands; or, when it is no longer wanted, acknowledge and end it.
    fn on_answer(&mut self, core: &mut Core, now: Time, response: &Response) -> Fate {
        let Phase::Connecting(connecting) = &self.phase else { return Fate::Lives };
        let (local, called) = (connecting.local.clone(), &connecting.called);
        let seq = connecting.seq;
        let mut dialog = Dialog::of_caller(core, response, local, called, seq, connecting.hop);
        if connecting.pinned {
            dialog.pin(core, connecting.hop);
        }
        // What was sent and heard within the early dialog counts on (§12.1.2).
        let early = connecting.early.iter().find(|early| early.tag == dialog.remote_tag);
        if let Some(early) = early.and_then(|early| early.dialog.as_ref()) {
            dialog.local_seq = dialog.local_seq.max(early.local_seq);
            dialog.remote_seq = early.remote_seq;
        }
        let min_se_s = connecting.session.as_ref().map(|session| session.min_s);
        let body = connecting.body.clone();
        // Without an offer of ours the 2xx brings one, and our ACK is to answer it.
        let offer = body.is_none() && !response.body().is_empty();
        let cancelled = !matches!(connecting.cancel, Cancel::No);
        // §22.1: the ACK carries the credentials of its INVITE.
        let invite = if connecting.auth_tries > 0 { self.sent_invite(core) } else { None };
        let ack = match offer && !cancelled {
            true => Bytes::new(),
            false => write_ack(core, &dialog, seq, invite.as_ref(), None),
        };
        let (invite, hop) = (connecting.invite, dialog.hop);
        if let Some(txn) = core.txns.get_mut(invite)
            && let Kind::ClientInvite(state) = &mut txn.kind
        {
            let tag = dialog.remote_tag.clone();
            *state =
                ClientInvite::Accepted { ack: ack.clone(), acked: now, to: hop, tag, cancel: state.cancel() };
            core.txns.timers.arm(now, invite.0, Timer::M);
        }
        if !ack.is_empty() {
            core.send(now, hop, ack.clone(), Some(&mut self.trace));
        }
        let early = dialog.remote_tag.clone();
        let transport = core.transport(dialog.hop.socket);
        let bound = core.bound(dialog.hop.socket);
        let snapshot = Box::new(DialogSnapshot { dialog: dialog.clone(), transport, bound });
        let offered = ack.is_empty().then_some((seq, invite));
        self.phase = Phase::Up(Up { offered, local: body, ..Up::new(dialog, true) });
        self.note_allow(response);
        self.note_min_se(min_se_s);
        // §15.1.2: what the peer asked of the early dialog is over with it.
        self.drop_modify(core, now);
        if cancelled {
            // The 200 crossed our CANCEL (§9.1, §15).
            return self.send_bye(core, now, None, After::Cancelled);
        }
        self.on_session_answer(core, now, response);
        let body = body_of(response);
        core.event(Event::Answered { call: self.key, early, body, offer, dialog: snapshot });
        Fate::Lives
    }

    fn on_refusal(&mut self, core: &mut Core, now: Time, from: SocketAddr, response: &Response) -> Fate {
        let Some(sent) = self.sent_invite(core) else { return Fate::Lives };
        let Phase::Connecting(connecting) = &mut self.phase else { return Fate::Lives };
        let (invite, hop) = (connecting.invite, connecting.hop);
        let ack = ack_refusal(&sent, response);
        if let Some(txn) = core.txns.get_mut(invite)
            && let Kind::ClientInvite(state) = &mut txn.kind
        {
            *state = ClientInvite::Completed { ack: ack.clone(), acked: now, cancel: state.cancel() };
            core.bury(now, invite, Timer::D);
        }
        core.send(now, hop, ack, Some(&mut self.trace));

        let status = response.status();
        let cancelled = !matches!(connecting.cancel, Cancel::No);
        if cancelled {
            let reasons = response.reasons();
            self.tell_cancelled(core, Some(status), reasons);
            return Fate::Over;
        }
        let again = match status {
            503 => self.try_next(core, now, &sent),
            300..400 => self.follow(core, now, &sent, response),
            422 => self.try_longer(core, now, &sent, response),
            _ => false,
        };
        if again {
            return Fate::Lives;
        }
        let Phase::Connecting(connecting) = &self.phase else { return Fate::Lives };
        let tries = connecting.auth_tries;
        let retry = matches!(status, 401 | 407) && tries < limits::AUTH_RETRIES && from.ip() == hop.to.ip();
        if retry && let Some((txn, seq)) = self.retry_with_digest(core, now, &sent, hop, response, tries > 0)
        {
            if let Phase::Connecting(connecting) = &mut self.phase {
                connecting.invite = txn;
                connecting.seq = seq;
                connecting.auth_tries += 1;
                connecting.provisional = false;
                connecting.sent_anew(core, now, self.key);
                connecting.early.clear();
            }
            return Fate::Lives;
        }
        self.tell_failed(core, Failure::Status(status), Some(response));
        Fate::Over
    }

    /// Timer B, a transport that failed, or nothing final after our CANCEL. `sent` is the INVITE when nobody heard it.
    pub(super) fn on_silence(
        &mut self,
        core: &mut Core,
        now: Time,
        failure: Failure,
        sent: Option<Request>,
    ) -> Fate {
        let Phase::Connecting(connecting) = &self.phase else { return Fate::Lives };
        if !matches!(connecting.cancel, Cancel::No) {
            self.tell_cancelled(core, None, Vec::new());
            return Fate::Over;
        }
        if sent.is_some_and(|sent| self.try_next(core, now, &sent)) {
            return Fate::Lives;
        }
        self.tell_failed(core, failure, None);
        Fate::Over
    }

    /// The owner waited long enough to hear anything (RFC 3261 §17.1.1.2 leaves that to it). The INVITE is not sent again;
    /// should it have got there, what comes of it is cancelled, or ended once it is answered: nobody is called twice.
    pub(super) fn on_nothing_heard(&mut self, core: &mut Core, now: Time) -> Fate {
        let Phase::Connecting(connecting) = &mut self.phase else { return Fate::Lives };
        let Some(within) = connecting.first_response_within else { return Fate::Lives };
        if connecting.progressed || !matches!(connecting.cancel, Cancel::No) {
            return Fate::Lives;
        }
        // Another INVITE has followed the first (another place, a digest); it has a time of its own.
        let due = connecting.sent + within;
        if connecting.provisional || now < due {
            if now < due {
                core.txns.timers.arm_at(due, self.key.0, Timer::Silence);
            }
            return Fate::Lives;
        }
        connecting.cancel = Cancel::Wanted(None);
        let invite = connecting.invite;
        if let Some(txn) = core.txns.get_mut(invite) {
            txn.provisional(); // as if heard: timer A is over
        }
        core.txns.timers.arm(now, invite.0, Timer::Cancelled);
        self.tell_failed(core, Failure::Timeout, None);
        self.given_up = true;
        Fate::Lives
    }

    fn tell_failed(&self, core: &mut Core, failure: Failure, response: Option<&Response>) {
        let redirected = response.filter(|response| (300..400).contains(&response.status()));
        let contacts = redirected
            .map(|response| response.values(Name::Contact).map(|contact| response.share(contact)).collect());
        core.event(Event::Failed {
            call: self.key,
            failure,
            reasons: response.map(|response| response.reasons()).unwrap_or_default(),
            retry_after_s: response.and_then(|response| response.retry_after_s()),
            progressed: matches!(&self.phase, Phase::Connecting(c) if c.progressed),
            contacts: contacts.unwrap_or_default(),
            call_info: response.and_then(|r| r.other("Call-Info").map(|value| r.share(value))),
            retransmitted: self.retransmitted,
        });
    }

    /// RFC 3263 §4.3: the same request by a new transaction to the next place where the peer may be found. Not once
    /// somebody has rung: a person is never dialed twice.
    fn try_next(&mut self, core: &mut Core, now: Time, sent: &Request) -> bool {
        let Phase::Connecting(connecting) = &mut self.phase else { return false };
        if connecting.progressed {
            return false;
        }
        while let Some(destination) = connecting.alternatives.pop_front() {
            let Ok(hop) = core.route(&destination) else { continue };
            let owner = Owner::Call(self.key);
            let txn = core.request(now, owner, hop, true, Some(&mut self.trace), |core, branch| {
                Again::of(sent).write(core, hop, branch, &[])
            });
            let Ok(txn) = txn else { return false };
            (connecting.invite, connecting.hop, connecting.provisional) = (txn, hop, false);
            connecting.sent_anew(core, now, self.key);
            connecting.early.clear();
            if let Some((_, peer)) = &mut self.account {
                // The credentials are the trunk's, wherever it is found.
                *peer = destination.address.ip();
            }
            return true;
        }
        false
    }

    /// A 3xx, as far as the trunk may be followed: the new Request-URI goes the way that the call has gone (§8.1.3.4).
    fn follow(&mut self, core: &mut Core, now: Time, sent: &Request, response: &Response) -> bool {
        let Phase::Connecting(connecting) = &mut self.phase else { return false };
        let known =
            |uri: &[u8]| uri == connecting.called || connecting.redirected_from.iter().any(|old| old == uri);
        let contacts = response.values(Name::Contact).filter_map(NameAddr::parse);
        let usable = |contact: &NameAddr<'_>| contact.parsed_uri().is_some_and(|uri| uri.is_sip());
        let mut new = contacts.filter(usable).map(|contact| contact.uri).filter(|uri| !known(uri));
        let (Some(uri), true) = (new.next(), connecting.redirects_left > 0) else { return false };
        let uri = response.share(uri);
        connecting.redirects_left -= 1;
        let old = std::mem::replace(&mut connecting.called, uri.clone());
        connecting.redirected_from.push(old);
        self.send_again(core, now, sent, Some(&uri), &[])
    }

    /// A 422: the session is to be longer (RFC 4028 §7.3).
    fn try_longer(&mut self, core: &mut Core, now: Time, sent: &Request, response: &Response) -> bool {
        let Phase::Connecting(connecting) = &mut self.phase else { return false };
        let (Some(offer), Some(min_s)) = (&mut connecting.session, refresh::min_se(response)) else {
            return false;
        };
        if connecting.timer_tries >= limits::TIMER_RETRIES {
            return false;
        }
        connecting.timer_tries += 1;
        offer.lengthen(min_s);
        let (expires, min) = (offer.expires_s.to_string(), offer.min_s.to_string());
        let replaced = [(Name::SessionExpires, expires.as_bytes()), (Name::MinSe, min.as_bytes())];
        self.send_again(core, now, sent, None, &replaced)
    }

    /// The INVITE once more with the next CSeq, by the same way.
    fn send_again(
        &mut self,
        core: &mut Core,
        now: Time,
        sent: &Request,
        uri: Option<&[u8]>,
        replaced: &[(Name, &[u8])],
    ) -> bool {
        let Phase::Connecting(connecting) = &mut self.phase else { return false };
        let (hop, seq, owner) = (connecting.hop, connecting.seq + 1, Owner::Call(self.key));
        let txn = core.request(now, owner, hop, true, Some(&mut self.trace), |core, branch| {
            let again = Again::of(sent);
            let again = Again { seq, uri: uri.unwrap_or(again.uri), ..again };
            again.write(core, hop, branch, replaced)
        });
        let Ok(txn) = txn else { return false };
        (connecting.invite, connecting.seq, connecting.provisional) = (txn, seq, false);
        connecting.sent_anew(core, now, self.key);
        connecting.early.clear();
        true
    }

    /// Gives the call up: a CANCEL as soon as one may be sent.
    pub(super) fn want_cancel(&mut self, core: &mut Core, now: Time, reason: Option<Reason>) {
        if let Phase::Connecting(connecting) = &mut self.phase
            && matches!(connecting.cancel, Cancel::No)
        {
            connecting.cancel = Cancel::Wanted(reason);
            self.cancel_now(core, now);
        }
    }

    fn cancel_now(&mut self, core: &mut Core, now: Time) {
        let Phase::Connecting(connecting) = &mut self.phase else { return };
        if !connecting.provisional {
            return;
        }
        let Cancel::Wanted(reason) = &mut connecting.cancel else { return };
        let reason = reason.take();
        connecting.cancel = Cancel::Sent;
        let (invite, hop) = (connecting.invite, connecting.hop);
        let Some(sent) = self.sent_invite(core) else { return };
        // §9.1: the CANCEL has the branch of its INVITE, so that its own is not used.
        let cancel = write_cancel(&sent, reason.as_ref());
        let txn = core.request(now, Owner::Nobody, hop, false, Some(&mut self.trace), |_, _| cancel);
        if let Some(txn_invite) = core.txns.get_mut(invite)
            && let Kind::ClientInvite(ClientInvite::Proceeding { cancel, .. }) = &mut txn_invite.kind
        {
            *cancel = txn.ok();
        }
        core.txns.timers.arm(now, invite.0, Timer::Cancelled);
    }

    /// The INVITE as we sent it, while its transaction has it.
    fn sent_invite(&self, core: &mut Core) -> Option<Request> {
        let Phase::Connecting(connecting) = &self.phase else { return None };
        parsed(core.txns.sent(connecting.invite)?)
    }
}

/// A request of our own, read again: only calls that fail, are cancelled or need a digest come here.
pub(super) fn parsed(bytes: Bytes) -> Option<Request> {
    match Message::parse(bytes) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

/// The ACK to a 2xx (§13.2.2.4): a request of the dialog with a transaction of its own.
pub(super) fn write_ack(
    core: &mut Core,
    dialog: &Dialog,
    seq: u32,
    invite: Option<&Request>,
    body: Option<&Body>,
) -> Bytes {
    let branch = TxnId(core.chance()).branch();
    let mut w = dialog.write(core, &Method::Ack, seq, &branch, body.map_or(0, |body| body.data.len()));
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        if let Some(value) = invite.and_then(|invite| invite.get(name)) {
            w.header(name, value);
        }
    }
    w.body(body.map(|body| (&body.content_type[..], &body.data[..])))
}

/// The header that says who calls, and what follows the URI in it.
fn identity_header(kind: IdentityHeader, private: bool) -> Option<(Name, &'static str)> {
    match kind {
        IdentityHeader::None => None,
        IdentityHeader::Asserted => Some((Name::PAssertedIdentity, "")),
        IdentityHeader::Preferred => Some((Name::PPreferredIdentity, "")),
        IdentityHeader::RemoteParty if private => {
            Some((Name::RemotePartyId, ";party=calling;screen=yes;privacy=full"))
        }
        IdentityHeader::RemoteParty => Some((Name::RemotePartyId, ";party=calling;screen=yes;privacy=off")),
    }
}

/// About how large an INVITE gets: what varies, and what we always write.
pub(crate) fn write_size(request: &InviteRequest) -> usize {
    let text = [&request.uri, &request.uri, &request.from_display, &request.from_user, &request.from_host];
    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
    let body = request.body.as_ref().map_or(0, |body| body.data.len());
    500 + text.iter().map(|text| text.len()).sum::<usize>() + headers.sum::<usize>() + body
}

/// What the ACK to a refusal and a CANCEL have of their INVITE (§9.1, §17.1.1.3).
fn of_invite(sent: &Request, method: &Method, to: &[u8]) -> Writer {
    let mut w = Writer::request(method, sent.uri(), 0);
    w.header(Name::Via, sent.get(Name::Via).unwrap_or_default()).max_forwards();
    for route in sent.all(Name::Route) {
        w.header(Name::Route, route);
    }
    w.header(Name::From, sent.get(Name::From).unwrap_or_default()).header(Name::To, to);
    w.header(Name::CallId, sent.call_id().unwrap_or_default());
    w.cseq(sent.cseq().map_or(1, |cseq| cseq.number), method);
    w
}

pub(super) fn ack_refusal(sent: &Request, response: &Response) -> Bytes {
    of_invite(sent, &Method::Ack, response.get(Name::To).unwrap_or_default()).body(None)
}

fn write_cancel(sent: &Request, reason: Option<&Reason>) -> Bytes {
    let mut w = of_invite(sent, &Method::Cancel, sent.get(Name::To).unwrap_or_default());
    if let Some(reason) = reason {
        w.header(Name::Reason, reason.encode().as_bytes());
    }
    w.body(None)
}
