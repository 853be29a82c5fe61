//! The commands `check` and `schema`: definitions by themselves, without a configuration.

use std::fmt::Write;
use std::path::Path;

use ditto_connection::{Draft, Finding, json_schema};
use serde_json::{Value, json};

use crate::cli::{CheckArgs, OutputFormat};
use crate::exit;
use crate::mappers::read_definition;
use crate::process::{fail, print};

/// A definition that was looked at.
struct Checked {
    /// Of a connection that can be used.
    id: Option<String>,
    /// In the order of their places.
    findings: Vec<Finding>,
}

/// Says all findings of each file. The exit code.
pub(crate) fn check(args: &CheckArgs) -> u8 {
    let mut out = String::new();
    let (mut is_unreadable, mut is_refused) = (false, false);
    for file in &args.files {
        match std::fs::read(file) {
            Ok(bytes) => {
                let checked = Checked::of(&String::from_utf8_lossy(&bytes));
                is_refused |= checked.id.is_none();
                match args.format {
                    OutputFormat::Text => checked.write(file, &mut out),
                    OutputFormat::Json => out.push_str(&format!("{}\n", checked.json(file))),
                }
            }
            Err(error) => {
                is_unreadable = true;
                fail(&format!("{}: cannot be read: {error}", file.display()), exit::UNAVAILABLE);
            }
        }
    }
    match print(out.as_bytes()) {
        exit::OK if is_unreadable => exit::UNAVAILABLE,
        exit::OK if is_refused => exit::CONFIG,
        code => code,
    }
}

/// Prints the JSON Schema of definitions. The exit code.
pub(crate) fn schema() -> u8 {
    match serde_json::to_string_pretty(&json_schema()) {
        Ok(schema) => print(format!("{schema}\n").as_bytes()),
        Err(error) => fail(&format!("no schema: {error}"), exit::INTERNAL),
    }
}

impl Checked {
    fn of(text: &str) -> Self {
        let (id, findings) = match read_definition(Draft::of_file(text)) {
            Ok(connection) => {
                let findings = connection.findings().to_vec();
                (Some(connection.id().to_string()), findings)
            }
            Err(report) => (None, report.findings().to_vec()),
        };
        let mut checked = Self { id, findings };
        let place = |it: &Finding| it.position.map_or((usize::MAX, 0), |at| (at.line, at.column));
        checked.findings.sort_by_key(place);
        checked
    }

    fn write(&self, file: &Path, out: &mut String) {
        let file = file.display();
        // Writing to a text does not fail.
        for finding in &self.findings {
            let _ = writeln!(out, "{file}:{finding}");
            for line in finding.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
                let _ = writeln!(out, "    {line}");
            }
        }
        let _ = match &self.id {
            Some(id) => writeln!(out, "{file}: connection `{id}` is valid"),
            None => writeln!(out, "{file}: the definition is refused"),
        };
    }

    fn json(&self, file: &Path) -> Value {
        json!({
            "file": file.display().to_string(),
            "ok": self.id.is_some(),
            "id": self.id,
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        })
    }
}
