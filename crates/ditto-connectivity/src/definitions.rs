//! Connection definitions in a folder.

use std::fmt;
use std::path::{Path, PathBuf};

use ditto_connection::{Connection, ConnectionStatus, Draft, Finding};

use crate::mappers::read_definition;

/// What a folder holds: connections to run, and files that cannot be used.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Connections, in the order of their files' names.
    pub connections: Vec<Definition>,
    /// Files that are left out; the others run.
    pub broken: Vec<BrokenFile>,
}

/// A connection and where it comes from.
#[derive(Debug)]
pub struct Definition {
    /// The file.
    pub file: PathBuf,
    /// The connection.
    pub connection: Connection,
}

/// A file that is no connection definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenFile {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub findings: Vec<Flaw>,
}

/// What is wrong with a file. `Display` says it in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// With its position, if it has one.
    pub text: String,
    /// Of a mistake in an expression: where it is, as two lines, the second with a caret.
    pub excerpt: Option<String>,
}

impl Definitions {
    /// Reads each `*.json` of a folder.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn load(folder: &Path) -> std::io::Result<Self> {
        let mut definitions = Self::default();
        for file in Self::files(folder)? {
            match read(&file) {
                Ok(connection) => definitions.add(file, connection),
                Err(findings) => definitions.broken.push(BrokenFile { file, findings }),
            }
        }
        Ok(definitions)
    }

    /// Each `*.json` of a folder, by name.
    pub(crate) fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        let mut files = std::fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        Ok(files)
    }

    fn add(&mut self, file: PathBuf, connection: Connection) {
        match self.connections.iter().find(|known| known.connection.id() == connection.id()) {
            Some(known) => {
                let finding = format!("id `{}` is that of {} already", connection.id(), known.file.display());
                self.broken.push(BrokenFile { file, findings: vec![finding.into()] });
            }
            None => self.connections.push(Definition { file, connection }),
        }
    }

    /// The connections that are to publish.
    pub fn open(&self) -> impl Iterator<Item = &Connection> {
        let connections = self.connections.iter().map(|definition| &definition.connection);
        connections.filter(|connection| connection.status() == ConnectionStatus::Open)
    }
}

impl From<String> for Flaw {
    fn from(text: String) -> Self {
        Self { text, excerpt: None }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn read(file: &Path) -> Result<Connection, Vec<Flaw>> {
    let bytes = std::fs::read(file).map_err(|error| vec![format!("cannot be read: {error}").into()])?;
    let text = String::from_utf8(bytes).map_err(|error| vec![format!("is not utf-8: {error}").into()])?;
    let flaw = |finding: &Finding| Flaw { text: finding.to_string(), excerpt: finding.excerpt.clone() };
    let connection = read_definition(Draft::of_file(&text))
        .map_err(|report| report.findings().iter().map(flaw).collect::<Vec<_>>())?;
    // A connection that runs does what its definition says (docs/adr/0006-refuse-what-is-not-built.md).
    let not_served: Vec<Flaw> = connection.not_served().map(flaw).collect();
    if not_served.is_empty() { Ok(connection) } else { Err(not_served) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_is_told_with_its_position_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let connection = |id: &str, address: &str| {
            format!(
                r#"{{"id": "{id}", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
                "specificConfig": {{"bootstrapServers": "localhost:9092"}},
                "targets": [{{"address": "{address}", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"]}}]}}"#
            )
        };
        write("1.json", &connection("one", "topic"));
        write("2.json", &connection("two", "to pic"));
        write("3.json", "{\n  \"id\": 5,,\n}");
        write("4.json", &connection("one", "topic"));
        write("notes.txt", "not a definition");
        let definitions = Definitions::load(folder.path()).unwrap();
        assert_eq!(definitions.open().map(|it| it.id().as_str()).collect::<Vec<_>>(), ["one"]);
        let broken: Vec<_> = definitions
            .broken
            .iter()
            .map(|it| (it.file.file_name().unwrap().to_str().unwrap(), &*it.findings[0].text))
            .collect();
        let [(two, address), (three, syntax), (four, twice)] = broken.as_slice() else {
            panic!("{broken:?}")
        };
        assert_eq!((*two, *three, *four), ("2.json", "3.json", "4.json"));
        assert!(address.contains("/targets/0/address") && address.starts_with("3:"), "{address}");
        assert!(syntax.starts_with("2:"), "{syntax}");
        assert!(twice.contains("1.json"), "{twice}");
    }
}
