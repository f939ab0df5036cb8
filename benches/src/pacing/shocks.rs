//! What each shock does to our pacer.

use anyhow::Context;
use kraliki_engine::simulate::{Shock, ShockReport};

use super::work::on_two_threads;
use super::{CAPS, scale};
use crate::results::{Better, Row};

/// So many that chance is a point of occupancy.
const SEEDS: u64 = 40;
const AGENTS: u32 = 20;
/// What recovery should take.
const RECOVERY_S: f64 = 120.0;

pub(super) fn measure() -> anyhow::Result<Vec<ShockReport>> {
    let many = (SEEDS as f64 * scale()).ceil() as u64;
    let seeds: Vec<u64> = (1..=many).collect();
    let report = |name: &str| {
        let shock = Shock::named(name, AGENTS).with_context(|| format!("no shock {name}"))?;
        eprintln!("  shock {name}");
        let runs = on_two_threads(&seeds, |seed| shock.run(CAPS[0], "predictive", *seed))?;
        Ok(shock.report(CAPS[0], &runs))
    };
    Shock::NAMES.into_iter().map(report).collect()
}

pub(super) fn rows(reports: &[ShockReport]) -> Vec<Row> {
    let mut rows = Vec::new();
    for report in reports {
        let case = |figure: &str| format!("shock_{}_{figure}", report.shock);
        let note = format!(
            "{:.1} of {:.1} abandoned in ten minutes; worst half hour {} of {}; {} agents, {} seeds",
            report.abandoned,
            report.answered,
            report.worst_30min_abandoned,
            report.worst_30min_answered,
            report.agents,
            report.seeds
        );
        let over = report.over_bound as f64 / report.seeds.max(1) as f64;
        rows.push(
            Row::new("pacing", &case("over_bound"), "share of seeds", over, Better::Lower)
                .target(0.0)
                .note(note),
        );
        // Ten minutes are all that was watched.
        let recovery = report.recovery_s.map_or(600.0, |s| s as f64);
        rows.push(
            Row::new("pacing", &case("recovery"), "s", recovery, Better::Lower).target(RECOVERY_S).note(
                format!(
                    "occupancy {:.3} before, {:.3} in the two minutes after, {:.3} in the long run",
                    report.occupancy_before, report.occupancy_after, report.occupancy_long_run
                ),
            ),
        );
    }
    rows
}
