#![doc = include_str!("../README.md")]

mod acknowledgement;
mod check;
mod complete;
mod definitions;
mod duration;
mod envelope;
mod error;
mod fields;
mod headers;
mod id;
mod instant;
mod kind;
mod partial;
mod piece;
mod resource;
mod signal;
mod topic;
mod value;
mod write;

pub use self::{
    acknowledgement::{Acknowledgement, Acknowledgements},
    definitions::{HeaderDefinition, HeaderKind, KnownHeader, header_definition},
    duration::parse_duration,
    error::{ErrorCode, ProtocolError},
    headers::{Header, Headers},
    id::{
        AckLabel, ConnectionId, DefinitionId, FeatureId, MessageSubject, PolicyId, PolicyLabel, ResourceKey,
        SubjectId, ThingId, attribute_pointer,
    },
    instant::parse_instant,
    kind::{Category, SignalType},
    resource::{PolicyResource, ThingResource},
    signal::{Entity, EntityKind, Limits, Signal},
    topic::{
        Action, Channel, Criterion, Group, SearchAction, Segments, StreamingAction, TargetTopic, TopicPath,
        UnknownTopic,
    },
    write::Written,
};
