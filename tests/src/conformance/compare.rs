//! Exact comparison of an expectation with our answer.

use serde_json::{Map, Value};

/// What a file's schema says beyond "equal".
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Members that are informative at the top level of an expectation.
    pub informative: &'static [&'static str],
}

/// All differences, each with the JSON pointer of its place. None: the answer is as expected.
pub fn compare(expected: &Value, answer: &Value, rules: Rules) -> Vec<String> {
    let mut findings = Vec::new();
    match (expected, answer) {
        (Value::Object(expected), Value::Object(answer)) => {
            let compared = |members: &Map<String, Value>| -> Map<String, Value> {
                members
                    .iter()
                    .filter(|(name, _)| !rules.informative.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            };
            let (mut expected, mut answer) = (compared(expected), compared(answer));
            broken_writing(&mut expected, &mut answer, &mut findings);
            objects("", &expected, &answer, &mut findings);
        }
        _ => values("", expected, answer, &mut findings),
    }
    findings
}

/// Where the reference breaks when it writes a message back, the message with its topic and path is a proper answer
/// (rule 3).
fn broken_writing(
    expected: &mut Map<String, Value>,
    answer: &mut Map<String, Value>,
    findings: &mut Vec<String>,
) {
    if !expected.get("roundtripError").is_some_and(breaks) {
        return;
    }
    expected.shift_remove("roundtripError");
    let written = answer.shift_remove("roundtrip").unwrap_or_default();
    let said = (expected.get("topicPath").and_then(|topic| topic.get("path")), expected.get("path"));
    if written.get("topic").is_none() || (written.get("topic"), written.get("path")) != said {
        findings
            .push(format!("/roundtrip: the message with its topic and path expected, {written} answered"));
    }
}

/// Whether an error is none of the reference's answers, but of its language.
fn breaks(error: &Value) -> bool {
    error.get("code").and_then(Value::as_str).is_some_and(|code| code.starts_with("java:"))
}

fn values(at: &str, expected: &Value, answer: &Value, findings: &mut Vec<String>) {
    let equal = match (expected, answer) {
        (Value::Object(expected), Value::Object(answer))
            if at.ends_with("/error") && expected.contains_key("code") =>
        {
            return errors(at, expected, answer, findings);
        }
        (Value::Object(expected), Value::Object(answer)) if is_error_form(at, expected) => {
            return error_form(at, expected, answer, findings);
        }
        (Value::Object(expected), Value::Object(answer)) => return objects(at, expected, answer, findings),
        (Value::Array(expected), Value::Array(answer)) => {
            if expected.len() != answer.len() {
                findings.push(format!(
                    "{at}: {} elements expected, {} answered",
                    expected.len(),
                    answer.len()
                ));
            }
            for (n, (expected, answer)) in expected.iter().zip(answer).enumerate() {
                values(&format!("{at}/{n}"), expected, answer, findings);
            }
            return;
        }
        // Only classes say so, of what a script computes.
        (Value::String(expected), _) if expected == "<value>" => true,
        (Value::Number(expected), Value::Number(answer)) => numbers_equal(expected, answer),
        (Value::String(expected), Value::String(answer)) => texts_equal(at, expected, answer),
        (expected, answer) => expected == answer,
    };
    if !equal {
        findings.push(format!("{at}: {expected} expected, {answer} answered"));
    }
}

fn objects(at: &str, expected: &Map<String, Value>, answer: &Map<String, Value>, findings: &mut Vec<String>) {
    for (name, expected) in expected {
        match answer.get(name) {
            Some(answer) => values(&format!("{at}/{name}"), expected, answer, findings),
            None => findings.push(format!("{at}/{name}: {expected} expected, absent in the answer")),
        }
    }
    for (name, answer) in answer.iter().filter(|(name, _)| !expected.contains_key(*name)) {
        findings.push(format!("{at}/{name}: not expected, {answer} answered"));
    }
}

/// Codes and statuses are compared, and whatever else is said of a mistake (its place). A `java:` code is where the reference breaks instead of answering: there a proper
/// 4xx error of our own is right (rule 3).
fn errors(at: &str, expected: &Map<String, Value>, answer: &Map<String, Value>, findings: &mut Vec<String>) {
    let code =
        |error: &Map<String, Value>| error.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
    let status = |error: &Map<String, Value>| error.get("status").and_then(Value::as_u64);
    let (wanted, got) = (code(expected), code(answer));
    if wanted.starts_with("java:") {
        let proper =
            !got.is_empty() && !got.starts_with("java:") && matches!(status(answer), Some(400..=499));
        if !proper {
            findings.push(format!("{at}: a proper 4xx error expected, {answer:?} answered"));
        }
        return;
    }
    if wanted != got {
        findings.push(format!("{at}/code: {wanted} expected, {got} answered"));
    }
    if expected.contains_key("status") && status(expected) != status(answer) {
        findings.push(format!("{at}/status: {:?} expected, {:?} answered", status(expected), status(answer)));
    }
    let others = |error: &Map<String, Value>| {
        let mut error = error.clone();
        error.retain(|name, _| !["code", "status"].contains(&name.as_str()));
        error
    };
    objects(at, &others(expected), &others(answer), findings);
}

/// Errors of mappers and of definitions stand there without a wrapping.
fn is_error_form(at: &str, expected: &Map<String, Value>) -> bool {
    let is_place = |name: &str| at.ends_with(name);
    ["/configError", "/validationError", "/refused", "/notServed"].into_iter().any(is_place)
        || is_place("/mapperThrows")
        || at.contains("/outcomes/") && expected.get("outcome") == Some(&Value::from("error"))
}

/// Code and status are compared, texts only for being there: ours has one even where the reference has none. An `exception`
/// is where the reference breaks (rule 3).
fn error_form(
    at: &str,
    expected: &Map<String, Value>,
    answer: &Map<String, Value>,
    findings: &mut Vec<String>,
) {
    let is_text = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if !is_text(answer.get("message")) {
        findings.push(format!("{at}/message: a text expected, {:?} answered", answer.get("message")));
    }
    if answer.contains_key("description") != is_text(answer.get("description"))
        || expected.contains_key("description") && !answer.contains_key("description")
    {
        findings.push(format!("{at}/description: a text expected, {:?} answered", answer.get("description")));
    }
    if expected.contains_key("exception") {
        let is_proper = is_text(answer.get("error"))
            && matches!(answer.get("status").and_then(Value::as_u64), Some(400..=499));
        if !is_proper {
            findings.push(format!("{at}: a proper 4xx error expected, {answer:?} answered"));
        }
        return;
    }
    let others = |form: &Map<String, Value>| {
        let mut form = form.clone();
        form.retain(|name, _| !["message", "description"].contains(&name.as_str()));
        form
    };
    objects(at, &others(expected), &others(answer), findings);
}

/// `<text>` stands for any text, `<now>` for an instant and `<uuid>`, also as a part of a text, for a UUID. What the
/// reference holds as a set has no order in a header.
fn texts_equal(at: &str, expected: &str, answer: &str) -> bool {
    const SETS: [&str; 2] = ["/dittoHeaders/requested-acks", "/dittoHeaders/ditto-expected-response-types"];
    match expected {
        "<text>" => !answer.is_empty(),
        "<now>" => answer.parse::<jiff::Timestamp>().is_ok() && answer.ends_with('Z'),
        _ if SETS.iter().any(|set| at.ends_with(set)) => {
            let sorted = |text: &str| {
                let mut labels: Vec<String> = serde_json::from_str(text).ok()?;
                labels.sort();
                Some(labels)
            };
            sorted(expected).is_some() && sorted(expected) == sorted(answer)
        }
        _ => match expected.split_once("<uuid>") {
            Some((before, after)) => {
                answer.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(is_uuid)
            }
            None => expected == answer,
        },
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn numbers_equal(expected: &serde_json::Number, answer: &serde_json::Number) -> bool {
    match (expected.as_i128(), answer.as_i128()) {
        (Some(expected), Some(answer)) => expected == answer,
        // One of them is no integer: by value. A vector that went through JavaScript has 2^63-1 as 9223372036854776000.
        _ => expected.as_f64() == answer.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: Rules = Rules { informative: &["class"] };

    #[track_caller]
    fn check(expected: Value, answer: Value, findings: usize) {
        let found = compare(&expected, &answer, RULES);
        assert_eq!(found.len(), findings, "{found:?}");
    }

    #[test]
    fn everything_counts_but_order_of_members() {
        check(json!({"a": 1, "b": [1, 2]}), json!({"b": [1, 2], "a": 1.0}), 0);
        check(json!({"b": [1, 2]}), json!({"b": [2, 1]}), 2);
        check(json!({"a": null}), json!({}), 1);
        check(json!({}), json!({"a": null}), 1);
        check(json!({"class": "X"}), json!({}), 0);
        check(json!({"n": 9007199254740993_i64}), json!({"n": 9007199254740992_i64}), 1);
        check(json!({"t": "<text>"}), json!({"t": ""}), 1);
    }

    #[test]
    fn placeholders_stand_for_their_kind_only() {
        check(json!({"t": "<uuid>-x"}), json!({"t": "123e4567-e89b-42d3-a456-426614174000-x"}), 0);
        check(json!({"t": "<uuid>-x"}), json!({"t": "123e4567-e89b-42d3-a456-426614174000"}), 1);
        check(json!({"t": "<uuid>"}), json!({"t": "x"}), 1);
        check(json!({"t": "<now>"}), json!({"t": "2026-01-02T03:04:05.1Z"}), 0);
        check(json!({"t": "<now>"}), json!({"t": "now"}), 1);
        let acks = |text: &str| json!({"dittoHeaders": {"requested-acks": text}});
        check(acks(r#"["b","a"]"#), acks(r#"["a","b"]"#), 0);
        check(acks(r#"["b"]"#), acks(r#"["a","b"]"#), 1);
    }

    #[test]
    fn errors_without_wrapping() {
        let outcome = |form: Value| json!({"outcomes": [form]});
        let ours = |code: &str, status: u16| {
            outcome(
                json!({"outcome": "error", "error": code, "status": status, "message": "m", "description": "d",
                "topicPath": null}),
            )
        };
        let theirs = outcome(
            json!({"outcome": "error", "error": "a:b", "status": 400, "message": null, "topicPath": null}),
        );
        check(theirs.clone(), ours("a:b", 400), 0);
        check(theirs.clone(), ours("a:c", 400), 1);
        check(theirs, ours("a:b", 422), 1);
        let broken = json!({"mapperThrows": {"exception": "java.lang.X", "message": "<text>"}});
        check(broken.clone(), json!({"mapperThrows": {"error": "a:b", "status": 400, "message": "m"}}), 0);
        check(broken.clone(), json!({"mapperThrows": {"error": "a:b", "status": 500, "message": "m"}}), 1);
        check(broken, json!({"mapperOutput": []}), 2);
    }

    #[test]
    fn where_the_reference_cannot_write_the_message_is_right() {
        let broken = |code: &str| {
            json!({"topicPath": {"path": "a/b"}, "path": "/x", "category": "command",
                "roundtripError": {"code": code}})
        };
        let answer = |roundtrip: Value| json!({"topicPath": {"path": "a/b"}, "path": "/x", "category": "command", "roundtrip": roundtrip});
        let written = answer(json!({"topic": "a/b", "path": "/x", "value": 1}));
        check(broken("java:IllegalStateException"), written.clone(), 0);
        check(broken("java:IllegalStateException"), answer(json!({"topic": "a/c", "path": "/x"})), 1);
        check(broken("java:IllegalStateException"), answer(json!({})), 1);
        check(broken("java:IllegalStateException"), json!({"topicPath": {"path": "a/b"}}), 3);
        check(broken("protocoladapter:unknown.channel"), written, 2);
    }

    #[test]
    fn where_the_reference_breaks_a_proper_error_is_right() {
        let broken = json!({"error": {"code": "java:NullPointerException"}});
        check(broken.clone(), json!({"error": {"code": "json.invalid", "status": 400}}), 0);
        check(broken.clone(), json!({"error": {"code": "json.invalid", "status": 500}}), 1);
        check(broken, json!({"value": 1}), 2);
        check(json!({"error": {"code": "a"}}), json!({"error": {"code": "a", "status": 400}}), 0);
        check(json!({"error": {"code": "a", "line": 1}}), json!({"error": {"code": "a", "line": 2}}), 1);
        check(json!({"error": {"code": "a"}}), json!({"error": {"code": "a", "line": 1}}), 1);
    }
}
