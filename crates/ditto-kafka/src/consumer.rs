//! Reading topics as a member of a group, with commits that follow settlement.

mod assignment;
mod commits;
mod counts;
mod partitions;
mod reader;
mod settings;
mod starts;
mod truncation;
mod watchdog;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

pub use self::counts::ConsumerCounts;
use self::reader::{Reader, Shared};
pub use self::settings::{ConsumerSettings, GroupProtocol, OnTruncation, StartAt};
use crate::connection::ConnectionState;
use crate::error::ClientError;
use crate::lock::lock;

/// A member of a consumer group.
///
/// It reads in a thread of its own and hands records out in batches. Each record has a ticket; what is committed of a
/// partition is the offset below which every ticket has settled. When too much lies between the last commit and the
/// newest record, that partition pauses. Nothing is ever committed for a partition that was taken away.
///
/// Delivery is at least once: what had not been committed when the process ended is handed out again.
pub struct Consumer {
    batches: mpsc::Receiver<Vec<ConsumedRecord>>,
    shared: Arc<Shared>,
    thread: Thread,
    ended: Option<oneshot::Receiver<()>>,
}

/// A record that was read. Its bytes are a part of its batch's one buffer, never librdkafka's memory.
#[derive(Debug, Clone)]
pub struct ConsumedRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Time in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Value,
    /// Name and value of each header, in order.
    pub headers: Vec<(Bytes, Bytes)>,
    /// To settle it with.
    pub ticket: ConsumerTicket,
}

/// The value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes, maybe none.
    Bytes(Bytes),
    /// A tombstone.
    Null,
    /// More than [`ConsumerSettings::max_value_bytes`]; its length.
    Oversized(usize),
}

/// The claim check of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerTicket {
    /// Counts assignments of partitions: a ticket of an earlier one is void.
    assignment: u64,
    offset: i64,
}

impl Consumer {
    /// Joins the group and starts to read. Makes the thread and waits for nothing else.
    ///
    /// # Errors
    ///
    /// The settings can't work, or the client or its thread can't be started.
    pub fn start(settings: &ConsumerSettings) -> Result<Self, ClientError> {
        /// Batches that wait to be taken.
        const BATCHES: usize = 2;
        settings.validate()?;
        let (sender, batches) = mpsc::channel(BATCHES);
        let (ending, ended) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let reader = Reader::new(settings, Arc::clone(&shared), sender)?;
        let thread = thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || {
                reader.run();
                // Who closed it may have gone.
                let _sent = ending.send(());
            })
            .map_err(|error| ClientError::start(error.to_string()))?;
        Ok(Self { batches, shared, thread: thread.thread().clone(), ended: Some(ended) })
    }

    /// The next batch: of each partition in the order of offsets. `None` once it was stopped, or has failed for good, and
    /// everything read is handed out. Stores the waker while there is none.
    pub fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ConsumedRecord>>> {
        let batch = self.batches.poll_recv(cx);
        if batch.is_ready() {
            self.thread.unpark();
        }
        batch
    }

    /// [`Self::poll_batch`] as a future; cancel safe.
    pub async fn next_batch(&mut self) -> Option<Vec<ConsumedRecord>> {
        poll_fn(|cx| self.poll_batch(cx)).await
    }

    /// Settles records, in any order, each once. They are committed within the commit interval.
    pub fn settle(&mut self, tickets: impl IntoIterator<Item = ConsumerTicket>) {
        lock(&self.shared.settled).extend(tickets);
    }

    /// Reads no further: [`Self::poll_batch`] ends. Tickets can still be settled and are committed.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Commits what has settled and leaves the group. False if that took longer than the deadline; it then goes on in the
    /// consumer's own thread. Needs tokio's timer.
    pub async fn close(mut self, deadline: Duration) -> bool {
        self.stop();
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
        match self.ended.take() {
            Some(ended) => tokio::time::timeout(deadline, ended).await.is_ok(),
            None => true,
        }
    }

    /// What became of its partitions so far.
    #[must_use]
    pub fn counts(&self) -> ConsumerCounts {
        self.shared.counters.snapshot()
    }

    /// How the connection stands.
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        self.shared.connection.snapshot()
    }

    /// Tells the same to whoever does not have the consumer itself.
    #[must_use]
    pub fn monitor(&self) -> ConsumerMonitor {
        ConsumerMonitor(Arc::clone(&self.shared))
    }

    /// Why it ended without being stopped.
    #[must_use]
    pub fn failure(&self) -> Option<ClientError> {
        lock(&self.shared.failure).clone()
    }
}

/// How a [`Consumer`] does, from anywhere, also when it has ended.
#[derive(Debug, Clone)]
pub struct ConsumerMonitor(Arc<Shared>);

impl ConsumerMonitor {
    /// What became of its partitions so far.
    #[must_use]
    pub fn counts(&self) -> ConsumerCounts {
        self.0.counters.snapshot()
    }

    /// Whether the group has given it partitions, maybe none: then it has its position.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.0.has_joined.load(Ordering::Acquire)
    }

    /// How its connection stands.
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        self.0.connection.snapshot()
    }
}

/// Leaves the group, in the consumer's own thread: nothing waits here.
impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("connection", &self.connection_state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
