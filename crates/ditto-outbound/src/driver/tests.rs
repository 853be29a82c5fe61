mod combined;
mod dead;
mod mapped;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ditto_connection::Connection;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::acknowledge::NoAcknowledgements;
use crate::hold::OnHold;
use crate::intake::{FeedPolicy, Intake, InternalHeaders};
use crate::lane::Lane;
use crate::leaf::{Delivered, Destined, Undelivered};
use crate::outcome::{DeliverErrorKind, Refusal};
use crate::recording::{Answer, ListFeed, RecordingLeaf, RecordingSink, ReplayFeed, Sent, VecFeed};
use crate::target::RunOptions;

const ANY: Refusal = Refusal { retriable: true };

fn compile(addresses: &[&str], on_hold: OnHold) -> Arc<CompiledConnection> {
    CompiledConnection::compile(&define(addresses), &RunOptions { on_hold, ..RunOptions::default() })
}

fn define(addresses: &[&str]) -> Connection {
    let target = |address: &&str| {
        json!({
            "address": address, "topics": ["_/_/things/twin/events", "_/_/things/live/messages"],
            "authorizationContext": ["r"], "issuedAcknowledgementLabel": format!("c:{}", address.len())
        })
    };
    let definition = json!({
        "id": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": addresses.iter().map(target).collect::<Vec<_>>()
    });
    Connection::from_json(&definition.to_string()).unwrap()
}

fn event(thing: usize, revision: u64, headers: &Value) -> String {
    json!({
        "topic": format!("a/t{thing}/things/twin/events/modified"), "path": "/attributes/x", "headers": headers,
        "value": {"thing": thing, "revision": revision}, "revision": revision
    })
    .to_string()
}

