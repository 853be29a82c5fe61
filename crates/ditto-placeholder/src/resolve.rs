//! Evaluation. Nothing is parsed here, and nothing allocated beyond the caller's buffer.

use crate::ast::{Part, Placeholder, Template};

/// Whether a placeholder or a template has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Resolution {
    /// The value was appended.
    Resolved,
    /// There is none; what was appended is to be thrown away.
    Unresolved,
}

/// Where values come from.
pub trait Resolve {
    /// Appends the first value of `placeholder`.
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Resolution;
}

impl Template {
    /// Appends the text with the first value of each placeholder. One that has none leaves the whole without a value, and
    /// so does a function, since functions are not built yet.
    pub fn resolve_into(&self, values: &impl Resolve, out: &mut String) -> Resolution {
        let start = out.len();
        for part in &self.parts {
            let resolution = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    Resolution::Resolved
                }
                Part::Pipeline(pipeline) => match &pipeline.head {
                    Some(head) if pipeline.calls.is_empty() => values.resolve(head, out),
                    _ => Resolution::Unresolved,
                },
            };
            if resolution == Resolution::Unresolved {
                out.truncate(start);
                return Resolution::Unresolved;
            }
        }
        Resolution::Resolved
    }
}
