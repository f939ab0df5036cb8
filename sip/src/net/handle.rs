//! Commanding the endpoint from other threads.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use ipnet::IpNet;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use super::hep::{HepCounts, HepExporter};
use super::stream::{FailedConnection, Failures};
use super::tls::TlsConfig;
use crate::auth::User;
use crate::endpoint::{CallKey, Keys};
use crate::event::{AcceptFrom, Body, InviteRequest, ModifyAnswer};
use crate::limits;
use crate::message::Reason;
use crate::recovery::DialogSnapshot;
use crate::register::{Binding, Registration};
use crate::session::write_size;
use crate::shard::{self, CallIds};
use crate::stats::Stats;
use crate::trace::Trace;
use crate::transport::Destination;

/// The driver is behind with its commands, or has stopped. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the SIP command queue is full")]
pub struct QueueFull;

/// What the driver is told.
pub(super) enum Command {
    Invite(CallKey, Box<InviteRequest>),
    Cancel(CallKey, Option<Reason>),
    End(CallKey, Option<Reason>),
    Ring(CallKey, u16, Option<Body>),
    Answer(CallKey, Option<Body>),
    Reject(CallKey, u16, Vec<(String, String)>),
    RejectSaying(CallKey, u16, &'static str),
    RespondModify(CallKey, ModifyAnswer),
    Modify(CallKey, Option<Body>),
    Acknowledge(CallKey, Option<Body>),
    Info(CallKey, Body),
    Refer(CallKey, String, Option<CallKey>),
    /// A REFER with this Replaces value.
    ReferReplacing(CallKey, String, Vec<u8>),
    /// The first call's Replaces value is wanted in the REFER of the second, which is a call of the shard that has
    /// this queue.
    LendReplaces(CallKey, CallKey, String, mpsc::Sender<Command>),
    RespondRefer(CallKey, u16),
    NotifyRefer(CallKey, u16),
    Options(CallKey, Destination),
    ByeDialog(CallKey, Box<DialogSnapshot>, Option<Reason>),
    AcceptFrom(AcceptFrom),
    HepShares(Vec<(IpNet, u8)>),
    Register(CallKey, Box<Registration>),
    Unregister(CallKey),
    Users(Vec<User>),
    InviteUser(CallKey, String, Box<InviteRequest>),
    Lookup(String, oneshot::Sender<Vec<Binding>>),
    Trace(CallKey, oneshot::Sender<Option<Trace>>),
    TraceByCallId(String, oneshot::Sender<Option<Trace>>),
    Stop,
}

/// Commands the endpoint from any thread. Cheap to clone. A command about a call that has just ended is passed
/// over: its last event is on its way.
#[derive(Clone, Debug)]
pub struct SipHandle {
    /// By shard.
    lanes: Arc<[Lane]>,
    shared: Arc<Shared>,
}

/// The way to one shard.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) keys: Keys,
    /// Where its sockets are bound.
    pub(super) bound: Vec<SocketAddr>,
}

impl Lane {
    fn send(&self, command: Command) -> Result<(), QueueFull> {
        self.commands.try_send(command).map_err(|_| QueueFull)
    }

    fn send_new(&self, command: impl FnOnce(CallKey) -> Command) -> Result<CallKey, QueueFull> {
        let key = self.keys.next();
        self.send(command(key)).map(|()| key)
    }
}

/// How calls are spread over the shards.
#[derive(Debug)]
pub(super) enum Spread {
    /// Each has UDP ports of its own: in turn.
    InTurn(AtomicUsize),
    /// They share the ports, and answers find their shard by the Call-ID.
    ByCallId(CallIds),
}

