//! Topic, key and partition: the last stage of the deliver stack (outbound.md §4.3).

use bytes::Bytes;
use bytestring::ByteString;
use ditto_placeholder::{Resolution, ResolvedAddress, Template};

use crate::headers::WithHeaders;
use crate::leaf::{Destination, Destined, Topic};
use crate::outcome::DeliverError;
use crate::resolve::Values;
use crate::stage::{Halt, Stage};
use crate::target::Address;

/// Resolves the target's address for a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResolveAddress;

impl Stage<WithHeaders> for ResolveAddress {
    type Output = Destined;

    fn apply(&self, message: WithHeaders) -> Result<Destined, Halt> {
        let WithHeaders { token, signal, target, payload, headers } = message;
        let resolve = |template: &Template| {
            let values = Values { signal: signal.get(), target: &target };
            let mut text = String::with_capacity(64);
            match template.resolve_into(&values, &mut text) {
                Ok(Resolution::Resolved) => Ok(text),
                Ok(Resolution::Unresolved | Resolution::Deleted) => {
                    Err(Halt::Fail(DeliverError::address_unresolved(target.address_text())))
                }
                Err(error) => Err(Halt::Fail(DeliverError::address_invalid(&error))),
            }
        };
        let destination = match target.address() {
            Address::Fixed(destination) => destination.clone(),
            Address::Key(topic, key) => Destination {
                topic: Topic::Fixed(topic.clone()),
                // An empty key counts as none.
                key: Some(resolve(key)?).filter(|key| !key.is_empty()).map(Bytes::from),
                partition: None,
            },
            Address::Template(address) => {
                let text = ByteString::from(resolve(address.template())?);
                let resolved = ResolvedAddress::parse(&text)
                    .map_err(|error| Halt::Fail(DeliverError::address_invalid(&error)))?;
                Destination {
                    topic: Topic::Resolved(text.slice_ref(resolved.topic)),
                    key: resolved.key.map(|key| text.slice_ref(key).into_bytes()),
                    partition: resolved.partition,
                }
            }
        };
        Ok(Destined { token, destination, headers, payload, is_alone: false })
    }
}
