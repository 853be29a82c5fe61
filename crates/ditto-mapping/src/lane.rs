//! Mappers at work.

use std::fmt;
use std::sync::Arc;

use ditto_protocol::{Limits, Signal};

use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::mapper::Mapper;
use crate::mappings::{MapperList, NamedMapper};
use crate::outgoing::{OutgoingMessage, OutgoingSignal};

/// Bounds of mapping.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MappingLimits {
    /// Most messages that one mapper may make of one: 10.
    pub max_messages: usize,
    /// Most bytes, headers and payloads together, that one mapper may make of one signal: 4 MiB.
    pub max_bytes: usize,
    /// Bounds of the Ditto Protocol messages that come in.
    pub message: Limits,
}

impl Default for MappingLimits {
    fn default() -> Self {
        Self { max_messages: 10, max_bytes: 4 << 20, message: Limits::default() }
    }
}

/// What a mapper has made of one message.
#[derive(Debug)]
pub enum Outcome<T> {
    /// One message; there may be more of them.
    Mapped(T),
    /// Nothing, on purpose, and why.
    Dropped(LeftOut),
    /// Nothing, by mistake.
    Failed(MappingError),
}

/// Why a mapper makes nothing of a message, on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// Its `content-type-blocklist` has the content type of the message.
    Blocked,
    /// The condition of that name does not hold.
    Condition(Arc<str>),
    /// It was asked, and made nothing.
    Nothing,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("its `content-type-blocklist` has the content type"),
            Self::Condition(name) => write!(f, "its condition `{name}` does not hold"),
            Self::Nothing => f.write_str("it made nothing of it"),
        }
    }
}

/// The mappers of one lane and direction. They keep their state from message to message; each mapper of a connection is
/// there once, in however many lists it is.
#[derive(Debug, Default)]
pub struct LaneMappers {
    limits: MappingLimits,
    /// Made when they are needed first. There are few.
    instances: Vec<(Arc<NamedMapper>, Box<dyn Mapper>)>,
    messages: Vec<OutgoingMessage>,
}

impl LaneMappers {
    /// No mapper yet.
    pub fn new(limits: MappingLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Forgets the mappers and their state, such as those of a definition that was replaced.
    pub fn clear(&mut self) {
        self.instances.clear();
    }

    /// Maps a message from outside: each mapper of the list tells what it has made of it, with its id. As in the
    /// reference the first message of a mapper that is no signal takes its others with it.
    ///
    /// `connection_id` is what conditions see as `connection:id`.
    pub fn incoming(
        &mut self,
        list: &MapperList,
        message: &ExternalMessage,
        connection_id: &str,
        mut each: impl FnMut(&str, Outcome<Signal>),
    ) {
        for named in &*list.0 {
            let id = &*named.id;
            match self.signals(named, message, connection_id) {
                Ok(Err(left_out)) => each(id, Outcome::Dropped(left_out)),
                Ok(Ok(signals)) if signals.is_empty() => each(id, Outcome::Dropped(LeftOut::Nothing)),
                Ok(Ok(signals)) => signals.into_iter().for_each(|signal| each(id, Outcome::Mapped(signal))),
                Err(error) => each(id, Outcome::Failed(error.of_mapper(id))),
            }
        }
    }

    fn signals(
        &mut self,
        named: &Arc<NamedMapper>,
        message: &ExternalMessage,
        connection_id: &str,
    ) -> Result<Result<Vec<Signal>, LeftOut>, MappingError> {
        let is_blocked = |content_type| named.blocklist.iter().any(|blocked| blocked == content_type);
        if message.content_type().is_some_and(is_blocked) {
            return Ok(Err(LeftOut::Blocked));
        }
        if let Some(broken) = named.incoming.broken(&message.condition_values(connection_id))? {
            return Ok(Err(LeftOut::Condition(broken)));
        }
        let limits = self.limits;
        let adaptables = self.instance(named)?.incoming(message)?;
        check_count(adaptables.len(), &limits)?;
        let signals = adaptables.iter().map(|adaptable| adaptable.signal(&named.id, &limits.message));
        signals.collect::<Result<_, _>>().map(Ok)
    }

    /// Maps a signal: each mapper of the list tells what it has made of it, with its id.
    pub fn outgoing(
        &mut self,
        list: &MapperList,
        signal: &OutgoingSignal<'_>,
        mut each: impl FnMut(&str, Outcome<OutgoingMessage>),
    ) {
        for named in &*list.0 {
            let id = &*named.id;
            match self.messages(named, signal) {
                Ok(Some(left_out)) => each(id, Outcome::Dropped(left_out)),
                Ok(None) => {
                    for mut message in self.messages.drain(..) {
                        message.set_response(signal.is_response());
                        each(id, Outcome::Mapped(message));
                    }
                }
                Err(error) => each(id, Outcome::Failed(error.of_mapper(id))),
            }
        }
    }

    fn messages(
        &mut self,
        named: &Arc<NamedMapper>,
        signal: &OutgoingSignal<'_>,
    ) -> Result<Option<LeftOut>, MappingError> {
        let mut messages = std::mem::take(&mut self.messages);
        messages.clear();
        let mapped = self.append(named, signal, &mut messages);
        self.messages = messages;
        mapped
    }

    fn append(
        &mut self,
        named: &Arc<NamedMapper>,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<Option<LeftOut>, MappingError> {
        if let Some(broken) = named.outgoing.broken(&signal.values())? {
            return Ok(Some(LeftOut::Condition(broken)));
        }
        let limits = self.limits;
        self.instance(named)?.outgoing(signal, messages)?;
        check_count(messages.len(), &limits)?;
        let size: usize = messages.iter().map(OutgoingMessage::size).sum();
        if size > limits.max_bytes {
            return Err(MappingError::failed(
                format!("what it made has {size} bytes, more than {}", limits.max_bytes),
                "make fewer or smaller messages",
            ));
        }
        Ok(messages.is_empty().then_some(LeftOut::Nothing))
    }

    fn instance(&mut self, named: &Arc<NamedMapper>) -> Result<&mut dyn Mapper, MappingError> {
        let place = self.instances.iter().position(|(known, _)| Arc::ptr_eq(known, named));
        let place = match place {
            Some(place) => place,
            None => {
                self.instances.push((named.clone(), named.mapper.instance()?));
                self.instances.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "it was found or pushed above")]
        let (_, mapper) = &mut self.instances[place];
        Ok(&mut **mapper)
    }
}

fn check_count(count: usize, limits: &MappingLimits) -> Result<(), MappingError> {
    if count <= limits.max_messages {
        return Ok(());
    }
    Err(MappingError::failed(
        format!("it made {count} messages, more than {}", limits.max_messages),
        "make fewer; none of them goes on",
    ))
}

#[cfg(test)]
mod tests;
