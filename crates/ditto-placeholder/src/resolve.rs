//! Where values come from.

use crate::placeholder::Placeholder;

/// Whether a template has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Resolution {
    /// The value was appended.
    Resolved,
    /// There is none; nothing was appended.
    Unresolved,
    /// There shall be none (`fn:delete()`); nothing was appended.
    Deleted,
}

/// The values of a message and of its surroundings. This crate knows neither.
pub trait Resolve {
    /// Appends the first value of `placeholder`. With `None` there is no value, and what was appended does not count.
    ///
    /// The caller says what time it is: [`TimeName::append`](crate::TimeName::append).
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()>;

    /// Hands out all values in order, for functions and for templates whose every value counts. Override it where a placeholder
    /// may have several.
    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        let mut text = String::new();
        if self.resolve(placeholder, &mut text).is_some() {
            each(&text);
        }
    }
}
