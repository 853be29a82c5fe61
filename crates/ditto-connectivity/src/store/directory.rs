//! A folder of JSON files that somebody else writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use ditto_protocol::ConnectionId;

use super::{ConnectionStore, Loaded, Record, StoreError, StoreErrorKind, Unreadable};
use crate::definitions::Definitions;

/// A folder of definitions, `*.json`. It is read again with each [`load`](ConnectionStore::load), and never written.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    folder: PathBuf,
}

impl DirectoryStore {
    /// The folder; it is looked at when it is loaded.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read_only(&self) -> StoreError {
        let what = format!("folder `{}` is only read; change its files", self.folder.display());
        StoreError::new(StoreErrorKind::ReadOnly, what)
    }
}

impl ConnectionStore for DirectoryStore {
    fn load(&self) -> Result<Loaded, StoreError> {
        let definitions = Definitions::load(&self.folder)
            .map_err(|error| StoreError::unavailable(format!("folder `{}`", self.folder.display()), error))?;
        let records = definitions.connections.into_iter().map(|it| Record {
            connection: Arc::new(it.connection),
            revision: 1,
            sequence: 1,
            created: modified(&it.file),
            modified: modified(&it.file),
        });
        let unreadable = definitions.broken.into_iter().map(|it| Unreadable {
            name: it.file.display().to_string(),
            reason: it.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        });
        Ok(Loaded { records: records.collect(), unreadable: unreadable.collect(), ..Loaded::default() })
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
