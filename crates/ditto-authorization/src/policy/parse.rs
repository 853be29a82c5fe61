//! From JSON text to a policy. Members that nobody knows are passed over, and null counts as absent, as in the reference.

use std::collections::BTreeSet;
use std::str::FromStr;

use ditto_json::{ScanErrorKind, Scanner};
use ditto_protocol::{
    AckLabel, ErrorCode, PolicyId, PolicyLabel, ProtocolError, ResourceKey, SubjectId, parse_duration,
    parse_instant,
};
use serde_json::{Map, Value};

use crate::error::{Place, PolicyError};
use crate::namespace::NamespacePattern;
use crate::policy::{Addition, Entry, Import, Importable, Policy, Reference, Resource, Subject};

/// Longest text, in bytes; Ditto's own bound is 100 kB unless it is configured.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of the text.
const MAX_DEPTH: usize = 64;
/// Longest path of a resource, in segments: whatever walks along paths recurses so deep at most.
pub(crate) const MAX_PATH: usize = 128;
/// Most permissions that one resource grants or revokes.
const MAX_PERMISSIONS: usize = 32;
/// A member of the reference's that names no entry, resource, subject or import.
const SCHEMA_VERSION: &str = "__schemaVersion";

type Members = Map<String, Value>;
type Result<T> = std::result::Result<T, PolicyError>;

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self> {
        check_bounds(text)?;
        let root = Place::Root;
        let value: Value = serde_json::from_str(text).map_err(|error| {
            PolicyError::new(ErrorCode::JSON_INVALID, &root, format!("no json: {error}"), "")
        })?;
        let members = object(&value, &root)?;
        let id = string(members, "policyId", &root)?
            .map(|id| parse::<PolicyId>(id, &root.member("policyId")))
            .transpose()?;
        let imports = match member(members, "imports") {
            Some(imports) => read_imports(imports, &root.member("imports"), id.as_ref())?,
            None => Vec::new(),
        };
        let place = root.member("entries");
        let entries = match member(members, "entries") {
            Some(entries) => each_member(entries, &place, |label, entry, place| {
                Entry::read(parse(label, place)?, object(entry, place)?, place)
            })?,
            None => Vec::new(),
        };
        Ok(Self { id, entries, imports })
    }
}

impl Entry {
    fn read(label: PolicyLabel, members: &Members, place: &Place<'_>) -> Result<Self> {
        let subjects = match member(members, "subjects") {
            Some(subjects) => each_member(subjects, &place.member("subjects"), Subject::read)?,
            None => Vec::new(),
        };
        let resources = match member(members, "resources") {
            Some(resources) => each_member(resources, &place.member("resources"), Resource::read)?,
            None => Vec::new(),
        };
        let strings = |name, remedy| {
            let place = place.member(name);
            elements(members, name, &place, |element, place| {
                element.as_str().ok_or_else(|| invalid_entry(place, element, remedy))
            })
        };
        let namespaces = each(strings("namespaces", NAMESPACES)?, |n, text| {
            let place = place.member("namespaces");
            NamespacePattern::parse(text)
                .ok_or_else(|| invalid_entry(&place.element(n), &Value::from(text), NAMESPACES))
        })?;
        let allowed_additions = match member(members, "allowedAdditions") {
            Some(_) => Some(
                each(strings("allowedAdditions", ADDITIONS)?, |n, text| match text {
                    "subjects" => Ok(Addition::Subjects),
                    "resources" => Ok(Addition::Resources),
                    "namespaces" => Ok(Addition::Namespaces),
                    other => {
                        let place = place.member("allowedAdditions");
                        Err(invalid_entry(&place.element(n), &Value::from(other), ADDITIONS))
                    }
                })?
                .into_iter()
                .collect::<BTreeSet<_>>(),
            ),
            None => None,
        };
        let importable = match string(members, "importable", place)? {
            None | Some("implicit") => Importable::Implicit,
            Some("explicit") => Importable::Explicit,
            Some("never") => Importable::Never,
            Some(other) => {
                let remedy = "write `implicit`, `explicit` or `never`";
                return Err(invalid_entry(&place.member("importable"), &Value::from(other), remedy));
            }
        };
        let references = elements(members, "references", &place.member("references"), Reference::read)?;
        Ok(Self { label, subjects, resources, namespaces, importable, allowed_additions, references })
    }
}

const NAMESPACES: &str = "write a namespace such as `com.acme`, or `com.acme.*` for all below it";
const ADDITIONS: &str = "write `subjects`, `resources` or `namespaces`";

