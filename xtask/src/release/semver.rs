//! `cargo xtask release semver`: whether a version may say what it says about the interfaces of the crates.

use anyhow::bail;
use cargo_metadata::semver::Version;
use xshell::{Shell, cmd};

use super::{packages, version};
use crate::console::progress;
use crate::{git, workspace};

const INSTALL: &str = "cargo install cargo-semver-checks --locked";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail where cargo-semver-checks is not installed, instead of saying that nothing was compared
    #[arg(long)]
    required: bool,
}

/// What it means that cargo-semver-checks is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Fails,
    Passes,
}

/// The present version, which is already in the manifests.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (shell, root) = (workspace::shell()?, workspace::root());
    let (version, _) = version::present(&shell.read_file(root.join("Cargo.toml"))?)?;
    let published = packages::published(&packages::read(&root)?);
    check(&shell, &published, &version, if args.required { Missing::Fails } else { Missing::Passes })
}

/// Compares the tree with the release before `version`. What cannot be compared is said.
pub(crate) fn check(
    shell: &Shell,
    crates: &[String],
    version: &Version,
    missing: Missing,
) -> anyhow::Result<()> {
    let Some(base) = base(&git::tagged_versions(shell)?, version) else {
        progress(format_args!("semver: no base: there is no release tag before {version}"));
        return Ok(());
    };
    let tag = git::tag_of(&base);
    let probe = cmd!(shell, "cargo semver-checks --version").quiet().ignore_stdout().ignore_stderr();
    if probe.run().is_err() {
        if missing == Missing::Fails {
            bail!("cargo-semver-checks is not installed: {INSTALL}");
        }
        progress(format_args!(
            "semver: SKIPPED: not compared with {tag}, since cargo-semver-checks is not installed ({INSTALL}); the \
             release workflow compares"
        ));
        return Ok(());
    }
    let (known, new): (Vec<_>, Vec<_>) =
        crates.iter().partition(|name| git::has_file(shell, &tag, &format!("crates/{name}/Cargo.toml")));
    for name in new {
        progress(format_args!("semver: no base: {tag} has no {name}"));
    }
    let packages: Vec<_> = known.into_iter().flat_map(|name| ["--package", name]).collect();
    let distance = version::distance(&base, version);
    // The distance is given, since the manifests may not have the version yet.
    cmd!(shell, "cargo semver-checks --baseline-rev {tag} --release-type {distance} {packages...}").run()?;
    Ok(())
}

/// The newest release before a version. Candidates promise nothing.
fn base(tagged: &[Version], version: &Version) -> Option<Version> {
    tagged.iter().filter(|it| it.pre.is_empty() && *it < version).max().cloned()
}

#[cfg(test)]
mod tests {
    use super::{Missing, base, check};
    use crate::git::tests::repository;

    #[test]
    fn the_base_is_the_release_before() {
        let tagged = ["0.9.0", "1.0.0", "1.1.0-rc.1", "1.1.0", "2.0.0"].map(|it| it.parse().unwrap());
        let check = |version: &str| base(&tagged, &version.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(check("1.1.0").as_deref(), Some("1.0.0"));
        assert_eq!(check("1.1.1").as_deref(), Some("1.1.0"));
        assert_eq!(check("3.0.0-rc.1").as_deref(), Some("2.0.0"));
        assert_eq!(check("0.9.0"), None);
    }

    #[test]
    fn without_a_base_nothing_is_required() {
        let (_folder, shell) = repository(&[]);
        assert!(check(&shell, &[], &"0.1.0".parse().unwrap(), Missing::Fails).is_ok());
    }
}
