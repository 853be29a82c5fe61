//! Templates in options.

use ditto_placeholder::{Placeholder, Resolution, Resolve, Scope, Template};
use ditto_protocol::ErrorCode;

use crate::error::MappingError;
use crate::external::MessageValues;
use crate::options::Options;

/// A text with placeholders in an option. One that cannot be read does not refuse the definition, as in the reference: it
/// fails each message that needs it.
#[derive(Debug, Clone)]
pub(crate) struct OptionTemplate(Result<Template, MappingError>);

impl OptionTemplate {
    /// Reads the template of the option `name`; it may have the placeholders that `has` allows.
    pub(crate) fn read(
        text: &str,
        options: &mut Options<'_>,
        name: &str,
        has: fn(&Placeholder) -> bool,
    ) -> Self {
        let read = Template::parse(text, Scope::Mapping).map_err(|error| MappingError::from(&error));
        let unknown =
            |template: &Template| template.placeholders().find(|it| !has(it)).map(ToString::to_string);
        let read = read.and_then(|template| match unknown(&template) {
            Some(unknown) => Err(MappingError::new(
                ErrorCode::PLACEHOLDER_UNRESOLVED,
                format!("placeholder `{unknown}` has no value here"),
                "use a header of the message: header:name",
            )),
            None => Ok(template),
        });
        if let Err(error) = &read {
            options.warn(name, format!("it cannot be resolved: {}", error.reason()), error.remedy());
        }
        Self(read)
    }

    /// The text, if it is the same for each message.
    pub(crate) fn as_constant(&self) -> Option<&str> {
        self.0.as_ref().ok().and_then(Template::as_constant)
    }

    /// The first value, if there is one.
    ///
    /// # Errors
    /// The template cannot be read, or a function fails.
    pub(crate) fn resolve(&self, values: &impl Resolve) -> Result<Option<String>, MappingError> {
        let mut text = String::new();
        let resolution = self.resolve_into(values, &mut text)?;
        Ok((resolution == Resolution::Resolved).then_some(text))
    }

    pub(crate) fn resolve_into(
        &self,
        values: &impl Resolve,
        out: &mut String,
    ) -> Result<Resolution, MappingError> {
        Ok(self.0.as_ref().map_err(Clone::clone)?.resolve_into(values, out)?)
    }
}

/// What mappers know beside headers: `request:subjectId` and `time:`.
pub(crate) fn of_message(placeholder: &Placeholder) -> bool {
    MessageValues::has(placeholder)
}

/// Headers only.
pub(crate) fn of_headers(placeholder: &Placeholder) -> bool {
    matches!(placeholder, Placeholder::Header(_))
}
