//! What every call needs of the endpoint: sockets, chance, transactions, and the way out.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use kraliki_time::Time;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::endpoint::{CallKey, Output, SocketId};
use crate::error::ApiMisuse;
use crate::event::{Body, EndpointConfig, Event, Transmit};
use crate::limits;
use crate::message::{Headers, Method, Name, Request, Uri, Writer};
use crate::session::stray::Strays;
use crate::stats::Stats;
use crate::trace::{Direction, Trace};
use crate::transaction::{
    ClientInvite, ClientOther, Hop, Kind, Owner, ServerInvite, ServerKey, ServerOther, Table, Timer, TxnId,
    hex,
};
use crate::transport::{Destination, LocalSocket, Transport};

/// What we take; also the answer to OPTIONS and 405.
pub(crate) const ALLOW: &[u8] = b"INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY";

/// What stands in messages for one socket.
struct Local {
    transport: Transport,
    bound: SocketAddr,
    host: Bytes,
    via: Bytes,
    contact: Bytes,
}

impl Local {
    fn new(socket: &LocalSocket) -> Local {
        let (transport, host) = (socket.transport, socket.advertise.to_string());
        let contact = match transport {
            Transport::Udp => format!("<sip:{host}>"),
            _ => format!("<sip:{host};transport={transport}>"),
        };
        Local {
            transport,
            bound: socket.bound,
            // It asks for rport (RFC 3581 §3).
            via: Bytes::from(format!("Via: SIP/2.0/{} {host};rport;branch=", transport.via())),
            host: Bytes::from(host),
            contact: Bytes::from(contact),
        }
    }
}

pub(crate) struct Core {
    pub(crate) config: EndpointConfig,
    locals: Vec<Local>,
    rng: ChaCha8Rng,
    /// Hides call keys in tags and keys the hashes of server transactions.
    secret: u64,
    pub(crate) txns: Table,
    pub(crate) strays: Strays,
    pub(crate) queue: VecDeque<Output>,
    pub(crate) stats: Arc<Stats>,
}

/// Our tag in a dialog: the call, hidden, and chance. An in-dialog request finds its call by it without a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag([u8; 24]);

impl Tag {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Core {
    pub(crate) fn new(config: EndpointConfig, seed: [u8; 32], stats: Arc<Stats>) -> Core {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let locals = config.sockets.iter().map(Local::new).collect();
        let secret = rng.next_u64();
        let (txns, strays) = (Table::default(), Strays::default());
        Core { config, locals, rng, secret, txns, strays, queue: VecDeque::new(), stats }
    }

    pub(crate) fn chance(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A secret of 256 bits.
    pub(crate) fn secret_key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.rng.fill_bytes(&mut key);
        key
    }

    pub(crate) fn new_tag(&mut self, call: CallKey) -> Tag {
        let mut tag = [0u8; 24];
        tag[..16].copy_from_slice(&hex(call.0 ^ self.secret));
        tag[16..].copy_from_slice(&hex(self.rng.next_u64())[..8]);
        Tag(tag)
    }

    /// A Call-ID of our own, one whose answers come back to this shard.
    pub(crate) fn new_call_id(&mut self, call: CallKey) -> Tag {
        let mut id = self.new_tag(call);
        // Each has a chance of one in as many as there are shards.
        for _ in 0..limits::CALL_ID_TRIES {
            if self.config.shard.owns_call_id(id.as_bytes()) {
                break;
            }
            id = self.new_tag(call);
        }
        id
    }

    /// The call that a tag of ours would belong to. The call compares the whole tag.
    pub(crate) fn call_of_tag(&self, tag: &[u8]) -> Option<CallKey> {
        let hidden = crate::transaction::unhex(tag.get(..16)?).filter(|_| tag.len() == 24)?;
        Some(CallKey(hidden ^ self.secret))
    }

    /// The way to a destination: by the socket that it names, else by the first of its transport and family.
    pub(crate) fn route(&self, destination: &Destination) -> Result<Hop, ApiMisuse> {
        let Destination { address: to, transport, socket, .. } = *destination;
        let ours = !transport.is_reliable() || self.config.shard.has_connections();
        let fits =
            |local: &Local| ours && local.transport == transport && local.bound.is_ipv4() == to.is_ipv4();
        let at = match socket {
            Some(socket) => Some(socket).filter(|socket| self.local(*socket).is_some_and(fits)),
            None => self.locals.iter().position(fits).and_then(|at| u16::try_from(at).ok()).map(SocketId),
        };
        Ok(Hop { socket: at.ok_or(ApiMisuse::NoSocket)?, to })
    }

