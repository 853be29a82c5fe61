//! What a payload mapper is.

use std::fmt::Debug;
use std::sync::Arc;

use crate::adaptable::Adaptable;
use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::options::Options;
use crate::outgoing::{OutgoingMessage, OutgoingSignal};

/// A payload mapper at work, in both directions. Each lane has its own, so a mapper may keep state.
pub trait Mapper: Send + Debug {
    /// Makes Ditto Protocol messages of a message from outside; none drops it.
    ///
    /// # Errors
    /// The message cannot be mapped. Nothing of it goes on.
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError>;

    /// Appends the messages that a signal becomes; none drops it.
    ///
    /// # Errors
    /// The signal cannot be mapped. What was appended does not count.
    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError>;
}

/// A definition whose options have been read.
pub trait CompiledMapper: Send + Sync + Debug {
    /// A mapper of this definition, for one lane and direction.
    ///
    /// # Errors
    /// There is no room for another one.
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError>;
}

/// A kind of mapper, by which definitions are read.
pub trait MapperFactory: Send + Sync + Debug {
    /// Its name in `mappingEngine`: `Normalized`.
    fn engine(&self) -> &'static str;

    /// The name of the reference's class, which definitions may have in place of [`Self::engine`].
    fn class(&self) -> &'static str;

    /// Whether it needs options. One that does not may be named in `payloadMapping` without a definition.
    fn needs_options(&self) -> bool {
        false
    }

    /// The names of its options, beside `content-type-blocklist`, which each has.
    fn option_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// The content types that it does not map unless the option says otherwise.
    fn default_blocklist(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads its options. What is wrong with them is told to `options`; with an error there is no mapper.
    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>>;
}
