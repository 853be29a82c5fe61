//! The topics that a target subscribes to, ready for signals.

use std::fmt;
use std::str::FromStr;

use ditto_json::JsonPointer;
use ditto_placeholder::{Template, TemplateError};
use ditto_protocol::TargetTopic;
use ditto_rql::Filter;

use crate::topic::{FilteredTopic, TopicError, TopicErrorKind};

/// A topic whose filter and extra fields are read. Two are equal if their texts say the same.
#[derive(Debug, Clone)]
pub struct TopicSubscription {
    topic: FilteredTopic,
    filter: Option<Filter>,
    extra_fields: Vec<ExtraField>,
}

/// A place of the thing that comes with each signal.
#[derive(Debug, Clone)]
pub enum ExtraField {
    /// The same for each signal.
    Pointer(JsonPointer),
    /// With placeholders; each value is a pointer, and what does not resolve is left out (topics.md §5).
    Template(Template),
}

impl TopicSubscription {
    /// The kind.
    pub fn topic(&self) -> TargetTopic {
        self.topic.topic()
    }

    /// The namespaces of the entities, compared exactly; empty means all.
    pub fn namespaces(&self) -> &[String] {
        self.topic.namespaces()
    }

    /// Its text, taken apart.
    pub fn filtered(&self) -> &FilteredTopic {
        &self.topic
    }

    /// Which signals; `None` means all.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// What comes with each signal, in the order of the text.
    pub fn extra_fields(&self) -> &[ExtraField] {
        &self.extra_fields
    }
}

impl TryFrom<FilteredTopic> for TopicSubscription {
    type Error = TopicError;

    fn try_from(topic: FilteredTopic) -> Result<Self, TopicError> {
        let filter = topic.filter().map(|text| {
            let refused = |error| TopicError::new(TopicErrorKind::Filter(error), 0).in_value(text);
            text.parse::<Filter>().map_err(refused)
        });
        let filter = filter.transpose()?;
        let pointers = topic.extra_fields().map(|it| it.pointers()).unwrap_or_default();
        let extra_fields = pointers.iter().map(|pointer| {
            let refused =
                |error| TopicError::new(TopicErrorKind::Placeholder(error), 0).in_value(&pointer.to_string());
            ExtraField::try_from(pointer).map_err(refused)
        });
        let extra_fields = extra_fields.collect::<Result<_, _>>()?;
        Ok(Self { topic, filter, extra_fields })
    }
}

impl TryFrom<&JsonPointer> for ExtraField {
    type Error = TemplateError;

    /// A place as a selector has it, whose placeholders are not read yet.
    fn try_from(pointer: &JsonPointer) -> Result<Self, TemplateError> {
        let template: Template = pointer.to_string().parse()?;
        let constant = template.as_constant().and_then(|text| text.parse().ok());
        Ok(constant.map_or(Self::Template(template), Self::Pointer))
    }
}

impl FromStr for TopicSubscription {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        text.parse::<FilteredTopic>()?.try_into()
    }
}

impl fmt::Display for TopicSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topic.fmt(f)
    }
}

impl PartialEq for TopicSubscription {
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
    }
}

impl Eq for TopicSubscription {}
