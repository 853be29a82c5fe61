//! What targets get whose subjects may read parts.

use std::sync::Arc;

use ditto_connection::Connection;
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::acknowledge::NoAcknowledgements;
use crate::intake::{FeedPolicy, Intake, InternalHeaders};
use crate::lane::Lane;
use crate::memory::MemoryDirectory;
use crate::recording::{RecordingLeaf, VecFeed};
use crate::target::CompiledConnection;
use crate::target::RunOptions;

/// `integ:full` reads everything, `integ:part` what is in `paths`. Each record as its key and payload; and what was dropped.
#[track_caller]
fn check(paths: &[&str], topics: &str, event: &Value, expected: &[(&str, Value)], dropped: u64) {
    let target = |subject: &str| {
        json!({
            "address": format!("out/{subject} {{{{ thing-json:attributes/secret | fn:default('none') }}}}"),
            "topics": [format!("_/_/things/twin/events{topics}")],
            "authorizationContext": [format!("integ:{subject}")],
        })
    };
    let definition = json!({
        "id": "c", "name": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"}, "targets": [target("full"), target("part")],
    });
    let connection = CompiledConnection::compile(
        &Connection::from_json(&definition.to_string()).unwrap(),
        &RunOptions::default(),
    );
    let mut event = event.clone();
    let paths: Value = paths.iter().map(|path| ((*path).to_owned(), json!([0]))).collect();
    event["headers"] = json!({
        "ditto-read-subjects": ["integ:full", "integ:part"],
        "ditto-partial-access-paths": {"subjects": ["integ:part"], "paths": paths},
    });
    event["revision"] = 7.into();
    let thing = json!({"attributes": {"open": 1, "secret": 2}, "features": {"f": {"properties": {"p": 3}}}});
    let directory = MemoryDirectory::default();
    directory.tell("acme:one", Some(&thing.to_string()));
    let leaf = RecordingLeaf::default();
    let policy = FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() };
    let feed = VecFeed::of_texts([event.to_string()]);
    let lane = Lane::new(
        feed,
        Intake::new(policy),
        vec![(connection.clone(), leaf.clone())],
        Box::new(NoAcknowledgements),
    );
    assert!(lane.with_directory(Box::new(directory)).run().now_or_never().is_some());
    let sent: Vec<(String, Value)> = leaf
        .sent()
        .into_iter()
        .map(|sent| {
            let payload: Value = serde_json::from_slice(&sent.payload).unwrap();
            let mut seen = json!({"value": payload["value"]});
            if let Some(extra) = payload.get("extra") {
                seen["extra"] = extra.clone();
            }
            (sent.key.unwrap_or_default(), seen)
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(|(key, seen)| ((*key).to_owned(), seen.clone())).collect();
    assert_eq!(sent, expected);
    let counts = of_part(&connection);
    assert_eq!(counts, dropped);
}

fn of_part(connection: &Arc<CompiledConnection>) -> u64 {
    let counts = connection.targets()[1].counters().snapshot();
    counts.dropped.iter().map(|(_, n)| n).sum()
}

fn event(path: &str, value: &Value) -> Value {
    json!({"topic": "acme/one/things/twin/events/modified", "path": path, "value": value})
}

#[test]
fn each_target_gets_what_it_may_read() {
    let attributes = json!({"open": 1, "secret": 2});
    check(
        &["attributes/open"],
        "",
        &event("/attributes", &attributes),
        &[("full 2", json!({"value": attributes})), ("part none", json!({"value": {"open": 1}}))],
        0,
    );
    // Names are those of the thing, not of the value (policies.md §6, the leak).
    let hidden = json!({"attributes": "hidden", "z": 1});
    check(
        &["attributes"],
        "",
        &event("/features/f/properties", &hidden),
        &[("full none", json!({"value": hidden}))],
        1,
    );
    check(
        &["features/f"],
        "",
        &event("/features/f/properties/p", &json!(9)),
        &[("full none", json!({"value": 9})), ("part none", json!({"value": 9}))],
        0,
    );
}

#[test]
fn a_filter_on_what_is_hidden_sees_nothing() {
    let attributes = json!({"open": 1, "secret": 2});
    let event = event("/attributes", &attributes);
    check(
        &["attributes/open"],
        "?filter=eq(attributes/secret,2)",
        &event,
        &[("full 2", json!({"value": attributes}))],
        1,
    );
    check(
        &["attributes/open"],
        "?filter=not(exists(attributes/secret))",
        &event,
        &[("part none", json!({"value": {"open": 1}}))],
        0,
    );
}

#[test]
fn what_comes_along_is_cut_too() {
    let expected = [
        (
            "full 2",
            json!({"value": 5, "extra": {"attributes": {"open": 1, "secret": 2}, "features": {"f": {"properties": {"p": 3}}}}}),
        ),
        ("part none", json!({"value": 5, "extra": {"attributes": {"open": 1}}})),
    ];
    check(
        &["attributes/open", "attributes/x"],
        "?extraFields=attributes,features/*/properties",
        &event("/attributes/x", &json!(5)),
        &expected,
        0,
    );
    check(
        &["attributes/open", "attributes/x"],
        "?extraFields=attributes/secret&filter=exists(attributes/secret)",
        &event("/attributes/x", &json!(5)),
        &[("full 2", json!({"value": 5, "extra": {"attributes": {"secret": 2}}}))],
        1,
    );
}
