//! entity-ids.ndjson: identifiers.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use ditto_protocol::{
    AckLabel, ConnectionId, DefinitionId, FeatureId, Limits, MessageSubject, PolicyId, PolicyLabel,
    ProtocolError, ResourceKey, Signal, SubjectId, ThingId, attribute_pointer,
};
use serde_json::{Map, Value, json};

pub(super) fn run(row: &Value) -> Value {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let mut input = text("prefix") + &text("input");
    if let Some(repeat) = row.get("repeat") {
        let count = repeat["count"].as_u64().unwrap_or_default() as usize;
        input += &repeat["char"].as_str().unwrap_or_default().repeat(count);
    }
    let answer = match text("kind").as_str() {
        "thing-id" => input
            .parse::<ThingId>()
            .map(|id| json!({ "namespace": id.namespace(), "name": id.name(), "valid": true })),
        "policy-id" => input
            .parse::<PolicyId>()
            .map(|id| json!({ "namespace": id.namespace(), "name": id.name(), "valid": true })),
        "connection-id" => value::<ConnectionId>(&input),
        "feature-id" => value::<FeatureId>(&input),
        "feature-id-in-thing" => feature_ids(&input),
        "attribute-key" => {
            attribute_pointer(&input).map(|pointer| json!({ "pointer": pointer.to_string(), "valid": true }))
        }
        "ack-label" => input
            .parse::<AckLabel>()
            .map(|label| json!({ "value": label.as_str(), "fullyResolved": label.is_resolved(), "valid": true })),
        "policy-label" => value::<PolicyLabel>(&input),
        "subject-id" => input.parse::<SubjectId>().map(|id| {
            json!({ "issuer": id.issuer(), "subject": id.subject(), "value": id.as_str(), "valid": true })
        }),
        "resource-key" => input
            .parse::<ResourceKey>()
            .map(|key| json!({ "type": key.kind(), "path": key.path().to_string(), "valid": true })),
        "definition" => value::<DefinitionId>(&input),
        "message-subject" => value::<MessageSubject>(&input),
        kind => return json!({ "no driver for kind": kind }),
    };
    answer.unwrap_or_else(|error| super::error(&error))
}

fn value<T: FromStr<Err = ProtocolError> + Display>(input: &str) -> Result<Value, ProtocolError> {
    input.parse::<T>().map(|id| json!({ "value": id.to_string(), "valid": true }))
}

/// The feature as member of a thing that is created.
fn feature_ids(input: &str) -> Result<Value, ProtocolError> {
    let features: Map<String, Value> = [(input.to_owned(), json!({}))].into_iter().collect();
    let message = json!({
        "topic": "acme/t/things/twin/commands/create", "path": "/",
        "value": { "thingId": "acme:t", "features": features },
    });
    let signal = Signal::decode(Bytes::from(message.to_string()), &Limits::default())?;
    Ok(json!({ "featureIds": super::protocol::feature_ids(&signal), "valid": true }))
}
