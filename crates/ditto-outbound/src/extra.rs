//! Extra fields: what of its thing comes with a signal (topics.md §5).

use ditto_connection::ExtraField;
use ditto_json::{JsonPointer, RawObject, write_string};
use ditto_placeholder::Resolve;
use smallvec::SmallVec;

/// The places that fields are at for a signal. Those whose placeholders have no value are left out.
pub fn resolve_fields(fields: &[ExtraField], values: &impl Resolve) -> Vec<JsonPointer> {
    let mut places = Vec::new();
    for field in fields {
        match field {
            ExtraField::Pointer(pointer) => places.push(pointer.clone()),
            ExtraField::Template(template) => {
                let resolved = template.resolve_all(values).ok();
                let texts = resolved.iter().flat_map(|value| value.texts());
                places.extend(texts.filter_map(|text| text.parse::<JsonPointer>().ok()));
            }
        }
    }
    places
}

/// An object with those of the places that a thing has, as they are written in its JSON text. `features/*` stands for each of its
/// features.
pub fn select_fields<'p>(thing: &str, pointers: impl IntoIterator<Item = &'p JsonPointer>) -> String {
    let places: Vec<&[String]> = pointers.into_iter().map(JsonPointer::segments).collect();
    let mut selected = Vec::new();
    if !cut(thing, &places, At::Thing, &mut selected) {
        selected.extend_from_slice(b"{}");
    }
    // Parts of texts at the bounds of JSON values, and names as they are written.
    String::from_utf8(selected).unwrap_or_default()
}

/// Where a value stands in its thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Thing,
    Features,
    Elsewhere,
}

/// Appends what `places`, which lie below `value`, have of it; false, and nothing appended, if that is nothing. It goes as
/// deep as the places, at most.
fn cut(value: &str, places: &[&[String]], at: At, out: &mut Vec<u8>) -> bool {
    if places.iter().any(|place| place.is_empty()) {
        out.extend_from_slice(value.as_bytes());
        return true;
    }
    let start = out.len();
    for (name, member) in RawObject::new(value) {
        let below: SmallVec<[&[String]; 4]> = places
            .iter()
            .filter_map(|place| place.split_first())
            .filter(|(first, _)| **first == *name || at == At::Features && *first == "*")
            .map(|(_, rest)| rest)
            .collect();
        if below.is_empty() {
            continue;
        }
        let before = out.len();
        out.push(if before == start { b'{' } else { b',' });
        write_string(out, &name);
        out.push(b':');
        if !cut(member, &below, at.below(&name), out) {
            out.truncate(before);
        }
    }
    let has_members = out.len() > start;
    if has_members {
        out.push(b'}');
    }
    has_members
}

impl At {
    fn below(self, name: &str) -> Self {
        if self == Self::Thing && name == "features" { Self::Features } else { Self::Elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(thing: &str, pointers: &[&str], expected: &str) {
        let pointers: Vec<JsonPointer> = pointers.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(select_fields(thing, &pointers), expected);
    }

    #[test]
    fn fields_are_kept_as_they_are_written() {
        let thing = r#"{"attributes":{"a\u0062":1.50,"c":{}},"features":{"m":{"properties":{"on":true,"off":1}},
            "n":{"definition":["x:y:1"]},"o":{"properties":{"on": null}}}}"#;
        check(thing, &["attributes/ab", "attributes/x/y", "policyId"], r#"{"attributes":{"ab":1.50}}"#);
        check(thing, &["attributes", "attributes/c/d"], r#"{"attributes":{"a\u0062":1.50,"c":{}}}"#);
        check(thing, &["attributes/c/d", "attributes/ab/d"], "{}");
        check(
            thing,
            &["features/*/properties/on"],
            r#"{"features":{"m":{"properties":{"on":true}},"o":{"properties":{"on":null}}}}"#,
        );
        check(thing, &["attributes/*"], "{}");
        check("null", &["attributes"], "{}");
    }
}
