//! Everything that is wrong with a definition.

use std::fmt;

use crate::position::Position;

/// What was found in a definition: errors refuse it, warnings do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationReport {
    findings: Vec<Finding>,
}

/// Whether a finding refuses the definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Whether it refuses the definition.
    pub severity: Severity,
    /// JSON pointer of the place.
    pub pointer: String,
    /// Line and column of the place, where there is one.
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

    /// Where in its expression the last mistake is.
    pub(crate) fn show_last(&mut self, excerpt: Option<String>) {
        if let Some(finding) = self.findings.last_mut() {
            finding.excerpt = excerpt;
        }
    }

    /// The findings in the order of the definition's checks.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings that do not refuse the definition.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Warning)
    }

    /// Whether a finding refuses the definition.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{}:{}: ", position.line, position.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{severity} at {place}: {}; {}", self.reason, self.remedy)
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
