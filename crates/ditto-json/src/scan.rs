//! One pass over a JSON text: well formed, within bounds, and the members of objects on the way.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::raw::{JsonKind, decode_string};
use crate::words::{self, Word};

/// Why a text cannot be scanned to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanError {
    at: usize,
    kind: ScanErrorKind,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanErrorKind {
    /// Objects and arrays are nested deeper than the bound.
    TooDeep,
    /// A member has an empty name, which Ditto refuses.
    EmptyName,
    /// Something else was expected here.
    Expected(Expected),
}

/// What could stand in a text in place of what does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts of Display say it")]
pub enum Expected {
    Value,
    Object,
    String,
    MemberName,
    Colon,
    CommaOrBrace,
    CommaOrBracket,
    Quote,
    Escape,
    EscapedControl,
    Digit,
    NoLeadingZero,
    End,
}

impl ScanError {
    /// Byte offset of what is wrong.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong.
    pub fn kind(&self) -> ScanErrorKind {
        self.kind
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ScanErrorKind::TooDeep => write!(f, "nested too deep at byte {}", self.at),
            ScanErrorKind::EmptyName => write!(f, "empty member name at byte {}", self.at),
            ScanErrorKind::Expected(expected) => {
                write!(f, "invalid json at byte {}: expected {expected}", self.at)
            }
        }
    }
}

impl std::error::Error for ScanError {}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "a value",
            Self::Object => "`{`",
            Self::String => "a string",
            Self::MemberName => "a member name",
            Self::Colon => "`:`",
            Self::CommaOrBrace => "`,` or `}`",
            Self::CommaOrBracket => "`,` or `]`",
            Self::Quote => "`\"`",
            Self::Escape => "an escape of json",
            Self::EscapedControl => "an escape in place of a control character",
            Self::Digit => "a digit",
            Self::NoLeadingZero => "a number without leading zero",
            Self::End => "the end of the text",
        })
    }
}

/// A JSON string as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub struct RawString<'t> {
    text: &'t str,
    /// Offset of the opening quote.
    start: usize,
    /// Offset after the closing quote.
    end: usize,
    has_escapes: bool,
}

impl<'t> RawString<'t> {
    /// What it says; borrowed unless it has escapes. `None` for escapes that are no text (half a surrogate pair).
    pub fn decode(self) -> Option<Cow<'t, str>> {
        if self.has_escapes { decode_string(self.quoted()) } else { self.plain().map(Cow::Borrowed) }
    }

    /// As it stands in the text, with its quotes.
    pub fn quoted(self) -> &'t str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where it stands in the text, with its quotes.
    pub fn place(self) -> Range<usize> {
        self.start..self.end
    }

    /// What it says, if that takes no decoding.
    pub fn plain(self) -> Option<&'t str> {
        self.plain_place().and_then(|place| self.text.get(place))
    }

    /// Where what it says stands in the text, if that takes no decoding.
    pub fn plain_place(self) -> Option<Range<usize>> {
        if self.has_escapes { None } else { Some(self.start + 1..self.end - 1) }
    }
}

/// A JSON value as it stands in the text, found well formed.
#[derive(Debug, Clone, Copy)]
pub struct RawJson<'t> {
    text: &'t str,
    start: usize,
    end: usize,
    has_plain_names: bool,
    is_compact: bool,
}

impl<'t> RawJson<'t> {
    /// Its text, without blanks around it.
    pub fn text(self) -> &'t str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where it stands in the text.
    pub fn place(self) -> Range<usize> {
        self.start..self.end
    }

    /// What kind of value it is.
    pub fn kind(self) -> JsonKind {
        JsonKind::of(self.text())
    }

    /// Whether it is `null`, and nothing else begins like that.
    pub fn is_null(self) -> bool {
        self.text.as_bytes().get(self.start) == Some(&b'n')
    }

    /// Whether no blank stands between its parts, and no escape in its strings.
    pub fn is_compact(self) -> bool {
        self.is_compact
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
    is_compact: bool,
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
        Self {
            text,
            at: 0,
            max_depth,
            depth: 0,
            has_plain_names: true,
            is_compact: true,
            objects: 0,
            outer: Vec::new(),
        }
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
            return Err(self.expected(Expected::Object));
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
                _ => return Err(self.expected(Expected::CommaOrBrace)),
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
        self.is_compact = true;
        self.skip_value()?;
        Ok(RawJson {
            text: self.text,
            start,
            end: self.at,
            has_plain_names: self.has_plain_names,
            is_compact: self.is_compact,
        })
    }

