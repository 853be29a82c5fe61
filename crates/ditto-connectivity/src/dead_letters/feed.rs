//! Dead letters as a feed that ends where the topic ended when it was begun.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use ditto_kafka::{ClientError, ConsumedRecord, Consumer, ConsumerTicket};
use ditto_outbound::{CompiledConnection, Feed, FeedRecord, Letter, Origin, Redriven};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Part;
use crate::feed::payload;

/// Letters of a connection, as signals for the targets that they name.
pub(super) struct LetterFeed {
    consumer: Consumer,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    is_stopping: bool,
    /// The offset after the last one of each partition, until that was read.
    ends: HashMap<i32, i64>,
    connection: Arc<CompiledConnection>,
    /// Whether policies of now decide who may read; else what the letter says of then.
    has_directory: bool,
    reason: Option<String>,
    /// Those that are not published again, by why.
    pub(super) passed_over: BTreeMap<&'static str, u64>,
}

type RecordHeaders = Vec<(Bytes, Bytes)>;

impl LetterFeed {
    pub(super) fn new(
        consumer: Consumer,
        parts: &[Part],
        connection: Arc<CompiledConnection>,
        has_directory: bool,
        reason: Option<String>,
        stop: CancellationToken,
    ) -> Self {
        let ends = parts.iter().filter(|part| part.from < part.to).map(|part| (part.partition, part.to));
        Self {
            consumer,
            stop: Box::pin(stop.cancelled_owned()),
            is_stopping: false,
            ends: ends.collect(),
            connection,
            has_directory,
            reason,
            passed_over: BTreeMap::new(),
        }
    }

    /// Commits and leaves the group. Why it ended, if nobody stopped it.
    pub(super) async fn close(self, deadline: Duration) -> Result<bool, ClientError> {
        let failure = self.consumer.failure();
        let is_closed = self.consumer.close(deadline).await;
        failure.map_or(Ok(is_closed), Err)
    }

    /// The signal of a letter; `None` if it is passed over, or if it came after the end.
    fn take(&mut self, record: ConsumedRecord) -> Option<FeedRecord<ConsumerTicket>> {
        // Those of other partitions, too, that came since.
        let end = *self.ends.get(&record.partition)?;
        if record.offset + 1 >= end {
            self.ends.remove(&record.partition);
        }
        if record.offset >= end {
            return None;
        }
        match self.letter(&record.headers) {
            Ok((headers, origin)) => Some(FeedRecord {
                payload: payload(record.value),
                headers,
                timestamp_ms: record.timestamp_ms,
                ticket: record.ticket,
                origin,
            }),
            Err(why) => {
                *self.passed_over.entry(why).or_default() += 1;
                self.consumer.settle([record.ticket]);
                None
            }
        }
    }

    /// The headers that say who may read it, and which target it is for.
    fn letter(&self, headers: &[(Bytes, Bytes)]) -> Result<(RecordHeaders, Origin), &'static str> {
        let letter = Letter::read(headers).ok_or("no letter")?;
        if letter.connection_id != self.connection.id() {
            return Err("of another connection");
        }
        if self.reason.as_ref().is_some_and(|reason| *reason != letter.reason) {
            return Err("of another reason");
        }
        let (target, compiled) = letter.target_of(&self.connection).ok_or("of a target that is gone")?;
        let mut headers = Vec::new();
        if !self.has_directory && letter.read_subjects.is_some() {
            // It shows what these subjects could read together. Who is none of them reads nothing.
            if !letter.was_readable_for(compiled) {
                return Err("for other subjects");
            }
            let subjects = serde_json::json!(letter.read_subjects).to_string();
            headers.push((Bytes::from_static(b"ditto-read-subjects"), subjects.into()));
        }
        let redriven = Redriven { target, attempt: letter.attempt.saturating_add(1) };
        Ok((headers, Origin { key: None, place: letter.place, redriven: Some(redriven) }))
    }
}

impl Feed for LetterFeed {
    const CAN_REPLAY: bool = true;
    type Ticket = ConsumerTicket;

    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<ConsumerTicket>>>> {
        if !self.is_stopping && (self.ends.is_empty() || self.stop.as_mut().poll(cx).is_ready()) {
            self.is_stopping = true;
            self.consumer.stop();
        }
        let batch = std::task::ready!(self.consumer.poll_batch(cx));
        Poll::Ready(batch.map(|batch| batch.into_iter().filter_map(|record| self.take(record)).collect()))
    }

    fn settle(&mut self, tickets: &mut Vec<ConsumerTicket>) {
        self.consumer.settle(tickets.drain(..));
    }
}
