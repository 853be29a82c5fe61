//! What stands in `topics` of a target (topics.md §1, §2).

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use ditto_json::{FieldSelector, SelectorError};
use ditto_placeholder::TemplateError;
use ditto_protocol::TargetTopic;
use ditto_rql::FilterError;

use crate::nearest::nearest;

/// A kind of signals, from which namespaces, by which filter, with which fields of the thing: the text of a topic, taken
/// apart. What the texts in it mean is read by [`TopicSubscription`](crate::TopicSubscription).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilteredTopic {
    topic: TargetTopic,
    namespaces: Vec<String>,
    filter: Option<String>,
    extra_fields: Option<FieldSelector>,
}

/// What is wrong with a topic of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid topic: {kind}")]
pub struct TopicError {
    kind: TopicErrorKind,
    at: usize,
    /// The decoded text that the mistake has its place in, if that is not the topic.
    value: Option<Box<str>>,
}

/// What is wrong with a topic of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicErrorKind {
    /// There are no such signals.
    #[error("`{base}` is no topic of a target")]
    Unknown {
        /// What stands before the question mark.
        base: String,
        /// The topic that is most like it.
        nearest: Option<&'static str>,
    },
    /// A `%` without two hexadecimal digits behind it.
    #[error("`{0}` has a % that encodes nothing")]
    Encoding(String),
    /// A parameter is given twice.
    #[error("parameter `{0}` occurs twice")]
    Repeated(String),
    /// The extra fields are none; positions are those in the decoded value.
    #[error("`extraFields` is refused: {0}")]
    ExtraFields(SelectorError),
    /// The extra fields have a placeholder that is none, or none that may stand there.
    #[error("`extraFields` is refused: {0}")]
    Placeholder(TemplateError),
    /// The filter is none; positions are those in the decoded value.
    #[error("`filter` is refused: {0}")]
    Filter(FilterError),
}

impl TopicError {
    pub(crate) fn new(kind: TopicErrorKind, at: usize) -> Self {
        Self { kind, at, value: None }
    }

    /// A mistake that has its place in `value`.
    pub(crate) fn in_value(self, value: &str) -> Self {
        Self { value: Some(value.into()), ..self }
    }

    /// What is wrong.
    pub fn kind(&self) -> &TopicErrorKind {
        &self.kind
    }

    /// Byte offset of the mistake, and the text that it is in: the topic, or of a filter or extra fields the decoded value.
    pub fn place<'e>(&'e self, topic: &'e str) -> (usize, &'e str) {
        let at = match &self.kind {
            TopicErrorKind::ExtraFields(error) => error.at(),
            TopicErrorKind::Placeholder(error) => error.at(),
            TopicErrorKind::Filter(error) => error.at(),
            _ => self.at,
        };
        match self.value.as_deref() {
            Some(value) => (at, value),
            None => (self.at, topic),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match &self.kind {
            TopicErrorKind::Unknown { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            TopicErrorKind::Unknown { nearest: None, .. } => {
                format!("use one of {}", TargetTopic::ALL.map(TargetTopic::as_str).join(", "))
            }
            TopicErrorKind::Encoding(_) => "write a literal % as %25".to_owned(),
            TopicErrorKind::Repeated(_) => "give each parameter once".to_owned(),
            TopicErrorKind::ExtraFields(_) => "write fields of things, with commas between them".to_owned(),
            TopicErrorKind::Placeholder(_) => "mend the placeholder".to_owned(),
            TopicErrorKind::Filter(_) => "mend the filter; & and + in it are written %26 and %2B".to_owned(),
        }
    }

    /// The reference's error code. Where the reference breaks instead of answering, that of an invalid topic.
    pub fn code(&self) -> &'static str {
        match &self.kind {
            TopicErrorKind::Unknown { .. } | TopicErrorKind::Encoding(_) | TopicErrorKind::Repeated(_) => {
                "connectivity:topic.invalid"
            }
            TopicErrorKind::ExtraFields(error) => error.code(),
            TopicErrorKind::Placeholder(error) => error.code(),
            TopicErrorKind::Filter(error) => error.code(),
        }
    }
}

impl FilteredTopic {
    /// The kind.
    pub fn topic(&self) -> TargetTopic {
        self.topic
    }

    /// The namespaces of the entities, compared exactly; empty means all.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// The text of the filter, decoded; not read yet. None of an announcement has one.
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }

    /// The fields of the thing that come with each signal. None of an announcement has any.
    pub fn extra_fields(&self) -> Option<&FieldSelector> {
        self.extra_fields.as_ref()
    }
}

