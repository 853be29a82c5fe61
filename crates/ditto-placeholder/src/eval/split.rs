//! `fn:split`. The reference splits where a regular expression matches, but only a text in which the expression itself occurs.

use regex::{Regex, RegexBuilder};

use crate::error::FunctionErrorKind;
use crate::value::{MAX_VALUES, Value};

/// What separates.
#[derive(Debug, Clone)]
pub(super) struct Separator {
    text: String,
    pattern: Pattern,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// Matches itself alone: nearly every separator that somebody means.
    Literal,
    Regex(Regex),
    /// No regular expression. It fails only where it is needed, as in the reference.
    Broken,
}

impl Separator {
    /// Compiled once. The crate's dialect has no look-around, no references back and no possessive repetition, and takes time
    /// in proportion to the text; it knows letters and digits beyond ASCII, which Java's does not. In both a dot stands for
    /// neither end of line.
    pub(super) fn new(text: &str) -> Self {
        let pattern = if !text.is_empty() && regex::escape(text) == text {
            Pattern::Literal
        } else {
            match RegexBuilder::new(text).crlf(true).size_limit(1 << 20).build() {
                Ok(regex) => Pattern::Regex(regex),
                Err(_) => Pattern::Broken,
            }
        };
        Self { text: text.to_owned(), pattern }
    }

    /// Splits each text. What is deleted has none, which counts as no value (§5a).
    pub(super) fn split(&self, input: &Value) -> Result<Value, FunctionErrorKind> {
        let mut pieces = Vec::new();
        for text in input.texts() {
            // Nothing can be split to nothing, not even where nothing separates.
            if text.is_empty() || !text.contains(&self.text) {
                pieces.push(text.clone());
            } else {
                match &self.pattern {
                    Pattern::Literal => without_empty_end(text.split(&self.text), &mut pieces)?,
                    Pattern::Regex(regex) => without_empty_end(Matches::new(regex, text), &mut pieces)?,
                    Pattern::Broken => return Err(FunctionErrorKind::NoRegex),
                }
            }
        }
        Ok(Value::of(pieces))
    }
}

/// Takes the pieces but for the empty ones at the end.
fn without_empty_end<'t>(
    pieces: impl Iterator<Item = &'t str>,
    out: &mut Vec<String>,
) -> Result<(), FunctionErrorKind> {
    let mut empty = 0_usize;
    for piece in pieces {
        if piece.is_empty() {
            empty += 1;
            continue;
        }
        if out.len().saturating_add(empty) >= MAX_VALUES {
            return Err(FunctionErrorKind::TooManyValues);
        }
        out.extend(std::iter::repeat_n(String::new(), empty));
        out.push(piece.to_owned());
        empty = 0;
    }
    Ok(())
}

/// The pieces between matches as Java has them: an empty match at the start separates nothing, other empty ones do, and one may
/// follow right behind another match.
struct Matches<'r, 't> {
    regex: &'r Regex,
    text: &'t str,
    /// Where the next piece begins; `None` after the last one.
    piece: Option<usize>,
    /// Where the next match may begin.
    search: usize,
}

impl<'r, 't> Matches<'r, 't> {
    fn new(regex: &'r Regex, text: &'t str) -> Self {
        Self { regex, text, piece: Some(0), search: 0 }
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let begin = self.piece?;
        while self.search <= self.text.len() {
            let Some(found) = self.regex.find_at(self.text, self.search) else { break };
            let next = self.text.get(found.end()..).and_then(|rest| rest.chars().next());
            self.search =
                if found.is_empty() { found.end() + next.map_or(1, char::len_utf8) } else { found.end() };
            if found.is_empty() && found.start() == 0 {
                continue;
            }
            self.piece = Some(found.end());
            return self.text.get(begin..found.start());
        }
        self.piece = None;
        self.text.get(begin..)
    }
}
