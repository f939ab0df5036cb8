//! What the endpoint is asked to do and what it tells.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;

use crate::auth::{Credentials, DigestServer};
use crate::endpoint::{CallKey, SocketId};
use crate::limits;
use crate::message::{Reason, Request};
use crate::recovery::{CallIdKey, DialogSnapshot};
use crate::register::{RegistrarConfig, RegistrationState, Unbound};
use crate::shard::Shard;
use crate::transport::{Destination, LocalSocket};

/// From whom requests are taken that no dialog of ours explains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AcceptFrom {
    /// From nobody.
    #[default]
    Nobody,
    /// From these addresses: the trunks.
    Only(Vec<IpNet>),
    /// From everybody: a test, or a simulated carrier.
    Any,
}

impl AcceptFrom {
    pub(crate) fn allows(&self, from: SocketAddr) -> bool {
        match self {
            AcceptFrom::Nobody => false,
            AcceptFrom::Only(list) => {
                let ip = from.ip().to_canonical();
                list.iter().any(|net| net.contains(&ip))
            }
            AcceptFrom::Any => true,
        }
    }
}

/// What an endpoint is.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Its sockets, in the order of their [`SocketId`]. The driver fills this in.
    pub sockets: Vec<LocalSocket>,
    /// Which one it is of those that share the work. The driver fills this in.
    pub shard: Shard,
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
    /// Rings callers reliably when they offer it, not only when they require it (RFC 3262 §3).
    pub reliable: bool,
    /// What is answered to a caller who wants a session timer.
    pub session_timer: SessionTimer,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        EndpointConfig {
            sockets: Vec::new(),
            shard: Shard::default(),
            accept_from: AcceptFrom::Nobody,
            user_agent: "Kraliki".into(),
            max_calls: limits::CALLS,
            call_id_key: None,
            challenge: None,
            registrar: None,
            trace: true,
            reliable: false,
            session_timer: SessionTimer::default(),
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
    pub destination: Destination,
    /// Where it goes when nobody is there (RFC 3263 §4.3): a transport that fails, no answer at all, a 503. In order.
    pub alternatives: Vec<Destination>,
    /// The Request-URI; also To.
    pub uri: String,
    /// The display name in From; empty for none.
    pub from_display: String,
    /// The user in From: the caller id.
    pub from_user: String,
    /// The host in From; empty for our own address.
    pub from_host: String,
    /// Where the trunk reads who calls.
    pub identity: IdentityHeader,
    /// The person called is not to see the caller id: `Privacy: id`, and an anonymous From (RFC 3323 §4.1, RFC 3325).
    pub private: bool,
    /// Further header lines: name, value.
    pub headers: Vec<(String, String)>,
    /// The Call-ID; never used before.
    pub call_id: String,
    /// For a trunk that asks for a digest. They are given to `destination` only.
    pub credentials: Option<Arc<Credentials>>,
    /// The offer. None: the peer makes one in its answer, and [`crate::Endpoint::acknowledge`] answers it.
    pub body: Option<Body>,
    /// Provisional answers that are acknowledged (RFC 3262).
    pub reliable: Reliable,
    /// A session that is refreshed, or ends (RFC 4028).
    pub session_timer: Option<SessionTimer>,
    /// How often a 3xx is followed: with its Contact as Request-URI, to the same destination (RFC 3261 §8.1.3.4).
    pub max_redirects: u8,
    /// A request of more than 1,300 bytes goes by TCP when there is a TCP socket (RFC 3261 §18.1.1).
    pub large_by_tcp: bool,
    /// With nothing at all heard of an INVITE by then the call is given up, as timer B would later: [`Failure::Timeout`]. An
    /// answer that comes after it is cancelled, or acknowledged and ended, and nobody is told. None: timer B alone.
    pub first_response_within: Option<Duration>,
}

/// The header that says who calls, beside From (RFC 3325 §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityHeader {
    /// From alone.
    #[default]
    None,
    /// P-Asserted-Identity.
    Asserted,
    /// P-Preferred-Identity.
    Preferred,
    /// Remote-Party-ID: older than RFC 3325, still asked for.
    RemoteParty,
}

/// Reliable provisional answers (RFC 3262), as a caller wants them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliable {
    /// Not offered.
    No,
    /// Offered: the peer may use them.
    #[default]
    Supported,
    /// Required: a peer that cannot refuses the call.
    Required,
}

