//! Where connections are kept over a restart (reliability.md §5).
//!
//! Everything here blocks; whoever has a runtime calls it from a thread that may.

mod directory;
mod embedded;
mod memory;
mod sealed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use ditto_connection::Connection;
use ditto_protocol::ConnectionId;

pub use self::{
    directory::DirectoryStore,
    embedded::EmbeddedStore,
    memory::MemoryStore,
    sealed::{KeyError, StoreKey, StoreKeys},
};

/// Where connections are kept. Changes of one connection come one after the other: order is the business of whoever
/// changes.
pub trait ConnectionStore: Send + Sync {
    /// All that is kept. What cannot be read is told and does not keep the others from being read.
    ///
    /// # Errors
    /// Nothing can be read.
    fn load(&self) -> Result<Loaded, StoreError>;

    /// Keeps a connection in place of the one with its id. When it returns, a crash does not undo it.
    ///
    /// # Errors
    /// It is not kept; what was kept before still is.
    fn put(&self, record: &Record) -> Result<(), StoreError>;

    /// Forgets a connection, all but the number of this change; whether it was there. When it returns, a crash does not
    /// undo it.
    ///
    /// # Errors
    /// It is still kept.
    fn delete(&self, id: &ConnectionId, sequence: u64) -> Result<bool, StoreError>;
}

/// A connection as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The connection, with its secrets.
    pub connection: Arc<Connection>,
    /// The number of the last change that gave it its definition: of what an ETag tells.
    pub revision: u64,
    /// The number of the last change of all; opening and closing are changes too. From 1, and it goes on counting if the id
    /// comes again after it was deleted (http-api.md §5).
    pub sequence: u64,
    /// When it was created.
    pub created: SystemTime,
    /// When it was changed last.
    pub modified: SystemTime,
}

impl Record {
    /// A connection that is new, by the change of this number.
    #[must_use]
    pub fn first(connection: Connection, sequence: u64) -> Self {
        let now = SystemTime::now();
        Self { connection: Arc::new(connection), revision: sequence, sequence, created: now, modified: now }
    }
}

/// What a store has.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Connections, by id or by the name of their file.
    pub records: Vec<Record>,
    /// What is none, or none any more.
    pub unreadable: Vec<Unreadable>,
    /// The numbers of the changes that deleted those that are no more.
    pub deleted: BTreeMap<ConnectionId, u64>,
}

/// Something that is kept and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Id of the connection, or its file.
    pub name: String,
    /// Why, without a secret.
    pub reason: String,
    /// The number of its last change, as far as that can be told without reading it; 0 if it cannot.
    pub sequence: u64,
}

/// Why a store did not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct StoreError {
    kind: StoreErrorKind,
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a failure of a store means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It is not there, or has no room; it may be again.
    Unavailable,
    /// Others may read or write it: its secrets are none.
    Permissions,
    /// It was written by a version that this one does not know.
    Format,
    /// It cannot be changed.
    ReadOnly,
    /// There is no such folder, or nobody may read it.
    Nowhere,
}

impl StoreError {
    fn new(kind: StoreErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    fn unavailable(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(StoreErrorKind::Unavailable, what) }
    }

    fn nowhere(what: impl Into<String>, source: std::io::Error) -> Self {
        Self { source: Some(source.into()), ..Self::new(StoreErrorKind::Nowhere, what) }
    }

    /// What it means.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

#[cfg(test)]
mod tests;
