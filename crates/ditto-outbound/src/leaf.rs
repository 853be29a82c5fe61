//! The end of the deliver stack: what takes records, and how it reports back.

use std::future::Ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use tower::Service;

use crate::outcome::{DeliverError, DropReason};
use crate::stage::Staged;

/// Identifies a record in flight between [`Destined`] and its [`Completion`].
pub type Token = u32;

/// Record headers: name and value, each name once.
pub type RecordHeaders = SmallVec<[(HeaderName, Bytes); 6]>;

/// The name of a record header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderName {
    /// One that we always know.
    Static(&'static str),
    /// One of a definition.
    Mapped(Arc<str>),
}

impl HeaderName {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Mapped(name) => name,
        }
    }
}

/// A record with its destination.
#[derive(Debug, Clone)]
pub struct Destined {
    /// Comes back in the completion.
    pub token: Token,
    /// Where to.
    pub destination: Destination,
    /// Record headers.
    pub headers: RecordHeaders,
    /// The payload.
    pub payload: Bytes,
    /// It must be in a batch of its own: the one that it was in was too large.
    pub is_alone: bool,
}

/// Topic, key and partition of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Topic name. A fixed one is shared, so it costs nothing per record.
    pub topic: Topic,
    /// Key; `None` leaves the partition to the partitioner's round robin.
    pub key: Option<Bytes>,
    /// The partition that the address asks for.
    pub partition: Option<i32>,
}

/// A topic name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// Named by the definition.
    Fixed(Arc<str>),
    /// Resolved for this record.
    Resolved(ByteString),
}

impl Topic {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fixed(name) => name,
            Self::Resolved(name) => name,
        }
    }
}

impl Destined {
    /// What was handed to the client of this record; called once it is in the queue.
    pub fn into_written(self) -> Written {
        Written {
            topic: self.destination.topic,
            key_size: self.destination.key.as_ref().map(Bytes::len),
            value_size: self.payload.len(),
        }
    }
}

/// A leaf's answer to `call`.
#[derive(Debug, Clone)]
pub enum Enqueued {
    /// In the leaf's queue; a [`Completion`] will come.
    Queued(Written),
    /// The leaf did not take it; no completion will come.
    Refused(Undelivered),
    /// Ended before the leaf.
    Dropped(DropReason),
}

/// What was handed to the client, for acknowledgements with record metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Topic name.
    pub topic: Topic,
    /// Size of the key in bytes.
    pub key_size: Option<usize>,
    /// Size of the payload in bytes.
    pub value_size: usize,
}

impl From<DropReason> for Enqueued {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

/// How a queued record ended.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The record's token.
    pub token: Token,
    /// Where it was written, or why not.
    pub result: Result<Delivered, Undelivered>,
}

/// A record that was not published.
#[derive(Debug, Clone)]
pub struct Undelivered {
    /// Why.
    pub error: DeliverError,
    /// The record, to be enqueued again if the error is none of its own (design.md §3). Without it the error is final.
    pub record: Option<Box<Destined>>,
}

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Partition of the delivery report.
    pub partition: i32,
    /// Offset, if the brokers told.
    pub offset: Option<i64>,
    /// Timestamp in milliseconds since 1970-01-01, if the brokers told.
    pub timestamp_ms: Option<i64>,
}

/// What takes records at the end of the deliver stack.
///
/// `call` enqueues before it returns, so records of one caller keep the order of the calls and the future is ready.
/// `poll_ready` stores the waker when it answers `Pending`.
pub trait Leaf:
    Service<
        Destined,
        Response = Enqueued,
        Error = DeliverError,
        Future = Ready<Result<Enqueued, DeliverError>>,
    > + Completing
{
}

impl<L> Leaf for L where
    L: Service<
            Destined,
            Response = Enqueued,
            Error = DeliverError,
            Future = Ready<Result<Enqueued, DeliverError>>,
        > + Completing
{
}

/// Where completions come from.
pub trait Completing {
    /// Appends what has completed; `Ready` if there was something, else the waker is stored.
    fn poll_completions(&mut self, cx: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()>;

    /// Nobody waits any longer for what the leaf has: each record completes soon, published or given back, and what is
    /// given back is not published later.
    fn take_back(&mut self);

    /// What ails the way to the brokers right now, if it is known: the answer to a requester who waits for a record
    /// that is still being tried.
    fn trouble(&self) -> Option<DeliverError>;
}

impl<T, S: Completing> Completing for Staged<T, S> {
    fn poll_completions(&mut self, cx: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()> {
        self.inner_mut().poll_completions(cx, completions)
    }

    fn take_back(&mut self) {
        self.inner_mut().take_back();
    }

    fn trouble(&self) -> Option<DeliverError> {
        self.inner().trouble()
    }
}
