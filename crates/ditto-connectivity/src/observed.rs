//! What is seen of each connection: its journal and its metrics, kept when it is closed or changed.

mod logs;
mod metrics;
mod windows;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ditto_connection::Connection;
use ditto_outbound::{CompiledConnection, EntryLevel, Journal};
use jiff::Timestamp;
use serde_json::Value;

use self::metrics::Metrics;

/// What is seen of the connections of this process, by id. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Observed(Arc<Mutex<BTreeMap<String, Arc<Observation>>>>);

/// What is seen of one connection.
#[derive(Debug, Default)]
pub struct Observation {
    journal: Journal,
    metrics: Mutex<Metrics>,
    /// What runs now.
    running: Mutex<Option<Running>>,
}

#[derive(Debug, Clone)]
struct Running {
    compiled: Arc<CompiledConnection>,
    /// Addresses of its sources.
    sources: Vec<String>,
    since: SystemTime,
}

/// How long the reference writes logs once it was asked to. Ours are always written.
const LOGGED_FOR: Duration = Duration::from_secs(60 * 60);

impl Observed {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Observation>>> {
        locked(&self.0)
    }

    /// What is seen of a connection; begins with the first look.
    pub fn of(&self, id: &str) -> Arc<Observation> {
        self.all().entry(id.to_owned()).or_default().clone()
    }

    /// Forgets a connection that was deleted.
    pub fn forget(&self, id: &str) {
        self.all().remove(id);
    }

    /// Looks at the counters. To be called each second.
    pub fn tick(&self) {
        let all: Vec<_> = self.all().values().cloned().collect();
        let now = SystemTime::now();
        for observation in all {
            observation.look(now);
        }
    }
}

impl Observation {
    /// Where it is written what happens to the connection, for [`ditto_outbound::RunOptions`].
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The connection runs by this definition from now on.
    pub fn runs(&self, definition: &Connection, compiled: &Arc<CompiledConnection>) {
        let sources = definition.sources().iter().flat_map(|source| source.addresses().iter().cloned());
        let running =
            Running { compiled: compiled.clone(), sources: sources.collect(), since: SystemTime::now() };
        let before = locked(&self.running).replace(running);
        self.retire(before);
    }

    /// The connection does not run any more.
    pub fn rests(&self) {
        let before = locked(&self.running).take();
        self.retire(before);
    }

    /// Counts what was published beside what runs: what the connection says of itself.
    pub fn adds(&self, beside: &CompiledConnection) {
        locked(&self.metrics).add(beside, SystemTime::now());
    }

    /// Keeps what a definition that ran has counted. What it counts later, while it drains, is not seen.
    fn retire(&self, before: Option<Running>) {
        if let Some(before) = before {
            let mut metrics = locked(&self.metrics);
            metrics.look(&before.compiled, SystemTime::now());
            metrics.retire(&before.compiled);
        }
    }

    fn look(&self, now: SystemTime) -> Option<Running> {
        let running = locked(&self.running).clone();
        if let Some(running) = &running {
            locked(&self.metrics).look(&running.compiled, now);
        }
        running
    }

    /// `{"connectionMetrics": {"inbound", "outbound"}, "containsFailures", "sourceMetrics", "targetMetrics"}`
    /// (status-metrics-logs.md §4). Without a running connection there is null instead of numbers, as in the reference.
    pub fn metrics(&self) -> Value {
        let now = SystemTime::now();
        match self.look(now) {
            None => metrics::resting(),
            Some(Running { compiled, sources, .. }) => {
                locked(&self.metrics).to_json(&compiled, &sources, now)
            }
        }
    }

    /// Counts from zero.
    pub fn reset_metrics(&self) {
        let now = SystemTime::now();
        self.look(now);
        locked(&self.metrics).reset();
    }

    /// `{"connectionLogs": […], "enabledSince", "enabledUntil"}` (status-metrics-logs.md §5).
    pub fn logs(&self) -> Value {
        let entries = logs::to_json(self.journal.entries());
        let (since, until) = match &*locked(&self.running) {
            None => (None, None),
            Some(running) => (Some(running.since), Some(SystemTime::now() + LOGGED_FOR)),
        };
        let instant = |time: Option<SystemTime>| time.map(instant);
        serde_json::json!({
            "connectionLogs": entries, "enabledSince": instant(since), "enabledUntil": instant(until),
        })
    }

    /// Forgets the logs; of a connection that runs an entry says so.
    pub fn reset_logs(&self) {
        self.journal.clear();
        if locked(&self.running).is_some() {
            self.journal.of_connection(EntryLevel::Success, "logs were reset".to_owned());
        }
    }
}

/// ISO 8601 in UTC.
fn instant(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| time.to_string()).unwrap_or_default()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
