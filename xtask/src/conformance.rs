//! `cargo xtask conformance`: the runner lives with the vectors in the test kit, and has a broker of its own for the rows
//! that are requests to the service.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::programs::with_broker;
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
    let mut flags: Vec<String> = args.output.flags().into_iter().map(Into::into).collect();
    if let Some(vectors) = &args.vectors {
        let folder = workspace::absolute(vectors)?;
        flags.extend(["--vectors".to_owned(), folder.display().to_string()]);
    }
    with_broker("conformance", &flags)
}
