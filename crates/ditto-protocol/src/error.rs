//! Why a text is no Ditto Protocol message.

use std::borrow::Cow;

/// An error with the reference's code and status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({})", code.name)]
pub struct ProtocolError {
    code: ErrorCode,
    message: Cow<'static, str>,
}

/// A code of the reference with its HTTP status. Codes are never reused for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode {
    name: &'static str,
    status: u16,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $status:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $constant: Self = Self { name: $name, status: $status };)*
        }
    };
}

codes! {
    /// Not JSON, or a member of the wrong type.
    JSON_INVALID = "json.invalid", 400;
    /// A member that must be there is not.
    JSON_FIELD_MISSING = "json.field.missing", 400;
    /// JSON of another shape than the resource has.
    JSON_FORMAT_INVALID = "json.format.invalid", 400;
    /// An empty segment in a path.
    JSON_POINTER_INVALID = "json.pointer.invalid", 400;
    /// A member name with characters that keys of a thing must not have.
    JSON_KEY_INVALID = "json.key.invalid", 400;
    /// A header of the wrong type.
    HEADER_INVALID = "header.invalid", 400;
    /// A time-out that is no duration.
    TIMEOUT_INVALID = "timeout.invalid", 400;
    /// No signal has such a topic.
    UNKNOWN_TOPIC_PATH = "protocoladapter:unknown.topicpath", 400;
    /// No resource has such a path.
    UNKNOWN_PATH = "protocoladapter:unknown.path", 400;
    /// Path and topic of a message contradict each other.
    INVALID_PATH = "protocoladapter:invalid.path", 400;
    /// A response with a status or a value that its kind does not have.
    ILLEGAL_ADAPTABLE = "protocoladapter:illegal.adaptable", 422;
    /// No thing id.
    THING_ID_INVALID = "things:id.invalid", 400;
    /// Another thing id than that of the topic.
    THING_ID_NOT_SETTABLE = "things:id.notsettable", 400;
    /// A thing without its id.
    THING_ID_NOT_DELETABLE = "things:id.notdeletable", 400;
    /// A request for many things that names none.
    THING_IDS_MISSING = "things:things.ids.missing", 400;
    /// A merge of a whole thing with null or with nothing.
    THING_MERGE_INVALID = "things:merge.invalid", 400;
    /// A policy id cannot be deleted.
    POLICY_ID_NOT_DELETABLE = "things:policyId.notdeletable", 400;
    /// The pointer of an attribute has no segment.
    ATTRIBUTE_POINTER_INVALID = "things:attribute.pointerinvalid", 400;
    /// No definition identifier.
    DEFINITION_INVALID = "things:definition.identifier.invalid", 400;
    /// A feature's definition without an identifier.
    FEATURE_DEFINITION_EMPTY = "things:feature.definition.empty", 400;
    /// No policy id.
    POLICY_ID_INVALID = "policies:id.invalid", 400;
    /// No policy entry.
    POLICY_ENTRY_INVALID = "policies:entry.invalid", 400;
    /// A label that is reserved for imported entries.
    POLICY_LABEL_INVALID = "policies:label.invalid", 400;
    /// No subject id.
    SUBJECT_ID_INVALID = "policies:subjectid.invalid", 400;
    /// An expiry of a policy's subject that is no instant.
    SUBJECT_EXPIRY_INVALID = "policies:subjectexpiry.invalid", 400;
    /// An announcement of a policy's subject with a duration that is none.
    SUBJECT_ANNOUNCEMENT_INVALID = "policies:subjectannouncement.invalid", 400;
    /// A policy that imports itself, or imports too deep.
    POLICY_IMPORT_INVALID = "policies:import.invalid", 400;
    /// A policy past a bound on its size.
    POLICY_TOO_LARGE = "policies:policy.toolarge", 413;
    /// No connection id.
    CONNECTION_ID_INVALID = "connectivity:connection.id.invalid", 400;
    /// No acknowledgement label.
    ACK_LABEL_INVALID = "acknowledgement:label.invalid", 400;
    /// A label that only Ditto itself acknowledges.
    ACK_LABEL_FORBIDDEN = "acknowledgement:ditto.acklabel.forbidden", 400;
    /// Another connection id than that of the request.
    CONNECTION_ID_NOT_SETTABLE = "connectivity:id.notsettable", 400;
    /// There is a connection of that id already.
    CONNECTION_CONFLICT = "connectivity:connection.conflict", 409;
    /// There is no connection of that id.
    CONNECTION_NOT_FOUND = "connectivity:connection.notfound", 404;
    /// A connection could not be connected.
    CONNECTION_FAILED = "connectivity:connection.failed", 504;
    /// Connections cannot be kept for now.
    CONNECTION_UNAVAILABLE = "connectivity:connection.unavailable", 503;
    /// Connections are kept where nobody changes them by a request (our own).
    CONNECTION_NOT_MODIFIABLE = "connectivity:connection.notmodifiable", 403;
    /// A connection is not as the request supposes.
    CONNECTION_PRECONDITION_FAILED = "connectivity:precondition.failed", 412;
    /// What a connection tells is not there.
    CONNECTION_TIMEOUT = "connectivity:connection.timeout", 503;
    /// A connection was never so.
    CONNECTION_HISTORY_NOT_FOUND = "connectivity:connection.history.notfound", 404;
    /// No command for connections.
    CONNECTION_COMMAND_INVALID = "connectivity:command.invalid", 400;
    /// A command of a type that nobody takes.
    JSON_TYPE_NOT_PARSABLE = "json.type.notparsable", 400;
    /// Fields of an answer that are none.
    FIELD_SELECTOR_INVALID = "json.fieldselector.invalid", 400;
    /// A command with headers that its kind does not have.
    COMMAND_HEADERS_INVALID = "command.headers.invalid", 400;
    /// No answer in time.
    COMMAND_TIMEOUT = "command.timeout", 408;
    /// A time-out of a request that is too long.
    REQUEST_TIMEOUT_INVALID = "gateway:timeout.invalid", 400;
    /// No such version of the HTTP API.
    API_VERSION_NOT_SUPPORTED = "api.version.notsupported", 404;
    /// Nobody answers a piggyback command.
    ASK_ERROR = "ask.error", 503;
    /// Whoever asks may not (our own).
    FORBIDDEN = "gateway:forbidden", 403;
    /// Too many logins have failed (our own).
    LOGINS_FAILED = "gateway:authentication.toomanyfailures", 429;
    /// Too many logins are being checked (our own).
    LOGINS_BUSY = "gateway:authentication.busy", 503;
    /// There is no such configuration (our own).
    CONFIGURATION_NOT_FOUND = "devops:config.notfound", 404;
    /// A payload mapper could not map a message.
    MESSAGE_MAPPING_FAILED = "connectivity:message.mapping.failed", 400;
    /// A definition that does not do.
    CONFIGURATION_INVALID = "connectivity:connection.configuration.invalid", 400;
    /// The value of a message is not of its content type.
    MESSAGE_FORMAT_INVALID = "messages:messageformat.invalid", 400;
    /// A placeholder has no value, or there is none of that name.
    PLACEHOLDER_UNRESOLVED = "placeholder:unresolved", 400;
    /// Headers that take too much room.
    HEADERS_TOO_LARGE = "headers.too.large", 431;
    /// A new thing with a policy of its own and one to copy.
    POLICIES_CONFLICTING = "things:policy.conflicting", 400;
    /// A merge with another content type.
    MEDIA_TYPE_UNSUPPORTED = "mediatype.unsupported", 415;
    /// The message is larger than the configured limit (our own limit).
    MESSAGE_TOO_LARGE = "connectivity:message.toolarge", 413;
    /// The message is nested deeper than the configured limit (our own limit).
    MESSAGE_TOO_DEEP = "connectivity:message.toodeep", 400;
    /// The message is not UTF-8.
    MESSAGE_NOT_UTF8 = "connectivity:message.encoding.invalid", 400;
}

impl ErrorCode {
    /// The text of the code.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        self.status
    }
}

impl ProtocolError {
    /// An error; `message` says what is wrong and where.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// The reference's code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status of the code.
    pub fn status(&self) -> u16 {
        self.code.status
    }

    /// What is wrong, without the code.
    pub fn message(&self) -> &str {
        &self.message
    }
}
