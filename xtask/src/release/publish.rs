//! `cargo xtask release publish`: packages, each built from itself alone, and then uploaded.

use anyhow::Context;
use cargo_metadata::semver::Version;
use xshell::{Shell, cmd};

use super::{packages, refuse, version};
use crate::console::{progress, result};
use crate::tidy::TABLE;
use crate::{git, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A crate to publish, several times for several; all of them if there is none. A dry run takes what it names of ours as
    /// well, since no registry has that yet
    #[arg(long = "package", short, value_name = "CRATE")]
    packages: Vec<String>,
    /// Upload, which cannot be taken back; without this the packages are built and nothing leaves the machine
    #[arg(long)]
    execute: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (shell, root) = (workspace::shell()?, workspace::root());
    let (version, mut findings) = version::present(&shell.read_file(root.join("Cargo.toml"))?)?;
    let metadata = packages::read(&root)?;
    findings.extend(packages::other_versions(&metadata, &version.to_string()));
    findings.extend(check(&shell, &version)?);
    let mut chosen = packages::choose(&packages::published(&metadata), &args.packages)?;
    if !args.execute {
        chosen = packages::with_what_they_name(&metadata, &chosen);
    }
    let chosen = packages::order(TABLE, &chosen)?;
    findings.extend(packages::check_contents(&shell, &chosen)?);
    refuse(&format!("{version} cannot be published"), &findings)?;
    result(format_args!("version {version}, in the order of the edges: {}", chosen.join(", ")));
    // One call: later packages need the earlier ones, which no registry has yet. One folder for all of them: otherwise cargo
    // builds what they have in common, librdkafka among it, for each package anew.
    let folder = workspace::absolute(&workspace::target_dir())?.join("publish");
    let flags: &Vec<_> = &chosen.iter().flat_map(|name| ["--package", name]).collect();
    // What is built may run anything, so it does not see the token.
    cmd!(shell, "cargo publish --locked --dry-run {flags...}")
        .env("CARGO_TARGET_DIR", &folder)
        .env_remove("CARGO_REGISTRY_TOKEN")
        .run()?;
    if args.execute {
        cmd!(shell, "cargo publish --locked --no-verify {flags...}")
            .env("CARGO_TARGET_DIR", folder)
            .run()
            .context("look which crates the registry has, and name those that are left with --package")?;
    } else {
        progress("each package builds from itself alone; nothing was uploaded, --execute does it");
    }
    Ok(())
}

/// Packages are what the tag says.
fn check(shell: &Shell, version: &Version) -> anyhow::Result<Vec<String>> {
    let mut findings: Vec<_> = git::dirty(shell)?.into_iter().collect();
    let tag = git::tag_of(version);
    let (head, tagged) = (git::commit(shell, "HEAD")?, git::commit(shell, &tag)?);
    match tagged {
        None => findings.push(format!("there is no tag {tag}; cargo xtask release tag makes it")),
        Some(_) if head == tagged => {}
        Some(_) => findings.push(format!("this is not the commit of {tag}; `git switch --detach {tag}`")),
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use xshell::cmd;

    use super::check;
    use crate::git::tests::repository;

    #[test]
    fn only_the_tag_itself_is_published() {
        let (_folder, shell) = repository(&[("a", "1")]);
        let findings = || check(&shell, &"0.2.0".parse().unwrap()).unwrap();
        assert_eq!(findings(), ["there is no tag v0.2.0; cargo xtask release tag makes it"]);
        cmd!(shell, "git tag --annotate v0.2.0 -m v0.2.0").quiet().run().unwrap();
        assert_eq!(findings(), [""; 0]);
        cmd!(shell, "git switch --quiet --detach v0.2.0").quiet().run().unwrap();
        assert_eq!(findings(), [""; 0]);
        shell.write_file("a", "2").unwrap();
        assert!(findings()[0].starts_with("the tree has changes"));
        cmd!(shell, "git commit --quiet --all -m second").quiet().run().unwrap();
        assert_eq!(findings(), ["this is not the commit of v0.2.0; `git switch --detach v0.2.0`"]);
    }
}
