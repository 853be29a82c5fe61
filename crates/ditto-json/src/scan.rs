//! One pass over a JSON text: well formed, within bounds, and the members of objects on the way.

use std::borrow::Cow;

use crate::raw::{JsonKind, decode_string};
use crate::words::{self, Word};

/// Why a text cannot be scanned to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The text is no JSON.
    #[error("invalid json at byte {at}: expected {expected}")]
    Syntax {
        /// Byte offset of what does not belong there.
        at: usize,
        /// What could stand there.
        expected: &'static str,
    },
    /// Objects and arrays are nested too deep.
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// The bound, in levels.
        limit: usize,
        /// Byte offset of the bracket that goes past it.
        at: usize,
    },
    /// A member has an empty name, which Ditto refuses.
    #[error("empty member name at byte {at}")]
    EmptyName {
        /// Byte offset of the name.
        at: usize,
    },
}

/// A JSON string as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub struct RawString<'t> {
    /// With its quotes.
    quoted: &'t str,
    has_escapes: bool,
}

impl<'t> RawString<'t> {
    /// What it says; borrowed unless it has escapes. `None` for escapes that are no text (half a surrogate pair).
    pub fn decode(self) -> Option<Cow<'t, str>> {
        if self.has_escapes { decode_string(self.quoted) } else { self.plain().map(Cow::Borrowed) }
    }

    /// As it stands in the text, with its quotes.
    pub fn quoted(self) -> &'t str {
        self.quoted
    }

    /// What it says, if that takes no decoding.
    pub fn plain(self) -> Option<&'t str> {
        if self.has_escapes { None } else { self.quoted.get(1..self.quoted.len() - 1) }
    }
}

/// A JSON value as it stands in the text, found well formed.
#[derive(Debug, Clone, Copy)]
pub struct RawJson<'t> {
    text: &'t str,
    has_plain_names: bool,
}

impl<'t> RawJson<'t> {
    /// Its text, without blanks around it.
    pub fn text(self) -> &'t str {
        self.text
    }

    /// What kind of value it is.
    pub fn kind(self) -> JsonKind {
        JsonKind::of(self.text)
    }

    /// Whether every member name in it, at any level, is 1 to 256 characters of printable ASCII without slash and escape:
    /// nothing to look at for most rules about names.
    pub fn has_plain_names(self) -> bool {
        self.has_plain_names
    }
}

/// Scans a JSON text once. Nothing is built, nothing recurses.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t str,
    at: usize,
    max_depth: usize,
    depth: usize,
    has_plain_names: bool,
    /// Of the innermost 64 levels of the value that is being skipped: whether it is an object, the innermost one lowest.
    objects: u64,
    /// The same of the levels around them.
    outer: Vec<u64>,
}

/// Longest plain name, in bytes.
const MAX_PLAIN_NAME: usize = 256;

impl<'t> Scanner<'t> {
    /// A scanner at the start of `text`.
    pub fn new(text: &'t str, max_depth: usize) -> Self {
        Self { text, at: 0, max_depth, depth: 0, has_plain_names: true, objects: 0, outer: Vec::new() }
    }