/// What all handles of a driver share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) spread: Spread,
    /// There is a TCP socket.
    pub(super) has_tcp: bool,
    /// Where the UDP sockets of all shards are bound.
    pub(super) udp: Vec<SocketAddr>,
    /// The counters of the only shard, or the sums.
    pub(super) stats: Arc<Stats>,
    /// What is summed; empty: nothing.
    pub(super) summed: Vec<Arc<Stats>>,
    /// For the thread that reads a shared port.
    pub(super) accept_from: watch::Sender<AcceptFrom>,
    pub(super) tls: watch::Sender<Option<TlsConfig>>,
    pub(super) failures: Failures,
    pub(super) hep: Option<Arc<HepExporter>>,
}

impl SipHandle {
    pub(super) fn new(lanes: Vec<Lane>, shared: Shared) -> SipHandle {
        SipHandle { lanes: lanes.into(), shared: Arc::new(shared) }
    }

    fn lane(&self, shard: usize) -> Result<&Lane, QueueFull> {
        self.lanes.get(shard).ok_or(QueueFull)
    }

    /// To the shard of a key.
    fn send(&self, key: CallKey, command: Command) -> Result<(), QueueFull> {
        self.lane(shard::of_key(key, self.lanes.len()))?.send(command)
    }

    /// To every shard.
    fn send_all(&self, command: impl Fn() -> Command) -> Result<(), QueueFull> {
        self.lanes.iter().try_for_each(|lane| lane.send(command()))
    }

    /// Places a call. A request that cannot be sent ends with [`crate::Event::Failed`].
    pub fn invite(&self, mut request: InviteRequest) -> Result<CallKey, QueueFull> {
        let shard = if self.lanes.len() == 1 { 0 } else { self.shard_for(&mut request) };
        self.lane(shard)?.send_new(|key| Command::Invite(key, Box::new(request)))
    }

    /// Which of several shards places a call: shard 0 has the connections.
    fn shard_for(&self, request: &mut InviteRequest) -> usize {
        let by_stream = request.destination.transport.is_reliable();
        match &self.shared.spread {
            Spread::ByCallId(ids) => {
                let own = ids.shard(request.call_id.as_bytes());
                if own != 0 {
                    // Only shard 0 can go on by a connection, and answers by UDP do not come to it.
                    request.alternatives.retain(|place| place.transport.is_reliable() == by_stream);
                    request.large_by_tcp = false;
                }
                if by_stream { 0 } else { own }
            }
            Spread::InTurn(next) => {
                let large = request.large_by_tcp
                    && self.shared.has_tcp
                    && write_size(request) > limits::UDP_REQUEST_BYTES;
                let places = std::iter::once(&request.destination).chain(&request.alternatives);
                // A destination that names a socket wants its very port.
                let fixed = |place: &Destination| place.transport.is_reliable() || place.socket.is_some();
                match large || places.into_iter().any(fixed) {
                    true => 0,
                    false => next.fetch_add(1, Ordering::Relaxed) % self.lanes.len(),
                }
            }
        }
    }

    /// Gives a call up that is not answered; see [`crate::Endpoint::cancel`].
    pub fn cancel(&self, call: CallKey, reason: Option<Reason>) -> Result<(), QueueFull> {
        self.send(call, Command::Cancel(call, reason))
    }

    /// Ends a call, whatever its state.
    pub fn bye(&self, call: CallKey, reason: Option<Reason>) -> Result<(), QueueFull> {
        self.send(call, Command::End(call, reason))
    }

    /// Answers an incoming call provisionally.
    pub fn ring(&self, call: CallKey, status: u16, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(call, Command::Ring(call, status, body))
    }

    /// Answers an incoming call with 200.
    pub fn answer(&self, call: CallKey, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(call, Command::Answer(call, body))
    }

    /// Refuses an incoming call.
    pub fn reject(
        &self,
        call: CallKey,
        status: u16,
        headers: Vec<(String, String)>,
    ) -> Result<(), QueueFull> {
        self.send(call, Command::Reject(call, status, headers))
    }

