//! What placeholders stand for in addresses and header mappings (placeholders.md §4, column OUT).

use std::time::{SystemTime, UNIX_EPOCH};

use ditto_json::{JsonPointer, RawArray, RawObject, decode_string, merge_objects};
use ditto_placeholder::{Placeholder, Resolve, UtcTime};
use ditto_protocol::{Entity, EntityKind, KnownHeader, Signal};
use serde_json::Value;

use crate::map::requested_acks;
use crate::signal::RoutedSignal;
use crate::target::CompiledTarget;

/// The values of a signal that a target may read.
pub(crate) struct Values<'s> {
    pub(crate) signal: &'s RoutedSignal,
    pub(crate) target: &'s CompiledTarget,
}

impl Resolve for Values<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        // What is requested is told to the target as its payload tells it.
        if let Placeholder::Header(name) = placeholder
            && name.eq_ignore_ascii_case("requested-acks")
            && let Some(labels) = requested_acks(self.signal.signal(), self.target)
        {
            out.push_str(&serde_json::to_string(&labels).ok()?);
            return Some(());
        }
        self.of_signal().resolve(placeholder, out)
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        if has_many(placeholder) {
            return self.of_signal().resolve_all(placeholder, each);
        }
        let mut text = String::new();
        if self.resolve(placeholder, &mut text).is_some() {
            each(&text);
        }
    }
}

impl Values<'_> {
    fn of_signal(&self) -> SignalValues<'_> {
        SignalValues { signal: self.signal.signal(), connection_id: Some(self.target.connection_id()) }
    }
}

/// The values of a signal for placeholders, as it came from its feed.
#[derive(Debug, Clone, Copy)]
pub struct SignalValues<'s> {
    signal: &'s Signal,
    connection_id: Option<&'s str>,
}

impl<'s> SignalValues<'s> {
    /// The values of `signal` on its way through a connection, or through none.
    pub fn new(signal: &'s Signal, connection_id: Option<&'s str>) -> Self {
        Self { signal, connection_id }
    }
}

impl Resolve for SignalValues<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        let signal = self.signal;
        let entity = signal.entity();
        let thing = (entity.kind() == EntityKind::Thing).then_some(entity);
        let policy = (entity.kind() == EntityKind::Policy).then_some(entity);
        let text = match placeholder {
            Placeholder::ThingId => return append_id(thing?, out),
            Placeholder::ThingNamespace => thing?.namespace()?,
            Placeholder::ThingName => thing?.name(),
            Placeholder::PolicyId => return append_id(policy?, out),
            Placeholder::PolicyNamespace => policy?.namespace()?,
            Placeholder::PolicyName => policy?.name(),
            Placeholder::EntityId => return append_id(thing.or(policy)?, out),
            Placeholder::EntityNamespace => thing.or(policy)?.namespace()?,
            Placeholder::EntityName => thing.or(policy)?.name(),
            Placeholder::TopicFull => signal.topic(),
            Placeholder::TopicNamespace => signal.topic_path().namespace,
            Placeholder::TopicEntityName => signal.topic_path().name,
            Placeholder::TopicGroup => signal.topic_path().group.as_str(),
            Placeholder::TopicChannel if signal.is_live() => "live",
            Placeholder::TopicChannel => signal.topic_path().channel.as_str(),
            Placeholder::TopicCriterion => signal.topic_path().criterion.as_str(),
            Placeholder::TopicAction => action(signal)?,
            Placeholder::TopicSubject => signal.topic_path().subject?,
            Placeholder::TopicActionSubject => action(signal).or(signal.topic_path().subject)?,
            Placeholder::ResourceType => signal.resource_type(),
            Placeholder::ResourcePath => {
                out.push_str(&signal.resource_path());
                return Some(());
            }
            Placeholder::ConnectionId => self.connection_id?,
            // Names are found in any case; internal headers can be read (outbound.md §4.2).
            Placeholder::Header(name) => {
                out.push_str(&signal.derived_header(name).or_else(|| signal.headers().text(name))?);
                return Some(());
            }
            Placeholder::Time(time) => {
                time.append(now(), out);
                return Some(());
            }
            Placeholder::FeatureId | Placeholder::RequestSubjectId | Placeholder::ThingJson(_) => {
                let mut first = None;
                self.resolve_all(placeholder, &mut |text| {
                    first.get_or_insert_with(|| text.to_owned());
                });
                out.push_str(&first?);
                return Some(());
            }
            // Of other protocols.
            _ => return None,
        };
        out.push_str(text);
        Some(())
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        match placeholder {
            Placeholder::FeatureId => self.signal.feature_ids().iter().for_each(|id| each(id)),
            Placeholder::RequestSubjectId => each_subject(self.signal, each),
            Placeholder::ThingJson(pointer) => {
                // Without a thing there is nothing; `/` is all of it.
                let pointer = pointer.trim_matches(|c| c <= ' ').parse::<JsonPointer>().ok();
                let thing = pointer.as_ref().and_then(|_| known_thing(self.signal));
                let value = pointer.zip(thing).and_then(|(pointer, thing)| pointer.get(&thing).cloned());
                each_text(value.as_ref(), each);
            }
            _ => {
                let mut text = String::new();
                if self.resolve(placeholder, &mut text).is_some() {
                    each(&text);
                }
            }
        }
    }
}

