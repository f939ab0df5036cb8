//! Commanding the endpoint from other threads.

use std::net::SocketAddr;
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
use crate::message::Reason;
use crate::recovery::DialogSnapshot;
use crate::register::{Binding, Registration};
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
    RespondModify(CallKey, ModifyAnswer),
    Modify(CallKey, Option<Body>),
    Acknowledge(CallKey, Option<Body>),
    Info(CallKey, Body),
    Refer(CallKey, String, Option<CallKey>),
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
    commands: mpsc::Sender<Command>,
    keys: Keys,
    stats: Arc<Stats>,
    shared: Arc<Shared>,
}

/// What all handles of a driver share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where the sockets are bound.
    pub(super) bound: Vec<SocketAddr>,
    /// Those of them that are UDP's.
    pub(super) udp: Vec<SocketAddr>,
    pub(super) tls: watch::Sender<Option<TlsConfig>>,
    pub(super) failures: Failures,
    pub(super) hep: Option<Arc<HepExporter>>,
}

impl SipHandle {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        keys: Keys,
        stats: Arc<Stats>,
        shared: Shared,
    ) -> SipHandle {
        SipHandle { commands, keys, stats, shared: Arc::new(shared) }
    }

    fn send(&self, command: Command) -> Result<(), QueueFull> {
        self.commands.try_send(command).map_err(|_| QueueFull)
    }

    /// Places a call. A request that cannot be sent ends with [`crate::Event::Failed`].
    pub fn invite(&self, request: InviteRequest) -> Result<CallKey, QueueFull> {
        let key = self.keys.next();
        self.send(Command::Invite(key, Box::new(request))).map(|()| key)
    }

    /// Gives a call up that is not answered; see [`crate::Endpoint::cancel`].
    pub fn cancel(&self, call: CallKey, reason: Option<Reason>) -> Result<(), QueueFull> {
        self.send(Command::Cancel(call, reason))
    }

    /// Ends a call, whatever its state.
    pub fn bye(&self, call: CallKey, reason: Option<Reason>) -> Result<(), QueueFull> {
        self.send(Command::End(call, reason))
    }

    /// Answers an incoming call provisionally.
    pub fn ring(&self, call: CallKey, status: u16, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(Command::Ring(call, status, body))
    }

    /// Answers an incoming call with 200.
    pub fn answer(&self, call: CallKey, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(Command::Answer(call, body))
    }

    /// Refuses an incoming call.
    pub fn reject(
        &self,
        call: CallKey,
        status: u16,
        headers: Vec<(String, String)>,
    ) -> Result<(), QueueFull> {
        self.send(Command::Reject(call, status, headers))
    }

    /// Answers [`crate::Event::Modify`].
    pub fn respond_modify(&self, call: CallKey, answer: ModifyAnswer) -> Result<(), QueueFull> {
        self.send(Command::RespondModify(call, answer))
    }

    /// Answers the offer of an answer; see [`crate::Endpoint::acknowledge`].
    pub fn acknowledge(&self, call: CallKey, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(Command::Acknowledge(call, body))
    }

    /// Changes an answered call; see [`crate::Endpoint::modify`].
    pub fn modify(&self, call: CallKey, body: Option<Body>) -> Result<(), QueueFull> {
        self.send(Command::Modify(call, body))
    }

    /// Sends an INFO within an answered call.
    pub fn info(&self, call: CallKey, body: Body) -> Result<(), QueueFull> {
        self.send(Command::Info(call, body))
    }

    /// Transfers the peer of an answered call; see [`crate::Endpoint::refer`].
    pub fn refer(&self, call: CallKey, to: &str, replaces: Option<CallKey>) -> Result<(), QueueFull> {
        self.send(Command::Refer(call, to.into(), replaces))
    }

    /// Answers [`crate::Event::Refer`].
    pub fn respond_refer(&self, call: CallKey, status: u16) -> Result<(), QueueFull> {
        self.send(Command::RespondRefer(call, status))
    }

    /// Tells the peer of an accepted [`crate::Event::Refer`] how the new call goes.
    pub fn notify_refer(&self, call: CallKey, status: u16) -> Result<(), QueueFull> {
        self.send(Command::NotifyRefer(call, status))
    }

    /// Asks a trunk whether it is there.
    pub fn options(&self, destination: impl Into<Destination>) -> Result<CallKey, QueueFull> {
        let key = self.keys.next();
        self.send(Command::Options(key, destination.into())).map(|()| key)
    }

    /// Ends a dialog that was stored before a crash.
    pub fn bye_dialog(&self, dialog: DialogSnapshot, reason: Option<Reason>) -> Result<CallKey, QueueFull> {
        let key = self.keys.next();
        self.send(Command::ByeDialog(key, Box::new(dialog), reason)).map(|()| key)
    }

    /// Changes who may start calls.
    pub fn set_accept_from(&self, accept_from: AcceptFrom) -> Result<(), QueueFull> {
        self.send(Command::AcceptFrom(accept_from))
    }

    /// Registers us at a trunk; see [`crate::Endpoint::register`].
    pub fn register(&self, registration: Registration) -> Result<CallKey, QueueFull> {
        let key = self.keys.next();
        self.send(Command::Register(key, Box::new(registration))).map(|()| key)
    }

    /// Takes our registration away; [`crate::RegistrationState::Unregistered`] follows.
    pub fn unregister(&self, registration: CallKey) -> Result<(), QueueFull> {
        self.send(Command::Unregister(registration))
    }

    /// Replaces the registrar's users; see [`crate::Endpoint::set_users`].
    pub fn set_users(&self, users: Vec<User>) -> Result<(), QueueFull> {
        self.send(Command::Users(users))
    }

    /// Calls a registered user; see [`crate::Endpoint::invite_user`]. Without a binding the call ends with
    /// [`crate::Event::Failed`].
    pub fn invite_user(&self, user: &str, request: InviteRequest) -> Result<CallKey, QueueFull> {
        let key = self.keys.next();
        self.send(Command::InviteUser(key, user.into(), Box::new(request))).map(|()| key)
    }

    /// Where a user can be reached, the best first. Empty also when the driver has stopped.
    pub async fn lookup(&self, user: &str) -> Vec<Binding> {
        let (answer, wait) = oneshot::channel();
        match self.send(Command::Lookup(user.into(), answer)) {
            Ok(()) => wait.await.unwrap_or_default(),
            Err(QueueFull) => Vec::new(),
        }
    }

    /// Gives addresses a share of their own of what is copied to the HEP collector, in per cent.
    pub fn set_hep_shares(&self, shares: Vec<(IpNet, u8)>) -> Result<(), QueueFull> {
        self.send(Command::HepShares(shares))
    }

    /// The messages of a call that runs or has just ended.
    pub async fn trace(&self, call: CallKey) -> Option<Trace> {
        let (answer, wait) = oneshot::channel();
        self.send(Command::Trace(call, answer)).ok()?;
        wait.await.ok()?
    }

    /// As `trace`, by Call-ID.
    pub async fn trace_by_call_id(&self, call_id: &str) -> Option<Trace> {
        let (answer, wait) = oneshot::channel();
        self.send(Command::TraceByCallId(call_id.into(), answer)).ok()?;
        wait.await.ok()?
    }

    /// The counters. What the kernel dropped is read now.
    pub fn stats(&self) -> &Stats {
        if let Some(drops) = super::kernel::receive_drops(&self.shared.udp) {
            self.stats.dropped_receive_buffer.set(drops);
        }
        &self.stats
    }

    /// What was copied to the HEP collector; none without one.
    pub fn hep_counts(&self) -> Option<HepCounts> {
        self.shared.hep.as_ref().map(|exporter| exporter.counts())
    }

    /// Where the sockets are bound, in the order of the configuration.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.shared.bound
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
        self.commands.max_capacity() - self.commands.capacity()
    }

    /// Stops the driver: sockets are closed, then the events end. Calls are not ended by this.
    pub fn stop(&self) {
        // A full queue is drained in milliseconds; the driver also stops when the last handle is gone.
        while let Err(mpsc::error::TrySendError::Full(_)) = self.commands.try_send(Command::Stop) {
            std::thread::yield_now();
        }
    }
}
