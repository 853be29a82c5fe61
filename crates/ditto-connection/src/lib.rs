#![doc = include_str!("../README.md")]

mod model;
mod nearest;
mod parse;
mod position;
mod report;
mod subscription;
mod topic;
mod uri;

pub use self::{
    model::{Connection, ConnectionStatus, SaslMechanism, Target},
    nearest::nearest,
    report::{Finding, Severity, ValidationReport},
    subscription::{ExtraField, TopicSubscription},
    topic::{FilteredTopic, TopicError, TopicErrorKind},
    uri::{ConnectionUri, Credentials, UriScheme},
};
