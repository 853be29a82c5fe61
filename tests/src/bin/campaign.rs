//! A campaign: `cargo xtask campaign`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ditto_tests::campaign::{self, Churn, Faults, Load, Plan};

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
    what: What,
    /// Of `churn`: how many changes of connections are answered before each kill.
    #[arg(long, default_value_t = 1_000)]
    changes: usize,
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
enum What {
    /// Events of one kind, and targets that publish them as they are.
    Plain,
    /// Signals of all kinds, and targets that filter, enrich and map them.
    Mapped,
    /// Clients that create, change and delete connections beside one that nobody touches. Of faults it has only kills.
    Churn,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
fn main() -> anyhow::Result<ExitCode> {
    let Args { seed, faults, what, changes, signals, rate, logs, format } = Args::parse();
    let program = std::env::current_exe()?.with_file_name("service");
    let load = match what {
        What::Plain => Load::Plain,
        What::Mapped => Load::Mapped,
        What::Churn => {
            let plan = Churn { seed, kills: faults.kills, changes, rate, logs };
            return churn(&plan, &program.to_string_lossy(), format);
        }
    };
    let plan = Plan { seed, faults, load, rate, signals, logs };
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

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
fn churn(plan: &Churn, program: &str, format: Format) -> anyhow::Result<ExitCode> {
    let outcome = campaign::churn(plan, program, |text| eprintln!("{text}"))?;
    if format == Format::Json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        let v = &outcome.verdict;
        println!(
            "seed {}: {} kills, {} changes, {} refused, {} without an answer, {} of them kept; {} findings",
            outcome.seed,
            outcome.kills,
            outcome.changed,
            outcome.refused,
            outcome.unanswered,
            outcome.kept,
            outcome.wrong
        );
        println!(
            "beside: {} signals, lost {}, phantom {}, unequal {}, reordered {}, duplicates {} of {} allowed",
            outcome.signals,
            v.lost,
            v.phantom,
            v.unequal,
            v.reordered,
            v.duplicates,
            outcome.duplicates_allowed
        );
        println!("base {:?}\nleft {:?}", outcome.base, outcome.left);
    }
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