/// Whether a placeholder may have several values.
fn has_many(placeholder: &Placeholder) -> bool {
    matches!(placeholder, Placeholder::FeatureId | Placeholder::RequestSubjectId | Placeholder::ThingJson(_))
}

/// `namespace:name`, without the detour through formatting: most addresses have it.
fn append_id(entity: Entity<'_>, out: &mut String) -> Option<()> {
    out.push_str(entity.namespace()?);
    out.push(':');
    out.push_str(entity.name());
    Some(())
}

fn action(signal: &Signal) -> Option<&'static str> {
    signal.topic_path().action.map(|action| action.as_str())
}

/// The subjects that the signal was sent with, in order: whoever caused it, not who may read it.
fn each_subject(signal: &Signal, each: &mut dyn FnMut(&str)) {
    const CONTEXT: KnownHeader = KnownHeader::named("ditto-auth-context");
    let Some(context) = signal.headers().known_text(CONTEXT) else { return };
    let subjects = RawObject::new(&context).filter(|(name, _)| name == "subjects").last();
    for subject in RawArray::new(subjects.map_or("", |(_, subjects)| subjects)) {
        if let Some(subject) = decode_string(subject) {
            each(&subject);
        }
    }
}

/// What an event tells of its thing, and what it was enriched with; the event wins. Other signals know only the latter.
fn known_thing(signal: &Signal) -> Option<Value> {
    let extra = signal.extra().and_then(|extra| serde_json::from_str::<Value>(extra).ok());
    match (signal.partial_thing(), extra) {
        (Some(mut thing), Some(extra)) => {
            merge_objects(&mut thing, &extra);
            Some(thing)
        }
        (thing, extra) => thing.or(extra),
    }
}

/// A text without quotes, the elements of an array, anything else as JSON. Null is no value.
fn each_text(value: Option<&Value>, each: &mut dyn FnMut(&str)) {
    let mut one = |value: &Value| match value {
        Value::String(text) => each(text),
        other => each(&other.to_string()),
    };
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Array(elements)) => elements.iter().for_each(one),
        Some(value) => one(value),
    }
}

fn now() -> UtcTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcTime::new(i64::try_from(now.as_secs()).unwrap_or(i64::MAX), now.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use ditto_placeholder::{Template, Value};
    use ditto_protocol::Limits;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: &str, message: &serde_json::Value, expected: &[&str]) {
        let signal = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
        let template: Template = template.parse().unwrap();
        let values = SignalValues::new(&signal, Some("conn"));
        let all = template.resolve_all(&values).unwrap();
        assert_eq!(all.texts(), expected, "{template}");
        assert_eq!(all == Value::Unresolved, expected.is_empty(), "{template}");
        let mut first = String::new();
        let _ = template.resolve_into(&values, &mut first);
        assert_eq!(first, expected.first().copied().unwrap_or_default(), "{template}");
    }

    #[test]
    fn values_of_an_event() {
        let event = json!({
            "topic": "org.acme/press-4/things/twin/events/modified", "path": "/features", "revision": 7,
            "headers": {"ditto-auth-context": {"type": "x", "subjects": ["a:b", "c:d"]}, "X": "y"},
            "value": {"m": {"properties": {"rpm": 5}}, "n": null},
            "extra": {"attributes": {"tags": ["hot", 1], "o": {"k": "v"}, "none": null}, "features": {"z": {}}},
        });
        check("{{ resource:type }}{{ resource:path }}", &event, &["thing/features"]);
        check("{{ feature:id }}", &event, &["m", "n"]);
        check("{{ request:subjectId | fn:join('+') }}", &event, &["a:b+c:d"]);
        check("{{ thing-json:attributes/tags }}", &event, &["hot", "1"]);
        check("{{ thing-json:/attributes/o }}", &event, &[r#"{"k":"v"}"#]);
        check("{{ thing-json:features/m/properties/rpm }}", &event, &["5"]);
        check("{{ thing-json:_revision }}", &event, &["7"]);
        check("{{ thing-json: /_revision }}", &event, &["7"]);
        check("{{ thing-json:/ | fn:format('{_revision}') }}", &event, &["7"]);
        for missing in ["attributes//o", "attributes/none", "attributes/tags/0", "nothing"] {
            check(&format!("{{{{ thing-json:{missing} }}}}"), &event, &[]);
        }
        check("{{ header:x }}/{{ connection:id }}/{{ thing:name }}", &event, &["y/conn/press-4"]);
        check("{{ time:now | fn:filter('like', '2*-*T*Z') | fn:substring-after('Z') }}", &event, &[""]);
    }

    #[test]
    fn values_of_a_message() {
        let message = json!({
            "topic": "org.acme/press-4/things/live/messages/start", "path": "/features/m/inbox/messages/start",
            "headers": {}, "value": 1,
        });
        check("{{ feature:id }}/{{ resource:type }}", &message, &["m/message"]);
        check("{{ topic:action }}", &message, &[]);
        check("{{ topic:action-subject | fn:upper() }}", &message, &["START"]);
        check("{{ thing-json:attributes }}", &message, &[]);
        check("{{ request:subjectId }}", &message, &[]);
    }
}
