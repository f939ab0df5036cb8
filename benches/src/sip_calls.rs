//! What a call costs: INVITE, 100, 180, 200, ACK, BYE, 200 over loopback sockets, without hold. Our caller and our
//! answerer beside SIPp's, each process charged its own CPU.

mod kamailio;
pub(crate) mod ours;
mod sipp;
pub(crate) mod soak;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use self::ours::{Placed, Taken};
use crate::cpu::us_each;
use crate::process::{Process, installed};
use crate::results::{Better, Row};

/// Calls a second, and the end of the case's name.
const RATES: [(u64, &str); 2] = [(1_000, ""), (3_000, "_3000cps")];
/// Callers take turns, so that what else the machine does falls on each alike.
const ROUNDS: usize = 2;
const ROUND_S: u64 = 5;
/// Rates that are tried for the most calls a second, and for how long each.
const LADDER: [u64; 6] = [2_000, 4_000, 6_000, 8_000, 10_000, 12_000];
const LADDER_S: u64 = 3;
/// A step that fails is tried again: something else may have been busy.
const TRIES: usize = 2;
/// What we should reach on two cores.
const MOST_TARGET: f64 = 8_000.0;
/// The rate that is kept up, and for how long; `KRALIKI_SUSTAINED_S` sets another length.
const SUSTAINED: u64 = 8_000;
const SUSTAINED_S: u64 = 60;
/// Calls that are held at once, placed at this rate; each may take so many bytes.
const HELD: u64 = 20_000;
const HELD_RATE: u64 = 2_000;
const HELD_BYTES: f64 = 8_192.0;
/// A call that is held lasts so long.
const HOLD_MS: u64 = 10_000;
/// Rates of the growth table: ten times the calls are to cost ten times as much.
const GROWTH: [u64; 5] = [500, 1_000, 2_000, 4_000, 5_000];
/// Through a proxy.
const PROXY_RATE: u64 = 500;

/// The sum of some runs.
#[derive(Default)]
struct Sum {
    calls: u64,
    failed: u64,
    caller_again: u64,
    answerer_again: u64,
    caller: Duration,
    answerer: Duration,
    seconds: f64,
    at_once: u64,
    bytes_each: f64,
    ack_ms_p99: f64,
}

/// One kind of call.
#[derive(Clone, Copy)]
struct Load {
    rate: u64,
    seconds: u64,
    hold_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Sipp,
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    ensure!(installed("sipp"), "SIPp is missing: run scripts/setup");
    let mut rows = Vec::new();
    for (rate, suffix) in RATES {
        let (mut sipp, mut ours, mut both) = (Sum::default(), Sum::default(), Sum::default());
        let load = Load { rate, seconds: ROUND_S, hold_ms: 0 };
        for _ in 0..ROUNDS {
            sipp.add(Side::Sipp, Side::Sipp, load)?;
            ours.add(Side::Ours, Side::Sipp, load)?;
            both.add(Side::Ours, Side::Ours, load)?;
        }
        let caller = us_each(sipp.caller, sipp.calls);
        let row = |case: String, value| Row::new("sip_calls", &case, "us", value, Better::Lower);
        rows.push(
            row(format!("uac_0s{suffix}"), us_each(ours.caller, ours.calls))
                .beside("SIPp", caller)
                .target(caller)
                .only_if(ours.clean(load))
                .note(format!("a call placed at {rate}/s to SIPp; ours: {ours}; SIPp: {sipp}")),
        );
        let answerer = us_each(ours.answerer, ours.calls);
        rows.push(
            row(format!("uas_0s{suffix}"), us_each(both.answerer, both.calls))
                .beside("SIPp", answerer)
                .target(answerer)
                .only_if(both.clean(load))
                .note(format!(
                    "a call of our caller answered at {rate}/s; ours: {both}; 200 to ACK p99 {:.1} ms",
                    both.ack_ms_p99
                )),
        );
    }
    rows.extend(held()?);
    rows.extend(growth()?);
    rows.extend(proxied()?);
    let (ours, ours_to) = most(Side::Ours)?;
    let (sipp, sipp_to) = most(Side::Sipp)?;
    rows.push(
        Row::new("sip_calls", "most_0s", "calls/s", ours, Better::Higher)
            .beside("SIPp", sipp)
            .target(MOST_TARGET)
            .note(format!(
                "caller and answerer of one kind, {LADDER_S} s a step; ours: {ours_to}; SIPp: {sipp_to}"
            )),
    );
    rows.push(sustained()?);
    Ok(rows)
}

