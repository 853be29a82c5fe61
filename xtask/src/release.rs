//! `cargo xtask release`: what stands between this tree and a version, and the order of publishing.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use xshell::{Shell, cmd};

use crate::console::{progress, result};
use crate::tidy::Edges;
use crate::{tidy, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build each package as its users will get it, and upload nothing (`cargo publish --dry-run`)
    #[arg(long)]
    execute: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = workspace::shell()?;
    let published = order(tidy::TABLE, &published(&workspace::root())?)?;
    let version = check(&shell)?;
    result(format_args!("version {version}, crates in the order of their edges:"));
    for name in &published {
        result(format_args!("  cargo publish --dry-run --package {name}"));
    }
    if args.execute {
        // One call: later packages need the earlier ones, which no registry has yet.
        let packages: Vec<_> = published.iter().flat_map(|name| ["--package", name]).collect();
        cmd!(shell, "cargo publish --dry-run {packages...}").run()?;
    } else {
        progress("nothing was built; --execute runs the dry run");
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is not ready, at once; the version if all is.
fn check(shell: &Shell) -> anyhow::Result<String> {
    let root = workspace::root();
    let mut findings = Vec::new();
    let changes = cmd!(shell, "git status --porcelain").quiet().read()?;
    if !changes.is_empty() {
        findings.push(format!("the tree has changes:\n{changes}"));
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let (version, differing) = versions(&manifest)?;
    findings.extend(differing);
    if fragments(&root.join("docs/changelog.d"))? == 0 {
        findings.push("docs/changelog.d has no fragment: nothing to say about this version".to_owned());
    }
    if !findings.is_empty() {
        bail!("not ready for version {version}:\n- {}", findings.join("\n- "));
    }
    Ok(version)
}

/// The version of the workspace, and its dependencies on own crates that ask for another one.
fn versions(manifest: &str) -> anyhow::Result<(String, Vec<String>)> {
    let manifest: toml_edit::DocumentMut = manifest.parse().context("Cargo.toml is no TOML")?;
    let workspace = manifest.get("workspace").context("Cargo.toml has no [workspace]")?;
    let version = workspace.get("package").and_then(|it| it.get("version")?.as_str());
    let version = version.context("Cargo.toml has no workspace.package.version")?;
    let dependencies = workspace.get("dependencies").and_then(|it| it.as_table_like());
    let own = dependencies.into_iter().flat_map(|it| it.iter()).filter(|(_, it)| it.get("path").is_some());
    let differing = own.filter(|(_, it)| it.get("version").and_then(|it| it.as_str()) != Some(version));
    let findings =
        differing.map(|(name, _)| format!("workspace.dependencies asks for another {name} than {version}"));
    Ok((version.to_owned(), findings.collect()))
}

fn fragments(folder: &Path) -> anyhow::Result<usize> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<anyhow::Result<_>>()?;
    Ok(names.iter().filter(|name| name.ends_with(".md") && *name != "README.md").count())
}

/// Crates that are for others.
fn published(root: &Path) -> anyhow::Result<Vec<String>> {
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
    let for_others = metadata.packages.iter().filter(|it| it.publish != Some(Vec::new()));
    Ok(for_others.map(|it| it.name.to_string()).collect())
}

/// Each crate after those that it may name.
fn order(table: &[Edges], crates: &[String]) -> anyhow::Result<Vec<String>> {
    let mut open: Vec<_> = table.iter().filter(|it| crates.iter().any(|name| name == it.name)).collect();
    let mut done: Vec<String> = Vec::new();
    while !open.is_empty() {
        let blocked = |it: &Edges| open.iter().any(|other| it.may_name.contains(&other.name));
        let Some(next) = open.iter().position(|it| !blocked(it)) else {
            bail!("the table of edges has a circle");
        };
        done.push(open.remove(next).name.to_owned());
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::{order, versions};
    use crate::tidy::TABLE;

    #[test]
    fn what_is_named_comes_first() {
        let crates = ["ditto-connectivity", "ditto-protocol", "ditto-json", "ditto-kafka"].map(str::to_owned);
        let order = order(TABLE, &crates).unwrap();
        assert_eq!(order.len(), crates.len());
        let place = |name: &str| order.iter().position(|it| it == name).unwrap();
        assert!(place("ditto-json") < place("ditto-protocol"));
        assert!(place("ditto-protocol") < place("ditto-connectivity"));
        assert!(place("ditto-kafka") < place("ditto-connectivity"));
    }

    #[test]
    fn a_version_that_differs_is_named() {
        let manifest = "workspace.package.version = '1.2.0'\n[workspace.dependencies]\n\
            good = { path = 'good', version = '1.2.0' }\nold = { path = 'old', version = '1.1.0' }\nother = '7'\n";
        let (version, findings) = versions(manifest).unwrap();
        assert_eq!(version, "1.2.0");
        assert_eq!(findings, ["workspace.dependencies asks for another old than 1.2.0"]);
    }
}
