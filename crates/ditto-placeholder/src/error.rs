//! Why a text is no template.

use crate::ast::Placeholder;

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid placeholder at byte {at}: {kind}")]
pub struct TemplateError {
    kind: TemplateErrorKind,
    at: usize,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateErrorKind {
    /// Something else should stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// No such placeholder.
    #[error("there is no placeholder `{name}`{}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// As it was written.
        name: String,
        /// The known name that is most like it.
        nearest: Option<&'static str>,
    },
    /// More functions than the reference allows.
    #[error("more than {MAX_FUNCTIONS} functions in one placeholder")]
    TooManyFunctions,
}

/// Functions that one pipeline may have (placeholders.md §1).
pub(crate) const MAX_FUNCTIONS: usize = 10;

impl TemplateError {
    pub(crate) fn new(kind: TemplateErrorKind, at: usize) -> Self {
        Self { kind, at }
    }

    pub(crate) fn unknown(name: &str, at: usize) -> Self {
        let nearest = Placeholder::KNOWN
            .iter()
            .map(|known| (distance(name, known), *known))
            .min()
            .filter(|(distance, known)| *distance * 3 <= known.len())
            .map(|(_, known)| known);
        Self::new(TemplateErrorKind::Unknown { name: name.to_owned(), nearest }, at)
    }

    /// What is wrong.
    pub fn kind(&self) -> &TemplateErrorKind {
        &self.kind
    }

    /// Byte offset of the mistake.
    pub fn at(&self) -> usize {
        self.at
    }
}

/// Levenshtein distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(x != *y);
            diagonal = *above;
            *above = cost.min(left + 1).min(diagonal + 1);
            left = *above;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
