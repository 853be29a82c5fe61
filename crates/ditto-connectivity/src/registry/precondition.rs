//! What a request supposes about a connection.

use ditto_protocol::ConnectionId;

use super::RegistryError;

/// What a request supposes about the revision of a connection; nothing, unless it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// It is one of these.
    pub if_match: Option<Matches>,
    /// It is none of these.
    pub if_none_match: Option<Matches>,
}

/// Which revisions a header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matches {
    /// `*`: whatever is there.
    Any,
    /// These; tags that are no revision are left out, since nothing has them.
    Revisions(Vec<u64>),
}

impl Precondition {
    /// Of the connection with this revision, if there is one.
    ///
    /// # Errors
    /// The first header that is wrong about it.
    pub fn check(&self, id: &ConnectionId, revision: Option<u64>) -> Result<(), RegistryError> {
        let failed = |header| Err(RegistryError::Precondition { id: id.clone(), header });
        match (&self.if_match, &self.if_none_match) {
            (Some(matches), _) if !matches.has(revision) => failed("if-match"),
            (_, Some(matches)) if matches.has(revision) => failed("if-none-match"),
            _ => Ok(()),
        }
    }
}

impl Matches {
    fn has(&self, revision: Option<u64>) -> bool {
        match self {
            Self::Any => revision.is_some(),
            Self::Revisions(revisions) => revision.is_some_and(|it| revisions.contains(&it)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_right_or_wrong() {
        let id = "c".parse().unwrap();
        let of = |if_match: Option<Matches>, if_none_match: Option<Matches>, revision| match (Precondition {
            if_match,
            if_none_match,
        })
        .check(&id, revision)
        {
            Ok(()) => "ok",
            Err(RegistryError::Precondition { header, .. }) => header,
            Err(other) => panic!("{other}"),
        };
        let (any, two) = (|| Some(Matches::Any), || Some(Matches::Revisions(vec![2, 3])));
        assert_eq!(of(None, None, None), "ok");
        assert_eq!([of(any(), None, None), of(any(), None, Some(1))], ["if-match", "ok"]);
        assert_eq!([of(two(), None, Some(1)), of(two(), None, Some(2))], ["if-match", "ok"]);
        assert_eq!([of(None, any(), None), of(None, any(), Some(1))], ["ok", "if-none-match"]);
        assert_eq!([of(None, two(), Some(1)), of(None, two(), Some(3))], ["ok", "if-none-match"]);
        assert_eq!(of(two(), two(), Some(2)), "if-none-match");
    }
}
