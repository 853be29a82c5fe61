//! `cargo xtask conformance`: the runner lives with the vectors in the test kit.

use std::path::PathBuf;
use std::process::ExitCode;

use xshell::cmd;

use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with .ndjson files instead of those of the project
    #[arg(long, value_name = "FOLDER")]
    vectors: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// How results are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// A table for people, or a JSON object a line
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

impl Output {
    /// As the programs of the test kit take it.
    pub(crate) fn flags(&self) -> [&'static str; 2] {
        let format = match self.format {
            Format::Table => "table",
            Format::Json => "json",
        };
        ["--format", format]
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = workspace::shell()?;
    let format = args.output.flags();
    let mut command =
        cmd!(shell, "cargo run --quiet --release -p ditto-tests --bin conformance -- {format...}").quiet();
    if let Some(vectors) = &args.vectors {
        command = command.arg("--vectors").arg(workspace::absolute(vectors)?);
    }
    let status = std::process::Command::from(command).status()?;
    Ok(workspace::exit_code(status))
}
