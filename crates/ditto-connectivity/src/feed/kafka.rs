//! Signals from Kafka topics.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ditto_kafka::{ConsumedRecord, Consumer, ConsumerTicket, Value};
use ditto_outbound::{Feed, FeedPlace, FeedRecord, Origin, Payload};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A member of a consumer group as feed. It ends when it is told to stop, and then still commits what settles.
pub(crate) struct KafkaFeed {
    consumer: Consumer,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    is_stopping: bool,
}

impl KafkaFeed {
    pub(crate) fn new(consumer: Consumer, stop: CancellationToken) -> Self {
        Self { consumer, stop: Box::pin(stop.cancelled_owned()), is_stopping: false }
    }

    /// Commits and leaves the group. Why it ended, if nobody stopped it.
    pub(crate) async fn close(self, deadline: Duration) -> Result<(), ditto_kafka::ClientError> {
        let failure = self.consumer.failure();
        if !self.consumer.close(deadline).await {
            tracing::warn!(
                ?deadline,
                "kafka consumer did not end in time; what it has not committed comes again"
            );
        }
        failure.map_or(Ok(()), Err)
    }
}

impl Feed for KafkaFeed {
    const CAN_REPLAY: bool = true;
    type Ticket = ConsumerTicket;

    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<ConsumerTicket>>>> {
        if !self.is_stopping && self.stop.as_mut().poll(cx).is_ready() {
            self.is_stopping = true;
            self.consumer.stop();
        }
        let batch = self.consumer.poll_batch(cx);
        batch.map(|batch| batch.map(|batch| batch.into_iter().map(record).collect()))
    }

    fn settle(&mut self, tickets: &mut Vec<ConsumerTicket>) {
        self.consumer.settle(tickets.drain(..));
    }
}

/// The value of a record as that of a feed.
pub(crate) fn payload(value: Value) -> Payload {
    match value {
        Value::Bytes(text) => Payload::Text(text),
        Value::Null => Payload::Empty,
        Value::Oversized(bytes) => Payload::Oversized(bytes),
    }
}

fn record(record: ConsumedRecord) -> FeedRecord<ConsumerTicket> {
    let ConsumedRecord { topic, partition, offset, .. } = record;
    let place = FeedPlace { topic, partition, offset };
    FeedRecord {
        payload: payload(record.value),
        headers: record.headers,
        timestamp_ms: record.timestamp_ms,
        ticket: record.ticket,
        origin: Origin { key: record.key, place: Some(place), redriven: None },
    }
}
