//! Our caller and our answerer, each as a process of its own.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use kraliki_sip::net::{EventReceiver, Listen, NetConfig, SipHandle, start};
use kraliki_sip::{AcceptFrom, Body, CallIdKey, EndedBy, EndpointConfig, Event, InviteRequest};
use kraliki_time::Clock;
use serde::{Deserialize, Serialize};

use crate::cpu::resident;
use crate::process::{tell, until_told};

const CALLER_SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                          m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
                          a=rtpmap:101 telephone-event/8000\r\n";
const ANSWERER_SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                            m=audio 40002 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
                            a=rtpmap:101 telephone-event/8000\r\n";
/// A caller gives up on calls that are not over so long after the last INVITE: longer than Timer B and F (32 s).
const GIVE_UP: Duration = Duration::from_secs(40);
/// How often a caller looks which calls are due: SIPp's timer has the same resolution.
const TICK: Duration = Duration::from_millis(10);

/// Places calls at a rate and hangs up at once; reports [`Placed`] at the end.
#[derive(Args)]
pub(crate) struct Uac {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    calls: u64,
    /// Hangs up so long after the answer, in ms
    #[arg(long, default_value_t = 0)]
    hold_ms: u64,
    /// Where the Request-URI points, when the calls go by a proxy
    #[arg(long)]
    target: Option<SocketAddr>,
}

/// What a caller saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// Answered, and ended by us.
    pub(crate) complete: u64,
    pub(crate) failed: u64,
    /// Messages that were sent again.
    pub(crate) retransmitted: u64,
    pub(crate) seconds: f64,
    /// Most calls at once, and what each took of this process' memory, in bytes.
    pub(crate) at_once: u64,
    pub(crate) bytes_each: f64,
}

/// Answers calls; reports its address, and [`Taken`] at the end.
#[derive(Args)]
pub(crate) struct Uas {}

/// What an answerer saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) ended: u64,
    pub(crate) retransmitted: u64,
    /// From our 200 to its ACK, as the owner sees both: 99 of 100 within this, in ms.
    pub(crate) ack_ms_p99: f64,
}

/// How many waits were how long, in a tenth of a millisecond up to a second: the same memory for any number.
struct Waits(Vec<u64>);

impl Waits {
    fn new() -> Waits {
        Waits(vec![0; 10_001])
    }

    fn add(&mut self, wait: Duration) {
        let tenths = usize::try_from(wait.as_micros() / 100).unwrap_or(usize::MAX);
        let last = self.0.len() - 1;
        if let Some(count) = self.0.get_mut(tenths.min(last)) {
            *count += 1;
        }
    }

    /// 99 of 100 are not longer, in ms.
    fn p99_ms(&self) -> f64 {
        let all: u64 = self.0.iter().sum();
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += count;
            seen * 100 >= all * 99
        });
        found.map_or(0.0, |tenths| (tenths + 1) as f64 / 10.0)
    }
}

fn endpoint(accept_from: AcceptFrom, clock: Clock) -> anyhow::Result<(SipHandle, EventReceiver)> {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
    // Recent messages are kept, as in the dialer.
    let config = EndpointConfig { accept_from, ..EndpointConfig::default() };
    Ok(start(net, config, clock, [7; 32])?)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

impl Uac {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let clock = Clock::start();
        let (sip, events) = endpoint(AcceptFrom::Only(vec![self.to.ip().into()]), clock)?;
        let placed = runtime()?.block_on(self.call(&sip, events, clock))?;
        tell(&placed)?;
        sip.stop();
        Ok(())
    }

    async fn call(&self, sip: &SipHandle, mut events: EventReceiver, clock: Clock) -> anyhow::Result<Placed> {
        let hold = Duration::from_millis(self.hold_ms);
        let mut held = VecDeque::new();
        let empty = resident(std::process::id())?;
        let mut ids = [0; 32];
        ids.iter_mut().zip(clock.unix_ms().to_le_bytes()).for_each(|(id, byte)| *id = byte);
        let ids = CallIdKey::new(&ids);
        let mut placed = Placed::default();
        let mut begun = 0;
        let began = clock.now();
        let lasts = Duration::from_secs_f64(self.calls as f64 / self.rate as f64) + hold + GIVE_UP;
        let host = self.target.unwrap_or(self.to);
        let mut tick = tokio::time::interval(TICK);
        while placed.complete + placed.failed < self.calls && clock.now().since(began) < lasts {
            tokio::select! {
                _ = tick.tick() => {
                    let due = (clock.now().since(began).as_secs_f64() * self.rate as f64) as u64 + 1;
                    while begun < self.calls.min(due) {
                        let uri = format!("sip:+1555{begun:07}@{host}");
                        let mut request = InviteRequest::new(self.to, &uri, &ids.make(begun, 1));
                        request.from_user = "+15550100".into();
                        request.body = Some(Body::sdp(CALLER_SDP));
                        // A full queue: the call is placed a tick later.
                        if sip.invite(request).is_err() {
                            break;
                        }
                        begun += 1;
                    }
                    let now = clock.now();
                    while held.front().is_some_and(|(at, _)| *at <= now) {
                        // When the queue is full the call is ended a tick later.
                        let Some((at, call)) = held.pop_front() else { break };
                        if sip.bye(call, None).is_err() {
                            held.push_front((at, call));
                            break;
                        }
                    }
                    let at_once = held.len() as u64;
                    if at_once > placed.at_once {
                        placed.at_once = at_once;
                        placed.bytes_each = resident(std::process::id())?.saturating_sub(empty) as f64 / at_once as f64;
                    }
                }
                event = events.recv() => match event {
                    Some((at, Event::Answered { call, .. })) if !hold.is_zero() => held.push_back((at + hold, call)),
                    Some((_, Event::Answered { call, .. })) => drop(sip.bye(call, None)),
                    Some((_, Event::Ended { by: EndedBy::Local, .. })) => placed.complete += 1,
                    Some((_, Event::Ended { .. } | Event::Failed { .. })) => placed.failed += 1,
                    Some(_) => {}
                    None => break,
                },
            }
        }
        placed.seconds = clock.now().since(began).as_secs_f64();
        placed.failed = self.calls - placed.complete;
        placed.retransmitted = sip.stats().retransmitted.get();
        Ok(placed)
    }
}

impl Uas {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (sip, mut events) = endpoint(AcceptFrom::Any, Clock::start())?;
        tell(&sip.local_addresses().first())?;
        let stopper = sip.clone();
        std::thread::spawn(move || {
            until_told();
            stopper.stop();
        });
        let mut taken = Taken::default();
        let (mut answered, mut waits) = (HashMap::new(), Waits::new());
        runtime()?.block_on(async {
            while let Some((at, event)) = events.recv().await {
                match event {
                    Event::Incoming { call, .. } => {
                        let _ = sip.ring(call, 180, None);
                        let _ = sip.answer(call, Some(Body::sdp(ANSWERER_SDP)));
                        answered.insert(call, at);
                    }
                    Event::Acknowledged { call, .. } => {
                        if let Some(since) = answered.remove(&call) {
                            waits.add(at.since(since));
                        }
                    }
                    Event::Ended { .. } => taken.ended += 1,
                    _ => {}
                }
            }
        });
        taken.retransmitted = sip.stats().retransmitted.get();
        taken.ack_ms_p99 = waits.p99_ms();
        tell(&taken)
    }
}
