//! topicpath.ndjson: topics taken apart.

use ditto_protocol::{Action, SearchAction, StreamingAction, TopicPath};
use serde_json::{Value, json};

pub(super) fn run(row: &Value) -> Value {
    match TopicPath::parse(row["input"].as_str().unwrap_or_default()) {
        Ok(topic) => {
            let mut answer = parts(&topic);
            answer["placeholders"] = json!({
                "full": topic.to_string(),
                "namespace": topic.namespace,
                "entityName": topic.name,
                "group": topic.group.as_str(),
                "channel": topic.channel.as_str(),
                "criterion": topic.criterion.as_str(),
                "action": topic.action.map(Action::as_str),
                "subject": topic.subject,
                "action-subject": topic.action_or_subject(),
            });
            answer
        }
        Err(error) => super::error(&error),
    }
}

pub(super) fn parts(topic: &TopicPath<'_>) -> Value {
    json!({
        "namespace": topic.namespace,
        "entityName": topic.name,
        "group": topic.group.as_str(),
        "channel": topic.channel.as_str(),
        "criterion": topic.criterion.as_str(),
        "action": topic.action.map(Action::as_str),
        "searchAction": topic.search_action.map(SearchAction::as_str),
        "streamingAction": topic.streaming_action.map(StreamingAction::as_str),
        "subject": topic.subject,
        "path": topic.to_string(),
        "wildcard": topic.is_wildcard(),
    })
}
