//! How each connection stands, from facts: delivery reports, answers, errors. Never from "the client was made".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ditto_kafka::{ClientState, ConnectionStatus, ConsumerMonitor, Fingerprint};
use ditto_outbound::{CompiledConnection, CompiledTarget, DeliverErrorKind, Held};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::directory::DirectoryMonitor;
use crate::error::Failure;
use crate::plane::{DataPlane, LaneTask, Originals, Served};
use crate::report::Report;
use crate::standing::{Standing, Word, of_state};

/// The connections that run, and what tells how they stand.
#[derive(Debug, Clone)]
pub struct Status(DataPlane);

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
    pub(crate) fn of(plane: DataPlane) -> Self {
        Self(plane)
    }

    /// How each connection that runs stands, by its id.
    pub fn connections(&self) -> Vec<(String, Standing)> {
        let watched = self.watched();
        watched.iter().map(|watched| (watched.served.id().to_owned(), watched.standing())).collect()
    }

    fn watched(&self) -> Vec<Watched> {
        let lanes = self.0.lanes();
        let watched = |lane: &Arc<LaneTask>| {
            let served = lane.all_served().into_iter();
            served.map(|served| Watched::of(&self.0, lane, served)).collect::<Vec<_>>()
        };
        lanes.iter().flat_map(watched).collect()
    }

    /// Asks the clusters of connections of which nothing is heard, so that their standing is that of now. Never ends.
    pub(crate) async fn watch(self) {
        // Those that do not answer must not keep the others waiting.
        let (dead, alive) = (Arc::new(Semaphore::new(PROBES)), Arc::new(Semaphore::new(PROBES)));
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.0.mend().await;
            let lanes = self.0.lanes();
            for originals in lanes.iter().filter_map(|lane| lane.originals()) {
                self.probe(Arc::clone(originals), &dead, &alive);
            }
            for served in lanes.iter().flat_map(|lane| lane.all_served()) {
                let Some(client) = self.0.pool().client_state(served.client()) else { continue };
                if client.connection.status() == ConnectionStatus::Connected {
                    self.0.announce_opened(&served);
                }
                self.probe(served, &dead, &alive);
            }
        }
    }

    /// Asks the cluster of a client of which nothing is heard.
    fn probe(&self, probed: Arc<impl Probed + 'static>, dead: &Arc<Semaphore>, alive: &Arc<Semaphore>) {
        let Some(client) = self.0.pool().client_state(probed.client()) else { return };
        if !is_due(&client, SystemTime::now()) || probed.is_probed().swap(true, Ordering::Relaxed) {
            return;
        }
        let is_dead = client.connection.last_error().is_some();
        let permits = Arc::clone(if is_dead { dead } else { alive });
        let pool = self.0.pool().clone();
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            // Another connection of the same client may have asked meanwhile.
            let client = pool.client_state(probed.client());
            if client.is_some_and(|client| is_due(&client, SystemTime::now())) {
                // The client remembers what came of it.
                let _answer = pool.probe(probed.client(), probed.topic(), TIMEOUT).await;
            }
            probed.is_probed().store(false, Ordering::Relaxed);
        });
    }

    fn standing_of_originals(&self, originals: &Originals) -> Standing {
        let client = self.0.pool().client_state(originals.client());
        let unknown = Standing { word: Word::Unknown, since: None, reason: None };
        let of_client = client.map_or(unknown, |client| of_state(&client.connection, originals.servers()));
        match originals.connection().held() {
            Some(held) if matches!(of_client.word, Word::Open | Word::Unknown) => on_hold(&held),
            _ => of_client,
        }
    }

    /// Everything in one line of JSON.
    pub fn line(&self, report: &Report) -> String {
        let watched = self.watched();
        let connections = watched.iter().map(|watched| {
            let of_connection = watched.standing();
            // What holds one target is none of another's business.
            let of_all = watched.standing_of_all();
            let targets = watched.connection().targets().iter();
            let mut said = described("id", watched.served.id(), &of_connection);
            let of_target = |target: &Arc<CompiledTarget>| of_target(target, &of_all);
            said.insert("targets".to_owned(), targets.map(of_target).collect());
            if let Some(letters) = watched.connection().dead_letters() {
                said.insert("deadLetters".to_owned(), of_letters(letters, &of_all));
            }
            Value::Object(said)
        });
        let feeds = report.feeds();
        let lanes = feeds.iter().map(|(name, connections, counts, feed)| {
            let mut said = json!({
                "name": name, "connections": connections, "received": counts.received,
                "unselected": counts.unselected, "undecodable": reasons(&counts.undecodable),
                "unreadable": reasons(&counts.unreadable),
                "acknowledgements": counts.acknowledgements,
            });
            if let (Some(said), Some(feed)) = (said.as_object_mut(), feed) {
                said.insert("feed".to_owned(), of_feed(feed));
            }
            let running = self.0.lanes();
            let originals = running.iter().find(|lane| lane.name == *name).and_then(|lane| lane.originals());
            if let (Some(said), Some(originals)) = (said.as_object_mut(), originals)
                && let Some(letters) = originals.letters()
            {
                let of_all = self.standing_of_originals(originals);
                said.insert("deadLetters".to_owned(), of_letters(letters, &of_all));
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

/// What has a client whose cluster is asked.
trait Probed: Send + Sync {
    fn client(&self) -> &Fingerprint;
    /// The topic that it is asked about.
    fn topic(&self) -> Option<&str>;
    fn is_probed(&self) -> &AtomicBool;
}

impl Probed for Served {
    fn client(&self) -> &Fingerprint {
        Self::client(self)
    }

    fn topic(&self) -> Option<&str> {
        self.probed_topic()
    }

    fn is_probed(&self) -> &AtomicBool {
        &self.is_probed
    }
}

impl Probed for Originals {
    fn client(&self) -> &Fingerprint {
        Self::client(self)
    }

    fn topic(&self) -> Option<&str> {
        self.letters().and_then(|letters| letters.fixed_topic())
    }

    fn is_probed(&self) -> &AtomicBool {
        &self.is_probed
    }
}

/// A connection that runs, and what is known of its client just now.
pub(crate) struct Watched {
    served: Arc<Served>,
    client: Option<ClientState>,
    /// Why its lane does not run.
    failed: Option<(SystemTime, Failure)>,
}

impl Watched {
    pub(crate) fn of(plane: &DataPlane, lane: &LaneTask, served: Arc<Served>) -> Self {
        Self { client: plane.pool().client_state(served.client()), failed: lane.failed(), served }
    }

    fn connection(&self) -> &CompiledConnection {
        self.served.compiled()
    }

    /// Its targets, then where its dead letters go.
    fn outlets(&self) -> impl Iterator<Item = &Arc<CompiledTarget>> {
        self.connection().targets().iter().chain(self.connection().dead_letters())
    }

    /// Trouble with all of a connection comes first, then the first target that is on hold.
    fn standing(&self) -> Standing {
        let of_all = self.standing_of_all();
        let held = self.outlets().find_map(|target| target.held().map(|held| (target, held)));
        match (of_all.word, held) {
            (Word::Open | Word::Unknown, Some((target, held))) => {
                let standing = on_hold(&held);
                let is_letters = self.connection().dead_letters().is_some_and(|it| Arc::ptr_eq(it, target));
                let what = if is_letters { "dead letters" } else { "target" };
                let reason =
                    standing.reason.map(|reason| format!("{what} `{}`: {reason}", target.address_text()));
                Standing { reason, ..standing }
            }
            _ => of_all,
        }
    }

    /// Of the client, and of each target in the order of the definition, in the words that the reference has for it
    /// (status-metrics-logs.md §1): brokers that cannot be reached are a mistake of the definition, and of a target whose
    /// records go where only signals tell nothing is known.
    pub(crate) fn in_words_of_the_reference(&self) -> (Standing, Vec<Standing>) {
        let with = |standing: Standing, word| Standing { word, ..standing };
        let of_client = self.client.as_ref().map(|client| of_state(&client.connection, &[]).word);
        let is_away = of_client == Some(Word::Failed) && self.served.failure().is_none();
        let of_all = self.standing_of_all();
        let of_all = if is_away { with(of_all, Word::Misconfigured) } else { of_all };
        let of_target = |target: &Arc<CompiledTarget>| match standing_of_target(target, &of_all) {
            open if open.word == Word::Open && !target.is_fixed() => with(open, Word::Unknown),
            other => other,
        };
        let targets = self.connection().targets().iter().map(of_target).collect();
        (of_all, targets)
    }

    /// Trouble with the client, then with the lane, then what holds the connection.
    pub(crate) fn standing_of_all(&self) -> Standing {
        let client = self.client.as_ref();
        if let Some(failure) = self.served.failure() {
            return Standing::failed(&failure, None);
        }
        let unknown = Standing { word: Word::Unknown, since: None, reason: None };
        let of_client = client.map_or(unknown, |client| of_state(&client.connection, self.served.servers()));
        if matches!(of_client.word, Word::Failed | Word::Misconfigured) {
            return of_client;
        }
        if let Some((since, failure)) = &self.failed {
            return Standing::failed(failure, Some(*since));
        }
        if let Some(held) = self.connection().held() {
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

fn standing_of_target(target: &CompiledTarget, of_connection: &Standing) -> Standing {
    target.held().map_or_else(|| of_connection.clone(), |held| on_hold(&held))
}

fn of_target(target: &CompiledTarget, of_connection: &Standing) -> Value {
    let standing = standing_of_target(target, of_connection);
    let counts = target.counters().snapshot();
    let mut said = described("address", target.address_text(), &standing);
    said.insert("selected".to_owned(), counts.selected.into());
    said.insert("published".to_owned(), counts.published.into());
    said.insert("inFlight".to_owned(), counts.in_flight().into());
    said.insert("dropped".to_owned(), reasons(&counts.dropped));
    said.insert("failed".to_owned(), reasons(&counts.failed));
    Value::Object(said)
}

/// Letters that are due are written, on their way, dropped or failed.
fn of_letters(target: &CompiledTarget, of_connection: &Standing) -> Value {
    let standing = target.held().map_or_else(|| of_connection.clone(), |held| on_hold(&held));
    let counts = target.counters().snapshot();
    let mut said = described("topic", target.address_text(), &standing);
    said.insert("due".to_owned(), counts.selected.into());
    said.insert("written".to_owned(), counts.published.into());
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
