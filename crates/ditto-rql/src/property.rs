//! Properties: what a filter may ask for (rql.md §3).

use std::fmt;

use ditto_json::JsonPointer;

use crate::error::FilterErrorKind;
use crate::quote::write_escaped;

/// What a filter asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Property {
    /// A place of the thing.
    Field(Field),
    /// A value of the signal.
    Placeholder(Placeholder),
}

/// A place of the thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    path: JsonPointer,
    kind: FieldKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum FieldKind {
    Plain,
    /// A feature as a whole is empty if it has none of these.
    Feature {
        parts: Box<[JsonPointer; 3]>,
    },
    /// `_revision` and the like have a value to compare, but `exists` and `empty` do not see them.
    Hidden,
}

/// A value of the signal: `topic:action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Placeholder {
    prefix: &'static str,
    name: &'static str,
}

/// The placeholders that the filter of a target may ask for, by prefix.
const PLACEHOLDERS: [(&str, &[&str]); 5] = [
    (
        "topic",
        &[
            "full",
            "namespace",
            "entityName",
            "group",
            "channel",
            "criterion",
            "action",
            "subject",
            "action-subject",
        ],
    ),
    ("resource", &["type", "path"]),
    ("entity", &["id", "namespace", "name"]),
    ("thing", &["id", "namespace", "name"]),
    ("feature", &["id"]),
];

/// Members of a thing that are asked for by their name.
const MEMBERS: [&str; 3] = ["thingId", "policyId", "definition"];
const HIDDEN: [&str; 5] = ["_namespace", "_revision", "_created", "_modified", "_metadata"];
const FEATURE_PARTS: [&str; 3] = ["definition", "properties", "desiredProperties"];
const DEFINITION: &str = "definition";
const ROOTS: [&str; 3] = ["attributes", "features", "_metadata"];

impl Property {
    /// The property of that name, its escapes resolved. `needs_value`: it is compared, not only asked whether it exists.
    pub(crate) fn parse(written: &str, needs_value: bool) -> Result<Self, FilterErrorKind> {
        let name = written.strip_prefix('/').unwrap_or(written);
        if let Some((prefix, rest)) = name.split_once('/')
            && ROOTS.contains(&prefix)
        {
            return Field::parse(prefix, rest, name, needs_value).map(Self::Field);
        }
        if MEMBERS.contains(&name) {
            return Ok(Self::Field(Field { path: JsonPointer::of([name]), kind: FieldKind::Plain }));
        }
        if HIDDEN.contains(&name) {
            return Ok(Self::Field(Field { path: JsonPointer::of([name]), kind: FieldKind::Hidden }));
        }
        let unknown = || FilterErrorKind::UnknownProperty { name: written.to_owned(), hint: hint(name) };
        let (prefix, name) = name.split_once(':').ok_or_else(unknown)?;
        Placeholder::find(prefix, name).map(Self::Placeholder).ok_or_else(unknown)
    }
}

impl Placeholder {
    fn find(prefix: &str, name: &str) -> Option<Self> {
        Self::all().find(|known| known.prefix == prefix && known.name == name)
    }

    /// Every placeholder that a filter may ask for.
    pub fn all() -> impl Iterator<Item = Self> {
        PLACEHOLDERS.iter().flat_map(|(prefix, names)| names.iter().map(|name| Self { prefix, name }))
    }

    /// What stands before the colon.
    pub fn prefix(self) -> &'static str {
        self.prefix
    }

    /// What stands behind the colon.
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl Field {
    /// `name` is `root/rest`.
    fn parse(root: &str, rest: &str, name: &str, needs_value: bool) -> Result<Self, FilterErrorKind> {
        let path: JsonPointer =
            name.parse().map_err(|_| FilterErrorKind::EmptySegment { name: name.to_owned() })?;
        let is_part = |part: &String| FEATURE_PARTS.contains(&part.as_str());
        let (kind, has_value) = match path.segments() {
            _ if root != "features" => (FieldKind::Plain, true),
            [_, id] if !rest.ends_with('/') => {
                let part = |part| JsonPointer::of(["features", id, part]);
                (FieldKind::Feature { parts: Box::new(FEATURE_PARTS.map(part)) }, false)
            }
            [_, _, part] if is_part(part) => (FieldKind::Plain, part == DEFINITION),
            [_, _, part, _, ..] if is_part(part) && part != DEFINITION => (FieldKind::Plain, true),
            _ => return Err(FilterErrorKind::UnknownProperty { name: name.to_owned(), hint: hint(name) }),
        };
        if needs_value && !has_value {
            return Err(FilterErrorKind::NotComparable { name: name.to_owned() });
        }
        Ok(Self { path, kind })
    }

    /// Where it is in the thing.
    pub fn path(&self) -> &JsonPointer {
        &self.path
    }

    /// Whether `exists` and `empty` do not see it.
    pub(crate) fn is_hidden(&self) -> bool {
        self.kind == FieldKind::Hidden
    }

    /// Of a feature as a whole: what must be absent for it to be empty.
    pub(crate) fn parts(&self) -> Option<&[JsonPointer; 3]> {
        match &self.kind {
            FieldKind::Feature { parts } => Some(parts),
            FieldKind::Plain | FieldKind::Hidden => None,
        }
    }
}

