#![doc = include_str!("../README.md")]

mod credentials;
mod draft;
mod mapper;
mod members;
mod model;
mod nearest;
mod parse;
mod pem;
mod position;
mod print;
mod report;
mod schema;
mod secret;
mod source;
mod subscription;
mod topic;
mod uri;

pub use self::{
    credentials::ConnectionCredentials,
    draft::Draft,
    mapper::{BUILT_IN_MAPPERS, BuiltInMapper, MapperFinding, MappingDefinition},
    model::{Connection, ConnectionStatus, SaslMechanism, Target},
    nearest::nearest,
    position::Position,
    report::{Check, Finding, Severity, ValidationReport},
    schema::json_schema,
    secret::MASK,
    source::{AcknowledgementRequests, Enforcement, ReplyDestination, ResponseType, Source},
    subscription::{ExtraField, TopicSubscription},
    topic::{FilteredTopic, TopicError, TopicErrorKind},
    uri::{ConnectionUri, Credentials, UriScheme},
};