/// Calls that are held: what each costs, and what it takes of memory.
fn held() -> anyhow::Result<Vec<Row>> {
    let load = Load { rate: 1_000, seconds: ROUND_S, hold_ms: HOLD_MS };
    let (mut sipp, mut ours) = (Sum::default(), Sum::default());
    sipp.add(Side::Sipp, Side::Sipp, load)?;
    ours.add(Side::Ours, Side::Sipp, load)?;
    let peer = us_each(sipp.caller, sipp.calls);
    let cost = Row::new("sip_calls", "uac_10s", "us", us_each(ours.caller, ours.calls), Better::Lower);
    let cost = cost.beside("SIPp", peer).target(peer).only_if(ours.clean(load));
    let cost =
        cost.note(format!("a call of 10 s placed at {}/s to SIPp; ours: {ours}; SIPp: {sipp}", load.rate));
    let seconds = HELD / HELD_RATE;
    let load = Load { rate: HELD_RATE, seconds, hold_ms: seconds * 1_000 + 2_000 };
    let mut many = Sum::default();
    many.add(Side::Ours, Side::Ours, load)?;
    let memory = Row::new("sip_calls", "held_20000", "bytes", many.bytes_each, Better::Lower);
    let memory = memory.target(HELD_BYTES).only_if(many.failed == 0 && many.at_once >= HELD * 95 / 100);
    let note = format!(
        "resident memory of the caller for each of {} calls at once, recent messages kept",
        many.at_once
    );
    Ok(vec![cost, memory.note(note)])
}

/// Caller and answerer of ours at rising rates.
fn growth() -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut first = None;
    for rate in GROWTH {
        let load = Load { rate, seconds: LADDER_S, hold_ms: 0 };
        let mut sum = Sum::default();
        sum.add(Side::Ours, Side::Ours, load)?;
        let each = us_each(sum.caller + sum.answerer, sum.calls);
        let least = *first.get_or_insert(each);
        let row = Row::new("sip_calls", &format!("growth_{rate}"), "us", each, Better::Lower);
        let note = format!("caller and answerer together, a call at {rate}/s; ours: {sum}");
        rows.push(row.target(least * 1.1).only_if(sum.clean(load)).note(note));
    }
    Ok(rows)
}

/// Ours with Kamailio between: what a call costs the proxy, and what both ends.
fn proxied() -> anyhow::Result<Vec<Row>> {
    ensure!(installed("kamailio"), "Kamailio is missing: run scripts/setup");
    let proxy = kamailio::Proxy::start()?;
    let mut uas = Process::part(&["uas".into()])?;
    let address: SocketAddr = uas.report()?;
    let calls = PROXY_RATE * ROUND_S;
    let load = Load { rate: PROXY_RATE, seconds: ROUND_S, hold_ms: 0 };
    let (placed, caller) = place(Side::Ours, proxy.address, load, Some(address))?;
    let by_proxy = proxy.process.cpu()?;
    uas.end();
    let taken: Taken = uas.report()?;
    let answerer = uas.wait(Duration::from_secs(5))?;
    let each = us_each(caller + answerer, placed.complete);
    let row = Row::new("sip_calls", "by_kamailio", "us", each, Better::Lower);
    Ok(vec![
        row.beside("Kamailio", us_each(by_proxy, placed.complete)).only_if(placed.complete == calls).note(format!(
            "our caller and answerer together, Kamailio as stateful proxy between, {PROXY_RATE}/s; {} of {calls} calls, \
             {} sent again",
            placed.complete,
            placed.retransmitted + taken.retransmitted
        )),
    ])
}

