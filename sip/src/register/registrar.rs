//! The registrar (RFC 3261 §10.3, RFC 5626 §6): takes the registrations of phones and browsers.

use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

use super::bindings::{Bindings, Bound};
use super::contact::{instance, preference, seconds, unescape};
use super::guard::{Guard, place};
use super::{Binding, RegistrarConfig, Unbound};
use crate::auth::{DigestServer, User, Verdict};
use crate::core::{Core, response_to};
use crate::error::ApiMisuse;
use crate::event::Event;
use crate::limits;
use crate::message::{Name, NameAddr, Request, Uri, Writer};
use crate::transaction::{Hop, Timer, hex};

/// The users, their bindings, and what keeps others out.
pub(crate) struct Registrar {
    config: RegistrarConfig,
    digest: DigestServer,
    guard: Guard,
    bindings: Bindings,
}

/// What a request's sender is to us.
pub(crate) enum Admission {
    /// This user.
    User(String),
    /// Nobody yet; these are the challenges.
    Challenge(Vec<String>),
    /// Somebody who was wrong too often.
    Locked,
}

/// One Contact of a REGISTER, read and judged.
struct Wanted {
    contact: Bytes,
    /// 0 takes the binding away.
    expires_s: u32,
    q: u16,
    instance: Option<Bytes>,
    /// With an instance: outbound is spoken.
    reg_id: Option<u32>,
    /// The binding that it stands for.
    existing: Option<u64>,
}

/// What is kept of a field: its own copy, so that no whole message is kept alive.
fn kept(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes.get(..limits::BINDING_FIELD_BYTES).unwrap_or(bytes))
}

/// Answers without memory (§8.2.7): whoever is not known yet gets no transaction of ours. The tag is the same for
/// the same request.
fn refuse(
    core: &mut Core,
    now: Time,
    request: &Request,
    flow: Hop,
    status: u16,
    more: impl FnOnce(&mut Writer),
) {
    let part = |name| request.get(name).unwrap_or_default();
    let tag = hex(core.hash(&[b"tag", part(Name::CallId), part(Name::From), part(Name::CSeq)]) as u64);
    let mut w = response_to(request, flow.to, status, Some(&tag), 0);
    more(&mut w);
    core.send(now, flow, w.body(None), None);
}

impl Registrar {
    /// `key` makes the nonces.
    pub(crate) fn new(config: RegistrarConfig, key: &[u8; 32]) -> Registrar {
        let digest = DigestServer::new(&config.realm, Vec::new(), key);
        Registrar { config, digest, guard: Guard::default(), bindings: Bindings::default() }
    }

    /// Replaces all users. Who is gone or has another password loses the bindings made before.
    pub(crate) fn set_users(&mut self, core: &mut Core, users: Vec<User>) -> Result<(), ApiMisuse> {
        if users.len() > limits::USERS {
            return Err(ApiMisuse::Full);
        }
        if users.iter().any(|user| user.name.is_empty() || user.name.bytes().any(|b| b < b' ' || b == 0x7f)) {
            return Err(ApiMisuse::BadField("users"));
        }
        let before = |digest: &DigestServer, bound: &Bound| digest.secrets(&bound.user).copied();
        let bound: Vec<_> =
            self.bindings.all().map(|(id, bound)| (id, before(&self.digest, bound))).collect();
        self.digest.set_users(users);
        for (id, before) in bound {
            let changed = self.bindings.get(id).is_some_and(|bound| {
                self.digest.secrets(&bound.user).is_none_or(|secrets| Some(*secrets) != before)
            });
            if changed {
                self.unbind(core, id, Unbound::UserChanged);
            }
        }
        Ok(())
    }

    /// Where a user can be reached, the best first.
    pub(crate) fn lookup(&self, user: &str) -> Vec<Binding> {
        let binding = |bound: &Bound| Binding {
            contact: bound.contact.clone(),
            socket: bound.flow.socket,
            peer: bound.flow.to,
            q: bound.q,
            expires_at: bound.expires_at,
            user_agent: bound.user_agent.clone(),
        };
        self.bindings.of_user(user).into_iter().map(|(_, bound)| binding(bound)).collect()
    }

