//! Places calls at a rate and prints what became of them as one line of JSON.
//!
//! `call DESTINATION [--calls N] [--rate PER_SECOND] [--hold-ms MS] [--ring-ms MS] [--digest USER:PASSWORD]
//! [--bind ADDRESS] [--tick-ms MS]`. New calls are placed every `--tick-ms`; one that is not answered within `--ring-ms`
//! is cancelled.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kraliki_sip::net::{Listen, NetConfig, start};
use kraliki_sip::{
    AcceptFrom, Body, CallIdKey, CallKey, Credentials, EndedBy, EndpointConfig, Event, Failure,
    InviteRequest, ModifyAnswer, Scheme,
};
use kraliki_time::{Clock, Time};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

fn main() {
    let mut args = std::env::args().skip(1);
    let destination: SocketAddr = args.next().and_then(|a| a.parse().ok()).expect("a destination address");
    let mut options: HashMap<String, String> = HashMap::new();
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        options.insert(name, value);
    }
    let number =
        |name: &str, default: u64| options.get(name).map_or(default, |v| v.parse().expect("a number"));
    let (calls, rate) = (number("--calls", 1), number("--rate", 100).max(1));
    let hold = options.get("--hold-ms").map(|v| Duration::from_millis(v.parse().expect("a number")));
    let ring = Duration::from_millis(number("--ring-ms", 60_000));
    let credentials = options.get("--digest").and_then(|v| v.split_once(':')).map(|(username, password)| {
        Arc::new(Credentials { username: username.into(), password: password.into() })
    });
    let bind = options.get("--bind").map_or("127.0.0.1:0", String::as_str).parse().expect("an address");

    let clock = Clock::start();
    let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
    let config = EndpointConfig {
        accept_from: AcceptFrom::Only(vec![destination.ip().into()]),
        trace: options.get("--trace").is_none_or(|v| v != "off"),
        ..EndpointConfig::default()
    };
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&clock.unix_ms().to_be_bytes().repeat(2));
    let ids = CallIdKey::new(&seed);
    let (sip, mut events) = start(net, config, clock, seed).unwrap_or_else(|e| panic!("{e}"));

    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut deadlines: BTreeMap<(Time, CallKey), bool> = BTreeMap::new();
    let mut ringing: HashMap<CallKey, Time> = HashMap::new();
    let (mut placed, mut over) = (0, 0);
    let began = clock.now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(number("--tick-ms", 1).max(1)));
        while over < calls {
            tokio::select! {
                _ = tick.tick() => {
                    let now = clock.now();
                    let due = (now.since(began).as_secs_f64() * rate as f64) as u64 + 1;
                    while placed < calls.min(due) {
                        let mut request =
                            InviteRequest::new(destination, &format!("sip:+1555{placed:07}@{destination}"), &ids.make(placed, 1));
                        request.from_user = "+15550100".into();
                        request.credentials = credentials.clone();
                        request.body = Some(Body::sdp(SDP));
                        let Ok(call) = sip.invite(request) else { break };
                        deadlines.insert((now + ring, call), false);
                        ringing.insert(call, now + ring);
                        placed += 1;
                    }
                    while let Some((&(at, call), &answered)) = deadlines.first_key_value() {
                        if at > now {
                            break;
                        }
                        deadlines.pop_first();
                        if answered { sip.bye(call, None).ok() } else { sip.cancel(call, None).ok() };
                    }
                }
                event = events.recv() => {
                    let Some((at, event)) = event else { break };
                    let end = match event {
                        Event::Answered { call, .. } => {
                            *outcomes.entry("answered".into()).or_default() += 1;
                            if let Some(at) = ringing.remove(&call) {
                                deadlines.remove(&(at, call));
                            }
                            match hold {
                                Some(Duration::ZERO) => drop(sip.bye(call, None)),
                                Some(hold) => drop(deadlines.insert((at + hold, call), true)),
                                None => {}
                            }
                            None
                        }
                        Event::Progress { status, body, .. } => {
                            let media = if body.is_some() { "_media" } else { "" };
                            *outcomes.entry(format!("progress_{status}{media}")).or_default() += 1;
                            None
                        }
                        Event::Failed { call, failure, reasons, retry_after_s, .. } => {
                            let what = match failure {
                                Failure::Status(status) => status.to_string(),
                                other => format!("{other:?}"),
                            };
                            let cause = reasons.iter().find(|r| r.scheme == Scheme::Q850).and_then(|r| r.cause);
                            let cause = cause.map_or(String::new(), |c| format!("_q850_{c}"));
                            let retry = retry_after_s.map_or(String::new(), |s| format!("_retry_{s}s"));
                            Some((call, format!("failed_{what}{cause}{retry}")))
                        }
                        Event::Cancelled { call, status, .. } => {
                            Some((call, format!("cancelled_{}", status.map_or("silent".into(), |s| s.to_string()))))
                        }
                        Event::Ended { call, by, .. } => Some((call, match by {
                            EndedBy::Local => "ended_by_us".into(),
                            EndedBy::Remote => "ended_by_them".into(),
                            other => format!("ended_{other:?}"),
                        })),
                        Event::Modify { call, .. } => {
                            sip.respond_modify(call, ModifyAnswer::Accept(Some(Body::sdp(SDP)))).ok();
                            *outcomes.entry("modified".into()).or_default() += 1;
                            None
                        }
                        _ => None,
                    };
                    if let Some((call, outcome)) = end {
                        over += 1;
                        if let Some(at) = ringing.remove(&call) {
                            deadlines.remove(&(at, call));
                        }
                        *outcomes.entry(outcome).or_default() += 1;
                    }
                }
            }
        }
    });
    let stats = sip.stats();
    let seconds = clock.now().since(began).as_secs_f64();
    let mut fields: Vec<String> =
        outcomes.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    fields.push(format!("\"calls\":{placed}"));
    fields.push(format!("\"seconds\":{seconds:.3}"));
    fields.push(format!("\"retransmitted\":{}", stats.retransmitted.get()));
    fields.push(format!("\"repeats\":{}", stats.repeats.get()));
    fields.push(format!("\"unmatched\":{}", stats.dropped_unmatched.get()));
    fields.push(format!("\"receive_drops\":{}", stats.dropped_receive_buffer.get()));
    println!("{{{}}}", fields.join(","));
    sip.stop();
}
