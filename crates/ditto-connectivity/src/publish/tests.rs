use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ditto_kafka::{EmbeddedCluster, RequestKind};
use ditto_outbound::{
    CompiledConnection, FeedPolicy, Intake, InternalHeaders, Lane, ListFeed, NoAcknowledgements, ReplayFeed,
    Settling,
};
use expect_test::expect_file;
use serde_json::{Value, json};

use super::*;

/// What becomes of a record by each error, as users read it.
#[test]
fn each_error_settles_as_documented() {
    let mut text = "\
# Errors of Kafka, and what becomes of the record

What an error concerns decides whether its record is settled or held (docs/reliability.md). Two columns say it: for a
target whose topic is fixed and a feed that can replay (Kafka), and for any other. *Final*: counted as failed under the
name of the scope. *Held*: the record and those behind it wait in order, one is tried from time to time, and the feed waits
once too many do. *Again*: enqueued once more on a new producer.
*Alone*: each record of the batch is tried alone, and is final if it is refused so; a client that finds a record too large
before it sends it makes it final at once. The last column is the acknowledgement's status.

Negative numbers are librdkafka's own errors. This page is compared with the code by a test.

| code | name | scope | fixed topic, Kafka feed | else | status |
| ---: | --- | --- | --- | --- | ---: |
"
    .to_owned();
    for code in ErrorCode::all() {
        let kind = if code == ErrorCode::MESSAGE_TOO_LARGE {
            DeliverErrorKind::Batch(Refusal { retriable: code.is_retriable() })
        } else {
            kind(code.scope(), code.is_retriable())
        };
        let word = |settling| match settling {
            Settling::Final => "final",
            Settling::HoldTarget => "target held",
            Settling::HoldConnection => "connection held",
            Settling::Again => "again",
            Settling::Alone => "alone",
        };
        let replayed = word(Settling::of(kind, true, true));
        // A resolved topic with a feed that replays differs from one that does not only in what holds a connection.
        let other = match (Settling::of(kind, false, true), Settling::of(kind, true, false)) {
            (Settling::HoldConnection, Settling::Final) => {
                "connection held if the feed can replay, else final"
            }
            (resolved, passing) => {
                assert_eq!(resolved, passing, "{code}");
                word(resolved)
            }
        };
        let (number, name, scope) = (code.number(), code.name(), kind.name());
        writeln!(text, "| {number} | `{name}` | {scope} | {replayed} | {other} | {} |", kind.status())
            .unwrap();
    }
    expect_file!["../../../../docs/kafka-errors.md"].assert_eq(&text);
}

fn connection(address: &str, id: &str) -> Arc<CompiledConnection> {
    let definition = json!({
        "id": id, "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": [{"address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": ["r"]}]
    });
    CompiledConnection::compile(
        &Connection::from_json(&definition.to_string()).unwrap(),
        &ditto_outbound::RunOptions::default(),
    )
}

fn events(count: u64) -> ReplayFeed {
    ListFeed::of_texts((1..=count).map(|revision| {
        json!({
            "topic": "a/thing/things/twin/events/modified", "path": "/attributes/x", "value": revision,
            "revision": revision, "headers": {}
        })
        .to_string()
    }))
}

fn lane(
    connection: &Arc<CompiledConnection>,
    leaf: KafkaLeaf,
    feed: ReplayFeed,
) -> Lane<ReplayFeed, KafkaLeaf> {
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    Lane::new(feed, intake, vec![(connection.clone(), leaf)], Box::new(NoAcknowledgements))
}

