//! What librdkafka tells about the partitions of a consumer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use tracing::{debug, info, trace, warn};

use super::ConsumerSettings;
use super::partitions::{Partitions, Place};
use super::reader::Shared;
use super::settings::StartAt;
use super::starts::{self, offsets_of};
use crate::code::ErrorCode;
use crate::lock::lock;

/// What librdkafka calls, always within a poll of the reader's thread: so nothing here runs beside the reader.
pub(super) struct Assignment {
    pub(super) partitions: Mutex<Partitions>,
    /// The session has run out, and the group has not taken this member in again.
    is_out: AtomicBool,
    shared: Arc<Shared>,
    start_at: StartAt,
    skips_committed: bool,
}

impl Assignment {
    pub(super) fn new(settings: &ConsumerSettings, shared: Arc<Shared>, partitions: Partitions) -> Self {
        Self {
            partitions: Mutex::new(partitions),
            is_out: AtomicBool::new(false),
            shared,
            start_at: settings.start_at,
            skips_committed: settings.skips_committed,
        }
    }

    /// Whether this member may have fenced itself: it has lost its session and not been taken in again.
    ///
    /// librdkafka then has no member id, and what it still sends for the group, such as a commit that waited for the
    /// coordinator, has the group's instance id and no member id. To the coordinator that is an impostor.
    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Acquire)
    }

    /// Puts the start of each partition into the list. What was not committed yet is: records that come before the first
    /// settlement must not be skipped by a restart.
    fn find_starts(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        let places: Vec<Place> =
            list.elements().iter().map(|it| (it.topic().into(), it.partition())).collect();
        // What the group gives later was read by others meanwhile.
        let skips = self.skips_committed && !self.shared.has_joined.load(Ordering::Acquire);
        let starts = starts::find(consumer, &places, self.start_at, skips)?;
        for (topic, partition, start) in &starts.all {
            list.set_partition_offset(topic, *partition, rdkafka::Offset::Offset(*start))?;
        }
        if !starts.first.is_empty() {
            consumer.commit(&offsets_of(&starts.first), CommitMode::Async)?;
        }
        Ok(())
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        if let Err(error) = self.find_starts(consumer, list) {
            warn!(%error, "start of partitions not found, will be tried again");
        }
        self.shared.has_joined.store(true, Ordering::Release);
        self.is_out.store(false, Ordering::Release);
        info!(partitions = list.count(), "kafka partitions assigned");
        let mut partitions = lock(&self.partitions);
        for element in list.elements() {
            let start = element.offset().to_raw().filter(|start| *start >= 0);
            partitions.assign(element.topic(), element.partition(), start);
        }
    }

    /// Commits what has settled of partitions that go away, as long as they are ours.
    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        info!(partitions = list.count(), "kafka partitions revoked");
        let last = {
            let mut partitions = lock(&self.partitions);
            let settled = std::mem::take(&mut *lock(&self.shared.settled));
            partitions.settle(&settled);
            let revoke = |it: &TopicPartitionListElem<'_>| partitions.revoke(it.topic(), it.partition());
            list.elements().iter().filter_map(revoke).collect::<Vec<_>>()
        };
        if !last.is_empty()
            && let Err(error) = consumer.commit(&offsets_of(&last), CommitMode::Async)
        {
            warn!(%error, "offsets of revoked partitions not committed");
        }
    }

    /// Forgets partitions that somebody else may have already.
    fn lost(&self, list: &TopicPartitionList) {
        warn!(
            partitions = list.count(),
            "kafka partitions lost: the group has not heard of this member for a session. Nothing is committed for them; \
             what was not committed before comes again, to whoever has them now"
        );
        self.is_out.store(true, Ordering::Release);
        let mut partitions = lock(&self.partitions);
        for element in list.elements() {
            partitions.lose(element.topic(), element.partition());
        }
        self.shared.counters.lost.add(list.count());
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list);
            let assigned =
                if is_cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) };
            // librdkafka keeps the pause of a partition while somebody else has it; we start anew.
            assigned.and_then(|()| consumer.resume(list))
        } else {
            if consumer.assignment_lost() {
                self.lost(list);
            } else {
                self.revoked(consumer, list);
            }
            if is_cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            warn!(%error, "kafka assignment not followed");
        }
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Nothing else tells of a commit that failed: rdkafka sets no callback for commits, so librdkafka logs them.
        if facility == "COMMITFAIL" {
            // Those that were on their way together fail together, as in each rebalance: say it once.
            if self.shared.commit_failed.swap(true, Ordering::AcqRel) {
                debug!(text = message, "offsets not committed, will be tried again");
            } else {
                warn!(text = message, "offsets not committed, will be tried again");
            }
            return;
        }
        match level {
            RDKafkaLogLevel::Debug => trace!(facility, text = message, "librdkafka"),
            RDKafkaLogLevel::Info => debug!(facility, text = message, "librdkafka"),
            _ => info!(facility, text = message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.connection.failed(ErrorCode::from_error(&error), reason);
    }
}
