//! Agents' SIP phones: who may register one, calling it up for a shift, and taking its call.
//!
//! We call a phone without an offer (RFC 3261 §13.2.1): it says what it can do, plain RTP or WebRTC, and the leg that
//! fits answers in our ACK.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kraliki_media::sdp::{AudioCodec, TrunkSession};
use kraliki_media::{Learn, LegId, TrunkOptions};
use kraliki_sip::{
    Binding, Body, CallKey, EndedBy, Event, Failure, InviteRequest, ModifyAnswer, Reason, Reliable, Secrets,
    SocketId, User,
};
use kraliki_time::Time;

use super::desk::{Way, is_plain_rtp, refused};
use super::drive::Driver;
use super::handle::{Request, SessionError};
use super::line::told;
use super::random_array;
use crate::store::PhoneSecret;
use crate::{AgentId, AgentState, PhoneProblem, PhoneState, PhoneView};

/// How long a phone may ring: its agent has just asked for it.
const RING: Duration = Duration::from_secs(60);
/// What the phone's screen shows.
const CALLER: &str = "Kraliki Voice (your calls)";
/// The user of our address towards phones.
const CALLER_USER: &str = "desk";

/// A call with an agent's phone.
pub(super) struct PhoneCall {
    /// None until it is known where the phone is.
    pub(super) call: Option<CallKey>,
    /// What was agreed, when it speaks plain RTP.
    pub(super) plain: Option<TrunkSession>,
    /// The contact by which it is registered: when that is lost, so is the phone.
    contact: Option<Bytes>,
    /// It rings, until then at most.
    rings_until: Option<Time>,
}

/// Somebody who may have a phone.
struct Account {
    /// The user name.
    user: String,
    /// What is registered, the latest at the end: contact, and what the phone calls itself.
    bound: Vec<(Bytes, String)>,
    problem: Option<PhoneProblem>,
    locked_until_unix_ms: Option<i64>,
}

/// All phones.
#[derive(Default)]
pub(super) struct Phones {
    accounts: BTreeMap<AgentId, Account>,
    by_user: HashMap<String, AgentId>,
    /// Agents who are signed in for calls.
    signed_in: HashSet<AgentId>,
    /// What was told last.
    shown: HashMap<AgentId, PhoneView>,
}

impl Phones {
    pub(super) fn set_problem(&mut self, agent: AgentId, problem: Option<PhoneProblem>) {
        if let Some(account) = self.accounts.get_mut(&agent) {
            account.problem = problem;
        }
    }

    /// Everybody's phone, for the snapshot.
    pub(super) fn views(&self) -> Vec<PhoneView> {
        self.accounts.keys().filter_map(|agent| self.shown.get(agent).cloned()).collect()
    }
}

impl Driver {
    /// Who may register from now on. Whose password is gone or another is heard of by `Unbound`, too.
    pub(super) fn set_phones(&mut self, secrets: Vec<PhoneSecret>) {
        let gone: Vec<_> = {
            let keeps = |agent: &AgentId| secrets.iter().any(|secret| secret.user == *agent);
            self.phones.accounts.keys().copied().filter(|agent| !keeps(agent)).collect()
        };
        for agent in gone {
            if let Some(account) = self.phones.accounts.remove(&agent) {
                self.phones.by_user.remove(&account.user);
            }
            if self.desks.get(agent).is_some_and(|desk| matches!(desk.way, Way::Phone(_))) {
                self.drop_desk(agent, None);
            }
            self.show_phone(agent);
        }
        let mut users = Vec::with_capacity(secrets.len());
        for secret in secrets {
            let (agent, user) = (secret.user, secret.username);
            self.phones.by_user.insert(user.clone(), agent);
            self.phones.accounts.entry(agent).or_insert_with(|| Account {
                user: user.clone(),
                bound: Vec::new(),
                problem: None,
                locked_until_unix_ms: None,
            });
            let sha256 = self.config.phones_sha256.then_some(secret.sha256.0);
            let secrets = Secrets { md5: Some(secret.md5.0), sha256 };
            users.push(User { name: user, secrets });
            self.show_phone(agent);
        }
        if let Err(error) = self.sip.set_users(users) {
            tracing::error!(%error, "the registrar did not take the phones' passwords; set one again");
        }
    }

