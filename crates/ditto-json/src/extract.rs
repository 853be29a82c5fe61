//! Many pointers, one pass.

use std::collections::BTreeMap;

use crate::pointer::JsonPointer;
use crate::raw::{JsonKind, RawObject};
use crate::scan::{RawString, ScanError, Scanner};

/// A set of pointers, compiled to a trie: one scan of a text finds all of them, builds nothing, and passes over what nobody
/// asks for.
///
/// ```
/// use ditto_json::{Extraction, JsonPointer, Places};
///
/// let [b, c, value]: [JsonPointer; 3] = ["/value/b".parse()?, "/c".parse()?, "/value".parse()?];
/// let extraction = Extraction::new([&b, &c]);
/// let mut places = Places::default(); // used again for the next text
/// let found = extraction.scan(r#"{"value": {"b": 1}, "x": [{}]}"#, 64, &mut places)?;
/// assert_eq!((found.get(&b), found.get(&c)), (Some("1"), None));
/// // What is on the way was found as well.
/// assert_eq!(found.get(&value), Some(r#"{"b": 1}"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// The first one is the root.
    nodes: Vec<Node>,
}

/// What lies below a place that is on the way of a pointer: member names, and the nodes that they lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    members: BTreeMap<Box<str>, usize>,
}

/// The memory of an extraction: where in a text it has found what. It is used again for the next text.
#[derive(Debug, Clone, Default)]
pub struct Places {
    of_nodes: Vec<Option<Place>>,
}

/// Where a value is, without blanks around it.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the text.
    In { start: usize, end: usize },
    /// Around the text: an object with the member that leads to it.
    Around,
}

/// Stands for an object of which nothing is known but that it has something in it.
const AROUND: &str = r#"{"":0}"#;

/// What an extraction has found in a text, or in a part of it.
#[derive(Debug, Clone, Copy)]
pub struct Extracted<'e, 't> {
    extraction: &'e Extraction,
    places: &'e Places,
    text: &'t str,
    /// The node of `value`, if a pointer that was compiled leads there or on.
    node: Option<usize>,
    value: &'t str,
}

impl Extraction {
    /// Compiles pointers.
    #[must_use]
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p JsonPointer>) -> Self {
        let mut extraction = Self { nodes: vec![Node::default()] };
        for pointer in pointers {
            pointer.segments().iter().fold(0, |at, name| extraction.below(at, name));
        }
        extraction
    }

    fn below(&mut self, at: usize, name: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some(known) = node.members.get(name) {
            return *known;
        }
        node.members.insert(name.into(), next);
        self.nodes.push(Node::default());
        next
    }

    /// Looks at a text once, as a whole. Of a member that is there twice the last one counts, as for everybody who builds
    /// values.
    ///
    /// # Errors
    /// The text is no JSON, has a member without a name, or is nested deeper than `max_depth`.
    pub fn scan<'e, 't>(
        &'e self,
        text: &'t str,
        max_depth: usize,
        places: &'e mut Places,
    ) -> Result<Extracted<'e, 't>, ScanError> {
        places.of_nodes.clear();
        places.of_nodes.resize(self.nodes.len(), None);
        let mut scanner = Scanner::new(text, max_depth);
        self.visit(0, &mut scanner, &mut places.of_nodes)?;
        scanner.end()?;
        Ok(self.found(text, places))
    }

    /// The same for a text that stands at `base` in a document of which nothing else is known: what is around it are objects.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn scan_at<'e, 't, 'b>(
        &'e self,
        base: impl IntoIterator<Item = &'b str>,
        text: &'t str,
        max_depth: usize,
        places: &'e mut Places,
    ) -> Result<Extracted<'e, 't>, ScanError> {
        places.of_nodes.clear();
        places.of_nodes.resize(self.nodes.len(), None);
        let mut at = Some(0);
        for name in base {
            let Some(node) = at else { break };
            if let Some(place) = places.of_nodes.get_mut(node) {
                *place = Some(Place::Around);
            }
            at = self.nodes.get(node).and_then(|node| node.members.get(name).copied());
        }
        if let Some(node) = at {
            let mut scanner = Scanner::new(text, max_depth);
            self.visit(node, &mut scanner, &mut places.of_nodes)?;
            scanner.end()?;
        }
        Ok(self.found(text, places))
    }

    /// What was found in a text, by the places of its scan.
    pub fn found<'e, 't>(&'e self, text: &'t str, places: &'e Places) -> Extracted<'e, 't> {
        let value = places.value(0, text).unwrap_or_default();
        Extracted { extraction: self, places, text, node: Some(0), value }
    }

    /// Takes the value at which the scanner stands. Recursion goes no deeper than the text may be nested.
    fn visit(
        &self,
        at: usize,
        scanner: &mut Scanner<'_>,
        places: &mut [Option<Place>],
    ) -> Result<(), ScanError> {
        self.forget(at, places);
        let is_object = scanner.peek() == Some(b'{');
        let start = scanner.offset();
        match self.nodes.get(at) {
            Some(node) if is_object && !node.members.is_empty() => {
                scanner.object(|scanner, name| match node.member(name) {
                    Some(next) => self.visit(next, scanner, places),
                    None => scanner.value().map(drop),
                })?;
            }
            _ => {
                scanner.value()?;
            }
        }
        if let Some(place) = places.get_mut(at) {
            *place = Some(Place::In { start, end: scanner.offset() });
        }
        Ok(())
    }

    /// What was found below is of an earlier member of the same name.
    fn forget(&self, at: usize, places: &mut [Option<Place>]) {
        // Nothing is found below what was not found itself.
        if places.get_mut(at).and_then(Option::take).is_some()
            && let Some(node) = self.nodes.get(at)
        {
            node.members.values().for_each(|next| self.forget(*next, places));
        }
    }
}

