//! Lanes whose signals wait for a directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use ditto_authorization::{Enforcer, Policy};
use ditto_connection::Connection;
use ditto_protocol::{Acknowledgements, Signal};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::PATIENCE;
use crate::acknowledge::NoAcknowledgements;
use crate::directory::{Answer as DirectoryAnswer, Directory};
use crate::intake::{FeedPolicy, Intake, InternalHeaders};
use crate::lane::Lane;
use crate::memory::MemoryDirectory;
use crate::recording::{Answer, ListFeed, RecordingLeaf, RecordingSink, VecFeed};
use crate::target::CompiledConnection;
use crate::target::RunOptions;

fn definition(topics: &[&str]) -> Value {
    json!({
        "id": "c", "name": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": [{"address": "out/{{ thing:name }}", "topics": topics, "authorizationContext": ["integ:r"]}],
    })
}

fn connection(topics: &[&str]) -> Arc<CompiledConnection> {
    CompiledConnection::compile(
        &Connection::from_json(&definition(topics).to_string()).unwrap(),
        &RunOptions::default(),
    )
}

fn lane<const CAN_REPLAY: bool>(
    connection: &Arc<CompiledConnection>,
    leaf: &RecordingLeaf,
    things: &[&str],
    directory: &(impl Directory + Clone + 'static),
) -> Lane<ListFeed<CAN_REPLAY>, RecordingLeaf> {
    let event = |(revision, thing): (usize, &&str)| {
        json!({
            "topic": format!("acme/{thing}/things/twin/events/modified"), "path": "/attributes/x", "value": revision,
            "headers": {"ditto-read-subjects": ["integ:r"]}, "revision": revision,
        })
    };
    let feed = ListFeed::of_texts(things.iter().enumerate().map(|it| event(it).to_string()));
    let policy = FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() };
    let connections = vec![(connection.clone(), leaf.clone())];
    Lane::new(feed, Intake::new(policy), connections, Box::new(NoAcknowledgements))
        .with_directory(Box::new(directory.clone()))
}

