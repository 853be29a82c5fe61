//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Publishes the signals of Eclipse Ditto to Apache Kafka.
///
/// Exit codes: 0 ended as asked; 1 signals failed, or the quickstart got other records than due; 64 wrong usage;
/// 69 a file or a client is not available; 70 a bug; 78 wrong configuration; 130 ended at once by a second signal.
#[derive(Debug, Parser)]
#[command(name = "ditto-connectivity", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the service until its feed ends or it is told to stop (SIGINT, SIGTERM; a second one ends it at once).
    ///
    /// SIGUSR1 asks for its status: a line of JSON on stderr.
    Run(RunArgs),
    /// Shows the service at work: a fleet of sample twins, three connections and a Kafka, all in this process.
    Quickstart(QuickstartArgs),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and every definition, say all that is wrong, and end.
    #[arg(long)]
    pub check: bool,
    /// Where acknowledgements of an NDJSON feed go, instead of the configured place; - is stdout.
    #[arg(long, value_name = "FILE")]
    pub acks: Option<PathBuf>,
}

/// Arguments of `quickstart`.
#[derive(Debug, Args)]
pub struct QuickstartArgs {
    /// End after a number of signals; exit code 0 only if exactly the records came back that were due.
    #[arg(long)]
    pub once: bool,
    /// How many signals with --once.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=20_000))]
    pub signals: u32,
    /// Things in the fleet.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub things: u32,
}
