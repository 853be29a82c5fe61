//! Why a message could not be mapped.

use std::borrow::Cow;
use std::fmt;

use ditto_placeholder::{FunctionError, TemplateError};
use ditto_protocol::{ErrorCode, ProtocolError};

/// Why a message could not be mapped: with the reference's code and status, what is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingError {
    code: Cow<'static, str>,
    status: u16,
    reason: Cow<'static, str>,
    remedy: Cow<'static, str>,
    mapper: Option<Box<str>>,
    topic: Option<Box<str>>,
}

impl MappingError {
    /// An error with a code of the reference.
    pub fn new(
        code: ErrorCode,
        reason: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::of_code(code.name(), code.status(), reason, remedy)
    }

    /// The mapper failed: `connectivity:message.mapping.failed`.
    pub fn failed(reason: impl Into<Cow<'static, str>>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::MESSAGE_MAPPING_FAILED, reason, remedy)
    }

    /// An error with the code of somebody else.
    pub(crate) fn of_code(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        reason: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code: code.into(),
            status,
            reason: reason.into(),
            remedy: remedy.into(),
            mapper: None,
            topic: None,
        }
    }

    pub(crate) fn of_mapper(self, mapper: &str) -> Self {
        Self { mapper: Some(mapper.into()), ..self }
    }

    pub(crate) fn with_topic(self, topic: &str) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// The code of the reference.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The id of the mapper that failed, once it is known.
    pub fn mapper(&self) -> Option<&str> {
        self.mapper.as_deref()
    }

    /// The topic of the incoming message that failed, if it had one.
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mapper) = &self.mapper {
            write!(f, "mapper `{mapper}`: ")?;
        }
        write!(f, "{}; {} ({})", self.reason, self.remedy, self.code)
    }
}

impl std::error::Error for MappingError {}

impl From<ProtocolError> for MappingError {
    fn from(error: ProtocolError) -> Self {
        Self::new(error.code(), error.message().to_owned(), "mend the message, or use another mapper")
    }
}

impl From<FunctionError> for MappingError {
    fn from(error: FunctionError) -> Self {
        Self::of_code(error.code(), 400, error.to_string(), "mend the placeholder or what it is given")
    }
}

impl From<&TemplateError> for MappingError {
    fn from(error: &TemplateError) -> Self {
        Self::of_code(error.code(), 400, error.to_string(), "mend the placeholder in the definition")
    }
}
