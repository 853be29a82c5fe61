//! Things and policies in compacted topics: the key is the id, the value the JSON, and no value means that it is gone.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use ditto_kafka::{ClientErrorKind, TableReader, TableRecord};
use tokio::sync::watch;
use tracing::{info, warn};

use super::DirectoryError;
use super::source::{Finding, Key, Kind, LookUp, Outage, Source};
use crate::config::TopicsConfig;

/// Knows what two topics hold. It says something only when it has read them up to an end that was asked for after the
/// question came: what its cluster does not confirm counts for nothing.
pub(super) struct TopicSource {
    shared: Arc<Shared>,
    config: TopicsConfig,
}

struct Shared {
    tables: Mutex<Tables>,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Tables {
    things: HashMap<String, Box<str>>,
    policies: HashMap<String, Box<str>>,
    bytes: usize,
    /// When somebody asked last.
    wanted: Option<Instant>,
}

/// How far the reader is.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Everything that was written before then has been read.
    read_at: Option<Instant>,
    /// Why it comes no further, since then.
    trouble: Option<(Instant, String)>,
}

/// How long the reader waits for a record before it looks whether somebody asks.
const POLL: Duration = Duration::from_millis(20);
/// How long it waits after something has failed.
const PAUSE: Duration = Duration::from_millis(500);
/// It looks for the ends at least that often, so that new partitions are read.
const LOOK: Duration = Duration::from_secs(30);
/// After so long without an answer of its cluster, tombstones may be gone that it has not read.
const LOST: Duration = Duration::from_secs(3_600);

impl TopicSource {
    pub(super) fn start(config: &TopicsConfig) -> Result<Self, DirectoryError> {
        let failed = |error: &dyn fmt::Display| DirectoryError::new(error.to_string());
        let topics = [config.things.clone(), config.policies.clone()];
        let reader = TableReader::open(&config.cluster, &topics).map_err(|error| failed(&error))?;
        let shared =
            Arc::new(Shared { tables: Mutex::default(), progress: watch::Sender::new(Progress::default()) });
        let follower = Follower { shared: Arc::downgrade(&shared), config: config.clone(), reader };
        thread::Builder::new()
            .name("directory-topics".to_owned())
            .spawn(move || follower.run())
            .map_err(|error| failed(&error))?;
        Ok(Self { shared, config: config.clone() })
    }

    async fn ask(&self, key: &Key) -> Finding<String> {
        let asked = Instant::now();
        self.shared.tables().wanted = Some(asked);
        let mut progress = self.shared.progress.subscribe();
        loop {
            let Progress { read_at, trouble } = progress.borrow_and_update().clone();
            if read_at.is_some_and(|read_at| read_at >= asked) {
                return self.find(key);
            }
            if let Some((_, why)) = trouble.filter(|(since, _)| *since >= asked) {
                return Finding::Unavailable(Outage::of_source(why));
            }
            if progress.changed().await.is_err() {
                return Finding::Unavailable(Outage::of_source("the reader of the topics has ended"));
            }
        }
    }

    fn find(&self, key: &Key) -> Finding<String> {
        let tables = self.shared.tables();
        if tables.bytes > self.config.max_bytes {
            let why = format!(
                "the topics hold {} bytes, more than table_bytes = {}",
                tables.bytes, self.config.max_bytes
            );
            return Finding::Unavailable(Outage::of_source(why));
        }
        let table = if key.kind == Kind::Policy { &tables.policies } else { &tables.things };
        match table.get(&*key.id) {
            Some(text) => Finding::Found { value: text.to_string(), validator: None },
            None => Finding::Absent,
        }
    }
}

impl Shared {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn take(&mut self, record: &TableRecord, config: &TopicsConfig) {
        let Ok(id) = std::str::from_utf8(&record.key) else {
            return warn!(topic = record.topic, "record without an id as its key: it does not count");
        };
        let text = record.value.as_ref().and_then(|value| {
            let text = std::str::from_utf8(value).ok();
            // What reads it later believes that it is well formed.
            let is_json = |text: &&str| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
            let text = text.filter(is_json);
            if text.is_none() {
                warn!(topic = record.topic, id, "record is no JSON: it counts as none");
            }
            text
        });
        let table = if record.topic == config.policies { &mut self.policies } else { &mut self.things };
        let gone = match text {
            Some(text) => {
                self.bytes += id.len() + text.len();
                table.insert(id.to_owned(), text.into())
            }
            None => table.remove(id),
        };
        self.bytes -= gone.map_or(0, |gone| id.len() + gone.len());
    }

    fn forget(&mut self) {
        *self = Self { wanted: self.wanted, ..Self::default() };
    }
}

/// Reads the topics until nobody wants to know.
struct Follower {
    shared: Weak<Shared>,
    config: TopicsConfig,
    reader: TableReader,
}

impl Follower {
    fn run(mut self) {
        let mut last_read = Instant::now();
        let mut last_look: Option<Instant> = None;
        let mut sought = None;
        while let Some(shared) = self.shared.upgrade() {
            let now = Instant::now();
            let is_due = last_look.is_none_or(|last| {
                shared.tables().wanted.is_some_and(|wanted| wanted > last) || now.duration_since(last) >= LOOK
            });
            let mut step = || {
                if sought.is_none() && is_due {
                    sought = Some((now, self.reader.ends()?));
                    last_look = Some(now);
                }
                if let Some((asked, ends)) = &sought
                    && self.reader.has_read(ends)
                {
                    last_read = *asked;
                    shared.progress.send_replace(Progress { read_at: Some(*asked), trouble: None });
                    sought = None;
                }
                if let Some(record) = self.reader.next(POLL)? {
                    shared.tables().take(&record, &self.config);
                }
                Ok::<(), ditto_kafka::ClientError>(())
            };
            let Err(error) = step() else { continue };
            let is_lost = error.kind() == ClientErrorKind::Truncated || last_read.elapsed() >= LOST;
            let why = format!("topics `{}` and `{}`: {error}", self.config.things, self.config.policies);
            shared.progress.send_modify(|progress| progress.trouble = Some((Instant::now(), why)));
            sought = None;
            if is_lost {
                info!("the topics of the directory are read from their start again");
                shared.tables().forget();
                shared.progress.send_modify(|progress| progress.read_at = None);
                let topics = [self.config.things.clone(), self.config.policies.clone()];
                if let Ok(reader) = TableReader::open(&self.config.cluster, &topics) {
                    self.reader = reader;
                    last_read = Instant::now();
                    last_look = None;
                }
            }
            drop(shared);
            thread::sleep(PAUSE);
        }
    }
}

impl Source for TopicSource {
    fn look_up<'s>(&'s self, key: &'s Key, _: Option<&'s str>) -> LookUp<'s> {
        Box::pin(self.ask(key))
    }

    fn sees_everything(&self) -> bool {
        true
    }
}

impl fmt::Debug for TopicSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSource")
            .field("things", &self.config.things)
            .field("policies", &self.config.policies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
