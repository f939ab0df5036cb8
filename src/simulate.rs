//! `kraliki simulate`: the engine in virtual time on a simulated floor, through a shock, or with faults.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use kraliki_engine::Mode;
use kraliki_engine::simulate::faults::{Family, FaultConfig};
use kraliki_engine::simulate::year::YearConfig;
use kraliki_engine::simulate::{
    Shock, ShockReport, ShockRun, SimConfig, SimReport, check_pacer, run as simulate,
};

use crate::Failed;
use crate::carrier::floor;
use crate::manage::{block_on, print};

/// Agents of a run, of a shock and of a day, unless told.
const AGENTS: u32 = 10;
const SHOCKED: u32 = 20;
const WHOLE_DAY: u32 = 50;

#[derive(Args)]
pub(crate) struct Options {
    /// demo, f1, f2, f3, f1mixed, or the path of a floor's TOML file
    #[arg(long, default_value = "f1")]
    floor: String,
    /// Agents at work [default: 10; 20 before a shock; with --faults drawn from the seed]
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
    /// agents_double, detection_errs, carrier_slows, cps_capped, talk_doubles, talk_halves, sockets_drop, shift_ends,
    /// shift_ends_unplanned, or all
    #[arg(long, conflicts_with_all = ["floor", "hours"])]
    shock: Option<String>,
    /// Instead of a floor, faults: r1, r2, r3, r10 to r15, nonsense, restless, several with commas, or all
    #[arg(long, value_name = "FAMILIES", conflicts_with_all = ["floor", "hours", "shock"])]
    faults: Option<String>,
    /// Instead of a steady floor, a day of agents with shifts, pauses and lost browsers, two campaigns and a real store:
    /// writes day.db and day.json into this directory, for scripts/recount.py [--agents 50]
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["floor", "shock", "faults"])]
    day: Option<std::path::PathBuf>,
    /// With --faults: how long it dials, in virtual time, e.g. 90s, 20m or 2h
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = crate::demo::duration)]
    lasts: Duration,
    /// With --shock or --faults: so many seeds from --seed on, or FROM..TO (TO left out)
    #[arg(long, value_name = "N|FROM..TO")]
    seeds: Option<String>,
    /// With --faults: kill the dialer at this step, too
    #[arg(long, value_name = "STEP", requires = "faults")]
    kill_at: Option<u64>,
    /// Instead of a floor, a year under every compliance profile, with the real store, into this new database;
    /// scripts/check-compliance looks at it
    #[arg(long, value_name = "DATABASE", conflicts_with_all = ["floor", "hours", "shock", "faults"])]
    year: Option<PathBuf>,
    /// With --year: so many days
    #[arg(long, default_value_t = 365, requires = "year")]
    days: u32,
    /// One line of JSON for each run or shock
    #[arg(long)]
    json: bool,
}

/// A mode by its name.
pub(crate) fn mode(name: &str) -> anyhow::Result<Mode> {
    serde_json::from_value(serde_json::Value::from(name))
        .with_context(|| format!("no pacer is named {name:?}; there are progressive, power and predictive"))
}

impl Options {
    /// The seeds of a shock or of faults.
    fn seeds(&self) -> anyhow::Result<Range<u64>> {
        range(self.seeds.as_deref().unwrap_or("1"), self.seed)
    }

    /// A run with faults for this seed, if that is what is asked for.
    fn with_faults(&self) -> anyhow::Result<Option<FaultConfig>> {
        let Some(list) = &self.faults else {
            ensure!(self.seeds.is_none() || self.shock.is_some(), "--seeds goes with --shock or --faults");
            return Ok(None);
        };
        let families = Family::parse(list).map_err(|word| {
            let names: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
            anyhow!("--faults: {word:?} is not a family of faults; give all, or some of {}", names.join(", "))
        })?;
        let config = FaultConfig::new(families, self.seed);
        Ok(Some(FaultConfig { lasts: self.lasts, agents: self.agents, kill_at: self.kill_at, ..config }))
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Failed> {
    let agents = options.agents.unwrap_or(AGENTS);
    let check = || {
        ensure!((1..=10_000).contains(&agents), "--agents {agents}: give 1 to 10000");
        ensure!(
            options.hours > 0.0 && options.hours <= 10_000.0,
            "--hours {}: give up to 10000",
            options.hours
        );
        ensure!((0.0..=0.1).contains(&options.cap), "--cap {}: give 0 to 0.1", options.cap);
        check_pacer(&options.pacer).context("--pacer")
    };
    check()?;
    if let Some(directory) = &options.day {
        return crate::day::run(directory, options.agents.unwrap_or(WHOLE_DAY), options.hours, options.seed);
    }
    if let Some(config) = options.with_faults()? {
        let seeds = options.seeds.as_ref().map(|_| options.seeds()).transpose()?;
        return crate::faults::run(&config, seeds, options.json);
    }
    if let Some(store) = &options.year {
        return year(options, store);
    }
    match &options.shock {
        Some(name) => shocks(options, name),
        None => steady(options),
    }
}

fn year(options: &Options, store: &Path) -> Result<(), Failed> {
    if store.exists() {
        let message = format!("--year {}: there is such a file; give a new one", store.display());
        return Err(Failed { message, code: 1 });
    }
    let config = YearConfig { days: options.days, seed: options.seed, ..YearConfig::new(store.to_owned()) };
    let report = block_on(async { Ok(kraliki_engine::simulate::year::run(&config).await?) })?;
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        let list: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        list.join(", ")
    };
    print(&if options.json {
        serde_json::to_string(&report)?
    } else {
        format!(
            "attempts: {}\nrefused: {}\noutcomes: {}\n{} crashes; ledgers that differed after one: {}",
            list(&report.attempts),
            list(&report.refused),
            list(&report.outcomes),
            report.crashes,
            report.ledger_differs
        )
    });
    if report.ledger_differs > 0 {
        return Err(Failed { message: "a restart changed a ledger".into(), code: 1 });
    }
    Ok(())
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
        let runs: Vec<ShockRun> =
            options.seeds()?.map(|seed| shock.run(options.cap, &options.pacer, seed)).collect();
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

/// `N` seeds from `first` on, or `FROM..TO` without `TO`.
fn range(text: &str, first: u64) -> anyhow::Result<Range<u64>> {
    let seeds = match text.split_once("..") {
        Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to)| from..to),
        None => text.parse().ok().map(|n| first..first.saturating_add(n)),
    };
    seeds
        .filter(|seeds: &Range<u64>| !seeds.is_empty())
        .with_context(|| format!("--seeds {text:?}: give how many, such as 40, or a range such as 0..1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!(range("3..10", 5).unwrap(), 3..10);
        assert_eq!(range("3", 5).unwrap(), 5..8);
        for wrong in ["", "0", "3..", "..3", "5..5", "9..2", "a..b", "-1..2"] {
            assert!(range(wrong, 1).is_err(), "{wrong}");
        }
    }
}
