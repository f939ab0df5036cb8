//! Our own registrations at trunks that want them (RFC 3261 §10.2). One has one Call-ID and rising sequence numbers
//! for its life, and at any time one REGISTER that is out or one wake-up that it waits for.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use kraliki_time::Time;

use super::contact::{same_uri, seconds};
use super::{Registration, RegistrationState};
use crate::auth::Session;
use crate::core::{ALLOW, Core, Tag};
use crate::endpoint::CallKey;
use crate::error::ApiMisuse;
use crate::event::Event;
use crate::limits;
use crate::message::{Method, Name, NameAddr, Response, Uri, Writer};
use crate::session::Fate;
use crate::transaction::{Hop, Owner, Timer, TxnId};

/// One registration.
pub(crate) struct Client {
    key: CallKey,
    registration: Registration,
    hop: Hop,
    /// The Call-ID, and our tag.
    id: Tag,
    seq: u32,
    /// The nonce that we may use again.
    session: Option<Session>,
    /// What is asked for: the owner's wish, or more when the registrar wants more.
    expires_s: u32,
    /// Failures in a row.
    failures: u32,
    /// The registrar may have a binding of ours.
    bound: bool,
    /// The owner knows that all is well.
    registered: bool,
    /// The owner wants it ended.
    leave: bool,
    state: State,
}

enum State {
    /// A REGISTER is out.
    Asking(Round),
    /// Nothing is out until then.
    Resting { until: Time },
}

/// One REGISTER and its repetitions with credentials or another expiry.
#[derive(Clone, Copy)]
struct Round {
    txn: TxnId,
    /// Takes the binding away.
    leaving: bool,
    challenges: u8,
    raised: bool,
}

/// Checks what the owner gave: nothing may break out of its place in the message.
fn check(registration: &Registration) -> Result<(), ApiMisuse> {
    let broken = |text: &str| text.bytes().any(|b| b <= b' ' || b == 0x7f || b"<>\"".contains(&b));
    let aor = Uri::parse(registration.aor.as_bytes()).filter(|uri| uri.is_sip() && uri.user.is_some());
    if aor.is_none() || broken(&registration.aor) {
        return Err(ApiMisuse::BadField("aor"));
    }
    let user = &registration.contact_user;
    if user.is_empty() || broken(user) || user.contains(['@', ',', ';', '?', ':']) {
        return Err(ApiMisuse::BadField("contact_user"));
    }
    match registration.expires_s {
        1..=limits::REGISTER_SECONDS => Ok(()),
        _ => Err(ApiMisuse::BadField("expires_s")),
    }
}

impl Client {
    /// Sends the first REGISTER.
    pub(crate) fn start(
        core: &mut Core,
        now: Time,
        key: CallKey,
        registration: Registration,
    ) -> Result<Client, ApiMisuse> {
        check(&registration)?;
        let hop = core.route(&registration.destination)?;
        let mut client = Client {
            key,
            hop,
            id: core.new_call_id(key),
            seq: 0,
            session: None,
            expires_s: registration.expires_s,
            registration,
            failures: 0,
            bound: false,
            registered: false,
            leave: false,
            state: State::Resting { until: now },
        };
        let txn = client.send(core, now, false)?;
        client.state = State::Asking(Round { txn, leaving: false, challenges: 0, raised: false });
        client.tell(core, RegistrationState::Registering);
        Ok(client)
    }

    fn tell(&self, core: &mut Core, state: RegistrationState) {
        core.event(Event::Registration { key: self.key, state });
    }

