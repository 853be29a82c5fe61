//! What a signal says about who may read it (policies.md §5, §6).

use std::collections::BTreeMap;

use ditto_json::JsonPointer;
use ditto_protocol::{Category, EntityKind, Signal};
use serde::{Deserialize, Serialize};

use crate::context::AuthorizationContext;
use crate::policy::MAX_PATH;
use crate::view::{ALWAYS_READABLE, View};

/// The subjects that may read a signal, those whose right is revoked, and those that may read parts of it only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub(crate) read: Vec<Box<str>>,
    pub(crate) revoked: Vec<Box<str>>,
    /// With what they may read.
    pub(crate) restricted: BTreeMap<Box<str>, View>,
}

/// Whether a context may read a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All of it.
    Granted,
    /// What this view leaves of it: each of its subjects that may read is restricted.
    Restricted(View),
    /// Nothing.
    Denied,
}

/// Something that says who may read, and cannot be understood: then nobody may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not {expected}")]
pub struct GrantsError {
    what: &'static str,
    expected: &'static str,
}

/// The header `ditto-partial-access-paths`.
#[derive(Deserialize, Serialize, Default)]
struct Partial {
    #[serde(default)]
    subjects: Vec<Box<str>>,
    /// Paths of the thing without their first slash, each with the places in `subjects` of those that may read it.
    #[serde(default)]
    paths: BTreeMap<String, Vec<usize>>,
    /// Paths below those that may not be read. The reference has none: it lists what stands in the thing instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    revoked: BTreeMap<String, Vec<usize>>,
}

/// Grants as the headers that say them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantHeaders {
    /// `ditto-read-subjects`
    pub read: String,
    /// `ditto-read-revoked-subjects`, if there are any.
    pub revoked: Option<String>,
    /// `ditto-partial-access-paths`, if there are any.
    pub partial: Option<String>,
}

impl Grants {
    /// Grants from the texts of the headers `ditto-read-subjects`, `ditto-read-revoked-subjects` (JSON arrays) and
    /// `ditto-partial-access-paths` (a JSON object with the array `subjects` and the object `paths`). Without the first
    /// one nobody may read.
    ///
    /// # Errors
    /// A text that is not what its header holds.
    pub fn parse(
        read: Option<&str>,
        revoked: Option<&str>,
        partial: Option<&str>,
    ) -> Result<Self, GrantsError> {
        let list = |what, text: Option<&str>| match text {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| GrantsError { what, expected: "a json array of subject ids" }),
        };
        Ok(Self {
            read: list("header `ditto-read-subjects`", read)?,
            revoked: list("header `ditto-read-revoked-subjects`", revoked)?,
            restricted: partial.map(restricted).transpose()?.unwrap_or_default(),
        })
    }

    /// The headers that [`Self::parse`] makes the same grants of.
    pub fn headers(&self) -> GrantHeaders {
        let list = |subjects: &[Box<str>]| serde_json::json!(subjects).to_string();
        let mut partial = Partial::default();
        for (place, (subject, view)) in self.restricted.iter().enumerate() {
            partial.subjects.push(subject.clone());
            for (path, is_readable) in view.words() {
                let paths = if is_readable { &mut partial.paths } else { &mut partial.revoked };
                let text = path.to_string();
                let text = if path.is_root() { "/" } else { text.trim_start_matches('/') };
                paths.entry(text.to_owned()).or_default().push(place);
            }
        }
        GrantHeaders {
            read: list(&self.read),
            revoked: (!self.revoked.is_empty()).then(|| list(&self.revoked)),
            partial: (!self.restricted.is_empty()).then(|| serde_json::json!(partial).to_string()),
        }
    }

    /// Grants that let these subjects read everything.
    pub fn of_subjects<S: Into<Box<str>>>(read: impl IntoIterator<Item = S>) -> Self {
        Self { read: read.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The subjects that a policy announcement names: only they may get it. `None` for any other signal.
    ///
    /// # Errors
    /// The announcement names none.
    pub fn of_announcement(signal: &Signal) -> Result<Option<Self>, GrantsError> {
        #[derive(Deserialize)]
        struct Value {
            #[serde(rename = "subjectIds")]
            subject_ids: Vec<Box<str>>,
        }
        if signal.category() != Category::Announcement || signal.entity().kind() != EntityKind::Policy {
            return Ok(None);
        }
        let value: Value = serde_json::from_str(signal.value().unwrap_or_default()).map_err(|_| {
            GrantsError { what: "the announcement's value", expected: "an object with `subjectIds`" }
        })?;
        Ok(Some(Self::of_subjects(value.subject_ids)))
    }

    /// The subjects that may read all or parts.
    pub fn readers(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(AsRef::as_ref)
    }

    /// The subjects whose right is revoked.
    pub fn revoked(&self) -> impl Iterator<Item = &str> {
        self.revoked.iter().map(AsRef::as_ref)
    }

    /// The subjects that may read parts only, with what they may read.
    pub fn restricted(&self) -> impl Iterator<Item = (&str, &View)> {
        self.restricted.iter().map(|(subject, view)| (&**subject, view))
    }

    /// Whether one of the context's subjects is revoked: that vetoes the whole context.
    pub fn is_revoked(&self, context: &AuthorizationContext) -> bool {
        self.revoked.iter().any(|subject| context.contains(subject))
    }

    /// Decides for a context. What it may read of a thing is what one of its subjects may.
    pub fn decide(&self, context: &AuthorizationContext) -> Decision {
        // From the context's side, which is short: the lists come with the signal.
        let reads = |subject: &&str| self.read.iter().any(|listed| **listed == **subject);
        let mut readers = context.subjects().filter(reads).peekable();
        if readers.peek().is_none() || self.is_revoked(context) {
            return Decision::Denied;
        }
        let mut view = View::nothing();
        for reader in readers {
            match self.restricted.get(reader) {
                Some(parts) => view = view.union(parts),
                None => return Decision::Granted,
            }
        }
        Decision::Restricted(view)
    }
}

/// Who is restricted, by the text of the header.
fn restricted(text: &str) -> Result<BTreeMap<Box<str>, View>, GrantsError> {
    let error = GrantsError {
        what: "header `ditto-partial-access-paths`",
        expected: "a json object with a list of subjects, and paths with places in it",
    };
    let partial: Partial = serde_json::from_str(text).map_err(|_| error.clone())?;
    let mut words: Vec<Vec<(JsonPointer, bool)>> = vec![Vec::new(); partial.subjects.len()];
    let granted = partial.paths.into_iter().map(|(path, readers)| (path, true, readers));
    let revoked = partial.revoked.into_iter().map(|(path, readers)| (path, false, readers));
    for (path, is_readable, readers) in granted.chain(revoked) {
        let path: JsonPointer = path.parse().map_err(|_| error.clone())?;
        if path.segments().len() > MAX_PATH {
            return Err(error);
        }
        for reader in readers {
            words.get_mut(reader).ok_or_else(|| error.clone())?.push((path.clone(), is_readable));
        }
    }
    let views = words.iter().map(|words| {
        View::of_words(words.iter().map(|(path, is_readable)| (path, *is_readable))).keeping(&ALWAYS_READABLE)
    });
    Ok(partial.subjects.into_iter().zip(views).collect())
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
        let restricted =
            restricted.iter().map(|subject| (subject.as_str().into(), View::nothing())).collect();
        Grants { read: list(read), revoked: list(revoked), restricted }
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
        assert_eq!(grants.decide(&["a"].into_iter().collect()), Decision::Restricted(View::nothing()));
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