fn revisions(cluster: &EmbeddedCluster, topic: &str) -> Vec<u64> {
    let stored = cluster.read_back(topic).unwrap();
    let revision = |payload: &[u8]| serde_json::from_slice::<Value>(payload).unwrap()["revision"].as_u64();
    stored.iter().map(|it| revision(it.record.payload.as_deref().unwrap()).unwrap()).collect()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn settings(cluster: &EmbeddedCluster) -> ProducerSettings {
    ProducerSettings::new(cluster.settings(), "test")
}

/// First occurrences in their order.
fn firsts(revisions: &[u64]) -> Vec<u64> {
    let seen = Mutex::new(std::collections::HashSet::new());
    revisions.iter().copied().filter(|revision| seen.lock().unwrap().insert(*revision)).collect()
}

/// reliability.md §3, row 7: whatever state the producer loses, everything is published, in order.
#[test]
fn a_producer_that_fails_for_good_is_made_anew() {
    run(async {
        for (kind, code) in [
            (RequestKind::InitProducerId, 31),
            (RequestKind::Produce, 45),
            (RequestKind::Produce, 47),
            (RequestKind::Produce, 59),
        ] {
            let cluster = EmbeddedCluster::new(1).unwrap();
            cluster.create_topic("t", 1).unwrap();
            let code = ErrorCode::from_number(code);
            cluster.request_errors(kind, &[ErrorCode::from_number(0), code]).unwrap();
            if kind == RequestKind::InitProducerId {
                cluster.request_errors(kind, &[code]).unwrap();
            }
            let pool = ProducerPool::new();
            let connection = connection("t/k", "c");
            let leaf = KafkaLeaf::new(&pool, settings(&cluster)).unwrap();
            let ran =
                tokio::time::timeout(Duration::from_secs(60), lane(&connection, leaf, events(5_000)).run());
            assert_eq!(ran.await.expect("it ends").settled.len(), 5_000);
            assert_eq!(connection.targets()[0].counters().snapshot().published, 5_000, "{code}");
            let written = revisions(&cluster, "t");
            assert_eq!(firsts(&written), (1..=5_000).collect::<Vec<_>>(), "{code}");
        }
    });
}

/// reliability.md §3, row 9: a fixed topic that does not exist holds its target, and is used once it is there.
#[test]
fn a_topic_that_is_made_later_gets_everything() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("t", 1).unwrap();
        cluster.topic_error("t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).unwrap();
        let pool = ProducerPool::new();
        let connection = connection("t/k", "c");
        let leaf = KafkaLeaf::new(&pool, settings(&cluster)).unwrap();
        let mend = async {
            let start = Instant::now();
            let held = loop {
                if let Some(held) = connection.targets()[0].held() {
                    break held;
                }
                assert!(start.elapsed() < Duration::from_secs(30));
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert_eq!(held.error.kind().name(), "target");
            assert!(held.to_string().contains("unknown topic"), "{held}");
            cluster.topic_error("t", ErrorCode::from_number(0)).unwrap();
        };
        let ran = tokio::time::timeout(Duration::from_secs(60), lane(&connection, leaf, events(1_000)).run());
        let (ran, ()) = tokio::join!(ran, mend);
        assert_eq!(ran.expect("it ends").settled.len(), 1_000);
        assert_eq!(revisions(&cluster, "t"), (1..=1_000).collect::<Vec<_>>());
        assert_eq!(connection.targets()[0].held(), None);
    });
}

/// design.md §3, invariant 5: what a connection had in flight when it was let go is not published later, and another
/// connection on the same client loses nothing by it.
#[test]
fn a_connection_that_is_let_go_publishes_nothing_later() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("gone", 1).unwrap();
        cluster.create_topic("stays", 1).unwrap();
        let pool = ProducerPool::new();
        let (gone, stays) = (connection("gone/k", "gone"), connection("stays/k", "stays"));
        let leaf = || KafkaLeaf::new(&pool, settings(&cluster)).unwrap();
        cluster.broker_down(None).unwrap();
        let staying = lane(&stays, leaf(), events(500)).run();
        let leaving = async {
            let ended =
                tokio::time::timeout(Duration::from_secs(1), lane(&gone, leaf(), events(500)).run()).await;
            assert!(ended.is_err(), "nothing can be published yet");
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster.broker_up(None).unwrap();
        };
        let staying = tokio::time::timeout(Duration::from_secs(60), staying);
        let (stayed, ()) = tokio::join!(staying, leaving);
        assert_eq!(stayed.expect("it ends").settled.len(), 500);
        assert_eq!(firsts(&revisions(&cluster, "stays")), (1..=500).collect::<Vec<_>>());
        assert_eq!(revisions(&cluster, "gone"), Vec::<u64>::new());
    });
}
