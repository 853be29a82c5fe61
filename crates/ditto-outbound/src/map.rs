//! The end of the prepare stack: from a signal to messages.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use ditto_mapping::{LaneMappers, MapperList, OutgoingSignal};
use ditto_protocol::{Category, KnownHeader, Signal, Written};
use tower::Service;

use crate::authorize::{Authorized, Readable};
use crate::leaf::Token;
use crate::mappers::{Attempt, Made, Mapping, Message, TargetMapping};
use crate::outcome::{DeliverError, DropReason};
use crate::resolve::Values;
use crate::signal::{RequestedAcks, RoutedSignal};
use crate::target::CompiledTarget;

/// A message on its way to its record.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) token: Token,
    pub(crate) signal: Readable<Arc<RoutedSignal>>,
    pub(crate) target: Arc<CompiledTarget>,
    pub(crate) content: Content,
}

/// What is in a message.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// The signal in the Ditto Protocol, with the headers of every such message.
    Ditto(Bytes),
    /// What a mapper has made of it.
    Own(Arc<Message>),
}

impl Content {
    /// Bytes of the payload.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ditto(payload) => payload.len(),
            Self::Own(message) => message.payload.len(),
        }
    }
}

/// The answer of the prepare stack.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// A message to deliver.
    Message(Mapped),
    /// What several mappers have made, or one of them several times: messages, and at least one of these or an error.
    Messages(Vec<Result<Mapped, DeliverError>>),
    /// Dropped on purpose.
    Dropped(DropReason),
}

impl From<DropReason> for Prepared {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

/// Maps a signal to messages: by the Ditto mapper, which writes it as Ditto Protocol JSON (outbound.md §4.1), or by those
/// that its target names (mapping.md §1).
///
/// Payloads of the former are cut from a buffer that is used again as soon as none of them is in use, which is when the
/// leaf has copied them.
#[derive(Debug, Default)]
pub(crate) struct MapSignal {
    scratch: Vec<u8>,
    buffer: BytesMut,
    mappers: LaneMappers,
    /// What mappers were asked last, and what they made of it.
    last: Option<(Readable<Arc<RoutedSignal>>, Arc<Mapping>)>,
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
        ready(match target.mapping() {
            TargetMapping::Ditto => {
                let routed = signal.get();
                let labels = requested_acks(routed.signal(), &target);
                let payload = routed.payload(labels, |labels| self.write(routed.signal(), labels));
                let content = Content::Ditto(payload);
                Ok(Prepared::Message(Mapped { token: 0, signal, target, content }))
            }
            TargetMapping::Mappers(list) => {
                let mapping = self.map(&signal, &target, list);
                let prepared = messages(&signal, &target, &mapping);
                self.last = Some((signal, mapping));
                Ok(prepared)
            }
            TargetMapping::Broken(error) => Err(error.clone()),
        })
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

    /// What the mappers of a target make of a signal. Targets with the same mappers share it, as in the reference.
    fn map(
        &mut self,
        signal: &Readable<Arc<RoutedSignal>>,
        target: &CompiledTarget,
        list: &MapperList,
    ) -> Arc<Mapping> {
        let routed = signal.get();
        let labels = requested_acks(routed.signal(), target);
        routed.mapping(list, labels, |labels| {
            let written = Written { requested_acks: labels.as_deref() };
            let values = Values { signal: routed, target };
            let mut mapping = Mapping::new();
            self.mappers.outgoing(
                list,
                &OutgoingSignal::new(routed.signal(), written, &values),
                |mapper, outcome| mapping.push(Attempt::new(mapper, outcome)),
            );
            mapping
        })
    }

    /// What mappers were asked last, and what they made of it. Forgets it.
    pub(crate) fn take_last(&mut self) -> Option<(Readable<Arc<RoutedSignal>>, Arc<Mapping>)> {
        self.last.take()
    }
}

fn messages(
    signal: &Readable<Arc<RoutedSignal>>,
    target: &Arc<CompiledTarget>,
    mapping: &Mapping,
) -> Prepared {
    let message = |attempt: &Attempt| match &attempt.end {
        Ok(Made::Message(message)) => Some(Ok(Mapped {
            token: 0,
            signal: signal.clone(),
            target: target.clone(),
            content: Content::Own(message.clone()),
        })),
        Ok(Made::LeftOut(_)) => None,
        Err(error) => Some(Err(error.clone())),
    };
    let mut messages = mapping.iter().filter_map(message);
    match (messages.next(), messages.next()) {
        (None, _) => Prepared::Dropped(DropReason::Unmapped),
        // As nearly always.
        (Some(Ok(only)), None) => Prepared::Message(only),
        (Some(first), second) => {
            Prepared::Messages([first].into_iter().chain(second).chain(messages).collect())
        }
    }
}

/// The labels that a receiver sees as requested: those that targets of the connection issue or sources declare,
/// and only the latter in an event for a target that issues one itself. `None` if the signal requests nothing (outbound.md §6.2).
pub(crate) fn requested_acks(signal: &Signal, target: &CompiledTarget) -> RequestedAcks {
    if target.stamps() {
        return None;
    }
    signal.headers().known(const { KnownHeader::named("requested-acks") })?;
    let mut labels = signal.headers().requested_acks();
    if labels.is_empty() {
        return Some(labels);
    }
    let (known, issues) = (target.labels(), target.issued_label().is_some());
    let is_left_out = signal.category() == Category::Event && issues;
    labels.retain(|label| known.is_declared(label) || !is_left_out && known.is_issued(label));
    Some(labels)
}
