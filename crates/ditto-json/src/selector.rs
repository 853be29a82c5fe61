//! Field selectors of things (protocol.md §10).

use std::collections::HashSet;
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

    /// Reads a selector for objects that are no things: any field may be selected.
    ///
    /// # Errors
    /// Parentheses without partner, or a pointer that is none.
    pub fn of_object(text: &str) -> Result<Self, SelectorError> {
        Self::read(text, |_| Ok(()))
    }

    fn read(
        text: &str,
        check: impl FnOnce(&str) -> Result<(), SelectorError>,
    ) -> Result<Self, SelectorError> {
        if text.contains('(') && text.matches('(').count() != text.matches(')').count() {
            return Err(SelectorError { kind: SelectorErrorKind::Unbalanced, at: text.len() });
        }
        let mut pointers = Vec::new();
        expand(text, 0, 0, &JsonPointer::root(), &mut pointers)?;
        check(text)?;
        let mut known = HashSet::with_capacity(pointers.len());
        pointers.retain(|pointer| known.insert(pointer.clone()));
        Ok(Self { text: text.to_owned(), pointers })
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
        Self::read(text, check_fields)
    }
}

/// That each part between commas is a field of a thing. The reference judges a text with placeholders only after they
/// are resolved.
fn check_fields(text: &str) -> Result<(), SelectorError> {
    if has_placeholder(text) {
        return Ok(());
    }
    let mut at = 0;
    for field in text.split(',') {
        if !is_field(field) {
            return Err(SelectorError { kind: SelectorErrorKind::NotAField(field.to_owned()), at });
        }
        at += field.len() + 1;
    }
    Ok(())
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

fn has_placeholder(text: &str) -> bool {
    [("{{", "}}"), ("${", "}")]
        .iter()
        .any(|(open, close)| text.split_once(open).is_some_and(|(_, rest)| rest.contains(close)))
}

/// Nesting of groups beyond which a selector is refused.
const MAX_GROUPS: u8 = 32;

/// list = item *( "," item ) ; item = [ pointer ] "(" list ")" | pointer ; appends the pointer of each leaf. `offset` is
/// where `list` stands in the whole text.
fn expand(
    list: &str,
    offset: usize,
    depth: u8,
    prefix: &JsonPointer,
    pointers: &mut Vec<JsonPointer>,
) -> Result<(), SelectorError> {
    if depth > MAX_GROUPS {
        return Err(SelectorError { kind: SelectorErrorKind::Unbalanced, at: offset });
    }
    for (item, at) in items(list) {
        let at = offset + at;
        let below = |text: &str| {
            text.parse::<JsonPointer>()
                .map(|pointer| prefix.join(&pointer))
                .map_err(|error| SelectorError { kind: SelectorErrorKind::Pointer(error), at })
        };
        match item.split_once('(').filter(|(before, _)| !before.contains(')')) {
            // As in the reference, the last character closes the group, whatever it is.
            Some((before, group)) if group.contains(')') => {
                let group = group.char_indices().next_back().and_then(|(end, _)| group.get(..end));
                expand(
                    group.unwrap_or_default(),
                    at + before.len() + 1,
                    depth + 1,
                    &below(before)?,
                    pointers,
                )?;
            }
            _ => pointers.push(below(item)?),
        }
    }
    Ok(())
}

/// The items between the commas outside of groups, each with its offset.
fn items(list: &str) -> Vec<(&str, usize)> {
    let (mut items, mut start, mut open) = (Vec::new(), 0, 0_usize);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            b',' if open == 0 => {
                items.push((list.get(start..at).unwrap_or_default(), start));
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push((list.get(start..).unwrap_or_default(), start));
    items
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
        check("attributes/b)c", Ok(&["/attributes/b)c"]));
        check("attributes//b", Err(("json.pointer.invalid", 0)));
    }

    #[test]
    fn parentheses_and_slashes_are_judged_before_fields() {
        check("foo(", Err(("json.fieldselector.invalid", 4)));
        check("foo//", Err(("json.pointer.invalid", 0)));
        check("{{ thing:id", Err(("things:field.selection.invalid", 0)));
        check("attributes/(a)", Ok(&["/attributes/a"]));
    }

    #[test]
    fn objects_have_any_fields() {
        let selector = FieldSelector::of_object("_deleted,own(a,b)").unwrap();
        let pointers: Vec<_> = selector.pointers().iter().map(ToString::to_string).collect();
        assert_eq!(pointers, ["/_deleted", "/own/a", "/own/b"]);
        assert_eq!(FieldSelector::of_object("own(").map_err(|error| error.at()), Err(4));
    }

    #[test]
    fn many_fields_cost_linear_time() {
        let many: Vec<_> = (0..50_000).map(|n| format!("attributes/a{n}")).collect();
        assert_eq!(many.join(",").parse::<FieldSelector>().unwrap().pointers().len(), 50_000);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z/(),{}]*|\\PC*") {
            let _ = text.parse::<FieldSelector>();
        }
    }
}
