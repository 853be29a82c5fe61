//! A folder of JSON files that somebody else writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ditto_protocol::ConnectionId;

use super::{ConnectionStore, Loaded, Record, StoreError, StoreErrorKind, Unreadable};
use crate::definitions::{BrokenFile, Definition, Definitions};

/// A folder of definitions, `*.json`. It is read again with each [`load`](ConnectionStore::load), and never written. A file
/// that is broken since it was last read counts as what it was.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    folder: PathBuf,
    /// What was last read of each file.
    read: Arc<Mutex<BTreeMap<PathBuf, Record>>>,
}

impl DirectoryStore {
    /// The folder; it is looked at when it is loaded.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), read: Arc::default() }
    }

    /// Each file with the time of its last change and its length: what is different if something was changed. Empty if the
    /// folder cannot be read.
    pub(crate) fn stamp(&self) -> Vec<(PathBuf, SystemTime, u64)> {
        let files = Definitions::files(&self.folder).unwrap_or_default();
        let stamp = |file: PathBuf| {
            let length = std::fs::metadata(&file).map_or(0, |it| it.len());
            (file.clone(), modified(&file), length)
        };
        files.into_iter().map(stamp).collect()
    }

    fn read_only(&self) -> StoreError {
        let what = format!("folder `{}` is only read; change its files", self.folder.display());
        StoreError::new(StoreErrorKind::ReadOnly, what)
    }
}

impl ConnectionStore for DirectoryStore {
    fn load(&self) -> Result<Loaded, StoreError> {
        let definitions = Definitions::load(&self.folder)
            .map_err(|error| StoreError::nowhere(format!("folder `{}`", self.folder.display()), error))?;
        let record = |it: Definition| {
            let modified = modified(&it.file);
            let record = Record {
                connection: Arc::new(it.connection),
                revision: 1,
                sequence: 1,
                created: modified,
                modified,
            };
            (it.file, record)
        };
        let mut records: BTreeMap<_, _> = definitions.connections.into_iter().map(record).collect();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unreadable = Vec::new();
        for BrokenFile { file, findings } in definitions.broken {
            let mut reason = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            let is_taken = |id| records.values().any(|it: &Record| it.connection.id() == id);
            if let Some(before) = read.get(&file).filter(|it| !is_taken(it.connection.id())) {
                reason = format!("{reason}\nconnection `{}` stays as it was", before.connection.id());
                records.insert(file.clone(), before.clone());
            }
            unreadable.push(Unreadable { name: file.display().to_string(), reason, sequence: 0 });
        }
        read.clone_from(&records);
        Ok(Loaded { records: records.into_values().collect(), unreadable, ..Loaded::default() })
    }

    fn put(&self, _record: &Record) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn delete(&self, _id: &ConnectionId, _sequence: u64) -> Result<bool, StoreError> {
        Err(self.read_only())
    }
}

/// When the file was written last, as far as the file system knows.
fn modified(file: &Path) -> SystemTime {
    std::fs::metadata(file).and_then(|it| it.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
