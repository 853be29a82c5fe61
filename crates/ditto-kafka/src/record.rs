//! What goes in and what comes back.

use std::iter::Empty;

use bytes::Bytes;

use crate::error::PublishError;

/// A record to publish, borrowed: its bytes are copied into librdkafka's queue by the call that
/// enqueues it.
///
/// `H` is whatever yields the headers: an array, or a slice's `iter().copied()`. They are written in
/// that order; names may repeat.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a, H = Empty<(&'a str, &'a [u8])>> {
    /// Topic.
    pub topic: &'a str,
    /// Partition, from 0; without it the key or the producer's partitioning decides.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Name and value of each header.
    pub headers: H,
}

impl<'a> Record<'a> {
    /// A record for a topic, with nothing else yet.
    #[must_use]
    pub fn to(topic: &'a str) -> Self {
        Self { topic, partition: None, key: None, payload: None, headers: std::iter::empty() }
    }
}

impl<'a, H> Record<'a, H> {
    /// With a partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// With a value.
    #[must_use]
    pub fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = Some(payload);
        self
    }

    /// With headers.
    #[must_use]
    pub fn headers<'h, I>(self, headers: I) -> Record<'a, I>
    where
        I: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        Record { topic: self.topic, partition: self.partition, key: self.key, payload: self.payload, headers }
    }
}

/// A record that owns its parts, for [`PublishService`](crate::PublishService) and for what is read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Topic.
    pub topic: String,
    /// Partition, from 0.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub payload: Option<Bytes>,
    /// Name and value of each header, in order.
    pub headers: Vec<(String, Bytes)>,
}

impl OwnedRecord {
    /// A record for a topic, with nothing else yet.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// With a partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With a value.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Its owner's name for an enqueued record; comes back with its completion. Not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// How an enqueued record ended. There is exactly one for each record that was enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The record.
    pub token: Token,
    /// Where it is, or why it is nowhere.
    pub result: Result<Delivered, PublishError>,
    /// The record as it was enqueued, if it is nowhere.
    pub record: Option<Box<OwnedRecord>>,
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Partition.
    pub partition: i32,
    /// Offset, if the broker told (it does with `acks=all`).
    pub offset: Option<i64>,
    /// The record's time in milliseconds since 1970: the broker's if the topic uses append time,
    /// else the time of enqueueing.
    pub timestamp_ms: Option<i64>,
}
