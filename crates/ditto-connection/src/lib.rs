#![doc = include_str!("../README.md")]

mod model;
mod parse;
mod position;
mod report;
mod topic;
mod uri;

pub use self::{
    model::{Connection, ConnectionStatus, SaslMechanism, Target},
    report::{Finding, Severity, ValidationReport},
    topic::TopicSubscription,
    uri::{ConnectionUri, Credentials, UriScheme},
};
