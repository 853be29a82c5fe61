//! What a row's message says, read without the code under test: the expectations of the classes are computed from it.

use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::exchanged::Exchanged;
use super::mapped::Mapped;
use super::readable::Readable;
use super::scripted::Scripted;
use crate::conformance::defined::Defined;
use crate::conformance::published::Published;

/// A message, its topic and its path taken apart by the rule of protocol.md §1; or the address of a target.
#[derive(Debug, Default)]
pub(super) struct Said {
    message: Map<String, Value>,
    topic: Vec<String>,
    path: Vec<String>,
    /// What a filter asks of it.
    asked: Option<Asked>,
    /// As it is written, and with the values of its headers.
    address: (String, String),
    /// The whole row, of which others read more.
    row: Value,
}

impl Said {
    /// What a row says. Its message, or the signal of a filter, is given as an object or as its text.
    pub(super) fn of(row: &Value) -> Self {
        let known =
            Self { address: address(row), asked: Asked::of(row), row: row.clone(), ..Self::default() };
        let message = match row.get("message").filter(|_| row["kind"] == "message").or(row.get("signal")) {
            Some(Value::Object(message)) => Some(message.clone()),
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            _ => None,
        };
        let Some(message) = message else { return known };
        let text = |name| message.get(name).and_then(Value::as_str);
        let (Some(topic), Some(path)) = (text("topic"), text("path")) else { return known };
        let (topic, path) = (segments(topic, true), segments(path.strip_prefix('/').unwrap_or(path), false));
        Self { message, topic, path, ..known }
    }

