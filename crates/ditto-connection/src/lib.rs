#![doc = include_str!("../README.md")]

mod report;
mod position;
mod uri;
mod topic;
mod model;
mod parse;

pub use self::{
    model::{Connection, ConnectionStatus, SaslMechanism, Target},
    report::{Finding, Severity, ValidationReport},
    topic::TopicSubscription,
    uri::{ConnectionUri, Credentials, UriScheme},
};
