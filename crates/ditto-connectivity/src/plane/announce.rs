//! What a connection says of itself: that it was opened, that it was closed (status-metrics-logs.md §3).

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ditto_outbound::{
    CompiledConnection, Feed, FeedPolicy, FeedRecord, Intake, Lane, NoAcknowledgements, Origin, Payload,
    RunOptions,
};
use jiff::Timestamp;
use serde_json::json;
use tracing::warn;

use super::{DataPlane, Served, served};
use crate::mappers::run_options;
use crate::publish::KafkaLeaf;

/// Publishes an announcement to the connection's own targets that subscribe to them, through its own client. It may come
/// before the connection closes, and be sent after.
pub(super) struct Announcer {
    id: String,
    // Its counters are not those of the lane: there they have one writer.
    compiled: Arc<CompiledConnection>,
    leaf: KafkaLeaf,
}

/// How long the delivery is waited for (the reference pauses for as long).
const PATIENCE: Duration = Duration::from_secs(3);

impl Announcer {
    /// `None` if nobody wants to know, or the client cannot be made.
    pub(super) fn prepare(plane: &DataPlane, served: &Served) -> Option<Self> {
        if !served::listens(served.connection()) || plane.stamps_to().is_some() {
            return None;
        }
        let leaf = KafkaLeaf::new(plane.pool(), served.settings().clone()).ok()?;
        let compiled = CompiledConnection::compile(
            served.connection(),
            &RunOptions { journal: served.compiled().journal().clone(), ..run_options() },
        );
        plane.observed().of(served.id()).counts(&compiled);
        Some(Self { id: served.id().to_owned(), compiled, leaf })
    }

    pub(super) async fn opened(self) {
        self.send("opened").await;
    }

    pub(super) async fn closed(self) {
        self.send("closed").await;
    }

    async fn send(self, what: &str) {
        let at = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH).to_string();
        let message = json!({
            "topic": format!("_/{}/connections/announcements/{what}", self.id),
            "headers": {"content-type": "application/json"},
            "path": "/",
            "value": {format!("{what}At"): at},
        });
        let feed = Once(Some(message.to_string().into()));
        let intake = Intake::new(FeedPolicy::default());
        let served = vec![(Arc::clone(&self.compiled), self.leaf)];
        let lane = Lane::new(feed, intake, served, Box::new(NoAcknowledgements));
        if tokio::time::timeout(PATIENCE, lane.run()).await.is_err() {
            warn!(connection = self.id, what, "an announcement was not delivered in time");
        }
    }
}

/// A feed of one signal.
struct Once(Option<Bytes>);

impl Feed for Once {
    const CAN_REPLAY: bool = false;
    type Ticket = ();

    fn poll_records(&mut self, _: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<()>>>> {
        let record = |text| FeedRecord {
            payload: Payload::Text(text),
            headers: Vec::new(),
            timestamp_ms: None,
            ticket: (),
            origin: Origin::default(),
        };
        Poll::Ready(self.0.take().map(|text| vec![record(text)]))
    }

    fn settle(&mut self, tickets: &mut Vec<()>) {
        tickets.clear();
    }
}
