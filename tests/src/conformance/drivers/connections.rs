//! connections.ndjson: definitions, by the request that brings them.

use std::collections::BTreeMap;

use ditto_connection::{Check, Connection, Draft, ValidationReport};
use ditto_protocol::ConnectionId;
use serde_json::{Value, json};

use super::mapping;
use crate::conformance::defined::{self, GENERATED};

/// Bodies of HTTP requests (http-api.md).
const MAX_BODY: usize = 1 << 20;

/// What a service would have stored: as much of it as the rows need.
#[derive(Default)]
struct Stored(BTreeMap<ConnectionId, Connection>);

pub(super) fn run(row: &Value) -> Value {
    let mut stored = Stored::default();
    for request in row["request"]["pre"].as_array().into_iter().flatten() {
        stored.answer(request);
    }
    stored.answer(&row["request"])
}

/// Both sides of a row as far as they are compared: rules 3 and 4, and what a row says of our texts.
pub(super) fn settle(expected: &mut Value, answer: &mut Value) {
    let said =
        [take(answer, "message"), take(answer, "description")].map(|it| it.as_str().map(str::to_owned));
    let field = take(expected, "field");
    let ours = take(answer, "field");
    if defined::breaks(expected) {
        let is_proper = answer["error"].as_str().is_some_and(|code| !code.is_empty())
            && answer["inner_status"].as_u64().is_some_and(|status| (400..500).contains(&status))
            && ours.as_str().zip(field.as_str()).is_some_and(|(ours, field)| ours.starts_with(field));
        *expected = json!({ "ok": expected["ok"], "is_proper": true });
        *answer = json!({ "ok": answer["ok"], "is_proper": is_proper });
        return;
    }
    let texts = said.iter().flatten().cloned().collect::<Vec<_>>().join("\n");
    if let Some(mentions) = expected.get("mentions") {
        let is_said = |text: &&Value| text.as_str().is_some_and(|text| texts.contains(text));
        let mentioned: Vec<_> = mentions.as_array().into_iter().flatten().filter(is_said).cloned().collect();
        answer["mentions"] = mentioned.into();
    }
    match take(expected, "has_description") {
        Value::Bool(true) => {
            expected["has_description"] = true.into();
            answer["has_description"] = said[1].as_ref().is_some_and(|text| !text.is_empty()).into();
        }
        Value::Bool(false) | Value::Null => {}
        other => expected["has_description"] = other,
    }
    for side in [expected, answer] {
        if let Some(definition) = side.get_mut("normalized") {
            defined::mask(definition);
            defined::sort_sets(definition);
        }
    }
}

fn take(side: &mut Value, name: &str) -> Value {
    side.as_object_mut().and_then(|side| side.shift_remove(name)).unwrap_or_default()
}

impl Stored {
    fn answer(&mut self, request: &Value) -> Value {
        let via = request["via"].as_str().unwrap_or_default();
        let text = defined::text(request);
        if via.starts_with("http") && text.len() > MAX_BODY {
            return json!({ "ok": false, "http_status": 413 });
        }
        let Ok(generated) = "generated".parse::<ConnectionId>() else { return Value::Null };
        let path: Option<ConnectionId> = request["path_id"].as_str().and_then(|id| id.parse().ok());
        let draft = match &path {
            Some(id) => Draft::of_put(&text, id),
            None if via == "http-post" => Draft::of_post(&text, &generated),
            None => Draft::of_command(&text),
        };
        let draft = draft.with_mappers(&mapping::check);
        let of_draft = path.as_ref().and_then(|id| self.0.get(id));
        let connection = match of_draft.map_or(draft, |stored| draft.with_secrets_of(stored)).read() {
            Ok(connection) => connection,
            Err(report) => return refused(via, &report),
        };
        let is_known = self.0.contains_key(connection.id());
        if is_known && via.ends_with("create") {
            let message = format!("{} is there", connection.id());
            return json!({
                "ok": false, "http_status": 200, "inner_status": 409, "error": "connectivity:connection.conflict",
                "message": message, "description": "modify it", "field": "/id",
            });
        }
        let mut normalized = connection.to_json();
        if connection.id() == &generated {
            normalized["id"] = GENERATED.into();
        }
        self.0.insert(connection.id().clone(), connection);
        let status = if is_known { 204 } else { 201 };
        if via.starts_with("piggyback") {
            json!({ "ok": true, "http_status": 200, "inner_status": status, "normalized": normalized })
        } else {
            json!({ "ok": true, "http_status": status, "normalized": normalized })
        }
    }
}

fn refused(via: &str, report: &ValidationReport) -> Value {
    let error = report.to_json();
    let mut answer = json!({
        "ok": false, "http_status": error["status"], "inner_status": error["status"], "error": error["error"],
        "message": error["message"], "description": error["description"],
        "field": report.first_error().map(|it| it.pointer.as_str()),
    });
    if via.starts_with("piggyback") {
        answer["http_status"] = 200.into();
        // What cannot be read at all is told by whoever takes the command (piggyback.md §2).
        if report.first_error().is_some_and(|it| it.check <= Check::Uri) {
            answer["envelope"] = json!({
                "type": "devops.responses:errorResponse", "status": error["status"], "serviceName": "connectivity",
                "instance": "<instance>",
            });
        }
    }
    answer
}
