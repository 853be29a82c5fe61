//! The Normalized mapper: what an event has changed of its thing, as a sparse thing (mapping.md §3).

use std::sync::Arc;

use bytestring::ByteString;
use ditto_json::{FieldSelector, JsonPointer, merge_patch};
use ditto_protocol::{Action, Category, Group, Segments, Signal, attribute_pointer};
use serde_json::{Map, Value};

use crate::adaptable::Adaptable;
use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::Options;
use crate::outgoing::{OutgoingMessage, OutgoingSignal, Payload};

#[derive(Debug)]
pub(crate) struct NormalizedFactory;

impl MapperFactory for NormalizedFactory {
    fn engine(&self) -> &'static str {
        "Normalized"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.NormalizedMessageMapper"
    }

    fn option_names(&self) -> &'static [&'static str] {
        &["fields", "includeDeletedFields"]
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let fields = match options.text("fields").map(|text| FieldSelector::of_object(&text)) {
            None => None,
            Some(Ok(fields)) => Some(fields),
            Some(Err(error)) => {
                options.refuse_with(
                    error.code(),
                    "fields",
                    error.to_string(),
                    "write fields such as thingId,attributes(a,b)",
                );
                return None;
            }
        };
        let includes_deleted = options.flag("includeDeletedFields").unwrap_or(false);
        Some(Arc::new(Normalized { fields: fields.map(Arc::new), includes_deleted }))
    }
}

#[derive(Debug, Clone)]
struct Normalized {
    fields: Option<Arc<FieldSelector>>,
    /// Whether it tells of what an event deletes.
    includes_deleted: bool,
}

impl CompiledMapper for Normalized {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(NormalizedMapper { options: self.clone(), scratch: Vec::new() }))
    }
}

#[derive(Debug)]
struct NormalizedMapper {
    options: Normalized,
    scratch: Vec<u8>,
}

impl Mapper for NormalizedMapper {
    fn incoming(&mut self, _: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        Ok(Vec::new())
    }

    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        let Some(event) = ThingEvent::of(signal.signal())? else { return Ok(()) };
        let is_partial_deletion = event.action == Action::Deleted && !event.pointer.is_root();
        if is_partial_deletion && !self.options.includes_deleted {
            return Ok(());
        }
        self.scratch.clear();
        signal.write(&mut self.scratch);
        let written = serde_json::from_slice(&self.scratch).map_err(|error| {
            MappingError::failed(format!("the event cannot be read back: {error}"), "report this")
        })?;
        let thing = self.options.thing(&event, written)?;
        messages.push(
            OutgoingMessage::new(Payload::Text(thing.to_string().into()))
                .with_header("content-type", ByteString::from_static("application/json")),
        );
        Ok(())
    }
}

/// An event that changes a thing, twin or live.
struct ThingEvent {
    action: Action,
    thing_id: String,
    pointer: JsonPointer,
}

impl ThingEvent {
    /// # Errors
    /// Its path has a name that no key of a thing has. The reference fails there too.
    fn of(signal: &Signal) -> Result<Option<Self>, MappingError> {
        let topic = signal.topic_path();
        let action = match topic.action {
            Some(action @ (Action::Created | Action::Modified | Action::Merged | Action::Deleted)) => action,
            _ => return Ok(None),
        };
        if topic.group != Group::Things || signal.category() != Category::Event {
            return Ok(None);
        }
        let pointer = JsonPointer::of(Segments::of_path(&signal.resource_path()));
        if !pointer.is_root() {
            attribute_pointer(&signal.resource_path()).map_err(|error| {
                MappingError::failed(error.message().to_owned(), "name it by characters that Ditto allows")
            })?;
        }
        Ok(Some(Self { action, thing_id: signal.entity().to_string(), pointer }))
    }
}

/// What an event is written as.
type Written = Map<String, Value>;

