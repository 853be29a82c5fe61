//! Dead letters: what they say, and what waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use expect_test::{Expect, expect};
use futures_util::FutureExt;

use super::*;
use crate::counters::TargetCounts;
use crate::feed::{Feed, FeedPlace, FeedRecord, Origin, Payload, Redriven};

/// A feed that can be asked what has settled while its lane runs.
#[derive(Clone, Default)]
struct Watched {
    records: Arc<Mutex<VecDeque<FeedRecord<usize>>>>,
    settled: Arc<Mutex<Vec<usize>>>,
}

fn with_letters(definition: &Connection, on_hold: OnHold, topic: &str) -> Arc<CompiledConnection> {
    let dead_letters = Some(topic.to_owned());
    CompiledConnection::compile(definition, &RunOptions { on_hold, dead_letters, ..RunOptions::default() })
}

impl Watched {
    fn of(records: impl IntoIterator<Item = (Payload, Origin)>) -> Self {
        let feed = Self::default();
        let record = |(ticket, (payload, origin))| FeedRecord {
            payload,
            headers: vec![(Bytes::from("ditto-origin"), Bytes::from("elsewhere"))],
            timestamp_ms: None,
            ticket,
            origin,
        };
        *feed.records.lock().unwrap() = records.into_iter().enumerate().map(record).collect();
        feed
    }

    fn of_events(events: impl IntoIterator<Item = String>) -> Self {
        Self::of(events.into_iter().map(|text| (Payload::Text(text.into()), Origin::default())))
    }

    fn settled(&self) -> Vec<usize> {
        let mut settled = self.settled.lock().unwrap().clone();
        settled.sort_unstable();
        settled
    }
}

impl Feed for Watched {
    const CAN_REPLAY: bool = true;
    type Ticket = usize;

