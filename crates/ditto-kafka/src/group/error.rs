//! Why a group can't be looked at, or moved.

use std::fmt;

use super::{GroupMember, GroupPosition};
use crate::code::ErrorCode;
use crate::connection::ConnectionError;

/// Why a group can't be looked at, or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct GroupError {
    kind: GroupErrorKind,
    text: String,
}

/// What [`GroupError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupErrorKind {
    /// Members read in the group.
    Active,
    /// A topic or an offset is not there.
    NotThere,
    /// The cluster answered with an error, or not at all.
    Cluster(ErrorCode),
}

impl GroupError {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> GroupErrorKind {
        self.kind
    }

    pub(super) fn active(group: &str, members: &[GroupMember]) -> Self {
        let names: Vec<_> = members.iter().map(|it| format!("`{}` from {}", it.client_id, it.host)).collect();
        // Members that let the brokers share the partitions out are not told.
        let who = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        Self {
            kind: GroupErrorKind::Active,
            text: format!("group `{group}` has active members{who}; stop them first"),
        }
    }

    pub(super) fn unknown_topic(topic: &str) -> Self {
        Self {
            kind: GroupErrorKind::NotThere,
            text: format!("topic `{topic}` does not exist; name one that does, or create it"),
        }
    }

    pub(super) fn out_of_range(position: &GroupPosition, offset: i64) -> Self {
        let GroupPosition { topic, partition, low, high, .. } = position;
        Self {
            kind: GroupErrorKind::NotThere,
            text: format!("{topic}[{partition}] has no offset {offset}; choose one of {low} to {high}"),
        }
    }

    pub(super) fn cluster(what: String, code: ErrorCode, connection: Option<&ConnectionError>) -> Self {
        let cause: &dyn fmt::Display = match connection {
            Some(connection) => connection,
            None => &"check the brokers and the permissions of the user",
        };
        Self {
            kind: GroupErrorKind::Cluster(code),
            text: format!("{what}: {} ({code}); {cause}", code.description()),
        }
    }
}
