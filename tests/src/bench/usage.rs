//! What a process has used.

use std::fmt;
use std::fs;
use std::time::Instant;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// How to count allocations, where somebody counts them.
pub type Allocations = fn() -> Option<u64>;

/// What a process has used so far, or between two times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time, in seconds.
    pub seconds: f64,
    /// User and system time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Largest resident memory of the process, in bytes.
    pub peak_rss: u64,
    /// Allocations by Rust code; none if nobody counted.
    pub allocations: Option<u64>,
    #[serde(skip)]
    at: Option<Instant>,
}

impl Usage {
    /// Of this process.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn now(allocations: Allocations) -> anyhow::Result<Self> {
        // Linux counts in units of 1/100 s for user space, whatever the kernel's own clock.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
        // The name of the program, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat is not as expected")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| -> anyhow::Result<f64> { Ok(fields.get(at).context("no time")?.parse()?) };
        let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = peak.split_whitespace().next().context("no number")?.parse()?;
        Ok(Self {
            seconds: 0.0,
            // utime and stime are fields 14 and 15, the state after the name is field 3.
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
            peak_rss: kib << 10,
            allocations: allocations(),
            at: Some(Instant::now()),
        })
    }

    /// What was used since then.
    #[must_use]
    pub fn since(&self, start: &Self) -> Self {
        let elapsed = self.at.zip(start.at).map_or(0.0, |(end, start)| (end - start).as_secs_f64());
        Self {
            seconds: elapsed,
            cpu_seconds: self.cpu_seconds - start.cpu_seconds,
            peak_rss: self.peak_rss,
            allocations: self.allocations.zip(start.allocations).map(|(end, start)| end - start),
            at: None,
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6.2} s, {:6.2} CPU-s, {:4} MiB", self.seconds, self.cpu_seconds, self.peak_rss >> 20)
    }
}
