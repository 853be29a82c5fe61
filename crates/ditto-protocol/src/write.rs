//! Writing a signal back, as the reference's Ditto mapper does (outbound.md §4.1).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ditto_json::{JsonKind, decode_string, write_escaped, write_string};

use crate::definitions::{HeaderDefinition, KnownHeader, header_definition};
use crate::headers::external_labels;
use crate::kind::{Category, Subject};
use crate::resource::MessagePath;
use crate::signal::{EntityKind, Signal, canonical_path};
use crate::topic::{Action, Channel};

const RESPONSE_REQUIRED: KnownHeader = KnownHeader::named("response-required");
const ENTITY_REVISION: KnownHeader = KnownHeader::named("entity-revision");
const CHANNEL: KnownHeader = KnownHeader::named("channel");
const REQUESTED_ACKS: KnownHeader = KnownHeader::named("requested-acks");

/// How a signal is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written<'w> {
    /// What takes the place of the labels in `requested-acks`, where the signal has that header.
    pub requested_acks: Option<&'w [String]>,
}

impl Signal {
    /// Appends the message: value and `extra` byte for byte, headers as they are written outside.
    ///
    /// Internal headers are left out. Events and errors get `response-required: false`, events `entity-revision`, live
    /// signals `channel`, messages what their topic and path say, and a value without content type gets one.
    pub fn write(&self, written: &Written<'_>, out: &mut Vec<u8>) {
        out.reserve(self.text().len() + 160);
        if let Some((before, after)) = self.around_headers() {
            out.extend_from_slice(before.as_bytes());
            self.write_headers(written, out);
            return out.extend_from_slice(after.as_bytes());
        }
        out.extend_from_slice(b"{\"topic\":\"");
        self.write_topic(out);
        out.extend_from_slice(b"\",\"headers\":{");
        self.write_headers(written, out);
        out.extend_from_slice(b"},\"path\":");
        write_string(out, &canonical_path(self.path()));
        self.write_value(out);
        let mut member = |name: &str, raw: Option<&str>| {
            if let Some(raw) = raw {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                out.extend_from_slice(raw.as_bytes());
            }
        };
        member("extra", self.extra());
        if let Some(status) = self.status() {
            member("status", Some(&status.to_string()));
        }
        if let Some(revision) = self.revision() {
            member("revision", Some(itoa::Buffer::new().format(revision)));
        }
        if let Some(timestamp) = self.timestamp() {
            out.extend_from_slice(b",\"timestamp\":");
            write_instant(timestamp, out);
        }
        out.push(b'}');
    }

    /// The header `channel` decides the channel of the topic.
    fn write_topic(&self, out: &mut Vec<u8>) {
        let topic = self.topic_path();
        let slash_then = |out: &mut Vec<u8>, part: &str| {
            out.push(b'/');
            write_escaped(out, part);
        };
        write_escaped(out, topic.namespace);
        slash_then(out, topic.name);
        slash_then(out, topic.group.as_str());
        if topic.channel != Channel::None {
            slash_then(out, if self.is_live() { "live" } else { "twin" });
        }
        slash_then(out, topic.criterion.as_str());
        let action = topic.action.map(|action| action.as_str());
        let search = topic.search_action.map(|action| action.as_str());
        let streaming = topic.streaming_action.map(|action| action.as_str());
        for part in [action, search, streaming, topic.subject].into_iter().flatten() {
            slash_then(out, part);
        }
    }

