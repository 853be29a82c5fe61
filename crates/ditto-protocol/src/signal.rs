//! A decoded message.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use crate::check::Message;
use crate::definitions::KnownHeader;
use crate::envelope::{Envelope, integer, object, string};
use crate::error::{ErrorCode, ProtocolError};
use crate::fields::canonical_fields;
use crate::headers::Headers;
use crate::id::shorten;
use crate::instant::{canonical_instant, is_instant};
use crate::kind::{Category, Kind, SignalType, Subject, status_of};
use crate::piece::Piece;
use crate::resource::ThingResource;
use crate::topic::{Action, Channel, Group, Segments, TargetTopic, TopicParts, TopicPath};

/// Bounds of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest message, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of objects and arrays, in levels.
    pub max_depth: usize,
}

impl Default for Limits {
    /// 1 MiB and 64 levels.
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 64 }
    }
}

impl Limits {
    /// Limits other than the defaults.
    pub fn new(max_bytes: usize, max_depth: usize) -> Self {
        Self { max_bytes, max_depth }
    }
}

/// A Ditto Protocol message, decoded once. It keeps its text and hands out parts of it.
#[derive(Debug, Clone)]
pub struct Signal {
    text: ByteString,
    topic: Piece,
    parts: TopicParts,
    path: Piece,
    value: Option<Piece>,
    extra: Option<Piece>,
    timestamp: Option<Piece>,
    fields: Option<Piece>,
    status: Option<u16>,
    revision: Option<i64>,
    headers: Headers,
    /// Where they stand in the text, if all of the text but them is written as it is.
    headers_place: Option<Piece>,
    kind: Kind,
    /// By its topic, or by its header `channel`.
    is_live: bool,
}

/// The entity that a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity<'s> {
    kind: EntityKind,
    namespace: &'s str,
    name: &'s str,
}

/// The kind of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum EntityKind {
    Thing,
    Policy,
    Connection,
    /// Many things, or none in particular.
    None,
}

impl EntityKind {
    /// The name in lower case; empty for none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thing => "thing",
            Self::Policy => "policy",
            Self::Connection => "connection",
            Self::None => "",
        }
    }
}

impl<'s> Entity<'s> {
    /// What kind of entity it is.
    pub fn kind(&self) -> EntityKind {
        self.kind
    }

    /// The namespace; connections have none.
    pub fn namespace(&self) -> Option<&'s str> {
        matches!(self.kind, EntityKind::Thing | EntityKind::Policy).then_some(self.namespace)
    }

    /// The name: of a connection, its id.
    pub fn name(&self) -> &'s str {
        self.name
    }
}

/// The id: `namespace:name`, of a connection only the name.
impl fmt::Display for Entity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EntityKind::Thing | EntityKind::Policy => write!(f, "{}:{}", self.namespace, self.name),
            EntityKind::Connection => f.write_str(self.name),
            EntityKind::None => Ok(()),
        }
    }
}

impl Signal {
    /// Decodes a message as the reference's protocol adapter does: scan, headers, topic, kind, value.
    ///
    /// # Errors
    /// The code that the reference answers with, or one of our limits'.
    pub fn decode(text: Bytes, limits: &Limits) -> Result<Self, ProtocolError> {
        Self::decode_with(text, limits, true)
    }

