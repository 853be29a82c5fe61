//! What filters see of a signal and its thing (rql.md §7).

use std::borrow::Cow;
use std::ops::ControlFlow;

use ditto_json::{JsonPointer, merge_objects};
use ditto_protocol::{Action, Category, Signal};
use ditto_rql::{Fields, Placeholder, Presence, Scalar};
use serde_json::{Value, json};

/// What a signal shows of its thing, and the signal itself as the placeholders of filters know it.
#[derive(Debug, Clone)]
pub struct SignalFields<'s> {
    signal: &'s Signal,
    thing: Cow<'s, Value>,
}

impl<'s> SignalFields<'s> {
    /// Before the enrichment: what an event changes, and nothing of other signals.
    pub fn new(signal: &'s Signal) -> Self {
        Self { signal, thing: Cow::Owned(shown_thing(signal)) }
    }

    pub(crate) fn of_shown(signal: &'s Signal, thing: &'s Value) -> Self {
        Self { signal, thing: Cow::Borrowed(thing) }
    }

    /// After the enrichment with fields of the thing. What the event says wins over them (protocol.md §8).
    #[must_use]
    pub fn enriched(&self, extra: &Value) -> Self {
        let mut thing = self.thing.clone().into_owned();
        merge_objects(&mut thing, extra);
        if let Some(revision) = self.signal.revision() {
            put(&mut thing, "_revision", revision);
        }
        Self { signal: self.signal, thing: Cow::Owned(thing) }
    }
}

/// What a signal shows of its thing: nothing, if it is no event. An event on a feature's definition shows that
/// (docs/adr/0017).
pub(crate) fn shown_thing(signal: &Signal) -> Value {
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
        put(&mut thing, "_modified", timestamp);
    }
    if signal.topic_path().action != Some(Action::Deleted)
        && let Some(definition) = signal.value().and_then(|value| serde_json::from_str(value).ok())
        && let Ok(pointer) = signal.path().parse::<JsonPointer>()
    {
        pointer.set(&mut thing, definition);
    }
    thing
}

fn put(thing: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = thing {
        members.insert(name.to_owned(), value.into());
    }
}

impl Fields for SignalFields<'_> {
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

impl SignalFields<'_> {
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