    /// What the row's filter asks, if that is of one property.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.asked.as_ref()
    }

    /// What the row's request defines, if it is about a connection.
    pub(super) fn defined(&self) -> Option<Defined<'_>> {
        Defined::of(&self.row)
    }

    /// What may be read by the row's policy, if it is about one.
    pub(super) fn readable(&self) -> Option<Readable<'_>> {
        Readable::of(&self.row)
    }

    /// What comes to the row's mapper, if it is about one.
    pub(super) fn mapped(&self) -> Option<Mapped<'_>> {
        Mapped::of(&self.row)
    }

    /// What the row publishes, if it is a whole connection.
    pub(super) fn published(&self) -> Option<Published<'_>> {
        Published::of(&self.row)
    }

    /// The steps of a row that is a sequence of them.
    pub(super) fn steps(&self) -> &[Value] {
        self.row["steps"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The row's requests, if it has some.
    pub(super) fn exchanged(&self) -> Option<Exchanged<'_>> {
        Exchanged::of(&self.row)
    }

    /// The row's script, if it is about one.
    pub(super) fn scripted(&self) -> Option<Scripted<'_>> {
        Scripted::of(&self.row)
    }

    /// Whether the row's filter holds of an event on the definition of a feature; `None` for other signals.
    pub(super) fn definition_matches(&self) -> Option<bool> {
        let (topic, path) = (self.topic(), self.path());
        let [_, _, "things", channel, "events", action] = topic.as_slice() else { return None };
        let ["features", id, "definition"] = path.as_slice() else { return None };
        // A merged one the reference evaluates.
        let value = match *action {
            "created" | "modified" => self.message.get("value"),
            "deleted" => None,
            _ => return None,
        };
        self.asked.as_ref()?.holds_of_definition(channel, id, value)
    }

    /// Whether the address of a target has placeholders.
    pub(super) fn has_placeholder(&self) -> bool {
        self.address.0.contains("{{")
    }

    /// Whether the address ends in a negative number for a partition. Only headers are known here.
    pub(super) fn has_negative_partition(&self) -> bool {
        let partition = self.address.1.split_once('#').filter(|(topic, _)| !topic.is_empty());
        partition.is_some_and(|(_, number)| number.parse::<i32>().is_ok_and(|number| number < 0))
    }

    /// The segments of the topic.
    pub(super) fn topic(&self) -> Vec<&str> {
        self.topic.iter().map(String::as_str).collect()
    }

    /// The segments of the path.
    pub(super) fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The path with a leading and without a trailing slash.
    pub(super) fn canonical_path(&self) -> String {
        format!("/{}", self.path.join("/"))
    }

    /// A header that has a text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.message.get("headers")?.as_object()?;
        let (_, value) = headers.iter().rfind(|(own, _)| own.eq_ignore_ascii_case(name))?;
        value.as_str()
    }

    /// Whether topic or header say so.
    pub(super) fn is_live(&self) -> bool {
        self.header("channel") == Some("live")
            || matches!(self.topic().as_slice(), [_, _, "things", "live", ..])
    }

    /// The answer to a live message, if its path repeats the subject of the topic as it stands there.
    pub(super) fn live_message(&self) -> Option<Value> {
        let topic = self.topic();
        let [namespace, name, "things", "live", "messages", subject @ ..] = topic.as_slice() else {
            return None;
        };
        let path = self.path();
        let (feature, direction, repeated) = match path.as_slice() {
            ["features", id, direction, "messages", repeated @ ..] => (Some(*id), *direction, repeated),
            [direction, "messages", repeated @ ..] => (None, *direction, repeated),
            _ => return None,
        };
        if subject.is_empty() || subject != repeated || !["inbox", "outbox"].contains(&direction) {
            return None;
        }
        let status = self.message.get("status").filter(|status| !status.is_null());
        let subject = subject.join("/");
        // A claim is one wherever it goes.
        let feature = feature.filter(|_| subject != "claim");
        let about = if subject == "claim" { "claim" } else { feature.map_or("thing", |_| "feature") };
        let mut written = json!({ "topic": topic.join("/"), "path": self.canonical_path() });
        if let Some(value) = self.message.get("value") {
            written["value"] = self.payload(value);
        }
        let mut answer = json!({
            "topicPath": {
                "namespace": namespace, "entityName": name, "group": "things", "channel": "live",
                "criterion": "messages", "action": null, "searchAction": null, "streamingAction": null,
                "subject": subject, "path": topic.join("/"), "wildcard": *name == "_",
            },
            "path": self.canonical_path(),
            "signalType": format!("messages.commands:{about}Message"),
            "category": "command",
            "resourceType": "message",
            "resourcePath": self.canonical_path(),
            "entityId": format!("{namespace}:{name}"),
            "entityType": "thing",
            "channelHeader": "live",
            "targetTopic": "_/_/things/live/messages",
            "featureIds": feature.into_iter().collect::<Vec<_>>(),
        });
        if let Some(feature) = feature {
            answer["featureId"] = feature.into();
        }
        if let Some(status) = status {
            written["status"] = status.clone();
            answer["signalType"] = format!("messages.responses:{about}ResponseMessage").into();
            answer["category"] = "response".into();
        }
        answer["roundtrip"] = written;
        Some(answer)
    }

    /// The payload of a message as it is written: as it is, as text, or in base64, by its content type.
    fn payload(&self, value: &Value) -> Value {
        let text = || value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let content_type = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.starts_with("text/") {
            text().into()
        } else if media_type.ends_with("json") && media_type != "application/merge-patch+json" {
            value.clone()
        } else {
            let text = text();
            base64(&from_base64(&text).unwrap_or_else(|| text.into_bytes())).into()
        }
    }

    /// What is written of a signal that the reference reads and cannot write: topic, path, value and what else its kind
    /// has. `expected` tells what kind it is.
    pub(super) fn written(&self, expected: &Value) -> Value {
        let mut topic = self.topic();
        match topic.as_mut_slice() {
            [namespace, name, "things", channel, criterion, ..] => {
                // Streams have no live channel: such a topic could not be read again.
                *channel = if self.is_live() && *criterion != "streaming" { "live" } else { "twin" };
                if *criterion == "search" {
                    (*namespace, *name) = ("_", "_");
                }
            }
            [namespace, _, "connections", ..] => *namespace = "_",
            // A question about any entities.
            [namespace, name, "policies", "commands", "checkPermissions", ..] => {
                (*namespace, *name) = ("_", "_");
            }
            _ => {}
        }
        let mut written = json!({ "topic": topic.join("/"), "path": expected["resourcePath"] });
        if let Some(value) = self.completed_value() {
            written["value"] = value;
        }
        let members: &[&str] = match expected["category"].as_str() {
            Some("response") => &["status"],
            Some("event") if topic.contains(&"events") => &["revision", "timestamp"],
            _ => &[],
        };
        for name in members {
            if let Some(value) = self.member(name) {
                written[*name] = value.clone();
            }
        }
        // An error says its status itself.
        if expected["category"] == "error" {
            written["status"] = written["value"]["status"].clone();
        }
        if let Some(fields) = self.member("fields").and_then(Value::as_str).filter(|_| self.asks_for_fields())
        {
            let pointer = |field: &str| format!("/{}", field.strip_prefix('/').unwrap_or(field));
            written["fields"] = fields.split(',').map(pointer).collect::<Vec<_>>().join(",").into();
        }
        written
    }

    /// A search and a query for a whole policy.
    fn asks_for_fields(&self) -> bool {
        match self.topic().as_slice() {
            [_, _, "things", _, "search", action, ..] => *action == "subscribe",
            [_, _, "policies", "commands", "retrieve", ..] => {
                self.path.is_empty() && self.member("status").is_none()
            }
            _ => false,
        }
    }

    /// The value with what the reference fills in wherever it can write (protocol.md §14).
    fn completed_value(&self) -> Option<Value> {
        let (topic, path) = (self.topic(), self.path());
        let (group, criterion, action) = match topic.as_slice() {
            [_, _, "things", _, criterion, action, ..] => ("things", *criterion, *action),
            [_, _, group, criterion, action, ..] => (*group, *criterion, *action),
            [_, _, group, criterion] => (*group, *criterion, ""),
            _ => return self.message.get("value").cloned(),
        };
        let entry = json!({ "subjects": {}, "resources": {}, "importable": "implicit" });
        let defaults = match (criterion, action) {
            ("search", "subscribe") => json!({ "namespaces": [] }),
            ("streaming", "subscribeForPersistedEvents") => {
                json!({ "fromHistoricalRevision": 0, "toHistoricalRevision": i64::MAX })
            }
            ("search" | "streaming", "request") => json!({ "demand": 0 }),
            ("search", "next") => json!({ "items": [] }),
            ("streaming", "next") => json!({ "item": null }),
            ("search" | "streaming", "failed") => json!({ "error": { "description": "" } }),
            ("errors", _) => json!({ "description": "" }),
            ("commands", "migrate") => json!({
                "type": "things.commands:migrateThingDefinition", "thingId": topic.get(..2)?.join(":"),
                "migrationPayload": {}, "initializeMissingPropertiesFromDefaults": false,
            }),
            ("commands" | "events", _) if group == "policies" => match path.as_slice() {
                [] if !["retrieve", "checkPermissions"].contains(&action) => {
                    json!({ "imports": {}, "entries": {} })
                }
                ["entries"] => json!({}),
                ["entries", _] => entry.clone(),
                _ => return self.message.get("value").cloned(),
            },
            _ => return self.message.get("value").cloned(),
        };
        let mut value = match self.message.get("value") {
            None if action.starts_with("subscribe") => json!({}),
            None => return None,
            Some(Value::Null) => json!({}),
            Some(value) => value.clone(),
        };
        fill_in(&mut value, &defaults);
        let members = value.as_object_mut()?;
        if criterion == "streaming" {
            members.shift_remove("prefix");
        }
        if members.get("patchConditions").is_some_and(|conditions| *conditions == json!({})) {
            members.shift_remove("patchConditions");
        }
        let entries = match path.as_slice() {
            _ if group != "policies" => None,
            [] => members.get_mut("entries").and_then(Value::as_object_mut),
            ["entries"] => Some(&mut *members),
            _ => None,
        };
        entries.into_iter().flat_map(Map::values_mut).for_each(|own| fill_in(own, &entry));
        // What is sent to a policy or told of it repeats the namespace of its id.
        if let (true, true, None) = (group == "policies", path.is_empty(), self.member("status"))
            && let Some((namespace, _)) =
                members.get("policyId").and_then(Value::as_str).and_then(|id| id.split_once(':'))
        {
            let namespace = namespace.into();
            members.insert("_namespace".to_owned(), namespace);
        }
        Some(value)
    }

    /// A member that is there and not null.
    fn member(&self, name: &str) -> Option<&Value> {
        self.message.get(name).filter(|value| !value.is_null())
    }
}

