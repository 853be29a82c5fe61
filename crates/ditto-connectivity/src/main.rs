//! The Kafka connectivity of Eclipse Ditto as one lean binary.

use std::process::ExitCode;

use clap::Parser;
use ditto_connectivity::{Cli, Command, exit, quickstart, run};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too.
            let _printed = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    ExitCode::from(match cli.command {
        Command::Run(args) => run(args),
        Command::Quickstart(args) => quickstart(args),
    })
}
