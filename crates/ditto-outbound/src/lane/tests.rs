use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::Service;

use bytes::Bytes;

use super::*;
use crate::feed::Payload;
use crate::intake::{FeedPolicy, InternalHeaders};
use crate::leaf::{Completing, Completion, Delivered, Enqueued};
use crate::outcome::{DeliverError, DeliverErrorKind, Refusal};
use crate::recording::{Answer, RecordingLeaf, RecordingSink, VecFeed};
use crate::target::RunOptions;
use ditto_connection::Connection;

fn compile(id: &str, targets: Value, debug: bool) -> Arc<CompiledConnection> {
    let definition = json!({
        "id": id, "name": id, "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092", "debugEnabled": debug.to_string()},
        "targets": targets
    });
    CompiledConnection::compile(
        &Connection::from_json(&definition.to_string()).unwrap(),
        &RunOptions::default(),
    )
}

fn target(address: &str, topic: &str, subjects: &[&str]) -> Value {
    json!({"address": address, "topics": [topic], "authorizationContext": subjects})
}

fn event(thing: &str, revision: u64, internal: &Value) -> Value {
    json!({
        "topic": format!("acme/{thing}/things/twin/events/modified"), "path": "/attributes/x",
        "headers": internal, "value": revision, "revision": revision
    })
}

fn readers(subjects: &[&str]) -> Value {
    json!({"ditto-read-subjects": subjects})
}

fn trusting() -> Intake {
    Intake::new(FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() })
}

/// Runs a lane to its end; it must not wait for anything but its leaf.
fn run<L: Leaf>(lane: Lane<VecFeed, L>) -> VecFeed {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(lane.run())
}

