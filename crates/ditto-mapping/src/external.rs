//! A message from outside, and what placeholders stand for in it.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use bytestring::ByteString;
use ditto_placeholder::{Placeholder, Resolve, UtcTime};

use crate::charset;
use crate::error::MappingError;

/// A message from outside. A record of Kafka is always both, text and bytes.
#[derive(Debug, Clone, Default)]
pub struct ExternalMessage {
    headers: Vec<(String, String)>,
    text: Option<ByteString>,
    bytes: Option<Bytes>,
    subjects: Vec<String>,
}

impl ExternalMessage {
    /// A record; its text is decoded by the charset of its header `content-type`. Without a value it is neither text nor bytes.
    ///
    /// Of a header that occurs twice, the last one counts.
    pub fn of_record(headers: Vec<(String, String)>, value: Option<Bytes>) -> Self {
        let message = Self { headers, ..Self::default() };
        let text = value.as_ref().map(|value| charset::decode(value, message.header("content-type")));
        Self { text, bytes: value, ..message }
    }

    /// A message that is only text.
    pub fn of_text(headers: Vec<(String, String)>, text: impl Into<ByteString>) -> Self {
        Self { headers, text: Some(text.into()), ..Self::default() }
    }

    /// A message that is only bytes.
    pub fn of_bytes(headers: Vec<(String, String)>, bytes: Bytes) -> Self {
        Self { headers, bytes: Some(bytes), ..Self::default() }
    }

    /// The same with the subjects that its source sends with.
    #[must_use]
    pub fn with_subjects(self, subjects: Vec<String>) -> Self {
        Self { subjects, ..self }
    }

    /// Its headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The header of exactly this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The header of this name, in any case.
    fn header_in_any_case(&self, name: &str) -> Option<&str> {
        let is_named = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().rev().find(is_named).map(|(_, value)| value.as_str())
    }

    /// The content type; the name of its header is found in any case.
    pub fn content_type(&self) -> Option<&str> {
        self.header_in_any_case("content-type")
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&ByteString> {
        self.text.as_ref()
    }

    /// The bytes, if it has some.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// The payload as text, which most mappers need.
    ///
    /// # Errors
    /// `connectivity:message.mapping.failed`: there is none, or it is empty.
    pub fn payload(&self) -> Result<ByteString, MappingError> {
        let text = match (&self.text, &self.bytes) {
            (Some(text), _) => Some(text.clone()),
            (None, bytes) => bytes.as_ref().map(|bytes| charset::decode(bytes, self.header("content-type"))),
        };
        text.filter(|text| !text.is_empty()).ok_or_else(|| {
            MappingError::failed("the message has no payload", "send a payload, or use another mapper")
        })
    }

    /// What placeholders in the options of a mapper stand for. Names of headers are exact there.
    pub(crate) fn values(&self) -> MessageValues<'_> {
        MessageValues { message: self, connection_id: None }
    }

    /// What placeholders in conditions stand for. Names of headers are found in any case there.
    pub(crate) fn condition_values<'m>(&'m self, connection_id: &'m str) -> MessageValues<'m> {
        MessageValues { message: self, connection_id: Some(connection_id) }
    }
}

/// What placeholders stand for in a message from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageValues<'m> {
    message: &'m ExternalMessage,
    /// Only conditions know the connection.
    connection_id: Option<&'m str>,
}

impl MessageValues<'_> {
    /// Whether mappers know such a placeholder in their options.
    pub(crate) fn has(placeholder: &Placeholder) -> bool {
        matches!(placeholder, Placeholder::Header(_) | Placeholder::RequestSubjectId | Placeholder::Time(_))
    }
}

impl Resolve for MessageValues<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        let text = match placeholder {
            Placeholder::Header(name) if self.connection_id.is_some() => {
                self.message.header_in_any_case(name)?
            }
            Placeholder::Header(name) => self.message.header(name)?,
            Placeholder::RequestSubjectId => self.message.subjects.first()?,
            Placeholder::ConnectionId => self.connection_id?,
            Placeholder::Time(time) => {
                time.append(now(), out);
                return Some(());
            }
            // There is no signal yet.
            _ => return None,
        };
        out.push_str(text);
        Some(())
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        if *placeholder == Placeholder::RequestSubjectId {
            return self.message.subjects.iter().for_each(|subject| each(subject));
        }
        let mut text = String::new();
        if self.resolve(placeholder, &mut text).is_some() {
            each(&text);
        }
    }
}

pub(crate) fn now() -> UtcTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcTime::new(i64::try_from(now.as_secs()).unwrap_or(i64::MAX), now.subsec_nanos())
}
