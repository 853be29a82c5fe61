//! Everything that is wrong with a definition.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::position::Position;

/// Findings that an answer has at most; one definition may have as many as it has bytes.
const MAX_ANSWERED: usize = 100;

/// What was found in a definition: errors refuse it, everything else does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationReport {
    findings: Vec<Finding>,
}

/// What a finding means for the definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// Ditto runs it and this service does not yet: it is kept, and must not run.
    NotServed,
    /// It can be used, but probably not as meant.
    Warning,
    /// A part of it has no effect.
    Note,
}

/// The checks of the reference in its order (connection-model.md §11): who finds one thing wrong at a time finds the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// It is JSON.
    Syntax,
    /// It has an id, or none, as the request demands.
    Request,
    /// Members are there and have their types.
    Read,
    /// There is a source or a target.
    Served,
    /// Each acts for somebody.
    Subjects,
    /// Announcements of a single client.
    Announcements,
    /// The uri is one.
    Uri,
    /// Numbers of sources and targets.
    Limits,
    /// Addresses are not empty, filters are filters.
    Addresses,
    /// Numbers of payload mappers.
    MapperLimits,
    /// Labels of acknowledgements are those of the connection.
    Labels,
    /// And each is issued once.
    UniqueLabels,
    /// Certificates and keys have their format.
    Certificates,
    /// No tunnel.
    Tunnel,
    /// Credentials are of a kind that Kafka has.
    Credentials,
    /// Diversion of responses.
    Diversion,
    /// Scheme of the uri.
    Scheme,
    /// Sources.
    Sources,
    /// Targets.
    Targets,
    /// Payload mappers exist.
    Mappers,
    /// `saslMechanism`
    SaslMechanism,
    /// `bootstrapServers`
    BootstrapServers,
    /// `groupId`
    GroupId,
    /// `consumerOffsetReset`
    OffsetReset,
    /// What only we look at.
    Own,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it means for the definition.
    pub severity: Severity,
    /// Which check has found it.
    pub check: Check,
    /// JSON pointer of the place.
    pub pointer: String,
    /// Line and column of the place, or of what is around it.
    pub position: Option<Position>,
    /// The reference's error code.
    pub code: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
    /// Of a mistake in an expression: where it is, as two lines, the second with a caret. `Display` leaves it out.
    pub excerpt: Option<String>,
}

impl ValidationReport {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Where in its expression the last mistake is.
    pub(crate) fn show_last(&mut self, excerpt: Option<String>) {
        if let Some(finding) = self.findings.last_mut() {
            finding.excerpt = excerpt;
        }
    }

    /// The findings in the order in which a definition is read.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings that do not refuse the definition.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity != Severity::Error)
    }

    /// Whether a finding refuses the definition.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The error that the reference answers with: that of its first check which fails.
    pub fn first_error(&self) -> Option<&Finding> {
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error);
        errors.min_by_key(|finding| finding.check)
    }

    /// The error object of the HTTP API (connection-model.md §2): the first error as the reference says it, and under
    /// `findings`, which the reference does not have, all of them up to 100. `null` without an error.
    pub fn to_json(&self) -> Value {
        let Some(first) = self.first_error() else { return Value::Null };
        json!({
            "status": first.status(),
            "error": first.code,
            "message": format!("{} at {}", first.reason, first.place()),
            "description": first.remedy,
            "findings": self.findings.iter().take(MAX_ANSWERED).map(Finding::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    /// The HTTP status of its code.
    pub fn status(&self) -> u16 {
        match self.code {
            "acknowledgement:request.parsing.failed" => 422,
            "acknowledgement:label.not.unique" => 409,
            _ => 400,
        }
    }

    /// As an object, for programs.
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("severity".to_owned(), self.severity.as_str().into());
        json.insert("pointer".to_owned(), self.pointer.as_str().into());
        if let Some(Position { line, column }) = self.position {
            json.insert("line".to_owned(), line.into());
            json.insert("column".to_owned(), column.into());
        }
        json.insert("error".to_owned(), self.code.into());
        json.insert("reason".to_owned(), self.reason.as_str().into());
        json.insert("remedy".to_owned(), self.remedy.as_str().into());
        if let Some(excerpt) = &self.excerpt {
            json.insert("excerpt".to_owned(), excerpt.as_str().into());
        }
        json.into()
    }

    fn place(&self) -> &str {
        if self.pointer.is_empty() { "/" } else { &self.pointer }
    }
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::NotServed => "not served",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{}:{}: ", position.line, position.column)?;
        }
        write!(f, "{} at {}: {}; {}", self.severity.as_str(), self.place(), self.reason, self.remedy)
    }
}

impl fmt::Display for ValidationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.findings.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ValidationReport {}
