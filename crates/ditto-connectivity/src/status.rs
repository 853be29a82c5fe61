//! How each connection stands, from facts: delivery reports, answers, errors. Never from "the client was made".

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ditto_kafka::{
    ClientState, ConnectionState, ConnectionStatus, ConsumerMonitor, Fingerprint, ProducerPool,
    ProducerSettings,
};
use ditto_outbound::{CompiledConnection, CompiledTarget, DeliverErrorKind, Held};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::directory::DirectoryMonitor;
use crate::report::Report;

/// The connections that run, and what tells how they stand.
#[derive(Debug, Clone)]
pub struct Status {
    pool: ProducerPool,
    watched: Vec<Arc<Watched>>,
}

/// A connection and its client.
#[derive(Debug)]
struct Watched {
    connection: Arc<CompiledConnection>,
    client: Fingerprint,
    bootstrap_servers: Vec<String>,
    is_probed: AtomicBool,
}

/// How something stands, in Ditto's word (`ConnectivityStatus`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The word.
    pub word: Word,
    /// Since when it has been so.
    pub since: Option<SystemTime>,
    /// Why, unless all is well.
    pub reason: Option<String>,
}

/// Ditto's words for how something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It works.
    Open,
    /// Nothing has shown yet whether it works.
    Unknown,
    /// It does not work for now; nobody need do anything here.
    Failed,
    /// It does not work until somebody corrects a setting, here or at the brokers.
    Misconfigured,
    /// It is not to work.
    Closed,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Misconfigured => "misconfigured",
            Self::Closed => "closed",
        })
    }
}

/// How often it is looked at connections of which nothing is heard.
const INTERVAL: Duration = Duration::from_millis(500);
/// A connection that has records in flight and was not heard of for so long is asked; so is one that does not work.
const QUIET: Duration = Duration::from_millis(1_500);
/// An idle one that works.
const IDLE: Duration = Duration::from_secs(30);
/// A cluster that answers and acknowledges nothing for so long does not work.
const SILENCE: Duration = Duration::from_secs(10);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_millis(2_500);
/// Questions at a time: each takes a thread while it waits.
const PROBES: usize = 16;

impl Status {
    pub(crate) fn new(pool: &ProducerPool) -> Self {
        Self { pool: pool.clone(), watched: Vec::new() }
    }

    pub(crate) fn add(&mut self, connection: Arc<CompiledConnection>, settings: &ProducerSettings) {
        self.watched.push(Arc::new(Watched {
            connection,
            client: settings.fingerprint(),
            bootstrap_servers: settings.cluster.bootstrap_servers.clone(),
            is_probed: AtomicBool::new(false),
        }));
    }

    /// How each connection stands, by its id.
    pub fn connections(&self) -> impl Iterator<Item = (&str, Standing)> {
        self.watched.iter().map(|watched| {
            let client = self.pool.client_state(&watched.client);
            (watched.connection.id(), watched.standing(client.as_ref()))
        })
    }

    /// Asks the clusters of connections of which nothing is heard, so that their standing is that of now. Never ends.
    pub(crate) async fn watch(self) {
        // Those that do not answer must not keep the others waiting.
        let (dead, alive) = (Arc::new(Semaphore::new(PROBES)), Arc::new(Semaphore::new(PROBES)));
        loop {
            tokio::time::sleep(INTERVAL).await;
            for watched in &self.watched {
                let Some(client) = self.pool.client_state(&watched.client) else { continue };
                if !is_due(&client, SystemTime::now()) || watched.is_probed.swap(true, Ordering::Relaxed) {
                    continue;
                }
                let is_dead = client.connection.last_error().is_some();
                let permits = Arc::clone(if is_dead { &dead } else { &alive });
                let (pool, watched) = (self.pool.clone(), Arc::clone(watched));
                tokio::spawn(async move {
                    let _permit = permits.acquire().await;
                    // Another connection of the same client may have asked meanwhile.
                    let client = pool.client_state(&watched.client);
                    if client.is_some_and(|client| is_due(&client, SystemTime::now())) {
                        let topic =
                            watched.connection.targets().iter().find_map(|target| target.fixed_topic());
                        // The client remembers what came of it.
                        let _answer = pool.probe(&watched.client, topic, TIMEOUT).await;
                    }
                    watched.is_probed.store(false, Ordering::Relaxed);
                });
            }
        }
    }

    /// Everything in one line of JSON.
    pub fn line(&self, report: &Report) -> String {
        let connections = self.watched.iter().map(|watched| {
            let client = self.pool.client_state(&watched.client);
            let of_connection = watched.standing(client.as_ref());
            // What holds one target is none of another's business.
            let of_all = watched.standing_of_all(client.as_ref());
            let targets = watched.connection.targets().iter();
            let mut said = described("id", watched.connection.id(), &of_connection);
            let of_target = |target: &Arc<CompiledTarget>| of_target(target, &of_all);
            said.insert("targets".to_owned(), targets.map(of_target).collect());
            Value::Object(said)
        });
        let lanes = report.feeds().map(|(name, connections, counts, feed)| {
            let mut said = json!({
                "name": name, "connections": connections, "received": counts.received,
                "unselected": counts.unselected, "undecodable": reasons(&counts.undecodable),
                "unreadable": reasons(&counts.unreadable),
                "acknowledgements": counts.acknowledgements,
            });
            if let (Some(said), Some(feed)) = (said.as_object_mut(), feed) {
                said.insert("feed".to_owned(), of_feed(feed));
            }
            said
        });
        let mut said = json!({
            "time": text(SystemTime::now()),
            "connections": connections.collect::<Vec<_>>(),
            "lanes": lanes.collect::<Vec<_>>(),
        });
        if let (Some(said), Some(directory)) = (said.as_object_mut(), report.directory()) {
            said.insert("directory".to_owned(), of_directory(directory));
        }
        said.to_string()
    }
}