    /// The way to a URI that names an address (a Contact, a Route), from a peer that is reached by `known`. A name
    /// is not looked up here: then the way that is known is taken, and so it is when we have no such socket.
    pub(crate) fn route_to_uri(&self, uri: &[u8], known: Hop) -> Hop {
        let Some(uri) = Uri::parse(uri).filter(Uri::is_sip) else { return known };
        let param = uri.params.get("transport").and_then(|name| std::str::from_utf8(name).ok());
        let of_socket = self.transport(known.socket);
        let transport = match param.and_then(Transport::of) {
            // RFC 7118 §5.2.1: a URI says `ws` for both.
            Some(Transport::Ws) if of_socket == Transport::Wss => Transport::Wss,
            Some(transport) => transport,
            None if uri.is_sips() => Transport::Tls,
            None => of_socket,
        };
        let Some(mut to) = uri.address() else { return known };
        if uri.port.is_none() {
            to.set_port(transport.default_port());
        }
        let usable = to.port() != 0 && !to.ip().is_unspecified();
        let socket = (transport == of_socket).then_some(known.socket);
        let to = Destination { socket, ..Destination::new(to, transport) };
        self.route(&to).ok().filter(|_| usable).unwrap_or(known)
    }

    /// The socket that is bound there.
    pub(crate) fn socket_at(&self, bound: SocketAddr, transport: Transport) -> Option<SocketId> {
        let at = self.locals.iter().position(|local| local.bound == bound && local.transport == transport);
        at.and_then(|at| u16::try_from(at).ok()).map(SocketId)
    }

    /// Where a socket is bound.
    pub(crate) fn bound(&self, socket: SocketId) -> Option<SocketAddr> {
        self.local(socket).map(|local| local.bound)
    }

    fn local(&self, socket: SocketId) -> Option<&Local> {
        self.locals.get(usize::from(socket.0))
    }

    /// What a socket carries.
    pub(crate) fn transport(&self, socket: SocketId) -> Transport {
        self.local(socket).map_or(Transport::Udp, |local| local.transport)
    }

    /// The host and port that stand for a socket.
    pub(crate) fn host(&self, socket: SocketId) -> Bytes {
        self.local(socket).map_or_else(Bytes::new, |local| local.host.clone())
    }

    /// The Via line of a socket, up to the branch.
    pub(crate) fn via(&self, socket: SocketId) -> Bytes {
        self.local(socket).map_or_else(Bytes::new, |local| local.via.clone())
    }

    pub(crate) fn contact(&self, socket: SocketId) -> Bytes {
        self.local(socket).map_or_else(Bytes::new, |local| local.contact.clone())
    }

    /// Where the answer to a request goes (RFC 3261 §18.2.2, RFC 3581 §4): over a stream, back by its connection.
    pub(crate) fn answer_hop(&self, request: &Headers, socket: SocketId, from: SocketAddr) -> Hop {
        let mut to = from;
        if let Some(via) = request.via()
            && !self.transport(socket).is_reliable()
            && !via.params.has("rport")
        {
            to.set_port(via.port.filter(|port| *port != 0).unwrap_or(5060));
        }
        Hop { socket, to }
    }