fn run<const CAN_REPLAY: bool>(
    connection: &Arc<CompiledConnection>,
    leaf: &RecordingLeaf,
    sink: &RecordingSink,
    feed: ListFeed<CAN_REPLAY>,
) -> ListFeed<CAN_REPLAY> {
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    let lane = Lane::new(feed, intake, vec![(connection.clone(), leaf.clone())], Box::new(sink.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(lane.run())
}

/// Answers so many records in this way before it delivers.
fn failing(times: u32, kind: DeliverErrorKind, topic: &'static str) -> RecordingLeaf {
    let left = AtomicU32::new(times);
    RecordingLeaf::new(move |record| {
        let is_wrong = record.destination.topic.as_str() == topic
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if is_wrong {
            Answer::Fail(DeliverError::new(kind, "not now"))
        } else {
            Answer::Deliver(Delivered::default())
        }
    })
}

fn revisions(sent: &[Sent], topic: &str) -> Vec<u64> {
    let of_topic = sent.iter().filter(|sent| sent.topic == topic);
    of_topic
        .map(|sent| serde_json::from_slice::<Value>(&sent.payload).unwrap()["revision"].as_u64().unwrap())
        .collect()
}

fn counts(connection: &CompiledConnection) -> Vec<String> {
    let of_target = |target: &Arc<CompiledTarget>| {
        let counts = target.counters().snapshot();
        assert_eq!(counts.in_flight(), 0);
        let ended = counts.dropped.iter().chain(&counts.failed).filter(|(_, n)| *n > 0);
        let ended: String = ended.map(|(reason, n)| format!(", {n} {reason}")).collect();
        format!("{}: {} published{ended}", target.address_text(), counts.published)
    };
    connection.targets().iter().map(of_target).collect()
}

/// The target waits, in order, and everything else goes on; nothing fails.
#[test]
fn a_target_on_hold_waits_alone() {
    let connection = compile(&["wrong", "right/k"], OnHold::Wait);
    // A batch of the feed fails before anything is known; then two tries do.
    let leaf = failing(7 + 2, DeliverErrorKind::Target(ANY), "wrong");
    let feed = ReplayFeed::of_texts((1..=9).map(|revision| event(0, revision, &json!({}))));
    let feed = run(&connection, &leaf, &RecordingSink::default(), feed);
    assert_eq!(feed.settled.len(), 9);
    assert_eq!(counts(&connection), ["wrong: 9 published", "right/k: 9 published"]);
    assert_eq!(revisions(&leaf.sent(), "wrong"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let last_right = leaf.sent().iter().rposition(|sent| sent.topic == "right").unwrap();
    let first_wrong = leaf.sent().iter().position(|sent| sent.topic == "wrong").unwrap();
    assert!(last_right < first_wrong, "the sound target did not wait");
    assert_eq!(connection.targets()[0].held(), None);
}

#[test]
fn a_connection_on_hold_holds_all_of_its_targets() {
    let connection = compile(&["one", "two/k"], OnHold::Wait);
    let leaf = failing(7 + 2, DeliverErrorKind::Connection(ANY), "one");
    let feed = ReplayFeed::of_texts((1..=9).map(|revision| event(0, revision, &json!({}))));
    let feed = run(&connection, &leaf, &RecordingSink::default(), feed);
    assert_eq!(feed.settled.len(), 9);
    assert_eq!(counts(&connection), ["one: 9 published", "two/k: 9 published"]);
    assert_eq!(revisions(&leaf.sent(), "one"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(connection.held(), None);
}

#[test]
fn a_producer_that_failed_is_given_the_same_records_again() {
    let connection = compile(&["one"], OnHold::Wait);
    for can_replay in [true, false] {
        let leaf = failing(4, DeliverErrorKind::Producer(ANY), "one");
        let texts = (1..=5).map(|revision| event(0, revision, &json!({})));
        let sink = RecordingSink::default();
        let settled = if can_replay {
            run(&connection, &leaf, &sink, ReplayFeed::of_texts(texts)).settled
        } else {
            run(&connection, &leaf, &sink, VecFeed::of_texts(texts)).settled
        };
        assert_eq!(settled.len(), 5);
        assert_eq!(revisions(&leaf.sent(), "one").len(), 5, "none is lost");
    }
    assert_eq!(counts(&connection), ["one: 10 published"]);
}

#[test]
fn what_a_feed_cannot_replay_fails_at_once() {
    let connection = compile(&["one"], OnHold::Wait);
    for kind in [DeliverErrorKind::Target(ANY), DeliverErrorKind::Connection(ANY)] {
        let leaf = failing(1, kind, "one");
        let feed = VecFeed::of_texts([event(0, 1, &json!({})), event(0, 2, &json!({}))]);
        run(&connection, &leaf, &RecordingSink::default(), feed);
    }
    assert_eq!(counts(&connection), ["one: 2 published, 1 target, 1 connection"]);
}

/// A topic that is made of the signal is that signal's affair: others go to other topics.
#[test]
fn a_resolved_topic_holds_nobody() {
    let connection = compile(&["t-{{ thing:name }}"], OnHold::Wait);
    let leaf = failing(9, DeliverErrorKind::Target(ANY), "t-t1");
    let feed = ReplayFeed::of_texts([event(1, 1, &json!({})), event(2, 2, &json!({}))]);
    run(&connection, &leaf, &RecordingSink::default(), feed);
    assert_eq!(counts(&connection), ["t-{{ thing:name }}: 1 published, 1 target"]);
}

#[test]
fn on_hold_drop_drops_by_that_name() {
    let connection = compile(&["wrong", "right/k"], OnHold::Drop);
    let leaf = failing(7, DeliverErrorKind::Target(ANY), "wrong");
    let feed = ReplayFeed::of_texts((1..=9).map(|revision| event(0, revision, &json!({}))));
    let feed = run(&connection, &leaf, &RecordingSink::default(), feed);
    assert_eq!(feed.settled.len(), 9);
    // The pause of half a second is longer than nine signals take.
    assert_eq!(counts(&connection), ["wrong: 0 published, 9 on-hold", "right/k: 9 published"]);
    assert!(connection.targets()[0].held().is_some(), "nothing has shown that it works again");
}

/// One answer when the requester waits no longer, by what ails the connection; publishing goes on without another.
#[test]
fn whoever_waits_too_long_is_answered_once() {
    let connection = compile(&["wrong", "right/k"], OnHold::Wait);
    let leaf = failing(3, DeliverErrorKind::Target(Refusal { retriable: false }), "wrong");
    let sink = RecordingSink::default();
    let headers = json!({"requested-acks": ["c:5", "c:7"], "timeout": "700ms"});
    let feed = run(&connection, &leaf, &sink, ReplayFeed::of_texts([event(0, 1, &headers)]));
    assert_eq!(feed.settled.len(), 1);
    assert_eq!(counts(&connection), ["wrong: 1 published", "right/k: 1 published"]);
    let said: Vec<(String, u16)> = sink
        .sent()
        .iter()
        .flat_map(|sent| sent.iter().map(|it| (it.label.to_string(), it.status)).collect::<Vec<_>>())
        .collect();
    assert_eq!(said, [("c:5".to_owned(), 400), ("c:7".to_owned(), 204)]);
}

#[test]
fn a_live_signal_is_not_published_after_its_time_out() {
    let connection = compile(&["live"], OnHold::Wait);
    let message = |timeout: &str| {
        json!({
            "topic": "a/t/things/live/messages/hello", "path": "/inbox/messages/hello", "value": "x",
            "headers": {"timeout": timeout, "content-type": "text/plain"}
        })
        .to_string()
    };
    // An hour late; with nobody who waits; not late yet.
    let mut feed =
        ReplayFeed::of_texts([message("10s"), message("0"), message("200ms"), event(0, 1, &json!({}))]);
    let now = now_ms();
    feed.set_timestamps([now - 3_600_000, now - 3_600_000, now, now - 3_600_000]);
    // The hold is longer than the third one's time-out, which goes out behind the one that ends it.
    let leaf = failing(3, DeliverErrorKind::Target(ANY), "live");
    let feed = run(&connection, &leaf, &RecordingSink::default(), feed);
    assert_eq!(feed.settled.len(), 4);
    assert_eq!(counts(&connection), ["live: 2 published, 2 expired"]);
}

/// A lane whose target is on hold takes no more of the feed than it may park.
#[test]
fn a_hold_is_bounded() {
    let connection = compile(&["wrong"], OnHold::Wait);
    let leaf =
        RecordingLeaf::new(|_| Answer::Fail(DeliverError::new(DeliverErrorKind::Target(ANY), "never")));
    let feed = ReplayFeed::of_texts((1..=30_000).map(|revision| event(0, revision, &json!({}))));
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    let lane = Lane::new(feed, intake, vec![(connection.clone(), leaf)], Box::new(NoAcknowledgements));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ran =
        runtime.block_on(async { tokio::time::timeout(Duration::from_millis(1_500), lane.run()).await });
    assert!(ran.is_err(), "it waits");
    let selected = connection.targets()[0].counters().snapshot().selected;
    assert!((10_000..10_100).contains(&selected), "{selected}");
}

/// A batch that is refused as too large fails no record that is not: each is tried alone, in order.
#[test]
fn a_batch_that_is_too_large_is_sent_one_by_one() {
    for on_hold in [OnHold::Wait, OnHold::Drop] {
        let connection = compile(&["small", "right/k"], on_hold);
        let leaf = RecordingLeaf::new(move |record| {
            let is_small = record.destination.topic.as_str() == "small";
            let is_large = String::from_utf8_lossy(&record.payload).contains("\"revision\":7");
            // No batch is small enough that holds more than one.
            match (is_small, record.is_alone, is_large) {
                (false, ..) | (true, true, false) => Answer::Deliver(Delivered::default()),
                (true, true, true) => {
                    Answer::Fail(DeliverError::new(DeliverErrorKind::Record(ANY), "too large"))
                }
                (true, false, _) => {
                    Answer::Fail(DeliverError::new(DeliverErrorKind::Batch(ANY), "too large"))
                }
            }
        });
        let feed = ReplayFeed::of_texts((1..=20).map(|revision| event(0, revision, &json!({}))));
        run(&connection, &leaf, &RecordingSink::default(), feed);
        assert_eq!(counts(&connection), ["small: 19 published, 1 record", "right/k: 20 published"]);
        let expected: Vec<u64> = (1..=20).filter(|revision| *revision != 7).collect();
        assert_eq!(revisions(&leaf.sent(), "small"), expected);
        assert_eq!(connection.targets()[0].held(), None);
    }
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Target,
    Connection,
    Producer,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        12 => Just(Trouble::None), 1 => Just(Trouble::Target), 1 => Just(Trouble::Connection),
        3 => Just(Trouble::Producer)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever fails however often: each signal is published for each target, and those of a thing in their order, as
    /// long as a client whose records come back takes no others in between, which is what a producer guarantees.
    #[test]
    fn nothing_is_lost_or_turned_round_by_holds(
        things in prop::collection::vec(0_usize..3, 1..40),
        troubles in prop::collection::vec(trouble(), 1..60),
    ) {
        let connection = compile(&["one/{{ thing:id }}", "two"], OnHold::Wait);
        let mut troubles = troubles.into_iter();
        let seen = Mutex::new(HashMap::<String, u32>::new());
        let leaf = RecordingLeaf::new(move |record: &Destined| {
            // Not for ever: a pause is half a second.
            let times = seen.lock().unwrap().values().sum::<u32>();
            let next = if times < 2 { troubles.next().unwrap_or(Trouble::None) } else { Trouble::None };
            let kind = match next {
                Trouble::None => return Answer::Deliver(Delivered::default()),
                Trouble::Target => DeliverErrorKind::Target(ANY),
                Trouble::Connection => DeliverErrorKind::Connection(ANY),
                Trouble::Producer => DeliverErrorKind::Producer(ANY),
            };
            if !matches!(next, Trouble::Producer) {
                *seen.lock().unwrap().entry(record.destination.topic.as_str().to_owned()).or_default() += 1;
            }
            // At the call: then nothing can overtake it.
            Answer::Refuse(DeliverError::new(kind, "not now"))
        });
        let mut revisions_of = HashMap::<usize, u64>::new();
        let signals: Vec<String> = things.iter().map(|thing| {
            let revision = revisions_of.entry(*thing).or_default();
            *revision += 1;
            event(*thing, *revision, &json!({}))
        }).collect();
        let total = signals.len();
        let feed = run(&connection, &leaf, &RecordingSink::default(), ReplayFeed::of_texts(signals));
        prop_assert_eq!(feed.settled.len(), total);
        for topic in ["one", "two"] {
            let mut latest = HashMap::<u64, u64>::new();
            let mut records = 0;
            for sent in leaf.sent().iter().filter(|sent| sent.topic == topic) {
                let value = serde_json::from_slice::<Value>(&sent.payload).unwrap()["value"].clone();
                let (thing, revision) = (value["thing"].as_u64().unwrap(), value["revision"].as_u64().unwrap());
                let last = latest.insert(thing, revision).unwrap_or_default();
                prop_assert_eq!(revision, last + 1, "of thing {}", thing);
                records += 1;
            }
            prop_assert_eq!(records, total);
        }
    }
}
