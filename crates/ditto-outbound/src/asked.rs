//! What the filters of a connection ask for.

use std::sync::Arc;

use ditto_json::{Extraction, JsonKind, JsonPointer, Places, RawObject, write_string};
use ditto_protocol::{Segments, Signal};
use ditto_rql::Filter;
use serde_json::{Map, Value};
use smallvec::SmallVec;

/// The places of a thing that filters look at. Values are made of nothing else.
#[derive(Debug)]
pub(crate) struct Asked {
    places: Vec<JsonPointer>,
    extraction: Extraction,
}

/// What a signal shows of its thing, as far as it is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    /// Where its value has it: that is usual, and builds nothing.
    Places(Arc<Places>),
    Value(Arc<Value>),
}

impl Asked {
    pub(crate) fn of<'f>(filters: impl IntoIterator<Item = &'f Filter>) -> Self {
        let mut places: Vec<_> = filters.into_iter().flat_map(Filter::pointers).cloned().collect();
        places.sort_by(|a, b| a.segments().cmp(b.segments()));
        places.dedup();
        Self { extraction: Extraction::new(&places), places }
    }

    pub(crate) fn extraction(&self) -> &Extraction {
        &self.extraction
    }

    pub(crate) fn shown_by(&self, signal: &Signal) -> Shown {
        let places = signal.told_value().and_then(|value| {
            let mut places = Places::default();
            // It was scanned when it was decoded.
            let base = Segments::of_path(signal.path());
            self.extraction.scan_at(base, value, usize::MAX, &mut places).ok()?;
            Some(Shown::Places(places.into()))
        });
        places.unwrap_or_else(|| Shown::Value(self.value_of(signal).into()))
    }

    /// The same, as a value.
    pub(crate) fn value_of(&self, signal: &Signal) -> Value {
        signal.filtered_thing_of(|raw, base| self.read(raw, base))
    }

    /// The JSON text of what stands at a place of a thing, as far as it is asked for.
    fn read(&self, text: &str, base: &JsonPointer) -> Value {
        if self.places.iter().any(|place| base.starts_with(place)) {
            // It is asked for as a whole, or something that it is in.
            return serde_json::from_str(text).unwrap_or_default();
        }
        let depth = base.segments().len();
        let within = self.places.iter().filter(|place| place.starts_with(base));
        let places: SmallVec<[&[String]; 4]> =
            within.filter_map(|place| place.segments().get(depth..)).collect();
        if places.is_empty() {
            return Value::Object(Map::new());
        }
        let mut narrowed = Vec::with_capacity(text.len().min(256));
        narrow(text, &places, &mut narrowed);
        serde_json::from_slice(&narrowed).unwrap_or_default()
    }
}

/// Appends a value without members that no place leads through. It goes as deep as the places, at most.
fn narrow(value: &str, places: &[&[String]], out: &mut Vec<u8>) {
    // Places lead through elements of arrays, too, and a value of another kind hides what is within it.
    if places.iter().any(|place| place.is_empty()) || JsonKind::of(value) != JsonKind::Object {
        return out.extend_from_slice(value.as_bytes());
    }
    out.push(b'{');
    let start = out.len();
    for (name, member) in RawObject::new(value) {
        let below: SmallVec<[&[String]; 4]> = places
            .iter()
            .filter_map(|place| place.split_first())
            .filter(|(first, _)| **first == *name)
            .map(|(_, rest)| rest)
            .collect();
        if !below.is_empty() {
            if out.len() > start {
                out.push(b',');
            }
            write_string(out, &name);
            out.push(b':');
            narrow(member, &below, out);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use ditto_protocol::{Limits, Signal};
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;
    use crate::fields::SignalFields;

    #[test]
    fn what_nobody_asks_for_is_left_out() {
        let filter: Filter = "and(eq(attributes/a/b,1),exists(features/f/properties/p))".parse().unwrap();
        let asked = Asked::of([&filter]);
        let read = |text: &str, base: &str| asked.read(text, &base.parse().unwrap());
        let text = r#"{"a":{"b":1,"c":2},"x":[1,2]}"#;
        assert_eq!(read(text, "/attributes"), json!({"a": {"b": 1}}));
        assert_eq!(read(r#"{"a":[{"b":1}],"x":2}"#, "/attributes"), json!({"a": [{"b": 1}]}));
        assert_eq!(read(r#"{"b":{"x":1}}"#, "/attributes/a"), json!({"b": {"x": 1}}));
        assert_eq!(read(text, "/features/g"), json!({}));
        assert_eq!(read("5", "/attributes/a/b/c"), json!(5));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            select(vec![json!(null), json!(1), json!("x"), json!([]), json!({}), json!([1, {"b": 1}])]);
        leaf.prop_recursive(3, 20, 3, |inner| {
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|members| json!(members))
        })
    }

    fn filter() -> impl Strategy<Value = String> {
        let path = select(vec!["a", "a/b", "a/b/c", "b", "c/a", "b/b"]);
        let one = (path, 0..8).prop_map(|(path, kind)| match kind {
            4 => "exists(thingId)".to_owned(),
            5 => "eq(_revision,1)".to_owned(),
            6 => "exists(_modified)".to_owned(),
            7 => "eq(_namespace,\"a\")".to_owned(),
            0 => format!("exists(attributes/{path})"),
            1 => format!("empty(attributes/{path})"),
            2 => format!("eq(attributes/{path},1)"),
            _ => format!("ne(attributes/{path},\"x\")"),
        });
        (one.clone(), one).prop_map(|(a, b)| format!("or(and({a},not({b})),and({b},not({a})))"))
    }

    proptest! {
        /// A filter finds in what it asks for what it finds in all of it.
        #[test]
        fn filters_see_no_difference(
            value in value(), filter in filter(), path in select(vec!["/attributes", "/attributes/a", "/attributes/a/b"]),
            action in select(vec!["modified", "merged"]), extra in value(),
        ) {
            let event = json!({
                "topic": format!("a/t/things/twin/events/{action}"), "path": path, "revision": 1, "headers": {}, "value": value,
                "timestamp": "2026-03-04T05:06:07Z",
            });
            let Ok(signal) = Signal::decode(event.to_string().into(), &Limits::default()) else { return Ok(()) };
            let filter: Filter = filter.parse().unwrap();
            let asked = Asked::of([&filter]);
            let shown = asked.shown_by(&signal);
            prop_assert_eq!(matches!(shown, Shown::Places(_)), action == "modified");
            let (whole, part) = (SignalFields::new(&signal), SignalFields::of_shown(&signal, &asked, &shown));
            let now = SystemTime::UNIX_EPOCH;
            prop_assert_eq!(filter.matches(&part, now), filter.matches(&whole, now));
            let extra = json!({"attributes": extra});
            prop_assert_eq!(
                filter.matches(&part.enriched(&extra), now), filter.matches(&whole.enriched(&extra), now)
            );
        }
    }
}
