//! The media as its user sees it: start it, open legs, bridge them, hear what happens.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, TrySendError, bounded};
use kraliki_time::Clock;
use kraliki_udp::Poller;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use socket2::{Domain, Protocol, Socket, Type};

use super::command::{Command, Inbox, ToLeg};
use super::config::{BrowserPorts, MediaConfig, TrunkOptions};
use super::ports::PortPool;
use super::shard::{Parts, Shard};
use super::stats::MediaStats;
use super::sys::raise_open_files;
use super::tcp::Streams;
use crate::audio::Audio;
use crate::detect::Detector;
use crate::dtmf::Digit;
use crate::error::{MediaError, StartError};
use crate::event::{LegId, MediaEvent};
use crate::leg::{Leg, Role};
use crate::limits::{
    DIGITS, EVENTS, REPLY_TIMEOUT, SHARD_LEGS, SHARDS, SHARED_RECEIVE_BUFFER_BYTES, SPARE_FILES, STREAMS,
};
use crate::record::Tap;
use crate::relay::Supervision;
use crate::sdp::{AudioCodec, Negotiated};
use crate::webrtc::{BrowserConfig, BrowserTransport, Identity, OfferError};

/// Starts the media.
#[derive(Debug)]
pub struct Media;

/// A plain RTP leg that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpLeg {
    /// Its name.
    pub id: LegId,
    /// Where far ends send RTP; RTCP goes to the next port.
    pub rtp: SocketAddr,
}

/// Why a browser's session was not opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The browser's description is at fault.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The media is at fault.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The configuration has no ports for browsers.
    #[error("no ports for browsers are configured")]
    NoBrowserPorts,
}

/// Takes an event, or gives it back while there is no room for it.
pub type Tell = Arc<dyn Fn(MediaEvent) -> Option<MediaEvent> + Send + Sync>;