/// Longest name that is compared with those that exist, in bytes.
const MAX_COMPARED: usize = 128;

/// A legal name that is most like one that is not.
fn hint(name: &str) -> Option<String> {
    if name.len() > MAX_COMPARED {
        return None;
    }
    let trimmed = name.trim();
    if trimmed != name && Property::parse(trimmed, false).is_ok() {
        return Some(trimmed.to_owned());
    }
    if let Some((root, rest)) = trimmed.split_once('/') {
        let root = nearest(root, ROOTS.into_iter())?;
        if root != "features" {
            return Some(format!("{root}/{rest}"));
        }
        return match rest.splitn(3, '/').collect::<Vec<_>>().as_slice() {
            [id, part, below @ ..] if !part.is_empty() => {
                let part = nearest(part, FEATURE_PARTS.into_iter())?;
                let below = below.iter().filter(|_| part != DEFINITION).map(|below| format!("/{below}"));
                Some(format!("features/{id}/{part}{}", below.collect::<String>()))
            }
            [id, ..] if !id.is_empty() => Some(format!("features/{id}")),
            _ => None,
        };
    }
    if let Some(root) = ROOTS.into_iter().find(|root| *root == trimmed) {
        return Some(format!("{root}/…"));
    }
    let placeholders: Vec<_> = Placeholder::all().map(|it| it.to_string()).collect();
    let names = MEMBERS.into_iter().chain(HIDDEN).chain(placeholders.iter().map(String::as_str));
    nearest(trimmed, names).map(ToOwned::to_owned)
}

/// The name that is most like `written`, if at most a third of it differs.
pub(crate) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (strsim::osa_distance(&written.to_ascii_lowercase(), &name.to_ascii_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| distance * 3 <= name.len())
        .map(|(_, name)| name)
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::Placeholder(placeholder) => placeholder.fmt(f),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.path.segments().iter().enumerate() {
            f.write_str(if at > 0 { "/" } else { "" })?;
            write_escaped(f, &segment.replace('~', "~0"), true)?;
        }
        // Only `attributes/` and `_metadata/` are one segment and no member that is asked for by its name.
        let is_root = matches!(self.path.segments(), [root] if !MEMBERS.contains(&root.as_str()));
        f.write_str(if is_root && !self.is_hidden() { "/" } else { "" })
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.prefix, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, needs_value: bool, expected: &str) {
        let parsed = match Property::parse(name, needs_value) {
            Ok(property) => property.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(parsed, expected, "{name}");
    }

    #[test]
    fn legal_names_in_their_canonical_form() {
        for (name, canonical) in [
            ("/attributes/n", "attributes/n"),
            ("attributes/n/", "attributes/n"),
            ("attributes/", "attributes/"),
            ("attributes/a:b(c", "attributes/a:b(c"),
            ("attributes/a,b)\"", "attributes/a\\u002cb\\u0029\\\""),
            ("attributes/~1~0", "attributes/~01~0"),
            ("features/lamp/definition/", "features/lamp/definition"),
            ("features/*/properties/on", "features/*/properties/on"),
            ("features/lamp/desiredProperties/a/b", "features/lamp/desiredProperties/a/b"),
            ("_metadata/attributes/n", "_metadata/attributes/n"),
            ("_metadata/", "_metadata/"),
            ("_metadata", "_metadata"),
            ("_revision", "_revision"),
            ("topic:action-subject", "topic:action-subject"),
            ("feature:id", "feature:id"),
        ] {
            check(name, true, canonical);
        }
        check("features/lamp", false, "features/lamp");
        check("features/lamp/properties/", false, "features/lamp/properties");
    }

    #[test]
    fn others_with_a_remedy() {
        let unknown = |name: &str, hint: &str| {
            let hint = if hint.is_empty() { String::new() } else { format!("; did you mean `{hint}`?") };
            check(name, false, &format!("there is no property `{name}`{hint}"));
        };
        unknown("", "");
        unknown("foo", "");
        unknown("namespace", "_namespace");
        unknown("_policy", "");
        unknown("thingid", "thingId");
        unknown("attributes", "attributes/…");
        unknown(" attributes/n", "attributes/n");
        unknown("attribute/n", "attributes/n");
        unknown("features/lamp/", "features/lamp");
        unknown("features/lamp/foo", "");
        unknown("features/lamp/property/on", "features/lamp/properties/on");
        unknown("features/lamp/definition/0", "features/lamp/definition");
        unknown("topic:acton", "topic:action");
        unknown("header:device", "");
        unknown("//attributes/n", "");
        check(
            "features/lamp",
            true,
            "`features/lamp` has no value of its own; compare what is in it, such as `features/lamp/properties/on`, or ask exists(…)",
        );
        check("attributes//n", false, "two slashes in a row in `attributes//n`; remove one");
    }
}
