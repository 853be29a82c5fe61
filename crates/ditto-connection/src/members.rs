//! The members of a definition (connection-model.md §1): what the JSON Schema is made of, and what everything else is
//! unlike.

use crate::mapper::BUILT_IN_MAPPERS;

/// A JSON object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) members: &'static [Member],
    /// Whether members that are not in the table are kept.
    pub(crate) is_open: bool,
}

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it must be there. Others may be null, which is the same as absent.
    pub(crate) is_required: bool,
    pub(crate) about: &'static str,
}

/// What a member is.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    OneOf(&'static [&'static str]),
    Flag,
    Int {
        min: i64,
    },
    /// A list of texts, or of some texts only.
    Texts,
    SomeOf(&'static [&'static str]),
    /// Names and texts.
    TextMap,
    /// Names and anything, which is kept as text.
    AnyMap,
    /// Names and anything, which is kept.
    Options,
    /// What becomes text.
    AnyText,
    Object(&'static Object),
    Objects(&'static Object),
    ObjectMap(&'static Object),
}

impl Object {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().map(|member| member.name)
    }
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, is_required: true, about }
}

const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, is_required: false, about }
}

const fn closed(name: &'static str, about: &'static str, members: &'static [Member]) -> Object {
    Object { name, about, members, is_open: false }
}

/// Connection types; only `kafka` is served.
pub(crate) const TYPES: [&str; 7] = ["kafka", "amqp-091", "amqp-10", "mqtt", "mqtt-5", "http-push", "hono"];

/// Statuses.
pub(crate) const STATUSES: [&str; 5] = ["open", "closed", "failed", "misconfigured", "unknown"];

/// Kinds of credentials that a Kafka connection may have.
pub(crate) const CREDENTIALS_TYPES: [&str; 3] = ["client-cert", "plain", "public-key"];

/// And those that it may not.
pub(crate) const FOREIGN_CREDENTIALS_TYPES: [&str; 3] =
    ["hmac", "oauth-client-credentials", "oauth-password"];

/// A connection.
pub(crate) static CONNECTION: Object = closed(
    "connection",
    "A connection of Eclipse Ditto to Apache Kafka.",
    &[
        optional(
            "id",
            Kind::Text,
            "1 to 100 of A-Z a-z 0-9 - _ :. A file and a DevOps command have one, a POST has none.",
        ),
        optional("name", Kind::Text, "A name for people."),
        required("connectionType", Kind::OneOf(&["kafka"]), "The protocol."),
        optional(
            "connectionStatus",
            Kind::OneOf(&STATUSES),
            "The state that it should be in: only open publishes. Required but for a POST, where it is unknown by default.",
        ),
        required(
            "uri",
            Kind::Text,
            "tcp://[user:password@]host:port, or ssl:// for TLS. @ / # ? % and blanks in user and password are percent-encoded.",
        ),
        optional(
            "sources",
            Kind::Objects(&SOURCE),
            "Where messages come from: at most 4. Kept for Ditto's own service; this one does not consume.",
        ),
        optional("targets", Kind::Objects(&TARGET), "Where signals go: at most 4."),
        optional(
            "clientCount",
            Kind::Int { min: 1 },
            "How many clients Ditto starts; here it is always one. Default: 1.",
        ),
        optional(
            "failoverEnabled",
            Kind::Flag,
            "Has no effect for Kafka: what fails is tried again. Default: true.",
        ),
        optional(
            "validateCertificates",
            Kind::Flag,
            "Certificates are validated all the same; false takes the effect of ca away. Default: true.",
        ),
        optional(
            "processorPoolSize",
            Kind::Int { min: 1 },
            "How many payload mappings Ditto runs at once. Default: 1.",
        ),
        optional(
            "specificConfig",
            Kind::Object(&SPECIFIC_CONFIG),
            "What only Kafka has; every value is kept as text.",
        ),
        optional(
            "mappingDefinitions",
            Kind::ObjectMap(&MAPPING_DEFINITION),
            "Payload mappers with options, by the name that payloadMapping has.",
        ),
        optional(
            "mappingContext",
            Kind::Object(&MAPPING_DEFINITION),
            "Of old: becomes the definition javascript, which every source and target then has.",
        ),
        optional(
            "credentials",
            Kind::Object(&CREDENTIALS),
            "What a TLS client shows. User and password stand in the uri.",
        ),
        optional(
            "ca",
            Kind::Text,
            "The certificates that are trusted instead of the system's, in PEM; for ssl only.",
        ),
        optional("sshTunnel", Kind::Object(&SSH_TUNNEL), "Refused: Kafka connections cannot be tunnelled."),
        optional("tags", Kind::Texts, "Names that connections are found by."),
        optional("__lifecycle", Kind::Text, "Of the server; has no effect here."),
        optional("_revision", Kind::Int { min: i64::MIN }, "Of the server; has no effect here."),
        optional("_created", Kind::Text, "Of the server; has no effect here."),
        optional("_modified", Kind::Text, "Of the server; has no effect here."),
    ],
);

