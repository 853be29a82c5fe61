//! What is wrong with a policy.

use std::borrow::Cow;
use std::fmt::{self, Write};

use ditto_protocol::{ErrorCode, ProtocolError};

/// Why a text is no policy, or a policy cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    code: ErrorCode,
    place: String,
    reason: Cow<'static, str>,
    remedy: &'static str,
}

impl PolicyError {
    pub(crate) fn new(
        code: ErrorCode,
        place: &Place<'_>,
        reason: impl Into<Cow<'static, str>>,
        remedy: &'static str,
    ) -> Self {
        Self { code, place: place.to_string(), reason: reason.into(), remedy }
    }

    /// What an identifier's own check says, at its place.
    pub(crate) fn at(place: &Place<'_>, error: &ProtocolError) -> Self {
        Self::new(error.code(), place, error.message().to_owned(), "")
    }

    /// The reference's code with its status.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// RFC 6901 pointer into the policy; empty for the whole of it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it; empty where the reason says it.
    pub fn remedy(&self) -> &str {
        self.remedy
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "policy" } else { &self.place };
        write!(f, "{place}: {}", self.reason)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

impl std::error::Error for PolicyError {}

/// A place in a policy that is written out only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'p> {
    Root,
    Member(&'p Place<'p>, &'p str),
    Element(&'p Place<'p>, usize),
}

impl<'p> Place<'p> {
    pub(crate) fn member(&'p self, name: &'p str) -> Self {
        Self::Member(self, name)
    }

    pub(crate) fn element(&'p self, at: usize) -> Self {
        Self::Element(self, at)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Element(around, at) => write!(f, "{around}/{at}"),
            Self::Member(around, name) => {
                write!(f, "{around}/")?;
                name.chars().try_for_each(|c| match c {
                    '~' => f.write_str("~0"),
                    '/' => f.write_str("~1"),
                    c => f.write_char(c),
                })
            }
        }
    }
}
