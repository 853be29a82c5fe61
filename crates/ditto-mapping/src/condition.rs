//! Conditions (mapping.md §1).

use std::sync::Arc;

use ditto_placeholder::{Resolution, Resolve, Scope, Template};
use ditto_protocol::ErrorCode;
use serde_json::{Map, Value};

use crate::error::MappingError;
use crate::finding::{Finding, Severity, below};
use crate::options::text_of;

/// The conditions of a definition for one direction. All must hold.
///
/// Each is a pipeline of functions behind a value: it holds if a value comes out. One that cannot be read does not refuse the
/// definition, as in the reference: it fails each message.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Vec<(Arc<str>, Result<Template, MappingError>)>);

impl Conditions {
    pub(crate) fn read(conditions: &Map<String, Value>, pointer: &str, findings: &mut Vec<Finding>) -> Self {
        let read = |(name, value): (&String, &Value)| {
            let text = format!("{{{{ fn:default('true') | {} }}}}", text_of(value));
            let condition = Template::parse(&text, Scope::Mapping).map_err(|error| {
                findings.push(Finding {
                    severity: Severity::Warning,
                    pointer: below(pointer, name),
                    code: ErrorCode::CONFIGURATION_INVALID.name(),
                    reason: format!("the condition fails for each message: {}", error.kind()),
                    remedy: "write functions such as fn:filter(header:x,'eq','y')".to_owned(),
                });
                MappingError::from(&error)
            });
            (name.as_str().into(), condition)
        };
        Self(conditions.iter().map(read).collect())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the first that does not hold. Each is evaluated: one that fails counts for more than one that does not
    /// hold.
    pub(crate) fn broken(&self, values: &impl Resolve) -> Result<Option<Arc<str>>, MappingError> {
        let mut broken = None;
        for (name, condition) in &self.0 {
            let condition = condition.as_ref().map_err(Clone::clone)?;
            if condition.resolve_into(values, &mut String::new())? != Resolution::Resolved {
                broken.get_or_insert(name);
            }
        }
        Ok(broken.cloned())
    }
}
