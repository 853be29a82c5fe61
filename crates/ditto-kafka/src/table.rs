//! Compacted topics, read whole and followed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use tracing::debug;

use crate::cluster::ClusterSettings;
use crate::code::ErrorCode;
use crate::connection::ConnectionLog;
use crate::error::ClientError;

/// Reads all partitions of topics from their first record on, and follows them: no group, and nothing is committed. Blocks; keep it on a
/// thread of its own.
///
/// Topics that are written with transactions do not fit: their ends are markers, which are never read.
pub struct TableReader {
    client: BaseConsumer<Context>,
    topics: Vec<String>,
    /// The offset that is read next, by topic and partition.
    next: HashMap<Place, i64>,
}

/// A record of a table: what is known under a key from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRecord {
    /// Topic.
    pub topic: String,
    /// Key; empty if it has none.
    pub key: Bytes,
    /// What there is; nothing any more if it has none.
    pub value: Option<Bytes>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Time in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Name and value of each header, in order.
    pub headers: Vec<(Bytes, Bytes)>,
}

/// Where topics ended at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEnds(Offsets);

type Place = (Arc<str>, i32);
type Offsets = Vec<(Place, i64)>;

const TIMEOUT: Duration = Duration::from_secs(5);

impl TableReader {
    /// A reader of these topics. Connects in the background; [`Self::ends`] begins to read.
    ///
    /// # Errors
    ///
    /// The settings can't work, or the client can't be started.
    pub fn open(cluster: &ClusterSettings, topics: &[String]) -> Result<Self, ClientError> {
        let mut properties = cluster.properties();
        properties
            // Needed to be a consumer at all; it joins none.
            .set("group.id", "ditto-kafka-table")
            .set("client.id", "ditto-kafka-table")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.wait.max.ms", "100");
        let client = properties
            .to_config()
            .create_with_context(Context::default())
            .map_err(|error| ClientError::from_rdkafka(&error))?;
        Ok(Self { client, topics: topics.to_vec(), next: HashMap::new() })
    }

    /// Where the topics end now. What was written before this was called lies before that. Partitions that are new are
    /// read from then on.
    ///
    /// # Errors
    ///
    /// A topic does not exist, the cluster does not answer within some seconds, or refuses: ask again. With
    /// [`ClientErrorKind::Truncated`](crate::ClientErrorKind::Truncated) a topic was made anew, and has to be read by another reader.
    pub fn ends(&mut self) -> Result<TableEnds, ClientError> {
        let mut list = TopicPartitionList::new();
        let mut is_new = false;
        for topic in &self.topics {
            let metadata =
                self.client.fetch_metadata(Some(topic), TIMEOUT).map_err(|error| self.failed(&error))?;
            let found = metadata.topics().iter().filter(|it| it.name() == *topic);
            let partitions: Vec<i32> = found.flat_map(|it| it.partitions()).map(|it| it.id()).collect();
            if partitions.is_empty() {
                return Err(ClientError::configuration(format!("topic `{topic}` does not exist")));
            }
            for partition in partitions {
                let place = (Arc::from(topic.as_str()), partition);
                is_new |= !self.next.contains_key(&place);
                let next = self.next.get(&place).map_or(Offset::Beginning, |next| Offset::Offset(*next));
                list.add_partition_offset(topic, partition, next).map_err(|error| self.failed(&error))?;
            }
        }
        let starts = if is_new { Some(self.offsets(&list, Offset::Beginning)?) } else { None };
        let ends = self.offsets(&list, Offset::End)?;
        if let Some((place, _)) =
            ends.iter().find(|(place, end)| self.next.get(place).is_some_and(|next| next > end))
        {
            return Err(ClientError::truncated(format!("topic `{}` was made anew", place.0)));
        }
        if let Some(starts) = starts {
            for (place, start) in starts {
                self.next.entry(place).or_insert(start);
            }
            let mut assignment = TopicPartitionList::new();
            for ((topic, partition), next) in &self.next {
                assignment
                    .add_partition_offset(topic, *partition, Offset::Offset(*next))
                    .map_err(|error| self.failed(&error))?;
            }
            self.client.assign(&assignment).map_err(|error| self.failed(&error))?;
        }
        self.client.context().0.succeeded();
        Ok(TableEnds(ends))
    }

    /// Whether everything before these ends has been handed out.
    #[must_use]
    pub fn has_read(&self, ends: &TableEnds) -> bool {
        ends.0.iter().all(|(place, end)| self.next.get(place).is_some_and(|next| next >= end))
    }

    /// The next record of any partition; `None` if none comes within the time-out.
    ///
    /// # Errors
    ///
    /// The cluster's: go on. With [`ClientErrorKind::Truncated`](crate::ClientErrorKind::Truncated) records are gone before they were read, and
    /// the topics have to be read by another reader.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<TableRecord>, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.client.poll(deadline.saturating_duration_since(Instant::now())) {
                None => return Ok(None),
                Some(Ok(message)) => {
                    let place = (Arc::from(message.topic()), message.partition());
                    let Some(next) = self.next.get_mut(&place) else { continue };
                    *next = message.offset().saturating_add(1);
                    return Ok(Some(TableRecord {
                        topic: message.topic().to_owned(),
                        key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
                        value: message.payload().map(Bytes::copy_from_slice),
                        partition: message.partition(),
                        offset: message.offset(),
                        timestamp_ms: message.timestamp().to_millis(),
                        headers: message.headers().into_iter().flat_map(Headers::iter).map(header).collect(),
                    }));
                }
                Some(Err(error)) => {
                    return Err(match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                            ClientError::truncated("records are gone before they were read")
                        }
                        _ => self.failed(&error),
                    });
                }
            }
        }
    }

    fn offsets(&self, list: &TopicPartitionList, of: Offset) -> Result<Offsets, ClientError> {
        let mut list = list.clone();
        list.set_all_offsets(of).map_err(|error| self.failed(&error))?;
        let found = self.client.offsets_for_times(list, TIMEOUT).map_err(|error| self.failed(&error))?;
        let place = |topic: &str, partition| (Arc::from(topic), partition);
        found
            .elements()
            .iter()
            .map(|it| {
                it.error().map_err(|error| self.failed(&error))?;
                let offset = if let Offset::Offset(offset) = it.offset() { offset } else { 0 };
                Ok((place(it.topic(), it.partition()), offset))
            })
            .collect()
    }

    /// What went wrong on the way says more than that there was no answer.
    fn failed(&self, error: &KafkaError) -> ClientError {
        match self.client.context().0.snapshot().last_error() {
            Some(last) => ClientError::start(format!("{}: {}", last.code(), last.reason())),
            None => ClientError::from_rdkafka(error),
        }
    }
}

fn header(header: Header<'_, &[u8]>) -> (Bytes, Bytes) {
    let value = header.value.unwrap_or_default();
    (Bytes::copy_from_slice(header.key.as_bytes()), Bytes::copy_from_slice(value))
}

impl fmt::Debug for TableReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableReader").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Keeps what goes wrong on the way to the cluster.
#[derive(Default)]
struct Context(ConnectionLog);

impl ConsumerContext for Context {}

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(facility, text = message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.failed(ErrorCode::from_error(&error), reason);
    }
}

#[cfg(test)]
mod tests;