impl Normalized {
    fn thing(&self, event: &ThingEvent, mut written: Written) -> Result<Value, MappingError> {
        let mut thing = Map::new();
        thing.insert("thingId".to_owned(), event.thing_id.clone().into());
        let mut take = |name: &str| written.swap_remove(name);
        let (value, timestamp, revision) = (take("value"), take("timestamp"), take("revision"));
        let mut thing = match (value.clone(), event.pointer.is_root()) {
            (Some(Value::Object(members)), true) => {
                thing.extend(members);
                Value::Object(thing)
            }
            (Some(_), true) => {
                return Err(MappingError::failed(
                    "the value of a thing is no object",
                    "send the thing as an object",
                ));
            }
            (value, _) => {
                let mut thing = Value::Object(thing);
                if let Some(value) = value {
                    event.pointer.set(&mut thing, value);
                }
                thing
            }
        };
        let mut put = |name: &str, value: Option<Value>| {
            if let (Some(value), Value::Object(members)) = (value, &mut thing) {
                members.insert(name.to_owned(), value);
            }
        };
        put("_modified", timestamp.clone());
        put("_revision", revision);
        if event.action == Action::Deleted && event.pointer.is_root() {
            put("_deleted", timestamp.clone());
        }
        if self.includes_deleted {
            put("_deletedFields", timestamp.and_then(|at| deleted_fields(event, value.as_ref(), &at)));
        }
        let extra = written.swap_remove("extra");
        put("_context", Some(context(written, value)));
        // The event is a merge patch of what it was enriched with, so that its nulls take away.
        if let Some(mut extra) = extra {
            merge_patch(&mut extra, &thing)
                .map_err(|error| MappingError::failed(error.to_string(), "correct the regular expression"))?;
            thing = extra;
        }
        if let Some(fields) = &self.fields {
            thing = fields.select(&thing);
        }
        if event.action == Action::Merged {
            prune(&mut thing);
        }
        Ok(thing)
    }
}

/// What the event said; its headers are texts, with names in lower case.
fn context(mut written: Written, value: Option<Value>) -> Value {
    let mut context = Map::new();
    let mut take = |name: &str| written.swap_remove(name).unwrap_or_default();
    for name in ["topic", "path"] {
        context.insert(name.to_owned(), take(name));
    }
    context.insert("value".to_owned(), value.unwrap_or_default());
    let headers = match take("headers") {
        Value::Object(headers) => {
            let text = |value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            headers.into_iter().map(|(name, value)| (name.to_lowercase(), text(value).into())).collect()
        }
        _ => Map::new(),
    };
    context.insert("headers".to_owned(), headers.into());
    context.into()
}

/// When what was deleted, at the places where it was; `None` if nothing was.
fn deleted_fields(event: &ThingEvent, value: Option<&Value>, at: &Value) -> Option<Value> {
    let mut deleted = Value::Object(Map::new());
    match (event.action, value) {
        (Action::Deleted, _) if !event.pointer.is_root() => event.pointer.set(&mut deleted, at.clone()),
        (Action::Merged, Some(Value::Null)) if !event.pointer.is_root() => {
            event.pointer.set(&mut deleted, at.clone());
        }
        (Action::Merged, Some(Value::Object(patch))) => {
            let mut stamps = Value::Object(stamps(patch, at));
            if !event.pointer.is_root() && stamps != Value::Object(Map::new()) {
                event.pointer.set(&mut deleted, stamps.take());
            } else {
                deleted = stamps;
            }
        }
        _ => {}
    }
    (deleted != Value::Object(Map::new())).then_some(deleted)
}

/// The nulls of a merge patch, with the instant in their place. Deletions by regular expression name nothing.
fn stamps(patch: &Map<String, Value>, at: &Value) -> Map<String, Value> {
    let is_pattern = |name: &str| name.starts_with("{{") && name.ends_with("}}") && name.contains(['~', '/']);
    let stamp = |(name, value): (&String, &Value)| match value {
        _ if is_pattern(name) => None,
        Value::Null => Some((name.clone(), at.clone())),
        Value::Object(below) => {
            let below = stamps(below, at);
            (!below.is_empty()).then(|| (name.clone(), below.into()))
        }
        _ => None,
    };
    patch.iter().filter_map(stamp).collect()
}

