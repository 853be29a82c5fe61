//! The command line.

mod dead_letters;
mod eval;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::destination::Destination;

pub use self::dead_letters::{
    DeadLettersArgs, DeadLettersCommand, LettersArgs, ListLettersArgs, RedriveArgs,
};
pub use self::eval::{
    AddressArgs, EvalArgs, EvalCommand, ExplainArgs, PlaceholderArgs, PlaceholderScope, RqlArgs, TopicArgs,
    TriedOn,
};

/// Publishes the signals of Eclipse Ditto to Apache Kafka.
///
/// Exit codes: 0 ended as asked; 1 signals failed, or the quickstart got other records than due; 64 wrong usage;
/// 65 an expression, signal or thing to try is wrong; 69 a file, a client or a lane is not available; 70 a bug; 78 wrong configuration; 130 ended at once by a second signal.
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
    /// Takes the signals of the feed into another one, with headers that say who may read them.
    ///
    /// The directory is asked here, so that the service behind needs none and decides by the policies of now. Where to is said
    /// by the table `stamp` of the configuration.
    Stamp(StampArgs),
    /// Looks at where the lanes stand in the feed, or moves them.
    Lanes(LanesArgs),
    /// Looks at what has failed and was kept, or publishes it again.
    DeadLetters(DeadLettersArgs),
    /// Tries an expression of a definition: a filter, a template, an address or a topic.
    Eval(EvalArgs),
    /// Says why signals are published to the targets of a connection, or not.
    ///
    /// Takes them through the very steps that the service takes them through, sends nothing, and says at each target what was
    /// decided, by what, and what would help.
    Explain(ExplainArgs),
    /// Says all that is wrong or doubtful in definitions of connections, without running them.
    ///
    /// Exit code 0 if all of them can be used, 78 if one cannot, 69 if one cannot be read.
    Check(CheckArgs),
    /// Prints the JSON Schema of definitions of connections.
    Schema,
    /// Reads a password from a line of stdin and prints its hash, for `devops_password_hash` and `status_password_hash`.
    HashPassword,
    /// Shows the service at work: a fleet of sample twins, three connections and a Kafka, all in this process.
    Quickstart(QuickstartArgs),
    /// Prints what a shell needs to complete this command line.
    ///
    /// For bash: ditto-connectivity completions bash > ~/.local/share/bash-completion/completions/ditto-connectivity
    Completions(CompletionsArgs),
    /// Prints the manual page, or writes the pages of all commands to a folder.
    Man(ManArgs),
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

/// Arguments of `stamp`.
#[derive(Debug, Args)]
pub struct StampArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Definitions: a connection each, or the DevOps command around one.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// For people, or a JSON object for each file.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
}

/// Arguments of `lanes`.
#[derive(Debug, Args)]
pub struct LanesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LanesCommand,
}

/// What to do with lanes.
#[derive(Debug, Subcommand)]
pub enum LanesCommand {
    /// Shows where each lane stands in each partition of the feed.
    List(ListArgs),
    /// Moves lanes that nobody runs, to publish again or to leave out.
    Seek(SeekArgs),
}

/// Arguments of `lanes list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// For people, or a JSON object a line.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
}

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Arguments of `lanes seek`.
#[derive(Debug, Args)]
pub struct SeekArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The lane: the id of its connection.
    #[arg(value_name = "LANE", required_unless_present = "all", conflicts_with = "all")]
    pub lane: Option<String>,
    /// All lanes.
    #[arg(long)]
    pub all: bool,
    /// Where to: earliest, latest, a time (2026-11-25T10:00:00Z, or back from now: -15m, -PT15M), or an offset.
    #[arg(long, value_name = "WHERE", value_parser = Destination::parse, allow_hyphen_values = true)]
    pub to: Destination,
    /// Only this topic of the feed.
    #[arg(long)]
    pub topic: Option<String>,
    /// Only this partition of the topic.
    #[arg(long, value_name = "P", requires = "topic")]
    pub partition: Option<i32>,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
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

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command to this folder, which is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
