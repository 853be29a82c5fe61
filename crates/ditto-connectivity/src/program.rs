//! The program: from the command line to an exit code.

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::{check, dead_letters, eval, exit, lanes, manual, quickstart, run};

/// The program: takes its arguments from the process and does what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too.
            let _printed = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    ExitCode::from(match cli.command {
        Command::Run(args) => run::run(args),
        Command::Stamp(args) => run::stamp(&args),
        Command::Lanes(args) => lanes::run(args.command),
        Command::DeadLetters(args) => dead_letters::run(args.command),
        Command::Eval(args) => eval::run(args.command),
        Command::Explain(args) => eval::explain(&args),
        Command::Check(args) => check::check(&args),
        Command::HashPassword => run::hash_password(),
        Command::Schema => check::schema(),
        Command::Quickstart(args) => quickstart::quickstart(args),
        Command::Completions(args) => manual::completions(args.shell),
        Command::Man(args) => manual::man(&args),
    })
}
