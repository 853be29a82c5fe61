//! `fn:filter` (placeholders.md §5b).

use std::collections::HashMap;

use crate::error::FunctionErrorKind;
use crate::resolve::Resolve;
use crate::value::Value;

use super::work::Work;
use super::{Failure, Operand};

/// Longest pattern of `like`, in bytes: a longer one, which only a message can have, matches nothing.
const MAX_PATTERN: usize = 4_096;

/// A filter with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    first: Operand,
    second: Operand,
    third: Option<Operand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Like,
    Exists,
}

impl Op {
    fn find(name: Option<&String>) -> Option<Self> {
        match name?.as_str() {
            "eq" => Some(Self::Eq),
            "ne" => Some(Self::Ne),
            "like" => Some(Self::Like),
            "exists" => Some(Self::Exists),
            _ => None,
        }
    }

    fn holds(self, subject: &str, compared: &str) -> bool {
        match self {
            Self::Eq => subject == compared,
            Self::Ne => subject != compared,
            Self::Like => is_like(subject, compared),
            Self::Exists => compared.eq_ignore_ascii_case("true") != subject.is_empty(),
        }
    }
}

/// Whether any holds.
fn any(work: &mut Work, op: Op, subject: &str, compared: &[String]) -> Result<bool, FunctionErrorKind> {
    for compared in compared {
        let words = compared.len().min(MAX_PATTERN) / 64;
        work.spend(16 + subject.len().saturating_mul(words + 1))?;
        if op.holds(subject, compared) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Filter {
    pub(super) fn new(first: Operand, second: Operand, third: Option<Operand>) -> Self {
        Self { first, second, third }
    }

    pub(super) fn operands(&self) -> [Option<&Operand>; 3] {
        [Some(&self.first), Some(&self.second), self.third.as_ref()]
    }

    pub(super) fn apply(&self, input: Value, values: &dyn Resolve) -> Result<Value, Failure> {
        let first = self.first.value(values)?;
        let second = self.second.value(values)?;
        let third = self.third.as_ref().map(|third| third.value(values)).transpose()?;
        let op = Op::find(second.texts().first());
        let mut work = Work::default();
        let keeps = match third {
            // (subject, op, compared): any of the subjects with any of the compared ones.
            Some(compared) => {
                if second.texts().is_empty() {
                    return Err(FunctionErrorKind::MissingArgument.into());
                }
                match op {
                    Some(op) => {
                        let compared = or_empty(compared);
                        let mut holds = false;
                        for subject in or_empty(first) {
                            holds = holds || any(&mut work, op, &subject, &compared)?;
                        }
                        holds
                    }
                    None => false,
                }
            }
            // (subject, 'exists')
            None if op == Some(Op::Exists) => first.texts().iter().any(|subject| !subject.is_empty()),
            // (op, compared): each value of the input by itself.
            None => {
                let op = Op::find(first.texts().first());
                return Ok(match (input, op) {
                    (Value::Resolved(texts), Some(op)) => {
                        let mut kept = Vec::new();
                        for text in texts {
                            if any(&mut work, op, &text, second.texts())? {
                                kept.push(text);
                            }
                        }
                        Value::of(kept)
                    }
                    (Value::Resolved(_), None) => Value::Unresolved,
                    (other, _) => other,
                });
            }
        };
        Ok(match input {
            Value::Resolved(_) if !keeps => Value::Unresolved,
            other => other,
        })
    }
}

/// What has no value counts as an empty text.
fn or_empty(value: Value) -> Vec<String> {
    match value {
        Value::Resolved(texts) => texts,
        Value::Unresolved | Value::Deleted => vec![String::new()],
    }
}

/// Whether all of `text` is like one of the alternatives: `*` stands for anything, `?` for one character, neither for the end of
/// a line.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    pattern.len() <= MAX_PATTERN && pattern.split('|').any(|alternative| matches(text, alternative))
}

/// Between stars are pieces of a fixed number of characters. The first must stand at the start, the last at the end; the others
/// are taken where they occur first, which leaves most to those behind them. Nothing is tried twice.
fn matches(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return length_at_start(text, pattern) == Some(text.len());
    };
    let Some(mut text) = length_at_start(text, first).and_then(|length| text.get(length..)) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
        let Some((start, end)) = find(text, piece) else { return false };
        if has_line_end(text.get(..start).unwrap_or_default()) {
            return false;
        }
        text = text.get(end..).unwrap_or_default();
    }
    let start = match last.chars().count().checked_sub(1) {
        Some(from_end) => text.char_indices().rev().nth(from_end).map(|(start, _)| start),
        None => Some(text.len()),
    };
    start
        .and_then(|start| text.split_at_checked(start))
        .is_some_and(|(skipped, end)| !has_line_end(skipped) && length_at_start(end, last) == Some(end.len()))
}

