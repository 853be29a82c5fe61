//! A campaign: `cargo xtask campaign`.

use std::process::ExitCode;

use clap::Parser;
use ditto_tests::campaign::{self, Plan};

#[derive(Parser)]
#[command(about = "Kills the service while it works, and counts what was lost")]
struct Args {
    /// Decides everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Times that the service is killed at once.
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// Times that it is told to stop.
    #[arg(long, default_value_t = 2)]
    stops: usize,
    /// Times that a second instance joins and leaves.
    #[arg(long, default_value_t = 2)]
    rebalances: usize,
    /// Signals a second.
    #[arg(long, default_value_t = 3_000)]
    rate: u64,
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
    let args = Args::parse();
    let plan = Plan {
        seed: args.seed,
        kills: args.kills,
        stops: args.stops,
        rebalances: args.rebalances,
        rate: args.rate,
    };
    let program = std::env::current_exe()?.with_file_name("service");
    let outcome = campaign::run(&plan, &program.to_string_lossy(), |text| eprintln!("{text}"))?;
    if args.format == Format::Json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        let v = &outcome.verdict;
        println!("seed {}: {} signals, {} records", outcome.seed, outcome.signals, outcome.records);
        println!(
            "faults: {} kills, {} stops, {} rebalances",
            outcome.kills, outcome.stops, outcome.rebalances
        );
        println!(
            "lost {}, phantom {}, reordered {}, duplicates {}",
            v.lost, v.phantom, v.reordered, v.duplicates
        );
    }
    Ok(if outcome.is_good(&plan) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
