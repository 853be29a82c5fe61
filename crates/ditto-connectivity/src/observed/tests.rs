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
fn publish(
    observation: &Observation,
    definition: &Connection,
    values: std::ops::Range<u64>,
) -> Arc<CompiledConnection> {
    let options = RunOptions { journal: observation.journal().clone(), ..RunOptions::default() };
    let compiled = CompiledConnection::compile(definition, &options);
    observation.runs(definition, &compiled);
    publish_as(&compiled, values);
    compiled
}

fn publish_as(compiled: &Arc<CompiledConnection>, values: std::ops::Range<u64>) {
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
    let lane = Lane::new(
        VecFeed::of_texts(events),
        intake,
        vec![(compiled.clone(), leaf)],
        Box::new(NoAcknowledgements),
    );
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
fn what_a_definition_counts_while_it_drains_is_seen() {
    let observation = Observation::default();
    let definition = definition("a");
    let before = publish(&observation, &definition, 0..1);
    // Another one runs, and the one before still has something.
    publish(&observation, &definition, 1..2);
    assert_eq!(published(&observation), 2);
    publish_as(&before, 4..6);
    assert_eq!(published(&observation), 4);
    drop(before);
    assert_eq!(published(&observation), 4);
    // What announces is of it, too.
    let announcing = CompiledConnection::compile(&definition, &RunOptions::default());
    observation.counts(&announcing);
    publish_as(&announcing, 6..7);
    drop(announcing);
    assert_eq!(published(&observation), 5);
    assert_eq!(locked(&observation.metrics).counting(), 1);
}

fn published(observation: &Observation) -> u64 {
    let metrics = observation.metrics();
    let funnel = metrics.pointer("/funnel/targets/a").unwrap();
    let counted = observation.counted().0;
    assert_eq!(counted[0].1.counts.published, funnel["published"], "{funnel}");
    minute(&metrics, "/connectionMetrics/outbound/published").0
}

#[test]
fn a_funnel_names_each_step_and_each_reason() {
    let observation = Observation::default();
    publish(&observation, &definition("a"), 0..5);
    let funnel = observation.metrics()["funnel"]["targets"]["a"].clone();
    for (step, expected) in [
        ("kindAndNamespace", 5),
        ("selected", 5),
        ("authorized", 5),
        ("filtered", 4),
        ("mapped", 4),
        ("published", 3),
        ("inFlight", 0),
    ] {
        assert_eq!(funnel[step], expected, "{step}: {funnel}");
    }
    assert_eq!(funnel["dropped"]["filtered"], 1);
    assert_eq!(funnel["failed"]["record"], 1);
    let names = |member: &str| funnel[member].as_object().unwrap().len();
    assert_eq!(names("dropped"), ditto_outbound::DropReason::ALL.len());
    assert_eq!(names("failed"), DeliverErrorKind::NAMES.len());
    assert_eq!(names("passedOver"), ditto_outbound::PassedOver::ALL.len());
    observation.reset_metrics();
    let metrics = observation.metrics();
    assert_eq!(metrics["funnel"]["targets"]["a"]["published"], 0);
    assert_eq!(metrics["containsFailures"], false);
    observation.rests();
    assert_eq!(observation.metrics()["funnel"], Value::Null);
}

#[test]
fn how_it_stands_is_written_once() {
    let observation = Observation::default();
    let looks = [
        (Word::Unknown, None),
        (Word::Failed, Some("refused")),
        (Word::Failed, Some("refused again")),
        (Word::Open, None),
        (Word::Closed, None),
    ];
    for (word, reason) in looks {
        observation.stands(word, reason);
        observation.report(word);
    }
    let logs = observation.logs();
    let said: Vec<_> = logs["connectionLogs"].as_array().unwrap().iter().map(|it| &it["message"]).collect();
    assert_eq!(said, ["it is failed: refused", "it is open"]);
    let reported: Vec<_> = observation.reported().into_iter().filter(|(_, n)| *n > 0).collect();
    let expected = [(Word::Open, 1), (Word::Unknown, 1), (Word::Failed, 2), (Word::Closed, 1)];
    assert_eq!(reported, expected);
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
