//! Rows of headers, outbound and acks whose definitions need nothing that is not built yet: from the signal to records
//! and acknowledgements, compared exactly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ditto_connection::Draft;
use ditto_connectivity::{read_definition, run_options};
use ditto_outbound::{
    AcknowledgementSink, Answer, CompiledConnection, DeliverError, DeliverErrorKind, Delivered, FeedPolicy,
    Intake, InternalHeaders, Lane, NoAcknowledgements, RecordingLeaf, RecordingSink, Refusal, Sent, VecFeed,
};
use ditto_protocol::Acknowledgements;
use ditto_tests::conformance::{Rules, compare, load};
use ditto_tests::things::enrichment;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};

const RULES: Rules = Rules { informative: &["logs", "connectionFailures"] };

/// What a row came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Ran, with the reference's answer.
    Equal,
    /// The reference refuses the definition, and so do we.
    RefusedAsReference,
    /// We refuse what is not built yet, with a finding that says so.
    NotBuilt,
    /// We refuse when the definition is read what the reference refuses with each signal.
    RefusedEarlier,
    /// One of the decided differences (design.md §8).
    Differs(&'static str),
}

#[test]
fn headers() -> anyhow::Result<()> {
    check("headers", &[(End::Equal, 35), (End::RefusedAsReference, 3)])
}

#[test]
fn outbound() -> anyhow::Result<()> {
    let announcement = End::Differs("announcement to others");
    let failed = End::Differs("mapper that fails is told");
    check(
        "outbound",
        &[(End::Equal, 53), (End::RefusedAsReference, 6), (End::NotBuilt, 2), (announcement, 2), (failed, 1)],
    )
}

#[test]
fn acks() -> anyhow::Result<()> {
    let expected = [
        (End::Equal, 48),
        (End::RefusedAsReference, 1),
        (End::NotBuilt, 1),
        (End::RefusedEarlier, 3),
        (End::Differs("announcement to others"), 1),
        (End::Differs("unresolved address is told"), 1),
    ];
    check("acks", &expected)
}

fn check(file: &str, expected: &[(End, usize)]) -> anyhow::Result<()> {
    let path = vectors().join(format!("{file}.ndjson"));
    let mut ends: BTreeMap<End, Vec<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    for row in load(&path)? {
        match run(&row.json).with_context(|| row.id.clone())? {
            Ok(end) => ends.entry(end).or_default().push(row.id),
            Err(found) => findings.extend(found.into_iter().map(|finding| format!("{}: {finding}", row.id))),
        }
    }
    assert!(findings.is_empty(), "{file}:\n{}", findings.join("\n"));
    let counts: Vec<(End, usize)> = ends.iter().map(|(end, rows)| (*end, rows.len())).collect();
    assert_eq!(counts, expected, "{ends:#?}");
    Ok(())
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn run(row: &Value) -> anyhow::Result<Result<End, Vec<String>>> {
    let given = &row["given"];
    let refused_by_reference =
        row["expect"].get("validationError").or(row["expect"].get("configError")).is_some();
    let connection = match read_definition(Draft::of_file(&given["connection"].to_string())) {
        Ok(_) if refused_by_reference => {
            return Ok(Err(vec!["the reference refuses this definition".into()]));
        }
        Ok(connection) if connection.not_served().next().is_some() => return Ok(Ok(End::NotBuilt)),
        Ok(connection) => connection,
        Err(_) if refused_by_reference => return Ok(Ok(End::RefusedAsReference)),
        Err(report) => {
            return Ok(if given.get("validate").is_none() {
                Ok(End::RefusedEarlier)
            } else {
                Err(vec![format!("the reference accepts this definition: {report}")])
            });
        }
    };
    let compiled = CompiledConnection::compile(&connection, &run_options());
    let leaf = leaf(given["context"]["producer"].clone())?;
    let sink = RecordingSink::default();
    let signals = match &given["signals"] {
        Value::Array(signals) => signals.clone(),
        _ => vec![given["signal"].clone()],
    };
    let feed = VecFeed::of_records(signals.iter().map(record));
    let intake =
        Intake::new(FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() });
    let acknowledgements: Box<dyn AcknowledgementSink> = match given["signal"].get("noAckregator") {
        Some(_) => Box::new(NoAcknowledgements),
        None => Box::new(sink.clone()),
    };
    let lane = Lane::new(feed, intake, vec![(compiled, leaf.clone())], acknowledgements);
    let lane = lane.with_directory(Box::new(enrichment(given)));
    // The leaf answers at once or never. Whoever waits for an acknowledgement does so by the runtime's clock.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _entered = runtime.enter();
    match lane.run().now_or_never() {
        Some(feed) => assert_eq!(feed.settled.len(), signals.len()),
        None => assert!(
            given["context"]["producer"]["mode"] == "never"
                || given["context"]["enrichment"]["error"] == "timeout"
        ),
    }

    let answer = json!({
        "records": leaf.sent().iter().map(record_json).collect::<Vec<_>>(),
        "acknowledgements": sink.sent().iter().map(acknowledgements_json).collect::<Vec<_>>(),
    });
    if let Some((name, expected)) = difference(given, &row["expect"]) {
        let findings = compare(&expected, &answer, RULES);
        return Ok(if findings.is_empty() { Ok(End::Differs(name)) } else { Err(findings) });
    }
    let mut expected = row["expect"].clone();
    for record in expected["records"].as_array_mut().into_iter().flatten() {
        if let Some(text) = record["valueText"].as_str().filter(|text| text.starts_with("\0{")) {
            record["valueJson"] = serde_json::from_str(&text.replace('\0', ""))?;
            record.as_object_mut().map(|record| record.remove("valueText"));
        }
    }
    let findings = compare(&expected, &answer, RULES);
    Ok(if findings.is_empty() { Ok(End::Equal) } else { Err(findings) })
}

