//! The corpus: records that a complete running Ditto wrote into Kafka.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

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
}

/// Reads the records of a file.
///
/// # Errors
/// The file cannot be read or a line is no record.
pub fn load(path: &Path) -> Result<Vec<CorpusRecord>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1))
        })
        .collect()
}
