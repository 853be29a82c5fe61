//! policies.ndjson: policies, decisions by them, read subjects, and what is left of signals.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use ditto_authorization::{AuthorizationContext, Cut, Decision, Enforcer, Grants, Policy, PolicyError};
use ditto_json::JsonPointer;
use ditto_protocol::{Limits, ResourceKey, Signal};
use serde_json::{Map, Value, json};

pub(super) fn run(row: &Value) -> Value {
    answer(row).unwrap_or_else(
        |error| json!({ "error": { "code": error.code().name(), "status": error.code().status() } }),
    )
}

fn answer(row: &Value) -> Result<Value, PolicyError> {
    let kind = row["kind"].as_str().unwrap_or_default();
    if kind == "parse" {
        return parse(&row["policy"]).map(|_| json!({ "valid": true }));
    }
    let enforcer = compile(row)?;
    let context = context(&row["subjects"]);
    let permissions = strings(&row["permissions"]);
    let Ok(resource) = ResourceKey::from_str(row["resource"].as_str().unwrap_or("thing:/")) else {
        return Ok(json!({ "no resource": row["resource"] }));
    };
    Ok(match kind {
        "check" => {
            let unrestricted = enforcer.has_unrestricted(&context, &resource, &permissions);
            json!({ "unrestricted": unrestricted, "partial": enforcer.has_partial(&context, &resource, &permissions) })
        }
        "subjects-with-permission" => {
            let (granted, revoked) = enforcer.subjects_effected(&resource, &permissions);
            json!({
                "granted": granted,
                "revoked": revoked,
                "unrestricted": enforcer.subjects_with_unrestricted(&resource, &permissions),
                "partial": enforcer.subjects_with_partial(&resource, &permissions),
            })
        }
        "message-read-subjects" => {
            let path = resource.path().to_string();
            let subject = path.split_once("/messages/").map(|(_, subject)| subject).unwrap_or_default();
            let topic = format!("acme/t1/things/live/messages/{subject}");
            match decode(&json!({ "topic": topic, "path": path })) {
                Ok(signal) => read_subjects(&enforcer, &signal, &context),
                Err(error) => error,
            }
        }
        "json-view" => {
            let cut = enforcer
                .retrieval_view(&context)
                .cut(&resource.path().to_string(), &row["thing"].to_string());
            json!({ "view": left(&cut, &row["thing"]) })
        }
        "thing-event-read-subjects" => match decode(&row["signal"]) {
            Ok(_) if row["partialAccessEvents"] == false => {
                // Without partial access only who may read the whole thing gets events.
                let readers = enforcer.subjects_with_unrestricted(&resource, &["READ"]);
                json!({ "readSubjects": readers, "revokedSubjects": [] })
            }
            Ok(signal) => event(row, &enforcer, &signal),
            Err(error) => error,
        },
        kind => json!({ "no driver for kind": kind }),
    })
}

fn parse(policy: &Value) -> Result<Policy, PolicyError> {
    policy.to_string().parse()
}

fn compile(row: &Value) -> Result<Enforcer, PolicyError> {
    let imported =
        row["imported"].as_array().into_iter().flatten().map(parse).collect::<Result<Vec<_>, _>>()?;
    let imported: Vec<_> = imported.into_iter().map(Arc::new).collect();
    let topic = row["signal"]["topic"].as_str().and_then(|topic| topic.split('/').next());
    let namespace = row["thingNamespace"].as_str().or(topic);
    Enforcer::compile(&parse(&row["policy"])?, namespace, SystemTime::now(), |id| {
        imported.iter().find(|policy| policy.id() == Some(id)).cloned()
    })
}

