//! Checks of a signal's value by the resource that it is for (protocol.md §3, §12). Nothing is built: the text is walked.

use ditto_json::{JsonKind, RawJson, RawObject, decode_string};

use crate::error::{ErrorCode, ProtocolError};
use crate::id::{DefinitionId, PolicyId, ThingId, check_key, shorten};
use crate::resource::ThingResource;

fn format_error(what: &str, expected: &str, raw: &str) -> ProtocolError {
    ProtocolError::new(
        ErrorCode::JSON_FORMAT_INVALID,
        format!("{what} is not {expected}: `{}`", shorten(raw)),
    )
}

fn object<'t>(what: &str, raw: &'t str) -> Result<RawObject<'t>, ProtocolError> {
    match JsonKind::of(raw) {
        JsonKind::Object => Ok(RawObject::new(raw)),
        _ => Err(format_error(what, "a json object", raw)),
    }
}

fn text<'t>(what: &str, raw: &'t str) -> Result<std::borrow::Cow<'t, str>, ProtocolError> {
    decode_string(raw).ok_or_else(|| format_error(what, "a string", raw))
}

/// Checks the value of a modification (`is_merge`: of a merge, where null deletes) of `resource`; a thing id in it must
/// be `own_id` (namespace and name), if given.
pub(crate) fn check(
    resource: ThingResource,
    value: RawJson<'_>,
    is_merge: bool,
    own_id: Option<(&str, &str)>,
) -> Result<(), ProtocolError> {
    let raw = value.text();
    if is_merge && JsonKind::of(raw) == JsonKind::Null {
        return match resource {
            ThingResource::Thing => {
                Err(ProtocolError::new(ErrorCode::THING_MERGE_INVALID, "a thing cannot be merged with null"))
            }
            ThingResource::PolicyId => Err(ProtocolError::new(
                ErrorCode::POLICY_ID_NOT_DELETABLE,
                "the policy id of a thing cannot be deleted",
            )),
            _ => Ok(()),
        };
    }
    match resource {
        ThingResource::Thing => thing(raw, own_id),
        ThingResource::PolicyId => text("a policy id", raw)?.parse::<PolicyId>().map(drop),
        ThingResource::Definition if JsonKind::of(raw) == JsonKind::Null => Ok(()),
        ThingResource::Definition => definition(raw),
        ThingResource::Attributes => keys_of("attributes", value),
        ThingResource::Features => features(raw),
        ThingResource::Feature => feature(raw),
        ThingResource::FeatureDefinition => match JsonKind::of(raw) {
            JsonKind::Array => feature_definition(raw),
            _ => Err(format_error("a feature's definition", "a json array", raw)),
        },
        ThingResource::FeatureProperties | ThingResource::FeatureDesiredProperties => {
            keys_of("properties", value)
        }
        ThingResource::Attribute | ThingResource::FeatureProperty | ThingResource::FeatureDesiredProperty => {
            if value.kind() == JsonKind::Object {
                keys_of("a property", value)
            } else {
                Ok(())
            }
        }
        ThingResource::InlinedPolicy => Ok(()),
    }
}

/// The reference writes the definition of a thing that has none as an empty text.
fn definition(raw: &str) -> Result<(), ProtocolError> {
    let definition = text("a definition", raw)?;
    if definition.is_empty() { Ok(()) } else { definition.parse::<DefinitionId>().map(drop) }
}

fn thing(raw: &str, own_id: Option<(&str, &str)>) -> Result<(), ProtocolError> {
    for (name, value) in object("a thing", raw)? {
        if value == "null" {
            continue;
        }
        match &*name {
            "thingId" => {
                let id: ThingId = text("thingId", value)?.parse()?;
                if let Some((namespace, name)) = own_id
                    && (id.namespace(), id.name()) != (namespace, name)
                {
                    return Err(ProtocolError::new(
                        ErrorCode::THING_ID_NOT_SETTABLE,
                        format!(
                            "thing id `{}` of the value is not that of the topic, `{}:{}`",
                            shorten(id.as_str()),
                            shorten(namespace),
                            shorten(name)
                        ),
                    ));
                }
            }
            "policyId" => drop(text("policyId", value)?.parse::<PolicyId>()?),
            "definition" => definition(value)?,
            "attributes" => keys("attributes", value)?,
            "features" => features(value)?,
            _ => {}
        }
    }
    Ok(())
}

fn features(raw: &str) -> Result<(), ProtocolError> {
    if JsonKind::of(raw) == JsonKind::Null {
        return Ok(());
    }
    for (id, value) in object("features", raw)? {
        check_key(&id)?;
        feature(value)?;
    }
    Ok(())
}

fn feature(raw: &str) -> Result<(), ProtocolError> {
    if JsonKind::of(raw) == JsonKind::Null {
        return Ok(());
    }
    for (name, value) in object("a feature", raw)? {
        match &*name {
            _ if value == "null" => {}
            "definition" => match JsonKind::of(value) {
                JsonKind::Array => feature_definition(value)?,
                _ => return Err(format_error("a feature's definition", "a json array", value)),
            },
            "properties" | "desiredProperties" => keys("properties", value)?,
            _ => {}
        }
    }
    Ok(())
}

fn feature_definition(raw: &str) -> Result<(), ProtocolError> {
    let identifiers: Vec<serde_json::Value> =
        serde_json::from_str(raw).map_err(|_| format_error("a feature's definition", "a json array", raw))?;
    for identifier in &identifiers {
        match identifier.as_str() {
            Some(identifier) => drop(identifier.parse::<DefinitionId>()?),
            None => return Err(format_error("an identifier of a feature's definition", "a string", raw)),
        }
    }
    Ok(())
}

/// [`keys`], unless the scan has seen that all of them are plain.
fn keys_of(what: &str, value: RawJson<'_>) -> Result<(), ProtocolError> {
    match value.kind() {
        JsonKind::Object if value.has_plain_names() => Ok(()),
        _ => keys(what, value.text()),
    }
}

/// Member names at every level of objects; what stands in arrays is not looked at.
fn keys(what: &str, raw: &str) -> Result<(), ProtocolError> {
    if JsonKind::of(raw) == JsonKind::Null {
        return Ok(());
    }
    // Depth is bounded before (`Limits::max_depth`), so a stack of iterators instead of recursion needs no own bound.
    let mut levels = vec![object(what, raw)?];
    while let Some(level) = levels.last_mut() {
        let Some((name, value)) = level.next() else {
            levels.pop();
            continue;
        };
        check_key(&name)?;
        if JsonKind::of(value) == JsonKind::Object {
            levels.push(RawObject::new(value));
        }
    }
    Ok(())
}
