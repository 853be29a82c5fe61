#![doc = include_str!("../README.md")]

mod acknowledgements;
mod app;
mod check;
mod cli;
mod config;
mod connecting;
mod dead_letters;
mod definitions;
mod destination;
mod directory;
mod error;
mod eval;
pub mod exit;
mod feed;
mod grace;
mod http;
mod lanes;
mod manual;
mod mappers;
mod observed;
mod offline;
mod outlet;
mod plane;
mod process;
mod program;
mod publish;
mod quickstart;
mod registry;
mod report;
mod run;
#[cfg(test)]
mod runbook;
mod stamp;
mod standing;
mod status;
mod store;
mod telemetry;
mod totals;

pub use self::{
    app::{App, Running},
    cli::{
        AddressArgs, CheckArgs, Cli, Command, CompletionsArgs, DeadLettersArgs, DeadLettersCommand, EvalArgs,
        EvalCommand, ExplainArgs, LanesArgs, LanesCommand, LettersArgs, ListArgs, ListLettersArgs, ManArgs,
        OutputFormat, PlaceholderArgs, PlaceholderScope, QuickstartArgs, RedriveArgs, RqlArgs, RunArgs,
        SeekArgs, StampArgs, TopicArgs, TriedOn,
    },
    config::{
        ApiConfig, Config, ConfigErrors, DirectoryConfig, FeedConfig, HttpConfig, HttpLogin, JwtConfig,
        KafkaFeedConfig, LaneKind, LanesConfig, LettersTopic, OriginalsConfig, ProducerConfig, Serving,
        SourceConfig, StampConfig, StoreConfig, TopicsConfig, Variables,
    },
    definitions::{BrokenFile, Definition, Definitions, Flaw},
    destination::{Destination, DestinationError},
    directory::{DirectoryCounts, DirectoryError, DirectoryMonitor, LaneDirectory, Memory, SharedDirectory},
    error::{AppError, Failure},
    mappers::{engines, read_definition, run_options},
    observed::{Observation, Observed},
    program::main,
    publish::KafkaLeaf,
    registry::{
        ConnectionCommand, ConnectionStanding, Matches, Precondition, Put, Recovery, Registry, RegistryError,
    },
    report::Report,
    standing::{Standing, Word},
    status::Status,
    store::{
        ConnectionStore, DirectoryStore, EmbeddedStore, KeyError, Loaded, MemoryStore, Record, StoreError,
        StoreErrorKind, StoreKey, StoreKeys, Unreadable,
    },
    telemetry::{LogConfig, LogFormat},
    totals::Totals,
};
