//! What the description of the API has beside its routes: parameters and schemas, and the answers that all routes have.

use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa_axum::router::UtoipaMethodRouter;

/// A connection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct OfConnection {
    /// Its id.
    #[param(pattern = "^[a-zA-Z0-9_:-]{1,100}$")]
    id: String,
}

/// Whom a DevOps command is for.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct OfInstance {
    /// `connectivity`.
    #[param(pattern = "^connectivity$")]
    service: String,
    /// Name of this instance.
    instance: String,
}

/// How long an answer may take.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct Timeout {
    /// How long the answer may take, such as `5s`: more than nothing, at most 60 s.
    #[param(pattern = "^[+]?0*(([1-9]|[1-5][0-9]|60)s?|1m|([1-9][0-9]{0,3}|[1-5][0-9]{4}|60000)ms)$")]
    timeout: Option<String>,
}

/// Which parts of connections are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct Selected {
    /// Only these fields, such as `id,name`. `_revision`, `_created`, `_modified` and `__lifecycle` are there only if named.
    fields: Option<String>,
}

/// The headers of a conditional request.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct Conditions {
    /// The ETag that it must have.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// The ETag that it must not have.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// The paths of a DevOps command, of which the longest is given: the instance may be left out, and then the service.
pub(super) fn in_each_form<S>((schemas, mut paths, methods): UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    if let Some((path, item)) = paths.paths.first_key_value() {
        let (mut path, mut item) = (path.clone(), item.clone());
        for name in ["instance", "service"] {
            path.truncate(path.len().saturating_sub(name.len() + "/{}".len()));
            operations(&mut item).for_each(|operation| without(operation, name));
            paths.paths.insert(path.clone(), item.clone());
        }
    }
    (schemas, paths, methods)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post].into_iter().flatten()
}

fn without(operation: &mut Operation, name: &str) {
    if let Some(parameters) = &mut operation.parameters {
        parameters.retain(|it| !matches!(it, RefOr::T(parameter) if parameter.name == name));
    }
    // That of the longest path: no two have the same.
    operation.operation_id = None;
}

/// The description as it is served.
pub(super) fn written(api: &OpenApi) -> String {
    let mut api = serde_json::to_value(api).unwrap_or_default();
    if let Some(components) = api.pointer_mut("/components").and_then(Value::as_object_mut) {
        components.insert("schemas".to_owned(), schemas().into());
    }
    let paths = api.pointer_mut("/paths").and_then(Value::as_object_mut);
    let operations = paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    for operation in operations.flat_map(Map::values_mut) {
        let takes_body = operation.get("requestBody").is_some();
        let is_open = operation.get("security").is_none();
        let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { continue };
        let problem = |why: &str| {
            json!({ "description": why, "content": {
            "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } },
        } })
        };
        let mut add = |status: &str, answer: Value| {
            answers.entry(status).or_insert(answer);
        };
        let text = json!({ "text/plain": { "schema": { "type": "string" } } });
        add("414", json!({ "description": "The path has more than 8 KiB.", "content": text }));
        add("431", json!({ "description": "A header has more than 16 KiB.", "content": text }));
        if is_open {
            continue;
        }
        add("400", problem("The request is wrong."));
        add("401", json!({ "description": "Not logged in.", "content": text }));
        add("403", problem("Somebody else may."));
        add("408", problem("The answer, or the body of the request, did not come in time."));
        add("429", problem("Too many logins from this address have failed."));
        add("503", problem("The service, or its store, does not take it for now."));
        if takes_body {
            add("413", json!({ "description": "The body has more than 1 MiB." }));
            add("415", problem("The body is of another media type."));
        }
    }
    // Whoever has made a connection can ask for it.
    if let Some(created) =
        api.pointer_mut("/paths/~1api~12~1connections/post/responses/201").and_then(Value::as_object_mut)
    {
        let link = |name: &str| json!({ "operationId": name, "parameters": { "id": "$response.body#/id" } });
        let links = ["get", "put", "delete", "command", "status", "metrics", "logs", "explain"];
        created
            .insert("links".to_owned(), links.iter().map(|name| ((*name).to_owned(), link(name))).collect());
    }
    api.to_string()
}

fn schemas() -> Map<String, Value> {
    let mut schemas: Map<String, Value> =
        serde_json::from_str(include_str!("page/schemas.json")).unwrap_or_default();
    let mut definition = ditto_connection::json_schema();
    of_components(&mut definition);
    if let Some(members) = definition.as_object_mut() {
        members.remove("$schema");
        if let Some(Value::Object(parts)) = members.remove("$defs") {
            schemas.extend(parts);
        }
    }
    let mut shown = definition.clone();
    if let Some(members) = shown.as_object_mut() {
        // What is asked for by `fields`, or all of it.
        members.remove("required");
        members.insert(
            "description".to_owned(),
            "A connection, or the fields of it that were asked for. Secrets are masked.".into(),
        );
    }
    schemas.insert("Definition".to_owned(), definition);
    schemas.insert("Connection".to_owned(), shown);
    schemas
}

/// References lead to where the parts of a schema are in the description; and what has no name is dropped, not refused.
fn of_components(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                members.remove("additionalProperties");
            }
            if let Some(Value::String(reference)) = members.get_mut("$ref") {
                *reference = reference.replace("#/$defs/", "#/components/schemas/");
            }
            members.values_mut().for_each(of_components);
        }
        Value::Array(elements) => elements.iter_mut().for_each(of_components),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let schemas = schemas();
        let text = Value::from(schemas.clone()).to_string();
        let references: Vec<_> = text.split("#/components/schemas/").skip(1).collect();
        assert!(references.len() > 10, "{text}");
        for reference in references {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        assert!(!text.contains("$defs"), "{text}");
    }
}
