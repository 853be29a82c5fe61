//! `cargo xtask bench`, `campaign`, `conformance` and `schemathesis`: programs of the test kit, with a broker of their own where
//! they need one.

use std::process::ExitCode;

use clap::ValueEnum;
use xshell::cmd;

use crate::broker::Held;
use crate::conformance::Output;
use crate::test::BROKER_VARIABLE;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Only this one; each of them if there is none. `languages` and `mappers` need no broker
    #[arg(value_enum)]
    only: Option<Bench>,
    #[command(flatten)]
    output: Output,
    /// Records in each run
    #[arg(long)]
    records: Option<u64>,
    /// Interleaved pairs of runs
    #[arg(long)]
    pairs: Option<u32>,
    /// Passed on to the program
    #[arg(last = true)]
    more: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, clap::ValueEnum)]
enum Bench {
    MainJob,
    Filtered,
    Neighbour,
    Languages,
    Mappers,
}

/// All but the broker is the program's.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramArgs {
    /// For the program, `--help` among them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let mut flags: Vec<String> = args.output.flags().into_iter().map(Into::into).collect();
    let only = args.only.and_then(|only| only.to_possible_value());
    flags.extend(only.into_iter().flat_map(|only| ["--only".to_owned(), only.get_name().to_owned()]));
    let numbers = [("--records", args.records), ("--pairs", args.pairs.map(u64::from))];
    for (flag, number) in numbers {
        flags.extend(number.into_iter().flat_map(|number| [flag.to_owned(), number.to_string()]));
    }
    flags.extend_from_slice(&args.more);
    if matches!(args.only, Some(Bench::Languages | Bench::Mappers)) {
        build()?;
        return Ok(workspace::exit_code(program("bench", &flags)?.status()?));
    }
    with_broker("bench", &flags)
}

pub(crate) fn campaign(args: &ProgramArgs) -> anyhow::Result<ExitCode> {
    with_broker("campaign", &args.args)
}

pub(crate) fn schemathesis(args: &ProgramArgs) -> anyhow::Result<ExitCode> {
    with_broker("schemathesis", &args.args)
}

/// Runs a program of the test kit with a broker of its own. The exit code is the program's.
pub(crate) fn with_broker(name: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    // Built before the broker starts: nothing else is to run beside what is measured.
    build()?;
    let dir =
        workspace::absolute(&workspace::target_dir())?.join(format!("broker-{name}-{}", std::process::id()));
    let broker = Held::start(&dir)?;
    let status = program(name, args)?.env(BROKER_VARIABLE, broker.state_file()).status();
    broker.stop()?;
    Ok(workspace::exit_code(status?))
}

fn build() -> anyhow::Result<()> {
    let shell = workspace::shell()?;
    Ok(cmd!(shell, "cargo build --quiet --release -p ditto-tests --bins").quiet().run()?)
}

/// A program of the test kit.
fn program(name: &str, args: &[String]) -> anyhow::Result<std::process::Command> {
    let shell = workspace::shell()?;
    Ok(cmd!(shell, "cargo run --quiet --release -p ditto-tests --bin {name} -- {args...}").into())
}
