//! Checks of a signal's value by the resource that it is for (protocol.md §3, §12). Nothing is built: the text is walked.

use std::borrow::Cow;

use ditto_json::{JsonKind, RawJson, RawObject, decode_string};

use crate::envelope::integer;
use crate::error::{ErrorCode, ProtocolError};
use crate::id::{DefinitionId, PolicyId, ThingId, check_key, shorten};
use crate::instant::is_instant;
use crate::resource::ThingResource;

/// What a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be written.
    Command,
    /// To be merged; null deletes.
    Merge,
    /// It has been written, and Ditto itself has checked it.
    Event,
}

pub(crate) fn format_error(what: &str, expected: &str, raw: &str) -> ProtocolError {
    ProtocolError::new(
        ErrorCode::JSON_FORMAT_INVALID,
        format!("{what} is not {expected}: `{}`", shorten(raw)),
    )
}

/// What is of the wrong type within a value has another code than the value itself.
fn inner(error: ProtocolError) -> ProtocolError {
    match error.code() {
        ErrorCode::JSON_FORMAT_INVALID => {
            ProtocolError::new(ErrorCode::JSON_INVALID, error.message().to_owned())
        }
        _ => error,
    }
}

/// The members of an object; null has none.
fn object<'t>(what: &str, raw: &'t str) -> Result<RawObject<'t>, ProtocolError> {
    match JsonKind::of(raw) {
        JsonKind::Object | JsonKind::Null => Ok(RawObject::new(raw)),
        _ => Err(format_error(what, "a json object", raw)),
    }
}

fn text<'t>(what: &str, raw: &'t str) -> Result<Cow<'t, str>, ProtocolError> {
    decode_string(raw).ok_or_else(|| format_error(what, "a string", raw))
}

/// Checks the value of `resource`; a thing id in it must be `own_id`, if given.
pub(crate) fn check(
    resource: ThingResource,
    value: RawJson<'_>,
    purpose: Purpose,
    own_id: Option<&str>,
) -> Result<(), ProtocolError> {
    let raw = value.text();
    if purpose == Purpose::Merge && JsonKind::of(raw) == JsonKind::Null {
        return match resource {
            ThingResource::Thing => Err(nothing_to_merge()),
            ThingResource::PolicyId => Err(policy_id_deleted()),
            _ => Ok(()),
        };
    }
    match resource {
        ThingResource::Thing => thing(raw, purpose, own_id),
        ThingResource::PolicyId => text("a policy id", raw)?.parse::<PolicyId>().map(drop),
        ThingResource::Definition => definition(raw, purpose),
        ThingResource::Attributes => keys_of("attributes", value),
        ThingResource::Features => features(raw),
        ThingResource::Feature => feature(raw),
        ThingResource::FeatureDefinition => feature_definition(raw),
        ThingResource::FeatureProperties | ThingResource::FeatureDesiredProperties => {
            keys_of("properties", value)
        }
        ThingResource::Attribute | ThingResource::FeatureProperty | ThingResource::FeatureDesiredProperty => {
            if purpose != Purpose::Event && JsonKind::of(raw) == JsonKind::Object {
                keys_of("a property", value)
            } else {
                Ok(())
            }
        }
        ThingResource::InlinedPolicy => Ok(()),
    }
}

fn nothing_to_merge() -> ProtocolError {
    ProtocolError::new(ErrorCode::THING_MERGE_INVALID, "a thing cannot be merged with null or with nothing")
}

fn policy_id_deleted() -> ProtocolError {
    ProtocolError::new(ErrorCode::POLICY_ID_NOT_DELETABLE, "the policy id of a thing cannot be deleted")
}

/// Events have an empty text where a thing has no definition any more.
fn definition(raw: &str, purpose: Purpose) -> Result<(), ProtocolError> {
    let definition = text("a definition", raw)?;
    if definition.is_empty() && purpose == Purpose::Event {
        return Ok(());
    }
    definition.parse::<DefinitionId>().map(drop)
}

fn thing(raw: &str, purpose: Purpose, own_id: Option<&str>) -> Result<(), ProtocolError> {
    let mut is_empty = true;
    for (name, value) in object("a thing", raw)? {
        let deletes = value == "null";
        match &*name {
            "thingId" if deletes && purpose == Purpose::Merge => {
                return Err(ProtocolError::new(
                    ErrorCode::THING_ID_NOT_DELETABLE,
                    "the id of a thing cannot be deleted",
                ));
            }
            "policyId" if deletes && purpose == Purpose::Merge => return Err(policy_id_deleted()),
            "thingId" | "policyId" | "definition" | "attributes" | "features" | "_revision" | "_modified"
            | "_created" | "_metadata" | "_namespace" | "_lifecycle" => is_empty = false,
            _ => {}
        }
        if deletes {
            continue;
        }
        match &*name {
            "thingId" => check_own_id(value, own_id)?,
            "policyId" => drop(text("policyId", value).map_err(inner)?.parse::<PolicyId>()?),
            "definition" => definition(value, purpose)?,
            "attributes" => keys("attributes", value).map_err(inner)?,
            "features" => features(value).map_err(inner)?,
            "_revision" => drop(integer("_revision", value)?),
            "_modified" | "_created" if !decode_string(value).is_some_and(|text| is_instant(&text)) => {
                return Err(inner(format_error(&name, "an instant", value)));
            }
            _ => {}
        }
    }
    if is_empty && purpose == Purpose::Merge { Err(nothing_to_merge()) } else { Ok(()) }
}

fn check_own_id(raw: &str, own_id: Option<&str>) -> Result<(), ProtocolError> {
    let id: ThingId = text("thingId", raw).map_err(inner)?.parse()?;
    match own_id {
        Some(own_id) if id.as_str() != own_id => Err(ProtocolError::new(
            ErrorCode::THING_ID_NOT_SETTABLE,
            format!(
                "thing id `{}` of the value is not that of the topic, `{}`",
                shorten(id.as_str()),
                shorten(own_id)
            ),
        )),
        _ => Ok(()),
    }
}

fn features(raw: &str) -> Result<(), ProtocolError> {
    for (id, value) in object("features", raw)? {
        feature(value).map_err(inner)?;
        check_key(&id)?;
    }
    Ok(())
}

fn feature(raw: &str) -> Result<(), ProtocolError> {
    for (name, value) in object("a feature", raw)? {
        match &*name {
            "definition" => feature_definition(value).map_err(inner)?,
            "properties" | "desiredProperties" => keys("properties", value).map_err(inner)?,
            _ => {}
        }
    }
    Ok(())
}

fn feature_definition(raw: &str) -> Result<(), ProtocolError> {
    let identifiers: Vec<serde_json::Value> = match JsonKind::of(raw) {
        JsonKind::Null => return Ok(()),
        _ => serde_json::from_str(raw)
            .map_err(|_| format_error("a feature's definition", "a json array", raw))?,
    };
    if identifiers.is_empty() {
        return Err(ProtocolError::new(
            ErrorCode::FEATURE_DEFINITION_EMPTY,
            "a feature's definition has no identifier",
        ));
    }
    for identifier in &identifiers {
        let text = identifier.as_str().map_or_else(|| identifier.to_string(), ToOwned::to_owned);
        text.parse::<DefinitionId>()?;
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
