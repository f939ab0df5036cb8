//! Four fifths of the rate that is to be kept for a minute, for half an hour: nothing fails and memory stays flat.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::ours::{Placed, Taken};
use super::{SUSTAINED, Sum};
use crate::cpu::resident;
use crate::process::Process;
use crate::results::{Better, Row};

const RATE: u64 = SUSTAINED * 4 / 5;
const SECONDS: u64 = 1_800;
/// The run is looked at in so many parts. The first is a warm-up: tables fill until what ended first is forgotten.
const PARTS: usize = 6;
const LOOKS_A_PART: u32 = 20;
/// Memory of the last part beside that of the second.
const GROWTH_MOST: f64 = 1.05;

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let seconds = std::env::var("KRALIKI_SOAK_S").ok().and_then(|s| s.parse().ok()).unwrap_or(SECONDS);
    let mut uas = Process::part(&["uas".into()])?;
    let address: SocketAddr = uas.report()?;
    let calls = RATE * seconds;
    let [to, rate, count] = [address.to_string(), RATE.to_string(), calls.to_string()];
    let mut uac = Process::part(&["uac", "--to", &to, "--rate", &rate, "--calls", &count].map(String::from))?;
    let ids = [uac.id(), uas.id()];
    let done = AtomicBool::new(false);
    let look = Duration::from_secs(seconds) / (PARTS as u32 * LOOKS_A_PART);
    let (placed, held) = std::thread::scope(|scope| {
        let held = scope.spawn(|| {
            let mut held = Vec::new();
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(look);
                let both: anyhow::Result<Vec<u64>> = ids.iter().map(|id| resident(*id)).collect();
                held.extend(both.map(|both| both.iter().sum::<u64>()));
            }
            held
        });
        let placed: anyhow::Result<Placed> = uac.report();
        done.store(true, Ordering::Relaxed);
        (placed, held.join().unwrap_or_default())
    });
    let placed = placed?;
    uas.end();
    let taken: Taken = uas.report()?;
    let mut sum = Sum { ack_ms_p99: taken.ack_ms_p99, ..Sum::default() };
    sum.calls = placed.complete;
    sum.failed = placed.failed;
    (sum.caller_again, sum.answerer_again) = (placed.retransmitted, taken.retransmitted);
    let again = (sum.caller_again + sum.answerer_again) as f64 / calls.max(1) as f64;
    let part = |n: usize| {
        let mut some: Vec<u64> = held.chunks((held.len() / PARTS).max(1)).nth(n).unwrap_or_default().to_vec();
        some.sort_unstable();
        some.get(some.len() / 2).copied().unwrap_or_default() as f64
    };
    let (early, late) = (part(1), part(PARTS - 1));
    let row =
        Row::new("sip_soak", &format!("memory_{RATE}cps"), "ratio", late / early.max(1.0), Better::Lower);
    let kept = placed.complete as f64 >= 0.99 * calls as f64;
    Ok(vec![row.target(GROWTH_MOST).only_if(sum.failed == 0 && again <= 0.0001 && kept && early > 0.0).note(
        format!(
            "resident memory of caller and answerer together, the last sixth of {seconds} s beside the second: {:.1} MB, \
             {:.1} MB; {sum}; 200 to ACK p99 {:.1} ms",
            late / 1e6,
            early / 1e6,
            sum.ack_ms_p99
        ),
    )])
}
