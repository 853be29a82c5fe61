//! Where connections are kept: the table `[store]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ditto_connection::Connection;
use secrecy::SecretString;

use super::section::Section;
use crate::store::{
    ConnectionStore, DirectoryStore, EmbeddedStore, MemoryStore, StoreError, StoreKey, StoreKeys,
};

/// Where connections are kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreConfig {
    /// In a folder that somebody else writes.
    Directory {
        /// The folder.
        folder: PathBuf,
        /// How often it is looked at whether something has changed, if at all.
        poll: Option<Duration>,
    },
    /// In a file that only this process has.
    Embedded {
        /// The file.
        path: PathBuf,
        /// What records are sealed with.
        keys: Box<StoreKeys>,
    },
    /// Nowhere: these, until the process ends.
    Memory(Vec<Connection>),
}

/// How often a folder is looked at.
const POLL: Duration = Duration::from_secs(5);

impl StoreConfig {
    /// A folder that is looked at every five seconds.
    #[must_use]
    pub fn directory(folder: impl Into<PathBuf>) -> Self {
        Self::Directory { folder: folder.into(), poll: Some(POLL) }
    }

    /// Opens it. Blocks.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self) -> Result<Arc<dyn ConnectionStore>, StoreError> {
        Ok(match self {
            Self::Directory { folder, .. } => Arc::new(DirectoryStore::new(folder)),
            Self::Embedded { path, keys } => Arc::new(EmbeddedStore::open(path, StoreKeys::clone(keys))?),
            Self::Memory(connections) => Arc::new(MemoryStore::with(connections.iter().cloned())),
        })
    }

    /// What the configuration says; `connections` is its key of that name, if connections are needed at all.
    pub(super) fn read(root: &mut Section<'_>, is_needed: bool, base: &Path) -> Option<Self> {
        let mut section = root.optional_section("store");
        let kinds = [("directory", false), ("embedded", true)];
        let is_embedded = section.choice("kind", &kinds).unwrap_or(false);
        let store = if is_embedded {
            if root.text("connections").is_some() {
                root.refuse("connections", "has no effect with store.kind = \"embedded\": leave it out");
            }
            embedded(&mut section, base)
        } else {
            let folder = match is_needed {
                true => root.required_text("connections", "name the folder of the connection definitions"),
                false => Some(root.text("connections").unwrap_or_else(|| "connections".to_owned())),
            };
            let poll = section.duration("poll", POLL);
            let poll = (!poll.is_zero()).then_some(poll);
            folder.map(|folder| Self::Directory { folder: base.join(folder), poll })
        };
        section.end();
        store
    }
}

fn embedded(section: &mut Section<'_>, base: &Path) -> Option<StoreConfig> {
    let path = section.required_text("path", "name the file that connections are kept in");
    let current =
        section.required_text("key", "32 bytes as base64: make them with `openssl rand -base64 32`");
    let old = section.text("old_key");
    let key = |name: &str, text: String| {
        let key = StoreKey::from_base64(&SecretString::from(text));
        key.inspect_err(|error| section.refuse(name, &error.to_string())).ok()
    };
    let current = current.and_then(|text| key("key", text));
    let old = old.map(|text| key("old_key", text));
    let keys = StoreKeys::new(current?);
    let keys = match old {
        Some(old) => keys.with_old(old?),
        None => keys,
    };
    Some(StoreConfig::Embedded { path: base.join(path?), keys: Box::new(keys) })
}