impl Reference {
    fn read(value: &Value, place: &Place<'_>) -> Result<Self> {
        let members = value
            .as_object()
            .ok_or_else(|| invalid_entry(place, value, "write an object with `entry` and maybe `import`"))?;
        let entry = string(members, "entry", place)?.ok_or_else(|| missing(place, "entry"))?;
        let entry = parse(entry, &place.member("entry"))?;
        let import = match members.get("import") {
            None => None,
            Some(Value::String(id)) if !id.is_empty() => Some(parse(id, &place.member("import"))?),
            Some(other) => {
                return Err(wrong_type(
                    &place.member("import"),
                    other,
                    "the id of a policy; leave it out to name an entry of this one",
                ));
            }
        };
        Ok(Self { import, entry })
    }
}

impl Subject {
    fn read(id: &str, value: &Value, place: &Place<'_>) -> Result<Self> {
        let members = object(value, place)?;
        let kind = string(members, "type", place)?.ok_or_else(|| missing(place, "type"))?.to_owned();
        let expiry = string(members, "expiry", place)?
            .map(|text| {
                parse_instant(text).ok_or_else(|| {
                    PolicyError::new(
                        ErrorCode::SUBJECT_EXPIRY_INVALID,
                        &place.member("expiry"),
                        format!("`{}` is no instant", shorten(text)),
                        "write one such as 2024-05-06T07:08:09Z",
                    )
                })
            })
            .transpose()?;
        if let Some(announcement) = member(members, "announcement") {
            let place = place.member("announcement");
            check_announcement(object(announcement, &place)?, &place)?;
        }
        Ok(Self { id: parse::<SubjectId>(id, place)?, kind, expiry })
    }
}

/// `beforeExpiry` has whole seconds, minutes or hours; the other durations may have milliseconds, too.
fn check_announcement(members: &Members, place: &Place<'_>) -> Result<()> {
    let invalid = |place: &Place<'_>, text: &str, remedy| {
        let reason = format!("`{}` is no duration that can stand here", shorten(text));
        Err(PolicyError::new(ErrorCode::SUBJECT_ANNOUNCEMENT_INVALID, place, reason, remedy))
    };
    let duration = |members: &Members, name: &str, place: &Place<'_>| match string(members, name, place)? {
        Some(text) if parse_duration(text).is_none() => {
            invalid(&place.member(name), text, "write one such as `10s`, `5m` or `1h`")
        }
        _ => Ok(()),
    };
    if let Some(text) = string(members, "beforeExpiry", place)?
        && (parse_duration(text).is_none() || !text.ends_with(['s', 'm', 'h']) || text.ends_with("ms"))
    {
        return invalid(&place.member("beforeExpiry"), text, "write seconds, minutes or hours, such as `5m`");
    }
    if let Some(other) = member(members, "whenDeleted").filter(|value| !value.is_boolean()) {
        return Err(wrong_type(&place.member("whenDeleted"), other, "`true` or `false`"));
    }
    duration(members, "randomizationInterval", place)?;
    let Some(requested) = member(members, "requestedAcks") else { return Ok(()) };
    let place = place.member("requestedAcks");
    let requested = object(requested, &place)?;
    duration(requested, "timeout", &place)?;
    let place_of_labels = place.member("labels");
    elements(requested, "labels", &place_of_labels, |label, place| {
        label.as_str().map(|label| parse::<AckLabel>(label, place)).transpose()
    })?;
    Ok(())
}

impl Resource {
    fn read(key: &str, value: &Value, place: &Place<'_>) -> Result<Self> {
        let key: ResourceKey = parse(key, place)?;
        let members = object(value, place)?;
        if key.path().segments().len() > MAX_PATH {
            let reason = format!("its path has more than {MAX_PATH} segments");
            return Err(PolicyError::new(ErrorCode::POLICY_ENTRY_INVALID, place, reason, "shorten it"));
        }
        let permissions = |name| {
            member(members, name).ok_or_else(|| missing(place, name))?;
            let place = place.member(name);
            let names =
                elements(members, name, &place, |element, _| Ok(element.as_str().map(ToOwned::to_owned)))?;
            if names.len() > MAX_PERMISSIONS {
                let reason = format!("more than {MAX_PERMISSIONS} permissions");
                return Err(PolicyError::new(ErrorCode::POLICY_ENTRY_INVALID, &place, reason, "name fewer"));
            }
            // What is no text is passed over, as in the reference.
            Ok(names.into_iter().flatten().collect())
        };
        Ok(Self { grants: permissions("grant")?, revokes: permissions("revoke")?, key })
    }
}

