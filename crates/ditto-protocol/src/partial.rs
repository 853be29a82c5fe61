//! The part of a thing that an event shows (protocol.md §8).

use ditto_json::{JsonPointer, RawObject, merge_objects};
use serde_json::{Map, Value, json};

use crate::kind::{Category, Subject};
use crate::resource::ThingResource;
use crate::signal::Signal;
use crate::topic::{Action, Segments};

impl Signal {
    /// What an event tells of its thing; `None` for other signals, and for events on a feature's definition, from which
    /// the reference derives nothing.
    pub fn partial_thing(&self) -> Option<Value> {
        let Subject::Thing(resource) = self.subject() else { return None };
        if self.category() != Category::Event {
            return None;
        }
        let entity = self.entity();
        let mut base = json!({
            "thingId": entity.to_string(),
            "_namespace": entity.namespace(),
            "_revision": self.revision(),
        });
        let modified = self.timestamp().map(Value::from);
        let action = self.topic_path().action?;
        let value =
            || self.value().and_then(|raw| serde_json::from_str::<Value>(raw).ok()).unwrap_or_default();
        let stamp = |thing: &mut Value| {
            if let (Some(modified), Value::Object(members)) = (modified.clone(), thing) {
                members.insert("_modified".to_owned(), modified);
            }
        };
        match (action, resource) {
            (Action::Merged, _) => {
                stamp(&mut base);
                let mut patch = Value::Object(Map::new());
                self.pointer().set(&mut patch, without_nulls(value()));
                merge_objects(&mut patch, &base);
                Some(patch)
            }
            (Action::Deleted, ThingResource::FeatureDefinition) | (_, ThingResource::FeatureDefinition) => {
                None
            }
            (Action::Deleted, _) => {
                stamp(&mut base);
                Some(base)
            }
            (_, ThingResource::Thing) => {
                let mut thing = value();
                if let Value::Object(members) = &mut thing {
                    members.insert("_revision".to_owned(), self.revision().into());
                }
                merge_objects(&mut thing, &base);
                Some(thing)
            }
            _ => {
                stamp(&mut base);
                self.pointer().set(&mut base, value());
                Some(base)
            }
        }
    }

    /// The ids of the features that a signal is about: the one of its path, else all in its value (placeholders.md §4).
    pub fn feature_ids(&self) -> Vec<String> {
        if let Some(id) = self.path_feature() {
            return vec![id.to_owned()];
        }
        let value = match self.subject() {
            Subject::Thing(_) => self.value().unwrap_or_default(),
            _ => "",
        };
        let features = match self.subject() {
            Subject::Thing(ThingResource::Features) => value,
            Subject::Thing(ThingResource::Thing) => RawObject::new(value)
                .filter(|(name, _)| name == "features")
                .last()
                .map_or("", |(_, features)| features),
            _ => "",
        };
        RawObject::new(features).map(|(id, _)| id.into_owned()).collect()
    }

    fn pointer(&self) -> JsonPointer {
        JsonPointer::of(Segments::of_path(self.path()))
    }
}

/// Null members out of objects at every level; arrays stay. A bare null becomes an empty object, as in the reference.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, if value.is_object() { without_nulls(value) } else { value }))
                .collect(),
        ),
        other => other,
    }
}