    fn skip_value(&mut self) -> Result<(), ScanError> {
        let around = self.depth;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.rest_of_string(self.at)?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
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
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.expected(Expected::Value)),
            }
            // A value has ended; with it maybe what is around it.
            loop {
                if self.depth == around {
                    return Ok(());
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
                    _ if is_object => return Err(self.expected(Expected::CommaOrBrace)),
                    _ => return Err(self.expected(Expected::CommaOrBracket)),
                }
            }
        }
    }

    /// Takes a string.
    ///
    /// # Errors
    /// The text has no string here, or one that is no JSON.
    pub fn string(&mut self) -> Result<RawString<'t>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(Expected::String));
        }
        self.rest_of_string(self.at)
    }

    /// Byte offset of what comes next.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Nothing but blanks may follow.
    ///
    /// # Errors
    /// What follows.
    pub fn end(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected(Expected::End)),
        }
    }

    /// The next byte that is no blank; it stays.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                // One comparison for nearly every byte of a compact text.
                Some(byte) if *byte > b' ' => return Some(*byte),
                Some(b' ' | b'\n' | b'\t' | b'\r') => {
                    self.is_compact = false;
                    self.at += 1;
                }
                other => return other.copied(),
            }
        }
    }

    #[cold]
    fn expected(&self, expected: Expected) -> ScanError {
        ScanError { at: self.at, kind: ScanErrorKind::Expected(expected) }
    }

    fn deeper(&mut self) -> Result<(), ScanError> {
        if self.depth >= self.max_depth {
            return Err(ScanError { at: self.at, kind: ScanErrorKind::TooDeep });
        }
        self.depth += 1;
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Result<(), ScanError> {
        self.deeper()?;
        self.at += 1;
        if self.depth.is_multiple_of(64) {
            self.outer.push(self.objects);
        }
        self.objects = self.objects << 1 | u64::from(is_object);
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        self.objects >>= 1;
        if self.depth.is_multiple_of(64) {
            self.objects = self.outer.pop().unwrap_or_default();
        }
        self.depth -= 1;
    }

    /// A member's name with the colon after it.
    fn name(&mut self) -> Result<RawString<'t>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(Expected::MemberName));
        }
        let start = self.at;
        let bytes = self.text.as_bytes();
        let end = words::find(bytes, start + 1, ends_plain_name);
        let name = if bytes.get(end) == Some(&b'"') && end - start <= MAX_PLAIN_NAME + 1 {
            if end == start + 1 {
                return Err(ScanError { at: start, kind: ScanErrorKind::EmptyName });
            }
            self.at = end + 1;
            RawString { text: self.text, start, end: self.at, has_escapes: false }
        } else {
            self.has_plain_names = false;
            // What was passed already holds nothing that a string must not.
            self.rest_of_string_from(start, end)?
        };
        if self.peek() != Some(b':') {
            return Err(self.expected(Expected::Colon));
        }
        self.at += 1;
        Ok(name)
    }

    /// The string whose opening quote stands at `start`.
    #[inline]
    fn rest_of_string(&mut self, start: usize) -> Result<RawString<'t>, ScanError> {
        let bytes = self.text.as_bytes();
        let end = words::find(bytes, start + 1, ends_run);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(RawString { text: self.text, start, end: self.at, has_escapes: false });
        }
        self.rest_of_string_from(start, end)
    }

    /// The string whose opening quote stands at `start`, of which nothing is left to look at before `at`.
    fn rest_of_string_from(&mut self, start: usize, mut at: usize) -> Result<RawString<'t>, ScanError> {
        let bytes = self.text.as_bytes();
        let error = |at, expected| Err(ScanError { at, kind: ScanErrorKind::Expected(expected) });
        let mut has_escapes = false;
        loop {
            at = words::find(bytes, at, ends_run);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(RawString { text: self.text, start, end: self.at, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.is_compact = false;
                    at = match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                        Some(b'u') if is_hex(bytes.get(at + 2..at + 6)) => at + 6,
                        _ => return error(at, Expected::Escape),
                    };
                }
                Some(_) => return error(at, Expected::EscapedControl),
                None => return error(bytes.len(), Expected::Quote),
            }
        }
    }

    /// `-`? (`0` | digits) (`.` digits)? (`e` sign? digits)?
    fn number(&mut self) -> Result<(), ScanError> {
        let bytes = self.text.as_bytes();
        let error = |at, expected| Err(ScanError { at, kind: ScanErrorKind::Expected(expected) });
        let next = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let digits = |mut at: usize| {
            while next(at).is_ascii_digit() {
                at += 1;
            }
            at
        };
        let whole = self.at + usize::from(next(self.at) == b'-');
        let mut at = digits(whole);
        if at == whole || at > whole + 1 && next(whole) == b'0' {
            return error(whole, Expected::NoLeadingZero);
        }
        if next(at) == b'.' {
            let fraction = at + 1;
            at = digits(fraction);
            if at == fraction {
                return error(at, Expected::Digit);
            }
        }
        if let b'e' | b'E' = next(at) {
            let exponent = at + 1 + usize::from(matches!(next(at + 1), b'+' | b'-'));
            at = digits(exponent);
            if at == exponent {
                return error(at, Expected::Digit);
            }
        }
        self.at = at;
        Ok(())
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), ScanError> {
        let end = self.at + literal.len();
        if self.text.as_bytes().get(self.at..end) != Some(literal.as_bytes()) {
            return Err(self.expected(Expected::Value));
        }
        self.at = end;
        Ok(())
    }
}

/// What ends a run of bytes in a string that stand for themselves.
#[inline]
fn ends_run(word: Word) -> Word {
    word.json_special()
}

/// What ends a run of bytes in a name that is plain: also a slash, DEL, or what is no ASCII.
#[inline]
fn ends_plain_name(word: Word) -> Word {
    word.json_special() | word.equal(b'/') | word.not_printable()
}

fn is_hex(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests;
