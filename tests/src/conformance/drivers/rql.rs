//! rql.ndjson: filters, alone, on things, and on signals before and after their enrichment.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ditto_json::{FieldSelector, JsonPointer, merge_objects};
use ditto_protocol::{Action, Category, Limits, Signal};
use ditto_rql::{Fields, Filter, FilterError, Pending, Placeholder, Presence, Reason, Scalar};
use serde_json::{Value, json};

pub(super) fn run(row: &Value) -> Value {
    let filter: Filter = match row["filter"].as_str().unwrap_or_default().parse() {
        Ok(filter) => filter,
        Err(error) => return json!({ "error": said(&error) }),
    };
    // Rows with `time:` are the same on any later day.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    match row["mode"].as_str().unwrap_or_default() {
        "parse" => json!({ "valid": true }),
        "thing" => json!({ "match": filter.matches(&row["thing"], now) }),
        "signal" => match Signal::decode(Bytes::from(row["signal"].to_string()), &Limits::default()) {
            Ok(signal) => on_signal(&filter, &signal, row, now),
            Err(error) => super::error(&error),
        },
        mode => json!({ "no driver for mode": mode }),
    }
}

/// The reference says the place of a mistake of form, and of no other.
pub(super) fn said(error: &FilterError) -> Value {
    let mut said = json!({ "code": error.code(), "status": 400, "reason": error.reason().as_str() });
    if error.reason() == Reason::Syntax {
        said["line"] = error.line().into();
        said["column"] = error.column().into();
    }
    said
}

/// Before the enrichment; if there is one in the row, after it as well.
fn on_signal(filter: &Filter, signal: &Signal, row: &Value, now: SystemTime) -> Value {
    let selector =
        row.get("extraFields").map(|text| text.as_str().unwrap_or_default().parse::<FieldSelector>());
    let pending = match &selector {
        None => Pending::nothing(),
        Some(Ok(selector)) => Pending::of(selector.pointers()),
        Some(Err(error)) => return json!({ "error": { "code": error.code(), "status": 400 } }),
    };
    let partial = partial_thing(signal);
    let known = OnSignal { signal, thing: partial.clone() };
    let candidate = filter.could_match(&known, &pending, now).is_possible();
    let mut answer = json!({ "candidate": candidate });
    if let Some(extra) = row.get("extra") {
        // It is loaded only where it is asked for.
        let extra = selector.map(|_| extra);
        let matches = filter.matches(&OnSignal { signal, thing: merged(signal, partial, extra) }, now);
        answer["match"] = (candidate && matches).into();
        answer["matchIgnoringCandidate"] = matches.into();
    }
    answer
}

/// What a signal shows of its thing: nothing, if it is no event. An event on a feature's definition shows that
/// (docs/adr/0017).
fn partial_thing(signal: &Signal) -> Value {
    if let Some(thing) = signal.partial_thing() {
        return thing;
    }
    if signal.category() != Category::Event || signal.resource_type() != "thing" {
        return json!({});
    }
    let entity = signal.entity();
    let mut thing = json!({
        "thingId": entity.to_string(), "_namespace": entity.namespace(), "_revision": signal.revision(),
    });
    if let Some(timestamp) = signal.timestamp() {
        thing["_modified"] = timestamp.into();
    }
    if signal.topic_path().action != Some(Action::Deleted)
        && let Some(definition) = signal.value().and_then(|value| serde_json::from_str(value).ok())
        && let Ok(pointer) = signal.path().parse::<JsonPointer>()
    {
        pointer.set(&mut thing, definition);
    }
    thing
}

/// The event wins over its enrichment (protocol.md §8).
fn merged(signal: &Signal, mut partial: Value, extra: Option<&Value>) -> Value {
    if let Some(extra) = extra {
        merge_objects(&mut partial, extra);
        if let Some(revision) = signal.revision() {
            partial["_revision"] = revision.into();
        }
    }
    partial
}

/// A thing, and the signal that is about it.
struct OnSignal<'s> {
    signal: &'s Signal,
    thing: Value,
}

impl Fields for OnSignal<'_> {
    fn values(&self, path: &JsonPointer, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
        self.thing.values(path, visit);
    }

    fn presence(&self, path: &JsonPointer) -> Presence {
        self.thing.presence(path)
    }

    fn placeholder(&self, placeholder: &Placeholder, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) {
        if (placeholder.prefix(), placeholder.name()) == ("feature", "id") {
            let _ = self.signal.feature_ids().iter().try_for_each(|id| visit(id));
        } else if let Some(value) = self.value(*placeholder) {
            let _ = visit(&value);
        }
    }
}

impl OnSignal<'_> {
    fn value(&self, placeholder: Placeholder) -> Option<Cow<'_, str>> {
        let signal = self.signal;
        let (topic, entity) = (signal.topic_path(), signal.entity());
        Some(match (placeholder.prefix(), placeholder.name()) {
            ("topic", "full") => Cow::Owned(topic.to_string()),
            ("topic", "namespace") => Cow::Borrowed(topic.namespace),
            ("topic", "entityName") => Cow::Borrowed(topic.name),
            ("topic", "group") => Cow::Borrowed(topic.group.as_str()),
            ("topic", "channel") => Cow::Borrowed(topic.channel.as_str()),
            ("topic", "criterion") => Cow::Borrowed(topic.criterion.as_str()),
            ("topic", "action") => Cow::Borrowed(topic.action?.as_str()),
            ("topic", "subject") => Cow::Borrowed(topic.subject?),
            ("topic", "action-subject") => Cow::Borrowed(topic.action_or_subject()?),
            ("resource", "type") => Cow::Borrowed(signal.resource_type()),
            ("resource", "path") => signal.resource_path(),
            ("entity" | "thing", "id") => Cow::Owned(entity.to_string()),
            ("entity" | "thing", "namespace") => Cow::Borrowed(entity.namespace()?),
            ("entity" | "thing", "name") => Cow::Borrowed(entity.name()),
            _ => return None,
        })
    }
}
