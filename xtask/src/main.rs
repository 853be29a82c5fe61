//! Developer commands: `cargo xtask help` lists them.

mod broker;
mod ci;
mod conformance;
mod console;
mod dist;
mod fuzz;
mod git;
mod programs;
mod release;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// What CI runs and developers run at home: one command, one line.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Xtask {
    /// Run every test against a real Kafka broker that lives as long as the run
    Test(test::Args),
    /// Format, lints, documentation, tidy and supply chain: what a change must pass beside the tests
    Ci,
    /// Check crate edges, file rules and links
    Tidy,
    /// Run the vectors of the reference
    Conformance(conformance::Args),
    /// Look for inputs that break what holds for any: needs nightly and cargo-fuzz
    Fuzz(fuzz::Args),
    /// Run the benchmarks against a real Kafka broker of their own
    Bench(programs::BenchArgs),
    /// Make things go wrong while the service works, against a real Kafka broker of its own, and count what was lost
    #[command(disable_help_flag = true)]
    Campaign(programs::ProgramArgs),
    /// Let schemathesis look for requests to the management API whose answers are not as it is described; needs schemathesis
    #[command(disable_help_flag = true)]
    Schemathesis(programs::ProgramArgs),
    /// Start, stop or look at a real one-node Kafka broker
    #[command(subcommand)]
    Broker(broker::Command),
    /// Build the binary and pack it with completions, man pages, licences and a bill of materials
    Dist(dist::Args),
    /// Prepare, tag and publish a version; nothing happens without --execute
    #[command(subcommand)]
    Release(release::Command),
}

fn main() -> anyhow::Result<ExitCode> {
    match Xtask::parse() {
        Xtask::Test(args) => test::run(&args),
        Xtask::Ci => ci::run(),
        Xtask::Tidy => tidy::run(),
        Xtask::Conformance(args) => conformance::run(&args),
        Xtask::Fuzz(args) => fuzz::run(&args),
        Xtask::Bench(args) => programs::bench(&args),
        Xtask::Campaign(args) => programs::campaign(&args),
        Xtask::Schemathesis(args) => programs::schemathesis(&args),
        Xtask::Broker(command) => broker::run(command),
        Xtask::Dist(args) => dist::run(&args),
        Xtask::Release(command) => release::run(&command),
    }
}
