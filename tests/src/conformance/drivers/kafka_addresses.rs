//! kafka-addresses.ndjson: addresses of targets, when a connection is made and when a record is.

use ditto_placeholder::{KafkaAddress, Resolution, ResolvedAddress, Template};
use serde_json::{Value, json};

use super::placeholders::Context;

pub(super) fn run(row: &Value) -> Value {
    let address = row["address"].as_str().unwrap_or_default();
    json!({ "config_time": config_time(address), "run_time": run_time(address, &row["context"]) })
}

/// A definition is kept as it was sent.
fn config_time(address: &str) -> Value {
    match address.parse::<KafkaAddress>() {
        Ok(_) => json!({ "ok": true, "stored_address": address }),
        Err(error) => json!({ "ok": false, "http_status": 400, "error": error.code() }),
    }
}

/// The address by itself, whether or not a connection may have it.
fn run_time(address: &str, context: &Value) -> Value {
    let Ok(template) = address.parse::<Template>() else {
        return json!({ "outcome": "not-reachable", "reason": "placeholder" });
    };
    let thing = context["thingId"].as_str().unwrap_or("org.acme:press-4").replacen(':', "/", 1);
    let signal = json!({
        "topic": format!("{thing}/things/twin/events/modified"), "path": "/attributes/rpm", "value": 7, "revision": 3,
        "headers": {},
    });
    let mut context = json!({ "signal": signal, "headers": context["headers"], "connectionId": "conn-1" });
    if context["headers"].is_null() {
        context["headers"] = json!({});
    }
    let context = match Context::new(&context) {
        Ok(context) => context,
        Err(error) => return json!({ "outcome": format!("the signal is none: {error}") }),
    };
    let mut resolved = String::new();
    match template.resolve_into(&context, &mut resolved) {
        Ok(Resolution::Resolved) => {}
        Ok(Resolution::Unresolved | Resolution::Deleted) => return json!({ "outcome": "dropped-unresolved" }),
        Err(error) => return json!({ "outcome": "error", "error": error.code() }),
    }
    match ResolvedAddress::parse(&resolved) {
        Ok(ResolvedAddress { topic, key, partition }) => {
            json!({ "outcome": "ok", "resolved": resolved, "topic": topic, "key": key, "partition": partition })
        }
        Err(error) => json!({ "outcome": "error", "resolved": resolved, "error": error.code() }),
    }
}
