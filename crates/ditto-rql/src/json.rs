//! Things as JSON: as text that is only looked at, and as values.

use std::ops::ControlFlow;

use ditto_json::{Extracted, JsonKind, JsonPointer, RawArray, RawObject, decode_string};
use serde_json::Value;

use crate::fields::{Fields, Presence, Scalar};

/// A thing as its JSON text. What [`Filter::pointers`](crate::Filter::pointers) names is there for the asking if it was
/// compiled; only arrays on the way are walked through.
impl Fields for Extracted<'_, '_> {
    fn values(&self, path: &JsonPointer, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
        if let Some((reached, rest)) = self.reach(path) {
            values(Raw(reached), rest, visit);
        }
    }

    fn presence(&self, path: &JsonPointer) -> Presence {
        self.reach(path).map_or(Presence::Absent, |(reached, rest)| presence(Raw(reached), rest))
    }
}

impl Fields for Value {
    fn values(&self, path: &JsonPointer, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
        values(self, path.segments(), visit);
    }

    fn presence(&self, path: &JsonPointer) -> Presence {
        presence(self, path.segments())
    }
}

/// A JSON value, whatever it is made of.
trait Json: Copy {
    type Elements: Iterator<Item = Self>;

    fn kind(self) -> JsonKind;
    /// A member of an object; the last one of that name.
    fn member(self, name: &str) -> Option<Self>;
    /// The elements of an array.
    fn elements(self) -> Self::Elements;
    /// Whether nothing is in it: null, or a text, an array or an object that is empty.
    fn is_hollow(self) -> bool;
    /// Calls `visit` if it is one value.
    fn scalar(self, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) -> ControlFlow<()>;
}

fn values<J: Json>(thing: J, path: &[String], visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
    walk(thing, path, true, &mut |value, _| value.scalar(visit));
}

fn presence<J: Json>(thing: J, path: &[String]) -> Presence {
    let mut presence = Presence::Absent;
    walk(thing, path, false, &mut |value, is_element| {
        // What comes out of an array stays an array, with something in it.
        presence = if value.is_hollow() && !is_element { Presence::Empty } else { Presence::Filled };
        ControlFlow::Break(())
    });
    presence
}

/// Calls `visit` with what is at `path`, and whether an array was on the way: of an array on the way, the objects in it are
/// looked into. With `flattens`, an array at the end stands for its elements, at any depth.
fn walk<J: Json>(
    thing: J,
    path: &[String],
    flattens: bool,
    visit: &mut dyn FnMut(J, bool) -> ControlFlow<()>,
) {
    // In place of recursion: arrays on the way, and what of the path is below them.
    let mut open: Vec<(J::Elements, &[String])> = Vec::new();
    let mut next = Some((thing, path));
    loop {
        let (value, path) = match next.take() {
            Some(found) => found,
            None => {
                let Some((elements, path)) = open.last_mut() else { return };
                match elements.next() {
                    Some(element) if path.is_empty() || element.kind() == JsonKind::Object => {
                        (element, *path)
                    }
                    Some(_) => continue,
                    None => {
                        open.pop();
                        continue;
                    }
                }
            }
        };
        match (value.kind(), path.split_first()) {
            (JsonKind::Object, Some((name, below))) => {
                next = value.member(name).map(|member| (member, below));
            }
            (JsonKind::Array, Some(_)) => open.push((value.elements(), path)),
            (JsonKind::Array, None) if flattens => open.push((value.elements(), path)),
            (_, None) => {
                if visit(value, !open.is_empty()).is_break() {
                    return;
                }
            }
            (_, Some(_)) => {}
        }
    }
}

/// The text of a value.
#[derive(Clone, Copy)]
struct Raw<'t>(&'t str);

impl<'t> Json for Raw<'t> {
    type Elements = std::iter::Map<RawArray<'t>, fn(&'t str) -> Self>;

    fn kind(self) -> JsonKind {
        JsonKind::of(self.0)
    }

    fn member(self, name: &str) -> Option<Self> {
        RawObject::new(self.0).member(name).map(Raw)
    }

    fn elements(self) -> Self::Elements {
        RawArray::new(self.0).map(Raw)
    }

    fn is_hollow(self) -> bool {
        match self.kind() {
            JsonKind::Null => true,
            JsonKind::Bool | JsonKind::Number => false,
            JsonKind::String => self.0.trim_ascii() == "\"\"",
            JsonKind::Array => RawArray::new(self.0).next().is_none(),
            JsonKind::Object => RawObject::new(self.0).next().is_none(),
        }
    }

    fn scalar(self, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let text = self.0.trim_ascii();
        match self.kind() {
            JsonKind::Null => visit(Scalar::Null),
            JsonKind::Bool => visit(Scalar::Bool(text == "true")),
            JsonKind::Number => visit(Scalar::Number(text)),
            // Escapes that are no text (half a surrogate pair) stay as they stand.
            JsonKind::String => visit(Scalar::String(decode_string(text).as_deref().unwrap_or(text))),
            JsonKind::Array | JsonKind::Object => ControlFlow::Continue(()),
        }
    }
}