    /// A transaction is done and stays as a tombstone for its timer; over a reliable transport, where nothing is
    /// sent twice, it goes at once (RFC 3261 §17.1.1.2, 17.1.2.2, 17.2.1, 17.2.2: D, K, I and J are zero).
    pub(crate) fn bury(&mut self, now: Time, id: TxnId, timer: Timer) {
        match self.txns.get_mut(id).map(|txn| txn.hop.socket) {
            Some(socket) if self.transport(socket).is_reliable() => self.txns.close(id),
            Some(_) => self.txns.timers.arm(now, id.0, timer),
            None => {}
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(crate) fn send(&mut self, now: Time, hop: Hop, bytes: Bytes, trace: Option<&mut Trace>) {
        self.stats.sent.encoded(&bytes);
        if let Some(trace) = trace.filter(|_| self.config.trace) {
            trace.push(now, Direction::Out, hop.to, &bytes);
        }
        self.queue.push_back(Output::Transmit(Transmit { socket: hop.socket, to: hop.to, bytes }));
    }

    /// Starts a client transaction: `write` gives the request for the branch that it gets.
    pub(crate) fn request(
        &mut self,
        now: Time,
        owner: Owner,
        hop: Hop,
        invite: bool,
        trace: Option<&mut Trace>,
        write: impl FnOnce(&Core, &[u8]) -> Bytes,
    ) -> Result<TxnId, ApiMisuse> {
        let chance = self.chance();
        // The state is set when the bytes are known, which hold the id.
        let id = self.txns.open(chance, owner, hop, |_| Kind::ClientOther(ClientOther::Done));
        let id = id.ok_or(ApiMisuse::Full)?;
        let request = write(self, &id.branch());
        if let Some(txn) = self.txns.get_mut(id) {
            let request = request.clone();
            txn.kind = match invite {
                true => Kind::ClientInvite(ClientInvite::Calling { request }),
                false => Kind::ClientOther(ClientOther::Trying { request }),
            };
        }
        let (again, give_up) = if invite { (Timer::A, Timer::B) } else { (Timer::E, Timer::F) };
        if !self.transport(hop.socket).is_reliable() {
            self.txns.timers.arm(now, id.0, again);
        }
        self.txns.timers.arm(now, id.0, give_up);
        self.send(now, hop, request, trace);
        Ok(id)
    }

    /// What makes this request the same as another (RFC 3261 §17.2.3). An ACK belongs to its INVITE; a CANCEL asks
    /// for its INVITE by `as_invite`.
    pub(crate) fn server_key(
        &self,
        request: &Headers,
        method: &Method,
        as_invite: bool,
    ) -> Option<ServerKey> {
        let via = request.via()?;
        let branch = via.branch().unwrap_or_default();
        // The magic alone is no branch (RFC 4475 §3.2.1).
        let rfc3261 = branch.len() > 7 && branch.starts_with(b"z9hG4bK");
        let invite = as_invite || matches!(method, Method::Invite | Method::Ack);
        let mut halves = [0u64; 2];
        for (i, half) in halves.iter_mut().enumerate() {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.secret ^ i as u64);
            hasher.write(if invite { b"INVITE" } else { method.as_bytes() });
            hasher.write(branch);
            hasher.write_u8(0);
            hasher.write(via.host);
            hasher.write_u16(via.port.unwrap_or(5060));
            if !rfc3261 {
                // Peers of RFC 2543 have no unique branch.
                hasher.write(request.call_id()?);
                hasher.write_u32(request.cseq()?.number);
                hasher.write(request.from().and_then(|from| from.tag()).unwrap_or_default());
            }
            *half = hasher.finish();
        }
        Some(ServerKey(u128::from(halves[0]) << 64 | u128::from(halves[1])))
    }

    /// A keyed hash of some strings.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> u128 {
        let mut halves = [0u64; 2];
        for (i, half) in halves.iter_mut().enumerate() {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.secret.rotate_left(17) ^ i as u64);
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            *half = hasher.finish();
        }
        u128::from(halves[0]) << 64 | u128::from(halves[1])
    }

    /// Opens the server transaction of a request.
    pub(crate) fn serve(&mut self, owner: Owner, request: &Request, hop: Hop) -> Option<TxnId> {
        let key = self.server_key(request, request.method(), false)?;
        let chance = self.chance();
        let invite = *request.method() == Method::Invite;
        self.txns.open(chance, owner, hop, |_| match invite {
            true => Kind::ServerInvite(key, ServerInvite::Proceeding { last: Bytes::new() }),
            false => Kind::ServerOther(key, ServerOther::Trying),
        })
    }

