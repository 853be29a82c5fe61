//! A campaign: `cargo xtask campaign`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ditto_tests::campaign::{self, Faults, Load, Plan};

#[derive(Parser)]
#[command(about = "Makes things go wrong while the service works, and counts what was lost")]
struct Args {
    /// Decides everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    faults: Faults,
    /// What the service has to do meanwhile.
    #[arg(long = "plan", default_value = "plain")]
    load: Load,
    /// How many signals; without it as many as are written until the last fault is over.
    #[arg(long)]
    signals: Option<usize>,
    /// Signals a second.
    #[arg(long, default_value_t = 3_000)]
    rate: u64,
    /// Where the service's logs go, with the findings. Those of a bad run are always kept.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// `table` for people, `json` for one line at the end.
    #[arg(long, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
fn main() -> anyhow::Result<ExitCode> {
    let Args { seed, faults, load, signals, rate, logs, format } = Args::parse();
    let plan = Plan { seed, faults, load, rate, signals, logs };
    let program = std::env::current_exe()?.with_file_name("service");
    let outcome = campaign::run(&plan, &program.to_string_lossy(), |text| eprintln!("{text}"))?;
    if format == Format::Json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        let v = &outcome.verdict;
        println!("seed {}: {} signals, {} records", outcome.seed, outcome.signals, outcome.records);
        println!("{:?}", outcome.faults);
        println!(
            "lost {}, phantom {}, unequal {}, reordered {}, duplicates {} of {} allowed",
            v.lost, v.phantom, v.unequal, v.reordered, v.duplicates, outcome.duplicates_allowed
        );
        println!(
            "{} signals × targets had to fail; counters read {} times, not in balance {} times",
            outcome.failed, outcome.readings, outcome.unbalanced
        );
    }
    Ok(if outcome.is_good(&plan) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
