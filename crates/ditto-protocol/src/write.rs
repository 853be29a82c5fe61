//! Writing a signal back, as the reference's Ditto mapper does (outbound.md §4.1).

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use ditto_json::{JsonKind, decode_string, write_escaped, write_string};

use crate::definitions::{HeaderDefinition, KnownHeader, header_definition};
use crate::fields::canonical_fields;
use crate::headers::external_labels;
use crate::instant::canonical_instant;
use crate::kind::{Category, Subject};
use crate::resource::{MessagePath, PolicyResource, ThingResource};
use crate::signal::{EntityKind, Signal};
use crate::topic::{Action, Channel, SearchAction};

/// Base64 as the reference reads it: padding may be missing, and bits beyond the last byte do not count.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

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
        match self.around_headers() {
            Some((before, after)) => {
                out.extend_from_slice(before.as_bytes());
                self.write_headers(written, out);
                out.extend_from_slice(after.as_bytes());
            }
            None => self.write_members(written, out),
        }
    }

    /// Member by member, in the order of the reference.
    fn write_members(&self, written: &Written<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"topic\":\"");
        self.write_topic(out);
        out.extend_from_slice(b"\",\"headers\":{");
        self.write_headers(written, out);
        out.extend_from_slice(b"},\"path\":");
        write_string(out, &self.resource_path());
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
        if let Some(status) = self.written_status() {
            member("status", Some(itoa::Buffer::new().format(status)));
        }
        if self.category() == Category::Event {
            if let Some(revision) = self.revision() {
                member("revision", Some(itoa::Buffer::new().format(revision)));
            }
            if let Some(timestamp) = self.timestamp() {
                out.extend_from_slice(b",\"timestamp\":");
                write_string(out, &canonical_instant(timestamp));
            }
        }
        if let Some(fields) = self.written_fields() {
            out.extend_from_slice(b",\"fields\":");
            write_string(out, &fields);
        }
        out.push(b'}');
    }

    /// Commands, events and announcements have no status, whatever the message says; that of an error is in its value.
    fn written_status(&self) -> Option<u16> {
        match self.category() {
            Category::Response | Category::Acknowledgement => self.status(),
            Category::Error => self.error_status().or(self.status()),
            _ => None,
        }
    }

    /// The fields of those queries whose answer has some.
    fn written_fields(&self) -> Option<String> {
        let fields = self.fields()?;
        let topic = self.topic_path();
        let has_fields = match self.subject() {
            Subject::Thing(resource) => !matches!(
                resource,
                ThingResource::PolicyId
                    | ThingResource::Definition
                    | ThingResource::Attribute
                    | ThingResource::FeatureDefinition
                    | ThingResource::FeatureProperty
                    | ThingResource::FeatureDesiredProperty
            ),
            Subject::Policy(resource) => resource == PolicyResource::Policy,
            Subject::Things => true,
            Subject::Search => topic.search_action == Some(SearchAction::Subscribe),
            _ => false,
        };
        let is_query = self.category() == Category::Command
            && (topic.action == Some(Action::Retrieve) || topic.search_action.is_some());
        // Decoding has read them, so there is no error.
        if has_fields && is_query { canonical_fields(fields).ok().flatten() } else { None }
    }

    /// The header `channel` decides the channel of the topic.
    fn write_topic(&self, out: &mut Vec<u8>) {
        let topic = self.topic_path();
        let slash_then = |out: &mut Vec<u8>, part: &str| {
            out.push(b'/');
            write_escaped(out, part);
        };
        let (namespace, name) = match self.subject() {
            Subject::Connection => ("_", topic.name),
            Subject::Search => ("_", "_"),
            _ => (topic.namespace, topic.name),
        };
        write_escaped(out, namespace);
        slash_then(out, name);
        slash_then(out, topic.group.as_str());
        if topic.channel != Channel::None {
            // A stream of events is of twins, whatever the header says; with a live topic nobody could read it.
            let is_live = self.is_live() && !matches!(self.subject(), Subject::Streaming(_));
            slash_then(out, if is_live { "live" } else { "twin" });
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
                    || message.is_some() && known.name().starts_with("ditto-message-")
            });
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
                    sent = self.headers().sent_labels();
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
            let is_patch = self.topic_path().action == Some(Action::Merged);
            let json: &[u8] =
                if is_patch { b"\"application/merge-patch+json\"" } else { b"\"application/json\"" };
            out.extend_from_slice(json);
        }
    }

    /// Deletions have no value of their own: the `{}` that the reference leaves of a redacted one has no type.
    fn has_typed_value(&self) -> bool {
        (self.value().is_some() || self.subscribes()) && self.topic_path().action != Some(Action::Deleted)
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
        if let Some(value) = self.written_value() {
            out.extend_from_slice(b",\"value\":");
            out.extend_from_slice(value.as_bytes());
        }
    }

    /// The JSON text of the value as it is written: with what its kind must have, and the payload of a message as its
    /// content type says.
    pub fn written_value(&self) -> Option<Cow<'_, str>> {
        if let Some(completed) = self.completed_value() {
            return Some(completed.to_string().into());
        }
        let raw = self.value()?;
        if !self.is_message() {
            return Some(raw.into());
        }
        let quoted = |text: &str| {
            let mut out = Vec::with_capacity(text.len() + 2);
            write_string(&mut out, text);
            String::from_utf8(out).ok().map(Cow::Owned)
        };
        match PayloadKind::of(self.headers().content_type().as_deref()) {
            PayloadKind::Json => Some(raw.into()),
            PayloadKind::Text if JsonKind::of(raw) == JsonKind::String => Some(raw.into()),
            PayloadKind::Text => quoted(raw),
            PayloadKind::Bytes => {
                let text = decode_string(raw).unwrap_or(raw.into());
                let bytes = LENIENT.decode(text.as_bytes()).unwrap_or_else(|_| text.as_bytes().to_vec());
                quoted(&STANDARD.encode(bytes))
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
        } else if media_type == "application/merge-patch+json" {
            Self::Bytes
        } else if media_type.ends_with("/json") || media_type.ends_with("+json") {
            Self::Json
        } else {
            Self::Bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::signal::Limits;

    /// What is written of a message, without its headers.
    #[track_caller]
    fn check(message: Value, expected: Value) {
        let text = message.to_string();
        let signal = Signal::decode(text.clone().into(), &Limits::default()).unwrap();
        let mut out = Vec::new();
        signal.write(&Written::default(), &mut out);
        let mut written: Value = serde_json::from_slice(&out).unwrap();
        written.as_object_mut().unwrap().remove("headers");
        assert_eq!(written, expected, "{text}");
    }

    #[test]
    fn what_a_kind_has_not_is_left_out() {
        check(
            json!({"topic": "a/b/things/twin/commands/retrieve", "path": "/", "fields": "thingId,attributes/a",
                "revision": 3, "timestamp": "2024-05-06T07:08:09Z"}),
            json!({"topic": "a/b/things/twin/commands/retrieve", "path": "/", "fields": "/thingId,/attributes/a"}),
        );
        check(
            json!({"topic": "a/b/things/twin/acks/c:lbl", "path": "/x", "status": 200}),
            json!({"topic": "a/b/things/twin/acks/c:lbl", "path": "/", "status": 200}),
        );
        check(
            json!({"topic": "x/c/connections/announcements/opened", "path": "/", "status": 200,
                "value": {"openedAt": "2030-01-01T01:00:00+01:00"}}),
            json!({"topic": "_/c/connections/announcements/opened", "path": "/",
                "value": {"openedAt": "2030-01-01T00:00:00Z"}}),
        );
    }

    #[test]
    fn what_a_value_lacks_is_filled_in() {
        check(
            json!({"topic": "a/b/things/twin/commands/modify", "path": "/", "value": {"attributes": {"n": 90.42225290942383}}}),
            json!({"topic": "a/b/things/twin/commands/modify", "path": "/",
                "value": {"_namespace": "a", "thingId": "a:b", "attributes": {"n": 90.42225290942383}}}),
        );
        check(
            json!({"topic": "a/b/things/twin/acks", "path": "/", "status": 424,
                "value": {"c:one": {"status": 200, "payload": null}, "c:two": {"status": 404, "headers": {"x": "y"}}}}),
            json!({"topic": "a/b/things/twin/acks", "path": "/", "status": 424,
                "value": {"c:one": {"status": 200, "headers": {"response-required": false}},
                    "c:two": {"status": 404, "headers": {"x": "y", "response-required": false}}}}),
        );
        check(
            json!({"topic": "a/b/things/twin/errors", "path": "/", "status": 404,
                "value": {"status": 400, "error": "x:y", "message": "m"}}),
            json!({"topic": "a/b/things/twin/errors", "path": "/", "status": 400,
                "value": {"status": 400, "error": "x:y", "message": "m", "description": ""}}),
        );
        check(
            json!({"topic": "a/b/policies/events/modified", "path": "/", "revision": 1,
                "value": {"policyId": "a:b", "entries": {"e": {}}}}),
            json!({"topic": "a/b/policies/events/modified", "path": "/", "revision": 1,
                "value": {"_namespace": "a", "policyId": "a:b", "imports": {},
                    "entries": {"e": {"subjects": {}, "resources": {}, "importable": "implicit"}}}}),
        );
        check(
            json!({"topic": "_/_/things/twin/search/subscribe", "path": "/"}),
            json!({"topic": "_/_/things/twin/search/subscribe", "path": "/", "value": {"namespaces": []}}),
        );
    }

    #[test]
    fn base64_may_lack_its_padding() {
        let message = |value: &str| json!({"topic": "a/b/things/live/messages/x", "path": "/inbox/messages/x", "value": value});
        check(message("aGVsbG8"), message("aGVsbG8="));
        check(message("YR=="), message("YQ=="));
        check(message("no base64"), message("bm8gYmFzZTY0"));
    }

    /// A message that is mostly copied says what one that is written member by member says.
    #[test]
    fn copying_changes_nothing() {
        let topics = [
            "a/b/things/twin/events/modified",
            "a/b/things/live/events/modified",
            "a/b/things/twin/events/deleted/",
        ];
        let paths = ["/attributes/x", "attributes/x", "/attributes/x/"];
        let headers = [
            None,
            Some(r#"{}"#),
            Some(
                r#"{ "correlation-id" : "c\u00e9" , "X":"1", "x" : "2","etag":null, "entity-revision":"7" }"#,
            ),
            Some(
                r#"{"channel":"live","response-required":true,"content-type":"text/plain","a":[1, 2],"b":{"c":""},"n":5}"#,
            ),
            Some(
                r#"{"requested-acks":["c:lbl","twin-persisted"],"timeout":"5s","ditto-read-subjects":["x:y"]}"#,
            ),
        ];
        let others = [
            r#""value":{"k":[1,"\u0041"]},"revision":3"#,
            r#""value":1,"revision":3.0,"timestamp":"2024-05-06T07:08:09.100Z","extra":{"e":1}"#,
            r#""value":1,"value":2,"revision":3,"timestamp":"2024-05-06T07:08:09.1Z","unknown":5"#,
            r#""value":null,"revision":3,"status":200,"fields":"a""#,
        ];
        let mut copied = 0;
        for topic in topics {
            for path in paths {
                for headers in headers {
                    for other in others {
                        let headers =
                            headers.map_or(String::new(), |headers| format!(r#","headers":{headers}"#));
                        let text = format!(r#"{{"topic":"{topic}"{headers},"path":"{path}",{other}}}"#);
                        let signal = Signal::decode(text.clone().into(), &Limits::default()).unwrap();
                        copied += usize::from(signal.around_headers().is_some());
                        let json = |write: fn(&Signal, &Written<'_>, &mut Vec<u8>)| {
                            let mut out = Vec::new();
                            write(&signal, &Written::default(), &mut out);
                            serde_json::from_slice::<Value>(&out).unwrap()
                        };
                        let (fast, mut slow) = (json(Signal::write), json(Signal::write_members));
                        assert_eq!(fast, slow.take(), "{text}");
                    }
                }
            }
        }
        // Twin with 3 of the headers, live with 4, each with the first of the others.
        assert_eq!(copied, 7);
    }

    #[test]
    fn a_value_without_content_type_gets_one() {
        for (action, content_type) in
            [("modified", "application/json"), ("merged", "application/merge-patch+json")]
        {
            let message = json!({"topic": format!("a/b/things/twin/events/{action}"), "path": "/attributes/x",
                "value": 1, "revision": 1});
            let signal = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
            let mut out = Vec::new();
            signal.write(&Written::default(), &mut out);
            let written: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(written["headers"]["content-type"], content_type);
        }
    }

    #[test]
    fn one_live_channel_makes_a_signal_live() {
        for (topic, header, is_live) in [
            ("a/b/things/live/commands/retrieve", "twin", true),
            ("a/b/things/twin/commands/retrieve", "live", true),
            ("a/b/things/twin/commands/retrieve", " LIVE ", false),
        ] {
            let message = json!({"topic": topic, "path": "/", "headers": {"channel": header}});
            let signal = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
            assert_eq!(signal.is_live(), is_live, "{topic} {header}");
        }
    }
}