/// Takes nulls and then empty objects away; what is in arrays stays.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(prune);
        members.retain(|_, value| match value {
            Value::Null => false,
            Value::Object(members) => !members.is_empty(),
            _ => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use crate::tests::outgoing;

    use super::*;

    #[track_caller]
    fn check(options: Value, topic: &str, members: Value, expected: Expect) {
        let mut event = json!({ "topic": format!("a/b/things/{topic}"), "revision": 3 });
        event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        expected.assert_eq(&outgoing(json!({ "mappingEngine": "Normalized", "options": options }), event));
    }

    #[test]
    fn only_changes_of_things() {
        let dropped = || expect![["dropped\n"]];
        check(json!({}), "twin/events/deleted", json!({ "path": "/features/f" }), dropped());
        check(json!({}), "twin/commands/modify", json!({ "path": "/attributes/x", "value": 1 }), dropped());
        check(json!({}), "live/messages/x", json!({ "path": "/inbox/messages/x" }), dropped());
        let of_policy = json!({ "topic": "a/b/policies/events/deleted", "path": "/" });
        check(json!({ "fields": "thingId" }), "twin/events/created", of_policy, dropped());
    }

    #[test]
    fn what_was_deleted_has_its_time() {
        let options =
            json!({ "includeDeletedFields": "TRUE", "fields": "_deleted,_deletedFields,_modified" });
        let at = "2026-01-02T03:04:05.000Z";
        let deleted = |path: &str| json!({ "path": path, "timestamp": at });
        check(
            options.clone(),
            "twin/events/deleted",
            deleted("/"),
            expect![[r#"
            content-type=application/json {"_deleted":"2026-01-02T03:04:05Z","_modified":"2026-01-02T03:04:05Z"}
        "#]],
        );
        check(
            options.clone(),
            "twin/events/deleted",
            deleted("/features/f/properties/p"),
            expect![[r#"
            content-type=application/json {"_deletedFields":{"features":{"f":{"properties":{"p":"2026-01-02T03:04:05Z"}}}},"_modified":"2026-01-02T03:04:05Z"}
        "#]],
        );
        let merged = |path: &str, value: Value| json!({ "path": path, "timestamp": at, "value": value });
        let patch =
            json!({ "a": null, "b": { "c": null, "d": 1 }, "{{ ~x.*~ }}": null, "e": [null], "f": {} });
        check(
            options.clone(),
            "twin/events/merged",
            merged("/attributes", patch),
            expect![[r#"
            content-type=application/json {"_deletedFields":{"attributes":{"a":"2026-01-02T03:04:05Z","b":{"c":"2026-01-02T03:04:05Z"}}},"_modified":"2026-01-02T03:04:05Z"}
        "#]],
        );
        check(
            options.clone(),
            "twin/events/merged",
            merged("/attributes/x", Value::Null),
            expect![[r#"
            content-type=application/json {"_deletedFields":{"attributes":{"x":"2026-01-02T03:04:05Z"}},"_modified":"2026-01-02T03:04:05Z"}
        "#]],
        );
        check(
            options.clone(),
            "twin/events/merged",
            merged("/attributes/x", json!(1)),
            expect![[r#"
            content-type=application/json {"_modified":"2026-01-02T03:04:05Z"}
        "#]],
        );
        check(
            options,
            "twin/events/merged",
            json!({ "path": "/attributes/x", "value": null }),
            expect![[r#"
                content-type=application/json {}
            "#]],
        );
    }

    #[test]
    fn the_event_wins_over_what_it_was_enriched_with() {
        let event = json!({ "path": "/features/f/properties/p", "value": { "x": 1.50 },
            "extra": { "features": { "f": { "properties": { "p": { "x": 2, "y": 2 } } }, "g": {} }, "_revision": 9, "thingId": "x:y" },
            "headers": { "X-Own": ["a", 1], "timeout": 5 } });
        check(
            json!({}),
            "live/events/created",
            event,
            expect![[r#"
            content-type=application/json {"features":{"f":{"properties":{"p":{"x":1.5,"y":2}}},"g":{}},"_revision":3,"thingId":"a:b","_context":{"topic":"a/b/things/live/events/created","path":"/features/f/properties/p","value":{"x":1.5},"headers":{"x-own":"[\"a\",1]","timeout":"5","response-required":"false","entity-revision":"3","channel":"live","content-type":"application/json"}}}
        "#]],
        );
    }

    #[test]
    fn nulls_of_an_enriched_event_take_away() {
        let event = json!({ "path": "/attributes", "value": { "a": null, "o": { "z": null }, "l": [null] },
            "extra": { "attributes": { "a": 1, "b": 2 } } });
        check(
            json!({}),
            "twin/events/modified",
            event,
            expect![[r#"
            content-type=application/json {"attributes":{"b":2,"o":{},"l":[null]},"thingId":"a:b","_revision":3,"_context":{"topic":"a/b/things/twin/events/modified","path":"/attributes","value":{"o":{},"l":[null]},"headers":{"response-required":"false","entity-revision":"3","content-type":"application/json"}}}
        "#]],
        );
    }

    #[test]
    fn what_fails() {
        let path = |path: &str| json!({ "path": path, "value": 1 });
        check(
            json!({}),
            "twin/events/created",
            path("/attributes/n\u{e4}me"),
            expect![[r#"
            400 connectivity:message.mapping.failed: invalid key `näme`: it has a slash, a control character or one of U+007F to U+00FF
        "#]],
        );
        check(
            json!({}),
            "twin/events/created",
            path("/attributes/\u{43a}"),
            expect![[r#"
            content-type=application/json {"thingId":"a:b","attributes":{"к":1},"_revision":3,"_context":{"topic":"a/b/things/twin/events/created","path":"/attributes/к","value":1,"headers":{"response-required":"false","entity-revision":"3","content-type":"application/json"}}}
        "#]],
        );
    }
}
