//! The command line of `eval` and `explain`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::OutputFormat;

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// What to try.
    #[command(subcommand)]
    pub command: EvalCommand,
}

/// What to try.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Tries a filter (RQL) on a thing, or on signals before and after their enrichment.
    ///
    /// Says at each operator whether it is true, false, or unknown because the enrichment may still decide it.
    Rql(RqlArgs),
    /// Tries a template with placeholders and functions.
    ///
    /// Says what each placeholder and each function gives.
    Placeholder(PlaceholderArgs),
    /// Tries the Kafka address of a target.
    Address(AddressArgs),
    /// Tries a topic of a target, such as `_/_/things/twin/events?namespaces=org.acme`.
    ///
    /// Says whether a signal is of its kind and namespaces, and what its filter says. Who may read is not looked at.
    Topic(TopicArgs),
}

/// What an expression is tried on, and how that is told.
#[derive(Debug, Args)]
pub struct TriedOn {
    /// File with a signal (Ditto Protocol), or with one a line, as an NDJSON feed takes them; - is stdin. Internal headers count.
    #[arg(long, value_name = "FILE")]
    pub signal: Vec<PathBuf>,
    /// For people, or a JSON object a line: one for each signal.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
}

/// Arguments of `eval rql`.
#[derive(Debug, Args)]
pub struct RqlArgs {
    /// The filter, such as `gt(attributes/rpm,900)`.
    pub filter: String,
    /// What it is tried on.
    #[command(flatten)]
    pub on: TriedOn,
    /// File with a thing (JSON), or - for stdin; with --signal it is what the signals are enriched with.
    #[arg(long, value_name = "FILE")]
    pub thing: Option<PathBuf>,
    /// What a signal is enriched with, such as `attributes/site,features/*/definition`; the whole thing if it is not given.
    #[arg(long, value_name = "FIELDS", requires = "signal")]
    pub extra_fields: Option<String>,
}

/// Arguments of `eval placeholder`.
#[derive(Debug, Args)]
pub struct PlaceholderArgs {
    /// The template, such as `devices/{{ thing:id }}`.
    pub template: String,
    /// What it is tried on.
    #[command(flatten)]
    pub on: TriedOn,
    /// The value of `connection:id`.
    #[arg(long, value_name = "ID")]
    pub connection_id: Option<String>,
    /// The value of a header, instead of the signal's.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// The value of `source:address`.
    #[arg(long, value_name = "ADDRESS")]
    pub source_address: Option<String>,
    /// Where the template stands, which decides what placeholders there are.
    #[arg(long, value_enum, default_value_t = PlaceholderScope::Mapping)]
    pub scope: PlaceholderScope,
}

/// Where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlaceholderScope {
    /// Addresses and header mappings.
    #[value(aliases = ["address", "header"])]
    Mapping,
    /// The input of an enforcement of a source.
    EnforcementInput,
    /// The filters of an enforcement of a source.
    EnforcementFilter,
    /// Acknowledgement labels and group ids.
    Connection,
    /// The input of an enforcement of a source whose protocol has no headers.
    SourceAddress,
}

/// Arguments of `eval address`.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// The address: topic, topic/key or topic#partition, with placeholders.
    pub address: String,
    /// What it is tried on.
    #[command(flatten)]
    pub on: TriedOn,
    /// The value of `connection:id`.
    #[arg(long, value_name = "ID")]
    pub connection_id: Option<String>,
}

/// Arguments of `eval topic`.
#[derive(Debug, Args)]
pub struct TopicArgs {
    /// The topic.
    pub topic: String,
    /// What it is tried on.
    #[command(flatten)]
    pub on: TriedOn,
    /// File with a thing (JSON), or - for stdin: what the extra fields of the signals are taken from.
    #[arg(long, value_name = "FILE", requires = "signal")]
    pub thing: Option<PathBuf>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// File with the definition of the connection (JSON).
    #[arg(long, value_name = "FILE")]
    pub connection: PathBuf,
    /// File with the policy of the signals' thing (JSON); each further one is a policy that it imports.
    ///
    /// A signal that has the header `ditto-read-subjects` is decided by its headers.
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// File with the thing (JSON): what extra fields are taken from.
    #[arg(long, value_name = "FILE")]
    pub thing: Option<PathBuf>,
    /// Configuration file (TOML): its directory is asked, as the service asks it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "thing"])]
    pub config: Option<PathBuf>,
    /// Only this target, counted from 0.
    #[arg(long, value_name = "N")]
    pub target: Option<usize>,
    /// Stdin, if no signal is named.
    #[command(flatten)]
    pub on: TriedOn,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}
