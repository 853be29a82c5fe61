//! protocol.ndjson: messages, headers, merge patch, field selectors, pointers.

use std::fmt::Display;

use bytes::Bytes;
use ditto_json::{FieldSelector, JsonPointer, merge_patch};
use ditto_protocol::{
    Category, EntityKind, Headers, Limits, ProtocolError, Segments, Signal, TargetTopic, Written,
};
use serde_json::{Map, Value, json};

use super::topicpath;

pub(super) fn run(row: &Value) -> Value {
    let input = || row["input"].as_str().unwrap_or_default();
    match row["kind"].as_str().unwrap_or_default() {
        "message" => match decode(&row["message"]) {
            Ok(signal) => message(&signal),
            Err(error) => super::error(&error),
        },
        "envelope-headers" => match decode(&row["message"]) {
            Ok(signal) => {
                json!({ "result": texts(signal.headers().iter().map(|h| (h.name().to_owned(), h.text()))) })
            }
            Err(error) => super::error(&error),
        },
        "headers" => match Headers::of_text(pairs(&row["headers"])) {
            Ok(headers) => json!({
                "result": texts(headers.iter().map(|h| (h.name().to_owned(), h.text()))),
                "timeoutMs": headers.timeout().map(|timeout| timeout.as_millis() as u64),
                "responseRequired": headers.is_response_required(),
                "requestedAcks": headers.requested_acks(),
            }),
            Err(error) => super::error(&error),
        },
        "headers-from-external" => {
            let headers = pairs(&row["headers"]);
            match Headers::from_external(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            {
                Ok(headers) => {
                    json!({ "result": texts(headers.iter().map(|h| (h.name().to_owned(), h.text()))) })
                }
                Err(error) => super::error(&error),
            }
        }
        "headers-to-external" => match Headers::of_text(pairs(&row["headers"])) {
            Ok(headers) => json!({ "result": texts(headers.to_external().map(|(n, v)| (n.to_owned(), v))) }),
            Err(error) => super::error(&error),
        },
        "merge-patch" => {
            let mut target = row["target"].clone();
            match merge_patch(&mut target, &row["patch"]) {
                Ok(()) => json!({ "result": target }),
                Err(error) => json!({ "error": { "code": error.code(), "status": 400 } }),
            }
        }
        "field-selector" => match input().parse::<FieldSelector>() {
            Ok(selector) => json!({
                "pointers": selector.pointers().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "canonical": selector.to_string(),
                "selected": selector.select(&row["object"]),
            }),
            Err(error) => json!({ "error": { "code": error.code(), "status": 400 } }),
        },
        "json-pointer" => match input().parse::<JsonPointer>() {
            Ok(pointer) => {
                let mut answer = json!({ "keys": pointer.segments(), "canonical": pointer.to_string() });
                match pointer.get(&row["object"]) {
                    Some(value) => answer["value"] = value.clone(),
                    None => answer["missing"] = true.into(),
                }
                answer
            }
            Err(error) => json!({ "error": { "code": error.code(), "status": 400 } }),
        },
        "topic-pointer" => {
            // As a JSON pointer, in which `~` stands escaped.
            let canonical = canonical_path(input()).replace('~', "~0");
            json!({ "keys": Segments::of_path(input()).collect::<Vec<_>>(), "canonical": canonical })
        }
        kind => json!({ "no driver for kind": kind }),
    }
}

/// A message given as object, or as text that may be no JSON.
fn decode(message: &Value) -> Result<Signal, ProtocolError> {
    let text = match message {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Signal::decode(Bytes::from(text), &Limits::default())
}

fn message(signal: &Signal) -> Value {
    let entity = signal.entity();
    let signal_type = signal.signal_type().to_string();
    // An answer with many things has no type: it is about no single resource.
    let resource_type = (signal_type != "things.responses:retrieveThings").then(|| signal.resource_type());
    let mut answer = json!({
        "topicPath": topicpath::parts(&signal.topic_path()),
        "path": canonical_path(signal.path()),
        "signalType": signal_type,
        "category": signal.category().as_str(),
        "resourceType": resource_type,
        "resourcePath": signal.resource_path(),
        "channelHeader": channel_header(signal),
        "targetTopic": signal.target_topic().map(TargetTopic::as_str),
        "featureIds": feature_ids(signal),
        "roundtrip": written(signal),
    });
    if entity.kind() != EntityKind::None {
        answer["entityId"] = entity.to_string().into();
        answer["entityType"] = entity.kind().as_str().into();
    }
    if let Some(feature) = signal.feature_id() {
        answer["featureId"] = feature.into();
    }
    if signal.category() == Category::Event && signal.resource_type() == "thing" {
        answer["partialThing"] = signal.partial_thing().unwrap_or_default();
    }
    answer
}

/// The path as it was received, with a leading slash and without a trailing one; what is written back may be another.
fn canonical_path(path: &str) -> String {
    format!("/{}", Segments::of_path(path).collect::<Vec<_>>().join("/"))
}

/// As the signal is written back: its members but headers and `extra`.
fn written(signal: &Signal) -> Value {
    let mut text = Vec::new();
    signal.write(&Written::default(), &mut text);
    let mut value: Value = serde_json::from_slice(&text).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.remove("headers");
        members.remove("extra");
    }
    value
}

fn channel_header(signal: &Signal) -> Value {
    let mut text = Vec::new();
    signal.write(&Written::default(), &mut text);
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    value["headers"]["channel"].clone()
}

/// The ids of the features that a signal is about (placeholders.md §4, `feature:id`).
pub(super) fn feature_ids(signal: &Signal) -> Vec<String> {
    signal.feature_ids()
}

fn pairs(headers: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    headers.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn texts<V: Display>(headers: impl Iterator<Item = (String, V)>) -> Value {
    Value::Object(headers.map(|(name, text)| (name, Value::from(text.to_string()))).collect::<Map<_, _>>())
}
