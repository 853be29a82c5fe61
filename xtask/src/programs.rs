//! `cargo xtask bench` and `cargo xtask campaign`: programs of the test kit, with a broker of their own.

use std::process::ExitCode;

use xshell::cmd;

use crate::broker::Held;
use crate::conformance::Output;
use crate::test::BROKER_VARIABLE;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
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

/// All but the broker is the program's.
#[derive(Debug, clap::Args)]
pub(crate) struct CampaignArgs {
    /// For the program, `--help` among them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let mut flags: Vec<String> = args.output.flags().into_iter().map(Into::into).collect();
    let numbers = [("--records", args.records), ("--pairs", args.pairs.map(u64::from))];
    for (flag, number) in numbers {
        flags.extend(number.into_iter().flat_map(|number| [flag.to_owned(), number.to_string()]));
    }
    flags.extend_from_slice(&args.more);
    with_broker("bench", &flags)
}

pub(crate) fn campaign(args: &CampaignArgs) -> anyhow::Result<ExitCode> {
    with_broker("campaign", &args.args)
}

fn with_broker(program: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let shell = workspace::shell()?;
    // Built before the broker starts: nothing else is to run beside what is measured.
    cmd!(shell, "cargo build --quiet --release -p ditto-tests --bins").quiet().run()?;
    let dir = workspace::absolute(&workspace::target_dir())?
        .join(format!("broker-{program}-{}", std::process::id()));
    let broker = Held::start(&dir)?;
    let command = cmd!(shell, "cargo run --quiet --release -p ditto-tests --bin {program} -- {args...}")
        .env(BROKER_VARIABLE, broker.state_file());
    let status = std::process::Command::from(command).status();
    broker.stop()?;
    Ok(workspace::exit_code(status?))
}
