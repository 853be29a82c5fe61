//! `fn:split`. The reference splits where a regular expression matches, but only a text in which the expression itself occurs.

use regex::{Match, Regex, RegexBuilder};

use crate::error::FunctionErrorKind;
use crate::value::{MAX_VALUES, Value};

use super::work::Work;

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
    Regex(Expression),
    /// No regular expression, or too large a one. It fails only where it is needed, as in the reference.
    Broken,
}

/// A regular expression, and what it costs to search for it.
#[derive(Debug, Clone)]
struct Expression {
    regex: Regex,
    /// How many of its states each byte of a text may be compared with.
    states: usize,
    /// Bytes behind the start of a match that a search may look at; `None` if that may be all. Where one branch runs to the end
    /// of the text and another one matches a single letter, each match looks at all that is left.
    reach: Option<usize>,
}

/// Largest expressions that are tried, in bytes: the next one where one is too small. What a search costs grows with it.
const SIZES: [usize; 4] = [1 << 10, 1 << 12, 1 << 14, 1 << 16];
/// Bytes of an expression that make a state, at least.
const STATE: usize = 64;

impl Separator {
    /// Compiled once.
    pub(super) fn new(text: &str) -> Self {
        let pattern = if !text.is_empty() && regex::escape(text) == text {
            Pattern::Literal
        } else {
            Expression::new(text).map_or(Pattern::Broken, Pattern::Regex)
        };
        Self { text: text.to_owned(), pattern }
    }

    /// Splits each text. What is deleted has none, which counts as no value (§5a).
    pub(super) fn split(&self, input: &Value) -> Result<Value, FunctionErrorKind> {
        let (mut pieces, mut work) = (Vec::new(), Work::default());
        for text in input.texts() {
            // Nothing can be split to nothing, not even where nothing separates.
            if text.is_empty() || !text.contains(&self.text) {
                pieces.push(text.clone());
            } else {
                match &self.pattern {
                    Pattern::Literal => without_empty_end(text.split(&self.text).map(Ok), &mut pieces)?,
                    Pattern::Regex(expression) => {
                        without_empty_end(Matches::new(expression, text, &mut work), &mut pieces)?;
                    }
                    Pattern::Broken => return Err(FunctionErrorKind::NoRegex),
                }
            }
        }
        Ok(Value::of(pieces))
    }
}

/// Takes the pieces but for the empty ones at the end.
fn without_empty_end<'t>(
    pieces: impl Iterator<Item = Result<&'t str, FunctionErrorKind>>,
    out: &mut Vec<String>,
) -> Result<(), FunctionErrorKind> {
    let mut empty = 0_usize;
    for piece in pieces {
        let piece = piece?;
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

impl Expression {
    /// The crate's dialect has no look-around, no references back and no possessive repetition, and a search takes time in
    /// proportion to the text; it knows letters and digits beyond ASCII, which Java's does not. In both a dot stands for neither
    /// end of line.
    fn new(text: &str) -> Option<Self> {
        let compile = |size| RegexBuilder::new(text).crlf(true).size_limit(size).build().ok();
        let (regex, size) = SIZES.iter().find_map(|size| Some((compile(*size)?, size)))?;
        // Without repetition each character stands for one at most.
        let reach = (!text.contains(['*', '+', '{'])).then_some(text.len().saturating_mul(4));
        Some(Self { regex, states: size / STATE, reach })
    }

    /// The next match from a place on. What a search has looked at is not known, so the most that it may have been counts.
    fn find_at<'t>(
        &self,
        text: &'t str,
        from: usize,
        work: &mut Work,
    ) -> Result<Option<Match<'t>>, FunctionErrorKind> {
        let cost = |end: usize| (1 + end - from).saturating_mul(self.states);
        // Afterwards would be too late: one search may be too much.
        work.check(cost(text.len()))?;
        let found = self.regex.find_at(text, from);
        let end = match (found, self.reach) {
            (Some(found), Some(reach)) => found.start().saturating_add(reach).min(text.len()),
            _ => text.len(),
        };
        work.spend(cost(end))?;
        Ok(found)
    }
}

/// The pieces between matches as Java has them: an empty match at the start separates nothing, other empty ones do, and one may
/// follow right behind another match.
struct Matches<'r, 't> {
    expression: &'r Expression,
    work: &'r mut Work,
    text: &'t str,
    /// Where the next piece begins; `None` after the last one.
    piece: Option<usize>,
    /// Where the next match may begin.
    search: usize,
}

impl<'r, 't> Matches<'r, 't> {
    fn new(expression: &'r Expression, text: &'t str, work: &'r mut Work) -> Self {
        Self { expression, work, text, piece: Some(0), search: 0 }
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Result<&'t str, FunctionErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        let begin = self.piece?;
        while self.search <= self.text.len() {
            let found = match self.expression.find_at(self.text, self.search, self.work) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    self.piece = None;
                    return Some(Err(error));
                }
            };
            let next = self.text.get(found.end()..).and_then(|rest| rest.chars().next());
            self.search =
                if found.is_empty() { found.end() + next.map_or(1, char::len_utf8) } else { found.end() };
            if found.is_empty() && found.start() == 0 {
                continue;
            }
            self.piece = Some(found.end());
            return self.text.get(begin..found.start()).map(Ok);
        }
        self.piece = None;
        self.text.get(begin..).map(Ok)
    }
}
