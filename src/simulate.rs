//! `kraliki simulate`: the engine in virtual time on a simulated floor, or through a shock.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use kraliki_engine::Mode;
use kraliki_engine::simulate::{
    Shock, ShockReport, ShockRun, SimConfig, SimReport, check_pacer, run as simulate,
};

use crate::Failed;
use crate::carrier::floor;
use crate::manage::print;

/// Agents of a run, and of a shock, unless told.
const AGENTS: u32 = 10;
const SHOCKED: u32 = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// demo, f1, f2, f3, f1mixed, or the path of a floor's TOML file
    #[arg(long, default_value = "f1")]
    floor: String,
    /// Agents at work: 10, or 20 before a shock
    #[arg(long)]
    agents: Option<u32>,
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
    /// Instead of a steady floor, one that changes all at once: answers_halve, answers_double, agents_leave,
    /// agents_double, detection_errs, carrier_slows, cps_capped, talk_doubles, talk_halves, sockets_drop, or all
    #[arg(long, conflicts_with_all = ["floor", "hours"])]
    shock: Option<String>,
    /// How many seeds the figures of a shock are the mean of
    #[arg(long, default_value_t = 1, requires = "shock")]
    seeds: u64,
    /// One line of JSON for each run or shock
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
        let agents = options.agents.unwrap_or(AGENTS);
        ensure!((1..=10_000).contains(&agents), "--agents {agents}: give 1 to 10000");
        ensure!(
            options.hours > 0.0 && options.hours <= 10_000.0,
            "--hours {}: give up to 10000",
            options.hours
        );
        ensure!((0.0..=0.1).contains(&options.cap), "--cap {}: give 0 to 0.1", options.cap);
        ensure!((1..=10_000).contains(&options.seeds), "--seeds {}: give 1 to 10000", options.seeds);
        check_pacer(&options.pacer).context("--pacer")
    };
    check()?;
    match &options.shock {
        Some(name) => shocks(options, name),
        None => steady(options),
    }
}

fn steady(options: &Options) -> Result<(), Failed> {
    let config = SimConfig::new(
        floor(&options.floor)?,
        options.agents.unwrap_or(AGENTS),
        Duration::from_secs_f64(options.hours * 3600.0),
        options.cap,
        &options.pacer,
        options.seed,
    );
    let report = simulate(&config);
    print(&if options.json { serde_json::to_string(&report)? } else { in_words(&report) });
    Ok(())
}

fn in_words(report: &SimReport) -> String {
    format!(
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
    )
}

fn shocks(options: &Options, name: &str) -> Result<(), Failed> {
    let names = if name == "all" { Shock::NAMES.to_vec() } else { vec![name] };
    for name in names {
        let shock = Shock::named(name, options.agents.unwrap_or(SHOCKED))
            .with_context(|| format!("no shock is named {name:?}; there are {}", Shock::NAMES.join(", ")))?;
        let seeds = options.seed..options.seed.saturating_add(options.seeds);
        let runs: Vec<ShockRun> = seeds.map(|seed| shock.run(options.cap, &options.pacer, seed)).collect();
        let report = shock.report(options.cap, &runs);
        print(&if options.json { serde_json::to_string(&report)? } else { shock_in_words(&report) });
    }
    Ok(())
}

fn shock_in_words(report: &ShockReport) -> String {
    let recovery = report.recovery_s.map_or("not in ten minutes".into(), |s| format!("{s} s"));
    format!(
        "{}: {:.1} of {:.1} abandoned in ten minutes, {} of {} seeds over the bound; worst 30 min {} of {}; occupancy {:.1}% before, {:.1}% in the two minutes after, {:.1}% in the long run; recovery {recovery}",
        report.shock,
        report.abandoned,
        report.answered,
        report.over_bound,
        report.seeds,
        report.worst_30min_abandoned,
        report.worst_30min_answered,
        report.occupancy_before * 100.0,
        report.occupancy_after * 100.0,
        report.occupancy_long_run * 100.0,
    )
}
