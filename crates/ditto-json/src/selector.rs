//! Field selectors of things (protocol.md §10).

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::pointer::{JsonPointer, PointerError};

/// Which fields of a thing are asked for: `thingId,attributes/site,features/lamp(properties,definition)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    text: String,
    pointers: Vec<JsonPointer>,
}

/// Why a text is no field selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid field selector at byte {at}: {kind}")]
pub struct SelectorError {
    kind: SelectorErrorKind,
    at: usize,
}

/// What is wrong with a field selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorErrorKind {
    /// Not a field of a thing.
    #[error("`{0}` is no field of a thing; these are {FIELDS}")]
    NotAField(String),
    /// A parenthesis has no partner.
    #[error("a parenthesis has no partner")]
    Unbalanced,
    /// One of the pointers is invalid.
    #[error(transparent)]
    Pointer(PointerError),
}

const FIELDS: &str = "thingId, policyId, definition, attributes, features, _namespace, _revision, _created, _modified, _metadata, _policy, _context";

impl SelectorError {
    /// What is wrong.
    pub fn kind(&self) -> &SelectorErrorKind {
        &self.kind
    }

    /// Byte offset of the mistake.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The reference's error code.
    pub fn code(&self) -> &'static str {
        match &self.kind {
            SelectorErrorKind::NotAField(_) => "things:field.selection.invalid",
            SelectorErrorKind::Unbalanced => "json.fieldselector.invalid",
            SelectorErrorKind::Pointer(error) => error.code(),
        }
    }
}

impl FieldSelector {
    /// The selected places, each once, in the order of the text.
    pub fn pointers(&self) -> &[JsonPointer] {
        &self.pointers
    }

    /// The selected fields that exist, in their places. `*` is a member name like any other.
    pub fn select(&self, value: &Value) -> Value {
        let mut selected = Value::Object(Map::new());
        for pointer in &self.pointers {
            if let Some(found) = pointer.get(value) {
                pointer.set(&mut selected, found.clone());
            }
        }
        selected
    }
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        // The reference judges a text with placeholders only after they are resolved.
        if !text.contains("{{") && !text.contains("${") {
            let mut at = 0;
            for field in text.split(',') {
                if !is_field(field) {
                    return Err(SelectorError { kind: SelectorErrorKind::NotAField(field.to_owned()), at });
                }
                at += field.len() + 1;
            }
        }
        let mut pointers = Vec::new();
        let mut at = 0;
        expand(text, &mut at, 0, "", &mut pointers)?;
        let mut unique = Vec::with_capacity(pointers.len());
        for (pointer, at) in pointers {
            let pointer: JsonPointer = pointer
                .parse()
                .map_err(|error| SelectorError { kind: SelectorErrorKind::Pointer(error), at })?;
            if !unique.contains(&pointer) {
                unique.push(pointer);
            }
        }
        Ok(Self { text: text.to_owned(), pointers: unique })
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The expression that the reference applies to each part between commas, groups not looked at.
fn is_field(field: &str) -> bool {
    const WHOLE: [&str; 9] = [
        "thingId",
        "policyId",
        "definition",
        "_namespace",
        "_revision",
        "_created",
        "_modified",
        "_policy",
        "_metadata",
    ];
    const WITH_PATH: [&str; 4] = ["_metadata", "_context", "features", "attributes"];
    let field = field.strip_prefix('/').unwrap_or(field);
    WHOLE.contains(&field)
        || WITH_PATH.iter().any(|name| {
            field.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix('/').is_some_and(|path| !path.is_empty())
            })
        })
}

/// Nesting of groups beyond which a selector is refused.
const MAX_GROUPS: u8 = 32;

/// list = item *( "," item ) ; item = text [ "(" list ")" ] ; appends the pointer text of each leaf with its offset.
fn expand(
    text: &str,
    at: &mut usize,
    depth: u8,
    prefix: &str,
    pointers: &mut Vec<(String, usize)>,
) -> Result<(), SelectorError> {
    let unbalanced = |at| SelectorError { kind: SelectorErrorKind::Unbalanced, at };
    if depth > MAX_GROUPS {
        return Err(unbalanced(*at));
    }
    let mut start = *at;
    // After a group there is no item until the next comma.
    let mut grouped = false;
    let bytes = text.as_bytes();
    loop {
        let byte = bytes.get(*at).copied();
        match byte {
            Some(b'(') => {
                let item = text.get(start..*at).unwrap_or_default();
                let group = format!("{prefix}{item}/");
                *at += 1;
                expand(text, at, depth + 1, &group, pointers)?;
                if bytes.get(*at) != Some(&b')') {
                    return Err(unbalanced(*at));
                }
                *at += 1;
                start = *at;
                grouped = true;
            }
            Some(b',' | b')') | None => {
                let item = text.get(start..*at).unwrap_or_default();
                if !(grouped && item.is_empty()) {
                    let joined = if prefix.is_empty() {
                        item.to_owned()
                    } else {
                        format!("{prefix}{}", item.trim_start_matches('/'))
                    };
                    pointers.push((joined, start));
                }
                match byte {
                    Some(b',') => {
                        *at += 1;
                        start = *at;
                        grouped = false;
                    }
                    Some(_) if depth == 0 => return Err(unbalanced(*at)),
                    _ => return Ok(()),
                }
            }
            Some(_) => *at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], (&str, usize)>) {
        let pointers = text
            .parse::<FieldSelector>()
            .map(|selector| selector.pointers().iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(|error| (error.code(), error.at()));
        assert_eq!(pointers, expected.map(|p| p.iter().map(ToString::to_string).collect()), "{text}");
    }

    #[test]
    fn groups_expand() {
        check("attributes/b(c)", Ok(&["/attributes/b/c"]));
        check("attributes/b(c/d(e))", Ok(&["/attributes/b/c/d/e"]));
        check(
            "features/{{ feature:id }}(properties,definition)",
            Ok(&["/features/{{ feature:id }}/properties", "/features/{{ feature:id }}/definition"]),
        );
    }

    #[test]
    fn the_raw_text_is_judged_before_groups() {
        check("attributes(a,b)", Err(("things:field.selection.invalid", 0)));
        check("thingId, policyId", Err(("things:field.selection.invalid", 8)));
        check("attributes/b(c", Err(("json.fieldselector.invalid", 14)));
        check("attributes/b)c", Err(("json.fieldselector.invalid", 12)));
        check("attributes//b", Err(("json.pointer.invalid", 0)));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z/(),{}]*|\\PC*") {
            let _ = text.parse::<FieldSelector>();
        }
    }
}
