#![doc = include_str!("../README.md")]

mod acknowledgements;
mod app;
mod cli;
mod config;
mod definitions;
pub mod exit;
mod feed;
mod publish;
mod quickstart;
mod report;
mod run;
mod telemetry;

pub use self::{
    app::{App, AppError, Running},
    cli::{Cli, Command, QuickstartArgs, RunArgs, main},
    config::{Config, ConfigErrors, FeedConfig, LogConfig, LogFormat, ProducerConfig, Variables},
    definitions::{BrokenFile, Definition, Definitions},
    publish::KafkaLeaf,
    report::{Report, Totals},
};
