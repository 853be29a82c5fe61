//! The records of the benchmark, and the settings that all who move them have in common.

use std::time::Duration;

use anyhow::ensure;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use serde_json::json;

use crate::broker::Broker;

pub(super) const PARTITIONS: i32 = 6;
const THINGS: usize = 1_000;

/// The ids of all things.
pub(super) fn things() -> impl Iterator<Item = String> {
    (0..THINGS).map(|n| format!("org.acme.factory:machine-{n:04}"))
}

/// An event as Ditto writes it, with who may read it.
fn event(n: usize) -> (String, String) {
    let name = format!("machine-{:04}", n % THINGS);
    let message = json!({
        "topic": format!("org.acme.factory/{name}/things/twin/events/modified"),
        "headers": {
            "correlation-id": format!("8a1b0c7e-52d4-4b0e-9a51-{n:012}"),
            "ditto-originator": "acme:gateway",
            "ditto-read-subjects": ["acme:gateway", "acme:monitoring"],
            "content-type": "application/json",
            "response-required": false,
            "requested-acks": [],
        },
        "path": "/features/spindle/properties",
        "value": {
            "speed": {"value": 1_200 + n % 800, "unit": "rpm"},
            "temperature": {"value": 41.5 + (n % 97) as f64 / 10.0, "unit": "celsius"},
            "vibration": [0.012, 0.034, 0.021],
            "state": "running",
        },
        "revision": n / THINGS + 1,
        "timestamp": "2026-03-04T05:06:07.008Z",
    });
    (format!("org.acme.factory:{name}"), message.to_string())
}

/// Makes the topic and fills it; answers the mean size of a message in bytes.
pub(super) fn fill(broker: &Broker, topic: &str, records: usize) -> anyhow::Result<usize> {
    broker.create_topic(topic, PARTITIONS, &[])?;
    let producer: BaseProducer = producer(broker).create()?;
    let mut bytes = 0;
    for n in 0..records {
        let (key, message) = event(n);
        bytes += message.len();
        send(&producer, BaseRecord::to(topic).key(key.as_bytes()).payload(message.as_bytes()))?;
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(bytes / records.max(1))
}

/// Enqueues a record, and serves reports while there is no room.
pub(super) fn send(producer: &BaseProducer, mut record: BaseRecord<'_, [u8], [u8]>) -> anyhow::Result<()> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, back)) => {
                ensure!(
                    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull),
                    "record not written: {error}"
                );
                producer.poll(Duration::from_millis(5));
                record = back;
            }
        }
    }
}

/// The service's own settings (ditto-kafka, settings.rs).
pub(super) fn producer(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &broker.listeners.plaintext)
        .set("message.timeout.ms", "0")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("max.in.flight", "5")
        .set("linger.ms", "5")
        .set("message.max.bytes", "1048576")
        .set("queue.buffering.max.messages", "101000")
        .set("queue.buffering.max.kbytes", "67584")
        .set("partitioner", "murmur2_random");
    config
}

/// librdkafka's defaults: with the service's smaller read-ahead the loops below would spend more, not less.
pub(super) fn consumer(broker: &Broker, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &broker.listeners.plaintext)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest");
    config
}
