//! Text within a message, or beside it.

use std::borrow::Cow;
use std::ops::Range;

/// A part of a message's text, or a text of its own where the message has it escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Byte offsets into the message.
    Span { start: u32, end: u32 },
    /// Not part of the message.
    Own(Box<str>),
}

impl Piece {
    /// A place in a message, which is shorter than 4 GiB (`Limits`).
    pub(crate) fn at(place: Range<usize>) -> Self {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self::Span { start: offset(place.start), end: offset(place.end) }
    }

    /// `part` must be a slice of `text` if it is borrowed; otherwise it is copied.
    pub(crate) fn in_text(text: &str, part: Cow<'_, str>) -> Self {
        let part = match part {
            Cow::Borrowed(part) => part,
            Cow::Owned(part) => return Self::Own(part.into()),
        };
        let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        match (u32::try_from(start), u32::try_from(start.wrapping_add(part.len()))) {
            (Ok(start), Ok(end)) if end as usize <= text.len() => Self::Span { start, end },
            _ => Self::Own(part.into()),
        }
    }

    /// Whether it is a part of the message's text.
    pub(crate) fn is_span(&self) -> bool {
        matches!(self, Self::Span { .. })
    }

    /// The text; `text` is the message that the piece was made of.
    pub(crate) fn of<'t>(&'t self, text: &'t str) -> &'t str {
        match self {
            Self::Span { start, end } => text.get(*start as usize..*end as usize).unwrap_or_default(),
            Self::Own(own) => own,
        }
    }
}
