//! The RawMessage mapper: messages of things as payloads of their own, without envelope (mapping.md §4).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use ditto_json::{Scanner, decode_string};
use ditto_protocol::{Criterion, ErrorCode, Headers, MessageSubject, ThingId};

use crate::adaptable::{Adaptable, Parts, json_string, topic_of};
use crate::base64::LENIENT;
use crate::content_type::{ContentType, HONO_NOTIFICATIONS, Media};
use crate::ditto::DittoMapper;
use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::finding::below;
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::{Options, text_of};
use crate::outgoing::{OutgoingMessage, OutgoingSignal, Payload};
use crate::template::{OptionTemplate, of_message};

const CONTENT_TYPE: &str = "content-type";
const DIRECTION: &str = "ditto-message-direction";
const THING_ID: &str = "ditto-message-thing-id";
const SUBJECT: &str = "ditto-message-subject";
const FEATURE_ID: &str = "ditto-message-feature-id";
const STATUS: &str = "status";

const INCOMING_HEADERS: &str = "incomingMessageHeaders";

/// Where the parts of an incoming message come from, unless the options say otherwise.
const DEFAULT_HEADERS: [(&str, &str); 6] = [
    (CONTENT_TYPE, "{{ header:content-type | fn:default('application/octet-stream') }}"),
    (DIRECTION, "{{ header:ditto-message-direction | fn:default('TO') }}"),
    (THING_ID, "{{ header:ditto-message-thing-id }}"),
    (SUBJECT, "{{ header:ditto-message-subject }}"),
    (STATUS, "{{ header:status }}"),
    (FEATURE_ID, "{{ header:ditto-message-feature-id }}"),
];

/// Deepest nesting of a JSON payload, in levels. What comes of it has bounds of its own.
const MAX_DEPTH: usize = 64;

#[derive(Debug)]
pub(crate) struct RawMessageFactory;

impl MapperFactory for RawMessageFactory {
    fn engine(&self) -> &'static str {
        "RawMessage"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.RawMessageMapper"
    }

    fn option_names(&self) -> &'static [&'static str] {
        &["outgoingContentType", INCOMING_HEADERS]
    }

    fn default_blocklist(&self) -> &'static [&'static str] {
        HONO_NOTIFICATIONS
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let outgoing_type = options.text("outgoingContentType");
        let outgoing_type = ContentType::new(outgoing_type.as_deref().unwrap_or("text/plain; charset=UTF-8"));
        let mut texts: Vec<(String, String)> =
            DEFAULT_HEADERS.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        for (name, value) in options.object(INCOMING_HEADERS).into_iter().flatten() {
            let text = text_of(&value).into_owned();
            match texts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = text,
                None => texts.push((name, text)),
            }
        }
        let headers = texts
            .into_iter()
            .map(|(name, text)| {
                let at = below(INCOMING_HEADERS, &name);
                let template = OptionTemplate::read(&text, options, &at, of_message);
                (name, template)
            })
            .collect();
        Some(Arc::new(RawMessage { outgoing_type, headers }))
    }
}

#[derive(Debug, Clone)]
struct RawMessage {
    outgoing_type: ContentType,
    /// Of incoming messages, each name once.
    headers: Arc<[(String, OptionTemplate)]>,
}

impl CompiledMapper for RawMessage {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(RawMessageMapper { options: self.clone(), ditto: DittoMapper::default() }))
    }
}

#[derive(Debug)]
struct RawMessageMapper {
    options: RawMessage,
    /// For what is a Ditto Protocol message, or no message.
    ditto: DittoMapper,
}