    /// Whether any phone came by this flow.
    pub(crate) fn is_flow(&self, flow: Hop) -> bool {
        !self.bindings.on_flow(flow).is_empty()
    }

    /// Whether this user has a phone behind this flow.
    pub(crate) fn is_flow_of(&self, flow: Hop, user: &str) -> bool {
        let ids = self.bindings.on_flow(flow).iter();
        ids.filter_map(|id| self.bindings.get(*id)).any(|bound| bound.user == user)
    }

    /// Checks the digest of a request.
    pub(crate) fn authenticate(
        &mut self,
        core: &mut Core,
        now: Time,
        from: SocketAddr,
        request: &Request,
    ) -> Admission {
        let claimed = self.digest.claimed_user(request).unwrap_or_default();
        let guesser = core.hash(&[b"guess", &claimed, &place(from.ip())]);
        if self.guard.is_locked(now, guesser) {
            return Admission::Locked;
        }
        let verdict = self.digest.verify(now, request);
        let stale = verdict == Verdict::Stale;
        match verdict {
            Verdict::Good(user) => {
                self.guard.right(guesser);
                return Admission::User(user);
            }
            Verdict::Wrong => {
                core.stats.auth_failures.add(1);
                if self.guard.wrong(now, guesser, self.config.lockout_failures, self.config.lockout) {
                    core.stats.lockouts.add(1);
                    let known = |name: &String| self.digest.secrets(name).is_some();
                    let user = String::from_utf8(claimed).ok().filter(known);
                    core.event(Event::LockedOut { user, from, lasts: self.config.lockout });
                }
            }
            Verdict::Missing | Verdict::Stale => {}
        }
        Admission::Challenge(self.digest.challenges(now, core.chance(), stale))
    }

    /// Takes a REGISTER. It is answered to where it came from, whatever its Via says: what stands in front of a
    /// phone opens no other way.
    pub(crate) fn on_register(&mut self, core: &mut Core, now: Time, flow: Hop, request: &Request) {
        let ip = flow.to.ip();
        let known = core.config.accept_from.allows(flow.to) || self.bindings.knows(ip);
        let source = core.hash(&[b"source", &place(ip)]);
        if !known && !self.guard.admit(now, source) {
            return core.stats.dropped_source.add(1);
        }
        // §10.3 step 2. Path (RFC 3327) belongs to registrars behind proxies.
        let spoken = |tag: &[u8]| tag.eq_ignore_ascii_case(b"outbound");
        let unspoken: Vec<_> = request.values(Name::Require).filter(|tag| !spoken(tag)).collect();
        if !unspoken.is_empty() {
            return refuse(core, now, request, flow, 420, |w| {
                w.header(Name::Unsupported, &unspoken.join(&b", "[..]));
            });
        }
        // Step 3.
        let user = match self.authenticate(core, now, flow.to, request) {
            Admission::User(user) => user,
            Admission::Challenge(lines) => {
                return refuse(core, now, request, flow, 401, |w| {
                    for line in &lines {
                        w.header(Name::WwwAuthenticate, line.as_bytes());
                    }
                });
            }
            Admission::Locked => return refuse(core, now, request, flow, 403, |_| {}),
        };
        // Steps 4 and 5: everybody registers for themselves. The host of the address of record is left open, as
        // phones are told of this server by many names.
        let to = request.to().and_then(|to| to.parsed_uri()).and_then(|uri| uri.user).map(unescape);
        if to.as_deref() != Some(user.as_bytes()) {
            return core.reply(now, request, flow, 403, None);
        }
        match self.update(core, now, flow, &user, request) {
            Ok(outbound) => self.answer(core, now, flow, &user, request, outbound),
            Err(status) => core.reply_with(now, request, flow, status, None, |w| {
                if status == 423 {
                    w.named(b"Min-Expires", self.config.min_expires_s.to_string().as_bytes());
                }
            }),
        }
    }

