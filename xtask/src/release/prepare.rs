//! `cargo xtask release prepare`: everything that a version changes in the tree.

use std::fs;
use std::path::Path;

use anyhow::Context;
use cargo_metadata::semver::Version;
use xshell::{Shell, cmd};

use super::{FOLDER, changelog, packages, refuse, semver, version};
use crate::console::{progress, result};
use crate::{git, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version to make, such as 1.2.3
    #[arg(value_parser = version::parse)]
    version: Version,
    /// Write it; without this it is only shown
    #[arg(long)]
    execute: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (shell, root) = (workspace::shell()?, workspace::root());
    let metadata = packages::read(&root)?;
    let date = cmd!(shell, "date --utc +%F").quiet().read()?;
    let plan = Plan::new(&shell, &root, &args.version, &date, |present| {
        packages::other_versions(&metadata, present)
    })?;
    semver::check(&shell, &packages::published(&metadata), &args.version, semver::Missing::Passes)?;
    if !args.execute {
        result(plan.shown());
        progress("nothing was written; --execute does it");
        return Ok(());
    }
    plan.write(&root)?;
    // Nothing but the members may have changed in the lock file.
    cmd!(shell, "cargo metadata --locked --format-version 1")
        .quiet()
        .ignore_stdout()
        .run()
        .context("Cargo.lock does not fit any more; take everything back with `git restore .` and say so")?;
    result(format_args!(
        "version {0} is written; look at it (`git diff`), commit it (`git commit --all -m 'Release {0}'`), and when it is on \
         main: cargo xtask release tag",
        args.version
    ));
    Ok(())
}

/// What is to be written and removed.
#[derive(Debug)]
struct Plan {
    edits: Vec<Edit>,
    removed: Vec<String>,
}

#[derive(Debug)]
struct Edit {
    file: &'static str,
    before: String,
    after: String,
}

impl Plan {
    /// Fails with everything that is not ready, at once.
    fn new(
        shell: &Shell,
        root: &Path,
        next: &Version,
        date: &str,
        other_versions: impl Fn(&str) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        let read =
            |file: &str| fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"));
        let (manifest, lock, history) = (read("Cargo.toml")?, read("Cargo.lock")?, read("CHANGELOG.md")?);
        let mut findings: Vec<_> = git::dirty(shell)?.into_iter().collect();
        let (present, differing) = version::present(&manifest)?;
        findings.extend(differing);
        findings.extend(other_versions(&present.to_string()));
        let released =
            git::tagged_versions(shell)?.contains(&present) || changelog::find(&history, &present).is_some();
        findings.extend(version::step(&present, next, released).err());
        let (fragments, wrong) = changelog::read_fragments(root)?;
        findings.extend(wrong);
        if fragments.is_empty() {
            findings.push(format!("{FOLDER} has no fragment: nothing to say about this version"));
        }
        refuse(&format!("{next} cannot be prepared"), &findings)?;
        let section = changelog::section(next, date, &fragments);
        let edits = [
            ("Cargo.toml", version::write_to_manifest(&manifest, next)?, manifest),
            ("Cargo.lock", version::write_to_lock(&lock, next)?, lock),
            ("CHANGELOG.md", changelog::insert(&history, &section), history),
        ];
        let edits = edits.map(|(file, after, before)| Edit { file, before, after });
        let removed = fragments.iter().map(|it| format!("{FOLDER}/{}", it.file)).collect();
        Ok(Self { edits: edits.into_iter().filter(|it| it.before != it.after).collect(), removed })
    }

    /// Every line that goes and comes.
    fn shown(&self) -> String {
        let mut text = String::new();
        for edit in &self.edits {
            text.push_str(&format!("{}\n{}", edit.file, difference(&edit.before, &edit.after)));
        }
        for file in &self.removed {
            text.push_str(&format!("{file} is removed\n"));
        }
        text.trim_end().to_owned()
    }

    fn write(&self, root: &Path) -> anyhow::Result<()> {
        for edit in &self.edits {
            fs::write(root.join(edit.file), &edit.after)
                .with_context(|| format!("cannot write {}", edit.file))?;
        }
        for file in &self.removed {
            fs::remove_file(root.join(file)).with_context(|| format!("cannot remove {file}"))?;
        }
        Ok(())
    }
}

/// The lines that differ. Versions change lines in place, and a section is put in as a whole: for these two that is exact.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let mut text = String::new();
    if before.len() == after.len() {
        for (old, new) in before.iter().zip(&after).filter(|(old, new)| old != new) {
            text.push_str(&format!("- {old}\n+ {new}\n"));
        }
        return text;
    }
    let same = before.iter().zip(&after).take_while(|(old, new)| old == new).count();
    let rest = before.iter().rev().zip(after.iter().rev()).take_while(|(old, new)| old == new).count();
    let rest = rest.min(before.len() - same).min(after.len() - same);
    for (mark, lines) in [("-", &before), ("+", &after)] {
        for line in lines.iter().take(lines.len() - rest).skip(same) {
            text.push_str(format!("{mark} {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests;
