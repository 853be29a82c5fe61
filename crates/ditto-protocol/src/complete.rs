//! What the reference fills into values when it writes a message (protocol.md §14).

use std::borrow::Cow;

use ditto_json::JsonKind;
use serde_json::{Map, Value};

use crate::instant::canonical_instant;
use crate::kind::{Category, Subject};
use crate::resource::{PolicyResource, ThingResource};
use crate::signal::Signal;
use crate::topic::{Action, SearchAction, StreamingAction};

/// Fills in what the members of a value lack.
type Complete = fn(&Signal, Map<String, Value>) -> Map<String, Value>;

impl Signal {
    /// The value with what the reference adds; `None` where it adds nothing, which is so for all events of things and
    /// for messages.
    pub(crate) fn completed_value(&self) -> Option<Value> {
        let topic = self.topic_path();
        let complete: Complete = match (self.subject(), self.category()) {
            (_, Category::Error) => error,
            (Subject::Acknowledgements, _) => acknowledgements,
            (Subject::Thing(ThingResource::Thing), Category::Command)
                if matches!(topic.action, Some(Action::Create | Action::Modify)) =>
            {
                written_thing
            }
            (Subject::Policy(_), Category::Announcement) => return None,
            (Subject::Policy(PolicyResource::Policy), _) if topic.action != Some(Action::Retrieve) => policy,
            (Subject::Policy(PolicyResource::Entries), _) => |_, members| entries(members),
            (Subject::Policy(PolicyResource::Entry), _) => |_, members| entry(members),
            (Subject::Connection, _) => announcement,
            (Subject::Search, _) => match topic.search_action? {
                SearchAction::Subscribe => |_, members| with(members, "namespaces", Value::Array(Vec::new())),
                SearchAction::Request => |_, members| with(members, "demand", 0.into()),
                SearchAction::Next => |_, members| with(members, "items", Value::Array(Vec::new())),
                SearchAction::Failed => failed,
                _ => return None,
            },
            (Subject::Streaming(_), _) => match topic.streaming_action? {
                StreamingAction::SubscribeForPersistedEvents => streaming,
                StreamingAction::Request => |_, members| with(members, "demand", 0.into()),
                StreamingAction::Next => |_, members| with(members, "item", Value::Null),
                StreamingAction::Failed => failed,
                _ => return None,
            },
            _ => return None,
        };
        let members = match self.value() {
            None if self.subscribes() => Map::new(),
            None => return None,
            Some(raw) if JsonKind::of(raw) == JsonKind::Null => Map::new(),
            Some(raw) => serde_json::from_str(raw).ok()?,
        };
        Some(Value::Object(complete(self, members)))
    }

    /// Whether it is written with a value even if it has none.
    pub(crate) fn subscribes(&self) -> bool {
        let topic = self.topic_path();
        topic.search_action == Some(SearchAction::Subscribe)
            || topic.streaming_action == Some(StreamingAction::SubscribeForPersistedEvents)
    }

    /// The status that the value of an error has: 500 if it has none.
    pub(crate) fn error_status(&self) -> Option<u16> {
        let members: Map<String, Value> = serde_json::from_str(self.value()?).ok()?;
        let status = members.get("status").and_then(Value::as_u64).and_then(|status| status.try_into().ok());
        Some(status.filter(|status| (100..600).contains(status)).unwrap_or(500))
    }
}

fn with(mut members: Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    members.entry(name).or_insert(value);
    members
}

fn first(
    leading: impl IntoIterator<Item = (&'static str, Value)>,
    members: Map<String, Value>,
) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        leading.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (name, value) in members {
        all.insert(name, value);
    }
    all
}

fn written_thing(signal: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    let entity = signal.entity();
    // The value names the thing of the topic, or none.
    members.shift_remove("_namespace");
    members.shift_remove("thingId");
    first([("_namespace", entity.namespace().into()), ("thingId", entity.to_string().into())], members)
}

fn policy(signal: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    for part in ["imports", "entries"] {
        members = with(members, part, Value::Object(Map::new()));
    }
    if let Some(Value::Object(parts)) = members.get_mut("entries") {
        *parts = entries(std::mem::take(parts));
    }
    let namespace = signal.entity().namespace();
    if signal.category() == Category::Response || !members.contains_key("policyId") {
        return members;
    }
    first([("_namespace", namespace.into())], members)
}

fn entries(mut members: Map<String, Value>) -> Map<String, Value> {
    for parts in members.values_mut().filter_map(Value::as_object_mut) {
        *parts = entry(std::mem::take(parts));
    }
    members
}

fn entry(members: Map<String, Value>) -> Map<String, Value> {
    let members = with(members, "subjects", Value::Object(Map::new()));
    let members = with(members, "resources", Value::Object(Map::new()));
    with(members, "importable", "implicit".into())
}

fn error(_: &Signal, members: Map<String, Value>) -> Map<String, Value> {
    let members = with(members, "status", 500.into());
    let mut members = with(members, "message", "no message was given".into());
    if members.get("description").is_none_or(Value::is_null) {
        // Codes of Ditto itself have a description; foreign ones get an empty one.
        const OWN: [&str; 9] = [
            "things:",
            "policies:",
            "connectivity:",
            "messages:",
            "gateway:",
            "json.",
            "protocoladapter:",
            "thing-search:",
            "acknowledgement:",
        ];
        let code = members.get("error").and_then(Value::as_str).unwrap_or_default();
        let known = OWN.iter().any(|family| code.starts_with(family));
        members.insert("description".to_owned(), if known { "no description was given" } else { "" }.into());
    }
    members
}

fn failed(signal: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(cause)) = members.get_mut("error") {
        *cause = error(signal, std::mem::take(cause));
    }
    members
}

/// An acknowledgement is never answered.
fn acknowledgements(_: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    for acknowledgement in members.values_mut().filter_map(Value::as_object_mut) {
        acknowledgement.retain(|name, value| {
            matches!(name.as_str(), "status" | "payload" | "headers") && !value.is_null()
        });
        let headers = acknowledgement.entry("headers").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(headers) = headers {
            headers.insert("response-required".to_owned(), false.into());
        }
    }
    members
}

fn announcement(_: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    for value in members.values_mut() {
        if let Value::String(text) = value
            && let Cow::Owned(canonical) = canonical_instant(text)
        {
            *text = canonical;
        }
    }
    members
}

fn streaming(_: &Signal, members: Map<String, Value>) -> Map<String, Value> {
    let members = with(members, "fromHistoricalRevision", 0.into());
    with(members, "toHistoricalRevision", i64::MAX.into())
}
