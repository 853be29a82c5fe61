#![doc = include_str!("../README.md")]

mod adaptable;
mod base64;
mod charset;
mod cloud_events;
mod condition;
mod connection_status;
mod content_type;
mod ditto;
mod engines;
mod error;
mod external;
mod finding;
mod implicit_thing;
mod lane;
mod live_response;
mod mapper;
mod mappings;
mod normalized;
mod options;
mod outgoing;
mod raw_message;
mod template;
#[cfg(test)]
mod tests;

pub use self::{
    adaptable::{Adaptable, Parts},
    charset::encode_text,
    content_type::DITTO_PROTOCOL,
    engines::Engines,
    error::MappingError,
    external::ExternalMessage,
    finding::{Finding, Severity},
    lane::{LaneMappers, LeftOut, MappingLimits, Outcome},
    mapper::{CompiledMapper, Mapper, MapperFactory},
    mappings::{MapperList, Mappings},
    options::Options,
    outgoing::{OutgoingMessage, OutgoingSignal, Payload, SignalMembers},
};
