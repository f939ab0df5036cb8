//! Answers every call: 180, then 200. `answer ADDRESS [SECONDS]`. At the end one line of JSON says what came.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::time::Duration;

use kraliki_sip::net::{Listen, NetConfig, start};
use kraliki_sip::{AcceptFrom, Body, EndpointConfig, Event, ModifyAnswer};
use kraliki_time::Clock;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40002 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

fn main() {
    let mut args = std::env::args().skip(1);
    let bind = args.next().and_then(|a| a.parse().ok()).expect("an address to listen on");
    let seconds = args.next().map_or(u64::MAX / 4, |s| s.parse().expect("a number of seconds"));
    let clock = Clock::start();
    let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
    let config = EndpointConfig { accept_from: AcceptFrom::Any, trace: false, ..EndpointConfig::default() };
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&clock.unix_ms().to_be_bytes().repeat(2));
    let (sip, mut events) = start(net, config, clock, seed).unwrap_or_else(|e| panic!("{e}"));
    let (mut incoming, mut answered, mut ended, mut cancelled) = (0u64, 0u64, 0u64, 0u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let end = tokio::time::sleep(Duration::from_secs(seconds));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                event = events.recv() => match event {
                    Some((_, Event::Incoming { call, .. })) => {
                        incoming += 1;
                        sip.ring(call, 180, None).ok();
                        sip.answer(call, Some(Body::sdp(SDP))).ok();
                    }
                    Some((_, Event::Acknowledged { .. })) => answered += 1,
                    Some((_, Event::Ended { .. })) => ended += 1,
                    Some((_, Event::Cancelled { .. })) => cancelled += 1,
                    Some((_, Event::Modify { call, .. })) => {
                        sip.respond_modify(call, ModifyAnswer::Accept(Some(Body::sdp(SDP)))).ok();
                    }
                    Some(_) => {}
                    None => break,
                },
            }
        }
    });
    let stats = sip.stats();
    println!(
        "{{\"incoming\":{incoming},\"acknowledged\":{answered},\"ended\":{ended},\"cancelled\":{cancelled},\
         \"retransmitted\":{},\"repeats\":{},\"receive_drops\":{}}}",
        stats.retransmitted.get(),
        stats.repeats.get(),
        stats.dropped_receive_buffer.get()
    );
    sip.stop();
}
