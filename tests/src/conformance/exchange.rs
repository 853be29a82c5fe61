//! Answers to requests, compared by the rules of http and piggyback (schema.md §9).

use serde_json::{Map, Value, json};

use super::compare::{Rules, compare};
use super::defined;

/// Headers that are informative.
const INFORMATIVE: [&str; 2] = ["entity-revision", "response-required"];

/// What differs.
pub(super) fn findings(expected: &Value, answer: &Value) -> Vec<String> {
    let (mut expected, mut answer) = (expected.clone(), answer.clone());
    settle(&mut expected, &mut answer);
    compare(&expected, &answer, Rules { informative: &[] })
}

/// Cuts both sides down to what is compared.
pub(super) fn settle(expected: &mut Value, answer: &mut Value) {
    let (Some(expected), Some(answer)) = (
        expected.get_mut("steps").and_then(Value::as_array_mut),
        answer.get_mut("steps").and_then(Value::as_array_mut),
    ) else {
        return;
    };
    for (expected, answer) in expected.iter_mut().zip(answer) {
        if expected.is_object() && answer.is_object() {
            step(expected, answer);
        }
    }
}

fn step(expected: &mut Value, answer: &mut Value) {
    if is_break(expected) {
        let is_proper = answer["status"].as_u64().is_some_and(|status| (400..500).contains(&status))
            && answer["body"]["error"].as_str().is_some_and(|code| !code.is_empty());
        *expected = json!({ "is_proper": true });
        *answer = json!({ "is_proper": is_proper });
        return;
    }
    let how = take(expected, "compare");
    if how.is_string() {
        contained(&expected["body"].clone(), &mut answer["body"]);
    }
    let text = answer["body"].to_string();
    if let Some(mentions) = expected.get("mentions").and_then(Value::as_array) {
        let is_said = |mention: &&Value| mention.as_str().is_some_and(|mention| text.contains(mention));
        answer["mentions"] = mentions.iter().filter(is_said).cloned().collect();
    }
    let wanted = take(expected, "headers");
    let wanted = wanted.as_object().cloned().unwrap_or_default();
    let names: Vec<&String> = wanted.keys().filter(|name| !INFORMATIVE.contains(&name.as_str())).collect();
    let chosen = |from: &Map<String, Value>| -> Value {
        let chosen = names.iter().filter_map(|name| Some(((*name).clone(), from.get(*name)?.clone())));
        Value::Object(chosen.collect())
    };
    let said = take(answer, "headers");
    expected["headers"] = chosen(&wanted);
    answer["headers"] = chosen(said.as_object().unwrap_or(&Map::new()));
    if expected["body"] == "<plain text>" && answer["body"].as_str().is_some_and(|text| !text.is_empty()) {
        answer["body"] = expected["body"].clone();
    }
    body(&mut expected["body"], &mut answer["body"]);
}

/// Where the reference breaks, or says 5xx to a client's mistake (rule 3).
fn is_break(expected: &Value) -> bool {
    let is_silent = expected["status"] == 408 && expected["body"].is_null();
    expected["internal_error"] == true
        || is_silent
        || expected["body"]["error"] == "connectivity:internalerror"
}

/// Leaves in a list only what is looked for: it may have more.
fn contained(expected: &Value, answer: &mut Value) {
    match (expected, answer) {
        (Value::Array(expected), Value::Array(answer)) => {
            answer.retain(|element| {
                expected.iter().any(|it| compare(it, element, Rules { informative: &[] }).is_empty())
            });
        }
        (Value::Object(expected), Value::Object(answer)) => {
            for (name, expected) in expected {
                if let Some(answer) = answer.get_mut(name) {
                    contained(expected, answer);
                }
            }
        }
        _ => {}
    }
}