    /// Calls the agent's phone. Gives the name of the session.
    pub(super) fn open_phone(&mut self, agent: AgentId) -> Result<String, SessionError> {
        let no = |why: &str| Err(SessionError::Conflict(why.into()));
        if self.config.phones.is_none() {
            return no("SIP phones are not switched on here; an administrator sets [sip] phones");
        }
        let Some(account) = self.phones.accounts.get_mut(&agent) else {
            return no("your SIP phone has no password yet; make one, and type it into the phone");
        };
        if account.bound.is_empty() {
            return no("your SIP phone is not registered; check the server, the user and the password in it");
        }
        account.problem = None;
        let user = account.user.clone();
        let rings_until = Some(self.now() + RING);
        let phone = PhoneCall { call: None, plain: None, contact: None, rings_until };
        let session = self.put_desk(agent, None, Way::Phone(Box::new(phone)));
        self.find_phone(agent, user, session.clone(), None);
        Ok(session)
    }

    /// Asks the registrar for the way to a phone; the one that has this flow, or the best.
    fn find_phone(
        &self,
        agent: AgentId,
        user: String,
        session: String,
        flow: Option<(SocketId, SocketAddr)>,
    ) {
        let (sip, requests) = (self.sip.clone(), self.shared.requests.clone());
        tokio::spawn(async move {
            let fits = |binding: &Binding| flow.is_none_or(|flow| flow == (binding.socket, binding.peer));
            let binding = sip.lookup(&user).await.into_iter().find(fits);
            let _ = requests.send(Request::PhoneFound { agent, session, binding }).await;
        });
    }

    /// What the registrar says.
    pub(super) fn on_phone_found(&mut self, agent: AgentId, session: &str, binding: Option<Binding>) {
        let Some(desk) = self.desks.get_mut(agent).filter(|desk| desk.session == session) else { return };
        let Some(phone) = desk.phone() else { return };
        match (phone.call, binding) {
            // It called us.
            (Some(_), binding) => phone.contact = binding.map(|binding| binding.contact),
            (None, Some(binding)) => {
                phone.contact = Some(binding.contact.clone());
                self.ring_phone(agent, &binding);
            }
            (None, None) => self.drop_desk(agent, Some(PhoneProblem::Unreachable)),
        }
    }

    fn ring_phone(&mut self, agent: AgentId, binding: &Binding) {
        let Some(user) = self.phones.accounts.get(&agent).map(|account| account.user.clone()) else { return };
        let call_id: String = random_array::<16>().iter().map(|b| format!("{b:02x}")).collect();
        let uri = format!("sip:{}@{}", uri_user(&user), self.own_host(binding.socket));
        let mut request = InviteRequest::new(binding.peer, &uri, &call_id);
        request.from_display = CALLER.into();
        request.from_user = CALLER_USER.into();
        // Its answer is the offer; there is no early media to acknowledge.
        request.reliable = Reliable::No;
        match self.sip.invite_user(&user, request) {
            Ok(call) => self.desks.called(agent, call),
            Err(error) => {
                tracing::warn!(%agent, %error, "cannot call an agent's phone now");
                self.drop_desk(agent, Some(PhoneProblem::Unreachable));
            }
        }
    }

    /// What a socket is called from outside.
    fn own_host(&self, socket: SocketId) -> String {
        let at = usize::from(socket.0);
        let bound = self.sip.local_addresses().get(at).copied();
        let told = self.config.sip.listen.get(at).and_then(|listen| listen.advertise);
        let port = |bound: SocketAddr| told.map(|t| t.port()).filter(|p| *p != 0).unwrap_or(bound.port());
        let address = bound.map(|b| SocketAddr::new(told.map_or(b.ip(), |t| t.ip()), port(b)));
        address.map_or_else(|| "invalid".into(), |address| address.to_string())
    }

    /// What happens in a call with an agent's phone.
    pub(super) fn on_phone_call(&mut self, agent: AgentId, event: Event) {
        match event {
            Event::Answered { call, body, offer, .. } => self.on_phone_answered(agent, call, body, offer),
            Event::Failed { failure, .. } => {
                let problem = problem_of(failure);
                tracing::info!(%agent, ?failure, "an agent's phone did not take the call");
                self.forget_desk(agent, Some(problem));
            }
            Event::Cancelled { .. } => self.forget_desk(agent, Some(PhoneProblem::NoAnswer)),
            Event::Ended { by, .. } => {
                let problem = if by == EndedBy::Remote { PhoneProblem::HungUp } else { PhoneProblem::Lost };
                tracing::info!(%agent, ?by, "an agent's phone hung up");
                self.forget_desk(agent, Some(problem));
            }
            Event::Acknowledged { body: Some(body), .. } => self.on_phone_agreed(agent, &body),
            Event::Modify { call, body, .. } => self.on_phone_modify(agent, call, body),
            // Calls are transferred at the desk, where the engine knows of it.
            Event::Refer { call, .. } => drop(self.sip.respond_refer(call, 603)),
            _ => {}
        }
    }