/// Key, revision and extra fields of each record.
fn sent(leaf: &RecordingLeaf) -> Vec<(String, u64, Value)> {
    let records = leaf.sent().into_iter().map(|sent| {
        let payload: Value = serde_json::from_slice(&sent.payload).unwrap();
        (sent.key.unwrap_or_default(), payload["revision"].as_u64().unwrap(), payload["extra"].clone())
    });
    records.collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn counts(connection: &CompiledConnection) -> Vec<(&'static str, u64)> {
    let counts = connection.targets()[0].counters().snapshot();
    let ended = counts.dropped.into_iter().chain(counts.failed).filter(|(_, n)| *n > 0);
    std::iter::once(("published", counts.published)).chain(ended).collect()
}

#[test]
fn one_thing_waits_and_others_pass() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (connection, leaf) =
        (connection(&["_/_/things/twin/events?extraFields=attributes/site"]), RecordingLeaf::default());
    let directory = MemoryDirectory::default();
    directory.tell("acme:two", Some(r#"{"attributes":{"site":"s2","more":1}}"#));
    let things = ["one", "two", "one", "two", "three"];
    let mut run = Box::pin(lane::<true>(&connection, &leaf, &things, &directory).run());
    assert!(run.as_mut().now_or_never().is_none());
    let two = |revision| ("two".to_owned(), revision, json!({"attributes": {"site": "s2"}}));
    assert_eq!(sent(&leaf), [two(1), two(3)]);

    // Of a thing that it says nothing of, it is not asked again in vain.
    directory.tell("acme:other", None);
    directory.tell("acme:three", None);
    assert!(run.as_mut().now_or_never().is_none());
    assert_eq!(counts(&connection), [("published", 2), ("thing-absent", 1)]);

    directory.tell("acme:one", Some(r#"{"attributes":{}}"#));
    let feed = run.now_or_never().expect("nothing waits any more");
    let one = |revision| ("one".to_owned(), revision, json!({}));
    assert_eq!(sent(&leaf), [two(1), two(3), one(0), one(2)]);
    assert_eq!(feed.settled.len(), things.len());
}

#[test]
fn a_filter_decides_once_the_thing_is_known() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let topic = "_/_/things/twin/events?extraFields=attributes/site&filter=and(eq(attributes/site,'n'),gt(attributes/x,0))";
    let (connection, leaf) = (connection(&[topic]), RecordingLeaf::default());
    let directory = MemoryDirectory::default();
    directory.tell("acme:one", Some(r#"{"attributes":{"site":"n","x":-1}}"#));
    directory.tell("acme:two", Some(r#"{"attributes":{"site":"s"}}"#));
    // Of the first event it is known before that it can't match: nobody is asked.
    let lane = lane::<true>(&connection, &leaf, &["nobody", "one", "two"], &directory);
    assert!(lane.run().now_or_never().is_some());
    assert_eq!(sent(&leaf), [("one".to_owned(), 1, json!({"attributes": {"site": "n"}}))]);
    assert_eq!(counts(&connection), [("published", 1), ("filtered", 2)]);
}

#[test]
fn what_no_filter_needs_is_not_asked_for() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let topics =
        ["_/_/things/twin/events?filter=eq(attributes/x,1)", "_/_/things/twin/events?namespaces=other"];
    let (connection, leaf) = (connection(&topics), RecordingLeaf::default());
    let lane = lane::<true>(&connection, &leaf, &["one", "two", "three"], &MemoryDirectory::default());
    assert!(lane.run().now_or_never().is_some());
    assert_eq!(sent(&leaf), [("two".to_owned(), 1, Value::Null)]);
}

/// A feed that hands nothing out again goes on without an answer.
#[test]
fn nobody_waits_for_ever() {
    let (connection, leaf) =
        (connection(&["_/_/things/twin/events?extraFields=attributes/site"]), RecordingLeaf::default());
    let lane = lane::<false>(&connection, &leaf, &["one", "one"], &MemoryDirectory::default());
    let start = Instant::now();
    let feed: VecFeed = runtime().block_on(lane.run());
    assert!(start.elapsed() >= PATIENCE);
    assert_eq!(feed.settled.len(), 2);
    assert_eq!(counts(&connection), [("published", 0), ("thing-unknown", 2)]);
}

/// A policy that lets `integ:r` read attributes, and its other subject nothing.
fn enforcer() -> Arc<Enforcer> {
    let policy = json!({"entries": {"r": {
        "subjects": {"integ:r": {"type": "t"}},
        "resources": {"thing:/attributes": {"grant": ["READ"], "revoke": []}},
    }}});
    let policy: Policy = policy.to_string().parse().unwrap();
    Arc::new(Enforcer::compile(&policy, Some("acme"), SystemTime::now(), |_| None).unwrap())
}

/// Signals that say nothing of who may read them.
fn unsaid<const CAN_REPLAY: bool>(messages: &[Value]) -> ListFeed<CAN_REPLAY> {
    ListFeed::of_texts(messages.iter().map(ToString::to_string))
}

fn event(thing: &str, action: &str, path: &str, revision: u64) -> Value {
    let mut event = json!({
        "topic": format!("acme/{thing}/things/twin/events/{action}"), "path": path, "revision": revision,
        "headers": {"requested-acks": ["c:done"]},
    });
    if action == "modified" {
        event["value"] = json!({"p": 1});
    }
    event
}

#[test]
fn a_policy_decides_once_it_is_known() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (connection, leaf) =
        (connection(&["_/_/things/twin/events?namespaces=acme"]), RecordingLeaf::default());
    let mut elsewhere = event("one", "modified", "/attributes", 0);
    elsewhere["topic"] = json!("other/one/things/twin/events/modified");
    let feed = unsaid::<true>(&[
        event("one", "modified", "/attributes", 1),
        event("two", "modified", "/attributes", 2),
        event("one", "modified", "/features/f/properties", 3),
        event("one", "deleted", "/attributes/p", 4),
        event("gone", "modified", "/attributes", 5),
        // Nobody wants it: nobody is asked.
        elsewhere,
    ]);
    let directory = MemoryDirectory::default();
    directory.tell_policy("acme:two", Some(enforcer()));
    let connections = vec![(connection.clone(), leaf.clone())];
    let lane = Lane::new(feed, Intake::new(FeedPolicy::default()), connections, Box::new(NoAcknowledgements));
    let counters = lane.counters();
    let mut run = Box::pin(lane.with_directory(Box::new(directory.clone())).run());
    assert!(run.as_mut().now_or_never().is_none());
    let record = |thing: &str, revision| (thing.to_owned(), revision, Value::Null);
    assert_eq!(sent(&leaf), [record("two", 2)]);

    directory.tell_policy("acme:gone", None);
    directory.tell_policy("acme:one", Some(enforcer()));
    assert!(run.now_or_never().is_some());
    assert_eq!(sent(&leaf), [record("two", 2), record("one", 1), record("one", 4)]);
    assert_eq!(counts(&connection), [("published", 3), ("restricted", 1)]);
    let counts = counters.snapshot();
    assert_eq!(
        (counts.unselected, counts.unreadable),
        (1, vec![("policy-absent", 1), ("policy-unknown", 0)])
    );
}

/// The policy was known when the thing was not: by the time that the thing is, the policy is another one.
#[test]
fn who_loses_read_while_the_thing_is_waited_for_gets_nothing() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (connection, leaf) =
        (connection(&["_/_/things/twin/events?extraFields=attributes/site"]), RecordingLeaf::default());
    let feed = unsaid::<true>(&[
        event("one", "modified", "/attributes", 1),
        event("one", "modified", "/attributes", 2),
    ]);
    let directory = MemoryDirectory::default();
    directory.tell_policy("acme:one", Some(enforcer()));
    let connections = vec![(connection.clone(), leaf.clone())];
    let lane = Lane::new(feed, Intake::new(FeedPolicy::default()), connections, Box::new(NoAcknowledgements));
    let counters = lane.counters();
    let mut run = Box::pin(lane.with_directory(Box::new(directory.clone())).run());
    assert!(run.as_mut().now_or_never().is_none());
    directory.tell_policy("acme:one", Some(enforcer()));
    assert!(run.as_mut().now_or_never().is_none(), "asked again, and the thing is not known yet");
    directory.tell_policy("acme:one", None);
    directory.tell("acme:one", Some("{}"));
    assert!(run.now_or_never().is_some());
    assert_eq!(sent(&leaf), []);
    assert_eq!(counters.snapshot().unreadable, [("policy-absent", 2), ("policy-unknown", 0)]);
}

/// Who may read is not known, and the feed does not wait: whoever asked for an acknowledgement hears of it.
#[test]
fn nobody_reads_what_nobody_knows() {
    let mut definition = definition(&["_/_/things/twin/events"]);
    definition["targets"][0]["issuedAcknowledgementLabel"] = json!("c:done");
    let connection = CompiledConnection::compile(
        &Connection::from_json(&definition.to_string()).unwrap(),
        &RunOptions::default(),
    );
    let (leaf, sink, directory) =
        (RecordingLeaf::default(), RecordingSink::default(), MemoryDirectory::default());
    directory.tell_trouble("http://ditto: 503");
    directory.tell_policy("acme:gone", None);
    let feed = unsaid::<false>(&[
        event("one", "modified", "/attributes", 1),
        event("gone", "modified", "/attributes", 2),
    ]);
    let connections = vec![(connection.clone(), leaf.clone())];
    let lane = Lane::new(feed, Intake::new(FeedPolicy::default()), connections, Box::new(sink.clone()));
    let counters = lane.counters();
    let feed = runtime().block_on(lane.with_directory(Box::new(directory)).run());
    assert_eq!(feed.settled.len(), 2);
    assert_eq!(sent(&leaf), []);
    assert_eq!(counts(&connection), [("published", 0)]);
    assert_eq!(counters.snapshot().unreadable, [("policy-absent", 1), ("policy-unknown", 1)]);
    let read = |said: &Acknowledgements| -> Value {
        let mut text = Vec::new();
        said.write(&mut text);
        serde_json::from_slice(&text).unwrap()
    };
    let said: Vec<Value> = sink.sent().iter().map(read).collect();
    let said: Vec<_> = said.iter().map(|said| (said["status"].clone(), said["value"].to_string())).collect();
    let [gone, unknown] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(gone.0, 200, "nobody may read it: a weak acknowledgement");
    assert_eq!(unknown.0, 500);
    assert!(unknown.1.contains("the policy of its thing is not known: http://ditto: 503"), "{}", unknown.1);
}

/// Counts how often it is polled.
#[derive(Clone)]
struct Polled(MemoryDirectory, Arc<AtomicUsize>);

impl Directory for Polled {
    fn observe(&mut self, signal: &Signal) {
        self.0.observe(signal);
    }

    fn enforcer(&mut self, signal: &Signal) -> DirectoryAnswer<Arc<Enforcer>> {
        self.0.enforcer(signal)
    }

    fn thing(&mut self, signal: &Signal) -> DirectoryAnswer<Arc<str>> {
        self.0.thing(signal)
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>, things: &mut Vec<String>) -> Poll<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.poll_answers(cx, things)
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

/// Whoever has waited for too long goes on when there is room, and until then nobody is looked at again and again.
#[test]
fn who_is_late_waits_for_room_without_work() {
    let (connection, leaf) = (
        connection(&["_/_/things/twin/events?extraFields=attributes/site"]),
        RecordingLeaf::new(|_| Answer::Silence).unruly(1, 0),
    );
    let directory = Polled(MemoryDirectory::default(), Arc::default());
    directory.0.tell("acme:two", Some("{}"));
    let lane = lane::<false>(&connection, &leaf, &["one", "two", "two"], &directory);
    let limit = PATIENCE + Duration::from_secs(1);
    let run = runtime().block_on(async { tokio::time::timeout(limit, lane.run()).await });
    assert!(run.is_err(), "the leaf has one and no room for another");
    assert_eq!(connection.targets()[0].counters().snapshot().in_flight(), 2);
    let polls = directory.1.load(Ordering::Relaxed);
    assert!(polls < 100, "{polls} polls");
}
