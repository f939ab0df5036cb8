//! Registration, both ends: ours at trunks that want it, and that of phones and browsers with us.

mod bindings;
mod client;
mod contact;
mod guard;
mod registrar;
pub(crate) mod stun;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kraliki_time::Time;

use crate::auth::{Credentials, User};
use crate::endpoint::{CallKey, Endpoint, SocketId};
use crate::error::ApiMisuse;
use crate::event::InviteRequest;
use crate::limits;
use crate::message::Response;
use crate::session::{Call, Fate};
use crate::transaction::{Hop, TxnId};
use crate::transport::Destination;

pub(crate) use client::Client;
pub(crate) use registrar::{Admission, Registrar};

/// A registration of ours at a trunk.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Where the REGISTER goes.
    pub destination: Destination,
    /// The address of record, `sip:user@domain`: From and To; its domain is the Request-URI.
    pub aor: String,
    /// The user of our Contact: what the trunk calls.
    pub contact_user: String,
    /// The expiry to ask for, in seconds; at most [`limits::REGISTER_SECONDS`].
    pub expires_s: u32,
    /// For a trunk that asks for a digest. They are given to `destination` only.
    pub credentials: Option<Arc<Credentials>>,
}

impl Registration {
    /// A registration for an hour, without credentials.
    pub fn new(destination: impl Into<Destination>, aor: &str, contact_user: &str) -> Registration {
        let destination = destination.into();
        let (aor, contact_user) = (aor.into(), contact_user.into());
        Registration { destination, aor, contact_user, expires_s: 3_600, credentials: None }
    }
}

/// How a registration of ours stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// A REGISTER is out, the first or one after a failure.
    Registering,
    /// The trunk knows us. Told again at each refresh.
    Registered {
        /// What it granted, in seconds.
        expires_s: u32,
    },
    /// A REGISTER came to nothing; an earlier one may hold until its expiry.
    Failed {
        /// The status; none when the trunk was silent or its connection was lost.
        status: Option<u16>,
        /// When it is tried again, in seconds. None: never, as it could not be started at all; it is gone.
        retry_after_s: Option<u32>,
    },
    /// It was ended by us; it is gone.
    Unregistered,
}

/// What the registrar is.
#[derive(Clone, Debug)]
pub struct RegistrarConfig {
    /// The realm of its digests; the users' secrets are made for it.
    pub realm: String,
    /// The least expiry that is granted, in seconds, to whoever asks for less than an hour.
    pub min_expires_s: u32,
    /// The expiry for who asks for none, in seconds.
    pub default_expires_s: u32,
    /// The longest expiry that is granted, in seconds.
    pub max_expires_s: u32,
    /// Bindings of one user: a few devices, and what they left behind. One more takes the place of the oldest.
    pub max_bindings: usize,
    /// Wrong passwords for one user from one address, within `lockout`, until it is locked out.
    pub lockout_failures: u32,
    /// How long it is locked out.
    pub lockout: Duration,
    /// How often a phone that speaks outbound shall keep its flow alive, in seconds (RFC 5626 §4.4). Most
    /// translators of addresses forget a UDP flow after 30 s of silence, some connections after 2 min.
    pub flow_timer_s: u32,
}

impl RegistrarConfig {
    /// The usual limits.
    pub fn new(realm: &str) -> RegistrarConfig {
        RegistrarConfig {
            realm: realm.into(),
            min_expires_s: 60,
            default_expires_s: 600,
            max_expires_s: 3_600,
            max_bindings: 5,
            lockout_failures: 10,
            lockout: Duration::from_secs(900),
            flow_timer_s: 25,
        }
    }
}

/// Where a user can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact's URI, as the phone gave it.
    pub contact: Bytes,
    /// The socket that its REGISTER came in by.
    pub socket: SocketId,
    /// Where its REGISTER came from; requests to the phone go back there.
    pub peer: SocketAddr,
    /// Preference in thousandths.
    pub q: u16,
    /// When it ends unless it is renewed.
    pub expires_at: Time,
    /// What the phone calls itself; empty when it does not say.
    pub user_agent: Bytes,
}

/// Why a binding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unbound {
    /// It was not renewed in time.
    Expired,
    /// The phone took it away.
    Removed,
    /// The user has too many; it was the oldest.
    Replaced,
    /// Its connection was closed.
    FlowClosed,
    /// The user is gone, or has another password.
    UserChanged,
}