impl Mapper for RawMessageMapper {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        let resolve = |template: &OptionTemplate| template.resolve(&message.values());
        let content_type = self.options.headers.iter().find(|(name, _)| name == CONTENT_TYPE);
        let content_type = content_type.map(|(_, template)| resolve(template)).transpose()?.flatten();
        let content_type = content_type.ok_or_else(|| {
            MappingError::new(
                ErrorCode::MESSAGE_FORMAT_INVALID,
                "the message has no content type",
                "send a header content-type, or give `incomingMessageHeaders` a default for it",
            )
        })?;
        if ContentType::new(&content_type).is_ditto_protocol() {
            return self.ditto.incoming(message);
        }
        let mut headers = Vec::with_capacity(self.options.headers.len());
        for (name, template) in &*self.options.headers {
            if let Some(text) = resolve(template)? {
                headers.push((name.clone(), text));
            }
        }
        MessageParts::of(headers)?.adaptable(message, &content_type).map(|adaptable| vec![adaptable])
    }

    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        let own = signal.signal();
        if own.topic_path().criterion != Criterion::Messages {
            return self.ditto.outgoing(signal, messages);
        }
        let content_type = own.headers().content_type().map(|text| ContentType::new(&text));
        let content_type = content_type.as_ref().unwrap_or(&self.options.outgoing_type);
        if content_type.is_ditto_protocol() {
            return self.ditto.outgoing(signal, messages);
        }
        let payload = match own.written_value() {
            None => Payload::Empty,
            Some(value) if content_type.media() == Media::Binary => {
                Payload::Bytes(bytes(&value, content_type)?)
            }
            Some(value) => {
                let text = decode_string(&value).map(|text| text.into_owned());
                Payload::Text(text.unwrap_or_else(|| value.into_owned()).into())
            }
        };
        let mut message =
            OutgoingMessage::new(payload).with_header(CONTENT_TYPE, content_type.as_str().to_owned());
        for name in [DIRECTION, SUBJECT, THING_ID, FEATURE_ID] {
            if let Some(text) = own.derived_header(name) {
                message = message.with_header(name, text.into_owned());
            }
        }
        if let Some(status) = own.status() {
            message = message.with_header(STATUS, status.to_string());
        }
        messages.push(message);
        Ok(())
    }
}

/// What a binary payload is, which stands in a message as Base64.
fn bytes(value: &str, content_type: &ContentType) -> Result<Bytes, MappingError> {
    decode_string(value).and_then(|text| LENIENT.decode(text.as_bytes()).ok()).map(Bytes::from).ok_or_else(
        || {
            MappingError::new(
                ErrorCode::MESSAGE_FORMAT_INVALID,
                format!("the payload of content type `{}` is no base64", content_type.as_str()),
                "send base64, or the right content type",
            )
        },
    )
}

/// What the headers of a message say of it.
struct MessageParts {
    thing_id: ThingId,
    subject: String,
    to_thing: bool,
    feature_id: Option<String>,
    status: Option<u16>,
}

impl MessageParts {
    fn of(headers: Vec<(String, String)>) -> Result<Self, MappingError> {
        let find =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        let need = |name: &str| {
            find(name).ok_or_else(|| {
                MappingError::failed(
                    format!("the message has no `{name}`"),
                    format!("send that header, or give `{INCOMING_HEADERS}` a value for it"),
                )
            })
        };
        let (direction, thing_id, subject) = (need(DIRECTION)?, need(THING_ID)?, need(SUBJECT)?);
        if subject.is_empty() {
            return Err(MappingError::failed("the subject is empty", format!("send a header {SUBJECT}")));
        }
        let thing_id: ThingId = thing_id.parse()?;
        let to_thing = match direction {
            "TO" => true,
            "FROM" => false,
            other => {
                return Err(MappingError::failed(
                    format!("there is no direction `{}`", other.escape_debug()),
                    "write TO or FROM",
                ));
            }
        };
        let subject = subject.parse::<MessageSubject>()?.to_string();
        let feature_id = find(FEATURE_ID).map(str::to_owned);
        let status = find(STATUS).map(status).transpose()?;
        Headers::of_text(headers)?;
        Ok(Self { thing_id, subject, to_thing, feature_id, status })
    }

    fn adaptable(&self, message: &ExternalMessage, content_type: &str) -> Result<Adaptable, MappingError> {
        let direction = if self.to_thing { "inbox" } else { "outbox" };
        let feature = self.feature_id.as_ref().map(|id| format!("/features/{id}")).unwrap_or_default();
        let headers = Headers::of_text([(CONTENT_TYPE, content_type)])?;
        Ok(Adaptable::new(&Parts {
            topic: &topic_of(&self.thing_id, &format!("live/messages/{}", self.subject)),
            headers: &headers,
            path: &format!("{feature}/{direction}/messages/{}", self.subject),
            value: value(message, &ContentType::new(content_type))?.as_deref(),
            status: self.status,
        }))
    }
}

fn status(text: &str) -> Result<u16, MappingError> {
    text.parse().ok().filter(|status| (100..600).contains(status)).ok_or_else(|| {
        MappingError::new(
            ErrorCode::HEADER_INVALID,
            format!("header `status` is no HTTP status: `{}`", text.escape_debug()),
            "write a number such as 200",
        )
    })
}

