//! Connections that are gone with the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ditto_connection::Connection;
use ditto_protocol::ConnectionId;

use super::{ConnectionStore, Loaded, Record, StoreError};

/// Keeps connections until it is dropped: for the quickstart, and for tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<ConnectionId, Record>,
    deleted: BTreeMap<ConnectionId, u64>,
}

impl MemoryStore {
    /// A store that has these connections, each changed once.
    #[must_use]
    pub fn with(connections: impl IntoIterator<Item = Connection>) -> Self {
        let records = connections.into_iter().map(|connection| {
            let record = Record::first(connection, 1);
            (record.connection.id().clone(), record)
        });
        Self { kept: Mutex::new(Kept { records: records.collect(), deleted: BTreeMap::new() }) }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionStore for MemoryStore {
    fn load(&self) -> Result<Loaded, StoreError> {
        let kept = self.kept();
        Ok(Loaded {
            records: kept.records.values().cloned().collect(),
            deleted: kept.deleted.clone(),
            ..Loaded::default()
        })
    }

    fn put(&self, record: &Record) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let id = record.connection.id();
        kept.deleted.remove(id);
        kept.records.insert(id.clone(), record.clone());
        Ok(())
    }

    fn delete(&self, id: &ConnectionId, sequence: u64) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let was_there = kept.records.remove(id).is_some();
        if was_there {
            kept.deleted.insert(id.clone(), sequence);
        }
        Ok(was_there)
    }
}
