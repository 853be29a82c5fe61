//! What goes wrong with the service, with a connection, or with what the process was asked for.

use std::error::Error;
use std::io;

use ditto_kafka::ClientError;

use crate::directory::DirectoryError;
use crate::exit;
use crate::store::{StoreError, StoreErrorKind};

/// Why the service cannot start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// There is nothing to run.
    #[error("{0}")]
    NoConnection(String),
    /// What connections are kept in cannot be used.
    #[error("connections cannot be read")]
    Store(#[source] StoreError),
    /// A file of the feed cannot be used.
    #[error("`{0}` cannot be used")]
    File(String, #[source] io::Error),
    /// A client cannot be made, or failed for good.
    #[error("kafka client of {0} failed")]
    Client(String, #[source] ClientError),
    /// What knows things and policies cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A lane panicked.
    #[error("a lane ended unexpectedly; this is a bug: {0}")]
    Internal(String),
}

/// What keeps a connection from working: no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// What is wrong, and where.
    pub reason: String,
    /// Whether somebody has to correct a setting, here or at the brokers, before it can work.
    pub is_misconfigured: bool,
}

pub(crate) fn code_of(error: &AppError) -> u8 {
    match error {
        AppError::NoConnection(_) | AppError::Directory(_) => exit::CONFIG,
        AppError::Store(error) => code_of_store(error),
        AppError::File(..) | AppError::Client(..) => exit::UNAVAILABLE,
        AppError::Internal(_) => exit::INTERNAL,
    }
}

/// A format or a mode that does not do somebody has to correct; another process may end.
pub(crate) fn code_of_store(error: &StoreError) -> u8 {
    match error.kind() {
        StoreErrorKind::Unavailable => exit::UNAVAILABLE,
        _ => exit::CONFIG,
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
