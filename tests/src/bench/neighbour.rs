//! What a connection that is not well costs the latency of one that is.

use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use super::feed::{self, PARTITIONS};
use crate::broker::Broker;
use crate::service::{Setup, definition, event};

const RATE: u64 = 2_000;
const SECONDS: u64 = 8;
/// Signals whose latency is not measured: the first ones wait for metadata.
const WARM_UP: usize = 4_000;

/// Latencies of one run, from the write to the feed until the record is read from the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    pub(super) median: Duration,
    pub(super) p99: Duration,
}

/// What runs beside the connection whose latency is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Neighbour {
    /// A connection whose cluster takes connections and never answers.
    Dead,
    /// A connection whose script goes on until it is ended, with each signal.
    Loops,
}

impl Neighbour {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dead => "one to a dead cluster",
            Self::Loops => "one whose script never ends",
        }
    }
}

/// One run, alone or beside a neighbour.
///
/// # Errors
/// The service does not start, or not everything comes out.
pub(super) fn run(broker: &Broker, round: usize, beside: Option<Neighbour>) -> anyhow::Result<Latency> {
    let name = match beside {
        None => format!("neighbour-{round}-alone"),
        Some(beside) => format!("neighbour-{round}-{beside:?}"),
    };
    let (from, to) = (format!("{name}-feed"), format!("{name}-output"));
    for topic in [&from, &to] {
        broker.create_topic(topic, PARTITIONS, &[])?;
    }
    let program: PathBuf = std::env::current_exe()?.with_file_name("service");
    let setup = Setup::new(&program.to_string_lossy())?;
    let target = |address: &str| json!([{"address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"]}]);
    setup.connection(&definition(
        "healthy",
        &broker.listeners.plaintext,
        &target(&format!("{to}/{{{{ thing:id }}}}")),
    ))?;
    // Takes connections and never says a word.
    let dead = TcpListener::bind("127.0.0.1:0")?;
    match beside {
        None => {}
        Some(Neighbour::Dead) => setup.connection(&definition(
            "dead",
            &dead.local_addr()?.to_string(),
            &target("nowhere/{{ thing:id }}"),
        ))?,
        Some(Neighbour::Loops) => {
            let mut loops = definition("loops", &broker.listeners.plaintext, &target("loops/{{ thing:id }}"));
            let script = "function mapFromDittoProtocolMsg() { for (;;) {} }";
            if let Some(members) = loops.as_object_mut() {
                members.insert(
                    "mappingDefinitions".to_owned(),
                    json!({"loop": {
                        "mappingEngine": "JavaScript", "options": {"outgoingScript": script},
                    }}),
                );
            }
            if let Some(target) = loops.pointer_mut("/targets/0").and_then(serde_json::Value::as_object_mut) {
                target.insert("payloadMapping".to_owned(), json!(["loop"]));
            }
            setup.connection(&loops)?;
        }
    }
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{from}\"]\ngroup_id = \"{name}\"\n\
         start_at = \"earliest\"\ninternal_headers = \"trust\"",
        broker.listeners.plaintext
    ))?;
    let service = setup.start_run()?;
    service.wait_for_partitions()?;
    let start = Instant::now();
    let reader = {
        let (broker, to) = (broker.clone(), to.clone());
        thread::spawn(move || read(&broker, &to, start))
    };
    write(broker, &from, start)?;
    let mut latencies = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    drop(service);
    for topic in [&from, &to] {
        broker.delete_topic(topic)?;
    }
    latencies.sort();
    let at = |share: f64| {
        let at = (latencies.len() as f64 * share) as usize;
        latencies.get(at).copied().context("no latencies")
    };
    Ok(Latency { median: at(0.5)?, p99: at(0.99)? })
}

/// The time of writing is the number of the signal, in microseconds since the start.
fn write(broker: &Broker, topic: &str, start: Instant) -> anyhow::Result<()> {
    let producer: BaseProducer = feed::producer(broker).set("linger.ms", "0").create()?;
    let mut written = 0;
    while written < RATE * SECONDS {
        let due = start.elapsed().as_millis() as u64 * RATE / 1_000;
        while written < due.min(RATE * SECONDS) {
            let thing = format!("thing-{}", written % 100);
            let at = usize::try_from(start.elapsed().as_micros())?;
            let message = event(&thing, at, &json!({}));
            feed::send(&producer, BaseRecord::to(topic).key(thing.as_bytes()).payload(message.as_bytes()))?;
            written += 1;
        }
        producer.poll(Duration::ZERO);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(producer.flush(Duration::from_secs(30))?)
}

fn read(broker: &Broker, topic: &str, start: Instant) -> anyhow::Result<Vec<Duration>> {
    let consumer: BaseConsumer = broker
        .client()
        .set("group.id", "neighbour-reader")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "5")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut latencies = Vec::new();
    let wanted = usize::try_from(RATE * SECONDS)?;
    let mut read = 0;
    while read < wanted {
        let message = consumer.poll(Duration::from_secs(30)).context("records are missing")??;
        let id = message
            .headers()
            .and_then(|headers| headers.iter().find(|header| header.key == "correlation-id"))
            .and_then(|header| header.value)
            .context("no correlation-id")?;
        let at: u64 = std::str::from_utf8(id)?.strip_prefix("n-").context("no number")?.parse()?;
        let now = start.elapsed();
        ensure!(now >= Duration::from_micros(at), "read before it was written");
        read += 1;
        if read > WARM_UP {
            latencies.push(now - Duration::from_micros(at));
        }
    }
    Ok(latencies)
}
