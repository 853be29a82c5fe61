use ditto_connection::Connection;
use serde_json::{Value, json};

use super::*;
use crate::acknowledge::NoAcknowledgements;
use crate::feed::{Feed, FeedRecord, Origin, Payload};
use crate::intake::{FeedPolicy, Intake, InternalHeaders};
use crate::lane::Lane;
use crate::leaf::Delivered;
use crate::outcome::{DeliverError, DeliverErrorKind, Refusal};
use crate::recording::{Answer, RecordingLeaf};
use crate::target::RunOptions;

/// A feed that is written to while the lane runs.
struct Fed {
    records: mpsc::UnboundedReceiver<String>,
    settled: mpsc::UnboundedSender<usize>,
    next: usize,
}

impl Feed for Fed {
    const CAN_REPLAY: bool = true;
    type Ticket = usize;

    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<usize>>>> {
        self.records.poll_recv(cx).map(|text| {
            let payload = Payload::Text(text?.into());
            self.next += 1;
            Some(vec![FeedRecord {
                payload,
                headers: Vec::new(),
                timestamp_ms: None,
                ticket: self.next,
                origin: Origin::default(),
            }])
        })
    }

    fn settle(&mut self, tickets: &mut Vec<usize>) {
        tickets.drain(..).for_each(|ticket| self.settled.send(ticket).unwrap());
    }
}

struct Running {
    feed: mpsc::UnboundedSender<String>,
    settled: mpsc::UnboundedReceiver<usize>,
    control: LaneControl<RecordingLeaf>,
}

impl Running {
    fn start(served: Vec<(Arc<CompiledConnection>, RecordingLeaf)>) -> Self {
        let (feed, records) = mpsc::unbounded_channel();
        let (sender, settled) = mpsc::unbounded_channel();
        let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
        let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
        let fed = Fed { records, settled: sender, next: 0 };
        let lane = Lane::new(fed, intake, served, Box::new(NoAcknowledgements));
        let control = lane.control();
        tokio::spawn(lane.run());
        Self { feed, settled, control }
    }

    fn feed(&self, revisions: std::ops::RangeInclusive<u64>) {
        for revision in revisions {
            let event = json!({
                "topic": "a/thing/things/twin/events/modified", "path": "/attributes/x", "headers": {},
                "value": revision, "revision": revision
            });
            self.feed.send(event.to_string()).unwrap();
        }
    }

    async fn settled(&mut self, count: usize) {
        for _ in 0..count {
            tokio::time::timeout(Duration::from_secs(10), self.settled.recv())
                .await
                .expect("it settles")
                .unwrap();
        }
    }
}

fn compile(id: &str, addresses: &[&str]) -> Arc<CompiledConnection> {
    let target = |address: &&str| json!({"address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": ["r"]});
    let definition = json!({
        "id": id, "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": addresses.iter().map(target).collect::<Vec<_>>()
    });
    CompiledConnection::compile(
        &Connection::from_json(&definition.to_string()).unwrap(),
        &RunOptions::default(),
    )
}

fn silent() -> RecordingLeaf {
    RecordingLeaf::new(|_| Answer::Silence)
}

fn revisions(leaf: &RecordingLeaf) -> Vec<(String, u64)> {
    let revision =
        |payload: &[u8]| serde_json::from_slice::<Value>(payload).unwrap()["revision"].as_u64().unwrap();
    leaf.sent().iter().map(|sent| (sent.topic.clone(), revision(&sent.payload))).collect()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
}

const GRACE: Duration = Duration::from_millis(50);

#[test]
fn what_a_closed_connection_cannot_publish_is_dropped_by_name() {
    run(async {
        let (closed, other) = (compile("closed", &["t/k"]), compile("other", &["t/k"]));
        let (leaf, of_other) = (silent(), RecordingLeaf::default());
        let mut running =
            Running::start(vec![(closed.clone(), leaf.clone()), (other.clone(), of_other.clone())]);
        running.feed(1..=3);
        tokio::task::yield_now().await;
        running.control.close("closed", GRACE).await.unwrap();
        running.settled(3).await;
        let counts = closed.targets()[0].counters().snapshot();
        assert_eq!((counts.selected, counts.in_flight()), (3, 0));
        assert!(counts.dropped.contains(&("closed", 3)), "{counts:?}");
        // It takes no part any more; the other one does.
        running.feed(4..=4);
        running.settled(1).await;
        assert_eq!(closed.targets()[0].counters().snapshot().selected, 3);
        assert_eq!(revisions(&of_other).len(), 4);
        running.control.close("nobody", GRACE).await.unwrap();
    });
}

