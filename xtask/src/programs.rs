//! `cargo xtask bench`: the benchmarks of the test kit, with a broker of their own.

use std::process::ExitCode;

use xshell::cmd;

use crate::broker::Held;
use crate::conformance::Output;
use crate::test::BROKER_VARIABLE;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = workspace::shell()?;
    // Built before the broker starts: nothing else is to run beside what is measured.
    cmd!(shell, "cargo build --quiet --release -p ditto-tests --bins").quiet().run()?;
    let dir =
        workspace::absolute(&workspace::target_dir())?.join(format!("broker-bench-{}", std::process::id()));
    let broker = Held::start(&dir)?;
    let format = args.output.flags();
    let mut command = cmd!(shell, "cargo run --quiet --release -p ditto-tests --bin bench -- {format...}");
    if let Some(records) = args.records {
        command = command.arg("--records").arg(records.to_string());
    }
    if let Some(pairs) = args.pairs {
        command = command.arg("--pairs").arg(pairs.to_string());
    }
    let command = command.args(&args.more).env(BROKER_VARIABLE, broker.state_file());
    let status = std::process::Command::from(command).status();
    broker.stop()?;
    Ok(workspace::exit_code(status?))
}
