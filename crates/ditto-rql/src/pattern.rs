//! `like` and `ilike` (rql.md §4).

use std::borrow::Cow;
use std::fmt;

use crate::quote::write_escaped;

/// A pattern: `*` stands for any run of characters, `?` for one. Neither takes a line break, and nothing escapes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As it was written, but for runs of `*`, which are one.
    text: String,
    ignores_case: bool,
    /// What stands around and between the `*`, in lower case if case is ignored; at least one.
    parts: Vec<Part>,
}

/// A run without `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    text: String,
    /// How to search for it, if it has a `?`; what has none the standard library finds in linear time.
    automaton: Option<Automaton>,
}

impl Pattern {
    /// Characters that a part with `?` between two `*` may have: what it costs for each character of a text grows with it.
    pub(crate) const MAX_SEARCHED: usize = 1024;

    /// `None` if a part is too long.
    pub(crate) fn new(written: &str, ignores_case: bool) -> Option<Self> {
        let mut text = String::with_capacity(written.len());
        for c in written.chars() {
            if c != '*' || !text.ends_with('*') {
                text.push(c);
            }
        }
        let last = text.matches('*').count();
        let part = |(at, part): (usize, &str)| {
            let text = if ignores_case { part.to_ascii_lowercase() } else { part.to_owned() };
            let is_searched = at > 0 && at < last && text.contains('?');
            if is_searched && text.chars().count() > Self::MAX_SEARCHED {
                return None;
            }
            let automaton = is_searched.then(|| Automaton::new(&text));
            Some(Part { text, automaton })
        };
        let parts = text.split('*').enumerate().map(part).collect::<Option<_>>()?;
        Some(Self { text, ignores_case, parts })
    }

    /// Its name in a filter.
    pub(crate) fn operator(&self) -> &'static str {
        if self.ignores_case { "ilike" } else { "like" }
    }

    /// Whether ASCII letters match in either case.
    pub fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// As it was written, but for runs of `*`, which are one.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether null matches: it has no text, and only `*` asks for none.
    pub(crate) fn matches_null(&self) -> bool {
        self.text == "*"
    }

    /// Whether it matches the whole text. Each part is taken where it comes first, which never spoils what follows: the time
    /// is linear in the text, and for a part with `?` also in its length by 64.
    pub fn matches(&self, text: &str) -> bool {
        let text = match self.ignores_case && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
        self.try_match(&text).unwrap_or(false)
    }

    fn try_match(&self, text: &str) -> Option<bool> {
        let (first, others) = self.parts.split_first()?;
        let mut rest = first.strip_prefix(text)?;
        let Some((last, between)) = others.split_last() else { return Some(rest.is_empty()) };
        rest = last.strip_suffix(rest)?;
        for part in between {
            let (before, after) = part.find(rest)?;
            if before.contains(is_line_break) {
                return None;
            }
            rest = after;
        }
        Some(!rest.contains(is_line_break))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        write_escaped(f, &self.text, false)?;
        f.write_str("\"")
    }
}

impl Part {
    fn strip_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut chars = text.chars();
        self.text.chars().try_for_each(|wanted| takes(wanted, chars.next()?).then_some(()))?;
        Some(chars.as_str())
    }

    fn strip_suffix<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut chars = text.chars();
        self.text.chars().rev().try_for_each(|wanted| takes(wanted, chars.next_back()?).then_some(()))?;
        Some(chars.as_str())
    }

    /// What is before and after its first occurrence.
    fn find<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        match &self.automaton {
            Some(automaton) => automaton.find(text),
            None => text.split_once(&*self.text),
        }
    }
}

fn takes(wanted: char, c: char) -> bool {
    if wanted == '?' { !is_line_break(c) } else { wanted == c }
}

/// What `.` does not take in Java.
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Finds a part with `?`: bit n says whether the first n+1 characters of the part match what ends here (shift-and).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Automaton {
    length: usize,
    /// By character: the places that take it; sorted.
    places: Vec<(char, Vec<u64>)>,
    /// The places that take any other character.
    any: Vec<u64>,
}

const BITS: usize = u64::BITS as usize;

impl Automaton {
    fn new(part: &str) -> Self {
        let length = part.chars().count();
        let places_of = |is_taken: &dyn Fn(char) -> bool| {
            let mut words = vec![0; length.div_ceil(BITS)];
            for (at, _) in part.chars().enumerate().filter(|(_, wanted)| is_taken(*wanted)) {
                if let Some(word) = words.get_mut(at / BITS) {
                    *word |= 1 << (at % BITS);
                }
            }
            words
        };
        let mut known: Vec<char> = part.chars().filter(|c| *c != '?').collect();
        known.sort_unstable();
        known.dedup();
        let places = known.into_iter().map(|c| (c, places_of(&|wanted| takes(wanted, c)))).collect();
        Self { length, places, any: places_of(&|wanted| wanted == '?') }
    }

    fn find<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let mut state = vec![0_u64; self.any.len()];
        for (at, c) in text.char_indices() {
            let places = match self.places.binary_search_by_key(&c, |(known, _)| *known) {
                Ok(found) => self.places.get(found).map(|(_, places)| places.as_slice()),
                Err(_) if is_line_break(c) => None,
                Err(_) => Some(self.any.as_slice()),
            };
            let Some(places) = places else {
                state.fill(0);
                continue;
            };
            let mut carry = 1;
            for (word, places) in state.iter_mut().zip(places) {
                let shifted = *word << 1 | carry;
                carry = *word >> (BITS - 1);
                *word = shifted & places;
            }
            let last = self.length - 1;
            if state.get(last / BITS).is_some_and(|word| word >> (last % BITS) & 1 == 1) {
                let (seen, after) = text.split_at_checked(at + c.len_utf8())?;
                let (start, _) = seen.char_indices().nth_back(last)?;
                return Some((seen.get(..start)?, after));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
