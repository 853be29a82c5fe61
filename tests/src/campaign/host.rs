//! The broker as a process: killed, started again, stopped for a while; and its users.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::broker::Broker;
use crate::process;

/// The broker of this run, and its process if it is one that a campaign has started.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) broker: Broker,
    state_file: PathBuf,
    child: Option<Child>,
}

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(90);

impl Host {
    pub(super) fn of_this_run() -> anyhow::Result<Self> {
        let state_file = Broker::state_file()?;
        Ok(Self { broker: Broker::read(&state_file)?, state_file, child: None })
    }

    /// Kills the broker, starts it with the same command after a while, and waits until it answers.
    pub(super) fn kill(&mut self, down: Duration) -> anyhow::Result<()> {
        let pid = self.broker.pid;
        let command = process::command(pid)?;
        ensure!(command.get_args().any(|arg| arg == "kafka.Kafka"), "process {pid} is no broker");
        process::signal(pid, "KILL")?;
        let start = Instant::now();
        while !process::has_ended(pid) {
            ensure!(start.elapsed() < LIMIT, "the broker, pid {pid}, does not end");
            thread::sleep(Duration::from_millis(20));
        }
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        thread::sleep(down);
        let start = Instant::now();
        self.start(command)?;
        while let Err(error) = self.broker.count_brokers() {
            ensure!(start.elapsed() < LIMIT, "the broker does not come back: {error:#}");
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            ensure!(ended.is_none(), "the broker ended at once, see {}", self.broker.log.display());
        }
        ensure!(!process::has_ended(self.broker.pid) && self.broker.pid != pid, "it is no new process");
        Ok(())
    }

    fn start(&mut self, mut command: std::process::Command) -> anyhow::Result<()> {
        let log = OpenOptions::new().append(true).open(&self.broker.log).context("log of the broker")?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // As it was: Ctrl-C in the terminal is not for the broker.
        let child = command.process_group(0).spawn().context("cannot start the broker")?;
        self.broker.pid = child.id();
        self.child = Some(child);
        // Whoever takes the broker down in the end finds it by this.
        let mut state: Value = serde_json::from_str(&fs::read_to_string(&self.state_file)?)?;
        state["pid"] = self.broker.pid.into();
        let new = self.state_file.with_extension("json.new");
        fs::write(&new, serde_json::to_string_pretty(&state)? + "\n")?;
        Ok(fs::rename(&new, &self.state_file)?)
    }
}
