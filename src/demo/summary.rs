//! What a demo did, in figures.

use kraliki_engine::Outcome;
use kraliki_engine::runtime::EngineHandle;
use serde::Serialize;

use crate::manage;

/// The nine counts from `connected` to `failed` add up to `attempts`.
#[derive(Debug, Serialize)]
struct Summary {
    attempts: u64,
    /// By a person.
    answered: u64,
    connected: u64,
    abandoned: u64,
    caller_hangup: u64,
    machines: u64,
    busy: u64,
    no_answer: u64,
    cancelled: u64,
    /// Written down too late to be sent, and dialed again.
    not_sent: u64,
    /// All other outcomes.
    failed: u64,
    occupancy: f64,
    bridge_ms_p50: f64,
    bridge_ms_p99: f64,
    wait_ms_p50: u64,
    wait_ms_p99: u64,
}

pub(super) fn print(handle: &EngineHandle, json: bool) -> anyhow::Result<()> {
    let (counters, gauges) = handle.figures();
    let count = |outcome| counters.outcomes.get(&outcome).copied().unwrap_or(0);
    let named = [
        Outcome::Connected,
        Outcome::Abandoned,
        Outcome::CallerHangup,
        Outcome::Machine,
        Outcome::Busy,
        Outcome::NoAnswer,
        Outcome::Cancelled,
        Outcome::NotSent,
    ];
    let [connected, abandoned, caller_hangup, machines, busy, no_answer, cancelled, not_sent] =
        named.map(count);
    let attempts: u64 = counters.outcomes.values().sum();
    let summary = Summary {
        attempts,
        answered: connected + abandoned + caller_hangup,
        connected,
        abandoned,
        caller_hangup,
        machines,
        busy,
        no_answer,
        cancelled,
        not_sent,
        failed: attempts - named.map(count).iter().sum::<u64>(),
        occupancy: (gauges.occupancy * 1e4).round() / 1e4,
        bridge_ms_p50: counters.bridge_us.quantile(0.5) as f64 / 1e3,
        bridge_ms_p99: counters.bridge_us.quantile(0.99) as f64 / 1e3,
        wait_ms_p50: counters.wait_ms.quantile(0.5),
        wait_ms_p99: counters.wait_ms.quantile(0.99),
    };
    if json {
        manage::print(&serde_json::to_string(&summary)?);
        return Ok(());
    }
    let share = |n: u64| if summary.answered == 0 { 0.0 } else { n as f64 * 100.0 / summary.answered as f64 };
    eprintln!(
        "{} attempts: {} answered by a person ({} connected, {} abandoned = {:.1}%, {} hung up first), {} machines, {} busy, {} not answered, {} taken back, {} not sent, {} failed\nagents were occupied {:.0}% of their time; from the answer to the agent's ear {:.0} ms (99% within {:.0} ms)",
        summary.attempts,
        summary.answered,
        summary.connected,
        summary.abandoned,
        share(summary.abandoned),
        summary.caller_hangup,
        summary.machines,
        summary.busy,
        summary.no_answer,
        summary.cancelled,
        summary.not_sent,
        summary.failed,
        summary.occupancy * 100.0,
        summary.bridge_ms_p50,
        summary.bridge_ms_p99,
    );
    Ok(())
}