fn has_line_end(text: &str) -> bool {
    text.contains(is_line_end)
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Bytes at the start of `text` that a piece without stars matches.
fn length_at_start(text: &str, piece: &str) -> Option<usize> {
    let mut chars = text.chars();
    let fits = piece.chars().all(|wanted| match chars.next() {
        Some(c) => {
            if wanted == '?' {
                !is_line_end(c)
            } else {
                c == wanted
            }
        }
        None => false,
    });
    fits.then(|| text.len() - chars.as_str().len())
}

/// Where a piece without stars occurs first, from and to.
fn find(text: &str, piece: &str) -> Option<(usize, usize)> {
    if !piece.contains('?') {
        return text.find(piece).map(|start| (start, start + piece.len()));
    }
    // Shift-And: bit n says that the n+1 characters before this place match the first n+1 of the piece, so that a piece with
    // question marks takes no longer in a text that almost matches everywhere.
    let masks = Masks::new(piece);
    let mut state = vec![0_u64; masks.any.len()];
    for (at, c) in text.char_indices() {
        let mut carry = 1;
        for (word, mask) in state.iter_mut().zip(masks.of(c)) {
            let shifted = *word << 1 | carry;
            carry = *word >> 63;
            *word = shifted & mask;
        }
        let last = (masks.length - 1) % 64;
        if state.last().is_some_and(|word| word >> last & 1 == 1) {
            let end = at + c.len_utf8();
            let (start, _) = text.get(..end)?.char_indices().rev().nth(masks.length - 1)?;
            return Some((start, end));
        }
    }
    None
}

/// The places in a piece where a character fits, as bits.
struct Masks {
    length: usize,
    /// For a character that is not in the piece: the question marks.
    any: Vec<u64>,
    /// For the end of a line that is not in the piece.
    none: Vec<u64>,
    known: HashMap<char, Vec<u64>>,
}

impl Masks {
    fn new(piece: &str) -> Self {
        let length = piece.chars().count();
        let none = vec![0; length.div_ceil(64)];
        let mut any = none.clone();
        let set = |mask: &mut Vec<u64>, n: usize| {
            if let Some(word) = mask.get_mut(n / 64) {
                *word |= 1 << (n % 64);
            }
        };
        let marks = || piece.chars().enumerate().filter(|(_, c)| *c == '?');
        marks().for_each(|(n, _)| set(&mut any, n));
        let mut known: HashMap<char, Vec<u64>> = HashMap::new();
        for (n, c) in piece.chars().enumerate().filter(|(_, c)| *c != '?') {
            let start = if is_line_end(c) { &none } else { &any };
            set(known.entry(c).or_insert_with(|| start.clone()), n);
        }
        Self { length, any, none, known }
    }

    fn of(&self, c: char) -> &[u64] {
        match self.known.get(&c) {
            Some(mask) => mask,
            None if is_line_end(c) => &self.none,
            None => &self.any,
        }
    }
}
