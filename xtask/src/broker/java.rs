//! Programs of the JDK and Maven.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "`{name}` is not there: the broker needs a JDK (17 or newer) and, without KAFKA_HOME, Maven; on Debian: apt-get install openjdk-17-jdk-headless maven"
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run `{name}`")),
    };
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("`{name}` ended with {}:\n{}", output.status, String::from_utf8_lossy(&said).trim_end());
    }
    Ok(())
}
