//! Rows of the vectors headers and outbound whose targets are plain, published to the real broker.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use ditto_connection::{Connection, Draft};
use ditto_connectivity::{KafkaLeaf, read_definition, run_options};
use ditto_kafka::{ClusterSettings, ProducerPool, ProducerSettings};
use ditto_outbound::{
    CompiledConnection, FeedPolicy, Intake, InternalHeaders, Lane, NoAcknowledgements, VecFeed,
};
use ditto_tests::broker::Broker;
use ditto_tests::conformance::load;
use ditto_tests::service::vectors;
use ditto_tests::things::{enrichment, fed, signals};
use ditto_tests::topics::Consumed;
use serde_json::{Value, json};

/// Rows that the conformance runner finds equal to the reference and that publish something.
fn rows() -> anyhow::Result<Vec<(String, Connection, Value)>> {
    let mut rows = Vec::new();
    for file in ["headers", "outbound"] {
        for row in load(&vectors(&format!("{file}.ndjson")))? {
            let expect = &row.json["expect"];
            let is_plain = expect.get("validationError").or(expect.get("configError")).is_none()
                && !is_to_others(&row.json);
            if is_plain
                && expect["records"].as_array().is_some_and(|records| !records.is_empty())
                && let Ok(connection) =
                    read_definition(Draft::of_file(&row.json["given"]["connection"].to_string()))
                && connection.not_served().next().is_none()
                // What answers a source is not published (docs/adr/0031-sources-are-kept-and-targets-run.md).
                && connection.sources().is_empty()
            {
                rows.push((row.id, connection, row.json));
            }
        }
    }
    Ok(rows)
}

/// A decided difference: docs/differences.md, announcements.
fn is_to_others(row: &Value) -> bool {
    let ditto = &row["given"]["signal"]["ditto"];
    let named = ditto["value"]["subjectIds"].as_array().cloned().unwrap_or_default();
    let context = &row["given"]["connection"]["targets"][0]["authorizationContext"];
    ditto["topic"].as_str().is_some_and(|topic| topic.contains("/policies/announcements/"))
        && !named.iter().any(|subject| context.as_array().is_some_and(|it| it.contains(subject)))
}

#[tokio::test]
async fn plain_targets_write_what_the_reference_writes() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let rows = rows()?;
    assert_eq!(rows.len(), 71, "rows with records");
    let mut expected = BTreeMap::<String, Vec<Value>>::new();
    for (_, _, row) in &rows {
        for record in row["expect"]["records"].as_array().into_iter().flatten() {
            let topic = record["topic"].as_str().context("no topic")?;
            expected.entry(topic.to_owned()).or_default().push(record.clone());
        }
    }
    for topic in expected.keys() {
        let made = tokio::task::spawn_blocking({
            let (broker, topic) = (broker.clone(), topic.clone());
            move || broker.create_topic(&topic, 12, &[])
        });
        made.await?.with_context(|| topic.clone())?;
    }
    let pool = ProducerPool::new();
    for (id, connection, row) in &rows {
        let settings =
            ProducerSettings::new(ClusterSettings::plaintext([&broker.listeners.plaintext]), "vectors");
        let leaf = KafkaLeaf::new(&pool, settings)?;
        let compiled = CompiledConnection::compile(connection, &run_options());
        let signals = signals(&row["given"]);
        let feed = VecFeed::of_records(signals.iter().map(fed));
        let policy = FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() };
        let lane = Lane::new(feed, Intake::new(policy), vec![(compiled, leaf)], Box::new(NoAcknowledgements))
            .with_directory(Box::new(enrichment(&row["given"])));
        assert_eq!(lane.run().await.settled.len(), signals.len(), "{id}");
    }
    for (topic, mut expected) in expected {
        let records = tokio::task::spawn_blocking({
            let (broker, topic) = (broker.clone(), topic.clone());
            move || broker.consume(&topic)
        });
        for record in records.await?? {
            let answer = json_of(&record)?;
            let found = expected.iter().position(|expected| is_equal(expected, &answer));
            let found =
                found.with_context(|| format!("{topic}: nothing expects {answer:#}\n{expected:#?}"))?;
            expected.remove(found);
        }
        assert!(expected.is_empty(), "{topic}: did not come: {expected:#?}");
    }
    Ok(())
}

fn json_of(record: &Consumed) -> anyhow::Result<Value> {
    let mut names: Vec<&str> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    for name in &names {
        let is_internal = ditto_protocol::header_definition(name).is_some_and(|it| it.is_internal());
        assert!(!is_internal, "internal header {name} in a record");
    }
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a header occurs twice: {names:?}");
    let headers = record.headers.iter().map(|(name, value)| printed(name, &String::from_utf8_lossy(value)));
    Ok(json!({
        "key": record.key.as_ref().map(|_| record.key_text()), "partition": record.partition,
        "headers": headers.collect::<BTreeSet<_>>(), "value": value(&record.value_text()),
    }))
}

fn expected_value(expected: &Value) -> Option<Value> {
    let text = expected["valueText"].as_str().map(value);
    text.or_else(|| expected.get("valueJson").cloned())
}

/// JSON as it is compared, in UTF-16 too; another text as it is.
fn value(text: &str) -> Value {
    let utf16 = text.starts_with("\0{").then(|| text.replace('\0', ""));
    let text = utf16.as_deref().unwrap_or(text);
    let json = text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten();
    json.unwrap_or_else(|| text.into())
}

/// As the console consumer prints a header: where a name ends cannot be told if it has a colon itself.
fn printed(name: &str, value: &str) -> String {
    format!("{name}:{value}")
}

/// The partition counts only where the address asks for one.
fn is_equal(expected: &Value, answer: &Value) -> bool {
    let headers = expected["headers"].as_object().into_iter().flatten();
    let headers: BTreeSet<String> =
        headers.map(|(name, value)| printed(name, value.as_str().unwrap_or_default())).collect();
    let partition = &expected["partition"];
    (partition.is_null() || *partition == answer["partition"])
        && json!(headers) == answer["headers"]
        && expected["key"] == answer["key"]
        && expected_value(expected).as_ref() == answer.get("value")
}
