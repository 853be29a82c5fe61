//! topics.ndjson: topics of targets, and what is checked of them when a connection is made.

use ditto_connection::{FilteredTopic, TopicError, TopicErrorKind, TopicSubscription};
use serde_json::{Value, json};

pub(super) fn run(row: &Value) -> Value {
    let topic: FilteredTopic = match row["input"].as_str().unwrap_or_default().parse() {
        Ok(topic) => topic,
        Err(error) => {
            let error: TopicError = error;
            return json!({ "error": { "code": error.code(), "status": 400 } });
        }
    };
    let extra_fields = topic.extra_fields().map(|it| it.pointers().iter().map(ToString::to_string));
    let mut answer = json!({
        "topic": topic.topic().as_str(), "namespaces": topic.namespaces(), "filter": topic.filter(),
        "extraFields": extra_fields.map(Iterator::collect::<Vec<_>>), "canonical": topic.to_string(),
    });
    let has_filter = topic.filter().is_some();
    let refused = TopicSubscription::try_from(topic).err();
    if has_filter {
        answer["filterValid"] = true.into();
    }
    match refused.as_ref().map(TopicError::kind) {
        Some(TopicErrorKind::Filter(error)) => {
            answer["filterValid"] = false.into();
            answer["filterError"] = super::rql::said(error);
        }
        Some(TopicErrorKind::Placeholder(error)) => {
            answer["extraFieldsError"] = json!({ "code": error.code(), "status": 400 });
        }
        _ => {}
    }
    answer
}