/// The way to a registered phone.
pub(crate) struct Phone {
    pub(crate) flow: Hop,
    /// The Request-URI.
    pub(crate) contact: Bytes,
}

impl Endpoint {
    /// Registers us at a trunk, and keeps us registered until [`Endpoint::unregister`].
    pub fn register(&mut self, now: Time, registration: Registration) -> Result<CallKey, ApiMisuse> {
        let key = self.keys.next();
        self.register_as(now, key, registration).map(|()| key)
    }

    /// As `register`, with a key from [`Endpoint::keys`].
    pub fn register_as(
        &mut self,
        now: Time,
        key: CallKey,
        registration: Registration,
    ) -> Result<(), ApiMisuse> {
        if self.registrations.len() >= limits::REGISTRATIONS {
            return Err(ApiMisuse::Full);
        }
        let client = Client::start(&mut self.core, now, key, registration)?;
        self.registrations.insert(key, client);
        Ok(())
    }

    /// Takes our registration away. [`RegistrationState::Unregistered`] follows at the latest when the trunk has
    /// been silent for 32 s, or 64 s when another REGISTER was out.
    pub fn unregister(&mut self, now: Time, key: CallKey) -> Result<(), ApiMisuse> {
        match self.registrations.contains_key(&key) {
            true => self.registration(key, |client, core| client.unregister(core, now)),
            false => return Err(ApiMisuse::UnknownCall),
        }
        Ok(())
    }

    /// Replaces the registrar's users. Who is gone or has another password loses the bindings made before.
    pub fn set_users(&mut self, users: Vec<User>) -> Result<(), ApiMisuse> {
        let registrar = self.registrar.as_mut().ok_or(ApiMisuse::WrongState)?;
        registrar.set_users(&mut self.core, users)
    }

    /// Where a user can be reached, the best first.
    pub fn lookup(&self, user: &str) -> Vec<Binding> {
        self.registrar.as_ref().map_or_else(Vec::new, |registrar| registrar.lookup(user))
    }

    /// Calls a registered user at the best binding: its contact is the Request-URI, and all requests of the call go
    /// where its REGISTER came from, unless the phone's answer records a route. `request.uri` says who is called
    /// (To); `request.destination` is not used.
    pub fn invite_user(
        &mut self,
        now: Time,
        key: CallKey,
        user: &str,
        request: InviteRequest,
    ) -> Result<(), ApiMisuse> {
        let best = self.lookup(user).into_iter().next().ok_or(ApiMisuse::NotRegistered)?;
        let flow = Hop { socket: best.socket, to: best.peer };
        self.place(now, key, request, Some(Phone { flow, contact: best.contact }))
    }

    /// Places a call, by a trunk or to a phone.
    pub(crate) fn place(
        &mut self,
        now: Time,
        key: CallKey,
        request: InviteRequest,
        phone: Option<Phone>,
    ) -> Result<(), ApiMisuse> {
        if self.overloaded && phone.is_none() {
            self.core.stats.refused_overload.add(1);
            return Err(ApiMisuse::Overloaded);
        }
        if self.calls.len() >= self.core.config.max_calls {
            return Err(ApiMisuse::Full);
        }
        let call = Call::connect(&mut self.core, now, key, request, phone)?;
        self.calls.insert(key, Box::new(call));
        self.core.stats.calls_out.add(1);
        Ok(())
    }

    /// A connection is gone: its bindings are too, and what we registered by it is registered anew.
    pub(crate) fn flow_closed(&mut self, now: Time, flow: Hop) {
        if let Some(registrar) = &mut self.registrar {
            registrar.flow_closed(&mut self.core, flow);
        }
        for key in self.registrations.keys().copied().collect::<Vec<_>>() {
            self.registration(key, |client, core| client.flow_closed(core, now, flow));
        }
    }

    pub(crate) fn on_register_response(
        &mut self,
        now: Time,
        key: CallKey,
        txn: TxnId,
        from: SocketAddr,
        response: &Response,
    ) {
        self.registration(key, |client, core| client.on_response(core, now, txn, from, response));
    }

    /// Lets a registration act, and forgets it when it is over.
    pub(crate) fn registration(
        &mut self,
        key: CallKey,
        act: impl FnOnce(&mut Client, &mut crate::core::Core) -> Fate,
    ) {
        let Some(client) = self.registrations.get_mut(&key) else { return };
        if act(client, &mut self.core) == Fate::Over {
            self.registrations.remove(&key);
        }
    }
}
