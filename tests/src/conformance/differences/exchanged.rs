//! Rows that are sequences of requests.

use serde_json::{Map, Value, json};

use super::super::defined;

/// A row of http or piggyback.
pub(super) struct Exchanged<'r> {
    steps: &'r [Value],
}

const REFUSED: &str = "connectivity:connection.configuration.invalid";

impl<'r> Exchanged<'r> {
    pub(super) fn of(row: &'r Value) -> Option<Self> {
        row["steps"].as_array().map(|steps| Self { steps })
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &'r Value)> {
        self.steps.iter().enumerate()
    }

    /// Changes that want no answer.
    pub(super) fn unanswered(&self) -> Vec<usize> {
        let is_change =
            |step: &Value| ["PUT", "POST", "DELETE"].iter().any(|method| step["method"] == *method);
        let wants_none = |step: &Value| query(step, "response-required").as_deref() == Some("false");
        self.numbered().filter(|(_, step)| is_change(step) && wants_none(step)).map(|(n, _)| n).collect()
    }

    /// How many connections there are before the first request, if that is more than the reference lists.
    fn too_many(&self) -> Option<usize> {
        let count =
            self.steps.iter().find_map(|step| step["precondition"].as_str()?.split(' ').next()?.parse().ok());
        count.filter(|count| *count > 100)
    }

    /// Lists of more than the reference lists, and what they have.
    pub(super) fn long_lists(&self) -> Vec<(usize, Value)> {
        let Some(count) = self.too_many() else { return Vec::new() };
        let mut ids: Vec<String> = (0..count).map(|n| format!("many-{n}")).collect();
        ids.sort();
        let is_list = |step: &Value| {
            step["method"] == "GET"
                && step["path"]
                    .as_str()
                    .is_some_and(|path| path.split('?').next() == Some("/api/2/connections"))
        };
        let list = |(n, step): (usize, &Value)| {
            let fields = query(step, "fields");
            let of_id = |id: &String| {
                let whole = defined::with_defaults(&json!({ "path_id": id, "body": many() }));
                let Some(fields) = &fields else { return whole };
                let chosen = fields.split(',').map(|name| (name.to_owned(), whole[name].clone()));
                Value::Object(chosen.collect::<Map<_, _>>())
            };
            (n, ids.iter().map(of_id).collect())
        };
        self.numbered().filter(|(_, step)| is_list(step)).map(list).collect()
    }

    /// Questions for what a connection was before its last change.
    pub(super) fn of_the_past(&self) -> Vec<usize> {
        let mut revision = 0;
        let mut found = Vec::new();
        for (n, step) in self.numbered() {
            if ["POST", "PUT"].iter().any(|method| step["method"] == *method) {
                revision += 1;
            }
            let asked = query(step, "at-historical-revision").and_then(|it| it.parse::<usize>().ok());
            if asked.is_some_and(|asked| (1..revision).contains(&asked)) {
                found.push(n);
            }
        }
        found
    }

    /// Piggyback commands that would make a connection of another type.
    pub(super) fn of_other_types(&self) -> Vec<usize> {
        let is_other = |step: &Value| {
            let kind = &step["body"]["piggybackCommand"]["connection"]["connectionType"];
            kind.is_string() && *kind != "kafka"
        };
        self.numbered().filter(|(_, step)| is_other(step)).map(|(n, _)| n).collect()
    }

    /// Piggyback commands to all services, whose answers name the service.
    pub(super) fn to_all_services(&self) -> Vec<usize> {
        let is_to_all = |step: &Value| {
            let path = step["path"].as_str().unwrap_or_default();
            let aggregate = &step["body"]["headers"]["aggregate"];
            path.split('?').next() == Some("/devops/piggyback") && (aggregate.is_null() || *aggregate == true)
        };
        self.numbered().filter(|(_, step)| is_to_all(step)).map(|(n, _)| n).collect()
    }
}

/// What a connection is that stands there only to be counted.
pub(crate) fn many() -> Value {
    json!({
        "connectionType": "kafka", "connectionStatus": "closed", "uri": "tcp://127.0.0.1:29092",
        "specificConfig": { "bootstrapServers": "127.0.0.1:29092" },
        "sources": [{ "addresses": ["hx.in"], "authorizationContext": ["svc:i"] }],
    })
}

/// Puts an answer in the place of a step's.
pub(super) fn put(expected: &mut Value, step: usize, status: u16, body: Value) {
    let content_type = if body.is_null() { Value::Null } else { "application/json".into() };
    expected["steps"][step] = json!({ "status": status, "content_type": content_type, "body": body });
}

/// An error with texts of ours.
pub(super) fn error(status: u16, code: &str) -> Value {
    json!({ "status": status, "error": code, "message": "<text>", "description": "<text>" })
}

/// What is said of a definition that is refused.
pub(super) fn refused() -> Value {
    error(400, REFUSED)
}

/// A connection that cannot log in, as the reference tells it of one with sources.
pub(super) fn misconfigured(status: &mut Value) {
    let Some(members) = status.as_object_mut() else { return };
    members.shift_remove("connectedSince");
    status["liveStatus"] = "misconfigured".into();
    status["recoveryStatus"] = "ongoing".into();
    status["clientStatus"][0]["status"] = "misconfigured".into();
    status["clientStatus"][0]["recoveryStatus"] = "ongoing".into();
    for target in status.get_mut("targetStatus").and_then(Value::as_array_mut).into_iter().flatten() {
        target["status"] = "closed".into();
        if let Some(target) = target.as_object_mut() {
            target.shift_remove("inStateSince");
        }
    }
}

fn query(step: &Value, name: &str) -> Option<String> {
    let (_, query) = step["path"].as_str()?.split_once('?')?;
    let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name);
    pair.map(|(_, value)| value.to_owned())
}
