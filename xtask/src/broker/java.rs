//! Programs of the JDK and Maven.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// A program of the JDK: from `JAVA_HOME` if that is set, else from the path.
pub(crate) fn program(name: &str) -> PathBuf {
    match env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home).join("bin").join(name),
        None => PathBuf::from(name),
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it cannot be found or fails; what it printed is part of the error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = started(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let output = output.wait_with_output()?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let name = command.get_program().display();
        bail!("`{name}` ended with {}:\n{}", output.status, String::from_utf8_lossy(&said).trim_end());
    }
    Ok(())
}

/// Starts a command.
///
/// # Errors
/// If it cannot be found: what the machine lacks is part of the error.
pub(crate) fn started(command: &mut Command) -> anyhow::Result<Child> {
    let child = command.spawn();
    let name = command.get_program().display();
    match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "`{name}` is not there: the broker needs a JDK (17 or newer) and, without KAFKA_HOME, Maven; \
                 on Debian: apt-get install openjdk-17-jdk-headless maven"
            )
        }
        child => child.with_context(|| format!("cannot run `{name}`")),
    }
}
