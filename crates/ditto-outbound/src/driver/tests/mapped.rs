//! Targets with payload mappers: several records of one signal, or none.

use super::*;
use crate::journal::{Entry, EntryLevel, Step};

/// Each mapper of the list makes one message of an event, but `never` makes none and `broken` fails.
fn compile_mapped(targets: &[(&str, &[&str])]) -> Arc<CompiledConnection> {
    let target = |(n, (address, mappers)): (usize, &(&str, &[&str]))| {
        json!({
            "address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": ["r"],
            "issuedAcknowledgementLabel": format!("c:label-{n}"), "payloadMapping": mappers,
        })
    };
    let with = |condition: &str| json!({"mappingEngine": "Normalized", "options": {}, "outgoingConditions": {"own": condition}});
    let definition = json!({
        "id": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": targets.iter().enumerate().map(target).collect::<Vec<_>>(),
        "mappingDefinitions": {"never": with("fn:delete()"), "broken": with("fn:nothing()")},
    });
    CompiledConnection::compile(
        &Connection::from_json(&definition.to_string()).unwrap(),
        &RunOptions::default(),
    )
}

fn asking(labels: &[&str]) -> Value {
    json!({"requested-acks": labels, "correlation-id": "x"})
}

/// Status and labels of what was acknowledged, weak ones with a question mark.
fn answers(sink: &RecordingSink) -> Vec<String> {
    let of_signal = |acknowledgements: &ditto_protocol::Acknowledgements| {
        let each = acknowledgements
            .iter()
            .map(|one| format!("{} {}{}", one.label, one.status, if one.is_weak { "?" } else { "" }));
        format!("{}: {}", acknowledgements.status(), each.collect::<Vec<_>>().join(", "))
    };
    sink.sent().iter().map(of_signal).collect()
}

#[test]
fn each_mapper_makes_a_record_and_each_is_acknowledged() {
    let connection = compile_mapped(&[("a", &["Ditto", "Normalized", "CloudEvents", "never"])]);
    let (leaf, sink) = (failing(0, DeliverErrorKind::Mapping, ""), RecordingSink::default());
    run(&connection, &leaf, &sink, VecFeed::of_texts([event(0, 1, &asking(&["c:label-0"]))]));
    assert_eq!(counts(&connection), ["a: 1 published"]);
    let types: Vec<_> = leaf.sent().iter().map(|sent| sent.headers[0].1.clone()).collect();
    assert_eq!(
        types,
        ["application/vnd.eclipse.ditto+json", "application/json", "application/cloudevents+json"]
    );
    assert_eq!(answers(&sink), ["200: c:label-0 204, c:label-0 204, c:label-0 204"]);
}

#[test]
fn what_no_mapper_makes_a_message_of_is_dropped() {
    let connection = compile_mapped(&[("a", &["never"])]);
    let (leaf, sink) = (failing(0, DeliverErrorKind::Mapping, ""), RecordingSink::default());
    run(&connection, &leaf, &sink, VecFeed::of_texts([event(0, 1, &asking(&["c:label-0"]))]));
    assert_eq!(counts(&connection), ["a: 0 published, 1 unmapped"]);
    assert_eq!(answers(&sink), ["200: c:label-0 200?"]);
}

#[test]
fn a_mapper_that_fails_keeps_nothing_else_back() {
    let connection =
        compile_mapped(&[("a", &["broken", "Normalized"]), ("b", &["Normalized"]), ("c", &["broken"])]);
    let (leaf, sink) = (failing(0, DeliverErrorKind::Mapping, ""), RecordingSink::default());
    let labels = asking(&["c:label-0", "c:label-1", "c:label-2"]);
    run(&connection, &leaf, &sink, VecFeed::of_texts([event(0, 1, &labels)]));
    assert_eq!(
        counts(&connection),
        ["a: 0 published, 1 mapping", "b: 1 published", "c: 0 published, 1 mapping"]
    );
    let topics: Vec<_> = leaf.sent().into_iter().map(|sent| sent.topic).collect();
    assert_eq!(topics, ["a", "b"]);
    assert_eq!(answers(&sink), ["424: c:label-0 400, c:label-0 204, c:label-1 204, c:label-2 400"]);
}

/// One of several records of a target fails: so does the target, once all of them have ended.
#[test]
fn records_of_one_signal_end_together() {
    let connection = compile_mapped(&[("a", &["Ditto", "Normalized"])]);
    let sink = RecordingSink::default();
    let leaf = failing(1, DeliverErrorKind::Record(Refusal { retriable: false }), "a");
    run(&connection, &leaf, &sink, VecFeed::of_texts([event(0, 1, &asking(&["c:label-0"]))]));
    assert_eq!(counts(&connection), ["a: 0 published, 1 record"]);
    assert_eq!(answers(&sink), ["424: c:label-0 400, c:label-0 204"]);
}

/// What is counted by steps, and what the journal says of the signals.
#[test]
fn steps_are_counted_and_written() {
    let connection =
        compile_mapped(&[("a", &["Ditto", "Normalized"]), ("b", &["broken"]), ("c/{{ header:k }}", &[])]);
    let (leaf, sink) = (failing(0, DeliverErrorKind::Mapping, ""), RecordingSink::default());
    let events = (1..=3).map(|revision| event(0, revision, &asking(&["c:label-0", "c:label-1"])));
    run(&connection, &leaf, &sink, VecFeed::of_texts(events));
    let steps = |target: usize| {
        let counts = connection.targets()[target].counters().snapshot();
        Step::ALL.map(|step| counts.of_step(step)).map(|[good, bad]| format!("{good}/{bad}")).join(" ")
    };
    // Dispatched, filtered, mapped, dropped, published, acknowledged, other.
    assert_eq!(steps(0), "3/0 3/0 6/0 0/0 6/0 6/0 0/0");
    assert_eq!(steps(1), "3/0 3/0 0/0 0/0 0/0 0/3 0/3");
    assert_eq!(steps(2), "3/0 3/0 3/0 0/0 0/3 0/0 0/0");
    let entries = connection.journal().entries();
    let of = |address: &str, step: Step, level: EntryLevel| {
        let found = entries.iter().filter(|it| it.address.as_deref() == Some(address) && it.step == step);
        found.filter(|it| it.level == level).count()
    };
    // All went well within a tenth of a second: one is enough. What failed is written each time.
    assert!((1..3).contains(&of("a", Step::Published, EntryLevel::Success)));
    assert_eq!(of("b", Step::Other, EntryLevel::Failure), 3);
    assert_eq!(of("b", Step::Acknowledged, EntryLevel::Failure), 3);
    assert_eq!(of("c/{{ header:k }}", Step::Published, EntryLevel::Failure), 3);
    let about = About { correlation_id: Some("x".into()), entity: Some(("thing", "a:t0".into())) };
    // What was written is a record, of which only the correlation id is told.
    let of_record = About { entity: None, ..about.clone() };
    let is_written = |it: &Entry| (it.step, it.level) == (Step::Published, EntryLevel::Success);
    let expected = |it: &Entry| if is_written(it) { of_record.clone() } else { about.clone() };
    assert!(entries.iter().all(|entry| entry.about == expected(entry)), "{entries:#?}");
}
