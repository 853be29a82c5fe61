//! A real Apache Kafka broker on loopback: KRaft, one node, from its jars and the machine's JDK.

mod certificates;
mod config;
mod hold;
mod jars;
mod java;
mod lock;
mod ports;
mod probe;
mod process;
mod start;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

pub(crate) use self::hold::Held;
use self::state::{StateDir, Status};
use crate::console::{progress, result};
use crate::workspace;

/// The exit code of `status` when no broker answers.
const NOT_RUNNING: u8 = 3;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Start the broker and wait until it lists topics; one that runs already is left alone
    Up {
        #[command(flatten)]
        folder: Folder,
        /// First of eight ports in a row, instead of free ones
        #[arg(long, value_name = "BASE")]
        port: Option<u16>,
    },
    /// Stop the broker
    Down {
        #[command(flatten)]
        folder: Folder,
        /// Remove its state as well
        #[arg(long)]
        wipe: bool,
    },
    /// Say whether the broker answers; the exit code is 0 only then
    Status {
        #[command(flatten)]
        folder: Folder,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Start a broker, print the path of its broker.json, remove it when stdin ends
    #[command(hide = true)]
    Hold {
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Folder {
    /// State folder [default: broker in the target folder]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Folder {
    fn open(&self) -> anyhow::Result<StateDir> {
        let dir = self.dir.clone().unwrap_or_else(|| workspace::target_dir().join("broker"));
        Ok(StateDir::new(workspace::absolute(&dir)?))
    }
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up { folder, port } => up(&folder.open()?, port),
        Command::Down { folder, wipe } => {
            let dir = folder.open()?;
            if !dir.path().exists() {
                progress("no broker was running");
                return Ok(ExitCode::SUCCESS);
            }
            let said = dir.stop()?;
            if wipe {
                dir.wipe()?;
            }
            progress(said);
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { folder, json } => status(&folder.open()?, json),
        Command::Hold { folder } => hold::serve(&folder.open()?),
    }
}

fn up(dir: &StateDir, port: Option<u16>) -> anyhow::Result<ExitCode> {
    let state = start::up(dir, port)?;
    result(format_args!("PLAINTEXT       {}", state.listeners.plaintext));
    result(format_args!("SASL_PLAINTEXT  {}", state.listeners.sasl_plaintext));
    result(format_args!("SASL_SSL        {}", state.listeners.sasl_ssl));
    result(format_args!("WRONG_NAME      {}", state.listeners.wrong_name));
    result(format_args!("MUTUAL          {}", state.listeners.mutual));
    let proxied = &state.listeners.proxied;
    result(format_args!("PROXIED         {}, for a proxy on {}", proxied.listens, proxied.advertised));
    result(format_args!("pid {}, {}", state.pid, dir.state_file().display()));
    Ok(ExitCode::SUCCESS)
}

fn status(dir: &StateDir, json: bool) -> anyhow::Result<ExitCode> {
    let status = dir.status()?;
    if json {
        result(serde_json::to_string(&status).context("cannot write the status")?);
    } else {
        match &status {
            Status::Running { broker } => {
                result(format_args!("running, pid {}, {}", broker.pid, broker.listeners.plaintext));
            }
            Status::Unresponsive { broker } => result(format_args!(
                "pid {} is there but does not answer; its log is {}",
                broker.pid,
                broker.log.display()
            )),
            Status::Crashed { broker } => {
                result(format_args!(
                    "crashed: pid {} is gone; its log is {}",
                    broker.pid,
                    broker.log.display()
                ));
                result(log_tail(&broker.log));
            }
            Status::Stopped => result("stopped"),
        }
    }
    Ok(if matches!(status, Status::Running { .. }) { ExitCode::SUCCESS } else { ExitCode::from(NOT_RUNNING) })
}

/// The last lines of a log, as good as it can be read.
fn log_tail(log: &Path) -> String {
    const LINES: usize = 20;
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LINES);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}