impl<'v> Json for &'v Value {
    type Elements = std::slice::Iter<'v, Value>;

    fn kind(self) -> JsonKind {
        match self {
            Value::Null => JsonKind::Null,
            Value::Bool(_) => JsonKind::Bool,
            Value::Number(_) => JsonKind::Number,
            Value::String(_) => JsonKind::String,
            Value::Array(_) => JsonKind::Array,
            Value::Object(_) => JsonKind::Object,
        }
    }

    fn member(self, name: &str) -> Option<Self> {
        self.get(name)
    }

    fn elements(self) -> Self::Elements {
        self.as_array().map(Vec::as_slice).unwrap_or_default().iter()
    }

    fn is_hollow(self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(_) | Value::Number(_) => false,
            Value::String(text) => text.is_empty(),
            Value::Array(elements) => elements.is_empty(),
            Value::Object(members) => members.is_empty(),
        }
    }

    fn scalar(self, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        match self {
            Value::Null => visit(Scalar::Null),
            Value::Bool(value) => visit(Scalar::Bool(*value)),
            Value::Number(number) => visit(Scalar::Number(&number.to_string())),
            Value::String(text) => visit(Scalar::String(text)),
            Value::Array(_) | Value::Object(_) => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ditto_json::{Extraction, Places};
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(thing: &Value, path: &str, expected: &str) {
        let path: JsonPointer = path.parse().unwrap();
        let shown = |fields: &dyn Fields| {
            let mut values = Vec::new();
            fields.values(&path, &mut |value| {
                values.push(format!("{value:?}"));
                ControlFlow::Continue(())
            });
            format!("{:?} {}", fields.presence(&path), values.join(" "))
        };
        assert_eq!(shown(thing), expected);
        // Whether or not anybody has said before what will be asked for.
        for extraction in [Extraction::new([&path]), Extraction::new([])] {
            for text in [thing.to_string(), format!(" {thing:#} ")] {
                assert_eq!(shown(&extraction.scan(&text, 9, &mut Places::default()).unwrap()), expected);
            }
        }
    }

    #[test]
    fn arrays_stand_for_their_elements() {
        let thing = json!({"a": {"n": 5, "s": "x\n", "arr": [1, ["two", [null]], {"b": 1}], "objs": [{"id": 1}, 2, [{"id": 9}], {"id": [3, 4]}],
            "none": [], "empty": {}, "nil": null, "t": true, "blank": "", "hollow": [{"id": ""}]}});
        check(&thing, "a/n", "Filled Number(\"5\")");
        check(&thing, "a/s", "Filled String(\"x\\n\")");
        check(&thing, "a/t", "Filled Bool(true)");
        check(&thing, "a/arr", "Filled Number(\"1\") String(\"two\") Null");
        check(&thing, "a/objs/id", "Filled Number(\"1\") Number(\"3\") Number(\"4\")");
        check(&thing, "a/arr/0", "Absent ");
        check(&thing, "a/arr/b", "Filled Number(\"1\")");
        check(&thing, "a/hollow/id", "Filled String(\"\")");
        check(&thing, "a/none", "Empty ");
        check(&thing, "a/none/x", "Absent ");
        check(&thing, "a/empty", "Empty ");
        check(&thing, "a/blank", "Empty String(\"\")");
        check(&thing, "a/nil", "Empty Null");
        check(&thing, "a", "Filled ");
        check(&thing, "a/n/x", "Absent ");
    }

    #[test]
    fn no_text_is_too_strange() {
        let path = JsonPointer::of(["attributes", "n"]);
        let (extraction, mut places) = (Extraction::new([&path]), Places::default());
        let deep = "[".repeat(2_000) + &"]".repeat(2_000);
        let deep = format!("{{\"attributes\":{deep}}}");
        for text in ["", "{", "[", "{\"attributes\":", "nonsense", &deep] {
            assert!(extraction.scan(text, 100, &mut places).is_err(), "{text}");
        }
        // Arrays may be as deep as they like, if they may be so deep.
        let thing = extraction.scan(&deep, 2_001, &mut places).unwrap();
        thing.values(&JsonPointer::of(["attributes"]), &mut |value| panic!("{value:?}"));
        // Half a surrogate pair is no text, and stays as it stands.
        let thing = extraction.scan("{\"attributes\":{\"n\":\"\\ud800\"}}", 100, &mut places).unwrap();
        thing.values(&path, &mut |value| {
            assert_eq!(value, Scalar::String("\"\\ud800\""));
            ControlFlow::Continue(())
        });
    }
}
