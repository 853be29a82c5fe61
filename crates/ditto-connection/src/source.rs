//! Where messages come from (connection-model.md §5). They are read and kept: whoever runs connections does not
//! consume them (docs/adr/0031-sources-are-kept-and-targets-run.md).

use ditto_placeholder::Template;
use ditto_protocol::AckLabel;

use crate::model::HeaderMapping;

/// Kafka topics, and what becomes of their records.
#[derive(Debug, Clone)]
pub struct Source {
    pub(crate) addresses: Vec<String>,
    pub(crate) consumer_count: i32,
    pub(crate) qos: Option<i32>,
    pub(crate) authorization_context: Vec<String>,
    pub(crate) enforcement: Option<Enforcement>,
    pub(crate) acknowledgement_requests: Option<AcknowledgementRequests>,
    pub(crate) headers: HeaderMapping,
    pub(crate) payload_mapping: Vec<String>,
    pub(crate) reply_target: ReplyTarget,
    /// Each as it was given, and resolved.
    pub(crate) declared_acks: Vec<(AckLabel, AckLabel)>,
}

/// Which entities messages may be about.
#[derive(Debug, Clone)]
pub struct Enforcement {
    pub(crate) input: (String, Template),
    pub(crate) filters: Vec<(String, Template)>,
}

/// Which acknowledgements are asked for in the name of a message.
#[derive(Debug, Clone)]
pub struct AcknowledgementRequests {
    pub(crate) includes: Vec<AckLabel>,
    /// Not read: the reference looks at it with each message.
    pub(crate) filter: Option<String>,
}

/// Where answers go.
#[derive(Debug, Clone)]
pub(crate) struct ReplyTarget {
    pub(crate) is_enabled: bool,
    /// `None` without an address, which only one that is not enabled lacks.
    pub(crate) destination: Option<ReplyDestination>,
}

/// The address of answers, and which go there.
#[derive(Clone)]
pub struct ReplyDestination {
    pub(crate) address: String,
    pub(crate) header_mapping: Vec<(String, String)>,
    pub(crate) expected_response_types: Vec<ResponseType>,
}

/// A kind of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResponseType {
    /// `response`
    Response,
    /// `error`
    Error,
    /// `nack`: an acknowledgement that failed.
    Nack,
}

impl Source {
    /// Names of Kafka topics, each once; at least one.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// How many consumers each address has; from 0 downwards none.
    pub fn consumer_count(&self) -> i32 {
        self.consumer_count
    }

    /// 0: offsets are committed at once, the default. 1: after a message is acknowledged.
    pub fn qos(&self) -> Option<i32> {
        self.qos
    }

    /// The subjects that it acts for, with placeholders; never empty.
    pub fn authorization_context(&self) -> &[String] {
        &self.authorization_context
    }

    /// Which entities messages may be about.
    pub fn enforcement(&self) -> Option<&Enforcement> {
        self.enforcement.as_ref()
    }

    /// Which acknowledgements are asked for.
    pub fn acknowledgement_requests(&self) -> Option<&AcknowledgementRequests> {
        self.acknowledgement_requests.as_ref()
    }

    /// Headers of signals and their values.
    pub fn header_mapping(&self) -> &[(String, Template)] {
        &self.headers.templates
    }

    /// Names of the payload mappers, in the order in which they run; none means Ditto's own.
    pub fn payload_mapping(&self) -> &[String] {
        &self.payload_mapping
    }

    /// Where answers go; `None` if answers are not wanted.
    pub fn reply_destination(&self) -> Option<&ReplyDestination> {
        self.reply_target.destination.as_ref().filter(|_| self.reply_target.is_enabled)
    }

    /// The labels that it may acknowledge, resolved.
    pub fn declared_acks(&self) -> impl Iterator<Item = &AckLabel> {
        self.declared_acks.iter().map(|(_, resolved)| resolved)
    }
}

impl Enforcement {
    /// What is compared: a value of the message.
    pub fn input(&self) -> &Template {
        &self.input.1
    }

    /// With what: values of the signal, one of which must be equal.
    pub fn filters(&self) -> impl Iterator<Item = &Template> {
        self.filters.iter().map(|(_, template)| template)
    }
}

impl AcknowledgementRequests {
    /// The labels, as they were given.
    pub fn includes(&self) -> &[AckLabel] {
        &self.includes
    }

    /// When to ask; a text that only a message makes sense of.
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }
}

impl ReplyDestination {
    /// The address; the reference reads it with each answer.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Record headers and their values; read with each answer.
    pub fn header_mapping(&self) -> &[(String, String)] {
        &self.header_mapping
    }

    /// Which answers go there, each kind once.
    pub fn expected_response_types(&self) -> &[ResponseType] {
        &self.expected_response_types
    }
}

/// Of headers the names only: values may be secrets.
impl std::fmt::Debug for ReplyDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.header_mapping.iter().map(|(name, _)| name).collect();
        f.debug_struct("ReplyDestination")
            .field("address", &self.address)
            .field("header_mapping", &headers)
            .field("expected_response_types", &self.expected_response_types)
            .finish()
    }
}

impl ResponseType {
    pub(crate) const ALL: [Self; 3] = [Self::Response, Self::Error, Self::Nack];

    /// As it stands in definitions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Error => "error",
            Self::Nack => "nack",
        }
    }
}

/// What a source has that does not say where answers go (connection-model.md §5).
pub(crate) const DEFAULT_REPLY_ADDRESS: &str = "{{header:reply-to}}";
/// The headers that answers then have.
pub(crate) const DEFAULT_REPLY_HEADERS: [(&str, &str); 2] =
    [("content-type", "{{header:content-type}}"), ("correlation-id", "{{header:correlation-id}}")];
/// The headers that its signals then have; its own ones win.
pub(crate) const DEFAULT_SOURCE_HEADERS: [(&str, &str); 3] = [
    ("content-type", "{{header:content-type}}"),
    ("correlation-id", "{{header:correlation-id}}"),
    ("reply-to", "{{header:reply-to}}"),
];
/// The answers that go to a reply target which does not say so.
pub(crate) const DEFAULT_RESPONSE_TYPES: [ResponseType; 2] = [ResponseType::Response, ResponseType::Error];
