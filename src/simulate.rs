//! `kraliki simulate`: the engine in virtual time on a simulated floor.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use kraliki_engine::Mode;
use kraliki_engine::simulate::{SimConfig, check_pacer, run as simulate};

use crate::Failed;
use crate::carrier::floor;
use crate::manage::print;

#[derive(Args)]
pub(crate) struct Options {
    /// demo, f1, f2, f3, f1mixed, or the path of a floor's TOML file
    #[arg(long, default_value = "f1")]
    floor: String,
    /// Agents at work
    #[arg(long, default_value_t = 10)]
    agents: u32,
    /// Simulated hours
    #[arg(long, default_value_t = 10.0)]
    hours: f64,
    /// Abandoned calls allowed among those that a person answered
    #[arg(long, default_value_t = 0.03)]
    cap: f64,
    /// progressive, power or predictive; or one that stands beside them: power:LINES, per_agent:LINES,
    /// vicidial_hard:LEVEL, vicidial_average:LEVEL, vicidial_tapered:LEVEL, look_ahead
    #[arg(long, default_value = "predictive")]
    pacer: String,
    /// Seed of everything that happens by chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// A mode by its name.
pub(crate) fn mode(name: &str) -> anyhow::Result<Mode> {
    serde_json::from_value(serde_json::Value::from(name))
        .with_context(|| format!("no pacer is named {name:?}; there are progressive, power and predictive"))
}

pub(crate) fn run(options: &Options) -> Result<(), Failed> {
    let check = || {
        ensure!((1..=10_000).contains(&options.agents), "--agents {}: give 1 to 10000", options.agents);
        ensure!(
            options.hours > 0.0 && options.hours <= 10_000.0,
            "--hours {}: give up to 10000",
            options.hours
        );
        ensure!((0.0..=0.1).contains(&options.cap), "--cap {}: give 0 to 0.1", options.cap);
        check_pacer(&options.pacer).context("--pacer")
    };
    check()?;
    let lasts = Duration::from_secs_f64(options.hours * 3600.0);
    let config = SimConfig::new(
        floor(&options.floor)?,
        options.agents,
        lasts,
        options.cap,
        &options.pacer,
        options.seed,
    );
    let report = simulate(&config);
    if options.json {
        print(&serde_json::to_string(&report)?);
    } else {
        print(&format!(
            "occupancy {:.1}%, talk {:.1} min/h, abandonment {:.2}% ({} of {}), {:.1}% waited, worst 30 min {} of {} abandoned, {:.1} dials per connect",
            report.occupancy * 100.0,
            report.talk_min_per_hour,
            report.abandonment * 100.0,
            report.abandoned,
            report.answered,
            report.waited * 100.0,
            report.worst_30min_abandoned,
            report.worst_30min_answered,
            report.dials_per_connect
        ));
    }
    Ok(())
}