fn context(subjects: &Value) -> AuthorizationContext {
    strings(subjects).into_iter().collect()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn decode(message: &Value) -> Result<Signal, Value> {
    Signal::decode(Bytes::from(message.to_string()), &Limits::default()).map_err(|error| super::error(&error))
}

fn read_subjects(enforcer: &Enforcer, signal: &Signal, context: &AuthorizationContext) -> Value {
    let grants = enforcer.grants(signal);
    let is_authorized = is_authorized(&grants, context);
    let is_decided = enforcer.decide(context, signal) != Decision::Denied;
    json!({
        "readSubjects": grants.readers().collect::<Vec<_>>(),
        "revokedSubjects": grants.revoked().collect::<Vec<_>>(),
        "targetAuthorized": if is_authorized == is_decided { json!(is_decided) } else { json!("undecided") },
    })
}

fn is_authorized(grants: &Grants, context: &AuthorizationContext) -> bool {
    grants.decide(context) != Decision::Denied
}

/// An event for a target: who may read it, the header that Ditto would give it, and what is left of it.
fn event(row: &Value, enforcer: &Enforcer, signal: &Signal) -> Value {
    let grants = enforcer.grants(signal);
    let context = context(&row["targetSubjects"]);
    let view = enforcer.view(&context);
    let mut paths = BTreeMap::new();
    for (subject, _) in grants.restricted() {
        let own = enforcer.retrieval_view(&[subject].into_iter().collect());
        let seen = left(&own.cut("/", &row["thing"].to_string()), &row["thing"]);
        let mut whole = Vec::new();
        if seen == row["thing"] {
            whole.push(JsonPointer::root());
        } else {
            collect_whole(&row["thing"], &seen, &mut Vec::new(), &mut whole);
        }
        if !whole.is_empty() {
            paths.insert(subject, whole);
        }
    }
    let mut indexed: Map<String, Value> = Map::new();
    for (n, paths) in paths.values().enumerate() {
        for path in paths {
            let name = path.to_string().trim_start_matches('/').to_owned();
            let readers = indexed.entry(name).or_insert_with(|| json!([]));
            readers.as_array_mut().into_iter().for_each(|readers| readers.push(n.into()));
        }
    }
    let texts = |paths: &Vec<JsonPointer>| {
        let mut texts: Vec<_> = paths.iter().map(ToString::to_string).collect();
        texts.sort_unstable();
        texts
    };
    let header = json!({ "subjects": paths.keys().collect::<Vec<_>>(), "paths": indexed });
    let mut answer = json!({
        "readSubjects": grants.readers().collect::<Vec<_>>(),
        "revokedSubjects": grants.revoked().collect::<Vec<_>>(),
        "partialAccessPaths": paths.iter().map(|(subject, it)| (*subject, texts(it))).collect::<BTreeMap<_, _>>(),
        "partialAccessHeader": header,
        "targetAuthorized": is_authorized(&grants, &context),
        "payloadPath": signal.path(),
    });
    match (view.cut_value(signal), signal.value()) {
        (Cut::Whole, None) => {}
        (cut, value) => {
            answer["payloadValue"] =
                left(&cut, &value.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default())
        }
    }
    if let Some(extra) = row.get("extra") {
        answer["payloadExtra"] = left(&view.cut_extra(&extra.to_string()), extra);
    }
    answer
}

/// Places of which everything is seen, the highest ones.
fn collect_whole(thing: &Value, seen: &Value, at: &mut Vec<String>, whole: &mut Vec<JsonPointer>) {
    for (name, value) in thing.as_object().into_iter().flatten() {
        let Some(seen) = seen.get(name) else { continue };
        at.push(name.clone());
        if seen == value {
            whole.push(JsonPointer::of(at.iter().cloned()));
        } else {
            collect_whole(value, seen, at, whole);
        }
        at.pop();
    }
}

/// Where nothing is left the rows have an empty object.
fn left(cut: &Cut, whole: &Value) -> Value {
    match cut {
        Cut::Whole => whole.clone(),
        Cut::Part(text) => {
            serde_json::from_str(text).unwrap_or_else(|error| json!({ "no json": error.to_string() }))
        }
        Cut::Nothing => json!({}),
    }
}
