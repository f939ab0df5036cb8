//! Benchmarks, each beside a peer or a stated limit. `make bench` runs them all, `make bench ONLY=name` one.
//!
//! Costs are the CPU time that the system charges a process, user and system together: on a machine that does other
//! things too, they stay comparable where wall times do not. What is measured of ours runs in a process of its own:
//! this program started again as one of its [`Part`]s.
#![allow(clippy::print_stdout)] // a table on standard output is what it is for

mod cpu;
mod dialer;
mod leads;
mod media_relay;
mod pacing;
mod process;
mod results;
mod sip_calls;
mod sip_parse;
mod table;

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

use crate::results::Row;

/// As in `kraliki`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "kraliki-benches", version, about = "Benchmarks of Kraliki Voice, beside their peers")]
struct Cli {
    /// Run this bench alone
    #[arg(long)]
    only: Option<String>,
    /// Run the long loads instead, half an hour each (KRALIKI_SOAK_S sets another length)
    #[arg(long)]
    soak: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program does as a process of its own, started by a bench. Each ends when its standard input does.
#[derive(Subcommand)]
enum Part {
    /// Places calls
    #[command(hide = true)]
    Uac(sip_calls::ours::Uac),
    /// Answers calls
    #[command(hide = true)]
    Uas(sip_calls::ours::Uas),
    /// Relays audio
    #[command(hide = true)]
    Relay(media_relay::ours::Relay),
    /// Passes packets on without looking at them
    #[command(hide = true)]
    Floor(media_relay::floor::Floor),
    /// Dials a list
    #[command(hide = true)]
    Dialer(dialer::ours::Dialer),
}

/// A bench: its name, and what runs it.
type Bench = (&'static str, fn() -> anyhow::Result<Vec<Row>>);

const BENCHES: [Bench; 7] = [
    ("sip_parse", sip_parse::run),
    ("sip_calls", sip_calls::run),
    ("media_relay", media_relay::run),
    ("media_floor", media_relay::beside_floor),
    ("dialer", dialer::run),
    ("leads", leads::run),
    ("pacing", pacing::run),
];

const SOAKS: [Bench; 2] = [("sip_soak", sip_calls::soak::run), ("media_soak", media_relay::soak::run)];

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.part {
        Some(Part::Uac(part)) => part.run(),
        Some(Part::Uas(part)) => part.run(),
        Some(Part::Relay(part)) => part.run(),
        Some(Part::Floor(part)) => part.run(),
        Some(Part::Dialer(part)) => part.run(),
        None if cli.soak => run(&SOAKS, cli.only.as_deref()).and_then(all_hold),
        None => run(&BENCHES, cli.only.as_deref()).map(drop),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kraliki-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A soak is a test: it fails when a row does not hold.
fn all_hold(rows: Vec<Row>) -> anyhow::Result<()> {
    let missed: Vec<&str> = rows.iter().filter(|row| row.holds != Some(true)).map(|row| &*row.case).collect();
    ensure!(missed.is_empty(), "these do not hold: {}", missed.join(", "));
    Ok(())
}

fn run(benches: &[Bench], only: Option<&str>) -> anyhow::Result<Vec<Row>> {
    let chosen: Vec<Bench> =
        benches.iter().copied().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    let names = benches.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    ensure!(!chosen.is_empty(), "no bench is named {:?}; there are {names}", only.unwrap_or_default());
    let mut failed = Vec::new();
    let mut rows = Vec::new();
    let machine = table::machine();
    for (name, bench) in chosen {
        eprintln!("{name} …");
        match bench().with_context(|| format!("bench {name}")) {
            Ok(new) => {
                // Kept at once: a later bench that fails takes nothing with it.
                results::keep(name, &new)?;
                rows.extend(new);
            }
            Err(error) => {
                eprintln!("{error:#}");
                failed.push(name);
            }
        }
    }
    println!("{machine}");
    table::print(&rows);
    println!("\n{} has these rows", results::PATH);
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(rows)
}
