//! A signal on its way out, and what a mapper makes of it.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use ditto_json::{RawObject, decode_string};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{Category, Criterion, Signal, Written};
use smallvec::SmallVec;

/// A signal as its receiver may read it, and what placeholders stand for in it.
#[derive(Clone, Copy)]
pub struct OutgoingSignal<'s> {
    signal: &'s Signal,
    written: Written<'s>,
    values: &'s dyn Resolve,
}

impl<'s> OutgoingSignal<'s> {
    /// `signal` must have nothing that its receiver may not read; it is written as `written` says, and conditions look at
    /// `values`.
    pub fn new(signal: &'s Signal, written: Written<'s>, values: &'s dyn Resolve) -> Self {
        Self { signal, written, values }
    }

    /// The signal.
    pub fn signal(&self) -> &'s Signal {
        self.signal
    }

    /// Appends it as Ditto Protocol JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.signal.write(&self.written, out);
    }

    /// Whether it answers something: it has a status.
    pub fn is_response(&self) -> bool {
        matches!(self.signal.category(), Category::Response | Category::Acknowledgement | Category::Error)
    }

    pub(crate) fn is_error(&self) -> bool {
        self.signal.topic_path().criterion == Criterion::Errors
    }

    pub(crate) fn values(&self) -> impl Resolve {
        Values(self.values)
    }
}

impl fmt::Debug for OutgoingSignal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingSignal")
            .field("topic", &self.signal.topic())
            .field("path", &self.signal.path())
            .finish_non_exhaustive()
    }
}

/// The members of a signal that was written, each as it stands there but for topic and path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalMembers<'w> {
    /// The topic.
    pub topic: Cow<'w, str>,
    /// The path.
    pub path: Cow<'w, str>,
    /// JSON text of an object.
    pub headers: Option<&'w str>,
    /// JSON text.
    pub value: Option<&'w str>,
    /// JSON text of a number.
    pub status: Option<&'w str>,
    /// JSON text of an object.
    pub extra: Option<&'w str>,
}

impl<'w> SignalMembers<'w> {
    /// Those of what [`OutgoingSignal::write`] has written. What is no signal has none.
    pub fn of(written: &'w [u8]) -> Self {
        let mut members = Self::default();
        for (name, raw) in RawObject::new(std::str::from_utf8(written).unwrap_or_default()) {
            match &*name {
                "topic" => members.topic = decode_string(raw).unwrap_or_default(),
                "path" => members.path = decode_string(raw).unwrap_or_default(),
                "headers" => members.headers = Some(raw),
                "value" => members.value = Some(raw),
                "status" => members.status = Some(raw),
                "extra" => members.extra = Some(raw),
                _ => {}
            }
        }
        members
    }
}

struct Values<'s>(&'s dyn Resolve);

impl Resolve for Values<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        self.0.resolve(placeholder, out)
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        self.0.resolve_all(placeholder, each);
    }
}

/// What stands in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Text, in UTF-8. Which charset it leaves in is up to the content type.
    Text(Bytes),
    /// Bytes, as they are.
    Bytes(Bytes),
    /// Nothing.
    Empty,
}

impl Payload {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => bytes.len(),
            Self::Empty => 0,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The headers of a message: most have one or two.
type Headers = SmallVec<[(Cow<'static, str>, ByteString); 2]>;

/// A message that a mapper has made of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    headers: Headers,
    payload: Payload,
    is_response: bool,
    is_error: bool,
}

impl OutgoingMessage {
    /// A message without headers.
    pub fn new(payload: Payload) -> Self {
        Self { headers: SmallVec::new(), payload, is_response: false, is_error: false }
    }

    /// The same with a header, in place of that of exactly this name.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<ByteString>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name, value)),
        }
        self
    }

    /// The same, marked as an error or not.
    #[must_use]
    pub fn with_error(self, is_error: bool) -> Self {
        Self { is_error, ..self }
    }

    pub(crate) fn set_response(&mut self, is_response: bool) {
        self.is_response = is_response;
    }

    /// Its headers, names as they are written. No name occurs twice.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &ByteString)> {
        self.headers.iter().map(|(name, value)| (&**name, value))
    }

    /// The header of exactly this name.
    pub fn header(&self, name: &str) -> Option<&ByteString> {
        self.headers().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Its payload.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Headers and payload, to be taken on.
    pub fn into_parts(self) -> (impl Iterator<Item = (Cow<'static, str>, ByteString)>, Payload) {
        (self.headers.into_iter(), self.payload)
    }

    /// Whether it answers something.
    pub fn is_response(&self) -> bool {
        self.is_response
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// Bytes of headers and payload.
    pub(crate) fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        headers.sum::<usize>() + self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::SignalMembers;

    #[test]
    fn members_are_what_was_written() {
        let written = br#"{"topic":"a\/b/things/twin/events/modified","headers":{"x":"y"},"path":"/\u0061","value":[1, 2],"revision":3,"status":200}"#;
        let members = SignalMembers::of(written);
        assert_eq!((&*members.topic, &*members.path), ("a/b/things/twin/events/modified", "/a"));
        assert_eq!((members.headers, members.value), (Some(r#"{"x":"y"}"#), Some("[1, 2]")));
        assert_eq!((members.status, members.extra), (Some("200"), None));
        assert_eq!(SignalMembers::of(b"[]"), SignalMembers::default());
        assert_eq!(SignalMembers::of(b"\xff"), SignalMembers::default());
    }
}