    /// It was picked up, and says what it can do.
    fn on_phone_answered(&mut self, agent: AgentId, call: CallKey, body: Option<Body>, offer: bool) {
        let opened = match body.filter(|_| offer) {
            Some(body) => self.open_phone_leg(&body.data),
            None => Err("it offers nothing".to_owned()),
        };
        let (leg, answer, plain) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                tracing::warn!(%agent, why, "an agent's phone does not fit; its call is ended");
                let _ = self.sip.bye(call, Some(Reason::sip(488, &why)));
                return self.forget_desk(agent, Some(PhoneProblem::Incompatible));
            }
        };
        if let Err(error) = self.sip.acknowledge(call, Some(Body::sdp(answer))) {
            tracing::warn!(%agent, %error, "cannot answer an agent's phone now");
            told(self.media.close(leg));
            return self.drop_desk(agent, Some(PhoneProblem::Lost));
        }
        self.desks.attach(agent, leg);
        self.follow_to(agent, leg);
        if let Some(phone) = self.desks.get_mut(agent).and_then(|desk| desk.phone()) {
            (phone.plain, phone.rings_until) = (plain, None);
        }
        self.show_phone(agent);
    }

    /// The leg that takes a phone's offer, our answer, and what was agreed when it is plain RTP.
    fn open_phone_leg(&mut self, offer: &[u8]) -> Result<(LegId, String, Option<TrunkSession>), String> {
        let offer = String::from_utf8_lossy(offer);
        if is_plain_rtp(&offer) {
            let options = self.phone_options(&offer);
            let opened = self.open_plain_leg(&offer, &options).map_err(|error| error.to_string())?;
            return Ok((opened.0, opened.1, Some(opened.2)));
        }
        let (leg, answer) = self.media.open_browser_leg(&offer).map_err(|e| refused(e).to_string())?;
        Ok((leg, answer, None))
    }

    /// Phones stand behind translators of addresses: whence their audio comes is learned.
    fn phone_options(&self, offer: &str) -> TrunkOptions {
        let ipv6 = offer.lines().any(|line| line.starts_with("c=IN IP6"));
        let interfaces = &self.config.media.interfaces;
        let interface = interfaces.iter().position(|i| i.advertise.is_ipv6() == ipv6).unwrap_or(0);
        TrunkOptions { interface, learn: Learn::Anywhere, ..TrunkOptions::default() }
    }

    /// A phone calls us, whatever number it dialed: it becomes its agent's audio.
    pub(super) fn on_phone_calls(
        &mut self,
        call: CallKey,
        flow: (SocketId, SocketAddr),
        user: &str,
        body: Option<Body>,
    ) {
        let agent = self.phones.by_user.get(user).copied();
        let Some(agent) = agent.filter(|agent| self.phones.signed_in.contains(agent)) else {
            let _ = self.sip.reject(call, 480, Vec::new());
            return;
        };
        let opened = match body {
            Some(body) => self.open_phone_leg(&body.data),
            None => self.offer_to_phone(flow.1.is_ipv6()),
        };
        let (leg, answer, plain) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                tracing::warn!(%agent, why, "an agent's phone does not fit; its call is refused");
                let _ = self.sip.reject(call, 488, Vec::new());
                return;
            }
        };
        if self.sip.answer(call, Some(Body::sdp(answer))).is_err() {
            told(self.media.close(leg));
            let _ = self.sip.reject(call, 503, Vec::new());
            return;
        }
        self.phones.set_problem(agent, None);
        let phone = PhoneCall { call: Some(call), plain, contact: None, rings_until: None };
        let session = self.put_desk(agent, Some(leg), Way::Phone(Box::new(phone)));
        self.find_phone(agent, user.to_owned(), session, Some(flow));
    }

    /// A phone that calls without an offer gets ours, of plain RTP; its ACK answers.
    fn offer_to_phone(&mut self, ipv6: bool) -> Result<(LegId, String, Option<TrunkSession>), String> {
        let options = self.phone_options(if ipv6 { "c=IN IP6" } else { "" });
        let leg = self.media.open_rtp_leg(&options).map_err(|error| error.to_string())?;
        let mut session = TrunkSession::new(u64::from_le_bytes(random_array()), leg.rtp, &AudioCodec::G711);
        let offer = String::from_utf8_lossy(&session.offer()).into_owned();
        Ok((leg.id, offer, Some(session)))
    }

    /// The answer to our offer.
    fn on_phone_agreed(&mut self, agent: AgentId, body: &Body) {
        let Some(desk) = self.desks.get_mut(agent) else { return };
        let leg = desk.leg;
        let plain = desk.phone().and_then(|phone| phone.plain.as_mut());
        match leg.zip(plain).map(|(leg, session)| (leg, session.apply_answer(&body.data))) {
            Some((leg, Ok(agreed))) => told(self.media.set_remote(leg, agreed)),
            _ => self.drop_desk(agent, Some(PhoneProblem::Incompatible)),
        }
    }

    /// A re-INVITE or UPDATE: hold, another address, another codec.
    fn on_phone_modify(&mut self, agent: AgentId, call: CallKey, body: Option<Body>) {
        let leg = self.desks.leg(agent);
        let plain = self.desks.get_mut(agent).and_then(|d| d.phone()).and_then(|p| p.plain.as_mut());
        let answer = match (plain, leg, body) {
            (Some(session), _, None) => ModifyAnswer::Accept(Some(Body::sdp(session.offer()))),
            (Some(session), Some(leg), Some(offer)) => match session.answer(&offer.data) {
                Ok((answer, agreed)) => {
                    told(self.media.set_remote(leg, agreed));
                    ModifyAnswer::Accept(Some(Body::sdp(answer)))
                }
                Err(_) => ModifyAnswer::Reject(488),
            },
            (None, Some(leg), Some(offer)) => {
                // The media's answer may take a moment, and the loop does not wait for it.
                let (media, sip) = (self.media.clone(), self.sip.clone());
                tokio::task::spawn_blocking(move || {
                    let answer = match media.restart_browser_leg(leg, &offer.data) {
                        Ok(Some(answer)) => ModifyAnswer::Accept(Some(Body::sdp(answer))),
                        Ok(None) | Err(_) => ModifyAnswer::Reject(488),
                    };
                    let _ = sip.respond_modify(call, answer);
                });
                return;
            }
            _ => ModifyAnswer::Reject(488),
        };
        let _ = self.sip.respond_modify(call, answer);
    }

    /// A phone has registered, or has moved.
    pub(super) fn on_bound(&mut self, user: &str, contact: Bytes, user_agent: &[u8], before: Option<&Bytes>) {
        let Some(&agent) = self.phones.by_user.get(user) else { return };
        let Some(account) = self.phones.accounts.get_mut(&agent) else { return };
        account.bound.retain(|(known, _)| *known != contact && before != Some(known));
        account.bound.push((contact.clone(), String::from_utf8_lossy(user_agent).into_owned()));
        account.locked_until_unix_ms = None;
        let phone = self.desks.get_mut(agent).and_then(|desk| desk.phone());
        if let Some(phone) = phone.filter(|phone| before.is_some() && phone.contact.as_ref() == before) {
            phone.contact = Some(contact);
        }
        self.show_phone(agent);
    }

    /// A phone cannot be reached any more by that contact.
    pub(super) fn on_unbound(&mut self, user: &str, contact: &Bytes, reason: kraliki_sip::Unbound) {
        use kraliki_sip::Unbound;
        let Some(&agent) = self.phones.by_user.get(user) else { return };
        if let Some(account) = self.phones.accounts.get_mut(&agent) {
            account.bound.retain(|(known, _)| known != contact);
        }
        let gone = matches!(reason, Unbound::FlowClosed | Unbound::Expired | Unbound::UserChanged);
        let phone = self.desks.get_mut(agent).and_then(|desk| desk.phone());
        if gone && phone.is_some_and(|phone| phone.contact.as_ref() == Some(contact)) {
            tracing::info!(%agent, ?reason, "an agent's phone is gone");
            self.drop_desk(agent, Some(PhoneProblem::Lost));
        }
        self.show_phone(agent);
    }

    /// Somebody gave wrong passwords too often.
    pub(super) fn on_locked_out(&mut self, user: Option<&str>, from: SocketAddr, lasts: Duration) {
        let (ip, minutes) = (from.ip(), lasts.as_secs() / 60);
        tracing::warn!(
            user = user.unwrap_or("unknown"), %ip,
            "too many wrong passwords of a SIP phone: locked out there for {minutes} minutes"
        );
        let Some(&agent) = user.and_then(|user| self.phones.by_user.get(user)) else { return };
        let until = self.shared.clock.unix_ms() + i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        if let Some(account) = self.phones.accounts.get_mut(&agent) {
            account.locked_until_unix_ms = Some(until);
        }
        self.show_phone(agent);
    }

    /// Phones stay up for a shift, and no longer.
    pub(super) fn watch_agent(&mut self, event: &crate::Event) {
        let crate::Event::Agent(view) = event else { return };
        if view.state != AgentState::Offline {
            self.phones.signed_in.insert(view.id);
        } else if self.phones.signed_in.remove(&view.id)
            && self.desks.get(view.id).is_some_and(|desk| matches!(desk.way, Way::Phone(_)))
        {
            self.drop_desk(view.id, None);
        }
    }

    /// Gives up phones that ring too long, and forgets lock-outs that are over.
    pub(super) fn watch_phones(&mut self, now: Time) {
        let unanswered: Vec<_> = self
            .desks
            .phones()
            .filter(|(_, phone)| phone.rings_until.is_some_and(|until| until <= now))
            .map(|(agent, _)| agent)
            .collect();
        for agent in unanswered {
            self.drop_desk(agent, Some(PhoneProblem::NoAnswer));
        }
        let wall = self.shared.clock.unix_ms();
        let mut free = Vec::new();
        for (agent, account) in &mut self.phones.accounts {
            if account.locked_until_unix_ms.take_if(|until| *until <= wall).is_some() {
                free.push(*agent);
            }
        }
        for agent in free {
            self.show_phone(agent);
        }
    }

    /// Tells how an agent's phone stands, when that changed.
    pub(super) fn show_phone(&mut self, agent: AgentId) {
        let desk = self.desks.get(agent).filter(|desk| matches!(desk.way, Way::Phone(_)));
        let Some(account) = self.phones.accounts.get(&agent) else {
            if let Some(mut view) = self.phones.shown.remove(&agent) {
                view = PhoneView {
                    state: PhoneState::None,
                    user_agent: String::new(),
                    session: None,
                    problem: None,
                    locked_until_unix_ms: None,
                    ..view
                };
                drop(self.shared.events.send(crate::Event::Phone(view).into()));
            }
            return;
        };
        let view = PhoneView {
            agent,
            state: match desk {
                Some(desk) if desk.leg.is_some() => PhoneState::Connected,
                Some(_) => PhoneState::Ringing,
                None if account.bound.is_empty() => PhoneState::Unregistered,
                None => PhoneState::Registered,
            },
            user_agent: account.bound.last().map(|(_, name)| name.clone()).unwrap_or_default(),
            session: desk.map(|desk| desk.session.clone()),
            problem: account.problem,
            locked_until_unix_ms: account.locked_until_unix_ms,
        };
        if self.phones.shown.get(&agent) != Some(&view) {
            self.phones.shown.insert(agent, view.clone());
            // No listener is no fault.
            drop(self.shared.events.send(crate::Event::Phone(view).into()));
        }
    }
}

