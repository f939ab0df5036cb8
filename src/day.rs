//! `kraliki simulate --day`: a day of agents into a real store, and what the engine published of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use kraliki_engine::simulate::day::{DayConfig, DayReport, run as simulate};

use crate::Failed;
use crate::manage::print;

/// The store's file and that of what was published, in the directory.
const STORE: &str = "day.db";
const PUBLISHED: &str = "day.json";

/// Simulates it into new files in `directory`.
pub(crate) fn run(directory: &Path, agents: u32, hours: f64, seed: u64) -> Result<(), Failed> {
    let check = || {
        ensure!((2..=200).contains(&agents), "--agents {agents}: give 2 to 200 for a day");
        ensure!((0.5..=14.0).contains(&hours), "--hours {hours}: give 0.5 to 14 for a day");
        Ok(())
    };
    check()?;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let (store, published) = (directory.join(STORE), directory.join(PUBLISHED));
    if store.exists() {
        let text = format!("{} is there already; give another directory", store.display());
        return Err(anyhow::anyhow!(text).into());
    }
    let config = DayConfig { agents, lasts: Duration::from_secs_f64(hours * 3_600.0), seed };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(simulate(&config, &store))?;
    std::fs::write(&published, serde_json::to_string_pretty(&report)?)
        .with_context(|| format!("cannot write {}", published.display()))?;
    print(&in_words(&report));
    print(&format!("recount it: python3 scripts/recount.py {} {}", store.display(), published.display()));
    Ok(())
}

fn in_words(report: &DayReport) -> String {
    let calls: u64 = report.agents.values().map(|agent| agent.calls).sum();
    let (answered, abandoned) = report
        .campaigns
        .values()
        .fold((0, 0), |(answered, abandoned), book| (answered + book.answered, abandoned + book.abandoned));
    format!(
        "{} agents, {} dials, {calls} calls, {abandoned} of {answered} abandoned, occupancy {:.1}%, {} agents lost, {} calls handed over, {} states forced, {} pauses over their limits, {} dispositions given automatically",
        report.agents.len(),
        report.dials,
        report.occupancy * 100.0,
        report.agents_lost,
        report.handed_over,
        report.forced,
        report.pauses_over,
        report.disposed_automatically,
    )
}