impl Watched {
    /// Trouble with all of a connection comes first, then the first target that is on hold.
    fn standing(&self, client: Option<&ClientState>) -> Standing {
        let of_all = self.standing_of_all(client);
        let held =
            self.connection.targets().iter().find_map(|target| target.held().map(|held| (target, held)));
        match (of_all.word, held) {
            (Word::Open | Word::Unknown, Some((target, held))) => {
                let standing = on_hold(&held);
                let reason =
                    standing.reason.map(|reason| format!("target `{}`: {reason}", target.address_text()));
                Standing { reason, ..standing }
            }
            _ => of_all,
        }
    }

    /// Trouble with the client, then what holds the connection.
    fn standing_of_all(&self, client: Option<&ClientState>) -> Standing {
        let of_client = client
            .map_or(Standing { word: Word::Unknown, since: None, reason: None }, |client| {
                of_state(&client.connection, &self.bootstrap_servers)
            });
        if matches!(of_client.word, Word::Failed | Word::Misconfigured) {
            return of_client;
        }
        if let Some(held) = self.connection.held() {
            return on_hold(&held);
        }
        match client.and_then(|client| client.silence) {
            Some(silence) if silence >= SILENCE => Standing {
                word: Word::Failed,
                since: SystemTime::now().checked_sub(silence),
                reason: Some(format!(
                    "the cluster answers, and has acknowledged no record for {} s: too few replicas in sync, or a \
                     partition without leader",
                    silence.as_secs()
                )),
            },
            _ => of_client,
        }
    }
}

/// A client by what is known of its connection.
pub(crate) fn of_state(state: &ConnectionState, servers: &[String]) -> Standing {
    let word = match state.status() {
        ConnectionStatus::Connected => Word::Open,
        ConnectionStatus::Failed => Word::Failed,
        ConnectionStatus::Misconfigured => Word::Misconfigured,
        _ => Word::Unknown,
    };
    let reason = state.last_error().map(|error| {
        let text = format!("{}: {}", error.code(), error.reason());
        if servers.is_empty() { text } else { format!("{text} (bootstrap servers: {})", servers.join(", ")) }
    });
    Standing { word, since: state.since(), reason }
}

/// A lane's reader of the feed. What is not nought besides batches is worth a look.
fn of_feed(feed: &ConsumerMonitor) -> Value {
    let counts = feed.counts();
    let standing = of_state(&feed.connection_state(), &[]);
    let mut said = Map::new();
    standing.describe(&mut said);
    for (name, n) in [
        ("batches", counts.batches),
        ("gaps", counts.gaps),
        ("gone", counts.gone),
        ("lost", counts.lost),
        ("stalls", counts.stalls),
    ] {
        said.insert(name.to_owned(), n.into());
    }
    Value::Object(said)
}

/// What knows things and policies. `reason` is there while it is not answered.
fn of_directory(directory: &DirectoryMonitor) -> Value {
    let counts = directory.counts();
    let mut said: Map<String, Value> =
        counts.named().map(|(name, n)| (name.to_owned(), Value::from(n))).collect();
    if let Some(why) = directory.trouble() {
        said.insert("reason".to_owned(), why.into());
    }
    Value::Object(said)
}

/// Whether a client is to be asked.
fn is_due(client: &ClientState, now: SystemTime) -> bool {
    let state = &client.connection;
    let heard = state.last_success().and_then(|last| now.duration_since(last).ok());
    match state.status() {
        ConnectionStatus::Connected => {
            let silence = if client.in_flight > 0 { QUIET } else { IDLE };
            heard.is_none_or(|heard| heard >= silence)
        }
        _ => true,
    }
}

fn on_hold(held: &Held) -> Standing {
    let word = match held.error.kind() {
        DeliverErrorKind::Connection(refusal) | DeliverErrorKind::Producer(refusal) if refusal.retriable => {
            Word::Failed
        }
        _ => Word::Misconfigured,
    };
    let reason = format!("{}; {}", held.error, held.error.kind().remedy());
    Standing { word, since: Some(held.since), reason: Some(reason) }
}

fn of_target(target: &CompiledTarget, of_connection: &Standing) -> Value {
    let standing = target.held().map_or_else(|| of_connection.clone(), |held| on_hold(&held));
    let counts = target.counters().snapshot();
    let mut said = described("address", target.address_text(), &standing);
    said.insert("selected".to_owned(), counts.selected.into());
    said.insert("published".to_owned(), counts.published.into());
    said.insert("inFlight".to_owned(), counts.in_flight().into());
    said.insert("dropped".to_owned(), reasons(&counts.dropped));
    said.insert("failed".to_owned(), reasons(&counts.failed));
    Value::Object(said)
}

fn described(key: &str, name: &str, standing: &Standing) -> Map<String, Value> {
    let mut said = Map::new();
    said.insert(key.to_owned(), name.into());
    standing.describe(&mut said);
    said
}

impl Standing {
    fn describe(&self, said: &mut Map<String, Value>) {
        said.insert("status".to_owned(), self.word.to_string().into());
        if let Some(since) = self.since {
            said.insert("since".to_owned(), text(since).into());
        }
        if let Some(reason) = &self.reason {
            said.insert("reason".to_owned(), reason.as_str().into());
        }
    }
}

/// Reasons that have occurred.
fn reasons(counts: &[(&'static str, u64)]) -> Value {
    counts.iter().filter(|(_, n)| *n > 0).map(|(reason, n)| ((*reason).to_owned(), Value::from(*n))).collect()
}

/// RFC 3339, in seconds.
fn text(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}
