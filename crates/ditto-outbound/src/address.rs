//! Topic, key and partition: the last stage of the deliver stack (outbound.md §4.3).

use bytestring::ByteString;
use ditto_placeholder::{Resolution, ResolvedAddress};

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
        let destination = match target.address() {
            Address::Fixed(destination) => destination.clone(),
            Address::Template(address) => {
                let values = Values { signal: signal.get(), target: &target };
                let mut text = String::with_capacity(64);
                if address.template().resolve_into(&values, &mut text) == Resolution::Unresolved {
                    return Err(Halt::Fail(DeliverError::address_unresolved(target.address_text())));
                }
                let text = ByteString::from(text);
                let resolved = ResolvedAddress::parse(&text)
                    .map_err(|error| Halt::Fail(DeliverError::address_invalid(&error)))?;
                Destination {
                    topic: Topic::Resolved(text.slice_ref(resolved.topic)),
                    key: resolved.key.map(|key| text.slice_ref(key).into_bytes()),
                    partition: resolved.partition,
                }
            }
        };
        Ok(Destined { token, destination, headers, payload })
    }
}
