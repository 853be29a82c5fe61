//! The model of a connection (connection-model.md §1, §4, §8).

use ditto_placeholder::{KafkaAddress, Template};
use ditto_protocol::{AckLabel, ConnectionId};
use serde_json::Value;

use crate::parse;
use crate::report::{Finding, ValidationReport};
use crate::subscription::TopicSubscription;
use crate::uri::ConnectionUri;

/// A connection whose definition has been checked.
#[derive(Clone)]
pub struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) status: ConnectionStatus,
    pub(crate) uri: ConnectionUri,
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) sasl_mechanism: SaslMechanism,
    pub(crate) debug_enabled: bool,
    pub(crate) ca: Option<String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) warnings: Vec<Finding>,
    /// The definition as it was given: every field is kept, those that have no effect yet too.
    pub(crate) definition: Value,
}

/// What state a connection should be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// It publishes.
    Open,
    /// Any other status of the reference: it does not.
    Closed,
}

/// How user and password are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SaslMechanism {
    /// `plain`
    Plain,
    /// `scram-sha-256`
    ScramSha256,
    /// `scram-sha-512`
    ScramSha512,
}

/// Where signals go.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) address: KafkaAddress,
    pub(crate) topics: Vec<TopicSubscription>,
    pub(crate) authorization_context: Vec<String>,
    pub(crate) header_mapping: Vec<(String, Template)>,
    pub(crate) issued_acknowledgement_label: Option<AckLabel>,
}

impl Connection {
    /// Reads a definition: a connection, or the envelope of the DevOps command around one.
    ///
    /// # Errors
    /// Everything that is wrong with it, if one finding refuses it.
    pub fn from_json(text: &str) -> Result<Self, ValidationReport> {
        parse::connection(text)
    }

    /// Its id.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// The state that it should be in.
    pub fn status(&self) -> ConnectionStatus {
        self.status
    }

    /// Its uri.
    pub fn uri(&self) -> &ConnectionUri {
        &self.uri
    }

    /// `host:port` of the brokers to start with; that of the uri is among them. Each once.
    pub fn bootstrap_servers(&self) -> &[String] {
        &self.bootstrap_servers
    }

    /// How the credentials of the uri are proven.
    pub fn sasl_mechanism(&self) -> SaslMechanism {
        self.sasl_mechanism
    }

    /// Whether acknowledgements carry the metadata of the record.
    pub fn is_debug_enabled(&self) -> bool {
        self.debug_enabled
    }

    /// The certificates that are trusted instead of the system's, in PEM.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Its targets in order.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What was found and does not refuse it.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The definition as it was given, every field kept, **with its secrets**.
    pub fn definition_with_secrets(&self) -> &Value {
        &self.definition
    }
}

/// Without the definition, since that holds secrets.
impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("uri", &self.uri.to_string())
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Topic, key and partition of its records.
    pub fn address(&self) -> &KafkaAddress {
        &self.address
    }

    /// What it subscribes to.
    pub fn topics(&self) -> &[TopicSubscription] {
        &self.topics
    }

    /// The subjects that it acts for; never empty.
    pub fn authorization_context(&self) -> &[String] {
        &self.authorization_context
    }

    /// Record headers and their values, in the order of the definition.
    pub fn header_mapping(&self) -> &[(String, Template)] {
        &self.header_mapping
    }

    /// The label that it acknowledges, resolved.
    pub fn issued_acknowledgement_label(&self) -> Option<&AckLabel> {
        self.issued_acknowledgement_label.as_ref()
    }
}
