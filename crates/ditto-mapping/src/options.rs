//! The options of a definition, read once.

use std::borrow::Cow;

use ditto_protocol::ErrorCode;
use serde_json::{Map, Value};

use crate::finding::{Finding, Severity};

/// The options of one definition, and what has been found wrong with them.
#[derive(Debug)]
pub struct Options<'d> {
    members: Cow<'d, Map<String, Value>>,
    pointer: String,
    findings: Vec<Finding>,
}

impl<'d> Options<'d> {
    pub(crate) fn new(members: Cow<'d, Map<String, Value>>, pointer: String) -> Self {
        Self { members, pointer, findings: Vec::new() }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Whether an error was found.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The id of the definition, such as for telling whose fault something is; the name of the engine if there is none.
    pub fn definition(&self) -> &str {
        self.pointer.split('/').nth(2).unwrap_or_default()
    }

    /// An option as it stands there.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// An option as text: a string as it is, anything else as JSON.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.value(name).map(text_of)
    }

    /// Whether an option says `true`, in any case; none if it is not there.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The members of an option that is an object. As in the reference anything else counts as absent, which is warned about.
    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.value(name)? {
            Value::Object(members) => Some(members.clone()),
            _ => {
                self.warn(name, "it is no object, and counts as absent", "write an object, or leave it out");
                None
            }
        }
    }

    /// The option `name` cannot be used. The name may be a JSON pointer without its first slash, to something within an
    /// option: `thing/thingId`.
    pub fn refuse(&mut self, name: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        self.refuse_with(ErrorCode::CONFIGURATION_INVALID.name(), name, reason, remedy);
    }

    /// The option `name` cannot be used, for which the reference has a code of its own.
    pub fn refuse_with(
        &mut self,
        code: &'static str,
        name: &str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.find(Severity::Error, code, name, reason.into(), remedy.into());
    }

    /// The option `name` can be used, but probably not as meant.
    pub fn warn(&mut self, name: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        let code = ErrorCode::CONFIGURATION_INVALID.name();
        self.find(Severity::Warning, code, name, reason.into(), remedy.into());
    }

    fn find(&mut self, severity: Severity, code: &'static str, name: &str, reason: String, remedy: String) {
        let pointer = format!("{}/{name}", self.pointer);
        self.findings.push(Finding { severity, pointer, code, reason, remedy });
    }
}

/// A JSON string as it is, anything else as JSON.
pub(crate) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
