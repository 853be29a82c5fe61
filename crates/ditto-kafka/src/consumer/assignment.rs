//! The partitions of a consumer, and what librdkafka tells about them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::reader::Shared;
use super::settings::StartAt;
use super::truncation::Position;
use super::{ConsumerSettings, ConsumerTicket};
use crate::code::ErrorCode;
use crate::lock::lock;
use crate::offsets::OffsetTracker;
use crate::settings::Bounds;

/// The partitions that are assigned right now.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    by_topic: HashMap<Arc<str>, HashMap<i32, u64>>,
    by_assignment: HashMap<u64, Partition>,
    /// The partition of the last record: they come in runs.
    last: Option<(Arc<str>, i32, u64)>,
    /// INVARIANT: grows with each assignment of a partition, so that tickets of an earlier one find nothing.
    next: u64,
}

#[derive(Debug)]
struct Partition {
    topic: Arc<str>,
    partition: i32,
    /// `None` until the first record, where the start could not be found out.
    tracker: Option<OffsetTracker>,
    /// The last offset whose commit was asked for.
    requested: Option<i64>,
    is_paused: bool,
}

impl Partitions {
    fn add(&mut self, topic: &str, partition: i32, start: Option<i64>) {
        self.last = None;
        let assignment = self.next;
        self.next += 1;
        let topic: Arc<str> = match self.by_topic.get_key_value(topic) {
            Some((known, _)) => Arc::clone(known),
            None => topic.into(),
        };
        if let Some(old) = self.by_topic.entry(Arc::clone(&topic)).or_default().insert(partition, assignment)
        {
            self.by_assignment.remove(&old);
        }
        let tracker = start.map(OffsetTracker::new);
        self.by_assignment
            .insert(assignment, Partition { topic, partition, tracker, requested: None, is_paused: false });
    }

    fn remove(&mut self, topic: &str, partition: i32) {
        self.last = None;
        if let Some(assignment) = self.by_topic.get_mut(topic).and_then(|it| it.remove(&partition)) {
            self.by_assignment.remove(&assignment);
        }
    }

    /// A record is handed out; `None` if it must not be: its partition is not ours, or it was handed out before.
    pub(super) fn track(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        bytes: usize,
    ) -> Option<(Arc<str>, ConsumerTicket)> {
        let assignment = match &self.last {
            Some((last, number, assignment)) if *number == partition && **last == *topic => *assignment,
            _ => *self.by_topic.get(topic)?.get(&partition)?,
        };
        let entry = self.by_assignment.get_mut(&assignment)?;
        if self.last.as_ref().is_none_or(|(.., last)| *last != assignment) {
            self.last = Some((Arc::clone(&entry.topic), partition, assignment));
        }
        let tracker = entry.tracker.get_or_insert_with(|| OffsetTracker::new(offset));
        tracker
            .track(offset, bytes)
            .then(|| (Arc::clone(&entry.topic), ConsumerTicket { assignment, offset }))
    }

    pub(super) fn settle(&mut self, tickets: &[ConsumerTicket]) {
        // Tickets of one partition come in runs.
        for run in tickets.chunk_by(|one, next| one.assignment == next.assignment) {
            let assignment = run.first().map(|ticket| ticket.assignment);
            let partition = assignment.and_then(|it| self.by_assignment.get_mut(&it));
            if let Some(tracker) = partition.and_then(|it| it.tracker.as_mut()) {
                run.iter().for_each(|ticket| tracker.settle(ticket.offset));
            }
        }
    }

    /// What has to be committed: everything new, or only where a quarter of the span has settled.
    pub(super) fn take_commit(&mut self, everything: bool, span: Bounds) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in self.by_assignment.values_mut() {
            partition.add_watermark(&mut list, everything, span);
        }
        list
    }

    fn take_commit_of(&mut self, revoked: &TopicPartitionList, span: Bounds) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for element in revoked.elements() {
            let assignment =
                self.by_topic.get(element.topic()).and_then(|it| it.get(&element.partition())).copied();
            if let Some(partition) = assignment.and_then(|it| self.by_assignment.get_mut(&it)) {
                partition.add_watermark(&mut list, true, span);
            }
        }
        list
    }

    /// Where each partition stands.
    pub(super) fn positions(&self) -> Vec<Position> {
        self.by_assignment
            .values()
            .map(|it| Position {
                topic: Arc::clone(&it.topic),
                partition: it.partition,
                next: it.tracker.as_ref().map(OffsetTracker::next),
            })
            .collect()
    }

    /// librdkafka has resumed a partition.
    pub(super) fn resumed(&mut self, topic: &str, partition: i32) {
        let assignment = self.by_topic.get(topic).and_then(|it| it.get(&partition));
        if let Some(partition) = assignment.and_then(|it| self.by_assignment.get_mut(it)) {
            partition.is_paused = false;
        }
    }

    /// A partition goes on elsewhere. Tickets of before are void: what they are for can't be read again.
    pub(super) fn restart(&mut self, topic: &str, partition: i32, start: i64) {
        self.add(topic, partition, Some(start));
    }

    /// A commit failed: the same offsets are asked for again.
    fn forget_requests(&mut self) {
        self.by_assignment.values_mut().for_each(|it| it.requested = None);
    }

    /// Partitions that have to pause, and those that may go on.
    pub(super) fn take_switches(&mut self, span: Bounds) -> (TopicPartitionList, TopicPartitionList) {
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        for partition in self.by_assignment.values_mut() {
            let extent = partition.tracker.as_ref().map(OffsetTracker::span).unwrap_or_default();
            let is_full = extent.records >= span.records || extent.bytes >= span.bytes;
            // Half of the span before it goes on: each pause throws away what was read ahead.
            let has_room = extent.records <= span.records / 2 && extent.bytes <= span.bytes / 2;
            if is_full && !partition.is_paused {
                partition.is_paused = true;
                pause.add_partition(&partition.topic, partition.partition);
            } else if has_room && partition.is_paused {
                partition.is_paused = false;
                resume.add_partition(&partition.topic, partition.partition);
            }
        }
        (pause, resume)
    }

    /// All of them that are not paused for themselves.
    pub(super) fn running(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in self.by_assignment.values().filter(|it| !it.is_paused) {
            list.add_partition(&partition.topic, partition.partition);
        }
        list
    }
}

