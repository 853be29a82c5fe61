//! The part of a thing that an event shows (protocol.md §8).

use ditto_json::{JsonPointer, RawObject, merge_objects};
use serde_json::{Map, Value};

use crate::instant::canonical_instant;
use crate::kind::{Category, Subject};
use crate::resource::ThingResource;
use crate::signal::Signal;
use crate::topic::{Action, Segments};

impl Signal {
    /// What an event tells of its thing; `None` for other signals, and for events on a feature's definition, from which
    /// the reference derives nothing.
    pub fn partial_thing(&self) -> Option<Value> {
        let is_definition = matches!(self.subject(), Subject::Thing(ThingResource::FeatureDefinition));
        let is_hidden = is_definition && self.topic_path().action != Some(Action::Merged);
        if is_hidden { None } else { self.told_thing(|raw, _| parsed(raw)) }
    }

    /// What a filter sees of its thing: what an event tells, one on a feature's definition too (docs/adr/0017 of the project). Of
    /// other signals it sees an object without members.
    pub fn filtered_thing(&self) -> Value {
        self.filtered_thing_of(|raw, _| parsed(raw))
    }

    /// The same, of what `read` makes of the event's value, which stands at that place of the thing: it may leave out what no
    /// filter asks for.
    pub fn filtered_thing_of(&self, read: impl FnOnce(&str, &JsonPointer) -> Value) -> Value {
        self.told_thing(read).unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// The value of an event that tells what stands at its path now: with [`Self::told_member`] that is all that a filter sees of
    /// its thing. `None` for other signals, for whole things, merges and deletions.
    pub fn told_value(&self) -> Option<&str> {
        let Subject::Thing(resource) = self.subject() else { return None };
        let action = self.topic_path().action?;
        let is_whole =
            matches!(resource, ThingResource::Thing) || matches!(action, Action::Merged | Action::Deleted);
        self.value().filter(|_| self.category() == Category::Event && !is_whole)
    }

    /// What every event tells of its thing, by the name of the member.
    pub fn told_member(&self, name: &str) -> Option<Value> {
        match name {
            "thingId" => Some(self.entity().to_string().into()),
            "_namespace" => Some(self.entity().namespace().into()),
            "_revision" => Some(self.revision().into()),
            "_modified" => self.timestamp().map(|timestamp| canonical_instant(timestamp).into()),
            _ => None,
        }
    }

    fn told_thing(&self, read: impl FnOnce(&str, &JsonPointer) -> Value) -> Option<Value> {
        let Subject::Thing(resource) = self.subject() else { return None };
        if self.category() != Category::Event {
            return None;
        }
        let mut base: Value = ["thingId", "_namespace", "_revision"]
            .into_iter()
            .map(|name| (name.to_owned(), self.told_member(name).unwrap_or_default()))
            .collect::<Map<_, _>>()
            .into();
        let modified = self.told_member("_modified");
        let action = self.topic_path().action?;
        let pointer = self.pointer();
        let value = || self.value().map(|raw| read(raw, &pointer)).unwrap_or_default();
        let stamp = |thing: &mut Value| {
            if let (Some(modified), Value::Object(members)) = (modified.clone(), thing) {
                members.insert("_modified".to_owned(), modified);
            }
        };
        match (action, resource) {
            (Action::Merged, _) => {
                stamp(&mut base);
                let mut patch = Value::Object(Map::new());
                pointer.set(&mut patch, without_nulls(value()));
                // What the event itself says of its thing counts, whatever the patch says.
                match (patch, base) {
                    (Value::Object(mut patch), Value::Object(base)) => {
                        patch.extend(base);
                        Some(Value::Object(patch))
                    }
                    (_, base) => Some(base),
                }
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
                pointer.set(&mut base, value());
                Some(base)
            }
        }
    }

    /// The ids of the features that a signal is about: the one of its path, else all in the value that it writes
    /// (placeholders.md §4). A response to something on a thing is only about what has been written.
    pub fn feature_ids(&self) -> Vec<String> {
        let action = self.topic_path().action;
        let is_written = matches!(
            action,
            Some(
                Action::Create
                    | Action::Modify
                    | Action::Merge
                    | Action::Created
                    | Action::Modified
                    | Action::Merged
                    | Action::Migrated
            )
        );
        let value = self.value().filter(|_| is_written).unwrap_or_default();
        let answers_thing =
            self.category() == Category::Response && matches!(self.subject(), Subject::Thing(_));
        if answers_thing && (value.is_empty() || action == Some(Action::Merge)) {
            return Vec::new();
        }
        if let Some(id) = self.path_feature() {
            return vec![id.to_owned()];
        }
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

fn parsed(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use crate::signal::{Limits, Signal};
    use serde_json::{Value, json};

    fn decode(message: Value) -> Signal {
        Signal::decode(message.to_string().into(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_merge_does_not_change_what_the_event_says() {
        let event = decode(json!({"topic": "a/b/things/twin/events/merged", "path": "/", "revision": 3,
            "timestamp": "2024-05-06T09:08:09.5+02:00", "value": {"thingId": "x:y", "_revision": 9, "attributes": {"a": null}}}));
        assert_eq!(
            event.partial_thing(),
            Some(json!({"thingId": "a:b", "_namespace": "a", "_revision": 3,
                "_modified": "2024-05-06T07:08:09.500Z", "attributes": {}}))
        );
    }

    #[test]
    fn filters_see_definitions_of_features() {
        let event = |action: &str, value: Value| {
            decode(
                json!({"topic": format!("a/b/things/twin/events/{action}"), "path": "/features/f/definition",
                "revision": 3, "value": value}),
            )
        };
        let shown = |members: Value| {
            let mut thing = json!({"thingId": "a:b", "_namespace": "a", "_revision": 3});
            thing.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            thing
        };
        let definition = json!({"features": {"f": {"definition": ["x:y:1"]}}});
        let modified = event("modified", json!(["x:y:1"]));
        assert_eq!((modified.partial_thing(), modified.filtered_thing()), (None, shown(definition)));
        let deleted =
            decode(json!({"topic": "a/b/things/twin/events/deleted", "path": "/features/f/definition",
            "revision": 3}));
        assert_eq!((deleted.partial_thing(), deleted.filtered_thing()), (None, shown(json!({}))));
        let command =
            decode(json!({"topic": "a/b/things/live/commands/modify", "path": "/attributes/n", "value": 1}));
        assert_eq!((command.partial_thing(), command.filtered_thing()), (None, json!({})));
    }

    #[test]
    fn responses_are_about_the_features_that_were_written() {
        for (action, path, status, value, ids) in [
            ("modify", "/features/f", 201, json!({}), vec!["f"]),
            ("modify", "/features", 201, json!({"f": {}, "g": {}}), vec!["f", "g"]),
            ("modify", "/features/f/properties", 204, Value::Null, vec![]),
            ("retrieve", "/", 200, json!({"features": {"f": {}}}), vec![]),
            ("merge", "/features/f", 204, Value::Null, vec![]),
        ] {
            let topic = format!("a/b/things/twin/commands/{action}");
            let mut message = json!({"topic": topic, "path": path, "status": status});
            if !value.is_null() {
                message["value"] = value;
            }
            let response = decode(message);
            assert_eq!(
                (response.feature_ids(), response.feature_id()),
                (ids.iter().map(ToString::to_string).collect(), None),
                "{action} {path}"
            );
        }
    }
}
