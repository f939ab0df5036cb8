//! Calls that we place: one INVITE, any number of provisional answers and forks, one outcome.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use super::close::{After, Closing};
use super::{Call, Fate, Phase, Up};
use crate::core::{Core, body_of};
use crate::dialog::Dialog;
use crate::endpoint::CallKey;
use crate::error::ApiMisuse;
use crate::event::{Event, Failure, InviteRequest};
use crate::limits;
use crate::message::{Message, Method, Name, Reason, Request, Response, Uri, Writer, quoted};
use crate::recovery::DialogSnapshot;
use crate::register::Phone;
use crate::transaction::{ClientInvite, Hop, Kind, Owner, Timer, TxnId};

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
    /// To tags of early dialogs.
    early: Vec<Bytes>,
    cancel: Cancel,
    auth_tries: u8,
}

enum Cancel {
    No,
    /// Wanted, but a CANCEL must not be sent before a 1xx (RFC 3261 §9.1).
    Wanted(Option<Reason>),
    Sent,
}

impl Connecting {
    pub(super) fn pinned(&self) -> bool {
        self.pinned
    }

    pub(super) fn knows(&self, remote_tag: &[u8]) -> bool {
        self.early.iter().any(|tag| tag == remote_tag)
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
    line("asserted_identity", request.asserted_identity.as_deref().unwrap_or_default())?;
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
        let hop = match &phone {
            Some(phone) => phone.flow,
            None => core.route(request.destination)?,
        };
        let pinned = phone.is_some();
        let to = Bytes::from(request.uri);
        let called = phone.map_or_else(|| to.clone(), |phone| phone.contact);
        let tag = core.new_tag(key);
        let mut local = String::new();
        if !request.from_display.is_empty() {
            local.push_str(&quoted(&request.from_display));
            local.push(' ');
        }
        let sent_by = core.sent_by(hop.socket);
        let host = match request.from_host.is_empty() {
            true => String::from_utf8_lossy(&sent_by).into_owned(),
            false => request.from_host.clone(),
        };
        let at = if request.from_user.is_empty() { "" } else { "@" };
        local.push_str(&format!("<sip:{}{at}{host}>;tag=", request.from_user));
        local.push_str(&String::from_utf8_lossy(tag.as_bytes()));
        let local = Bytes::from(local);
        let mut call = Call {
            key,
            call_id: Bytes::from(request.call_id),
            tag,
            trace: Default::default(),
            merge: 0,
            account: request.credentials.map(|credentials| (credentials, hop.to.ip())),
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
            }),
        };
        let Phase::Connecting(connecting) = &mut call.phase else { return Err(ApiMisuse::WrongState) };
        let (call_id, uri) = (&call.call_id, &connecting.called);
        let owner = Owner::Call(key);
        connecting.invite = core.request(now, owner, hop, true, Some(&mut call.trace), |core, branch| {
            let length = request.body.as_ref().map_or(0, |body| body.data.len());
            let mut w = Writer::request(&Method::Invite, uri, length);
            w.via(&sent_by, branch).max_forwards().header(Name::From, &local);
            w.raw(b"To: <").clean(&to).raw(b">\r\n").header(Name::CallId, call_id).cseq(1, &Method::Invite);
            if let Some(identity) = &request.asserted_identity {
                w.header(Name::PAssertedIdentity, identity.as_bytes());
            }
            for (name, value) in &request.headers {
                w.named(name.as_bytes(), value.as_bytes());
            }
            w.header(Name::UserAgent, core.config.user_agent.as_bytes());
            core.finish(w, hop.socket, request.body.as_ref())
        })?;
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
        if let Some(txn) = core.txns.get_mut(connecting.invite)
            && let Kind::ClientInvite(state @ ClientInvite::Calling { .. }) = &mut txn.kind
            && let Some(request) = state.request().cloned()
        {
            *state = ClientInvite::Proceeding { request, cancel: None };
        }
        let first = !std::mem::replace(&mut connecting.provisional, true);
        if response.status() == 100 {
            if first {
                core.event(Event::Trying { call: self.key });
            }
        } else {
            connecting.progressed = true;
            let early =
                response.to().and_then(|to| to.tag()).map_or_else(Bytes::new, |tag| response.share(tag));
            if connecting.early.len() < limits::EARLY_DIALOGS && !connecting.early.contains(&early) {
                connecting.early.push(early.clone());
            }
            core.event(Event::Progress {
                call: self.key,
                status: response.status(),
                early,
                body: body_of(response),
                reasons: response.reasons(),
            });
        }
        self.cancel_now(core, now);
        Fate::Lives
    }

    /// §13.2.2.4: acknowledge, and the call stands; or, when it is no longer wanted, acknowledge and end it.
    fn on_answer(&mut self, core: &mut Core, now: Time, response: &Response) -> Fate {
        let Phase::Connecting(connecting) = &self.phase else { return Fate::Lives };
        let (local, called) = (connecting.local.clone(), &connecting.called);
        let mut dialog = Dialog::of_caller(response, local, called, connecting.seq, connecting.hop);
        if connecting.pinned {
            dialog.pin(connecting.hop);
        }
        let cancelled = !matches!(connecting.cancel, Cancel::No);
        // §22.1: the ACK carries the credentials of its INVITE.
        let invite = if connecting.auth_tries > 0 { self.sent_invite(core) } else { None };
        let ack = write_ack(core, &dialog, dialog.local_seq, invite.as_ref());
        let (invite, hop) = (connecting.invite, dialog.hop);
        if let Some(txn) = core.txns.get_mut(invite)
            && let Kind::ClientInvite(state) = &mut txn.kind
        {
            let tag = dialog.remote_tag.clone();
            *state =
                ClientInvite::Accepted { ack: ack.clone(), acked: now, to: hop, tag, cancel: state.cancel() };
            core.txns.timers.arm(now, invite.0, Timer::M);
        }
        core.send(now, hop, ack, Some(&mut self.trace));
        let early = dialog.remote_tag.clone();
        let snapshot = Box::new(DialogSnapshot(dialog.clone()));
        self.phase = Phase::Up(Up { dialog, unacknowledged: None, modify: None, closing: Closing::No });
        if cancelled {
            // The 200 crossed our CANCEL (§9.1, §15).
            return self.send_bye(core, now, None, After::Cancelled);
        }
        core.event(Event::Answered { call: self.key, early, body: body_of(response), dialog: snapshot });
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
            core.txns.timers.arm(now, invite.0, Timer::D);
        }
        core.send(now, hop, ack, Some(&mut self.trace));

        let status = response.status();
        let cancelled = !matches!(connecting.cancel, Cancel::No);
        if cancelled {
            let reasons = response.reasons();
            core.event(Event::Cancelled { call: self.key, status: Some(status), reasons });
            return Fate::Over;
        }
        let tries = connecting.auth_tries;
        let retry = matches!(status, 401 | 407) && tries < limits::AUTH_RETRIES && from.ip() == hop.to.ip();
        if retry && let Some((txn, seq)) = self.retry_with_digest(core, now, &sent, hop, response, tries > 0)
        {
            if let Phase::Connecting(connecting) = &mut self.phase {
                connecting.invite = txn;
                connecting.seq = seq;
                connecting.auth_tries += 1;
                connecting.provisional = false;
                connecting.early.clear();
            }
            return Fate::Lives;
        }
        let progressed = matches!(&self.phase, Phase::Connecting(c) if c.progressed);
        let contacts = match status {
            300..400 => response.values(Name::Contact).map(|contact| response.share(contact)).collect(),
            _ => Vec::new(),
        };
        core.event(Event::Failed {
            call: self.key,
            failure: Failure::Status(status),
            reasons: response.reasons(),
            retry_after_s: response.retry_after_s(),
            progressed,
            contacts,
        });
        Fate::Over
    }

    /// Timer B, or nothing final after our CANCEL.
    pub(super) fn on_silence(&mut self, core: &mut Core) -> Fate {
        let Phase::Connecting(connecting) = &self.phase else { return Fate::Lives };
        core.event(match connecting.cancel {
            Cancel::No => Event::Failed {
                call: self.key,
                failure: Failure::Timeout,
                reasons: Vec::new(),
                retry_after_s: None,
                progressed: connecting.progressed,
                contacts: Vec::new(),
            },
            _ => Event::Cancelled { call: self.key, status: None, reasons: Vec::new() },
        });
        Fate::Over
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
        match &core.txns.get_mut(connecting.invite)?.kind {
            Kind::ClientInvite(state) => parsed(state.request()?.clone()),
            _ => None,
        }
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
pub(super) fn write_ack(core: &mut Core, dialog: &Dialog, seq: u32, invite: Option<&Request>) -> Bytes {
    let branch = TxnId(core.chance()).branch();
    let mut w = dialog.write(&Method::Ack, seq, &core.sent_by(dialog.hop.socket), &branch, 0);
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        if let Some(value) = invite.and_then(|invite| invite.get(name)) {
            w.header(name, value);
        }
    }
    w.body(None)
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

fn ack_refusal(sent: &Request, response: &Response) -> Bytes {
    of_invite(sent, &Method::Ack, response.get(Name::To).unwrap_or_default()).body(None)
}

fn write_cancel(sent: &Request, reason: Option<&Reason>) -> Bytes {
    let mut w = of_invite(sent, &Method::Cancel, sent.get(Name::To).unwrap_or_default());
    if let Some(reason) = reason {
        w.header(Name::Reason, reason.encode().as_bytes());
    }
    w.body(None)
}
