//! The CloudEvents mapper (mapping.md §6).

use std::sync::Arc;

use base64::Engine;
use bytestring::ByteString;
use ditto_json::{JsonKind, RawObject, Scanner, decode_string, write_escaped};
use ditto_protocol::Limits;
use uuid::Uuid;

use crate::adaptable::Adaptable;
use crate::base64::LENIENT;
use crate::content_type::DITTO_PROTOCOL;
use crate::error::MappingError;
use crate::external::{ExternalMessage, now};
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::Options;
use crate::outgoing::{OutgoingMessage, OutgoingSignal, Payload};

const STRUCTURED: &str = "application/cloudevents+json";

/// The source that outgoing events name, as the reference does.
const SOURCE: &str = "https://github.com/eclipse-ditto/ditto";

#[derive(Debug)]
pub(crate) struct CloudEventsFactory;

impl MapperFactory for CloudEventsFactory {
    fn engine(&self) -> &'static str {
        "CloudEvents"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.CloudEventsMapper"
    }

    fn compile(&self, _: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        Some(Arc::new(CloudEvents))
    }
}

#[derive(Debug)]
struct CloudEvents;

impl CompiledMapper for CloudEvents {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(CloudEventsMapper))
    }
}

#[derive(Debug)]
struct CloudEventsMapper;

fn no_event(reason: impl Into<String>) -> MappingError {
    MappingError::failed(
        format!("the message is no CloudEvent: {}", reason.into()),
        "send specversion, type, id and source, of a binary event as headers with ce- before them",
    )
}

impl Mapper for CloudEventsMapper {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        // As in the reference an empty payload is an error before anything else is looked at.
        let payload = message.payload()?;
        let (id, data) = match message.content_type() {
            Some(DITTO_PROTOCOL) => (binary_id(message)?.to_owned(), payload),
            Some(STRUCTURED) => structured(&payload)?,
            _ => return Ok(Vec::new()),
        };
        let adaptable = Adaptable::of_text(data);
        adaptable.check(&Limits::default())?;
        if id.is_empty() {
            return Err(no_event("its id is empty"));
        }
        Ok(vec![adaptable.with_correlation_id(&id)])
    }

    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        let mut out = Vec::with_capacity(signal.signal().size() + 512);
        out.extend_from_slice(b"{\"data\":");
        let start = out.len();
        signal.write(&mut out);
        let data = std::str::from_utf8(out.get(start..).unwrap_or_default()).unwrap_or_default();
        let member = |name: &str| RawObject::new(data).member(name).and_then(decode_string);
        let topic = member("topic").unwrap_or_default().into_owned();
        let time = member("timestamp").map(|time| time.into_owned());
        let mut rest = topic.splitn(3, '/');
        let (namespace, name) = (rest.next().unwrap_or_default(), rest.next().unwrap_or_default());
        let mut put = |name: &str, parts: &[&str]| {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":\"");
            parts.iter().for_each(|part| write_escaped(&mut out, part));
            out.push(b'"');
        };
        put("specversion", &["1.0"]);
        match signal.signal().headers().correlation_id() {
            Some(id) => put("id", &[&id.text()]),
            None => put("id", &[&Uuid::new_v4().to_string()]),
        }
        put("source", &[SOURCE]);
        put("type", &["org.eclipse.ditto.outbound:", rest.next().unwrap_or_default()]);
        put("datacontenttype", &[DITTO_PROTOCOL]);
        put("time", &[&time.unwrap_or_else(|| now().to_string())]);
        put("subject", &[namespace, ":", name]);
        out.push(b'}');
        messages.push(
            OutgoingMessage::new(Payload::Text(out.into()))
                .with_error(signal.is_error())
                .with_header("content-type", ByteString::from_static(STRUCTURED)),
        );
        Ok(())
    }
}