/// Each record as `topic/key`, each target's counts, each acknowledgement.
#[track_caller]
fn check(connection: &Arc<CompiledConnection>, leaf: RecordingLeaf, signals: &[Value], expected: Expect) {
    let feed = VecFeed::of_texts(signals.iter().map(Value::to_string));
    let sink = RecordingSink::default();
    let lane = Lane::new(feed, trusting(), vec![(connection.clone(), leaf.clone())], Box::new(sink.clone()));
    let counters = lane.counters();
    let feed = run(lane);
    assert_eq!(feed.settled.len(), signals.len(), "each ticket settles");
    let mut text = String::new();
    for sent in leaf.sent() {
        let partition = sent.partition.map(|p| format!("#{p}")).unwrap_or_default();
        text += &format!("{}{partition} key {:?}\n", sent.topic, sent.key);
    }
    for target in connection.targets() {
        let counts = target.counters().snapshot();
        let ended = counts.dropped.iter().chain(&counts.failed).filter(|(_, n)| *n > 0);
        let ended: String = ended.map(|(reason, n)| format!(", {n} {reason}")).collect();
        text += &format!(
            "{}: {} selected, {} published{ended}\n",
            target.address_text(),
            counts.selected,
            counts.published
        );
        assert_eq!(counts.in_flight(), 0);
    }
    for (reason, n) in counters.snapshot().undecodable.into_iter().filter(|(_, n)| *n > 0) {
        text += &format!("feed: {n} {reason}\n");
    }
    for acknowledgements in sink.sent() {
        for one in acknowledgements.iter() {
            let weak = if one.is_weak { " weak" } else { "" };
            text +=
                &format!("ack {} {}{weak} {}\n", one.label, one.status, one.value.as_deref().unwrap_or("-"));
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn a_record_says_which_trace_it_belongs_to() {
    let mut traced = target("a", "_/_/things/twin/events", &["integ:r"]);
    traced["headerMapping"] = json!({"traceparent": "mapped", "x": "y"});
    let (connection, leaf) = (compile("c", json!([traced]), false), RecordingLeaf::default());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let signal = event("one", 1, &json!({"ditto-read-subjects": ["integ:r"], "traceparent": parent}));
    let lane = Lane::new(
        VecFeed::of_texts([signal.to_string()]),
        trusting(),
        vec![(connection, leaf.clone())],
        Box::new(crate::acknowledge::NoAcknowledgements),
    );
    run(lane);
    let headers: Vec<_> = leaf.sent().into_iter().flat_map(|sent| sent.headers).collect();
    expect![[r#"
        [("content-type", "application/vnd.eclipse.ditto+json"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("x", "y"), ("ditto-connection-id", "c")]
    "#]]
    .assert_eq(&format!("{headers:?}\n"));
}

#[test]
fn publishes_what_a_subject_may_read() {
    let connection = compile(
        "c",
        json!([
            target("a/{{ thing:id }}", "_/_/things/twin/events", &["integ:r"]),
            target("b#2", "_/_/things/twin/events?namespaces=other", &["integ:r"]),
            target("c", "_/_/things/live/messages", &["integ:r"])
        ]),
        false,
    );
    let signals = [
        event("one", 1, &readers(&["integ:x", "integ:r"])),
        event("two", 1, &readers(&["integ:x"])),
        event("three", 1, &json!({})),
        event(
            "four",
            1,
            &json!({"ditto-read-subjects": ["integ:r"], "ditto-read-revoked-subjects": ["integ:r"]}),
        ),
        event(
            "five",
            1,
            &json!({
                "ditto-read-subjects": ["integ:r"], "ditto-partial-access-paths": {"subjects": ["integ:r"], "paths": {}}
            }),
        ),
        event("six", 1, &json!({"ditto-read-subjects": ["integ:r"], "ditto-origin": "c"})),
        event("seven", 1, &json!({"ditto-partial-access-paths": {"subjects": 7}})),
    ];
    check(
        &connection,
        RecordingLeaf::default(),
        &signals,
        expect![[r#"
        a key Some("acme:one")
        a/{{ thing:id }}: 2 selected, 1 published, 1 restricted
        b#2: 0 selected, 0 published
        c: 0 selected, 0 published
        feed: 1 invalid-internal-header
    "#]],
    );
}

#[test]
fn announcements_reach_those_they_are_about() {
    let connection = compile(
        "own",
        json!([
            target("p", "_/_/policies/announcements", &["integ:named"]),
            target("q", "_/_/policies/announcements", &["integ:other"]),
            target("k/{{ connection:id }}", "_/_/connections/announcements", &["integ:any"])
        ]),
        false,
    );
    let policy = json!({"topic": "acme/p/policies/announcements/subjectDeletion", "path": "/", "headers": {},
                        "value": {"deleteAt": "2026-01-01T00:00:00Z", "subjectIds": ["integ:named"]}});
    let opened = |id: &str| {
        json!({"topic": format!("_/{id}/connections/announcements/opened"), "path": "/", "headers": {},
               "value": {"openedAt": "2026-01-01T00:00:00Z"}})
    };
    check(
        &connection,
        RecordingLeaf::default(),
        &[policy, opened("own"), opened("another")],
        expect![[r#"
        p key None
        k key Some("own")
        p: 1 selected, 1 published
        q: 0 selected, 0 published
        k/{{ connection:id }}: 1 selected, 1 published
    "#]],
    );
}

#[test]
fn failures_have_names_and_statuses() {
    let mut targets = json!([
        target("a/{{ header:nope }}", "_/_/things/twin/events", &["integ:r"]),
        target("t-{{ header:bad }}", "_/_/things/twin/events", &["integ:r"]),
        target("full", "_/_/things/twin/events", &["integ:r"]),
        target("away", "_/_/things/twin/events", &["integ:r"]),
    ]);
    for (at, target) in targets.as_array_mut().unwrap().iter_mut().enumerate() {
        target["issuedAcknowledgementLabel"] = json!(format!("conn:label{at}"));
    }
    let connection = compile("conn", targets, true);
    let labels: Vec<_> = (0..4).map(|at| format!("conn:label{at}")).collect();
    let signal = event(
        "one",
        1,
        &json!({
            "ditto-read-subjects": ["integ:r"], "bad": "b ä d", "requested-acks": labels
        }),
    );
    let leaf = RecordingLeaf::new(|record| match record.destination.topic.as_str() {
        "full" => Answer::Refuse(DeliverError::new(
            DeliverErrorKind::Record(Refusal { retriable: false }),
            "message too large",
        )),
        "away" => Answer::Fail(DeliverError::new(
            DeliverErrorKind::Connection(Refusal { retriable: true }),
            "brokers down",
        )),
        _ => Answer::Deliver(Delivered { partition: 3, offset: Some(9), timestamp_ms: None }),
    });
    check(
        &connection,
        leaf,
        &[signal],
        expect![[r#"
        a/{{ header:nope }}: 1 selected, 0 published, 1 address-unresolved
        t-{{ header:bad }}: 1 selected, 0 published, 1 address-invalid
        full: 1 selected, 0 published, 1 record
        away: 1 selected, 0 published, 1 connection
        ack conn:label0 400 {"error":"placeholder:unresolved","message":"address `a/{{ header:nope }}` has a placeholder without a value","description":"use a placeholder that every signal of this target has, or a key that is constant"}
        ack conn:label1 400 {"error":"connectivity:connection.configuration.invalid","message":"invalid address: `t-b ä d` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed, and not `.` or `..`","description":"make the placeholders of the address resolve to a legal topic and partition"}
        ack conn:label2 400 {"message":"record refused: message too large","description":"check the size, key and partition of the record against the topic's limits"}
        ack conn:label3 500 {"message":"cluster not available: brokers down","description":"check brokers, user, password and certificates of the connection"}
    "#]],
    );
}

#[test]
fn acknowledges_with_the_metadata_of_the_record() {
    let mut targets = json!([
        target("fine/k", "_/_/things/twin/events", &["integ:r"]),
        target("silent", "_/_/things/live/events", &["integ:r"]),
        target("plain", "_/_/things/twin/events", &["integ:r"]),
    ]);
    targets[0]["issuedAcknowledgementLabel"] = json!("conn:fine");
    targets[1]["issuedAcknowledgementLabel"] = json!("conn:silent");
    let connection = compile("conn", targets, true);
    let signal = event(
        "one",
        1,
        &json!({
            "ditto-read-subjects": ["integ:r"], "requested-acks": ["conn:fine", "conn:silent", "conn:unknown"]
        }),
    );
    let delivered = Delivered { partition: 3, offset: Some(9), timestamp_ms: None };
    let leaf = RecordingLeaf::new(move |_| Answer::Deliver(delivered));
    check(
        &connection,
        leaf,
        &[signal],
        expect![[r#"
        fine key Some("k")
        plain key None
        fine/k: 1 selected, 1 published
        silent: 0 selected, 0 published
        plain: 1 selected, 1 published
        ack conn:silent 200 weak "the signal was not published: no topic, namespace or subject of this target matched, or it was dropped"
        ack conn:fine 200 {"serializedKeySize":1,"serializedValueSize":206,"topic":"fine","partition":3,"offset":9}
    "#]],
    );
}

#[test]
fn bad_records_are_dropped_by_name_and_the_feed_goes_on() {
    let connection = compile("c", json!([target("a", "_/_/things/twin/events", &["integ:r"])]), false);
    let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
    let good = event("one", 1, &readers(&["integ:r"])).to_string();
    let feed = VecFeed::of_texts([
        Bytes::from("no json"),
        Bytes::from(deep),
        Bytes::from(vec![0xff, 0xfe]),
        Bytes::from(" \n"),
        Bytes::from(vec![b' '; 1 << 21]),
        Bytes::from(good),
    ]);
    let leaf = RecordingLeaf::default();
    let sink = Box::new(crate::acknowledge::NoAcknowledgements);
    let lane = Lane::new(feed, trusting(), vec![(connection, leaf.clone())], sink);
    let counters = lane.counters();
    assert_eq!(run(lane).settled.len(), 6);
    assert_eq!(leaf.sent().len(), 1);
    let undecodable = counters.snapshot().undecodable.into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>();
    assert_eq!(undecodable, [("empty", 2), ("too-deep", 1), ("invalid-utf-8", 1), ("not-ditto-protocol", 1)]);
}

#[test]
fn an_untrusted_feed_decides_nothing() {
    let connection = compile("c", json!([target("a", "_/_/things/twin/events", &["integ:r"])]), false);
    let sent_with = |internal_headers: InternalHeaders| {
        let record = (
            Bytes::from(event("one", 1, &readers(&["integ:r"])).to_string()),
            vec![(Bytes::from("ditto-read-subjects"), Bytes::from(r#"["integ:r"]"#))],
        );
        let intake = Intake::new(FeedPolicy { internal_headers, ..FeedPolicy::default() });
        let leaf = RecordingLeaf::default();
        let sink = Box::new(crate::acknowledge::NoAcknowledgements);
        run(Lane::new(VecFeed::of_records([record]), intake, vec![(connection.clone(), leaf.clone())], sink));
        leaf.sent().len()
    };
    assert_eq!(sent_with(InternalHeaders::Strip { default_read_subjects: vec![] }), 0);
    assert_eq!(sent_with(InternalHeaders::Strip { default_read_subjects: vec!["integ:r".into()] }), 1);
    assert_eq!(sent_with(InternalHeaders::Trust), 1);
}

#[test]
fn record_headers_of_a_trusted_feed_win() {
    let connection = compile("c", json!([target("a", "_/_/things/twin/events", &["integ:r"])]), false);
    let record = (
        Bytes::from(event("one", 1, &readers(&["integ:r"])).to_string()),
        vec![(Bytes::from("Ditto-Read-Subjects"), Bytes::from(r#"["integ:x"]"#))],
    );
    let leaf = RecordingLeaf::default();
    let sink = Box::new(crate::acknowledge::NoAcknowledgements);
    run(Lane::new(VecFeed::of_records([record]), trusting(), vec![(connection, leaf.clone())], sink));
    assert_eq!(leaf.sent(), []);
}

#[test]
fn waits_for_the_leaf_without_spinning() {
    // A leaf whose record never completes: the lane must be pending, not busy, and not done.
    struct Never;
    impl Service<crate::leaf::Destined> for Never {
        type Response = Enqueued;
        type Error = DeliverError;
        type Future = std::future::Ready<Result<Enqueued, DeliverError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, record: crate::leaf::Destined) -> Self::Future {
            std::future::ready(Ok(Enqueued::Queued(record.into_written())))
        }
    }
    impl Completing for Never {
        fn poll_completions(&mut self, _: &mut Context<'_>, _: &mut Vec<Completion>) -> Poll<()> {
            Poll::Pending
        }

        fn take_back(&mut self) {}

        fn trouble(&self) -> Option<DeliverError> {
            None
        }
    }
    let connection = compile("c", json!([target("a", "_/_/things/twin/events", &["integ:r"])]), false);
    let feed = VecFeed::of_texts([event("one", 1, &readers(&["integ:r"])).to_string()]);
    let sink = Box::new(crate::acknowledge::NoAcknowledgements);
    let lane = Lane::new(feed, trusting(), vec![(connection.clone(), Never)], sink);
    assert!(lane.run().now_or_never().is_none());
    let counts = connection.targets()[0].counters().snapshot();
    assert_eq!((counts.selected, counts.in_flight()), (1, 1));
}

/// A signal of a property test: what it says, in parts that an oracle understands.
#[derive(Debug, Clone)]
struct Told {
    thing: u8,
    read: Vec<u8>,
    revoked: Vec<u8>,
    restricted: Vec<u8>,
    is_garbage: bool,
}

fn subject(n: u8) -> String {
    format!("integ:{n}")
}

fn told() -> impl Strategy<Value = Told> {
    let subjects = || prop::collection::vec(0_u8..5, 0..4);
    let revoked = prop_oneof![3 => Just(vec![]), 1 => subjects()];
    let restricted = prop_oneof![3 => Just(vec![]), 1 => subjects()];
    (0_u8..4, subjects(), revoked, restricted, prop::bool::weighted(0.1)).prop_map(
        |(thing, read, revoked, restricted, is_garbage)| Told {
            thing,
            read,
            revoked,
            restricted,
            is_garbage,
        },
    )
}

impl Told {
    fn text(&self, position: usize) -> String {
        if self.is_garbage {
            return format!("{{\"topic\": \"garbage {position}\"}}");
        }
        let names = |subjects: &[u8]| subjects.iter().map(|n| subject(*n)).collect::<Vec<_>>();
        let headers = json!({
            "ditto-read-subjects": names(&self.read),
            "ditto-read-revoked-subjects": names(&self.revoked),
            "ditto-partial-access-paths": {"subjects": names(&self.restricted), "paths": {}},
        });
        event(&format!("thing{}", self.thing), position as u64, &headers).to_string()
    }

    fn may_be_read_by(&self, context: &[u8]) -> bool {
        !self.is_garbage
            && context.iter().any(|s| self.read.contains(s) && !self.restricted.contains(s))
            && !context.iter().any(|s| self.revoked.contains(s))
    }
}

proptest! {
    /// Invariants 1, 2 and 4 of the design, on connections, signals, refusals, windows and orders of completion at random.
    #[test]
    fn one_outcome_per_target_only_to_readers_in_order(
        contexts in prop::collection::vec(prop::collection::vec(0_u8..5, 1..3), 1..5),
        two_connections in any::<bool>(),
        signals in prop::collection::vec(told(), 0..40),
        window in 1_usize..6,
        seed in any::<u64>(),
        fail_every in 2_usize..9,
    ) {
        let targets = contexts.iter().enumerate().map(|(at, context)| {
            let subjects: Vec<_> = context.iter().map(|n| subject(*n)).collect();
            let subjects: Vec<_> = subjects.iter().map(String::as_str).collect();
            target(&format!("t{at}/{{{{ thing:id }}}}"), "_/_/things/twin/events", &subjects)
        });
        let (first, second): (Vec<_>, Vec<_>) =
            targets.enumerate().partition(|(at, _)| !two_connections || at % 2 == 0);
        let parts = [first, second].map(|part| part.into_iter().map(|(_, target)| target).collect::<Vec<_>>());
        let mut drivers = Vec::new();
        let mut calls = 0;
        for (at, targets) in parts.into_iter().enumerate().filter(|(_, targets)| !targets.is_empty()) {
            let leaf = RecordingLeaf::new(move |_| {
                calls += 1;
                let refusal = Refusal { retriable: true };
                match calls % fail_every {
                    0 => Answer::Fail(DeliverError::new(DeliverErrorKind::Record(refusal), "later")),
                    1 => Answer::Refuse(DeliverError::new(DeliverErrorKind::Target(refusal), "at once")),
                    _ => Answer::Deliver(Delivered::default()),
                }
            });
            drivers.push((compile(&format!("c{at}"), json!(targets), false), leaf.unruly(window, seed)));
        }
        let feed = VecFeed::of_texts(signals.iter().enumerate().map(|(at, told)| told.text(at)));
        let sink = Box::new(crate::acknowledge::NoAcknowledgements);
        let lane = Lane::new(feed, trusting(), drivers.clone(), sink);
        let counters = lane.counters();
        let feed = run(lane);

        // 1: each ticket settles once, each selected target has one outcome.
        let mut settled = feed.settled;
        settled.sort_unstable();
        prop_assert_eq!(settled, (0..signals.len()).collect::<Vec<_>>());
        let counts = counters.snapshot();
        let garbage = signals.iter().filter(|told| told.is_garbage).count() as u64;
        prop_assert_eq!(counts.undecodable.iter().map(|(_, n)| n).sum::<u64>(), garbage);
        prop_assert_eq!(counts.received, counts.decoded + garbage);
        for (connection, leaf) in &drivers {
            let mut sent: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for record in leaf.sent() {
                let value: Value = serde_json::from_slice(&record.payload).unwrap();
                prop_assert!(!value["headers"].as_object().unwrap().keys().any(|name| name.starts_with("ditto-read")));
                sent.entry(record.topic).or_default().push(value["value"].as_u64().unwrap() as usize);
            }
            for target in connection.targets() {
                let topic = target.address_text().split('/').next().unwrap();
                let context = &contexts[topic.trim_start_matches('t').parse::<usize>().unwrap()];
                let due: Vec<_> = (0..signals.len()).filter(|at| signals[*at].may_be_read_by(context)).collect();
                let counts = target.counters().snapshot();
                prop_assert_eq!(counts.in_flight(), 0);
                let failed: u64 = counts.failed.iter().map(|(_, n)| n).sum();
                prop_assert_eq!(counts.published + failed, due.len() as u64);
                prop_assert_eq!([counts.offered, counts.matched, counts.mapped],
                    [signals.len() as u64 - garbage, due.len() as u64, due.len() as u64]);
                let passed_over: u64 = counts.passed_over.iter().map(|(_, n)| n).sum();
                prop_assert_eq!(counts.offered, counts.selected + passed_over);
                // 2: nothing but what may be read. 4: in the order of the feed (over all things, so per thing too).
                let sent = sent.remove(topic).unwrap_or_default();
                prop_assert!(sent.iter().all(|at| due.contains(at)), "{:?} of {:?}", sent, due);
                prop_assert!(sent.is_sorted());
                prop_assert_eq!(sent.len() as u64, counts.published);
            }
        }
    }
}

#[test]
fn how_far_signals_come_is_counted_over_changes_of_the_index() {
    let twin = |parameters: &str| format!("_/_/things/twin/events{parameters}");
    let mut many = target("many", &twin("?namespaces=acme,elsewhere"), &["integ:r"]);
    many["topics"] = json!([
        twin("?namespaces=acme"),
        twin("?namespaces=acme,elsewhere&filter=eq(attributes/x,1)"),
        twin("")
    ]);
    let targets = json!([
        target("any", &twin(""), &["integ:r", "integ:s"]),
        target("acme", &twin("?namespaces=acme"), &["integ:r"]),
        target("filtered", &twin("?namespaces=acme,x&filter=gt(attributes/x,2)"), &["integ:r"]),
        target("elsewhere", &twin("?namespaces=elsewhere"), &["integ:r"]),
    ]);
    let (connection, other) = (compile("c", targets, false), compile("d", json!([many]), false));
    let signals = [
        event("one", 1, &readers(&["integ:r"])),
        event("one", 2, &readers(&["integ:nobody"])),
        event(
            "one",
            3,
            &json!({"ditto-read-subjects": ["integ:r"], "ditto-read-revoked-subjects": ["integ:s"]}),
        ),
        event("one", 4, &json!({"ditto-read-subjects": ["integ:r"], "ditto-origin": "c"})),
        event("one", 5, &json!({})),
        json!({"topic": "acme/one/things/live/messages/x", "path": "/inbox/messages/x", "headers": readers(&["integ:r"])}),
    ];
    // A lane that fails is made anew with the same targets: what was counted stays.
    for _ in 0..2 {
        let feed = VecFeed::of_texts(signals.iter().map(Value::to_string));
        let served = [&connection, &other].map(|it| (it.clone(), RecordingLeaf::default()));
        run(Lane::new(feed, trusting(), served.into(), Box::new(crate::acknowledge::NoAcknowledgements)));
    }
    let mut text = String::new();
    for target in connection.targets().iter().chain(other.targets()) {
        let counts = target.counters().snapshot();
        let over = counts.passed_over.iter().filter(|(_, n)| *n > 0);
        let over: String = over.map(|(reason, n)| format!(", {n} {reason}")).collect();
        text += &format!(
            "{}: {} offered{over}, {} selected, {} authorized, {} matched, {} mapped, {} published\n",
            target.address_text(),
            counts.offered,
            counts.selected,
            counts.authorized(),
            counts.matched,
            counts.mapped,
            counts.published
        );
    }
    expect![[r#"
        any: 10 offered, 4 unauthorized, 2 revoked, 2 origin, 2 selected, 2 authorized, 2 matched, 2 mapped, 2 published
        acme: 10 offered, 4 unauthorized, 2 origin, 4 selected, 4 authorized, 4 matched, 4 mapped, 4 published
        filtered: 10 offered, 4 unauthorized, 2 origin, 4 selected, 4 authorized, 2 matched, 2 mapped, 2 published
        elsewhere: 0 offered, 0 selected, 0 authorized, 0 matched, 0 mapped, 0 published
        many: 10 offered, 4 unauthorized, 6 selected, 6 authorized, 6 matched, 6 mapped, 6 published
    "#]].assert_eq(&text);
}

#[test]
fn payloads_beyond_the_feed_s_bound_are_named() {
    let mut intake = trusting();
    let refusal = intake.decode(Payload::Oversized(20 << 20), &[]).unwrap_err();
    assert_eq!(refusal.reason().name(), "too-large");
    assert_eq!(intake.decode(Payload::Empty, &[]).unwrap_err().reason().name(), "empty");
}