impl FromStr for FilteredTopic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let topic: TargetTopic = base.parse().map_err(|_| {
            let nearest = nearest(base, TargetTopic::ALL.map(TargetTopic::as_str));
            TopicError::new(TopicErrorKind::Unknown { base: base.to_owned(), nearest }, 0)
        })?;
        let mut parsed = Self { topic, namespaces: Vec::new(), filter: None, extra_fields: None };
        let mut names = HashSet::new();
        let mut start = base.len() + 1;
        for item in query.split('&') {
            let at = start;
            start += item.len() + 1;
            let Some((name, value)) = item.split_once('=') else { continue };
            let value_at = at + name.len() + 1;
            let (name, value) = (decode(name, at)?, decode(value, value_at)?);
            if names.contains(&name) {
                return Err(TopicError::new(TopicErrorKind::Repeated(name), at));
            }
            match name.as_str() {
                "namespaces" if topic != TargetTopic::ConnectionAnnouncements => {
                    parsed.namespaces = split_list(&value);
                }
                "filter" if !topic.is_announcement() => parsed.filter = Some(value),
                // Checked everywhere, though announcements carry none.
                "extraFields" if !value.is_empty() => {
                    let selector = value
                        .parse()
                        .map_err(|error| TopicError::new(TopicErrorKind::ExtraFields(error), value_at))
                        .map_err(|error| error.in_value(&value))?;
                    parsed.extra_fields = Some(selector).filter(|_| !topic.is_announcement());
                }
                _ => {}
            }
            names.insert(name);
        }
        Ok(parsed)
    }
}

/// The canonical form, decoded: it is for people and need not read back (topics.md §1).
impl fmt::Display for FilteredTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, str::to_owned)
    }
}

impl FilteredTopic {
    /// As definitions have it. It reads back: where the canonical form would not, characters are encoded.
    pub fn to_definition(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ =
            self.write(&mut text, |value| value.replace('%', "%25").replace('&', "%26").replace('+', "%2B"));
        text
    }

    fn write(&self, out: &mut dyn fmt::Write, encode: impl Fn(&str) -> String) -> fmt::Result {
        let parameters = [
            ("namespaces", self.namespaces.join(",")),
            ("filter", self.filter.clone().unwrap_or_default()),
            ("extraFields", self.extra_fields.as_ref().map(ToString::to_string).unwrap_or_default()),
        ];
        write!(out, "{}", self.topic)?;
        let mut separator = '?';
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            write!(out, "{separator}{name}={}", encode(value))?;
            separator = '&';
        }
        Ok(())
    }
}

/// Inner empty items stay, trailing ones are dropped.
fn split_list(text: &str) -> Vec<String> {
    let mut items: Vec<String> = text.split(',').map(str::to_owned).collect();
    while items.last().is_some_and(String::is_empty) {
        items.pop();
    }
    items
}

/// HTML form data, which begins at byte `at` of the topic.
fn decode(text: &str, at: usize) -> Result<String, TopicError> {
    form_decode(text).ok_or_else(|| TopicError::new(TopicErrorKind::Encoding(text.to_owned()), at))
}

/// `+` is a blank.
fn form_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let parsed = match text.parse::<FilteredTopic>() {
            Ok(topic) => topic.to_string(),
            Err(error) => {
                format!("{} {}: {}; {}", error.code(), error.place(text).0, error.kind(), error.remedy())
            }
        };
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn values_are_decoded_and_printed_in_order() {
        check(
            "_/_/things/twin/events?namespaces=a%2Cb,,c,,&Namespaces=x",
            "_/_/things/twin/events?namespaces=a,b,,c",
        );
        check(
            "_/_/things/live/messages?extraFields=attributes/a&filter=eq(attributes/s,'a+b%26c')&namespaces=n",
            "_/_/things/live/messages?namespaces=n&filter=eq(attributes/s,'a b&c')&extraFields=attributes/a",
        );
        check("_/_/things/twin/events?filter=&extraFields=", "_/_/things/twin/events");
        assert_eq!("_/_/things/twin/events?filter=".parse::<FilteredTopic>().unwrap().filter(), Some(""));
    }

    #[test]
    fn announcements_take_less() {
        check(
            "_/_/policies/announcements?filter=eq(a,1)&namespaces=a",
            "_/_/policies/announcements?namespaces=a",
        );
        check(
            "_/_/connections/announcements?namespaces=a&extraFields=thingId",
            "_/_/connections/announcements",
        );
    }

    #[test]
    fn mistakes_have_a_place_and_a_remedy() {
        check(
            "_/_/things/twin/events?x&namespaces=a%",
            "connectivity:topic.invalid 36: `a%` has a % that encodes nothing; write a literal % as %25",
        );
        check(
            "_/_/things/twin/events?x=1&x=2",
            "connectivity:topic.invalid 27: parameter `x` occurs twice; give each parameter once",
        );
        check(
            "_/_/things/twin/event",
            "connectivity:topic.invalid 0: `_/_/things/twin/event` is no topic of a target; did you mean `_/_/things/twin/events`?",
        );
        check(
            "_/_/policies/announcements?extraFields=attributes,what",
            "things:field.selection.invalid 11: `extraFields` is refused: invalid field selector at byte 11: `what` is no field of a thing; these are thingId, policyId, definition, attributes, features, _namespace, _revision, _created, _modified, _metadata, _policy, _context; write fields of things, with commas between them",
        );
    }
}
