use ditto_protocol::ConnectionId;

use super::*;
use crate::draft::Draft;

#[test]
fn every_reference_leads_somewhere() {
    let schema = json_schema();
    let text = schema.to_string();
    let references: Vec<_> = text.split("\"#/$defs/").skip(1).filter_map(|it| it.split('"').next()).collect();
    assert!(references.len() > 9);
    for name in references {
        assert_eq!(schema["$defs"][name]["type"], "object", "{name}");
    }
    assert_eq!(schema["properties"]["uri"]["type"], "string");
    assert_eq!(schema["properties"]["name"]["anyOf"][1]["type"], "null");
    assert_eq!(schema["required"], json!(["connectionType", "uri"]));
}

/// The definitions of the vectors: the schema accepts those that are accepted as they stand, and none of which something
/// is dropped.
#[test]
fn the_schema_knows_what_is_kept() {
    let schema = json_schema();
    let rows = include_str!("../../../../tests/vectors/connections.ndjson");
    let id: ConnectionId = "c".parse().unwrap();
    let (mut accepted, mut dropped) = (0, 0);
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let request = &row["request"];
        let Some(body) = request.get("body") else { continue };
        let text = body.to_string();
        let path: Option<ConnectionId> = request["path_id"].as_str().map(|id| id.parse().unwrap());
        let draft = match (&path, request["via"].as_str()) {
            (Some(id), _) => Draft::of_put(&text, id),
            (None, Some("http-post")) => Draft::of_post(&text, &id),
            (None, _) => Draft::of_command(&text),
        };
        let Ok(connection) = draft.read() else { continue };
        let is_kept = !connection.findings().iter().any(|it| it.reason.contains("dropped"));
        assert_eq!(is_valid(&schema, &schema, body), is_kept, "{}", row["id"]);
        assert!(is_valid(&schema, &schema, &connection.to_json()), "{}", row["id"]);
        accepted += usize::from(is_kept);
        dropped += usize::from(!is_kept);
    }
    assert!(accepted > 80 && dropped > 2, "{accepted} {dropped}");
}

#[test]
fn the_schema_knows_members_and_types() {
    let schema = json_schema();
    let definition = json!({"id": "c", "connectionType": "kafka", "uri": "tcp://h:1", "targets": [{"address": "t", "authorizationContext": ["a"]}]});
    assert!(is_valid(&schema, &schema, &definition));
    for (pointer, value) in [
        ("/id", json!(5)),
        ("/tgas", json!([])),
        ("/connectionType", json!("mqtt")),
        ("/uri", Value::Null),
        ("/clientCount", json!(0)),
        ("/clientCount", json!("1")),
        ("/targets/0", json!({"address": "t"})),
        ("/targets/0", json!({"address": "t", "authorizationContext": ["a"], "topic": []})),
        ("/sources", json!([5])),
        ("/specificConfig", json!({})),
        ("/mappingDefinitions", json!({"a": {"mappingEngine": "x"}})),
    ] {
        let mut definition = definition.clone();
        match pointer.strip_prefix("/targets/") {
            Some(_) => definition["targets"][0] = value,
            None => definition[pointer.trim_start_matches('/')] = value,
        }
        assert!(!is_valid(&schema, &schema, &definition), "{pointer}: {definition}");
    }
}

/// As much of JSON Schema as ours has.
fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let schema = match schema["$ref"].as_str().and_then(|it| it.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap(),
        None => schema,
    };
    let is_type = match schema["type"].as_str() {
        None => true,
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        other => panic!("{other:?}"),
    };
    let is_listed = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    let in_range = schema["minimum"].as_i64().is_none_or(|least| value.as_i64() >= Some(least))
        && schema["maximum"].as_i64().is_none_or(|most| value.as_i64() <= Some(most));
    let any = schema["anyOf"].as_array().is_none_or(|all| all.iter().any(|it| is_valid(root, it, value)));
    let items = value.as_array().into_iter().flatten().all(|it| match schema.get("items") {
        Some(schema) => is_valid(root, schema, it),
        None => true,
    });
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let has_all =
        value.as_object().is_none_or(|members| required.into_iter().all(|it| members.contains_key(it)));
    let members = value.as_object().into_iter().flatten().all(|(name, value)| {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => is_valid(root, schema, value),
            (None, Value::Bool(is_open)) => *is_open,
            (None, Value::Null) => true,
            (None, schema) => is_valid(root, schema, value),
        }
    });
    is_type && is_listed && in_range && any && items && has_all && members
}