    /// Takes an object; `member` is called at each of its values and must take it, with [`Self::value`] or otherwise.
    ///
    /// # Errors
    /// The first place where the text is no object, no JSON or past a bound.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, RawString<'t>) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if self.peek() != Some(b'{') {
            return Err(self.expected("`{`"));
        }
        self.deeper()?;
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            let name = self.name()?;
            member(self, name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    /// Takes any value.
    ///
    /// # Errors
    /// The first place where the text is no JSON or past a bound.
    pub fn value(&mut self) -> Result<RawJson<'t>, ScanError> {
        self.peek();
        let start = self.at;
        self.has_plain_names = true;
        let around = self.depth;
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.open(true)?;
                    if self.peek() == Some(b'}') {
                        self.close();
                    } else {
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(false)?;
                    if self.peek() == Some(b']') {
                        self.close();
                    } else {
                        continue;
                    }
                }
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.expected("a value")),
            }
            // A value has ended; with it maybe what is around it.
            loop {
                if self.depth == around {
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    return Ok(RawJson { text, has_plain_names: self.has_plain_names });
                }
                let is_object = self.objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    Some(b'}') if is_object => self.close(),
                    Some(b']') if !is_object => self.close(),
                    _ => return Err(self.expected(if is_object { "`,` or `}`" } else { "`,` or `]`" })),
                }
            }
        }
    }

    /// Nothing but blanks may follow.
    ///
    /// # Errors
    /// What follows.
    pub fn end(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the text")),
        }
    }

    /// The next byte that is no blank; it stays.
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn expected(&self, expected: &'static str) -> ScanError {
        ScanError::Syntax { at: self.at, expected }
    }

    fn deeper(&mut self) -> Result<(), ScanError> {
        if self.depth >= self.max_depth {
            return Err(ScanError::TooDeep { limit: self.max_depth, at: self.at });
        }
        self.depth += 1;
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Result<(), ScanError> {
        self.deeper()?;
        self.at += 1;
        if self.depth % 64 == 0 {
            self.outer.push(self.objects);
        }
        self.objects = self.objects << 1 | u64::from(is_object);
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        self.objects >>= 1;
        if self.depth % 64 == 0 {
            self.objects = self.outer.pop().unwrap_or_default();
        }
        self.depth -= 1;
    }

    /// A member's name with the colon after it.
    fn name(&mut self) -> Result<RawString<'t>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member name"));
        }
        let start = self.at;
        let bytes = self.text.as_bytes();
        let end = words::find(bytes, start + 1, ends_plain_run);
        let length = end - start - 1;
        let name = if bytes.get(end) == Some(&b'"') && length <= MAX_PLAIN_NAME {
            if length == 0 {
                return Err(ScanError::EmptyName { at: start });
            }
            self.at = end + 1;
            RawString { quoted: self.text.get(start..self.at).unwrap_or_default(), has_escapes: false }
        } else {
            self.has_plain_names = false;
            self.string()?
        };
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(name)
    }

    /// Takes a string.
    ///
    /// # Errors
    /// The text has no string here, or one that is no JSON.
    pub fn string(&mut self) -> Result<RawString<'t>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("`\"`"));
        }
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + 1;
        let mut has_escapes = false;
        loop {
            at = words::find(bytes, at, ends_run);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    let quoted = self.text.get(start..self.at).unwrap_or_default();
                    return Ok(RawString { quoted, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    at = match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                        Some(b'u') if is_hex(bytes.get(at + 2..at + 6)) => at + 6,
                        _ => return Err(ScanError::Syntax { at, expected: "an escape of json" }),
                    };
                }
                Some(_) => {
                    return Err(ScanError::Syntax {
                        at,
                        expected: "an escape in place of a control character",
                    });
                }
                None => return Err(ScanError::Syntax { at: bytes.len(), expected: "`\"`" }),
            }
        }
    }

    /// `-`? (`0` | digits) (`.` digits)? (`e` sign? digits)?
    fn number(&mut self) -> Result<(), ScanError> {
        let bytes = self.text.as_bytes();
        let next = |at: usize| bytes.get(at).copied();
        let digits = |mut at: usize| {
            while next(at).is_some_and(|byte| byte.is_ascii_digit()) {
                at += 1;
            }
            at
        };
        let mut at = self.at + usize::from(next(self.at) == Some(b'-'));
        let whole = at;
        at = digits(at);
        let is_whole = at == whole + 1 || at > whole && next(whole) != Some(b'0');
        if !is_whole {
            return Err(ScanError::Syntax { at: whole, expected: "a number without leading zero" });
        }
        if next(at) == Some(b'.') {
            let fraction = at + 1;
            at = digits(fraction);
            if at == fraction {
                return Err(ScanError::Syntax { at, expected: "a digit" });
            }
        }
        if let Some(b'e' | b'E') = next(at) {
            let exponent = at + 1 + usize::from(matches!(next(at + 1), Some(b'+' | b'-')));
            at = digits(exponent);
            if at == exponent {
                return Err(ScanError::Syntax { at, expected: "a digit" });
            }
        }
        self.at = at;
        Ok(())
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), ScanError> {
        let end = self.at + literal.len();
        if self.text.as_bytes().get(self.at..end) != Some(literal.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at = end;
        Ok(())
    }
}

/// What ends a run of bytes in a string that stand for themselves.
fn ends_run(word: Word) -> Word {
    word.equal(b'"') | word.equal(b'\\') | word.below(0x20)
}

/// What ends a run of bytes in a name that is plain: also a slash, DEL, or what is no ASCII.
fn ends_plain_run(word: Word) -> Word {
    ends_run(word) | word.equal(b'/') | word.equal(0x7f) | word.not_ascii()
}

fn is_hex(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests;