/// The id of an event whose attributes are headers. Their names are exact.
fn binary_id(message: &ExternalMessage) -> Result<&str, MappingError> {
    for name in ["ce-source", "ce-type", "ce-specversion"] {
        if message.header(name).is_none() {
            return Err(no_event(format!("it has no header `{name}`")));
        }
    }
    message.header("ce-id").ok_or_else(|| no_event("it has no header `ce-id`"))
}

/// The id and the data of an event that is JSON.
fn structured(payload: &ByteString) -> Result<(String, ByteString), MappingError> {
    let limits = Limits::default();
    let mut scanner = Scanner::new(payload, limits.max_depth);
    scanner
        .value()
        .and_then(|_| scanner.end())
        .map_err(|error| no_event(format!("it is no json: {error}")))?;
    if JsonKind::of(payload) != JsonKind::Object {
        return Err(no_event("it is no json object"));
    }
    let member = |name: &str| RawObject::new(payload).member(name);
    for name in ["specversion", "type", "source"] {
        if member(name).is_none() {
            return Err(no_event(format!("it has no member `{name}`")));
        }
    }
    let id = member("id").ok_or_else(|| no_event("it has no member `id`"))?;
    let data = match (member("data_base64"), member("data")) {
        (Some(text), _) => {
            let bytes = decode_string(text).and_then(|text| LENIENT.decode(text.as_bytes()).ok());
            let bytes = bytes.ok_or_else(|| no_event("`data_base64` is no base64"))?;
            String::from_utf8_lossy(&bytes).into_owned().into()
        }
        (None, Some(data)) => ByteString::from(data),
        (None, None) => return Err(no_event("it has neither `data` nor `data_base64`")),
    };
    let id = decode_string(id).ok_or_else(|| no_event("its id is no string"));
    Ok((id?.into_owned(), data))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use crate::tests::{incoming, outgoing};

    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], payload: &str, expected: Expect) {
        expected.assert_eq(&incoming(json!({ "mappingEngine": "CloudEvents" }), headers, payload));
    }

    const COMMAND: &str = r#"{"topic":"a/b/things/twin/commands/modify","headers":{"Correlation-ID":"own","x":"y"},"path":"/attributes/x","value":1}"#;

    #[test]
    fn headers_of_a_binary_event() {
        let all = |id: &'static str| {
            vec![
                ("ce-id", id),
                ("ce-type", ""),
                ("ce-source", ""),
                ("ce-specversion", "9"),
                ("content-type", DITTO_PROTOCOL),
            ]
        };
        check(
            &all("7"),
            COMMAND,
            expect![[r#"
            a/b/things/twin/commands/modify /attributes/x correlation-id=7,x=y 1
        "#]],
        );
        check(
            &all(""),
            COMMAND,
            expect![[r#"
            400 connectivity:message.mapping.failed: the message is no CloudEvent: its id is empty; send specversion, type, id and source, of a binary event as headers with ce- before them
        "#]],
        );
        check(
            &all("7"),
            "[]",
            expect![[r#"
                400 json.invalid: a message is a json object, not `[]`; mend the message, or use another mapper
            "#]],
        );
        check(
            &all("7"),
            "",
            expect![[r#"
            400 connectivity:message.mapping.failed: the message has no payload; send a payload, or use another mapper
        "#]],
        );
        for missing in 0..4 {
            let mut some = all("7");
            some.remove(missing);
            assert!(
                incoming(json!({ "mappingEngine": "CloudEvents" }), &some, COMMAND)
                    .starts_with("400 connectivity:message.mapping.failed")
            );
        }
        check(
            &[("content-type", "application/vnd.eclipse.ditto+json; charset=utf-8")],
            "x",
            expect![[r#"
                dropped
            "#]],
        );
        check(
            &[],
            "",
            expect![[r#"
            400 connectivity:message.mapping.failed: the message has no payload; send a payload, or use another mapper
        "#]],
        );
    }

    #[test]
    fn members_of_a_structured_event() {
        let structured = |members: &str| format!(r#"{{"specversion":null,"type":1,"source":"s",{members}}}"#);
        let event =
            |members: &str, expected| check(&[("content-type", STRUCTURED)], &structured(members), expected);
        event(
            &format!(r#""id":"7","data":{COMMAND}"#),
            expect![[r#"
            a/b/things/twin/commands/modify /attributes/x correlation-id=7,x=y 1
        "#]],
        );
        event(
            &format!(r#""id":"7","data_base64":"e30","data":{COMMAND}"#),
            expect![[r#"
                400 json.field.missing: member `topic` is missing; mend the message, or use another mapper
            "#]],
        );
        event(
            r#""id":"7","data_base64":5"#,
            expect![[r#"
            400 connectivity:message.mapping.failed: the message is no CloudEvent: `data_base64` is no base64; send specversion, type, id and source, of a binary event as headers with ce- before them
        "#]],
        );
        event(
            r#""id":"7","data":null"#,
            expect![[r#"
                400 json.field.missing: member `topic` is missing; mend the message, or use another mapper
            "#]],
        );
        event(
            r#""id":"7""#,
            expect![[r#"
            400 connectivity:message.mapping.failed: the message is no CloudEvent: it has neither `data` nor `data_base64`; send specversion, type, id and source, of a binary event as headers with ce- before them
        "#]],
        );
        event(
            r#""id":null,"data":{}"#,
            expect![[r#"
            400 connectivity:message.mapping.failed: the message is no CloudEvent: its id is no string; send specversion, type, id and source, of a binary event as headers with ce- before them
        "#]],
        );
        check(
            &[("content-type", STRUCTURED)],
            "{",
            expect![[r#"
            400 connectivity:message.mapping.failed: the message is no CloudEvent: it is no json: invalid json at byte 1: expected a member name; send specversion, type, id and source, of a binary event as headers with ce- before them
        "#]],
        );
        check(
            &[("content-type", STRUCTURED)],
            r#"{"id":"7","data":{}}"#,
            expect![[r#"
            400 connectivity:message.mapping.failed: the message is no CloudEvent: it has no member `specversion`; send specversion, type, id and source, of a binary event as headers with ce- before them
        "#]],
        );
    }

    #[test]
    fn what_goes_out_is_structured() {
        let event = json!({ "topic": "a/b\"c/things/twin/events/modified", "path": "/attributes/x", "value": 1, "revision": 1,
            "timestamp": "2026-01-02T03:04:05.000Z", "headers": { "correlation-id": "\u{e9}\n" } });
        expect![[r#"
            content-type=application/cloudevents+json {"data":{"topic":"a/b\"c/things/twin/events/modified","headers":{"correlation-id":"é\n","response-required":false,"entity-revision":1,"content-type":"application/json"},"path":"/attributes/x","value":1,"revision":1,"timestamp":"2026-01-02T03:04:05Z"},"specversion":"1.0","id":"é\n","source":"https://github.com/eclipse-ditto/ditto","type":"org.eclipse.ditto.outbound:things/twin/events/modified","datacontenttype":"application/vnd.eclipse.ditto+json","time":"2026-01-02T03:04:05Z","subject":"a:b\"c"}
        "#]].assert_eq(&outgoing(json!({ "mappingEngine": "CloudEvents" }), event));
        let message = json!({ "topic": "a/b/policies/announcements/subjectDeletion", "path": "/",
            "value": { "deleteAt": "2026-01-02T03:04:05Z", "subjectIds": ["i:s"] } });
        let text = outgoing(json!({ "mappingEngine": "CloudEvents" }), message);
        let event: serde_json::Value = serde_json::from_str(text.split_once(' ').unwrap().1).unwrap();
        assert!(event["id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert!(event["time"].as_str().unwrap().ends_with('Z'));
        assert_eq!(event["type"], "org.eclipse.ditto.outbound:policies/announcements/subjectDeletion");
    }
}
