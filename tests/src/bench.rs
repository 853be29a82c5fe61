//! What the pipeline costs beside librdkafka itself, and what languages and mappers cost: `cargo xtask bench`.
//!
//! Each run is a process of its own, with the same client settings and a new topic to write to. Of a process the user and
//! system time counts, since wall time says little on a shared machine.

mod feed;
mod languages;
mod mappers;
mod naive;
mod neighbour;
mod operations;
mod raw;
mod report;
mod service;
mod spread;
mod usage;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use self::neighbour::Neighbour;
use self::report::Report;
pub use self::usage::{Allocations, Usage};
use crate::broker::Broker;

/// The command line of the benchmark programs.
#[derive(Debug, Parser)]
#[command(
    about = "Measures the main job against raw librdkafka, what a bad neighbour costs, and the languages and mappers"
)]
pub struct Args {
    /// `table` for people, `json` for a line per benchmark.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Records in each run.
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
    /// Interleaved rounds of runs.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Only this one.
    #[arg(long)]
    only: Option<Bench>,
    /// Counts the instructions of the languages and mappers as well, with valgrind.
    #[arg(long)]
    instructions: bool,
    #[command(subcommand)]
    role: Option<RoleCommand>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Bench {
    MainJob,
    Filtered,
    Neighbour,
    /// Needs no broker.
    Languages,
    /// Needs no broker.
    Mappers,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Clone, Subcommand)]
enum RoleCommand {
    /// One run (used by the benchmark itself).
    #[command(hide = true)]
    Role {
        role: Role,
        #[arg(long)]
        from: String,
        #[arg(long)]
        to: String,
    },
    /// Repeats an operation of the languages or mappers (used by the benchmark itself).
    #[command(hide = true)]
    Operation { name: String, times: u64 },
}

/// Who moves the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// librdkafka's consumer into its producer, key and value as they are.
    Raw,
    /// The service.
    Service,
    /// The service with a filter, deciding by policies.
    Filtered,
    /// A loop that parses, rewrites and produces, without our machinery.
    Naive,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Service => "service",
            Self::Filtered => "filtered",
            Self::Naive => "naive",
        }
    }
}

/// Runs the benchmarks, or one run of them.
///
/// # Errors
/// There is no broker, or a run does not do what it should.
pub fn main(allocations: Allocations) -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    match &args.role {
        Some(RoleCommand::Role { role, from, to }) => {
            return one(*role, &Broker::of_this_run()?, from, to, args.records, allocations);
        }
        Some(RoleCommand::Operation { name, times }) => {
            let operations = [languages::all()?, mappers::all()?];
            return operations::repeat(operations.into_iter().flatten(), name, *times)
                .map(|()| ExitCode::SUCCESS);
        }
        None => {}
    }
    let is_asked_for = |bench| args.only.is_none_or(|only| only == bench);
    if is_asked_for(Bench::MainJob) {
        moved(&Broker::of_this_run()?, &args, "main-job", &[Role::Raw, Role::Service, Role::Naive])?;
    }
    if is_asked_for(Bench::Filtered) {
        moved(&Broker::of_this_run()?, &args, "filtered", &[Role::Raw, Role::Filtered])?;
    }
    if is_asked_for(Bench::Neighbour) {
        let broker = Broker::of_this_run()?;
        neighbour(&broker, &args, Neighbour::Dead)?;
        neighbour(&broker, &args, Neighbour::Loops)?;
    }
    if is_asked_for(Bench::Mappers) {
        mappers::run(&args, allocations)?;
    }
    let is_good = !is_asked_for(Bench::Languages) || languages::run(&args, allocations)?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One run; its usage is the last line that it prints.
#[expect(clippy::print_stdout, reason = "the answer of this process")]
fn one(
    role: Role,
    broker: &Broker,
    from: &str,
    to: &str,
    records: usize,
    allocations: Allocations,
) -> anyhow::Result<ExitCode> {
    let start = Usage::now(allocations)?;
    match role {
        Role::Raw => raw::run(broker, from, to, records)?,
        Role::Naive => naive::run(broker, from, to, records)?,
        Role::Service => service::run(broker, from, to, records)?,
        Role::Filtered => service::run_filtered(broker, from, to, records)?,
    }
    println!("{}", serde_json::to_string(&Usage::now(allocations)?.since(&start))?);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
fn moved(broker: &Broker, args: &Args, name: &'static str, roles: &[Role]) -> anyhow::Result<()> {
    let feed = format!("bench-feed-{name}");
    eprintln!("writing {} records to the feed", args.records);
    let bytes = feed::fill(broker, &feed, args.records)?;
    let mut report = Report::new(name, roles.iter().map(|role| role.name()).collect(), args.records, bytes);
    for pair in 0..args.pairs {
        // Whoever comes second finds the page cache warm: so they take turns.
        let mut roles = roles.to_vec();
        let first = pair % roles.len();
        roles.rotate_left(first);
        for role in roles {
            let usage = measured(broker, "bench", role, &feed, args.records)?;
            eprintln!("round {}: {:<8} {usage}", pair + 1, role.name());
            report.add(role.name(), usage);
        }
    }
    for role in roles.iter().take(2) {
        let usage = measured(broker, "bench-counted", *role, &feed, args.records)?;
        report.add_allocations(role.name(), usage.allocations);
    }
    broker.delete_topic(&feed)?;
    let text = if args.format == Format::Json { report.json() } else { report.table() };
    println!("{text}");
    Ok(())
}

/// Latencies of a connection that is well, alone and beside one that is not; runs take turns.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
fn neighbour(broker: &Broker, args: &Args, other: Neighbour) -> anyhow::Result<()> {
    let mut latencies = Vec::new();
    for round in 0..args.pairs {
        let mut of_round = [(None, None), (Some(other), None)];
        if round % 2 == 1 {
            of_round.reverse();
        }
        for (beside, latency) in &mut of_round {
            let measured = neighbour::run(broker, round, *beside)?;
            let whom = beside.map_or_else(|| "alone".to_owned(), |other| format!("beside {}", other.name()));
            eprintln!("round {}: {whom}: median {:?}, p99 {:?}", round + 1, measured.median, measured.p99);
            *latency = Some(measured);
        }
        of_round.sort_by_key(|(beside, _)| beside.is_some());
        let [(_, alone), (_, beside)] = of_round;
        latencies.extend(alone.zip(beside));
    }
    let text = if args.format == Format::Json {
        report::neighbour_json(other.name(), &latencies)
    } else {
        report::neighbour_table(other.name(), &latencies)
    };
    println!("{text}");
    Ok(())
}

/// A run in a process of its own; afterwards its topic holds as many records as were read.
fn measured(broker: &Broker, program: &str, role: Role, from: &str, records: usize) -> anyhow::Result<Usage> {
    let to = format!("bench-out-{}", role.name());
    broker.create_topic(&to, feed::PARTITIONS, &[])?;
    let program: PathBuf = std::env::current_exe()?.with_file_name(program);
    let output = Command::new(program)
        .args(["--records", &records.to_string(), "role", role.name(), "--from", from, "--to", &to])
        .output()
        .context("cannot start a run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {said}", role.name());
    let text = String::from_utf8(output.stdout)?;
    let usage = serde_json::from_str(text.lines().last().context("no usage")?)?;
    let written = broker.count(&to)?;
    ensure!(written == records, "{} wrote {written} of {records} records: {said}", role.name());
    broker.delete_topic(&to)?;
    Ok(usage)
}
