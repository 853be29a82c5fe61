//! A broker that lives exactly as long as somebody holds it.
//!
//! The holder runs as a process of its own, out of reach of Ctrl-C, and waits for the end of its stdin. However the
//! process that started it ends, its end of that pipe closes, and the holder removes the broker.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, bail};

use super::start;
use super::state::StateDir;
use crate::console::progress;

/// A fresh broker for one run.
#[derive(Debug)]
pub(crate) struct Held {
    holder: Child,
    state_file: PathBuf,
}

impl Held {
    /// Starts a broker in `dir`, whose old content is removed.
    ///
    /// # Errors
    /// If it does not get ready; why is printed to stderr.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["broker", "hold", "--dir"]).arg(dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut holder = command.spawn().context("cannot start the holder of the broker")?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .context("cannot read from the holder of the broker")?;
        }
        let state_file = PathBuf::from(line.trim_end());
        if line.is_empty() {
            let status = holder.wait()?;
            bail!("there is no broker (its holder ended with {status}), and without one nothing is tested");
        }
        Ok(Self { holder, state_file })
    }

    /// Path of `broker.json`.
    pub(crate) fn state_file(&self) -> &Path {
        &self.state_file
    }

    /// Takes the broker down and removes its state.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.holder.stdin.take());
        let status = self.holder.wait()?;
        if !status.success() {
            bail!("the holder of the broker ended with {status}");
        }
        Ok(())
    }
}

/// The holder's side.
pub(crate) fn serve(dir: &StateDir) -> anyhow::Result<ExitCode> {
    if dir.path().exists() {
        dir.kill()?;
        dir.wipe()?;
    }
    start::up(dir, None)?;
    let mut stdout = io::stdout().lock();
    // Nobody reads any more if the run was interrupted meanwhile; then stdin has ended, too.
    let _ = writeln!(stdout, "{}", dir.state_file().display()).and_then(|()| stdout.flush());
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let said = dir.kill()?;
    if said.contains("crashed") {
        // Its log is what somebody will want to read.
        bail!("{said}");
    }
    progress(format_args!("broker {said}"));
    dir.wipe()?;
    Ok(ExitCode::SUCCESS)
}