    /// Our contact: that of the socket, with a user.
    fn contact(&self, core: &Core) -> Bytes {
        let of_socket = core.contact(self.hop.socket);
        let inner = of_socket.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">"));
        let inner = inner.unwrap_or(&of_socket);
        let colon = memchr::memchr(b':', inner).map_or(0, |at| at + 1);
        let (scheme, rest) = inner.split_at(colon);
        Bytes::from([scheme, self.registration.contact_user.as_bytes(), b"@", rest].concat())
    }

    /// §10.2: the Request-URI is the domain, From and To are the address of record.
    fn send(&mut self, core: &mut Core, now: Time, leaving: bool) -> Result<TxnId, ApiMisuse> {
        self.seq = self.seq.saturating_add(1);
        let aor = self.registration.aor.as_bytes();
        let scheme = memchr::memchr(b':', aor).map_or(0, |at| at + 1);
        let host = memchr::memchr(b'@', aor).map_or(scheme, |at| at + 1);
        let parts = [aor.get(..scheme).unwrap_or_default(), aor.get(host..).unwrap_or_default()];
        let domain = parts.concat();
        let expires = if leaving { 0 } else { self.expires_s };
        let credentials = match (&mut self.session, &self.registration.credentials) {
            (Some(session), Some(credentials)) => {
                Some(session.answer(credentials, &Method::Register, &domain, b""))
            }
            _ => None,
        };
        let (hop, contact, owner) = (self.hop, self.contact(core), Owner::Register(self.key));
        core.request(now, owner, hop, false, None, |core, branch| {
            let mut w = Writer::request(&Method::Register, &domain, 0);
            w.via(&core.via(hop.socket), branch).max_forwards();
            w.raw(b"From: <").clean(aor).raw(b">;tag=").raw(self.id.as_bytes()).raw(b"\r\n");
            w.raw(b"To: <").clean(aor).raw(b">\r\n");
            w.header(Name::CallId, self.id.as_bytes()).cseq(self.seq, &Method::Register);
            w.raw(b"Contact: <").clean(&contact).raw(b">;expires=").number(expires.into()).raw(b"\r\n");
            w.raw(b"Expires: ").number(expires.into()).raw(b"\r\n");
            if let Some((name, value)) = &credentials {
                w.header(*name, value.as_bytes());
            }
            w.header(Name::Allow, ALLOW).header(Name::UserAgent, core.config.user_agent.as_bytes());
            w.body(None)
        })
    }

    /// Begins a round, by whatever connection leads there now. When the transaction table is full the registrar
    /// seems silent for a moment.
    fn ask(&mut self, core: &mut Core, now: Time, leaving: bool) -> Fate {
        if let Ok(hop) = core.route(&self.registration.destination) {
            self.hop = hop;
        }
        match self.send(core, now, leaving) {
            Ok(txn) => {
                self.state = State::Asking(Round { txn, leaving, challenges: 0, raised: false });
                Fate::Lives
            }
            Err(_) if leaving => self.gone(core),
            Err(_) => self.failed(core, now, None, None),
        }
    }

    fn gone(&mut self, core: &mut Core) -> Fate {
        self.tell(core, RegistrationState::Unregistered);
        Fate::Over
    }

    /// Takes the binding away, when there may be one. A REGISTER that is out is waited for: two at a time may
    /// arrive in any order (§10.2).
    pub(crate) fn unregister(&mut self, core: &mut Core, now: Time) -> Fate {
        self.leave = true;
        match self.state {
            State::Asking(_) => Fate::Lives,
            State::Resting { .. } if self.bound => self.ask(core, now, true),
            State::Resting { .. } => self.gone(core),
        }
    }

    /// The final answer to a REGISTER of ours.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Time,
        txn: TxnId,
        from: SocketAddr,
        response: &Response,
    ) -> Fate {
        let State::Asking(round) = self.state else { return Fate::Lives };
        if round.txn != txn {
            return Fate::Lives;
        }
        let status = response.status();
        if matches!(status, 401 | 407)
            && let Some(fate) = self.on_challenge(core, now, round, from, response)
        {
            return fate;
        }
        if round.leaving {
            return self.gone(core);
        }
        match status {
            200..300 => self.on_success(core, now, response),
            423 if !self.leave && !round.raised && self.raise(response) => {
                match self.send(core, now, false) {
                    Ok(txn) => {
                        self.state = State::Asking(Round { txn, raised: true, ..round });
                        Fate::Lives
                    }
                    Err(_) => self.failed(core, now, None, None),
                }
            }
            _ => self.failed(core, now, Some(status), response.retry_after_s()),
        }
    }

    /// Answers a challenge; None when it cannot be, or must not be again. Credentials are for the trunk only.
    fn on_challenge(
        &mut self,
        core: &mut Core,
        now: Time,
        round: Round,
        from: SocketAddr,
        response: &Response,
    ) -> Option<Fate> {
        self.session = None;
        if self.leave && !round.leaving {
            return None;
        }
        self.registration.credentials.as_ref()?;
        if round.challenges >= limits::AUTH_RETRIES || from.ip() != self.hop.to.ip() {
            return None;
        }
        // A nonce from before this round may be refused without being called stale: its first challenge is always
        // answered. After that the same password is not offered again.
        let session = Session::open(response.status(), response, core.chance(), round.challenges > 0)?;
        self.session = Some(session);
        let txn = self.send(core, now, round.leaving).ok()?;
        self.state = State::Asking(Round { txn, challenges: round.challenges + 1, ..round });
        Some(Fate::Lives)
    }

    /// §10.2.8: the registrar wants a longer expiry. False when it is none that we take.
    fn raise(&mut self, response: &Response) -> bool {
        let least = response.other("Min-Expires").and_then(seconds).unwrap_or(0);
        let taken = least > self.expires_s && least <= limits::REGISTER_SECONDS;
        if taken {
            self.expires_s = least;
        }
        taken
    }

    fn on_success(&mut self, core: &mut Core, now: Time, response: &Response) -> Fate {
        self.bound = true;
        self.failures = 0;
        if self.leave {
            return self.ask(core, now, true);
        }
        // §10.2.4: what counts is what was granted to our own contact; other phones may have theirs beside it.
        let contact = self.contact(core);
        let ours = response.values(Name::Contact).filter_map(NameAddr::parse);
        let ours = ours.into_iter().find(|other| same_uri(other.uri, &contact));
        let granted = ours.and_then(|ours| ours.params.get("expires")).and_then(seconds);
        let granted = granted.or_else(|| response.get(Name::Expires).and_then(seconds));
        let expires_s = granted.unwrap_or(self.expires_s).min(limits::REGISTER_SECONDS);
        if expires_s == 0 {
            // It takes us and grants nothing: that is a refusal.
            return self.failed(core, now, Some(response.status()), response.retry_after_s());
        }
        let until = now + refresh_after(expires_s, core.chance());
        self.rest(core, until);
        self.registered = true;
        self.tell(core, RegistrationState::Registered { expires_s });
        Fate::Lives
    }

    fn rest(&mut self, core: &mut Core, until: Time) {
        self.state = State::Resting { until };
        core.txns.timers.arm_at(until, self.key.as_u64(), Timer::Register);
    }

    /// A REGISTER came to nothing: another try later. `status` is none after a time-out.
    fn failed(
        &mut self,
        core: &mut Core,
        now: Time,
        status: Option<u16>,
        retry_after_s: Option<u32>,
    ) -> Fate {
        if self.leave {
            return if self.bound { self.ask(core, now, true) } else { self.gone(core) };
        }
        self.registered = false;
        self.failures = self.failures.saturating_add(1);
        // What passes by itself is tried again soon; what somebody has to put right is not.
        let passing = status.is_none_or(|status| matches!(status, 408 | 423 | 429 | 480 | 500..600));
        let chance = core.chance();
        let pause = if passing { pause_after(self.failures, chance) } else { refused_pause(chance) };
        let asked = retry_after_s.unwrap_or(0).min(limits::REGISTER_SECONDS);
        let pause = pause.max(Duration::from_secs(asked.into()));
        self.rest(core, now + pause);
        let retry_after_s = Some(pause.as_secs() as u32);
        self.tell(core, RegistrationState::Failed { status, retry_after_s });
        Fate::Lives
    }

    /// Nothing final came in 64*T1. The registrar may have heard us all the same.
    pub(crate) fn on_timeout(&mut self, core: &mut Core, now: Time, txn: TxnId) -> Fate {
        match self.state {
            State::Asking(round) if round.txn == txn && round.leaving => self.gone(core),
            State::Asking(round) if round.txn == txn => {
                self.bound = true;
                self.failed(core, now, None, None)
            }
            _ => Fate::Lives,
        }
    }

    /// The wake-up of a refresh or another try. One that is not waited for any more is passed over.
    pub(crate) fn on_wake(&mut self, core: &mut Core, now: Time, at: Time) -> Fate {
        match self.state {
            State::Resting { until } if until == at => {
                if !self.registered {
                    self.tell(core, RegistrationState::Registering);
                }
                self.ask(core, now, false)
            }
            _ => Fate::Lives,
        }
    }

    /// Whether the trunk calls back by this way.
    pub(crate) fn is_by(&self, hop: Hop) -> bool {
        self.registered && self.hop == hop
    }

    /// The connection is gone: a trunk that calls back by it cannot reach us (RFC 5626 §4.5). A REGISTER that is
    /// out ends by its own time-out.
    pub(crate) fn flow_closed(&mut self, core: &mut Core, now: Time, flow: Hop) -> Fate {
        match self.state {
            State::Resting { .. } if self.hop == flow && self.registered => {
                self.failed(core, now, None, None)
            }
            _ => Fate::Lives,
        }
    }
}

