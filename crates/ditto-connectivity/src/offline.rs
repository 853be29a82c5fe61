//! What commands have in common that look after positions beside the service: what they work on, and why they did not do what
//! they were asked.

use std::io;
use std::path::Path;

use ditto_kafka::{ClientError, GroupError, GroupErrorKind};

use crate::config::{Config, ConfigErrors};
use crate::directory::DirectoryError;
use crate::error::{chain, code_of_store};
use crate::exit;
use crate::process::fail;
use crate::store::{Record, StoreError};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("connections cannot be read")]
    Store(#[source] StoreError),
    #[error("{0}")]
    Usage(String),
    /// Something is configured that does not go together, or with what is there.
    #[error("{0}")]
    Setting(String),
    /// Of a lane, or of a connection's dead letters.
    #[error("{0}")]
    Client(String, #[source] ClientError),
    #[error("{0}: {1}")]
    Group(String, GroupError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("no runtime")]
    Runtime(#[source] io::Error),
}

impl CommandError {
    fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Setting(_) | Self::Directory(_) => exit::CONFIG,
            Self::Store(error) => code_of_store(error),
            Self::Usage(_) => exit::USAGE,
            Self::Group(_, error) if error.kind() == GroupErrorKind::NotThere => exit::USAGE,
            Self::Client(..) | Self::Group(..) | Self::Runtime(_) => exit::UNAVAILABLE,
        }
    }
}

/// The exit code of a command; why, if it has failed, is told.
pub(crate) fn ended(done: Result<u8, CommandError>) -> u8 {
    done.unwrap_or_else(|error| fail(&chain(&error), error.code()))
}

/// The configuration, and the connections that are kept where it says.
pub(crate) fn load(config: &Path) -> Result<(Config, Vec<Record>), CommandError> {
    let config = Config::load(config)?;
    let loaded = config.store.open().and_then(|store| store.load()).map_err(CommandError::Store)?;
    Ok((config, loaded.records))
}
