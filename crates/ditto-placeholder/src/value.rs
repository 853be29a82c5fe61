//! What placeholders and functions give (placeholders.md §2), and how much of it there may be.

use crate::error::FunctionErrorKind;

/// Values that one placeholder, function or template may have. One more multiplies with those of other parts.
pub(crate) const MAX_VALUES: usize = 4_096;

/// Bytes of all values together that one function or template may give. `fn:replace('', …)` can multiply a text.
pub(crate) const MAX_BYTES: usize = 1 << 22;

/// All values of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Value {
    /// At least one text, in order. An empty text is a value.
    Resolved(Vec<String>),
    /// There is none.
    Unresolved,
    /// There shall be none: `fn:delete()`.
    Deleted,
}

impl Value {
    /// These texts; without one there is no value.
    pub(crate) fn of(texts: Vec<String>) -> Self {
        if texts.is_empty() { Self::Unresolved } else { Self::Resolved(texts) }
    }

    /// The texts; none if there is no value.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Resolved(texts) => texts,
            Self::Unresolved | Self::Deleted => &[],
        }
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        match self {
            Self::Resolved(texts) => texts,
            Self::Unresolved | Self::Deleted => Vec::new(),
        }
    }

    pub(crate) fn check_size(self) -> Result<Self, FunctionErrorKind> {
        let texts = self.texts();
        if texts.len() > MAX_VALUES {
            return Err(FunctionErrorKind::TooManyValues);
        }
        if texts.iter().map(String::len).sum::<usize>() > MAX_BYTES {
            return Err(FunctionErrorKind::TooMuchText);
        }
        Ok(self)
    }
}

/// Puts each of `ends` behind each of `texts`, the later ones varying fastest.
pub(crate) fn product<S: AsRef<str>>(
    texts: Vec<String>,
    ends: &[S],
) -> Result<Vec<String>, FunctionErrorKind> {
    if let [end] = ends {
        let mut texts = texts;
        texts.iter_mut().for_each(|text| text.push_str(end.as_ref()));
        return Ok(texts);
    }
    if texts.len().saturating_mul(ends.len()) > MAX_VALUES {
        return Err(FunctionErrorKind::TooManyValues);
    }
    let sum = |lengths: &mut dyn Iterator<Item = usize>| lengths.sum::<usize>();
    let bytes = sum(&mut texts.iter().map(String::len)) * ends.len()
        + sum(&mut ends.iter().map(|end| end.as_ref().len())) * texts.len();
    if bytes > MAX_BYTES {
        return Err(FunctionErrorKind::TooMuchText);
    }
    let with_ends = |text: &String| -> Vec<String> {
        ends.iter().map(|end| [text.as_str(), end.as_ref()].concat()).collect()
    };
    Ok(texts.iter().flat_map(with_ends).collect())
}