    fn write_headers(&self, written: &Written<'_>, out: &mut Vec<u8>) {
        let is_event = self.category() == Category::Event;
        let unanswered = is_event || self.category() == Category::Error;
        let message = self.message_path();
        let mut first = true;
        let mut separate = |out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
        };
        for header in self.headers().iter() {
            if header.definition().is_some_and(|definition| !definition.is_written_outside()) {
                continue;
            }
            let known = header.definition().map(HeaderDefinition::known);
            let is_said_below = known.is_some_and(|known| {
                known == RESPONSE_REQUIRED && unanswered
                    || known == ENTITY_REVISION && is_event
                    || known == CHANNEL && self.is_live()
            }) || message.is_some()
                && known.is_some_and(|known| known.name().starts_with("ditto-message-"));
            if is_said_below {
                continue;
            }
            if known != Some(REQUESTED_ACKS) {
                separate(out);
                header.write(out);
                continue;
            }
            let sent;
            let labels = match written.requested_acks {
                Some(labels) => labels,
                None => {
                    sent = self.headers().requested_acks();
                    &sent
                }
            };
            if let Some(labels) = external_labels(labels) {
                separate(out);
                header.write_name(out);
                out.push(b':');
                out.extend_from_slice(labels.as_bytes());
            }
        }
        let mut begin = |out: &mut Vec<u8>, name: &str| {
            separate(out);
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
        };
        if unanswered {
            begin(out, "response-required");
            out.extend_from_slice(b"false");
        }
        if let Some(revision) = self.revision().filter(|_| is_event) {
            begin(out, "entity-revision");
            out.extend_from_slice(itoa::Buffer::new().format(revision).as_bytes());
        }
        if self.is_live() {
            begin(out, "channel");
            out.extend_from_slice(b"\"live\"");
        }
        if let Some(message) = message {
            self.write_message_headers(message, out, begin);
        } else if self.has_typed_value() && self.headers().content_type().is_none() {
            begin(out, "content-type");
            out.extend_from_slice(b"\"application/json\"");
        }
    }

    /// Deletions have no value of their own: the `{}` that the reference leaves of a redacted one has no type.
    fn has_typed_value(&self) -> bool {
        self.value().is_some() && self.topic_path().action != Some(Action::Deleted)
    }

    fn write_message_headers(
        &self,
        message: MessagePath<'_>,
        out: &mut Vec<u8>,
        mut begin: impl FnMut(&mut Vec<u8>, &str),
    ) {
        begin(out, "ditto-message-thing-id");
        write_string(out, &self.entity().to_string());
        begin(out, "ditto-message-subject");
        write_string(out, self.topic_path().subject.unwrap_or_default());
        begin(out, "ditto-message-direction");
        write_string(out, if message.to_thing { "TO" } else { "FROM" });
        if let Some(feature) = message.feature {
            begin(out, "ditto-message-feature-id");
            write_string(out, feature);
        }
    }

    /// The text of a header that the signal itself says, whatever its headers are (outbound.md §4.1): `ditto-entity-id`,
    /// of events and errors `response-required`, of events `entity-revision`, of live signals `channel`, and what topic
    /// and path of a message say.
    pub fn derived_header(&self, name: &str) -> Option<Cow<'_, str>> {
        let name = header_definition(name).map(HeaderDefinition::name)?;
        let is_event = self.category() == Category::Event;
        let message = self.message_path();
        match (name, message) {
            ("ditto-entity-id", _) if self.entity().kind() != EntityKind::None => {
                Some(format!("{}:{}", self.entity().kind().as_str(), self.entity()).into())
            }
            ("response-required", _) if is_event || self.category() == Category::Error => {
                Some("false".into())
            }
            ("entity-revision", _) if is_event => self.revision().map(|revision| revision.to_string().into()),
            ("channel", _) if self.is_live() => Some("live".into()),
            ("ditto-message-thing-id", Some(_)) => Some(self.entity().to_string().into()),
            ("ditto-message-subject", Some(_)) => self.topic_path().subject.map(Cow::Borrowed),
            ("ditto-message-direction", Some(path)) => Some(if path.to_thing { "TO" } else { "FROM" }.into()),
            ("ditto-message-feature-id", Some(path)) => path.feature.map(Cow::Borrowed),
            _ => None,
        }
    }

    pub(crate) fn message_path(&self) -> Option<MessagePath<'_>> {
        match self.subject() {
            Subject::Message { .. } => {
                MessagePath::of_path(self.path(), self.topic_path().subject.unwrap_or_default()).ok()
            }
            _ => None,
        }
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        let Some(raw) = self.value() else { return };
        out.extend_from_slice(b",\"value\":");
        if !self.is_message() {
            match self.completed_value() {
                Some(completed) => out.extend_from_slice(completed.to_string().as_bytes()),
                None => out.extend_from_slice(raw.as_bytes()),
            }
            return;
        }
        let content_type = self.headers().content_type();
        match PayloadKind::of(content_type.as_deref()) {
            PayloadKind::Json => out.extend_from_slice(raw.as_bytes()),
            PayloadKind::Text if JsonKind::of(raw) == JsonKind::String => {
                out.extend_from_slice(raw.as_bytes())
            }
            PayloadKind::Text => write_string(out, raw),
            PayloadKind::Bytes => {
                let text = decode_string(raw).unwrap_or(raw.into());
                if STANDARD.decode(text.as_bytes()).is_ok() {
                    write_string(out, &text);
                } else {
                    write_string(out, &STANDARD.encode(text.as_bytes()));
                }
            }
        }
    }
}

/// How the payload of a message stands in its value (protocol.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PayloadKind {
    Json,
    Text,
    /// Base64.
    Bytes,
}

impl PayloadKind {
    fn of(content_type: Option<&str>) -> Self {
        let Some(content_type) = content_type else { return Self::Bytes };
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type.starts_with("text/") {
            Self::Text
        } else if media_type.ends_with("/json") || media_type.ends_with("+json") {
            Self::Json
        } else {
            Self::Bytes
        }
    }
}

/// Whether an instant is written as it is: UTC, with 0, 3, 6 or 9 digits of a second.
pub(crate) fn is_canonical_instant(text: &str) -> bool {
    match (text.len(), text.as_bytes().get(19)) {
        (20, Some(b'Z')) => true,
        (24 | 28 | 30, Some(b'.')) => text.ends_with('Z') && !text.ends_with("000Z"),
        _ => false,
    }
}

/// Appends an instant as JSON string in the reference's form: UTC, with 0, 3, 6 or 9 digits of a second.
fn write_instant(text: &str, out: &mut Vec<u8>) {
    if is_canonical_instant(text) {
        write_string(out, text);
        return;
    }
    let Ok(instant) = text.parse::<jiff::Timestamp>() else {
        write_string(out, text);
        return;
    };
    let precision = match instant.subsec_nanosecond() {
        0 => 0,
        n if n % 1_000_000 == 0 => 3,
        n if n % 1_000 == 0 => 6,
        _ => 9,
    };
    write_string(out, &format!("{instant:.precision$}"));
}
