//! Connections that are changed while the service runs, with a real broker.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its answer")]

mod registry {
    pub(crate) mod changes;
    pub(crate) mod churn;
    pub(crate) mod crashes;
    pub(crate) mod ends;
    pub(crate) mod example;
    pub(crate) mod filters;
    pub(crate) mod folder;
    pub(crate) mod sources;
    pub(crate) mod trouble;
    pub(crate) mod unreadable;
}

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use ditto_connection::{Connection, Draft};
use ditto_connectivity::{
    App, Config, FeedConfig, KafkaFeedConfig, LanesConfig, LogConfig, Precondition, ProducerConfig, Put,
    Registry, RegistryError, Report, Running, StoreConfig, StoreKey, StoreKeys,
};
use ditto_kafka::{ClusterSettings, StartAt};
use ditto_outbound::{FeedPolicy, InternalHeaders};
use ditto_protocol::ConnectionId;
use ditto_tests::broker::Broker;
use ditto_tests::service::{definition, event};
use ditto_tests::topics::{Consumed, Written};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The service in this process, with a store that is empty and a feed with two partitions.
pub(crate) struct Service {
    pub(crate) broker: Broker,
    pub(crate) feed: String,
    pub(crate) registry: Registry,
    runtime: Runtime,
    running: Running,
    stop: CancellationToken,
    _folder: TempDir,
    // Threads and files of the process are counted: one at a time.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Service {
    pub(crate) fn start(name: &str) -> anyhow::Result<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let broker = Broker::of_this_run()?;
        let feed = format!("{name}-feed");
        broker.create_topic(&feed, 2, &[])?;
        let folder = tempfile::tempdir()?;
        let key = StoreKey::from_base64(&"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into())?;
        let cluster = ClusterSettings::plaintext([&broker.listeners.plaintext]);
        let config = Config {
            store: StoreConfig::Embedded {
                path: folder.path().join("store"),
                keys: Box::new(StoreKeys::new(key)),
            },
            feed: FeedConfig::Kafka(Box::new(KafkaFeedConfig {
                // What was never read is not skipped by chance.
                start_at: StartAt::Earliest,
                ..KafkaFeedConfig::new(cluster, vec![feed.clone()], name)
            })),
            policy: FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() },
            directory: None,
            stamp: None,
            dead_letters: None,
            lanes: LanesConfig::default(),
            producer: ProducerConfig::default(),
            http: None,
            log: LogConfig::default(),
            grace: Duration::from_secs(20),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stop = CancellationToken::new();
        let running = runtime.block_on(App::build(config)?.start(&stop))?;
        let registry = running.registry().unwrap();
        Ok(Self { broker, feed, registry, runtime, running, stop, _folder: folder, _alone: alone })
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn put(&self, definition: &Value) -> Result<Put, RegistryError> {
        let id = id(definition["id"].as_str().unwrap());
        let text = definition.to_string();
        let read = |stored: Option<&Connection>| {
            stored.into_iter().fold(Draft::of_put(&text, &id), Draft::with_secrets_of).read()
        };
        self.block_on(self.registry.put(&id, read, &Precondition::default()))
    }

    pub(crate) fn delete(&self, name: &str) {
        self.block_on(self.registry.delete(&id(name), &Precondition::default())).unwrap();
    }

    /// Writes events of ten things with these numbers in their values, each thing in order.
    pub(crate) fn write(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        write(&self.broker, &self.feed, numbers)
    }

    pub(crate) fn report(&self) -> Report {
        self.running.report()
    }

    pub(crate) fn stop(self) -> anyhow::Result<Report> {
        self.stop.cancel();
        Ok(self.runtime.block_on(self.running.finished())?)
    }
}

pub(crate) fn write(broker: &Broker, feed: &str, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    broker.write(
        feed,
        numbers.map(|n| {
            let thing = format!("thing-{}", n % 10);
            Written { key: Some(thing.clone().into_bytes()), ..Written::of(event(&thing, n, &json!({}))) }
        }),
    )
}

pub(crate) fn id(text: &str) -> ConnectionId {
    text.parse().unwrap()
}

/// A connection whose records have the key of their thing.
pub(crate) fn to(name: &str, server: &str, topic: &str) -> Value {
    definition(
        name,
        server,
        &json!([{
            "address": format!("{topic}/{{{{ thing:id }}}}"), "topics": ["_/_/things/twin/events"],
            "authorizationContext": ["integ:reader"],
        }]),
    )
}

/// The numbers that a topic has, by thing, in the order in which they are there.
pub(crate) fn numbers(records: &[Consumed]) -> std::collections::BTreeMap<String, Vec<usize>> {
    let mut numbers = std::collections::BTreeMap::<_, Vec<usize>>::new();
    for record in records {
        let value: Value = serde_json::from_str(&record.value_text()).unwrap();
        let n = usize::try_from(value["value"].as_u64().unwrap()).unwrap();
        numbers.entry(record.key_text()).or_default().push(n);
    }
    numbers
}

/// Each of these numbers once, and those of a thing in their order.
pub(crate) fn ensure_each_once(
    records: &[Consumed],
    expected: impl Iterator<Item = usize>,
) -> anyhow::Result<()> {
    let numbers = numbers(records);
    for (thing, numbers) in &numbers {
        ensure!(numbers.is_sorted(), "{thing}: {numbers:?}");
    }
    let mut all: Vec<_> = numbers.into_values().flatten().collect();
    all.sort_unstable();
    ensure!(all == expected.collect::<Vec<_>>(), "{all:?}");
    Ok(())
}

/// Waits until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    while !is_so()? {
        ensure!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