fn read_imports(value: &Value, place: &Place<'_>, own: Option<&PolicyId>) -> Result<Vec<Import>> {
    each_member(value, place, |id, value, place| {
        let id: PolicyId = parse(id, place)?;
        if own == Some(&id) {
            return Err(PolicyError::new(
                ErrorCode::POLICY_IMPORT_INVALID,
                place,
                "the policy imports itself",
                "remove this import",
            ));
        }
        let members = object(value, place)?;
        let entries = elements(members, "entries", &place.member("entries"), |element, place| {
            element.as_str().map(|label| parse::<PolicyLabel>(label, place)).transpose()
        })?;
        let transitive =
            elements(members, "transitiveImports", &place.member("transitiveImports"), |id, place| match id
                .as_str()
            {
                Some(id) => parse(id, place),
                None => Err(PolicyError::new(
                    ErrorCode::POLICY_IMPORT_INVALID,
                    place,
                    "no text",
                    "write the id of a policy",
                )),
            })?;
        let entries = entries.into_iter().flatten().map(|label| label.to_string()).collect();
        Ok(Import { id, entries, transitive })
    })
}

fn check_bounds(text: &str) -> Result<()> {
    if text.len() > MAX_BYTES {
        return Err(PolicyError::new(
            ErrorCode::POLICY_TOO_LARGE,
            &Place::Root,
            format!("{} bytes, more than {MAX_BYTES}", text.len()),
            "spread it over several policies, and import them",
        ));
    }
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    scanner.value().and_then(|_| scanner.end()).map_err(|error| {
        let remedy = match error.kind() {
            ScanErrorKind::TooDeep => "no policy is nested so deep",
            _ => "",
        };
        PolicyError::new(ErrorCode::JSON_INVALID, &Place::Root, error.to_string(), remedy)
    })
}

fn member<'v>(members: &'v Members, name: &str) -> Option<&'v Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn object<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v Members> {
    value.as_object().ok_or_else(|| wrong_type(place, value, "an object"))
}

fn string<'v>(members: &'v Members, name: &str, place: &Place<'_>) -> Result<Option<&'v str>> {
    member(members, name)
        .map(|value| value.as_str().ok_or_else(|| wrong_type(&place.member(name), value, "a text")))
        .transpose()
}

fn each_member<T>(
    value: &Value,
    place: &Place<'_>,
    read: impl Fn(&str, &Value, &Place<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let members = object(value, place)?.iter().filter(|(name, _)| *name != SCHEMA_VERSION);
    members.map(|(name, value)| read(name, value, &place.member(name))).collect()
}

/// The elements of an array that need not be there.
fn elements<'v, T>(
    members: &'v Members,
    name: &str,
    place: &Place<'_>,
    read: impl Fn(&'v Value, &Place<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let Some(value) = member(members, name) else { return Ok(Vec::new()) };
    let array = value.as_array().ok_or_else(|| wrong_type(place, value, "an array"))?;
    array.iter().enumerate().map(|(n, element)| read(element, &place.element(n))).collect()
}

fn each<T, U>(list: Vec<T>, read: impl Fn(usize, T) -> Result<U>) -> Result<Vec<U>> {
    list.into_iter().enumerate().map(|(n, element)| read(n, element)).collect()
}

fn parse<T: FromStr<Err = ProtocolError>>(text: &str, place: &Place<'_>) -> Result<T> {
    text.parse().map_err(|error| PolicyError::at(place, &error))
}

fn missing(place: &Place<'_>, name: &'static str) -> PolicyError {
    let reason = format!("member `{name}` is missing");
    PolicyError::new(ErrorCode::JSON_FIELD_MISSING, place, reason, "add it")
}

fn wrong_type(place: &Place<'_>, value: &Value, expected: &'static str) -> PolicyError {
    let reason = format!("`{}` stands in place of {expected}", shorten(&value.to_string()));
    PolicyError::new(ErrorCode::JSON_INVALID, place, reason, "")
}

fn invalid_entry(place: &Place<'_>, value: &Value, remedy: &'static str) -> PolicyError {
    let reason = format!("`{}` cannot stand here", shorten(&value.to_string()));
    PolicyError::new(ErrorCode::POLICY_ENTRY_INVALID, place, reason, remedy)
}

/// The beginning of a text for an error message.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}