/// Gives commands to the media; cheap to clone, and used from any thread. A command returns at once, before it is done;
/// the commands of one leg are done in their order. A leg that is opened must be closed, also after it is down.
#[derive(Clone)]
pub struct MediaHandle {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    inboxes: Arc<[Inbox]>,
    pool: Arc<PortPool>,
    /// Each shard's addresses for browsers.
    candidates: Vec<Vec<SocketAddr>>,
    browser_codecs: Vec<AudioCodec>,
    /// Whether these take TCP as well.
    tcp: bool,
    identity: Option<Arc<Identity>>,
    rng: Mutex<StdRng>,
    legs: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Media {
    /// Opens the ports and starts the shards. Everything that happens comes from the receiver, which must be read: its
    /// queue is bounded. When it is full, the answers to [`MediaHandle::request_counters`] are dropped and counted;
    /// every other event waits in its shard, in order.
    pub fn start(config: MediaConfig) -> Result<(MediaHandle, Receiver<MediaEvent>), StartError> {
        let (events, receiver) = bounded(EVENTS);
        let tell = move |event| match events.try_send(event) {
            Err(TrySendError::Full(event)) => Some(event),
            // Nobody listens any more: the media is shutting down.
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        };
        Media::start_telling(config, Arc::new(tell)).map(|media| (media, receiver))
    }

    /// As [`Media::start`], for a reader that has a queue of its own: each shard tells its events by `tell`, which must
    /// not wait and gives an event back while there is no room for it.
    pub fn start_telling(config: MediaConfig, tell: Tell) -> Result<MediaHandle, StartError> {
        let directs = check(&config)?;
        let pool = Arc::new(PortPool::open(&config.interfaces, &config.ports, directs)?);
        let mut rng = StdRng::from_seed(config.seed);
        let (inboxes, commands): (Vec<_>, Vec<_>) =
            (0..config.shards).map(|_| Inbox::new()).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let inboxes: Arc<[Inbox]> = inboxes.into();
        let identity = match &config.browsers {
            Some(_) => Some(Arc::new(Identity::generate(&config.clock)?)),
            None => None,
        };
        let mut candidates = Vec::new();
        let mut shards = Vec::new();
        for (index, commands) in commands.into_iter().enumerate() {
            let (shared, streams) = match &config.browsers {
                Some(ports) => {
                    open_browsers(ports, index).map(|(udp, tcp)| (Some(udp), tcp.map(Streams::new)))?
                }
                None => (None, None),
            };
            let port = shared.as_ref().and_then(|s| s.local_addr().ok()).map_or(0, |a| a.port());
            let browsers = config.browsers.iter().flat_map(|ports| &ports.candidates);
            candidates.push(browsers.map(|ip| SocketAddr::new(*ip, port)).collect());
            let inbox = inboxes.get(index).ok_or(StartError::Config("shards"))?;
            shards.push(Shard::new(Parts {
                index,
                clock: config.clock,
                batch: config.batch,
                poller: Poller::new(&inbox.waker)?,
                inboxes: Arc::clone(&inboxes),
                commands,
                tell: Arc::clone(&tell),
                pool: Arc::clone(&pool),
                shared,
                streams,
                rng: StdRng::from_seed(rng.random()),
            }));
        }
        let inner = Inner {
            clock: config.clock,
            inboxes,
            pool,
            candidates,
            tcp: config.browsers.as_ref().is_some_and(|ports| ports.tcp),
            browser_codecs: config.browsers.map_or(Vec::new(), |ports| ports.codecs),
            identity,
            rng: Mutex::new(rng),
            legs: AtomicU64::new(1),
            threads: Mutex::new(Vec::new()),
        };
        // From here on a failure ends the shards that run, by the drop of `inner`.
        for (index, shard) in shards.into_iter().enumerate() {
            let thread =
                std::thread::Builder::new().name(format!("media-{index}")).spawn(move || shard.run())?;
            inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(MediaHandle { inner: Arc::new(inner) })
    }
}

impl MediaHandle {
    /// Opens a leg for a call. Its ports are taken from the pool, so this is quick; without a free pair the call must
    /// not be dialed.
    pub fn open_trunk_leg(&self, options: &TrunkOptions) -> Result<RtpLeg, MediaError> {
        self.open_plain(Role::Trunk, options)
    }

    /// Opens a plain RTP leg for an agent: a SIP phone, or a simulated agent.
    pub fn open_rtp_leg(&self, options: &TrunkOptions) -> Result<RtpLeg, MediaError> {
        self.open_plain(Role::Agent, options)
    }

    /// Opens a leg for an agent's browser: the leg, and the SDP that answers its offer. This takes well under a
    /// millisecond and waits for nobody.
    pub fn open_browser_leg(&self, offer: &str) -> Result<(LegId, String), BrowserError> {
        let identity = self.inner.identity.as_ref().ok_or(BrowserError::NoBrowserPorts)?;
        let (shard, inbox) = self.emptiest()?;
        let (ssrc, mut rng) = {
            let mut rng = self.rng();
            (rng.random(), StdRng::from_seed(rng.random()))
        };
        let candidates = self.inner.candidates.get(shard).cloned().unwrap_or_default();
        let config = BrowserConfig {
            identity: Arc::clone(identity),
            codecs: self.inner.browser_codecs.clone(),
            tcp_candidates: if self.inner.tcp { candidates.clone() } else { Vec::new() },
            candidates,
            ssrc,
            cname: format!("{:016x}", rng.random::<u64>()),
        };
        let now = self.inner.clock.now();
        let (transport, answer) = BrowserTransport::accept(now, offer.as_bytes(), config, &mut rng)?;
        let id = self.next_id(shard);
        let leg = Box::new(Leg::browser(id, ssrc, transport, &mut rng));
        inbox.stats.count_legs(1);
        if let Err((error, _)) = inbox.send(Command::Open { leg, pair: None }) {
            inbox.stats.count_legs(-1);
            return Err(error.into());
        }
        Ok((id, answer))
    }

    /// Answers a browser's PATCH: new ICE credentials restart ICE, candidates need no answer (`None`). It waits for the
    /// leg's shard, 2 ms as a rule and a second at most; async code calls it where it may block.
    pub fn restart_browser_leg(&self, leg: LegId, body: &[u8]) -> Result<Option<String>, BrowserError> {
        let (reply, answer) = bounded(1);
        self.send(leg, ToLeg::Restart { body: body.into(), reply })?;
        match answer.recv_timeout(REPLY_TIMEOUT) {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(MediaError::NoReply.into()),
        }
    }

    /// What was agreed with a plain leg's far end, at first or by a re-INVITE. Audio flows from here on.
    pub fn set_remote(&self, leg: LegId, agreed: Negotiated) -> Result<(), MediaError> {
        self.send(leg, ToLeg::SetRemote(Box::new(agreed)))
    }

    /// Has a detector listen to a leg until it is done, and some seconds past the answer of one that is bridged:
    /// [`MediaEvent::Detected`] follows for all that it hears, and keys that come as tones from far ends that send no events. The answer is told by
    /// [`MediaHandle::answered`]; another description from the far end begins a new stream.
    pub fn listen(&self, leg: LegId, detector: Detector) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Listen(Box::new(detector)))
    }

