//! `cargo xtask release tag`: the tag of a version that was prepared.

use anyhow::Context;
use cargo_metadata::semver::Version;
use xshell::{Shell, cmd};

use super::{changelog, packages, refuse, version};
use crate::console::{progress, result};
use crate::{git, workspace};

const BRANCH: &str = "main";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make the tag; without this nothing is made. It is never pushed
    #[arg(long)]
    execute: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (shell, root) = (workspace::shell()?, workspace::root());
    let (version, mut findings) = version::present(&shell.read_file(root.join("Cargo.toml"))?)?;
    findings.extend(packages::other_versions(&packages::read(&root)?, &version.to_string()));
    findings.extend(check(&shell, &version, &shell.read_file(root.join("CHANGELOG.md"))?)?);
    refuse(&format!("{version} cannot be tagged"), &findings)?;
    cmd!(shell, "cargo metadata --locked --format-version 1")
        .quiet()
        .ignore_stdout()
        .run()
        .context("Cargo.lock does not fit the manifests; commit it as cargo writes it")?;
    let (tag, message) = (git::tag_of(&version), format!("ditto-connectivity {version}"));
    let push = format!("git push origin {tag}");
    if args.execute {
        cmd!(shell, "git tag --annotate {tag} --message {message}").run()?;
        result(format_args!("{tag} is made; the release starts when it is pushed: {push}"));
    } else {
        result(format_args!("git tag --annotate {tag} --message '{message}'\n{push}"));
        progress("nothing was tagged; --execute makes the tag, and leaves pushing to you");
    }
    Ok(())
}

/// What git and the changelog have against a tag.
fn check(shell: &Shell, version: &Version, history: &str) -> anyhow::Result<Vec<String>> {
    let mut findings: Vec<_> = git::dirty(shell)?.into_iter().collect();
    match git::branch(shell)? {
        Some(branch) if branch == BRANCH => {}
        Some(branch) => {
            findings.push(format!("this is the branch {branch}; versions are made of {BRANCH}"));
        }
        None => findings.push(format!("HEAD is detached; `git switch {BRANCH}`")),
    }
    if changelog::find(history, version).is_none() {
        findings
            .push(format!("CHANGELOG.md has no section of {version}; cargo xtask release prepare writes it"));
    }
    let tag = git::tag_of(version);
    if let Some(commit) = git::commit(shell, &tag)? {
        findings.push(format!("there is a tag {tag} already, at {commit}"));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use xshell::{Shell, cmd};

    use super::check;
    use crate::git::tests::repository;

    const HISTORY: &str = "# Changelog\n\n## 0.2.0 (2026-11-25)\n\n- A fix.\n";

    fn findings(shell: &Shell, version: &str) -> String {
        check(shell, &version.parse().unwrap(), HISTORY).unwrap().join("\n")
    }

    #[test]
    fn a_prepared_version_on_main_can_be_tagged() {
        let (_folder, shell) = repository(&[("a", "1")]);
        assert_eq!(findings(&shell, "0.2.0"), "");
    }

    #[test]
    fn nothing_else_can() {
        let (_folder, shell) = repository(&[("a", "1")]);
        assert!(findings(&shell, "0.3.0").starts_with("CHANGELOG.md has no section of 0.3.0"));
        cmd!(shell, "git tag v0.2.0").quiet().run().unwrap();
        assert!(findings(&shell, "0.2.0").starts_with("there is a tag v0.2.0 already, at "));
        cmd!(shell, "git switch --quiet --create other").quiet().run().unwrap();
        assert!(findings(&shell, "0.2.0").starts_with("this is the branch other; versions are made of main"));
        cmd!(shell, "git switch --quiet --detach").quiet().run().unwrap();
        assert!(findings(&shell, "0.2.0").starts_with("HEAD is detached"));
        shell.write_file("a", "2").unwrap();
        assert!(findings(&shell, "0.2.0").starts_with("the tree has changes"));
    }
}
