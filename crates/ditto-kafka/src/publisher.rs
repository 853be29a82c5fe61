//! The handle through which one owner publishes.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use slab::Slab;
use tracing::error;

use crate::client::Client;
use crate::code::ErrorCode;
use crate::connection::ConnectionState;
use crate::error::{ClientError, PublishError};
use crate::mailbox::{Mailbox, Opaque, Report};
use crate::record::{Completion, Delivered, Record, Token};
use crate::settings::{Bounds, MAX_RECORD_BYTES};

/// One owner's handle on a pooled producer: own bounds, own completions.
///
/// The owner's loop takes completions *while* it waits for readiness: its own permits come back with
/// [`Self::poll_completions`] and in no other way. Nothing is spawned, boxed or sent through a channel
/// per record; of the heap a record takes what librdkafka allocates, and the topic's name once more as
/// a C string in rdkafka.
///
/// Records are in librdkafka's queue when [`Self::enqueue`] returns, so the order of the calls is the
/// order per partition. Dropping the publisher does not take them back: they are still sent, and their
/// reports are counted as unclaimed.
pub struct Publisher {
    client: Arc<Client>,
    mailbox: Arc<Mailbox>,
    index: u32,
    limits: Bounds,
    in_flight: Slab<InFlight>,
    bytes_in_flight: usize,
    /// One record of the client's permits is ours already.
    reserved: bool,
    /// So are these bytes; spares a lock when a record is smaller than announced.
    credit: usize,
    /// Waits for our own permits.
    waiting: Option<Waker>,
    taken: Vec<Report>,
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    token: Token,
    bytes: usize,
    /// The one that was asked for.
    partition: Option<i32>,
}

/// More than this is not kept for the next record.
const MAX_CREDIT: usize = 64 << 10;

impl Publisher {
    pub(crate) fn new(client: Arc<Client>, limits: Bounds) -> Result<Self, ClientError> {
        let (index, mailbox) = client
            .shared
            .mailboxes
            .open()
            .ok_or_else(|| ClientError::start("no more publishers on this client"))?;
        Ok(Self {
            client,
            mailbox,
            index,
            limits,
            in_flight: Slab::new(),
            bytes_in_flight: 0,
            reserved: false,
            credit: 0,
            waiting: None,
            taken: Vec::new(),
        })
    }

    /// Ready when a record of this size (key, value and headers) may be enqueued: both this publisher's
    /// bounds and the shared client's have room. The room is kept until the next call of
    /// [`Self::enqueue`]. A size above [`MAX_RECORD_BYTES`] counts as that.
    ///
    /// While pending, the task is woken by [`Self::poll_completions`] if this publisher's own bounds
    /// were reached, and by other publishers' reports if the client's were.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>, next_bytes: usize) -> Poll<()> {
        let next_bytes = next_bytes.min(MAX_RECORD_BYTES);
        let fits = self.in_flight.len() < self.limits.records
            && self.bytes_in_flight.saturating_add(next_bytes) <= self.limits.bytes;
        // A record larger than announced may have gone over the bound: alone it always fits.
        if !fits && !self.in_flight.is_empty() {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let records = usize::from(!self.reserved);
        let bytes = next_bytes.saturating_sub(self.credit);
        if records > 0 || bytes > 0 {
            let permits = &self.client.shared.permits;
            std::task::ready!(permits.poll_acquire(cx, records, bytes));
            self.reserved = true;
            self.credit += bytes;
        }
        Poll::Ready(())
    }

