//! What is wrong with an expression, or with what it is tried on.

use std::fmt;

use ditto_connection::{TopicError, TopicErrorKind};
use ditto_json::SelectorError;
use ditto_placeholder::{AddressError, TemplateError, TemplateErrorKind, caret};
use ditto_rql::{FilterError, FilterErrorKind};
use serde_json::{Map, Value};

use super::output::Answer;
use super::shown::escaped;

/// What is wrong, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What is wrong and the file that it is in, if it is in one.
    source: Option<(&'static str, String)>,
    /// Ditto's code, or why the service would drop the signal.
    code: &'static str,
    message: String,
    place: Option<Place>,
    /// What could stand there.
    expected: Vec<String>,
    /// A legal name that is most like what was written.
    nearest: Option<String>,
}

/// A place in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Byte offset.
    at: usize,
    /// Two lines, the second with a caret.
    excerpt: String,
}

impl Mistake {
    /// A mistake in a file, which is to hold `what`.
    pub(super) fn in_file(
        what: &'static str,
        source: &impl fmt::Display,
        code: &'static str,
        message: String,
    ) -> Self {
        let source = Some((what, source.to_string()));
        Self { source, code, message, place: None, expected: Vec::new(), nearest: None }
    }

    fn at(at: usize, text: &str, code: &'static str, message: String) -> Self {
        let place = Some(Place { at, excerpt: caret(text, at) });
        Self { source: None, code, message, place, expected: Vec::new(), nearest: None }
    }

    fn expecting(self, expected: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { expected: expected.into_iter().map(Into::into).collect(), ..self }
    }

    fn near(self, nearest: Option<impl Into<String>>) -> Self {
        Self { nearest: nearest.map(Into::into), ..self }
    }

    /// `text` is no filter.
    pub(super) fn of_filter(text: &str, error: &FilterError) -> Self {
        let mistake = Self::at(error.at(), text, error.code(), error.to_string());
        match error.kind() {
            FilterErrorKind::Expected { expected, .. } => mistake.expecting(expected.iter().copied()),
            FilterErrorKind::UnknownOperator { nearest, .. } => mistake.near(*nearest),
            FilterErrorKind::UnknownProperty { hint, .. } => mistake.near(hint.clone()),
            _ => mistake,
        }
    }

    /// `text` is no template.
    pub(super) fn of_template(text: &str, error: &TemplateError) -> Self {
        let mistake = Self::at(error.at(), text, error.code(), error.to_string());
        match error.kind() {
            TemplateErrorKind::Expected(expected) => mistake.expecting([*expected]),
            TemplateErrorKind::Signature { usage, .. } => mistake.expecting([*usage]),
            TemplateErrorKind::Unknown { nearest, .. }
            | TemplateErrorKind::UnknownFunction { nearest, .. } => mistake.near(*nearest),
            _ => mistake,
        }
    }

    /// `text` is no address.
    pub(super) fn of_address(text: &str, error: &AddressError) -> Self {
        if let AddressError::Template(error) = error {
            return Self::of_template(text, error);
        }
        let at = error.at(text);
        Self::at(at, text, error.code(), format!("invalid address at byte {at}: {error}"))
    }

    /// `text` is no field selector.
    pub(super) fn of_selector(text: &str, error: &SelectorError) -> Self {
        Self::at(error.at(), text, error.code(), error.to_string())
    }

    /// `text` is no topic of a target. The place is that in the filter or the extra fields, if they are wrong.
    pub(super) fn of_topic(text: &str, error: &TopicError) -> Self {
        let (at, value) = error.place(text);
        let inner = match error.kind() {
            TopicErrorKind::Filter(error) => Self::of_filter(value, error),
            TopicErrorKind::Placeholder(error) => Self::of_template(value, error),
            TopicErrorKind::ExtraFields(error) => Self::of_selector(value, error),
            TopicErrorKind::Unknown { nearest, .. } => Self::at(at, value, "", String::new()).near(*nearest),
            _ => Self::at(at, value, "", String::new()),
        };
        let message = match error.kind() {
            // Their places are in their own texts.
            TopicErrorKind::Filter(_) | TopicErrorKind::Placeholder(_) | TopicErrorKind::ExtraFields(_) => {
                format!("{error}; {}", error.remedy())
            }
            kind => format!("invalid topic at byte {at}: {kind}; {}", error.remedy()),
        };
        Self { code: error.code(), message, ..inner }
    }

    /// As an object; `at` is a byte offset.
    pub(super) fn json(&self) -> Map<String, Value> {
        let mut error = Answer::default();
        error.member("code", self.code);
        error.member("message", self.message.as_str());
        if let Some(Place { at, excerpt }) = &self.place {
            error.member("at", *at);
            error.member("excerpt", excerpt.as_str());
        }
        if !self.expected.is_empty() {
            error.member("expected", self.expected.as_slice());
        }
        if let Some(nearest) = &self.nearest {
            error.member("nearest", nearest.as_str());
        }
        let mut mistake = Answer::default();
        if let Some((what, source)) = &self.source {
            mistake.member(what, source.as_str());
        }
        mistake.member("error", error.json);
        mistake.json
    }
}

/// The message, and the place below it.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, source)) = &self.source {
            write!(f, "{source}: ")?;
        }
        f.write_str(&escaped(&self.message))?;
        let lines = self.place.iter().flat_map(|place| place.excerpt.lines());
        lines.into_iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
