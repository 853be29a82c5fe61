//! The vectors of the reference that need no signal. `cargo xtask conformance` has them all.

use std::time::{Duration, SystemTime};

use ditto_json::{Extraction, Places};
use ditto_rql::{Filter, Reason};
use serde_json::{Value, json};

#[test]
fn every_row_without_a_signal() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/rql.ndjson");
    let text = std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["mode"] == "signal" {
            continue;
        }
        seen += 1;
        let mut expected = row["expect"].clone();
        if expected["error"]["code"] == "java:NullPointerException" {
            // Nothing equals null in `in`: docs/differences.md.
            expected = json!({ "match": false });
        }
        assert_eq!(answer(&row), expected, "{} {}", row["id"], row["filter"]);
    }
    assert_eq!(seen, 212);
}

fn answer(row: &Value) -> Value {
    let filter: Filter = match row["filter"].as_str().unwrap_or_default().parse() {
        Ok(filter) => filter,
        Err(error) => {
            let (code, reason) = (error.code(), error.reason().as_str());
            // The reference says the place of no other mistake.
            return json!({ "error": if error.reason() == Reason::Syntax {
                let (line, column) = (error.line(), error.column());
                json!({ "code": code, "status": 400, "line": line, "column": column, "reason": reason })
            } else {
                json!({ "code": code, "status": 400, "reason": reason })
            }});
        }
    };
    let Some(thing) = row.get("thing") else { return json!({ "valid": true }) };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let raw = thing.to_string();
    let (extraction, mut places) = (Extraction::new(filter.pointers()), Places::default());
    let from_text = extraction.scan(&raw, 64, &mut places).map(|thing| filter.matches(&thing, now));
    assert_eq!(from_text, Ok(filter.matches(thing, now)), "{}", row["id"]);
    json!({ "match": from_text.ok() })
}
