//! The end of the prepare stack: from a signal to a message.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use ditto_protocol::{Category, KnownHeader, Signal, Written};
use tower::Service;

use crate::authorize::{Authorized, Readable};
use crate::leaf::Token;
use crate::outcome::{DeliverError, DropReason};
use crate::signal::{RequestedAcks, RoutedSignal};
use crate::target::CompiledTarget;

/// A message on its way to its record.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) token: Token,
    pub(crate) signal: Readable<Arc<RoutedSignal>>,
    pub(crate) target: Arc<CompiledTarget>,
    pub(crate) payload: Bytes,
}

/// The answer of the prepare stack.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// A message to deliver.
    Message(Mapped),
    /// Dropped on purpose.
    Dropped(DropReason),
}

impl From<DropReason> for Prepared {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

/// The Ditto mapper: the signal as Ditto Protocol JSON (outbound.md §4.1).
///
/// Payloads are cut from a buffer that is used again as soon as none of them is in use, which is when the leaf has
/// copied them.
#[derive(Debug, Default)]
pub(crate) struct MapSignal {
    scratch: Vec<u8>,
    buffer: BytesMut,
}

/// Memory is asked for in pieces of this size, in bytes.
const BUFFER: usize = 32 << 10;

impl Service<Authorized> for MapSignal {
    type Response = Prepared;
    type Error = DeliverError;
    type Future = Ready<Result<Prepared, DeliverError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Authorized { signal, target }: Authorized) -> Self::Future {
        let routed = signal.get();
        let labels = requested_acks(routed.signal(), &target);
        let payload = routed.payload(labels, |labels| self.write(routed.signal(), labels));
        ready(Ok(Prepared::Message(Mapped { token: 0, signal, target, payload })))
    }
}

impl MapSignal {
    fn write(&mut self, signal: &Signal, labels: &RequestedAcks) -> Bytes {
        self.scratch.clear();
        signal.write(&Written { requested_acks: labels.as_deref() }, &mut self.scratch);
        if self.buffer.capacity() < self.scratch.len() {
            self.buffer.reserve(self.scratch.len().max(BUFFER));
        }
        self.buffer.extend_from_slice(&self.scratch);
        let payload = self.buffer.split().freeze();
        if self.scratch.capacity() > BUFFER {
            // One huge message must not be kept for ever.
            self.scratch = Vec::new();
        }
        payload
    }
}

/// The labels that a receiver sees as requested: those that targets of the connection issue, and none in an event for
/// a target that issues one itself. `None` if the signal requests nothing (outbound.md §6.2).
pub(crate) fn requested_acks(signal: &Signal, target: &CompiledTarget) -> RequestedAcks {
    if target.stamps() {
        return None;
    }
    signal.headers().known(const { KnownHeader::named("requested-acks") })?;
    let mut labels = signal.headers().requested_acks();
    if labels.is_empty() {
        return Some(labels);
    }
    if signal.category() == Category::Event && target.issued_label().is_some() {
        labels.clear();
    } else {
        labels.retain(|label| target.labels_of_connection().iter().any(|issued| **issued == **label));
    }
    Some(labels)
}
