//! `kraliki simulate --faults`: one seed, or many, of a world in which things go wrong.

use std::fmt::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;

use kraliki_engine::simulate::faults::{FaultConfig, FaultReport, run as simulate};

use crate::Failed;
use crate::manage::print;

/// Runs go on this many threads.
const THREADS: usize = 2;

pub(crate) fn run(config: &FaultConfig, seeds: Option<Range<u64>>, json: bool) -> Result<(), Failed> {
    let failed = match seeds {
        Some(seeds) => many(config, seeds)?,
        None => {
            let report = simulate(config);
            if json {
                print(&serde_json::to_string(&report)?);
            } else {
                print(&summary(&report));
            }
            u64::from(!report.violations.is_empty())
        }
    };
    if failed == 0 {
        return Ok(());
    }
    Err(Failed { message: format!("{failed} of the runs violate what is promised"), code: 1 })
}

fn summary(report: &FaultReport) -> String {
    let list = |pairs: &mut dyn Iterator<Item = (&str, u64)>| {
        let list: Vec<String> = pairs.map(|(name, n)| format!("{n} {name}")).collect();
        if list.is_empty() { "none".to_owned() } else { list.join(", ") }
    };
    let mut text = format!(
        "inputs {}, dials {}, restarts {}\nfaults: {}\noutcomes: {}\nviolations: {}",
        report.inputs,
        report.dials,
        report.restarts,
        list(&mut report.faults.iter().map(|(name, n)| (*name, *n))),
        list(&mut report.outcomes.iter().map(|(outcome, n)| (outcome.as_str(), *n))),
        if report.violations.is_empty() { "none" } else { "" },
    );
    for violation in &report.violations {
        let _ = write!(text, "\n  {violation}"); // writing to a String cannot fail
    }
    text
}

/// Every seed; each that fails with the command that repeats it. Gives how many fail.
fn many(config: &FaultConfig, seeds: Range<u64>) -> Result<u64, Failed> {
    let next = AtomicU64::new(seeds.start);
    let (sender, reports) = mpsc::channel();
    let (mut runs, mut failed, mut sum) = (0_u64, 0_u64, FaultReport::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    let config = FaultConfig { seed, ..config.clone() };
                    if seed >= seeds.end || sender.send((config.command(), simulate(&config))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (command, report) in reports {
            runs += 1;
            if !report.violations.is_empty() {
                failed += 1;
                print(&format!("{command}\n  {}", report.violations.join("\n  ")));
            }
            add(&mut sum, &report);
        }
    });
    print(&format!("{runs} seeds, {failed} failed\n{}", summary(&sum)));
    Ok(failed)
}

fn add(sum: &mut FaultReport, report: &FaultReport) {
    sum.inputs += report.inputs;
    sum.dials += report.dials;
    sum.restarts += report.restarts;
    for (name, n) in &report.faults {
        *sum.faults.entry(name).or_default() += n;
    }
    for (outcome, n) in &report.outcomes {
        *sum.outcomes.entry(*outcome).or_default() += n;
    }
}