    /// §10.3 steps 6 and 7: all of the Contacts or none. Whether outbound is spoken; else the status to refuse with.
    fn update(
        &mut self,
        core: &mut Core,
        now: Time,
        flow: Hop,
        user: &str,
        request: &Request,
    ) -> Result<bool, u16> {
        let call_id = request.call_id().unwrap_or_default();
        let seq = request.cseq().map_or(0, |cseq| cseq.number);
        // The same Call-ID orders its requests.
        let late = |bound: &Bound| bound.call_id == call_id && seq <= bound.seq;
        let contacts: Vec<_> = request.values(Name::Contact).collect();
        if contacts.contains(&&b"*"[..]) {
            let nothing = request.get(Name::Expires).and_then(seconds) == Some(0);
            if contacts.len() > 1 || !nothing {
                return Err(400);
            }
            let all: Vec<_> = self.bindings.of_user(user).into_iter().map(|(id, b)| (id, late(b))).collect();
            if all.iter().any(|(_, late)| *late) {
                return Err(500);
            }
            for (id, _) in all {
                self.unbind(core, id, Unbound::Removed);
            }
            return Ok(false);
        }
        let wanted = self.wanted(user, request, &contacts)?;
        let existing = wanted.iter().filter_map(|wanted| self.bindings.get(wanted.existing?));
        if existing.into_iter().any(late) {
            return Err(500);
        }
        let outbound = wanted.iter().any(|wanted| wanted.reg_id.is_some());
        for wanted in wanted {
            match (wanted.expires_s, wanted.existing) {
                (0, Some(id)) => self.unbind(core, id, Unbound::Removed),
                (0, None) => {}
                _ => self.bind(core, now, flow, user, request, wanted),
            }
        }
        // A phone that takes a new port or contact at each start leaves old bindings behind: these go first.
        let mut all = self.bindings.of_user(user);
        all.sort_by_key(|(id, bound)| std::cmp::Reverse((bound.renewed_at, *id)));
        let beyond: Vec<_> = all.into_iter().skip(self.config.max_bindings).map(|(id, _)| id).collect();
        for id in beyond {
            self.unbind(core, id, Unbound::Replaced);
        }
        Ok(outbound)
    }

    /// Reads the Contacts and judges them, before anything is changed.
    fn wanted(&self, user: &str, request: &Request, contacts: &[&[u8]]) -> Result<Vec<Wanted>, u16> {
        if contacts.len() > self.config.max_bindings {
            return Err(403);
        }
        let config = &self.config;
        let for_all = request.get(Name::Expires).and_then(seconds);
        let outbound = request.lists(Name::Supported, "outbound") || request.lists(Name::Require, "outbound");
        let mut all = Vec::with_capacity(contacts.len());
        for value in contacts {
            let contact = NameAddr::parse(value).ok_or(400u16)?;
            let sip = Uri::parse(contact.uri).is_some_and(|uri| uri.is_sip());
            let clean = !contact.uri.iter().any(|b| *b <= b' ' || *b >= 0x7f || b"<>\"".contains(b));
            if !sip || !clean || contact.uri.len() > limits::BINDING_FIELD_BYTES {
                return Err(400);
            }
            let asked = contact.params.get("expires").and_then(seconds).or(for_all);
            let asked = asked.unwrap_or(config.default_expires_s);
            // Step 7: whoever asks for an hour or more is never told that it is too brief.
            if asked > 0 && asked < config.min_expires_s && asked < 3_600 {
                return Err(423);
            }
            let instance = instance(&contact).filter(|id| id.len() <= limits::BINDING_FIELD_BYTES);
            let reg_id = contact.params.get("reg-id").and_then(seconds).filter(|_| outbound);
            let way = instance.zip(reg_id);
            all.push(Wanted {
                contact: kept(contact.uri),
                expires_s: asked.min(config.max_expires_s),
                q: preference(&contact),
                instance: instance.map(kept),
                reg_id: way.map(|(_, reg_id)| reg_id),
                existing: self.bindings.find(user, contact.uri, way),
            });
        }
        let ways = all.iter().filter(|wanted| wanted.reg_id.is_some());
        // RFC 5626 §6: a flow is one way of one device, and it must begin at the device.
        if ways.clone().filter(|wanted| wanted.expires_s > 0).count() > 1 {
            return Err(400);
        }
        match ways.count() > 0 && request.values(Name::Via).count() > 1 {
            true => Err(439),
            false => Ok(all),
        }
    }

