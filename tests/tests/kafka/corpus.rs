//! What a real Ditto wrote into Kafka, through the whole service into the three forms of an address.

use std::collections::BTreeMap;

use anyhow::Context;
use ditto_tests::broker::Broker;
use ditto_tests::corpus::{self, CorpusRecord};
use ditto_tests::service::{Ended, Setup, definition, event, vectors};
use ditto_tests::topics::{Consumed, Written};
use serde_json::{Value, json};

/// The subject that the corpus was recorded for. It came without internal headers, as any consumer of Ditto gets it.
const READERS: &str = "internal_headers = \"strip\"\ndefault_read_subjects = [\"integ:reader\"]";

fn setup(broker: &Broker, name: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let all = [
        "_/_/things/twin/events",
        "_/_/things/live/messages",
        "_/_/things/live/commands",
        "_/_/things/live/events",
        "_/_/policies/announcements",
        "_/_/connections/announcements",
    ];
    let mut targets = Vec::new();
    for (form, address) in [("key", "/{{ entity:id }}"), ("partition", "#2"), ("bare", "")] {
        let topic = format!("{name}-{form}");
        broker.create_topic(&topic, 3, &[])?;
        targets.push(json!({
            "address": format!("{topic}{address}"), "topics": all, "authorizationContext": ["integ:reader"],
        }));
    }
    setup.connection(&definition(name, &broker.listeners.plaintext, &Value::Array(targets)))?;
    Ok(setup)
}

/// Those that are for our targets: a connection announcement is for the targets of the connection that it is about, a
/// policy announcement for those with a subject that it names.
fn due(records: &[CorpusRecord]) -> anyhow::Result<Vec<Value>> {
    let mut due = Vec::new();
    for record in records {
        let value: Value = serde_json::from_str(&record.value)?;
        let topic = value["topic"].as_str().context("no topic")?;
        let is_for_others = match topic.contains("/announcements/") {
            true if topic.contains("/policies/") => {
                !value["value"]["subjectIds"].as_array().is_some_and(|it| it.contains(&"integ:reader".into()))
            }
            other => other,
        };
        if !is_for_others {
            due.push(value);
        }
    }
    Ok(due)
}

fn entity_of(value: &Value) -> String {
    let mut parts = value["topic"].as_str().unwrap_or_default().split('/');
    format!("{}:{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// By the first header that each of them has: the values of one entity in order.
fn by_entity(values: impl IntoIterator<Item = Value>) -> BTreeMap<String, Vec<Value>> {
    let mut entities = BTreeMap::<String, Vec<Value>>::new();
    for value in values {
        entities.entry(entity_of(&value)).or_default().push(value);
    }
    entities
}

/// Without what the connection says of itself: that it was opened and closed.
fn values(name: &str, records: &[Consumed]) -> anyhow::Result<Vec<Value>> {
    let of_itself = format!("_/{name}/connections/announcements/");
    let mut values = Vec::new();
    for record in records {
        let value: Value = serde_json::from_str(&record.value_text())?;
        if !value["topic"].as_str().is_some_and(|topic| topic.starts_with(&of_itself)) {
            values.push(value);
        }
    }
    Ok(values)
}

fn check(broker: &Broker, name: &str, records: &[CorpusRecord], ended: &Ended) -> anyhow::Result<()> {
    let due = due(records)?;
    assert!(ended.stderr.contains(&format!("{} received", records.len())), "{}", ended.stderr);
    assert!(!ended.stderr.contains("undecodable"), "{}", ended.stderr);
    let keyed = broker.consume(&format!("{name}-key"))?;
    for record in &keyed {
        let value: Value = serde_json::from_str(&record.value_text())?;
        assert_eq!(record.key_text(), entity_of(&value));
        assert_eq!(record.header("ditto-connection-id"), name);
        for (header, _) in &record.headers {
            assert!(!header.contains("read-subjects") && header != "ditto-origin", "{header} got out");
        }
    }
    assert_eq!(by_entity(values(name, &keyed)?), by_entity(due.clone()), "by key");
    // One partition: the whole order of the feed, as far as the feed has one.
    let fixed = broker.consume(&format!("{name}-partition"))?;
    assert!(fixed.iter().all(|record| record.partition == 2 && record.key.is_none()));
    assert_eq!(by_entity(values(name, &fixed)?), by_entity(due.clone()), "by partition");
    let bare = broker.consume(&format!("{name}-bare"))?;
    let counts = (0..3).map(|partition| bare.iter().filter(|record| record.partition == partition).count());
    let counts: Vec<usize> = counts.collect();
    assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{counts:?}");
    // In any order, since the entities lie in several partitions; `Value` compares members in any order, texts do not.
    let mut missing = due;
    for value in values(name, &bare)? {
        let found =
            missing.iter().position(|due| *due == value).with_context(|| format!("not due: {value}"))?;
        missing.swap_remove(found);
    }
    assert!(missing.is_empty(), "did not come in turns: {missing:#?}");
    Ok(())
}

#[test]
fn from_lines() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let records = corpus::load(&vectors("corpus/feed.ndjson"))?;
    assert_eq!(records.len(), 475);
    let setup = setup(&broker, "corpus-lines")?;
    let text = std::fs::read_to_string(vectors("corpus/feed.ndjson"))?;
    setup.lines(READERS, &text.lines().map(str::to_owned).collect::<Vec<_>>())?;
    let ended = setup.run()?;
    ended.expect_code(0)?;
    check(&broker, "corpus-lines", &records, &ended)
}

#[test]
fn from_kafka() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let records = corpus::load(&vectors("corpus/feed.ndjson"))?;
    let setup = setup(&broker, "corpus-kafka")?;
    broker.create_topic("corpus-feed", 5, &[])?;
    broker.write(
        "corpus-feed",
        records.iter().map(|record| Written {
            key: record.key.clone().map(String::into_bytes),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect(),
            value: Some(record.value.clone().into_bytes()),
        }),
    )?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"corpus-feed\"]\nstart_at = \"earliest\"\n{READERS}",
        broker.listeners.plaintext
    ))?;
    let service = setup.start_run()?;
    for form in ["key", "partition", "bare"] {
        broker.wait_for(&format!("corpus-kafka-{form}"), due(&records)?.len())?;
    }
    let ended = service.stop()?;
    ended.expect_code(0)?;
    check(&broker, "corpus-kafka", &records, &ended)?;

    // What was settled is committed: a second run gets only what is new.
    let before = broker.count("corpus-kafka-key")?;
    broker.write("corpus-feed", [Written::of(event("late", 1, &json!({})))])?;
    let service = setup.start_run()?;
    broker.wait_for("corpus-kafka-key", before + 1)?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    assert!(ended.stderr.contains("corpus-kafka: 1 received"), "{}", ended.stderr);
    Ok(())
}