/// The decided differences, as predicates on the input, with what we answer instead.
fn difference(given: &Value, expected: &Value) -> Option<(&'static str, Value)> {
    let mut ours = expected.clone();
    let headers = &given["signal"]["ditto"]["headers"];
    let target = &given["connection"]["targets"][0];
    let requested = headers["requested-acks"].get(0);
    let topic = given["signal"]["ditto"]["topic"].as_str().unwrap_or_default();
    if topic.contains("/policies/announcements/") {
        let subjects =
            given["signal"]["ditto"]["value"]["subjectIds"].as_array().cloned().unwrap_or_default();
        let context = target["authorizationContext"].as_array().cloned().unwrap_or_default();
        if !subjects.iter().any(|subject| context.contains(subject)) {
            ours["records"] = json!([]);
            ours["acknowledgements"] = match requested {
                None => json!([]),
                Some(label) => json!([{"status": 200, "acks": [{
                    "label": label, "status": 200, "weak": true, "entity": "<text>", "headers": {
                        "correlation-id": headers["correlation-id"], "ditto-entity-id": "policy:acme.plant:pol-1",
                        "ditto-weak-ack": "true", "response-required": "false"
                    }
                }]}]),
            };
            return Some(("announcement to others", ours));
        }
    }
    let is_unresolved = target["address"].as_str().is_some_and(|address| address.contains("header:nope"));
    let is_thrown = given["connection"]["mappingDefinitions"]["js"]["options"]["outgoingScript"]
        .as_str()
        .is_some_and(|script| script.contains("throw"));
    let (name, error) = match (is_unresolved, is_thrown) {
        (true, _) => ("unresolved address is told", "placeholder:unresolved"),
        (_, true) => ("mapper that fails is told", "connectivity:message.mapping.failed"),
        _ => return None,
    };
    let label = requested?;
    let mut acknowledgement_headers = Map::new();
    for (name, text) in [
        ("correlation-id", headers["correlation-id"].as_str().unwrap_or_default()),
        ("ditto-connection-id", "conn-a"),
        ("ditto-entity-id", "thing:acme.plant:pump-7"),
        ("ditto-read-subjects", r#"["integ:reader"]"#),
        ("entity-revision", "42"),
        ("response-required", "false"),
    ] {
        acknowledgement_headers.insert(name.into(), text.into());
    }
    let entity = json!({"error": error, "message": "<text>", "description": "<text>"});
    ours["acknowledgements"] = json!([{"status": 400, "acks": [{
        "label": label, "status": 400, "weak": false, "entity": entity, "headers": acknowledgement_headers
    }]}]);
    Some((name, ours))
}

/// Protocol JSON with the cluster's headers as record headers of a trusted feed.
fn record(signal: &Value) -> (Bytes, Vec<(Bytes, Bytes)>) {
    let internal = signal["internalHeaders"].as_object().cloned().unwrap_or_default();
    let headers = internal
        .into_iter()
        .map(|(name, value)| (Bytes::from(name), Bytes::from(value.as_str().unwrap_or_default().to_owned())));
    (Bytes::from(signal["ditto"].to_string()), headers.collect())
}

/// A leaf that answers as the row's producer.
fn leaf(producer: Value) -> anyhow::Result<RecordingLeaf> {
    let classes: Value =
        serde_json::from_str(&std::fs::read_to_string(vectors().join("kafka-error-status.json"))?)?;
    let mut call = 0;
    Ok(RecordingLeaf::new(move |record| {
        let by_topic = &producer["byTopic"][record.destination.topic.as_str()];
        let answer = match producer["sequence"].as_array() {
            Some(sequence) => sequence[call.min(sequence.len() - 1)].clone(),
            None if by_topic.is_object() => by_topic.clone(),
            None => producer.clone(),
        };
        call += 1;
        if answer["mode"] == "never" {
            return Answer::Silence;
        }
        let Some(class) = answer["exception"].as_str() else {
            return Answer::Deliver(Delivered {
                partition: record
                    .destination
                    .partition
                    .unwrap_or_else(|| int(&answer["partition"]).unwrap_or(0) as i32),
                offset: Some(int(&answer["offset"]).unwrap_or(0)).filter(|offset| *offset >= 0),
                timestamp_ms: int(&answer["timestamp"]),
            });
        };
        let name = class.rsplit('.').next().unwrap_or_default();
        let status = int(&classes["byClass"][name]).unwrap_or(if name == "BufferExhaustedException" {
            500
        } else {
            400
        });
        let refusal = Refusal { retriable: status == 500 };
        let error =
            DeliverError::new(DeliverErrorKind::Record(refusal), answer["message"].as_str().unwrap_or(name));
        if answer["mode"] == "sync" { Answer::Refuse(error) } else { Answer::Fail(error) }
    }))
}

fn int(value: &Value) -> Option<i64> {
    value.as_i64()
}

fn record_json(sent: &Sent) -> Value {
    let headers: Map<String, Value> =
        sent.headers.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    assert_eq!(headers.len(), sent.headers.len(), "a header occurs twice: {:?}", sent.headers);
    let mut record =
        json!({ "topic": sent.topic, "key": sent.key, "partition": sent.partition, "headers": headers });
    match std::str::from_utf8(&sent.payload) {
        // JSON in UTF-16: the order of its members does not count either.
        Ok(text) if text.starts_with("\0{") => {
            let text = text.replace('\0', "");
            record["valueJson"] = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
        }
        Ok(text) if text.starts_with(['{', '[']) => {
            record["valueJson"] = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        }
        Ok(text) => record["valueText"] = text.into(),
        Err(_) => record["valueBase64"] = STANDARD.encode(&sent.payload).into(),
    }
    record
}

fn acknowledgements_json(acknowledgements: &Acknowledgements) -> Value {
    let single = acknowledgements.iter().map(|one| {
        let headers: Map<String, Value> = one
            .headers
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str().into()))
            .collect();
        let entity: Value = one.value.as_deref().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
        json!({
            "label": one.label, "status": one.status, "weak": one.is_weak, "entity": entity, "headers": headers
        })
    });
    json!({"status": acknowledgements.status(), "acks": single.collect::<Vec<_>>()})
}