    /// Gives a recording all that a leg's far end says from now on, in place of the recording before. It is heard by
    /// whoever it is bridged to; nothing is recorded of who is muted or on hold.
    pub fn record(&self, leg: LegId, tap: Tap) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Record(Box::new(tap)))
    }

    /// Records nothing more of a leg. Closing it says the same.
    pub fn stop_recording(&self, leg: LegId) -> Result<(), MediaError> {
        self.send(leg, ToLeg::StopRecording)
    }

    /// Mixes sound into what a leg hears from now on, once: the beep of a recorded call.
    pub fn beep(&self, leg: LegId, beep: Arc<Audio>) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Beep(beep))
    }

    /// The call is answered: from now on its RTP time-out counts, and who listens decides who answered. Bridging says
    /// the same.
    pub fn answered(&self, leg: LegId) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Answered)
    }

    /// Lets a call and an agent hear each other; whoever they were bridged to before is parted. With `beep` the agent
    /// hears one in the call's first packets.
    pub fn bridge(&self, trunk: LegId, agent: LegId, beep: bool) -> Result<(), MediaError> {
        self.send(trunk, ToLeg::Bridge { agent, beep })
    }

    /// Parts a leg from the one it is bridged to.
    pub fn unbridge(&self, leg: LegId) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Unbridge)
    }

    /// Plays sound to a leg, instead of its peer if it is bridged. Once, [`MediaEvent::PlayDone`] follows; looped, it
    /// plays until it is stopped, bridged or closed.
    pub fn play(&self, leg: LegId, audio: Arc<Audio>, looped: bool) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Play { audio, looped })
    }

    /// Stops what is played to a leg.
    pub fn stop(&self, leg: LegId) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Stop)
    }

    /// Sends keys to a leg's far end, after those that wait; what is beyond 64 at once is cut.
    pub fn send_dtmf(&self, leg: LegId, digits: &[Digit]) -> Result<(), MediaError> {
        let digits = digits.get(..DIGITS).unwrap_or(digits);
        self.send(leg, ToLeg::SendDigits(digits.into()))
    }

    /// Holds a call: nothing is passed either way, it does not time out, and music may be played to it.
    pub fn hold(&self, trunk: LegId, held: bool) -> Result<(), MediaError> {
        self.send(trunk, ToLeg::Hold(held))
    }

    /// Does not pass on what a leg says.
    pub fn mute(&self, leg: LegId, muted: bool) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Mute(muted))
    }

    /// Has a supervisor follow an agent's leg and hear whatever call it has, and be heard as `how` says; said again, it
    /// changes that. Whom it followed before it leaves. The parties notice nothing but what is said to them. A call is
    /// decoded and mixed while it is followed. An agent who has fourteen supervisors takes no more.
    pub fn supervise(&self, supervisor: LegId, agent: LegId, how: Supervision) -> Result<(), MediaError> {
        self.send(supervisor, ToLeg::Supervise { agent, how })
    }

    /// Has a supervisor follow nobody any more.
    pub fn stop_supervising(&self, supervisor: LegId) -> Result<(), MediaError> {
        self.send(supervisor, ToLeg::StopSupervising)
    }

    /// Asks for a leg's counters; they come as [`MediaEvent::Counters`].
    pub fn request_counters(&self, leg: LegId) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Counters)
    }

    /// Asks how the bridged calls are heard; each shard that has any tells it as [`MediaEvent::Bridges`].
    pub fn bridges(&self) {
        for inbox in self.inner.inboxes.iter() {
            // A shard that is behind has more urgent things to tell.
            let _ = inbox.send(Command::Bridges);
        }
    }

    /// Closes a leg and parts it from its peer. [`MediaEvent::LegEnded`] follows.
    pub fn close(&self, leg: LegId) -> Result<(), MediaError> {
        self.send(leg, ToLeg::Close)
    }

    /// The state of the media, for metrics.
    pub fn stats(&self) -> MediaStats {
        MediaStats {
            shards: self.inner.inboxes.iter().map(|inbox| inbox.stats.read()).collect(),
            ports: self.inner.pool.stats(self.inner.clock.now()),
        }
    }

    /// Closes every leg, ends the threads and waits for them. Commands fail from then on.
    pub fn shutdown(&self) {
        self.inner.stop();
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a media thread has panicked");
            }
        }
    }

    fn open_plain(&self, role: Role, options: &TrunkOptions) -> Result<RtpLeg, MediaError> {
        let (shard, inbox) = self.emptiest()?;
        let now = self.inner.clock.now();
        let pair = self.inner.pool.take(now, options.interface)?;
        let id = self.next_id(shard);
        let rtp = pair.advertised;
        let leg = Box::new(Leg::plain(id, role, options.learn, options.rtp_timeout, &mut *self.rng()));
        inbox.stats.count_legs(1);
        match inbox.send(Command::Open { leg, pair: Some(Box::new(pair)) }) {
            Ok(()) => Ok(RtpLeg { id, rtp }),
            Err((error, command)) => {
                inbox.stats.count_legs(-1);
                if let Command::Open { pair: Some(pair), .. } = command {
                    self.inner.pool.give(now, *pair);
                }
                Err(error)
            }
        }
    }

    /// The shard with the fewest legs.
    fn emptiest(&self) -> Result<(usize, &Inbox), MediaError> {
        let shards = self.inner.inboxes.iter().enumerate();
        let (shard, inbox) = shards.min_by_key(|(_, inbox)| inbox.stats.legs()).ok_or(MediaError::Stopped)?;
        if inbox.stats.legs() >= SHARD_LEGS as u64 {
            return Err(MediaError::Full);
        }
        Ok((shard, inbox))
    }

    fn next_id(&self, shard: usize) -> LegId {
        LegId::new(self.inner.legs.fetch_add(1, Ordering::Relaxed), shard)
    }

    fn rng(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.inner.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, leg: LegId, command: ToLeg) -> Result<(), MediaError> {
        let inbox = self.inner.inboxes.get(leg.home()).ok_or(MediaError::Stopped)?;
        inbox.send(Command::Leg(leg, command)).map_err(|(error, _)| error)
    }
}

