//! `cargo xtask release`: from fragments of the changelog to a version, its tag and its packages.
//!
//! Nothing is written, tagged or uploaded without `--execute`.

mod changelog;
mod notes;
mod packages;
mod prepare;
mod publish;
mod semver;
mod tag;
mod version;

use std::process::ExitCode;

use anyhow::bail;

use self::changelog::FOLDER;
pub(crate) use self::changelog::read_fragments;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write a version everywhere, and its section of the changelog from the fragments
    Prepare(prepare::Args),
    /// Compare the interfaces of the crates with those of the last release
    Semver(semver::Args),
    /// Tag the version that was prepared
    Tag(tag::Args),
    /// Print the section of the present version from the changelog
    Notes,
    /// Build each package as its users will get it, and upload it
    Publish(publish::Args),
}

pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Prepare(args) => prepare::run(args),
        Command::Semver(args) => semver::run(args),
        Command::Tag(args) => tag::run(args),
        Command::Notes => notes::run(),
        Command::Publish(args) => publish::run(args),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that stands in the way of something, at once.
fn refuse(what: &str, findings: &[String]) -> anyhow::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{what}:\n- {}", findings.join("\n- "))
}