    /// Puts a record into the client's queue before it returns. Its end comes as a [`Completion`] with
    /// this token; tokens are the caller's own affair and may repeat.
    ///
    /// Call it after [`Self::poll_ready`]; without that it succeeds only if there is room.
    ///
    /// # Errors
    ///
    /// The record is not enqueued and there will be no completion: a negative partition or one that is
    /// known not to exist, a topic that is known not to exist or whose name holds a zero byte, a record
    /// above [`MAX_RECORD_BYTES`], a client that failed for good. [`ErrorCode::QUEUE_FULL`] is the
    /// caller's bug or ours, and counted.
    pub fn enqueue<'h, H>(&mut self, record: Record<'_, H>, token: Token) -> Result<(), PublishError>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8]), IntoIter: ExactSizeIterator>,
    {
        if record.partition.is_some_and(i32::is_negative) {
            // librdkafka takes -1 for "any" and publishes (dependencies.md §2).
            return Err(PublishError::with_reason(ErrorCode::UNKNOWN_PARTITION, "partition is negative"));
        }
        if self.client.is_condemned() {
            return Err(PublishError::new(ErrorCode::FATAL));
        }
        let charge = record.key.map_or(0, <[u8]>::len) + record.payload.map_or(0, <[u8]>::len);
        self.reserve(charge)?;

        let mut bytes = charge;
        let headers = headers(record.headers.into_iter(), &mut bytes);
        let slot = self.in_flight.vacant_entry();
        let Ok(slot_index) = u32::try_from(slot.key()) else {
            return Err(PublishError::new(ErrorCode::QUEUE_FULL));
        };
        let opaque = Opaque { publisher: self.index, slot: slot_index };
        self.client.enqueueing();
        let sent = self.client.native().send(BaseRecord {
            topic: record.topic,
            partition: record.partition,
            payload: record.payload,
            key: record.key,
            timestamp: None,
            headers,
            delivery_opaque: opaque.pack(),
        });
        match sent {
            Ok(()) => {
                slot.insert(InFlight { token, bytes, partition: record.partition });
                self.bytes_in_flight += bytes;
                self.reserved = false;
                self.credit -= charge;
                if self.credit > MAX_CREDIT {
                    let surplus = std::mem::take(&mut self.credit);
                    self.client.shared.permits.release(0, surplus);
                }
                Ok(())
            }
            Err((error, _record)) => {
                self.client.refused();
                Err(self.refusal(&error).for_partition(record.partition))
            }
        }
    }

    /// Moves the reports that came to `out` and gives their permits back. Ready with their number,
    /// which is above zero; pending with the task's waker kept, also when nothing is in flight.
    ///
    /// The order is that of the reports: per partition the order of enqueueing.
    pub fn poll_completions(&mut self, cx: &mut Context<'_>, out: &mut Vec<Completion>) -> Poll<usize> {
        self.mailbox.take(&mut self.taken, cx.waker());
        if self.taken.is_empty() {
            return Poll::Pending;
        }
        let before = out.len();
        out.reserve(self.taken.len());
        // Asked for once per batch, and only if something failed.
        let mut connection = None;
        for mut report in self.taken.drain(..) {
            let Some(in_flight) = self.in_flight.try_remove(report.opaque.slot as usize) else {
                error!("delivery report for a record that is not in flight");
                continue;
            };
            self.bytes_in_flight -= in_flight.bytes;
            let result = if report.error == 0 {
                Ok(Delivered {
                    partition: report.partition,
                    offset: (report.offset >= 0).then_some(report.offset),
                    timestamp_ms: (report.timestamp_ms >= 0).then_some(report.timestamp_ms),
                })
            } else {
                let connection = connection.get_or_insert_with(|| self.client.shared.connection.snapshot());
                let error =
                    PublishError::of_report(ErrorCode::from_number(report.error), connection.last_error());
                Err(error.for_partition(in_flight.partition))
            };
            if let Some(record) = &mut report.record {
                record.partition = in_flight.partition;
            }
            out.push(Completion { token: in_flight.token, result, record: report.record });
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(out.len() - before)
    }

    /// Waits until each record enqueued so far has its report, without the linger time; the reports
    /// then wait for [`Self::poll_completions`]. False if the deadline passed first.
    ///
    /// Cancel safe. Needs tokio's timer.
    pub async fn flush(&mut self, deadline: Duration) -> bool {
        let _flushing = self.client.flushing();
        let all_reported = poll_fn(|cx| {
            if self.mailbox.waiting(cx.waker()) >= self.in_flight.len() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        tokio::time::timeout(deadline, all_reported).await.is_ok()
    }

    /// Records enqueued whose completion was not yet taken.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Bytes of keys, values and headers of those records.
    #[must_use]
    pub fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight
    }

    /// How the client's connection stands; shared with the other publishers of the client.
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        self.client.shared.connection.snapshot()
    }

    /// Gives up this client: what any of its publishers has in flight is taken back, with a report for each record
    /// ([`ErrorCode::PURGE_QUEUE`], or [`ErrorCode::PURGE_INFLIGHT`] if a broker may have it all the same), and the pool
    /// makes another client for the next publisher. For an owner that ends and must not publish later.
    pub fn condemn(&self) {
        self.client.condemn();
    }

    /// The client failed for good: nothing that is enqueued will be sent. Take the completions that are due (one for
    /// each record in flight), drop this publisher and ask the pool for another.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        self.client.is_condemned()
    }

    /// Asks the cluster how many partitions a topic has; the answer also tells that the connection works.
    ///
    /// # Errors
    ///
    /// The cluster's answer ([`ErrorCode::UNKNOWN_TOPIC_OR_PARTITION`], no permission), or that there
    /// was none within the time-out.
    pub async fn partition_count(&self, topic: &str, timeout: Duration) -> Result<usize, ClientError> {
        let client = Arc::clone(&self.client);
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || partition_count(&client, &topic, timeout))
            .await
            .map_err(|_| ClientError::closed("the runtime is shutting down"))?
    }

    /// Makes sure that a record and these bytes of the client's permits are ours.
    fn reserve(&mut self, charge: usize) -> Result<(), PublishError> {
        let missing = charge.saturating_sub(self.credit);
        let permits = &self.client.shared.permits;
        if !self.reserved {
            if !permits.try_acquire(1, missing.min(MAX_RECORD_BYTES)) {
                self.client.shared.counters.add_queue_full();
                return Err(PublishError::with_reason(ErrorCode::QUEUE_FULL, "enqueued without being ready"));
            }
            self.reserved = true;
            permits.charge(missing.saturating_sub(MAX_RECORD_BYTES));
        } else if missing > 0 {
            permits.charge(missing);
        }
        self.credit += missing;
        Ok(())
    }

    fn refusal(&mut self, error: &KafkaError) -> PublishError {
        // The bytes of a record that is too large are no reserve for the next one.
        let surplus = std::mem::take(&mut self.credit);
        self.client.shared.permits.release(0, surplus);
        let code = ErrorCode::from_error(error);
        match code {
            ErrorCode::QUEUE_FULL => {
                self.client.shared.counters.add_queue_full();
                error!("librdkafka's queue is full although permits were free");
                PublishError::new(code)
            }
            ErrorCode::FATAL => {
                self.client.condemn();
                PublishError::new(code)
            }
            _ if matches!(error, KafkaError::Nul(_)) => {
                PublishError::with_reason(code, "topic holds a zero byte")
            }
            _ => PublishError::new(code),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.client.shared.mailboxes.close(self.index);
        self.client.shared.permits.release(usize::from(self.reserved), self.credit);
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("limits", &self.limits)
            .field("in_flight", &self.in_flight.len())
            .field("bytes_in_flight", &self.bytes_in_flight)
            .finish_non_exhaustive()
    }
}

/// Headers as librdkafka wants them, their size added to `bytes`.
fn headers<'h>(
    headers: impl ExactSizeIterator<Item = (&'h str, &'h [u8])>,
    bytes: &mut usize,
) -> Option<OwnedHeaders> {
    if headers.len() == 0 {
        return None;
    }
    let native = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.fold(native, |native, (key, value)| {
        *bytes += key.len() + value.len();
        native.insert(Header { key, value: Some(value) })
    }))
}

fn partition_count(client: &Client, topic: &str, timeout: Duration) -> Result<usize, ClientError> {
    let metadata =
        client.fetch_metadata(Some(topic), timeout).map_err(|error| ClientError::from_rdkafka(&error))?;
    let found = metadata.topics().iter().find(|it| it.name() == topic);
    let Some(found) = found else {
        return Err(ClientError::cluster(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    };
    match found.error() {
        Some(code) => Err(ClientError::cluster(ErrorCode::from_rdkafka(code.into()))),
        None => Ok(found.partitions().len()),
    }
}

#[cfg(test)]
mod tests;
