//! What filters and templates cost beside a parse of the message: `cargo xtask bench languages`. No broker takes part.
//!
//! Time is that of the processor. Allocations and instructions are counted in processes of their own, since counting costs time.

mod growth;
mod operation;
mod report;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, ensure};

use self::operation::Operation;
use self::report::Report;
use super::{Allocations, Args, Format, Usage};

/// Processor time for which an operation is repeated in each round, in seconds: the clock has units of 1/100 s.
const SECONDS: f64 = 0.3;

/// Answers whether every bar was reached.
///
/// # Errors
/// An operation goes wrong, a process that counts does, or the system tells no times.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
pub(super) fn run(args: &Args, allocations: Allocations) -> anyhow::Result<bool> {
    if allocations().is_some() {
        println!("{}", serde_json::to_string(&counted(allocations)?)?);
        return Ok(true);
    }
    let mut report = Report::new(of_counted()?);
    let mut operations = operation::all()?;
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

/// Repeats one operation (used by the benchmark itself).
///
/// # Errors
/// There is none of that name, or it goes wrong.
pub(super) fn repeat(name: &str, times: u64) -> anyhow::Result<()> {
    let mut operations = operation::all()?;
    let named = operations.iter_mut().find(|operation| operation.name() == name);
    named.with_context(|| format!("there is no operation `{name}`"))?.repeat(times);
    Ok(())
}

/// Seconds of each time.
fn cpu_seconds(operation: &mut Operation, times: u64) -> anyhow::Result<f64> {
    let start = Usage::now(|| None)?;
    operation.repeat(times);
    Ok(Usage::now(|| None)?.since(&start).cpu_seconds / times as f64)
}

/// How often an operation can be done in [`SECONDS`], at least once.
fn repetitions(operation: &mut Operation) -> anyhow::Result<u64> {
    let mut times = 1;
    loop {
        let took = cpu_seconds(operation, times)? * times as f64;
        if took >= SECONDS / 4.0 {
            return Ok(((times as f64 * SECONDS / took) as u64).max(1));
        }
        times *= 2;
    }
}

/// Allocations of each operation, by name.
fn counted(allocations: Allocations) -> anyhow::Result<BTreeMap<String, f64>> {
    const TIMES: u64 = 1_000;
    let mut counted = BTreeMap::new();
    for mut operation in operation::all()? {
        // What is used again has to be there.
        operation.repeat(1);
        let before = allocations().context("nobody counts")?;
        operation.repeat(TIMES);
        let after = allocations().context("nobody counts")?;
        counted.insert(operation.name().to_owned(), (after - before) as f64 / TIMES as f64);
    }
    Ok(counted)
}

/// What the program that counts allocations says.
fn of_counted() -> anyhow::Result<BTreeMap<String, f64>> {
    let program = std::env::current_exe()?.with_file_name("bench-counted");
    let output = Command::new(program).args(["--only", "languages"]).output().context("cannot count")?;
    ensure!(output.status.success(), "counting failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Instructions of an operation: what a thousand more of them cost.
fn instructions(name: &str) -> anyhow::Result<f64> {
    const MORE: u64 = 1_000;
    let few = collected(name, 1)?;
    Ok((collected(name, 1 + MORE)? - few) / MORE as f64)
}

fn collected(name: &str, times: u64) -> anyhow::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["operation", name, &times.to_string()])
        .output()
        .context("cannot run valgrind; install it, or leave --instructions away")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed: {said}");
    let (_, number) = said.rsplit_once("Collected : ").context("valgrind has counted nothing")?;
    Ok(number.split_whitespace().next().context("no number")?.parse()?)
}
