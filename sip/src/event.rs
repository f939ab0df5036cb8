//! What the endpoint is asked to do and what it tells.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::auth::{Credentials, DigestServer};
use crate::endpoint::{CallKey, SocketId};
use crate::limits;
use crate::message::{Reason, Request};
use crate::recovery::{CallIdKey, DialogSnapshot};
use crate::register::{RegistrarConfig, RegistrationState, Unbound};

/// One local socket.
#[derive(Clone, Debug)]
pub struct LocalSocket {
    /// Where it is bound.
    pub bound: SocketAddr,
    /// What Via and Contact say: the bound address, or the public one in front of it.
    pub advertise: SocketAddr,
}

/// From whom requests are taken that no dialog of ours explains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AcceptFrom {
    /// From nobody.
    #[default]
    Nobody,
    /// From these addresses: the trunks.
    Only(Vec<IpAddr>),
    /// From everybody: a test, or a simulated carrier.
    Any,
}

impl AcceptFrom {
    pub(crate) fn allows(&self, from: SocketAddr) -> bool {
        match self {
            AcceptFrom::Nobody => false,
            AcceptFrom::Only(list) => list.contains(&from.ip().to_canonical()),
            AcceptFrom::Any => true,
        }
    }
}

/// What an endpoint is.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Its sockets, in the order of their [`SocketId`]. The driver fills this in.
    pub sockets: Vec<LocalSocket>,
    /// Who may start calls and ask for options.
    pub accept_from: AcceptFrom,
    /// User-Agent and Server.
    pub user_agent: String,
    /// Calls at once.
    pub max_calls: usize,
    /// Knows the Call-IDs of this installation, also those from before a crash.
    pub call_id_key: Option<CallIdKey>,
    /// Asks callers for a digest.
    pub challenge: Option<DigestServer>,
    /// Lets phones and browsers register, from anywhere; see [`crate::Endpoint::set_users`].
    pub registrar: Option<RegistrarConfig>,
    /// Keeps the recent messages of each call.
    pub trace: bool,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        EndpointConfig {
            sockets: Vec::new(),
            accept_from: AcceptFrom::Nobody,
            user_agent: "Kraliki".into(),
            max_calls: limits::CALLS,
            call_id_key: None,
            challenge: None,
            registrar: None,
            trace: true,
        }
    }
}

/// A body and its type. Bodies are opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Content-Type.
    pub content_type: Bytes,
    /// The body.
    pub data: Bytes,
}

impl Body {
    /// A session description.
    pub fn sdp(data: impl Into<Bytes>) -> Body {
        Body { content_type: Bytes::from_static(b"application/sdp"), data: data.into() }
    }
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct InviteRequest {
    /// Where the INVITE goes: the trunk.
    pub destination: SocketAddr,
    /// The Request-URI; also To.
    pub uri: String,
    /// The display name in From; empty for none.
    pub from_display: String,
    /// The user in From: the caller id.
    pub from_user: String,
    /// The host in From; empty for our own address.
    pub from_host: String,
    /// P-Asserted-Identity, a whole value (`<sip:…>`).
    pub asserted_identity: Option<String>,
    /// Further header lines: name, value.
    pub headers: Vec<(String, String)>,
    /// The Call-ID; never used before.
    pub call_id: String,
    /// For a trunk that asks for a digest. They are given to `destination` only.
    pub credentials: Option<Arc<Credentials>>,
    /// The offer.
    pub body: Option<Body>,
}

impl InviteRequest {
    /// A call without caller id, credentials or body, to be filled in.
    pub fn new(destination: SocketAddr, uri: &str, call_id: &str) -> InviteRequest {
        InviteRequest {
            destination,
            uri: uri.into(),
            from_display: String::new(),
            from_user: String::new(),
            from_host: String::new(),
            asserted_identity: None,
            headers: Vec::new(),
            call_id: call_id.into(),
            credentials: None,
            body: None,
        }
    }
}

/// Why a call came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The peer answered with this status.
    Status(u16),
    /// The peer never answered (timer B).
    Timeout,
    /// The call could not be started.
    Refused(crate::error::ApiMisuse),
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// We, by [`crate::Endpoint::bye`].
    Local,
    /// The peer.
    Remote,
    /// The peer broke the protocol.
    Protocol(crate::error::PeerMisbehaved),
}

