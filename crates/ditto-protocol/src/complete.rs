//! What the reference fills into values when it writes a message (protocol.md §14).

use serde_json::{Map, Value};

use crate::kind::{Category, Subject};
use crate::resource::PolicyResource;
use crate::signal::Signal;
use crate::topic::{Action, StreamingAction};

impl Signal {
    /// The value with what the reference adds; `None` where it adds nothing, which is so for all events and messages.
    pub(crate) fn completed_value(&self) -> Option<Value> {
        let topic = self.topic_path();
        let complete: fn(&Signal, Map<String, Value>) -> Map<String, Value> =
            match (self.subject(), self.category()) {
                (_, Category::Error) => error,
                (Subject::Thing(_), Category::Command) if topic.action == Some(Action::Create) => {
                    created_thing
                }
                (Subject::Policy(PolicyResource::Policy), Category::Command)
                    if matches!(topic.action, Some(Action::Create | Action::Modify)) =>
                {
                    policy
                }
                (Subject::Streaming(_), Category::Command)
                    if topic.streaming_action == Some(StreamingAction::SubscribeForPersistedEvents) =>
                {
                    streaming
                }
                _ => return None,
            };
        match serde_json::from_str(self.value()?) {
            Ok(Value::Object(members)) => Some(Value::Object(complete(self, members))),
            _ => None,
        }
    }
}

fn first(
    leading: impl IntoIterator<Item = (&'static str, Value)>,
    members: Map<String, Value>,
) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        leading.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(members);
    all
}

fn created_thing(signal: &Signal, members: Map<String, Value>) -> Map<String, Value> {
    let entity = signal.entity();
    first([("_namespace", entity.namespace().into()), ("thingId", entity.to_string().into())], members)
}

fn policy(signal: &Signal, members: Map<String, Value>) -> Map<String, Value> {
    let entity = signal.entity();
    let empty = || Value::Object(Map::new());
    let leading = [
        ("_namespace", entity.namespace().into()),
        ("policyId", entity.to_string().into()),
        ("imports", empty()),
    ];
    first(leading, members)
}

fn error(_: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    if !members.contains_key("description") {
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

fn streaming(_: &Signal, mut members: Map<String, Value>) -> Map<String, Value> {
    if !members.contains_key("fromHistoricalTimestamp") {
        members.entry("fromHistoricalRevision").or_insert(0.into());
    }
    if !members.contains_key("toHistoricalTimestamp") {
        members.entry("toHistoricalRevision").or_insert(i64::MAX.into());
    }
    members
}
