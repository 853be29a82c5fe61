//! What a signal says about who may read it (policies.md §5, §6).

use serde::Deserialize;

use crate::context::AuthorizationContext;

/// The subjects that may read a signal, those whose right is revoked, and those that may read parts of it only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    read: Vec<Box<str>>,
    revoked: Vec<Box<str>>,
    restricted: Vec<Box<str>>,
}

/// Whether a context may read a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// All of it.
    Granted,
    /// Parts of it: each of its subjects that may read is restricted.
    Restricted,
    /// Nothing.
    Denied,
}

/// A header that says who may read, and cannot be understood: then nobody may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header `{header}` is not {expected}")]
pub struct GrantsError {
    header: &'static str,
    expected: &'static str,
}

impl Grants {
    /// Grants from the texts of the headers `ditto-read-subjects`, `ditto-read-revoked-subjects` (JSON arrays) and
    /// `ditto-partial-access-paths` (a JSON object with the array `subjects`). Without the first one nobody may read.
    ///
    /// # Errors
    /// A text that is not what its header holds.
    pub fn parse(
        read: Option<&str>,
        revoked: Option<&str>,
        partial: Option<&str>,
    ) -> Result<Self, GrantsError> {
        #[derive(Deserialize, Default)]
        struct Partial {
            #[serde(default)]
            subjects: Vec<Box<str>>,
        }
        let list = |header, text: Option<&str>| match text {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| GrantsError { header, expected: "a json array of subject ids" }),
        };
        let partial: Partial = partial
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| GrantsError {
                header: "ditto-partial-access-paths",
                expected: "a json object with a list of subjects",
            })?
            .unwrap_or_default();
        Ok(Self {
            read: list("ditto-read-subjects", read)?,
            revoked: list("ditto-read-revoked-subjects", revoked)?,
            restricted: partial.subjects,
        })
    }

    /// Grants that let these subjects read everything.
    pub fn of_subjects<S: Into<Box<str>>>(read: impl IntoIterator<Item = S>) -> Self {
        Self { read: read.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The subjects that may read all or parts.
    pub fn readers(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(AsRef::as_ref)
    }

    /// Whether one of the context's subjects is revoked: that vetoes the whole context.
    pub fn is_revoked(&self, context: &AuthorizationContext) -> bool {
        self.revoked.iter().any(|subject| context.contains(subject))
    }

    /// Decides for a context.
    pub fn decide(&self, context: &AuthorizationContext) -> Decision {
        // From the context's side, which is short: the lists come with the signal.
        let lists = |list: &[Box<str>], subject: &str| list.iter().any(|listed| **listed == *subject);
        let mut readers = context.subjects().filter(|subject| lists(&self.read, subject)).peekable();
        if readers.peek().is_none() || self.is_revoked(context) {
            Decision::Denied
        } else if readers.all(|subject| lists(&self.restricted, subject)) {
            Decision::Restricted
        } else {
            Decision::Granted
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subjects() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-d]", 0..5)
    }

    fn grants(read: &[String], revoked: &[String], restricted: &[String]) -> Grants {
        let list = |subjects: &[String]| subjects.iter().map(|subject| subject.as_str().into()).collect();
        Grants { read: list(read), revoked: list(revoked), restricted: list(restricted) }
    }

    #[test]
    fn what_cannot_be_understood_grants_nothing() {
        assert!(Grants::parse(Some("integ:reader"), None, None).is_err());
        assert!(Grants::parse(Some("[]"), Some("{}"), None).is_err());
        assert!(Grants::parse(Some("[]"), None, Some("[")).is_err());
        let nobody = Grants::parse(None, None, None).unwrap();
        assert_eq!(nobody.decide(&["a"].into_iter().collect()), Decision::Denied);
    }

    #[test]
    fn long_lists_cost_linear_time() {
        let start = std::time::Instant::now();
        let read = serde_json::to_string(&vec!["a"; 1 << 17]).unwrap();
        let restricted = [vec!["b"; 1 << 17], vec!["a"]].concat();
        let partial = serde_json::json!({"subjects": restricted}).to_string();
        let grants = Grants::parse(Some(&read), None, Some(&partial)).unwrap();
        assert_eq!(grants.decide(&["a"].into_iter().collect()), Decision::Restricted);
        assert!(start.elapsed().as_secs() < 10);
    }

    proptest! {
        #[test]
        fn granted_needs_a_reader_and_no_revoked_subject(
            read in subjects(), revoked in subjects(), restricted in subjects(), context in subjects()
        ) {
            let context: AuthorizationContext = context.into_iter().collect();
            let decision = grants(&read, &revoked, &restricted).decide(&context);
            let reads = read.iter().any(|subject| context.contains(subject));
            let vetoed = revoked.iter().any(|subject| context.contains(subject));
            prop_assert_eq!(decision == Decision::Denied, !reads || vetoed);
            let full = read.iter().any(|subject| context.contains(subject) && !restricted.contains(subject));
            prop_assert_eq!(decision == Decision::Granted, reads && !vetoed && full);
        }

        #[test]
        fn revoking_more_never_grants(read in subjects(), revoked in subjects(), more in "[a-d]", context in subjects()) {
            let context: AuthorizationContext = context.into_iter().collect();
            let before = grants(&read, &revoked, &[]).decide(&context);
            let mut longer = revoked.clone();
            longer.push(more);
            let after = grants(&read, &longer, &[]).decide(&context);
            prop_assert!(after == before || after == Decision::Denied);
        }
    }
}
