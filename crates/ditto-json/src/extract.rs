//! Many pointers, one pass.

use crate::pointer::JsonPointer;
use crate::scan::{RawJson, RawString, ScanError, Scanner};

/// A set of pointers, compiled to a trie: one scan of a text finds the values of all of them, builds nothing, and passes
/// over what nobody asks for.
///
/// ```
/// use ditto_json::{Extraction, JsonPointer};
///
/// let pointers: Vec<JsonPointer> = vec!["/a/b".parse()?, "/c".parse()?, "/a".parse()?];
/// let extraction = Extraction::new(&pointers);
/// let mut found = Vec::new();
/// extraction.extract(r#"{"a": {"b": 1}, "x": [{}]}"#, 64, &mut found)?;
/// let texts: Vec<_> = found.iter().map(|found| found.map(|value| value.text())).collect();
/// assert_eq!(texts, [Some("1"), None, Some(r#"{"b": 1}"#)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// The first one is the root.
    nodes: Vec<Node>,
    /// For each pointer the node that it leads to.
    of_pointers: Vec<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// Whether a pointer leads here.
    is_wanted: bool,
    /// Member names, and where they lead. Few: a linear search beats a table.
    members: Vec<(Box<str>, usize)>,
}

impl Extraction {
    /// Compiles pointers; what is found of each stands at its place in this order.
    #[must_use]
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p JsonPointer>) -> Self {
        let mut extraction = Self { nodes: vec![Node::default()], of_pointers: Vec::new() };
        for pointer in pointers {
            let mut at = 0;
            for segment in pointer.segments() {
                at = extraction.below(at, segment);
            }
            if let Some(node) = extraction.nodes.get_mut(at) {
                node.is_wanted = true;
            }
            extraction.of_pointers.push(at);
        }
        extraction
    }

    fn below(&mut self, at: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some((_, known)) = node.members.iter().find(|(name, _)| **name == *segment) {
            return *known;
        }
        node.members.push((segment.into(), next));
        self.nodes.push(Node::default());
        next
    }

    /// How many pointers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of_pointers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of_pointers.is_empty()
    }

    /// Finds the value of each pointer, or `None` where there is none; `found` is used again. Of a member that is there
    /// twice the last one counts, as for everybody who builds values.
    ///
    /// # Errors
    /// The text is no JSON, or is nested deeper than the bound.
    pub fn extract<'t>(
        &self,
        text: &'t str,
        max_depth: usize,
        found: &mut Vec<Option<RawJson<'t>>>,
    ) -> Result<(), ScanError> {
        found.clear();
        // By node while it is scanned, by pointer afterwards.
        found.resize(self.nodes.len().max(self.of_pointers.len()), None);
        let mut scanner = Scanner::new(text, max_depth);
        self.visit(0, &mut scanner, found)?;
        scanner.end()?;
        let by_node = found.len();
        for node in &self.of_pointers {
            let value = found.get(*node).copied().flatten();
            found.push(value);
        }
        found.drain(..by_node);
        Ok(())
    }

    /// Takes the value at which the scanner stands. Recursion goes no deeper than the text may be nested.
    fn visit<'t>(
        &self,
        at: usize,
        scanner: &mut Scanner<'t>,
        found: &mut [Option<RawJson<'t>>],
    ) -> Result<(), ScanError> {
        let Some(node) = self.nodes.get(at) else { return scanner.value().map(drop) };
        if node.members.is_empty() || !scanner.is_at_object() {
            self.forget(at, found);
            let value = scanner.value()?;
            if let Some(found) = found.get_mut(at) {
                *found = Some(value);
            }
            return Ok(());
        }
        self.forget(at, found);
        let place = scanner.start();
        scanner.object(|scanner, name| match node.member(name) {
            Some(next) => self.visit(next, scanner, found),
            None => scanner.value().map(drop),
        })?;
        if let Some(found) = found.get_mut(at) {
            *found = Some(scanner.since(place));
        }
        Ok(())
    }

    /// What was found below is of an earlier member of the same name.
    fn forget(&self, at: usize, found: &mut [Option<RawJson<'_>>]) {
        let Some(found_here) = found.get_mut(at) else { return };
        // Nothing is found below what was not found itself.
        if found_here.take().is_some()
            && let Some(node) = self.nodes.get(at)
        {
            for (_, next) in &node.members {
                self.forget(*next, found);
            }
        }
    }
}

impl Node {
    fn member(&self, name: RawString<'_>) -> Option<usize> {
        let find =
            |name: &str| self.members.iter().find(|(member, _)| **member == *name).map(|(_, next)| *next);
        match name.plain() {
            Some(name) => find(name),
            None => name.decode().and_then(|name| find(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn extract(pointers: &[JsonPointer], text: &str) -> Vec<Option<Value>> {
        let mut found = Vec::new();
        Extraction::new(pointers).extract(text, 64, &mut found).unwrap();
        found.iter().map(|found| found.map(|value| serde_json::from_str(value.text()).unwrap())).collect()
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
    fn what_is_no_json_is_refused_wherever_it_stands() {
        let extraction = Extraction::new(&["a/b".parse().unwrap()]);
        let mut found = Vec::new();
        for text in [r#"{"a":{"b":1}"#, r#"{"a":{"b":1},"x":[1,]}"#, r#"{"a":{"b":}}"#, r#"{} {}"#, ""] {
            assert!(extraction.extract(text, 64, &mut found).is_err(), "{text}");
        }
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
        assert!(extraction.extract(&deep, 64, &mut found).is_err());
        assert!(extraction.extract(&deep, 65, &mut found).is_ok());
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
