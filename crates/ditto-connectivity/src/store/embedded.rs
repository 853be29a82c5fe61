//! A database in one file.

use std::fs::{File, OpenOptions};
use std::path::Path;

use ditto_protocol::ConnectionId;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{ConnectionStore, Loaded, Record, StoreError, StoreErrorKind, StoreKeys, Unreadable, sealed};

/// Sealed records by the id of their connection.
const CONNECTIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("connections");

/// The numbers of the changes that deleted connections, by their ids.
const DELETED: TableDefinition<'_, &str, u64> = TableDefinition::new("deleted");

/// What the file says of itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";

/// Of the tables. The records have one of their own.
const VERSION: u64 = 1;

/// A file that one process has. Every change is on the disk when it returns. Records are sealed with a key that is not in
/// the file.
#[derive(Debug)]
pub struct EmbeddedStore {
    database: Database,
    keys: StoreKeys,
}

impl EmbeddedStore {
    /// Opens the file, or makes it. Only its owner may read and write it. Records that are sealed with the old key are
    /// sealed again.
    ///
    /// # Errors
    /// Another process has it, it is no such file, a newer version has written it, or others may read it.
    pub fn open(path: &Path, keys: StoreKeys) -> Result<Self, StoreError> {
        let file = private(path)?;
        let unavailable =
            |error: redb::Error| StoreError::unavailable(format!("store `{}`", path.display()), error);
        let database = FileBackend::new(file)
            .and_then(|backend| Database::builder().create_with_backend(backend))
            .map_err(|error| unavailable(error.into()))?;
        let store = Self { database, keys };
        let version = store.prepare().map_err(unavailable)?;
        if version != VERSION {
            let what = format!(
                "store `{}` has format {version}, and this version knows {VERSION}; run the version that has written it",
                path.display()
            );
            return Err(StoreError::new(StoreErrorKind::Format, what));
        }
        store.seal_again().map_err(unavailable)?;
        Ok(store)
    }

    /// The format of the file; that of a new one is ours.
    fn prepare(&self) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_write()?;
        let version = {
            let mut meta = transaction.open_table(META)?;
            let version = meta.get(FORMAT)?.map(|version| version.value());
            if version.is_none() {
                meta.insert(FORMAT, VERSION)?;
                transaction.open_table(CONNECTIONS)?;
                transaction.open_table(DELETED)?;
            }
            version.unwrap_or(VERSION)
        };
        transaction.commit()?;
        Ok(version)
    }

    fn seal_again(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(CONNECTIONS)?;
            let mut sealed = Vec::new();
            for entry in table.iter()? {
                let (id, record) = entry?;
                if let Ok(opened) = self.keys.open(id.value(), record.value())
                    && opened.is_old
                    && let Ok(again) = self.keys.seal(&opened.record)
                {
                    sealed.push((id.value().to_owned(), again));
                }
            }
            for (id, record) in &sealed {
                table.insert(id.as_str(), record.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self) -> Result<Loaded, redb::Error> {
        let mut loaded = Loaded::default();
        let transaction = self.database.begin_read()?;
        for entry in transaction.open_table(CONNECTIONS)?.iter()? {
            let (id, record) = entry?;
            match self.keys.open(id.value(), record.value()) {
                Ok(opened) => loaded.records.push(opened.record),
                Err(reason) => loaded.unreadable.push(Unreadable {
                    name: id.value().to_owned(),
                    reason,
                    sequence: sealed::sequence(record.value()),
                }),
            }
        }
        for entry in transaction.open_table(DELETED)?.iter()? {
            let (id, sequence) = entry?;
            if let Ok(id) = id.value().parse() {
                loaded.deleted.insert(id, sequence.value());
            }
        }
        Ok(loaded)
    }

    fn insert(&self, id: &ConnectionId, record: &[u8]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(CONNECTIONS)?.insert(id.as_str(), record)?;
        transaction.open_table(DELETED)?.remove(id.as_str())?;
        transaction.commit()?;
        Ok(())
    }

    fn remove(&self, id: &ConnectionId, sequence: u64) -> Result<bool, redb::Error> {
        let transaction = self.database.begin_write()?;
        let was_there = transaction.open_table(CONNECTIONS)?.remove(id.as_str())?.is_some();
        if was_there {
            transaction.open_table(DELETED)?.insert(id.as_str(), sequence)?;
        }
        transaction.commit()?;
        Ok(was_there)
    }
}

impl ConnectionStore for EmbeddedStore {
    fn load(&self) -> Result<Loaded, StoreError> {
        self.read().map_err(|error| StoreError::unavailable("the store cannot be read", error))
    }

    fn put(&self, record: &Record) -> Result<(), StoreError> {
        let id = record.connection.id();
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            StoreError::unavailable(format!("connection `{id}` is not kept"), error)
        };
        let sealed = self.keys.seal(record).map_err(|why| failed(why.into()))?;
        self.insert(id, &sealed).map_err(|error| failed(error.into()))
    }

    fn delete(&self, id: &ConnectionId, sequence: u64) -> Result<bool, StoreError> {
        self.remove(id, sequence)
            .map_err(|error| StoreError::unavailable(format!("connection `{id}` is still kept"), error))
    }
}

/// The file, which only its owner may read and write.
fn private(path: &Path) -> Result<File, StoreError> {
    let unavailable = |error| StoreError::unavailable(format!("store `{}`", path.display()), error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error: std::io::Error| unavailable(error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = file.metadata().map_err(unavailable)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let what =
                format!("store `{0}` has mode {mode:o}; others may use it: chmod 600 {0}", path.display());
            return Err(StoreError::new(StoreErrorKind::Permissions, what));
        }
    }
    Ok(file)
}
