//! How busy the pacer keeps agents on a simulated floor, beside dialing one line for each idle agent and beside a
//! look-ahead pacer that is given the floor's true distributions.

use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kraliki_engine::simulate::{Floor, SimConfig, SimReport, run as simulate};

use crate::results::{Better, Row};

const FLOOR: &str = "f1";
const CAP: f64 = 0.03;
/// Left out, so that what is compared is not the time in which a pacer learns.
const WARM_UP: Duration = Duration::from_secs(2 * 3600);
/// Agents, simulated hours, and the occupancy of a look-ahead pacer that knows every distribution of the floor.
const SIZES: [(u32, u64, f64); 4] = [(5, 60, 0.729), (10, 40, 0.803), (20, 24, 0.865), (50, 12, 0.926)];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=2;

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (agents, hours, look_ahead) in SIZES {
        let ours = floor(agents, hours, "predictive")?;
        let progressive = floor(agents, hours, "progressive")?;
        let case = format!("{FLOOR}_{agents}");
        let row = |case: &str, value, better| Row::new("pacing", case, "share", value, better);
        let detail = format!("{hours} h x {} seeds, cap {CAP}", ours.len());
        rows.push(
            row(&case, mean(&ours, |r| r.occupancy), Better::Higher)
                .beside("look-ahead", look_ahead)
                .target(look_ahead)
                .note(format!("occupancy; {detail}")),
        );
        rows.push(
            row(&format!("{case}_progressive"), mean(&ours, |r| r.occupancy), Better::Higher)
                .beside("progressive", mean(&progressive, |r| r.occupancy))
                .note("occupancy, same run"),
        );
        let bursts: u64 = ours.iter().map(|r| r.bursts).sum();
        let abandoned: u64 = ours.iter().map(|r| r.abandoned).sum();
        let answered: u64 = ours.iter().map(|r| r.answered).sum();
        rows.push(
            row(&format!("{case}_abandonment"), abandoned as f64 / answered.max(1) as f64, Better::Lower)
                .target(CAP)
                .only_if(bursts == 0)
                .note(format!("{abandoned} of {answered} abandoned, {bursts} half hours over the bound")),
        );
    }
    Ok(rows)
}

/// The same floor with each seed, on as many threads.
fn floor(agents: u32, hours: u64, pacer: &str) -> anyhow::Result<Vec<SimReport>> {
    let floor = Floor::named(FLOOR).with_context(|| format!("no floor {FLOOR}"))?;
    let lasts = Duration::from_secs(hours * 3600);
    let runs: Vec<_> = SEEDS
        .map(|seed| {
            let config = SimConfig {
                warm_up: WARM_UP,
                ..SimConfig::new(floor.clone(), agents, lasts, CAP, pacer, seed)
            };
            thread::spawn(move || simulate(&config))
        })
        .collect();
    runs.into_iter().map(|run| run.join().map_err(|_| anyhow!("a simulation panicked"))).collect()
}

fn mean(reports: &[SimReport], figure: impl Fn(&SimReport) -> f64) -> f64 {
    reports.iter().map(figure).sum::<f64>() / reports.len().max(1) as f64
}