    /// Decodes a message whose internal headers must not count: they are gone before anything looks at them.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_untrusted(text: Bytes, limits: &Limits) -> Result<Self, ProtocolError> {
        Self::decode_with(text, limits, false)
    }

    /// The topic of a text that reads as a message, whether or not there is a signal of it. Internal headers do not count.
    ///
    /// # Errors
    /// As [`Self::decode_untrusted`], as far as it is not about what kind of signal it is.
    pub fn read_topic(text: Bytes, limits: &Limits) -> Result<String, ProtocolError> {
        let text = checked_text(text, limits)?;
        Read::of(&text, limits, false).map(|read| read.topic.into_owned())
    }

    fn decode_with(text: Bytes, limits: &Limits, keeps_internal: bool) -> Result<Self, ProtocolError> {
        let text = checked_text(text, limits)?;
        let Read {
            mut envelope,
            headers,
            topic: topic_text,
            parts,
            path: path_text,
            extra,
            status,
            timestamp,
            fields,
            revision,
        } = Read::of(&text, limits, keeps_internal)?;
        let topic = parts.of(&topic_text);
        let kind = Kind::find(&topic, &topic_text, &path_text, status)?;
        // The value stands that deep in its thing.
        if matches!(kind.subject, Subject::Thing(_)) && path_text.matches('/').count() > limits.max_depth {
            return Err(ProtocolError::new(
                ErrorCode::MESSAGE_TOO_DEEP,
                format!("the path has more than {} levels", limits.max_depth),
            ));
        }
        let message = Message {
            topic: &topic,
            path: &path_text,
            kind: &kind,
            envelope: &envelope,
            status,
            headers: &headers,
        };
        message.check()?;
        let is_live = topic.channel == Channel::Live
            || headers
                .known(const { KnownHeader::named("channel") })
                .is_some_and(|channel| channel.text() == "live");
        let value = envelope.value.map(|value| Cow::Borrowed(value.text()));
        let is_verbatim = !envelope.is_unusual
            && envelope.status.is_none()
            && envelope.revision.is_none_or(|raw| raw.bytes().all(|byte| byte.is_ascii_digit()));
        let headers_place = envelope.headers_place.take().filter(|_| is_verbatim).map(Piece::at);
        drop(envelope);
        let piece = |part: Option<Cow<'_, str>>| part.map(|part| Piece::in_text(&text, part));
        Ok(Self {
            value: piece(value),
            extra: piece(extra.map(Cow::Borrowed)),
            timestamp: piece(timestamp),
            fields: piece(fields),
            path: Piece::in_text(&text, path_text),
            parts,
            topic: Piece::in_text(&text, topic_text),
            status,
            revision,
            headers,
            headers_place,
            kind,
            is_live,
            text,
        })
    }

    /// The whole message as it was received.
    pub(crate) fn text(&self) -> &ByteString {
        &self.text
    }

    /// Length of the message as it was received, in bytes.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The topic as it was received.
    pub fn topic(&self) -> &str {
        self.topic.of(&self.text)
    }

    /// The topic, taken apart.
    pub fn topic_path(&self) -> TopicPath<'_> {
        self.parts.of(self.topic())
    }

    /// What stands before and after the members of `headers`, if both are written exactly so. That is so for nearly all
    /// events of things.
    pub(crate) fn around_headers(&self) -> Option<(&str, &str)> {
        let keeps_timestamp =
            |timestamp| matches!(canonical_instant(timestamp), Cow::Borrowed(text) if text == timestamp);
        let is_verbatim = matches!(self.kind.subject, Subject::Thing(_))
            && self.kind.category == Category::Event
            && self.parts.is_canonical
            && self.is_live == (self.parts.channel() == Channel::Live)
            && self.topic.is_span()
            && self.path.is_span()
            && *self.resource_path() == *self.path()
            && self.timestamp().is_none_or(keeps_timestamp);
        match self.headers_place.as_ref().filter(|_| is_verbatim)? {
            Piece::Span { start, end } => {
                let (start, end) = (*start as usize, *end as usize);
                Some((self.text.get(..start + 1)?, self.text.get(end.checked_sub(1)?..)?))
            }
            Piece::Own(_) => None,
        }
    }

    /// The path as it was received.
    pub fn path(&self) -> &str {
        self.path.of(&self.text)
    }

    /// The JSON text of the value.
    pub fn value(&self) -> Option<&str> {
        self.value.as_ref().map(|piece| piece.of(&self.text))
    }

    /// The JSON text of `extra`, an object.
    pub fn extra(&self) -> Option<&str> {
        self.extra.as_ref().map(|piece| piece.of(&self.text))
    }

    /// The same signal with another JSON text for its value, or none: what a receiver may see of it.
    #[must_use]
    pub fn with_value(&self, value: Option<&str>) -> Self {
        let value = value.map(|value| Piece::Own(value.into()));
        // The text around the headers has the old one.
        Self { value, headers_place: None, ..self.clone() }
    }

    /// The same signal with another JSON text for `extra`, which must be an object, or none.
    #[must_use]
    pub fn with_extra(&self, extra: Option<&str>) -> Self {
        let extra = extra.map(|extra| Piece::Own(extra.into()));
        Self { extra, headers_place: None, ..self.clone() }
    }

    /// The status of a response, error or acknowledgement.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The revision of an event's thing.
    pub fn revision(&self) -> Option<i64> {
        self.revision
    }

    /// The instant as it was received.
    pub fn timestamp(&self) -> Option<&str> {
        self.timestamp.as_ref().map(|piece| piece.of(&self.text))
    }

    /// The field selector of a query, as it was received.
    pub fn fields(&self) -> Option<&str> {
        self.fields.as_ref().map(|piece| piece.of(&self.text))
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The headers, to strip or overlay what a feed knows better.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Its type.
    pub fn signal_type(&self) -> SignalType {
        self.kind.signal_type
    }

    /// Its category.
    pub fn category(&self) -> Category {
        self.kind.category
    }

    /// Whether it is a message to or from a thing or feature, or the answer to one.
    pub fn is_message(&self) -> bool {
        matches!(self.kind.subject, Subject::Message { .. })
    }

    pub(crate) fn subject(&self) -> Subject {
        self.kind.subject
    }

    /// Whether it is live, by its topic or by its header `channel`.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// The entity that it is about.
    pub fn entity(&self) -> Entity<'_> {
        let TopicPath { namespace, name, .. } = self.topic_path();
        let kind = match self.kind.subject {
            Subject::Things | Subject::Search => EntityKind::None,
            // The reference has an id of its own for a question about any entities.
            Subject::Permissions => {
                return Entity { kind: EntityKind::Policy, namespace: "", name: "check-permissions" };
            }
            Subject::Policy(_) | Subject::Streaming(Group::Policies) => EntityKind::Policy,
            Subject::Connection => EntityKind::Connection,
            _ => EntityKind::Thing,
        };
        Entity { kind, namespace, name }
    }

    /// `thing`, `policy`, `message`, `connection`, `acknowledgement` or what it is about else.
    pub fn resource_type(&self) -> &'static str {
        match (self.kind.subject, self.kind.category) {
            (Subject::Search, Category::Event) => "thing-search.subscription",
            (Subject::Search, _) => "thing-search",
            (Subject::Streaming(_), Category::Event) => "streaming.subscription",
            (Subject::Thing(_) | Subject::Things | Subject::Streaming(Group::Things), _) => "thing",
            (Subject::Policy(_) | Subject::Permissions | Subject::Streaming(_), _) => "policy",
            (Subject::Connection, _) => "connection",
            (Subject::Message { .. }, _) => "message",
            (Subject::Acknowledgement, _) => "acknowledgement",
            (Subject::Acknowledgements, _) => "acknowledgements",
        }
    }

    /// The path of the resource with a leading and without a trailing slash.
    pub fn resource_path(&self) -> Cow<'_, str> {
        match (self.kind.subject, self.kind.category) {
            (
                Subject::Thing(ThingResource::Thing)
                | Subject::Things
                | Subject::Search
                | Subject::Permissions
                | Subject::Connection
                | Subject::Acknowledgement
                | Subject::Acknowledgements,
                _,
            )
            | (Subject::Policy(_), Category::Error | Category::Announcement)
            | (Subject::Streaming(_), Category::Event) => Cow::Borrowed("/"),
            _ => canonical_path(self.path()),
        }
    }

    /// The id of the one feature that the signal is about; a merge is about its thing, and so is a response.
    pub fn feature_id(&self) -> Option<&str> {
        let is_message = matches!(self.kind.subject, Subject::Message { .. });
        let is_merge = matches!(self.topic_path().action, Some(Action::Merge | Action::Merged));
        self.path_feature().filter(|_| is_message || !(is_merge || self.kind.category == Category::Response))
    }

    /// The id of the feature that the path names.
    pub(crate) fn path_feature(&self) -> Option<&str> {
        let mut segments = Segments::of_path(self.path());
        match self.kind.subject {
            Subject::Thing(ThingResource::Thing) => None,
            Subject::Message { at_feature: true, .. } | Subject::Thing(_)
                if segments.next() == Some("features") =>
            {
                segments.next()
            }
            _ => None,
        }
    }

    /// The kind of target topic that it is for; `None` if targets cannot subscribe to it (protocol.md §13).
    pub fn target_topic(&self) -> Option<TargetTopic> {
        match (self.kind.subject, self.kind.category) {
            (Subject::Message { .. }, _) => Some(TargetTopic::LiveMessages),
            (Subject::Policy(_), Category::Announcement) => Some(TargetTopic::PolicyAnnouncements),
            (Subject::Connection, Category::Announcement) => Some(TargetTopic::ConnectionAnnouncements),
            (Subject::Thing(_), Category::Event) if self.is_live => Some(TargetTopic::LiveEvents),
            (Subject::Thing(_), Category::Event) => Some(TargetTopic::TwinEvents),
            (Subject::Thing(_), Category::Command | Category::Response | Category::Error) if self.is_live => {
                Some(TargetTopic::LiveCommands)
            }
            _ => None,
        }
    }
}

