//! What can go wrong.

use std::borrow::Cow;
use std::fmt;

use rdkafka::error::KafkaError;

use crate::code::{ErrorCode, Scope};
use crate::connection::ConnectionError;

/// Why a record was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct PublishError {
    code: ErrorCode,
    scope: Scope,
    retriable: bool,
    reason: Cow<'static, str>,
}

impl PublishError {
    /// The error with this code, by the table.
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self {
            code,
            scope: code.scope(),
            retriable: code.is_retriable(),
            reason: Cow::Borrowed(code.description()),
        }
    }

    pub(crate) fn with_reason(code: ErrorCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), ..Self::new(code) }
    }

    /// The error of a record's report. A record that timed out or was purged has no cause of its own:
    /// it takes that of the connection (outbound.md §6.4).
    pub(crate) fn of_report(code: ErrorCode, connection: Option<&ConnectionError>) -> Self {
        let mut error = Self::new(code);
        let caused =
            matches!(code, ErrorCode::MSG_TIMED_OUT | ErrorCode::PURGE_QUEUE | ErrorCode::PURGE_INFLIGHT);
        if caused && let Some(cause) = connection {
            error.retriable = !cause.is_security();
            error.reason = Cow::Owned(format!("{}, {cause}", code.description()));
        }
        error
    }

    /// The error of a record that asked for this partition. If it asked for none and there is none, that is the topic's
    /// fault: librdkafka says so of one that was deleted.
    pub(crate) fn for_partition(mut self, asked: Option<i32>) -> Self {
        if asked.is_none() && self.code == ErrorCode::UNKNOWN_PARTITION {
            self.scope = Scope::Target;
            self.reason = Cow::Borrowed("the topic has no partition, as after it was deleted");
        }
        self
    }

    /// The code of the broker or of librdkafka.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the error concerns.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether the reference answers 500 (true) or 400 (false): outbound.md §6.4.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        self.retriable
    }

    /// One line in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Why a client could not be made, asked or closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {reason}")]
pub struct ClientError {
    kind: ClientErrorKind,
    reason: String,
}

/// What [`ClientError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The settings can't work; no try will change that.
    Configuration,
    /// The client could not be started, or a thread for it.
    Start,
    /// The cluster answered with an error, or not at all.
    Cluster(ErrorCode),
    /// Records are gone that were to be read.
    Truncated,
    /// The client was closed.
    Closed,
}

impl fmt::Display for ClientErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("invalid client configuration"),
            Self::Start => f.write_str("client not started"),
            Self::Cluster(code) => write!(f, "cluster request failed with {code}"),
            Self::Truncated => f.write_str("records are gone before they were read"),
            Self::Closed => f.write_str("client is closed"),
        }
    }
}

impl ClientError {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> ClientErrorKind {
        self.kind
    }

    /// One line in words; never holds a credential.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn truncated(reason: impl Into<String>) -> Self {
        Self { kind: ClientErrorKind::Truncated, reason: reason.into() }
    }

    pub(crate) fn configuration(reason: impl Into<String>) -> Self {
        Self { kind: ClientErrorKind::Configuration, reason: reason.into() }
    }

    pub(crate) fn start(reason: impl Into<String>) -> Self {
        Self { kind: ClientErrorKind::Start, reason: reason.into() }
    }

    pub(crate) fn closed(reason: impl Into<String>) -> Self {
        Self { kind: ClientErrorKind::Closed, reason: reason.into() }
    }

    pub(crate) fn cluster(code: ErrorCode) -> Self {
        Self { kind: ClientErrorKind::Cluster(code), reason: code.description().to_owned() }
    }

    pub(crate) fn from_rdkafka(error: &KafkaError) -> Self {
        match error {
            // The value may be a credential: name the setting only.
            KafkaError::ClientConfig(_, why, name, _) => {
                Self::configuration(format!("{} for `{name}`", why.to_lowercase()))
            }
            KafkaError::ClientCreation(why) => Self::start(why.trim()),
            other => Self::cluster(ErrorCode::from_error(other)),
        }
    }
}

#[cfg(test)]
mod tests;
