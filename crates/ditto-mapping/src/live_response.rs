//! The UpdateTwinWithLiveResponse mapper: what a device says of itself goes into its twin (mapping.md §9).

use std::sync::Arc;

use ditto_json::RawObject;
use ditto_placeholder::Resolution;
use ditto_protocol::{Action, Category, Channel, Criterion, Group, Headers, Limits, Signal, TopicPath};
use uuid::Uuid;

use crate::adaptable::{Adaptable, Parts, string_member};
use crate::content_type::HONO_NOTIFICATIONS;
use crate::error::MappingError;
use crate::external::{ExternalMessage, MessageValues};
use crate::finding::below;
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::{Options, text_of};
use crate::outgoing::{OutgoingMessage, OutgoingSignal};
use crate::template::{OptionTemplate, of_message};

const HEADERS_FOR_MERGE: &str = "dittoHeadersForMerge";

#[derive(Debug)]
pub(crate) struct LiveResponseFactory;

impl MapperFactory for LiveResponseFactory {
    fn engine(&self) -> &'static str {
        "UpdateTwinWithLiveResponse"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.UpdateTwinWithLiveResponseMessageMapper"
    }

    fn option_names(&self) -> &'static [&'static str] {
        &[HEADERS_FOR_MERGE]
    }

    fn default_blocklist(&self) -> &'static [&'static str] {
        HONO_NOTIFICATIONS
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let texts: Vec<(String, String)> = match options.object(HEADERS_FOR_MERGE) {
            Some(members) => {
                members.into_iter().map(|(name, value)| (name, text_of(&value).into_owned())).collect()
            }
            None => {
                [("response-required", "false"), ("if-match", "*")].map(|(n, v)| (n.into(), v.into())).into()
            }
        };
        // What is no header before its placeholders are resolved is refused, as in the reference.
        if let Err(error) = Headers::of_text(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
        {
            options.refuse_with(error.code().name(), HEADERS_FOR_MERGE, error.message(), "mend the header");
            return None;
        }
        let headers = texts
            .into_iter()
            .map(|(name, text)| {
                let at = below(HEADERS_FOR_MERGE, &name);
                (name, Pieces::read(&text, options, &at))
            })
            .collect();
        Some(Arc::new(LiveResponse { headers }))
    }
}

#[derive(Debug, Clone)]
struct LiveResponse {
    headers: Arc<[(String, Pieces)]>,
}

impl CompiledMapper for LiveResponse {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(self.clone()))
    }
}

impl Mapper for LiveResponse {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        let limits = Limits::default();
        let Ok(payload) = message.payload() else { return Ok(Vec::new()) };
        // What is no message, or another one, is dropped; what is one and no signal is an error.
        if Signal::read_topic(payload.clone().into_bytes(), &limits).is_err() || !is_answer(&payload) {
            return Ok(Vec::new());
        }
        let answer = Signal::decode_untrusted(payload.into_bytes(), &limits)?;
        match (answer.category(), answer.value()) {
            (Category::Response, Some(value)) if !answer.topic_path().is_wildcard() => {
                self.merge(&answer, value, message).map(|merge| vec![merge])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn outgoing(&mut self, _: &OutgoingSignal<'_>, _: &mut Vec<OutgoingMessage>) -> Result<(), MappingError> {
        Ok(())
    }
}

/// Whether it answers the question for something of a thing on the live channel.
fn is_answer(payload: &str) -> bool {
    let topic = string_member(payload, "topic").unwrap_or_default();
    let status = RawObject::new(payload).filter(|(name, _)| name == "status").last();
    let is_status = |raw: &str| raw.parse().is_ok_and(|status: f64| (100.0..600.0).contains(&status));
    TopicPath::parse(&topic).is_ok_and(|topic| {
        topic.group == Group::Things
            && topic.channel == Channel::Live
            && topic.criterion == Criterion::Commands
            && topic.action == Some(Action::Retrieve)
    }) && status.is_some_and(|(_, raw)| is_status(raw))
}

impl LiveResponse {
    fn merge(
        &self,
        answer: &Signal,
        value: &str,
        message: &ExternalMessage,
    ) -> Result<Adaptable, MappingError> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, pieces) in &*self.headers {
            headers.push((name.as_str(), pieces.resolve(&message.values())?));
        }
        let mut headers = Headers::of_text(headers)?;
        let id = answer.headers().correlation_id().map(|id| id.text().into_owned());
        let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
        headers.set("correlation-id", format!("{id}-merge-into-twin"))?;
        headers.set("content-type", "application/merge-patch+json")?;
        let topic = answer.topic_path();
        Ok(Adaptable::new(&Parts {
            topic: &format!("{}/{}/things/twin/commands/merge", topic.namespace, topic.name),
            headers: &headers,
            path: &answer.resource_path(),
            value: Some(value),
            status: None,
        }))
    }
}

/// A text with placeholders of which those without a value stay as they are.
#[derive(Debug)]
struct Pieces(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    /// The template, and what stands there if it has no value.
    Template(OptionTemplate, String),
}

