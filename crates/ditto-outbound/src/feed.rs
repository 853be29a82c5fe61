//! Where signals come from, seen from the pipeline.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

/// One record of a feed.
#[derive(Debug, Clone)]
pub struct FeedRecord<T> {
    /// The message text.
    pub payload: Payload,
    /// Transport headers; looked at only where the feed is trusted.
    pub headers: Vec<(Bytes, Bytes)>,
    /// When the feed took it, in milliseconds since 1970, if it says so.
    pub timestamp_ms: Option<i64>,
    /// The feed's claim check.
    pub ticket: T,
    /// What else is known of it, for dead letters.
    pub origin: Origin,
}

/// Where a record comes from, as far as its feed tells.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Its key.
    pub key: Option<Bytes>,
    /// Its position.
    pub place: Option<FeedPlace>,
    /// Set if it is a dead letter that is published again.
    pub redriven: Option<Redriven>,
}

/// A position in a feed of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPlace {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A dead letter on its way again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redriven {
    /// The only target that it is for, by its place in the definition: the others have had it.
    pub target: usize,
    /// Which attempt this is; the signal itself was the first.
    pub attempt: u32,
}

/// What a record of a feed carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A message.
    Text(Bytes),
    /// Nothing (a tombstone, an empty line).
    Empty,
    /// More than the feed hands over; its length in bytes.
    Oversized(usize),
}

/// A source of signals.
///
/// The pipeline settles a record's ticket exactly once, when the outcome of every target is final.
pub trait Feed {
    /// Whether a record whose ticket has not settled is handed out again after a restart. Then an error that somebody can
    /// mend is waited out; else it is final (design.md §3).
    const CAN_REPLAY: bool;

    /// The claim check of one record.
    type Ticket: Copy + fmt::Debug;

    /// The next records in feed order; `None` once the feed has ended. Stores the waker if there are none yet.
    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<Self::Ticket>>>>;

    /// Takes what has settled since the last call, in the order of settlement, and leaves `tickets` empty.
    fn settle(&mut self, tickets: &mut Vec<Self::Ticket>);
}