/// Cuts at each slash; from the first empty segment on all is one segment, which keeps its slash. A topic may begin with
/// an empty one.
fn segments(text: &str, may_begin_empty: bool) -> Vec<String> {
    let mut segments = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_cut = !rest.starts_with('/') || (may_begin_empty && segments.is_empty());
        let (segment, tail) = rest.split_once('/').filter(|_| is_cut).unwrap_or((rest, ""));
        segments.push(segment.to_owned());
        rest = tail;
    }
    segments
}

/// Adds what a value lacks, also in its objects.
fn fill_in(value: &mut Value, defaults: &Value) {
    let (Value::Object(value), Value::Object(defaults)) = (value, defaults) else { return };
    for (name, default) in defaults {
        fill_in(value.entry(name.as_str()).or_insert_with(|| default.clone()), default);
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let digit =
        |bits: u32, shift: u32| DIGITS.get((bits >> shift & 63) as usize).copied().map_or('=', char::from);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or_default()));
        let digits = [18, 12, 6, 0].into_iter().take(chunk.len() + 1).map(|shift| digit(bits, shift));
        text.extend(digits.chain(std::iter::repeat_n('=', 3 - chunk.len())));
    }
    text
}

/// The bytes of a text that is base64, with or without its padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if digits.len() % 4 == 1 || padding > 0 && !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for digit in digits.bytes() {
        let value = DIGITS.iter().position(|own| *own == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 255).ok()?);
        }
    }
    Some(bytes)
}

/// The address in a row that is about one.
fn address(row: &Value) -> (String, String) {
    let written = match row["mode"].as_str() {
        Some("kafka-address") => &row["template"],
        _ => &row["address"],
    };
    let written = written.as_str().unwrap_or_default();
    let headers = row["context"]["headers"].as_object().into_iter().flatten();
    let resolved = headers.fold(written.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{ header:{name} }}}}"), value.as_str().unwrap_or_default())
    });
    (written.to_owned(), resolved)
}