impl Pieces {
    fn read(text: &str, options: &mut Options<'_>, at: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, inner, after)) = next_braces(rest) {
            pieces.push(Piece::Text(before.to_owned()));
            let template = OptionTemplate::read(&format!("{{{{{inner}}}}}"), options, at, of_message);
            pieces.push(Piece::Template(template, format!("{{{{{}}}}}", inner.trim_start())));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self(pieces)
    }

    fn resolve(&self, values: &MessageValues<'_>) -> Result<String, MappingError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(own) => text.push_str(own),
                Piece::Template(template, own) => match template.resolve_into(values, &mut text) {
                    Ok(Resolution::Resolved | Resolution::Deleted) => {}
                    Ok(Resolution::Unresolved) => text.push_str(own),
                    // A placeholder that nobody knows has no value either.
                    Err(error) if error.code() == "placeholder:unresolved" => text.push_str(own),
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(text)
    }
}

/// The text before the first placeholder, what is between its braces, and what is behind them.
fn next_braces(text: &str) -> Option<(&str, &str, &str)> {
    let starts = text.match_indices("{{").map(|(at, _)| (at, "}}"));
    let legacy = text.match_indices("${").map(|(at, _)| (at, "}"));
    let (at, closing) = starts.chain(legacy).min()?;
    let (before, rest) = (text.get(..at)?, text.get(at + 2..)?);
    let end = rest.find(closing)?;
    Some((before, rest.get(..end)?, rest.get(end + closing.len()..)?))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use crate::tests::incoming;

    #[track_caller]
    fn check(options: Value, message: Value, expected: Expect) {
        let definition = json!({ "mappingEngine": "UpdateTwinWithLiveResponse", "options": options });
        let headers = [("x", "h"), ("content-type", "application/vnd.eclipse.ditto+json")];
        expected.assert_eq(&incoming(definition, &headers, &message.to_string()));
    }

    fn answer(path: &str, value: Value) -> Value {
        json!({ "topic": "a/b/things/live/commands/retrieve", "headers": { "correlation-id": "c", "own": "lost" }, "path": path,
            "value": value, "status": 200 })
    }

    #[test]
    fn answers_go_into_the_twin() {
        check(
            json!({}),
            answer("/features/f", json!({ "properties": { "p": 1 } })),
            expect![[r#"
            a/b/things/twin/commands/merge /features/f content-type=application/merge-patch+json,correlation-id=c-merge-into-twin,if-match=*,response-required=false {"properties":{"p":1}}
        "#]],
        );
        check(
            json!({}),
            answer("/", json!({ "attributes": { "a": 1 } })),
            expect![[r#"
            a/b/things/twin/commands/merge / content-type=application/merge-patch+json,correlation-id=c-merge-into-twin,if-match=*,response-required=false {"attributes":{"a":1}}
        "#]],
        );
        let options = json!({ "dittoHeadersForMerge": {
            "x": "{{ header:x }}-{{  header:none }}-${header:none}-{{ thing:id }}-{{ header:none | fn:delete() }}{{", "Timeout": "5s" } });
        check(
            options,
            answer("/attributes/a", json!(null)),
            expect![[r#"
            a/b/things/twin/commands/merge /attributes/a Timeout=5s,content-type=application/merge-patch+json,correlation-id=c-merge-into-twin,x=h-{{header:none }}-{{header:none}}-{{thing:id }}-{{ null
        "#]],
        );
        let wrong = json!({ "dittoHeadersForMerge": { "x": "{{ header:x | fn:lowre() }}" } });
        check(
            wrong,
            answer("/attributes/a", json!(1)),
            expect![[r#"
            400 placeholder:function.unknown: invalid placeholder at byte 14: there is no function `fn:lowre()`; did you mean `fn:lower()`?; mend the placeholder in the definition
        "#]],
        );
    }

    #[test]
    fn anything_else_is_dropped_or_no_signal() {
        let changed = |name: &str, value: Value| {
            let mut answer = answer("/attributes/a", json!(1));
            answer[name] = value;
            answer
        };
        for (name, value) in [
            ("topic", json!("a/b/things/twin/commands/retrieve")),
            ("topic", json!("a/b/things/live/commands/modify")),
            ("topic", json!("a/b/things/live/messages/x")),
            ("topic", json!("a/b/policies/commands/retrieve")),
            ("topic", json!("nothing")),
            ("topic", Value::Null),
            ("path", json!(5)),
            ("status", Value::Null),
            ("status", json!(99)),
        ] {
            check(json!({}), changed(name, value), expect![["dropped\n"]]);
        }
        check(json!({}), json!("text"), expect![["dropped\n"]]);
        check(
            json!({}),
            changed("status", json!(404)),
            expect![[r#"
            422 protocoladapter:illegal.adaptable: a response of this kind does not have status 404 with a value; mend the message, or use another mapper
        "#]],
        );
        check(
            json!({}),
            changed("path", json!("/nowhere")),
            expect![[r#"
            400 protocoladapter:unknown.path: things have no resource at path `/nowhere`; mend the message, or use another mapper
        "#]],
        );
    }
}
