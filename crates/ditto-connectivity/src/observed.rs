//! What is seen of each connection: its journal and its metrics, kept when it is closed or changed.

mod counted;
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

pub(crate) use self::counted::Counted;
use self::metrics::Metrics;
use crate::standing::Word;

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
    stood: Mutex<Stood>,
}

/// What was counted for each address.
pub(crate) type Addresses = Vec<(String, Counted)>;

/// How a connection stood when it was looked at.
#[derive(Debug, Default)]
struct Stood {
    last: Option<Word>,
    /// How often it stood so, by the minute.
    reported: [u64; Word::ALL.len()],
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

    /// The connection runs by this definition from now on. What the one before counts while it drains is still seen.
    pub fn runs(&self, definition: &Connection, compiled: &Arc<CompiledConnection>) {
        let sources = definition.sources().iter().flat_map(|source| source.addresses().iter().cloned());
        let running =
            Running { compiled: compiled.clone(), sources: sources.collect(), since: SystemTime::now() };
        *locked(&self.running) = Some(running);
        self.counts(compiled);
    }

    /// What this counts belongs to the connection, too, such as its announcements.
    pub fn counts(&self, compiled: &Arc<CompiledConnection>) {
        locked(&self.metrics).count(compiled);
    }

    /// The connection does not run any more.
    pub fn rests(&self) {
        *locked(&self.running) = None;
    }

    fn look(&self, now: SystemTime) -> Option<Running> {
        let running = locked(&self.running).clone();
        locked(&self.metrics).look(running.as_ref().map(|running| &running.compiled), now);
        running
    }

    /// What was counted for each address since the process has started, and for each topic of dead letters.
    pub(crate) fn counted(&self) -> (Addresses, Addresses) {
        self.look(SystemTime::now());
        let metrics = locked(&self.metrics);
        let all = |(address, counted): (&str, &Counted)| (address.to_owned(), counted.clone());
        (metrics.targets().iter().map(all).collect(), metrics.letters().iter().map(all).collect())
    }

    /// What is on hold: the address, or none for the whole connection, and the name of the error.
    pub(crate) fn held(&self) -> Vec<(Option<String>, &'static str)> {
        let Some(running) = locked(&self.running).clone() else { return Vec::new() };
        let of_connection = running.compiled.held().map(|held| (None, held.error.kind().name()));
        let targets = running.compiled.targets().iter();
        let of_targets = targets.filter_map(|target| {
            Some((Some(target.address_text().to_owned()), target.held()?.error.kind().name()))
        });
        of_connection.into_iter().chain(of_targets).collect()
    }

    /// Writes into the journal that the connection stands otherwise than at the last look, and why.
    pub(crate) fn stands(&self, live: Word, reason: Option<&str>) {
        let before = locked(&self.stood).last.replace(live);
        let level = match live {
            Word::Open => EntryLevel::Success,
            Word::Failed | Word::Misconfigured => EntryLevel::Failure,
            // Whoever closes it writes that.
            Word::Unknown | Word::Closed => return,
        };
        if before != Some(live) {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            self.journal.of_connection(level, format!("it is {live}{reason}"));
        }
    }

    /// Counts how the connection stands.
    pub(crate) fn report(&self, live: Word) {
        if let Some(count) = locked(&self.stood).reported.get_mut(live as usize) {
            *count += 1;
        }
    }

    /// How often it stood how when that was counted.
    pub(crate) fn reported(&self) -> Vec<(Word, u64)> {
        Word::ALL.into_iter().zip(locked(&self.stood).reported).collect()
    }

    /// `{"connectionMetrics": {"inbound", "outbound"}, "containsFailures", "sourceMetrics", "targetMetrics"}`
    /// (status-metrics-logs.md §4), and beside them `"funnel": {"targets"}`: how many signals have come how far on the way to
    /// each address, and why the others have not. Without a running connection there is null instead of numbers, as in the
    /// reference.
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