/// A session timer (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Session-Expires, in seconds: without a refresh the call ends then.
    pub expires_s: u32,
    /// Min-SE, in seconds: shorter ones are refused. At least 90 (§5).
    pub min_s: u32,
}

impl Default for SessionTimer {
    fn default() -> Self {
        SessionTimer { expires_s: 1_800, min_s: 90 }
    }
}

impl InviteRequest {
    /// A call without caller id, credentials or body, to be filled in.
    pub fn new(destination: impl Into<Destination>, uri: &str, call_id: &str) -> InviteRequest {
        InviteRequest {
            destination: destination.into(),
            alternatives: Vec::new(),
            uri: uri.into(),
            from_display: String::new(),
            from_user: String::new(),
            from_host: String::new(),
            identity: IdentityHeader::None,
            private: false,
            headers: Vec::new(),
            call_id: call_id.into(),
            credentials: None,
            body: None,
            reliable: Reliable::default(),
            session_timer: None,
            max_redirects: 0,
            large_by_tcp: false,
            first_response_within: None,
        }
    }
}

/// Why a call came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The peer answered with this status.
    Status(u16),
    /// The peer never answered (timer B, or [`InviteRequest::first_response_within`]).
    Timeout,
    /// The transport failed: no connection, or it broke before an answer (RFC 3261 §18.4).
    Unreachable,
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
        /// The call of ours that it takes the place of (RFC 3891): that one is ended when this one is answered.
        replaces: Option<CallKey>,
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
    /// 2xx; it has been acknowledged, but for one with an offer.
    Answered {
        /// The call.
        call: CallKey,
        /// Which early dialog this was; empty for a peer without tags.
        early: Bytes,
        /// The answer; or the offer, when our INVITE had none.
        body: Option<Body>,
        /// The body is an offer: [`crate::Endpoint::acknowledge`] with the answer.
        offer: bool,
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
        /// Call-Info as it came: of a 608 it says where the block can be contested (RFC 8688 §3.2).
        call_info: Option<Bytes>,
        /// Messages of this call that we sent again.
        retransmitted: u32,
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
        /// Messages of this call that we sent again.
        retransmitted: u32,
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
        /// Messages of this call that we sent again.
        retransmitted: u32,
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
    /// What became of a change that we wanted ([`crate::Endpoint::modify`]). A refusal leaves all as it was.
    Modified {
        /// The call.
        call: CallKey,
        /// The final status; 408 when there was none.
        status: u16,
        /// The answer, or an offer when ours was none.
        body: Option<Body>,
        /// The body is an offer: [`crate::Endpoint::acknowledge`] with the answer.
        offer: bool,
    },
    /// Our INFO was answered; 408 when it was not.
    InfoResult {
        /// The call.
        call: CallKey,
        /// The status.
        status: u16,
    },
    /// The peer wants us to call somebody (RFC 3515). Answer with [`crate::Endpoint::respond_refer`].
    Refer {
        /// The call.
        call: CallKey,
        /// Whom: a URI, without its headers.
        to: Bytes,
        /// A Replaces value that the INVITE is to carry: the transfer is an attended one (RFC 5589 §7).
        replaces: Option<String>,
        /// Referred-By (RFC 3892), to be passed on.
        referred_by: Option<Bytes>,
    },
    /// How our REFER goes on. A 202 says only that it was heard; `status` is what the transferred call has come to.
    ReferProgress {
        /// The call that was referred.
        call: CallKey,
        /// The status: of the REFER when it was refused, else of the new call.
        status: u16,
        /// Nothing more will be heard.
        done: bool,
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
    /// Somebody was wrong too often with a user's password, and is not listened to for a while.
    LockedOut {
        /// The user; none when there is no such user.
        user: Option<String>,
        /// Where from.
        from: SocketAddr,
        /// For how long.
        lasts: Duration,
    },
    /// The BYE for a stored dialog is done.
    DialogCleared {
        /// What `bye_dialog` gave.
        key: CallKey,
        /// The status; none after a time-out.
        status: Option<u16>,
    },
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Through which socket.
    pub socket: SocketId,
    /// Where to. Over a stream transport: the connection to there, made when there is none.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}
