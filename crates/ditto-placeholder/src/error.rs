//! Why a text is no template, and why a function fails.

use std::borrow::Cow;

use crate::caret::caret;
use crate::function::{FunctionName, Signature};
use crate::grammar::{MAX_FUNCTIONS, MAX_LENGTH, MAX_NESTING};
use crate::placeholder::{Placeholder, Scope};
use crate::value::{MAX_BYTES, MAX_VALUES};

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
    #[error("there is no placeholder `{name}`{}", did_you_mean(*nearest))]
    Unknown {
        /// As it was written.
        name: String,
        /// The known name that is most like it.
        nearest: Option<&'static str>,
    },
    /// A placeholder of another place.
    #[error("placeholder `{name}` is not available in {}", scope.as_str())]
    Unavailable {
        /// As it was written.
        name: String,
        /// Where it stands.
        scope: Scope,
    },
    /// No such function.
    #[error("there is no function `{name}`{}", did_you_mean(*nearest))]
    UnknownFunction {
        /// As it was written.
        name: String,
        /// The known function that is most like it.
        nearest: Option<&'static str>,
    },
    /// A function with arguments that it does not take.
    #[error("the arguments of fn:{function} do not fit: write {usage}")]
    Signature {
        /// Name without `fn:`.
        function: &'static str,
        /// What would fit.
        usage: &'static str,
    },
    /// More functions than the reference allows.
    #[error("more than {MAX_FUNCTIONS} functions in one placeholder")]
    TooManyFunctions,
    /// Functions as arguments of functions, too often.
    #[error("functions are nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// The whole text is too long.
    #[error("the text is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// It would fail for each message.
    #[error(transparent)]
    Function(#[from] FunctionError),
}

/// Why a function fails for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {kind}", function.map_or("the template", FunctionName::as_call))]
pub struct FunctionError {
    function: Option<FunctionName>,
    kind: FunctionErrorKind,
}

/// How a function fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionErrorKind {
    /// An argument has no value, and the function cannot do without.
    #[error("an argument has no value")]
    MissingArgument,
    /// The value is no Base64.
    #[error("the value is no base64")]
    NoBase64,
    /// The value has a `%` without two hexadecimal digits.
    #[error("the value has a `%` without two hexadecimal digits")]
    NoPercentEncoding,
    /// The separator occurs, but it is no regular expression, or too large a one.
    #[error("the separator occurs in the value, but is no regular expression, or too large a one")]
    NoRegex,
    /// The template of a format has a section that is not closed.
    #[error("a section is not closed")]
    UnclosedSection,
    /// The template of a format has too many parts, or too many sections within sections.
    #[error("the format has too many parts or levels")]
    FormatTooComplex,
    /// More values than are worked on.
    #[error("more than {MAX_VALUES} values")]
    TooManyValues,
    /// More text than is worked on.
    #[error("more than {MAX_BYTES} bytes of text")]
    TooMuchText,
    /// More comparisons than are done, or longer searches.
    #[error("too much to compare or to search; shorten the value or the pattern")]
    TooMuchWork,
}

impl TemplateError {
    pub(crate) fn new(kind: TemplateErrorKind, at: usize) -> Self {
        Self { kind, at }
    }

    pub(crate) fn unknown(name: &str, at: usize) -> Self {
        let nearest = nearest(name, Placeholder::KNOWN);
        Self::new(TemplateErrorKind::Unknown { name: shorten(name), nearest }, at)
    }

    pub(crate) fn unknown_function(name: &str, at: usize) -> Self {
        let nearest = nearest(name, FunctionName::KNOWN);
        Self::new(TemplateErrorKind::UnknownFunction { name: shorten(name), nearest }, at)
    }

    pub(crate) fn unavailable(placeholder: &Placeholder, scope: Scope, at: usize) -> Self {
        Self::new(TemplateErrorKind::Unavailable { name: shorten(&placeholder.to_string()), scope }, at)
    }

    pub(crate) fn signature(function: FunctionName, at: usize) -> Self {
        let Signature { usage, .. } = function.signature();
        Self::new(TemplateErrorKind::Signature { function: function.as_str(), usage }, at)
    }

    /// What is wrong.
    pub fn kind(&self) -> &TemplateErrorKind {
        &self.kind
    }

    /// Byte offset of the mistake.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The reference's error code. Its status is 400.
    pub fn code(&self) -> &'static str {
        match &self.kind {
            TemplateErrorKind::UnknownFunction { .. } => "placeholder:function.unknown",
            TemplateErrorKind::Signature { .. } => "placeholder:function.signature.invalid",
            TemplateErrorKind::TooManyFunctions | TemplateErrorKind::TooDeep | TemplateErrorKind::TooLong => {
                "placeholder:function.too.complex"
            }
            TemplateErrorKind::Function(error) => error.code(),
            _ => "placeholder:unresolved",
        }
    }

    /// The place in `text`, the text that was refused, as [`caret`](caret()) shows it.
    pub fn caret(&self, text: &str) -> String {
        caret(text, self.at)
    }
}

impl FunctionError {
    pub(crate) fn new(function: FunctionName, kind: FunctionErrorKind) -> Self {
        Self { function: Some(function), kind }
    }

    pub(crate) fn of_template(kind: FunctionErrorKind) -> Self {
        Self { function: None, kind }
    }

    /// The name of the function, without `fn:`. None if the values of all parts together are too many.
    pub fn function(&self) -> Option<&'static str> {
        self.function.map(FunctionName::as_str)
    }

    /// How it fails.
    pub fn kind(&self) -> FunctionErrorKind {
        self.kind
    }

    /// An error code of the reference. Its status is 400. Where the reference breaks without a code, as it does for a value that
    /// is no Base64, the placeholder counts as unresolved.
    pub fn code(&self) -> &'static str {
        match self.kind {
            FunctionErrorKind::MissingArgument | FunctionErrorKind::UnclosedSection => {
                "placeholder:function.signature.invalid"
            }
            FunctionErrorKind::FormatTooComplex
            | FunctionErrorKind::TooManyValues
            | FunctionErrorKind::TooMuchText
            | FunctionErrorKind::TooMuchWork => "placeholder:function.too.complex",
            _ => "placeholder:unresolved",
        }
    }
}

fn did_you_mean(nearest: Option<&'static str>) -> Cow<'static, str> {
    nearest.map_or(Cow::Borrowed(""), |nearest| format!("; did you mean `{nearest}`?").into())
}

/// What a user wrote, but no more of it than a message should have.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|known| (distance(name, known), *known))
        .min()
        .filter(|(distance, known)| *distance * 3 <= known.len())
        .map(|(_, known)| known)
}

/// Levenshtein distance.
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