/// The call that an event is about, when it may be one with a phone.
pub(super) fn call_of(event: &Event) -> Option<CallKey> {
    match event {
        Event::Trying { call }
        | Event::Progress { call, .. }
        | Event::Answered { call, .. }
        | Event::Failed { call, .. }
        | Event::Cancelled { call, .. }
        | Event::Acknowledged { call, .. }
        | Event::Ended { call, .. }
        | Event::Modify { call, .. }
        | Event::Info { call, .. }
        | Event::Refer { call, .. } => Some(*call),
        _ => None,
    }
}

/// What a failed call says of the phone.
fn problem_of(failure: Failure) -> PhoneProblem {
    match failure {
        Failure::Status(486 | 600 | 603 | 403 | 607) => PhoneProblem::Declined,
        Failure::Status(408 | 480 | 487) => PhoneProblem::NoAnswer,
        Failure::Status(406 | 415 | 488 | 606) => PhoneProblem::Incompatible,
        _ => PhoneProblem::Unreachable,
    }
}

/// A user name as the user part of a URI (RFC 3261 §25.1: unreserved and user-unreserved stay).
fn uri_user(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_escaped() {
        assert_eq!(uri_user("ada.l-1"), "ada.l-1");
        assert_eq!(uri_user("ada lovelace@x"), "ada%20lovelace%40x");
        assert_eq!(uri_user("žofie"), "%C5%BEofie");
    }

    #[test]
    fn what_a_refusal_says_of_the_phone() {
        assert_eq!(problem_of(Failure::Status(486)), PhoneProblem::Declined);
        assert_eq!(problem_of(Failure::Status(480)), PhoneProblem::NoAnswer);
        assert_eq!(problem_of(Failure::Status(488)), PhoneProblem::Incompatible);
        assert_eq!(problem_of(Failure::Status(503)), PhoneProblem::Unreachable);
        assert_eq!(problem_of(Failure::Timeout), PhoneProblem::Unreachable);
    }
}