    fn bind(&mut self, core: &mut Core, now: Time, flow: Hop, user: &str, request: &Request, wanted: Wanted) {
        let expires_at = now + std::time::Duration::from_secs(wanted.expires_s.into());
        let before = wanted.existing.and_then(|id| self.bindings.get(id));
        let told = before.is_some_and(|b| b.flow == flow && b.contact == wanted.contact);
        // A later expiry is seen to when the armed wake-up comes: one entry a binding, however often it is renewed.
        let replaces = before.map(|before| before.contact.clone());
        let armed = before.map(|before| before.wake_at).filter(|at| *at <= expires_at);
        let bound = Bound {
            user: user.into(),
            contact: wanted.contact,
            instance: wanted.instance,
            reg_id: wanted.reg_id,
            q: wanted.q,
            call_id: kept(request.call_id().unwrap_or_default()),
            seq: request.cseq().map_or(0, |cseq| cseq.number),
            flow,
            user_agent: kept(request.get(Name::UserAgent).unwrap_or_default()),
            renewed_at: now,
            expires_at,
            wake_at: armed.unwrap_or(expires_at),
        };
        let event = Event::Bound {
            user: user.into(),
            contact: bound.contact.clone(),
            user_agent: bound.user_agent.clone(),
            expires_s: wanted.expires_s,
            replaces,
        };
        let id = self.bindings.put(wanted.existing, bound);
        if armed.is_none() {
            core.txns.timers.arm_at(expires_at, id, Timer::Binding);
        }
        core.stats.bindings.set(self.bindings.len() as u64);
        if !told {
            core.event(event);
        }
    }

    fn unbind(&mut self, core: &mut Core, id: u64, reason: Unbound) {
        let Some(bound) = self.bindings.remove(id) else { return };
        core.stats.bindings.set(self.bindings.len() as u64);
        core.event(Event::Unbound { user: bound.user, contact: bound.contact, reason });
    }

    /// §10.3 step 8: the 200 lists what is bound now.
    fn answer(
        &mut self,
        core: &mut Core,
        now: Time,
        flow: Hop,
        user: &str,
        request: &Request,
        outbound: bool,
    ) {
        let all = self.bindings.of_user(user);
        core.reply_with(now, request, flow, 200, None, |w| {
            for (_, bound) in all {
                let left_s = bound.expires_at.since(now).as_millis().div_ceil(1_000) as u64;
                w.raw(b"Contact: <").clean(&bound.contact).raw(b">;expires=").number(left_s);
                if bound.q < 1_000 {
                    w.raw(format!(";q=0.{:03}", bound.q).as_bytes());
                }
                if let Some(instance) = &bound.instance {
                    w.raw(b";+sip.instance=\"").clean(instance).raw(b"\"");
                }
                if let Some(reg_id) = bound.reg_id {
                    w.raw(b";reg-id=").number(reg_id.into());
                }
                w.raw(b"\r\n");
            }
            if outbound {
                // RFC 5626 §6, §4.4.
                w.header(Name::Require, b"outbound");
                w.named(b"Flow-Timer", self.config.flow_timer_s.to_string().as_bytes());
            }
        });
    }

    /// A binding's wake-up. One that is not the armed one any more is passed over.
    pub(crate) fn on_wake(&mut self, core: &mut Core, now: Time, id: u64, at: Time) {
        let Some(bound) = self.bindings.get(id).filter(|bound| bound.wake_at == at) else { return };
        let expires_at = bound.expires_at;
        if expires_at <= now {
            return self.unbind(core, id, Unbound::Expired);
        }
        self.bindings.set_wake(id, expires_at);
        core.txns.timers.arm_at(expires_at, id, Timer::Binding);
    }

    /// A connection is gone, and with it the bindings that were made through it (RFC 5626 §6).
    pub(crate) fn flow_closed(&mut self, core: &mut Core, flow: Hop) {
        for id in self.bindings.on_flow(flow).to_vec() {
            self.unbind(core, id, Unbound::FlowClosed);
        }
    }
}
