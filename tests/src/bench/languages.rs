//! What filters and templates cost beside a parse of the message: `cargo xtask bench languages`. No broker takes part.

mod growth;
mod operation;
mod report;

use self::report::Report;
use super::operations::{counted, cpu_seconds, instructions, of_counted, repetitions};
use super::{Allocations, Args, Format};

pub(super) use self::operation::all;

/// Answers whether every bar was reached.
///
/// # Errors
/// An operation goes wrong, a process that counts does, or the system tells no times.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
pub(super) fn run(args: &Args, allocations: Allocations) -> anyhow::Result<bool> {
    if allocations().is_some() {
        println!("{}", serde_json::to_string(&counted(all()?, allocations)?)?);
        return Ok(true);
    }
    let mut report = Report::new(of_counted("languages")?);
    let mut operations = all()?;
    let mut growths = growth::all()?;
    let mut times = Vec::new();
    for operation in &mut operations {
        times.push(repetitions(operation)?);
    }
    for round in 0..args.pairs {
        eprintln!("round {}", round + 1);
        for (operation, times) in operations.iter_mut().zip(&times) {
            report.add(operation.name(), cpu_seconds(operation, *times)?);
        }
        for (once, four_times) in &mut growths {
            let (few, many) = (repetitions(once)?, repetitions(four_times)?);
            let ratio = cpu_seconds(four_times, many)? / cpu_seconds(once, few)?;
            report.add_growth(once.name(), ratio);
        }
    }
    if args.instructions {
        for operation in &operations {
            report.add_instructions(operation.name(), instructions(operation.name())?);
        }
    }
    println!("{}", if args.format == Format::Json { report.json() } else { report.table() });
    let missed = report.missed();
    missed.iter().for_each(|missed| eprintln!("missed: {missed}"));
    Ok(missed.is_empty())
}