    /// Refuses an incoming call with another reason phrase than the status usually has.
    pub fn reject_saying(&self, call: CallKey, status: u16, phrase: &'static str) -> Result<(), QueueFull> {
        self.send(call, Command::RejectSaying(call, status, phrase))
    }

    /// Answers [`crate::Event::Modify`].
    pub fn respond_modify(&self, call: CallKey, answer: ModifyAnswer) -> Result<(), QueueFull> {
        self.send(call, Command::RespondModify(call, answer))
    }

    /// Answers the offer of an answer; see [`crate::Endpoint::acknowledge`].
    pub fn acknowledge(&self, call: CallKey, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(call, Command::Acknowledge(call, body))
    }

    /// Changes an answered call; see [`crate::Endpoint::modify`].
    pub fn modify(&self, call: CallKey, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(call, Command::Modify(call, body))
    }

    /// Sends an INFO within an answered call.
    pub fn info(&self, call: CallKey, body: Body) -> Result<(), QueueFull> {
        self.send(call, Command::Info(call, body))
    }

    /// Transfers the peer of an answered call; see [`crate::Endpoint::refer`].
    pub fn refer(&self, call: CallKey, to: &str, replaces: Option<CallKey>) -> Result<(), QueueFull> {
        let shard = |key| shard::of_key(key, self.lanes.len());
        match replaces {
            Some(other) if shard(other) != shard(call) => {
                let lane = self.lane(shard(call))?.commands.clone();
                self.send(other, Command::LendReplaces(other, call, to.into(), lane))
            }
            _ => self.send(call, Command::Refer(call, to.into(), replaces)),
        }
    }

    /// Answers [`crate::Event::Refer`].
    pub fn respond_refer(&self, call: CallKey, status: u16) -> Result<(), QueueFull> {
        self.send(call, Command::RespondRefer(call, status))
    }

    /// Tells the peer of an accepted [`crate::Event::Refer`] how the new call goes.
    pub fn notify_refer(&self, call: CallKey, status: u16) -> Result<(), QueueFull> {
        self.send(call, Command::NotifyRefer(call, status))
    }

    /// Asks a trunk whether it is there.
    pub fn options(&self, destination: impl Into<Destination>) -> Result<CallKey, QueueFull> {
        let destination = destination.into();
        self.lane(0)?.send_new(|key| Command::Options(key, destination))
    }

    /// Ends a dialog that was stored before a crash.
    pub fn bye_dialog(&self, dialog: DialogSnapshot, reason: Option<Reason>) -> Result<CallKey, QueueFull> {
        // The carrier knows the call by the port that it was on.
        let owns = |lane: &Lane| dialog.bound.is_some_and(|bound| lane.bound.contains(&bound));
        let shard = match &self.shared.spread {
            _ if dialog.transport.is_reliable() => 0,
            Spread::ByCallId(ids) => ids.shard(dialog.call_id()),
            Spread::InTurn(_) => self.lanes.iter().position(owns).unwrap_or(0),
        };
        self.lane(shard)?.send_new(|key| Command::ByeDialog(key, Box::new(dialog), reason))
    }

    /// Changes who may start calls.
    pub fn set_accept_from(&self, accept_from: AcceptFrom) -> Result<(), QueueFull> {
        self.shared.accept_from.send_replace(accept_from.clone());
        self.send_all(|| Command::AcceptFrom(accept_from.clone()))
    }

    /// Registers us at a trunk; see [`crate::Endpoint::register`].
    pub fn register(&self, registration: Registration) -> Result<CallKey, QueueFull> {
        self.lane(0)?.send_new(|key| Command::Register(key, Box::new(registration)))
    }

    /// Takes our registration away; [`crate::RegistrationState::Unregistered`] follows.
    pub fn unregister(&self, registration: CallKey) -> Result<(), QueueFull> {
        self.send(registration, Command::Unregister(registration))
    }

