//! The benchmark.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    ditto_tests::bench::main(|| None)
}
