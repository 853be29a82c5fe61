use std::sync::atomic::{AtomicBool, Ordering};

use ditto_outbound::{Answer, DeliverError, DeliverErrorKind, Delivered, Refusal};
use ditto_outbound::{
    FeedPolicy, Intake, InternalHeaders, Lane, NoAcknowledgements, RecordingLeaf, RunOptions, VecFeed,
};
use serde_json::json;

use super::*;

fn definition(address: &str) -> Connection {
    let definition = json!({
        "id": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": [{
            "address": address, "topics": ["_/_/things/twin/events?filter=ne(attributes/x,3)"],
            "authorizationContext": ["r"],
        }],
    });
    Connection::from_json(&definition.to_string()).unwrap()
}

/// Publishes events; the one with the value 2 fails, the one with the value 3 is filtered.
fn publish(observation: &Observation, definition: &Connection, values: std::ops::Range<u64>) {
    let options = RunOptions { journal: observation.journal().clone(), ..RunOptions::default() };
    let compiled = CompiledConnection::compile(definition, &options);
    observation.runs(definition, &compiled);
    let failed = AtomicBool::new(false);
    let leaf = RecordingLeaf::new(move |record| {
        let is_second = String::from_utf8_lossy(&record.payload).contains("\"value\":2");
        if is_second && !failed.swap(true, Ordering::Relaxed) {
            let kind = DeliverErrorKind::Record(Refusal { retriable: false });
            return Answer::Fail(DeliverError::new(kind, "too large"));
        }
        Answer::Deliver(Delivered::default())
    });
    let events = values.map(|value| {
        json!({
            "topic": "a/t/things/twin/events/modified", "path": "/attributes/x", "value": value, "revision": 1,
            "headers": {"correlation-id": format!("id-{value}")},
        })
        .to_string()
    });
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    let lane =
        Lane::new(VecFeed::of_texts(events), intake, vec![(compiled, leaf)], Box::new(NoAcknowledgements));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(lane.run());
}

fn minute(metrics: &Value, pointer: &str) -> (u64, u64) {
    let of =
        |level: &str| metrics.pointer(&format!("{pointer}/{level}/PT1M")).and_then(Value::as_u64).unwrap();
    (of("success"), of("failure"))
}

#[test]
fn metrics_outlive_a_change_and_a_close() {
    let observed = Observed::default();
    let observation = observed.of("c");
    assert_eq!(observation.metrics()["connectionMetrics"]["outbound"], Value::Null);
    publish(&observation, &definition("a"), 0..5);
    let metrics = observation.metrics();
    let of_a = "/targetMetrics/addressMetrics/a";
    for (step, expected) in [
        ("dispatched", (5, 0)),
        ("filtered", (4, 0)),
        ("dropped", (1, 0)),
        ("published", (3, 1)),
        ("other", (0, 0)),
    ] {
        assert_eq!(minute(&metrics, &format!("{of_a}/{step}")), expected, "{step}");
        assert_eq!(minute(&metrics, &format!("/connectionMetrics/outbound/{step}")), expected, "{step}");
    }
    assert_eq!(metrics["containsFailures"], true);
    assert_eq!(metrics["connectionMetrics"]["inbound"], Value::Null);
    assert_eq!(minute(&metrics, "/targetMetrics/addressMetrics/_responses/published"), (0, 0));
    // Changed, closed and opened again: it goes on.
    publish(&observation, &definition("a"), 4..6);
    assert_eq!(minute(&observation.metrics(), &format!("{of_a}/published")), (5, 1));
    observation.rests();
    assert_eq!(observation.metrics()["targetMetrics"]["addressMetrics"], Value::Null);
    publish(&observation, &definition("a"), 4..5);
    assert_eq!(minute(&observation.metrics(), &format!("{of_a}/published")), (6, 1));
    // With another address only that counts.
    publish(&observation, &definition("b"), 4..5);
    assert_eq!(minute(&observation.metrics(), "/connectionMetrics/outbound/published"), (1, 0));
    observation.reset_metrics();
    let metrics = observation.metrics();
    assert_eq!(minute(&metrics, "/connectionMetrics/outbound/published"), (0, 0));
    assert!(metrics["connectionMetrics"]["outbound"]["published"]["success"]["lastMessageAt"].is_string());
    observed.forget("c");
    assert_eq!(observed.of("c").metrics()["connectionMetrics"]["outbound"], Value::Null);
}

#[test]
fn logs_tell_of_signals_and_outlive_a_close() {
    let observation = Observation::default();
    assert_eq!(observation.logs(), json!({"connectionLogs": [], "enabledSince": null, "enabledUntil": null}));
    publish(&observation, &definition("a"), 0..3);
    let logs = observation.logs();
    assert!(logs["enabledSince"].is_string() && logs["enabledUntil"].is_string());
    let entries = logs["connectionLogs"].as_array().unwrap();
    let first = &entries[0];
    assert_eq!(
        [&first["correlationId"], &first["category"], &first["type"], &first["level"], &first["address"]],
        ["id-0", "target", "dispatched", "success", "a"]
    );
    assert_eq!([&first["entityType"], &first["entityId"]], ["thing", "a:t"]);
    let failed =
        entries.iter().find(|entry| entry["type"] == "published" && entry["level"] == "failure").unwrap();
    assert!(failed["message"].as_str().unwrap().contains("too large"), "{failed}");
    observation.rests();
    let resting = observation.logs();
    assert_eq!(
        (&resting["connectionLogs"], &resting["enabledSince"]),
        (&logs["connectionLogs"], &Value::Null)
    );
    observation.reset_logs();
    assert_eq!(observation.logs()["connectionLogs"], json!([]));
}
