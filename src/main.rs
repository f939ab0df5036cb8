//! Kraliki Voice: an outbound dialer. This package is the command line and the composition; protocols, dialing and
//! the API live in the other packages of the workspace.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod carrier;
mod config;
mod control;
mod day;
mod demo;
mod faults;
mod manage;
mod node;
mod replay;
mod serve;
mod simulate;
mod suppression;

/// Each call is some hundred small pieces of memory that one thread makes and another frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a configuration that cannot be used (sysexits.h EX_CONFIG).
const EX_CONFIG: u8 = 78;

#[derive(Parser)]
#[command(
    name = "kraliki",
    version,
    about = "An outbound dialer: paces calls over SIP trunks and bridges each answer to an agent's browser."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the dialer
    Serve(ConfigArg),
    /// Run the whole product with a simulated carrier and simulated agents
    Demo(demo::Options),
    /// Run the simulated carrier alone
    Carrier(carrier::Options),
    /// Run the engine in virtual time on a simulated floor, or with faults, and print figures
    Simulate(simulate::Options),
    /// Run the engine from a journal and compare what comes out with what came out then
    Replay(replay::Options),
    /// Manage users
    #[command(subcommand)]
    User(UserCommand),
    /// Manage lists of leads
    #[command(subcommand)]
    List(ListCommand),
    /// Manage numbers that must not be called
    #[command(subcommand)]
    Suppression(SuppressionCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the SIP messages of recent calls
    #[command(subcommand)]
    Sip(SipCommand),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Args)]
struct ConfigArg {
    /// The configuration file; configs/kraliki.toml explains each key
    #[arg(long, env = "KRALIKI_CONFIG")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user; the password is read from the terminal or from standard input
    Add(manage::UserAdd),
}

#[derive(Subcommand)]
enum ListCommand {
    /// Import a CSV file into a campaign
    Import(manage::ListImport),
}

#[derive(Subcommand)]
enum SuppressionCommand {
    /// Import a file of numbers: into the dialer's list, a campaign's, or as a copy of a national one
    Import(suppression::Import),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check a configuration and say what is wrong with it
    Check(ConfigArg),
}

#[derive(Subcommand)]
enum SipCommand {
    /// Print the recent SIP messages of a call of the running dialer
    Trace(control::Trace),
}

/// What a command failed with: the text for the person, and the exit code.
struct Failed {
    message: String,
    code: u8,
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        // One line: what went wrong, then what it was caused by, where that is not said already.
        let mut message = String::new();
        for cause in error.into().chain().map(ToString::to_string) {
            if message.is_empty() {
                message = cause;
            } else if !message.contains(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        Failed { message: message.replace('\n', "; "), code: 1 }
    }
}

fn main() -> ExitCode {
    // Before anything uses TLS: other crates bring a second back end along.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed { message, code }) => {
            eprintln!("kraliki: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(command: Command) -> Result<(), Failed> {
    match command {
        Command::Serve(arg) => serve::run(&load(&arg.config)?),
        Command::Demo(options) => demo::run(options),
        Command::Carrier(options) => carrier::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::User(UserCommand::Add(options)) => manage::add_user(&options, &load(&options.config)?),
        Command::List(ListCommand::Import(options)) => manage::import_list(&options, &load(&options.config)?),
        Command::Suppression(SuppressionCommand::Import(options)) => {
            suppression::import(&options, &load(&options.config)?)
        }
        Command::Config(ConfigCommand::Check(arg)) => {
            let config = load(&arg.config)?;
            serve::check(&config)?;
            eprintln!("{}: the configuration can be used", arg.config.display());
            Ok(())
        }
        Command::Sip(SipCommand::Trace(options)) => control::trace(&options, &load(&options.config)?),
        Command::Openapi => manage::print_openapi(),
    }
}

fn load(path: &Path) -> Result<config::Config, Failed> {
    config::Config::load(path, std::env::vars())
        .map_err(|e| Failed { message: e.to_string(), code: EX_CONFIG })
}
