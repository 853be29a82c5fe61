//! Where we write something else than Ditto wrote in the corpus, and what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lines;

/// What the corpus has to be told about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CorpusDifferences {
    class: Vec<Class>,
    not_in_feed: Vec<NotInFeed>,
    #[serde(skip)]
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    id: String,
    adr: String,
    why: String,
}

/// Operations whose signals the feed does not have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotInFeed {
    /// Why not.
    pub reason: String,
    /// The policy by which its reader may not read them.
    pub policy: Option<String>,
    /// Their numbers.
    pub operations: Vec<u64>,
}

/// One record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The connection.
    pub connection: String,
    /// The topic, which is one target's but for that of announcements.
    pub topic: String,
    /// The record of the feed.
    pub feed: u64,
    /// The class, by id.
    pub class: String,
    /// What we write, if anything.
    pub ours: Option<Ours>,
}

/// A record of ours: what is not said of it is that of Ditto's record, and of the message in the feed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ours {
    /// The key.
    pub key: Option<String>,
    /// Record headers that are others.
    pub headers: BTreeMap<String, String>,
    /// The value of the message; a null is one.
    #[serde(deserialize_with = "given")]
    pub value: Option<Value>,
    /// The extra fields.
    pub extra: Option<Value>,
    /// All records instead; of connections with payload mappers, which may make several of a signal.
    pub records: Option<Vec<OursMapped>>,
    /// Names of a member and of one within it, which the record has not wherever Ditto's has it.
    pub without: Option<(String, String)>,
}

/// A record of ours that a mapper has made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OursMapped {
    /// All record headers.
    pub headers: Vec<(String, String)>,
    /// The payload, parsed if it is JSON.
    pub payload: Value,
}

fn given<'d, D: Deserializer<'d>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl CorpusDifferences {
    /// Reads the classes and their records.
    ///
    /// # Errors
    /// A file cannot be read, a record is of no class or named twice, a class has no record or no decision.
    pub fn load(folder: &Path, project: &Path) -> Result<Self> {
        let path = folder.join("differences.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let mut differences: Self = toml::from_str(&text)?;
        differences.rows = lines(&folder.join("differences.ndjson"))?;
        let mut places = BTreeSet::new();
        for row in &differences.rows {
            let place = (&row.connection, &row.topic, row.feed);
            anyhow::ensure!(places.insert(place), "{place:?} is there twice");
            let is_known = differences.class.iter().any(|class| class.id == row.class);
            anyhow::ensure!(is_known, "{place:?} is of no class");
        }
        for Class { id, adr, why } in &differences.class {
            anyhow::ensure!(project.join(adr).is_file(), "class {id}: {adr} is not there");
            anyhow::ensure!(!why.is_empty(), "class {id} has no reason");
            anyhow::ensure!(differences.rows.iter().any(|row| row.class == *id), "class {id} has no record");
        }
        Ok(differences)
    }

    /// The records of a connection.
    pub fn of(&self, connection: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.connection == connection)
    }

    /// Why the feed does not have what an operation has brought about.
    pub fn not_in_feed(&self, operation: u64) -> Option<&NotInFeed> {
        self.not_in_feed.iter().find(|of| of.operations.contains(&operation))
    }
}