    /// Replaces the registrar's users; see [`crate::Endpoint::set_users`].
    pub fn set_users(&self, users: Vec<User>) -> Result<(), QueueFull> {
        self.lane(0)?.send(Command::Users(users))
    }

    /// Calls a registered user; see [`crate::Endpoint::invite_user`]. Without a binding the call ends with
    /// [`crate::Event::Failed`].
    pub fn invite_user(&self, user: &str, request: InviteRequest) -> Result<CallKey, QueueFull> {
        self.lane(0)?.send_new(|key| Command::InviteUser(key, user.into(), Box::new(request)))
    }

    /// Where a user can be reached, the best first. Empty also when the driver has stopped.
    pub async fn lookup(&self, user: &str) -> Vec<Binding> {
        let (answer, wait) = oneshot::channel();
        match self.lane(0).and_then(|lane| lane.send(Command::Lookup(user.into(), answer))) {
            Ok(()) => wait.await.unwrap_or_default(),
            Err(QueueFull) => Vec::new(),
        }
    }

    /// Gives addresses a share of their own of what is copied to the HEP collector, in per cent.
    pub fn set_hep_shares(&self, shares: Vec<(IpNet, u8)>) -> Result<(), QueueFull> {
        self.send_all(|| Command::HepShares(shares.clone()))
    }

    /// The messages of a call that runs or has just ended.
    pub async fn trace(&self, call: CallKey) -> Option<Trace> {
        let (answer, wait) = oneshot::channel();
        self.send(call, Command::Trace(call, answer)).ok()?;
        wait.await.ok()?
    }

    /// As `trace`, by Call-ID.
    pub async fn trace_by_call_id(&self, call_id: &str) -> Option<Trace> {
        for lane in self.lanes.iter() {
            let (answer, wait) = oneshot::channel();
            lane.send(Command::TraceByCallId(call_id.into(), answer)).ok()?;
            if let Some(trace) = wait.await.ok()? {
                return Some(trace);
            }
        }
        None
    }

    /// The counters, of all shards together. What the kernel dropped is read now.
    pub fn stats(&self) -> &Stats {
        let Shared { stats, summed, .. } = &*self.shared;
        if !summed.is_empty() {
            stats.set_sums(summed);
        }
        if let Some(drops) = super::kernel::receive_drops(&self.shared.udp) {
            stats.dropped_receive_buffer.set(drops);
        }
        stats
    }

    /// What was copied to the HEP collector; none without one.
    pub fn hep_counts(&self) -> Option<HepCounts> {
        self.shared.hep.as_ref().map(|exporter| exporter.counts())
    }

    /// Where the sockets are bound, in the order of the configuration; of several shards, those of the first.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        self.shard_addresses(0)
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.lanes.len()
    }

    /// As `local_addresses`, of any shard; empty when there is no such shard. Connections are the first one's.
    pub fn shard_addresses(&self, shard: usize) -> &[SocketAddr] {
        self.lanes.get(shard).map_or(&[], |lane| &lane.bound)
    }

    /// Replaces the certificates: new connections have the new ones, those that are there go on.
    pub fn set_tls(&self, tls: TlsConfig) {
        self.shared.tls.send_replace(Some(tls));
    }

    /// The last connections of ours that could not be made, or that broke, the newest last.
    pub fn failed_connections(&self) -> Vec<FailedConnection> {
        let failures = self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().cloned().collect()
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        let waiting = |lane: &Lane| lane.commands.max_capacity() - lane.commands.capacity();
        self.lanes.iter().map(waiting).sum()
    }

    /// Stops the driver: sockets are closed, then the events end. Calls are not ended by this.
    pub fn stop(&self) {
        // A full queue is drained in milliseconds; the driver also stops when the last handle is gone.
        for lane in self.lanes.iter() {
            while let Err(mpsc::error::TrySendError::Full(_)) = lane.commands.try_send(Command::Stop) {
                std::thread::yield_now();
            }
        }
    }
}
