//! The corpus: records that a complete running Ditto wrote into Kafka.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

mod differences;
mod moments;
mod things;

pub use self::differences::{CorpusDifferences, NotInFeed, Ours, OursMapped, Row};
pub use self::moments::Moments;
pub use self::things::{Thing, Things};

/// One record.
#[derive(Debug, Clone, Deserialize)]
pub struct CorpusRecord {
    /// Number of the line.
    pub n: u64,
    /// Key, as Ditto resolved its address.
    pub key: Option<String>,
    /// Record headers in wire order.
    pub headers: Vec<(String, String)>,
    /// The message.
    pub value: String,
    /// When it came, in milliseconds since 1970.
    pub received: u64,
}

impl CorpusRecord {
    /// The value of a record header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One record that Ditto wrote for a target.
#[derive(Debug, Clone)]
pub struct TargetRecord {
    /// Number of the line among the records of all targets.
    pub n: u64,
    /// Topic.
    pub topic: String,
    /// Key.
    pub key: Option<String>,
    /// Record headers in wire order.
    pub headers: Vec<(String, String)>,
    /// The message; of a payload that is no JSON, its text.
    pub value: Value,
    /// The record of the feed with the same signal, where the record does not tell.
    pub feed: Option<u64>,
    /// The operation that brought the signal about, where the feed does not have it and the record does not tell.
    pub operation: Option<u64>,
    /// What its producer was told: partition, offset, and time in milliseconds since 1970.
    pub report: Option<(i32, i64, i64)>,
}

/// What whoever asked for acknowledgements was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The operation.
    pub operation: u64,
    /// The record of the feed with its signal.
    pub feed: u64,
    /// The labels of the connection that it asked for.
    pub requested: Vec<String>,
    /// What it was answered.
    pub answers: Vec<Answer>,
    /// What we answer instead, by a decision.
    pub ours: Option<Vec<Answer>>,
    /// The file of that decision.
    pub adr: Option<String>,
}

/// The answer of one label.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The label.
    pub label: String,
    /// The HTTP status.
    pub status: u16,
    /// The value; `<text>` stands for any.
    pub payload: Value,
    /// Headers as texts.
    pub headers: BTreeMap<String, String>,
    /// Whether it is the only one: then it is the HTTP answer itself, whose headers are only some of its own.
    #[serde(default)]
    pub alone: bool,
}

/// A connection and what Ditto wrote for its targets, in the order of arrival.
#[derive(Debug)]
pub struct CorpusConnection {
    /// Its definition.
    pub definition: Value,
    /// What Ditto wrote.
    pub records: Vec<TargetRecord>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TargetLine {
    Definition {
        definition: Value,
    },
    Record {
        n: u64,
        topic: String,
        key: Option<String>,
        headers: Vec<(String, String)>,
        /// The record of the feed with the same signal, and with the same message if there is no value.
        feed: Option<u64>,
        value: Option<String>,
        operation: Option<u64>,
        report: Option<(i32, i64, i64)>,
    },
}

/// Reads the records of a file.
///
/// # Errors
/// The file cannot be read or a line is no record.
pub fn load(path: &Path) -> Result<Vec<CorpusRecord>> {
    lines(path)
}

/// Reads what Ditto wrote for a connection, beside the feed.
///
/// # Errors
/// The file cannot be read, or a line is something else.
pub fn load_connection(path: &Path, feed: &[CorpusRecord]) -> Result<CorpusConnection> {
    let (mut definition, mut records) = (None, Vec::new());
    for line in lines(path)? {
        match line {
            TargetLine::Definition { definition: it } => definition = Some(it),
            TargetLine::Record { n, topic, key, headers, feed: number, value, operation, report } => {
                let of_feed = number.and_then(|n| feed.iter().find(|record| record.n == n));
                let text = value.as_ref().or(of_feed.map(|record| &record.value));
                let value = payload(text.with_context(|| format!("record {n} has no value"))?)?;
                records.push(TargetRecord { n, topic, key, headers, value, feed: number, operation, report });
            }
        }
    }
    Ok(CorpusConnection { definition: definition.context("no definition")?, records })
}

/// A payload as it is compared: parsed if it is JSON.
///
/// # Errors
/// It begins as JSON and is none.
pub fn payload(text: &str) -> Result<Value> {
    Ok(if text.starts_with(['{', '[']) { serde_json::from_str(text)? } else { text.into() })
}

/// Reads the lines of a file, each JSON.
///
/// # Errors
/// The file cannot be read, or a line is something else.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1))
        })
        .collect()
}
