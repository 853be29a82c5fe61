//! The subjects that a target acts for.

/// Subject ids of a target; matching is exact equality of texts (policies.md §1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationContext {
    subjects: Vec<Box<str>>,
}

impl AuthorizationContext {
    /// The subject ids.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(AsRef::as_ref)
    }

    /// Whether `subject` is one of them.
    pub fn contains(&self, subject: &str) -> bool {
        self.subjects().any(|own| own == subject)
    }
}

impl<S: Into<Box<str>>> FromIterator<S> for AuthorizationContext {
    fn from_iter<I: IntoIterator<Item = S>>(subjects: I) -> Self {
        Self { subjects: subjects.into_iter().map(Into::into).collect() }
    }
}
