//! Why the registry did not do what it was asked.

use ditto_connection::ValidationReport;
use ditto_protocol::{ConnectionId, ErrorCode};
use serde_json::{Value, json};

use crate::error::{Failure, chain};
use crate::store::{StoreError, StoreErrorKind};

/// Why a change was not made, or what became of it. `Display` is the message of the error object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The definition is refused. Nothing has changed.
    #[error("the definition is refused")]
    Invalid(#[source] ValidationReport),
    /// The definition has another id than the request. Nothing has changed.
    #[error("the definition has the id `{found}`, and the request is for `{asked}`")]
    OtherId {
        /// That of the request.
        asked: ConnectionId,
        /// That of the definition.
        found: ConnectionId,
    },
    /// There is a connection of that id already. Nothing has changed.
    #[error("the connection with ID `{0}` already exists")]
    Conflict(ConnectionId),
    /// There is no connection of that id.
    #[error("the connection with ID `{0}` could not be found")]
    NotFound(ConnectionId),
    /// The connection is not as the request supposes. Nothing has changed.
    #[error("the {header} precondition is not met by the connection with ID `{id}`")]
    Precondition {
        /// Which one.
        id: ConnectionId,
        /// The header that supposes it.
        header: &'static str,
    },
    /// A connection of that id is kept and cannot be read. Nothing has changed.
    #[error("the connection with ID `{id}` is kept and cannot be read: {reason}")]
    Unreadable {
        /// Which one.
        id: ConnectionId,
        /// Why.
        reason: String,
    },
    /// Connections are kept where nobody changes them by a request. Nothing has changed.
    #[error("{0}")]
    ReadOnly(String),
    /// The change could not be kept. Nothing has changed.
    #[error("{0}")]
    Store(String),
    /// The change is kept, and the connection did not connect in time; it is tried on.
    #[error("the connection with ID `{id}` failed to connect")]
    Failed {
        /// Which one.
        id: ConnectionId,
        /// Why, as far as it is known.
        failure: Failure,
    },
    /// The service is ending. Nothing has changed.
    #[error("the service is ending")]
    Ending,
}

impl RegistryError {
    /// The code of the reference, with its HTTP status.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // Its first finding has a code of its own: see `to_json`.
            Self::Invalid(_) => ErrorCode::CONFIGURATION_INVALID,
            Self::OtherId { .. } => ErrorCode::CONNECTION_ID_NOT_SETTABLE,
            Self::Conflict(_) | Self::Unreadable { .. } => ErrorCode::CONNECTION_CONFLICT,
            Self::NotFound(_) => ErrorCode::CONNECTION_NOT_FOUND,
            Self::Precondition { .. } => ErrorCode::CONNECTION_PRECONDITION_FAILED,
            Self::ReadOnly(_) => ErrorCode::CONNECTION_NOT_MODIFIABLE,
            Self::Store(_) | Self::Ending => ErrorCode::CONNECTION_UNAVAILABLE,
            Self::Failed { .. } => ErrorCode::CONNECTION_FAILED,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(report) => report.first_error().map_or(400, |first| first.status()),
            other => other.code().status(),
        }
    }

    /// The error object of the HTTP API (connection-model.md §2). Of a definition: its first error, with all findings beside.
    #[must_use]
    pub fn to_json(&self) -> Value {
        if let Self::Invalid(report) = self {
            return report.to_json();
        }
        json!({
            "status": self.status(),
            "error": self.code().name(),
            "message": format!("{self}."),
            "description": self.remedy(),
        })
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Invalid(report) => report.first_error().map(|it| it.remedy.clone()).unwrap_or_default(),
            Self::OtherId { .. } => "leave the id out, or give that of the request".to_owned(),
            Self::Conflict(_) => "choose another id, or change the connection that is there".to_owned(),
            Self::NotFound(_) => "check the id; there is no other way to tell what was meant".to_owned(),
            Self::Precondition { .. } => "read the connection again, and change what it is now".to_owned(),
            Self::Unreadable { .. } => {
                "replace it by a PUT, or delete it; or start the version that has written it, or give the key that it is \
                 sealed with as store.old_key"
                    .to_owned()
            }
            Self::ReadOnly(_) => {
                "change the files, or set store.kind = \"embedded\" in the configuration".to_owned()
            }
            Self::Store(_) => "see the log of the service, and try again".to_owned(),
            Self::Failed { failure, .. } => failure.reason.clone(),
            Self::Ending => "try again when it has started".to_owned(),
        }
    }
}

impl From<ValidationReport> for RegistryError {
    fn from(report: ValidationReport) -> Self {
        Self::Invalid(report)
    }
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::ReadOnly => Self::ReadOnly(error.to_string()),
            _ => Self::Store(chain(&error)),
        }
    }
}