/// When to refresh: after nine tenths of the expiry, at least 5 s before its end, and up to a tenth sooner by
/// chance, so that registrations which began together do not stay together. Never more often than every 5 s, also
/// when less was granted.
fn refresh_after(expires_s: u32, chance: u64) -> Duration {
    let whole_ms = u64::from(expires_s) * 1_000;
    let latest_ms = (whole_ms * 9 / 10).min(whole_ms.saturating_sub(5_000));
    Duration::from_millis((latest_ms - chance % (latest_ms / 10 + 1)).max(5_000))
}

/// RFC 5626 §4.5: doubled with each failure in a row, and between half and all of it by chance.
fn pause_after(failures: u32, chance: u64) -> Duration {
    let doubled = limits::REGISTER_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let most_ms = doubled.min(limits::REGISTER_PAUSE_MAX).as_millis() as u64;
    Duration::from_millis(most_ms - chance % (most_ms / 2 + 1))
}

/// Up to a tenth longer than the least, by chance.
fn refused_pause(chance: u64) -> Duration {
    let least_ms = limits::REGISTER_REFUSED_PAUSE.as_millis() as u64;
    Duration::from_millis(least_ms + chance % (least_ms / 10 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_are_early_enough() {
        for (expires_s, least_ms, most_ms) in
            [(3_600, 2_916_000, 3_240_000), (60, 48_600, 54_000), (20, 13_500, 15_000), (6, 5_000, 5_000)]
        {
            let of = |chance| refresh_after(expires_s, chance).as_millis() as u64;
            assert_eq!(of(0), most_ms);
            let earliest = (0..10_000u64).map(|i| of(i * 7_919)).min().unwrap();
            assert!((least_ms..least_ms + most_ms / 50).contains(&earliest), "{expires_s} {earliest}");
        }
        assert_eq!(refresh_after(1, 3), Duration::from_secs(5));
    }

    #[test]
    fn pauses_double_up_to_half_an_hour() {
        let most: Vec<_> = (1..9).map(|failures| pause_after(failures, 0).as_secs()).collect();
        assert_eq!(most, [30, 60, 120, 240, 480, 960, 1_800, 1_800]);
        assert_eq!(pause_after(u32::MAX, 0).as_secs(), 1_800);
        assert!(
            (0..1_000).all(|chance| (15_000..=30_000).contains(&pause_after(1, chance * 997).as_millis()))
        );
        assert!((0..1_000).all(|chance| (600..=660).contains(&refused_pause(chance * 997).as_secs())));
    }
}