impl fmt::Debug for MediaHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaHandle").field("shards", &self.inner.inboxes.len()).finish_non_exhaustive()
    }
}

impl Inner {
    fn stop(&self) {
        for inbox in &*self.inboxes {
            // A queue that is full now is empty in a moment; one that is gone needs no end.
            let mut command = Command::Shutdown;
            while let Err((MediaError::Busy, back)) = inbox.send(command) {
                command = back;
                std::thread::yield_now();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Gives how many direct sockets the limit of open files has room for.
fn check(config: &MediaConfig) -> Result<u64, StartError> {
    if !(1..=SHARDS).contains(&config.shards) {
        return Err(StartError::Config("the number of shards must be 1 to 64"));
    }
    if config.interfaces.is_empty() {
        return Err(StartError::Config("there is no interface to listen on"));
    }
    if config.ports.is_empty() || *config.ports.start() == 0 {
        return Err(StartError::Config("the range of RTP ports is empty"));
    }
    if config.batch.is_zero() || config.batch.as_millis() > 20 {
        return Err(StartError::Config("the batch interval must be above zero and at most 20 ms"));
    }
    if config.browsers.as_ref().is_some_and(|browsers| browsers.candidates.is_empty()) {
        return Err(StartError::Config("browsers need at least one candidate address"));
    }
    let ports = u64::from(config.ports.end() - config.ports.start()) + 1;
    let streams = if config.browsers.as_ref().is_some_and(|b| b.tcp) { config.shards * STREAMS } else { 0 };
    let ports = ports * config.interfaces.len() as u64;
    let needed = ports + streams as u64 + SPARE_FILES;
    // One for each pair, if there may be.
    let allowed = raise_open_files(needed + ports / 2);
    if allowed < needed {
        return Err(StartError::OpenFiles { needed, allowed });
    }
    Ok((allowed - needed).min(ports / 2))
}

/// Tries to find a port that is free for both UDP and TCP, where any will do.
const ANY_PORT_TRIES: usize = 16;

/// The sockets of a shard's browsers: one port, for UDP and, where it is wanted, TCP.
fn open_browsers(ports: &BrowserPorts, shard: usize) -> Result<(UdpSocket, Option<TcpListener>), StartError> {
    let address = ports.address(shard);
    let open = || -> io::Result<_> {
        let udp = open_udp(address)?;
        let tcp = if ports.tcp { Some(open_tcp(udp.local_addr()?)?) } else { None };
        Ok((udp, tcp))
    };
    let mut opened = open();
    for _ in 1..ANY_PORT_TRIES {
        match &opened {
            // The port that the system chose may be somebody's for TCP.
            Err(error) if address.port() == 0 && error.kind() == ErrorKind::AddrInUse => opened = open(),
            _ => break,
        }
    }
    opened.map_err(|source| StartError::Browsers { address, source })
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // IPv4 browsers come by it, too.
        socket.set_only_v6(false)?;
    }
    // The kernel gives what net.core.rmem_max allows.
    socket.set_recv_buffer_size(SHARED_RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from(socket))
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Connections of the process before may still be dying.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(TcpListener::from(socket))
}
