//! Prints how the vectors of the reference end, file by file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ditto_tests::conformance;

#[derive(Parser)]
#[command(about = "Runs the vectors of the reference against our crates")]
struct Args {
    /// Folder with .ndjson files.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))]
    vectors: PathBuf,
    /// `table` for people, `json` for a line per file.
    #[arg(long, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

#[expect(clippy::print_stdout, reason = "the table is the product of this program")]
fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let report = conformance::run(&args.vectors, |_| true)?;
    if args.format == Format::Json {
        for file in &report.files {
            println!("{}", serde_json::to_string(file)?);
        }
    } else {
        println!("{:<20} {:>7} {:>7} {:>18}", "file", "passed", "failed", "known differences");
        for file in &report.files {
            let (failed, known) = (file.failed.len(), file.known_differences.len());
            println!("{:<20} {:>7} {failed:>7} {known:>18}", file.file, file.passed);
            for (id, finding) in &file.findings {
                println!("    {id} {finding}");
            }
            for id in &file.known_differences {
                println!("    {id} differs on purpose (docs/differences.md)");
            }
        }
        for file in &report.not_driven {
            println!("{file:<20} not driven");
        }
    }
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
