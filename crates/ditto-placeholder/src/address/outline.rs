//! Where the parts of an address are before its placeholders have values.

use super::{KafkaAddress, is_of_topic};
use crate::ast::Part;
use crate::grammar;
use crate::placeholder::Scope;

/// An address as it is written, taken apart at what separates it outside of placeholders. A value may bring separators of its own:
/// only [`ResolvedAddress`](crate::ResolvedAddress) says where a record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressOutline {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: Option<String>,
    /// The partition.
    pub partition: Option<String>,
}

impl KafkaAddress {
    /// Topic, key and partition as they are written.
    pub fn outline(&self) -> AddressOutline {
        let text = self.to_string();
        let found =
            separator(&text).and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?, text.get(at..=at)?)));
        let Some((topic, rest, separator)) = found else {
            return AddressOutline { topic: text, key: None, partition: None };
        };
        let of = |wanted: &str| (wanted == separator).then(|| rest.to_owned());
        AddressOutline { topic: topic.to_owned(), key: of("/"), partition: of("#") }
    }
}

/// Where the topic ends. A `/` is looked for first; at the very start neither separates.
pub(super) fn separator(text: &str) -> Option<usize> {
    Literals::of(text).separator()
}

/// Where the topic is none: at its first character that may not be in one.
pub(super) fn misfit_in_topic(text: &str) -> usize {
    let literals = Literals::of(text);
    let end = literals.separator().unwrap_or(text.len());
    literals.find(|c| !is_of_topic(c)).filter(|at| *at < end).unwrap_or_default()
}

/// What stands outside of placeholders, with byte offsets.
struct Literals(Vec<(Part, usize)>);

impl Literals {
    fn of(text: &str) -> Self {
        // What was resolved may be no template: there braces mean nothing any more.
        let whole = |_| vec![(Part::Text(text.to_owned()), 0)];
        Self(grammar::parts(text, Scope::Mapping).unwrap_or_else(whole))
    }

    fn separator(&self) -> Option<usize> {
        let find = |wanted: char| self.find(|c| c == wanted).filter(|at| *at > 0);
        find('/').or_else(|| find('#'))
    }

    fn find(&self, is_wanted: impl Fn(char) -> bool) -> Option<usize> {
        self.0.iter().find_map(|(part, start)| match part {
            Part::Text(text) => text.find(&is_wanted).map(|at| start + at),
            Part::Pipeline(_) => None,
        })
    }
}