/// A source.
pub(crate) static SOURCE: Object = closed(
    "source",
    "Where messages come from.",
    &[
        required("addresses", Kind::Texts, "Names of Kafka topics; at least one, without placeholders."),
        optional(
            "consumerCount",
            Kind::Int { min: i32::MIN as i64 },
            "Consumers for each address. Default: 1.",
        ),
        optional(
            "qos",
            Kind::Int { min: 0 },
            "0, or 1: commit after a message is acknowledged. Acts as 0 by default.",
        ),
        required("authorizationContext", Kind::Texts, "The subjects that the source acts for; at least one."),
        optional("enforcement", Kind::Object(&ENFORCEMENT), "Which entities messages may be about."),
        optional(
            "acknowledgementRequests",
            Kind::Object(&ACKNOWLEDGEMENT_REQUESTS),
            "Which acknowledgements are asked for.",
        ),
        optional("headerMapping", Kind::TextMap, "Headers of signals and their values, with placeholders."),
        optional("payloadMapping", Kind::Texts, "Names of payload mappers, at most 10. Default: Ditto."),
        optional(
            "replyTarget",
            Kind::Object(&REPLY_TARGET),
            "Where answers go. Default: the header reply-to.",
        ),
        optional(
            "declaredAcks",
            Kind::Texts,
            "Labels that messages may acknowledge: {{connection:id}}:name.",
        ),
    ],
);

pub(crate) static ENFORCEMENT: Object = closed(
    "enforcement",
    "Which entities messages may be about.",
    &[
        required("input", Kind::Text, "A value of the message, such as {{ header:device_id }}."),
        optional(
            "filters",
            Kind::Texts,
            "Values of the signal, one of which must be equal, such as {{ thing:id }}.",
        ),
    ],
);

pub(crate) static ACKNOWLEDGEMENT_REQUESTS: Object = closed(
    "acknowledgementRequests",
    "Which acknowledgements are asked for in the name of a message.",
    &[
        optional("includes", Kind::Texts, "Labels."),
        optional("filter", Kind::Text, "When to ask, such as fn:filter(header:qos,'ne','0')."),
    ],
);

pub(crate) static REPLY_TARGET: Object = closed(
    "replyTarget",
    "Where answers go.",
    &[
        optional("enabled", Kind::Flag, "Whether answers are wanted. Default: true."),
        optional("address", Kind::Text, "As that of a target."),
        optional("headerMapping", Kind::TextMap, "Record headers and their values, with placeholders."),
        optional(
            "expectedResponseTypes",
            Kind::SomeOf(&["response", "error", "nack"]),
            "Which answers go there. Default: response and error.",
        ),
    ],
);

