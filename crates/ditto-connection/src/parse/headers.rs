//! Header mappings and other templates (connection-model.md §9).

use ditto_placeholder::{Scope, Template, TemplateError, caret};

use super::reader::{Object, Reader};
use crate::model::HeaderMapping;
use crate::report::Check;

impl Reader<'_> {
    /// Each value that is a template; those that are none are reported.
    pub(super) fn header_mapping(&mut self, check: Check, object: &Object<'_>) -> HeaderMapping {
        let at = object.pointer("headerMapping");
        let mut mapping = HeaderMapping::default();
        for (name, value) in self.text_map(object, "headerMapping") {
            let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            mapping.texts.push((name.to_owned(), value.to_owned()));
            if let Some(template) = self.template(check, &pointer, value, Scope::Mapping) {
                mapping.templates.push((name.to_owned(), template));
            }
        }
        mapping
    }

    /// A text with placeholders. What stands beside them may be a secret and is not shown.
    pub(super) fn template(
        &mut self,
        check: Check,
        pointer: &str,
        text: &str,
        scope: Scope,
    ) -> Option<Template> {
        let excerpt = |error: &TemplateError| {
            let (at, expression) = expression(text, error.at());
            caret(expression, at)
        };
        let template = Template::parse(text, scope);
        let template = template.map_err(|error| (error.to_string(), Some(excerpt(&error))));
        let checked = |template: Template| match template.check() {
            Ok(()) => Ok(template),
            Err(error) => Err((error.to_string(), None)),
        };
        match template.and_then(checked) {
            Ok(template) => Some(template),
            Err((reason, excerpt)) => {
                let reason = format!("the value is refused: {reason}");
                self.invalid(check, pointer, reason, "mend the placeholder");
                self.show(excerpt);
                None
            }
        }
    }
}

/// The braces around a mistake of a value, and its place in them.
fn expression(value: &str, at: usize) -> (usize, &str) {
    let before = value.get(..at).unwrap_or(value);
    let start = before.rfind("{{").max(before.rfind("${")).unwrap_or(before.len());
    let after = value.get(before.len()..).unwrap_or_default();
    let closing = if value.get(start..).is_some_and(|rest| rest.starts_with("${")) { "}" } else { "}}" };
    let end = after.find(closing).map_or(before.len(), |end| before.len() + end + closing.len());
    (before.len() - start, value.get(start..end).unwrap_or_default())
}
