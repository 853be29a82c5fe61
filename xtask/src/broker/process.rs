//! Processes by their id.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Does a process with this id run, and is its command line one that names `marker`? Ids are used again; the marker tells.
pub(crate) fn is_alive(pid: u32, marker: &Path) -> bool {
    command_line(pid).is_some_and(|line| line.contains(&*marker.to_string_lossy()))
}

/// Stops a process: asks first, kills after `grace`.
///
/// # Errors
/// If it is still there after that.
pub(crate) fn stop(pid: u32, marker: &Path, grace: Duration) -> anyhow::Result<()> {
    if !grace.is_zero() {
        signal(pid, "TERM")?;
        if wait_for_end(pid, marker, grace) {
            return Ok(());
        }
    }
    signal(pid, "KILL")?;
    if !wait_for_end(pid, marker, Duration::from_secs(10)) {
        bail!("process {pid} cannot be ended");
    }
    Ok(())
}

fn wait_for_end(pid: u32, marker: &Path, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if !is_alive(pid, marker) {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    !is_alive(pid, marker)
}

/// The shell has `kill` built in; a bare machine may lack the program.
fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let script = format!("kill -{name} {pid}");
    // The process may have ended meanwhile, so the exit code says nothing.
    Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().context("cannot run `sh`")?;
    Ok(())
}

/// A process that has ended but was not waited for has an empty command line.
fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let output = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::{is_alive, stop};

    #[test]
    fn only_the_process_with_the_marker_counts() {
        let marker = Path::new("a-marker-of-this-test");
        let mut child = Command::new("sh")
            .args(["-c", "read _", "a-marker-of-this-test"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // The command line is in place a moment after the process is.
        while !is_alive(child.id(), marker) {
            std::thread::yield_now();
        }
        assert!(!is_alive(child.id(), Path::new("another-marker")));
        stop(child.id(), marker, Duration::from_secs(10)).unwrap();
        assert!(!is_alive(child.id(), marker));
        child.wait().unwrap();
    }
}