/// What a message says before it is asked which signal it is: the reference's adaptable.
struct Read<'t> {
    envelope: Envelope<'t>,
    headers: Headers,
    topic: Cow<'t, str>,
    parts: TopicParts,
    path: Cow<'t, str>,
    extra: Option<&'t str>,
    status: Option<u16>,
    timestamp: Option<Cow<'t, str>>,
    fields: Option<Cow<'t, str>>,
    revision: Option<i64>,
}

impl<'t> Read<'t> {
    fn of(text: &'t ByteString, limits: &Limits, keeps_internal: bool) -> Result<Self, ProtocolError> {
        let mut envelope = Envelope::scan(text, limits.max_depth)?;
        let missing =
            |name| ProtocolError::new(ErrorCode::JSON_FIELD_MISSING, format!("member `{name}` is missing"));
        let headers = match envelope.headers.take() {
            Some(raw) => Headers::of_envelope(text, raw, keeps_internal)?,
            None => Headers::default(),
        };
        let topic = string("topic", envelope.topic.ok_or_else(|| missing("topic"))?)?;
        let parts = TopicParts::new(&topic, &TopicPath::parse(&topic)?);
        let path = string("path", envelope.path.ok_or_else(|| missing("path"))?)?;
        let extra = envelope.extra.map(|raw| object("extra", raw)).transpose()?;
        let status = status_of(&envelope)?;
        let timestamp = envelope.timestamp.map(|raw| string("timestamp", raw)).transpose()?;
        if let Some(timestamp) = &timestamp
            && !is_instant(timestamp)
        {
            return Err(ProtocolError::new(
                ErrorCode::JSON_INVALID,
                format!(
                    "member `timestamp` is no instant such as 2024-05-06T07:08:09Z: `{}`",
                    shorten(timestamp)
                ),
            ));
        }
        envelope.metadata.map(|raw| object("metadata", raw)).transpose()?;
        let fields = envelope.fields.map(|raw| string("fields", raw)).transpose()?;
        fields.as_deref().map(canonical_fields).transpose()?;
        let revision = envelope.revision.map(|raw| integer("revision", raw)).transpose()?;
        Ok(Self { envelope, headers, topic, parts, path, extra, status, timestamp, fields, revision })
    }
}