/// A target.
pub(crate) static TARGET: Object = closed(
    "target",
    "Where signals go.",
    &[
        required("address", Kind::Text, "topic, topic/key or topic#partition, with placeholders."),
        optional(
            "topics",
            Kind::Texts,
            "Which signals, such as _/_/things/twin/events?filter=gt(attributes/rpm,9).",
        ),
        optional("qos", Kind::Int { min: i32::MIN as i64 }, "Has no effect for Kafka."),
        required("authorizationContext", Kind::Texts, "The subjects that may read; at least one."),
        optional("headerMapping", Kind::TextMap, "Record headers and their values, with placeholders."),
        optional("payloadMapping", Kind::Texts, "Names of payload mappers, at most 10. Default: Ditto."),
        optional(
            "issuedAcknowledgementLabel",
            Kind::Text,
            "The label that a published signal is acknowledged with: {{connection:id}}:name, or live-response.",
        ),
    ],
);

/// `specificConfig`.
pub(crate) static SPECIFIC_CONFIG: Object = Object {
    name: "specificConfig",
    about: "What only Kafka has.",
    is_open: true,
    members: &[
        required("bootstrapServers", Kind::AnyText, "host:port of brokers, separated by commas or blanks."),
        optional("saslMechanism", Kind::AnyText, "plain, scram-sha-256 or scram-sha-512. Default: plain."),
        optional("groupId", Kind::AnyText, "Consumer group of sources. Default: the id of the connection."),
        optional("consumerOffsetReset", Kind::AnyText, "Where a new group begins: earliest or latest."),
        optional("debugEnabled", Kind::AnyText, "true: acknowledgements carry the place of the record."),
        optional(
            "is-diversion-target",
            Kind::AnyText,
            "true: takes diverted responses; targets then have no topics.",
        ),
        optional("is-diversion-source", Kind::AnyText, "true: responses may be diverted."),
        optional(
            "authorized-connections-as-sources",
            Kind::AnyText,
            "Ids of connections, separated by commas.",
        ),
        optional(
            "preserve-normal-response-via-source",
            Kind::AnyText,
            "true: diverted responses are answered as well.",
        ),
    ],
};

/// A payload mapper.
pub(crate) static MAPPING_DEFINITION: Object = closed(
    "mappingDefinition",
    "A payload mapper with its options.",
    &[
        required("mappingEngine", Kind::Text, "Its name, such as JavaScript."),
        required("options", Kind::Options, "Its options."),
        optional("incomingConditions", Kind::AnyMap, "What must hold of a message from Kafka."),
        optional("outgoingConditions", Kind::AnyMap, "What must hold of a signal to Kafka."),
    ],
);

/// What a connection has beside the credentials of its uri.
pub(crate) static CREDENTIALS: Object = closed(
    "credentials",
    "What a TLS client shows; the other types have no effect for Kafka.",
    &[
        required("type", Kind::OneOf(&CREDENTIALS_TYPES), "The kind."),
        optional("cert", Kind::Text, "Of client-cert: the certificate, in PEM."),
        optional("key", Kind::Text, "Of client-cert: its key, PKCS #8 without password, in PEM."),
        optional("username", Kind::Text, "Of plain and public-key."),
        optional("password", Kind::Text, "Of plain."),
        optional("publicKey", Kind::Text, "Of public-key, in PEM."),
        optional("privateKey", Kind::Text, "Of public-key, in PEM."),
    ],
);

/// A tunnel.
pub(crate) static SSH_TUNNEL: Object = closed(
    "sshTunnel",
    "Refused: Kafka connections cannot be tunnelled.",
    &[
        required("enabled", Kind::Flag, "Whether it is used."),
        required("uri", Kind::Text, "ssh://host:port"),
        required("credentials", Kind::Object(&CREDENTIALS), "Those of the tunnel."),
        required("validateHost", Kind::Flag, "Whether the host shows who it is."),
        optional("knownHosts", Kind::Texts, "Fingerprints."),
    ],
);

/// The names that may stand in `payloadMapping` without a definition.
pub(crate) fn plain_mappers() -> impl Iterator<Item = &'static str> {
    BUILT_IN_MAPPERS.iter().filter(|it| it.is_plain).map(|it| it.alias)
}