/// The payload as JSON text.
fn value(message: &ExternalMessage, content_type: &ContentType) -> Result<Option<String>, MappingError> {
    let media = content_type.media();
    if media == Media::Binary {
        let bytes = message.bytes().or(message.text().map(|text| text.as_bytes()));
        return Ok(bytes.map(|bytes| json_string(&STANDARD.encode(bytes))));
    }
    let own = message.text().cloned();
    let text = own.or_else(|| {
        message.bytes().map(|bytes| ByteString::from(String::from_utf8_lossy(bytes).into_owned()))
    });
    let Some(text) = text else { return Ok(None) };
    if media == Media::Text {
        return Ok(Some(json_string(&text)));
    }
    let mut scanner = Scanner::new(&text, MAX_DEPTH);
    let json = scanner.value().and_then(|json| scanner.end().map(|()| json.text()));
    json.map(|json| Some(json.to_owned())).map_err(|error| {
        MappingError::failed(
            format!("the payload is no json: {error}"),
            "send json, or the right content type",
        )
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use crate::tests::{incoming, outgoing};

    fn definition(options: Value) -> Value {
        json!({ "mappingEngine": "RawMessage", "options": options })
    }

    #[track_caller]
    fn check_in(options: Value, headers: &[(&str, &str)], payload: &str, expected: Expect) {
        expected.assert_eq(&incoming(definition(options), headers, payload));
    }

    #[test]
    fn headers_say_what_it_is() {
        let of = |more: &[(&'static str, &'static str)]| {
            [[("ditto-message-thing-id", "a:b"), ("ditto-message-subject", "s")].as_slice(), more].concat()
        };
        check_in(
            json!({}),
            &of(&[]),
            "ab",
            expect![[r#"
            a/b/things/live/messages/s /inbox/messages/s channel=live,content-type=application/octet-stream "YWI="
        "#]],
        );
        check_in(
            json!({}),
            &of(&[
                ("ditto-message-feature-id", "f"),
                ("ditto-message-direction", "FROM"),
                ("content-type", "text/plain"),
            ]),
            "a\"b",
            expect![[r#"
                a/b/things/live/messages/s /features/f/outbox/messages/s channel=live,content-type=text/plain "a\"b"
            "#]],
        );
        check_in(
            json!({}),
            &of(&[("content-type", "application/json")]),
            " {\"a\": 1.50} ",
            expect![[r#"
                a/b/things/live/messages/s /inbox/messages/s channel=live,content-type=application/json {"a": 1.50}
            "#]],
        );
        check_in(
            json!({}),
            &of(&[("content-type", "application/json")]),
            "",
            expect![[r#"
            400 connectivity:message.mapping.failed: the payload is no json: invalid json at byte 0: expected a value; send json, or the right content type
        "#]],
        );
        check_in(
            json!({}),
            &of(&[("Content-Type", "text/plain"), ("Ditto-Message-Direction", "FROM")]),
            "a",
            expect![[r#"
                a/b/things/live/messages/s /inbox/messages/s channel=live,content-type=application/octet-stream "YQ=="
            "#]],
        );
        check_in(
            json!({}),
            &of(&[("status", "700")]),
            "a",
            expect![[r#"
            400 header.invalid: header `status` is no HTTP status: `700`; write a number such as 200
        "#]],
        );
        check_in(
            json!({}),
            &of(&[("ditto-message-direction", "to")]),
            "a",
            expect![[r#"
            400 connectivity:message.mapping.failed: there is no direction `to`; write TO or FROM
        "#]],
        );
        check_in(
            json!({}),
            &[("ditto-message-thing-id", "b"), ("ditto-message-subject", "s")],
            "a",
            expect![[r#"
                400 things:id.invalid: invalid id `b`: no colon after the namespace; mend the message, or use another mapper
            "#]],
        );
        check_in(
            json!({}),
            &[("ditto-message-thing-id", "a:b"), ("ditto-message-subject", "")],
            "a",
            expect![[r#"
                400 connectivity:message.mapping.failed: the subject is empty; send a header ditto-message-subject
            "#]],
        );
        check_in(
            json!({}),
            &[("ditto-message-thing-id", "a:b"), ("ditto-message-subject", "n\u{e4}h")],
            "a",
            expect![[r#"
                400 header.invalid: invalid message subject `näh`: it is empty, longer than 256 characters, has a control character or one of U+007F to U+00FF; mend the message, or use another mapper
            "#]],
        );
    }

    #[test]
    fn options_say_where_it_comes_from() {
        let options = json!({ "incomingMessageHeaders": {
            "content-type": "{{ header:type | fn:default('text/plain') }}", "ditto-message-thing-id": "a:{{ request:subjectId }}",
            "ditto-message-subject": "{{ header:s | fn:upper() }}", "status": 202, "x": "{{ header:none }}" } });
        check_in(
            options.clone(),
            &[("s", "go")],
            "a",
            expect![[r#"
            a/i:s/things/live/messages/GO /inbox/messages/GO 202 channel=live,content-type=text/plain,response-required=false "a"
        "#]],
        );
        check_in(
            options.clone(),
            &[("s", "go"), ("type", "Application/vnd.eclipse.ditto+json; x=y")],
            "[]",
            expect![[r#"
                400 json.invalid: a message is a json object, not `[]`; mend the message, or use another mapper
            "#]],
        );
        check_in(
            options,
            &[],
            "a",
            expect![[r#"
            400 connectivity:message.mapping.failed: the message has no `ditto-message-subject`; send that header, or give `incomingMessageHeaders` a value for it
        "#]],
        );
        let none = json!({ "incomingMessageHeaders": { "content-type": "{{ header:none }}" } });
        check_in(
            none,
            &[],
            "a",
            expect![[r#"
            400 messages:messageformat.invalid: the message has no content type; send a header content-type, or give `incomingMessageHeaders` a default for it
        "#]],
        );
        let unknown = json!({ "incomingMessageHeaders": { "content-type": "{{ thing:id }}" } });
        check_in(
            unknown,
            &[],
            "a",
            expect![[r#"
            400 placeholder:unresolved: placeholder `thing:id` has no value here; use a header of the message: header:name
        "#]],
        );
    }

    #[test]
    fn payloads_go_out_as_they_are() {
        let message = |content_type: &str, value: Value| {
            json!({ "topic": "a/b/things/live/messages/x/y", "path": "/features/f/inbox/messages/x/y",
                "headers": { "content-type": content_type, "own": "lost" }, "value": value, "status": 204 })
        };
        let check = |options: Value, message: Value, expected: Expect| {
            expected.assert_eq(&outgoing(definition(options), message));
        };
        check(
            json!({}),
            message("text/plain", json!("a\"b")),
            expect![[r#"
            content-type=text/plain,ditto-message-direction=TO,ditto-message-feature-id=f,ditto-message-subject=x/y,ditto-message-thing-id=a:b,status=204 a"b
        "#]],
        );
        check(
            json!({}),
            message("text/plain", json!({ "a": 1 })),
            expect![[r#"
            content-type=text/plain,ditto-message-direction=TO,ditto-message-feature-id=f,ditto-message-subject=x/y,ditto-message-thing-id=a:b,status=204 {"a":1}
        "#]],
        );
        check(
            json!({}),
            message("application/json", json!("quoted")),
            expect![[r#"
            content-type=application/json,ditto-message-direction=TO,ditto-message-feature-id=f,ditto-message-subject=x/y,ditto-message-thing-id=a:b,status=204 quoted
        "#]],
        );
        check(
            json!({}),
            message("application/json", Value::Null),
            expect![[r#"
            content-type=application/json,ditto-message-direction=TO,ditto-message-feature-id=f,ditto-message-subject=x/y,ditto-message-thing-id=a:b,status=204 null
        "#]],
        );
        check(
            json!({}),
            message("Image/PNG", json!("AP8")),
            expect![[r#"
            content-type=image/png,ditto-message-direction=TO,ditto-message-feature-id=f,ditto-message-subject=x/y,ditto-message-thing-id=a:b,status=204 [0, 255]
        "#]],
        );
        let mut bare = message("", json!("plain"));
        bare["headers"] = json!({});
        check(
            json!({ "outgoingContentType": "Application/Octet-Stream" }),
            bare.clone(),
            expect![[r#"
            content-type=application/octet-stream,ditto-message-direction=TO,ditto-message-feature-id=f,ditto-message-subject=x/y,ditto-message-thing-id=a:b,status=204 [112, 108, 97, 105, 110]
        "#]],
        );
        check(
            json!({ "outgoingContentType": "application/vnd.eclipse.ditto+json" }),
            bare,
            expect![[r#"
            content-type=application/vnd.eclipse.ditto+json {"topic":"a/b/things/live/messages/x/y","headers":{"channel":"live","ditto-message-thing-id":"a:b","ditto-message-subject":"x/y","ditto-message-direction":"TO","ditto-message-feature-id":"f"},"path":"/features/f/inbox/messages/x/y","value":"cGxhaW4=","status":204}
        "#]],
        );
        let command = json!({ "topic": "a/b/things/live/commands/retrieve", "path": "/" });
        check(
            json!({}),
            command,
            expect![[r#"
            content-type=application/vnd.eclipse.ditto+json {"topic":"a/b/things/live/commands/retrieve","headers":{"channel":"live"},"path":"/"}
        "#]],
        );
    }
}