fn body(expected: &mut Value, answer: &mut Value) {
    match (&mut *expected, &mut *answer) {
        (Value::Object(theirs), Value::Object(ours)) => {
            if theirs.contains_key("error") && theirs.contains_key("status") {
                // All that was found stands beside the first; texts are ours.
                ours.shift_remove("findings");
                if !theirs.contains_key("description") {
                    ours.shift_remove("description");
                }
            }
            if theirs.contains_key("connectionMetrics") {
                // How far signals have come stands beside what the reference counts.
                ours.shift_remove("funnel");
            }
            for logs in [theirs.get_mut("connectionLogs"), ours.get_mut("connectionLogs")] {
                if let Some(logs) = logs.and_then(Value::as_array_mut) {
                    logs.retain(|entry| !["connection", "other"].iter().any(|it| entry["category"] == *it));
                }
            }
            for (name, theirs) in theirs {
                if let Some(ours) = ours.get_mut(name) {
                    body(theirs, ours);
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.iter_mut().zip(ours).for_each(|(theirs, ours)| body(theirs, ours));
        }
        (Value::String(theirs), Value::String(ours)) => {
            let stands = match theirs.as_str() {
                "<timestamp>" => ours.parse::<jiff::Timestamp>().is_ok() && ours.ends_with('Z'),
                "<correlation-id>" => !ours.is_empty(),
                _ => false,
            };
            if stands {
                ours.clone_from(theirs);
            }
        }
        _ => {}
    }
    for side in [expected, answer] {
        if side.get("connectionType").is_some() {
            defined::mask(side);
            defined::sort_sets(side);
        }
    }
}

fn take(side: &mut Value, name: &str) -> Value {
    side.as_object_mut().and_then(|side| side.shift_remove(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: Value, answer: Value, passes: bool) {
        let found = findings(&json!({ "steps": [expected] }), &json!({ "steps": [answer] }));
        assert_eq!(found.is_empty(), passes, "{found:?}");
    }

    #[test]
    fn what_is_listed_is_compared() {
        let ours = json!({ "status": 200, "content_type": null, "headers": { "etag": "\"rev:1\"", "x": "y" }, "body": null });
        let theirs =
            |headers: Value| json!({ "status": 200, "content_type": null, "headers": headers, "body": null });
        check(theirs(json!({ "etag": "\"rev:1\"", "entity-revision": "7" })), ours.clone(), true);
        check(theirs(json!({ "etag": "\"rev:2\"" })), ours.clone(), false);
        check(theirs(json!({ "allow": "GET" })), ours, false);
    }

    #[test]
    fn errors_texts_and_breaks() {
        let error = |code: &str, status: u16| {
            json!({ "status": status, "content_type": "application/json", "headers": {},
                "body": { "status": status, "error": code, "message": "m", "description": "d", "findings": [] } })
        };
        let theirs = json!({ "status": 400, "content_type": "application/json",
            "body": { "status": 400, "error": "a:b", "message": "<text>", "description": "<text>" } });
        check(theirs.clone(), error("a:b", 400), true);
        check(theirs.clone(), error("a:c", 400), false);
        let mut with_mention = theirs;
        with_mention["mentions"] = json!(["zzz"]);
        check(with_mention, error("a:b", 400), false);
        let broken = json!({ "status": 500, "content_type": null, "body": null, "internal_error": true });
        check(broken.clone(), error("a:b", 400), true);
        check(broken, error("a:b", 500), false);
    }

    #[test]
    fn lists_contain_and_secrets_are_masked() {
        let answer = |body: Value| json!({ "status": 200, "content_type": "application/json", "headers": {}, "body": body });
        let mut theirs = answer(json!(["b"]));
        theirs["compare"] = "contains".into();
        check(theirs.clone(), answer(json!(["a", "b"])), true);
        check(theirs, answer(json!(["a"])), false);
        let of = |uri: &str| answer(json!({ "connectionType": "kafka", "uri": uri }));
        check(of("tcp://u:secret@h:1"), of("tcp://u:*****@h:1"), true);
        check(of("tcp://u:secret@h:1"), of("tcp://v:*****@h:1"), false);
    }
}