    fn poll_records(&mut self, _: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<usize>>>> {
        let mut records = self.records.lock().unwrap();
        let few = records.len().min(3);
        Poll::Ready((few > 0).then(|| records.drain(..few).collect()))
    }

    fn settle(&mut self, tickets: &mut Vec<usize>) {
        self.settled.lock().unwrap().append(tickets);
    }
}

fn buried(addresses: &[&str], on_hold: OnHold) -> Arc<CompiledConnection> {
    with_letters(&define(addresses), on_hold, "dead")
}

fn lane(
    connection: &Arc<CompiledConnection>,
    leaf: &RecordingLeaf,
    sink: &RecordingSink,
    feed: &Watched,
) -> Lane<Watched, RecordingLeaf> {
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    Lane::new(feed.clone(), intake, vec![(connection.clone(), leaf.clone())], Box::new(sink.clone()))
}

fn to_the_end(lane: Lane<Watched, RecordingLeaf>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(lane.run());
}

fn letters(connection: &CompiledConnection) -> TargetCounts {
    connection.dead_letters().unwrap().counters().snapshot()
}

fn original_place() -> Origin {
    let place = FeedPlace { topic: "feed".into(), partition: 3, offset: 41 };
    Origin { key: Some("the key".into()), place: Some(place), redriven: None }
}

fn show(sent: &Sent, expected: Expect) {
    let headers: String = sent.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let payload = String::from_utf8_lossy(&sent.payload);
    expected.assert_eq(&format!("{} key {:?}\n{headers}{payload}\n", sent.topic, sent.key));
}

#[test]
fn a_letter_says_what_the_target_saw_and_why_it_failed() {
    let connection = buried(&["good", "t/{{ header:x }}"], OnHold::Wait);
    let (leaf, sink) = (RecordingLeaf::default(), RecordingSink::default());
    let text = event(1, 7, &json!({"ditto-read-subjects": ["r", "somebody-else"], "correlation-id": "c-1"}));
    let feed = Watched::of([(Payload::Text(text.into()), original_place())]);
    to_the_end(lane(&connection, &leaf, &sink, &feed));
    let sent = leaf.sent();
    assert_eq!(sent.iter().map(|sent| &*sent.topic).collect::<Vec<_>>(), ["good", "dead"]);
    assert_eq!(sent[0].payload, sent[1].payload);
    show(
        &sent[1],
        expect![[r#"
        dead key Some("a:t1")
        content-type: application/vnd.eclipse.ditto+json
        ditto-connection-id: c
        ditto-dead-letter-reason: address-unresolved
        ditto-dead-letter-error: address `t/{{ header:x }}` has a placeholder without a value
        ditto-dead-letter-target: 1
        ditto-dead-letter-address: t/{{ header:x }}
        ditto-dead-letter-attempt: 1
        ditto-dead-letter-read-subjects: ["r"]
        ditto-dead-letter-feed-topic: feed
        ditto-dead-letter-feed-partition: 3
        ditto-dead-letter-feed-offset: 41
        {"topic":"a/t1/things/twin/events/modified","path":"/attributes/x","headers":{"correlation-id":"c-1","response-required":false,"entity-revision":7,"content-type":"application/json"},"value":{"thing":1,"revision":7},"revision":7}
    "#]],
    );
    assert_eq!(
        counts(&connection),
        ["good: 1 published", "t/{{ header:x }}: 0 published, 1 address-unresolved"]
    );
    let counts = letters(&connection);
    assert_eq!((counts.selected, counts.published, counts.in_flight()), (1, 1, 0));
}

/// Whoever waits for an acknowledgement is told at once; the feed goes on when the letter is written.
#[test]
fn a_ticket_waits_for_its_letter_and_an_acknowledgement_does_not() {
    let connection = buried(&["t/{{ header:x }}"], OnHold::Wait);
    let leaf = RecordingLeaf::new(|record| match record.destination.topic.as_str() {
        "dead" => Answer::Silence,
        _ => Answer::Deliver(Delivered::default()),
    });
    let sink = RecordingSink::default();
    let headers = |x: &str| json!({"requested-acks": ["c:16"], "timeout": "9s", x: "k"});
    let feed = Watched::of_events([event(1, 1, &headers("x")), event(1, 2, &headers("y"))]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _in_runtime = runtime.enter();
    assert!(lane(&connection, &leaf, &sink, &feed).run().now_or_never().is_none());
    assert_eq!(feed.settled(), [0], "the second one waits");
    assert_eq!(sink.sent().len(), 2, "both are answered");
    assert_eq!(letters(&connection).in_flight(), 1);
}

#[test]
fn a_topic_for_letters_that_is_missing_holds_the_letters_alone() {
    let connection = buried(&["good", "t/{{ header:x }}"], OnHold::Wait);
    let leaf = failing(3 + 2, DeliverErrorKind::Target(ANY), "dead");
    let feed = Watched::of_events((1..=9).map(|revision| event(0, revision, &json!({}))));
    to_the_end(lane(&connection, &leaf, &RecordingSink::default(), &feed));
    assert_eq!(feed.settled(), (0..9).collect::<Vec<_>>());
    assert_eq!(revisions(&leaf.sent(), "dead"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let last_good = leaf.sent().iter().rposition(|sent| sent.topic == "good").unwrap();
    let first_letter = leaf.sent().iter().position(|sent| sent.topic == "dead").unwrap();
    assert!(last_good < first_letter, "the sound target did not wait");
    assert_eq!(connection.dead_letters().unwrap().held(), None);
    assert_eq!(letters(&connection).published, 9);
}

#[test]
fn a_hold_of_letters_is_told() {
    let connection = buried(&["t/{{ header:x }}"], OnHold::Wait);
    let leaf = failing(u32::MAX, DeliverErrorKind::Target(ANY), "dead");
    let feed = Watched::of_events([event(0, 1, &json!({}))]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _in_runtime = runtime.enter();
    assert!(lane(&connection, &leaf, &RecordingSink::default(), &feed).run().now_or_never().is_none());
    assert!(connection.dead_letters().unwrap().held().is_some());
    assert!(feed.settled().is_empty());
}

#[test]
fn a_letter_that_fails_has_no_letter() {
    let connection = buried(&["t/{{ header:x }}"], OnHold::Wait);
    let leaf = failing(1, DeliverErrorKind::Record(ANY), "dead");
    let feed = Watched::of_events((1..=2).map(|revision| event(0, revision, &json!({}))));
    to_the_end(lane(&connection, &leaf, &RecordingSink::default(), &feed));
    assert_eq!(feed.settled(), [0, 1]);
    assert_eq!(revisions(&leaf.sent(), "dead"), [2]);
    let counts = letters(&connection);
    assert_eq!((counts.selected, counts.published, counts.in_flight()), (2, 1, 0));
    assert!(counts.failed.contains(&("record", 1)));
}

#[test]
fn what_is_dropped_on_purpose_has_no_letter() {
    let connection = buried(&["wrong"], OnHold::Drop);
    let leaf = failing(u32::MAX, DeliverErrorKind::Target(ANY), "wrong");
    let feed = Watched::of_events((1..=4).map(|revision| event(0, revision, &json!({}))));
    to_the_end(lane(&connection, &leaf, &RecordingSink::default(), &feed));
    assert_eq!(feed.settled(), [0, 1, 2, 3]);
    assert_eq!(letters(&connection).selected, 0);
}

/// What a changed or closed connection had on its way: its letters go on where those of the new definition go, or are dropped by name.
#[test]
fn letters_go_on_with_a_changed_connection() {
    let silent = || RecordingLeaf::new(|_| Answer::Silence);
    let (grace, wrong) = (Duration::from_millis(50), "t/{{ header:x }}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let events = || Watched::of_events((1..=3).map(|revision| event(0, revision, &json!({}))));

    let (old, feed) = (buried(&[wrong], OnHold::Wait), events());
    let new = with_letters(&define(&["mended"]), OnHold::Wait, "other");
    let leaf = RecordingLeaf::default();
    let of_old = lane(&old, &silent(), &RecordingSink::default(), &feed);
    let control = of_old.control();
    let change = async {
        tokio::task::yield_now().await;
        control.serve(new, leaf.clone(), grace).await
    };
    runtime.block_on(futures_util::future::join(of_old.run(), change)).1.unwrap();
    assert_eq!(revisions(&leaf.sent(), "other"), [1, 2, 3]);
    assert_eq!((letters(&old).published, feed.settled()), (3, vec![0, 1, 2]));

    let (closed, feed) = (buried(&[wrong], OnHold::Wait), events());
    let of_closed = lane(&closed, &silent(), &RecordingSink::default(), &feed);
    let control = of_closed.control();
    let change = async {
        tokio::task::yield_now().await;
        control.close("c", grace).await
    };
    runtime.block_on(futures_util::future::join(of_closed.run(), change)).1.unwrap();
    assert!(letters(&closed).dropped.contains(&("closed", 3)));
    assert_eq!(feed.settled(), [0, 1, 2]);
}

#[test]
fn originals_are_kept_as_they_were() {
    let connection = buried(&["t/{{ header:x }}"], OnHold::Wait);
    let leaf = failing(1, DeliverErrorKind::Record(ANY), "dead");
    let originals = CompiledConnection::of_originals("@dead-letters", "everything");
    let to_originals = failing(2, DeliverErrorKind::Target(ANY), "everything");
    let signal = event(1, 7, &json!({"ditto-read-subjects": ["r"]}));
    let feed = Watched::of([
        (Payload::Text(signal.clone().into()), original_place()),
        (Payload::Text(Bytes::from_static(b"no\xffsignal")), original_place()),
        (Payload::Empty, original_place()),
        (Payload::Oversized(99), original_place()),
    ]);
    let lane = lane(&connection, &leaf, &RecordingSink::default(), &feed);
    to_the_end(lane.with_originals(originals.clone(), to_originals.clone()));
    assert_eq!(feed.settled(), [0, 1, 2, 3]);
    let sent = to_originals.sent();
    let payloads: Vec<&[u8]> = sent.iter().map(|sent| &*sent.payload).collect();
    assert_eq!(payloads, [signal.as_bytes(), b"no\xffsignal", b""], "a tombstone has nothing to keep");
    assert!(sent.iter().all(|sent| sent.key.as_deref() == Some("the key")));
    show(
        &sent[0],
        expect![[r#"
        everything key Some("the key")
        ditto-origin: elsewhere
        ditto-dead-letter-reason: address-unresolved
        ditto-dead-letter-error: address `t/{{ header:x }}` has a placeholder without a value
        ditto-connection-id: c
        ditto-dead-letter-target: 0
        ditto-dead-letter-address: t/{{ header:x }}
        ditto-dead-letter-feed-topic: feed
        ditto-dead-letter-feed-partition: 3
        ditto-dead-letter-feed-offset: 41
        {"topic":"a/t1/things/twin/events/modified","path":"/attributes/x","headers":{"ditto-read-subjects":["r"]},"value":{"thing":1,"revision":7},"revision":7}
    "#]],
    );
    show(
        &sent[2],
        expect![[r#"
        everything key Some("the key")
        ditto-origin: elsewhere
        ditto-dead-letter-reason: too-large
        ditto-dead-letter-error: the message has 99 bytes, more than 1048576
        ditto-dead-letter-feed-topic: feed
        ditto-dead-letter-feed-partition: 3
        ditto-dead-letter-feed-offset: 41

    "#]],
    );
    assert_eq!(letters(&originals).published, 3);
}

#[test]
fn a_letter_goes_again_to_its_target_alone() {
    let connection = buried(&["one", "three", "t/{{ header:x }}"], OnHold::Wait);
    let leaf = RecordingLeaf::default();
    let again = |target, attempt| Origin { redriven: Some(Redriven { target, attempt }), ..original_place() };
    let text = |revision| Payload::Text(event(1, revision, &json!({})).into());
    let feed = Watched::of([(text(1), again(1, 2)), (text(2), again(2, 5)), (text(3), again(9, 2))]);
    to_the_end(lane(&connection, &leaf, &RecordingSink::default(), &feed));
    let sent: Vec<_> = leaf.sent().iter().map(|sent| sent.topic.clone()).collect();
    assert_eq!(sent, ["three", "dead"]);
    let attempt =
        leaf.sent()[1].headers.iter().find(|(name, _)| name == "ditto-dead-letter-attempt").cloned();
    assert_eq!(attempt.unwrap().1, "5");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However brokers and placeholders fail: each failure has one letter, in the order of the feed for each thing and target, and
    /// the conservation law holds for letters, too.
    #[test]
    fn each_failure_has_one_letter_in_order(
        faults in prop::collection::vec((0..3usize, 0..6u8, 0..6u8), 1..60), seed in any::<u64>(), window in 1..9usize,
    ) {
        let connection = buried(&["a/{{ header:a }}", "bb/{{ header:b }}"], OnHold::Wait);
        let by_report = faults.clone();
        let leaf = RecordingLeaf::new(move |record| {
            let message: Value = serde_json::from_slice(&record.payload).unwrap();
            let (_, a, b) = by_report[usize::try_from(message["revision"].as_u64().unwrap()).unwrap()];
            let is_wrong = match record.destination.topic.as_str() {
                "a" => a == 1,
                "bb" => b == 1,
                _ => false,
            };
            match is_wrong {
                true => Answer::Fail(DeliverError::new(DeliverErrorKind::Record(ANY), "not this one")),
                false => Answer::Deliver(Delivered::default()),
            }
        });
        let leaf = leaf.unruly(window, seed);
        let events = faults.iter().enumerate().map(|(revision, (thing, a, b))| {
            let mut headers = json!({});
            for (name, fault) in [("a", a), ("b", b)] {
                if *fault != 0 {
                    headers[name] = "k".into();
                }
            }
            event(*thing, revision as u64, &headers)
        });
        let feed = Watched::of_events(events);
        to_the_end(lane(&connection, &leaf, &RecordingSink::default(), &feed));
        prop_assert_eq!(feed.settled().len(), faults.len());
        let mut got = BTreeMap::<(String, String), Vec<u64>>::new();
        for sent in leaf.sent().iter().filter(|sent| sent.topic == "dead") {
            let message: Value = serde_json::from_slice(&sent.payload).unwrap();
            let target = sent.headers.iter().find(|(name, _)| name == "ditto-dead-letter-target").unwrap();
            let place = (target.1.clone(), sent.key.clone().unwrap());
            got.entry(place).or_default().push(message["revision"].as_u64().unwrap());
        }
        let mut expected = BTreeMap::<(String, String), Vec<u64>>::new();
        for (revision, (thing, a, b)) in (0..).zip(&faults) {
            for (target, fault) in [("0", a), ("1", b)] {
                if *fault < 2 {
                    expected.entry((target.to_owned(), format!("a:t{thing}"))).or_default().push(revision);
                }
            }
        }
        let total: usize = expected.values().map(Vec::len).sum();
        prop_assert_eq!(got, expected);
        let counts = letters(&connection);
        prop_assert_eq!((counts.selected, counts.published, counts.in_flight()), (total as u64, total as u64, 0));
    }
}
