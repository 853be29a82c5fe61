//! Reading topics by assignment.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::StoredRecord;
use crate::cluster::ClusterSettings;
use crate::error::ClientError;
use crate::record::OwnedRecord;

const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Follows topics of the embedded cluster from their first record on. Blocks; keep it on a thread of its own.
pub struct Tail {
    consumer: BaseConsumer,
    partitions: usize,
}

impl Tail {
    pub(super) fn open(cluster: &ClusterSettings, topics: &[&str]) -> Result<Self, KafkaError> {
        let mut properties = cluster.properties();
        properties
            .set("group.id", "ditto-kafka-read-back")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .set("isolation.level", "read_uncommitted");
        let consumer: BaseConsumer = properties.to_config().create()?;
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(topic), READ_TIMEOUT)?;
            let found = metadata.topics().iter().filter(|it| it.name() == *topic);
            for partition in found.flat_map(|it| it.partitions()) {
                assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        Ok(Self { consumer, partitions: assignment.count() })
    }

    /// The next record of any partition; `None` if none comes within the time-out.
    ///
    /// # Errors
    ///
    /// The cluster's; reading can go on.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<StoredRecord>, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.consumer.poll(deadline.saturating_duration_since(Instant::now())) {
                None => return Ok(None),
                Some(Ok(message)) => return Ok(Some(stored(&message))),
                // The end of a partition, for now.
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => return Err(ClientError::from_rdkafka(&error)),
            }
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

/// All records of a topic, up to the end of each partition.
pub(super) fn read_back(cluster: &ClusterSettings, topic: &str) -> Result<Vec<StoredRecord>, KafkaError> {
    let tail = Tail::open(cluster, &[topic])?;
    let mut unread = tail.partitions;
    let deadline = Instant::now() + READ_TIMEOUT;
    let mut records = Vec::new();
    while unread > 0 {
        if Instant::now() > deadline {
            return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
        }
        match tail.consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => records.push(stored(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => unread -= 1,
            Some(Err(error)) => return Err(error),
        }
    }
    records.sort_by_key(|it| (it.record.partition, it.offset));
    Ok(records)
}

fn stored(message: &BorrowedMessage<'_>) -> StoredRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|it| {
                let value = Bytes::copy_from_slice(it.value.unwrap_or_default());
                (it.key.to_owned(), value)
            })
            .collect()
    });
    StoredRecord {
        record: OwnedRecord {
            topic: message.topic().to_owned(),
            partition: Some(message.partition()),
            key: message.key().map(Bytes::copy_from_slice),
            payload: message.payload().map(Bytes::copy_from_slice),
            headers,
        },
        offset: message.offset(),
    }
}