    /// Sends an answer through its server transaction, which keeps it as long as it may be asked for again.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        id: TxnId,
        status: u16,
        bytes: Bytes,
        trace: Option<&mut Trace>,
    ) {
        let Some(hop) = self.txns.get_mut(id).map(|txn| txn.hop) else { return };
        let reliable = self.transport(hop.socket).is_reliable();
        let Some(txn) = self.txns.get_mut(id) else { return };
        let timers: &[Timer] = match &mut txn.kind {
            Kind::ServerInvite(_, state @ ServerInvite::Proceeding { .. }) => {
                let (next, timers): (_, &[Timer]) = match status {
                    ..200 => (ServerInvite::Proceeding { last: bytes.clone() }, &[]),
                    200..300 => {
                        (ServerInvite::Accepted { answer: Some(bytes.clone()) }, &[Timer::Accepted, Timer::L])
                    }
                    // A 2xx is sent again over any transport, since a further hop may lose it (§13.3.1.4).
                    _ if reliable => (ServerInvite::Completed { answer: bytes.clone() }, &[Timer::H]),
                    _ => (ServerInvite::Completed { answer: bytes.clone() }, &[Timer::G, Timer::H]),
                };
                *state = next;
                timers
            }
            Kind::ServerOther(_, state @ ServerOther::Trying) if status >= 200 => {
                *state = ServerOther::Completed { answer: bytes.clone() };
                if reliable {
                    self.txns.close(id);
                    return self.send(now, hop, bytes, trace);
                }
                &[Timer::J]
            }
            // A second final answer is not sent.
            _ => return,
        };
        for timer in timers {
            self.txns.timers.arm(now, id.0, *timer);
        }
        self.send(now, hop, bytes, trace);
    }

    /// Answers a request at once through a transaction of its own.
    pub(crate) fn reply(
        &mut self,
        now: Time,
        request: &Request,
        hop: Hop,
        status: u16,
        trace: Option<&mut Trace>,
    ) {
        self.reply_with(now, request, hop, status, trace, |_| {});
    }

    /// As `reply`, with more headers.
    pub(crate) fn reply_with(
        &mut self,
        now: Time,
        request: &Request,
        hop: Hop,
        status: u16,
        trace: Option<&mut Trace>,
        more: impl FnOnce(&mut Writer),
    ) {
        let tag = hex(self.chance());
        let mut w = response_to(request, hop.to, status, Some(&tag), 0);
        more(&mut w);
        let bytes = w.body(None);
        match self.serve(Owner::Nobody, request, hop) {
            Some(id) => self.answer(now, id, status, bytes, trace),
            // Full: an answer without memory is better than none.
            None => self.send(now, hop, bytes, trace),
        }
    }

    /// Ends a message with Contact and, where it is due, the body.
    pub(crate) fn finish(&self, mut w: Writer, socket: SocketId, body: Option<&Body>) -> Bytes {
        w.header(Name::Contact, &self.contact(socket)).header(Name::Allow, ALLOW);
        w.body(body.map(|body| (&body.content_type[..], &body.data[..])))
    }
}

/// The start of a response (RFC 3261 §8.2.6): Via, From, To, Call-ID, CSeq. `tag` is added to a To without one.
pub(crate) fn response_to(
    request: &Request,
    from: SocketAddr,
    status: u16,
    tag: Option<&[u8]>,
    body: usize,
) -> Writer {
    response_saying(request, from, status, phrase(status), tag, body)
}

/// As `response_to`, with a reason phrase of its own.
pub(crate) fn response_saying(
    request: &Request,
    from: SocketAddr,
    status: u16,
    reason: &str,
    tag: Option<&[u8]>,
    body: usize,
) -> Writer {
    let mut w = Writer::response(status, reason.as_bytes(), body);
    for (i, via) in request.values(Name::Via).enumerate() {
        match i {
            0 => w.received_via(via, from),
            _ => w.header(Name::Via, via),
        };
    }
    w.header(Name::From, request.get(Name::From).unwrap_or_default());
    w.raw(b"To: ").clean(request.get(Name::To).unwrap_or_default());
    if let Some(tag) = tag.filter(|_| request.to().is_some_and(|to| to.tag().is_none())) {
        w.raw(b";tag=").raw(tag);
    }
    w.raw(b"\r\n").header(Name::CallId, request.get(Name::CallId).unwrap_or_default());
    w.header(Name::CSeq, request.get(Name::CSeq).unwrap_or_default());
    w
}

/// The body of a message, when it has one.
pub(crate) fn body_of(headers: &Headers) -> Option<Body> {
    let data = headers.body();
    if data.is_empty() {
        return None;
    }
    let content_type = headers.content_type().map_or_else(Bytes::new, |value| headers.share(value));
    Some(Body { content_type, data })
}

#[allow(clippy::match_overlapping_arm)] // the class speaks where no line of its own does
/// Usual reason phrases (RFC 3261 §21).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        428 => "Use Identity Header",
        436 => "Bad Identity Info",
        437 => "Unsupported Credential",
        438 => "Invalid Identity Header",
        439 => "First Hop Lacks Outbound Support",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        607 => "Unwanted",
        608 => "Rejected",
        100..200 => "Progress",
        200..300 => "OK",
        300..400 => "Redirected",
        400..500 => "Client Error",
        500..600 => "Server Error",
        _ => "Failure",
    }
}
