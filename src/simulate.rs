//! `kraliki simulate`: the engine in virtual time on a simulated floor, or with faults.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use kraliki_engine::Mode;
use kraliki_engine::simulate::faults::{Family, FaultConfig};
use kraliki_engine::simulate::{SimConfig, run as simulate};

use crate::Failed;
use crate::carrier::floor;
use crate::manage::print;

#[derive(Args)]
pub(crate) struct Options {
    /// demo, f1, f2, f3, or the path of a floor's TOML file
    #[arg(long, default_value = "f1")]
    floor: String,
    /// Agents at work [default: 10; with --faults drawn from the seed]
    #[arg(long)]
    agents: Option<u32>,
    /// Simulated hours
    #[arg(long, default_value_t = 10.0)]
    hours: f64,
    /// Abandoned calls allowed among those that a person answered
    #[arg(long, default_value_t = 0.03)]
    cap: f64,
    /// progressive, power or predictive
    #[arg(long, default_value = "predictive")]
    pacer: String,
    /// Seed of everything that happens by chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Faults instead of a floor: r1, r2, r3, r10 to r15, nonsense, restless, several with commas, or all
    #[arg(long, value_name = "FAMILIES")]
    faults: Option<String>,
    /// With --faults: how long it dials, in virtual time, e.g. 90s, 20m or 2h
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = crate::demo::duration)]
    lasts: Duration,
    /// With --faults: every seed from the first up to, not including, the second
    #[arg(long, value_name = "FROM..TO", value_parser = crate::faults::seeds)]
    seeds: Option<std::ops::Range<u64>>,
    /// With --faults: kill the dialer at this step, too
    #[arg(long, value_name = "STEP")]
    kill_at: Option<u64>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// A mode by its name.
pub(crate) fn mode(name: &str) -> anyhow::Result<Mode> {
    serde_json::from_value(serde_json::Value::from(name))
        .with_context(|| format!("no pacer is named {name:?}; there are progressive, power and predictive"))
}

impl Options {
    /// A run with faults for this seed, if that is what is asked for.
    fn with_faults(&self) -> anyhow::Result<Option<FaultConfig>> {
        let Some(list) = &self.faults else {
            ensure!(self.seeds.is_none() && self.kill_at.is_none(), "--seeds and --kill-at go with --faults");
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
    let agents = options.agents.unwrap_or(10);
    let check = || {
        ensure!((1..=10_000).contains(&agents), "--agents {agents}: give 1 to 10000");
        ensure!(
            options.hours > 0.0 && options.hours <= 10_000.0,
            "--hours {}: give up to 10000",
            options.hours
        );
        ensure!((0.0..=0.5).contains(&options.cap), "--cap {}: give 0 to 0.5", options.cap);
        Ok(())
    };
    check()?;
    if let Some(config) = options.with_faults()? {
        return crate::faults::run(&config, options.seeds.clone(), options.json);
    }
    let lasts = Duration::from_secs_f64(options.hours * 3600.0);
    let config = SimConfig::new(
        floor(&options.floor)?,
        agents,
        lasts,
        options.cap,
        mode(&options.pacer)?,
        options.seed,
    );
    let report = simulate(&config);
    if options.json {
        print(&serde_json::to_string(&report)?);
    } else {
        print(&format!(
            "occupancy {:.1}%, talk {:.1} min/h, abandonment {:.2}% ({} of {}), worst 30 min {} abandoned, {:.1} dials per connect",
            report.occupancy * 100.0,
            report.talk_min_per_hour,
            report.abandonment * 100.0,
            report.abandoned,
            report.answered,
            report.worst_30min_abandoned,
            report.dials_per_connect
        ));
    }
    Ok(())
}
