//! `cargo xtask release notes`: what the changelog says about the present version.

use anyhow::Context;

use super::{changelog, version};
use crate::console::result;
use crate::workspace;

pub(crate) fn run() -> anyhow::Result<()> {
    let (shell, root) = (workspace::shell()?, workspace::root());
    let (version, _) = version::present(&shell.read_file(root.join("Cargo.toml"))?)?;
    let history = shell.read_file(root.join("CHANGELOG.md"))?;
    let section = changelog::find(&history, &version)
        .with_context(|| format!("CHANGELOG.md has no section of {version}"))?;
    result(section);
    Ok(())
}