impl Node {
    fn member(&self, name: RawString<'_>) -> Option<usize> {
        match name.plain() {
            Some(name) => self.members.get(name).copied(),
            None => name.decode().and_then(|name| self.members.get(&*name).copied()),
        }
    }
}

impl Places {
    fn value<'t>(&self, node: usize, text: &'t str) -> Option<&'t str> {
        match (*self.of_nodes.get(node)?)? {
            Place::In { start, end } => text.get(start..end),
            Place::Around => Some(AROUND),
        }
    }
}

impl<'t> Extracted<'_, 't> {
    /// All of it.
    pub fn value(&self) -> &'t str {
        self.value
    }

    /// The value that a pointer leads to. One that was not compiled is looked for by walking, from where the ways part.
    pub fn get(&self, pointer: &JsonPointer) -> Option<&'t str> {
        self.below(pointer).map(|below| below.value)
    }

    /// The part that a pointer leads to, in which pointers begin anew: the thing in an event, say.
    pub fn below(&self, pointer: &JsonPointer) -> Option<Self> {
        let (reached, rest) = self.follow(pointer.segments())?;
        if rest.is_empty() {
            return Some(reached);
        }
        let value = rest.iter().try_fold(reached.value, |at, name| RawObject::new(at).member(name))?;
        Some(Self { node: None, value, ..reached })
    }

    /// The last value on the way to a pointer that has a place of its own, and what of the pointer lies within it: an array,
    /// whose elements have no pointers, for whoever wants to look into them; a value that has nothing within it; or an object, if
    /// the pointer was not compiled. `None` if an object on the way lacks the member.
    pub fn reach<'p>(&self, pointer: &'p JsonPointer) -> Option<(&'t str, &'p [String])> {
        self.follow(pointer.segments()).map(|(reached, rest)| (reached.value, rest))
    }

    fn follow<'p>(&self, mut path: &'p [String]) -> Option<(Self, &'p [String])> {
        let mut reached = *self;
        while let Some((name, rest)) = path.split_first()
            && JsonKind::of(reached.value) == JsonKind::Object
            && let Some(node) = reached.node.and_then(|node| self.extraction.nodes.get(node))
            && let Some(next) = node.members.get(name.as_str())
        {
            reached.value = self.places.value(*next, self.text)?;
            reached.node = Some(*next);
            path = rest;
        }
        Some((reached, path))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn extract(pointers: &[JsonPointer], text: &str) -> Vec<Option<Value>> {
        let (extraction, mut places) = (Extraction::new(pointers), Places::default());
        let found = extraction.scan(text, 64, &mut places).unwrap();
        let of = |pointer| found.get(pointer).map(|value| serde_json::from_str(value).unwrap());
        pointers.iter().map(of).collect()
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let pointers = ["a/b", "a", "a/c"].map(|text| text.parse().unwrap());
        let found = extract(&pointers, r#"{"a":{"b":1,"c":2},"\u0061":{"c":3,"c":4}}"#);
        assert_eq!(found, [None, Some(json!({"c": 4})), Some(json!(4))]);
        assert_eq!(extract(&pointers, r#"{"a":{"b":1},"a":7}"#), [None, Some(json!(7)), None]);
        assert_eq!(extract(&["".parse().unwrap()], " 7 "), [Some(json!(7))]);
        assert_eq!(extract(&pointers, "[]"), [None, None, None]);
    }

    #[test]
    fn the_way_ends_in_an_array_or_where_it_was_not_compiled() {
        let pointer = |text: &str| text.parse::<JsonPointer>().unwrap();
        let (extraction, mut places) = (Extraction::new([&pointer("v/a/b/c")]), Places::default());
        let text = r#"{"v":{"a":{"b":[{"c":1}],"x":{"y":2}}}}"#;
        let found = extraction.scan(text, 64, &mut places).unwrap();
        let thing = found.below(&pointer("v")).unwrap();
        let check = |asked: &str, expected: Option<(&str, &[&str])>| {
            let pointer = pointer(asked);
            let reached = thing.reach(&pointer);
            let reached = reached.map(|(value, rest)| (value, rest.iter().map(String::as_str).collect()));
            assert_eq!(reached, expected.map(|(value, rest)| (value, rest.to_vec())), "{asked}");
        };
        check("a/b/c", Some((r#"[{"c":1}]"#, &["c"])));
        check("a/b", Some((r#"[{"c":1}]"#, &[])));
        check("a/x/y", Some((r#"{"b":[{"c":1}],"x":{"y":2}}"#, &["x", "y"])));
        check("n", Some((thing.value(), &["n"])));
        assert_eq!(thing.get(&pointer("a/x/y")), Some("2"));
        assert_eq!(thing.below(&pointer("a/x")).unwrap().get(&pointer("y")), Some("2"));
        assert_eq!(thing.get(&pointer("a/b/c")), None);
        // On the way, and not there.
        let found = extraction.scan(r#"{"v":{"a":{}}}"#, 64, &mut places).unwrap();
        assert_eq!(found.reach(&pointer("v/a/b/c")), None);
        // Nothing of the text before is left.
        let found = extraction.scan("{}", 64, &mut places).unwrap();
        assert_eq!((found.value(), found.get(&pointer("v"))), ("{}", None));
    }

    #[test]
    fn what_is_no_json_is_refused_wherever_it_stands() {
        let (extraction, mut places) = (Extraction::new(&["a/b".parse().unwrap()]), Places::default());
        for text in [r#"{"a":{"b":1}"#, r#"{"a":{"b":1},"x":[1,]}"#, r#"{"a":{"b":}}"#, r#"{} {}"#, ""] {
            assert!(extraction.scan(text, 64, &mut places).is_err(), "{text}");
        }
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
        assert!(extraction.scan(&deep, 64, &mut places).is_err());
        assert!(extraction.scan(&deep, 65, &mut places).is_ok());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<i8>().prop_map(|n| json!(n)),
            "[a-c~\"]{0,3}".prop_map(|s| json!(s))
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::btree_map("[a-c\"é]{1,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A text at a place, as the document that has it there and nothing else.
        #[test]
        fn as_a_part_of_a_document(
            value in value(),
            base in prop::collection::vec("[a-c]", 0..3),
            pointers in prop::collection::vec(prop::collection::vec("[a-c]", 0..5), 0..6),
        ) {
            let pointers: Vec<_> = pointers.into_iter().map(JsonPointer::of).collect();
            let mut whole = json!({});
            JsonPointer::of(base.clone()).set(&mut whole, value.clone());
            let (extraction, mut places) = (Extraction::new(&pointers), Places::default());
            let text = value.to_string();
            let found = extraction.scan_at(base.iter().map(String::as_str), &text, 64, &mut places).unwrap();
            for pointer in &pointers {
                let got = found.get(pointer).map(|value| serde_json::from_str::<Value>(value).unwrap());
                let is_around = base.len() > pointer.segments().len() && base.starts_with(pointer.segments());
                let expected = if is_around { Some(json!({"": 0})) } else { pointer.get(&whole).cloned() };
                prop_assert_eq!(got, expected, "{}", pointer);
            }
        }

        /// Against the plain walk through a value that was built.
        #[test]
        fn as_a_walk_through_the_value(
            value in value(),
            pointers in prop::collection::vec(prop::collection::vec("[a-c\"é]{1,2}", 0..4), 0..6),
        ) {
            let pointers: Vec<_> = pointers.into_iter().map(JsonPointer::of).collect();
            let expected: Vec<_> = pointers.iter().map(|pointer| pointer.get(&value).cloned()).collect();
            prop_assert_eq!(extract(&pointers, &value.to_string()), expected.clone());
            let spaced = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(extract(&pointers, &spaced), expected);
        }
    }
}
