//! Other processes, by their ids. Linux: what they do is read from `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

/// Sends a signal, by its name without `SIG`.
///
/// # Errors
/// There is no such process.
pub fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status()?;
    ensure!(status.success(), "process {pid} does not get SIG{name}");
    Ok(())
}

/// Whether a process runs no more; one that nobody has waited for does not run either.
#[must_use]
pub fn has_ended(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
}

/// The command that a process was started with.
///
/// # Errors
/// It has ended.
pub fn command(pid: u32) -> anyhow::Result<Command> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).with_context(|| format!("process {pid}"))?;
    let mut words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let program = words.next().filter(|program| !program.is_empty());
    let mut command = Command::new(program.with_context(|| format!("process {pid} has ended"))?);
    command.args(words.filter(|word| !word.is_empty()));
    Ok(command)
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Held {
    /// All threads.
    pub threads: usize,
    /// Clients of librdkafka, by their main threads.
    pub clients: usize,
    /// Sockets among the open files.
    pub sockets: usize,
    /// All other open files.
    pub files: usize,
}

impl Held {
    /// By a process, now; without these pipes, which it has inherited.
    ///
    /// # Errors
    /// It has ended.
    pub fn by(pid: u32, inherited: &BTreeSet<PathBuf>) -> anyhow::Result<Self> {
        let tasks = entries(pid, "task")?;
        // What ends meanwhile has no name.
        let names = tasks.iter().filter_map(|task| fs::read_to_string(task.join("comm")).ok());
        let clients = names.filter(|name| name.trim() == "rdk:main").count();
        let files = targets(pid)?;
        let (sockets, files): (Vec<_>, Vec<_>) = files
            .iter()
            .filter(|file| !inherited.contains(*file))
            .partition(|file| has_kind(file, "socket:"));
        Ok(Self { threads: tasks.len(), clients, sockets: sockets.len(), files: files.len() })
    }

    /// Whether nothing is more than there.
    #[must_use]
    pub fn is_within(self, base: Self) -> bool {
        self.threads <= base.threads
            && self.clients <= base.clients
            && self.sockets <= base.sockets
            && self.files <= base.files
    }
}

/// The pipes that a process has. Those of librdkafka are inherited by whoever is started meanwhile.
///
/// # Errors
/// It has ended.
pub fn pipes(pid: u32) -> anyhow::Result<BTreeSet<PathBuf>> {
    Ok(targets(pid)?.into_iter().filter(|file| has_kind(file, "pipe:")).collect())
}

/// What the open files of a process are.
fn targets(pid: u32) -> anyhow::Result<Vec<PathBuf>> {
    let files = entries(pid, "fd")?;
    Ok(files.iter().filter_map(|file| fs::read_link(file).ok()).collect())
}

fn has_kind(file: &Path, kind: &str) -> bool {
    file.to_string_lossy().starts_with(kind)
}

fn entries(pid: u32, folder: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(format!("/proc/{pid}/{folder}")).with_context(|| format!("process {pid}"))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// A process that is stopped (SIGSTOP), until this is dropped.
#[derive(Debug)]
pub struct Frozen {
    pid: u32,
    ticks: u64,
    since: Instant,
}

impl Frozen {
    /// Stops a process, and waits until it has.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn new(pid: u32) -> anyhow::Result<Self> {
        signal(pid, "STOP")?;
        let mut frozen = Self { pid, ticks: 0, since: Instant::now() };
        while frozen.check().is_err() {
            ensure!(frozen.since.elapsed() < Duration::from_secs(5), "process {pid} does not stop");
            thread::sleep(Duration::from_millis(5));
        }
        // Its threads stop one after the other.
        let ticks = || anyhow::Ok(stat(pid).context("it has ended")?.ticks);
        frozen.ticks = ticks()?;
        thread::sleep(Duration::from_millis(20));
        while frozen.ticks != ticks()? {
            frozen.ticks = ticks()?;
            thread::sleep(Duration::from_millis(20));
        }
        frozen.since = Instant::now();
        Ok(frozen)
    }

    /// Fails unless it is still stopped.
    ///
    /// # Errors
    /// It runs, or has ended.
    pub fn check(&self) -> anyhow::Result<()> {
        let state = stat(self.pid).map(|stat| stat.state);
        ensure!(state == Some('T'), "process {} is in state {state:?} instead of T", self.pid);
        Ok(())
    }

    /// Lets it go on, and says how long it was stopped.
    ///
    /// # Errors
    /// It was not, for the whole time: it runs, or has used the processor.
    pub fn thaw(self) -> anyhow::Result<Duration> {
        self.check()?;
        let ticks = stat(self.pid).context("it has ended")?.ticks;
        ensure!(ticks == self.ticks, "process {} has run meanwhile", self.pid);
        Ok(self.since.elapsed())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have ended.
        let _gone = signal(self.pid, "CONT");
    }
}

/// What `/proc/PID/stat` says: the state, and the time that it has used the processor for.
struct Stat {
    state: char,
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat { state: fields.first()?.chars().next()?, ticks: number(11)? + number(12)? })
}

/// Whether a process has a handler for SIGUSR1.
///
/// # Errors
/// There is no such process.
pub fn listens_to_usr1(pid: u32) -> anyhow::Result<bool> {
    const SIGUSR1: u32 = 10;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no signals")?;
    Ok(u64::from_str_radix(caught.trim(), 16)? >> (SIGUSR1 - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_process_is_frozen_known_and_ended() {
        let mut child = Command::new("cat").arg("-").stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let frozen = Frozen::new(pid).unwrap();
        frozen.check().unwrap();
        assert_eq!(command(pid).unwrap().get_args().collect::<Vec<_>>(), ["-"]);
        signal(pid, "CONT").unwrap();
        while frozen.check().is_ok() {
            thread::yield_now();
        }
        assert!(frozen.thaw().is_err());
        Frozen::new(pid).unwrap().thaw().unwrap();
        assert!(!has_ended(pid));
        let held = Held::by(pid, &BTreeSet::new()).unwrap();
        assert_eq!((held.threads, held.clients, held.sockets), (1, 0, 0));
        assert!(held.files >= 3 && held.is_within(held));
        let without = Held::by(pid, &pipes(pid).unwrap()).unwrap();
        assert!(without.files < held.files, "its stdin is a pipe");
        assert!(!held.is_within(Held { files: held.files - 1, ..held }));
        signal(pid, "KILL").unwrap();
        while !has_ended(pid) {
            thread::yield_now();
        }
        assert!(command(pid).is_err(), "what nobody has waited for has no command line");
        child.wait().unwrap();
    }
}