#[test]
fn a_changed_connection_takes_over_in_order() {
    run(async {
        let before = compile("c", &["same/k", "old/k"]);
        let after = compile("c", &["new/k", "same/k"]);
        let mut running = Running::start(vec![(before.clone(), silent())]);
        running.feed(1..=3);
        tokio::task::yield_now().await;
        let leaf = RecordingLeaf::default();
        let changed = running.control.serve(after.clone(), leaf.clone(), GRACE);
        running.feed(4..=5);
        changed.await.unwrap();
        running.settled(5).await;
        let of = |topic: &str| -> Vec<u64> {
            revisions(&leaf).into_iter().filter(|(it, _)| it == topic).map(|(_, n)| n).collect()
        };
        assert_eq!(of("same"), [1, 2, 3, 4, 5]);
        assert_eq!((of("new"), of("old")), (vec![4, 5], vec![]));
        let old = before.targets()[1].counters().snapshot();
        assert!(old.dropped.contains(&("closed", 3)), "{old:?}");
    });
}

/// A connection whose target is on hold for good can be corrected: it is what people do then.
#[test]
fn a_connection_on_hold_can_be_changed() {
    run(async {
        let connection = compile("c", &["t/k"]);
        let never = RecordingLeaf::new(|_| {
            Answer::Fail(DeliverError::new(
                DeliverErrorKind::Target(Refusal { retriable: false }),
                "no permission",
            ))
        });
        let mut running = Running::start(vec![(connection.clone(), never)]);
        running.feed(1..=3);
        while connection.targets()[0].held().is_none() {
            tokio::task::yield_now().await;
        }
        let leaf = RecordingLeaf::new(|_| Answer::Deliver(Delivered::default()));
        running.control.serve(compile("c", &["t/k"]), leaf.clone(), GRACE).await.unwrap();
        running.settled(3).await;
        assert_eq!(revisions(&leaf).iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(connection.targets()[0].held(), None);
    });
}

#[test]
fn a_connection_that_is_opened_gets_what_comes_from_then_on() {
    run(async {
        let mut running = Running::start(Vec::new());
        running.feed(1..=2);
        running.settled(2).await;
        let leaf = RecordingLeaf::default();
        running.control.serve(compile("c", &["t/k"]), leaf.clone(), GRACE).await.unwrap();
        running.feed(3..=3);
        running.settled(1).await;
        assert_eq!(revisions(&leaf), [("t".to_owned(), 3)]);
    });
}

/// One that waits for a dead cluster keeps no other connection of its lane from being changed.
#[test]
fn changes_of_different_connections_do_not_wait_for_each_other() {
    run(async {
        let leaf = RecordingLeaf::new(|_| Answer::Deliver(Delivered::default()));
        let mut running = Running::start(vec![(compile("dead", &["t/k"]), silent())]);
        running.feed(1..=1);
        tokio::task::yield_now().await;
        let control = running.control.clone();
        let closing = |grace| {
            let control = control.clone();
            tokio::spawn(async move { control.close("dead", grace).await })
        };
        let first = closing(Duration::from_millis(300));
        tokio::task::yield_now().await;
        running.control.serve(compile("c", &["t/k"]), leaf.clone(), GRACE).await.unwrap();
        assert!(!first.is_finished());
        running.feed(2..=2);
        running.settled(1).await;
        assert_eq!(revisions(&leaf), [("t".to_owned(), 2)]);
        // Those of the same connection do.
        let second = closing(GRACE);
        tokio::task::yield_now().await;
        assert!(!second.is_finished() && !first.is_finished());
        second.await.unwrap().unwrap();
        assert!(first.is_finished());
        running.settled(1).await;
    });
}
