//! The Ditto mapper: Ditto Protocol JSON in both directions (mapping.md §2, outbound.md §4.1).

use std::sync::Arc;

use bytes::BytesMut;

use crate::adaptable::Adaptable;
use crate::content_type::{DITTO_PROTOCOL, HONO_NOTIFICATIONS};
use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::Options;
use crate::outgoing::{OutgoingMessage, OutgoingSignal, Payload};

#[derive(Debug)]
pub(crate) struct DittoFactory;

impl MapperFactory for DittoFactory {
    fn engine(&self) -> &'static str {
        "Ditto"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.DittoMessageMapper"
    }

    fn default_blocklist(&self) -> &'static [&'static str] {
        HONO_NOTIFICATIONS
    }

    fn compile(&self, _: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        Some(Arc::new(Ditto))
    }
}

#[derive(Debug)]
struct Ditto;

impl CompiledMapper for Ditto {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(DittoMapper::default()))
    }
}

/// Memory is asked for in pieces of this size, in bytes.
const BUFFER: usize = 32 << 10;

/// Payloads are cut from a buffer that is used again as soon as none of them is in use, which is when whoever publishes
/// them has copied them.
#[derive(Debug, Default)]
pub(crate) struct DittoMapper {
    scratch: Vec<u8>,
    buffer: BytesMut,
}

impl Mapper for DittoMapper {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        Ok(vec![Adaptable::of_text(message.payload()?)])
    }

    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        self.scratch.clear();
        signal.write(&mut self.scratch);
        if self.buffer.capacity() < self.scratch.len() {
            self.buffer.reserve(self.scratch.len().max(BUFFER));
        }
        self.buffer.extend_from_slice(&self.scratch);
        let payload = Payload::Text(self.buffer.split().freeze());
        if self.scratch.capacity() > BUFFER {
            // One huge message must not be kept for ever.
            self.scratch = Vec::new();
        }
        let message = OutgoingMessage::new(payload)
            .with_error(signal.is_error())
            .with_header("content-type", DITTO_PROTOCOL_VALUE);
        messages.push(match signal.signal().headers().correlation_id() {
            Some(id) => message.with_header("correlation-id", id.shared_text()),
            None => message,
        });
        Ok(())
    }
}

const DITTO_PROTOCOL_VALUE: bytestring::ByteString = bytestring::ByteString::from_static(DITTO_PROTOCOL);
