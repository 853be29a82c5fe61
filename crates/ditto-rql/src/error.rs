//! Why a text is no filter.

use std::fmt;

use crate::grammar::{MAX_DEPTH, MAX_LENGTH};
use crate::pattern::Pattern;
use crate::quote::Shown;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid filter at byte {at} (line {line}, column {column}): {kind}")]
pub struct FilterError {
    kind: FilterErrorKind,
    at: usize,
    line: usize,
    column: usize,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterErrorKind {
    /// Something else should stand here.
    #[error("expected {}, found {}", Expected(.expected), Found(*.found))]
    Expected {
        /// What could stand here.
        expected: Vec<&'static str>,
        /// What does; nothing at the end of the text.
        found: Option<char>,
    },
    /// No such operator.
    #[error("there is no operator `{}`{}", Shown(.name), did_you_mean(*.nearest))]
    UnknownOperator {
        /// As it was written.
        name: String,
        /// The operator that is most like it.
        nearest: Option<&'static str>,
    },
    /// Half a surrogate pair, which is no text.
    #[error("half a surrogate pair; write both halves (`\\ud83d\\ude00`) or the character itself")]
    HalfSurrogate,
    /// Longer than the bound.
    #[error("longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Nested deeper than the bound.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// No such property.
    #[error("there is no property `{}`{}", Shown(.name), did_you_mean(.hint.as_deref()))]
    UnknownProperty {
        /// As it was written.
        name: String,
        /// A legal name that is most like it.
        hint: Option<String>,
    },
    /// A property that has no value to compare.
    #[error("`{0}` has no value of its own; compare what is in it, such as `{1}/on`, or ask exists(…)", Shown(.name), Shown(&inner(.name)))]
    NotComparable {
        /// The property.
        name: String,
    },
    /// A path with a segment that is empty.
    #[error("two slashes in a row in `{}`; remove one", Shown(.name))]
    EmptySegment {
        /// The path.
        name: String,
    },
    /// `like` and `ilike` take a quoted text.
    #[error("`{operator}` takes a quoted text; write {}", Quoted(.literal))]
    LikeNeedsString {
        /// `like` or `ilike`.
        operator: &'static str,
        /// The literal that was given.
        literal: String,
    },
    /// An integer that needs more than 64 bits.
    #[error("`{}` is no 64-bit integer; write it with a fraction, as {}.0", Shown(.0), Shown(.0))]
    NumberTooLarge(String),
    /// `time:` with nothing behind it.
    #[error("`time:` needs a name, such as `time:now`")]
    EmptyTime,
    /// A part of a pattern that costs too much.
    #[error(
        "a part of the pattern with `?` between two `*` has more than {} characters",
        Pattern::MAX_SEARCHED
    )]
    PatternTooLong,
}

/// The kinds of mistakes that the reference knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts of as_str say it")]
pub enum Reason {
    Syntax,
    UnknownProperty,
    LikeNeedsString,
    Literal,
}

impl FilterError {
    /// A mistake at byte `at` of `text`.
    pub(crate) fn new(kind: FilterErrorKind, text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self { kind, at, line: before.matches('\n').count() + 1, column: in_line.encode_utf16().count() + 1 }
    }

    /// What is wrong.
    pub fn kind(&self) -> &FilterErrorKind {
        &self.kind
    }

    /// Byte offset of the mistake.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Line of the mistake, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column of the mistake, from 1, in UTF-16 units as the reference counts.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The reference's error code, for every kind; its status is 400.
    pub fn code(&self) -> &'static str {
        "rql.expression.invalid"
    }

    /// Which of the reference's kinds it is.
    pub fn reason(&self) -> Reason {
        match self.kind {
            FilterErrorKind::Expected { .. }
            | FilterErrorKind::UnknownOperator { .. }
            | FilterErrorKind::HalfSurrogate
            | FilterErrorKind::TooLong
            | FilterErrorKind::TooDeep => Reason::Syntax,
            FilterErrorKind::UnknownProperty { .. }
            | FilterErrorKind::NotComparable { .. }
            | FilterErrorKind::EmptySegment { .. } => Reason::UnknownProperty,
            FilterErrorKind::LikeNeedsString { .. } => Reason::LikeNeedsString,
            FilterErrorKind::NumberTooLarge(_)
            | FilterErrorKind::EmptyTime
            | FilterErrorKind::PatternTooLong => Reason::Literal,
        }
    }

    /// The line of the mistake with a mark below it; `text` is what was parsed.
    pub fn pointing_into<'e>(&'e self, text: &'e str) -> impl fmt::Display + 'e {
        Pointing { error: self, text }
    }
}

impl Reason {
    /// `syntax`, `unknown-property`, `like-needs-string` or `literal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownProperty => "unknown-property",
            Self::LikeNeedsString => "like-needs-string",
            Self::Literal => "literal",
        }
    }
}

struct Pointing<'e> {
    error: &'e FilterError,
    text: &'e str,
}

/// Characters of the line that are shown on each side of a mistake.
const AROUND: usize = 60;

impl fmt::Display for Pointing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.error.at;
        let before = self.text.get(..at).unwrap_or(self.text);
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = self.text.get(at..).unwrap_or_default().split('\n').next().unwrap_or_default();
        let hidden = before.chars().count().saturating_sub(AROUND);
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let number = self.error.line.to_string();
        let blank = " ".repeat(number.len());
        let cut = if hidden > 0 { "…" } else { "" };
        writeln!(f, "{}", self.error.kind)?;
        write!(f, "{number} | {cut}")?;
        before
            .chars()
            .skip(hidden)
            .chain(after.chars().take(AROUND))
            .try_for_each(|c| write!(f, "{}", shown(c)))?;
        writeln!(f, "{}", if after.chars().nth(AROUND).is_some() { "…" } else { "" })?;
        let indent = before.chars().count() - hidden + cut.chars().count();
        write!(f, "{blank} | {}^", " ".repeat(indent))
    }
}

struct Expected<'e>(&'e [&'static str]);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, expected) in self.0.iter().enumerate() {
            let or = match at {
                0 => "",
                _ if at + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(f, "{or}{expected}")?;
        }
        Ok(())
    }
}

struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the end"),
            Some(' ') => f.write_str("a blank"),
            Some(c) => write!(f, "`{}`", Shown(c.encode_utf8(&mut [0; 4]))),
        }
    }
}

struct Quoted<'l>(&'l str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`\"{}\"`", Shown(self.0))
    }
}

fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!("; did you mean `{}`?", Shown(name))).unwrap_or_default()
}

/// What could be compared of a feature, or of its properties.
fn inner(name: &str) -> String {
    let name = name.trim_end_matches('/');
    if name.matches('/').count() < 2 { format!("{name}/properties") } else { name.to_owned() }
}
