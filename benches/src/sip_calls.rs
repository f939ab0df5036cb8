//! What a call costs: INVITE, 100, 180, 200, ACK, BYE, 200 over loopback sockets, without hold. Our caller and our
//! answerer beside SIPp's, each process charged its own CPU.

pub(crate) mod ours;
mod sipp;

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
        for _ in 0..ROUNDS {
            sipp.add(Side::Sipp, Side::Sipp, rate, ROUND_S)?;
            ours.add(Side::Ours, Side::Sipp, rate, ROUND_S)?;
            both.add(Side::Ours, Side::Ours, rate, ROUND_S)?;
        }
        let caller = us_each(sipp.caller, sipp.calls);
        let row = |case: String, value| Row::new("sip_calls", &case, "us", value, Better::Lower);
        rows.push(
            row(format!("uac_0s{suffix}"), us_each(ours.caller, ours.calls))
                .beside("SIPp", caller)
                .target(caller)
                .only_if(ours.clean(rate))
                .note(format!("a call placed at {rate}/s to SIPp; ours: {ours}; SIPp: {sipp}")),
        );
        let answerer = us_each(ours.answerer, ours.calls);
        rows.push(
            row(format!("uas_0s{suffix}"), us_each(both.answerer, both.calls))
                .beside("SIPp", answerer)
                .target(answerer)
                .only_if(both.clean(rate))
                .note(format!("a call of our caller answered at {rate}/s; ours: {both}")),
        );
    }
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
    Ok(rows)
}

/// The highest rate of the ladder that is kept without a failure, and how far it went.
fn most(side: Side) -> anyhow::Result<(f64, String)> {
    let mut best = 0.0;
    for rate in LADDER {
        let mut sum = Sum::default();
        for _ in 0..TRIES {
            sum = Sum::default();
            sum.add(side, side, rate, LADDER_S)?;
            if sum.clean(rate) {
                break;
            }
        }
        if !sum.clean(rate) {
            return Ok((best, format!("not {rate} ({sum})")));
        }
        best = rate as f64;
    }
    Ok((best, "not tried further".into()))
}

impl Sum {
    /// Runs a caller against a fresh answerer.
    fn add(&mut self, caller: Side, answerer: Side, rate: u64, seconds: u64) -> anyhow::Result<()> {
        let calls = rate * seconds;
        let (placed, cpu) = match answerer {
            Side::Sipp => {
                let uas = sipp::Uas::start()?;
                let placed = place(caller, uas.address, rate, calls)?;
                self.answerer_again += uas.retransmitted()?;
                self.answerer += uas.process.cpu()?;
                placed
            }
            Side::Ours => {
                let mut uas = Process::part(&["uas".into()])?;
                let address: SocketAddr = uas.report()?;
                let placed = place(caller, address, rate, calls)?;
                uas.end();
                self.answerer_again += uas.report::<Taken>()?.retransmitted;
                self.answerer += uas.wait(Duration::from_secs(5))?;
                placed
            }
        };
        self.calls += placed.complete;
        self.failed += placed.failed;
        self.caller_again += placed.retransmitted;
        self.caller += cpu;
        self.seconds += placed.seconds;
        Ok(())
    }

    /// No call failed, next to nothing was sent again, and the rate was kept.
    fn clean(&self, rate: u64) -> bool {
        let again = (self.caller_again + self.answerer_again) as f64;
        // SIPp takes up to a second to start and to end.
        let kept = self.calls as f64 >= 0.9 * rate as f64 * (self.seconds - self.seconds.min(1.0));
        self.failed == 0 && again <= 0.001 * self.calls as f64 && kept
    }
}

fn place(caller: Side, to: SocketAddr, rate: u64, calls: u64) -> anyhow::Result<(Placed, Duration)> {
    match caller {
        Side::Sipp => sipp::call(to, rate, calls),
        Side::Ours => {
            let [to, rate, calls] = [to.to_string(), rate.to_string(), calls.to_string()];
            let arguments = ["uac", "--to", &to, "--rate", &rate, "--calls", &calls].map(String::from);
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
