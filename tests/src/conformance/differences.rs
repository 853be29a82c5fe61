//! Where we answer otherwise than the reference, on purpose: tests/vectors/differences.toml and the code of its classes.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// The classes of differences.
#[derive(Debug)]
pub struct Differences {
    classes: Vec<Class>,
}

/// A class: a predicate on the input, so that it also names rows that nobody has seen yet, and what we answer instead,
/// computed from the row and not by the code under test.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    id: &'static str,
    file: &'static str,
    applies: fn(&Value) -> bool,
    /// Our expectation for a row of this class.
    pub expectation: fn(&Value) -> Value,
}

const CLASSES: [Class; 2] = [
    Class {
        id: "live-acknowledgement-stays-live",
        file: "protocol",
        applies: |row| {
            topic_of(row).is_some_and(|topic| topic.contains("/things/live/acks/")) && is_answered(row)
        },
        expectation: |row| {
            let mut expected = row["expect"].clone();
            if let Some(roundtrip) = expected.pointer_mut("/roundtrip/topic") {
                *roundtrip = row["message"]["topic"].clone();
            }
            expected["channelHeader"] = "live".into();
            expected
        },
    },
    Class {
        id: "policy-resource-keeps-its-type",
        file: "protocol",
        applies: |row| {
            topic_of(row).is_some_and(|topic| topic.contains("/policies/"))
                && is_answered(row)
                && row["message"]["path"].as_str().is_some_and(|path| {
                    path.split('/').nth(3) == Some("resources")
                        && path.split('/').nth(4).is_some_and(|key| key.contains(':'))
                })
        },
        expectation: |row| {
            let mut expected = row["expect"].clone();
            for place in ["/resourcePath", "/roundtrip/path"] {
                if let Some(path) = expected.pointer_mut(place) {
                    *path = row["message"]["path"].clone();
                }
            }
            expected
        },
    },
];

fn topic_of(row: &Value) -> Option<&str> {
    row["message"]["topic"].as_str()
}

fn is_answered(row: &Value) -> bool {
    row["expect"].get("error").is_none()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    class: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    file: String,
    adr: String,
    why: String,
}

impl Differences {
    /// The classes of tests/vectors/differences.toml.
    ///
    /// # Errors
    /// The file names a class that has no code, or lacks one that has.
    pub fn of_project() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = root.join("tests/vectors/differences.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        for entry in &file.class {
            anyhow::ensure!(!entry.why.is_empty(), "class {} does not say why", entry.id);
            anyhow::ensure!(root.join(&entry.adr).is_file(), "class {}: there is no {}", entry.id, entry.adr);
            let known = CLASSES.iter().any(|class| class.id == entry.id && class.file == entry.file);
            anyhow::ensure!(known, "class {} of file {} has no predicate", entry.id, entry.file);
        }
        for class in &CLASSES {
            let explained = file.class.iter().any(|entry| entry.id == class.id);
            anyhow::ensure!(explained, "class {} is not explained in {}", class.id, path.display());
        }
        Ok(Self { classes: CLASSES.to_vec() })
    }

    /// The class that a row falls into.
    pub fn class_of(&self, file: &str, row: &Value) -> Option<&Class> {
        self.classes.iter().find(|class| class.file == file && (class.applies)(row))
    }
}
