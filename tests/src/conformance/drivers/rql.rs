//! rql.ndjson: filters, alone, on things, and on signals before and after their enrichment.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ditto_json::FieldSelector;
use ditto_outbound::SignalFields;
use ditto_protocol::{Limits, Signal};
use ditto_rql::{Filter, FilterError, Pending, Reason};
use serde_json::{Value, json};

pub(super) fn run(row: &Value) -> Value {
    let filter: Filter = match row["filter"].as_str().unwrap_or_default().parse() {
        Ok(filter) => filter,
        Err(error) => return json!({ "error": said(&error) }),
    };
    // Rows with `time:` are the same on any later day.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    match row["mode"].as_str().unwrap_or_default() {
        "parse" => json!({ "valid": true }),
        "thing" => json!({ "match": filter.matches(&row["thing"], now) }),
        "signal" => match Signal::decode(Bytes::from(row["signal"].to_string()), &Limits::default()) {
            Ok(signal) => on_signal(&filter, &signal, row, now),
            Err(error) => super::error(&error),
        },
        mode => json!({ "no driver for mode": mode }),
    }
}

/// The reference says the place of a mistake of form, and of no other.
pub(super) fn said(error: &FilterError) -> Value {
    let mut said = json!({ "code": error.code(), "status": 400, "reason": error.reason().as_str() });
    if error.reason() == Reason::Syntax {
        said["line"] = error.line().into();
        said["column"] = error.column().into();
    }
    said
}

/// Before the enrichment; if there is one in the row, after it as well.
fn on_signal(filter: &Filter, signal: &Signal, row: &Value, now: SystemTime) -> Value {
    let selector =
        row.get("extraFields").map(|text| text.as_str().unwrap_or_default().parse::<FieldSelector>());
    let pending = match &selector {
        None => Pending::nothing(),
        Some(Ok(selector)) => Pending::of(selector.pointers()),
        Some(Err(error)) => return json!({ "error": { "code": error.code(), "status": 400 } }),
    };
    let known = SignalFields::new(signal);
    let candidate = filter.could_match(&known, &pending, now).is_possible();
    let mut answer = json!({ "candidate": candidate });
    if let Some(extra) = row.get("extra") {
        // It is loaded only where it is asked for.
        let matches = match selector {
            Some(_) => filter.matches(&known.enriched(extra), now),
            None => filter.matches(&known, now),
        };
        answer["match"] = (candidate && matches).into();
        answer["matchIgnoringCandidate"] = matches.into();
    }
    answer
}