impl Partition {
    fn add_watermark(&mut self, list: &mut TopicPartitionList, everything: bool, span: Bounds) {
        let Some(tracker) = &mut self.tracker else { return };
        let settled = tracker.uncommitted();
        let is_due = everything || settled.records >= span.records / 4 || settled.bytes >= span.bytes / 4;
        let watermark = tracker.watermark();
        if is_due && self.requested != Some(watermark) {
            // The list takes any offset that is no special value, and no record has one of those.
            let _added = list.add_partition_offset(&self.topic, self.partition, Offset::Offset(watermark));
            self.requested = Some(watermark);
            tracker.committed();
        }
    }
}

/// What librdkafka calls, always within a poll of the reader's thread: so nothing here runs beside the reader.
pub(super) struct Assignment {
    pub(super) partitions: Mutex<Partitions>,
    shared: Arc<Shared>,
    start_at: StartAt,
    span: Bounds,
}

/// How long the cluster may take to say where a partition starts.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(5);

impl Assignment {
    pub(super) fn new(settings: &ConsumerSettings, shared: Arc<Shared>) -> Self {
        Self { partitions: Mutex::default(), shared, start_at: settings.start_at, span: settings.span }
    }

    /// Puts the start of each partition into the list: what is committed, else the oldest or newest offset. What was not
    /// committed yet is: records that come before the first settlement must not be skipped by a restart.
    fn find_starts(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        let committed = consumer.committed_offsets(list.clone(), START_TIMEOUT)?;
        let mut first = TopicPartitionList::new();
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let start = match element.offset() {
                Offset::Offset(committed) => committed,
                _ => {
                    let (low, high) = consumer.fetch_watermarks(topic, partition, START_TIMEOUT)?;
                    let start = match self.start_at {
                        StartAt::Earliest => low,
                        StartAt::Latest => high,
                    };
                    first.add_partition_offset(topic, partition, Offset::Offset(start))?;
                    start
                }
            };
            list.set_partition_offset(topic, partition, Offset::Offset(start))?;
        }
        if first.count() > 0 {
            consumer.commit(&first, CommitMode::Async)?;
        }
        Ok(())
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if let Err(error) = self.find_starts(consumer, list) {
                warn!(%error, "start of partitions not found, will be tried again");
            }
            info!(partitions = list.count(), "kafka partitions assigned");
            let mut partitions = lock(&self.partitions);
            for element in list.elements() {
                let start = match element.offset() {
                    Offset::Offset(start) => Some(start),
                    _ => None,
                };
                partitions.add(element.topic(), element.partition(), start);
            }
            drop(partitions);
            if is_cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) }
        } else {
            info!(partitions = list.count(), "kafka partitions revoked");
            let mut partitions = lock(&self.partitions);
            let settled = std::mem::take(&mut *lock(&self.shared.settled));
            partitions.settle(&settled);
            let last = partitions.take_commit_of(list, self.span);
            for element in list.elements() {
                partitions.remove(element.topic(), element.partition());
            }
            drop(partitions);
            if last.count() > 0
                && let Err(error) = consumer.commit(&last, CommitMode::Async)
            {
                warn!(%error, "offsets of revoked partitions not committed");
            }
            if is_cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            warn!(%error, "kafka assignment not followed");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => {
                self.shared.connection.succeeded();
                debug!(partitions = offsets.count(), "offsets committed");
            }
            // Nothing was stored, nothing is lost.
            Err(KafkaError::ConsumerCommit(rdkafka::error::RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                warn!(%error, "offsets not committed, will be tried again");
                lock(&self.partitions).forget_requests();
            }
        }
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => debug!(facility, text = message, "librdkafka"),
            _ => info!(facility, text = message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.connection.failed(ErrorCode::from_error(&error), reason);
    }
}
