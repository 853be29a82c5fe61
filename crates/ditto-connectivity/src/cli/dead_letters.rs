//! Arguments of `dead-letters`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OutputFormat;
use crate::destination::Destination;

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Counts the letters of a connection by target and reason.
    List(ListLettersArgs),
    /// Publishes the letters of a connection again, each to the target that it names, by the definition and policies of now.
    ///
    /// Goes on where the last one ended, to what is there now. What fails again is a letter again. Ends with exit code 1 if any did.
    Redrive(RedriveArgs),
}

/// Which letters.
#[derive(Debug, Args)]
pub struct LettersArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The connection.
    #[arg(long, value_name = "ID")]
    pub connection: String,
    /// From there on: earliest, latest, a time (2026-11-25T10:00:00Z, or back from now: -15m, -PT15M).
    #[arg(long, value_name = "WHERE", value_parser = Destination::parse, allow_hyphen_values = true)]
    pub from: Option<Destination>,
    /// Up to there: a time, or latest.
    #[arg(long, value_name = "WHERE", value_parser = Destination::parse, allow_hyphen_values = true)]
    pub to: Option<Destination>,
    /// Only those that failed so; the others are passed over.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Arguments of `dead-letters list`.
#[derive(Debug, Args)]
pub struct ListLettersArgs {
    /// Which letters; from the first one if nothing else is said.
    #[command(flatten)]
    pub letters: LettersArgs,
    /// For people, or a JSON object a line.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
}

/// Arguments of `dead-letters redrive`.
#[derive(Debug, Args)]
pub struct RedriveArgs {
    /// Which letters; from where the last one ended if nothing else is said.
    #[command(flatten)]
    pub letters: LettersArgs,
    /// Say what would be published again, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}
