//! How a producer behaves.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::cluster::{ClientProperties, ClusterSettings};
use crate::error::ClientError;

/// The largest record a producer takes: key, value and headers, uncompressed (kafka-client.md §1,
/// `max.request.size`).
pub const MAX_RECORD_BYTES: usize = 1_048_576;

/// Everything that makes one producer differ from another.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProducerSettings {
    /// The cluster.
    pub cluster: ClusterSettings,
    /// Name in the broker's logs and quotas. Producers with different names are different clients.
    pub client_id: String,
    /// How long a record is tried.
    pub delivery: Delivery,
    /// Where a record without key and partition goes.
    pub partitioning: Partitioning,
    /// How batches are compressed.
    pub compression: Compression,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Bytes of a batch, at most, but for a single record that is larger. Topics whose `max.message.bytes` is smaller refuse
    /// batches of that size.
    pub batch_bytes: usize,
    /// Records of a batch, at most.
    pub batch_records: usize,
    /// What one client may hold, whatever the number of its publishers.
    pub queue: Bounds,
}

impl ProducerSettings {
    /// Replayable delivery, strict round robin, no compression, 5 ms linger, 100 000 records or 64 MiB.
    #[must_use]
    pub fn new(cluster: ClusterSettings, client_id: impl Into<String>) -> Self {
        Self {
            cluster,
            client_id: client_id.into(),
            delivery: Delivery::Replayable,
            partitioning: Partitioning::RoundRobin,
            compression: Compression::None,
            linger: Duration::from_millis(5),
            batch_bytes: 1_000_000,
            batch_records: 10_000,
            queue: Bounds { records: 100_000, bytes: 64 << 20 },
        }
    }

    /// With another way of delivery.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// With another way to choose partitions.
    #[must_use]
    pub fn with_partitioning(mut self, partitioning: Partitioning) -> Self {
        self.partitioning = partitioning;
        self
    }

    /// With compressed batches.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// With another linger time.
    #[must_use]
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// With other batches.
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// With other batches: 1 lets no record share its batch.
    #[must_use]
    pub fn with_batch_records(mut self, records: usize) -> Self {
        self.batch_records = records;
        self
    }

    /// With other bounds of the client.
    #[must_use]
    pub fn with_queue(mut self, queue: Bounds) -> Self {
        self.queue = queue;
        self
    }

    /// What makes two producers the same client.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Arc::new(Effective {
            properties: self.properties(),
            partitioning: self.partitioning,
            queue: self.queue,
        }))
    }

    pub(crate) fn validate(&self) -> Result<(), ClientError> {
        if self.cluster.bootstrap_servers.is_empty() {
            return Err(ClientError::configuration("no bootstrap server is given"));
        }
        self.queue.validate()?;
        if let Delivery::BestEffort { timeout } = self.delivery
            && timeout <= self.linger
        {
            return Err(ClientError::configuration(format!(
                "a delivery time-out of {timeout:?} must be above the linger time of {:?}",
                self.linger
            )));
        }
        Ok(())
    }

    /// kafka-client.md §1, with our decisions: acks=all, idempotent, linger, small queues
    /// (design.md §3 and §4).
    pub(crate) fn properties(&self) -> ClientProperties {
        let mut properties = self.cluster.properties();
        let timeout = match self.delivery {
            Delivery::Replayable => Duration::ZERO,
            Delivery::BestEffort { timeout } => timeout,
        };
        // INVARIANT: librdkafka's own bounds lie above our permits, so that its queue is never full. Records are counted
        // exactly. Bytes may go past our bound by the last record of each publisher, so theirs is out of reach.
        let max_messages = self.queue.records.saturating_add(1_000);
        const MAX_KBYTES: &str = "2097151";
        // An unknown topic is told before the record's own time is over, so that the report can name it; and not so late
        // that whoever made a mistake looks elsewhere (Java waits 10 s, max.block.ms).
        let propagation = match self.delivery {
            Delivery::Replayable => Duration::from_secs(10),
            Delivery::BestEffort { timeout } => timeout / 2,
        };
        properties
            // A topic-level property must be set before a partitioner is (dependencies.md §2).
            .set("message.timeout.ms", millis(timeout))
            .set("request.timeout.ms", "10000")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight", "5")
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            .set("client.id", &self.client_id)
            .set("linger.ms", millis(self.linger))
            .set("batch.size", self.batch_bytes.to_string())
            .set("batch.num.messages", self.batch_records.to_string())
            .set("compression.codec", self.compression.as_str())
            .set("queue.buffering.max.messages", max_messages.to_string())
            .set("queue.buffering.max.kbytes", MAX_KBYTES)
            .set("topic.metadata.propagation.max.ms", millis(propagation))
            // Java's hash of keys, else the same key lands on another partition than with the reference.
            .set("partitioner", "murmur2_random");
        if self.partitioning == Partitioning::RoundRobin {
            // Else our partitioner is not asked for records without key.
            properties.set("sticky.partitioning.linger.ms", "0");
        }
        properties
    }
}

/// How long a record is tried. Both ways are idempotent with `acks=all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// Without limit: who enqueues can replay, and waits.
    Replayable,
    /// The report says failed after this time (the reference: 10 s, kafka-client.md §1).
    BestEffort {
        /// Counted from the call that enqueues.
        timeout: Duration,
    },
}

impl Delivery {
    /// Best effort with the reference's 10 s.
    #[must_use]
    pub const fn best_effort() -> Self {
        Self::BestEffort { timeout: Duration::from_secs(10) }
    }
}

/// Where a record without key and partition goes. Keys always go where Java's client sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Partitioning {
    /// Strictly one partition further with each such record of a topic; those without leader are skipped.
    RoundRobin,
    /// One partition for the records of a batch, then another (as running Ditto does).
    Sticky,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

impl Compression {
    /// As Kafka writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// How much may be in flight: enqueued and not yet reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Number of records, from 1 to 10 million.
    pub records: usize,
    /// Bytes of keys, values and headers, from [`MAX_RECORD_BYTES`] to 2 GiB.
    pub bytes: usize,
}

impl Bounds {
    pub(crate) fn validate(&self) -> Result<(), ClientError> {
        if !(1..=10_000_000).contains(&self.records) {
            return Err(ClientError::configuration(format!(
                "a bound of {} records is not within 1 and 10000000",
                self.records
            )));
        }
        if !(MAX_RECORD_BYTES..=2 << 30).contains(&self.bytes) {
            return Err(ClientError::configuration(format!(
                "a bound of {} bytes is not within {MAX_RECORD_BYTES} (one record) and 2 GiB",
                self.bytes
            )));
        }
        Ok(())
    }
}

/// The bounds of one publisher when its owner has no better idea: 10 000 records, 16 MiB.
impl Default for Bounds {
    fn default() -> Self {
        Self { records: 10_000, bytes: 16 << 20 }
    }
}

/// What makes two producers the same client: all settings that reach librdkafka, with the credentials.
///
/// Compared exactly, never by a hash. `Debug` and `Display` show a tag that is good within this
/// process only and says nothing about the secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(Arc<Effective>);

#[derive(PartialEq, Eq, Hash)]
struct Effective {
    properties: ClientProperties,
    partitioning: Partitioning,
    queue: Bounds,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        write!(f, "{:08x}", KEYS.hash_one(self) >> 32)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests;
