//! What a filter asks for, answered by a signal (rql.md §6, §7).

use std::borrow::Cow;
use std::ops::ControlFlow;

use ditto_json::{Extracted, JsonPointer, Places, merge_objects};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::Signal;
use ditto_rql::{Fields, Presence, Scalar};
use serde_json::Value;

use crate::asked::{Asked, Shown};
use crate::resolve::SignalValues;

/// A signal as a filter sees it: its thing as far as that is known, and the values of its placeholders.
#[derive(Debug, Clone)]
pub struct SignalFields<'s> {
    signal: &'s Signal,
    thing: Thing<'s>,
}

#[derive(Debug, Clone)]
enum Thing<'s> {
    Value(Cow<'s, Value>),
    Places(&'s Asked, &'s Places),
}

impl<'s> SignalFields<'s> {
    /// Before its enrichment: an event with what it tells of its thing, any other signal with none.
    pub fn new(signal: &'s Signal) -> Self {
        Self { signal, thing: Thing::Value(Cow::Owned(signal.filtered_thing())) }
    }

    /// The same, with what was found before.
    pub(crate) fn of_shown(signal: &'s Signal, asked: &'s Asked, shown: &'s Shown) -> Self {
        let thing = match shown {
            Shown::Value(thing) => Thing::Value(Cow::Borrowed(thing)),
            Shown::Places(places) => Thing::Places(asked, places),
        };
        Self { signal, thing }
    }

    /// What its value has, where it was found.
    fn found<'f>(&'f self, asked: &'f Asked, places: &'f Places) -> Extracted<'f, 'f> {
        asked.extraction().found(self.signal.told_value().unwrap_or_default(), places)
    }

    /// After its enrichment with `extra`, an object: what the signal itself tells wins (protocol.md §8).
    #[must_use]
    pub fn enriched(&self, extra: &Value) -> Self {
        let mut thing = match &self.thing {
            Thing::Value(thing) => thing.clone().into_owned(),
            Thing::Places(asked, _) => asked.value_of(self.signal),
        };
        merge_objects(&mut thing, extra);
        if let (Some(revision), Some(members)) = (self.signal.revision(), thing.as_object_mut()) {
            members.insert("_revision".to_owned(), revision.into());
        }
        Self { signal: self.signal, thing: Thing::Value(Cow::Owned(thing)) }
    }
}

impl Fields for SignalFields<'_> {
    fn values(&self, path: &JsonPointer, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
        match &self.thing {
            Thing::Value(thing) => thing.values(path, visit),
            Thing::Places(asked, places) => match told(self.signal, path) {
                Some(member) => member.values(&JsonPointer::root(), visit),
                None => self.found(asked, places).values(path, visit),
            },
        }
    }

    fn presence(&self, path: &JsonPointer) -> Presence {
        match &self.thing {
            Thing::Value(thing) => thing.presence(path),
            Thing::Places(asked, places) => match told(self.signal, path) {
                Some(member) => member.presence(&JsonPointer::root()),
                None => self.found(asked, places).presence(path),
            },
        }
    }

    fn placeholder(
        &self,
        placeholder: &ditto_rql::Placeholder,
        visit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) {
        let Some(placeholder) = value_of(*placeholder) else { return };
        let mut flow = ControlFlow::Continue(());
        SignalValues::new(self.signal, None).resolve_all(&placeholder, &mut |value| {
            if flow.is_continue() {
                flow = visit(value);
            }
        });
    }
}

/// A member of the thing that every event tells.
fn told(signal: &Signal, path: &JsonPointer) -> Option<Value> {
    let [name] = path.segments() else { return None };
    signal.told_member(name)
}

/// Filters and templates mean the same by the same name.
fn value_of(placeholder: ditto_rql::Placeholder) -> Option<Placeholder> {
    Some(match (placeholder.prefix(), placeholder.name()) {
        ("topic", "full") => Placeholder::TopicFull,
        ("topic", "namespace") => Placeholder::TopicNamespace,
        ("topic", "entityName") => Placeholder::TopicEntityName,
        ("topic", "group") => Placeholder::TopicGroup,
        ("topic", "channel") => Placeholder::TopicChannel,
        ("topic", "criterion") => Placeholder::TopicCriterion,
        ("topic", "action") => Placeholder::TopicAction,
        ("topic", "subject") => Placeholder::TopicSubject,
        ("topic", "action-subject") => Placeholder::TopicActionSubject,
        ("resource", "type") => Placeholder::ResourceType,
        ("resource", "path") => Placeholder::ResourcePath,
        ("entity", "id") => Placeholder::EntityId,
        ("entity", "namespace") => Placeholder::EntityNamespace,
        ("entity", "name") => Placeholder::EntityName,
        ("thing", "id") => Placeholder::ThingId,
        ("thing", "namespace") => Placeholder::ThingNamespace,
        ("thing", "name") => Placeholder::ThingName,
        ("feature", "id") => Placeholder::FeatureId,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use ditto_protocol::Limits;
    use ditto_rql::Filter;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_placeholder_of_a_filter_has_its_value() {
        for placeholder in ditto_rql::Placeholder::all() {
            assert_eq!(value_of(placeholder).unwrap().to_string(), placeholder.to_string());
        }
    }

    #[test]
    fn a_signal_answers_with_its_thing_and_its_placeholders() {
        let message = json!({
            "topic": "org.acme/press-4/things/twin/events/modified", "path": "/features", "revision": 7,
            "value": {"m": {"properties": {"rpm": 5}}, "n": {}},
        });
        let signal = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
        let check = |fields: &SignalFields<'_>, filter: &str, expected: bool| {
            let holds = filter.parse::<Filter>().unwrap().matches(fields, SystemTime::UNIX_EPOCH);
            assert_eq!(holds, expected, "{filter}");
        };
        let known = SignalFields::new(&signal);
        check(&known, "and(eq(features/m/properties/rpm,5),eq(thing:id,\"org.acme:press-4\"))", true);
        check(&known, "eq(feature:id,\"m\")", true);
        check(&known, "eq(feature:id,\"n\")", false);
        check(&known, "exists(topic:subject)", false);
        check(&known, "exists(attributes/site)", false);
        let extra = json!({"attributes": {"site": "north"}, "_revision": 9, "features": {"m": {"properties": {"rpm": 1}}}});
        let enriched = known.enriched(&extra);
        check(
            &enriched,
            "and(eq(attributes/site,\"north\"),eq(_revision,7),eq(features/m/properties/rpm,5))",
            true,
        );
    }
}
