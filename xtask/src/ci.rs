//! `cargo xtask ci`: what a change must pass beside the tests.

use std::process::ExitCode;

use xshell::cmd;

use crate::steps::Steps;
use crate::{tidy, workspace};

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    let outcome = all(&mut steps);
    steps.print();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Quick ones first. `--release` throughout: one profile, so that librdkafka is built once.
fn all(steps: &mut Steps) -> anyhow::Result<()> {
    let shell = workspace::shell()?;
    steps.run("fmt", || Ok(cmd!(shell, "cargo fmt --all --check").run()?))?;
    steps.run("tidy", tidy::check)?;
    // Advisories need a database from the internet and change without a change of ours: not here.
    steps.run("deny", || Ok(cmd!(shell, "cargo deny --all-features check bans licenses sources").run()?))?;
    steps.run("clippy", || {
        Ok(cmd!(shell, "cargo clippy --release --workspace --all-targets -- -D warnings").run()?)
    })?;
    steps.run("doc", || {
        let command = cmd!(shell, "cargo doc --release --workspace --no-deps --document-private-items");
        Ok(command.env("RUSTDOCFLAGS", "-D warnings").run()?)
    })
}