fn checked_text(text: Bytes, limits: &Limits) -> Result<ByteString, ProtocolError> {
    // Offsets into it have 32 bits.
    if text.len() > limits.max_bytes.min(u32::MAX as usize) {
        return Err(ProtocolError::new(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!("the message has {} bytes, more than {}", text.len(), limits.max_bytes),
        ));
    }
    ByteString::try_from(text).map_err(|error| {
        ProtocolError::new(ErrorCode::MESSAGE_NOT_UTF8, format!("the message is not utf-8: {error}"))
    })
}

/// A path with a leading and without a trailing slash.
pub(crate) fn canonical_path(path: &str) -> Cow<'_, str> {
    match path {
        "" | "/" => Cow::Borrowed("/"),
        path => {
            let trimmed = match path.strip_suffix('/') {
                // In a tail after an empty segment the slash belongs to the last segment.
                Some(rest) if !path.trim_start_matches('/').contains("//") && !rest.is_empty() => rest,
                _ => path,
            };
            if trimmed.starts_with('/') { Cow::Borrowed(trimmed) } else { Cow::Owned(format!("/{trimmed}")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_headers_of_an_untrusted_message_were_never_there() {
        let text = r#"{"topic":"a/b/things/twin/events/deleted","path":"/","revision":1,
            "headers":{"Ditto-Read-Subjects":"no list","ditto-own":"x"}}"#;
        let names = |signal: Signal| signal.headers().iter().map(|h| h.name().to_owned()).collect::<Vec<_>>();
        let signal = Signal::decode_untrusted(text.into(), &Limits::default());
        assert_eq!(signal.map(names), Ok(vec!["ditto-own".to_owned()]));
        let code = Signal::decode(text.into(), &Limits::default()).map(names).map_err(|error| error.code());
        assert_eq!(code, Err(ErrorCode::HEADER_INVALID));
    }

    #[test]
    fn parts_are_replaced() {
        let text = r#"{"topic":"a/b/things/twin/events/modified","headers":{"x":"y"},"path":"/attributes","value":{"a":1,"b":2},"revision":3,"extra":{"old":1}}"#;
        let signal = Signal::decode(text.into(), &Limits::default()).unwrap();
        let written = |signal: &Signal| {
            let mut out = Vec::new();
            signal.write(&crate::Written::default(), &mut out);
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        let mut expected = written(&signal);
        expected["value"] = serde_json::json!({"a": 1});
        expected["extra"] = serde_json::json!({"new": 2});
        let other = signal.with_value(Some(r#"{"a":1}"#)).with_extra(Some(r#"{"new":2}"#));
        assert_eq!(written(&other), expected);
        assert_eq!(other.partial_thing().unwrap()["attributes"], serde_json::json!({"a": 1}));
        let less = written(&other.with_value(None).with_extra(None));
        assert!(less.get("value").is_none() && less.get("extra").is_none(), "{less}");
    }

    #[test]
    fn a_path_is_no_deeper_than_a_value() {
        let decode = |levels: usize| {
            let path = "/a".repeat(levels);
            let text = format!(
                r#"{{"topic":"a/b/things/twin/events/modified","path":"/attributes{path}","value":1,"revision":1}}"#
            );
            Signal::decode(text.into(), &Limits::default()).map(|signal| signal.partial_thing().is_some())
        };
        assert_eq!(decode(63), Ok(true));
        assert_eq!(decode(64).map_err(|error| error.code()), Err(ErrorCode::MESSAGE_TOO_DEEP));
        assert_eq!(decode(500_000).map_err(|error| error.code()), Err(ErrorCode::MESSAGE_TOO_DEEP));
    }
}
