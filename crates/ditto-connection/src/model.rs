//! The model of a connection (connection-model.md §1, §4, §8).

use ditto_placeholder::{KafkaAddress, Template};
use ditto_protocol::{AckLabel, ConnectionId};
use secrecy::SecretString;
use serde_json::Value;

use crate::credentials::ConnectionCredentials;
use crate::draft::Draft;
use crate::mapper::MappingDefinition;
use crate::print;
use crate::report::{Finding, Severity, ValidationReport};
use crate::secret::Secrets;
use crate::source::Source;
use crate::subscription::TopicSubscription;
use crate::uri::{ConnectionUri, UriScheme};

/// A connection whose definition has been checked. Two are equal if they are written the same, secrets too.
#[derive(Clone)]
pub struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) name: Option<String>,
    pub(crate) status: ConnectionStatus,
    pub(crate) uri: ConnectionUri,
    pub(crate) sources: Vec<Source>,
    pub(crate) targets: Vec<Target>,
    pub(crate) client_count: u32,
    pub(crate) failover_enabled: bool,
    pub(crate) validate_certificates: bool,
    pub(crate) processor_pool_size: u32,
    pub(crate) specific_config: Vec<(String, String)>,
    pub(crate) mapping_definitions: Vec<MappingDefinition>,
    pub(crate) credentials: Option<ConnectionCredentials>,
    pub(crate) ca: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) sasl_mechanism: SaslMechanism,
    pub(crate) findings: Vec<Finding>,
}

/// What state a connection should be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionStatus {
    /// It publishes. In any other status it does not.
    Open,
    /// `closed`
    Closed,
    /// `failed`
    Failed,
    /// `misconfigured`
    Misconfigured,
    /// What a connection has that was created without a status.
    Unknown,
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
    pub(crate) address_text: String,
    pub(crate) topics: Vec<TopicSubscription>,
    pub(crate) qos: Option<i32>,
    pub(crate) authorization_context: Vec<String>,
    pub(crate) headers: HeaderMapping,
    pub(crate) payload_mapping: Vec<String>,
    /// As it was given, and resolved.
    pub(crate) issued_acknowledgement_label: Option<(AckLabel, AckLabel)>,
}

/// Headers and their values, in the order of the definition: as they were given, and read.
#[derive(Clone, Default)]
pub(crate) struct HeaderMapping {
    pub(crate) texts: Vec<(String, String)>,
    pub(crate) templates: Vec<(String, Template)>,
}

impl Connection {
    /// Reads a definition from a file: a connection, or the envelope of the DevOps command around one. What comes by a
    /// request has rules of its own: see [`Draft`].
    ///
    /// # Errors
    /// Everything that is wrong with it, if one finding refuses it.
    pub fn from_json(text: &str) -> Result<Self, ValidationReport> {
        Draft::of_file(text).read()
    }

    /// The canonical form: defaults filled in, members in the order of the reference, secrets masked. An answer.
    pub fn to_json(&self) -> Value {
        print::connection(self, Secrets::Masked)
    }

    /// The same **with its secrets**: what a store keeps. It reads back as this connection.
    pub fn to_json_with_secrets(&self) -> Value {
        print::connection(self, Secrets::Clear)
    }

    /// Its id.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// Its name, for people.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The state that it should be in.
    pub fn status(&self) -> ConnectionStatus {
        self.status
    }

    /// The same in another state.
    #[must_use]
    pub fn with_status(self, status: ConnectionStatus) -> Self {
        Self { status, ..self }
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
        is_set(self.specific("debugEnabled"))
    }

    /// The certificates that are trusted instead of the system's, in PEM. As in the reference they count only where
    /// certificates are to be validated.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref().filter(|_| self.validate_certificates)
    }

    /// What it has beside the credentials of the uri.
    pub fn credentials(&self) -> Option<&ConnectionCredentials> {
        self.credentials.as_ref()
    }

    /// The certificates (PEM) that it shows to brokers, and their key (PKCS #8, PEM), over TLS only.
    pub fn client_certificate(&self) -> Option<(&str, &SecretString)> {
        match &self.credentials {
            Some(ConnectionCredentials::ClientCertificate { certificate, key })
                if self.uri.scheme == UriScheme::Ssl =>
            {
                certificate.as_deref().zip(key.as_ref())
            }
            _ => None,
        }
    }

    /// Its sources in order.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Its targets in order.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The payload mappers that it defines, in order.
    pub fn mapping_definitions(&self) -> &[MappingDefinition] {
        &self.mapping_definitions
    }

    /// How many clients the reference would start.
    pub fn client_count(&self) -> u32 {
        self.client_count
    }

    /// How many payload mappings the reference would run at once.
    pub fn processor_pool_size(&self) -> u32 {
        self.processor_pool_size
    }

    /// Names that connections are found by, each once.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// What only Kafka connections have; every value is text.
    pub fn specific_config(&self) -> &[(String, String)] {
        &self.specific_config
    }

    /// All that was found; nothing of it refuses the connection.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was found and neither refuses it nor keeps it from running.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity != Severity::NotServed)
    }

    /// What this service does not do yet. Whoever runs a connection that has any breaks a promise of the definition.
    pub fn not_served(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::NotServed)
    }

    pub(crate) fn specific(&self, name: &str) -> Option<&str> {
        specific(&self.specific_config, name)
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        self.to_json_with_secrets() == other.to_json_with_secrets()
    }
}

/// Without what may hold secrets.
impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("uri", &self.uri)
            .field("sources", &self.sources)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// The names only: values may be secrets, such as those of `authorization`.
impl std::fmt::Debug for HeaderMapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.texts.iter().map(|(name, _)| name)).finish()
    }
}

impl ConnectionStatus {
    pub(crate) const ALL: [Self; 5] =
        [Self::Open, Self::Closed, Self::Failed, Self::Misconfigured, Self::Unknown];

    /// As it stands in definitions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::Misconfigured => "misconfigured",
            Self::Unknown => "unknown",
        }
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
        &self.headers.templates
    }

    /// Names of the payload mappers, in the order in which they run; none means Ditto's own.
    pub fn payload_mapping(&self) -> &[String] {
        &self.payload_mapping
    }

    /// The label that it acknowledges, resolved.
    pub fn issued_acknowledgement_label(&self) -> Option<&AckLabel> {
        self.issued_acknowledgement_label.as_ref().map(|(_, resolved)| resolved)
    }
}

/// The value of a name in `specificConfig`.
pub(crate) fn specific<'c>(config: &'c [(String, String)], name: &str) -> Option<&'c str> {
    config.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Whether a value of `specificConfig` is `true` in any case.
pub(crate) fn is_set(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