/// The rate that is to be kept for a minute.
fn sustained() -> anyhow::Result<Row> {
    let seconds =
        std::env::var("KRALIKI_SUSTAINED_S").ok().and_then(|s| s.parse().ok()).unwrap_or(SUSTAINED_S);
    let load = Load { rate: SUSTAINED, seconds, hold_ms: 0 };
    let mut sum = Sum::default();
    sum.add(Side::Ours, Side::Ours, load)?;
    let again = (sum.caller_again + sum.answerer_again) as f64 / sum.calls.max(1) as f64;
    let rate = sum.calls as f64 / sum.seconds.max(1e-9);
    let row = Row::new("sip_calls", "sustained_8000", "calls/s", rate, Better::Higher);
    Ok(row.target(0.99 * SUSTAINED as f64).only_if(sum.failed == 0 && again <= 0.0001).note(format!(
        "caller and answerer ours, {seconds} s; {sum}; {:.4}% sent again; 200 to ACK p99 {:.1} ms",
        again * 100.0,
        sum.ack_ms_p99
    )))
}

/// The highest rate of the ladder that is kept without a failure, and how far it went.
fn most(side: Side) -> anyhow::Result<(f64, String)> {
    let mut best = 0.0;
    for rate in LADDER {
        let mut sum = Sum::default();
        for _ in 0..TRIES {
            sum = Sum::default();
            let load = Load { rate, seconds: LADDER_S, hold_ms: 0 };
            sum.add(side, side, load)?;
            if sum.clean(load) {
                break;
            }
        }
        if !sum.clean(Load { rate, seconds: LADDER_S, hold_ms: 0 }) {
            return Ok((best, format!("not {rate} ({sum})")));
        }
        best = rate as f64;
    }
    Ok((best, "not tried further".into()))
}

impl Sum {
    /// Runs a caller against a fresh answerer.
    fn add(&mut self, caller: Side, answerer: Side, load: Load) -> anyhow::Result<()> {
        let (placed, cpu) = match answerer {
            Side::Sipp => {
                let uas = sipp::Uas::start()?;
                let placed = place(caller, uas.address, load, None)?;
                self.answerer_again += uas.retransmitted()?;
                self.answerer += uas.process.cpu()?;
                placed
            }
            Side::Ours => {
                let mut uas = Process::part(&["uas".into()])?;
                let address: SocketAddr = uas.report()?;
                let placed = place(caller, address, load, None)?;
                uas.end();
                let taken: Taken = uas.report()?;
                self.answerer_again += taken.retransmitted;
                self.ack_ms_p99 = self.ack_ms_p99.max(taken.ack_ms_p99);
                self.answerer += uas.wait(Duration::from_secs(5))?;
                placed
            }
        };
        self.calls += placed.complete;
        self.failed += placed.failed;
        self.caller_again += placed.retransmitted;
        self.caller += cpu;
        self.seconds += placed.seconds;
        self.at_once = self.at_once.max(placed.at_once);
        self.bytes_each = self.bytes_each.max(placed.bytes_each);
        Ok(())
    }

    /// No call failed, next to nothing was sent again, and the rate was kept.
    fn clean(&self, load: Load) -> bool {
        let again = (self.caller_again + self.answerer_again) as f64;
        // SIPp takes up to a second to start and to end.
        let held = load.hold_ms as f64 / 1_000.0;
        let kept = self.calls as f64 >= 0.9 * load.rate as f64 * (self.seconds - held - 1.0).max(0.0);
        self.failed == 0 && again <= 0.001 * self.calls as f64 && kept
    }
}

/// Places the calls; `target` is where the Request-URI points, when they go by a proxy.
fn place(
    caller: Side,
    to: SocketAddr,
    load: Load,
    target: Option<SocketAddr>,
) -> anyhow::Result<(Placed, Duration)> {
    let Load { rate, seconds, hold_ms } = load;
    let calls = rate * seconds;
    match caller {
        Side::Sipp => sipp::call(to, rate, calls, hold_ms),
        Side::Ours => {
            let texts = [to.to_string(), rate.to_string(), calls.to_string(), hold_ms.to_string()];
            let names = ["--to", "--rate", "--calls", "--hold-ms"];
            let mut arguments = vec!["uac".to_owned()];
            arguments.extend(names.iter().zip(texts).flat_map(|(name, text)| [(*name).to_owned(), text]));
            if let Some(target) = target {
                arguments.extend(["--target".to_owned(), target.to_string()]);
            }
            let mut uac = Process::part(&arguments)?;
            let placed = uac.report()?;
            Ok((placed, uac.wait(Duration::from_secs(5))?))
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let again = self.caller_again + self.answerer_again;
        write!(f, "{} calls, {} failed, {again} sent again", self.calls, self.failed)
    }
}