/// Answers a change that the peer wants ([`Event::Modify`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModifyAnswer {
    /// 200, with the answer, or with an offer when the peer sent none.
    Accept(Option<Body>),
    /// This status: 488, as a rule.
    Reject(u16),
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A peer calls. Answer with `ring`, `answer` or `reject`.
    Incoming {
        /// The new call.
        call: CallKey,
        /// Where the INVITE came from.
        from: SocketAddr,
        /// The socket that it came in by.
        socket: SocketId,
        /// The registered user whose phone this is, by its digest. None: a trunk, or whoever may call.
        user: Option<String>,
        /// The INVITE.
        request: Box<Request>,
        /// Its body.
        body: Option<Body>,
    },
    /// 100.
    Trying {
        /// The call.
        call: CallKey,
    },
    /// 101 to 199.
    Progress {
        /// The call.
        call: CallKey,
        /// The status.
        status: u16,
        /// Which early dialog: the To tag. A forked call has several.
        early: Bytes,
        /// Early media, when there is a body.
        body: Option<Body>,
        /// Reason headers.
        reasons: Vec<Reason>,
    },
    /// 2xx; it has been acknowledged.
    Answered {
        /// The call.
        call: CallKey,
        /// Which early dialog this was; empty for a peer without tags.
        early: Bytes,
        /// The answer.
        body: Option<Body>,
        /// To be stored, so that the call can be ended after a crash.
        dialog: Box<DialogSnapshot>,
    },
    /// The call came to nothing, and not because we cancelled it.
    Failed {
        /// The call; it is gone.
        call: CallKey,
        /// Why.
        failure: Failure,
        /// Reason headers, Q.850 causes among them.
        reasons: Vec<Reason>,
        /// Retry-After, in seconds.
        retry_after_s: Option<u32>,
        /// A provisional answer beyond 100 was seen.
        progressed: bool,
        /// The Contacts of a 3xx.
        contacts: Vec<Bytes>,
    },
    /// We cancelled the call (or, of an incoming call, the peer did), and that is done.
    Cancelled {
        /// The call; it is gone.
        call: CallKey,
        /// The final status: 487 as a rule; 200 when the answer crossed the CANCEL (it was acknowledged and ended);
        /// none when the peer fell silent.
        status: Option<u16>,
        /// Reason headers.
        reasons: Vec<Reason>,
    },
    /// The ACK to our 2xx came.
    Acknowledged {
        /// The call.
        call: CallKey,
        /// The answer, when our 2xx held the offer.
        body: Option<Body>,
    },
    /// The call has ended after it was answered.
    Ended {
        /// The call; it is gone.
        call: CallKey,
        /// Who ended it.
        by: EndedBy,
        /// Reason headers of the peer's BYE.
        reasons: Vec<Reason>,
    },
    /// The peer wants to change the session. Answer with `respond_modify`.
    Modify {
        /// The call.
        call: CallKey,
        /// UPDATE rather than INVITE.
        update: bool,
        /// The offer; none when the peer wants ours.
        body: Option<Body>,
    },
    /// INFO; it has been answered.
    Info {
        /// The call.
        call: CallKey,
        /// What it says: `application/dtmf-relay`, for one.
        body: Option<Body>,
    },
    /// Our OPTIONS was answered, or not.
    OptionsResult {
        /// What `options` gave.
        key: CallKey,
        /// The status; none after a time-out.
        status: Option<u16>,
        /// From the request to its answer.
        rtt: Duration,
    },
    /// A call from before a crash was answered now; it has been acknowledged and ended.
    CallCleared {
        /// The attempt in its Call-ID.
        attempt: u64,
        /// The try in its Call-ID.
        try_number: u32,
    },
    /// A registration of ours has come to another state.
    Registration {
        /// What `register` gave.
        key: CallKey,
        /// The state.
        state: RegistrationState,
    },
    /// A phone has registered, or has moved. Not told for a mere refresh.
    Bound {
        /// The user.
        user: String,
        /// The contact's URI.
        contact: Bytes,
        /// What the phone calls itself; empty when it does not say.
        user_agent: Bytes,
        /// What was granted, in seconds.
        expires_s: u32,
        /// The contact that it had before, when it has moved; it may be the same, by another connection.
        replaces: Option<Bytes>,
    },
    /// A phone cannot be reached any more by this contact.
    Unbound {
        /// The user.
        user: String,
        /// The contact's URI.
        contact: Bytes,
        /// Why.
        reason: Unbound,
    },
    /// The BYE for a stored dialog is done.
    DialogCleared {
        /// What `bye_dialog` gave.
        key: CallKey,
        /// The status; none after a time-out.
        status: Option<u16>,
    },
}

/// A datagram to send.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Through which socket.
    pub socket: SocketId,
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}
