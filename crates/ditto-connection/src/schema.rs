//! The JSON Schema of definitions, made of the table of members.

use serde_json::{Map, Value, json};

use crate::members::{
    ACKNOWLEDGEMENT_REQUESTS, CONNECTION, CREDENTIALS, ENFORCEMENT, Kind, MAPPING_DEFINITION, Member, Object,
    REPLY_TARGET, SOURCE, SPECIFIC_CONFIG, SSH_TUNNEL, TARGET,
};

/// The JSON Schema (2020-12) of a definition. It knows members and types, not what texts mean: what it refuses, [`Draft`]
/// refuses or drops; what it accepts may still be refused.
///
/// [`Draft`]: crate::Draft
pub fn json_schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), "Connection definition".into());
    schema.extend(object(&CONNECTION));
    let others = [
        &SOURCE,
        &ENFORCEMENT,
        &ACKNOWLEDGEMENT_REQUESTS,
        &REPLY_TARGET,
        &TARGET,
        &SPECIFIC_CONFIG,
        &MAPPING_DEFINITION,
        &CREDENTIALS,
        &SSH_TUNNEL,
    ];
    let definitions: Map<String, Value> =
        others.into_iter().map(|it| (it.name.to_owned(), object(it).into())).collect();
    schema.insert("$defs".to_owned(), definitions.into());
    schema.into()
}

fn object(object: &Object) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("description".to_owned(), object.about.into());
    schema.insert("type".to_owned(), "object".into());
    let members = object.members.iter().map(|it| (it.name.to_owned(), member(it)));
    schema.insert("properties".to_owned(), members.collect::<Map<_, _>>().into());
    let required: Vec<_> = object.members.iter().filter(|it| it.is_required).map(|it| it.name).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.insert("additionalProperties".to_owned(), object.is_open.into());
    schema
}

/// A member that need not be there may be null as well.
fn member(member: &Member) -> Value {
    let kind = kind(&member.kind);
    let mut schema = match kind {
        Value::Object(schema)
            if member.is_required || !schema.contains_key("type") && !schema.contains_key("$ref") =>
        {
            schema
        }
        kind => Map::from_iter([("anyOf".to_owned(), json!([kind, { "type": "null" }]))]),
    };
    schema.insert("description".to_owned(), member.about.into());
    schema.into()
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::OneOf(texts) => json!({ "type": "string", "enum": texts }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Int { min: i64::MIN } => json!({ "type": "integer" }),
        Kind::Int { min } => json!({ "type": "integer", "minimum": min, "maximum": i32::MAX }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::SomeOf(texts) => json!({ "type": "array", "items": { "type": "string", "enum": texts } }),
        Kind::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::AnyMap | Kind::Options => json!({ "type": "object" }),
        Kind::AnyText => json!({}),
        Kind::Object(object) => reference(object),
        Kind::Objects(object) => json!({ "type": "array", "items": reference(object) }),
        Kind::ObjectMap(object) => json!({ "type": "object", "additionalProperties": reference(object) }),
    }
}

fn reference(object: &Object) -> Value {
    json!({ "$ref": format!("#/$defs/{}", object.name) })
}

#[cfg(test)]
mod tests;
