//! `cargo xtask tidy`: rules about the tree that no compiler checks.

mod edges;
mod files;
mod graph;
mod links;
mod readme;

use std::process::ExitCode;

use anyhow::bail;

pub(crate) use self::edges::{Edges, TABLE};
use crate::console::progress;
use crate::{release, workspace};

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    check()?;
    progress("tidy");
    Ok(ExitCode::SUCCESS)
}

/// Reports every finding at once.
pub(crate) fn check() -> anyhow::Result<()> {
    let root = workspace::root();
    let crates = graph::read(&root)?;
    let mut findings = edges::check(TABLE, edges::RESERVED, &crates);
    findings.extend(files::check(&root)?);
    findings.extend(links::check(&root)?);
    findings.extend(readme::check(&crates)?);
    findings.extend(release::read_fragments(&root)?.1);
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        progress(format_args!("  {finding}"));
    }
    bail!("{} findings", findings.len())
}
