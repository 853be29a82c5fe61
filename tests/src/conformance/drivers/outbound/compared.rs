//! Both sides of a row about a connection, as far as they are compared (README.md R2a and R2b, schema.md §3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::conformance::{Rules, compare};

/// A text that is compared parsed.
pub(super) fn json_of(text: &str) -> Option<Value> {
    text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten()
}

/// Cuts both sides down to what is compared.
pub(in crate::conformance::drivers) fn settle(expected: &mut Value, answer: &mut Value) {
    if let (Some(_), Some(members)) = (expected.get("validationError").cloned(), expected.as_object_mut()) {
        members.retain(|name, _| name == "validationError");
    }
    for side in [&mut *expected, &mut *answer] {
        for record in side.get_mut("records").and_then(Value::as_array_mut).into_iter().flatten() {
            decode(record);
            sort_labels(record);
        }
    }
    group(expected, answer);
}

/// JSON in another charset than UTF-8 is compared parsed, too: the order of its members says nothing there either.
fn decode(record: &mut Value) {
    let bytes = match (&record["valueText"], &record["valueBase64"]) {
        (Value::String(text), _) => text.clone().into_bytes(),
        (_, Value::String(text)) => STANDARD.decode(text).unwrap_or_default(),
        _ => return,
    };
    let content_type = record["headers"]["content-type"].as_str().unwrap_or_default();
    let Some((_, charset)) = content_type.split_once("charset=") else { return };
    let wide = |to_unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| pair.try_into().ok().map(to_unit));
        String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
    };
    let text = match charset.to_ascii_uppercase().as_str() {
        "UTF-16BE" => wide(u16::from_be_bytes),
        "UTF-16LE" => wide(u16::from_le_bytes),
        // It begins with the mark of the byte order.
        "UTF-16" => {
            wide(u16::from_be_bytes).and_then(|text| text.strip_prefix('\u{feff}').map(str::to_owned))
        }
        "ISO-8859-1" => Some(bytes.iter().copied().map(char::from).collect()),
        _ => None,
    };
    if let (Some(json), Some(members)) = (text.as_deref().and_then(json_of), record.as_object_mut()) {
        members.retain(|name, _| name != "valueText" && name != "valueBase64");
        members.insert("valueJson".to_owned(), json);
    }
}

/// Requested labels are a set in the reference.
fn sort_labels(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(labels) if name == "requested-acks" => labels.sort_by_key(Value::to_string),
                    other => sort_labels(other),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(sort_labels),
        _ => {}
    }
}

/// The reference sends some acknowledgements of a signal apart. Where it does, and not as we do, only the single ones are
/// compared, in no order.
fn group(expected: &mut Value, answer: &mut Value) {
    let sides = (expected.get("acknowledgements"), answer.get("acknowledgements"));
    let (Some(Value::Array(theirs)), Some(Value::Array(ours))) = sides else { return };
    let labels = |group: &Value| -> Vec<Value> {
        group["acks"].as_array().into_iter().flatten().map(|it| it["label"].clone()).collect()
    };
    if theirs.len() < 2 || theirs.iter().map(labels).eq(ours.iter().map(labels)) {
        return;
    }
    let single = |groups: &[Value]| -> Vec<Value> {
        groups.iter().flat_map(|group| group["acks"].as_array().into_iter().flatten()).cloned().collect()
    };
    let (theirs, mut ours) = (single(theirs), single(ours));
    let mut ordered = Vec::new();
    for wanted in &theirs {
        let is_wanted = |own: &Value| {
            compare(&json!({ "ack": wanted }), &json!({ "ack": own }), Rules::default()).is_empty()
        };
        if let Some(at) = ours.iter().position(is_wanted) {
            ordered.push(ours.remove(at));
        }
    }
    ordered.append(&mut ours);
    expected["acknowledgements"] = theirs.into();
    answer["acknowledgements"] = ordered.into();
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[track_caller]
    fn check(mut expected: Value, mut answer: Value, findings: usize) {
        settle(&mut expected, &mut answer);
        let found = compare(&expected, &answer, Rules::default());
        assert_eq!(found.len(), findings, "{found:?}");
    }

    #[test]
    fn json_counts_in_any_charset() {
        let record = |charset: &str, bytes: Vec<u8>| {
            json!({ "records": [{ "headers": { "content-type": format!("a/b; charset={charset}") },
                "valueBase64": STANDARD.encode(bytes) }] })
        };
        let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        let (one, other) = (r#"{"a":1,"b":"ü"}"#, r#"{"b":"ü","a":1}"#);
        check(record("UTF-16BE", be(one)), record("UTF-16BE", be(other)), 0);
        check(record("UTF-16BE", be(one)), record("UTF-16BE", be(r#"{"b":"u","a":1}"#)), 1);
        check(record("UTF-16BE", be(one)), record("UTF-16LE", be(one)), 3);
        let marked = be(&format!("\u{feff}{one}"));
        check(record("utf-16", marked.clone()), record("utf-16", be(&format!("\u{feff}{other}"))), 0);
        check(record("utf-16", marked), record("utf-16", be(one)), 2);
        let latin = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<_>>();
        check(record("ISO-8859-1", latin(one)), record("ISO-8859-1", latin(other)), 0);
    }

    #[test]
    fn acknowledgements_that_come_apart_are_a_multiset() {
        let ack = |label: &str, status: u16| json!({ "label": label, "status": status });
        let sent = |groups: &[(u16, &[Value])]| {
            let groups = groups.iter().map(|(status, acks)| json!({ "status": status, "acks": acks }));
            json!({ "acknowledgements": groups.collect::<Vec<_>>() })
        };
        let (a, b) = (ack("a", 200), ack("b", 204));
        let apart = sent(&[(200, from_ref(&a)), (204, from_ref(&b))]);
        check(apart.clone(), sent(&[(200, &[b.clone(), a.clone()])]), 0);
        check(apart.clone(), sent(&[(200, &[a.clone(), a.clone()])]), 2);
        check(apart.clone(), sent(&[(200, &[a.clone(), b.clone(), b.clone()])]), 1);
        // Where both send the same ones together, what they say of all counts.
        check(apart, sent(&[(200, from_ref(&a)), (200, from_ref(&b))]), 1);
        check(sent(&[(200, &[a.clone(), b.clone()])]), sent(&[(200, &[b, a])]), 4);
    }
}
